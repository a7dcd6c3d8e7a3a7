//! Everything that supervisor and keeper both have, so that each can make the other anew.
//!
//! `fork` hands on memory and descriptors as they are. So the handover is complete before the first fork, and
//! whoever lives longest still has all of it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use super::control::Control;
use super::hook::Hook;
use super::journal::Journal;
use super::limits::Limits;
use super::orphan::Family;
use super::report::Facts;
use super::spool::Spool;
use super::terminals::Terminals;
use super::viewing::Seat;
use crate::store::StatusDir;
use crate::store::line::Line;
use crate::store::lockfile::TaskLock;
use crate::sys::child::PidFd;
use crate::sys::descriptors::{Bell, close_foreign, null, put_in_place, standard};
use crate::sys::notify::Mailbox;
use crate::sys::pty::{self, Size};
use crate::sys::spawn::{Program, Stdio};
use crate::sys::start::Inherited;
use crate::task::Stream;
use crate::task::outcome::StartError;
use crate::task::spec::{Echo, Recognise, Retry, Turn};

/// What one task's processes have in common.
#[derive(Debug)]
pub struct Handover {
    /// What changes and must be known to all.
    pub control: Control,
    /// Rung for the supervisor.
    pub to_supervisor: Bell,
    /// Rung for the keeper.
    pub to_keeper: Bell,
    /// The reading ends of the command's streams; none once closed.
    pub sources: [Option<OwnedFd>; 2],
    /// What has been taken from them.
    pub spools: [Spool; 2],
    /// Where each stream is shown; none if it is not.
    pub places: [Option<OwnedFd>; 2],
    /// The terminals that the command runs on, if it does.
    pub terminals: Option<Terminals>,
    /// Where gco's caller sits, as long as it stays.
    pub seat: Option<Seat>,
    /// The keys that are typed there.
    pub keys: Option<OwnedFd>,
    /// What keeps the leader of the session in its place.
    pub leash: Option<OwnedFd>,
    /// What is drawn on the alternate screen goes into the log, too.
    pub log_screen: bool,
    /// The way to the front-end.
    pub front: Option<OwnedFd>,
    /// The front-end's process.
    pub front_process: Option<PidFd>,
    /// The log.
    pub journal: Journal,
    /// The files of the task; none if it is not tracked.
    pub tracking: Option<Tracking>,
    /// What the record says that does not change.
    pub facts: Facts,
    /// What went wrong with the bookkeeping so far.
    pub warnings: Vec<String>,
    /// The command; none until it is known.
    pub command: Option<PidFd>,
    /// Of a task that was an orphan: the command's processes, of which none is a child here.
    pub(super) family: Option<Family>,
    /// What is needed to start the command; none once that has been done.
    pub start: Option<Start>,
    /// When output is shown.
    pub echo: Echo,
    /// The front-end leaves once the command runs.
    pub detach: bool,
    /// Where the command may say how it is, as to a service manager.
    pub mailbox: Option<Mailbox>,
    /// What is recognised in the command's output.
    pub progress: Recognise,
    /// How many finished tasks are kept.
    pub retention: usize,
    /// How long the command may take and be silent, and how long the front-end stays.
    pub limits: Limits,
    /// How long a command that takes too long is given to end.
    pub grace: Duration,
    /// How often the command is tried.
    pub retry: Retry,
    /// What is run once the task is over.
    pub hook: Option<Hook>,
    /// What the task has to wait for before it may run.
    pub turn: Turn,
    /// The lines that it is in, or has a place in, in the order of those in `turn`.
    pub lines: Vec<Arc<Line>>,
}

/// The files of a tracked task.
#[derive(Debug)]
pub struct Tracking {
    /// Where they are.
    pub dir: StatusDir,
    /// The lock that says that somebody supervises the task.
    pub lock: TaskLock,
}

/// What starting the command takes.
#[derive(Debug)]
pub struct Start {
    /// The program.
    pub program: Program,
    /// What gco's caller had set up.
    pub inherited: Inherited,
    /// The writing ends of the command's streams; none if the caller had closed that stream.
    pub ends: [Option<OwnedFd>; 2],
    /// Whether the caller had closed standard input.
    pub stdin_closed: bool,
    /// The main terminal, and whether it is the command's input.
    pub terminal: Option<(OwnedFd, bool)>,
}

impl Start {
    /// Starts the command. It says itself in `control` which process it is.
    ///
    /// # Errors
    /// Why it could not.
    pub fn start(&self, control: Control) -> Result<i32, StartError> {
        let terminal = self.terminal.as_ref();
        let stdin = match terminal {
            Some((terminal, true)) => Some(terminal.as_fd()),
            _ if self.stdin_closed => None,
            _ => Some(standard(0)),
        };
        let [stdout, stderr] = [0, 1].map(|n| self.ends[n].as_ref().map(AsFd::as_fd));
        let announce = |word: Result<i32, StartError>| match word {
            Ok(pid) => control.set_command(pid),
            Err(error) => control.set_start_error(error),
        };
        // Its caller's job is in the background: then so is the command.
        let ground = terminal.filter(|_| !control.is_behind()).map(|(terminal, _)| terminal.as_fd());
        self.program.start(Stdio([stdin, stdout, stderr]), ground, &self.inherited, announce)
    }
}

impl Handover {
    /// Notes that something of the bookkeeping went wrong, once.
    pub fn warn(&mut self, words: impl Into<String>) {
        let words = words.into();
        if !self.warnings.contains(&words) {
            self.warnings.push(words);
        }
    }

    /// The command has been started, or could not be. If it is not to be once more, lets go of what that takes.
    pub fn command_has_started(&mut self) {
        if self.control.attempt() >= self.retry.attempts {
            self.close_start();
        }
    }

    /// Lets go of what only starting the command needed: its ends of the streams, its standard input, and what else
    /// gco's caller had open. From then on the command alone decides how long those stay open.
    pub fn close_start(&mut self) {
        let Some(start) = self.start.take() else { return };
        for &fd in start.inherited.extra() {
            close_foreign(fd);
        }
        release(0);
        // Nothing is at stake: it only keeps this process from holding on to a file system.
        let _ = nix::unistd::chdir("/");
    }

    /// Closes the reading end of `stream`.
    pub fn close_source(&mut self, stream: Stream) {
        self.sources[stream.index()] = None;
        if let Some(terminals) = &mut self.terminals {
            terminals.close(stream);
        }
    }

    /// The front-end has gone: lets go of the way to it, and of its terminal.
    pub fn close_front(&mut self) {
        self.front = None;
        self.front_process = None;
        self.seat = None;
        self.keys = None;
    }

    /// The command's main terminal.
    #[must_use]
    pub fn main_terminal(&self) -> Option<BorrowedFd<'_>> {
        self.terminals.as_ref().and_then(Terminals::main)
    }

    /// How large the command's terminals are.
    #[must_use]
    pub fn terminal_size(&self) -> Size {
        self.main_terminal().and_then(|main| pty::size(main).ok()).unwrap_or(pty::USUAL)
    }

    /// Whether `stream` comes by a terminal.
    #[must_use]
    pub fn is_terminal(&self, stream: Stream) -> bool {
        self.terminals.as_ref().is_some_and(|terminals| terminals.has(stream))
    }

    /// Lets go of where `stream` is shown.
    pub fn close_place(&mut self, stream: Stream) {
        self.places[stream.index()] = None;
    }
}

/// Lets go of standard descriptor `fd`: what it leads to is no longer held open by this process.
pub fn release(fd: usize) {
    // Without /dev/null it stays what it is; nothing reads or writes it.
    let _: io::Result<()> = null().and_then(|null| put_in_place(null.as_fd(), fd));
}
