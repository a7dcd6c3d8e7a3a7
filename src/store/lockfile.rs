//! The lock of a task: held by whoever supervises it, dropped by the kernel when they are gone.
//!
//! It is a file of its own, beside the record, because the record is replaced by renaming and
//! the log may be edited. It is removed when the task is over; its absence proves nothing, since other
//! tools may remove it too.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use nix::fcntl::OFlag;

use super::{StatusDir, open};
use crate::sys::lock::{self, Probe};
use crate::task::TaskId;

/// The lock of a task, held as long as this or a forked copy of it lives.
#[derive(Debug)]
pub struct TaskLock {
    file: File,
}

impl TaskLock {
    /// Makes the lock file of task `id` and takes the lock.
    ///
    /// # Errors
    /// `WouldBlock` if another supervisor holds it, else what the system says.
    pub fn take(dir: &StatusDir, id: &TaskId) -> io::Result<Self> {
        let path = dir.lock(id);
        let make = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = loop {
            match make() {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                other => break other?,
            }
            match open::regular(dir, &path, OFlag::O_RDWR) {
                // Its task has just ended and removed it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => break other?,
            }
        };
        lock::take(&file)?;
        Ok(Self { file })
    }

    /// Whether the file is still in the directory.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        self.file.metadata().is_ok_and(|meta| meta.nlink() > 0)
    }

    /// Removes the file; the lock ends with the value. A file that has gone already is no error.
    pub fn remove(self, dir: &StatusDir, id: &TaskId) {
        // Whether it works or not, the lock is dropped next, and an unlocked file says what is true.
        let _ = fs::remove_file(dir.lock(id));
    }
}

/// Whether somebody holds the lock of task `id`. `None` if there is no lock file to tell.
#[must_use]
pub fn probe(dir: &StatusDir, id: &TaskId) -> Option<Probe> {
    match open::regular(dir, &dir.lock(id), OFlag::empty()) {
        Ok(file) => Some(lock::probe(&file)),
        Err(_) => None,
    }
}
