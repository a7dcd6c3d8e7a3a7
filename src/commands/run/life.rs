//! The options of `gco run` that limit a task, try it again, leave it, and tell of its end.

use std::ffi::OsString;
use std::time::Duration;

use crate::task::span;
use crate::task::spec::Retry;

/// How often a command may be tried again. More is a slip of the finger.
const MOST_RETRIES: u64 = 10_000;

/// These options.
#[derive(Debug, clap::Args)]
pub struct Life {
    /// End the command if it takes longer than this: 90s, 30m, 2h
    ///
    /// It is told to end by SIGTERM, and what is left of it after --grace is killed. The task has then failed, with exit code
    /// 124. The time is for all attempts and the pauses between them together; time in which the command is
    /// stopped (Ctrl-Z) does not count.
    #[arg(long, value_name = "DURATION", value_parser = span::parse_limit, allow_hyphen_values = true)]
    pub timeout: Option<Duration>,

    /// End the command if neither of its streams has brought anything for this long
    ///
    /// It is ended as by --timeout, with exit code 124. With --retry the next attempt follows.
    #[arg(long, value_name = "DURATION", value_parser = span::parse_limit, allow_hyphen_values = true)]
    pub stall_timeout: Option<Duration>,

    /// How long a command that takes too long is given to end before it is killed
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = span::parse_pause, allow_hyphen_values = true)]
    pub grace: Duration,

    /// Leave the command to itself if it has not ended after this time
    ///
    /// Until then all is as without it. Then gco says the task's id on stderr and ends with exit code 75; the command
    /// runs on in the background. A task without a record is not left: nobody could find it again.
    #[arg(long, value_name = "DURATION", conflicts_with = "detach", value_parser = span::parse_limit, allow_hyphen_values = true)]
    pub background_after: Option<Duration>,

    /// If the command fails, try it again, at most N times
    ///
    /// All attempts are one task with one log, in which a word from gco stands between them. A command that was told to end
    /// is not tried again, nor one that cannot be started.
    #[arg(long, value_name = "N", default_value = "0", value_parser = retries, allow_hyphen_values = true, hide_default_value = true)]
    pub retry: u64,

    /// How long to wait before the second attempt; before each further one twice as long
    #[arg(long, value_name = "DURATION", default_value = "1s", requires = "retry", value_parser = span::parse_pause, allow_hyphen_values = true)]
    pub retry_delay: Duration,

    /// Once the task is over, have the shell run this
    ///
    /// It is run where the command ran, when the end is on disk, also if gco was left or the terminal has gone. It gets the
    /// record as JSON on its standard input, and GCO_TASK_ID, GCO_STATE, GCO_EXIT_CODE, GCO_TOOL, GCO_LOG and
    /// GCO_DURATION (in seconds) in its environment. After 60 seconds it is killed. If it fails, that is a warning in the record.
    #[arg(long, value_name = "COMMAND", value_hint = clap::ValueHint::Unknown, allow_hyphen_values = true)]
    pub on_finish: Option<OsString>,
}

impl Life {
    /// How often the command is tried.
    pub fn retry(&self) -> Retry {
        Retry { attempts: self.retry + 1, delay: self.retry_delay }
    }
}

fn retries(text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| *number <= MOST_RETRIES);
    number.ok_or_else(|| format!("it takes a number of further attempts, {MOST_RETRIES} at most"))
}
