//! A terminal at which somebody sits and looks at the command, and gives it keys.
//!
//! While it is held it has other modes, so that each key reaches the command as it is typed. Whoever uses it, and however
//! that ends, it gets its own modes back, unless somebody else has given it others meanwhile.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::backlog::Backlog;
use super::place::Place;
use super::taskbar::Bar;
use super::wait::SOON;
use crate::sys::child::PidFd;
use crate::sys::pty::{self, Modes, Size};
use crate::task::screen::Screen;

/// How a viewer's terminal is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// It is the command's alone: every key is for that.
    Own,
    /// Others use it too, in a pipeline: it is left as it is, unless the command wants to read in another way.
    Shared,
    /// Nothing is shown on it, and its keys are passed on.
    Unseen,
    /// It only shows.
    LookOnly,
}

/// Modes that a terminal was given.
#[derive(Debug, Clone, Copy)]
struct Held {
    wanted: Modes,
    /// A terminal need not take all of them.
    made: Modes,
}

/// Tells viewers of a task apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ViewerId(u64);

impl ViewerId {
    /// The next one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Such a terminal.
#[derive(Debug)]
pub struct Viewer {
    /// Which one it is.
    pub id: ViewerId,
    place: Place,
    /// How it is used.
    pub manner: Manner,
    /// Which streams it shows.
    pub sees: [bool; 2],
    /// Where its keys come from.
    pub keys: Option<OwnedFd>,
    /// The way to whoever has attached; none for gco's own caller, who has another.
    pub client: Option<OwnedFd>,
    /// What it shows of how far the command is, if it does.
    pub bar: Option<Bar>,
    /// Its job is in the background.
    pub is_behind: bool,
    /// The process that uses it.
    pub process: Option<PidFd>,
    /// The modes that it had before it was held.
    own: Option<Modes>,
    /// Those that it was given, and what it made of them.
    held: Option<Held>,
    /// It was stopped by a key.
    is_stopped: bool,
    /// It has been put back to what it was.
    is_tidied: bool,
    backlog: Backlog,
}

impl Viewer {
    /// A viewer at the terminal behind `fd`. What it cannot take yet is kept in directory `spill`.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn new(fd: BorrowedFd<'_>, manner: Manner, spill: Option<PathBuf>) -> io::Result<Self> {
        Ok(Self {
            id: ViewerId::default(),
            place: Place::new(fd)?,
            manner,
            sees: [true; 2],
            keys: None,
            client: None,
            bar: None,
            is_behind: false,
            process: None,
            own: None,
            held: None,
            is_stopped: false,
            is_tidied: false,
            backlog: Backlog::new(spill),
        })
    }

    /// Whether the command's output is shown on it.
    #[must_use]
    pub fn shows(&self) -> bool {
        self.manner != Manner::Unseen
    }

    /// Shows `bytes`, or what there is room for: the rest is shown later.
    ///
    /// # Errors
    /// The terminal has gone.
    pub fn show(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        if let Some(bar) = &mut self.bar {
            bar.place.pass(bytes);
        }
        // A terminal that has its own modes adds what the command's has added once more.
        let plain = if self.held.is_none() { without_returns(bytes) } else { None };
        self.write(plain.as_deref().unwrap_or(bytes))
    }

    /// Writes what there is room for, and the rest later.
    ///
    /// # Errors
    /// The terminal has gone.
    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<(), Errno> {
        if !self.is_stopped && self.backlog.is_empty() {
            bytes = &bytes[write(&self.place, bytes)?..];
        }
        if !bytes.is_empty() {
            self.backlog.push(bytes);
        }
        Ok(())
    }

    /// Shows what could not be shown yet.
    ///
    /// # Errors
    /// The terminal has gone.
    pub fn go_on(&mut self) -> Result<(), Errno> {
        while !self.is_stopped {
            let next = self.backlog.next();
            if next.is_empty() {
                break;
            }
            let written = write(&self.place, next)?;
            if written == 0 {
                break;
            }
            self.backlog.shown(written);
        }
        Ok(())
    }

    /// Whether there is something that it could take as soon as it can.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.is_stopped && !self.backlog.is_empty()
    }

    /// Whether everything has been shown.
    #[must_use]
    pub fn is_up_to_date(&self) -> bool {
        self.backlog.is_empty()
    }

    /// Stops showing, or lets it go on.
    pub fn stop(&mut self, stopped: bool) {
        self.is_stopped = stopped;
    }

    /// The command is over: a terminal that was stopped by a key is stopped by its own means, and lets itself go on.
    pub fn hand_over_stop(&mut self) {
        if std::mem::take(&mut self.is_stopped) && !self.backlog.is_empty() {
            self.give_back();
            // A terminal that is gone shows nothing anyway.
            let _ = pty::stop_output(self.place.as_fd());
        }
    }

    /// Whether it is stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// The terminal's size, if it tells one.
    #[must_use]
    pub fn size(&self) -> Option<Size> {
        pty::size(self.place.as_fd()).ok().filter(|size| size.rows > 0 && size.columns > 0)
    }

    /// The modes that are its own, if it is held now.
    #[must_use]
    pub fn own_modes(&self) -> Option<Modes> {
        self.held.and(self.own)
    }

    /// It is known to be held already, and had these modes before: a predecessor did it.
    pub fn is_held_from(&mut self, own: Modes) {
        self.own = Some(own);
        self.held = Modes::of(self.place.as_fd()).ok().map(|made| Held { wanted: made, made });
    }

    /// Has the terminal be as the command wants to read, whose own terminal has the modes `inner`, and had those of `first` at
    /// first.
    pub fn hold(&mut self, inner: &Modes, first: &Modes) {
        if self.held.is_none() {
            let Ok(own) = Modes::of(self.place.as_fd()) else { return };
            self.own = Some(own);
        }
        let Some(own) = self.own else { return };
        let wanted = match self.manner {
            Manner::Own | Manner::LookOnly => own.raw(),
            Manner::Shared if inner != first && !inner.is_by_line() => own.raw(),
            Manner::Shared if inner != first && !inner.echoes() => own.echoing(false),
            _ => {
                self.give_back();
                return;
            }
        };
        if self.held.is_none_or(|held| held.wanted != wanted) && wanted.set(self.place.as_fd()).is_ok() {
            self.held = Modes::of(self.place.as_fd()).ok().map(|made| Held { wanted, made });
        }
    }

    /// Gives the terminal its own modes back.
    pub fn give_back(&mut self) {
        let (Some(held), Some(own)) = (self.held.take(), self.own) else { return };
        // Unless somebody else has set it up meanwhile: a shell, most likely.
        if Modes::of(self.place.as_fd()).is_ok_and(|now| now == held.made) {
            // A terminal that is gone needs no modes.
            let _ = own.set(self.place.as_fd());
        }
    }

    /// Puts the terminal back to what it was: the command goes on without it, or has left it in disorder.
    pub fn tidy(&mut self, screen: &Screen) {
        if let Some(clear) = self.bar.as_mut().and_then(Bar::end) {
            write_at_last(&self.place, clear.as_bytes());
        }
        // Once: then it is somebody else's.
        if self.shows() && !std::mem::replace(&mut self.is_tidied, true) {
            write_at_last(&self.place, screen.undo().as_bytes());
        }
        self.give_back();
    }
}

impl AsFd for Viewer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.place.as_fd()
    }
}

/// How often the last words for a terminal are tried.
const LAST_TRIES: u32 = 20;

/// Writes the last words for `place`. While another process writes there, a shell that says how a job ended among others, the
/// kernel refuses those who do not wait, though there is room. A terminal that is stopped is not waited for.
fn write_at_last(place: &Place, mut bytes: &[u8]) {
    for _ in 0..LAST_TRIES {
        match write(place, bytes) {
            Ok(done) => bytes = &bytes[done..],
            // It is gone.
            Err(_) => return,
        }
        let mut room = [PollFd::new(place.as_fd(), PollFlags::POLLOUT)];
        if bytes.is_empty() || !poll(&mut room, PollTimeout::ZERO).is_ok_and(|ready| ready > 0) {
            return;
        }
        std::thread::sleep(SOON);
    }
}

/// The same without the carriage returns that stand before newlines; `None` if there are none.
fn without_returns(bytes: &[u8]) -> Option<Vec<u8>> {
    memchr::memmem::find(bytes, b"\r\n")?;
    let mut plain = Vec::with_capacity(bytes.len());
    for line in bytes.split_inclusive(|&b| b == b'\n') {
        match line.strip_suffix(b"\r\n") {
            Some(text) => {
                plain.extend_from_slice(text);
                plain.push(b'\n');
            }
            None => plain.extend_from_slice(line),
        }
    }
    Some(plain)
}

/// Writes what `place` takes of `bytes` now.
fn write(place: &Place, bytes: &[u8]) -> Result<usize, Errno> {
    let mut done = 0;
    while done < bytes.len() {
        match place.write(&bytes[done..]) {
            Ok(0) | Err(Errno::EAGAIN) => break,
            Ok(written) => done += written,
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
