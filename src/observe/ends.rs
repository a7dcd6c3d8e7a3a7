//! Waiting for the ends of many tasks at once, asleep in the kernel.
//!
//! There is a thread for each task, which [waits](wait) for its end. No watch is needed, of which a user has few.
//! Those that are over already are told first, in the order in which they are named.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::{Subject, Verdict};
use crate::store::handle::{self, Fate, Handle};
use crate::store::liveness::{self, Here};
use crate::store::load::Now;
use crate::store::{StatusDir, Task, wait};
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

fn await_end(subject: &Subject<'_>) -> Verdict {
    let Subject { dir, id, here } = *subject;
    let mut handle = None;
    // Its exit status may be wanted when nobody is left who knows it.
    let hold = |task: &Task| Handle::keep(&mut handle, liveness::command(&task.record, here));
    match wait::until_over(dir, id, here, hold) {
        Err(error) => Verdict::Unreadable(error.to_string()),
        Ok(None) => Verdict::Removed,
        Ok(Some(task)) if task.state == State::Orphaned => orphaned(subject, task, handle.as_ref()),
        Ok(Some(task)) => Verdict::Ended(task),
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
        match handle::fate(named, handle) {
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
