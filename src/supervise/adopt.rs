//! Taking a task on again whose processes of gco's have all been killed, while its command lives on.
//!
//! A new supervisor takes the lock, and goes on as the successor of one that left nothing but the files: how much output there
//! was is counted in the log, and the record says the rest. It is not the command's parent, so how that ends is
//! told by a handle on the process. The pipes are read again where the command still has them and nobody else reads
//! them. What gco had taken out of them and not yet logged is gone, and so is a command that wrote while nobody read.
//!
//! Refused is what is not known to be an orphan of this user's on this machine, with a command that lives.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::fcntl::OFlag;

use super::control::Control;
use super::handover::{Handover, Tracking, release};
use super::journal::{Journal, LogLimit};
use super::limits::{Clocks, Limits};
use super::orphan::Family;
use super::progress::Checkpoint;
use super::report::Facts;
use super::spool::Spool;
use super::supervisor::Supervisor;
use crate::failure::{Failure, io_words};
use crate::log::format::Tag;
use crate::log::replay::Replay;
use crate::store::liveness::{self, Here};
use crate::store::load::LoadError;
use crate::store::lockfile::TaskLock;
use crate::store::{StatusDir, Task, load, name, open};
use crate::sys::child::PidFd;
use crate::sys::descriptors::Bell;
use crate::sys::fork::{Side, adopt_orphans, fork, own_session, set_name};
use crate::sys::signals::block_all;
use crate::sys::tree::Member;
use crate::sys::{process, reclaim, time};
use crate::task::record::field;
use crate::task::spec::{Echo, Recognise, Retry, Turn};
use crate::task::{Record, State, Stream, TaskId};

/// What stands in the log, and in the record's warnings.
const WORDS: &str =
    "gco was killed and has taken the task on again: what the command wrote meanwhile may be missing";

/// How long what is left of a command is given to end if that is asked for.
const GRACE: Duration = Duration::from_secs(10);

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adopted {
    /// The command's pid.
    pub pid: i32,
    /// Which of its streams are read again.
    pub streams: [bool; 2],
}

/// Takes on task `id` again, with a log of at most so many bytes, 0 for any number.
///
/// # Errors
/// [`Failure`]: it is no orphan with a living command, or it cannot be done.
pub fn adopt(dir: &StatusDir, id: &TaskId, here: &Here, log_limit: u64) -> Result<Adopted, Failure> {
    let task = load(dir, id, here).map_err(|error| match error {
        LoadError::Missing => name::unknown(id),
        error => cannot(id, &format!("its record cannot be read: {error}")),
    })?;
    let (pid, start) = command_of(&task, here)?;
    // Whoever holds it is the task's supervisor: nobody else does the same.
    let lock = TaskLock::take(dir, id).map_err(|error| match error.raw_os_error() {
        Some(libc::EAGAIN) => cannot(id, "somebody supervises it"),
        _ => cannot(id, &io_words(&error)),
    })?;
    let process = PidFd::open(pid).map_err(|error| cannot(id, &io_words(&error)))?;
    // Only now: this is the process whose handle that is.
    if process::look(pid).is_none_or(|seen| seen.start != start || seen.zombie) {
        return Err(gone(id));
    }
    let taken = take_up(dir, &task, (pid, start, process), lock, log_limit);
    let handover = taken.map_err(|error| cannot(id, &io_words(&error)))?;
    let streams = [0, 1].map(|n| handover.sources[n].is_some());
    begin(handover).map_err(|error| cannot(id, &io_words(&error)))?;
    Ok(Adopted { pid, streams })
}

fn cannot(id: &TaskId, why: &str) -> Failure {
    Failure::failed(format!("cannot adopt '{id}': {why}"))
}

fn gone(id: &TaskId) -> Failure {
    cannot(id, "its command is gone").hint(format!("'gco tasks status {id}' tells what is known of it"))
}

/// The command's pid and start time, if `task` is an orphan of this user's whose command lives.
fn command_of(task: &Task, here: &Here) -> Result<(i32, u64), Failure> {
    let id = &task.id;
    match task.state {
        State::Orphaned => {}
        State::Queued | State::Running if task.is_alive.is_none() => {
            let host = task.record.text(field::HOST).unwrap_or("another machine");
            let host = crate::task::text::clean(host);
            return Err(cannot(id, &format!("it runs on {host}, or in another pid namespace"))
                .hint("it can be adopted there"));
        }
        State::Queued | State::Running => return Err(cannot(id, "it is supervised")),
        state => return Err(cannot(id, &format!("it has ended: {state}"))),
    }
    let Some(named) = liveness::command(&task.record, here) else {
        return Err(gone(id));
    };
    let Some(start) = named.start else {
        return Err(cannot(id, "nothing proves which process its command is"));
    };
    if !named.runs() {
        return Err(gone(id));
    }
    if reclaim::owner(named.pid) != Some(nix::unistd::geteuid().as_raw()) {
        return Err(cannot(id, "its command is another user's"));
    }
    Ok((named.pid, start))
}

/// Puts together what a supervisor needs.
fn take_up(
    dir: &StatusDir,
    task: &Task,
    (pid, start, process): (i32, u64, PidFd),
    lock: TaskLock,
    log_limit: u64,
) -> io::Result<Handover> {
    let record = &task.record;
    let control = Control::new()?;
    let facts = facts(dir, task);
    let family = process::look(pid).map(|seen| Family::of_command(&task.id, Member { pid, seen }));
    let attempt = record.count(field::ATTEMPT).unwrap_or(1).max(1);
    control.want_attempt(attempt);
    control.begin_attempt(attempt);
    control.set_command(pid);
    control.set_command_start(start);
    control.set_executing();
    control.set_told_start();
    let started = record.time(field::STARTED_AT).unwrap_or(facts.made_at);
    control.set_started(started, since_boot(started));
    let now = time::awake();
    control.set_clocks(&Clocks { began: now, started: Some(now), ..Clocks::default() });

    let log = open::regular(dir, &dir.log(&task.id), OFlag::O_RDWR | OFlag::O_APPEND);
    let logged = log.as_ref().ok().map(count).transpose()?.unwrap_or_default();
    let recorded = [field::STDOUT_BYTES, field::STDERR_BYTES].map(|name| record.count(name).unwrap_or(0));
    let written = [0, 1].map(|n| logged.written[n].max(recorded[n]));
    let lost: u64 = [0, 1].map(|n| written[n] - logged.written[n]).iter().sum();
    if lost > 0 || record.flag(field::LOG_TRUNCATED) == Some(true) {
        control.count_lost(lost.max(1));
    }
    control.set_checkpoint(Checkpoint {
        log_len: logged.length,
        taken: written,
        written,
        ..Checkpoint::default()
    });
    let mut warnings: Vec<String> = record.texts(field::WARNINGS).map(str::to_owned).collect();
    let mut journal = match log {
        Ok(file) => {
            let mut journal = Journal::taken_up(file, control)?;
            journal.take_up_limit(LogLimit::new(log_limit)?)?;
            journal.recover(Some((dir, &task.id)), [None; 2])?;
            journal
        }
        Err(error) => {
            warnings.push(format!("the log could not be taken up again: {}", io_words(&error)));
            Journal::missing(control)
        }
    };
    journal.say(WORDS);
    warnings.push(WORDS.to_owned());

    let mut spools = [Spool::new(control, Stream::Stdout)?, Spool::new(control, Stream::Stderr)?];
    for stream in Stream::BOTH {
        control.begin_rewind(stream, written[stream.index()], 0);
        control.end_rewind(stream);
        spools[stream.index()].recover()?;
    }
    Ok(Handover {
        control,
        to_supervisor: Bell::new()?,
        to_keeper: Bell::new()?,
        sources: sources(pid)?,
        spools,
        places: [None, None],
        terminals: None,
        seat: None,
        keys: None,
        leash: None,
        mailbox: None,
        log_screen: false,
        front: None,
        front_process: None,
        journal,
        tracking: Some(Tracking { dir: dir.clone(), lock }),
        facts,
        warnings,
        command: Some(process),
        family,
        start: None,
        echo: Echo::Never,
        detach: true,
        progress: Recognise::Auto,
        // How many were to be kept is not known any more.
        retention: 0,
        limits: Limits::default(),
        grace: GRACE,
        retry: Retry { attempts: attempt, delay: Duration::ZERO },
        hook: None,
        turn: Turn::default(),
        lines: Vec::new(),
    })
}

/// The ends of the command's pipes that gco had.
fn sources(pid: i32) -> io::Result<[Option<OwnedFd>; 2]> {
    let stdout = reclaim::reading_end(pid, 1)?;
    // Both in one: what comes is stdout's.
    let is_one = stdout.is_some() && reclaim::is_same_pipe(pid, [1, 2]);
    let stderr = if is_one { None } else { reclaim::reading_end(pid, 2)? };
    Ok([stdout, stderr])
}

/// What a log holds.
#[derive(Debug, Default)]
struct Logged {
    /// Up to the end of its last whole line.
    length: u64,
    written: [u64; 2],
}

/// Counts what `log` holds of each stream, and what it held.
fn count(log: &File) -> io::Result<Logged> {
    let mut replay = Replay::from(0);
    let mut written = [0; 2];
    while let Some(entry) = replay.next(log)? {
        if let Some(streams) = entry.left_out.and_then(|left_out| left_out.streams) {
            written = streams;
        } else if let Some(stream) = entry.tag.and_then(Tag::stream) {
            written[stream.index()] += entry.payload.len() as u64 + u64::from(entry.ends);
        }
    }
    Ok(Logged { length: replay.position(), written })
}

fn facts(dir: &StatusDir, task: &Task) -> Facts {
    let record = &task.record;
    let text = |name: &str| record.text(name).unwrap_or_default().to_owned();
    let made_at = record.time(field::QUEUED_AT).or(record.time(field::STARTED_AT)).unwrap_or_else(time::now);
    let argv = record.fields().get(field::ARGV).and_then(|argv| argv.as_array());
    let argv = argv.into_iter().flatten().filter_map(|arg| Some(arg.as_str()?.as_bytes().to_vec()));
    Facts {
        id: task.id.clone(),
        tool: text(field::TOOL),
        argv: argv.collect(),
        cwd: text(field::CWD),
        host: process::host_name(),
        user: text(field::USER),
        boot_id: process::boot_id().unwrap_or_default(),
        pid_namespace: process::pid_namespace(),
        labels: record.labels().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        total: record.count(field::STACKS_TOTAL),
        attempts: record.count(field::ATTEMPTS).unwrap_or(1),
        turn: turn(record),
        pty: record.flag(field::PTY) == Some(true),
        log_path: dir.log(&task.id).to_string_lossy().into_owned(),
        made_at,
        made: since_boot(made_at),
    }
}

/// What the task had waited for.
fn turn(record: &Record) -> Turn {
    let after = record.texts(field::AFTER).filter_map(|id| TaskId::parse(id).ok()).collect();
    Turn { after, ..Turn::default() }
}

/// When it was `at`, in seconds since 1970, as time since boot.
fn since_boot(at: i64) -> Duration {
    let ago = Duration::from_secs(u64::try_from(time::now().saturating_sub(at)).unwrap_or(0));
    time::since_boot().saturating_sub(ago)
}

/// Makes the supervisor, and waits until the record says so.
fn begin(handover: Handover) -> io::Result<()> {
    let (mut told, mut tell) = io::pipe()?;
    match fork()? {
        Side::Child => {
            drop(told);
            own_session();
            adopt_orphans();
            set_name(c"gco-supervisor");
            block_all();
            for fd in 0..3 {
                release(fd);
            }
            // Nothing is at stake: it only keeps this process from holding on to a file system.
            let _ = nix::unistd::chdir("/");
            let mut supervisor = Supervisor::new(handover);
            supervisor.take_on();
            // With nobody there to hear it there is nobody to be told.
            let _ = tell.write_all(b"!");
            drop(tell);
            supervisor.run()
        }
        Side::Parent(pid) => {
            drop((tell, handover));
            let mut word = [0];
            loop {
                match told.read(&mut word) {
                    Ok(1) => return Ok(()),
                    Ok(_) => return Err(io::Error::other(format!("its supervisor {pid} was killed"))),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
}

impl Supervisor {
    /// Goes on with a task that was an orphan.
    fn take_on(&mut self) {
        self.told_started = true;
        self.machine.started(std::time::Instant::now());
        self.recall_gauge();
        self.write_record_now();
    }
}
