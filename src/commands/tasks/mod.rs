//! `gco tasks`: reads the status directory and tells the truth.

pub mod adopt;
pub mod attach;
pub mod cancel;
pub mod diff;
pub mod events;
pub mod limit;
pub mod list;
pub mod prune;
pub mod replay;
pub mod status;
pub mod tail;
pub mod top;
pub mod wait;

use anyhow::Result;
use clap::Subcommand;

use crate::sys::start::Inherited;

/// What help and the man page say after the options.
const MORE: &str = "\
Exit status:
  0  Done; also if the reader of a pipe has seen enough and closed it
  1  There is no such task, or it failed
  2  The command line was wrong, or a name means several tasks

Environment:
  GCO_TASK_STATUS_DIR  Where tasks are kept, instead of ~/.gco/tasks
  NO_COLOR             If not empty: no colours

Examples:
  What runs, what ran, and how it ended:
    gco tasks list
  The newest task:
    gco tasks status
  All that failed in the last day, for a script:
    gco tasks list --state failed --since 1d --json";

/// Look at tasks, wait for them, end them, and clean up after them
///
/// A task is named by its id, by the beginning of its id, or by its name, which means the newest task of that name. Where
/// the task may be left out, the newest one is meant.
#[derive(Debug, clap::Args)]
#[command(after_long_help = MORE)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// The commands of `gco tasks`.
#[derive(Debug, Subcommand)]
enum Command {
    // No words here: they would stand in the way of their own, longer ones.
    List(list::Args),
    #[command(visible_alias = "show")]
    Status(status::Args),
    Diff(diff::Args),
    Tail(tail::Args),
    Replay(replay::Args),
    Top(top::Args),
    Attach(attach::Args),
    Adopt(adopt::Args),
    Wait(wait::Args),
    Cancel(cancel::Args),
    Limit(limit::Args),
    Events(events::Args),
    Prune(prune::Args),
}

/// Does what `args` say, and gives the exit code.
///
/// # Errors
/// What failed, as a [`Failure`](crate::failure::Failure) where there is more to say than the error itself.
pub fn run(args: Args, inherited: &Inherited) -> Result<i32> {
    match args.command {
        Command::List(args) => list::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Tail(args) => tail::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Top(args) => top::run(&args, inherited),
        Command::Attach(args) => attach::run(&args, inherited),
        Command::Adopt(args) => adopt::run(&args),
        Command::Wait(args) => wait::run(&args),
        Command::Cancel(args) => cancel::run(&args),
        Command::Limit(args) => limit::run(&args),
        Command::Events(args) => events::run(&args),
        Command::Prune(args) => prune::run(&args),
    }
}
