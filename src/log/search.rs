//! Looking for a line of the command that matches, as the log grows.
//!
//! What is looked at is the text of a line (see [`text`]), parts joined, gco's own words left out. A line that has not ended
//! is looked at with each part that comes: it may be a prompt, and nothing more may come. Of one that is overwritten
//! with carriage returns each version is looked at by itself, as somebody before the screen would see it.

use regex_lite::Regex;

use super::join::Origin;
use super::replay::Entry;
use crate::task::text;

/// How much of an unfinished line is kept, to be joined with what comes: its end, in bytes.
const KEPT: usize = text::MAX_PLAIN;

/// A search in entries in the order of the log.
#[derive(Debug)]
pub struct Search {
    expressions: Vec<Regex>,
    /// What has been written of the lines that have not ended, since their last carriage return: one a stream, and one
    /// for what no stream wrote.
    open: [Vec<u8>; 3],
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which of the expressions matched, the first.
    pub which: usize,
    /// The line, or what there is of it, as plain text.
    pub line: String,
}

impl Search {
    /// A search for a line that matches any of `expressions`.
    #[must_use]
    pub fn new(expressions: Vec<Regex>) -> Self {
        Self { expressions, open: Default::default() }
    }

    /// Takes the next entry, and gives the line of it that matches.
    pub fn push(&mut self, entry: &Entry<'_>) -> Option<Found> {
        if entry.left_out.is_some() {
            // What goes on behind it did not begin before.
            self.open = Default::default();
        }
        let open = match Origin::of(entry.tag) {
            Origin::Gco => return None,
            Origin::Stream(stream) => &mut self.open[stream.index()],
            Origin::Untagged => &mut self.open[2],
        };
        let mut found = None;
        for (at, version) in entry.payload.split(|&b| b == b'\r').enumerate() {
            if at > 0 {
                if version.is_empty() {
                    // The return is the last so far; what it goes back over is on the screen until then.
                    continue;
                }
                open.clear();
            }
            open.extend_from_slice(version);
            if found.is_none() {
                found = matching(&self.expressions, open);
            }
        }
        // A return at the end is kept: what comes next begins the line anew.
        let returned = entry.payload.ends_with(b"\r");
        if entry.ends || returned {
            open.clear();
        }
        open.drain(..open.len().saturating_sub(KEPT));
        found
    }
}

fn matching(expressions: &[Regex], line: &[u8]) -> Option<Found> {
    if expressions.is_empty() {
        return None;
    }
    let seen = text::clean(&String::from_utf8_lossy(line));
    let which = expressions.iter().position(|expression| expression.is_match(&seen))?;
    Some(Found { which, line: text::plain(seen.as_bytes()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::replay::Replay;

    fn found(pattern: &str, log: &[u8]) -> Option<String> {
        let mut search = Search::new(vec![Regex::new(pattern).ok()?]);
        let mut replay = Replay::from(0);
        while let Ok(Some(entry)) = replay.next(log) {
            if let Some(found) = search.push(&entry) {
                return Some(found.line);
            }
        }
        None
    }

    #[test]
    fn lines_are_looked_at_as_they_are_seen() {
        for (pattern, log, line) in [
            ("^ready$", &b"[stderr] ready\n"[..], Some("ready")),
            ("^ready$", b"[stdout] \x1b[32mready\x1b[0m\n", Some("ready")),
            ("^ready$", b"[stdout] ready\r\n", Some("ready")),
            ("ready", b"[gco] ready\n", None),
            ("stdout", b"[stdout] x\n", None),
            ("^ab$", b"[stdout~] a\n[stderr] x\n[stdout] b\n", Some("ab")),
            ("ab", b"[stdout~] a\n[stderr~] b\n", None),
            ("ab", b"[stdout] a\n[stdout] b\n", None),
            ("name\\?", b"[stdout~] name? \n", Some("name? ")),
            ("^20%", b"[stderr~] 10%\r20%\r30%\n", Some("20%")),
            ("^20%$", b"[stderr~] 10%\r\n[stderr~] 20%\r\n", Some("20%")),
            ("^20%$", b"[stderr~] 10%\n[stderr~] \r20%\n", Some("20%")),
            ("plain", b"plain\n", Some("plain")),
            ("^$", b"[stdout] \n", Some("")),
            ("\u{fffd}", b"[stdout] \xff\n", Some("\u{fffd}")),
        ] {
            assert_eq!(found(pattern, log).as_deref(), line, "{pattern} {}", log.escape_ascii());
        }
    }

    #[test]
    fn long_lines_are_looked_at_whole_and_kept_in_part() {
        let long = [b"[stdout~] ", &b"x".repeat(60_000)[..], b"end\n[stdout] go\n"].concat();
        assert!(found("^x{10}", &long).is_some_and(|line| line.len() == text::MAX_PLAIN));
        assert!(found("xendgo$", &long).is_some());
    }
}
