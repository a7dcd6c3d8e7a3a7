//! What earlier runs of a command tell about one that is under way: how far it probably is, and how long they were silent.
//!
//! An estimate is a guess and says so. It never reaches the end before the task does, and a run that takes longer than those
//! before it gets no time that would be left. Which records are runs of the same command is for whoever reads them to see:
//! [`Record::is_run_of_same`].

use std::time::Duration;

use serde_json::{Value, json};

use super::record::field;
use super::{Progress, Record, State};

/// So many successful runs are looked at, the latest: what a command does changes with time.
pub const RUNS: usize = 5;

/// The hundredths that are said to be done at most.
const MOST_PERCENT: f64 = 99.0;

/// The successful runs of a command before one that is under way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Past {
    /// How long those took that succeeded at once, without another attempt.
    took: Vec<Duration>,
    /// The longest that any of them was silent for, where that is known.
    longest_silence: Option<Duration>,
}

/// How far a task probably is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Hundredths that are done: 0 to 99.
    pub percent: f64,
    /// The time that is left; `None` if the task should be over by now.
    pub remaining: Option<Duration>,
    /// The median of the time that the runs took.
    pub typical: Duration,
    /// How many runs it is taken from.
    pub runs: usize,
    /// It takes longer than any of them.
    pub is_longest: bool,
}

impl Past {
    /// Adds a run, if it was one that succeeded.
    pub fn add(&mut self, run: &Record) {
        if run.state() != Some(State::Succeeded) {
            return;
        }
        let silent = run.count(field::LONGEST_SILENCE_MS).map(Duration::from_millis);
        self.longest_silence = self.longest_silence.max(silent);
        if is_first_attempt(run) {
            // Waiting for its turn is no part of either.
            let took = run.count(field::DURATION_MS).map(Duration::from_millis);
            self.took.extend(took.or_else(|| run.count(field::ELAPSED_SECONDS).map(Duration::from_secs)));
        }
    }

    /// Whether more runs would tell nothing more.
    #[must_use]
    pub fn is_enough(&self) -> bool {
        self.took.len() >= RUNS
    }

    /// The longest silence in any of the runs, where that is known.
    #[must_use]
    pub fn longest_silence(&self) -> Option<Duration> {
        self.longest_silence
    }

    /// How far the task of `record` probably is, which has been under way for `elapsed`. `None` if it says itself how far it
    /// is, or nothing is known: no run before succeeded, or this is not its first attempt, of which nobody knows the start.
    #[must_use]
    pub fn estimate(&self, record: &Record, elapsed: Duration) -> Option<Estimate> {
        if says_how_far(record) || !is_first_attempt(record) {
            return None;
        }
        let mut took = self.took.clone();
        took.sort_unstable();
        let longest = *took.last()?;
        // Of an even number the longer one: better too late than too early.
        let typical = *took.get(took.len() / 2)?;
        let percent = if typical.is_zero() {
            MOST_PERCENT
        } else {
            (elapsed.as_secs_f64() * 100.0 / typical.as_secs_f64()).min(MOST_PERCENT)
        };
        let remaining = typical.checked_sub(elapsed).filter(|left| !left.is_zero());
        Some(Estimate { percent, remaining, typical, runs: took.len(), is_longest: elapsed > longest })
    }
}

impl Estimate {
    /// For scripts: `{"percent", "remaining_seconds", "runs", "typical_seconds"}`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        json!({
            "percent": (self.percent * 10.0).round() / 10.0,
            "remaining_seconds": self.remaining.map(rounded),
            "runs": self.runs,
            "typical_seconds": rounded(self.typical),
        })
    }
}

/// To whole seconds.
fn rounded(span: Duration) -> u64 {
    span.saturating_add(Duration::from_millis(500)).as_secs()
}

/// Whether the record says itself how far its task is, in anything that can be counted.
#[must_use]
pub fn says_how_far(record: &Record) -> bool {
    Progress::of(record).is_some_and(|progress| progress.current.is_some() || progress.percent.is_some())
}

fn is_first_attempt(record: &Record) -> bool {
    record.count(field::ATTEMPT).is_none_or(|attempt| attempt <= 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::record::NotARecord;

    const S: Duration = Duration::from_secs(1);

    fn past(runs: &[&str]) -> Result<Past, NotARecord> {
        let mut past = Past::default();
        for run in runs {
            past.add(&Record::from_bytes(run.as_bytes())?);
        }
        Ok(past)
    }

    #[test]
    fn the_median_of_the_runs_counts() -> Result<(), NotARecord> {
        let past = past(&[
            r#"{"state":"succeeded","duration_ms":100000}"#,
            r#"{"state":"succeeded","duration_ms":900000}"#,
            r#"{"state":"succeeded","elapsed_seconds":60}"#,
            r#"{"state":"failed","duration_ms":1}"#,
            r#"{"state":"succeeded","duration_ms":1,"attempt":2}"#,
            r#"{"state":"succeeded","duration_ms":"x"}"#,
        ])?;
        let at = |elapsed| past.estimate(&Record::new(), elapsed);
        let estimate =
            Estimate { percent: 63.0, remaining: Some(37 * S), typical: 100 * S, runs: 3, is_longest: false };
        assert_eq!(at(63 * S), Some(estimate));
        assert_eq!(at(Duration::ZERO).map(|e| (e.percent, e.remaining)), Some((0.0, Some(100 * S))));
        let late = Estimate { percent: 99.0, remaining: None, ..estimate };
        assert_eq!(at(100 * S), Some(late));
        assert_eq!(at(900 * S), Some(late));
        assert_eq!(at(901 * S), Some(Estimate { is_longest: true, ..late }));
        assert_eq!(
            estimate.to_value(),
            json!({"percent": 63.0, "remaining_seconds": 37, "runs": 3, "typical_seconds": 100})
        );
        assert_eq!(late.to_value()["remaining_seconds"], Value::Null);
        Ok(())
    }

    #[test]
    fn what_is_not_known_is_not_guessed() -> Result<(), NotARecord> {
        let nothing = past(&[])?;
        assert_eq!(nothing.estimate(&Record::new(), S), None);
        let past = past(&[r#"{"state":"succeeded","duration_ms":2000}"#])?;
        for (text, known) in [
            ("{}", true),
            (r#"{"attempt":1,"attempts":3}"#, true),
            (r#"{"attempt":2,"attempts":3}"#, false),
            (r#"{"progress":{"percent":7}}"#, false),
            (r#"{"progress":{"message":"loading"}}"#, true),
            (r#"{"stacks_completed":1}"#, false),
            (r#"{"stacks_total":3}"#, false),
        ] {
            let estimate = past.estimate(&Record::from_bytes(text.as_bytes())?, S);
            assert_eq!(estimate.is_some(), known, "{text}");
        }
        Ok(())
    }

    #[test]
    fn a_run_of_no_time_at_all_divides_nothing() -> Result<(), NotARecord> {
        let past = past(&[r#"{"state":"succeeded","duration_ms":0}"#])?;
        for elapsed in [Duration::ZERO, S] {
            let found = past.estimate(&Record::new(), elapsed).map(|e| (e.percent, e.remaining));
            assert_eq!(found, Some((99.0, None)));
        }
        Ok(())
    }

    #[test]
    fn the_longest_silence_of_any_success_counts() -> Result<(), NotARecord> {
        let past = past(&[
            r#"{"state":"succeeded","longest_silence_ms":1500,"attempt":2}"#,
            r#"{"state":"failed","longest_silence_ms":99000}"#,
            r#"{"state":"succeeded"}"#,
            r#"{"state":"succeeded","longest_silence_ms":300}"#,
        ])?;
        assert_eq!(past.longest_silence(), Some(Duration::from_millis(1500)));
        assert!(!past.is_enough());
        Ok(())
    }
}
