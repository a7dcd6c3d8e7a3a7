//! The last lines of a log, at a cost that does not depend on how long the log is.
//!
//! The log is read backwards in growing blocks until enough lines have been counted, and from there forwards
//! once to put them together. Three limits keep a strange log from costing more:
//! a caller's cap on the bytes looked at, [`REACH`] for how far back the beginning of a line is looked for once
//! there are lines enough, and a cap on what is kept of one line: its end.
//!
//! A line at the log's end without a newline is not shown: somebody is in the middle of writing it.

use std::collections::VecDeque;
use std::io;

use super::ReadAt;
use super::format::{Tag, parse};
use super::gap::{self, Gaps};
use super::join::{Choice, Joiner, Origin, Shown};
use super::replay::Replay;
use crate::task::record::TAIL_LINES;
use crate::task::text;

/// How much other output may stand between two pieces of one line, in bytes. A line whose pieces are
/// further apart is shown without its beginning where it would be the reason to look on.
pub const REACH: u64 = 256 * 1024;

const FIRST_BLOCK: u64 = 16 * 1024;
const LARGEST_BLOCK: u64 = 1024 * 1024;

/// As many bytes of a line as it takes to tell its tag.
const TAG_ROOM: u64 = 16;

/// What is wanted of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// How many lines.
    pub lines: usize,
    /// Which ones.
    pub choice: Choice,
    /// How many bytes of the log's end may be looked at.
    pub look_at_most: u64,
    /// How many bytes are kept of one line: its last ones.
    pub longest_line: usize,
}

impl Wanted {
    /// For the record's `tail`.
    pub const FOR_RECORD: Wanted = Wanted {
        lines: TAIL_LINES,
        choice: Choice { only: None, gco: false },
        look_at_most: 512 * 1024,
        longest_line: 64 * 1024,
    };
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Last {
    /// The lines, oldest first.
    pub lines: Vec<Shown>,
    /// Where in the log the line after them begins, to go on from.
    pub end: u64,
    /// The cap on the bytes looked at was reached: there may be more lines, or more of them.
    pub cut: bool,
    /// So many bytes of the log come among them, or right before them, that are not there any more.
    pub left_out: u64,
}

/// The last lines of the log `source`.
///
/// # Errors
/// What reading said.
pub fn last<S: ReadAt + ?Sized>(source: &S, wanted: &Wanted) -> io::Result<Last> {
    let Span { start, end, cut } = find(source, wanted)?;
    let mut joiner = Joiner::new(wanted.choice, wanted.longest_line);
    let mut lines = VecDeque::new();
    let mut left_out = 0;
    if start < end {
        let mut replay = Replay::between(start, end);
        while let Some(entry) = replay.next(source)? {
            left_out += entry.left_out.map_or(0, |left_out| left_out.bytes);
            lines.extend(joiner.push(&entry));
            if lines.len() > wanted.lines {
                lines.pop_front();
            }
        }
    }
    let mut lines = Vec::from(lines);
    lines.extend(joiner.finish());
    lines.sort_by_key(|line| line.log_offset);
    lines.drain(..lines.len().saturating_sub(wanted.lines));
    Ok(Last { lines, end, cut, left_out })
}

/// The last lines as a record's `tail` has them: plain text, gco's own words left out.
///
/// # Errors
/// What reading said.
pub fn plain_tail<S: ReadAt + ?Sized>(source: &S) -> io::Result<Vec<String>> {
    let found = last(source, &Wanted::FOR_RECORD)?;
    Ok(found.lines.iter().map(|line| text::plain(&line.payload)).collect())
}

/// A stretch of the log.
struct Span {
    start: u64,
    end: u64,
    cut: bool,
}

/// Looks backwards for the stretch that holds the wanted lines.
fn find<S: ReadAt + ?Sized>(source: &S, wanted: &Wanted) -> io::Result<Span> {
    let size = source.size()?;
    let mut tally = Tally::new(wanted);
    // The newline that ends the line looked at, and the last one in the log.
    let mut newline = None;
    let mut last_newline = None;
    let mut upper = size;
    let mut block = FIRST_BLOCK;
    let mut cut = false;
    // What of it is left out, and so not looked at.
    let mut passed = 0;
    let mut gaps = Gaps::default();
    let mut buffer = Vec::new();
    'blocks: while upper > 0 {
        if (size - upper).saturating_sub(passed) >= wanted.look_at_most {
            cut = true;
            break;
        }
        let lower = upper.saturating_sub(block.min(wanted.look_at_most.max(1)));
        let stop = size.min(upper + TAG_ROOM);
        buffer.resize(length(stop - lower), 0);
        if source.read_full(&mut buffer, lower)? < buffer.len() {
            // Somebody cut the log meanwhile. What was there is not any more.
            return Ok(Span { start: 0, end: 0, cut: true });
        }
        let mut gap = None;
        if memchr::memchr(0, &buffer).is_some() {
            gap = gaps.around(source, &(lower..upper))?;
        }
        // Of this block, what is behind.
        let begin = gap.map_or(lower, |gap| gap.end.max(lower) - 1);
        let begin = length(begin.min(upper) - lower);
        for at in memchr::memrchr_iter(b'\n', &buffer[begin..length(upper - lower)]) {
            let at = begin + at;
            let position = lower + at as u64;
            if let Some(newline) = newline
                && !is_hidden(source, &buffer[at + 1..], position + 1, newline)?
            {
                tally.count(tag_of(&buffer[at + 1..], newline - position - 1), position + 1);
            }
            newline = Some(position);
            last_newline = last_newline.or(newline);
            if tally.is_done() {
                break 'blocks;
            }
        }
        upper = lower;
        if let Some(gap) = gap {
            passed = gap.end - gap.begin;
            upper = upper.min(gap.begin);
            newline = None;
        }
        block = (block * 2).min(LARGEST_BLOCK);
    }
    let Some(last_newline) = last_newline else {
        // No line at all; within one, if only the end of it could be looked at.
        let at = if cut { size } else { 0 };
        return Ok(Span { start: at, end: at, cut });
    };
    let end = last_newline + 1;
    if upper == 0 && !tally.is_done() {
        buffer.resize(length(TAG_ROOM.min(end)), 0);
        source.read_full(&mut buffer, 0)?;
        tally.count(tag_of(&buffer, newline.unwrap_or(last_newline)), 0);
    }
    let start = match tally.start {
        // Nothing but the end of one line could be looked at.
        None if cut && newline == Some(last_newline) => upper,
        start => start.unwrap_or(end),
    };
    Ok(Span { start, end, cut })
}

/// Block lengths are small; the conversion cannot lose anything.
fn length(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// The tag of a line of `line_length` bytes that begins as `bytes` does.
fn tag_of(bytes: &[u8], line_length: u64) -> Option<Tag> {
    parse(&bytes[..bytes.len().min(length(line_length))]).map(|(tag, _)| tag)
}

/// Whether the line at `start`, which begins as `bytes` does and ends at `newline`, is the word for a gap that is none yet.
fn is_hidden<S: ReadAt + ?Sized>(source: &S, bytes: &[u8], start: u64, newline: u64) -> io::Result<bool> {
    let may_be = newline + 1 - start == gap::LINE && bytes.starts_with(&gap::BEGIN[..TAG_ROOM as usize]);
    Ok(may_be && gap::read(source, start)?.is_some_and(|gap| gap.is_empty()))
}

/// What is known of the line of a stream that was seen last, going backwards.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begin {
    /// There was none yet.
    Unseen,
    /// There may be more parts of it further back.
    Open,
    /// All of it has been seen, and nothing before it is wanted.
    Known,
}

/// Counts lines, going backwards, and says when there are enough.
struct Tally<'w> {
    wanted: &'w Wanted,
    found: usize,
    streams: [Begin; 2],
    /// The earliest piece that is wanted.
    start: Option<u64>,
    /// Lines enough, and nothing more of them within reach.
    out_of_reach: bool,
}

impl<'w> Tally<'w> {
    fn new(wanted: &'w Wanted) -> Self {
        Self { wanted, found: 0, streams: [Begin::Unseen; 2], start: None, out_of_reach: false }
    }

    fn has_enough(&self) -> bool {
        self.found >= self.wanted.lines
    }

    fn is_done(&self) -> bool {
        self.has_enough() && (self.out_of_reach || !self.streams.contains(&Begin::Open))
    }

    /// Takes the log line before the one taken last.
    fn count(&mut self, tag: Option<Tag>, start: u64) {
        let enough = self.has_enough();
        if enough && self.start.is_some_and(|found| found - start > REACH) {
            self.out_of_reach = true;
        }
        if !self.wanted.choice.takes(Origin::of(tag)) {
            return;
        }
        let begin = tag.and_then(Tag::stream).map(|stream| &mut self.streams[stream.index()]);
        match (begin, tag) {
            // A part of a line that was counted by its last piece.
            (Some(Begin::Open), Some(Tag::Part(_))) => {}
            // The end of a line that is one too many.
            (Some(begin), _) if enough => {
                *begin = Begin::Known;
                return;
            }
            (Some(begin), _) => {
                *begin = Begin::Open;
                self.found += 1;
            }
            (None, _) if enough => return,
            (None, _) => self.found += 1,
        }
        self.start = Some(start);
    }
}

#[cfg(test)]
mod tests;
