//! Which tasks are to go: a pure decision from what was found, the limits and the time.
//!
//! Only what is certainly over is ever considered: finished tasks that nobody supervises any more, and
//! orphans whose command is dead. Any limit that is given and exceeded removes a task; the newest are
//! kept first.

use std::time::Duration;

use crate::task::State;

/// How many tasks are kept where no limit is given.
pub const DEFAULT_KEEP: usize = 50;

/// What the limits are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// How many of the considered tasks stay, the newest.
    pub keep: Option<usize>,
    /// How long ago a task may have ended.
    pub older_than: Option<Duration>,
    /// How many bytes the considered tasks may take together, records and logs.
    pub max_size: Option<u64>,
    /// Which states are considered; none given means all that can be.
    pub states: Vec<State>,
}

impl Rules {
    /// The rule that keeps the newest `keep`.
    #[must_use]
    pub fn keep(keep: usize) -> Self {
        Self { keep: Some(keep), ..Self::default() }
    }

    /// How many are kept: what was asked for, and [`DEFAULT_KEEP`] if nothing was.
    fn most(&self) -> Option<usize> {
        let other = self.older_than.is_some() || self.max_size.is_some();
        self.keep.or((!other).then_some(DEFAULT_KEEP))
    }

    fn considers(&self, state: State) -> bool {
        self.states.is_empty() || self.states.contains(&state)
    }
}

/// Whether a task may be removed at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It ended in this state, or it is an orphan whose command is dead, and nobody looks after it.
    Over(State),
    /// It is supervised, or its command runs, or whether it does cannot be known from here.
    UnderWay,
    /// Its record cannot be read, for this reason. It stays: whether it runs cannot be known.
    Unreadable(String),
}

/// A task as the decision sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Whether it may go.
    pub standing: Standing,
    /// When it ended, in seconds since 1970; for an orphan, when it was last heard of.
    pub ended: i64,
    /// Bytes of record and log.
    pub size: u64,
}

/// Which limit a task exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// More than enough newer ones are kept.
    BeyondKeep,
    /// It ended too long ago.
    TooOld,
    /// The newer ones leave it no room.
    OverSize,
}

impl Why {
    /// The reason in words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Why::BeyondKeep => "beyond the newest to keep",
            Why::TooOld => "too old",
            Why::OverSize => "over the size limit",
        }
    }
}

/// Decides which of `found`, the newest first, are to go: their places, and why.
#[must_use]
pub fn plan(found: &[Candidate], now: i64, rules: &Rules) -> Vec<(usize, Why)> {
    let most = rules.most();
    let oldest = rules.older_than.map(|age| now.saturating_sub_unsigned(age.as_secs()));
    let mut going = Vec::new();
    let mut considered = 0;
    let mut taken: u64 = 0;
    for (at, task) in found.iter().enumerate() {
        let Standing::Over(state) = task.standing else { continue };
        if !rules.considers(state) {
            continue;
        }
        considered += 1;
        let why = if most.is_some_and(|most| considered > most) {
            Some(Why::BeyondKeep)
        } else if oldest.is_some_and(|oldest| task.ended < oldest) {
            Some(Why::TooOld)
        } else {
            taken = taken.saturating_add(task.size);
            // Once full it stays full: the oldest go, and nothing older slips in behind a large one.
            rules.max_size.is_some_and(|max| taken > max).then_some(Why::OverSize)
        };
        going.extend(why.map(|why| (at, why)));
    }
    going
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000;

    /// Finished tasks of 10 bytes that ended 0, 10, 20… seconds ago, with something in between that must stay.
    fn found(count: i64) -> Vec<Candidate> {
        let mut found = vec![Candidate { standing: Standing::UnderWay, ended: 0, size: 1 << 40 }];
        for at in 0..count {
            let state = if at % 2 == 0 { State::Succeeded } else { State::Failed };
            found.push(Candidate { standing: Standing::Over(state), ended: NOW - at * 10, size: 10 });
        }
        found.push(Candidate { standing: Standing::Unreadable("empty".to_owned()), ended: 0, size: 1 });
        found
    }

    /// The tasks that go, counted from the newest finished one.
    fn gone(count: i64, rules: &Rules) -> Vec<usize> {
        plan(&found(count), NOW, rules).into_iter().map(|(at, _)| at - 1).collect()
    }

    #[test]
    fn fifty_are_kept_when_nothing_is_said() {
        assert_eq!(gone(50, &Rules::default()), [0; 0]);
        assert_eq!(gone(52, &Rules::default()), [50, 51]);
        let failed = Rules { states: vec![State::Failed], ..Rules::default() };
        assert_eq!(gone(104, &failed), [101, 103]);
    }

    #[test]
    fn each_limit_removes() {
        assert_eq!(gone(4, &Rules::keep(0)), [0, 1, 2, 3]);
        let old = Rules { older_than: Some(Duration::from_secs(20)), ..Rules::default() };
        assert_eq!(gone(60, &old), (3..60).collect::<Vec<_>>(), "20 s ago is not longer ago than 20 s");
        let both = Rules { keep: Some(1), ..old };
        assert_eq!(gone(4, &both), [1, 2, 3]);
        let size = |max| Rules { max_size: Some(max), ..Rules::default() };
        assert_eq!(gone(4, &size(25)), [2, 3]);
        assert_eq!(gone(4, &size(0)), [0, 1, 2, 3]);
        assert_eq!(gone(60, &size(u64::MAX)), [0; 0]);
        let failed = Rules { keep: Some(0), states: vec![State::Failed], ..Rules::default() };
        assert_eq!(gone(4, &failed), [1, 3]);
    }

    #[test]
    fn nothing_older_slips_in_behind_a_large_one() {
        let mut found = found(3);
        found[2].size = 100;
        let rules = Rules { max_size: Some(30), ..Rules::default() };
        assert_eq!(plan(&found, NOW, &rules), [(2, Why::OverSize), (3, Why::OverSize)]);
    }
}
