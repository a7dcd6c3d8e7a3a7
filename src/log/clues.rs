//! What a log says about why its task failed: the last lines of stderr, and the lines that look like the cause.
//!
//! Only the last [`REACH`] bytes are looked at. So that lines can be given their [numbers](super::numbers), the newlines before
//! them are counted, up to [`COUNTED`] bytes of them; in a longer log lines have none.

use std::collections::VecDeque;
use std::io;

use super::ReadAt;
use super::cause::Causes;
use super::join::{Choice, Joiner, Origin, Shown};
use super::numbers::{COUNTED, Numbers};
use super::replay::Replay;
use super::since::line_start;
use crate::task::{Stream, text};

/// How much of a log's end is looked at.
pub const REACH: u64 = 8 << 20;

/// So many lines of stderr are given.
const STDERR_LINES: usize = 10;

/// So many causes are given of the first ones, and so many of the last.
const CAUSES: usize = 8;

/// Of a line so many bytes of its end are looked at.
const LONGEST: usize = 64 << 10;

/// A line that looks like the cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Which line of the log it ends with, the first being 1. `None` where that was not counted.
    pub line: Option<u64>,
    /// Where in the log it ends: its last part begins there.
    pub offset: u64,
    /// When that was written, in milliseconds since 1970, once that has been [told](Clues::tell_times) and if it is known.
    pub time: Option<u64>,
    /// What it says, as plain text.
    pub text: String,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clues {
    /// The last lines of stderr, plain.
    pub stderr: Vec<String>,
    /// The first and the last lines that look like the cause.
    pub causes: Vec<Cause>,
    /// How many between them are left out.
    pub left_out: u64,
    /// There is more of the log, which was not looked at.
    pub cut: bool,
}

impl Clues {
    /// Asks `when` what begins at an offset of the log was written, for each of the causes.
    pub fn tell_times(&mut self, mut when: impl FnMut(u64) -> Option<u64>) {
        for cause in &mut self.causes {
            cause.time = when(cause.offset);
        }
    }

    /// After so many of the causes some are left out, if any are.
    #[must_use]
    pub fn gap(&self) -> Option<usize> {
        (self.left_out > 0).then_some(CAUSES)
    }
}

/// Looks at the log `source`.
///
/// # Errors
/// What reading said.
pub fn clues<S: ReadAt + ?Sized>(source: &S) -> io::Result<Clues> {
    clues_within(source, REACH, COUNTED)
}

fn clues_within<S: ReadAt + ?Sized>(source: &S, reach: u64, counted: u64) -> io::Result<Clues> {
    let size = source.size()?;
    let start = size.saturating_sub(reach);
    // The first line may have begun before.
    let mut replay = Replay::between(line_start(source, start, size)?, size);
    let mut numbers = Numbers::within(source, counted);
    let mut cut = start > 0;
    let mut joiner = Joiner::new(Choice::ALL, LONGEST);
    let mut gathered = Gathered::default();
    while let Some(entry) = replay.next(source)? {
        cut |= entry.left_out.is_some();
        if let Some(line) = joiner.push(&entry) {
            gathered.take(&line, &mut numbers)?;
        }
    }
    for line in joiner.finish() {
        gathered.take(&line, &mut numbers)?;
    }
    let Gathered { stderr, mut first, last, left_out, .. } = gathered;
    first.extend(last);
    Ok(Clues { stderr: stderr.into(), causes: first, left_out, cut })
}

#[derive(Default)]
struct Gathered {
    causes: Causes,
    stderr: VecDeque<String>,
    first: Vec<Cause>,
    last: VecDeque<Cause>,
    left_out: u64,
}

impl Gathered {
    fn take<S: ReadAt + ?Sized>(&mut self, line: &Shown, numbers: &mut Numbers<'_, S>) -> io::Result<()> {
        let said = text::plain(&line.payload);
        if self.causes.takes(line.origin, &said) {
            let (offset, text) = (line.log_offset, said.trim_end().to_owned());
            let cause = Cause { line: numbers.of(offset)?, offset, time: None, text };
            if self.first.len() < CAUSES {
                self.first.push(cause);
            } else {
                self.last.push_back(cause);
            }
            if self.last.len() > CAUSES {
                self.last.pop_front();
                self.left_out += 1;
            }
        }
        if line.origin == Origin::Stream(Stream::Stderr) && !said.trim().is_empty() {
            self.stderr.push_back(said);
            if self.stderr.len() > STDERR_LINES {
                self.stderr.pop_front();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(cause: &Cause) -> (Option<u64>, &str) {
        (cause.line, &cause.text)
    }

    #[test]
    fn causes_have_the_numbers_of_their_lines() -> io::Result<()> {
        let log = b"[stdout] a\n[stderr~] err\n[stdout] error: 1\n[stderr] or: 2\n[gco] error: no\n[stderr] \n[stderr~] error: 3\n";
        let found = clues(&log[..])?;
        let causes: Vec<_> = found.causes.iter().map(told).collect();
        assert_eq!(causes, [(Some(3), "error: 1"), (Some(4), "error: 2"), (Some(7), "error: 3")]);
        assert_eq!(found.stderr, ["error: 2", "error: 3"]);
        assert_eq!((found.left_out, found.cut, found.gap()), (0, false, None));
        assert_eq!(clues(&b""[..])?, Clues::default());
        Ok(())
    }

    #[test]
    fn of_many_the_first_and_the_last_are_given() -> io::Result<()> {
        let log: String = (1..=100).map(|n| format!("[stdout] error: {n}x\n")).collect();
        let found = clues(log.as_bytes())?;
        let lines: Vec<u64> = found.causes.iter().filter_map(|cause| cause.line).collect();
        assert_eq!(lines, (1..=8).chain(93..=100).collect::<Vec<_>>());
        assert_eq!((found.left_out, found.gap()), (84, Some(8)));
        Ok(())
    }

    #[test]
    fn of_a_long_log_the_end_is_looked_at() -> io::Result<()> {
        let log: String = (1..=1000).map(|n| format!("[stderr] error: {n}x\n")).collect();
        let found = clues_within(log.as_bytes(), 100, u64::MAX)?;
        assert!(found.cut);
        assert_eq!(found.causes.last().map(told), Some((Some(1000), "error: 1000x")));
        assert_eq!(found.causes.first().map(told), Some((Some(997), "error: 997x")));
        for cause in &found.causes {
            let at = usize::try_from(cause.offset).unwrap_or(0);
            assert!(log[at..].starts_with(&format!("[stderr] {}\n", cause.text)), "{cause:?}");
        }
        let found = clues_within(log.as_bytes(), 100, 100)?;
        assert_eq!(found.causes.last().map(|cause| cause.line), Some(None), "it was not counted");
        // Nothing but the middle of one line.
        let found = clues_within(&[b'x'; 1000][..], 100, 1000)?;
        assert_eq!(found, Clues { cut: true, ..Clues::default() });
        Ok(())
    }
}
