//! Logging what a terminal shows: as the program wrote it, without what it draws on the alternate screen.

use super::{Journal, Source};
use crate::log::terminal::{enters_screen, leaves_screen, tag_shown_lines, unfinished};
use crate::task::Stream;

/// What stands in the log where the alternate screen is entered.
const LEFT_OUT: &str = "what is drawn on the alternate screen is left out here";

/// How what a terminal shows is to be taken.
#[derive(Debug, Clone, Copy)]
pub struct Shown {
    /// The terminal puts a carriage return before each newline.
    pub returns: bool,
    /// What is drawn on the alternate screen is kept as well.
    pub keeps_screen: bool,
    /// All of it, the begin of an open line too.
    pub all: bool,
}

/// The word for `stream`.
fn word(stream: Stream) -> String {
    format!("{}: {LEFT_OUT}", stream.as_str())
}

/// Whether that is the word.
pub(super) fn is_word_of(stream: Stream, found: &[u8]) -> bool {
    found == word(stream).as_bytes()
}

impl Journal {
    /// Stores the whole lines of `bytes`, which are what the terminal of `stream` has shown from the first byte that has not
    /// been taken.
    pub fn store_shown(&mut self, stream: Stream, mut bytes: &[u8], how: Shown) {
        let n = stream.index();
        while !bytes.is_empty() {
            let before = self.taken[n];
            if self.on_screen[n] {
                let left = leaves_screen(bytes);
                let drawn = match &left {
                    Some(left) => left.end,
                    None if how.all => bytes.len(),
                    None => bytes.len() - unfinished(bytes),
                };
                self.on_screen[n] = left.is_none();
                self.pass_over(stream, drawn);
            } else {
                let entered = if how.keeps_screen { None } else { enters_screen(bytes) };
                let text = entered.as_ref().map_or(bytes, |entered| &bytes[..entered.start]);
                let done = self.store_shown_lines(stream, text, how);
                if entered.is_some() || how.all {
                    self.store_part(stream, &text[done..]);
                }
                if let Some(entered) = entered {
                    self.on_screen[n] = true;
                    self.take(Source { stream, shown: entered.len(), written: 0 });
                    self.say(&word(stream));
                }
            }
            let taken = usize::try_from(self.taken[n] - before).unwrap_or(bytes.len());
            if taken == 0 {
                return;
            }
            bytes = &bytes[taken..];
        }
    }

    /// Takes bytes that are not to be in the log.
    fn pass_over(&mut self, stream: Stream, bytes: usize) {
        self.take(Source { stream, shown: bytes, written: 0 });
        self.mark();
    }

    /// Stores whole lines, and gives up to where.
    fn store_shown_lines(&mut self, stream: Stream, bytes: &[u8], how: Shown) -> usize {
        let mut done = 0;
        loop {
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.clear();
            let tagged = tag_shown_lines(stream, &bytes[done..], how.returns, &mut buffer, self.room());
            self.buffer = buffer;
            if tagged.shown == 0 {
                return done;
            }
            self.write_buffer(Some(Source { stream, shown: tagged.shown, written: tagged.written }));
            done += tagged.shown;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervise::control::Control;
    use std::io;
    use std::os::unix::fs::FileExt;

    const HOW: Shown = Shown { returns: true, keeps_screen: false, all: false };

    #[test]
    fn drawings_are_left_out_and_marked_once() -> io::Result<()> {
        let shown = b"one\r\ntw\x1b[?1049hdrawn\r\n\x1b[2Jmore\x1b[?1049lo\r\nthree";
        for step in [1, 2, 7, shown.len()] {
            let mut journal = Journal::unnamed(Control::new()?)?;
            let mut end = 0;
            while end < shown.len() {
                end = (end + step).min(shown.len());
                let from = usize::try_from(journal.taken(Stream::Stderr)).unwrap_or(0);
                journal.store_shown(Stream::Stderr, &shown[from..end], HOW);
            }
            let from = usize::try_from(journal.taken(Stream::Stderr)).unwrap_or(0);
            journal.store_shown(Stream::Stderr, &shown[from..], Shown { all: true, ..HOW });
            let mut log = vec![0; usize::try_from(journal.size()).unwrap_or(0)];
            journal.file().map(|file| file.read_exact_at(&mut log, 0)).transpose()?;
            let word = word(Stream::Stderr);
            let wanted = format!("[stderr] one\n[stderr~] tw\n[gco] {word}\n[stderr] o\n[stderr~] three\n");
            assert_eq!(String::from_utf8_lossy(&log), wanted, "step {step}");
            assert_eq!(journal.taken(Stream::Stderr), shown.len() as u64);
            assert_eq!(journal.written(Stream::Stderr), 4 + 2 + 2 + 5);
        }
        Ok(())
    }
}
