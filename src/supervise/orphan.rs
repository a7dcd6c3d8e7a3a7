//! Ending the processes of a task that nobody supervises any more, or whose supervisor does not answer.
//!
//! Only what is proven to belong to the task is touched: the command by pid and start time in this boot, what is below it,
//! what is in the session that was made for the task, and what was started with the task's id in its
//! environment. A process that has left all of that, with its environment emptied, is not found.

use std::cell::Cell;
use std::collections::HashSet;
use std::io;
use std::time::{Duration, Instant};

use super::setup::ID_VARIABLE;
use super::stopping::{SPARE_OTHERS, is_one_of_ours};
use crate::store::events::{Events, Kind};
use crate::store::liveness::Here;
use crate::store::lockfile::TaskLock;
use crate::store::request::{self, Request};
use crate::store::{StatusDir, Task, load, replace};
use crate::sys::child::PidFd;
use crate::sys::tree::{self, Member};
use crate::sys::{process, time};
use crate::task::outcome::{Outcome, Stopped, signal_name};
use crate::task::record::field;
use crate::task::{Exit, State, TaskId};

/// How often it is looked whether anything is left: while it is given time, and while it is killed.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
const KILL_AGAIN: Duration = Duration::from_millis(1);
/// How often in a row nothing must have been found.
const SURE: u32 = 3;
/// How long killing may take: what waits for a disk cannot be killed at once.
const KILLING: Duration = Duration::from_secs(30);
/// How soon after its end a process is reaped by whoever has inherited it.
const REAPED: Duration = Duration::from_millis(500);

/// What came of it.
#[derive(Debug)]
pub enum Done {
    /// All that belonged to it has ended, and the record says so.
    Ended,
    /// Somebody supervises it after all, or it is over.
    NotAnOrphan,
    /// These processes would not end.
    Left(Vec<i32>),
}

/// Why it cannot be done.
#[derive(Debug)]
pub enum Cannot {
    /// Nothing proves which process is the task's command.
    Unproven,
    /// What the system says.
    Io(io::Error),
}

impl From<io::Error> for Cannot {
    fn from(error: io::Error) -> Self {
        Cannot::Io(error)
    }
}

/// Ends what is left of `task`, which nobody supervises, as `request` asks, and writes down that it was cancelled.
///
/// # Errors
/// [`Cannot`] where nothing was touched, or the record could not be written.
pub fn end(dir: &StatusDir, id: &TaskId, request: &Request, here: &Here) -> Result<Done, Cannot> {
    // Whoever holds the lock is the task's supervisor for so long: nobody else does the same.
    let lock = match TaskLock::take(dir, id) {
        Ok(lock) => lock,
        Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => return Ok(Done::NotAnOrphan),
        Err(error) => return Err(error.into()),
    };
    let Ok(task) = load(dir, id, here) else { return Ok(Done::NotAnOrphan) };
    // With its lock held, by this process, it is shown as what its record says.
    if !task.state.is_live() {
        lock.remove(dir, id);
        return Ok(Done::NotAnOrphan);
    }
    let Some(family) = Family::of(&task, Vec::new()) else {
        // The lock file stays, free: it tells that nobody supervises the task.
        return Err(Cannot::Unproven);
    };
    let process = PidFd::open(family.command.pid).ok();
    let left = family.make_end(request);
    if !left.is_empty() {
        return Ok(Done::Left(left));
    }
    write_down(dir, task, request, learn_exit(process.as_ref()))?;
    lock.let_waiting_go();
    request::clear(dir, id);
    lock.remove(dir, id);
    Ok(Done::Ended)
}

/// Ends the command of `task` and all that belongs to it, but for gco's own processes: its supervisor is there and does not
/// answer. Gives the processes that would not end.
///
/// # Errors
/// [`Cannot::Unproven`], and nothing was touched.
pub fn end_processes(task: &Task, request: &Request) -> Result<Vec<i32>, Cannot> {
    let supervisor = task.record.pid(field::SUPERVISOR_PID);
    Family::of(task, supervisor.into_iter().collect())
        .map(|family| family.make_end(request))
        .ok_or(Cannot::Unproven)
}

/// The processes of one task.
#[derive(Debug)]
pub(super) struct Family {
    id: String,
    command: Member,
    /// Never touched: this process and gco's own.
    spared: Vec<i32>,
    /// The session still counts. Once nobody is in it, its number may become somebody else's.
    has_session: Cell<bool>,
}

impl Family {
    /// `None` if the record does not prove which process the command is.
    fn of(task: &Task, mut spared: Vec<i32>) -> Option<Self> {
        let record = &task.record;
        let (pid, start) = (record.pid(field::PID)?, record.count(field::PID_START)?);
        let boot = process::boot_id().ok()?;
        if record.text(field::BOOT_ID) != Some(boot.as_str())
            || record.pid(field::SUPERVISOR_PID) == Some(pid)
        {
            return None;
        }
        let seen = process::look(pid).filter(|seen| seen.start == start)?;
        spared.push(std::process::id().cast_signed());
        Some(Self { spared, ..Self::of_command(&task.id, Member { pid, seen }) })
    }

    /// Those of task `id`, whose command is known.
    pub(super) fn of_command(id: &TaskId, command: Member) -> Self {
        Self { id: id.to_string(), command, spared: Vec::new(), has_session: Cell::new(true) }
    }

    /// Those that have not ended.
    pub(super) fn members(&self) -> Vec<Member> {
        let everybody = tree::everybody();
        let mut known: HashSet<i32> = HashSet::new();
        let is_command =
            |one: &Member| one.pid == self.command.pid && one.seen.start == self.command.seen.start;
        let in_session =
            |one: &Member| self.has_session.get() && one.seen.session == self.command.seen.session;
        let is_theirs = |one: &Member| {
            is_command(one) || in_session(one) || tree::has_variable(one.pid, ID_VARIABLE, &self.id)
        };
        known.extend(everybody.iter().filter(|one| is_theirs(one)).map(|one| one.pid));
        let has_session = everybody.iter().any(in_session);
        self.has_session.set(has_session);
        let roots: Vec<i32> = known.iter().copied().collect();
        known.extend(tree::below(&roots, &[]).iter().map(|one| one.pid));
        let is_ours =
            |one: &Member| self.spared.contains(&one.pid) || (self.spared.len() > 1 && is_one_of_ours(one));
        everybody
            .into_iter()
            .filter(|one| known.contains(&one.pid) && !one.seen.zombie && !is_ours(one))
            .collect()
    }

    /// Tells them to end, waits, kills. Gives those that would not.
    fn make_end(&self, request: &Request) -> Vec<i32> {
        let begun = Instant::now();
        // Killing has rules of its own: see below.
        let told = if request.signal == libc::SIGKILL { Vec::new() } else { self.members() };
        for member in told {
            // One that is gone needs no telling.
            let _ = member.signal(request.signal);
            if member.seen.stopped {
                let _ = member.signal(libc::SIGCONT);
            }
        }
        let grace = if request.signal == libc::SIGKILL { Duration::ZERO } else { request.grace };
        let mut empty = 0;
        loop {
            let members = self.members();
            empty = if members.is_empty() { empty + 1 } else { 0 };
            if empty >= SURE {
                return Vec::new();
            }
            let over = begun.elapsed().checked_sub(grace);
            if let Some(over) = over {
                // Supervisors of other tasks below this one end by themselves, and write down how theirs ended.
                let is_spared = |one: &Member| over < SPARE_OTHERS && is_one_of_ours(one);
                for member in members.iter().filter(|one| !is_spared(one)) {
                    let _ = member.signal(libc::SIGKILL);
                }
            }
            if over.is_some_and(|over| over >= KILLING) {
                return members.iter().map(|member| member.pid).collect();
            }
            if !members.is_empty() {
                // For a moment, while nothing can tell when they have all ended.
                std::thread::park_timeout(if over.is_some() { KILL_AGAIN } else { LOOK_AGAIN });
            }
        }
    }
}

/// How the command ended, where the kernel still tells.
fn learn_exit(process: Option<&PidFd>) -> Option<Exit> {
    let begun = Instant::now();
    while begun.elapsed() < REAPED {
        if let Some(exit) = process?.exit_after_reaping() {
            return Some(exit);
        }
        std::thread::park_timeout(KILL_AGAIN);
    }
    None
}

fn write_down(dir: &StatusDir, task: Task, request: &Request, exit: Option<Exit>) -> io::Result<()> {
    let mut record = task.record;
    let now = time::now();
    let why = Stopped::Cancelled { signal: request.signal, by: Some(request.by(&process::host_name())) };
    let outcome = Outcome::stopped(exit, &why);
    record.set(field::STATE, State::Cancelled.as_str());
    // What is not known is not made up.
    if let (Some(_), Some(code)) = (exit, outcome.exit_code) {
        record.set(field::EXIT_CODE, code);
    }
    if let Some(Exit::Signal(signal)) = exit {
        record.set(field::SIGNAL, signal_name(signal));
    }
    if let Some(error) = outcome.error {
        record.set(field::ERROR, error);
    }
    record.set(field::CANCELLED_BY, request.to_record());
    record.set_time(field::FINISHED_AT, now);
    record.set_time(field::UPDATED_AT, now);
    let started = record.time(field::STARTED_AT).unwrap_or(now);
    let elapsed = u64::try_from(now.saturating_sub(started)).unwrap_or(0);
    record.set(field::ELAPSED_SECONDS, elapsed);
    record.set(field::DURATION_MS, elapsed.saturating_mul(1000));
    let mut warnings: Vec<String> = record.texts(field::WARNINGS).map(str::to_owned).collect();
    warnings.push(
        "nobody supervised the task when it was cancelled: what it wrote last is not in the log".to_owned(),
    );
    record.set(field::WARNINGS, warnings);
    replace::replace(dir, &task.id, &record)?;
    replace::sync_directory(dir)?;
    // The task is cancelled, whether its end can be noted or not.
    let _ = Events::of(dir).append_once(Kind::Ended, &task.id, &record);
    Ok(())
}
