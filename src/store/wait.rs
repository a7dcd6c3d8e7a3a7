//! Waiting for the end of one task that somebody else supervises, asleep in the kernel.
//!
//! Whoever waits is blocked on the lock that the supervisor holds until the end is on disk. Nothing is asked again and again.
//! Only a task that has no such lock (another tool's, or somebody removed it) is looked at once a second, and as soon as the
//! process that looks after it has ended: its end may be in its record long before that process goes. A lock that nobody holds
//! and that proves nothing, since its task is another machine's, comes down to the same.

use std::thread;
use std::time::{Duration, Instant};

use super::handle::Handle;
use super::liveness::{self, Here, Named};
use super::load::{self, LoadError, Now};
use super::{StatusDir, Task, lockfile};
use crate::task::record::field;
use crate::task::{State, TaskId};

/// How often a task is looked at where nothing happens: for tasks of other machines and other tools, about which the
/// kernel tells nothing.
pub const HEARTBEAT: Duration = Duration::from_secs(1);

/// A lock file is told to be closed a moment before its lock is dropped.
pub const LOCK_DELAY: Duration = Duration::from_millis(20);

/// Waits until task `id` is over, and gives it as it is then: ended, or `Orphaned` if nobody supervises it any more, whatever
/// its command does; none if it was removed. `seen` is told of it at each look that finds it going on.
///
/// # Errors
/// Its record is there and cannot be read, and nobody supervises it.
pub fn until_over(
    dir: &StatusDir,
    id: &TaskId,
    here: &Here,
    mut seen: impl FnMut(&Task),
) -> Result<Option<Box<Task>>, LoadError> {
    let is_live = || matches!(load::now(dir, id, here), Ok(Now::Live(_)));
    let mut was_live = false;
    let mut supervisor = None;
    let mut pause = Duration::ZERO;
    loop {
        let task = match load::now(dir, id, here)? {
            // Without its lock, too: whoever supervises it will put both back.
            Now::Over(None) if supervisor.is_some_and(Named::runs) => {
                await_process(supervisor, Some(HEARTBEAT), is_live);
                continue;
            }
            Now::Over(Some(task)) if was_live && comes_late(&task) => {
                was_live = false;
                thread::park_timeout(HEARTBEAT);
                continue;
            }
            Now::Over(task) => return Ok(task),
            Now::Live(task) => task,
        };
        was_live = true;
        if let Some(task) = &task {
            supervisor = liveness::supervisor(&task.record, here).filter(|named| named.start.is_some());
            seen(task);
        }
        let begun = Instant::now();
        match lockfile::await_end(dir, id) {
            // A lock that is dropped is told a moment before it is free; one that was put back is another.
            Ok(true) if is_live() => {
                // One that says the same again and again says nothing.
                let told_something = begun.elapsed() >= HEARTBEAT;
                let longer = if told_something { Duration::ZERO } else { pause.saturating_mul(2) };
                pause = longer.clamp(LOCK_DELAY, HEARTBEAT);
                thread::park_timeout(pause);
            }
            Ok(true) => {}
            _ => {
                let command = || liveness::command(&task.as_ref()?.record, here);
                await_process(supervisor.or_else(command), Some(HEARTBEAT), is_live);
            }
        }
    }
}

/// Whether the end of the task may come into its record a moment after its process has gone: another tool need not be as
/// careful as a supervisor, who writes first.
#[must_use]
pub fn comes_late(task: &Task) -> bool {
    task.state == State::Orphaned && task.record.pid(field::SUPERVISOR_PID).is_none()
}

/// Waits until the process that is `named` has ended, for `most` at most or as long as it takes. Where it cannot be watched, or
/// its end changes nothing, since the task `goes_on` all the same, until it is time for another look.
pub fn await_process(named: Option<Named>, most: Option<Duration>, goes_on: impl FnOnce() -> bool) {
    let has_ended = named.and_then(Handle::open).and_then(|handle| handle.await_end(most).ok());
    // One that has ended and is not reaped counts as alive where a record has no start time: it would end this wait at once.
    if has_ended.is_none() || (has_ended == Some(true) && goes_on()) {
        thread::park_timeout(HEARTBEAT);
    }
}
