//! The lock of a task: held by whoever supervises it, dropped by the kernel when they are gone.
//!
//! It is a file of its own, beside the record, because the record is replaced by renaming and
//! the log may be edited. It is removed when the task is over; its absence proves nothing, since other
//! tools may remove it too.
//!
//! It holds two locks: one as long as anybody supervises the task, and one until its end is on disk, which may be earlier:
//! a supervisor stays as long as somebody writes to the log. The kernel wakes whoever [waits](await_end) for the second.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use nix::fcntl::OFlag;

use super::{StatusDir, open};
use crate::sys::lock::{self, Probe};
use crate::task::TaskId;

/// Held as long as somebody supervises the task.
pub(super) const SUPERVISED: u64 = 0;
/// Held until the task's end is on disk.
const UNFINISHED: u64 = 1;
/// Held by a reader of events who tells what became of a task that nobody supervises.
pub(super) const TELLING: u64 = 2;

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
        lock::take(&file, SUPERVISED..UNFINISHED + 1)?;
        Ok(Self { file })
    }

    /// Whether the file is still in the directory.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        self.file.metadata().is_ok_and(|meta| meta.nlink() > 0)
    }

    /// Wakes those who wait for the task's end, which is on disk now.
    pub fn let_waiting_go(&self) {
        // Where it cannot be done they wait for this process to go.
        let _ = lock::release(&self.file, UNFINISHED..UNFINISHED + 1);
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
        Ok(file) => Some(lock::probe(&file, SUPERVISED)),
        Err(_) => None,
    }
}

/// The lock of a task that somebody held when it was looked at, whatever becomes of the file's name.
#[derive(Debug)]
pub struct SeenLock {
    file: File,
}

impl SeenLock {
    /// Looks at the lock of task `id`. `None` if nobody holds it, as far as can be told.
    #[must_use]
    pub fn look(dir: &StatusDir, id: &TaskId) -> Option<Self> {
        let file = open::regular(dir, &dir.lock(id), OFlag::empty()).ok()?;
        Some(Self { file }).filter(Self::is_held)
    }

    /// Whether somebody holds it now.
    #[must_use]
    pub fn is_held(&self) -> bool {
        lock::probe(&self.file, SUPERVISED) == Probe::Held
    }
}

/// Waits until the end of task `id` is on disk, or nobody supervises it any more. `false`, and at once, if there is no lock
/// file to tell.
///
/// # Errors
/// What the system says.
pub fn await_end(dir: &StatusDir, id: &TaskId) -> io::Result<bool> {
    match open::regular(dir, &dir.lock(id), OFlag::empty()) {
        Ok(file) => lock::wait(&file, UNFINISHED).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
