//! How long the command may take, and how long it may be silent: a pure decision from what happened and the time.
//!
//! Time in which the command is stopped counts towards no limit. Times are spans on a clock that does not count
//! the machine's sleep and means the same in every process of a task, so that a successor can go on where its predecessor
//! was.

use std::time::Duration;

/// The limits that were set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// How long the command may take, all attempts and the pauses between them together.
    pub timeout: Option<Duration>,
    /// For how long neither stream may bring anything.
    pub stall: Option<Duration>,
    /// After this long the front-end leaves.
    pub leave: Option<Duration>,
}

/// What is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// The time for the command.
    Timeout,
    /// The time for being silent.
    Stall,
    /// The time that the front-end stays.
    Stay,
}

/// What the limits are measured by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Clocks {
    /// When the front-end began to stay.
    pub began: Duration,
    /// When the command was started, the first time.
    pub started: Option<Duration>,
    /// When something was last written, or an attempt began. None between attempts: nobody is silent then.
    pub heard: Option<Duration>,
    /// Since when the command is stopped.
    pub stopped: Option<Duration>,
    /// How long it was stopped before, since `began`.
    pub lost: Duration,
    /// How long it was stopped before it was started: for `started`.
    pub lost_at_start: Duration,
    /// How long it had been stopped when it was last heard.
    pub lost_at_heard: Duration,
    /// The longest it has been silent for, as far as that is over.
    pub longest: Duration,
}

impl Clocks {
    /// The command runs: the first time, or once more. A successor may say so again: a silence goes on all the same.
    pub fn start(&mut self, now: Duration) {
        if self.started.is_none() {
            self.started = Some(now);
            self.lost_at_start = self.lost_by(now);
        }
        if self.heard.is_none() {
            self.heard = Some(now);
            self.lost_at_heard = self.lost_by(now);
        }
    }

    /// Something was written. Between attempts that was somebody else.
    pub fn hear(&mut self, now: Duration) {
        if self.heard.is_some() {
            self.settle(now);
            self.heard = Some(now);
            self.lost_at_heard = self.lost_by(now);
        }
    }

    /// What it writes waits for a slow reader: it would say something if it could.
    pub fn excuse(&mut self, now: Duration) {
        self.heard = self.heard.map(|_| now);
        self.lost_at_heard = self.lost_by(now);
    }

    /// The command has ended: the silence it ended with counts as any.
    pub fn settle(&mut self, now: Duration) {
        self.longest = self.longest.max(self.silence(now).unwrap_or_default());
    }

    /// An attempt has ended.
    pub fn pause(&mut self) {
        self.heard = None;
    }

    /// How long the command has been silent, without the time it was stopped; `None` if there is none.
    #[must_use]
    pub fn silence(&self, now: Duration) -> Option<Duration> {
        let lost = self.lost_by(now).saturating_sub(self.lost_at_heard);
        self.heard.map(|heard| now.saturating_sub(heard).saturating_sub(lost))
    }

    /// The command was stopped, or goes on.
    pub fn set_stopped(&mut self, stopped: bool, now: Duration) {
        if stopped {
            self.stopped.get_or_insert(now);
        } else {
            self.lost = self.lost_by(now);
            self.stopped = None;
        }
    }

    fn lost_by(&self, now: Duration) -> Duration {
        self.lost + self.stopped.map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }

    /// Which limit is reached first, and when. While the command is stopped none is.
    #[must_use]
    pub fn next(&self, limits: &Limits) -> Option<(Duration, Over)> {
        if self.stopped.is_some() {
            return None;
        }
        let at = |since: Duration, lost_then: Duration, limit: Duration| {
            since.saturating_add(limit).saturating_add(self.lost.saturating_sub(lost_then))
        };
        let timeout = self.started.zip(limits.timeout).map(|(s, limit)| at(s, self.lost_at_start, limit));
        let stall = self.heard.zip(limits.stall).map(|(s, limit)| at(s, self.lost_at_heard, limit));
        let stay = limits.leave.map(|limit| at(self.began, Duration::ZERO, limit));
        let due = [(timeout, Over::Timeout), (stall, Over::Stall), (stay, Over::Stay)];
        due.into_iter().filter_map(|(due, over)| Some((due?, over))).min_by_key(|(due, _)| *due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn stopped_time_does_not_count() {
        let limits = Limits { timeout: Some(10 * S), stall: Some(4 * S), leave: Some(3 * S) };
        let mut clocks = Clocks { began: 100 * S, ..Clocks::default() };
        assert_eq!(clocks.next(&limits), Some((103 * S, Over::Stay)), "waiting for one's turn counts");
        clocks.start(101 * S);
        let limits = Limits { leave: None, ..limits };
        assert_eq!(clocks.next(&limits), Some((105 * S, Over::Stall)));
        clocks.set_stopped(true, 103 * S);
        clocks.set_stopped(true, 104 * S);
        assert_eq!(clocks.next(&limits), None);
        clocks.set_stopped(false, 203 * S);
        assert_eq!(clocks.next(&limits), Some((205 * S, Over::Stall)));
        clocks.hear(204 * S);
        assert_eq!(clocks.next(&limits), Some((208 * S, Over::Stall)));
        clocks.hear(210 * S);
        assert_eq!(clocks.next(&limits), Some((211 * S, Over::Timeout)));
    }

    #[test]
    fn the_time_is_for_all_attempts_and_silence_for_each() {
        let limits = Limits { timeout: Some(10 * S), stall: Some(4 * S), leave: None };
        let mut clocks = Clocks::default();
        assert_eq!(clocks.next(&limits), None);
        clocks.start(S);
        clocks.pause();
        clocks.hear(2 * S);
        assert_eq!(clocks.next(&limits), Some((11 * S, Over::Timeout)), "somebody else was heard");
        clocks.start(6 * S);
        assert_eq!(clocks.next(&limits), Some((10 * S, Over::Stall)));
    }
    #[test]
    fn the_longest_silence_is_kept() {
        let mut clocks = Clocks::default();
        assert_eq!(clocks.silence(50 * S), None, "who waits for his turn is not silent");
        clocks.start(100 * S);
        clocks.start(102 * S);
        assert_eq!((clocks.silence(103 * S), clocks.longest), (Some(3 * S), Duration::ZERO));
        clocks.hear(105 * S);
        clocks.hear(107 * S);
        assert_eq!((clocks.silence(108 * S), clocks.longest), (Some(S), 5 * S));
        clocks.set_stopped(true, 110 * S);
        assert_eq!(clocks.silence(200 * S), Some(3 * S));
        clocks.set_stopped(false, 200 * S);
        clocks.settle(203 * S);
        assert_eq!((clocks.silence(203 * S), clocks.longest), (Some(6 * S), 6 * S));
        clocks.excuse(230 * S);
        clocks.settle(231 * S);
        assert_eq!((clocks.silence(231 * S), clocks.longest), (Some(S), 6 * S), "held up is not silent");
        clocks.pause();
        clocks.excuse(235 * S);
        clocks.hear(240 * S);
        assert_eq!(clocks.silence(250 * S), None);
        clocks.start(300 * S);
        clocks.settle(301 * S);
        assert_eq!((clocks.silence(301 * S), clocks.longest), (Some(S), 6 * S));
    }
}
