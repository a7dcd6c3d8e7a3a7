//! What the supervisor waits for: its descriptors and the machine's deadline.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::hook::Running;
use super::supervisor::{LOOK, Supervisor};
use super::typing::Typist;
use super::viewer::ViewerId;
use crate::sys::child::Relative;
use crate::sys::signals::Queue;
use crate::sys::time::poll_timeout;
use crate::task::Stream;

/// How often a keeper is asked about that cannot be watched.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// How soon to look again at a command that somebody else is to reap.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// How long to wait for something that is about to change by itself.
pub(super) const SOON: Duration = Duration::from_millis(1);

impl Supervisor {
    /// Waits for something to happen, and deals with what the descriptors say.
    pub(super) fn wait(&mut self) {
        let mut ready = Vec::with_capacity(10);
        let failed = {
            let mut fds = Vec::with_capacity(10);
            self.watched(&mut fds, &mut ready);
            let result = poll(&mut fds, self.timeout());
            for (fd, (_, events)) in fds.iter().zip(&mut ready) {
                *events = fd.revents().unwrap_or(PollFlags::empty());
            }
            result.is_err_and(|error| error != Errno::EINTR)
        };
        if failed {
            // Out of memory for the moment.
            std::thread::sleep(SOON);
        }
        for (what, events) in ready {
            if !events.is_empty() {
                self.happened(what, events);
            }
        }
    }

    fn timeout(&self) -> PollTimeout {
        let soon = self.look_again.then(|| Instant::now() + LOOK_AGAIN);
        let blind = self.keeper.as_ref().is_some_and(|keeper| keeper.watched().is_none());
        let asking = blind.then(|| Instant::now() + ASK_AGAIN);
        let soon = soon.into_iter().chain(asking).chain(self.keeper_due.filter(|_| self.keeper.is_none()));
        let course = [self.limit_due(), self.attempt_due(), self.going.deadline()].into_iter().flatten();
        let hook = self.hook.as_ref().map(Running::deadline);
        let closed = self.closed_until().into_iter().chain(self.alone_closed_until).chain(self.pause_until);
        poll_timeout(
            self.machine.deadline().into_iter().chain(soon).chain(course).chain(hook).chain(closed).min(),
        )
    }

    fn watched<'a>(&'a self, fds: &mut Vec<PollFd<'a>>, ready: &mut Vec<(Watched, PollFlags)>) {
        let mut watch = |fd: BorrowedFd<'a>, flags: PollFlags, what: Watched| {
            fds.push(PollFd::new(fd, flags));
            ready.push((what, PollFlags::empty()));
        };
        let read = PollFlags::POLLIN;
        watch(self.handover.to_supervisor.as_fd(), read, Watched::Bell);
        if let Some(signals) = &self.signals {
            watch(signals.as_fd(), read, Watched::Signals);
        }
        if let Some(process) = self.keeper.as_ref().and_then(Relative::watched) {
            watch(process, read, Watched::Keeper);
        }
        if let Some(process) = self.hook.as_ref().and_then(Running::watched) {
            watch(process, read, Watched::Bell);
        }
        if let Some(front) = &self.handover.front {
            watch(front.as_fd(), read, Watched::Front);
        }
        if let Some(mailbox) = &self.handover.mailbox {
            watch(mailbox.as_fd(), read, Watched::Mailbox);
        }
        if !self.is_kept_by_parent()
            && !self.look_again
            && self.handover.control.exit().is_none()
            && let Some(command) = &self.handover.command
        {
            watch(command.as_fd(), read, Watched::Bell);
        }
        for stream in Stream::BOTH {
            let n = stream.index();
            let terminal = self.handover.terminals.as_ref().and_then(|terminals| terminals.of(stream));
            if let Some(source) = terminal.or(self.handover.sources[n].as_ref().map(AsFd::as_fd))
                && !self.handover.spools[n].is_full()
                && self.is_terminal_open(stream)
            {
                watch(source, read, Watched::Source(stream));
            }
            if let Some(place) = self.echoes[n].pollable() {
                let flags = if self.wants_to_show(stream) { PollFlags::POLLOUT } else { PollFlags::empty() };
                watch(place, flags, Watched::Place(stream));
            }
        }
        self.watched_terminals(&mut watch);
    }

    fn watched_terminals<'a>(&'a self, watch: &mut dyn FnMut(BorrowedFd<'a>, PollFlags, Watched)) {
        let Some(terminals) = &self.handover.terminals else { return };
        if let Some(alone) = terminals.alone()
            && self.alone_closed_until.is_none_or(|until| until <= Instant::now())
        {
            watch(alone, PollFlags::POLLIN, Watched::Alone);
        }
        if self.takes_keys() {
            let viewers = self.display.viewers.iter().map(|viewer| Typist::Viewer(viewer.id));
            for typist in viewers.chain([Typist::Caller]) {
                if let Some(keys) = self.keys_of(typist) {
                    watch(keys, PollFlags::POLLIN, Watched::Keys(typist));
                }
            }
        } else if let Some((terminal, _)) = self.reads().filter(|_| !self.typed.is_empty()) {
            watch(terminal, PollFlags::POLLOUT, Watched::Typing);
        }
        for viewer in &self.display.viewers {
            let flags = if viewer.is_waiting() { PollFlags::POLLOUT } else { PollFlags::empty() };
            watch(viewer.as_fd(), flags, Watched::Viewer(viewer.id));
            if let Some(way) = &viewer.client {
                watch(way.as_fd(), PollFlags::POLLIN, Watched::Guest(viewer.id));
            }
        }
        for (at, way) in self.guests.iter().enumerate() {
            watch(way.as_fd(), PollFlags::POLLIN, Watched::Knocking(at));
        }
        if let Some(door) = &self.door {
            watch(door.as_fd(), PollFlags::POLLIN, Watched::Door);
        }
    }

    fn happened(&mut self, what: Watched, events: PollFlags) {
        match what {
            // What rang it is looked at each turn.
            Watched::Bell => {}
            Watched::Signals => {
                while let Some(arrived) = self.signals.as_ref().and_then(Queue::next) {
                    match arrived.signal {
                        libc::SIGCHLD => {}
                        LOOK => {
                            self.take_up_request();
                            self.hear_told();
                        }
                        signal => self.pass_on_from(signal, arrived.sender),
                    }
                }
                self.reap_strangers();
            }
            Watched::Keeper => self.keeper_died(),
            Watched::Front => self.hear(),
            Watched::Mailbox => self.hear_notified(),
            Watched::Source(stream) => self.take(stream),
            Watched::Alone => self.take_alone(),
            Watched::Keys(typist) => self.take_keys(typist),
            Watched::Typing => self.type_on(),
            Watched::Viewer(viewer) => self.viewer_changed(viewer, events),
            Watched::Guest(guest) => self.hear_guest(guest),
            Watched::Knocking(at) => self.receive_guest(at),
            Watched::Door => self.let_in(),
            Watched::Place(stream) => self.place_changed(stream, events),
        }
    }
}

/// What a descriptor is watched for.
#[derive(Debug, Clone, Copy)]
enum Watched {
    Bell,
    Signals,
    Keeper,
    Front,
    Mailbox,
    Source(Stream),
    Place(Stream),
    Alone,
    Keys(Typist),
    Typing,
    Viewer(ViewerId),
    Guest(ViewerId),
    Knocking(usize),
    Door,
}
