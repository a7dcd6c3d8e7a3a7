//! The command that is run once a task is over: `--on-finish`.
//!
//! It is run by the shell when the end is on disk, by whichever supervisor is there then, at most once, and for a limited
//! time. What comes of it is never the task's: a failure is a warning in the record.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::control::Control;
use super::supervisor::Supervisor;
use crate::failure::io_words;
use crate::store::handle::{Fate, Handle};
use crate::store::liveness::Named;
use crate::store::{load, replace};
use crate::sys::child::{self, Change};
use crate::sys::descriptors::{in_memory, null};
use crate::sys::process;
use crate::sys::signals::send_to_group;
use crate::sys::spawn::{Program, Stdio};
use crate::sys::start::Inherited;
use crate::task::outcome::signal_name;
use crate::task::record::field;
use crate::task::{Exit, Record, Spec, TaskId, text};

/// Names the command in the environment. It is not handed on to the command itself, whose own tasks would run it again.
pub const HOOK_VARIABLE: &str = "GCO_ON_FINISH";

/// How long it may take.
pub const TIME: Duration = Duration::from_secs(60);

/// How much of what it says on stderr is looked at for its last line.
const LAST_WORDS: u64 = 4096;

/// What is to be run, and what with.
#[derive(Debug)]
pub struct Hook {
    command: OsString,
    environment: Vec<(OsString, OsString)>,
    directory: OsString,
    inherited: Inherited,
}

/// It runs.
#[derive(Debug)]
pub struct Running {
    named: Named,
    process: Option<Handle>,
    /// What it says on stderr.
    words: File,
    until: Instant,
    killed: bool,
    /// A predecessor started it: this process is not its parent.
    is_anothers: bool,
    /// The terminal record, for a warning.
    record: Record,
}

impl Hook {
    /// `command`, to be run where and with what `spec` says.
    #[must_use]
    pub fn new(command: &OsStr, spec: &Spec, inherited: &Inherited) -> Self {
        let mut environment = spec.environment.clone();
        environment.retain(|(name, _)| name != HOOK_VARIABLE);
        let directory = spec.directory.clone().into_os_string();
        Self { command: command.to_owned(), environment, directory, inherited: inherited.clone() }
    }

    fn start(
        &self,
        control: Control,
        id: Option<&TaskId>,
        log: &OsStr,
        record: Record,
    ) -> io::Result<Running> {
        let text = |name: &str| OsString::from(record.text(name).unwrap_or_default());
        let number =
            |name: &str| OsString::from(record.integer(name).map(|n| n.to_string()).unwrap_or_default());
        let millis = record.count(field::DURATION_MS).unwrap_or(0);
        let mut environment = self.environment.clone();
        for (name, value) in [
            ("GCO_TASK_ID", OsString::from(id.map_or("", TaskId::as_str))),
            ("GCO_STATE", text(field::STATE)),
            ("GCO_EXIT_CODE", number(field::EXIT_CODE)),
            ("GCO_TOOL", text(field::TOOL)),
            ("GCO_LOG", log.to_owned()),
            ("GCO_DURATION", OsString::from(format!("{}.{:03}", millis / 1000, millis % 1000))),
        ] {
            environment.retain(|(known, _)| known != name);
            environment.push((name.into(), value));
        }
        let words = ["/bin/sh", "-c"].map(OsString::from).into_iter().chain([self.command.clone()]);
        let directory = Some(&*self.directory).filter(|directory| !directory.is_empty());
        let program = Program::new(&words.collect::<Vec<_>>(), &environment, directory)?;
        let (input, nothing, words) = (in_memory(&record.to_bytes())?, null()?, in_memory(b"")?);
        let stdio = Stdio([Some(input.as_fd()), Some(nothing.as_fd()), Some(words.as_fd())]);
        // It says itself who it is, before anything can happen to this process.
        let announce = |word: Result<i32, _>| match word {
            Ok(pid) => control.set_hook(pid, 0),
            Err(_) => control.set_hook(0, 0),
        };
        let started = program.start(stdio, None, &self.inherited, announce);
        let pid = started.map_err(|error| io::Error::from_raw_os_error(error.errno))?;
        let until = Instant::now() + TIME;
        let named = Named { pid, start: process::look(pid).map(|seen| seen.start) };
        let process = Handle::open(named);
        Ok(Running { named, process, words, until, killed: false, is_anothers: false, record })
    }
}

impl Running {
    /// Its pid.
    pub fn pid(&self) -> i32 {
        self.named.pid
    }

    /// The descriptor that becomes readable when it has ended.
    pub fn watched(&self) -> Option<BorrowedFd<'_>> {
        self.process.as_ref().map(Handle::as_fd)
    }

    /// When to look at it again at the latest.
    pub fn deadline(&self) -> Instant {
        // A process that cannot be watched is asked about; one that was killed is about to end.
        let soon = self.process.is_none() || self.killed;
        if soon { Instant::now() + Duration::from_millis(20) } else { self.until }
    }

    /// How it ended, if it has, where somebody else is its parent.
    fn ended_elsewhere(&self) -> Option<Exit> {
        match self.process.as_ref()?.fate() {
            Fate::Runs(_) => None,
            Fate::Ended(exit) => Some(exit),
        }
    }

    /// What it said last on stderr.
    fn last_words(&mut self) -> Option<String> {
        let size = self.words.seek(SeekFrom::End(0)).ok()?;
        self.words.seek(SeekFrom::Start(size.saturating_sub(LAST_WORDS))).ok()?;
        let mut bytes = Vec::new();
        self.words.by_ref().take(LAST_WORDS).read_to_end(&mut bytes).ok()?;
        let last = bytes.split(|&b| b == b'\n').map(text::plain).rfind(|line| !line.trim().is_empty())?;
        Some(last.chars().take(500).collect())
    }
}

impl Supervisor {
    /// Runs what is to be run at the end, unless that was done already.
    pub(super) fn begin_hook(&mut self, record: &Record) {
        let Some(hook) = self.handover.hook.take() else { return };
        if !self.handover.control.begin_hook() {
            return;
        }
        let tracked = self.handover.tracking.as_ref().map(|_| &self.handover.facts.id);
        let log = OsString::from(tracked.map_or("", |_| self.handover.facts.log_path.as_str()));
        match hook.start(self.handover.control, tracked, &log, record.clone()) {
            Ok(running) => {
                self.handover.control.set_hook(running.pid(), running.named.start.unwrap_or(0));
                self.hook = Some(running);
            }
            Err(error) => {
                self.warn_of_hook(record.clone(), format!("could not be run: {}", io_words(&error)))
            }
        }
    }

    /// Takes up what a predecessor has started: it is waited for no longer than it may take, and what it says is lost.
    pub(super) fn take_up_hook(&mut self) {
        let Some((pid, start)) = self.handover.control.hook().filter(|_| self.hook.is_none()) else { return };
        let record = self
            .handover
            .tracking
            .as_ref()
            .and_then(|tracking| load::read_record(&tracking.dir, &self.handover.facts.id).ok());
        // With its start time not written down yet it is known by the session, which is that of this task's alone.
        let session = process::look(self.me.0).map(|me| me.session);
        let seen = process::look(pid);
        let seen = seen.filter(|seen| seen.start == start || (start == 0 && Some(seen.session) == session));
        let Some(start) = seen.map(|seen| seen.start) else { return };
        let named = Named { pid, start: Some(start) };
        if let (Some(record), Ok(words), Some(process)) = (record, in_memory(b""), Handle::open(named)) {
            self.handover.control.set_hook(pid, start);
            let (process, until) = (Some(process), Instant::now() + TIME);
            self.hook =
                Some(Running { named, process, words, until, killed: false, is_anothers: true, record });
        }
    }

    /// Looks after it. `true` once there is nothing to look after.
    pub(super) fn is_hook_over(&mut self) -> bool {
        let Some(hook) = &mut self.hook else { return true };
        let ended = match child::look(hook.pid()) {
            _ if hook.is_anothers => hook.ended_elsewhere(),
            Ok(Some(Change::Ended(exit, _))) => Some(exit),
            Ok(_) => None,
            // Reaped by somebody: how it ended cannot be learned.
            Err(_) => Some(Exit::Unknown),
        };
        let Some(exit) = ended else {
            if hook.until <= Instant::now() {
                send_to_group(hook.pid(), libc::SIGKILL);
                hook.killed = true;
            }
            return false;
        };
        child::reap(hook.pid());
        let Some(mut hook) = self.hook.take() else { return true };
        let how = match exit {
            Exit::Code(0) | Exit::Unknown => return true,
            _ if hook.killed => format!("took longer than {} and was killed", TIME.as_secs()) + "s",
            Exit::Code(code) => format!("exit code {code}"),
            Exit::Signal(signal) => format!("killed by {}", signal_name(signal)),
        };
        let words = hook.last_words().map(|words| format!(": {words}")).unwrap_or_default();
        self.warn_of_hook(hook.record, format!("{how}{words}"));
        true
    }

    fn warn_of_hook(&mut self, mut record: Record, why: String) {
        self.handover.warn(format!("--on-finish: {why}"));
        record.set(field::WARNINGS, self.handover.warnings.clone());
        if let Some(tracking) = &self.handover.tracking {
            let id = &self.handover.facts.id;
            // One that was pruned meanwhile is not brought back, and nobody is told what cannot be written.
            if tracking.dir.record(id).exists() {
                let _ = replace::replace(&tracking.dir, id, &record);
            }
        }
    }
}
