//! What a program says of how it is as it tells a service manager: `STATUS=` in a message of `sd_notify`.
//!
//! A message is lines of `NAME=VALUE`, of which all others (`READY=1`, `WATCHDOG=1`, …) are a service manager's business. The words
//! are the program's own, for people; a percentage in them says how far it is.

use super::reading::{Gauge, LONGEST_MESSAGE};
use crate::task::{Progress, text};

/// The source of what is said in this way.
pub const SOURCE: &str = "notify";

/// What `message` says: words, which are empty if what was said before holds no more; `None` if it says nothing of that.
#[must_use]
pub fn said(message: &[u8]) -> Option<String> {
    let words = message.split(|&b| b == b'\n').find_map(|line| line.strip_prefix(b"STATUS="))?;
    Some(text::begin(text::plain(words).trim(), LONGEST_MESSAGE).to_owned())
}

impl Gauge {
    /// A program says by its status what it does.
    pub fn hear_status(&mut self, words: &str) {
        let is_own = self.told.as_ref().is_none_or(|told| told.source.as_deref() == Some(SOURCE));
        let message = (!words.is_empty()).then(|| words.to_owned());
        let percent = percentage(words);
        if is_own || percent.is_some() {
            let source = Some(SOURCE.to_owned());
            self.told = message.map(|words| Progress {
                percent,
                message: Some(words),
                source,
                ..Progress::default()
            });
        } else if let (Some(told), Some(words)) = (&mut self.told, message) {
            // What 'gco progress' has counted still holds.
            told.message = Some(words);
        }
    }
}

/// The first percentage in `words`.
fn percentage(words: &str) -> Option<f64> {
    words.match_indices('%').find_map(|(at, _)| {
        let before = words[..at].trim_end_matches(' ');
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        let number = &before[before.trim_end_matches(is_number).len()..];
        number.parse().ok().filter(|percent| (0.0..=100.0).contains(percent))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::spec::Recognise;

    #[test]
    fn the_words_are_found_among_the_lines() {
        for (message, words) in [
            (&b"STATUS=Ready to serve"[..], Some("Ready to serve")),
            (b"READY=1\nSTATUS=a=b  \nMAINPID=4", Some("a=b")),
            (b"READY=1\n", None),
            (b"", None),
            (b"X_STATUS=no\nXSTATUS=no", None),
            (b"STATUS=", Some("")),
            (b"STATUS=\x1b]0;title\x07\x1b[31mred", Some("red")),
            (b"STATUS=one\nSTATUS=two", Some("one")),
        ] {
            assert_eq!(said(message).as_deref(), words, "{}", message.escape_ascii());
        }
        let long = [b"STATUS=".as_slice(), &[b'x'; 3000]].concat();
        assert_eq!(said(&long).map(|words| words.len()), Some(LONGEST_MESSAGE));
    }

    #[test]
    fn a_percentage_is_one() {
        for (words, percent) in [
            ("45%", Some(45.0)),
            ("Copying: 12.5 % of /home", Some(12.5)),
            ("at 300%, then 20%", Some(20.0)),
            ("100% idle", Some(100.0)),
            ("% done", None),
            ("1.2.3%", None),
            ("é%", None),
            ("no number", None),
        ] {
            assert_eq!(percentage(words), percent, "{words}");
        }
    }

    #[test]
    fn what_was_counted_holds_and_a_status_can_be_taken_back() {
        let mut gauge = Gauge::new(Recognise::Auto, None);
        let seen = |gauge: &Gauge| {
            gauge.progress().map(|progress| (progress.percent(), progress.message, progress.source))
        };
        let is = |percent, message: &str, source: &str| {
            Some((percent, Some(message.to_owned()), Some(source.to_owned())))
        };
        gauge.hear_status("starting");
        assert_eq!(seen(&gauge), is(None, "starting", SOURCE));
        gauge.hear_status("");
        assert_eq!(seen(&gauge), None);
        gauge.told = Some(Progress { current: Some(1), total: Some(4), ..Progress::default() });
        gauge.hear_status("copying");
        assert_eq!(
            gauge.progress().map(|told| (told.percent(), told.message)),
            Some((Some(25.0), Some("copying".to_owned())))
        );
        gauge.hear_status("copying, 50%");
        assert_eq!(seen(&gauge), is(Some(50.0), "copying, 50%", SOURCE));
        gauge.hear_status("nearly done");
        assert_eq!(seen(&gauge), is(None, "nearly done", SOURCE));
    }
}
