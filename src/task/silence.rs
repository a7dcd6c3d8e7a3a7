//! How long a running task has written nothing, and whether that is unusual for it.

use std::time::Duration;

use super::Record;
use super::past::Past;
use super::record::field;

/// What is shorter is no silence: most programs fall silent for a moment now and then.
pub const LEAST: Duration = Duration::from_secs(10);

/// The silence of a running task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// How long it has lasted so far.
    pub lasts: Duration,
    /// The longest one before: of the task itself, or of earlier runs of its command that succeeded.
    pub longest_before: Duration,
}

impl Silence {
    /// The silence of the task of `record` at `now`, in seconds since 1970; `past` are the runs before it. `None` if it is not
    /// silent, or nobody knows.
    #[must_use]
    pub fn of(record: &Record, past: Option<&Past>, now: i64) -> Option<Self> {
        let since = record.time(field::SILENT_SINCE)?;
        let lasts = Duration::from_secs(u64::try_from(now.saturating_sub(since)).unwrap_or(0));
        let own = record.count(field::LONGEST_SILENCE_MS).map(Duration::from_millis);
        let longest_before = own.max(past.and_then(Past::longest_silence)).unwrap_or_default();
        (lasts >= LEAST).then_some(Self { lasts, longest_before })
    }

    /// Whether it is longer than any before. A little longer does not count: what pauses for a minute every time does not do so
    /// to the second.
    #[must_use]
    pub fn is_unusual(&self) -> bool {
        self.lasts > self.longest_before.saturating_add(self.longest_before / 10)
    }
}

/// Notes in `record`, which is written at `now` in seconds since 1970, that its task has been silent for `lasts`, if there is
/// anybody who could be, and what the longest silence before was, once it has begun.
pub fn note(record: &mut Record, lasts: Option<Duration>, longest_before: Option<Duration>, now: i64) {
    if let Some(lasts) = lasts {
        record.set_time(field::SILENT_SINCE, now.saturating_sub_unsigned(lasts.as_secs()));
    }
    if let Some(longest) = longest_before {
        let millis = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        record.set(field::LONGEST_SILENCE_MS, millis);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::record::NotARecord;

    const NOW: i64 = 1_795_257_472;
    const S: Duration = Duration::from_secs(1);

    #[test]
    fn what_is_noted_is_told() {
        let mut record = Record::new();
        note(&mut record, Some(60 * S), Some(7 * S), NOW);
        assert_eq!(
            Silence::of(&record, None, NOW + 30),
            Some(Silence { lasts: 90 * S, longest_before: 7 * S })
        );
        assert_eq!(Silence::of(&record, None, NOW - 51), None, "too short");
        assert_eq!(Silence::of(&record, None, NOW - 70), None, "another machine's clock");
        let mut stopped = Record::new();
        note(&mut stopped, None, Some(7 * S), NOW);
        assert_eq!(Silence::of(&stopped, None, NOW + 600), None);
        assert_eq!(stopped.count(field::LONGEST_SILENCE_MS), Some(7000));
    }

    #[test]
    fn earlier_runs_count_as_the_task_itself() -> Result<(), NotARecord> {
        let mut past = Past::default();
        past.add(&Record::from_bytes(br#"{"state":"succeeded","longest_silence_ms":100000}"#)?);
        let mut record = Record::new();
        note(&mut record, Some(30 * S), Some(S), NOW);
        let at = |past, seconds| Silence::of(&record, past, NOW + seconds).map(|s| s.is_unusual());
        assert_eq!((at(None, 0), at(Some(&past), 0)), (Some(true), Some(false)));
        assert_eq!((at(Some(&past), 80), at(Some(&past), 81)), (Some(false), Some(true)));
        let never = Record::from_bytes(br#"{"silent_since":7,"longest_silence_ms":"x"}"#)?;
        assert_eq!(Silence::of(&never, None, NOW), None);
        Ok(())
    }
}
