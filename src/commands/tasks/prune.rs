//! `gco tasks prune`: removes finished tasks.

use std::io::{self, BufRead, BufWriter, IsTerminal, Write};
use std::time::Duration;

use anyhow::Result;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::failure::Failure;
use crate::store::StatusDir;
use crate::store::liveness::Here;
use crate::store::retention::{Rules, Standing};
use crate::store::sweep::{Done, Work};
use crate::task::{State, size, span};
use crate::view::json;

/// The states in which a task can be pruned.
const OVER: [State; 4] = [State::Succeeded, State::Failed, State::Cancelled, State::Orphaned];

/// What help and the man page say after the options.
const MORE: &str = "\
Examples:
  What ended more than a week ago, from cron:
    gco tasks prune --older-than 7d -y
  All that failed:
    gco tasks prune --state failed --keep 0 -y
  What would go if all were to fit in two gibibytes:
    gco tasks prune --max-size 2GiB --dry-run";

/// Remove finished tasks
///
/// Considered are tasks that have finished, and orphaned ones whose command is gone; --state narrows that. Of these a
/// task is removed, record and log, if any of the given limits says so. Without a limit the newest 50 are kept.
///
/// Never removed are tasks that are supervised or whose command runs, those of another host that may still run,
/// and records that cannot be read. Logs without a record, temporary and lock files that were left behind, and
/// the files of groups and keys that nobody uses and that have no limit are cleared away too. Sizes are the lengths of the files.
#[derive(Debug, clap::Args)]
#[command(after_long_help = MORE)]
pub struct Args {
    /// Keep the newest N of the tasks considered, remove the others
    #[arg(long, value_name = "N", value_parser = number, allow_negative_numbers = true)]
    keep: Option<usize>,

    /// Remove tasks that ended longer ago than this: 90s, 30m, 2h, 7d
    #[arg(long, value_name = "DURATION", value_parser = span::parse, allow_hyphen_values = true)]
    older_than: Option<Duration>,

    /// Remove the oldest of the tasks considered until the rest take at most this: 10MiB, 2GB
    #[arg(long, value_name = "SIZE", value_parser = size::parse, allow_hyphen_values = true)]
    max_size: Option<u64>,

    /// Consider only tasks in this state; may be repeated, or several given with commas between them
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = state())]
    state: Vec<State>,

    /// Show what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,

    /// Do not ask
    #[arg(short, long)]
    yes: bool,

    /// Print what was removed as JSON
    #[arg(long)]
    json: bool,
}

fn number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "it takes a number of tasks".to_owned())
}

fn state() -> impl TypedValueParser<Value = State> {
    PossibleValuesParser::new(OVER.map(State::as_str))
        .try_map(|word| State::parse(&word).ok_or("there is no such state"))
}

/// Does it, and gives the exit code.
///
/// # Errors
/// What failed.
pub fn run(args: &Args) -> Result<i32> {
    let asks = !args.dry_run && !args.yes;
    if asks && !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        let hint = "give -y to remove without being asked, or --dry-run to see what would go";
        return Err(Failure::usage("there is no terminal on which to ask").hint(hint).into());
    }
    let dir = StatusDir::for_reading().map_err(|unusable| Failure::failed(unusable.to_string()))?;
    let mut done = Done::default();
    let mut out = BufWriter::new(io::stdout().lock());
    if let Some(dir) = &dir {
        let here = Here::ask();
        let rules = Rules {
            keep: args.keep,
            older_than: args.older_than,
            max_size: args.max_size,
            states: args.state.clone(),
        };
        let work = Work::find(dir, &here, &rules)?;
        for (id, why) in &work.unreadable {
            let _ = writeln!(io::stderr(), "gco: '{id}' stays, its record cannot be read: {why}");
        }
        if asks && !work.is_empty() && !confirmed(&work)? {
            writeln!(io::stderr(), "nothing removed")?;
            return Ok(0);
        }
        done = if args.dry_run { work.pretend() } else { work.carry_out(dir, &here) };
        if args.dry_run && !args.json {
            list(&work, &mut out)?;
        }
    }
    if args.json {
        out.write_all(json::pretty(&done.json(args.dry_run)).as_bytes())?;
    } else {
        writeln!(out, "{}", words(&done, args.dry_run))?;
    }
    out.flush()?;
    for problem in &done.problems {
        let _ = writeln!(io::stderr(), "gco: {problem}");
    }
    Ok(i32::from(!done.problems.is_empty()))
}

/// Says what would go, one a line.
fn list(work: &Work, out: &mut impl Write) -> io::Result<()> {
    let widest = work.tasks.iter().map(|(task, _)| task.id.as_str().len()).max().unwrap_or(0);
    for (task, why) in &work.tasks {
        let state = match task.candidate.standing {
            Standing::Over(state) => state.as_str(),
            Standing::UnderWay | Standing::Unreadable(_) => "",
        };
        let size = size::brief(task.candidate.size);
        writeln!(out, "{:<widest$}  {state:<9}  {size:>10}  {}", task.id.as_str(), why.as_str())?;
    }
    for leftover in &work.leftovers {
        let size = size::brief(leftover.size);
        writeln!(out, "{:<widest$}  {:<9}  {size:>10}  belongs to no task", leftover.name(), "")?;
    }
    Ok(())
}

/// What was done, in a sentence.
fn words(done: &Done, dry_run: bool) -> String {
    if done.tasks.is_empty() && done.leftovers.is_empty() {
        return if dry_run { "nothing to remove" } else { "nothing removed" }.to_owned();
    }
    let what = counts(done.tasks.len(), done.leftovers.len());
    let freed = size::brief(done.freed);
    if dry_run { format!("would remove {what}: {freed}") } else { format!("removed {what}, freed {freed}") }
}

fn counts(tasks: usize, leftovers: usize) -> String {
    let some =
        |number: usize, one: &str, many: &str| format!("{number} {}", if number == 1 { one } else { many });
    let tasks_words = some(tasks, "task", "tasks");
    let leftover_words = some(leftovers, "leftover file", "leftover files");
    match (tasks, leftovers) {
        (_, 0) => tasks_words,
        (0, _) => leftover_words,
        _ => format!("{tasks_words} and {leftover_words}"),
    }
}

/// Asks on the terminal. Anything but a yes is a no.
fn confirmed(work: &Work) -> io::Result<bool> {
    let will = work.pretend();
    let what = counts(will.tasks.len(), will.leftovers.len());
    // In one piece: what is typed ahead is not to be echoed into the middle of it.
    let question = format!("remove {what} ({})? [y/N] ", size::brief(will.freed));
    io::stderr().write_all(question.as_bytes())?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
