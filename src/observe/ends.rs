//! Waiting for the ends of many tasks at once, asleep in the kernel.
//!
//! There is a thread for each task, blocked on the lock that its supervisor holds until the end is on disk. Nothing is asked
//! again and again, and no watch is needed, of which a user has few. Only a task that has no such lock (another tool's, or
//! somebody removed it) is looked at once a second, and as soon as the process that looks after it has ended: its end may be
//! in its record long before that process goes.
//! Those that are over already are told first, in the order in which they are named.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::command::{self, Handle};
use super::following::{HEARTBEAT, LOCK_DELAY};
use super::{Fate, Now, Subject, Verdict};
use crate::store::liveness::{self, Here, Named};
use crate::store::{StatusDir, Task, lockfile};
use crate::task::record::field;
use crate::task::{Exit, State, TaskId};

/// How large the stack of a thread is: a record may be nested deeply, and is read there.
const STACK: usize = 256 << 10;

/// How long the command of a task that was orphaned is given to end, as one does that has lost its reader.
const LAST_BREATH: Duration = Duration::from_millis(200);

/// The ends that are still to come.
#[derive(Debug)]
pub struct Ends {
    told: Receiver<(usize, Verdict)>,
}

impl Ends {
    /// Waits for the ends of `ids`, which are told by their places there.
    ///
    /// # Errors
    /// Out of threads or memory.
    pub fn of(dir: &StatusDir, ids: &[TaskId], here: &Here) -> io::Result<Self> {
        let (tell, told) = channel();
        let shared = Arc::new((dir.clone(), here.clone()));
        for (at, id) in ids.iter().enumerate() {
            let over = match (Subject { dir, id, here }).look() {
                Ok(Now::Over(Some(task))) if task.state != State::Orphaned => Some(task),
                _ => None,
            };
            if let Some(task) = over {
                tell_end(&tell, at, Verdict::Ended(task));
                continue;
            }
            let (tell, shared, id) = (tell.clone(), Arc::clone(&shared), id.clone());
            thread::Builder::new().stack_size(STACK).spawn(move || {
                let (dir, here) = &*shared;
                tell_end(&tell, at, await_end(&Subject { dir, id: &id, here }));
            })?;
        }
        Ok(Self { told })
    }

    /// The next task that has ended, and what became of it; `None` if none has by `deadline`.
    #[must_use]
    pub fn next(&self, deadline: Option<Instant>) -> Option<(usize, Verdict)> {
        match deadline {
            None => self.told.recv().ok(),
            Some(deadline) => loop {
                let left = deadline.saturating_duration_since(Instant::now());
                match self.told.recv_timeout(left) {
                    Ok(told) => return Some(told),
                    Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
                    Err(_) => return None,
                }
            },
        }
    }
}

fn tell_end(tell: &Sender<(usize, Verdict)>, at: usize, verdict: Verdict) {
    // Whoever has heard enough has gone.
    let _ = tell.send((at, verdict));
}

/// Waits until the task is over.
fn await_end(subject: &Subject<'_>) -> Verdict {
    let mut handle = None;
    let mut was_live = false;
    let mut supervisor = None;
    loop {
        let task = match subject.look() {
            Err(error) => return Verdict::Unreadable(error.to_string()),
            // Without its lock, too: whoever supervises it will put both back.
            Ok(Now::Over(None)) if supervisor.is_some_and(runs) => {
                await_process(subject, supervisor);
                continue;
            }
            Ok(Now::Over(None)) => return Verdict::Removed,
            Ok(Now::Over(Some(task))) if was_live && comes_late(&task) => {
                was_live = false;
                thread::park_timeout(HEARTBEAT);
                continue;
            }
            Ok(Now::Over(Some(task))) if task.state == State::Orphaned => {
                return orphaned(subject, task, handle.as_ref());
            }
            Ok(Now::Over(Some(task))) => return Verdict::Ended(task),
            Ok(Now::Live(task)) => task,
        };
        was_live = true;
        if let Some(task) = &task {
            supervisor =
                liveness::supervisor(&task.record, subject.here).filter(|named| named.start.is_some());
        }
        // Its exit status may be wanted when nobody is left who knows it.
        Handle::keep(&mut handle, command_of(subject, task.as_deref()));
        match lockfile::await_end(subject.dir, subject.id) {
            // A lock that is dropped is told a moment before it is free; one that was put back is another.
            Ok(true) => thread::park_timeout(if is_live(subject) { LOCK_DELAY } else { Duration::ZERO }),
            _ => await_process(subject, supervisor.or_else(|| command_of(subject, task.as_deref()))),
        }
    }
}

/// Whether the end of the task may come into its record a moment after its process has gone: another tool need not be as
/// careful as a supervisor, who writes first.
pub(super) fn comes_late(task: &Task) -> bool {
    task.state == State::Orphaned && task.record.pid(field::SUPERVISOR_PID).is_none()
}

/// The command of the task, as far as it is known.
pub(super) fn command_of(subject: &Subject<'_>, task: Option<&Task>) -> Option<Named> {
    task.and_then(|task| liveness::command(&task.record, subject.here))
}

fn is_live(subject: &Subject<'_>) -> bool {
    matches!(subject.look(), Ok(Now::Live(_)))
}

fn runs(named: Named) -> bool {
    matches!(command::fate(named, None), Fate::Runs(_))
}

/// Waits until the process that looks after the task has ended, where there is no lock to tell, but no longer than until it is
/// time for another look.
fn await_process(subject: &Subject<'_>, named: Option<Named>) {
    let has_ended = named.and_then(Handle::open).and_then(|handle| handle.await_end(Some(HEARTBEAT)).ok());
    // One that has ended and is not reaped counts as alive where a record has no start time: it would end this wait at once.
    if has_ended.is_none() || (has_ended == Some(true) && is_live(subject)) {
        thread::park_timeout(HEARTBEAT);
    }
}

/// What became of a task that nobody supervises any more.
pub(super) fn orphaned(subject: &Subject<'_>, task: Box<Task>, handle: Option<&Handle>) -> Verdict {
    let Some(named) = liveness::command(&task.record, subject.here) else {
        return Verdict::Orphaned(task, None);
    };
    let opened = if handle.is_some_and(|handle| handle.is_on(named)) { None } else { Handle::open(named) };
    let handle = opened.as_ref().or(handle);
    let begun = Instant::now();
    loop {
        match command::fate(named, handle) {
            // Between its end and its being reaped there is a moment in which neither tells.
            Fate::Runs(_) | Fate::Ended(Exit::Unknown)
                if begun.elapsed() < LAST_BREATH && handle.is_some() =>
            {
                let left = LAST_BREATH.saturating_sub(begun.elapsed());
                let ended = handle.and_then(|handle| handle.await_end(Some(left)).ok());
                if ended == Some(true) {
                    thread::park_timeout(Duration::from_millis(1));
                }
            }
            fate => return Verdict::Orphaned(task, Some(fate)),
        }
    }
}
