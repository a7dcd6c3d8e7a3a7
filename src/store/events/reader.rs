//! Reading the journal from a place in it, event by event, across the change from one file to the next.
//!
//! What is no event is passed over: torn lines, lines longer than any event, files full of NULs. A line whose end is
//! missing is taken once it is a whole object; until then it may be one that is being written.

use std::io;
use std::os::unix::fs::FileExt;

use memchr::memchr;

use super::segment::Segment;
use super::{Event, Events, LONGEST_LINE, SEAL};

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// A place in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The number of the file.
    pub segment: u64,
    /// The bytes of it that have been read.
    pub offset: u64,
}

/// What comes after the end of what there is to read in a file.
enum Follows {
    /// Nothing yet.
    Nothing,
    /// More of the same, that has just been read.
    More,
    /// Another file.
    Another,
}

/// A reader of the journal.
#[derive(Debug)]
pub struct Reader<'a> {
    events: Events<'a>,
    /// The file that is being read; none as long as there has been none.
    segment: Option<Segment>,
    /// The number of the file before it, if one was read.
    after: Option<u64>,
    /// Where in it the next line begins.
    offset: u64,
    /// What has been read from there on.
    buffer: Vec<u8>,
    /// How much of that is the line that was given last.
    given: usize,
    /// How much of the rest has no line end in it.
    looked_at: usize,
    /// What comes is the rest of a line that is too long.
    too_long: bool,
    /// Events were dropped before they could be read.
    has_gap: bool,
}

impl<'a> Reader<'a> {
    /// From the oldest event there is.
    #[must_use]
    pub fn from_start(events: Events<'a>) -> Self {
        Self {
            events,
            segment: None,
            after: None,
            offset: 0,
            buffer: Vec::new(),
            given: 0,
            looked_at: 0,
            too_long: false,
            has_gap: false,
        }
    }

    /// Only what is new from now on.
    ///
    /// # Errors
    /// A journal that cannot be read.
    pub fn from_now(events: Events<'a>) -> io::Result<Self> {
        let mut reader = Self::from_start(events);
        if let Some(newest) = events.segments()?.pop() {
            reader.offset = newest.file.metadata()?.len();
            reader.segment = Some(newest);
        }
        Ok(reader)
    }

    /// Goes to `cursor`, or, if its file has been dropped, to the oldest event after it.
    ///
    /// # Errors
    /// A journal that cannot be read.
    pub fn go_to(&mut self, cursor: Cursor) -> io::Result<()> {
        if self.cursor() == Some(cursor) {
            return Ok(());
        }
        let Some(segment) = self.segment.as_ref().filter(|open| open.number == cursor.segment) else {
            let found = self.events.segments()?.into_iter().find(|segment| segment.number == cursor.segment);
            if let Some(segment) = found {
                return self.enter(segment, cursor.offset);
            }
            self.segment = None;
            self.after = Some(cursor.segment);
            return Ok(());
        };
        // A file that somebody has cut has nothing more at this place.
        self.has_gap |= segment.file.metadata()?.len() < cursor.offset;
        self.restart(cursor.offset);
        Ok(())
    }

    /// The place that has been reached; none as long as there is no journal.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        let segment = self.segment.as_ref()?;
        Some(Cursor { segment: segment.number, offset: self.offset + self.given as u64 })
    }

    /// Whether events were dropped from the journal before they were read, since this was last asked.
    pub fn take_gap(&mut self) -> bool {
        std::mem::take(&mut self.has_gap)
    }

    /// The next event. `None` if there is none yet.
    ///
    /// # Errors
    /// A journal that cannot be read.
    pub fn next_event(&mut self) -> io::Result<Option<Event>> {
        while let Some(line) = self.next_line()? {
            if let Some(event) = Event::from_line(line) {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// The next line, whatever it is. `None` if there is none yet.
    pub(super) fn next_line(&mut self) -> io::Result<Option<&[u8]>> {
        loop {
            if self.segment.is_none() && !self.move_on()? {
                return Ok(None);
            }
            if !self.find_line()? {
                match self.what_follows()? {
                    Follows::More => continue,
                    Follows::Nothing => return Ok(None),
                    Follows::Another => {}
                }
            } else if self.is_at_seal() {
                // It stays where it is until there is another.
                self.given = 0;
            } else if std::mem::take(&mut self.too_long) {
                continue;
            } else {
                return Ok(Some(self.line()));
            }
            if !self.move_on()? {
                return Ok(None);
            }
        }
    }

    fn is_at_seal(&self) -> bool {
        self.offset > self.events.limit && !self.too_long && self.line() == SEAL
    }

    /// The line that was given last, without its end.
    fn line(&self) -> &[u8] {
        let line = &self.buffer[..self.given];
        line.strip_suffix(b"\n").unwrap_or(line)
    }

    /// Reads on to the end of a line, or to a whole object without one. Whether there is any.
    fn find_line(&mut self) -> io::Result<bool> {
        self.buffer.drain(..self.given);
        self.offset += self.given as u64;
        self.given = 0;
        loop {
            if let Some(found) = memchr(b'\n', &self.buffer[self.looked_at..]) {
                self.given = self.looked_at + found + 1;
                self.looked_at = 0;
                return Ok(self.offset < self.events.end());
            }
            self.looked_at = self.buffer.len();
            if self.buffer.len() > LONGEST_LINE {
                self.offset += self.buffer.len() as u64;
                self.buffer.clear();
                self.looked_at = 0;
                self.too_long = true;
            }
            if self.offset >= self.events.end() || !self.read_more()? {
                break;
            }
        }
        // Another one may come and complete it; an object is complete by itself.
        let is_whole = !self.too_long && self.buffer.last() == Some(&b'}') && {
            Event::from_line(&self.buffer).is_some()
        };
        if is_whole {
            self.given = self.buffer.len();
            self.looked_at = 0;
        }
        Ok(is_whole)
    }

    fn read_more(&mut self) -> io::Result<bool> {
        let Some(segment) = &self.segment else { return Ok(false) };
        let had = self.buffer.len();
        self.buffer.resize(had + CHUNK, 0);
        let read = loop {
            match segment.file.read_at(&mut self.buffer[had..], self.offset + had as u64) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buffer.truncate(had + *read.as_ref().unwrap_or(&0));
        Ok(read? > 0)
    }

    /// What can come after the end of what there is to read.
    fn what_follows(&mut self) -> io::Result<Follows> {
        let Some(number) = self.segment.as_ref().map(|segment| segment.number) else {
            return Ok(Follows::Another);
        };
        if self.offset >= self.events.end() {
            return Ok(Follows::Another);
        }
        if self.events.segments()?.last().is_some_and(|newest| newest.number == number) {
            return Ok(Follows::Nothing);
        }
        // It is the journal no more. What was written to it before that is still to be read.
        Ok(if self.read_more()? { Follows::More } else { Follows::Another })
    }

    /// Goes on to the oldest file after the one that was read. `false` if there is none.
    fn move_on(&mut self) -> io::Result<bool> {
        let after = self.segment.as_ref().map(|segment| segment.number).or(self.after);
        // One without a number is another one than any that has one.
        let follows = |segment: &Segment| match after {
            Some(after) => segment.number > after || (segment.number == 0 && after != 0),
            None => true,
        };
        let Some(next) = self.events.segments()?.into_iter().find(follows) else { return Ok(false) };
        self.has_gap |= after.is_some() && next.previous != after;
        self.after = after;
        self.enter(next, 0)?;
        Ok(true)
    }

    fn enter(&mut self, segment: Segment, offset: u64) -> io::Result<()> {
        self.has_gap |= segment.file.metadata()?.len() < offset;
        self.segment = Some(segment);
        self.restart(offset);
        Ok(())
    }

    fn restart(&mut self, offset: u64) {
        self.offset = offset;
        self.buffer.clear();
        self.given = 0;
        self.looked_at = 0;
        self.too_long = false;
    }
}
