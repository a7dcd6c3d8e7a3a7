//! One file a command: its arguments, then what it does.
//!
//! No command imports another. What several need is a room of its own below.

pub mod run;
pub mod tasks;

use std::error::Error;
use std::io::{self, IsTerminal};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::sys::window;
use crate::view::Style;

/// Whether an error is a pipe that its reader closed.
#[must_use]
pub fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// How to lay out what goes to stdout: for a terminal its width, and colours unless `NO_COLOR` is set; else as wide as it
/// is, without any.
#[must_use]
pub fn style_of_stdout() -> Style {
    let stdout = io::stdout();
    let width = window::columns(&stdout);
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    Style { width, colour: stdout.is_terminal() && !no_colour, now: now() }
}

/// Whether somebody sits before stdout and stderr, so that a remark beside the output helps and does no harm.
#[must_use]
pub fn is_watched() -> bool {
    io::stdout().is_terminal() && io::stderr().is_terminal()
}

/// The time in seconds since 1970.
#[must_use]
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
