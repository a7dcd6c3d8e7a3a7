//! The file of a waiting line: what is in it, and what the locks on its bytes mean.
//!
//! | bytes | |
//! |---|---|
//! | 0 to 63 | `gco line`, a line end, `limit: ` and the limit, if one is set, in 8 digits |
//! | 64 and up | the ids of those who came, padded with blanks to 143 bytes and a line end |
//!
//! The number of an id there, from 0, is the task's ticket. Locks are on bytes far beyond the end: one that is held in the moment of
//! arrival, so that the order of the entries is that of the locks; one for each ticket as long as it is in line; one
//! for each as long as it has a place. What is written is only there to tell who it is. Whether somebody is in line
//! is told by the locks alone.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use nix::fcntl::OFlag;

use crate::store::{StatusDir, open};
use crate::sys::lock;
use crate::task::TaskId;
use crate::task::line::{LineName, MAX_LIMIT};

/// Held while an entry is appended and its byte taken.
const ARRIVAL: u64 = 1 << 32;
/// With the ticket: held from arrival until the task has a place.
pub const IN_LINE: u64 = 1 << 48;
/// With the ticket: held while the task has a place.
pub const PLACE: u64 = 1 << 49;
/// As far from each of the two as tickets go.
const MOST: u64 = 1 << 48;

const HEADER: u64 = 64;
const ENTRY: u64 = 144;
const TITLE: &str = "gco line\nlimit: ";
const LIMIT_DIGITS: usize = 8;

/// The byte of `ticket` from `base` on.
pub fn byte(base: u64, ticket: u64) -> Range<u64> {
    base + ticket..base + ticket + 1
}

/// The file of a line, open.
#[derive(Debug)]
pub struct LineFile(File);

impl From<File> for LineFile {
    fn from(file: File) -> Self {
        Self(file)
    }
}

fn path(dir: &StatusDir, name: &LineName) -> PathBuf {
    dir.path().join(name.file_name())
}

/// `None` for what is not there.
fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

impl LineFile {
    /// The file of line `name`, for reading; `None` if there is none.
    pub fn open(dir: &StatusDir, name: &LineName) -> io::Result<Option<Self>> {
        Ok(found(open::regular(dir, &path(dir, name), OFlag::empty()))?.map(Self))
    }

    /// The same, for writing.
    pub fn open_existing(dir: &StatusDir, name: &LineName) -> io::Result<Option<Self>> {
        Ok(found(open::regular(dir, &path(dir, name), OFlag::O_RDWR))?.map(Self))
    }

    /// The same, and makes it if it is not there, also where the directory has gone.
    pub fn open_or_make(dir: &StatusDir, name: &LineName) -> io::Result<Self> {
        let make = || {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create_new(true).mode(0o600).open(path(dir, name))
        };
        loop {
            if let Some(file) = Self::open_existing(dir, name)? {
                return Ok(file);
            }
            match make() {
                // Somebody else has just made it.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => dir.restore()?,
                other => return other.map(Self),
            }
        }
    }

    pub fn as_file(&self) -> &File {
        &self.0
    }

    /// Whether the file is still in a directory.
    pub fn is_in_place(&self) -> io::Result<bool> {
        Ok(self.0.metadata()?.nlink() > 0)
    }

    /// Removes the name, which must be this file's: whether it was there.
    pub fn remove(&self, dir: &StatusDir, name: &LineName) -> io::Result<bool> {
        Ok(found(fs::remove_file(path(dir, name)))?.is_some())
    }

    /// Begins the moment of arrival, after those who do the same now.
    pub fn begin_arrival(&self) -> io::Result<()> {
        lock::take_in_turn(&self.0, ARRIVAL..ARRIVAL + 1)
    }

    /// The same, if nobody else does: whether it did.
    pub fn try_arrival(&self) -> bool {
        lock::take(&self.0, ARRIVAL..ARRIVAL + 1).is_ok()
    }

    pub fn end_arrival(&self) -> io::Result<()> {
        lock::release(&self.0, ARRIVAL..ARRIVAL + 1)
    }

    /// Appends `id`, in the moment of arrival, and gives its ticket.
    pub fn append(&self, id: &TaskId) -> io::Result<u64> {
        let mut len = self.0.metadata()?.len();
        if len < HEADER {
            // Only up to the limit, which may be set at this very moment.
            self.0.write_all_at(TITLE.as_bytes(), 0)?;
        }
        if len != HEADER && !self.is_anybody()? {
            self.0.set_len(HEADER)?;
            len = HEADER;
        }
        // An entry that was torn when its writer was killed is left as it is, and belongs to nobody.
        let mut ticket = len.saturating_sub(HEADER).div_ceil(ENTRY);
        for base in [IN_LINE, PLACE] {
            // In a file that somebody has cut, tickets beyond its end are in use.
            let beyond = lock::highest_held(&self.0, base + ticket..base + MOST)?;
            ticket = beyond.map_or(ticket, |held| held - base + 1);
        }
        let entry = format!("{id:<width$}\n", id = id.as_str(), width = ENTRY as usize - 1);
        self.0.write_all_at(entry.as_bytes(), HEADER + ticket * ENTRY)?;
        Ok(ticket)
    }

    /// The id that came with `ticket`.
    pub fn entry(&self, ticket: u64) -> Option<TaskId> {
        let mut bytes = [0; ENTRY as usize];
        let at = ticket.checked_mul(ENTRY)?.checked_add(HEADER)?;
        self.0.read_exact_at(&mut bytes, at).ok()?;
        TaskId::parse(std::str::from_utf8(&bytes).ok()?.trim_end()).ok()
    }

    /// The limit, if one is set.
    pub fn limit(&self) -> Option<u32> {
        let mut digits = [0; LIMIT_DIGITS];
        self.0.read_exact_at(&mut digits, TITLE.len() as u64).ok()?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let limit = std::str::from_utf8(&digits).ok()?.parse().ok()?;
        (1..=MAX_LIMIT).contains(&limit).then_some(limit)
    }

    /// Sets the limit. The digits have a place of their own, eight bytes that are read and written at once.
    pub fn set_limit(&self, limit: u32) -> io::Result<()> {
        if !(1..=MAX_LIMIT).contains(&limit) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("a limit is 1 to {MAX_LIMIT}")));
        }
        if self.limit() == Some(limit) {
            return Ok(());
        }
        self.0.write_all_at(format!("{TITLE}{limit:0LIMIT_DIGITS$}").as_bytes(), 0)
    }

    /// The tickets, from the lowest, whose byte from `base` on somebody else holds. Each is looked up when it is asked for.
    pub fn held(&self, base: u64) -> impl Iterator<Item = io::Result<u64>> {
        let mut from = base;
        std::iter::from_fn(move || {
            let held = lock::lowest_held(&self.0, from..base + MOST).transpose()?;
            // After a failure there is nothing more to be had.
            from = held.as_ref().map_or(base + MOST, |at| at + 1);
            Some(held.map(|at| at - base))
        })
    }

    /// Whether anybody else is in line or has a place.
    fn is_anybody(&self) -> io::Result<bool> {
        let either = lock::any_held(&self.0, IN_LINE..PLACE + MOST)?;
        Ok(either.is_some())
    }

    /// Whether nobody needs the file, as far as this very moment tells.
    pub fn is_unused(&self) -> io::Result<bool> {
        Ok(!self.is_anybody()? && self.limit().is_none())
    }
}
