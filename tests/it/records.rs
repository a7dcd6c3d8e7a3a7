//! A status directory of fixtures, and the binary that reads it in an environment of its own.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fake::hold;

/// A pid that no process has: the kernel's largest is 2^22.
pub const NO_PID: i64 = 0x7fff_fff0;

/// A home with a status directory in it.
pub struct Store {
    home: TempDir,
}

/// What a run of gco gave.
#[must_use]
#[derive(Debug)]
pub struct Ran {
    pub stdout: String,
    pub stderr: String,
    pub code: Option<i32>,
}

impl Ran {
    /// The output of a run that must have gone well and said nothing on stderr.
    pub fn ok(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "stdout: {}", self.stdout);
        self.stdout
    }

    pub fn json(self) -> Value {
        serde_json::from_str(&self.ok()).unwrap()
    }

    /// The message of a run that must have failed with `code` and printed nothing.
    pub fn failed(self, code: i32) -> String {
        assert_eq!((self.code, self.stdout.as_str()), (Some(code), ""), "stderr: {}", self.stderr);
        self.stderr
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            code: output.status.code(),
        }
    }
}

impl Store {
    /// An empty one.
    pub fn new() -> Self {
        let store = Self::without_directory();
        fs::create_dir(store.dir()).unwrap();
        store
    }

    /// One whose directory is not there yet.
    pub fn without_directory() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    pub fn dir(&self) -> PathBuf {
        self.home.path().join("tasks")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    pub fn has(&self, name: &str) -> bool {
        fs::symlink_metadata(self.path(name)).is_ok()
    }

    /// The names in the directory, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.dir())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gco"));
        command.env_clear().env("HOME", self.home.path()).env("GCO_TASK_STATUS_DIR", self.dir());
        command.args(args).stdin(Stdio::null()).current_dir(self.home.path());
        command
    }

    pub fn gco(&self, args: &[&str]) -> Ran {
        self.command(args).output().unwrap().into()
    }

    /// `gco tasks list --json` with more arguments: the ids.
    pub fn listed(&self, args: &[&str]) -> Vec<String> {
        let all = [&["tasks", "list", "--json"], args].concat();
        let listed = self.gco(&all).json();
        let tasks = listed["tasks"].as_array().unwrap();
        tasks.iter().map(|task| task["task_id"].as_str().unwrap().to_owned()).collect()
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// A task that finished: its record with `more` in it, and a log of 10 bytes.
    pub fn finished(&self, id: &str, more: Value) -> u64 {
        let mut record = json!({
            "task_id": id, "tool": "x", "argv": ["x"], "pid": 1, "started_at": "2026-11-01T00:00:00Z",
            "updated_at": "2026-11-01T00:01:00Z", "finished_at": "2026-11-01T00:01:00Z", "duration_ms": 60_000,
            "elapsed_seconds": 60, "state": "succeeded", "exit_code": 0, "stacks_completed": 0,
            "last_stack": null, "last_message": "fine", "tail": ["fine"], "schema": 1,
        });
        merge(&mut record, more);
        let text = record.to_string();
        self.write(&format!("{id}.json"), &text);
        self.write(&format!("{id}.log"), "[stdout] x");
        text.len() as u64 + 10
    }

    /// A task of gco's own that claims to run: command `pid`, supervisor `supervisor`.
    pub fn running(&self, id: &str, pid: i64, supervisor: i64, more: Value) {
        let mut record = json!({
            "state": "running", "pid": pid, "pid_start": start_of(pid), "supervisor_pid": supervisor,
            "supervisor_start": start_of(supervisor), "boot_id": boot_id(), "finished_at": null, "exit_code": null,
            "duration_ms": null, "updated_at": now_text(0),
        });
        merge(&mut record, more);
        self.finished(id, record);
    }

    /// A task as the existing Python tool writes it: the shared fields only.
    pub fn foreign(&self, id: &str, tool: &str, state: &str, pid: i64) {
        let record = json!({
            "task_id": id, "tool": tool, "argv": [tool, "up"], "pid": pid, "started_at": now_text(600),
            "updated_at": now_text(0), "elapsed_seconds": 600, "state": state, "stacks_completed": 2,
            "stacks_total": 5, "last_stack": "net", "last_message": "creating net", "tail": ["creating net"],
            "log_path": "/somewhere/else.log",
        });
        self.write(&format!("{id}.json"), record.to_string());
        self.write(&format!("{id}.log"), "[stdout] creating net\n");
    }

    /// Makes the lock file of task `id` and holds its lock until the file is dropped.
    pub fn hold_lock(&self, id: &str) -> File {
        let file = File::create(self.path(&format!(".{id}.lock"))).unwrap();
        hold(&file);
        file
    }

    /// Makes a file look as if it had been left alone for `seconds`.
    pub fn age(&self, name: &str, seconds: u64) {
        let file = File::options().write(true).open(self.path(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
    }
}

fn merge(record: &mut Value, more: Value) {
    let fields = record.as_object_mut().unwrap();
    for (name, value) in more.as_object().unwrap() {
        if value.is_null() {
            fields.remove(name);
        } else {
            fields.insert(name.clone(), value.clone());
        }
    }
}

/// A process that lives until it is dropped.
pub struct Living(Child);

impl Living {
    pub fn new() -> Self {
        Self(Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap())
    }

    pub fn pid(&self) -> i64 {
        self.0.id().into()
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Field 22 of a process's stat; 1 for one that is not there.
fn start_of(pid: i64) -> u64 {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return 1 };
    stat.rsplit_once(')').unwrap().1.split_whitespace().nth(19).unwrap().parse().unwrap()
}

pub fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().trim().to_owned()
}

/// The time in seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A record's timestamp for `ago` seconds before now.
pub fn now_text(ago: u64) -> String {
    gco::task::timestamp::format((now() - ago).cast_signed())
}

/// The id of a task of `tool` that began `ago` seconds before now.
pub fn id_of(tool: &str, ago: u64) -> String {
    format!("{tool}-{}-0", (now() - ago) * 1000)
}

/// Whether the tests run as root, who may read everything.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Runs `command` with `input` on a terminal of its own, and gives what appeared there and the exit code.
pub fn on_a_terminal(mut command: Command, input: &str) -> (String, Option<i32>) {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
    use std::io::Read;
    let (mut master, slave) = crate::pty::terminal();
    // What is typed ahead would be shown somewhere in the output.
    let mut settings = tcgetattr(&slave).unwrap();
    settings.local_flags.remove(LocalFlags::ECHO);
    tcsetattr(&slave, SetArg::TCSANOW, &settings).unwrap();
    let end = || Stdio::from(slave.try_clone().unwrap());
    let mut child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
    drop(command);
    master.write_all(input.as_bytes()).unwrap();
    drop(slave);
    let mut seen = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let mut polled = [PollFd::new(master.as_fd(), PollFlags::POLLIN)];
        if poll(&mut polled, PollTimeout::from(60_000_u16)).unwrap() == 0 {
            let _ = child.kill();
            panic!("nothing more came, and no end: {}", String::from_utf8_lossy(&seen));
        }
        // A terminal whose last user has gone ends with EIO.
        match master.read(&mut chunk) {
            Ok(read) if read > 0 => seen.extend_from_slice(&chunk[..read]),
            _ => break,
        }
    }
    (String::from_utf8_lossy(&seen).replace("\r\n", "\n"), child.wait().unwrap().code())
}

/// Whether a path is there, links not followed.
pub fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
