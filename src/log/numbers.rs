//! The numbers of a log's lines, the first being 1, told from where they begin.
//!
//! Newlines are counted up to [`COUNTED`] bytes into the log. Lines further on have no number.

use std::io;

use super::ReadAt;

/// How much of a log newlines are counted in.
pub const COUNTED: u64 = 256 << 20;

/// How much is read at once.
const BLOCK: u64 = 256 << 10;

/// How many newlines there are from `start` to `end`.
///
/// # Errors
/// What reading said.
pub fn newlines<S: ReadAt + ?Sized>(source: &S, start: u64, end: u64) -> io::Result<u64> {
    let length = end.saturating_sub(start);
    let mut block = vec![0; usize::try_from(BLOCK.min(length)).unwrap_or(0)];
    let (mut at, mut count) = (start, 0);
    while at < end {
        let room = usize::try_from((end - at).min(BLOCK)).unwrap_or(0);
        let filled = source.read_full(&mut block[..room], at)?;
        if filled == 0 {
            break;
        }
        count += memchr::memchr_iter(b'\n', &block[..filled]).count() as u64;
        at += filled as u64;
    }
    Ok(count)
}

/// Numbers lines. Each costs as much as it is further on than the one before.
#[derive(Debug)]
pub struct Numbers<'s, S: ?Sized> {
    source: &'s S,
    at: u64,
    before: u64,
}

impl<'s, S: ReadAt + ?Sized> Numbers<'s, S> {
    /// Of the log `source`.
    #[must_use]
    pub fn new(source: &'s S) -> Self {
        Self { source, at: 0, before: 0 }
    }

    /// The number of the line that begins at `offset`. `None` where that is too far on to be counted.
    ///
    /// # Errors
    /// What reading said.
    pub fn of(&mut self, offset: u64) -> io::Result<Option<u64>> {
        if offset > COUNTED {
            return Ok(None);
        }
        if offset < self.at {
            (self.at, self.before) = (0, 0);
        }
        self.before += newlines(self.source, self.at, offset)?;
        self.at = offset;
        Ok(Some(self.before + 1))
    }
}
