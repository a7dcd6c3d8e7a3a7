//! `gco tasks diff`: where a run went another way than one that went well.

use std::io::{self, BufWriter, Write};

use anyhow::Result;

use crate::observe::versus::Versus;
use crate::store::liveness::Here;
use crate::store::{Task, name};
use crate::sys::{time, window};
use crate::view::{Shown, Style, diff, json};

/// What help and the man page say after the options.
const MORE: &str = "\
Examples:
  The newest run of make, with the last one before it that succeeded:
    gco tasks diff make
  With any other task:
    gco tasks diff make backup
  For an agent:
    gco tasks diff make --json";

/// Compare a run with one that went well
///
/// Shows where the run first went another way, with the numbers of the lines in both logs and some lines before, and then the
/// lines that the other does not have at all, each once. What changes with every run is not looked at: times, ids, temporary
/// paths, process ids, durations and sizes. Nor does the order of lines count, since what runs side by side comes in another
/// order each time.
///
/// Where OTHER is left out, it is the last run of the same command in the same directory that succeeded before, or if there
/// was none before, after. Of each log the first and the last 8 MiB are looked at; it is said if that is not all.
///
/// With --json it is an object: task and other, parting (before, here, there; null if the runs do not part), new, and
/// whether anything was left out.
#[derive(Debug, clap::Args)]
#[command(after_long_help = MORE)]
pub struct Args {
    /// An id, the beginning of one, or a name, whose newest task is meant [default: the newest task]
    #[arg(value_name = "TASK")]
    task: Option<String>,

    /// What to compare it with, named in the same way [default: the last success of the same command]
    #[arg(value_name = "OTHER")]
    other: Option<String>,

    /// Print the comparison as JSON
    #[arg(long)]
    json: bool,
}

/// Does it, and gives the exit code: 0 whether the runs differ or not.
///
/// # Errors
/// There is nothing to compare, or it cannot be read.
pub fn run(args: &Args) -> Result<i32> {
    let (dir, id) = name::find(args.task.as_deref())?;
    let here = Here::ask();
    let Versus { task, other, comparison } = Versus::of(&dir, &id, args.other.as_deref(), &here)?;
    let (task, other) = (shown(&task), shown(&other));
    let mut out = BufWriter::new(io::stdout().lock());
    if args.json {
        out.write_all(json::pretty(&diff::to_json(&task, &other, &comparison)).as_bytes())?;
    } else {
        let style =
            Style { width: window::columns(io::stdout()), colour: window::takes_colour(), now: time::now() };
        for line in diff::lines(&task, &other, &comparison, style) {
            writeln!(out, "{line}")?;
        }
    }
    out.flush()?;
    Ok(0)
}

fn shown(task: &Task) -> Shown<'_> {
    let Task { id, record, state, is_alive } = task;
    Shown { id, record, state: *state, is_alive: *is_alive, place: None, past: None }
}
