//! Showing the lines of a task on stdout, for the commands that do: those there are, and those that come.
//!
//! Following ends when the task has ended. A task that is removed meanwhile ends it too, but not one whose supervisor still
//! holds its lock and so will put its files back.

mod out;
mod stamps;

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::str::FromStr;

use anyhow::{Error, Result};

pub use self::out::Out;
pub use self::stamps::{Stamps, Style};
use crate::failure::Failure;
use crate::log::ReadAt;
use crate::log::join::{Choice, Joiner};
use crate::log::last::{Wanted, last};
use crate::log::replay::Replay;
use crate::log::since::line_start;
use crate::observe::{Following, Halt, Sink, Subject};
use crate::store::load;
use crate::sys::watch::Watch;
use crate::task::State;

/// How many lines.
#[derive(Debug, Clone, Copy)]
pub enum Count {
    /// All of them.
    All,
    /// So many, the last ones.
    Last(usize),
}

impl FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" => Some(Count::All),
            _ if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok().map(Count::Last),
            _ => None,
        }
        .ok_or_else(|| "write a number of lines, or 'all'".to_owned())
    }
}

/// How many bytes of a log are looked at for a number of lines.
const LOOK_AT_MOST: u64 = 256 * 1024 * 1024;

/// How much of one line is kept to be shown: its last part.
pub const LONGEST_LINE: usize = 1024 * 1024;

/// What is to be shown.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// How many lines of what there is.
    pub lines: Count,
    /// Whose lines.
    pub choice: Choice,
    /// The command's own bytes.
    pub raw: bool,
    /// Only what was written then or later, in milliseconds since 1970.
    pub since: Option<u64>,
}

/// Shows what there is.
///
/// # Errors
/// A log that cannot be read, or a stdout that cannot be written to.
pub fn show(subject: &Subject<'_>, wish: Wish, mut out: Out<'_>) -> Result<()> {
    // The state first: if it is final, so is the log that is read after it.
    let state = load(subject.dir, subject.id, subject.here).ok().map(|task| task.state);
    let log = subject.open_log()?;
    out.begin(state);
    if let Some(log) = &log {
        show_lines(log, subject, wish, &mut out)?;
    }
    out.end(state)?;
    Ok(())
}

/// Shows the lines of `log` that are asked for, and gives the place behind them.
fn show_lines(log: &File, subject: &Subject<'_>, wish: Wish, out: &mut Out<'_>) -> Result<u64> {
    let unreadable = |error| subject.unreadable_log(&error);
    let Wish { choice, raw, .. } = wish;
    let from = wish.since.map_or(Ok(0), |time| place(log, subject, time))?;
    let lines = match wish.lines {
        Count::Last(lines) => lines,
        Count::All => {
            let size = log.metadata().map_err(unreadable)?.len();
            let mut replay = Replay::between(from, size);
            let mut joiner = Joiner::new(choice, LONGEST_LINE);
            while let Some(entry) = replay.next(log).map_err(unreadable)? {
                if raw {
                    out.entry(&entry)?;
                } else {
                    out.left_out(entry.left_out.map_or(0, |left_out| left_out.bytes))?;
                    if let Some(line) = joiner.push(&entry) {
                        out.line(line)?;
                    }
                }
            }
            for line in joiner.finish() {
                out.line(line)?;
            }
            return Ok(replay.position());
        }
    };
    // One byte more: a line is known to begin there by the newline before it.
    let there = (log.metadata().map_err(unreadable)?.len() + 1).saturating_sub(from);
    let look_at_most = LOOK_AT_MOST.min(there);
    let wanted = Wanted { lines, choice, look_at_most, longest_line: LONGEST_LINE };
    let mut found = last(log, &wanted).map_err(unreadable)?;
    let is_short = found.cut && found.lines.len() < lines && look_at_most < there;
    found.lines.retain(|line| line.log_offset >= from);
    out.left_out(found.left_out)?;
    for line in found.lines {
        out.line(line)?;
    }
    if is_short {
        out.flush()?;
        say(&Failure::failed("only the last 256 MiB of the log were looked at")
            .hint("-n all shows everything"));
    }
    Ok(found.end)
}

/// Where in `log` the lines begin that were written at `time` or later.
fn place(log: &File, subject: &Subject<'_>, time: u64) -> Result<u64> {
    let find = || {
        let size = log.size()?;
        // The end first: what comes in between is later.
        let nothing = Wanted { lines: 0, choice: Choice::ALL, look_at_most: LOOK_AT_MOST, longest_line: 0 };
        let end = last(log, &nothing)?.end;
        let Some(times) = subject.open_times() else { return Ok((size == 0).then_some(0)) };
        Ok(Some(match times.since(time)? {
            None => end,
            Some(offset) => line_start(log, offset, end)?,
        }))
    };
    let found = find().map_err(|error| subject.unreadable_log(&error))?;
    found.ok_or_else(|| {
        Failure::failed(stamps::unknown(subject))
            .hint("gco notes them as it runs a command; -n shows the last lines of any log")
            .into()
    })
}

/// Says something beside the output. With stderr gone too there is nobody left to tell.
fn say(what: &Failure) {
    let _ = writeln!(io::stderr(), "{what}");
}

/// Shows what there is and then what comes, to the task's end, and gives its state; `None` if it was removed.
///
/// # Errors
/// As for [`show`], and a record that cannot be read.
pub fn follow(subject: &Subject<'_>, wish: Wish, mut out: Out<'_>) -> Result<Option<State>> {
    let mut watch = Watch::new(subject.dir.path(), subject.names());
    let mut following = Following::begin(subject, &mut watch)?;
    let from = following.log().map(|log| show_lines(log, subject, wish, &mut out)).transpose()?;
    following.go_to(from.unwrap_or(0));
    let task =
        following.to_end(subject, &mut watch, &mut out, io::stdout().as_fd()).map_err(|halt| match halt {
            Halt::Output(error) => Error::from(error),
            Halt::Log(failure) => failure.into(),
            Halt::Record(error) => subject
                .unreadable_record(&error)
                .hint("without it nobody can tell when the task ends; leave out --follow")
                .into(),
        })?;
    let state = task.map(|task| task.state);
    out.end(state)?;
    Ok(state)
}
