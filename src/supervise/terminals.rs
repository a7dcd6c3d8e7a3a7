//! The terminals that a command runs on, and the way of what it shows there into the spool.
//!
//! stdout and stderr have one each, so that the log tells them apart; one of them is the main one: the command's input, and the
//! controlling terminal of its session. Where neither is a terminal and the input is, that has one of its own, which
//! is shown and not logged.
//!
//! A terminal's bytes go through a pipe, which supervisor and keeper both hold: the kernel can move them from there into
//! the spool in one step, so that no byte is lost or doubled whoever is killed.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;

use super::viewing::{Seat, Wanted};
use crate::sys::descriptors::{Sources, output_pipe};
use crate::sys::pty::{self, Modes, Size};
use crate::task::Stream;

/// How much is moved in one go.
const MOVE: usize = 64 << 10;

/// The terminals, from the side of who shows what the command writes.
#[derive(Debug)]
pub struct Terminals {
    /// Which streams come by one.
    wanted: Wanted,
    masters: [Option<OwnedFd>; 2],
    feeds: [Option<OwnedFd>; 2],
    alone: Option<OwnedFd>,
    main: Option<Stream>,
    modes: Modes,
    /// The modes are nobody's: those of the caller's terminal are a shell's as long as that has the foreground.
    is_provisional: bool,
}

/// What the command gets of them.
#[derive(Debug)]
pub struct Ends {
    /// The main one.
    pub main: OwnedFd,
    /// The input is a terminal.
    pub is_input: bool,
    /// For each stream, if that is one.
    pub outputs: [Option<OwnedFd>; 2],
}

/// What came of moving bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// There was something, and may be more.
    Some,
    /// There is nothing now.
    Nothing,
    /// No process has the terminal open. One may open it again.
    Closed,
}

/// Makes the terminals that are wanted, like the one at which gco's caller has his `seat`; with the reading ends of the pipes for
/// each stream that has one. If his job is `behind`, in the background, the modes are provisional.
///
/// # Errors
/// There are no more terminals, or none at all.
pub fn make(wanted: Wanted, seat: Option<&Seat>, behind: bool) -> io::Result<(Terminals, Ends, Sources)> {
    // One that does not tell its size (0 by 0) has the command find out by other means, as it would without gco.
    let size = seat.and_then(|seat| pty::size(seat.terminal.as_fd()).ok()).unwrap_or(pty::USUAL);
    let mut terminals = Terminals {
        wanted,
        masters: [None, None],
        feeds: [None, None],
        alone: None,
        main: Stream::BOTH.into_iter().find(|&stream| wanted.is(stream)),
        modes: seat.map_or_else(Modes::of_new_terminal, |seat| Ok(seat.modes))?,
        is_provisional: behind,
    };
    let mut outputs = [None, None];
    let mut sources = [None, None];
    let mut main = None;
    for stream in Stream::BOTH.into_iter().filter(|&stream| wanted.is(stream)) {
        let n = stream.index();
        let (master, slave) = terminals.open(size)?;
        let (source, feed) = output_pipe()?;
        if main.is_none() {
            main = Some(slave.try_clone()?);
        }
        (terminals.masters[n], terminals.feeds[n]) = (Some(master), Some(feed));
        (outputs[n], sources[n]) = (Some(slave), Some(source));
    }
    if wanted.is_one {
        outputs[1] = main.as_ref().map(|main: &OwnedFd| main.try_clone()).transpose()?;
    }
    let main = match main {
        Some(main) => main,
        None => {
            let (master, slave) = terminals.open(size)?;
            terminals.alone = Some(master);
            slave
        }
    };
    Ok((terminals, Ends { main, is_input: wanted.input, outputs }, sources))
}

impl Terminals {
    fn open(&self, size: Size) -> io::Result<(OwnedFd, OwnedFd)> {
        let (master, slave) = pty::open()?;
        self.modes.set(slave.as_fd())?;
        pty::set_size(slave.as_fd(), size)?;
        Ok((master, slave))
    }

    /// Whether `stream` comes by a terminal, also when that has been closed.
    #[must_use]
    pub fn has(&self, stream: Stream) -> bool {
        self.wanted.is(stream)
    }

    /// The terminal of `stream`.
    #[must_use]
    pub fn of(&self, stream: Stream) -> Option<BorrowedFd<'_>> {
        self.masters[stream.index()].as_ref().map(AsFd::as_fd)
    }

    /// The one that is no stream's.
    #[must_use]
    pub fn alone(&self) -> Option<BorrowedFd<'_>> {
        self.alone.as_ref().map(AsFd::as_fd)
    }

    /// The main one; none once it has been closed.
    #[must_use]
    pub fn main(&self) -> Option<BorrowedFd<'_>> {
        self.main.map_or_else(|| self.alone(), |stream| self.of(stream))
    }

    /// The one that is neither the main one nor closed.
    #[must_use]
    pub fn other(&self) -> Option<BorrowedFd<'_>> {
        self.main.filter(|&main| main == Stream::Stdout).and_then(|_| self.of(Stream::Stderr))
    }

    fn all(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.main().into_iter().chain(self.other())
    }

    /// Gives all of them this size.
    pub fn set_size(&self, size: Size) {
        for terminal in self.all() {
            // One that is gone needs none.
            let _ = pty::set_size(terminal, size);
        }
    }

    /// The modes that they had at first.
    #[must_use]
    pub fn modes(&self) -> &Modes {
        &self.modes
    }

    /// Gives all of them the modes that they had at first.
    pub fn reset(&self) {
        for terminal in self.all() {
            // One that is gone needs none.
            let _ = self.modes.set(terminal);
        }
    }

    /// The caller's job has the foreground for the first time, and its terminal these modes.
    pub fn adopt(&mut self, modes: Modes) {
        let is_untouched = self.main().is_some_and(|main| Modes::of(main).is_ok_and(|now| now == self.modes));
        if std::mem::take(&mut self.is_provisional) && is_untouched {
            self.modes = modes;
            self.reset();
        }
    }

    /// Moves what `stream` shows into its pipe.
    pub fn move_on(&self, stream: Stream) -> Moved {
        let n = stream.index();
        let (Some(master), Some(feed)) = (&self.masters[n], &self.feeds[n]) else { return Moved::Closed };
        let mut moved = 0;
        loop {
            match pty::feed(master.as_fd(), feed.as_fd(), MOVE) {
                // Enough for one go: the other stream wants its turn, too.
                Ok(bytes) if moved + bytes >= MOVE => return Moved::Some,
                Ok(bytes) => moved += bytes,
                Err(_) if moved > 0 => return Moved::Some,
                Err(Errno::EIO) => return Moved::Closed,
                Err(_) => return Moved::Nothing,
            }
        }
    }

    /// Lets go of the terminal of `stream`.
    pub fn close(&mut self, stream: Stream) {
        self.masters[stream.index()] = None;
        self.feeds[stream.index()] = None;
    }

    /// Lets go of the one that is no stream's.
    pub fn close_alone(&mut self) {
        self.alone = None;
    }
}
