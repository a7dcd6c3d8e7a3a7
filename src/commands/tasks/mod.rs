//! `gco tasks`: reads the status directory and tells the truth.

pub mod list;
pub mod prune;
pub mod status;
pub mod tail;

use anyhow::Result;
use clap::Subcommand;

/// Look at tasks, and clean up after them
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

/// The commands of `gco tasks`.
#[derive(Debug, Subcommand)]
enum Command {
    /// List tasks, newest first
    List(list::Args),
    /// Show everything about one task
    #[command(visible_alias = "show")]
    Status(status::Args),
    /// Show the last lines of a task's log
    Tail(tail::Args),
    // No words here: they would stand in the way of its own, longer ones.
    Prune(prune::Args),
}

/// Does what `args` say, and gives the exit code.
///
/// # Errors
/// What failed, as a [`Failure`](crate::failure::Failure) where there is more to say than the error itself.
pub fn run(args: Args) -> Result<i32> {
    match args.command {
        Command::List(args) => list::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Tail(args) => tail::run(&args),
        Command::Prune(args) => prune::run(&args),
    }
}
