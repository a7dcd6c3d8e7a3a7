//! `gco tasks cancel`: ends tasks, with all their processes, and waits until that is done.

use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};

use crate::failure::{Failure, io_words};
use crate::store::liveness::Here;
use crate::store::request::Request;
use crate::store::scan::{self, NewestFirst};
use crate::store::{StatusDir, Task, name};
use crate::supervise::cancel::{Cancelled, cancel};
use crate::supervise::setup::ID_VARIABLE;
use crate::sys::{process, time};
use crate::task::outcome::signal_number;
use crate::task::record::field;
use crate::task::{State, TaskId, span};
use crate::view::json;

/// What help and the man page say after the options.
const MORE: &str = "\
Exit status:
  0  All of them are over; also those that were before
  1  There is no such task, it is somebody else's, or it does not end
  2  The command line was wrong, or a name means several tasks

Examples:
  A task by its name, and one that does not listen:
    gco run -d --name train -- sleep 600
    gco tasks cancel train
    gco run -d --name stubborn -- sh -c 'trap : TERM; sleep 600; sleep 600'
    gco tasks cancel stubborn --grace 1s
  As Ctrl-C would, and what became of it for a script:
    gco run -d --name server -- sleep 600
    gco tasks cancel server --signal INT --json
  All that are under way, at once:
    gco tasks cancel --all --grace 0s";

/// End tasks, with all their processes
///
/// The command and every process below it are told to end, and to go on if they are stopped. What is left after the grace
/// period is killed, also what has changed its session or group or has forked away, until nothing is left. Then
/// it is said how it went. The record says 'cancelled', with the signal and by whom.
///
/// A name must mean exactly one task that is under way. A task that has ended already is no error. If nobody supervises a
/// task any more and its command still runs, that is ended as well, with all that is proven to belong to it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = MORE)]
pub struct Args {
    /// An id, the beginning of one, or a name
    #[arg(value_name = "TASK", required_unless_present = "all", conflicts_with = "all")]
    tasks: Vec<String>,

    /// Every task that is under way, but for the one this is called from
    #[arg(long)]
    all: bool,

    /// How long they are given to end before they are killed
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = span::parse_pause, allow_hyphen_values = true)]
    grace: Duration,

    /// The signal that tells them to end: TERM, INT, 2
    #[arg(long, value_name = "SIGNAL", default_value = "TERM", value_parser = signal, allow_hyphen_values = true)]
    signal: i32,

    /// Print what became of them as JSON
    #[arg(long)]
    json: bool,
}

fn signal(text: &str) -> Result<i32, String> {
    match signal_number(text) {
        // What stops does not end, and what the C library keeps to itself cannot be sent.
        Some(number)
            if !matches!(number, libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU | 32 | 33) =>
        {
            Ok(number)
        }
        Some(_) => Err("that signal ends nothing".to_owned()),
        None => Err("there is no such signal; write it like TERM or INT".to_owned()),
    }
}

/// Does it, and gives the exit code.
///
/// # Errors
/// What failed.
pub fn run(args: &Args) -> Result<i32> {
    let dir = StatusDir::for_reading().map_err(|unusable| Failure::failed(unusable.to_string()))?;
    let here = Here::ask();
    let mut ids: Vec<TaskId> = Vec::new();
    let mut faults: Vec<Failure> = Vec::new();
    if args.all {
        ids = everything(dir.as_ref(), &here)?;
    }
    for word in &args.tasks {
        match name::resolve_living(dir.as_ref(), word, &here) {
            Ok(id) if ids.contains(&id) => {}
            Ok(id) => ids.push(id),
            Err(failure) => faults.push(failure),
        }
    }
    // Nothing is ended if it is not clear what is meant by all of it.
    if let Some(usage) = faults.iter().find(|failure| failure.code() == crate::failure::EXIT_USAGE) {
        return Err(usage.clone().into());
    }
    let mut told = Vec::new();
    if let Some(dir) = &dir {
        told = cancel_all(dir, &ids, args, &here);
    }
    let mut tasks = Vec::new();
    let mut out = io::stdout().lock();
    for (id, result) in told {
        match result {
            Ok((done, took)) => {
                tasks.push(object(&id, &done));
                if !args.json {
                    writeln!(out, "{}", words(&id, &done, took))?;
                }
            }
            Err(failure) => {
                tasks.push(json!({ "task_id": id.as_str(), "cancelled": false, "error": failure.message() }));
                faults.push(failure);
            }
        }
    }
    if args.json {
        out.write_all(json::pretty(&json!({ "tasks": tasks })).as_bytes())?;
    }
    out.flush()?;
    for failure in &faults {
        // With stderr gone too there is nobody left to tell; the exit code still does.
        let _ = writeln!(io::stderr(), "{failure}");
    }
    Ok(i32::from(!faults.is_empty()))
}

type Told = (TaskId, Result<(Cancelled, Duration), Failure>);

/// Cancels all of them at the same time.
fn cancel_all(dir: &StatusDir, ids: &[TaskId], args: &Args, here: &Here) -> Vec<Told> {
    let request = request(args);
    let one = |id: &TaskId| {
        let begun = Instant::now();
        let say = |words: String| {
            // Beside the result, and not in the way of it.
            let _ = writeln!(io::stderr(), "gco: {words}");
        };
        cancel(dir, id, &request, here, say).map(|done| (done, begun.elapsed()))
    };
    thread::scope(|scope| {
        let started: Vec<_> = ids
            .iter()
            .map(|id| (id, thread::Builder::new().stack_size(256 << 10).spawn_scoped(scope, move || one(id))))
            .collect();
        let finish = |(id, thread): (&TaskId, io::Result<thread::ScopedJoinHandle<'_, _>>)| {
            let result = match thread {
                Ok(thread) => thread.join().unwrap_or_else(|_| Err(Failure::failed("cancelling failed"))),
                Err(error) => Err(Failure::failed(format!(
                    "cannot cancel '{id}': out of threads: {}",
                    io_words(&error)
                ))),
            };
            (id.clone(), result)
        };
        started.into_iter().map(finish).collect()
    })
}

fn request(args: &Args) -> Request {
    Request {
        signal: args.signal,
        grace: args.grace,
        user: process::user_name(nix::unistd::geteuid().as_raw()),
        pid: std::process::id().cast_signed(),
        host: process::host_name(),
        at: time::since_epoch(),
    }
}

/// Every task that is under way, but for the one in which this process runs.
fn everything(dir: Option<&StatusDir>, here: &Here) -> Result<Vec<TaskId>, Failure> {
    let Some(dir) = dir else { return Ok(Vec::new()) };
    let own = std::env::var(ID_VARIABLE).ok();
    let tasks = scan::records(dir).map_err(|error| dir.unreadable(&error))?;
    let ids = NewestFirst::from(tasks).map(|task| task.id);
    Ok(ids.filter(|id| own.as_deref() != Some(id.as_str()) && name::is_living(dir, id, here)).collect())
}

fn object(id: &TaskId, done: &Cancelled) -> Value {
    let (Cancelled::WasOver(task) | Cancelled::WasGone(task) | Cancelled::Ended(task)) = done;
    let mut object = json!({
        "task_id": id.as_str(),
        "state": task.state.as_str(),
        "cancelled": matches!(done, Cancelled::Ended(_)) && task.state == State::Cancelled,
    });
    for name in [field::EXIT_CODE, field::SIGNAL, field::ERROR] {
        if let Some(value) = task.record.fields().get(name) {
            object[name] = value.clone();
        }
    }
    object
}

fn words(id: &TaskId, done: &Cancelled, took: Duration) -> String {
    match done {
        Cancelled::WasOver(task) => format!("{id} had {} already", past(task.state)),
        Cancelled::WasGone(_) => format!("{id} is orphaned, and its command is gone"),
        Cancelled::Ended(task) if task.state == State::Cancelled => {
            format!("{id} cancelled after {}: {}", span::brief(took), how(task))
        }
        Cancelled::Ended(task) => format!("{id} {} before it could be cancelled", task.state),
    }
}

fn past(state: State) -> &'static str {
    match state {
        State::Succeeded => "succeeded",
        State::Failed => "failed",
        State::Cancelled => "been cancelled",
        State::Queued | State::Running | State::Orphaned => "ended",
    }
}

/// How its command ended.
fn how(task: &Task) -> String {
    let record = &task.record;
    match (record.text(field::SIGNAL), record.integer(field::EXIT_CODE)) {
        (Some(_), _) if record.count(field::PID) == record.count(field::SUPERVISOR_PID) => {
            "it had not been started".to_owned()
        }
        (Some(signal), _) => format!("ended by {}", crate::task::text::clean(signal)),
        (None, Some(code)) => format!("ended with exit code {code}"),
        (None, None) => "how its command ended could not be learned".to_owned(),
    }
}
