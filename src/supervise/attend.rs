//! What the supervisor does about its command and its keeper: see what became of them, pass signals on, replace.

use std::time::{Duration, Instant};

use super::control::{Phase, Request};
use super::message::Report;
use super::supervisor::{Keeper, Supervisor};
use super::witness::{self, Sight};
use crate::sys::child::{self, PidFd};
use crate::sys::fork::{Side, fork};
use crate::sys::signals::send_to_group;
use crate::sys::{process, time};

/// How long to wait for what is about to happen by itself.
const SOON: Duration = Duration::from_millis(1);

impl Supervisor {
    /// Sees what has happened in the control memory: the command's start, stop, end.
    pub(super) fn notice(&mut self) {
        let control = self.handover.control;
        self.look_again = false;
        self.handover.to_supervisor.silence();
        if !self.told_started && (control.is_executing() || self.lost_starter()) {
            self.started();
        }
        let unstarted = control.start_error().is_some();
        if unstarted && !self.machine.is_draining() && !self.machine.is_finished() {
            self.not_started();
        }
        if self.told_started && control.exit().is_none() && !self.is_kept_by_parent() {
            self.look_myself();
        }
        if control.exit().is_some() && !self.machine.is_draining() && !self.machine.is_finished() {
            self.ended();
        }
        // One that was killed while it was stopped is stopped no more.
        let stopped = control.stopped().filter(|_| control.exit().is_none());
        if stopped.is_some() != self.told_stopped {
            self.tell_stopped(stopped);
        }
    }

    /// The keeper that forked the command died before it could say that the program executes.
    pub(super) fn lost_starter(&self) -> bool {
        let control = self.handover.control;
        control.command().is_some() && control.start_error().is_none() && !self.is_kept_by_parent()
    }

    /// Whether the keeper is the command's parent, who sees what becomes of it.
    pub(super) fn is_kept_by_parent(&self) -> bool {
        self.keeper.as_ref().is_some_and(|keeper| keeper.pid == self.handover.control.parent())
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
        if self.handover.detach {
            self.write_record_now();
        }
        self.tell(&Report::Started);
        for signal in std::mem::take(&mut self.pending) {
            self.pass_on(signal);
        }
    }

    /// Has the front-end stop when the command has stopped, and go on with it.
    ///
    /// Both by a signal from here: told by a message, it could stop itself after the signal to go on has come.
    pub(super) fn tell_stopped(&mut self, stopped: Option<i32>) {
        self.told_stopped = stopped.is_some();
        if let Some(front) = self.handover.front_process.as_ref().filter(|_| !self.handover.detach) {
            front.send(if stopped.is_some() { libc::SIGSTOP } else { libc::SIGCONT });
        }
    }

    /// Has the command reaped, by whoever is its parent.
    pub(super) fn have_reaped(&mut self) {
        self.ask(Request::Reap);
        if !self.is_kept_by_parent()
            && let Some(pid) = self.handover.control.command()
        {
            child::reap(pid);
        }
        self.handover.command = None;
    }

    /// Passes a signal on to the command's process group.
    pub(super) fn pass_on(&mut self, signal: i32) {
        let control = self.handover.control;
        let Some(pid) = control.command().filter(|_| self.told_started) else {
            self.pending.push(signal);
            return;
        };
        if control.exit().is_some() {
            return;
        }
        if matches!(signal, libc::SIGINT | libc::SIGTERM | libc::SIGHUP | libc::SIGQUIT) {
            control.set_asked_to_end(signal, time::since_boot());
        }
        if signal == libc::SIGCONT {
            // The front-end goes on already. So nothing is to be told of this: a SIGCONT more would wipe out a SIGTSTP
            // that has come to it since, and a stop right after this one must count as new.
            control.set_stopped(None);
            self.told_stopped = false;
            if let Some(front) = self.handover.front_process.as_ref().filter(|front| front.is_stopped()) {
                // It was continued, and then stopped from here, before this was heard.
                front.send(libc::SIGCONT);
            }
        }
        send_to_group(pid, signal);
    }

    /// Forks a keeper. While there is no command yet, it starts it.
    pub(super) fn make_keeper(&mut self) -> Side {
        let forked = match &self.publisher {
            Some(publisher) => publisher.at_rest(fork),
            None => fork(),
        };
        match forked {
            Ok(Side::Child) => return Side::Child,
            Ok(Side::Parent(pid)) => self.guard_with(pid),
            // Out of processes. It is tried again; until then there is one life less.
            Err(_) => self.look_again = true,
        }
        Side::Parent(0)
    }

    pub(super) fn guard_with(&mut self, pid: i32) {
        // One that is gone already is replaced at the next turn. It is a child or the parent of this process; a
        // parent that died has been replaced by another, and its pid may be anybody's.
        let process = PidFd::open(pid).ok();
        let is_it = child::is_mine(pid) || nix::unistd::getppid().as_raw() == pid;
        self.keeper = process.filter(|_| is_it).map(|process| Keeper { pid, process });
    }

    /// Orphans of the command that fell to this process are its to reap.
    pub(super) fn reap_strangers(&self) {
        let keeper = self.keeper.as_ref().map_or(0, |keeper| keeper.pid);
        let command = self.handover.control.command().unwrap_or(0);
        child::reap_all_but(&[keeper, command]);
    }

    pub(super) fn keeper_died(&mut self) {
        let control = self.handover.control;
        if let Some(keeper) = self.keeper.take() {
            child::reap(keeper.pid);
        }
        if control.phase() == Phase::Underway {
            let words = "the keeper was killed and has been replaced";
            self.handover.journal.say(words);
            self.handover.warnings.push(words.to_owned());
            self.machine.changed();
        }
        // If the command has been forked already it is about to say who it is. If not, the next keeper forks it.
        while control.command().is_none() && control.start_error().is_none() && child::has_any() {
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
