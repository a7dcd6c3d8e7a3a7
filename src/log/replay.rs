//! A log from an offset on, entry by entry, in constant memory.
//!
//! An entry is one log line. What is no log of gco's may have longer lines than there can be
//! ([`MAX_LINE`]); those come in several entries, of which all but the first continue the one before.
//! A line whose newline has not been written yet is no entry: whoever writes it is in the middle of it, or died
//! there and a successor will take it back. So nothing of it is remembered, and it is read again next time.
//!
//! What is [left out](super::gap) of a log is passed over, and is an entry of gco's that says so: also where it was left out
//! while the log was being read.

use std::io;

use super::ReadAt;
use super::format::{MAX_LINE, Tag, parse};
use super::gap::{self, Gap, Gaps, LeftOut};

/// How much is read at once.
const BLOCK: usize = 256 * 1024;

/// One log line, or a piece of one that is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Whose it is; `None` for a line without a tag.
    pub tag: Option<Tag>,
    /// What stands behind the tag.
    pub payload: &'a [u8],
    /// Whether a line of the command, of gco or of another tool ends with it. Not after a part.
    pub ends: bool,
    /// Where in the log it begins.
    pub offset: u64,
    /// It stands for what is not in the log.
    pub left_out: Option<LeftOut>,
}

/// A place in a log, and what has been read ahead of it.
#[derive(Debug)]
pub struct Replay {
    buffer: Vec<u8>,
    /// What in the buffer is read and not yet handed out.
    from: usize,
    filled: usize,
    /// Where in the log the buffer begins.
    base: u64,
    /// Where in the log to stop.
    stop: u64,
    /// Within a line that is too long: its tag.
    within: Option<Option<Tag>>,
    gaps: Gaps,
    /// What has been met that is left out, and not been told of.
    ahead: Option<Ahead>,
}

/// What is left out, and where the log goes on.
#[derive(Debug, Clone, Copy)]
struct Ahead {
    end: u64,
    left_out: LeftOut,
}

/// An entry in the buffer.
pub(super) struct Found {
    length: usize,
    newline: bool,
    /// It is the words for what is left out from this offset on.
    left_out: Option<(u64, LeftOut)>,
}

impl Replay {
    /// Begins at `offset`, the start of a log line.
    #[must_use]
    pub fn from(offset: u64) -> Self {
        Self::between(offset, u64::MAX)
    }

    /// Begins at `offset`, the start of a log line, and ends at `stop`.
    #[must_use]
    pub fn between(offset: u64, stop: u64) -> Self {
        Self {
            buffer: Vec::new(),
            from: 0,
            filled: 0,
            base: offset,
            stop,
            within: None,
            gaps: Gaps::default(),
            ahead: None,
        }
    }

    /// Where in the log the next entry begins.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.base + self.from as u64
    }

    /// The next entry. `None` if it is not there yet; it may be later.
    ///
    /// # Errors
    /// What reading said.
    pub fn next<S: ReadAt + ?Sized>(&mut self, source: &S) -> io::Result<Option<Entry<'_>>> {
        Ok(self.look_for(source)?.map(|found| self.take(found)))
    }

    /// Reads until the next entry is in the buffer. `None` if it is not there yet.
    pub(super) fn look_for<S: ReadAt + ?Sized>(&mut self, source: &S) -> io::Result<Option<Found>> {
        let mut searched = 0;
        loop {
            if let Some(ahead) = self.ahead.take() {
                return Ok(Some(self.pass_over(ahead)));
            }
            let rest = &self.buffer[self.from..self.filled];
            if let Some(at) = memchr::memchr(b'\n', &rest[searched..]) {
                let length = searched + at;
                if self.within.is_none() && gap::is_word(&rest[..=length]) {
                    match gap::read(source, self.position())? {
                        Some(gap) if gap.is_empty() => {
                            self.from += length + 1;
                            searched = 0;
                            continue;
                        }
                        gap => self.ahead = gap.map(|gap| Ahead::of(&gap, gap.begin)),
                    }
                    if self.ahead.is_some() {
                        continue;
                    }
                }
                return Ok(Some(Found { length, newline: true, left_out: None }));
            }
            if rest.len() >= MAX_LINE {
                if self.within.is_none() && rest.iter().all(|&byte| byte == 0) {
                    self.ahead = Some(self.measure_hole(source)?);
                    continue;
                }
                return Ok(Some(Found { length: rest.len(), newline: false, left_out: None }));
            }
            searched = rest.len();
            if !self.read_on(source)? {
                self.forget();
                return Ok(None);
            }
            // What was there may have been left out meanwhile.
            searched = searched.min(self.filled - self.from);
        }
    }

    /// Hands out what [`look_for`](Self::look_for) has just found.
    pub(super) fn take(&mut self, found: Found) -> Entry<'_> {
        let Found { length, newline, left_out } = found;
        if let Some((offset, left_out)) = left_out {
            let words = &self.buffer[self.from..self.from + length];
            self.from += length;
            let left_out = Some(left_out);
            return Entry { tag: Some(Tag::Gco), payload: words, ends: true, offset, left_out };
        }
        let offset = self.position();
        let line = &self.buffer[self.from..self.from + length];
        let (tag, payload) = match self.within {
            Some(tag) => (tag, line),
            None => parse(line).map_or((None, line), |(tag, payload)| (Some(tag), payload)),
        };
        self.within = if newline { None } else { Some(tag) };
        self.from += length + usize::from(newline);
        let ends = newline && !matches!(tag, Some(Tag::Part(_)));
        Entry { tag, payload, ends, offset, left_out: None }
    }

    /// Goes to where the log goes on, with the words for what is not there in the buffer.
    fn pass_over(&mut self, ahead: Ahead) -> Found {
        let offset = self.position();
        let words = ahead.left_out.words();
        self.buffer.clear();
        self.buffer.extend_from_slice(words.as_bytes());
        (self.from, self.filled, self.within) = (0, words.len(), None);
        self.base = ahead.end - words.len() as u64;
        Found { length: words.len(), newline: false, left_out: Some((offset, ahead.left_out)) }
    }

    /// Goes on to the end of NULs of which no word tells: what a power cut, or another tool, has left.
    fn measure_hole<S: ReadAt + ?Sized>(&self, source: &S) -> io::Result<Ahead> {
        let mut block = vec![0; BLOCK];
        let begin = self.position();
        let mut end = begin;
        let mut is_hole = true;
        while end < self.stop {
            let count = source.read_some(&mut block, end)?;
            let skipped =
                if is_hole { block[..count].iter().take_while(|&&byte| byte == 0).count() } else { 0 };
            is_hole &= skipped == count;
            if let Some(at) = memchr::memchr(b'\n', &block[skipped..count]) {
                end += (skipped + at) as u64 + 1;
                break;
            }
            end += count as u64;
            if count == 0 {
                break;
            }
        }
        Ok(Ahead { end, left_out: LeftOut { bytes: end - begin, streams: None } })
    }

    /// Gives up what was read ahead.
    fn forget(&mut self) {
        self.base += self.from as u64;
        self.from = 0;
        self.filled = 0;
    }

    /// Reads more behind what there is. `false` if there is no more.
    fn read_on<S: ReadAt + ?Sized>(&mut self, source: &S) -> io::Result<bool> {
        self.buffer.resize(BLOCK, 0);
        self.buffer.copy_within(self.from..self.filled, 0);
        self.filled -= self.from;
        self.base += self.from as u64;
        self.from = 0;
        let at = self.base + self.filled as u64;
        let room =
            (BLOCK - self.filled).min(usize::try_from(self.stop.saturating_sub(at)).unwrap_or(usize::MAX));
        let count = source.read_some(&mut self.buffer[self.filled..self.filled + room], at)?;
        let read = at..at + count as u64;
        self.filled += count;
        if memchr::memchr(0, &self.buffer[self.filled - count..self.filled]).is_some()
            && let Some(gap) = self.gaps.around(source, &read)?
        {
            if self.base < gap.begin {
                // Up to the word.
                self.filled = usize::try_from(gap.begin - self.base).unwrap_or(0);
            } else {
                self.ahead = Some(Ahead::of(&gap, self.base));
            }
        }
        Ok(count > 0)
    }
}

impl Ahead {
    /// What one who has read up to `place` is told of `gap`.
    fn of(gap: &Gap, place: u64) -> Self {
        Self { end: gap.end, left_out: gap.behind(place) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Stream;

    type Seen = (Option<Tag>, Vec<u8>, bool, u64);

    fn all(replay: &mut Replay, log: &[u8]) -> io::Result<Vec<Seen>> {
        let mut seen = Vec::new();
        while let Some(entry) = replay.next(log)? {
            seen.push((entry.tag, entry.payload.to_vec(), entry.ends, entry.offset));
        }
        Ok(seen)
    }

    #[test]
    fn entries_come_as_they_are_completed() -> io::Result<()> {
        let mut replay = Replay::from(0);
        let mut log = b"[stdout] a\n[stderr~] b\nplain\n[std".to_vec();
        let expected = vec![
            (Some(Tag::Line(Stream::Stdout)), b"a".to_vec(), true, 0),
            (Some(Tag::Part(Stream::Stderr)), b"b".to_vec(), false, 11),
            (None, b"plain".to_vec(), true, 23),
        ];
        assert_eq!(all(&mut replay, &log)?, expected);
        assert_eq!(replay.position(), 29);
        // The torn end is taken back and something else is written in its place.
        log.truncate(29);
        log.extend_from_slice(b"[gco] x\n");
        assert_eq!(all(&mut replay, &log)?, [(Some(Tag::Gco), b"x".to_vec(), true, 29)]);
        assert_eq!(all(&mut replay, b"")?, []);
        Ok(())
    }

    #[test]
    fn the_longest_line_is_one_entry_and_longer_ones_are_several() -> io::Result<()> {
        let mut log = b"[stdout~] ".to_vec();
        log.resize(MAX_LINE - 1, b'x');
        log.extend_from_slice(b"\n[stderr] ");
        log.resize(log.len() + 3 * MAX_LINE, b'y');
        log.extend_from_slice(b"\n[stdout] z\n");
        let seen = all(&mut Replay::from(0), &log)?;
        assert_eq!(seen[0].1.len(), MAX_LINE - 11);
        assert_eq!(seen.last().map(|last| &last.1[..]), Some(&b"z"[..]));
        let long = &seen[1..seen.len() - 1];
        assert!(long.len() > 1);
        assert!(long.iter().all(|entry| entry.0 == Some(Tag::Line(Stream::Stderr))));
        assert_eq!(long.iter().map(|entry| entry.1.len()).sum::<usize>(), 3 * MAX_LINE);
        assert_eq!(long.iter().filter(|entry| entry.2).count(), 1);
        Ok(())
    }

    #[test]
    fn it_stops_where_it_was_told_to() -> io::Result<()> {
        let log = b"[stdout] a\n[stdout] b\n";
        assert_eq!(all(&mut Replay::between(11, 22), log)?.len(), 1);
        assert_eq!(all(&mut Replay::between(0, 11), log)?.len(), 1);
        assert_eq!(all(&mut Replay::between(0, 10), log)?.len(), 0);
        Ok(())
    }
}
