//! What the tests of `gco run` have in common: gates that hold a command until the test opens them, and looks at
//! processes and records.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;

use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::harness::{Home, eventually};

/// A FIFO in the home directory. A script waits at it with `read x <NAME`; it goes on when the test opens it.
pub struct Gate {
    fifo: File,
}

impl Gate {
    pub fn new(home: &Home, name: &str) -> Gate {
        let path = home.path().join(name);
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        // For both directions, so that neither side ever waits for the other to open it.
        let fifo = OpenOptions::new().read(true).write(true).custom_flags(libc::O_CLOEXEC).open(path);
        Gate { fifo: fifo.unwrap() }
    }

    /// Lets one waiting reader go on.
    pub fn open(&self) {
        (&self.fifo).write_all(b"\n").unwrap();
    }
}

impl Home {
    /// The record of task `id`, once it is there and `wanted` says so.
    pub fn until_record(&self, id: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        eventually(what, || {
            let bytes = fs::read(self.tasks().join(format!("{id}.json"))).ok()?;
            let record = serde_json::from_slice(&bytes).expect("a torn record");
            wanted(&record).then_some(record)
        })
    }

    /// The record of task `id`, once it has this state.
    pub fn until_state(&self, id: &str, state: &str) -> Value {
        self.until_record(id, &format!("{id} to be {state}"), |record| record["state"] == state)
    }

    /// The record of the only task, once its command runs: its pid is not the supervisor's any more.
    pub fn until_running(&self) -> Value {
        let id = eventually("a task", || self.ids().pop());
        self.until_record(&id, "the command's pid in the record", |record| {
            record["pid"] != record["supervisor_pid"]
        })
    }

    /// Waits until the log of task `id` is exactly `bytes`.
    pub fn until_log(&self, id: &str, bytes: impl AsRef<[u8]>) {
        let path = self.tasks().join(format!("{id}.log"));
        eventually("the log to be as expected", || (fs::read(&path).ok()? == bytes.as_ref()).then_some(()));
    }

    /// Waits until the file `name` in the home directory is there and whole: it ends with a line end.
    pub fn until_file(&self, name: &str) -> String {
        eventually(&format!("the file {name}"), || {
            let text = fs::read_to_string(self.path().join(name)).ok()?;
            text.ends_with('\n').then_some(text)
        })
    }

    /// The pids of gco's processes with this name (`gco`, `gco-keeper`, `gco-supervisor`), in this home.
    ///
    /// One that was just forked still bears its parent's name and is about to become something else: not one of them.
    pub fn gcos(&self, name: &str) -> Vec<i32> {
        let all = self.processes().into_iter().filter(|process| process.is_gco && lives(process.pid));
        let pids = all.map(|process| process.pid);
        pids.filter(|pid| comm(*pid) == name && parent_of(*pid).is_none_or(|parent| comm(parent) != name))
            .collect()
    }

    /// The only such process.
    pub fn the_gco(&self, name: &str) -> i32 {
        eventually(name, || match self.gcos(name)[..] {
            [pid] => Some(pid),
            _ => None,
        })
    }
}

/// Writes a program. Not this process writes it: as long as another test's child, just forked, has the file open for writing
/// nobody may run it ("text file busy").
pub fn write_program(path: &Path, text: impl AsRef<[u8]>, mode: u32) {
    let draft = path.with_extension("draft");
    fs::write(&draft, text).unwrap();
    let copy = "cat \"$0\" >\"$1\" && chmod \"$2\" \"$1\" && rm \"$0\"";
    let copied =
        Command::new("sh").args(["-c", copy]).arg(&draft).arg(path).arg(format!("{mode:o}")).status();
    assert!(copied.unwrap().success());
}

/// A process's name; empty when it is gone.
pub fn comm(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned()
}

/// A process's state as one letter (`S`, `T`, `Z`); `None` when it is gone.
pub fn state_of(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat[stat.rfind(") ")? + 2..].chars().next()
}

/// The pid of a process's parent.
pub fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat[stat.rfind(") ")? + 2..].split(' ').nth(1)?.parse().ok()
}

/// Whether the process is there and has not ended.
pub fn lives(pid: i32) -> bool {
    state_of(pid).is_some_and(|state| state != 'Z' && state != 'X')
}

/// The most memory that a process has ever had, in KiB, without what is its program's and its libraries': that is as large as
/// somebody has built it.
pub fn most_memory(pid: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().trim_end_matches(" kB").parse::<u64>().ok()
    };
    Some(of("VmHWM")?.saturating_sub(of("RssFile")?))
}

/// Waits until the process is stopped.
pub fn until_stopped(pid: i32) {
    eventually("a process to be stopped", || (state_of(pid) == Some('T')).then_some(()));
}

/// Sends a signal.
pub fn send(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

/// The pid in this field of a record.
pub fn pid_in(record: &Value, field: &str) -> i32 {
    i32::try_from(record[field].as_i64().unwrap()).unwrap()
}

/// A count from the environment, for those who want to try harder.
pub fn count(variable: &str, usual: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Numbers that look random and are the same in each run (an xorshift generator).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}
