//! The tools that change something: `task_run`, `task_cancel`, `task_prune`. Each asks [`Permission`] first.
//!
//! A task is started as anybody would start it, by `gco run --detach`: it belongs to nobody here, and goes on whatever
//! becomes of the server. What a client has started can be told from its labels.

use std::ffi::OsString;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::answer::Answer;
use super::arguments::{Arguments, wrong};
use super::desk::{Desk, Slice, about};
use super::look::output_bytes;
use super::permission::{Permission, SHELL, Wish};
use super::wait::{self, Teller};
use crate::failure::{Failure, io_words};
use crate::observe::until::until;
use crate::store::request::Request;
use crate::store::retention::Rules;
use crate::store::sweep::{Done, Work};
use crate::store::{Task, load, name, scan};
use crate::supervise::cancel::{Cancelled, cancel};
use crate::sys::{process, time};
use crate::task::{State, TaskId, span, text};
use crate::view::words::one_line;

/// The label that every task of a client has, and its value.
pub const VIA: (&str, &str) = ("via", "mcp");
/// The label that names the client.
const CLIENT: &str = "mcp_client";

/// How many arguments a command may have, and how long all of them may be.
const MOST_ARGUMENTS: usize = 4096;
const MOST_ARGUMENT_BYTES: usize = 512 << 10;

/// The longest a task is given to end before it is killed, in seconds.
const LONGEST_GRACE: u64 = 60;

/// What came of the wish to run a command.
#[derive(Debug, Clone)]
pub struct Started {
    /// The task.
    pub id: TaskId,
    /// How long the call is to wait for its end; `None` if nothing was said.
    pub wait: Option<Duration>,
    /// How much output is wanted.
    pub most: usize,
}

/// Starts what `task_run` is to run, for the client called `client`.
///
/// # Errors
/// It is not allowed, the server is full, the command cannot be started, or arguments that make no sense.
pub fn start(mut arguments: Arguments, permission: &Permission, client: &str) -> Result<Started, Failure> {
    let mut argv = arguments.texts("argv")?;
    let shell = arguments.flag("shell")?;
    let directory = arguments.text("cwd")?;
    let variables = arguments.pairs("env")?;
    let labels = arguments.pairs("labels")?;
    let mut options: Vec<OsString> = Vec::new();
    for name in ["name", "timeout", "group", "key"] {
        if let Some(value) = arguments.text(name)? {
            options.push(format!("--{name}={value}").into());
        }
    }
    let wait = arguments.seconds("wait_seconds", wait::LONGEST)?;
    let most = output_bytes(&mut arguments)?;
    arguments.end()?;
    if argv.first().is_none_or(String::is_empty) {
        return Err(wrong("argv", "must name a program, as [\"make\", \"-j8\"]"));
    }
    if argv.len() > MOST_ARGUMENTS || argv.iter().map(String::len).sum::<usize>() > MOST_ARGUMENT_BYTES {
        let most = format!("must have at most {MOST_ARGUMENTS} parts and {MOST_ARGUMENT_BYTES} bytes");
        return Err(wrong("argv", &most));
    }
    if shell {
        if argv.len() != 1 {
            return Err(wrong("argv", "must be one string, the script, where 'shell' is true"));
        }
        argv.splice(..0, [SHELL.to_owned(), "-c".to_owned()]);
    }
    check_variables(&variables)?;
    let program = argv.first().map_or("", String::as_str);
    let wish = Wish { program, directory: directory.as_deref(), variables: &variables };
    let directory = permission.check(&wish)?;
    check_capacity(permission)?;
    options.push("--cwd".into());
    options.push(directory.into());
    let (own, others): (Vec<_>, Vec<_>) = variables.into_iter().partition(|(name, _)| is_read_by_gco(name));
    for (name, value) in &own {
        options.push(format!("--env={name}={value}").into());
    }
    // Of one name the last value counts, and these are not the client's to set.
    let ours = [VIA, (CLIENT, client)].map(|(key, value)| (key.to_owned(), value.to_owned()));
    for (key, value) in labels.iter().chain(&ours) {
        options.push(format!("--label={key}={value}").into());
    }
    let id = run_detached(&options, &others, &argv)?;
    Ok(Started { id, wait, most })
}

/// Whether `gco run` itself would act on the variable, or be led to other libraries by it. It is then for the command alone.
fn is_read_by_gco(name: &str) -> bool {
    ["GCO_", "LD_"].iter().any(|begin| name.starts_with(begin))
        || matches!(name, "HOME" | "PATH" | "COMPLETE" | "NO_COLOR")
}

/// Refuses what can be no variables.
fn check_variables(variables: &[(String, String)]) -> Result<(), Failure> {
    let is_one = |(name, value): &(String, String)| {
        !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
    };
    if variables.iter().all(is_one) {
        return Ok(());
    }
    Err(wrong("env", "has a variable that can be none: a name has no '=' in it, and nothing has a NUL"))
}

/// Refuses when as many tasks of clients are under way as there may be.
fn check_capacity(permission: &Permission) -> Result<(), Failure> {
    let desk = Desk::open()?;
    let Some(dir) = desk.dir() else { return Ok(()) };
    // Who is under way has a lock, and few have one who are not.
    let ids = scan::locks(dir)
        .map_err(|error| Failure::failed(format!("cannot count tasks: {}", io_words(&error))))?;
    let is_one =
        |id: &TaskId| load(dir, id, &desk.here).is_ok_and(|task| task.state.is_live() && is_by_client(&task));
    let running: Vec<TaskId> = ids.into_iter().filter(is_one).collect();
    if running.len() < permission.max_running {
        return Ok(());
    }
    let some: Vec<&str> = running.iter().take(5).map(TaskId::as_str).collect();
    let what = format!("not run: {} tasks are under way, as many as there may be", running.len());
    Err(Failure::failed(what).hint(format!(
        "wait for one of them with task_wait, or end one with task_cancel: {}",
        some.join(", ")
    )))
}

/// Whether a client has started `task`.
#[must_use]
pub fn is_by_client(task: &Task) -> bool {
    task.record.labels().any(|label| label == VIA)
}

/// Runs `gco run --detach`, and gives the id of the task.
fn run_detached(
    options: &[OsString],
    variables: &[(String, String)],
    argv: &[String],
) -> Result<TaskId, Failure> {
    let cannot = |why: &str| Failure::failed(format!("cannot start the command: {why}"));
    if argv.iter().any(|argument| argument.contains('\0')) {
        return Err(wrong("argv", "must not have a NUL in it"));
    }
    let run = Command::new("/proc/self/exe")
        .args(["run", "--detach", "--json"])
        .args(options)
        .arg("--")
        .args(argv)
        // Not among the arguments, which everybody on the machine can read.
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .output()
        .map_err(|error| cannot(&io_words(&error)))?;
    let id = serde_json::from_slice::<Value>(&run.stdout).ok();
    let id = id.and_then(|value| TaskId::parse(value.get("task_id")?.as_str()?).ok());
    if let Some(id) = id.filter(|_| run.status.success()) {
        return Ok(id);
    }
    let words = String::from_utf8_lossy(&run.stderr);
    let words = words.trim();
    let words = words.strip_prefix("gco: ").unwrap_or(words);
    let (what, hint) = words.split_once("\nhint: ").map_or((words, None), |(what, hint)| (what, Some(hint)));
    let clean = |words: &str| text::begin(&one_line(words), 2048).to_owned();
    let failure =
        if what.is_empty() { cannot(&run.status.to_string()) } else { Failure::failed(clean(what)) };
    Err(match hint {
        Some(hint) => failure.hint(clean(hint)),
        None => failure,
    })
}

/// Waits `most` for the end of the task that was started, and says what became of it.
///
/// # Errors
/// Its record or its log cannot be read.
pub fn wait_for(started: &Started, most: Duration, teller: &mut Teller) -> Result<Answer, Failure> {
    let desk = Desk::open()?;
    until(&desk.subject(&started.id)?, &[], 0, Instant::now().checked_add(most), teller)?;
    result(&started.id, started.most)
}

/// What `task_run` answers about task `id` as it is now.
///
/// # Errors
/// Its record or its log cannot be read.
pub fn result(id: &TaskId, most: usize) -> Result<Answer, Failure> {
    let desk = Desk::open()?;
    let task = desk.task(id)?;
    let output = desk.tail(id, Slice { lines: 10_000, only: None, most })?;
    let mut answer = about(&desk, &task, Some(&output));
    answer.failed = !task.state.is_live() && task.state != State::Succeeded;
    answer.goes_on = task.state.is_live();
    if answer.goes_on {
        answer.text.insert_str(0, "It goes on; wait for it with task_wait.\n");
    }
    Ok(answer)
}

/// `task_cancel`.
///
/// # Errors
/// It is not allowed, no such task, one that does not end, or arguments that make no sense.
pub fn stop(mut arguments: Arguments, permission: &Permission) -> Result<Answer, Failure> {
    let word = arguments.needed_text("task")?;
    let grace = arguments.seconds("grace_seconds", LONGEST_GRACE)?.unwrap_or(Duration::from_secs(10));
    arguments.end()?;
    let desk = Desk::open()?;
    let id = name::resolve_living(desk.dir(), &word, &desk.here)?;
    let task = desk.task(&id)?;
    permission.check_cancel(is_by_client(&task))?;
    cancel_task(&desk, &id, grace)
}

/// Ends task `id`.
///
/// # Errors
/// It is somebody else's, or does not end.
pub fn cancel_task(desk: &Desk, id: &TaskId, grace: Duration) -> Result<Answer, Failure> {
    let request = Request {
        signal: libc::SIGTERM,
        grace,
        user: process::user_name(nix::unistd::geteuid().as_raw()),
        pid: std::process::id().cast_signed(),
        host: process::host_name(),
        at: time::since_epoch(),
    };
    let done = cancel(desk.dir_of(id)?, id, &request, &desk.here, drop)?;
    let (Cancelled::WasOver(task) | Cancelled::WasGone(task) | Cancelled::Ended(task)) = &done;
    let mut answer = about(&Desk::open()?, task, None);
    let is_cancelled = matches!(done, Cancelled::Ended(_)) && task.state == State::Cancelled;
    answer.value["cancelled"] = json!(is_cancelled);
    if !is_cancelled {
        answer.text.insert_str(0, "There was nothing to cancel any more. ");
    }
    Ok(answer)
}

/// `task_prune`.
///
/// # Errors
/// It is not allowed, the directory cannot be read, or arguments that make no sense.
pub fn prune(mut arguments: Arguments, permission: &Permission) -> Result<Answer, Failure> {
    let keep = arguments.count("keep", 0..=1_000_000)?.and_then(|keep| usize::try_from(keep).ok());
    let older_than = arguments.text("older_than")?.map(|text| span::parse(&text)).transpose();
    let older_than = older_than.map_err(|why| wrong("older_than", &format!("is wrong: {why}")))?;
    let dry_run = arguments.flag("dry_run")?;
    arguments.end()?;
    permission.check_prune()?;
    let desk = Desk::open()?;
    let rules = Rules { keep, older_than, max_size: None, states: Vec::new() };
    let mut done = Done::default();
    if let Some(dir) = desk.dir() {
        let work = Work::find(dir, &desk.here, &rules)?;
        done = if dry_run { work.pretend() } else { work.carry_out(dir, &desk.here) };
    }
    let would = if dry_run { "would be " } else { "" };
    let mut words = format!("{} tasks {would}removed, {} bytes {would}freed", done.tasks.len(), done.freed);
    for problem in done.problems.iter().take(20) {
        words.push_str(&format!("\n{}", one_line(problem)));
    }
    done.tasks.truncate(1000);
    done.leftovers.truncate(1000);
    let failed = !done.problems.is_empty();
    Ok(Answer { failed, ..Answer::new(words, done.json(dry_run)) })
}
