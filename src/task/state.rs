//! The states of a task, as written and as shown.

use std::fmt;

/// Where a task is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It waits for its turn.
    Queued,
    /// Its command runs, or is about to.
    Running,
    /// The command ended with exit code 0.
    Succeeded,
    /// The command ended in any other way, or could not start.
    Failed,
    /// It ended because it was told to.
    Cancelled,
    /// Nobody supervises it any more. Shown by readers, never written by gco.
    Orphaned,
}

impl State {
    /// All states, in the order of a task's life.
    pub const ALL: [State; 6] =
        [State::Queued, State::Running, State::Succeeded, State::Failed, State::Cancelled, State::Orphaned];

    /// The word for it in records and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            State::Queued => "queued",
            State::Running => "running",
            State::Succeeded => "succeeded",
            State::Failed => "failed",
            State::Cancelled => "cancelled",
            State::Orphaned => "orphaned",
        }
    }

    /// The state that `word` means.
    #[must_use]
    pub fn parse(word: &str) -> Option<State> {
        State::ALL.into_iter().find(|s| s.as_str() == word)
    }

    /// Whether a record in this state claims that the task is still under way.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, State::Queued | State::Running)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
