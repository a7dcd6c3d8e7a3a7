//! Keys: from those who look at the command to the terminal that it reads.
//!
//! What stops and starts output stops and starts that of whoever typed it, not the command. Keys that are signals are noted,
//! since a command that ends by one was told to end.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::message::Report;
use super::supervisor::Supervisor;
use super::viewer::{Manner, ViewerId};
use crate::sys::fork::this_group;
use crate::sys::pty::{self, Meaning, Modes};
use crate::sys::signals::send_to_group;
use crate::sys::time;
use crate::task::Stream;

/// How many keys are taken at once: no more than a terminal that nobody reads keeps.
const TAKE: usize = 2048;

/// How long a front-end may take to give keys back before it is stopped.
const PAUSE: Duration = Duration::from_millis(300);

/// Who types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Typist {
    /// gco's own caller.
    Caller,
    /// This viewer.
    Viewer(ViewerId),
}

impl Supervisor {
    /// Whether keys can be taken: what was typed before has reached the command.
    pub(super) fn takes_keys(&self) -> bool {
        self.typed.is_empty() && self.unread.is_none()
    }

    /// The command is over: what was typed and it has not read is for whoever reads next.
    pub(super) fn stop_typing(&mut self) {
        for viewer in &mut self.display.viewers {
            viewer.hand_over_stop();
        }
        let Some(main) = self.handover.main_terminal().filter(|_| self.unread.is_none()) else { return };
        // As a shell takes the foreground back: without it this process could not read. Fails if the terminal has been taken from
        // the session.
        let _ = pty::set_foreground(main, this_group());
        // Nobody reads what cannot be taken back.
        let mut unread = pty::take_unread(main, TAKE).unwrap_or_default();
        unread.append(&mut self.typed);
        self.unread = Some(unread);
    }

    /// The command has been stopped: what it has not read is for the shell, and the front-end is stopped once it has given that
    /// back.
    pub(super) fn pause(&mut self) {
        self.set_behind(true);
        self.stop_typing();
        self.pause_until = Some(Instant::now() + PAUSE);
        self.tell(&Report::Pause(self.unread.clone().unwrap_or_default()));
    }

    /// The front-end has given back what was typed, or does not answer: it is stopped.
    pub(super) fn paused(&mut self) {
        if self.pause_until.take().is_some() {
            self.release_seats();
            self.stop_front(true);
        }
    }

    /// The command goes on, and reads again.
    pub(super) fn go_on_typing(&mut self) {
        self.pause_until = None;
        self.unread = None;
    }

    /// Tells the front-end what the command has not read.
    pub(super) fn tell_unread(&mut self) {
        if let Some(unread) = self.unread.as_ref() {
            self.tell(&Report::Unread(unread.clone()));
        }
    }

    /// Where keys of `typist` come from.
    pub(super) fn keys_of(&self, typist: Typist) -> Option<BorrowedFd<'_>> {
        match typist {
            Typist::Caller => self.handover.keys.as_ref().map(AsFd::as_fd),
            Typist::Viewer(id) => self.display.viewers[self.display.at(id)?].keys.as_ref().map(AsFd::as_fd),
        }
    }

    /// Takes what `typist` has typed.
    pub(super) fn take_keys(&mut self, typist: Typist) {
        let Some(keys) = self.keys_of(typist) else { return };
        let mut block = [0; TAKE];
        let is_ahead = typist == Typist::Caller && self.echoed_ahead > 0;
        let most = if is_ahead { self.echoed_ahead.min(TAKE) } else { TAKE };
        let taken = match nix::unistd::read(keys, &mut block[..most]) {
            Err(Errno::EAGAIN | Errno::EINTR) => return,
            Ok(taken) if taken > 0 => taken,
            _ => {
                match typist {
                    Typist::Caller => self.handover.keys = None,
                    Typist::Viewer(id) => {
                        if let Some(at) = self.display.at(id) {
                            self.display.viewers[at].keys = None;
                        }
                    }
                }
                return;
            }
        };
        let Some((_, modes)) = self.reads() else { return };
        let mut typed = Vec::with_capacity(taken);
        for &key in &block[..taken] {
            match modes.meaning(key) {
                Some(Meaning::Stop) => self.stop_viewer(typist, true),
                Some(Meaning::Start) => self.stop_viewer(typist, false),
                Some(Meaning::Signal(signal)) => {
                    if self.signal_typed(signal) {
                        typed.push(key);
                    }
                }
                None => typed.push(key),
            }
        }
        if modes.starts_with_any_key() {
            self.stop_viewer(typist, false);
        }
        self.typed = typed;
        if is_ahead {
            self.echoed_ahead -= taken;
        }
        if (is_ahead || self.is_echoed_already(typist)) && modes.echoes() {
            self.type_unseen(&modes);
        } else {
            self.type_on();
        }
    }

    /// Whether what `typist` has typed has been shown by its own terminal.
    fn is_echoed_already(&self, typist: Typist) -> bool {
        let seat = self.seat_at().map(|at| &self.display.viewers[at]);
        typist == Typist::Caller
            && seat.is_some_and(|seat| seat.manner == Manner::Shared && seat.own_modes().is_none())
    }

    /// Passes on what has been typed without the command's terminal showing it once more.
    fn type_unseen(&mut self, modes: &Modes) {
        let main = self.handover.main_terminal();
        let Some(main) = main.and_then(|main| main.try_clone_to_owned().ok()) else { return };
        // Where it cannot be done it is shown twice.
        let _ = modes.echoing(false).set(main.as_fd());
        self.type_on();
        let _ = pty::settle(main.as_fd()).and_then(|()| modes.set(main.as_fd()));
    }

    /// A key was typed that is a signal. Whether it is to be passed to the command's terminal.
    fn signal_typed(&mut self, signal: i32) -> bool {
        let control = self.handover.control;
        if control.command().is_none() || control.exit().is_some() {
            self.pass_on(signal);
            return false;
        }
        if signal != libc::SIGTSTP {
            control.set_asked_to_end(signal, time::since_boot());
        }
        // The terminal throws away what it has shown and nobody has taken.
        for stream in Stream::BOTH {
            self.take(stream);
        }
        let Some(main) = self.handover.main_terminal() else { return true };
        let reads_main = self.reads().is_none_or(|(read, _)| read.as_raw_fd() == main.as_raw_fd());
        let Some(group) = pty::foreground(main).filter(|_| !reads_main) else { return true };
        // The terminal that is read is no session's and has no foreground: typed there, the key would be lost.
        send_to_group(group, signal);
        false
    }

    fn stop_viewer(&mut self, typist: Typist, stopped: bool) {
        let at = match typist {
            Typist::Caller => self.seat_at(),
            Typist::Viewer(id) => self.display.at(id),
        };
        if let Some(viewer) = at.and_then(|at| self.display.viewers.get_mut(at))
            && viewer.is_stopped() != stopped
        {
            viewer.stop(stopped);
            if viewer.go_on().is_err()
                && let Some(at) = at
            {
                self.viewer_gone(at);
            }
        }
    }

    /// Passes on what has been typed, as far as the terminal takes it.
    pub(super) fn type_on(&mut self) {
        while !self.typed.is_empty() {
            let Some((terminal, _)) = self.reads() else {
                self.typed.clear();
                return;
            };
            match nix::unistd::write(terminal, &self.typed) {
                Ok(0) | Err(Errno::EAGAIN) => return,
                Ok(written) => {
                    self.typed.drain(..written);
                }
                Err(Errno::EINTR) => {}
                // It is gone, and with it whoever would read them.
                Err(_) => self.typed.clear(),
            }
        }
    }

    /// The terminal that the command reads, and its modes: the main one, unless it has set up only the other one for that, as a
    /// pager does that takes the terminal behind stderr for the keyboard.
    pub(super) fn reads(&self) -> Option<(BorrowedFd<'_>, Modes)> {
        let terminals = self.handover.terminals.as_ref()?;
        let with_modes = |terminal| Some((terminal, Modes::of(terminal).ok()?));
        let is_set_up = |modes: &Modes| !modes.is_by_line() || !modes.echoes();
        let main = with_modes(terminals.main()?)?;
        if is_set_up(&main.1) {
            return Some(main);
        }
        let other = terminals.other().and_then(with_modes).filter(|(_, modes)| is_set_up(modes));
        Some(other.unwrap_or(main))
    }
}
