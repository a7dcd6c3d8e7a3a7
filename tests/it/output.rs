//! What a command printed and how it ended. Each of the three, end, stdout and stderr, must be stated before it
//! is dropped: what a test does not expect is a failure.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::thread;

use nix::sys::signal::Signal;
use serde_json::Value;

/// How a command ended and what it printed. Each of the three must be stated.
pub struct Output {
    what: String,
    pub status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    unstated: Vec<&'static str>,
}

impl Output {
    pub fn new(what: String, status: ExitStatus, stdout: Vec<u8>, stderr: Vec<u8>) -> Self {
        Output { what, status, stdout, stderr, unstated: vec!["end", "stdout", "stderr"] }
    }

    /// It exited with `code`.
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{self}");
        self.stated("end")
    }

    /// `signal` ended it.
    #[track_caller]
    pub fn signal(self, signal: Signal) -> Self {
        assert_eq!(self.status.signal(), Some(signal as i32), "{self}");
        self.stated("end")
    }

    /// The signal of this number ended it: for those without a name.
    #[track_caller]
    pub fn signal_number(self, number: i32) -> Self {
        assert_eq!(self.status.signal(), Some(number), "{self}");
        self.stated("end")
    }

    /// Its standard output is exactly `bytes`.
    #[track_caller]
    pub fn stdout(self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        assert!(self.stdout == bytes, "stdout should be {:?}\n{self}", bytes.escape_ascii().to_string());
        self.stated("stdout")
    }

    /// Its standard error is exactly `bytes`.
    #[track_caller]
    pub fn stderr(self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        assert!(self.stderr == bytes, "stderr should be {:?}\n{self}", bytes.escape_ascii().to_string());
        self.stated("stderr")
    }

    /// Its standard output has `part` in it.
    #[track_caller]
    pub fn stdout_has(self, part: &str) -> Self {
        assert!(String::from_utf8_lossy(&self.stdout).contains(part), "stdout should have {part:?}\n{self}");
        self.stated("stdout")
    }

    /// Its standard error has `part` in it.
    #[track_caller]
    pub fn stderr_has(self, part: &str) -> Self {
        assert!(String::from_utf8_lossy(&self.stderr).contains(part), "stderr should have {part:?}\n{self}");
        self.stated("stderr")
    }

    /// Its standard output, for the caller to look at: the last thing asked, so the rest is stated.
    #[track_caller]
    pub fn into_stdout(mut self) -> Vec<u8> {
        let stdout = std::mem::take(&mut self.stdout);
        drop(self.stated("stdout"));
        stdout
    }

    /// Its standard output as JSON; otherwise as [`Output::into_stdout`].
    #[track_caller]
    pub fn json(self) -> Value {
        let shown = self.to_string();
        serde_json::from_slice(&self.into_stdout()).unwrap_or_else(|error| panic!("{error}\n{shown}"))
    }

    /// All of it may be as it is: the test looks at something else.
    pub fn whatever(mut self) {
        self.unstated.clear();
    }

    fn stated(mut self, part: &str) -> Self {
        self.unstated.retain(|&name| name != part);
        self
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Output { what, status, stdout, stderr, .. } = self;
        write!(f, "{what}: {status}\nstdout: {}\nstderr: {}", stdout.escape_ascii(), stderr.escape_ascii())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        assert!(self.unstated.is_empty() || thread::panicking(), "not stated: {:?}\n{self}", self.unstated);
    }
}
