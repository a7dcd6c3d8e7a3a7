//! Where the lines of `gco tasks events` go: stdout, gathered, or for a consumer one by one.
//!
//! Errors are those of writing, unless they say otherwise; a reader that has gone is for the caller's caller to know.

use std::io::{self, Write};
use std::os::fd::AsFd;

use anyhow::Result;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::failure::{Failure, io_words};
use crate::store::consumer::Taken;
use crate::store::events::Event;
use crate::sys::signals::Undisturbed;
use crate::view::json;

/// How much output is gathered before it is written.
const GATHERED: usize = 64 * 1024;

/// What a pipe that can be written to takes without waiting.
const AT_ONCE: usize = 4096;

/// Writes events to stdout.
pub struct Out {
    gathered: Vec<u8>,
}

impl Out {
    pub fn new() -> Self {
        Self { gathered: Vec::new() }
    }

    /// Writes an event, in its turn.
    pub fn gather(&mut self, event: &Event) -> io::Result<()> {
        self.gathered.extend_from_slice(line(event).as_bytes());
        if self.gathered.len() >= GATHERED { self.flush() } else { Ok(()) }
    }

    /// Writes what has been gathered.
    pub fn flush(&mut self) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(&self.gathered)?;
        self.gathered.clear();
        stdout.flush()
    }

    /// Waits until stdout takes something. So a reader whose own reader is slow takes no event away from the others.
    pub fn until_writable(&self) -> io::Result<()> {
        let stdout = io::stdout();
        loop {
            let mut watched = [PollFd::new(stdout.as_fd(), PollFlags::POLLOUT)];
            match poll(&mut watched, PollTimeout::NONE) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Writes an event and has it count as received: nothing comes in between but a kill that no program can put off.
    ///
    /// The end of the line is what counts. It is written when it can be without waiting, so that gco can be ended
    /// at any other time; a line without its end is nobody's event.
    pub fn hand_over(&mut self, taken: Taken<'_>) -> Result<()> {
        let line = line(&taken);
        let (begin, end) = line.as_bytes().split_at(line.len().saturating_sub(AT_ONCE));
        write(begin)?;
        if !begin.is_empty() {
            self.until_writable()?;
        }
        let undisturbed = Undisturbed::begin();
        write(end)?;
        taken.confirm().map_err(|error| {
            Failure::failed(format!("cannot note that an event was received: {}", io_words(&error)))
                .hint("the event that was just written will come again")
        })?;
        drop(undisturbed);
        Ok(())
    }
}

/// An event on a line.
fn line(event: &Event) -> String {
    json::compact(event.value()) + "\n"
}

/// Writes all of `bytes` to stdout, past every buffer: what has been written is to be known.
fn write(mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match nix::unistd::write(io::stdout(), bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
