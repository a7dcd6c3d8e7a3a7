//! What is to be run, and how.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use regex_lite::Regex;

use super::TaskId;
use super::line::LineName;

/// When the command's output is shown as well as logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Echo {
    /// As it comes.
    Always,
    /// Not at all.
    Never,
    /// All of it, at the end, if the command failed.
    OnFailure,
}

/// What is recognised in a command's output of how far it is.
#[derive(Debug, Clone, Default)]
pub enum Recognise {
    /// Whatever is known.
    #[default]
    Auto,
    /// Nothing.
    Nothing,
    /// What the tool of this name writes.
    One(&'static str),
    /// What matches this, by its named groups.
    Pattern(Regex),
}

/// Whether the command gets terminals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pty {
    /// For each standard descriptor that is one for gco.
    Auto,
    /// For all of them.
    Always,
    /// For none.
    Never,
}

/// Whether the caller's terminal shows in its title or taskbar how far the command is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShowProgress {
    /// It does not.
    Never,
    /// If no other program draws on it.
    Alone,
    /// It does.
    Always,
}

/// What is done where another task has the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// Nothing is run.
    Fail,
    /// The command runs afterwards.
    Wait,
    /// The other task's output is shown instead.
    Follow,
}

/// A line that the task has to stand in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// The line.
    pub name: LineName,
    /// How many of it may run at once, if that is to be set.
    pub limit: Option<u32>,
    /// The task is given up if there is no place at once.
    pub no_wait: bool,
}

/// What has to happen before the command starts, in this order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Turn {
    /// These tasks must have succeeded.
    pub after: Vec<TaskId>,
    /// These must be over.
    pub after_any: Vec<TaskId>,
    /// The task must have a place in each of these lines: a key's, a group's.
    pub queues: Vec<Queue>,
}

impl Turn {
    /// Whether the command may start at once.
    #[must_use]
    pub fn is_now(&self) -> bool {
        self.after.is_empty() && self.after_any.is_empty() && self.queues.is_empty()
    }
}

/// How a command that fails is run once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// How many attempts there are at most, the first one included.
    pub attempts: u64,
    /// How long the pause after the first is; each further one is twice as long.
    pub delay: Duration,
}

impl Retry {
    /// The pause after attempt `number`.
    #[must_use]
    pub fn pause_after(&self, number: u64) -> Duration {
        let doublings = u32::try_from(number.saturating_sub(1)).unwrap_or(u32::MAX).min(30);
        self.delay.saturating_mul(1 << doublings).min(LONGEST_PAUSE.max(self.delay))
    }
}

/// A pause grows no longer than this, unless it is longer from the start.
const LONGEST_PAUSE: Duration = Duration::from_secs(86_400);

/// A task to be run, in full. It holds the environment and so is never stored.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The command and its arguments; never empty.
    pub argv: Vec<OsString>,
    /// The command's whole environment, but for the task's id.
    pub environment: Vec<(OsString, OsString)>,
    /// The directory to enter, if it is not the caller's.
    pub change_directory: Option<PathBuf>,
    /// The directory the command runs in, absolute.
    pub directory: PathBuf,
    /// The tool name, made fit for an id.
    pub tool: String,
    /// Labels, in the order of their names, one value each.
    pub labels: Vec<(String, String)>,
    /// How many units of work there are, if that was said.
    pub total: Option<u64>,
    /// What is recognised in the output of how far it is.
    pub progress: Recognise,
    /// It may say how it is as to a service manager.
    pub notify: bool,
    /// When output is shown.
    pub echo: Echo,
    /// The front-end leaves as soon as the command runs.
    pub detach: bool,
    /// How many finished tasks are kept; 0 keeps all.
    pub retention: usize,
    /// How long the command may take.
    pub timeout: Option<Duration>,
    /// How long it may be silent.
    pub stall_timeout: Option<Duration>,
    /// How long what is made to end is given before it is killed.
    pub grace: Duration,
    /// After which time the front-end leaves.
    pub background_after: Option<Duration>,
    /// How often it is tried.
    pub retry: Retry,
    /// How long the log may be, in bytes; 0 for any length.
    pub log_limit: u64,
    /// What the shell is to run once the task is over.
    pub on_finish: Option<OsString>,
    /// What the task has to wait for.
    pub turn: Turn,
    /// What is done where another task has its key.
    pub on_conflict: OnConflict,
    /// Whether the command gets terminals.
    pub pty: Pty,
    /// Whether the caller's terminal shows how far it is.
    pub show_progress: ShowProgress,
    /// What is drawn on the alternate screen goes into the log, too.
    pub log_screen: bool,
    /// The command is made to end when its caller's terminal goes away.
    pub ends_on_hangup: bool,
    /// The keys, typed one after the other, that leave the task; none if it cannot be left so.
    pub detach_keys: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double() {
        let retry = Retry { attempts: 9, delay: Duration::from_secs(2) };
        assert_eq!([1, 2, 3, 10].map(|n| retry.pause_after(n).as_secs()), [2, 4, 8, 1024]);
        assert_eq!(retry.pause_after(1000), LONGEST_PAUSE);
        let none = Retry { attempts: 2, delay: Duration::ZERO };
        assert_eq!(none.pause_after(5), Duration::ZERO);
    }
}
