//! `gco tasks status`: everything about one task.

use std::fs;
use std::io::{self, BufWriter, Write};

use anyhow::Result;

use crate::failure::io_words;
use crate::observe::Subject;
use crate::store::history::History;
use crate::store::line::Places;
use crate::store::liveness::Here;
use crate::store::scan::{self, NewestFirst};
use crate::store::{StatusDir, Task, name};
use crate::sys::{time, window};
use crate::task::record::field;
use crate::task::{Past, State, TaskId};
use crate::view::panel::{self, Around};
use crate::view::why::{self, Why};
use crate::view::{Shown, Style, json};

/// What help and the man page say after the options.
const MORE: &str = "\
Examples:
  The newest task, and the newest of a name:
    gco tasks status
    gco tasks status backup
  The record, for a script:
    gco tasks status backup --json
  Why the newest task failed, for an agent:
    gco tasks status --json | jq .reason
  How far it probably is, and whether it may be stuck:
    gco tasks status backup --json | jq '{estimate, silent_seconds, longest_silence_seconds}'";

/// Show everything about one task
///
/// Its state, command, directory, processes, times, exit code, what it used and wrote, where its log is, and its last
/// lines. Of a task that did not succeed it tells first why: how its command ended, the lines of its log that look like the
/// cause, with their numbers, and the last ones of stderr. Only the last 8 MiB of the log are looked at for that.
///
/// How far a task is that runs and does not say so is guessed from how long the last runs of the same command in the same
/// directory took that succeeded, five at most: '~63%, about 22 min left'. If it has been silent for longer than it or they ever
/// were, for ten seconds at least, that is said as well.
///
/// With --json it is the record as on disk, with the state as it really is, and is_alive: whether the
/// command itself still runs, null if that cannot be told from here. Of a task that waits in line also place: 1 if it is
/// next; of one that did not succeed also reason; of one that runs also estimate (percent; remaining_seconds, null if it takes
/// longer than usual; runs; typical_seconds), and if it is silent silent_seconds and longest_silence_seconds, before.
/// 'gco tasks show' is the same command.
#[derive(Debug, clap::Args)]
#[command(after_long_help = MORE)]
pub struct Args {
    /// An id, the beginning of one, or a name, whose newest task is meant [default: the newest task]
    #[arg(value_name = "TASK")]
    task: Option<String>,

    /// Print the record as JSON
    #[arg(long)]
    json: bool,
}

/// Does it, and gives the exit code.
///
/// # Errors
/// What failed.
pub fn run(args: &Args) -> Result<i32> {
    let (dir, id) = name::find(args.task.as_deref())?;
    let here = Here::ask();
    let subject = Subject { dir: &dir, id: &id, here: &here };
    let task = subject.task()?;
    let now = time::now();
    let place = Places::new().of(&dir, &task);
    let past = past(&dir, &task, now);
    let Task { id, record, state, is_alive } = &task;
    let shown =
        Shown { id, record, state: *state, is_alive: *is_alive, place: place.as_ref(), past: past.as_ref() };
    let why = why(&subject, &task);
    let mut out = BufWriter::new(io::stdout().lock());
    if args.json {
        let mut told = json::record(&shown, now);
        if let Some(why) = &why {
            told[field::REASON] = why::to_json(why);
        }
        out.write_all(json::pretty(&told).as_bytes())?;
    } else {
        let style = Style { width: window::columns(io::stdout()), colour: window::takes_colour(), now };
        for line in panel::lines(&shown, &around(&dir, id, why), style) {
            writeln!(out, "{line}")?;
        }
    }
    out.flush()?;
    Ok(0)
}

/// Why the task did not succeed. A log that cannot be read tells nothing; that it cannot is said elsewhere.
fn why(subject: &Subject<'_>, task: &Task) -> Option<Why> {
    let log = subject.open_log().ok().flatten();
    Why::of(&task.id, &task.record, task.state, log.as_ref(), subject.open_times())
}

/// What went before the task. That the directory cannot be read is no reason not to show what could be.
fn past(dir: &StatusDir, task: &Task, now: i64) -> Option<Past> {
    if task.state != State::Running {
        return None;
    }
    let others = NewestFirst::from(scan::records(dir).unwrap_or_default());
    History::new().of(dir, task, &others, now)
}

fn around(dir: &StatusDir, id: &TaskId, why: Option<Why>) -> Around {
    let path = dir.log(id);
    let log = match fs::symlink_metadata(&path) {
        Ok(meta) if meta.is_file() => Ok(meta.len()),
        Ok(_) => Err("not a regular file".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err("there is none".to_owned()),
        Err(error) => Err(io_words(&error)),
    };
    Around { log_path: path.to_string_lossy().into_owned(), log, why }
}
