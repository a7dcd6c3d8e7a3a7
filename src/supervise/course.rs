//! The course of a task, in the [control memory](super::control): attempts, limits, being made to end.
//!
//! The cells about the command are about one attempt. A new one is begun by the keeper alone, and counts only once all of them
//! have been emptied: until then [`Control::is_attempt_underway`] says no, and nobody looks at them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::control::{Cell, Control, Request, nanos};
use super::limits::Clocks;
use crate::sys::oom;

/// Why the command is made to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// `gco tasks cancel`.
    Cancelled = 1,
    /// The time was up.
    TimedOut = 2,
    /// It said nothing for too long.
    Silent = 3,
    /// A signal that was passed on while there was no command that could get it.
    Passed = 4,
    /// What it was to wait for has not come out as it had to.
    NotWanted = 5,
}

/// How the command is made to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// Why.
    pub cause: Cause,
    /// The signal that tells it to.
    pub signal: i32,
    /// When what is left of it is killed, on the clock of [`awake`](crate::sys::time::awake).
    pub kill_at: Duration,
}

impl Control {
    /// Which attempt is to be under way; 0 while the task waits for its turn.
    #[must_use]
    pub fn wanted_attempt(&self) -> u64 {
        self.get(Cell::Wanted)
    }

    /// Says which.
    pub fn want_attempt(&self, number: u64) {
        self.set(Cell::Wanted, number);
    }

    /// Which attempt the command belongs to; 0 before the first.
    #[must_use]
    pub fn attempt(&self) -> u64 {
        self.get(Cell::Attempt)
    }

    /// Whether what is said of the command is about an attempt that is under way, or has just ended.
    #[must_use]
    pub fn is_attempt_underway(&self) -> bool {
        let attempt = self.attempt();
        attempt > 0 && attempt == self.wanted_attempt() && self.get(Cell::RestingAfter) != attempt
    }

    /// Whether an attempt is about to begin.
    #[must_use]
    pub fn is_attempt_coming(&self) -> bool {
        self.wanted_attempt() != self.attempt()
    }

    /// Forgets the attempt before, and makes way for attempt `number`. To be called by the keeper. Done twice it does no harm.
    pub fn begin_attempt(&self, number: u64) {
        self.withdraw(Request::Reap);
        for cell in [
            Cell::Executing,
            Cell::StartError,
            Cell::CommandStart,
            Cell::Stopped,
            Cell::AskedSignal,
            Cell::Exit,
            Cell::Command,
        ] {
            self.set(cell, 0);
        }
        self.set(Cell::Attempt, number);
    }

    /// When the next attempt is to begin, if there is a pause before it.
    #[must_use]
    pub fn next_attempt_at(&self) -> Option<Duration> {
        let attempt = self.attempt();
        let rests = attempt > 0 && self.get(Cell::RestingAfter) == attempt && !self.is_attempt_coming();
        rests.then(|| Duration::from_nanos(self.get(Cell::NextAttemptAt)))
    }

    /// Says that there is one.
    pub fn rest_until(&self, at: Duration) {
        self.set(Cell::NextAttemptAt, nanos(at));
        self.set(Cell::RestingAfter, self.attempt());
    }

    /// When the first attempt began: in seconds since 1970, and since boot.
    #[must_use]
    pub fn started(&self) -> Option<(i64, Duration)> {
        let since_boot = self.get(Cell::StartedSinceBoot);
        (since_boot > 0).then(|| (self.get(Cell::StartedAt).cast_signed(), Duration::from_nanos(since_boot)))
    }

    /// Says when.
    pub fn set_started(&self, at: i64, since_boot: Duration) {
        self.set(Cell::StartedAt, at.cast_unsigned());
        self.set(Cell::StartedSinceBoot, nanos(since_boot));
    }

    /// Notes how often the kernel's out-of-memory killer has been at work before the command.
    pub fn keep_oom_kills(&self) {
        let kept = oom::kills().map_or(0, |kills| kills.count << 2 | u64::from(kills.of_group) << 1 | 1);
        self.set(Cell::OomBefore, kept);
    }

    /// How often it has been since. `None` if it was not, or nobody tells.
    #[must_use]
    pub fn oom_kills(&self) -> Option<u64> {
        let kept = self.get(Cell::OomBefore);
        let now = oom::kills().filter(|now| kept & 1 == 1 && now.of_group == (kept & 2 == 2))?;
        now.count.checked_sub(kept >> 2).filter(|&kills| kills > 0)
    }

    /// How the command is made to end, if it is.
    #[must_use]
    pub fn stop(&self) -> Option<Stop> {
        let cause = match self.get(Cell::StopCause) {
            0 => return None,
            1 => Cause::Cancelled,
            2 => Cause::TimedOut,
            3 => Cause::Silent,
            4 => Cause::Passed,
            _ => Cause::NotWanted,
        };
        let signal = i32::try_from(self.get(Cell::StopSignal)).unwrap_or(libc::SIGTERM);
        Some(Stop { cause, signal, kill_at: Duration::from_nanos(self.get(Cell::KillAt)) })
    }

    /// Says how. Nobody has been told yet.
    pub fn set_stop(&self, stop: Stop) {
        self.set(Cell::StopTold, 0);
        self.set(Cell::KillAt, nanos(stop.kill_at));
        self.set(Cell::StopSignal, u64::from(stop.signal.unsigned_abs()));
        self.set(Cell::StopCause, stop.cause as u64);
    }

    /// It ends no more: that attempt is over.
    pub fn clear_stop(&self) {
        self.set(Cell::StopCause, 0);
    }

    /// Whether it has been told.
    #[must_use]
    pub fn is_stop_told(&self) -> bool {
        self.get(Cell::StopTold) != 0
    }

    /// Says so.
    pub fn set_stop_told(&self) {
        self.set(Cell::StopTold, 1);
    }

    /// When the request was made that was taken up last.
    #[must_use]
    pub fn request_at(&self) -> Duration {
        Duration::from_nanos(self.get(Cell::RequestAt))
    }

    /// Says when.
    pub fn set_request_at(&self, at: Duration) {
        self.set(Cell::RequestAt, nanos(at));
    }

    /// Says that the command that is run at the end is about to be. `false` if it has been already.
    pub fn begin_hook(&self) -> bool {
        let before = self.get(Cell::Hooked);
        self.set(Cell::Hooked, 1);
        before == 0
    }

    /// The process of that command, and when it was started in clock ticks, once it has been.
    #[must_use]
    pub fn hook(&self) -> Option<(i32, u64)> {
        let pid = i32::try_from(self.get(Cell::HookPid)).ok().filter(|pid| *pid > 0)?;
        Some((pid, self.get(Cell::HookStart)))
    }

    /// Says which it is.
    pub fn set_hook(&self, pid: i32, start: u64) {
        self.set(Cell::HookStart, start);
        self.set(Cell::HookPid, u64::from(pid.unsigned_abs()));
    }

    /// What the limits are measured by.
    #[must_use]
    pub fn clocks(&self) -> Clocks {
        let at = |n| Duration::from_nanos(self.cell(Cell::Clocks, n).load(Ordering::Acquire));
        let maybe = |n| Some(at(n)).filter(|at| !at.is_zero());
        Clocks {
            began: at(0),
            started: maybe(1),
            heard: maybe(2),
            stopped: maybe(3),
            lost: at(4),
            lost_at_start: at(5),
            lost_at_heard: at(6),
            longest: at(7),
        }
    }

    /// Says what.
    pub fn set_clocks(&self, clocks: &Clocks) {
        let all = [
            clocks.began,
            clocks.started.unwrap_or_default(),
            clocks.heard.unwrap_or_default(),
            clocks.stopped.unwrap_or_default(),
            clocks.lost,
            clocks.lost_at_start,
            clocks.lost_at_heard,
            clocks.longest,
        ];
        // From the end: a silence that is over is known to be before it is.
        for (n, at) in all.into_iter().enumerate().rev() {
            self.cell(Cell::Clocks, n).store(nanos(at), Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::child::Usage;
    use crate::task::Exit;
    use std::io;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn a_new_attempt_knows_nothing_of_the_one_before() -> io::Result<()> {
        let control = Control::new()?;
        assert!(!control.is_attempt_underway() && !control.is_attempt_coming());
        control.want_attempt(1);
        assert!(!control.is_attempt_underway() && control.is_attempt_coming());
        control.begin_attempt(1);
        assert!(control.is_attempt_underway() && !control.is_attempt_coming());
        control.set_command(7);
        control.set_exit(Exit::Code(3), Usage::default(), S);
        control.ask(Request::Reap);
        assert_eq!(control.next_attempt_at(), None);
        control.rest_until(5 * S);
        assert_eq!((control.next_attempt_at(), control.is_attempt_underway()), (Some(5 * S), false));
        control.want_attempt(2);
        assert_eq!((control.next_attempt_at(), control.is_attempt_coming()), (None, true));
        control.begin_attempt(2);
        assert_eq!((control.command(), control.exit()), (None, None));
        assert!(control.is_attempt_underway() && !control.is_asked(Request::Reap));
        Ok(())
    }

    #[test]
    fn what_is_said_is_heard() -> io::Result<()> {
        let control = Control::new()?;
        let stop = Stop { cause: Cause::Silent, signal: 64, kill_at: 9 * S };
        control.set_stop(stop);
        control.set_stop_told();
        assert_eq!((control.stop(), control.is_stop_told()), (Some(stop), true));
        control.clear_stop();
        assert_eq!(control.stop(), None);
        assert_eq!((control.begin_hook(), control.begin_hook()), (true, false));
        let clocks = Clocks {
            began: S,
            stopped: Some(2 * S),
            lost_at_heard: 3 * S,
            longest: 4 * S,
            ..Clocks::default()
        };
        control.set_clocks(&clocks);
        assert_eq!(control.clocks(), clocks);
        control.set_started(17, 4 * S);
        control.set_request_at(6 * S);
        assert_eq!((control.started(), control.request_at()), (Some((17, 4 * S)), 6 * S));
        Ok(())
    }
}
