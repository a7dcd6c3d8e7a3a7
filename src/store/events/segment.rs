//! One file of the journal: its number, and where it ends.
//!
//! It begins with a line that has its number and that of the one before it. Numbers grow, and none is ever used again,
//! also when the directory was removed in between: they are made from the time. So a place in the journal can be
//! kept for as long as one likes, and is never taken for one in another file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use memchr::memmem;
use nix::fcntl::OFlag;
use serde_json::Value;

use super::{Events, SEAL};
use crate::store::open;
use crate::sys::descriptors::is_same;
use crate::sys::time;

/// A journal that is being made.
const NEW_NAME: &str = ".events.new";

/// How much of a file is looked at for its first line.
const LONGEST_HEADER: usize = 256;

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// A file of the journal, open for reading.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) file: File,
    /// Its number; 0 if it does not say one.
    pub(super) number: u64,
    /// The number of the one before it.
    pub(super) previous: Option<u64>,
}

impl Segment {
    /// Opens the one at `path`. `None` if there is none.
    pub(super) fn open(events: &Events<'_>, path: &Path) -> io::Result<Option<Self>> {
        let file = match open::regular(events.dir, path, OFlag::empty()) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let (number, previous) = header(&file)?;
        Ok(Some(Self { file, number, previous }))
    }

    /// Whether both are one and the same file.
    pub(super) fn is_same(&self, other: &Self) -> io::Result<bool> {
        is_same(&self.file, &other.file)
    }
}

fn header(file: &File) -> io::Result<(u64, Option<u64>)> {
    let mut first = [0; LONGEST_HEADER];
    let read = file.read_at(&mut first, 0)?;
    let line = first[..read].split(|&b| b == b'\n').next().unwrap_or_default();
    let value: Value = serde_json::from_slice(line).unwrap_or_default();
    let number = |name: &str| value.get(name).and_then(Value::as_u64);
    Ok((number("segment").unwrap_or(0), number("previous")))
}

/// Makes a new journal, unless there is one. To be called by one at a time.
pub(super) fn create(events: &Events<'_>) -> io::Result<()> {
    if fs::symlink_metadata(events.path()).is_ok() {
        return Ok(());
    }
    // What cannot be read is in nobody's way here: it is replaced in its turn.
    let previous = Segment::open(events, &events.old_path()).ok().flatten().map(|old| old.number);
    let now = u64::try_from(time::since_epoch().as_micros()).unwrap_or(u64::MAX);
    // A clock that was set back must not make an older number.
    let number = now.max(previous.map_or(0, |previous| previous.saturating_add(1)));
    let header = match previous {
        Some(previous) => format!("{{\"segment\":{number},\"previous\":{previous}}}\n"),
        None => format!("{{\"segment\":{number}}}\n"),
    };
    // Always the same name: what somebody left behind who was killed here goes when the next one comes.
    let new = events.dir.path().join(NEW_NAME);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(header.as_bytes())?;
    events.dir.hand_over(&file);
    fs::rename(new, events.path())
}

/// Where `file` ends for its readers: at the first seal at or after `limit`, and at `end` at the latest. `None` as long as it
/// has not ended.
pub(super) fn sealed_at(file: &File, limit: u64, end: u64) -> io::Result<Option<u64>> {
    let seal = [b"\n", SEAL, b"\n"].concat();
    let finder = memmem::Finder::new(&seal);
    let mut chunk = vec![0; CHUNK];
    let mut at = limit;
    while at < end {
        let read = file.read_at(&mut chunk, at)?;
        if let Some(found) = finder.find(&chunk[..read]) {
            return Ok(Some((at + found as u64).min(end - 1)));
        }
        if read < seal.len() {
            return Ok(None);
        }
        // One that lies across the end of this piece is whole in the next.
        at += (read - (seal.len() - 1)) as u64;
    }
    // A line that begins with the line end before it begins here.
    Ok(Some(end - 1))
}
