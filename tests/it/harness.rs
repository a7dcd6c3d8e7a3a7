//! The hermetic environment: a [`Home`] that nobody else knows, and `gco` run in it with nothing else
//! in its environment.
//!
//! What a command prints must be stated: an [`Output`] that is dropped before its end, its stdout and its
//! stderr were all asserted fails the test. Nothing here sleeps for a time: a test waits for a condition
//! ([`eventually`]) or for an end, and fails after [`DEADLINE`] with everything that was seen.
//! When a [`Home`] goes, every process that was started in it is killed.
#![expect(dead_code, reason = "a toolbox: not every tool is in use at all times")]

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::output::Output;

/// How long anything may take. Far more than it needs on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Waits until `look` finds something. The only place where a test polls.
///
/// # Panics
/// After [`DEADLINE`], naming `what` never came.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < DEADLINE, "waited {DEADLINE:?} in vain for: {what}");
        thread::park_timeout(Duration::from_millis(2));
    }
}

/// The arguments of a run of shell `script`: `gco run -- sh -c script`.
pub fn sh(script: &str) -> [&str; 5] {
    ["run", "--", "sh", "-c", script]
}

/// A home directory of its own, with a status directory of its own (made by whoever first needs it).
pub struct Home {
    dir: TempDir,
}

/// A process that was started in a [`Home`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub pid: i32,
    /// Its arguments, with blanks between.
    pub command: String,
    /// Whether it runs the `gco` under test.
    pub is_gco: bool,
}

impl Home {
    pub fn new() -> Home {
        Home { dir: tempfile::Builder::new().prefix("gco-it-").tempdir().unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The status directory.
    pub fn tasks(&self) -> PathBuf {
        self.path().join("tasks")
    }

    /// `gco` with `args`, to be run in this home.
    pub fn gco<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Gco<'_> {
        self.command(env!("CARGO_BIN_EXE_gco"), args)
    }

    /// Another program in the same environment. Its `PATH` begins with where `gco` is.
    pub fn command<A: AsRef<OsStr>>(
        &self,
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = A>,
    ) -> Gco<'_> {
        let mut command = Command::new(program.as_ref());
        command.args(args).env_clear().env("LC_ALL", "C.UTF-8").env("HOME", self.path());
        command.env("GCO_TASK_STATUS_DIR", self.tasks()).current_dir(self.path());
        let mut path = Path::new(env!("CARGO_BIN_EXE_gco")).parent().unwrap().as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        command.env("PATH", path);
        Gco { home: self, command, input: Input::Null, read_at_most: usize::MAX }
    }

    /// The record of task `id`.
    pub fn record(&self, id: &str) -> Value {
        let bytes = fs::read(self.tasks().join(format!("{id}.json"))).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    /// The log of task `id`.
    pub fn log(&self, id: &str) -> Vec<u8> {
        fs::read(self.tasks().join(format!("{id}.log"))).unwrap()
    }

    /// The names in the status directory, sorted; none if it is not there.
    pub fn names(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.tasks()) else { return Vec::new() };
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The ids that have a record, sorted.
    pub fn ids(&self) -> Vec<String> {
        let names = self.names();
        let records = names.iter().filter(|name| !name.starts_with('.'));
        records.filter_map(|name| Some(name.strip_suffix(".json")?.to_owned())).collect()
    }

    /// The id of the one task there is.
    pub fn only_id(&self) -> String {
        let ids = self.ids();
        assert_eq!(ids.len(), 1, "{:?}", self.names());
        ids[0].clone()
    }

    /// Removes the status directory, as `rm -rf` does: also while somebody is putting files into it.
    pub fn remove_tasks(&self) {
        eventually("the status directory to be removed", || match fs::remove_dir_all(self.tasks()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => None,
            _ => Some(()),
        });
    }

    /// Asserts that the directory holds pairs of record and log, and nothing else but the journal of events.
    pub fn no_leftovers(&self) {
        let ids = self.ids();
        let mut pairs: Vec<_> =
            ids.iter().flat_map(|id| [format!("{id}.json"), format!("{id}.log")]).collect();
        pairs.sort();
        let mut names = self.names();
        // The journal of events is nobody's leftover, and a log's times go with it.
        let times: Vec<_> = ids.iter().map(|id| format!(".{id}.times")).collect();
        names.retain(|name| name != ".events" && !times.contains(name));
        assert_eq!(names, pairs);
    }

    /// The processes that were started in this home and have not ended.
    pub fn processes(&self) -> Vec<Process> {
        let mine = [b"HOME=", self.path().as_os_str().as_bytes()].concat();
        let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let look = |pid: i32| {
            let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
            environ.split(|&b| b == 0).any(|variable| variable == mine).then_some(())?;
            let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let exe = fs::read_link(format!("/proc/{pid}/exe")).ok();
            Some(Process {
                pid,
                command: String::from_utf8_lossy(&words).trim_end_matches('\0').replace('\0', " "),
                is_gco: exe.is_some_and(|exe| exe.ends_with("gco")),
            })
        };
        pids.filter_map(look).collect()
    }

    /// Waits until no `gco` of this home is left.
    pub fn until_quiet(&self) {
        eventually("every gco of this home to end", || {
            (!self.processes().iter().any(|process| process.is_gco)).then_some(())
        });
    }

    /// Kills everything that was started in this home.
    pub fn kill_all(&self) {
        // What is killed may have started something in the meantime.
        for _ in 0..1000 {
            let left = self.processes();
            if left.is_empty() {
                return;
            }
            for process in left {
                let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
            }
            thread::park_timeout(Duration::from_millis(2));
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.kill_all();
    }
}

enum Input {
    Null,
    Bytes(Vec<u8>),
    Pipe,
}

/// A command about to be run in a [`Home`].
pub struct Gco<'h> {
    pub home: &'h Home,
    pub command: Command,
    input: Input,
    read_at_most: usize,
}

impl<'h> Gco<'h> {
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn env_remove(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    pub fn cwd(mut self, dir: impl AsRef<Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Standard input is `bytes`, then its end. Otherwise it is `/dev/null`.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Input::Bytes(bytes.into());
        self
    }

    /// Standard input is a pipe: see [`Running::stdin`].
    pub fn stdin_pipe(mut self) -> Self {
        self.input = Input::Pipe;
        self
    }

    /// Stops reading standard output after `count` bytes and closes the pipe.
    pub fn read_at_most(mut self, count: usize) -> Self {
        self.read_at_most = count;
        self
    }

    /// Runs it to its end: the process's and that of both its streams.
    #[must_use]
    pub fn run(self) -> Output {
        self.spawn().wait()
    }

    /// Starts it.
    pub fn spawn(mut self) -> Running<'h> {
        let what = format!("{:?}", self.command.get_args().map(OsStr::to_owned).collect::<Vec<OsString>>());
        let stdin = if matches!(self.input, Input::Null) { Stdio::null() } else { Stdio::piped() };
        self.command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().unwrap();
        let (done, ends) = channel();
        let stdout = collect(child.stdout.take().unwrap(), self.read_at_most, done.clone());
        let stderr = collect(child.stderr.take().unwrap(), usize::MAX, done.clone());
        let pid = Pid::from_raw(child.id().cast_signed());
        thread::spawn(move || {
            // Without reaping: the handle does that.
            let _ = waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
            let _ = done.send(());
        });
        let mut stdin = child.stdin.take();
        if let Input::Bytes(bytes) = self.input
            && let Some(mut pipe) = stdin.take()
        {
            thread::spawn(move || pipe.write_all(&bytes));
        }
        Running { home: self.home, what, child, ends, stdin, stdout, stderr }
    }
}

type Seen = Arc<Mutex<Vec<u8>>>;

/// Reads `source` in the background, to its end or `most` bytes.
fn collect(mut source: impl Read + Send + 'static, most: usize, done: Sender<()>) -> Seen {
    let seen = Seen::default();
    let shared = Arc::clone(&seen);
    thread::spawn(move || {
        let mut block = vec![0; 64 * 1024];
        let mut left = most;
        while left > 0 {
            let room = left.min(block.len());
            match source.read(&mut block[..room]) {
                Ok(0) | Err(_) => break,
                Ok(count) => {
                    shared.lock().unwrap().extend_from_slice(&block[..count]);
                    left -= count;
                }
            }
        }
        drop(source);
        let _ = done.send(());
    });
    seen
}

/// A command that has been started.
pub struct Running<'h> {
    home: &'h Home,
    what: String,
    child: Child,
    ends: Receiver<()>,
    /// The writing end of its standard input, with [`Gco::stdin_pipe`]. Dropping it is the end of file.
    pub stdin: Option<ChildStdin>,
    stdout: Seen,
    stderr: Seen,
}

impl Running<'_> {
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    pub fn kill(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// What has come on standard output so far.
    pub fn stdout(&self) -> Vec<u8> {
        self.stdout.lock().unwrap().clone()
    }

    /// What has come on standard error so far.
    pub fn stderr(&self) -> Vec<u8> {
        self.stderr.lock().unwrap().clone()
    }

    /// Waits until standard output is exactly `text`.
    pub fn until_stdout(&self, text: impl AsRef<[u8]>) {
        let text = text.as_ref();
        let start = Instant::now();
        while self.stdout() != text {
            let seen = self.stdout();
            assert!(
                start.elapsed() < DEADLINE && (seen.len() <= text.len()),
                "{}: waited for stdout {:?}, got {:?}; stderr {:?}",
                self.what,
                text.escape_ascii().to_string(),
                seen.escape_ascii().to_string(),
                self.stderr().escape_ascii().to_string()
            );
            thread::park_timeout(Duration::from_millis(2));
        }
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end and that of both its streams.
    #[must_use]
    pub fn wait(self) -> Output {
        self.wait_for(DEADLINE)
    }

    /// The same for what does many things one after the other, each of which could take its time.
    #[must_use]
    pub fn wait_long(self) -> Output {
        self.wait_for(10 * DEADLINE)
    }

    fn wait_for(mut self, most: Duration) -> Output {
        self.stdin = None;
        let start = Instant::now();
        for _ in 0..3 {
            if self.ends.recv_timeout(most.saturating_sub(start.elapsed())).is_err() {
                let left = self.home.processes();
                self.home.kill_all();
                panic!(
                    "{}: not over after {most:?}\nstdout: {}\nstderr: {}\nprocesses: {left:#?}",
                    self.what,
                    self.stdout().escape_ascii(),
                    self.stderr().escape_ascii()
                );
            }
        }
        let status = self.child.wait().unwrap();
        Output::new(std::mem::take(&mut self.what), status, self.stdout(), self.stderr())
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
