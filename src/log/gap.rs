//! What is left out of the middle of a log that has reached its limit, told from the log itself.
//!
//! Such a log keeps its first part and its newest one, at the offsets they always had. Behind the first part stands a
//! [word](Gap::line) of gco's own, of fixed length, that tells where the log goes on. It is put there, at the end of the log as it is
//! then, when the first part is complete, and changed in place each time that more is left out: first the word, then the
//! bytes, so that whoever finds them gone finds the word right. What is left out reads as NULs up to the newline before
//! the newest part; so also a reader that knows nothing of this, a copy of the file that has no holes, and a file system
//! that tells nobody about holes have all there is.
//!
//! Where the word is follows from nothing but the log's bytes: at the first border of a write behind one of the
//! [lengths](first_part) that a first part can have. A reader that goes through the log comes to it; one that meets NULs
//! [looks for it](Gaps::around).

use std::io;
use std::ops::Range;

use super::ReadAt;
use super::format::MAX_LINE;

/// The smallest limit. Of a smaller log there would be nothing worth having.
pub const SMALLEST_LIMIT: u64 = 1 << 20;

/// The smallest first part.
const SMALLEST: u64 = SMALLEST_LIMIT / 4;

/// The largest.
const LARGEST: u64 = 1 << 44;

/// The word stands no further behind the first part's length than this.
pub const WITHIN: u64 = 512 << 10;

/// What the word's line begins with.
pub const BEGIN: &[u8] = b"[gco] left out here: ";

/// How many digits a number has in it.
const DIGITS: usize = 16;

/// The length of the word's line.
pub const LINE: u64 = 165;

/// How often a word is read that somebody may be changing.
const ATTEMPTS: u32 = 100;

/// What is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Where in the log it begins: behind the word.
    pub begin: u64,
    /// Where the log goes on.
    pub end: u64,
    /// From which byte to which of each stream.
    pub streams: [[u64; 2]; 2],
}

/// What of a log is not there, as one who reads it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeftOut {
    /// So many bytes of the log.
    pub bytes: u64,
    /// How many bytes of each stream come before what is next in the log, if that is known.
    pub streams: Option<[u64; 2]>,
}

impl LeftOut {
    /// The words for it.
    #[must_use]
    pub fn words(&self) -> String {
        words(self.bytes)
    }
}

/// The words for so many bytes.
#[must_use]
pub fn words(bytes: u64) -> String {
    format!("{bytes} bytes of the log are left out here")
}

/// How long the first part of a log is that may have `limit` bytes, about.
#[must_use]
pub fn first_part(limit: u64) -> u64 {
    let quarter = (limit / 4).clamp(SMALLEST, LARGEST);
    1 << quarter.ilog2()
}

impl Gap {
    /// Nothing is left out yet, of a log whose word is to stand at `offset`, behind so many bytes of each stream.
    #[must_use]
    pub fn none(offset: u64, streams: [u64; 2]) -> Self {
        let at = offset + LINE;
        Self { begin: at, end: at, streams: streams.map(|bytes| [bytes; 2]) }
    }

    /// Where the word stands.
    #[must_use]
    pub fn word_at(&self) -> u64 {
        self.begin - LINE
    }

    /// Whether nothing is left out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.end == self.begin
    }

    /// How many bytes of both streams are left out.
    #[must_use]
    pub fn payload(&self) -> u64 {
        self.streams.iter().map(|[from, to]| to.saturating_sub(*from)).sum()
    }

    /// Whether any of these bytes of the log are left out.
    #[must_use]
    pub fn is_in(&self, bytes: &Range<u64>) -> bool {
        !self.is_empty() && bytes.start < self.end && self.begin < bytes.end
    }

    /// What somebody misses who has read up to `place`.
    #[must_use]
    pub fn behind(&self, place: u64) -> LeftOut {
        let bytes = self.end.saturating_sub(place.max(self.begin));
        LeftOut { bytes, streams: Some(self.streams.map(|[_, to]| to)) }
    }

    /// The word, as a line of the log.
    #[must_use]
    pub fn line(&self) -> Vec<u8> {
        let [[out_from, out_to], [err_from, err_to]] = self.streams;
        let numbers = format!(
            "{:0DIGITS$} to {:0DIGITS$} of the log, {out_from:0DIGITS$} to {out_to:0DIGITS$} of stdout, \
             {err_from:0DIGITS$} to {err_to:0DIGITS$} of stderr",
            self.begin, self.end
        );
        [BEGIN, numbers.as_bytes(), b"\n"].concat()
    }

    /// Reads the word from `line`, which is at `offset` and whole.
    #[must_use]
    pub fn parse(line: &[u8], offset: u64) -> Option<Self> {
        if !is_word(line) {
            return None;
        }
        let mut numbers = [0; 6];
        let mut digits = line.split(|byte| !byte.is_ascii_digit()).filter(|word| word.len() == DIGITS);
        for number in &mut numbers {
            *number = std::str::from_utf8(digits.next()?).ok()?.parse().ok()?;
        }
        let [begin, end, out_from, out_to, err_from, err_to] = numbers;
        let gap = Self { begin, end, streams: [[out_from, out_to], [err_from, err_to]] };
        // In a log that was put together from others it is no more than a line.
        (gap.line() == line && begin == offset + LINE && end >= begin).then_some(gap)
    }
}

/// Whether `line` may be the word: whole and of its length.
#[must_use]
pub fn is_word(line: &[u8]) -> bool {
    line.len() as u64 == LINE && line.starts_with(BEGIN) && line.ends_with(b"\n")
}

/// The word at `offset` of `source`, read so that it is not half that which it is being changed to.
///
/// # Errors
/// What reading said.
pub fn read<S: ReadAt + ?Sized>(source: &S, offset: u64) -> io::Result<Option<Gap>> {
    let mut lines = [[0; LINE as usize]; 2];
    for attempt in 0..ATTEMPTS {
        let [one, other] = &mut lines;
        let (line, before) = if attempt % 2 == 0 { (one, other) } else { (other, one) };
        if source.read_full(line, offset)? < line.len() {
            return Ok(None);
        }
        if attempt > 0 && line == before {
            return Ok(Gap::parse(line, offset));
        }
    }
    Ok(None)
}

/// Finds the gap of a log, and remembers where its word is.
#[derive(Debug, Clone, Default)]
pub struct Gaps {
    word: Option<u64>,
    /// Up to where it has been looked for.
    searched: u64,
}

impl Gaps {
    /// The gap of `source`, if it has one of which any is in `bytes`. To be asked only where there is a NUL in them.
    ///
    /// # Errors
    /// What reading said.
    pub fn around<S: ReadAt + ?Sized>(&mut self, source: &S, bytes: &Range<u64>) -> io::Result<Option<Gap>> {
        if self.word.is_none() {
            self.search(source, bytes.end)?;
        }
        let Some(word) = self.word else { return Ok(None) };
        Ok(read(source, word)?.filter(|gap| gap.is_in(bytes)))
    }

    /// Looks for the word before `end`. What is before bytes that have been written stays as it is, so each place is looked
    /// at once when all of it is.
    fn search<S: ReadAt + ?Sized>(&mut self, source: &S, end: u64) -> io::Result<()> {
        let mut length = SMALLEST;
        while length < end && length <= LARGEST && self.word.is_none() {
            if length >= self.searched {
                let (word, goes_on) = find(source, length)?;
                self.word = word;
                if !goes_on {
                    self.searched = u64::MAX;
                } else if length + WITHIN <= end {
                    self.searched = length + 1;
                }
            }
            length *= 2;
        }
        Ok(())
    }
}

/// The gap of `source`, if it has one.
///
/// # Errors
/// What reading said.
pub fn of<S: ReadAt + ?Sized>(source: &S) -> io::Result<Option<Gap>> {
    Gaps::default().around(source, &(0..source.size()?))
}

/// Where the word of `source` stands, if it has one: also if nothing is left out yet.
///
/// # Errors
/// What reading said.
pub fn word_of<S: ReadAt + ?Sized>(source: &S) -> io::Result<Option<u64>> {
    let mut gaps = Gaps::default();
    gaps.search(source, source.size()?)?;
    Ok(gaps.word)
}

/// Where the word stands behind a first part of this length, and whether it may stand further on: before it there is no hole.
fn find<S: ReadAt + ?Sized>(source: &S, length: u64) -> io::Result<(Option<u64>, bool)> {
    // The newline before the first line that could be it.
    let start = length - 1;
    let mut bytes = vec![0; WITHIN as usize + MAX_LINE];
    let mut count = source.read_full(&mut bytes[..=MAX_LINE], start)?;
    if count > MAX_LINE && bytes[1..count].iter().all(|&byte| byte == 0) {
        return Ok((None, false));
    }
    count += source.read_full(&mut bytes[count..], start + count as u64)?;
    for at in memchr::memchr_iter(b'\n', &bytes[..count]) {
        let line = bytes[..count].get(at + 1..at + 1 + LINE as usize).unwrap_or_default();
        let offset = start + at as u64 + 1;
        if is_word(line) && read(source, offset)?.is_some() {
            return Ok((Some(offset), true));
        }
    }
    Ok((None, true))
}

#[cfg(test)]
mod tests;
