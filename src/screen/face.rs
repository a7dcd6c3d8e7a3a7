//! The terminal, taken over: an alternate screen, keys as they are typed, and everything put back at the end.
//!
//! The alternate screen, and not lines that are drawn over: what was on the screen before is there again afterwards, nothing
//! is left in the scrollback, and a table that grows or a window that shrinks leaves no pieces behind.
//!
//! It is put back when the value goes, when a signal ends gco, when it is stopped (Ctrl-Z) and if it panics. Only
//! SIGKILL leaves a terminal that wants `reset`.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::panic;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use nix::unistd::getpgrp;

use crate::failure::{Failure, io_words};
use crate::sys::pty::{self, Modes, Size, USUAL};
use crate::sys::signals::{Queue, die_of, give_signals, stop, stoppable};
use crate::sys::start::Inherited;
use crate::sys::watch::Watch;

/// The signals that are taken as events.
const HEARD: [i32; 7] =
    [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGTSTP, libc::SIGCONT, libc::SIGWINCH];

/// The alternate screen without a cursor, and back.
const ENTER: &str = "\x1b[?1049h";
const UP: &str = "\x1b[?25l\x1b[2J";
const DOWN: &str = "\x1b[0m\x1b[?1006l\x1b[?1000l\x1b[?25h\x1b[?1049l";
/// What the mouse does is told as keys are.
const MOUSE: &str = "\x1b[?1000h\x1b[?1006h";

/// What has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// There are keys to be read from stdin.
    Keys,
    /// Something may have changed in the status directory.
    Changed,
    /// The whole screen is to be drawn anew: its size is another, or somebody else has used it.
    Redraw,
    /// This signal wants the end.
    End(i32),
    /// The time is over.
    Nothing,
}

/// The terminal while it is gco's.
#[derive(Debug)]
pub struct Face {
    modes: Modes,
    signals: Queue,
    is_up: bool,
    has_mouse: bool,
}

impl Face {
    /// Takes the terminal over, for `what`. Where there is none, the hint says what to do `instead`.
    ///
    /// # Errors
    /// A [`Failure`] if stdin and stdout are not both a terminal, or it cannot be used.
    pub fn open(what: &str, instead: &str) -> Result<Self, Failure> {
        for (is_terminal, name) in
            [(io::stdin().is_terminal(), "stdin"), (io::stdout().is_terminal(), "stdout")]
        {
            if !is_terminal {
                return Err(
                    Failure::usage(format!("{what} needs a terminal, and {name} is none")).hint(instead)
                );
            }
        }
        let cannot =
            |error: io::Error| Failure::failed(format!("cannot use the terminal: {}", io_words(&error)));
        let modes = Modes::of(io::stdin().as_fd()).map_err(cannot)?;
        let signals = Queue::new(HEARD).map_err(cannot)?;
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            put_back(&modes);
            before(info);
        }));
        let mut face = Self { modes, signals, is_up: false, has_mouse: false };
        face.up().map_err(cannot)?;
        Ok(face)
    }

    /// How large the screen is now.
    #[must_use]
    pub fn size(&self) -> Size {
        pty::size(io::stdout().as_fd()).ok().filter(|size| size.rows > 0 && size.columns > 0).unwrap_or(USUAL)
    }

    /// Shows `text` as it is.
    ///
    /// # Errors
    /// What writing said.
    pub fn show(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// Takes the terminal over, or makes sure that it is: whoever had it meanwhile may have left it otherwise.
    fn up(&mut self) -> io::Result<()> {
        // In the background the kernel stops this process here, until it has the foreground.
        self.modes.by_key().set(io::stdin().as_fd())?;
        // Entered twice, some terminals forget where their cursor was before.
        let enter = if std::mem::replace(&mut self.is_up, true) { "" } else { ENTER };
        let mouse = if self.has_mouse { MOUSE } else { "" };
        self.show(&format!("{enter}{UP}{mouse}"))
    }

    /// From now on the mouse is for this screen.
    ///
    /// # Errors
    /// What writing said.
    pub fn take_mouse(&mut self) -> io::Result<()> {
        self.has_mouse = true;
        self.show(MOUSE)
    }

    /// Gives the terminal back for as long as `command` runs, with the signals as gco's caller had set them. Gives what it
    /// ended with, and the signal that wants the end of this process, if one came meanwhile.
    ///
    /// # Errors
    /// It cannot be started, or the terminal has gone.
    pub fn lend(
        &mut self,
        command: &mut Command,
        inherited: &Inherited,
    ) -> io::Result<(ExitStatus, Option<i32>)> {
        self.down();
        // Whoever stops it stops this one too, so that the shell has its terminal.
        let status = stoppable(|| give_signals(command, inherited).status());
        // What was typed at it was for it.
        let ends = self.ending().filter(|signal| !matches!(*signal, libc::SIGINT | libc::SIGQUIT));
        if ends.is_none() {
            self.up()?;
        }
        Ok((status?, ends))
    }

    /// Gives the terminal back.
    fn down(&mut self) {
        if std::mem::take(&mut self.is_up) {
            put_back(&self.modes);
        }
    }

    /// Waits until something comes, or `most` has passed.
    ///
    /// # Errors
    /// What waiting said.
    pub fn wait(&mut self, watch: &mut Watch, most: Duration) -> io::Result<News> {
        if let Some(news) = self.signal()? {
            return Ok(news);
        }
        let (wake, [typed, signalled]) =
            watch.wait_beside(most, [io::stdin().as_fd(), self.signals.as_fd()])?;
        if signalled && let Some(news) = self.signal()? {
            return Ok(news);
        }
        if typed && Modes::of(io::stdin().as_fd()).is_err() {
            // It has gone, and not everybody is told by a signal.
            return Ok(News::End(libc::SIGHUP));
        }
        Ok(match (typed, wake.names || wake.file) {
            (true, _) => News::Keys,
            (false, true) => News::Changed,
            (false, false) => News::Nothing,
        })
    }

    /// Does what the signals that have come in want. The lowest number is the first: those that want the end come before
    /// the one that lets a stopped process go on.
    fn signal(&mut self) -> io::Result<Option<News>> {
        let mut news = None;
        while let Some(arrived) = self.signals.next() {
            match arrived.signal {
                libc::SIGWINCH => {}
                libc::SIGCONT => self.up()?,
                libc::SIGTSTP => {
                    self.down();
                    stop();
                    // Whoever lets it go on may want its end; then the terminal is somebody else's.
                    if let Some(ends) = self.ending() {
                        return Ok(Some(News::End(ends)));
                    }
                    self.up()?;
                }
                signal => return Ok(Some(News::End(signal))),
            }
            news = Some(News::Redraw);
        }
        Ok(news)
    }

    fn ending(&self) -> Option<i32> {
        let ends = |signal| !matches!(signal, libc::SIGWINCH | libc::SIGCONT | libc::SIGTSTP);
        std::iter::from_fn(|| self.signals.next()).map(|arrived| arrived.signal).find(|&signal| ends(signal))
    }

    /// Gives the terminal back and ends this process by `signal`. Returns, with an exit code, only if that does not end it.
    #[must_use]
    pub fn end_by(mut self, signal: i32) -> i32 {
        self.down();
        die_of(signal);
        128 + signal
    }
}

impl Drop for Face {
    fn drop(&mut self) {
        self.down();
    }
}

/// Puts the terminal back. If it has gone, there is nobody who would miss that.
fn put_back(modes: &Modes) {
    let mut out = io::stdout();
    let _ = out.write_all(DOWN.as_bytes()).and_then(|()| out.flush());
    // In the background the modes are somebody else's, and the kernel would stop whoever sets them.
    if pty::foreground(io::stdin()) == Some(getpgrp().as_raw()) {
        let _ = modes.set(io::stdin().as_fd());
    }
}
