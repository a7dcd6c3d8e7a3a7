//! Showing the command's output where gco's caller wanted it.
//!
//! The supervisor writes to the very descriptors that the front-end was given, without a relay. A pipe's reader
//! that is slow slows the command, as it would without gco; a terminal that is stopped does not:
//! what it has not shown yet is caught up from the log. Nothing here ever waits.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;

use super::control::Control;
use super::place::Place;
use super::spool::Spool;
use crate::log::format::Tag;
use crate::log::replay::Replay;
use crate::sys::descriptors::Kind;
use crate::task::Stream;

/// How much is read from the log at once to catch up.
const CATCH_UP: usize = 128 << 10;

/// What came of an attempt to show something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Everything there is has been shown.
    All,
    /// It cannot take more now.
    Blocked,
    /// Its reader has closed it.
    ReaderGone,
    /// It cannot be written to for another reason, this `errno`.
    Failed(i32),
}

impl Shown {
    fn of(errno: Errno) -> Self {
        match errno {
            Errno::EAGAIN => Shown::Blocked,
            Errno::EPIPE | Errno::ECONNRESET => Shown::ReaderGone,
            other => Shown::Failed(other as i32),
        }
    }
}

/// Where one stream is shown.
#[derive(Debug)]
pub struct Echo {
    control: Control,
    stream: Stream,
    target: Option<Place>,
    shown: u64,
    /// A point at which all was shown: (stream offset, log offset). What was missed since is in the log behind it.
    mark: (u64, u64),
    lagging: Option<Lag>,
}

/// Catching up from the log.
#[derive(Debug)]
struct Lag {
    replay: Replay,
    /// How far in the stream it has been read.
    stream_offset: u64,
    /// Payload that has been read and not been shown.
    ready: Vec<u8>,
    /// What is ready are words of gco's: up to here the log has the stream no longer.
    gone_until: Option<u64>,
    /// The same, met behind what is ready.
    gone_next: Option<u64>,
}

impl Echo {
    /// Shows nothing.
    #[must_use]
    pub fn none(control: Control, stream: Stream) -> Self {
        Self { control, stream, target: None, shown: 0, mark: (0, 0), lagging: None }
    }

    /// Shows `stream` on `fd`, from where it has been shown to.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn on(control: Control, stream: Stream, fd: BorrowedFd<'_>) -> io::Result<Self> {
        let shown = control.shown(stream);
        let target = Some(Place::new(fd)?);
        let mut echo = Self { control, stream, target, shown, mark: (0, 0), lagging: None };
        if control.is_lagging(stream) {
            echo.lag();
        }
        Ok(echo)
    }

    /// Whether there is a place to show things.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.target.is_some()
    }

    /// The descriptor to poll, if its readers can go away or it can block.
    #[must_use]
    pub fn pollable(&self) -> Option<BorrowedFd<'_>> {
        self.target.as_ref().filter(|target| target.kind() != Kind::File).map(Place::as_fd)
    }

    /// Up to which stream offset the spool may be let go.
    #[must_use]
    pub fn lets_go(&self) -> u64 {
        if self.target.is_none() || self.lagging.is_some() { u64::MAX } else { self.shown }
    }

    /// Whether everything up to `end` has been shown.
    #[must_use]
    pub fn has_shown(&self, end: u64) -> bool {
        self.target.is_none() || self.shown >= end
    }

    /// What the end of its reader means, by the kind of place it is.
    #[must_use]
    pub fn gone(&self) -> Shown {
        match self.target.as_ref().map(Place::kind) {
            Some(Kind::Pipe | Kind::Socket) => Shown::ReaderGone,
            _ => Shown::Failed(libc::EIO),
        }
    }

    /// Whether it is a terminal.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        self.target.as_ref().is_some_and(|target| target.kind() == Kind::Terminal)
    }

    /// Shows no more.
    pub fn close(&mut self) {
        self.target = None;
        self.lagging = None;
        self.control.set_hidden(self.stream);
    }

    /// Shows what is in the spool and has not been shown. `logged` is how much of the stream is in the log, which
    /// is `log_len` long.
    pub fn show(&mut self, spool: &Spool, logged: u64, log: Option<&File>, log_len: u64) -> Shown {
        if let Some(state) = self.catch_up(logged, log, log_len) {
            return state;
        }
        let end = spool.end();
        while self.shown < end {
            let Some(target) = &self.target else { return Shown::All };
            match target.write(spool.from(self.shown)) {
                Ok(written) => {
                    self.shown += written as u64;
                    self.control.set_shown(self.stream, self.shown);
                }
                Err(Errno::EINTR) => {}
                Err(errno) => return self.refused(errno, log.is_some(), spool.is_full()),
            }
        }
        if self.shown == logged {
            self.mark = (logged, log_len);
        }
        Shown::All
    }

    /// Shows what is in the log, which is `log_len` long and has `logged` bytes of the stream, and has not been shown.
    pub fn show_logged(&mut self, logged: u64, log: Option<&File>, log_len: u64) -> Shown {
        if self.target.is_some() && self.shown < logged {
            if self.lagging.is_none() {
                self.lag();
            }
            return self.catch_up(logged, log, log_len).unwrap_or(Shown::All);
        }
        Shown::All
    }

    /// Writes `bytes` as they are, as many as can be written now.
    ///
    /// # Errors
    /// `Blocked`, `ReaderGone` or `Failed`.
    pub fn write(&self, bytes: &[u8]) -> Result<usize, Shown> {
        let Some(target) = &self.target else { return Ok(bytes.len()) };
        loop {
            match target.write(bytes) {
                Ok(written) => return Ok(written),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(Shown::of(errno)),
            }
        }
    }

    fn refused(&mut self, errno: Errno, has_log: bool, full: bool) -> Shown {
        let state = Shown::of(errno);
        if state == Shown::Blocked && full && has_log && self.is_terminal() {
            // The command must not wait for a stopped terminal.
            self.lag();
        }
        state
    }

    /// From here on what has not been shown is taken from the log.
    fn lag(&mut self) {
        let (stream_offset, log_offset) = self.mark;
        // Before anything is let go: a successor must not look for it in the spool.
        self.control.set_lagging(self.stream, true);
        self.lagging = Some(Lag { stream_offset, ..Lag::from(log_offset) });
    }

    fn caught_up(&mut self) {
        self.lagging = None;
        self.control.set_lagging(self.stream, false);
    }

    /// Shows what the log has and the spool has no longer. `None` once there is nothing more of that.
    fn catch_up(&mut self, logged: u64, log: Option<&File>, log_len: u64) -> Option<Shown> {
        loop {
            let lag = self.lagging.as_mut()?;
            if lag.ready.is_empty() {
                if lag.stream_offset >= logged {
                    // What is not in the log yet is still in the spool.
                    self.mark = (logged, log_len);
                    self.caught_up();
                    return None;
                }
                let Some(log) = log else { return Some(Shown::Failed(libc::EBADF)) };
                match lag.read(log, self.stream, self.shown) {
                    Ok(true) => {}
                    Ok(false) => {
                        // The log lacks the rest: lost on a full disk, or cut off by somebody.
                        self.shown = self.shown.max(logged);
                        self.control.set_shown(self.stream, self.shown);
                        self.caught_up();
                        return None;
                    }
                    Err(error) => return Some(Shown::Failed(error.raw_os_error().unwrap_or(libc::EIO))),
                }
                continue;
            }
            let target = self.target.as_ref()?;
            match target.write(&lag.ready) {
                Ok(written) => {
                    lag.ready.drain(..written);
                    self.shown = match lag.gone_until {
                        None => self.shown + written as u64,
                        Some(until) if lag.ready.is_empty() => until,
                        Some(_) => self.shown,
                    };
                    self.control.set_shown(self.stream, self.shown);
                }
                Err(Errno::EINTR) => {}
                Err(errno) => return Some(Shown::of(errno)),
            }
        }
    }
}

impl Lag {
    /// Begins at this place of the log.
    fn from(log_offset: u64) -> Self {
        Self {
            replay: Replay::from(log_offset),
            stream_offset: 0,
            ready: Vec::new(),
            gone_until: None,
            gone_next: None,
        }
    }

    /// Reads on in the log: what is behind `shown` of `stream` becomes ready. `false` at the log's end.
    fn read(&mut self, log: &File, stream: Stream, shown: u64) -> io::Result<bool> {
        self.gone_until = self.gone_next.take();
        if let Some(until) = self.gone_until {
            self.stream_offset = until;
            // The log is all there is: what it has let go of nobody has.
            let words = format!("\r\n[gco: {} bytes are left out here]\r\n", until.saturating_sub(shown));
            self.ready.extend_from_slice(words.as_bytes());
            return Ok(true);
        }
        while self.ready.len() < CATCH_UP {
            let Some(entry) = self.replay.next(log)? else { return Ok(!self.ready.is_empty()) };
            if let Some(streams) = entry.left_out.and_then(|left_out| left_out.streams) {
                let until = streams[stream.index()];
                self.stream_offset = self.stream_offset.max(until.min(shown));
                if until > shown.max(self.stream_offset) {
                    self.gone_next = Some(until);
                    return if self.ready.is_empty() { self.read(log, stream, shown) } else { Ok(true) };
                }
                continue;
            }
            if entry.tag.and_then(Tag::stream) != Some(stream) {
                continue;
            }
            let end: &[u8] = if entry.ends { b"\n" } else { b"" };
            for bytes in [entry.payload, end] {
                let skip = shown.saturating_sub(self.stream_offset).min(bytes.len() as u64);
                self.ready.extend_from_slice(&bytes[usize::try_from(skip).unwrap_or(0)..]);
                self.stream_offset += bytes.len() as u64;
            }
        }
        Ok(true)
    }
}
