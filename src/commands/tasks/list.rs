//! `gco tasks list`: lists tasks, newest first.

use anyhow::Result;

/// Arguments of `gco tasks list`
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Does it, and gives the exit code.
///
/// # Errors
/// What failed.
pub fn run(_args: &Args) -> Result<i32> {
    Ok(0)
}
