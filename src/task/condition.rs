//! What can be waited for: `exit`, `match:REGEX`, `progress:80`, `silent:5m`.
//!
//! A condition is read once and then asked of records and lines. When it is asked, and what has passed since the task
//! last said something, is for whoever waits to know.

use std::time::Duration;

use regex_lite::Regex;

use super::{Progress, Record, span};

/// A condition, as it was typed and what it means.
#[derive(Debug, Clone)]
pub struct Condition {
    /// The words that were typed.
    pub typed: String,
    /// What they mean.
    pub kind: Kind,
}

/// The kinds of conditions.
#[derive(Debug, Clone)]
pub enum Kind {
    /// The task has ended.
    Exit,
    /// A line of its output matches.
    Match(Regex),
    /// It has got this far, in percent.
    Progress(u8),
    /// It has written nothing for this long.
    Silent(Duration),
}

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// What is wrong with `text`, for the person who typed it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let kind = match text.split_once(':') {
            None if text == "exit" => Kind::Exit,
            Some(("match", pattern)) => Kind::Match(expression(pattern)?),
            Some(("progress", percent)) => Kind::Progress(parse_percent(percent)?),
            Some(("silent", duration)) => Kind::Silent(span::parse_limit(duration)?),
            _ => return Err("write 'exit', 'match:REGEX', 'progress:80' or 'silent:5m'".to_owned()),
        };
        Ok(Self { typed: text.to_owned(), kind })
    }
}

fn expression(pattern: &str) -> Result<Regex, String> {
    if pattern.is_empty() {
        return Err("there is nothing to match behind 'match:'".to_owned());
    }
    Regex::new(pattern).map_err(|error| format!("this is not a regular expression: {error}"))
}

fn parse_percent(text: &str) -> Result<u8, String> {
    let digits = text.strip_suffix('%').unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let percent = digits.parse().ok().filter(|percent| is_number && *percent <= 100);
    percent.ok_or_else(|| "progress is a whole number of percent, from 0 to 100".to_owned())
}

/// Whether the task of `record` has done at least `percent` of its work. Not if nobody knows how much there is.
#[must_use]
pub fn has_reached(record: &Record, percent: u8) -> bool {
    let told = Progress::of(record).and_then(|progress| progress.percent());
    told.is_some_and(|told| told >= f64::from(percent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::record::NotARecord;

    #[test]
    fn conditions_are_read() {
        let kind = |text| Condition::parse(text).map(|condition| condition.kind);
        assert!(matches!(kind("exit"), Ok(Kind::Exit)));
        assert!(matches!(kind("match:a:b"), Ok(Kind::Match(regex)) if regex.is_match("xa:by")));
        assert!(matches!(kind("progress:80"), Ok(Kind::Progress(80))));
        assert!(matches!(kind("progress:100%"), Ok(Kind::Progress(100))));
        assert!(matches!(kind("silent:5m"), Ok(Kind::Silent(span)) if span == Duration::from_secs(300)));
        for bad in [
            "",
            "exit:",
            "exits",
            "match",
            "match:",
            "match:(",
            "match:[z-a]",
            "progress:",
            "progress:101",
            "progress:-1",
            "progress:+1",
            "progress:1.5",
            "progress:256",
            "silent:",
            "silent:0s",
            "silent:5",
            "silent:999999w",
            "EXIT",
        ] {
            assert!(kind(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn progress_is_reached_only_where_it_is_known() -> Result<(), NotARecord> {
        for (text, percent, reached) in [
            (r#"{"stacks_completed":4,"stacks_total":5}"#, 80, true),
            (r#"{"stacks_completed":4,"stacks_total":5}"#, 81, false),
            (r#"{"stacks_completed":7}"#, 0, false),
            (r#"{"stacks_total":0,"stacks_completed":0}"#, 0, false),
            (r#"{"stacks_total":9}"#, 0, true),
            (r#"{"stacks_completed":18446744073709551615,"stacks_total":18446744073709551615}"#, 100, true),
            (r#"{"progress":{"percent":79.5}}"#, 80, false),
            (r#"{"progress":{"percent":80}}"#, 80, true),
            (r#"{"progress":{"percent":"80"}}"#, 80, false),
            (r#"{"progress":80}"#, 80, false),
            ("{}", 0, false),
        ] {
            assert_eq!(
                has_reached(&Record::from_bytes(text.as_bytes())?, percent),
                reached,
                "{text} {percent}"
            );
        }
        Ok(())
    }
}
