//! A process that a record names, held on to from outside, so that how it ended can be told also when nobody is left who
//! should.
//!
//! A process is only ever taken for the one that is named if its start time is the one in the record, or, where a record has
//! none (those of other tools), not at all: then it can be waited for and no more.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use super::liveness::Named;
use crate::sys::child::PidFd;
use crate::sys::process;
use crate::task::Exit;

/// What has become of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It runs, as this process.
    Runs(i32),
    /// It has ended, in this way as far as the kernel can still tell.
    Ended(Exit),
}

/// A handle on a process that a record names.
#[derive(Debug)]
pub struct Handle {
    named: Named,
    process: PidFd,
}

impl Handle {
    /// Takes hold of the process. `None` if it is not there any more, or cannot be held on to.
    #[must_use]
    pub fn open(named: Named) -> Option<Self> {
        let process = PidFd::open(named.pid).ok()?;
        // Only now: this process may be another that got the number before it was opened, but none that gets it later.
        let is_it = match named.start {
            Some(start) => process::look(named.pid).is_some_and(|seen| seen.start == start),
            None => true,
        };
        is_it.then_some(Self { named, process })
    }

    /// Sees to it that `handle` is on the process that is `named`, if that is there: once it has gone, nobody can take hold
    /// of it any more.
    pub fn keep(handle: &mut Option<Self>, named: Option<Named>) {
        if let Some(named) = named.filter(|named| !handle.as_ref().is_some_and(|handle| handle.is_on(*named)))
        {
            *handle = Self::open(named);
        }
    }

    /// Whether it is on the process that is `named` so.
    #[must_use]
    pub fn is_on(&self, named: Named) -> bool {
        self.named == named
    }

    /// Waits until the process has ended, for `most` at most or as long as it takes: whether it has.
    ///
    /// # Errors
    /// What waiting said.
    pub fn await_end(&self, most: Option<Duration>) -> io::Result<bool> {
        self.process.await_end(most)
    }

    /// What has become of the process.
    #[must_use]
    pub fn fate(&self) -> Fate {
        if !self.process.await_end(Some(Duration::ZERO)).unwrap_or(false) {
            return Fate::Runs(self.named.pid);
        }
        let Some(start) = self.named.start else { return Fate::Ended(Exit::Unknown) };
        // It is reaped at any moment: what the one does not tell any more the other tells by then.
        let exit =
            process::exit_of_zombie(self.named.pid, start).or_else(|| self.process.exit_after_reaping());
        Fate::Ended(exit.unwrap_or(Exit::Unknown))
    }
}

/// Becomes readable when the process has ended.
impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.process.as_fd()
    }
}

/// What has become of the process that is `named`; `handle` is one on it that was opened earlier, if there is one.
#[must_use]
pub fn fate(named: Named, handle: Option<&Handle>) -> Fate {
    match handle.filter(|handle| handle.is_on(named)) {
        Some(handle) => handle.fate(),
        None => match Handle::open(named) {
            Some(handle) => handle.fate(),
            // No handle does not mean no process: there are kernels and filters that give none.
            None if named.runs() => Fate::Runs(named.pid),
            None => Fate::Ended(Exit::Unknown),
        },
    }
}
