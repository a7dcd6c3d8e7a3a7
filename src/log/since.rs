//! What has come into a log since a place in it: whole lines, no more of them than was asked for, and the place behind them.
//!
//! Who goes from place to place gets each line once. A line that alone is more than was asked for is given cut, and told
//! to be: the place moves on with each call that finds a whole line. Where something is [left out](super::gap) of the log, a line
//! says so, the first of its piece.

use std::io;

use super::ReadAt;
use super::format::{MAX_LINE, Tag};
use super::gap::{self, Gap, Gaps};

/// What is put behind a line that was cut.
const CUT: &str = "…\n";

/// How much is read at once where only the end of a line is looked for.
const BLOCK: usize = 64 * 1024;

/// Whole log lines.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Piece {
    /// The lines, tags and newlines included.
    pub bytes: Vec<u8>,
    /// Where the next line begins.
    pub next: u64,
    /// There is a whole line behind these.
    pub more: bool,
    /// How many bytes of the only line were left out because it alone is too long.
    pub left_out: u64,
    /// How many bytes of the log come before these lines and are not there any more.
    pub gap: u64,
}

/// The lines of `source` from `offset` on, the start of a log line, as many as fit in `most` bytes.
///
/// # Errors
/// What reading said.
pub fn since<S: ReadAt + ?Sized>(source: &S, offset: u64, most: u64) -> io::Result<Piece> {
    let there = source.size()?.saturating_sub(offset);
    let mut bytes = vec![0; usize::try_from(there.min(most)).unwrap_or(usize::MAX)];
    let count = source.read_full(&mut bytes, offset)?;
    bytes.truncate(count);
    let Some(gap) = gap_in(source, offset, &bytes)? else { return lines(source, offset, bytes, there) };
    if let Some(before) = gap.word_at().checked_sub(offset).filter(|&before| before > 0) {
        bytes.truncate(usize::try_from(before).unwrap_or(usize::MAX));
        return Ok(Piece { bytes, next: gap.word_at(), more: true, ..Piece::default() });
    }
    if gap.is_empty() {
        return since(source, gap.begin, most);
    }
    let left_out = gap.behind(offset);
    let words = [Tag::Gco.bytes(), left_out.words().as_bytes(), b"\n"].concat();
    let rest = since(source, gap.end, most.saturating_sub(words.len() as u64))?;
    Ok(Piece { bytes: [words, rest.bytes].concat(), gap: left_out.bytes + rest.gap, ..rest })
}

/// The gap that any of `bytes`, which are at `offset` of `source`, is of, or whose word is in them.
fn gap_in<S: ReadAt + ?Sized>(source: &S, offset: u64, bytes: &[u8]) -> io::Result<Option<Gap>> {
    if memchr::memchr(0, bytes).is_some()
        && let Some(gap) = Gaps::default().around(source, &(offset..offset + bytes.len() as u64))?
    {
        return Ok(Some(gap));
    }
    if bytes.starts_with(gap::BEGIN) || gap::BEGIN.starts_with(bytes) {
        // The word may be longer than what was asked for.
        return gap::read(source, offset);
    }
    for at in memchr::memmem::find_iter(bytes, gap::BEGIN) {
        let line = bytes.get(at..at + gap::LINE as usize).unwrap_or_default();
        if bytes[at - 1] == b'\n' && gap::is_word(line) {
            return gap::read(source, offset + at as u64);
        }
    }
    Ok(None)
}

/// The whole lines in `bytes`, which are at `offset` of `source` where so many are `there`.
fn lines<S: ReadAt + ?Sized>(source: &S, offset: u64, mut bytes: Vec<u8>, there: u64) -> io::Result<Piece> {
    let count = bytes.len();
    if let Some(last) = memchr::memrchr(b'\n', &bytes) {
        bytes.truncate(last + 1);
        let next = offset + bytes.len() as u64;
        let more = (count as u64) < there && line_end(source, next)?.is_some();
        return Ok(Piece { bytes, next, more, ..Piece::default() });
    }
    match line_end(source, offset + count as u64)? {
        Some(next) if (count as u64) < there => {
            bytes.truncate(whole_characters(&bytes));
            // The newline is not among what is left out: there is one.
            let left_out = next - 1 - offset - bytes.len() as u64;
            bytes.extend_from_slice(CUT.as_bytes());
            let more = line_end(source, next)?.is_some();
            Ok(Piece { bytes, next, more, left_out, gap: 0 })
        }
        _ => Ok(Piece { next: offset, ..Piece::default() }),
    }
}

/// Whether a line of `source` begins at `offset`, or will; one may have that is not there any more.
///
/// # Errors
/// What reading said.
pub fn is_line_start<S: ReadAt + ?Sized>(source: &S, offset: u64) -> io::Result<bool> {
    let Some(before) = offset.checked_sub(1) else { return Ok(true) };
    let mut byte = [0];
    let count = source.read_full(&mut byte, before)?;
    Ok(match (count, byte) {
        (1, [b'\n']) => true,
        (1, [0]) => Gaps::default().around(source, &(before..offset))?.is_some(),
        _ => false,
    })
}

/// Where the first line of `source` begins at `offset` or behind it; `end`, the log's, if there is none. A line that is too long for
/// a log of gco's is begun in its middle: looking for its end could take for ever.
///
/// # Errors
/// What reading said.
pub fn line_start<S: ReadAt + ?Sized>(source: &S, offset: u64, end: u64) -> io::Result<u64> {
    if is_line_start(source, offset)? {
        return Ok(offset);
    }
    let mut line = vec![0; MAX_LINE];
    let count = source.read_full(&mut line, offset)?;
    Ok(match memchr::memchr(b'\n', &line[..count]) {
        Some(at) => offset + at as u64 + 1,
        None if count == line.len() => offset,
        None => end,
    })
}

/// Where the line ends in which `from` is, behind its newline. `None` if it has not ended.
fn line_end<S: ReadAt + ?Sized>(source: &S, mut from: u64) -> io::Result<Option<u64>> {
    let mut block = vec![0; BLOCK];
    loop {
        let count = source.read_some(&mut block, from)?;
        if count == 0 {
            return Ok(None);
        }
        if let Some(at) = memchr::memchr(b'\n', &block[..count]) {
            return Ok(Some(from + at as u64 + 1));
        }
        from += count as u64;
    }
}

/// How many of `bytes` there are without a character at their end that was cut in two.
fn whole_characters(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &[u8] = b"[stdout] a\n[stderr] b\n[gco] c\n[stdout] to";

    fn text(offset: u64, most: u64) -> io::Result<(String, u64, bool, u64)> {
        let Piece { bytes, next, more, left_out, .. } = since(LOG, offset, most)?;
        Ok((String::from_utf8_lossy(&bytes).into_owned(), next, more, left_out))
    }

    #[test]
    fn whole_lines_are_given_and_none_twice() -> io::Result<()> {
        assert_eq!(text(0, 1000)?, ("[stdout] a\n[stderr] b\n[gco] c\n".into(), 30, false, 0));
        assert_eq!(text(0, 22)?, ("[stdout] a\n[stderr] b\n".into(), 22, true, 0));
        assert_eq!(text(0, 21)?, ("[stdout] a\n".into(), 11, true, 0));
        assert_eq!(text(22, 21)?, ("[gco] c\n".into(), 30, false, 0));
        assert_eq!(text(30, 1000)?, (String::new(), 30, false, 0));
        assert_eq!(text(99, 1000)?, (String::new(), 99, false, 0));
        Ok(())
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_passed() -> io::Result<()> {
        assert_eq!(text(11, 10)?, ("[stderr] b…\n".into(), 22, true, 0));
        assert_eq!(text(11, 9)?, ("[stderr] …\n".into(), 22, true, 1));
        assert_eq!(text(22, 1)?, ("[…\n".into(), 30, false, 6));
        // Not ended: it is not there yet.
        assert_eq!(text(30, 3)?, (String::new(), 30, false, 0));
        let long = [b"[stdout] ", "é".repeat(200_000).as_bytes(), b"\n"].concat();
        let piece = since(&long, 0, 100)?;
        assert_eq!((piece.bytes.len(), piece.next), (99 + 4, 400_010));
        assert_eq!(piece.left_out, 400_009 - 99);
        Ok(())
    }

    #[test]
    fn each_step_goes_on() -> io::Result<()> {
        for most in 1..50 {
            let (mut at, mut steps) = (0, 0);
            loop {
                let piece = since(LOG, at, most)?;
                assert_eq!(piece.bytes.is_empty(), piece.next == at);
                steps += 1;
                at = piece.next;
                if !piece.more {
                    break;
                }
            }
            assert_eq!(at, 30, "{most}");
            assert!(steps <= 3);
        }
        Ok(())
    }

    #[test]
    fn lines_begin_behind_a_newline() -> io::Result<()> {
        let starts: Vec<u64> = (0..60).filter(|&at| is_line_start(LOG, at).is_ok_and(|is| is)).collect();
        assert_eq!(starts, [0, 11, 22, 30]);
        let next: Vec<u64> = [0, 1, 11, 12, 29, 30, 31, 41, 99]
            .into_iter()
            .map(|offset| line_start(LOG, offset, 30))
            .collect::<io::Result<_>>()?;
        assert_eq!(next, [0, 11, 11, 22, 30, 30, 30, 30, 30]);
        assert_eq!(line_start(&vec![b'x'; 2 * MAX_LINE], 7, 0)?, 7);
        Ok(())
    }
}
