//! `gco tasks limit`: how many of a group run at once, and who runs and who waits.

use std::io::{self, BufWriter, Write};

use anyhow::Result;

use crate::failure::{Failure, io_words};
use crate::store::{StatusDir, line};
use crate::sys::{time, window};
use crate::task::line::MAX_LIMIT;
use crate::task::{LineName, text};
use crate::view::{Style, json, line as shown};

/// What help and the man page say after the options.
const MORE: &str = "\
Examples:
  Let three of a group run at once, from now on:
    gco tasks limit deploy 3
  Who runs and who waits:
    gco tasks limit deploy
  The same for a script:
    gco tasks limit deploy --json";

/// Show or set how many of a group run at once
///
/// 'gco run --group' puts a task into a group. Of a group one task runs at once, unless its limit says otherwise; the others
/// wait, and start in the order in which they came.
///
/// With N the limit is set. It holds at once for those who wait, and for all who come later: if it is raised, as many more
/// start; if it is lowered, those that run go on. Nothing is printed then, except with --json. Without N the limit is
/// shown, with the tasks that run and those that wait, the next one first.
#[derive(Debug, clap::Args)]
#[command(after_long_help = MORE)]
pub struct Args {
    /// The name of the group
    #[arg(value_name = "GROUP", value_parser = LineName::group, allow_hyphen_values = true)]
    group: LineName,

    /// The new limit: 1 to 100000
    #[arg(value_name = "N", value_parser = number, allow_negative_numbers = true)]
    limit: Option<u32>,

    /// Print JSON: {"group", "limit", "running": [...], "waiting": [...]}
    #[arg(long)]
    json: bool,
}

fn number(text: &str) -> Result<u32, String> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let limit = text.parse().ok().filter(|limit| is_number && (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| format!("a limit is a number from 1 to {MAX_LIMIT}"))
}

/// Does it, and gives the exit code.
///
/// # Errors
/// What failed.
pub fn run(args: &Args) -> Result<i32> {
    let group = &args.group;
    let dir = match args.limit {
        Some(_) => StatusDir::for_writing().map(Some),
        None => StatusDir::for_reading(),
    };
    let dir = dir.map_err(|unusable| Failure::failed(unusable.to_string()))?;
    let Some(dir) = dir else { return Err(unknown(group).into()) };
    if let Some(limit) = args.limit {
        line::set_limit(&dir, group, limit).map_err(|error| failed("set the limit of", group, &error))?;
        if !args.json {
            return Ok(0);
        }
    }
    let state = line::look(&dir, group).map_err(|error| failed("look at", group, &error))?;
    let state = state.ok_or_else(|| unknown(group))?;
    let mut out = BufWriter::new(io::stdout().lock());
    if args.json {
        out.write_all(json::pretty(&shown::json(group, &state)).as_bytes())?;
    } else {
        let style =
            Style { width: window::columns(io::stdout()), colour: window::takes_colour(), now: time::now() };
        for line in shown::lines(group, &state, style) {
            writeln!(out, "{line}")?;
        }
    }
    out.flush()?;
    Ok(0)
}

fn failed(what: &str, group: &LineName, error: &io::Error) -> Failure {
    Failure::failed(format!("cannot {what} {group}: {}", text::clean(&io_words(error))))
}

fn unknown(group: &LineName) -> Failure {
    let name = group.name();
    Failure::failed(format!("there is no {group}")).hint(format!(
        "a group is there while tasks run or wait in it, or once it has a limit: 'gco tasks limit {name} N'"
    ))
}
