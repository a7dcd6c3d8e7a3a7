//! A supervisor that is none: it writes record and log as the contract says, under a test's control, and holds
//! the lock as long as it lives.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::AsFd;
use std::path::PathBuf;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use serde_json::{Value, json};

use crate::harness::Home;

/// A task under way.
pub struct Fake {
    pub id: String,
    dir: PathBuf,
    lock: File,
}

impl Fake {
    /// A running task: its record, its lock, and no log yet.
    pub fn start(home: &Home, id: &str) -> Fake {
        let dir = home.tasks();
        fs::create_dir_all(&dir).unwrap();
        let lock = File::create(dir.join(format!(".{id}.lock"))).unwrap();
        hold(&lock);
        let fake = Fake { id: id.to_owned(), dir, lock };
        fake.record("running");
        fake
    }

    /// A task that is over, with this log.
    pub fn over(home: &Home, id: &str, log: &[u8]) {
        let fake = Fake::start(home, id);
        fake.write(log);
        fake.finish("succeeded");
    }

    /// A task that succeeded, with these fields in its record.
    pub fn over_with(home: &Home, id: &str, more: Value) {
        let fake = Fake::start(home, id);
        fake.record_with("succeeded", more);
        fs::remove_file(fake.dir.join(format!(".{id}.lock"))).unwrap();
    }

    pub fn log_path(&self) -> PathBuf {
        self.dir.join(format!("{}.log", self.id))
    }

    pub fn record_path(&self) -> PathBuf {
        self.dir.join(format!("{}.json", self.id))
    }

    /// Replaces the record.
    pub fn record(&self, state: &str) {
        self.record_with(state, json!({}));
    }

    /// Replaces the record by one that has these fields as well, or others in place of the usual ones.
    pub fn record_with(&self, state: &str, more: Value) {
        let mut record: Value = json!({
            "task_id": self.id, "tool": "fake", "argv": ["fake"], "pid": std::process::id(), "state": state,
            "started_at": "2026-11-21T10:37:52Z", "updated_at": "2026-11-21T10:37:52Z", "elapsed_seconds": 0,
        });
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let temporary = self.dir.join(format!(".{}.tmp", self.id));
        fs::write(&temporary, record.to_string()).unwrap();
        fs::rename(&temporary, self.record_path()).unwrap();
    }

    /// Appends to the log, which is made if it is not there.
    pub fn write(&self, bytes: &[u8]) {
        let mut log = OpenOptions::new().append(true).create(true).open(self.log_path()).unwrap();
        log.write_all(bytes).unwrap();
    }

    /// Writes the final record, and then lets the lock go and removes it.
    pub fn finish(self, state: &str) {
        self.record(state);
        fs::remove_file(self.dir.join(format!(".{}.lock", self.id))).unwrap();
    }

    /// Is gone in the middle of it: the lock is free, its file is there.
    pub fn die(self) {
        drop(self.lock);
    }
}

/// Holds the lock on `file` as a supervisor does, until the file is dropped.
pub fn hold(file: &File) {
    let whole = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    fcntl(file.as_fd(), FcntlArg::F_OFD_SETLK(&whole)).unwrap();
}
