//! Puts the parts of a line together again.
//!
//! A part is joined with what follows on the same stream, also when lines of the other stream stand
//! between. The joined line has the place of its last piece. Where a piece of the log is [left out](super::gap), what has begun
//! before and what goes on behind are joined with a mark between.

use super::format::Tag;
use super::replay::Entry;
use crate::task::Stream;

/// Whose a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The command's.
    Stream(Stream),
    /// gco's own.
    Gco,
    /// Nobody said: a line without a tag, from another tool's log.
    Untagged,
}

impl Origin {
    /// Whose a log line with `tag` is.
    #[must_use]
    pub fn of(tag: Option<Tag>) -> Self {
        match tag {
            Some(Tag::Line(stream) | Tag::Part(stream)) => Origin::Stream(stream),
            Some(Tag::Gco) => Origin::Gco,
            None => Origin::Untagged,
        }
    }
}

/// Which lines of a log are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// This stream's only, and then nobody else's either.
    pub only: Option<Stream>,
    /// gco's own words as well.
    pub gco: bool,
}

impl Choice {
    /// Every line.
    pub const ALL: Choice = Choice { only: None, gco: true };

    /// Whether lines of `origin` are wanted.
    #[must_use]
    pub fn takes(self, origin: Origin) -> bool {
        match (origin, self.only) {
            (Origin::Stream(stream), Some(only)) => stream == only,
            (Origin::Stream(_), None) => true,
            (Origin::Gco, only) => self.gco && only.is_none(),
            (Origin::Untagged, only) => only.is_none(),
        }
    }
}

/// A line put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Whose it is.
    pub origin: Origin,
    /// The line has ended. If not, only parts of it have been written.
    pub complete: bool,
    /// Its bytes, without the newline.
    pub payload: Vec<u8>,
    /// Where in the log its last piece begins.
    pub log_offset: u64,
}

/// What stands in a line for what is left out of it.
const MARK: &str = " […] ";

/// Puts lines together from entries in the order of the log.
#[derive(Debug)]
pub struct Joiner {
    choice: Choice,
    longest: usize,
    /// The lines that have begun: one a stream, and one without.
    open: [Option<Shown>; 3],
}

impl Joiner {
    /// Of a line longer than `longest` bytes, only that much of its end is kept.
    #[must_use]
    pub fn new(choice: Choice, longest: usize) -> Self {
        Self { choice, longest, open: [None, None, None] }
    }

    /// Takes the next entry, and gives the line that ends with it.
    pub fn push(&mut self, entry: &Entry<'_>) -> Option<Shown> {
        let origin = Origin::of(entry.tag);
        if entry.left_out.is_some() {
            for line in self.open.iter_mut().flatten() {
                line.payload.extend_from_slice(MARK.as_bytes());
            }
        }
        if !self.choice.takes(origin) {
            return None;
        }
        if entry.left_out.is_some() {
            let (payload, log_offset) = (entry.payload.to_vec(), entry.offset);
            return Some(Shown { origin, complete: true, payload, log_offset });
        }
        let open = &mut self.open[slot(origin)];
        let line = open.get_or_insert_with(|| Shown {
            origin,
            complete: false,
            payload: Vec::new(),
            log_offset: entry.offset,
        });
        line.payload.extend_from_slice(entry.payload);
        let excess = line.payload.len().saturating_sub(self.longest);
        line.payload.drain(..excess);
        line.log_offset = entry.offset;
        line.complete = entry.ends;
        if entry.ends { open.take() } else { None }
    }

    /// Takes a line that has begun and not ended, so that its rest is joined to it.
    pub fn resume(&mut self, line: Shown) {
        let slot = slot(line.origin);
        self.open[slot] = Some(line);
    }

    /// The lines that have begun and not ended, in the order of their last pieces. Forgets them.
    pub fn finish(&mut self) -> Vec<Shown> {
        let mut left: Vec<_> = self.open.iter_mut().filter_map(Option::take).collect();
        left.sort_by_key(|line| line.log_offset);
        left
    }
}

/// Lines of each stream are put together apart from all others.
fn slot(origin: Origin) -> usize {
    match origin {
        Origin::Stream(stream) => stream.index(),
        Origin::Gco | Origin::Untagged => 2,
    }
}
