//! What people and scripts see: tables, panels, JSON, relative times.
//!
//! Pure: a record, a width and the time go in, text comes out. Nothing here touches a file, the environment
//! or the clock. No text from a record reaches the screen but through [`words::one_line`] or [`words::quote`], so that
//! it can neither move the cursor nor break a row.

pub mod bar;
pub mod diff;
pub mod hints;
pub mod json;
pub mod line;
pub mod lines;
pub mod log;
pub mod paint;
pub mod panel;
pub mod table;
pub mod why;
pub mod words;

use std::time::Duration;

use crate::task::line::Place;
use crate::task::past::Estimate;
use crate::task::record::field;
use crate::task::{Past, Progress, Record, Silence, State, TaskId};

/// A task as it is shown.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// Its id, from the file's name.
    pub id: &'a TaskId,
    /// The record as on disk.
    pub record: &'a Record,
    /// The effective state.
    pub state: State,
    /// Whether the command itself still runs; `None` if that cannot be known.
    pub is_alive: Option<bool>,
    /// Where it stands in line, if it waits in one and that is known.
    pub place: Option<&'a Place>,
    /// The runs of its command before it, if that was looked up.
    pub past: Option<&'a Past>,
}

/// How what is shown is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// The columns there are; `None` for as many as it takes.
    pub width: Option<usize>,
    /// Whether colours may be used.
    pub colour: bool,
    /// The time, in seconds since 1970.
    pub now: i64,
}

impl Shown<'_> {
    /// How long the task has been under way, or was. For one that still runs it is counted up to `now`, whatever
    /// the record says.
    #[must_use]
    pub fn elapsed(&self, now: i64) -> Option<Duration> {
        let record = self.record;
        let since_start = |end: i64| {
            let started = record.time(field::STARTED_AT)?;
            Some(Duration::from_secs(u64::try_from(end.saturating_sub(started)).unwrap_or(0)))
        };
        let recorded = || record.count(field::ELAPSED_SECONDS).map(Duration::from_secs);
        let runs = self.state.is_live() || (self.state == State::Orphaned && self.is_alive == Some(true));
        if runs {
            return since_start(now).or_else(recorded);
        }
        record
            .count(field::DURATION_MS)
            .map(Duration::from_millis)
            .or_else(recorded)
            .or_else(|| since_start(record.time(field::FINISHED_AT)?))
    }

    /// How far it is: `3/12`, `63%`, or `3` if the total is not known. `None` if nothing of that is known.
    #[must_use]
    pub fn progress(&self) -> Option<String> {
        let progress = Progress::of(self.record)?;
        match (progress.current, progress.total, progress.percent()) {
            (Some(current), Some(total), _) => Some(format!("{current}/{total}")),
            (_, _, Some(percent)) => Some(format!("{percent:.0}%")),
            (Some(current), ..) => Some(current.to_string()),
            _ => None,
        }
    }

    /// Whether it runs, as far as can be told from here.
    fn runs(&self) -> bool {
        self.state == State::Running && self.is_alive == Some(true)
    }

    /// How far it probably is, if it does not say so itself and earlier runs of its command tell.
    #[must_use]
    pub fn estimate(&self, now: i64) -> Option<Estimate> {
        self.past.filter(|_| self.runs())?.estimate(self.record, self.elapsed(now)?)
    }

    /// How long it has written nothing, if that is worth a word.
    #[must_use]
    pub fn silence(&self, now: i64) -> Option<Silence> {
        if self.runs() { Silence::of(self.record, self.past, now) } else { None }
    }

    /// What a queued task waits for: `2nd in group 'deploy'`, `after build-1-0 and 2 more`. `None` if it is not queued, or
    /// that is not known.
    #[must_use]
    pub fn waits_for(&self) -> Option<String> {
        if self.state != State::Queued {
            return None;
        }
        if let Some(place) = self.place {
            return Some(format!("{} {place}", words::ordinal(place.number)));
        }
        let mut before = self.record.texts(field::AFTER).map(words::one_line).filter(|id| !id.is_empty());
        let first = before.next()?;
        Some(match before.count() {
            0 => format!("after {first}"),
            more => format!("after {first} and {more} more"),
        })
    }

    /// A field that is text, on one line and fit for a screen; `None` if there is nothing in it to see.
    #[must_use]
    pub fn line(&self, name: &str) -> Option<String> {
        self.record.text(name).map(words::one_line).filter(|text| !text.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::LineName;

    #[test]
    fn a_running_task_is_timed_by_the_clock() -> Result<(), Box<dyn std::error::Error>> {
        let id = TaskId::parse("a-1")?;
        let record = Record::from_bytes(
            br#"{"started_at":"2026-11-21T10:00:00Z","elapsed_seconds":5,"updated_at":"2026-11-21T10:00:05Z"}"#,
        )?;
        let now = 1_795_255_200 + 90;
        let elapsed = |state, is_alive| {
            Shown { id: &id, record: &record, state, is_alive, place: None, past: None }.elapsed(now)
        };
        assert_eq!(elapsed(State::Running, Some(true)), Some(Duration::from_secs(90)));
        assert_eq!(elapsed(State::Orphaned, Some(true)), Some(Duration::from_secs(90)));
        assert_eq!(elapsed(State::Orphaned, Some(false)), Some(Duration::from_secs(5)));
        assert_eq!(elapsed(State::Failed, Some(false)), Some(Duration::from_secs(5)));
        Ok(())
    }

    #[test]
    fn progress_is_shown_where_there_is_any() -> Result<(), Box<dyn std::error::Error>> {
        let id = TaskId::parse("a-1")?;
        for (text, shown) in [
            (r#"{"stacks_completed":3,"stacks_total":12}"#, Some("3/12")),
            (r#"{"stacks_completed":3}"#, Some("3")),
            (r#"{"stacks_completed":0}"#, None),
            (r#"{"stacks_total":12}"#, Some("0/12")),
            (r#"{"stacks_completed":-3,"stacks_total":"x"}"#, None),
            (r#"{"progress":{"percent":62.7,"message":"x"}}"#, Some("63%")),
            (r#"{"progress":{"percent":50.0,"current":2,"total":4}}"#, Some("2/4")),
            ("{}", None),
        ] {
            let record = Record::from_bytes(text.as_bytes())?;
            let task = Shown {
                id: &id,
                record: &record,
                state: State::Running,
                is_alive: None,
                place: None,
                past: None,
            };
            assert_eq!(task.progress().as_deref(), shown, "{text}");
        }
        Ok(())
    }

    #[test]
    fn what_a_queued_task_waits_for() -> Result<(), Box<dyn std::error::Error>> {
        let id = TaskId::parse("a-1")?;
        let after = Record::from_bytes(br#"{"after":["b-1","c-1",7,"d\u001b[2J-1"]}"#)?;
        let one = Record::from_bytes(br#"{"after":["b-1"]}"#)?;
        let none = Record::from_bytes(br#"{"after":"b-1"}"#)?;
        let place = Place { line: LineName::group("deploy")?, number: 2 };
        let waits_for = |record, state, place| {
            Shown { id: &id, record, state, is_alive: Some(false), place, past: None }.waits_for()
        };
        let queued = |record, place| waits_for(record, State::Queued, place);
        assert_eq!(queued(&after, None).as_deref(), Some("after b-1 and 2 more"));
        assert_eq!(queued(&one, None).as_deref(), Some("after b-1"));
        assert_eq!(queued(&one, Some(&place)).as_deref(), Some("2nd in group 'deploy'"));
        assert_eq!(queued(&none, None), None);
        assert_eq!(waits_for(&one, State::Running, Some(&place)), None);
        Ok(())
    }
}
