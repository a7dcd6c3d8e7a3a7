//! Keeping a log within its limit, whoever is killed meanwhile. Its form is that of [`crate::log::gap`].
//!
//! When the log has its first part, the word is put behind it. While the log grows, a place is marked now and then at which it
//! could go on, in memory that a successor has too. When the limit is reached, the log is made to go on at one of them,
//! so that an eighth of the limit becomes free: so this is seldom done, and costs the command nothing. First the word is
//! changed, then the bytes are given back; a successor reads the word, so it does not matter where its predecessor died.
//!
//! Where the file system cannot give anything back, or the log is not what it was, the log stops at its limit: what comes is
//! counted, and in the end said.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Journal, ROOM, Source, write_most};
use crate::failure::io_words;
use crate::log::gap::{self, Gap};
use crate::sys::holes;
use crate::sys::shared::Cells;
use crate::task::size;

/// What the limit is if it is not given.
const LIMIT_VARIABLE: &str = "GCO_LOG_LIMIT";

/// And if that is not set either.
const USUAL: u64 = 1 << 30;

/// So many places are remembered.
const MARKS: usize = 24;

/// A place is this part of the limit behind the one before, at least.
const MARKS_IN_LIMIT: u64 = 16;

/// This part of the limit becomes free at once.
const FREED: u64 = 8;

/// Where the word is, and 1 more.
const WORD: usize = 0;
/// How many places have been marked.
const COUNT: usize = 1;
/// 1 once the log has stopped, and 2 once that has been said.
const STOPPED: usize = 2;
/// How many bytes of each stream there were then.
const STOPPED_AT: usize = 3;
/// The places: an offset in the log, and how many bytes of each stream come before.
const PLACES: usize = 5;

const CELLS: usize = PLACES + 3 * MARKS;

/// A limit, and what supervisor and successor both know about keeping to it.
#[derive(Debug, Clone, Copy)]
pub struct LogLimit {
    bytes: u64,
    /// How long the first part is at least.
    first: u64,
    cells: Cells<CELLS>,
    /// What was left out when the word was read or written last.
    gap: Option<Gap>,
}

/// A place where the log can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    offset: u64,
    streams: [u64; 2],
}

impl LogLimit {
    /// Reads a limit as it is typed.
    ///
    /// # Errors
    /// What is wrong with `text`, for the person who typed it.
    pub fn parse(text: &str) -> Result<u64, String> {
        match size::parse(text)? {
            few @ 1..gap::SMALLEST_LIMIT => {
                Err(format!("{} is too little; it takes 1MiB or more, or 0", size::brief(few)))
            }
            limit => Ok(limit),
        }
    }

    /// The limit where none is given, 0 for none, and what is wrong with `GCO_LOG_LIMIT`. A setting that makes no sense is
    /// passed over: it must not keep a nightly job from running.
    #[must_use]
    pub fn usual() -> (u64, Option<String>) {
        Self::usual_of(std::env::var_os(LIMIT_VARIABLE).as_deref())
    }

    fn usual_of(value: Option<&OsStr>) -> (u64, Option<String>) {
        let Some(value) = value.filter(|value| !value.is_empty()) else { return (USUAL, None) };
        match value.to_str().ok_or_else(|| "it is not text".to_owned()).and_then(Self::parse) {
            Ok(limit) => (limit, None),
            Err(why) => {
                let value = value.display();
                (USUAL, Some(format!("gco: {LIMIT_VARIABLE} is '{value}': {why}; 1GiB of a log is kept")))
            }
        }
    }

    /// A limit of so many bytes; none if it is 0.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(bytes: u64) -> io::Result<Option<Self>> {
        if bytes == 0 {
            return Ok(None);
        }
        let bytes = bytes.max(gap::SMALLEST_LIMIT);
        Ok(Some(Self { bytes, first: gap::first_part(bytes), cells: Cells::new()?, gap: None }))
    }

    fn cell(&self, at: usize) -> &AtomicU64 {
        &self.cells.get()[at]
    }

    fn get(&self, at: usize) -> u64 {
        self.cell(at).load(Ordering::Acquire)
    }

    fn set(&self, at: usize, value: u64) {
        self.cell(at).store(value, Ordering::Release);
    }

    fn word(&self) -> Option<u64> {
        self.get(WORD).checked_sub(1)
    }

    fn set_word(&self, offset: u64) {
        self.set(WORD, offset + 1);
    }

    /// Notes a place, if the last one is far enough away. The count comes last: a place that is half written is none.
    fn note(&self, place: Place) {
        let count = self.get(COUNT);
        let last = count.checked_sub(1).map_or(0, |last| self.place(last).offset);
        if place.offset < last + self.bytes / MARKS_IN_LIMIT {
            return;
        }
        let at = cells_of(count);
        for (n, value) in [place.offset, place.streams[0], place.streams[1]].into_iter().enumerate() {
            self.set(at + n, value);
        }
        self.set(COUNT, count + 1);
    }

    fn place(&self, number: u64) -> Place {
        let at = cells_of(number);
        Place { offset: self.get(at), streams: [self.get(at + 1), self.get(at + 2)] }
    }

    /// The places that are remembered, in their order.
    fn places(&self) -> impl Iterator<Item = Place> {
        let count = self.get(COUNT);
        (count.saturating_sub(MARKS as u64)..count).map(|number| self.place(number))
    }

    /// How many bytes are written at once at most, about.
    fn room(&self) -> usize {
        usize::try_from(self.bytes / MARKS_IN_LIMIT).unwrap_or(ROOM).min(ROOM)
    }

    fn has_stopped(&self) -> bool {
        self.get(STOPPED) > 0
    }

    /// How many bytes of a log of `length` are kept.
    fn kept(&self, length: u64) -> u64 {
        length - self.gap.map_or(0, |gap| gap.end - gap.begin)
    }

    /// Where a log of `length`, behind which so many bytes are `coming`, is to go on.
    fn next(&self, gap: &Gap, length: u64, coming: u64) -> Option<Place> {
        let most = self.bytes - self.bytes / FREED;
        let behind = |place: &Place| gap.begin + (length - place.offset) + coming;
        let mut last = None;
        for place in self.places().filter(|place| place.offset > gap.end) {
            if behind(&place) <= most {
                return Some(place);
            }
            last = Some(place);
        }
        last
    }
}

/// Where the cells of a place are.
fn cells_of(number: u64) -> usize {
    PLACES + 3 * usize::try_from(number % MARKS as u64).unwrap_or(0)
}

impl Journal {
    /// Keeps the log within `limit`. To be told before there is anything in it.
    pub fn keep_within(&mut self, limit: Option<LogLimit>) {
        self.limit = limit;
    }

    /// Keeps a log that is there within `limit`. If it is longer than its first part would be and has no word, the limit is as much
    /// larger as it takes.
    ///
    /// # Errors
    /// What reading it said.
    pub fn take_up_limit(&mut self, limit: Option<LogLimit>) -> io::Result<()> {
        self.limit = limit;
        let (Some(limit), Some(file)) = (&mut self.limit, &self.file) else { return Ok(()) };
        let size = file.metadata()?.len();
        match gap::word_of(file)? {
            Some(word) => limit.set_word(word),
            None if size > limit.first => {
                limit.first = size.next_power_of_two();
                limit.bytes = limit.bytes.max(2 * limit.first);
            }
            None => {}
        }
        Ok(())
    }

    /// How many bytes of output were in the log and are not any more.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.limit.and_then(|limit| limit.gap).map_or(0, |gap| gap.payload())
    }

    /// How many bytes are written at once at most, about.
    pub(super) fn room(&self) -> usize {
        self.limit.map_or(ROOM, |limit| limit.room())
    }

    /// Why nothing more is put into the log, if so.
    pub(super) fn why_stopped(&self) -> Option<&'static str> {
        let stopped = self.limit.is_some_and(|limit| limit.has_stopped());
        stopped.then_some("the log has reached its limit, and no room could be made in it")
    }

    /// Makes room for so many bytes that are `coming`. `false` if there is none.
    pub(super) fn make_room(&mut self, coming: usize) -> bool {
        let (Some(limit), Some(file)) = (&mut self.limit, &mut self.file) else { return true };
        if limit.has_stopped() {
            return false;
        }
        if limit.word().is_none() && self.len >= limit.first {
            let gap = Gap::none(self.len, self.written);
            let (written, result) = write_most(file, &gap.line());
            if result.is_err() {
                // A torn word must not stay. It is tried again next time.
                if written > 0 {
                    let _ = file.set_len(self.len);
                }
                return true;
            }
            limit.set_word(self.len);
            limit.gap = Some(gap);
            self.len += gap::LINE;
            self.mark();
            return true;
        }
        if limit.kept(self.len) + coming as u64 <= limit.bytes {
            return true;
        }
        match leave_out(file, limit, self.len, coming as u64) {
            Ok(()) => true,
            Err(error) => {
                let why = io_words(&error);
                self.stop(&why);
                false
            }
        }
    }

    /// Puts nothing more into the log.
    fn stop(&mut self, why: &str) {
        let Some(limit) = self.limit else { return };
        for (n, written) in self.written.into_iter().enumerate() {
            limit.set(STOPPED_AT + n, written);
        }
        limit.set(STOPPED, 1);
        let most = size::brief(limit.bytes);
        self.say(&format!(
            "the log has reached its limit of {most}, and no room can be made in it: {why}; what follows is not in the log"
        ));
    }

    /// Counts what comes when the log has stopped.
    pub(super) fn give_up(&mut self, source: Source) {
        self.control.count_lost(source.written as u64);
        self.remember_unwritten(0);
        self.take(source);
        self.mark();
    }

    /// Says how much came after the log had stopped.
    pub(super) fn say_what_came_after(&mut self) {
        let Some(limit) = self.limit.filter(|limit| limit.get(STOPPED) == 1) else { return };
        let [out, err] = [0, 1].map(|n| self.written[n].saturating_sub(limit.get(STOPPED_AT + n)));
        if out + err > 0 {
            limit.set(STOPPED, 2);
            self.say(&format!("{out} bytes of stdout and {err} bytes of stderr are missing here: the limit of the log was reached"));
        }
    }

    /// Notes where the log could go on.
    pub(super) fn note_place(&self) {
        if let Some(limit) = self.limit.filter(|limit| limit.word().is_some()) {
            limit.note(Place { offset: self.len, streams: self.written });
        }
    }

    /// Takes up what a predecessor has done for the limit; `rest` is what it has written last, at `offset`.
    pub(super) fn recover_limit(&mut self, rest: &[u8], mut offset: u64) {
        let (Some(limit), Some(file)) = (&mut self.limit, &self.file) else { return };
        for line in rest.split_inclusive(|&byte| byte == b'\n') {
            if limit.word().is_none() && Gap::parse(line, offset).is_some() {
                limit.set_word(offset);
            }
            offset += line.len() as u64;
        }
        // If it cannot be read, that is found out when it matters.
        limit.gap = limit.word().and_then(|word| gap::read(file, word).unwrap_or(None));
    }
}

/// Leaves more out of `file`, a log of `length`.
fn leave_out(file: &File, limit: &mut LogLimit, length: u64, coming: u64) -> io::Result<()> {
    let changed = || io::Error::other("somebody has changed it");
    if file.metadata()?.len() != length {
        return Err(changed());
    }
    let before = match limit.word() {
        Some(word) => gap::read(file, word)?.ok_or_else(changed)?,
        None => return Err(changed()),
    };
    limit.gap = Some(before);
    let Some(place) = limit.next(&before, length, coming) else {
        // One that is too far back to be remembered, or a limit that is used up by one line: the next place is near.
        return Ok(());
    };
    let anywhere = holes::open_again(file)?;
    if before.is_empty() {
        holes::can_punch(&anywhere, length)?;
    }
    let mut gap = Gap { end: place.offset, ..before };
    for (stream, to) in gap.streams.iter_mut().zip(place.streams) {
        stream[1] = to;
    }
    anywhere.write_all_at(&gap.line(), gap.word_at())?;
    limit.gap = Some(gap);
    // The newline stays: before it everything is one line, that nobody shows.
    holes::punch(&anywhere, gap.begin, gap.end - 1)
}

#[cfg(test)]
mod tests;
