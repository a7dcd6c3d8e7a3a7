//! What the supervisor does about its command and its keeper: see what became of them, pass signals on, replace.

use std::time::{Duration, Instant};

use super::control::{Phase, Request};
use super::course::Cause;
use super::hook::Running;
use super::message::Report;
use super::supervisor::Supervisor;
use super::wait::SOON;
use super::witness::{self, Sight};
use crate::store::events::Kind;
use crate::sys::child::{self, PidFd, Relative};
use crate::sys::fork::{Side, fork};
use crate::sys::signals::{Sender, send_to_group};
use crate::sys::{process, pty, time};
use crate::task::outcome::{StartError, StartStep};

/// How soon a process that was forked to become the command says who it is, at the latest.
const FORKED_WITHIN: Duration = Duration::from_secs(2);

/// How soon to try again to fork a keeper.
const KEEPER_RETRY: Duration = Duration::from_millis(200);

impl Supervisor {
    /// Sees what has happened in the control memory: the command's start, stop, end.
    pub(super) fn notice(&mut self) {
        let control = self.handover.control;
        self.look_again = false;
        if self.keeper.as_ref().is_some_and(|keeper| keeper.watched().is_none()) {
            self.keeper_died();
        }
        if self.pause_until.is_some_and(|until| until <= Instant::now()) {
            self.paused();
        }
        if control.is_attempt_underway() {
            self.notice_command();
        }
        // One that was killed while it was stopped is stopped no more.
        let stopped = control.stopped().filter(|_| control.exit().is_none());
        self.note_stopped(stopped.is_some() || self.stopped_alone);
        if stopped.is_some() != self.told_stopped {
            self.tell_stopped(stopped);
        }
    }

    fn notice_command(&mut self) {
        let control = self.handover.control;
        if !self.told_started && (control.is_executing() || self.lost_starter()) {
            self.started();
        }
        if control.start_error().is_some() && self.machine.awaits_end() {
            self.not_started();
        }
        if self.told_started && control.exit().is_none() && !self.is_kept_by_parent() {
            self.look_myself();
        }
        if control.exit().is_some() && self.machine.awaits_end() {
            self.ended();
        }
    }

    /// The keeper that forked the command died before it could say that the program executes.
    pub(super) fn lost_starter(&self) -> bool {
        let control = self.handover.control;
        control.command().is_some() && control.start_error().is_none() && !self.is_kept_by_parent()
    }

    /// Whether the keeper is the command's parent, who sees what becomes of it.
    pub(super) fn is_kept_by_parent(&self) -> bool {
        self.keeper.as_ref().is_some_and(|keeper| keeper.pid() == self.handover.control.parent())
    }

    pub(super) fn look_myself(&mut self) {
        let control = self.handover.control;
        let Some(pid) = control.command() else { return };
        if witness::look(control, pid, self.handover.command.as_ref()) == Sight::Soon {
            self.look_again = true;
        }
    }

    pub(super) fn started(&mut self) {
        let control = self.handover.control;
        self.told_started = true;
        if let Some(pid) = control.command() {
            if self.handover.command.is_none() {
                self.handover.command = PidFd::open(pid).ok();
            }
            if control.command_start().is_none()
                && let Some(seen) = process::look(pid)
            {
                control.set_command_start(seen.start);
            }
        }
        control.set_executing();
        self.handover.command_has_started();
        self.machine.started(Instant::now());
        self.stopped_alone = false;
        self.note_start();
        // Told to end before it began.
        self.go_on_ending();
        self.tell_event_now(Kind::Started);
        if self.handover.detach {
            self.write_record_now();
            self.tell(&Report::Started);
        }
        for signal in std::mem::take(&mut self.pending) {
            self.pass_on(signal);
        }
    }

    /// Has the front-end stop when the command has stopped, and go on with it.
    ///
    /// Both by a signal from here: told by a message, it could stop itself after the signal to go on has come.
    pub(super) fn tell_stopped(&mut self, stopped: Option<i32>) {
        self.told_stopped = stopped.is_some();
        if self.told_stopped && self.handover.seat.is_some() && !self.handover.control.is_behind() {
            self.pause();
            return;
        }
        if self.told_stopped {
            self.release_seats();
        } else {
            self.go_on_typing();
            self.hold_seats();
        }
        self.stop_front(self.told_stopped);
    }

    /// Stops the front-end, or lets it go on.
    pub(super) fn stop_front(&self, stop: bool) {
        if let Some(front) = self.handover.front_process.as_ref().filter(|_| !self.handover.detach) {
            front.send(if stop { libc::SIGSTOP } else { libc::SIGCONT });
        }
        self.handover.control.set_stopped_front(stop);
        self.stop_guests(stop);
    }

    /// Has the command reaped, by whoever is its parent.
    pub(super) fn have_reaped(&mut self) {
        self.ask(Request::Reap);
        self.ring_for_keeper();
        if !self.is_kept_by_parent()
            && let Some(pid) = self.handover.control.command()
        {
            child::reap(pid);
        }
        self.handover.command = None;
    }

    /// Passes a signal on that `sender` has sent, if that is known.
    pub(super) fn pass_on_from(&mut self, signal: i32, sender: Option<Sender>) {
        if asks_for_end(signal) {
            self.sender = sender.map(|sender| (signal, sender));
        }
        self.pass_on(signal);
    }

    /// Passes a signal on to the command's process group.
    pub(super) fn pass_on(&mut self, signal: i32) {
        let control = self.handover.control;
        let Some(pid) = control.command().filter(|_| self.told_started) else {
            self.pass_on_to_nobody(signal);
            return;
        };
        if control.exit().is_some() {
            if asks_for_end(signal) {
                self.pass_on_too_late(signal);
            }
            return;
        }
        if asks_for_end(signal) {
            control.set_asked_to_end(signal, time::since_boot());
        }
        if signal == libc::SIGCONT {
            // The front-end goes on already. So nothing is to be told of this: a SIGCONT more would wipe out a SIGTSTP
            // that has come to it since, and a stop right after this one must count as new.
            control.set_stopped(None);
            control.set_stopped_front(false);
            self.told_stopped = false;
            self.go_on_typing();
            self.hold_seats();
            if let Some(front) = self.handover.front_process.as_ref().filter(|front| front.is_stopped()) {
                // It was continued, and then stopped from here, before this was heard.
                front.send(libc::SIGCONT);
            }
        }
        // Where a terminal says who is in the foreground, keys and whoever sends their signals mean that.
        let by_key = matches!(signal, libc::SIGINT | libc::SIGQUIT | libc::SIGTSTP);
        let main = self.handover.main_terminal();
        let foreground = main.filter(|_| by_key && !control.is_behind()).and_then(pty::foreground);
        send_to_group(foreground.unwrap_or(pid), signal);
    }

    /// The command has ended. There is to be no other attempt, and if only what is run at the end is still waited for, the
    /// front-end waits no longer.
    fn pass_on_too_late(&mut self, signal: i32) {
        if self.machine.is_finished() {
            self.front_is_impatient = true;
        } else if self.will_try_again() {
            self.make_end(Cause::Passed, signal, Duration::ZERO);
        }
    }

    /// There is no command. If one is about to start it gets the signal then; if it is not yet to, what asks for an end ends
    /// the task, and what stops stops the front-end alone.
    fn pass_on_to_nobody(&mut self, signal: i32) {
        if !self.machine.is_resting() {
            self.pending.push(signal);
            return;
        }
        match signal {
            signal if asks_for_end(signal) => self.make_end(Cause::Passed, signal, Duration::ZERO),
            libc::SIGTSTP => {
                self.stopped_alone = true;
                if let Some(front) = &self.handover.front_process {
                    front.send(libc::SIGSTOP);
                }
            }
            libc::SIGCONT => self.stopped_alone = false,
            _ => {}
        }
    }

    /// Whether there is no keeper and one should be made now.
    pub(super) fn needs_keeper(&self) -> bool {
        self.keeper.is_none()
            && !self.is_about_to_queue()
            && self.keeper_due.is_none_or(|due| due <= Instant::now())
    }

    /// Forks a keeper. While there is no command yet, it starts it.
    pub(super) fn make_keeper(&mut self) -> Side {
        let forked = match &self.publisher {
            Some(publisher) => publisher.at_rest(fork),
            None => fork(),
        };
        match forked {
            Ok(Side::Child) => return Side::Child,
            Ok(Side::Parent(pid)) => self.keeper = Some(Relative::child(pid)),
            Err(error) => {
                let control = self.handover.control;
                if control.command().is_none() && control.wanted_attempt() > 0 {
                    // Without a keeper nothing runs, and a shell would not wait for better times either.
                    let errno = error.raw_os_error().unwrap_or(libc::EAGAIN);
                    self.handover.control.set_start_error(StartError { errno, step: StartStep::Fork });
                }
                // Out of processes. Until it has been tried again there is one life less.
                self.keeper_due = Some(Instant::now() + KEEPER_RETRY);
            }
        }
        Side::Parent(0)
    }

    /// Orphans of the command that fell to this process are its to reap.
    pub(super) fn reap_strangers(&self) {
        let keeper = self.keeper.as_ref().map_or(0, Relative::pid);
        let command = self.handover.control.command().unwrap_or(0);
        let hook = self.hook.as_ref().map_or(0, Running::pid);
        child::reap_all_but(&[keeper, command, hook]);
    }

    pub(super) fn keeper_died(&mut self) {
        let control = self.handover.control;
        let Some(keeper) = self.keeper.take_if(|keeper| keeper.is_gone()) else { return };
        child::reap(keeper.pid());
        self.keeper_due = None;
        if control.phase() == Phase::Underway {
            let words = "the keeper was killed and has been replaced";
            self.handover.journal.say(words);
            self.handover.warn(words);
            self.machine.changed();
        }
        // If the command has been forked already it is about to say who it is. If not, the next keeper forks it.
        let begun = Instant::now();
        let is_due = control.wanted_attempt() > 0 && control.parent() == keeper.pid();
        while is_due
            && control.command().is_none()
            && control.start_error().is_none()
            && child::has_any()
            // What is left of an attempt before may be a child for long.
            && begun.elapsed() < FORKED_WITHIN
        {
            // Unless it was killed before it could.
            if let Some(ended) = child::any_ended()
                && control.command() != Some(ended)
            {
                child::reap(ended);
            }
            std::thread::sleep(SOON);
        }
        if let Some(pid) = control.command()
            && self.handover.command.is_none()
            && control.exit().is_none()
        {
            self.handover.command = PidFd::open(pid).ok();
        }
    }
}

/// Whether a signal asks a program to end.
fn asks_for_end(signal: i32) -> bool {
    matches!(signal, libc::SIGINT | libc::SIGTERM | libc::SIGHUP | libc::SIGQUIT)
}
