//! One file a command: its arguments, then what it does.
//!
//! No command imports another. What several need is a room of its own below.

pub mod complete;
pub mod mcp;
pub mod progress;
pub mod run;
pub mod tasks;

use std::error::Error;
use std::io;

/// Whether an error is a pipe that its reader closed.
#[must_use]
pub fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
