//! Telling of tasks whose supervisor is gone: nobody is left to do it, so whoever reads events does.
//!
//! A task that nobody supervises is known by its lock file, which is there and not held. Whoever finds one notes the event
//! and then marks the lock file, with a lock of its own on it held; a mark that is missing because its writer was killed
//! is made up for by a look into the journal. So of any number of readers one tells, once.
//!
//! A task whose end is on disk may be found too, if supervisor and keeper were killed in the moment between the record and
//! the event. Then it is the end that is told.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::Duration;

use nix::fcntl::OFlag;

use super::events::{Events, Kind};
use super::liveness::Here;
use super::lockfile::{SUPERVISED, TELLING};
use super::{StatusDir, load, open, scan};
use crate::sys::lock::{self, Probe};
use crate::task::record::field;
use crate::task::{State, TaskId};

/// What a lock file has in it once it has been told what became of its task.
const MARK: &[u8] = b"told\n";

/// How long another who is just telling is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// The tasks that may yet be orphaned.
#[derive(Debug, Default)]
pub struct Lookout {
    unsettled: BTreeSet<TaskId>,
}

impl Lookout {
    /// Takes up every task that has a lock file.
    ///
    /// # Errors
    /// What reading the directory said.
    pub fn scan(&mut self, dir: &StatusDir) -> io::Result<()> {
        self.unsettled.extend(scan::locks(dir)?);
        Ok(())
    }

    /// Takes up the task of the lock file `name`, if it is one.
    pub fn hear(&mut self, name: &str) {
        self.unsettled.extend(scan::lock_of(name));
    }

    /// Tells of those that are orphaned, and gives whether there are any left that may become so.
    ///
    /// # Errors
    /// The last of what went wrong. All have been looked at.
    pub fn look(&mut self, events: &Events<'_>, here: &Here) -> io::Result<bool> {
        let mut trouble = Ok(());
        self.unsettled.retain(|id| match tell(events, id, here) {
            Ok(settled) => !settled,
            Err(error) => {
                trouble = Err(error);
                true
            }
        });
        trouble.map(|()| !self.unsettled.is_empty())
    }
}

/// Tells that task `id` is orphaned, if it is and it has not been told. Whether there is nothing more to be told of it by
/// anybody but a supervisor.
///
/// # Errors
/// What the system says; then it has not been told, or it will be found that it has been.
pub fn tell(events: &Events<'_>, id: &TaskId, here: &Here) -> io::Result<bool> {
    let dir = events.dir();
    // For reading only: the others are told when a file that could be written to is closed.
    let file = match open::regular(dir, &dir.lock(id), OFlag::empty()) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        // What is no lock file has nothing to tell.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(true),
        Err(error) => return Err(error),
    };
    if lock::probe(&file, SUPERVISED) != Probe::Free {
        return Ok(false);
    }
    if is_marked(&file)? {
        return Ok(true);
    }
    // There is none yet just after the lock was made.
    let Ok(task) = load(dir, id, here) else { return Ok(false) };
    let mut record = task.record;
    let kind = match task.state {
        State::Orphaned => {
            // As it is shown everywhere: "running" would mislead who knows nothing else.
            record.set(field::STATE, State::Orphaned.as_str());
            record.set(field::IS_ALIVE, task.is_alive);
            Kind::Orphaned
        }
        state if state.is_live() => return Ok(false),
        _ => Kind::Ended,
    };
    let file = match open::regular(dir, &dir.lock(id), OFlag::O_RDWR) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        other => other?,
    };
    match lock::take_soon(&file, TELLING..TELLING + 1, PATIENCE) {
        // Another takes long over it; it will be looked at again.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
        other => other?,
    }
    if is_marked(&file)? || file.metadata()?.nlink() == 0 {
        return Ok(true);
    }
    events.append_once(kind, id, &record)?;
    file.write_all_at(MARK, 0)?;
    Ok(true)
}

fn is_marked(file: &File) -> io::Result<bool> {
    let mut found = [0; MARK.len()];
    Ok(file.read_at(&mut found, 0)? > 0 && found == MARK)
}
