//! Cancelling a task from outside: its supervisor is asked to, and where there is none it is done in its place.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::orphan::{self, Cannot, Done};
use super::supervisor::LOOK;
use crate::failure::{Failure, io_words};
use crate::store::liveness::{self, Here, Named};
use crate::store::load::LoadError;
use crate::store::request::{self, Request};
use crate::store::{StatusDir, Task, load, lockfile, name};
use crate::sys::descriptors::null;
use crate::sys::lock::Probe;
use crate::sys::process;
use crate::sys::watch::Watch;
use crate::task::record::field;
use crate::task::{Record, State, TaskId};

/// A request that has not been taken up after this long is told of again: the supervisor may just have been replaced.
const TELL_AGAIN: Duration = Duration::from_millis(300);
/// A supervisor that has not taken it up by then does not answer.
const NO_ANSWER: Duration = Duration::from_secs(5);
/// How long after the grace period a task may take to be over.
const PATIENCE: Duration = Duration::from_secs(60);
/// A supervisor that cannot be told finds the request by itself, within about this time.
const FOUND_WITHIN: Duration = Duration::from_secs(20);

/// What became of it.
#[derive(Debug)]
pub enum Cancelled {
    /// It was over already.
    WasOver(Task),
    /// Its command is gone, and nobody supervised it: there is nothing to end.
    WasGone(Task),
    /// It is over now.
    Ended(Task),
}

/// Cancels task `id` and waits until it is over. `say` is told what a person should know meanwhile.
///
/// # Errors
/// [`Failure`]: no such task, somebody else's, or it will not end.
pub fn cancel(
    dir: &StatusDir,
    id: &TaskId,
    request: &Request,
    here: &Here,
    say: impl Fn(String),
) -> Result<Cancelled, Failure> {
    let names = [dir.record(id), dir.lock(id), dir.cancel(id)];
    let names: Vec<OsString> =
        names.iter().filter_map(|path| path.file_name()).map(ToOwned::to_owned).collect();
    let nobody = null().map_err(|error| cannot(id, &io_words(&error)))?;
    let mut watch = None;
    let mut asked: Option<Instant> = None;
    loop {
        let task = match load(dir, id, here) {
            Ok(task) => task,
            // Others may have removed it: its supervisor puts it back.
            Err(LoadError::Missing) if lockfile::probe(dir, id) == Some(Probe::Held) => {
                std::thread::park_timeout(TELL_AGAIN);
                continue;
            }
            Err(LoadError::Missing) if asked.is_none() => return Err(name::unknown(id)),
            Err(LoadError::Missing) => {
                return Err(cannot(id, "its record was removed meanwhile")
                    .hint(format!("'gco tasks status {id}' tells if it comes back")));
            }
            Err(error) => return Err(cannot(id, &format!("its record cannot be read: {error}"))),
        };
        match task.state {
            State::Orphaned => match end_orphan(dir, &task, request, here)? {
                Some(done) => return Ok(done),
                None => continue,
            },
            state if !state.is_live() => {
                return Ok(if asked.is_some() { Cancelled::Ended(task) } else { Cancelled::WasOver(task) });
            }
            _ => {}
        }
        let begun = match asked {
            Some(begun) => begun,
            // A record of another tool: nobody would take the request up.
            None if !names_supervisor(&task.record) => return Err(unproven(&task)),
            None => {
                watch = Some(Watch::new(dir.path(), names.clone()));
                request::make(dir, id, request).map_err(|error| refused(&task, &error))?;
                asked = Some(Instant::now());
                let is_told = tell(dir, &task, here)?;
                if !is_told {
                    let host = task.record.text(field::HOST).unwrap_or("another machine").to_owned();
                    say(format!(
                        "'{id}' runs on {host}: its supervisor sees the request within {} s",
                        FOUND_WITHIN.as_secs()
                    ));
                }
                Instant::now()
            }
        };
        let most = request.grace.saturating_add(PATIENCE).saturating_add(FOUND_WITHIN);
        if begun.elapsed() > most {
            return Err(cannot(id, "it has not ended").hint(format!("see: gco tasks status {id}")));
        }
        if let Some(watch) = &mut watch {
            let is_open = request::is_waiting(dir, id);
            let wait = if is_open { TELL_AGAIN } else { Duration::from_secs(1) };
            watch.wait(wait, nobody.as_fd()).map_err(|error| cannot(id, &io_words(&error)))?;
        }
        if begun.elapsed() >= TELL_AGAIN {
            let still = load(dir, id, here).ok().filter(|task| task.state.is_live());
            if let Some(task) = still {
                let is_told = tell(dir, &task, here)?;
                // One that is gone, with its lock held: somebody else is ending what it left behind.
                let is_there = liveness::supervisor(&task.record, here).is_some_and(Named::runs);
                let is_silent = request::is_waiting(dir, id) && begun.elapsed() >= NO_ANSWER;
                if is_told && is_there && is_silent {
                    return end_unanswered(dir, &task, request);
                }
            }
        }
    }
}

/// Has the supervisor of `task` look for the request, and go on if somebody has stopped it. `false` if it cannot be reached.
fn tell(dir: &StatusDir, task: &Task, here: &Here) -> Result<bool, Failure> {
    let supervisor = liveness::supervisor(&task.record, here);
    let Some(Named { pid, start: Some(start) }) = supervisor else { return Ok(false) };
    match process::signal(pid, start, LOOK) {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
            request::clear(dir, &task.id);
            return Err(refused(task, &error));
        }
        // Gone: there is another by now, or the task is over.
        _ => {}
    }
    if process::look(pid).is_some_and(|seen| seen.start == start && seen.stopped) {
        // One that is gone goes on nowhere.
        let _ = process::signal(pid, start, libc::SIGCONT);
    }
    Ok(true)
}

fn names_supervisor(record: &Record) -> bool {
    record.pid(field::SUPERVISOR_PID).is_some() && record.count(field::SUPERVISOR_START).is_some()
}

/// `None` if it is no orphan after all.
fn end_orphan(
    dir: &StatusDir,
    task: &Task,
    request: &Request,
    here: &Here,
) -> Result<Option<Cancelled>, Failure> {
    let id = &task.id;
    match task.is_alive {
        Some(false) => return Ok(Some(Cancelled::WasGone(task.clone()))),
        None => return Err(cannot(id, "whether its command still runs cannot be told from here")),
        Some(true) => {}
    }
    match orphan::end(dir, id, request, here) {
        Ok(Done::Ended) => {
            let task = load(dir, id, here).map_err(|error| cannot(id, &error.to_string()))?;
            Ok(Some(Cancelled::Ended(task)))
        }
        Ok(Done::NotAnOrphan) => Ok(None),
        Ok(Done::Left(pids)) => Err(left(id, &pids)),
        Err(Cannot::Unproven) => Err(unproven(task)),
        Err(Cannot::Io(error)) => Err(refused(task, &error)),
    }
}

/// Its supervisor is there and does nothing.
fn end_unanswered(dir: &StatusDir, task: &Task, request: &Request) -> Result<Cancelled, Failure> {
    let id = &task.id;
    match orphan::end_processes(task, request) {
        Ok(pids) if pids.is_empty() => {
            request::clear(dir, id);
            let pid = task.record.pid(field::SUPERVISOR_PID).unwrap_or(0);
            let message = format!("'{id}' was ended, but its supervisor (pid {pid}) does not answer");
            Err(Failure::failed(message).hint("its record says so once the supervisor goes on, or is gone"))
        }
        Ok(pids) => Err(left(id, &pids)),
        Err(_) => Err(unproven(task)),
    }
}

fn left(id: &TaskId, pids: &[i32]) -> Failure {
    let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
    cannot(id, &format!("these of its processes do not end: {}", pids.join(", ")))
        .hint("they may belong to another user, or wait for a device")
}

fn unproven(task: &Task) -> Failure {
    cannot(&task.id, "its record does not prove which process is its own")
        .hint("it was written by another tool, or before a restart; look at it with 'gco tasks status'")
}

fn refused(task: &Task, error: &io::Error) -> Failure {
    let failure = cannot(&task.id, &io_words(error));
    match (error.raw_os_error(), task.record.text(field::USER)) {
        (Some(libc::EACCES | libc::EPERM), Some(user)) => failure.hint(format!("it is a task of {user}'s")),
        _ => failure,
    }
}

fn cannot(id: &TaskId, why: &str) -> Failure {
    Failure::failed(format!("cannot cancel '{id}': {why}"))
}
