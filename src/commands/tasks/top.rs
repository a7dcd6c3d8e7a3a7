//! `gco tasks top`: all tasks and the log of one, full screen.

use anyhow::Result;

use crate::failure::Failure;
use crate::screen::top;
use crate::store::StatusDir;
use crate::sys::start::Inherited;

/// What help and the man page say after the options.
const MORE: &str = "\
Keys:
  Up, Down, j, k  Choose a task
  PgUp, PgDn      Scroll in its log; End follows it again
  /, n, N         Search in the log; the next one above, below
  f               Only tasks with these words in their id, state or labels (KEY=VALUE)
  s               The task's status in place of its log
  c               Cancel it; asks first
  a               Attach to it
  ?               All keys
  q, Ctrl-C       Leave

Examples:
  What goes on here:
    gco tasks top";

/// Watch tasks and their logs, full screen
///
/// The newest 500 tasks, and the last 2,000 lines of the chosen one's log, which is followed. Both change as the tasks do.
/// On a wide screen they are side by side. What is behind a ~ is guessed from earlier runs of the command, and a task that is silent
/// for longer than ever says so in place of how far it is. The mouse chooses and scrolls. Leaving changes nothing for the tasks.
#[derive(Debug, clap::Args)]
#[command(after_long_help = MORE)]
pub struct Args {}

/// Does it, and gives the exit code.
///
/// # Errors
/// There is no terminal, or the status directory cannot be read.
pub fn run(_args: &Args, inherited: &Inherited) -> Result<i32> {
    let path = StatusDir::location().map_err(|unusable| Failure::failed(unusable.to_string()))?;
    top::top(&path, inherited)
}
