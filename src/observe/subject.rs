//! The task that is looked at, and what a look at it tells.

use std::ffi::OsString;
use std::fs::File;
use std::io;

use nix::fcntl::OFlag;

use crate::failure::{Failure, io_words};
use crate::log::times::Times;
use crate::store::liveness::Here;
use crate::store::load::{self, LoadError, Now};
use crate::store::{StatusDir, Task, name, open};
use crate::task::{State, TaskId};

/// The task that is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The directory it is kept in.
    pub dir: &'a StatusDir,
    /// Its id.
    pub id: &'a TaskId,
    /// From where it is looked at.
    pub here: &'a Here,
}

impl Subject<'_> {
    /// Looks at the task.
    ///
    /// # Errors
    /// Its record is there and cannot be read, and nobody supervises it.
    pub fn look(&self) -> Result<Now, LoadError> {
        load::now(self.dir, self.id, self.here)
    }

    /// What is known of the task.
    ///
    /// # Errors
    /// A [`Failure`] for a person: there is none, or its record cannot be read.
    pub fn task(&self) -> Result<Task, Failure> {
        load::load(self.dir, self.id, self.here).map_err(|error| match error {
            LoadError::Missing => name::unknown(self.id),
            error => self.unreadable_record(&error),
        })
    }

    /// The names in the directory that tell about it.
    #[must_use]
    pub fn names(&self) -> Vec<OsString> {
        let paths = [self.dir.record(self.id), self.dir.log(self.id), self.dir.lock(self.id)];
        paths.iter().filter_map(|path| path.file_name()).map(ToOwned::to_owned).collect()
    }

    /// Opens the log. `None` if there is none yet, or none any more.
    ///
    /// # Errors
    /// A [`Failure`] for a person if what is there cannot be read, or must not be.
    pub fn open_log(&self) -> Result<Option<File>, Failure> {
        match open::regular(self.dir, &self.dir.log(self.id), OFlag::empty()) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.unreadable_log(&error)),
        }
    }

    /// Opens what tells when the lines of the log were written. `None` if nothing does, or it cannot be read.
    #[must_use]
    pub fn open_times(&self) -> Option<Times<File>> {
        let file = open::regular(self.dir, &self.dir.times(self.id), OFlag::empty()).ok()?;
        Times::open(file).ok().flatten()
    }

    /// The failure of a log that cannot be read.
    #[must_use]
    pub fn unreadable_log(&self, error: &io::Error) -> Failure {
        Failure::failed(format!("cannot read the log of '{}': {}", self.id, io_words(error)))
    }

    /// The failure of a record that cannot be read.
    #[must_use]
    pub fn unreadable_record(&self, error: &LoadError) -> Failure {
        Failure::failed(format!("cannot read the record of '{}': {error}", self.id))
    }

    /// Why a task that was `watched` (`followed`, say) is over, where that is not that it has ended: it was removed, which is
    /// `None` for its state, or orphaned.
    #[must_use]
    pub fn why_over(&self, state: Option<State>, watched: &str) -> Option<Failure> {
        let id = self.id;
        match state {
            None => Some(Failure::failed(format!("'{id}' was removed while it was {watched}"))),
            Some(State::Orphaned) => {
                Some(Failure::failed(format!("'{id}' is orphaned: nobody supervises it any more")))
            }
            Some(_) => None,
        }
    }
}
