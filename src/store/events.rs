//! The journal of events: what became of each task, for readers who want to be told and not to ask.
//!
//! `.events` has a line of JSON for each event, with the whole record inside. Whoever supervises a task appends to it,
//! in one write and without waiting for anybody. A line begins with a line end of its own, so that one that a full disk
//! or a kill has torn spoils no other; readers pass over what is no event.
//!
//! A journal that has grown large is closed by a last line, the seal, and becomes `.events.old`; the next writer begins a
//! new one. A seal is only ever written beyond the limit: a writer whose line ends before that knows that it is read, and
//! only those beyond it look back. What stands behind a seal counts as not written, for readers and writers alike.
//!
//! Nothing is synced: after a power cut the last events may be missing. The records are the truth.

mod reader;
mod segment;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use memchr::memmem;
use nix::fcntl::OFlag;
use serde_json::Value;

use self::segment::Segment;
use super::{StatusDir, open};
use crate::sys::{lock, time};
use crate::task::record::{MAX_BYTES, field};
use crate::task::{Record, TaskId, timestamp};

pub use self::reader::{Cursor, Reader};

/// The journal that is being written.
pub const NAME: &str = ".events";
/// The one before it.
pub const OLD_NAME: &str = ".events.old";

/// How large a journal grows, in bytes, before a new one is begun.
const LIMIT: u64 = 64 << 20;

/// The longest line that is read: the largest record with what stands around it.
const LONGEST_LINE: usize = MAX_BYTES + 4096;

/// The line that ends a journal.
const SEAL: &[u8] = b"{\"end\":true}";

/// How long the lock for beginning a new journal is waited for. It is held for moments.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often a line is written anew because the journal was ended before it.
const MOST_TRIES: usize = 100;

/// What became of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It waits for its turn.
    Queued,
    /// Its command runs.
    Started,
    /// It is over.
    Ended,
    /// Nobody supervises it any more, and its end is not known.
    Orphaned,
}

impl Kind {
    /// All there are.
    pub const ALL: [Kind; 4] = [Kind::Queued, Kind::Started, Kind::Ended, Kind::Orphaned];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Queued => "queued",
            Kind::Started => "started",
            Kind::Ended => "ended",
            Kind::Orphaned => "orphaned",
        }
    }
}

/// An event, as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Event(Value);

impl Event {
    /// Takes a line for an event. `None` for one that is none: torn, spoiled, or one of the journal's own.
    fn from_line(line: &[u8]) -> Option<Self> {
        if line.first() != Some(&b'{') {
            return None;
        }
        let value: Value = serde_json::from_slice(line).ok()?;
        let is_text = |name: &str| value.get(name).is_some_and(Value::is_string);
        (is_text(EVENT) && is_text(field::TASK_ID)).then_some(Self(value))
    }

    /// The object itself.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// When it was, in seconds since 1970; `None` if it does not say.
    #[must_use]
    pub fn at(&self) -> Option<i64> {
        timestamp::parse(self.0.get(AT)?.as_str()?)
    }

    fn is(&self, kind: Kind, id: &TaskId) -> bool {
        let says = |name: &str, word: &str| self.0.get(name).is_some_and(|value| value == word);
        says(EVENT, kind.as_str()) && says(field::TASK_ID, id.as_str())
    }
}

/// The field of an event that says when it was.
pub const AT: &str = "at";
/// The field that says what it was.
pub const EVENT: &str = "event";

/// The journal of a status directory.
#[derive(Debug, Clone, Copy)]
pub struct Events<'a> {
    dir: &'a StatusDir,
    limit: u64,
}

impl<'a> Events<'a> {
    /// The journal of `dir`. Nothing is opened yet.
    #[must_use]
    pub fn of(dir: &'a StatusDir) -> Self {
        Self { dir, limit: LIMIT }
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &'a StatusDir {
        self.dir
    }

    /// Notes that `kind` has come to pass for task `id`, whose record is now `record`.
    ///
    /// # Errors
    /// What the system says, and what is wrong with a journal that is not what it should be. The event is not noted then.
    pub fn append(&self, kind: Kind, id: &TaskId, record: &Record) -> io::Result<()> {
        let line = line(kind, id, record);
        for _ in 0..MOST_TRIES {
            let mut file = self.open_to_write()?;
            write_whole(&mut file, &line)?;
            // For a file that is appended to, the position is where what was just written ends.
            let end = file.stream_position()?;
            if end <= self.limit || self.begin_anew(&mut file, end - line.len() as u64)? {
                return Ok(());
            }
        }
        Err(io::Error::other("the journal of events is full and cannot be begun anew"))
    }

    /// The same, unless it is noted already: for whoever does not know what a predecessor who died has got to. Whether it
    /// was noted now. This looks through the whole journal.
    ///
    /// # Errors
    /// As for [`Events::append`].
    pub fn append_once(&self, kind: Kind, id: &TaskId, record: &Record) -> io::Result<bool> {
        if self.holds(kind, id)? {
            return Ok(false);
        }
        self.append(kind, id, record).map(|()| true)
    }

    /// Whether it is noted that `kind` has come to pass for task `id`.
    ///
    /// # Errors
    /// A journal that cannot be read.
    pub fn holds(&self, kind: Kind, id: &TaskId) -> io::Result<bool> {
        let finder = memmem::Finder::new(id.as_str());
        let mut reader = Reader::from_start(*self);
        while let Some(line) = reader.next_line()? {
            if finder.find(line).is_some() && Event::from_line(line).is_some_and(|event| event.is(kind, id)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join(NAME)
    }

    fn old_path(&self) -> PathBuf {
        self.dir.path().join(OLD_NAME)
    }

    /// Where a journal ends at the latest, whatever is in it. One that several write at once is sealed long before.
    fn end(&self) -> u64 {
        self.limit.saturating_mul(2)
    }

    /// Opens the journal for appending; makes it if there is none.
    fn open_to_write(&self) -> io::Result<File> {
        for _ in 0..MOST_TRIES {
            match open::regular(self.dir, &self.path(), OFlag::O_RDWR | OFlag::O_APPEND) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let made = self.turn().and_then(|_turn| segment::create(self));
                    match made {
                        // Somebody removed the whole directory under the running task.
                        Err(error) if error.kind() == io::ErrorKind::NotFound => self.dir.restore()?,
                        other => other?,
                    }
                }
                other => return other,
            }
        }
        Err(io::Error::other("the journal of events vanishes as soon as it is made"))
    }

    /// Ends the journal `file`, which has grown beyond the limit, unless somebody has. Whether a line that begins at `begin`
    /// stands before its end.
    fn begin_anew(&self, file: &mut File, begin: u64) -> io::Result<bool> {
        let turn = self.turn();
        let sealed = segment::sealed_at(file, self.limit, self.end())?;
        let counts = sealed.is_none_or(|at| begin < at);
        let ended = turn.and_then(|_turn| {
            if sealed.is_none() {
                write_whole(file, &[b"\n", SEAL, b"\n"].concat())?;
            }
            let meta = file.metadata()?;
            let is_current = fs::symlink_metadata(self.path())
                .is_ok_and(|current| (current.dev(), current.ino()) == (meta.dev(), meta.ino()));
            if is_current {
                fs::rename(self.path(), self.old_path())?;
                segment::create(self)?;
            }
            Ok(())
        });
        // What could not be done for a line that counts is left to the next one: the journal goes on for now.
        if counts { Ok(true) } else { ended.map(|()| false) }
    }

    /// Waits for one's turn to begin a journal: one at a time, or an older number could come after a newer one.
    fn turn(&self) -> io::Result<Option<impl Sized>> {
        lock::take_whole(File::open(self.dir.path())?, PATIENCE)
    }

    /// The journals there are, the older first.
    fn segments(&self) -> io::Result<Vec<Segment>> {
        loop {
            // In this order: if a new one is begun in between, the same one is found twice, and none is missed.
            let current = Segment::open(self, &self.path())?;
            let old = Segment::open(self, &self.old_path())?;
            match (old, current) {
                (Some(old), Some(current)) if old.is_same(&current)? => {}
                (old, current) => return Ok(old.into_iter().chain(current).collect()),
            }
        }
    }
}

/// The line of an event, with the line ends before and after it.
fn line(kind: Kind, id: &TaskId, record: &Record) -> Vec<u8> {
    let mut line = Vec::with_capacity(4096);
    let (at, kind) = (timestamp::format(time::now()), kind.as_str());
    // Neither has anything in it that JSON writes otherwise. Writing to memory cannot fail, nor a map with string keys.
    let _ = write!(line, "\n{{\"{AT}\":\"{at}\",\"{EVENT}\":\"{kind}\",\"task_id\":\"{id}\",\"record\":");
    let _ = serde_json::to_writer(&mut line, record.fields());
    line.extend_from_slice(b"}\n");
    line
}

/// Writes all of `bytes` at once. What is torn stays torn: somebody else's line may stand behind it already.
fn write_whole(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    loop {
        match file.write(bytes) {
            Ok(written) if written == bytes.len() => return Ok(()),
            Ok(_) => return Err(io::Error::from_raw_os_error(libc::ENOSPC)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
