//! `gco progress`: a command's own script says how far it is.
//!
//! It never fails a script for something that is not the script's fault: outside a task, and where the task's files cannot
//! be written, it says nothing and ends with 0.

use anyhow::Result;

use crate::failure::{EXIT_USAGE, Failure};
use crate::store::told::{self, Word};
use crate::store::{StatusDir, load};
use crate::supervise::setup::ID_VARIABLE;
use crate::supervise::supervisor::LOOK;
use crate::sys::process;
use crate::task::record::field;
use crate::task::{Progress, TaskId};

/// What help and the man page say after the options.
const MORE: &str = "\
Environment:
  GCO_TASK_ID  The task that is meant; 'gco run' sets it for the command

Examples:
  In a script that 'gco run' runs:
    gco progress 25/100 'copying files'
    gco progress 40%
    gco progress --unit stack-a
    gco progress 'waiting for the database'";

/// Say how far the task is, from inside the command
///
/// What is said is in the record, and what 'gco tasks' shows: it counts more than what is recognised in the output. The command
/// can be any depth below the one that 'gco run' has started. Outside a task it does nothing, and its exit code is 0.
#[derive(Debug, clap::Args)]
#[command(after_long_help = MORE)]
pub struct Args {
    /// How far it is: 25/100, 40% or 25; and what is being done
    #[arg(value_name = "AMOUNT|MESSAGE", num_args = 0..=2, required_unless_present = "unit")]
    words: Vec<String>,

    /// A unit of work that is done
    ///
    /// It counts once, however often it is said. 'gco run --total' says how many there are.
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    unit: Option<String>,
}

/// Does it, and gives the exit code.
///
/// # Errors
/// The words make no sense.
pub fn run(args: Args) -> Result<i32> {
    let progress = match args.words.as_slice() {
        [] => None,
        [one] => Some(
            amount(one).unwrap_or_else(|| Progress { message: Some(one.clone()), ..Progress::default() }),
        ),
        [first, message, ..] => {
            let amount = amount(first).ok_or_else(|| {
                let what = format!("'{first}' does not say how far it is");
                Failure::new(EXIT_USAGE, what).hint("write it like 25/100, 40% or 25")
            })?;
            Some(Progress { message: Some(message.clone()), ..amount })
        }
    };
    tell(&Word { progress, unit: args.unit });
    Ok(0)
}

/// Tells the task that this process belongs to, if it does and can.
fn tell(word: &Word) {
    let id = std::env::var(ID_VARIABLE).ok().and_then(|text| TaskId::parse(&text).ok());
    let dir = StatusDir::for_reading().ok().flatten();
    let Some((id, dir)) = id.zip(dir) else { return };
    // One that is over has nobody left to tell.
    let Ok(record) = load::read_record(&dir, &id) else { return };
    if !record.state().is_some_and(crate::task::State::is_live) {
        return;
    }
    // A script is not to fail because a disk is full.
    if told::say(&dir, &id, word).is_ok()
        && let Some(pid) = record.pid(field::SUPERVISOR_PID)
        && let Some(start) = record.count(field::SUPERVISOR_START)
    {
        // One that cannot be reached looks by itself when it next writes the record.
        let _ = process::signal(pid, start, LOOK);
    }
}

/// `25/100`, `40%`, `25`.
fn amount(text: &str) -> Option<Progress> {
    if let Some(percent) = text.strip_suffix('%') {
        let percent = percent.parse().ok().filter(|percent| (0.0..=100.0).contains(percent))?;
        return Some(Progress { percent: Some(percent), ..Progress::default() });
    }
    let (current, total) = match text.split_once('/') {
        Some((current, total)) => (current, Some(total.trim().parse().ok().filter(|&total| total > 0)?)),
        None => (text, None),
    };
    let current =
        current.trim().parse().ok().filter(|&current| total.is_none_or(|total| current <= total))?;
    Some(Progress { current: Some(current), total, ..Progress::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read() {
        let counted =
            |current, total| Some(Progress { current: Some(current), total, ..Progress::default() });
        assert_eq!(amount("25/100"), counted(25, Some(100)));
        assert_eq!(amount("25"), counted(25, None));
        assert_eq!(amount("0/1"), counted(0, Some(1)));
        assert_eq!(amount("40%").and_then(|progress| progress.percent), Some(40.0));
        assert_eq!(amount("12.5%").and_then(|progress| progress.percent), Some(12.5));
        for bad in ["", "x", "3/2", "1/0", "-1", "101%", "-1%", "nan%", "%", "1/2/3"] {
            assert_eq!(amount(bad), None, "{bad}");
        }
    }
}
