//! `gco tasks adopt`: takes a task on again that has lost all of gco's processes.

use std::io::{self, Write};

use anyhow::Result;
use serde_json::json;

use crate::store::liveness::Here;
use crate::store::name;
use crate::supervise::adopt::{Adopted, adopt};
use crate::supervise::journal::LogLimit;
use crate::task::{Stream, TaskId};
use crate::view::json;

/// What help and the man page say after the options.
const MORE: &str = "\
Exit status:
  0  The task is supervised again
  1  There is no such task, it is no orphan, its command is gone, or it is somebody else's
  2  The command line was wrong, or a name means several tasks

Examples:
  All of gco's processes of a task are killed, and the command lives on:
    gco run -d --name server -- sh -c 'read _ _ _ up _ </proc/$PPID/stat; echo $PPID $up >gcos; echo ready; exec sleep 600'
    gco tasks wait server --until match:ready --since start
    read keeper supervisor <gcos; kill -STOP $supervisor; kill -KILL $keeper $supervisor
    gco tasks adopt server --json
    gco tasks cancel server";

/// Take a task on again whose processes of gco's were all killed
///
/// The task is shown as 'orphaned', and its command still runs. A new supervisor takes over: the record says 'running' again,
/// what the command writes is logged, its end and, where the kernel tells (Linux 6.15), its exit code are noted, and 'wait',
/// 'tail --follow' and 'cancel' work as before.
///
/// What the command wrote before that, and gco had not logged, is lost. A command that writes while nobody reads gets SIGPIPE,
/// and most end of it. Limits, further attempts and what was to be run at the end are not known any more. A command that
/// had a terminal has lost it: nothing more is logged of it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = MORE)]
pub struct Args {
    /// An id, the beginning of one, or a name, whose newest task is meant
    #[arg(value_name = "TASK")]
    task: String,
    /// Print what is supervised again as JSON
    #[arg(long)]
    json: bool,
}

/// Does it, and gives the exit code.
///
/// # Errors
/// What cannot be adopted, and why.
pub fn run(args: &Args) -> Result<i32> {
    let (dir, id) = name::find(Some(&args.task))?;
    let (limit, trouble) = LogLimit::usual();
    if let Some(trouble) = trouble {
        // One who is not at the terminal misses it.
        let _ = writeln!(io::stderr(), "{trouble}");
    }
    let adopted = adopt(&dir, &id, &Here::ask(), limit)?;
    let mut out = io::stdout().lock();
    if args.json {
        let object = json!({ "task_id": id.as_str(), "pid": adopted.pid, "streams": streams(&adopted) });
        out.write_all(json::pretty(&object).as_bytes())?;
    } else {
        writeln!(out, "{}", words(&id, &adopted))?;
    }
    out.flush()?;
    Ok(0)
}

/// The streams that are read again.
fn streams(adopted: &Adopted) -> Vec<&'static str> {
    Stream::BOTH.into_iter().filter(|stream| adopted.streams[stream.index()]).map(Stream::as_str).collect()
}

fn words(id: &TaskId, adopted: &Adopted) -> String {
    let pid = adopted.pid;
    match streams(adopted)[..] {
        [] => format!("{id} is supervised again (pid {pid}); its output cannot be had any more"),
        ref streams => format!("{id} is supervised again (pid {pid}), with its {}", streams.join(" and ")),
    }
}
