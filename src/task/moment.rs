//! Moments, as people write and read them: `5m` ago, `14:30`, a date with a time; a line's time before it. Pure: what time it is,
//! and where, is the caller's to say.

use std::time::Duration;

use chrono::{DateTime, Days, NaiveTime, SecondsFormat, TimeZone, Timelike, Utc};

use super::record::field;
use super::{Record, TaskId, span};

/// How many columns a time takes before a line.
pub const COLUMNS: usize = 10;

/// A moment in the past, as it is given on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// So long ago.
    Ago(Duration),
    /// At this time of the day, the last time there was one.
    Clock(NaiveTime),
    /// Then, in milliseconds since 1970.
    At(u64),
}

impl Moment {
    /// Reads `5m`, `14:30`, `14:30:05`, `2026-11-21T10:37:52Z`.
    ///
    /// # Errors
    /// What is wrong with `text`, for the person who typed it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Ok(ago) = span::parse(text) {
            return Ok(Moment::Ago(ago));
        }
        for form in ["%H:%M", "%H:%M:%S%.f"] {
            if let Ok(time) = NaiveTime::parse_from_str(text, form) {
                return Ok(Moment::Clock(time));
            }
        }
        match DateTime::parse_from_rfc3339(text) {
            Ok(at) => Ok(Moment::At(u64::try_from(at.timestamp_millis()).unwrap_or(0))),
            Err(_) => Err(format!(
                "'{text}' is no moment; write it like 5m (ago), 14:30, 14:30:05 or 2026-11-21T10:37:52Z"
            )),
        }
    }

    /// The milliseconds since 1970, at `now` in `zone`.
    #[must_use]
    pub fn before(self, now: u64, zone: &impl TimeZone) -> u64 {
        match self {
            Moment::At(at) => at,
            Moment::Ago(ago) => now.saturating_sub(u64::try_from(ago.as_millis()).unwrap_or(u64::MAX)),
            Moment::Clock(time) => last(time, now, zone),
        }
    }
}

/// When it was `time` last. Where the clocks were put forward over it, it was so the day before.
fn last(time: NaiveTime, now: u64, zone: &impl TimeZone) -> u64 {
    let today = at(now).with_timezone(zone).date_naive();
    let days = (0..3).filter_map(|back| today.checked_sub_days(Days::new(back)));
    let moments = days.filter_map(|day| zone.from_local_datetime(&day.and_time(time)).earliest());
    let mut millis = moments.filter_map(|moment| u64::try_from(moment.timestamp_millis()).ok());
    millis.find(|&moment| moment <= now).unwrap_or(0)
}

fn at(millis: u64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(millis.cast_signed()).unwrap_or_default()
}

/// The time of the day: `14:30:05.1`.
#[must_use]
pub fn clock(millis: u64, zone: &impl TimeZone) -> String {
    let time = at(millis).with_timezone(zone).time();
    let tenth = time.nanosecond() / 100_000_000 % 10;
    format!("{:02}:{:02}:{:02}.{tenth}", time.hour(), time.minute(), time.second())
}

/// The time since `start`: `+0:12.3`, `+1:02:03.4`.
#[must_use]
pub fn since(millis: u64, start: u64) -> String {
    let tenths = millis.saturating_sub(start) / 100;
    let (seconds, tenth) = (tenths / 10, tenths % 10);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("+{minutes}:{seconds:02}.{tenth}"),
        _ => format!("+{hours}:{minutes:02}:{seconds:02}.{tenth}"),
    }
}

/// When task `id` started, in milliseconds since 1970. Its record says it to the second, its id to the millisecond, if it did not
/// have to wait.
#[must_use]
pub fn started(id: &TaskId, record: &Record) -> Option<u64> {
    let claimed = id.parts().map(|(_, millis, _)| millis);
    let started = record.time(field::STARTED_AT).and_then(|seconds| u64::try_from(seconds).ok());
    match (claimed, started) {
        (Some(claimed), Some(seconds)) if claimed / 1000 == seconds => Some(claimed),
        (_, Some(seconds)) => Some(seconds.saturating_mul(1000)),
        (claimed, None) => claimed,
    }
}

/// For scripts, to the tenth of a second: `2026-11-21T10:37:52.100Z`.
#[must_use]
pub fn exact(millis: u64) -> String {
    at(millis / 100 * 100).to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::FixedOffset;

    /// 2026-11-21T10:37:52.123Z
    const NOW: u64 = 1_795_257_472_123;

    #[test]
    fn moments_are_read() {
        let before = |text: &str| Moment::parse(text).map(|moment| exact(moment.before(NOW, &Utc)));
        for (text, is) in [
            ("5m", "2026-11-21T10:32:52.100Z"),
            ("1h30m", "2026-11-21T09:07:52.100Z"),
            ("10:30", "2026-11-21T10:30:00.000Z"),
            ("9:05:07", "2026-11-21T09:05:07.000Z"),
            ("10:37:52.1", "2026-11-21T10:37:52.100Z"),
            ("10:38", "2026-11-20T10:38:00.000Z"),
            ("2026-11-01T12:00:00+02:00", "2026-11-01T10:00:00.000Z"),
            ("99999w", "1970-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(before(text).as_deref(), Ok(is), "{text}");
        }
        for text in ["", "5", "yesterday", "25:00", "14:30:99", "14:30Z", "-5m", "2026-11-01"] {
            assert!(Moment::parse(text).is_err(), "{text}");
        }
        let east = FixedOffset::east_opt(5 * 3600).map(|zone| last(NaiveTime::default(), NOW, &zone));
        assert_eq!(east.map(exact).as_deref(), Some("2026-11-20T19:00:00.000Z"));
    }

    #[test]
    fn times_take_their_columns() {
        assert_eq!(clock(NOW, &Utc), "10:37:52.1");
        assert_eq!(clock(NOW, &Utc).len(), COLUMNS);
        for (millis, is) in [
            (0, "+0:00.0"),
            (12_399, "+0:12.3"),
            (3_723_400, "+1:02:03.4"),
            (35_999_999, "+9:59:59.9"),
            (360_000_000, "+100:00:00.0"),
        ] {
            assert_eq!(since(NOW + millis, NOW), is);
        }
        assert_eq!(since(NOW, NOW + 5), "+0:00.0");
    }
}
