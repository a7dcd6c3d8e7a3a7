//! Named readers of the journal of events, who get each event once.
//!
//! What a consumer has got is a place in the journal, kept in `.consumer-NAME.cursor`. Whoever takes an event for it
//! holds the lock of that file from reading the place to writing the next one; so readers of one name share, and an event
//! that could not be handed over is still the next. The file is written in place, 42 bytes in one write.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Deref;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use super::events::{Cursor, Event, Events, Reader};
use super::open;
use crate::sys::lock;

/// The longest name, in bytes.
const MAX_LEN: usize = 64;

/// What the name of the file begins and ends with. Without an end of its own it could be taken for a lock or a log.
const PREFIX: &str = ".consumer-";
const SUFFIX: &str = ".cursor";

/// The length of a written place: two numbers, a blank and a line end.
const WRITTEN: usize = 42;

/// A consumer's name: it matches `^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// Takes `text` for a name.
    ///
    /// # Errors
    /// What is wrong with it, for the person who typed it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_fit = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let begins = text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
        if begins && text.len() <= MAX_LEN && text.bytes().all(is_fit) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!(
            "a name is letters, digits, '.', '_' and '-', begins with a letter or digit, and has at most {MAX_LEN} characters"
        ))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One of the readers of a name.
#[derive(Debug)]
pub struct Consumer<'a> {
    events: Events<'a>,
    path: PathBuf,
    /// The file with the place, once it is needed.
    file: Option<File>,
    reader: Reader<'a>,
    /// Events from before this time, in seconds since 1970, are passed over.
    since: Option<i64>,
}

/// An event that is taken, and the lock of the consumer. It is the next again if it is not [confirmed](Taken::confirm).
#[derive(Debug)]
pub struct Taken<'c> {
    event: Event,
    place: Place<'c>,
}

impl Taken<'_> {
    /// Has the event count as received.
    ///
    /// # Errors
    /// What writing said; it is the next again then.
    pub fn confirm(self) -> io::Result<()> {
        self.place.write()
    }
}

impl Deref for Taken<'_> {
    type Target = Event;

    fn deref(&self) -> &Event {
        &self.event
    }
}

/// The place that is to be written, under the lock.
#[derive(Debug)]
struct Place<'c> {
    file: &'c File,
    cursor: Option<Cursor>,
}

impl Place<'_> {
    fn write(&self) -> io::Result<()> {
        match self.cursor {
            Some(Cursor { segment, offset }) => {
                self.file.write_all_at(format!("{segment:020} {offset:020}\n").as_bytes(), 0)
            }
            None => Ok(()),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        // It goes with the file at the latest.
        let _ = lock::release(self.file, 0..1);
    }
}

impl<'a> Consumer<'a> {
    /// A reader for `name`. A new name gets everything that is in the journal.
    #[must_use]
    pub fn named(events: Events<'a>, name: &Name, since: Option<i64>) -> Self {
        let path = events.dir().path().join(format!("{PREFIX}{name}{SUFFIX}"));
        Self { events, path, file: None, reader: Reader::from_start(events), since }
    }

    /// Takes the next event. `None` if there is none yet. Waits for another reader of the name who is just taking one.
    ///
    /// # Errors
    /// A journal or a place that cannot be read.
    pub fn take(&mut self) -> io::Result<Option<Taken<'_>>> {
        self.lock()?;
        // Without a directory there are no events.
        let Some(file) = self.file.as_ref() else { return Ok(None) };
        let mut place = Place { file, cursor: None };
        match read(file)? {
            Some(cursor) => self.reader.go_to(cursor)?,
            None => self.reader = Reader::from_start(self.events),
        }
        while let Some(event) = self.reader.next_event()? {
            place.cursor = self.reader.cursor();
            if event.at().zip(self.since).is_none_or(|(at, since)| at >= since) {
                return Ok(Some(Taken { event, place }));
            }
        }
        // What was passed over need not be looked at again.
        place.write()?;
        Ok(None)
    }

    /// Takes the lock of the file, which is made if it is not there. There is none if the directory is not there.
    fn lock(&mut self) -> io::Result<()> {
        loop {
            if let Some(file) = &self.file {
                lock::take_in_turn(file, 0..1)?;
                if file.metadata()?.nlink() > 0 {
                    return Ok(());
                }
                // Somebody removed it: the name is a new one.
            }
            self.file = open_or_make(&self.events, &self.path)?;
            if self.file.is_none() {
                return Ok(());
            }
        }
    }

    /// Whether events were dropped from the journal before this reader could take them, since this was last asked.
    pub fn take_gap(&mut self) -> bool {
        self.reader.take_gap()
    }
}

/// The file at `path`, made if it is not there. `None` if its directory is not there.
fn open_or_make(events: &Events<'_>, path: &Path) -> io::Result<Option<File>> {
    loop {
        match open::regular(events.dir(), path, OFlag::O_RDWR) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other.map(Some),
        }
        match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
            Ok(file) => {
                events.dir().hand_over(&file);
                return Ok(Some(file));
            }
        }
    }
}

/// The place that is written in `file`. `None` in a new one.
fn read(file: &File) -> io::Result<Option<Cursor>> {
    let mut text = [0; WRITTEN + 1];
    let read = file.read_at(&mut text, 0)?;
    if read == 0 {
        return Ok(None);
    }
    let number = |bytes: Option<&[u8]>| std::str::from_utf8(bytes?).ok()?.parse().ok();
    let place = (read == WRITTEN && text[20] == b' ' && text[WRITTEN - 1] == b'\n')
        .then(|| Some(Cursor { segment: number(text.get(..20))?, offset: number(text.get(21..41))? }))
        .flatten();
    place
        .map(Some)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it does not hold a place in the journal"))
}
