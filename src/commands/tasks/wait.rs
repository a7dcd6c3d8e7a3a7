//! `gco tasks wait`: waits until tasks have ended, or until something comes to pass.
//!
//! Two ways of waiting. For the ends alone, of any number of tasks, by the kernel's locks; for output, progress and silence
//! by going along with the log of one task.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::failure::{Failure, io_words};
use crate::log::since::{Piece, since};
use crate::observe::until::{Halted, Reached, until};
use crate::observe::{Ends, Subject, Verdict, place};
use crate::store::liveness::Here;
use crate::store::{StatusDir, Task, load, name};
use crate::sys::limits::raise_open_files;
use crate::task::condition::{Condition, Kind};
use crate::task::cursor::{Cursor, Since};
use crate::task::record::field;
use crate::task::{State, TaskId, size, span};
use crate::view::json;
use crate::view::words::one_line;

/// The exit code when the time that was given is over.
const TIMED_OUT: i32 = 124;

/// How much new output is given with --json unless something else is said.
const OUTPUT: &str = "64KiB";

/// What help and the man page say after the options.
const MORE: &str = "\
Exit status:
  For one task its exit code. For several 0 if all succeeded, else the code of the first, in the order in which they are
  named, that did not. If a condition other than 'exit' ended the wait, 0.
  1    The task had no exit code, or it ended well before any of the conditions held; or there is no such task
  2    The command line was wrong
  124  The time was over
  125  How it ended cannot be known: it was orphaned, or removed

Examples:
  The newest task of a name, and what became of it:
    gco tasks wait backup && echo good
  Several, whichever ends first:
    gco tasks wait --any backup make
  Until it says so, but no longer than a minute:
    gco run -d --name server -- sh -c 'sleep 1; echo ready; sleep 600'
    gco tasks wait server --until match:ready --timeout 1m
  For a program, step by step: what is new, and where to go on:
    gco tasks wait server --until silent:1s --since start --max-bytes 4KiB --json
    gco tasks cancel server";

/// Wait for tasks to end
///
/// It ends as the task does: see the exit status. A task that is orphaned while it is waited for is reported; if
/// the kernel still knows how its command ended, that counts.
///
/// With --until it ends as soon as one of the conditions holds: exit (the task has ended), match:REGEX (a line of new output
/// matches, escape sequences left out; letters and digits are those of ASCII), progress:80 (so many percent are done),
/// silent:5m (no output for that long). If the task ends before, that ends the wait as well.
///
/// With --json it prints what ended the wait, the task's state, and its new output with a cursor; the next call goes on behind
/// it with --since, so that nothing is seen twice and nothing missed.
#[derive(Debug, clap::Args)]
#[command(after_long_help = MORE)]
pub struct Args {
    /// An id, the beginning of one, or a name, whose newest task is meant [default: the newest task]
    #[arg(value_name = "TASK")]
    tasks: Vec<String>,

    /// Wait only for the first that ends, and end as it does
    #[arg(long)]
    any: bool,

    /// Wait no longer than this: 90s, 30m, 2h, 1d
    #[arg(long, value_name = "DURATION", value_parser = span::parse_limit, allow_hyphen_values = true)]
    timeout: Option<Duration>,

    /// End when this holds: exit, match:REGEX, progress:PERCENT, silent:DURATION; may be repeated
    #[arg(long, value_name = "CONDITION", value_parser = Condition::parse, allow_hyphen_values = true)]
    until: Vec<Condition>,

    /// Where new output begins: a cursor of an earlier call, or 'start' [default: now]
    #[arg(long, value_name = "CURSOR", value_parser = Since::parse, allow_hyphen_values = true)]
    since: Option<Since>,

    /// How much new output --json gives at most: 64KiB, 1MiB
    #[arg(long, value_name = "SIZE", default_value = OUTPUT, value_parser = size::parse_limit, allow_hyphen_values = true)]
    max_bytes: u64,

    /// Print what ended the wait, the state and the new output as JSON
    #[arg(long)]
    json: bool,
}

/// Does it, and gives the exit code.
///
/// # Errors
/// What failed.
pub fn run(args: &Args) -> Result<i32> {
    let dir = StatusDir::for_reading().map_err(|unusable| Failure::failed(unusable.to_string()))?;
    let mut ids: Vec<TaskId> = Vec::new();
    if args.tasks.is_empty() {
        ids.push(name::resolve(dir.as_ref(), None)?);
    }
    for word in &args.tasks {
        let id = name::resolve(dir.as_ref(), Some(word))?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    let goes_along = args.until.iter().any(|condition| !matches!(condition.kind, Kind::Exit));
    if ids.len() > 1 && (goes_along || args.since.is_some()) {
        let what = if goes_along { "--until with anything but 'exit'" } else { "--since" };
        return Err(Failure::usage(format!("{what} is for one task, and {} are named", ids.len())).into());
    }
    let Some(dir) = dir else { return Err(name::unknown(&ids[0]).into()) };
    let here = Here::ask();
    // Far in the future, it is no deadline at all.
    let deadline = args.timeout.and_then(|most| Instant::now().checked_add(most));
    match &ids[..] {
        [id] => {
            let subject = Subject { dir: &dir, id, here: &here };
            wait_for_one(&subject, args, goes_along, deadline)
        }
        ids => wait_for_several(&dir, ids, args, &here, deadline),
    }
}

/// Waits for one task. Its output, if that is wanted, is what came meanwhile.
fn wait_for_one(
    subject: &Subject<'_>,
    args: &Args,
    goes_along: bool,
    deadline: Option<Instant>,
) -> Result<i32> {
    let id = subject.id;
    let offset = match (&args.since, args.json || goes_along) {
        (Some(since), _) => place::of(subject, since)?,
        (None, true) => place::end_of_log(subject)?,
        (None, false) => 0,
    };
    let Halted { reached, task, log, left_out } = if goes_along {
        until(subject, &args.until, offset, deadline, &mut ())?
    } else {
        let ends = Ends::of(subject.dir, std::slice::from_ref(id), subject.here)
            .map_err(|error| out_of_threads(&error))?;
        match ends.next(deadline) {
            Some((_, verdict)) => {
                Halted { reached: Reached::End(verdict), task: None, log: None, left_out: 0 }
            }
            None => {
                let task = load(subject.dir, id, subject.here).ok().map(Box::new);
                Halted { reached: Reached::Timeout, task, log: None, left_out: 0 }
            }
        }
    };
    let awaits_end = args.until.is_empty() || args.until.iter().any(|one| matches!(one.kind, Kind::Exit));
    let code = match &reached {
        Reached::Condition(..) => 0,
        Reached::Timeout => TIMED_OUT,
        Reached::End(verdict) if awaits_end => verdict.code(),
        // It ended well, and yet what was waited for has not come.
        Reached::End(verdict) => verdict.code().max(1),
    };
    if args.json {
        // A log whose name is gone has been removed and will be put back.
        let log = subject.open_log()?.or(log);
        let piece = match log {
            Some(log) => {
                since(&log, offset, args.max_bytes).map_err(|error| subject.unreadable_log(&error))?
            }
            None => Piece { next: offset, ..Piece::default() },
        };
        let object = object_of_one(id, args, &reached, task.as_deref(), &piece);
        print(&json::pretty(&object))?;
    }
    if left_out > 0 {
        say(&Failure::failed(format!(
            "{left_out} bytes of the log were gone before they could be looked at"
        )));
    }
    match &reached {
        Reached::End(verdict) => {
            tell_end(id, verdict, args.json);
            if !awaits_end && verdict.trouble(id).is_none() {
                say(&Failure::failed(format!("'{id}' ended before what was waited for came to pass")));
            }
        }
        Reached::Timeout => tell_timeout(args, &format!("'{id}'")),
        Reached::Condition(..) => {}
    }
    Ok(code)
}

fn wait_for_several(
    dir: &StatusDir,
    ids: &[TaskId],
    args: &Args,
    here: &Here,
    deadline: Option<Instant>,
) -> Result<i32> {
    // Each is waited for with an open file or two.
    let _ = raise_open_files();
    let ends = Ends::of(dir, ids, here).map_err(|error| out_of_threads(&error))?;
    let mut verdicts: Vec<Option<Verdict>> = ids.iter().map(|_| None).collect();
    let mut left = ids.len();
    let mut first = None;
    while left > 0 {
        let Some((at, verdict)) = ends.next(deadline) else { break };
        tell_end(&ids[at], &verdict, args.json);
        first.get_or_insert(verdict.code());
        verdicts[at] = Some(verdict);
        left -= 1;
        if args.any {
            break;
        }
    }
    let is_over = left == 0 || (args.any && first.is_some());
    if args.json {
        let tasks: Vec<Value> = ids
            .iter()
            .zip(&verdicts)
            .map(|(id, verdict)| {
                let task = match verdict {
                    Some(verdict) => verdict.task().cloned(),
                    None => load(dir, id, here).ok(),
                };
                object(id, verdict.as_ref(), task.as_ref())
            })
            .collect();
        let fired = if is_over { "exit" } else { "timeout" };
        print(&json::pretty(&json!({ "tasks": tasks, "fired": fired })))?;
    }
    if !is_over {
        tell_timeout(args, &format!("{left} of {} tasks", ids.len()));
        return Ok(TIMED_OUT);
    }
    let failed = verdicts.iter().flatten().map(Verdict::code).find(|code| *code != 0);
    Ok(if args.any { first.unwrap_or(0) } else { failed.unwrap_or(0) })
}

fn object_of_one(id: &TaskId, args: &Args, reached: &Reached, seen: Option<&Task>, piece: &Piece) -> Value {
    let verdict = match reached {
        Reached::End(verdict) => Some(verdict),
        _ => None,
    };
    let mut object = object(id, verdict, verdict.and_then(Verdict::task).or(seen));
    let (fired, matched) = match reached {
        Reached::Condition(at, line) => (args.until.get(*at).map(|one| one.typed.clone()), line.clone()),
        Reached::Timeout => (Some("timeout".to_owned()), None),
        Reached::End(_) => (Some("exit".to_owned()), None),
    };
    object["fired"] = Value::from(fired);
    if let Some(line) = matched {
        object["matched"] = Value::from(line);
    }
    object["output"] = Value::from(String::from_utf8_lossy(&piece.bytes).into_owned());
    object["more"] = Value::from(piece.more);
    if piece.left_out > 0 {
        object["left_out_bytes"] = Value::from(piece.left_out);
    }
    if piece.gap > 0 {
        object["log_left_out_bytes"] = Value::from(piece.gap);
    }
    object["cursor"] = Value::from(Cursor { task: id.clone(), offset: piece.next }.to_string());
    object
}

/// What is known of a task.
fn object(id: &TaskId, verdict: Option<&Verdict>, task: Option<&Task>) -> Value {
    let mut object = Map::new();
    object.insert(field::TASK_ID.to_owned(), Value::from(id.as_str()));
    object.insert(field::STATE.to_owned(), Value::from(task.map(|task| task.state.as_str())));
    object.insert(field::IS_ALIVE.to_owned(), Value::from(task.and_then(|task| task.is_alive)));
    if let Some(code) = verdict.and_then(Verdict::exit_code) {
        object.insert(field::EXIT_CODE.to_owned(), Value::from(code));
    }
    if let Some(error) = task.and_then(|task| task.record.text(field::ERROR)) {
        object.insert(field::ERROR.to_owned(), Value::from(error));
    }
    Value::Object(object)
}

/// Says how a task ended, to a person before a terminal; what went wrong is said in any case.
fn tell_end(id: &TaskId, verdict: &Verdict, json: bool) {
    if let Some(trouble) = verdict.trouble(id) {
        say(&trouble);
    } else if let Some(task) = verdict.task().filter(|_| !json && io::stderr().is_terminal()) {
        let took = task.record.count(field::DURATION_MS).map(Duration::from_millis).map(span::brief);
        let took = took.map(|took| format!(" after {took}")).unwrap_or_default();
        let error = task.record.text(field::ERROR).filter(|_| task.state != State::Succeeded).map(one_line);
        // The state says that much.
        let error = error.map(|error| format!(": {}", error.strip_prefix("cancelled ").unwrap_or(&error)));
        let error = error.unwrap_or_default();
        let _ = writeln!(io::stderr(), "{id} {}{took}{error}", task.state);
    }
}

fn tell_timeout(args: &Args, what: &str) {
    if let Some(most) = args.timeout.filter(|_| !args.json) {
        say(&Failure::failed(format!("{what} did not come that far within {}", span::exact(most))));
    }
}

fn out_of_threads(error: &io::Error) -> Failure {
    Failure::failed(format!("cannot wait: out of threads: {}", io_words(error)))
        .hint("wait for fewer tasks at once, or raise 'ulimit -u'")
}

/// Says something beside the output. With stderr gone too there is nobody left to tell.
fn say(what: &Failure) {
    let _ = writeln!(io::stderr(), "{what}");
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
