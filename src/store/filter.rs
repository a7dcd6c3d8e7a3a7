//! Which tasks a listing is about: told from the id as far as that goes, then from the record.

use std::time::Duration;

use super::Task;
use super::scan::Listed;
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
    #[must_use]
    pub fn is_past(&self, seconds: i64) -> bool {
        self.since.is_some_and(|since| seconds < since)
    }

    /// Whether the id leaves it open that the task is asked for.
    #[must_use]
    pub fn may_be(&self, listed: &Listed) -> bool {
        match (&self.name, listed.tool()) {
            (Some(name), Some(tool)) => name == tool,
            _ => true,
        }
    }

    /// Whether the task is one that is asked for.
    #[must_use]
    pub fn is_met_by(&self, task: &Task) -> bool {
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
    #[must_use]
    pub fn takes_unreadable(&self, listed: &Listed) -> bool {
        self.states.is_empty() && self.labels.is_empty() && (self.name.is_none() || listed.tool().is_some())
    }
}
