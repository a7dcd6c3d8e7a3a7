//! `gco tasks status`: everything about one task.

use anyhow::Result;

/// Arguments of `gco tasks status`
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Does it, and gives the exit code.
///
/// # Errors
/// What failed.
pub fn run(_args: &Args) -> Result<i32> {
    Ok(0)
}
