//! Those who come to look: whoever attaches knocks at the task's door, and hands its terminal and its keys over.
//!
//! The first thing that it is shown is what the command's terminal shows now, then what comes. A guest that goes, or is
//! killed, gets its terminal back as it was, and changes nothing for the command.

use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};

use serde_json::Value;

use super::control::Phase;
use super::message::{Heard, Order, Report};
use super::supervisor::Supervisor;
use super::viewer::{Manner, ViewerId};
use crate::log::join::Choice;
use crate::log::last::{Wanted, last};
use crate::sys::child::PidFd;
use crate::sys::descriptors::{Kind, kind, private_copy};
use crate::sys::door;
use crate::sys::pty;
use crate::sys::signals::send_to_group;
use crate::task::text;

/// The longest first packet of a guest.
const MAX_PACKET: usize = 1024;

/// How much of the log is looked at for its last lines, and how much of a line is shown.
const LOOK_AT_MOST: u64 = 4 << 20;
const LONGEST_LINE: usize = 64 << 10;

/// The most who have knocked and not said yet what they want.
const MOST_WAITING: usize = 16;

impl Supervisor {
    /// Opens the door to a command with a terminal.
    pub(super) fn open_door(&mut self) {
        let Some(tracking) = self.handover.tracking.as_ref().filter(|_| self.handover.terminals.is_some())
        else {
            return;
        };
        let path = tracking.dir.door(&self.handover.facts.id);
        match door::open_door(&path, &format!(".attach-{}.door.tmp", self.me.0)) {
            Ok(door) => self.door = Some(door),
            Err(error) => {
                let words = crate::failure::io_words(&error);
                self.handover.warn(format!("nobody can attach: {words}"));
            }
        }
    }

    /// Somebody knocks.
    pub(super) fn let_in(&mut self) {
        let Some(way) = self.door.as_ref().and_then(|door| door::let_in(door.as_fd())) else { return };
        let me = nix::unistd::geteuid().as_raw();
        let is_trusted = door::peer(&way).is_ok_and(|peer| peer.uid == me || peer.uid == 0);
        if is_trusted && self.guests.len() < MOST_WAITING {
            self.guests.push(way);
        }
    }

    /// One who has knocked says what it wants.
    pub(super) fn receive_guest(&mut self, at: usize) {
        if at >= self.guests.len() {
            return;
        }
        let way = self.guests.remove(at);
        let received = door::receive(way.as_fd(), MAX_PACKET);
        if received.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
            self.guests.push(way);
            return;
        }
        if let Ok((packet, descriptors)) = received
            && self.seat_guest(&way, &packet, descriptors).is_some()
            && let Some(viewer) = self.display.viewers.last_mut()
        {
            viewer.client = Some(way);
            self.welcome(self.display.viewers.len() - 1);
        }
    }

    /// Gives a guest a place among the viewers.
    fn seat_guest(&mut self, way: &OwnedFd, packet: &[u8], descriptors: Vec<OwnedFd>) -> Option<()> {
        let wish: Value = serde_json::from_slice(packet).ok()?;
        let only_looks = wish.get(1)?.as_bool()?;
        let mut descriptors = descriptors.into_iter();
        let terminal = descriptors.next().filter(|terminal| kind(terminal.as_fd()) == Kind::Terminal)?;
        let keys = descriptors.next().filter(|keys| !only_looks && kind(keys.as_fd()) == Kind::Pipe);
        let terminal = private_copy(terminal.as_fd()).ok()?;
        let manner = if only_looks { Manner::LookOnly } else { Manner::Own };
        let mut viewer = self.viewer(terminal.as_fd(), manner).ok()?;
        viewer.keys = keys;
        viewer.process = door::peer(way).ok().and_then(|peer| PidFd::open(peer.pid).ok());
        self.display.add(viewer);
        Some(())
    }

    /// Shows a new guest what there is to be seen.
    fn welcome(&mut self, at: usize) {
        let control = self.handover.control;
        let Some(viewer) = self.display.viewers.get(at) else { return };
        let rows = viewer.size().map_or(24, |size| usize::from(size.rows));
        let mut picture = self.display.screen.redo();
        let is_drawn = self.display.drawing();
        if self.display.screen.is_alternate() {
            picture.push_str(is_drawn.as_deref().unwrap_or_default());
        } else {
            picture.insert_str(0, &self.last_lines(rows.saturating_sub(1)));
        }
        let is_blank = self.display.screen.is_alternate() && is_drawn.is_none();
        let looks_only = viewer.manner == Manner::LookOnly;
        if let Some(viewer) = self.display.viewers.get_mut(at) {
            // One whose terminal is gone is found out by polling.
            let _ = viewer.show(picture.as_bytes());
        }
        self.hold_seats();
        if !looks_only {
            self.resize(at);
        }
        if let Some(terminals) = self.handover.terminals.as_ref().filter(|_| is_blank) {
            // What was drawn is not known: the program draws it again when the size changes.
            let size = self.display.size();
            terminals.set_size(pty::Size { rows: size.rows.saturating_sub(1).max(1), ..size });
            terminals.set_size(size);
        }
        if let Some(pid) =
            control.command().filter(|_| control.stopped().is_some() && self.handover.front.is_none())
        {
            // Whose job it was is gone, so that nobody else can have it go on.
            self.set_behind(false);
            send_to_group(pid, libc::SIGCONT);
        }
    }

    /// The last lines of the log, as a terminal shows them.
    fn last_lines(&self, lines: usize) -> String {
        let wanted = Wanted {
            lines,
            choice: Choice { only: None, gco: true },
            look_at_most: LOOK_AT_MOST,
            longest_line: LONGEST_LINE,
        };
        // Without a log there is nothing to be shown of what was.
        let found = self.handover.journal.file().and_then(|log| last(log, &wanted).ok());
        let Some(found) = found else { return String::new() };
        let mut text = String::new();
        for line in found.lines {
            text.push_str(&text::coloured(&line.payload));
            if line.complete {
                text.push_str("\r\n");
            }
        }
        text
    }

    /// Hears what the guest among the viewers says.
    pub(super) fn hear_guest(&mut self, guest: ViewerId) {
        while let Some(at) = self.display.at(guest)
            && let Some(way) = &self.display.viewers[at].client
        {
            let looks_only = self.display.viewers[at].manner == Manner::LookOnly;
            match Order::hear(way.as_fd()) {
                Heard::Message(Order::Resized) if !looks_only => self.resize(at),
                Heard::Message(Order::Ground(in_front)) => {
                    self.display.viewers[at].is_behind = !in_front;
                    self.hold_seats();
                }
                Heard::Message(Order::Pass(libc::SIGCONT)) if !looks_only => self.pass_on(libc::SIGCONT),
                Heard::Message(Order::Leave) => {
                    self.guest_leaves(at, &Report::Left);
                    return;
                }
                Heard::Message(_) => {}
                Heard::Nothing => return,
                Heard::Gone => {
                    self.guest_gone(at);
                    return;
                }
            }
        }
    }

    /// A guest goes, and is told why.
    fn guest_leaves(&mut self, at: usize, why: &Report) {
        self.display.viewers[at].tidy(&self.display.screen);
        if let Some(way) = &self.display.viewers[at].client {
            why.send(way.as_fd());
        }
        self.guest_gone(at);
    }

    /// A guest has gone.
    pub(super) fn guest_gone(&mut self, at: usize) {
        let mut viewer = self.display.viewers.remove(at);
        viewer.tidy(&self.display.screen);
        if viewer.manner != Manner::LookOnly {
            // The others' size counts again.
            let last = self.display.viewers.iter().rposition(|viewer| viewer.manner != Manner::LookOnly);
            if let Some(last) = last {
                self.resize(last);
            }
        }
    }

    /// The command has been stopped, or goes on: so do those who attached.
    pub(super) fn stop_guests(&self, stop: bool) {
        let guests = self.display.viewers.iter().filter(|viewer| viewer.client.is_some());
        for guest in guests.filter(|guest| guest.manner != Manner::LookOnly) {
            if let Some(process) = &guest.process {
                process.send(if stop { libc::SIGSTOP } else { libc::SIGCONT });
            }
        }
    }

    /// The task is over: tells each guest that has seen all how it ended. Whether none is left.
    pub(super) fn see_guests_off(&mut self) -> bool {
        if self.handover.control.phase() < Phase::Final {
            return false;
        }
        let Some(report) = self.end_report() else { return true };
        while let Some(at) =
            self.display.viewers.iter().position(|viewer| viewer.client.is_some() && viewer.is_up_to_date())
        {
            self.guest_leaves(at, &report);
        }
        self.display.viewers.iter().all(|viewer| viewer.client.is_none())
    }
}
