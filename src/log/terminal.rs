//! From what a terminal shows to what the program wrote. Pure.
//!
//! The kernel's terminal layer puts a carriage return before each newline; in the log, lines end as the program wrote them.
//! What is drawn on the alternate screen is no text, and is found here so that it can be left out.

use std::ops::Range;

use super::format::{MAX_PAYLOAD, Tag};
use super::splitter::tag_part;
use crate::task::Stream;
use crate::task::screen::{LONGEST, length};

/// The modes that lead to the alternate screen and back.
const SCREENS: [&[u8]; 3] = [b"47", b"1047", b"1049"];

/// What tagging has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tagged {
    /// So many bytes of what was shown are in the log,
    pub shown: usize,
    /// as so many bytes of the program's.
    pub written: usize,
}

/// Tags the whole lines in `bytes`, as [`tag_lines`](super::splitter::tag_lines) does. With `returns` the terminal has put a
/// carriage return before each newline, which is taken out again.
pub fn tag_shown_lines(
    stream: Stream,
    bytes: &[u8],
    returns: bool,
    out: &mut Vec<u8>,
    room: usize,
) -> Tagged {
    let mut done = Tagged::default();
    for end in memchr::memchr_iter(b'\n', bytes) {
        tag_long(stream, &bytes[..end], out, room, &mut done);
        if out.len() >= room {
            return done;
        }
        let line = &bytes[done.shown..end];
        let line = line.strip_suffix(b"\r").filter(|_| returns).unwrap_or(line);
        out.extend_from_slice(Tag::Line(stream).bytes());
        out.extend_from_slice(line);
        out.push(b'\n');
        done.shown = end + 1;
        done.written += line.len() + 1;
        if out.len() >= room {
            return done;
        }
    }
    tag_long(stream, bytes, out, room, &mut done);
    done
}

/// Tags what the line that begins where `done` ends has beyond one log line's payload.
fn tag_long(stream: Stream, line: &[u8], out: &mut Vec<u8>, room: usize, done: &mut Tagged) {
    while line.len() - done.shown > MAX_PAYLOAD && out.len() < room {
        let mut part = &line[done.shown..done.shown + MAX_PAYLOAD];
        // A carriage return at the end may be the terminal's: it goes with what follows.
        part = part.strip_suffix(b"\r").unwrap_or(part);
        tag_part(stream, part, out);
        done.shown += part.len();
        done.written += part.len();
    }
}

/// Where in `bytes` the alternate screen is entered for the first time.
#[must_use]
pub fn enters_screen(bytes: &[u8]) -> Option<Range<usize>> {
    find(bytes, |sequence| is_switch(sequence, b'h'))
}

/// Where in `bytes` the alternate screen is left for the first time.
#[must_use]
pub fn leaves_screen(bytes: &[u8]) -> Option<Range<usize>> {
    find(bytes, |sequence| is_switch(sequence, b'l') || sequence == b"\x1bc")
}

fn find(bytes: &[u8], is_it: impl Fn(&[u8]) -> bool) -> Option<Range<usize>> {
    memchr::memchr_iter(b'\x1b', bytes).find_map(|at| {
        let length = length(&bytes[at..])?;
        is_it(&bytes[at..at + length]).then_some(at..at + length)
    })
}

/// How many bytes at the end of `bytes` are the begin of a control sequence whose end has not come yet.
#[must_use]
pub fn unfinished(bytes: &[u8]) -> usize {
    let from = bytes.len().saturating_sub(LONGEST);
    match memchr::memrchr(b'\x1b', &bytes[from..]) {
        Some(at) if length(&bytes[from + at..]).is_none() => bytes.len() - from - at,
        _ => 0,
    }
}

fn is_switch(sequence: &[u8], last: u8) -> bool {
    let modes = sequence.strip_prefix(b"\x1b[?").and_then(|rest| rest.strip_suffix(&[last]));
    modes.is_some_and(|modes| modes.split(|&b| b == b';').any(|mode| SCREENS.contains(&mode)))
}

/// Finds out how much of what was shown is in a log, from the log's lines.
#[derive(Debug)]
pub struct Recount<'a> {
    shown: &'a [u8],
    at: usize,
    written: usize,
    on_screen: bool,
}

impl<'a> Recount<'a> {
    /// `shown` is what follows on what the log is known to hold; `on_screen`, whether it begins on the alternate screen.
    #[must_use]
    pub fn new(shown: &'a [u8], on_screen: bool) -> Self {
        Self { shown, at: 0, written: 0, on_screen }
    }

    /// The next line of the stream in the log: its payload's length, and whether its end is the program's.
    pub fn line(&mut self, payload: usize, ends: bool) {
        if std::mem::take(&mut self.on_screen)
            && let Some(left) = leaves_screen(self.rest())
        {
            self.at += left.end;
        }
        self.at += payload;
        self.written += payload + usize::from(ends);
        if ends {
            self.at += if self.rest().starts_with(b"\r\n") { 2 } else { 1 };
        }
        self.at = self.at.min(self.shown.len());
    }

    /// The log says that the alternate screen was entered.
    pub fn screen(&mut self) {
        if let Some(entered) = enters_screen(self.rest()) {
            self.at += entered.end;
            self.on_screen = true;
        }
    }

    /// How many bytes were shown, how many of them are the program's, and whether the alternate screen is on then.
    #[must_use]
    pub fn finish(self) -> (Tagged, bool) {
        (Tagged { shown: self.at, written: self.written }, self.on_screen)
    }

    fn rest(&self) -> &'a [u8] {
        &self.shown[self.at.min(self.shown.len())..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUT: Stream = Stream::Stdout;

    #[test]
    fn lines_end_as_the_program_wrote_them() {
        let mut out = Vec::new();
        let done = tag_shown_lines(OUT, b"a\r\nb\r\r\n\r\n\rc\r\nrest\r", true, &mut out, usize::MAX);
        assert_eq!(out, b"[stdout] a\n[stdout] b\r\n[stdout] \n[stdout] \rc\n");
        assert_eq!(done, Tagged { shown: 13, written: 9 });
        out.clear();
        let done = tag_shown_lines(OUT, b"a\r\nb\n", false, &mut out, usize::MAX);
        assert_eq!((&out[..], done.shown), (&b"[stdout] a\r\n[stdout] b\n"[..], 5));
    }

    #[test]
    fn a_long_line_is_not_cut_before_the_return_that_ends_it() {
        let mut out = Vec::new();
        let long = [vec![b'x'; MAX_PAYLOAD], b"\r\n".to_vec()].concat();
        let done = tag_shown_lines(OUT, &long, true, &mut out, usize::MAX);
        assert_eq!(done, Tagged { shown: long.len(), written: long.len() - 1 });
        assert!(out.starts_with(b"[stdout~] x") && out.ends_with(b"x\n[stdout] \n"));
    }

    #[test]
    fn the_alternate_screen_is_found() {
        assert_eq!(enters_screen(b"ab\x1b[1m\x1b[?1049h..."), Some(6..14));
        assert_eq!(enters_screen(b"\x1b[?1;47h"), Some(0..8));
        assert_eq!(enters_screen(b"\x1b[?2004h\x1b[?1049l\x1b[?1049"), None);
        assert_eq!(leaves_screen(b"x\x1b[?1047ly"), Some(1..9));
        assert_eq!(leaves_screen(b"x\x1bcy"), Some(1..3));
        assert_eq!(
            leaves_screen(&[b"\x1b[".to_vec(), vec![b'1'; 500], b"\x1bc".to_vec()].concat()),
            Some(502..504)
        );
    }

    #[test]
    fn a_sequence_without_its_end_is_waited_for() {
        for (bytes, rest) in
            [(&b"ab\x1b"[..], 1), (b"ab\x1b[?10", 5), (b"ab\x1b[?1049h", 0), (b"", 0), (b"ab", 0)]
        {
            assert_eq!(unfinished(bytes), rest, "{bytes:?}");
        }
        assert_eq!(unfinished(&[b"\x1b[".to_vec(), vec![b'1'; 100]].concat()), 0);
    }

    #[test]
    fn what_a_log_holds_is_counted_again() {
        let shown = b"one\r\ntwo\x1b[?1049hdrawn\x1b[?1049lthree\r\nfour";
        let mut count = Recount::new(shown, false);
        count.line(3, true);
        count.line(3, false);
        count.screen();
        count.line(5, true);
        let (tagged, on_screen) = count.finish();
        assert_eq!((tagged.shown, tagged.written, on_screen), (shown.len() - 4, 13, false));
        let mut count = Recount::new(b"drawn\x1b[?1049lx\n", true);
        count.line(1, true);
        assert_eq!(count.finish(), (Tagged { shown: 15, written: 2 }, false));
    }
}
