//! Taking up a log that a supervisor has left: what is in it after its last checkpoint, and what has to be mended.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};

use nix::fcntl::OFlag;

use super::clock::Clock;
use super::shown::is_word_of;
use super::{Journal, ROOM, Source};
use crate::log::format::{MAX_PAYLOAD, Tag, parse};
use crate::log::terminal::{Recount, Tagged};
use crate::store::{StatusDir, open};
use crate::supervise::progress::Checkpoint;
use crate::task::{Stream, TaskId};

/// The most that a predecessor can have written after its last checkpoint: one buffer.
const MOST_UNCOUNTED: u64 = (ROOM + 2 * MAX_PAYLOAD) as u64 + (64 << 10);

impl Journal {
    /// Takes up a predecessor's log: finds the file, mends its end, counts what is in it.
    /// `shown` is what each stream that comes by a terminal has after the checkpoint.
    ///
    /// # Errors
    /// What reading or mending it said. The journal then goes on as if nothing had been written after the
    /// checkpoint.
    pub fn recover(
        &mut self,
        place: Option<(&StatusDir, &TaskId)>,
        shown: [Option<&[u8]>; 2],
    ) -> io::Result<()> {
        let Checkpoint { log_len, taken, written, on_screen } = self.control.checkpoint();
        self.len = log_len;
        self.taken = taken;
        self.written = written;
        self.on_screen = on_screen;
        if self.file.is_none() {
            return Ok(());
        }
        if let Some((dir, id)) = place {
            self.clock = Clock::take_up(dir, id);
            // The predecessor may have put a vanished log back, under a new inode.
            let wanted = self.control.log_file();
            let known = |file: &File| file.metadata().is_ok_and(|meta| (meta.dev(), meta.ino()) == wanted);
            if !self.file.as_ref().is_some_and(known)
                && let Ok(file) = open::regular(dir, &dir.log(id), OFlag::O_RDWR | OFlag::O_APPEND)
                && known(&file)
            {
                self.file = Some(file);
            }
        }
        let Some(file) = &self.file else { return Ok(()) };
        let size = file.metadata()?.len();
        if size <= log_len {
            self.len = size;
            self.recover_limit(&[], size);
            return Ok(());
        }
        let mut rest = vec![0; usize::try_from((size - log_len).min(MOST_UNCOUNTED)).unwrap_or(0)];
        file.read_exact_at(&mut rest, log_len)?;
        let whole = memchr::memrchr(b'\n', &rest).map_or(0, |at| at + 1);
        self.len = log_len + whole as u64;
        for stream in Stream::BOTH {
            let n = stream.index();
            let mut source = Source::plain(stream, 0);
            if let Some(shown) = shown[n] {
                let counted = recount(stream, &rest[..whole], Recount::new(shown, on_screen[n]));
                (source.shown, source.written) = (counted.0.shown, counted.0.written);
                self.on_screen[n] = counted.1;
            } else {
                source.shown = usize::try_from(count(&rest[..whole])[n]).unwrap_or(0);
                source.written = source.shown;
            }
            self.take(source);
        }
        self.recover_limit(&rest[..whole], log_len);
        let torn = self.file.as_ref().filter(|_| size > self.len);
        let mended = torn.map_or(Ok(()), |file| file.set_len(self.len));
        self.mark();
        mended
    }
}

/// The whole log lines in `lines`.
fn entries(lines: &[u8]) -> impl Iterator<Item = (Tag, &[u8])> {
    let whole = lines.split_inclusive(|&b| b == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
    whole.filter_map(parse)
}

/// How many bytes of each stream the whole log lines in `lines` stand for.
pub(super) fn count(lines: &[u8]) -> [u64; 2] {
    let mut bytes = [0; 2];
    for (tag, payload) in entries(lines) {
        match tag {
            Tag::Line(stream) => bytes[stream.index()] += payload.len() as u64 + 1,
            Tag::Part(stream) => bytes[stream.index()] += payload.len() as u64,
            Tag::Gco => {}
        }
    }
    bytes
}

/// What the whole log lines in `lines` stand for of a stream that came by a terminal.
fn recount(stream: Stream, lines: &[u8], mut known: Recount<'_>) -> (Tagged, bool) {
    for (tag, payload) in entries(lines) {
        match tag {
            Tag::Line(of) if of == stream => known.line(payload.len(), true),
            Tag::Part(of) if of == stream => known.line(payload.len(), false),
            Tag::Gco if is_word_of(stream, payload) => known.screen(),
            _ => {}
        }
    }
    known.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervise::control::Control;

    #[test]
    fn a_successor_finds_out_what_the_log_holds() -> io::Result<()> {
        let control = Control::new()?;
        let mut journal = Journal::absent(control);
        journal.adopt(tempfile::tempfile()?)?;
        journal.store_lines(Stream::Stdout, b"one\ntwo\n");
        journal.store_part(Stream::Stderr, b"pro");
        let counted = journal.size();
        // Written and not yet marked when the process was killed, the last line torn.
        let more = b"[stderr] mpt\n[gco] a word\n[stdout] three\n[stdou";
        journal.file().map(|mut file| file.write_all_at_end(more)).transpose()?;
        let file = journal.file.take();

        let mut next = Journal::absent(control);
        next.file = file;
        next.recover(None, [None; 2])?;
        assert_eq!(next.taken, [8 + 6, 3 + 4]);
        assert_eq!(next.size(), counted + more.len() as u64 - 6);
        assert_eq!(next.file().map(|f| f.metadata().map(|m| m.len())).transpose()?, Some(next.size()));
        assert_eq!(
            control.checkpoint(),
            Checkpoint {
                log_len: next.size(),
                taken: next.taken,
                written: next.taken,
                ..Checkpoint::default()
            }
        );
        Ok(())
    }

    trait WriteAtEnd {
        fn write_all_at_end(&mut self, bytes: &[u8]) -> io::Result<()>;
    }

    impl WriteAtEnd for &File {
        fn write_all_at_end(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.write_all_at(bytes, self.metadata()?.len())
        }
    }
}
