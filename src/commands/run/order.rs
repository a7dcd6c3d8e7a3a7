//! The options of `gco run` that make a task wait for its turn.

use clap::ValueEnum;

use crate::failure::{EXIT_GCO_FAILED, Failure};
use crate::store::{StatusDir, name};
use crate::task::TaskId;
use crate::task::line::{LineName, MAX_LIMIT};
use crate::task::spec::{OnConflict, Queue, Turn};

/// How many tasks one can be made to wait for.
const MOST_TASKS: usize = 1000;

/// These options.
#[derive(Debug, clap::Args)]
pub struct Order {
    /// Run at most so many tasks of this group at once as its limit says; wait for a place if there is none
    ///
    /// The limit is 1 unless --limit or 'gco tasks limit' has said otherwise. First come, first served. A task that waits is
    /// 'queued'; it goes on waiting when the terminal is closed, and can be cancelled. A place is free again when the
    /// task that had it is over, or is gone in any other way.
    #[arg(long, value_name = "GROUP", value_parser = group)]
    group: Option<LineName>,

    /// Set the group's limit, for this task and for all of the group
    #[arg(long, value_name = "N", requires = "group", value_parser = limit, allow_hyphen_values = true)]
    limit: Option<u32>,

    /// If there is no place in the group, run nothing, say who has the places, and end with exit code 75
    #[arg(long, requires = "group")]
    no_wait: bool,

    /// Start only once these tasks have succeeded; may be repeated, or several given with commas between them
    ///
    /// If one of them does not succeed the task is cancelled, with exit code 125.
    #[arg(long, value_name = "TASK", value_delimiter = ',')]
    after: Vec<String>,

    /// Start only once these tasks are over, however they ended
    #[arg(long, value_name = "TASK", value_delimiter = ',')]
    after_any: Vec<String>,

    /// Run at most one task with this key at a time, whoever starts it
    #[arg(long, value_name = "KEY", value_parser = key)]
    key: Option<LineName>,

    /// What to do if another task has the key
    #[arg(long, value_name = "WHAT", requires = "key", value_enum, default_value_t = OnConflictArg::Fail)]
    on_conflict: OnConflictArg,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OnConflictArg {
    /// Run nothing, say who has it, and end with exit code 75
    Fail,
    /// Run afterwards
    Wait,
    /// Run nothing, show that task's output from its start, and end with its exit code
    Follow,
}

fn group(text: &str) -> Result<LineName, String> {
    LineName::group(text).map_err(|error| error.to_string())
}

fn key(text: &str) -> Result<LineName, String> {
    LineName::key(text).map_err(|error| error.to_string())
}

fn limit(text: &str) -> Result<u32, String> {
    let limit = text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| format!("a limit is a number from 1 to {MAX_LIMIT}"))
}

impl Order {
    /// Whether none of them is given.
    pub fn is_none(&self) -> bool {
        self.group.is_none() && self.key.is_none() && self.after.is_empty() && self.after_any.is_empty()
    }

    /// What is done where another task has the key.
    pub fn on_conflict(&self) -> OnConflict {
        match self.on_conflict {
            OnConflictArg::Fail => OnConflict::Fail,
            OnConflictArg::Wait => OnConflict::Wait,
            OnConflictArg::Follow => OnConflict::Follow,
        }
    }

    /// What the task has to wait for.
    ///
    /// # Errors
    /// A task is named that there is not.
    pub fn turn(&self) -> Result<Turn, Failure> {
        if self.is_none() {
            return Ok(Turn::default());
        }
        let key = self.key.as_ref().map(|name| Queue {
            name: name.clone(),
            limit: None,
            no_wait: self.on_conflict != OnConflictArg::Wait,
        });
        let group = self.group.as_ref().map(|name| Queue {
            name: name.clone(),
            limit: self.limit,
            no_wait: self.no_wait,
        });
        Ok(Turn {
            after: tasks(&self.after)?,
            after_any: tasks(&self.after_any)?,
            queues: key.into_iter().chain(group).collect(),
        })
    }
}

/// The tasks that are meant: those there are now, so that no task can ever wait for itself.
fn tasks(words: &[String]) -> Result<Vec<TaskId>, Failure> {
    if words.is_empty() {
        return Ok(Vec::new());
    }
    if words.len() > MOST_TASKS {
        return Err(Failure::new(
            EXIT_GCO_FAILED,
            format!("a task can wait for at most {MOST_TASKS} others"),
        ));
    }
    let dir =
        StatusDir::for_reading().map_err(|unusable| Failure::new(EXIT_GCO_FAILED, unusable.to_string()))?;
    let mut ids = Vec::new();
    for word in words {
        let id =
            name::resolve(dir.as_ref(), Some(word)).map_err(|failure| failure.with_code(EXIT_GCO_FAILED))?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}
