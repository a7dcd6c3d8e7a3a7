//! The numbers of a log's lines, the first being 1, told from where they begin.
//!
//! Newlines are counted up to [`COUNTED`] bytes into the log. Lines further on have no number, nor have those behind what is
//! [left out](super::gap).

use std::io;

use super::ReadAt;
use super::gap::Gaps;

/// How much of a log newlines are counted in.
pub const COUNTED: u64 = 256 << 20;

/// How much is read at once.
const BLOCK: u64 = 256 << 10;

/// How many newlines there are from `start` to `end`. `None` if some of what was written there is not there any more.
///
/// # Errors
/// What reading said.
pub fn newlines<S: ReadAt + ?Sized>(source: &S, start: u64, end: u64) -> io::Result<Option<u64>> {
    let length = end.saturating_sub(start);
    let mut block = vec![0; usize::try_from(BLOCK.min(length)).unwrap_or(0)];
    let (mut at, mut count) = (start, 0);
    while at < end {
        let room = usize::try_from((end - at).min(BLOCK)).unwrap_or(0);
        let filled = source.read_full(&mut block[..room], at)?;
        if filled == 0 {
            break;
        }
        if memchr::memchr(0, &block[..filled]).is_some()
            && Gaps::default().around(source, &(at..at + filled as u64))?.is_some()
        {
            return Ok(None);
        }
        count += memchr::memchr_iter(b'\n', &block[..filled]).count() as u64;
        at += filled as u64;
    }
    Ok(Some(count))
}

/// Numbers lines. Each costs as much as it is further on than the one before.
#[derive(Debug)]
pub struct Numbers<'s, S: ?Sized> {
    source: &'s S,
    at: u64,
    before: u64,
    /// From here on lines have no number.
    end: u64,
}

impl<'s, S: ReadAt + ?Sized> Numbers<'s, S> {
    /// Of the log `source`.
    #[must_use]
    pub fn new(source: &'s S) -> Self {
        Self::within(source, COUNTED)
    }

    /// The same, with newlines counted only so far.
    #[must_use]
    pub fn within(source: &'s S, counted: u64) -> Self {
        Self { source, at: 0, before: 0, end: counted.saturating_add(1) }
    }

    /// The number of the line that begins at `offset`. `None` where that is too far on to be counted.
    ///
    /// # Errors
    /// What reading said.
    pub fn of(&mut self, offset: u64) -> io::Result<Option<u64>> {
        if offset >= self.end {
            return Ok(None);
        }
        if offset < self.at {
            (self.at, self.before) = (0, 0);
        }
        let Some(count) = newlines(self.source, self.at, offset)? else {
            self.end = offset;
            return Ok(None);
        };
        self.before += count;
        self.at = offset;
        Ok(Some(self.before + 1))
    }
}
