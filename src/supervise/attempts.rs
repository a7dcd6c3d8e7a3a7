//! Trying once more: what happens between two attempts of a command.
//!
//! The record says so, with the supervisor's own pid, before the command of the attempt that failed is reaped: no reader
//! ever takes the pause for an orphan. The keeper begins the next attempt, as it began the first.

use std::time::{Duration, Instant};

use super::course::Cause;
use super::supervisor::Supervisor;
use crate::sys::time::{awake, instant_at};
use crate::task::outcome::signal_name;
use crate::task::{Exit, State, span};

impl Supervisor {
    /// Whether the attempt that has just ended is to be followed by another.
    pub(super) fn will_try_again(&self) -> bool {
        let control = self.handover.control;
        let may_end = match control.stop() {
            None => self.outcome().is_some_and(|outcome| outcome.state == State::Failed),
            // That attempt has been silent for too long; the next need not be.
            Some(stop) => stop.cause == Cause::Silent,
        };
        control.attempt() < self.handover.retry.attempts
            && control.is_attempt_underway()
            && control.start_error().is_none()
            && may_end
    }

    /// The attempt is over, and all it wrote is in the log: waits for the next.
    pub(super) fn rest(&mut self) {
        let control = self.handover.control;
        let attempt = control.attempt();
        let how = match (self.stopped(), control.exit()) {
            (Some(why), _) => why.words(),
            (None, Some((Exit::Code(code), ..))) => format!("exit_code={code}"),
            (None, Some((Exit::Signal(signal), ..))) => format!("killed by {}", signal_name(signal)),
            (None, _) => "exit status unknown".to_owned(),
        };
        let pause = self.handover.retry.pause_after(attempt);
        let next = if pause.is_zero() { "now".to_owned() } else { format!("in {}", span::exact(pause)) };
        let attempts = self.handover.retry.attempts;
        self.handover.journal.say(&format!("attempt {attempt} of {attempts}: {how}; the next begins {next}"));
        // In this order: a successor must not take the end of this attempt for that of the task.
        control.clear_stop();
        control.rest_until(awake().saturating_add(pause));
        self.go_to_rest();
        self.write_record_now();
        self.have_reaped();
    }

    /// There is no command for now.
    pub(super) fn go_to_rest(&mut self) {
        self.machine.rests();
        self.release_seats();
        self.told_started = false;
        self.going = super::stopping::Going::default();
        self.machine.mind_tree(false);
        self.clocks.pause();
        self.note_stopped(false);
        self.keep_clocks();
    }

    /// When the next attempt is due.
    pub(super) fn attempt_due(&self) -> Option<Instant> {
        let at = self.handover.control.next_attempt_at()?;
        self.machine.is_resting().then(|| instant_at(at))
    }

    /// Begins the next attempt if it is time to.
    pub(super) fn mind_attempts(&mut self) {
        let control = self.handover.control;
        if self.machine.is_resting()
            && let Some(at) = control.next_attempt_at()
            && at.saturating_sub(awake()) == Duration::ZERO
        {
            self.begin_attempt(control.attempt() + 1);
        }
    }

    /// Has the keeper begin attempt `number`.
    pub(super) fn begin_attempt(&mut self, number: u64) {
        self.machine.starts();
        self.handover.control.want_attempt(number);
        if let Some(terminals) = self.handover.terminals.as_ref().filter(|_| number > 1) {
            terminals.reset();
        }
        self.hold_seats();
        self.handover.to_keeper.ring();
    }
}
