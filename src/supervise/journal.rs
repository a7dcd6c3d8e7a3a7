//! The log as the supervisor writes it: nothing twice, nothing torn, and what could not be written
//! counted and said.
//!
//! After each write the checkpoint says how far the log is. A successor reads on from there, cuts off a
//! torn line, counts what is whole, and knows which bytes the log lacks. A full disk costs lines of the
//! log, never the command: bytes that cannot be written are given up at once, and a `[gco]` line
//! tells how many as soon as there is room for it. A log that has reached its [limit](LogLimit) lets go of its middle.

mod clock;
mod limit;
mod recover;
mod restore;
mod shown;

pub use limit::LogLimit;
pub use shown::Shown;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use self::clock::Clock;
use self::recover::count;
use super::control::Control;
use super::progress::Checkpoint;
use crate::failure::io_words;
use crate::log::last::plain_tail;
use crate::log::splitter::{tag_lines, tag_part, tag_word};
use crate::store::StatusDir;
use crate::task::{Stream, TaskId};

/// How much is written at once, about: the tagged copy should stay in the processor's cache.
const ROOM: usize = 192 << 10;

/// How much of what could not be written is remembered for the record's last lines.
const MOST_UNWRITTEN: usize = 64 << 10;

/// The log of a task, open for appending; or nothing, if the task is not tracked.
#[derive(Debug)]
pub struct Journal {
    file: Option<File>,
    /// When it was written.
    clock: Clock,
    control: Control,
    len: u64,
    taken: [u64; 2],
    /// What of that the command wrote.
    written: [u64; 2],
    /// Which streams show the alternate screen, where they are taken to.
    on_screen: [bool; 2],
    buffer: Vec<u8>,
    /// Bytes given up that no `[gco]` line has told of yet, and why.
    unsaid: [u64; 2],
    reason: Option<String>,
    /// The end of what could not be written: the last lines are not in the file then.
    unwritten: Vec<u8>,
    is_missed: bool,
    /// A word to be put in before the next output, if there is any.
    before_more: Option<String>,
    limit: Option<LogLimit>,
}

impl Journal {
    /// No log: bytes are only counted.
    #[must_use]
    pub fn absent(control: Control) -> Self {
        Self {
            file: None,
            clock: Clock::default(),
            control,
            len: 0,
            taken: [0; 2],
            written: [0; 2],
            on_screen: [false; 2],
            buffer: Vec::new(),
            unsaid: [0; 2],
            reason: None,
            unwritten: Vec::new(),
            is_missed: false,
            before_more: None,
            limit: None,
        }
    }

    /// A log that should be there and is not: all that comes counts as lost.
    #[must_use]
    pub fn missing(control: Control) -> Self {
        Self { is_missed: true, ..Self::absent(control) }
    }

    /// A log without a name, for a task that is not tracked and whose output is wanted later.
    ///
    /// # Errors
    /// What the system says of its place for temporary files.
    pub fn unnamed(control: Control) -> io::Result<Self> {
        let mut journal = Self::absent(control);
        journal.adopt(tempfile::tempfile()?)?;
        Ok(journal)
    }

    /// A new log for task `id`, whose record is there already.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(dir: &StatusDir, id: &TaskId, control: Control) -> io::Result<Self> {
        let path = dir.log(id);
        let make = || {
            OpenOptions::new()
                .read(true)
                .append(true)
                .create_new(true)
                .mode(0o600)
                .custom_flags(libc::O_NOFOLLOW)
                .open(&path)
        };
        let file = match make() {
            // The id is this task's alone, so whatever bears its name is not a log.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(&path)?;
                make()?
            }
            other => other?,
        };
        let mut journal = Self { clock: Clock::of(dir, id), ..Self::absent(control) };
        journal.adopt(file)?;
        Ok(journal)
    }

    /// A log that is there, whose supervisor is gone with all it knew. What is in it is for [`recover`](Self::recover).
    ///
    /// # Errors
    /// What the system says.
    pub fn taken_up(file: File, control: Control) -> io::Result<Self> {
        let mut journal = Self::absent(control);
        journal.adopt(file)?;
        Ok(journal)
    }

    fn adopt(&mut self, file: File) -> io::Result<()> {
        let meta = file.metadata()?;
        self.control.set_log_file(meta.dev(), meta.ino());
        self.file = Some(file);
        Ok(())
    }

    /// How many bytes of `stream` are in the log, or were given up.
    #[must_use]
    pub fn taken(&self, stream: Stream) -> u64 {
        self.taken[stream.index()]
    }

    /// How many of them the command wrote: without what its terminal added, and what was drawn on the alternate screen.
    #[must_use]
    pub fn written(&self, stream: Stream) -> u64 {
        self.written[stream.index()]
    }

    /// The log's length in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.len
    }

    /// The log, if there is one.
    #[must_use]
    pub fn file(&self) -> Option<&File> {
        self.file.as_ref()
    }

    /// Why the log lacks something right now.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.reason.as_deref().or(self.why_stopped())
    }

    /// Stores the whole lines of `bytes`, which are `stream`'s from the first that has not been taken. What is left
    /// is the begin of a line.
    pub fn store_lines(&mut self, stream: Stream, mut bytes: &[u8]) {
        if self.counts_only() {
            self.take(Source::plain(stream, bytes.len()));
            self.mark();
            return;
        }
        loop {
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.clear();
            let taken = tag_lines(stream, bytes, &mut buffer, self.room());
            self.buffer = buffer;
            if taken == 0 {
                return;
            }
            self.write_buffer(Some(Source::plain(stream, taken)));
            bytes = &bytes[taken..];
        }
    }

    /// Stores `bytes`, the begin of an open line, as a part.
    pub fn store_part(&mut self, stream: Stream, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.buffer.clear();
        tag_part(stream, bytes, &mut self.buffer);
        self.write_buffer(Some(Source::plain(stream, bytes.len())));
    }

    /// There is no log, and none is missed.
    fn counts_only(&self) -> bool {
        self.file.is_none() && !self.is_missed
    }

    /// Puts in a word of gco's own.
    pub fn say(&mut self, word: &str) {
        self.buffer.clear();
        tag_word(word, &mut self.buffer);
        self.write_buffer(None);
    }

    /// Puts in a word of gco's own before the next output, if any comes.
    pub fn say_before_more(&mut self, word: &str) {
        self.before_more = Some(word.to_owned());
    }

    /// Makes sure that what is in the log survives a power cut.
    ///
    /// # Errors
    /// What the disk says.
    pub fn sync(&mut self) -> io::Result<()> {
        self.say_what_was_lost();
        self.say_what_came_after();
        match &self.file {
            Some(file) if self.len > 0 => file.sync_data(),
            _ => Ok(()),
        }
    }

    /// Writes the buffer, which holds `source`'s bytes or a word, and moves the checkpoint.
    fn write_buffer(&mut self, source: Option<Source>) {
        if source.is_some() && (self.reason.is_some() || self.before_more.is_some()) {
            // First things first: if there is room again, what was lost stands where it is missing.
            let buffer = std::mem::take(&mut self.buffer);
            self.say_what_was_lost();
            if let Some(word) = self.before_more.take() {
                self.say(&word);
            }
            self.buffer = buffer;
        }
        if !self.make_room_for_buffer()
            && let Some(source) = source
        {
            self.give_up(source);
            return;
        }
        let Some(file) = &mut self.file else {
            if let Some(source) = source {
                self.take(source);
                if self.is_missed {
                    self.control.count_lost(source.written as u64);
                    self.remember_unwritten(0);
                }
            }
            self.mark();
            return;
        };
        self.clock.note(self.len);
        let (written, result) = write_most(file, &self.buffer);
        let mut kept = written;
        if let Err(error) = result {
            kept = memchr::memrchr(b'\n', &self.buffer[..written]).map_or(0, |at| at + 1);
            if kept < written {
                // A torn line must not stay. If even this fails, a reader sees a line cut short.
                let _ = file.set_len(self.len + kept as u64);
            }
            if let Some(Source { stream, written, .. }) = source {
                let stored = count(&self.buffer[..kept])[stream.index()];
                let lost = (written as u64).saturating_sub(stored);
                self.unsaid[stream.index()] += lost;
                self.control.count_lost(lost);
            }
            self.reason = Some(io_words(&error));
            self.remember_unwritten(kept);
        } else if source.is_some() {
            self.unwritten.clear();
        }
        self.len += kept as u64;
        if let Some(source) = source {
            self.take(source);
        }
        self.mark();
        self.note_place();
    }

    /// Makes room for the buffer. `false` if there is none.
    fn make_room_for_buffer(&mut self) -> bool {
        let buffer = std::mem::take(&mut self.buffer);
        let has_room = self.make_room(buffer.len());
        self.buffer = buffer;
        has_room
    }

    fn remember_unwritten(&mut self, from: usize) {
        self.unwritten.extend_from_slice(&self.buffer[from..]);
        let excess = self.unwritten.len().saturating_sub(MOST_UNWRITTEN);
        self.unwritten.drain(..excess);
    }

    /// The last lines as the record shows them.
    #[must_use]
    pub fn tail(&self) -> Vec<String> {
        let lines = match &self.file {
            _ if !self.unwritten.is_empty() => plain_tail(&self.unwritten[..]),
            Some(file) => plain_tail(file),
            None => return Vec::new(),
        };
        // A log that cannot be read has no last lines to show; that it cannot is said elsewhere.
        lines.unwrap_or_default()
    }

    fn say_what_was_lost(&mut self) {
        let Some(reason) = self.reason.take() else { return };
        let [out, err] = std::mem::take(&mut self.unsaid);
        if out + err == 0 {
            return;
        }
        let word = format!("{out} bytes of stdout and {err} bytes of stderr are missing here: {reason}");
        self.say(&word);
        if self.reason.is_some() {
            // Still no room.
            self.unsaid = [out, err];
        }
    }

    fn take(&mut self, source: Source) {
        self.taken[source.stream.index()] += source.shown as u64;
        self.written[source.stream.index()] += source.written as u64;
    }

    fn mark(&self) {
        let Self { taken, written, on_screen, .. } = *self;
        self.control.set_checkpoint(Checkpoint { log_len: self.len, taken, written, on_screen });
    }
}

/// What a buffer of log lines stands for.
#[derive(Debug, Clone, Copy)]
struct Source {
    stream: Stream,
    /// So many bytes of the stream as gco got it,
    shown: usize,
    /// and as the command wrote it.
    written: usize,
}

impl Source {
    /// Bytes that are as the command wrote them.
    fn plain(stream: Stream, bytes: usize) -> Self {
        Self { stream, shown: bytes, written: bytes }
    }
}

/// Writes as much of `bytes` as there is room for.
fn write_most(file: &mut File, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..]) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn a_full_disk_is_counted_and_said() -> io::Result<()> {
        let control = Control::new()?;
        let mut journal = Journal::absent(control);
        // Every write to it fails as on a full disk.
        journal.file = Some(OpenOptions::new().read(true).write(true).open("/dev/full")?);
        journal.store_lines(Stream::Stdout, b"one\ntwo\n");
        journal.store_part(Stream::Stderr, b"x");
        assert_eq!(journal.taken, [8, 1], "what cannot be kept is given up");
        assert_eq!(control.lost(), 9);
        assert!(journal.trouble().is_some());
        // There is room again.
        journal.file = Some(tempfile::tempfile()?);
        journal.store_lines(Stream::Stdout, b"three\n");
        let mut log = String::new();
        let size = usize::try_from(journal.size()).unwrap_or(0);
        let mut bytes = vec![0; size];
        journal.file().map(|file| file.read_exact_at(&mut bytes, 0)).transpose()?;
        log.push_str(&String::from_utf8_lossy(&bytes));
        assert_eq!(
            log,
            "[gco] 8 bytes of stdout and 1 bytes of stderr are missing here: no space left on device\n[stdout] three\n"
        );
        assert!(journal.trouble().is_none());
        Ok(())
    }
}
