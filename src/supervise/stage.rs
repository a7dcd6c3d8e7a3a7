//! The command's terminals and those who look at them: what is shown goes to the log and to all viewers, their
//! terminals are held while the command runs, and whoever goes gets its terminal back as it was.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::PollFlags;

use super::journal::Shown;
use super::message::Report;
use super::supervisor::Supervisor;
use super::taskbar::Bar;
use super::terminals::Moved;
use super::viewer::{Manner, Viewer, ViewerId};
use crate::sys::descriptors::bytes_waiting;
use crate::sys::fork::this_group;
use crate::sys::pty::{self, Modes};
use crate::task::Stream;

/// How soon to look again at a terminal that no process has open, while the command runs: it may be opened again.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// How much of a terminal that is no stream's is taken at once.
const TAKE: usize = 16 << 10;

/// What the supervisor knows of a terminal beside what is in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    /// It puts a carriage return before each newline.
    returns: bool,
    /// Up to where it has been shown.
    displayed: u64,
    /// No process has it open; when to look again.
    closed_until: Option<Instant>,
}

impl Known {
    /// A terminal that has been shown up to there.
    pub(super) fn from(displayed: u64) -> Self {
        Self { returns: true, displayed, closed_until: None }
    }
}

impl Supervisor {
    /// Moves what the terminal of `stream` shows towards the spool. `None` if it comes by no terminal.
    pub(super) fn move_on(&mut self, stream: Stream) -> Option<Moved> {
        let terminals = self.handover.terminals.as_ref().filter(|terminals| terminals.has(stream))?;
        let known = &mut self.known[stream.index()];
        // What was written before a switch of modes and is only taken now is taken for the new ones: nobody tells.
        if let Some(modes) = terminals.of(stream).and_then(|terminal| Modes::of(terminal).ok()) {
            known.returns = modes.adds_returns();
        }
        let moved = terminals.move_on(stream);
        known.closed_until = (moved == Moved::Closed).then(|| Instant::now() + LOOK_AGAIN);
        Some(moved)
    }

    /// When to look again at terminals that no process has open.
    pub(super) fn closed_until(&self) -> Option<Instant> {
        let closed = |stream: &Stream| self.machine.is_open(*stream);
        Stream::BOTH
            .into_iter()
            .filter(closed)
            .filter_map(|stream| self.known[stream.index()].closed_until)
            .min()
    }

    /// Whether the terminal of `stream` is to be waited for.
    pub(super) fn is_terminal_open(&self, stream: Stream) -> bool {
        self.known[stream.index()].closed_until.is_none_or(|until| until <= Instant::now())
    }

    /// Whether a terminal that no process has open stays so. While the command runs, one may open it again.
    pub(super) fn is_terminal_over(&self) -> bool {
        // What has been typed in vain is seen to before: see `ended`.
        !self.machine.awaits_end() && self.handover.start.is_none()
    }

    /// How what the terminal of `stream` shows is logged.
    pub(super) fn how_shown(&self, stream: Stream, all: bool) -> Shown {
        let returns = self.known[stream.index()].returns;
        Shown { returns, keeps_screen: self.handover.log_screen, all }
    }

    /// Shows all viewers what `stream` has that is new.
    pub(super) fn display(&mut self, stream: Stream) {
        let n = stream.index();
        let bytes = self.handover.spools[n].from(self.known[n].displayed);
        if bytes.is_empty() {
            return;
        }
        self.display.show(bytes, Some(stream));
        let control = self.handover.control;
        self.known[n].displayed = self.handover.spools[n].end();
        control.set_screen_marks(self.display.screen.marks());
        if !self.echoes[n].is_on() {
            control.set_shown(stream, self.known[n].displayed);
        }
        self.hold_seats();
    }

    /// Takes and shows what the terminal that is no stream's shows.
    pub(super) fn take_alone(&mut self) {
        let Some(terminals) = &mut self.handover.terminals else { return };
        let Some(terminal) = terminals.alone() else { return };
        let mut block = [0; TAKE];
        match nix::unistd::read(terminal, &mut block) {
            Ok(taken) if taken > 0 => {
                self.display.show(&block[..taken], None);
                self.handover.control.set_screen_marks(self.display.screen.marks());
                self.heard();
                self.hold_seats();
            }
            Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR) => {}
            _ if self.is_terminal_over() => {
                if let Some(terminals) = &mut self.handover.terminals {
                    terminals.close_alone();
                }
            }
            _ => self.alone_closed_until = Some(Instant::now() + LOOK_AGAIN),
        }
    }

    /// A viewer at the terminal behind `fd`.
    ///
    /// # Errors
    /// Out of descriptors.
    pub(super) fn viewer(&self, fd: BorrowedFd<'_>, manner: Manner) -> io::Result<Viewer> {
        let spill = self.handover.tracking.as_ref().map(|tracking| tracking.dir.path().to_owned());
        Viewer::new(fd, manner, spill)
    }

    /// The seat of gco's caller, as a viewer.
    pub(super) fn take_seat(&mut self) {
        let Some(seat) = &self.handover.seat else { return };
        let Ok(mut viewer) = self.viewer(seat.terminal.as_fd(), seat.manner) else {
            self.handover.warn("the output cannot be shown: out of descriptors");
            return;
        };
        viewer.sees = seat.sees;
        viewer.bar = seat.shows_bar.then(|| Bar::from(self.handover.control));
        if self.handover.control.is_terminal_held() {
            viewer.is_held_from(seat.modes);
        }
        self.display.add(viewer);
    }

    /// Has each viewer's terminal be as the command wants to read.
    pub(super) fn hold_seats(&mut self) {
        let control = self.handover.control;
        if self.display.viewers.is_empty() {
            return;
        }
        let is_on = control.is_attempt_coming()
            || (control.is_attempt_underway() && control.exit().is_none() && control.start_error().is_none());
        let is_on = is_on && !self.told_stopped;
        let Some((_, inner)) = self.reads().filter(|_| is_on) else { return };
        let first = self.handover.terminals.as_ref().map_or(inner, |terminals| *terminals.modes());
        for viewer in &mut self.display.viewers {
            if viewer.client.is_some() {
                if !viewer.is_behind {
                    viewer.hold(&inner, &first);
                }
            } else if !control.is_behind() {
                // Announced before: a successor is to give it back.
                let was_held = viewer.own_modes().is_some();
                if was_held || viewer.manner == Manner::Own || inner != first {
                    control.set_terminal_held(true);
                }
                viewer.hold(&inner, &first);
                let is_held = viewer.own_modes().is_some();
                control.set_terminal_held(is_held);
                if is_held && !was_held {
                    // Typed before, it has been shown by the terminal itself.
                    self.echoed_ahead = usize::try_from(bytes_waiting(viewer.as_fd())).unwrap_or(0);
                }
            }
        }
        self.tell_held();
    }

    /// Tells the front-end whether its terminal is held, if that has changed.
    fn tell_held(&mut self) {
        let held = self.handover.control.is_terminal_held();
        if held != self.told_held {
            self.told_held = held;
            self.tell(&Report::Held(held));
        }
    }

    /// Gives all viewers' terminals their own modes back, for as long as there is no command that reads.
    pub(super) fn release_seats(&mut self) {
        // What the command has written is shown before somebody else writes there: that would be lost on a screen that it has
        // yet to be told to leave.
        self.take_what_is_on_the_way();
        for viewer in &mut self.display.viewers {
            viewer.give_back();
        }
        self.handover.control.set_terminal_held(false);
        self.tell_held();
    }

    /// The terminal of gco's caller gets back what it was: the command is over and all has been shown, or he leaves.
    pub(super) fn tidy_seat(&mut self) {
        // Those who attached are seen off one by one, when they have seen all.
        for viewer in self.display.viewers.iter_mut().filter(|viewer| viewer.client.is_none()) {
            viewer.tidy(&self.display.screen);
        }
        // Once: the front-end ends now, and the terminal is somebody else's from then on.
        self.display.viewers.retain(|viewer| viewer.client.is_some());
        self.handover.control.set_terminal_held(false);
        self.handover.control.set_bar_shown(false);
    }

    /// gco's caller has left: its terminal gets back what it was.
    pub(super) fn leave_seat(&mut self) {
        self.tidy_seat();
        if self.handover.control.is_behind() {
            // Nobody's job any more: whoever attaches has it before him.
            self.set_behind(false);
        }
    }

    /// The caller's job is in the background of its terminal, or in the foreground: so is the command on its own.
    pub(super) fn set_behind(&mut self, behind: bool) {
        let control = self.handover.control;
        let changed = control.is_behind() != behind;
        // One that is stopped is in the background, whoever has the foreground.
        control.set_behind(behind);
        self.mind_bar();
        if let Some(main) = self.handover.main_terminal().filter(|_| changed) {
            if behind {
                self.before = pty::foreground(main).filter(|&group| group != this_group());
            }
            let command = control.command().filter(|_| control.exit().is_none());
            let groups = if behind { [Some(this_group()), None] } else { [self.before.take(), command] };
            // One that is gone cannot have it; if none can, nobody is there who could read.
            groups.into_iter().flatten().any(|group| pty::set_foreground(main, group).is_ok());
        }
        if !behind {
            let seat = self.handover.seat.as_ref().and_then(|seat| Modes::of(seat.terminal.as_fd()).ok());
            if let (Some(terminals), Some(modes)) = (&mut self.handover.terminals, seat) {
                terminals.adopt(modes);
            }
            self.hold_seats();
        }
    }

    /// A viewer's terminal has another size.
    pub(super) fn resize(&mut self, at: usize) {
        let Some(size) = self.display.viewers.get(at).and_then(Viewer::size) else { return };
        self.display.resize(size);
        if let Some(terminals) = &self.handover.terminals {
            terminals.set_size(size);
        }
    }

    /// The place of gco's caller among the viewers.
    pub(super) fn seat_at(&self) -> Option<usize> {
        self.display.viewers.iter().position(|viewer| viewer.client.is_none())
    }

    /// A viewer's terminal can take more, or has gone.
    pub(super) fn viewer_changed(&mut self, viewer: ViewerId, events: PollFlags) {
        let Some(at) = self.display.at(viewer) else { return };
        let viewer = &mut self.display.viewers[at];
        let is_gone = events.intersects(PollFlags::POLLERR | PollFlags::POLLHUP);
        if is_gone || viewer.go_on().is_err() {
            self.viewer_gone(at);
        }
    }

    /// A viewer's terminal has gone.
    pub(super) fn viewer_gone(&mut self, at: usize) {
        if self.display.viewers[at].client.is_some() {
            self.guest_gone(at);
        } else {
            // gco's caller hears of that by itself; it may want the command to end.
            self.display.viewers.remove(at);
        }
    }
}
