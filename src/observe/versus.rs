//! A run beside one that went well: which one that is, and how their logs differ.

use std::fs::File;

use super::Subject;
use crate::failure::{Failure, io_words};
use crate::log::compare::{Comparison, compare};
use crate::store::liveness::Here;
use crate::store::scan::{self, Listed, NewestFirst};
use crate::store::{StatusDir, Task, load, name};
use crate::task::{State, TaskId};

/// So many records are looked at for a run of the same command.
const MOST_RECORDS: usize = 10_000;

/// Two runs, and how the first differs from the other.
#[derive(Debug)]
pub struct Versus {
    /// The run that is asked about.
    pub task: Task,
    /// The one it is compared with.
    pub other: Task,
    /// How they differ.
    pub comparison: Comparison,
}

impl Versus {
    /// Compares task `id` with `other`, named as tasks are; without it, with the last success of the same command.
    ///
    /// # Errors
    /// There is nothing to compare, or it cannot be read.
    pub fn of(dir: &StatusDir, id: &TaskId, other: Option<&str>, here: &Here) -> Result<Self, Failure> {
        let task = Subject { dir, id, here }.task()?;
        let other = match other {
            Some(other) => {
                let id = name::resolve(Some(dir), Some(other))?;
                Subject { dir, id: &id, here }.task()?
            }
            None => last_success(dir, &task, here)?,
        };
        let run = log_of(dir, &task.id, here)?;
        let good = log_of(dir, &other.id, here)?;
        let comparison = compare(&run, &good).map_err(|error| cannot(&task.id, &io_words(&error)))?;
        Ok(Self { task, other, comparison })
    }
}

fn log_of(dir: &StatusDir, id: &TaskId, here: &Here) -> Result<File, Failure> {
    let log = Subject { dir, id, here }.open_log()?;
    log.ok_or_else(|| Failure::failed(format!("cannot read the log of '{id}': there is none")))
}

/// The last run of the same command that succeeded before `task`, or else the newest that did.
fn last_success(dir: &StatusDir, task: &Task, here: &Here) -> Result<Task, Failure> {
    let listed = scan::records(dir).map_err(|error| cannot(&task.id, &io_words(&error)))?;
    let mut is_before = false;
    let mut after = None;
    for Listed { id, .. } in NewestFirst::from(listed).take(MOST_RECORDS) {
        if id == task.id {
            is_before = true;
            continue;
        }
        if after.is_some() && !is_before {
            continue;
        }
        // One that cannot be read is no help.
        let Ok(other) = load(dir, &id, here) else { continue };
        if other.state != State::Succeeded || !other.record.is_run_of_same(&task.record) {
            continue;
        }
        if is_before {
            return Ok(other);
        }
        after = Some(other);
    }
    after.ok_or_else(|| {
        cannot(&task.id, "no other run of its command in its directory has succeeded")
            .hint("'gco tasks diff TASK OTHER' compares any two")
    })
}

fn cannot(id: &TaskId, why: &str) -> Failure {
    Failure::failed(format!("cannot compare '{id}': {why}"))
}
