//! Points in time as records have them: `2026-11-21T10:37:52Z`, whole seconds, UTC.

use chrono::{DateTime, SecondsFormat, Utc};

/// `at`, in seconds since 1970, as a record has it. A time no calendar holds becomes 1970.
#[must_use]
pub fn format(at: i64) -> String {
    DateTime::<Utc>::from_timestamp(at, 0).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Seconds since 1970 of a record's timestamp. Other tools' fractions and offsets are understood.
#[must_use]
pub fn parse(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text).ok().map(|at| at.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        assert_eq!(format(1_795_257_472), "2026-11-21T10:37:52Z");
        assert_eq!(parse("2026-11-21T10:37:52Z"), Some(1_795_257_472));
        assert_eq!(parse("2026-11-21T12:37:52.123456+02:00"), Some(1_795_257_472));
        assert_eq!(parse("yesterday"), None);
        assert_eq!(format(i64::MAX), "1970-01-01T00:00:00Z");
    }
}
