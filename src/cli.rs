//! The command line as a whole: which commands there are, and how one that failed ends gco.

use std::ffi::OsString;
use std::io::{self, Write};

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::commands::{self, complete, mcp, progress, run, tasks};
use crate::failure::{EXIT_FAILED, EXIT_GCO_FAILED, EXIT_USAGE, Failure};
use crate::sys::start::Inherited;

/// What help and the man page say after the options.
const MORE: &str = "\
Environment:
  GCO_TASK_STATUS_DIR      Where tasks are kept, instead of ~/.gco/tasks
  GCO_DISABLE_TASK_STATUS  1, true or yes: 'gco run' keeps no files
  GCO_TASK_RETENTION       How many finished tasks are kept, 50 if not said, 0 for all
  NO_COLOR                 If not empty: no colours
  COMPLETE                 bash, zsh or fish, and no arguments: print the script for its completions

Examples:
  Run a build as usual, and look at it from anywhere, now or tomorrow:
    gco run -- make -j8
    gco tasks list
    gco tasks tail -f make
    gco tasks status make";

/// Wrap a long command; watch, read and find it again from anywhere
///
/// 'gco run' runs a command as it would run without it, and keeps its output and how it ends. 'gco tasks' reads that, from
/// any terminal. If the terminal goes away, the command runs on. There is no daemon and nothing to set up: a
/// task is two files in a directory.
#[derive(Debug, Parser)]
#[command(name = "gco", version, after_long_help = MORE)]
#[command(max_term_width = 100, disable_help_subcommand = true)]
#[command(subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

// No words on the commands here: they would stand in the way of their own, longer ones.
#[derive(Debug, Subcommand)]
enum Command {
    Run(Box<run::Args>),
    Progress(progress::Args),
    Tasks(tasks::Args),
    Mcp(mcp::Args),
}

/// The definition of the whole command line, for completions and man pages.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Parses this process's arguments, does what they say, and gives the exit code.
#[must_use]
pub fn main(inherited: Inherited) -> i32 {
    let words: Vec<OsString> = std::env::args_os().collect();
    if complete::is_asked_for(&words) {
        return complete::run(command, words).unwrap_or_else(|error| report(&error, false));
    }
    let is_run = words.get(1).is_some_and(|word| word == "run");
    let result = match Cli::try_parse_from(words) {
        Ok(cli) => match cli.command {
            Command::Run(args) => run::run(*args, inherited),
            Command::Progress(args) => progress::run(args),
            Command::Tasks(args) => tasks::run(args, &inherited),
            Command::Mcp(args) => mcp::run(args),
        },
        Err(error) => return refused(&error, is_run),
    };
    match result {
        Ok(code) => code,
        Err(error) => report(&error, is_run),
    }
}

/// Help and version are answers; everything else is a wrong command line. `gco run` then ends with 125,
/// because 2 could be the command's own.
fn refused(error: &clap::Error, is_run: bool) -> i32 {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return match error.print() {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => i32::from(EXIT_FAILED),
            _ => 0,
        };
    }
    // With stderr gone too there is nobody left to tell; the exit code still does.
    let _ = io::stderr().write_all(in_our_words(&error.render().to_string()).as_bytes());
    i32::from(if is_run { EXIT_GCO_FAILED } else { EXIT_USAGE })
}

/// The parser's message in the form that all of gco's have.
fn in_our_words(message: &str) -> String {
    let message = message.replace("\n\nFor more information, try '--help'.", "\nhint: '--help' tells more");
    match message.strip_prefix("error: ") {
        Some(rest) => format!("gco: {rest}"),
        // Help that is shown because nothing was asked for.
        None => message,
    }
}

/// Says on stderr what failed, and gives the exit code for it. A closed pipe on the way to the reader is
/// a quiet 0: whoever closed it has seen enough.
fn report(error: &anyhow::Error, is_run: bool) -> i32 {
    if error.chain().any(commands::is_broken_pipe) {
        return 0;
    }
    let failure = error.downcast_ref::<Failure>().cloned().unwrap_or_else(|| {
        let code = if is_run { EXIT_GCO_FAILED } else { EXIT_FAILED };
        Failure::new(code, format!("{error:#}"))
    });
    // With stderr gone too there is nobody left to tell; the exit code still does.
    // In one piece, so that several gcos at once do not mix their words.
    let _ = io::stderr().write_all(format!("{failure}\n").as_bytes());
    i32::from(failure.code())
}
