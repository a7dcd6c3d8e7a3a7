//! `gco tasks attach`: coming back to a task.
//!
//! One with a terminal is used as by whoever started it. For any other, and where stdout is no terminal, it is following the
//! log. Either way it ends with the task's exit code, and whoever leaves changes nothing for the task.

use std::io::{self, IsTerminal, Write};

use anyhow::Result;

use crate::failure::{EXIT_GCO_FAILED, EXIT_STILL_RUNNING, Failure};
use crate::log::join::Choice;
use crate::observe::{Ends, Subject};
use crate::present::{self, Count, LONGEST_LINE, Out, Wish};
use crate::store::liveness::Here;
use crate::store::{StatusDir, load, name};
use crate::supervise::visit::{Visited, end_by, visit};
use crate::sys::start::Inherited;
use crate::sys::window;
use crate::task::keys::{self, Keys};
use crate::task::{Exit, TaskId};
use crate::view::lines::Surface;
use crate::view::log::{Form, Printer};

/// What help and the man page say after the options.
const MORE: &str = "\
Exit status:
  The task's exit code; 128+N if signal N ended the command
  75   It was left, and the task goes on
  125  How the task ended cannot be known

Examples:
  Start what wants a terminal in the background, and use it from any terminal:
    gco run -d --pty always -- make -j8
    gco tasks attach make
  Look over somebody's shoulder; Ctrl-C stops that:
    gco tasks attach -r make
  Leave it by other keys than Ctrl-^ and d:
    gco tasks attach --detach-keys ctrl-a,d make";

/// Come back to a running task
///
/// The screen is shown as it is now, or the last lines, and then all that comes. Keys and the size of the window go to the
/// command. Several can be attached at once. Typing Ctrl-^ and then d leaves it, and so does closing the terminal: the task
/// goes on.
///
/// A command that has no terminal gets no keys: then this is 'gco tasks tail --follow', and ends with the task's exit code.
#[derive(Debug, clap::Args)]
#[command(after_long_help = MORE)]
pub struct Args {
    /// An id, the beginning of one, or a name, whose newest task is meant [default: the newest task]
    #[arg(value_name = "TASK")]
    task: Option<String>,
    /// Only look: neither keys nor the size of the window reach the command
    #[arg(short, long)]
    read_only: bool,
    /// The keys that leave: characters and 'ctrl-' with a character, with commas between, or 'none'
    ///
    /// The first of them typed twice reaches the command once.
    #[arg(long, value_name = "KEYS", default_value = keys::USUAL)]
    detach_keys: Keys,
}

/// How many of the last lines are shown where the command has no terminal.
const LINES: usize = 100;

/// Does it, and gives the exit code.
///
/// # Errors
/// No such task, a terminal that cannot be used, a log that cannot be read.
pub fn run(args: &Args, inherited: &Inherited) -> Result<i32> {
    let (dir, id) = name::find(args.task.as_deref())?;
    if !io::stdout().is_terminal() {
        return follow(&dir, &id);
    }
    let only_looks = args.read_only || !io::stdin().is_terminal();
    match visit(&dir, &id, inherited, only_looks, &args.detach_keys.0)? {
        Visited::NoDoor => follow(&dir, &id),
        Visited::Left => {
            say(&Failure::failed(format!("task {id} goes on in the background"))
                .hint(format!("'gco tasks attach {id}' comes back to it")));
            Ok(i32::from(EXIT_STILL_RUNNING))
        }
        Visited::Ended(Exit::Unknown) => {
            say(&Failure::failed(format!("'{id}' is over, and its exit status could not be learned")));
            Ok(i32::from(EXIT_GCO_FAILED))
        }
        Visited::Ended(Exit::Code(code)) | Visited::NotStarted(code) => Ok(code),
        Visited::Ended(Exit::Signal(signal)) => Ok(128 + signal),
        Visited::Signal(signal) => Ok(end_by(signal)),
        Visited::Lost => follow(&dir, &id),
    }
}

/// Shows the last lines and what comes, and gives the task's exit code.
fn follow(dir: &StatusDir, id: &TaskId) -> Result<i32> {
    let here = Here::ask();
    // What is not there is said before anything is waited for.
    load(dir, id, &here)
        .map_err(|error| Failure::failed(format!("cannot read the record of '{id}': {error}")))?;
    let subject = Subject { dir, id, here: &here };
    let surface = if io::stdout().is_terminal() {
        Surface::Terminal { colour: window::takes_colour() }
    } else {
        Surface::Bytes
    };
    let choice = Choice { only: None, gco: true };
    let out = Out::new(id, Printer::new(Form::Text(surface), choice, LONGEST_LINE));
    present::follow(&subject, Wish { lines: Count::Last(LINES), choice, raw: false, since: None }, out)?;
    let ends = Ends::of(dir, std::slice::from_ref(id), &here)?;
    let Some((_, verdict)) = ends.next(None) else { return Ok(i32::from(EXIT_GCO_FAILED)) };
    if let Some(trouble) = verdict.trouble(id) {
        say(&trouble);
    }
    Ok(verdict.code())
}

/// Says something beside the output. With stderr gone too there is nobody left to tell.
fn say(what: &Failure) {
    let _ = writeln!(io::stderr(), "{what}");
}
