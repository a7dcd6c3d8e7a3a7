//! Which tasks a listing is about: told from the id as far as that goes, then from the record. Records are read one by one, as
//! they are asked for.

use std::time::Duration;

use super::liveness::Here;
use super::load::{LoadError, load};
use super::scan::{Listed, NewestFirst};
use super::{StatusDir, Task};
use crate::task::record::field;
use crate::task::{State, id};

/// Which tasks are asked for.
#[derive(Debug)]
pub struct Filter<'a> {
    states: &'a [State],
    labels: &'a [(String, String)],
    /// As it stands in ids and records.
    name: Option<String>,
    /// In seconds since 1970.
    since: Option<i64>,
}

impl<'a> Filter<'a> {
    /// Tasks in one of `states`, with all of `labels`, of this `name`, that began within `since` before `now`. Nothing of
    /// that is asked for where it is empty.
    #[must_use]
    pub fn new(
        states: &'a [State],
        labels: &'a [(String, String)],
        name: Option<&str>,
        since: Option<Duration>,
        now: i64,
    ) -> Self {
        Self {
            states,
            labels,
            name: name.map(|name| id::tool_name(name.as_bytes())),
            since: since.map(|span| now.saturating_sub_unsigned(span.as_secs())),
        }
    }

    /// Whether a task listed at this time, and all after it, began too long ago. None began later than it is listed.
    fn is_past(&self, seconds: i64) -> bool {
        self.since.is_some_and(|since| seconds < since)
    }

    /// Whether the id leaves it open that the task is asked for.
    fn may_be(&self, listed: &Listed) -> bool {
        match (&self.name, listed.tool()) {
            (Some(name), Some(tool)) => name == tool,
            _ => true,
        }
    }

    /// Whether the task is one that is asked for.
    fn is_met_by(&self, task: &Task) -> bool {
        let record = &task.record;
        let says_tool =
            |name: &str| record.text(field::TOOL).is_some_and(|tool| id::tool_name(tool.as_bytes()) == name);
        let has = |key: &str, value: &str| record.labels().any(|label| label == (key, value));
        let by_id = Listed::from_id(&task.id);
        (self.states.is_empty() || self.states.contains(&task.state))
            && self.labels.iter().all(|(key, value)| has(key, value))
            // What the id says has been looked at.
            && (by_id.is_some() || self.name.as_deref().is_none_or(says_tool))
            && (by_id.is_some() || self.since.is_none_or(|since| record.time(field::STARTED_AT).is_none_or(|at| at >= since)))
    }

    /// Whether a record that cannot be read is listed: unless something is asked for that only it could tell.
    fn takes_unreadable(&self, listed: &Listed) -> bool {
        self.states.is_empty() && self.labels.is_empty() && (self.name.is_none() || listed.tool().is_some())
    }
}

/// A task that is asked for.
#[derive(Debug)]
pub enum Found {
    /// It, as it is.
    Task(Task),
    /// Its record cannot be read.
    Unreadable(Listed, LoadError),
}

/// The tasks that are asked for, newest first.
#[derive(Debug)]
pub struct Chosen<'a> {
    dir: &'a StatusDir,
    filter: &'a Filter<'a>,
    here: &'a Here,
    tasks: NewestFirst,
}

impl<'a> Chosen<'a> {
    /// Those of `tasks`.
    #[must_use]
    pub fn new(dir: &'a StatusDir, filter: &'a Filter<'a>, here: &'a Here, tasks: NewestFirst) -> Self {
        Self { dir, filter, here, tasks }
    }

    /// Those that have not been looked at: all are older than what came last.
    #[must_use]
    pub fn rest(&self) -> &NewestFirst {
        &self.tasks
    }
}

impl Iterator for Chosen<'_> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        loop {
            let listed = self.tasks.next()?;
            if self.filter.is_past(listed.seconds()) {
                self.tasks = NewestFirst::from(Vec::new());
                return None;
            }
            if !self.filter.may_be(&listed) {
                continue;
            }
            match load(self.dir, &listed.id, self.here) {
                Ok(task) if self.filter.is_met_by(&task) => return Some(Found::Task(task)),
                // Not asked for, or pruned since its name was read.
                Ok(_) | Err(LoadError::Missing) => {}
                Err(error) if self.filter.takes_unreadable(&listed) => {
                    return Some(Found::Unreadable(listed, error));
                }
                Err(_) => {}
            }
        }
    }
}
