//! Going along with a task's log: everything that is in it from a place on, then what comes, to the task's end.
//!
//! [`Following::to_end`] does all of it. First the state is looked up, then all that is in the log is handed out, and only
//! then does what was looked up count, since the final record is written after the log is complete. A log that is put back
//! after somebody removed it is gone on with where it was; one that is another begins anew, and one that was cut is told.
//! With the whole directory gone, the lock that was seen held last tells whether there is somebody to put it back.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use super::Subject;
use crate::failure::Failure;
use crate::log::follow::{Follow, Step, Successor};
use crate::log::replay::Entry;
use crate::store::Task;
use crate::store::load::{LoadError, Now};
use crate::store::lockfile::SeenLock;
use crate::store::wait::{HEARTBEAT, LOCK_DELAY};
use crate::sys::descriptors::is_same;
use crate::sys::watch::{BLIND, Watch};
use crate::task::State;

/// A place in the log of a task, whatever file that is by now.
#[derive(Debug)]
pub struct Following {
    log: Option<File>,
    place: Follow,
    /// A file under the log's name that may become what the log was.
    returning: bool,
    /// The lock that was held last.
    lock: Option<SeenLock>,
}

/// What is next in the log.
#[derive(Debug, PartialEq, Eq)]
pub enum News<'a> {
    /// One more entry.
    Entry(Entry<'a>),
    /// The log is shorter than what has been read of it. What is in it now comes next, from its beginning.
    Cut,
}

/// Where the entries go.
pub trait Sink {
    /// Takes an entry.
    ///
    /// # Errors
    /// What writing said.
    fn entry(&mut self, entry: &Entry<'_>) -> io::Result<()>;

    /// Is told that the log was cut, and goes on from its beginning.
    ///
    /// # Errors
    /// What writing said.
    fn cut(&mut self) -> io::Result<()>;

    /// Writes what it has gathered: there is nothing more for the moment.
    ///
    /// # Errors
    /// What writing said.
    fn flush(&mut self) -> io::Result<()>;
}

/// Why following came to a halt before the task's end.
#[derive(Debug)]
pub enum Halt {
    /// What the entries go to: a pipe that its reader closed among others.
    Output(io::Error),
    /// The log.
    Log(Failure),
    /// The record.
    Record(LoadError),
}

impl From<io::Error> for Halt {
    fn from(error: io::Error) -> Self {
        Halt::Output(error)
    }
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        Halt::Log(failure)
    }
}

impl Following {
    /// Begins with the log's first entry. The log need not be there yet.
    ///
    /// # Errors
    /// A [`Failure`] if there is a log that cannot be read, or must not be.
    pub fn begin(subject: &Subject<'_>, watch: &mut Watch) -> Result<Self, Failure> {
        let lock = SeenLock::look(subject.dir, subject.id);
        let log = subject.open_log()?;
        if let Some(log) = &log {
            // The watch first: what is written while it is read is then told.
            watch.watch_file(log);
        }
        Ok(Self { log, place: Follow::from(0), returning: false, lock })
    }

    /// Looks at the task. One whose files are all gone, the lock's among them, goes on as long as somebody holds the lock that
    /// was seen last: a supervisor that will put them back.
    ///
    /// # Errors
    /// As for [`Subject::look`].
    pub fn look(&mut self, subject: &Subject<'_>) -> Result<Now, LoadError> {
        let now = subject.look();
        let is_lost = match &now {
            Ok(Now::Live(_)) => {
                self.lock = SeenLock::look(subject.dir, subject.id).or(self.lock.take());
                false
            }
            Ok(Now::Over(task)) => task.as_ref().is_none_or(|task| task.state == State::Orphaned),
            Err(_) => true,
        };
        match self.lock.as_ref().filter(|_| is_lost).map(SeenLock::is_held) {
            None => now,
            Some(true) => Ok(Now::Live(None)),
            Some(false) => {
                // A supervisor that puts its files back has the new lock before it lets go of the old one.
                self.lock = None;
                subject.look()
            }
        }
    }

    /// The log as it was when this began, or was last turned to; `None` as long as there is none.
    #[must_use]
    pub fn log(&self) -> Option<&File> {
        self.log.as_ref()
    }

    /// The same, when there is no more to follow.
    #[must_use]
    pub fn into_log(self) -> Option<File> {
        self.log
    }

    /// Goes on at `offset`, the start of a log line.
    pub fn go_to(&mut self, offset: u64) {
        self.place = Follow::from(offset);
    }

    /// Where in the log the next entry begins.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.place.position()
    }

    /// How long to wait at most before looking again.
    #[must_use]
    pub fn patience(&self) -> Duration {
        if self.returning { BLIND } else { HEARTBEAT }
    }

    /// The next entry of the file that is open. `None` if there is none yet.
    ///
    /// # Errors
    /// A [`Failure`] if the log cannot be read.
    pub fn next(&mut self, subject: &Subject<'_>) -> Result<Option<News<'_>>, Failure> {
        let Some(log) = &self.log else { return Ok(None) };
        match self.place.next(log).map_err(|error| subject.unreadable_log(&error))? {
            Step::Entry(entry) => Ok(Some(News::Entry(entry))),
            Step::Cut => Ok(Some(News::Cut)),
            Step::UpToDate => Ok(None),
        }
    }

    /// Turns to the file that is under the log's name now: whether it is another, and has more to say. To be asked when there
    /// is no [`next`](Self::next) entry.
    ///
    /// # Errors
    /// A [`Failure`] if it cannot be read, or must not be.
    pub fn turn(&mut self, subject: &Subject<'_>, watch: &mut Watch) -> Result<bool, Failure> {
        let unreadable = |error| subject.unreadable_log(&error);
        let Some(file) = subject.open_log()? else { return Ok(false) };
        let successor = match &self.log {
            None => Successor::Other,
            Some(log) if is_same(log, &file).map_err(unreadable)? => return Ok(false),
            Some(log) => self.place.compare(log, &file).map_err(unreadable)?,
        };
        self.returning = successor == Successor::Growing;
        match successor {
            Successor::Growing => return Ok(false),
            Successor::Continues => {}
            // A log that is there for the first time is read from where it was to be.
            Successor::Other if self.log.is_none() => {}
            Successor::Other => self.place = Follow::from(0),
        }
        watch.watch_file(&file);
        self.log = Some(file);
        Ok(true)
    }

    /// Hands everything to `sink` until the task is over, and gives it as it is then; `None` if it has been removed. Ends
    /// early if `reader`, the descriptor that `sink` writes to, loses its reader.
    ///
    /// # Errors
    /// What the [`Halt`] says.
    pub fn to_end(
        mut self,
        subject: &Subject<'_>,
        watch: &mut Watch,
        sink: &mut dyn Sink,
        reader: BorrowedFd<'_>,
    ) -> Result<Option<Box<Task>>, Halt> {
        let mut state_again = false;
        loop {
            let now = self.look(subject).map_err(Halt::Record)?;
            self.hand_out(subject, sink)?;
            if self.turn(subject, watch)? {
                self.hand_out(subject, sink)?;
            }
            sink.flush()?;
            if let Now::Over(task) = now {
                return Ok(task);
            }
            // What is written to the log alone says nothing about the state.
            loop {
                let most = if state_again { LOCK_DELAY } else { self.patience() };
                let wake = watch.wait(most, reader)?;
                if wake.reader_gone {
                    return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
                }
                if wake.names || !wake.file {
                    state_again = wake.names;
                    break;
                }
                self.hand_out(subject, sink)?;
                sink.flush()?;
            }
        }
    }

    fn hand_out(&mut self, subject: &Subject<'_>, sink: &mut dyn Sink) -> Result<(), Halt> {
        while let Some(news) = self.next(subject)? {
            match news {
                News::Entry(entry) => sink.entry(&entry)?,
                News::Cut => sink.cut()?,
            }
        }
        Ok(())
    }
}
