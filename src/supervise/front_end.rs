//! The front-end: what the caller of `gco run` sees. A client of the supervisor, and nothing that the task needs.
//!
//! It passes signals on, stops when the command stops, and ends as the command ended: by the same exit code or
//! the same signal. It holds nothing open that the command alone should decide about. If it is killed or loses its
//! terminal, the task goes on.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use super::begin::{self, Beginning};
use super::console::{self, Console, Typed};
use super::handover::release;
use super::message::{Heard, Order, Report};
use super::viewing::Wanted;
use crate::failure::{EXIT_GCO_FAILED, EXIT_STILL_RUNNING, Failure, io_words};
use crate::sys::descriptors::{Kind, close_foreign, copy_above, kind, message_pair, put_in_place, standard};
use crate::sys::fork::{Side, fork};
use crate::sys::signals::{Queue, default_sigchld, die_of, unblock};
use crate::sys::start::Inherited;
use crate::sys::terminal::has_controlling_terminal;
use crate::task::spec::OnConflict;
use crate::task::{Exit, Spec, Stream, TaskId};

/// The signals that are passed on to the command.
const PASSED_ON: [i32; 8] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGTSTP,
    libc::SIGCONT,
];

/// Those that only tell of the terminal, and those that it stops a job with that is in the background.
const OF_TERMINAL: [i32; 3] = [libc::SIGWINCH, libc::SIGTTIN, libc::SIGTTOU];

/// Most commands close stderr by ending. Only when one has closed it for this long without ending is it let go of here
/// too: gco may have last words.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// How `gco run` is to be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// Keep files of the task.
    pub track: bool,
    /// Say nothing when all is well.
    pub quiet: bool,
    /// With a detached task: print JSON.
    pub json: bool,
}

/// A front-end at work.
struct FrontEnd {
    supervisor: OwnedFd,
    signals: Queue,
    /// It had a controlling terminal at first.
    had_terminal: bool,
    talks: bool,
    manner: Manner,
    detach: bool,
    /// The task is not run at all if it cannot be tracked.
    waits: bool,
    /// Another task's output is shown if that has the key.
    follows: bool,
    /// Where that would be shown.
    stdout: Option<OwnedFd>,
    /// What is typed, if the command has a terminal.
    console: Option<Console>,
    /// The command is to end when the terminal goes away.
    ends_on_hangup: bool,
    id: Option<String>,
    /// When the reader of stderr is to see its end.
    let_go_of_stderr_at: Option<Instant>,
}

/// How a front-end ends.
enum End {
    Exit(i32),
    Signal(i32),
    Follow(TaskId),
}

/// What came of running a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finished {
    /// gco is to end with this exit code.
    Exit(i32),
    /// Nothing was run: this task has the key, and its output is wanted instead.
    Follow(TaskId),
}

/// Runs the task that `spec` describes. Gives the exit code, if the command did not die of a signal: then this process
/// does as well, and the call does not return.
///
/// # Errors
/// gco itself could not do it: [`Failure`] with exit code 125.
pub fn run(spec: Spec, inherited: Inherited, manner: Manner) -> Result<Finished, Failure> {
    let cannot = |error: io::Error| {
        Failure::new(EXIT_GCO_FAILED, format!("cannot start a supervisor: {}", io_words(&error)))
    };
    let terminals = Wanted::of(&spec, &inherited);
    let (mut console, keys) = console::of_caller(&spec, terminals, &inherited).map_err(cannot)?.unzip();
    let of_terminal = OF_TERMINAL.into_iter().filter(|_| console.is_some());
    let is_free = |&s: &i32| !inherited.ignores(s) && !inherited.blocks(s);
    let wanted = PASSED_ON.into_iter().filter(is_free).chain(of_terminal);
    let had_terminal = has_controlling_terminal();
    let talks = !manner.quiet && !spec.detach && kind(standard(2)) == Kind::Terminal;
    // A caller that ignores SIGCHLD would have gco's processes lose the exit status of their children. The command
    // gets it as it was.
    default_sigchld();
    let (front, back) = message_pair().map_err(cannot)?;
    // Before the fork: a signal must not end the one side and miss the other.
    let signals = Queue::new(wanted).map_err(cannot)?;
    let me = std::process::id().cast_signed();
    let follows = spec.on_conflict == OnConflict::Follow;
    let (parents, waits) = (inherited.clone(), !spec.turn.is_now());
    let ends_on_hangup = spec.ends_on_hangup;
    let behind = console.as_ref().is_some_and(|console| !console.is_in_front());
    if fork().map_err(cannot)? == Side::Child {
        drop((front, signals, console));
        let beginning = Beginning {
            track: manner.track,
            front: back,
            front_pid: me,
            announce: talks,
            wanted: terminals,
            keys,
            behind,
        };
        begin::live(&spec, inherited, beginning);
    }
    drop(back);
    if let (Some(console), Some(keys)) = (&mut console, keys) {
        console.keep(keys);
    }
    // What the command decides about: how long its input has a reader, its output a writer, and what else is open.
    for &fd in inherited.extra() {
        close_foreign(fd);
    }
    release(0);
    let mut stdout = None;
    if !spec.detach {
        if follows {
            stdout = Some(copy_above(standard(1)).map_err(cannot)?);
        }
        release(1);
    }
    let detach = spec.detach;
    let mut front_end = FrontEnd {
        supervisor: front,
        signals,
        had_terminal,
        talks,
        manner,
        detach,
        waits,
        follows,
        stdout,
        console,
        ends_on_hangup,
        id: None,
        let_go_of_stderr_at: None,
    };
    match front_end.stay()? {
        End::Exit(code) => Ok(Finished::Exit(code)),
        End::Signal(signal) => {
            die_of(signal);
            Ok(Finished::Exit(128 + signal))
        }
        End::Follow(id) => {
            if let Some(stdout) = front_end.stdout.take() {
                put_in_place(stdout.as_fd(), 1).map_err(cannot)?;
            }
            unblock(&parents);
            Ok(Finished::Follow(id))
        }
    }
}

impl FrontEnd {
    /// Stays until the task is over, or this process is to leave it.
    fn stay(&mut self) -> Result<End, Failure> {
        loop {
            while let Some(arrived) = self.signals.next() {
                if arrived.signal == libc::SIGHUP && self.has_lost_terminal() {
                    return Ok(self.hung_up());
                }
                if OF_TERMINAL.contains(&arrived.signal) {
                    if arrived.signal == libc::SIGWINCH {
                        self.order(Order::Resized);
                    }
                    continue;
                }
                if let (libc::SIGCONT, Some(console)) = (arrived.signal, &mut self.console) {
                    console.go_on_reading();
                    let in_front = console.is_in_front();
                    // Here first: a command that goes on in the background must not read.
                    self.order(Order::Ground(in_front));
                    self.order(Order::Resized);
                }
                if arrived.is_our_own {
                    // The command goes on already. Told so once more it could miss a stop that has come since.
                    continue;
                }
                self.order(match arrived.sender {
                    Some(sender) => Order::PassFrom(arrived.signal, sender),
                    None => Order::Pass(arrived.signal),
                });
            }
            loop {
                match Report::hear(self.supervisor.as_fd()) {
                    Heard::Message(report) => {
                        if let Some(end) = self.told(report)? {
                            return Ok(end);
                        }
                    }
                    Heard::Nothing => break,
                    Heard::Gone => return Err(self.abandoned()),
                }
            }
            if self.let_go_of_stderr_at.take_if(|at| *at <= Instant::now()).is_some() {
                release(2);
            }
            let until = self.let_go_of_stderr_at;
            match console::wait(self.supervisor.as_fd(), &self.signals, self.console.as_mut(), until) {
                Typed::Keys => {}
                Typed::Leave => self.order(Order::Leave),
                Typed::Gone if self.has_lost_terminal() => return Ok(self.hung_up()),
                Typed::Gone => {}
            }
        }
    }

    /// Tells the supervisor. If that is gone it is heard next.
    fn order(&self, order: Order) {
        let _ = order.send(self.supervisor.as_fd());
    }

    fn has_lost_terminal(&self) -> bool {
        self.had_terminal && !has_controlling_terminal()
    }

    /// The terminal has gone, not the interest in the task, unless that was said.
    fn hung_up(&self) -> End {
        if self.ends_on_hangup {
            self.order(Order::HungUp);
        }
        End::Signal(libc::SIGHUP)
    }

    fn told(&mut self, report: Report) -> Result<Option<End>, Failure> {
        match report {
            Report::Claimed { id, trouble } => {
                self.id = id;
                return self.claimed(trouble).map(|()| None);
            }
            Report::Started | Report::Queued { .. } if self.detach => return self.print_id().map(Some),
            Report::Started => self.stdout = None,
            Report::Queued { words } => {
                self.stdout = None;
                if self.talks {
                    let id = self.id.as_deref().unwrap_or_default();
                    say(&format!("gco: task {id} waits for {words}"));
                }
            }
            Report::Refused { why, holder, is_key } => {
                self.follows &= is_key;
                return self.refused(&why, holder).map(Some);
            }
            Report::NotStarted { code, why } => {
                say(&format!("gco: {why}"));
                return Ok(Some(End::Exit(code)));
            }
            Report::Closed(Stream::Stderr) if kind(standard(2)) != Kind::Terminal => {
                self.let_go_of_stderr_at = Some(Instant::now() + LAST_WORDS);
            }
            Report::Closed(_) => {}
            Report::Ending => {
                self.let_go_of_stderr_at = None;
                if let Some(console) = &mut self.console {
                    console.stop();
                }
            }
            Report::Pause(keys) => {
                if let Some(console) = &mut self.console {
                    console.stop();
                    console.type_back(keys);
                }
                self.order(Order::Paused);
            }
            Report::Unread(keys) => {
                if let Some(console) = &mut self.console {
                    console.type_back(keys);
                }
            }
            Report::Left => return Ok(Some(self.leave())),
            Report::NoTerminal => self.console = None,
            Report::Held(held) => {
                if let Some(console) = &mut self.console {
                    console.held(held);
                }
            }
            Report::ReaderGone(stream) => {
                if self.has_lost_terminal() {
                    return Ok(Some(self.hung_up()));
                }
                self.order(Order::Close(stream));
            }
            Report::Ended { exit, words, trouble } => {
                if let Some(trouble) = trouble {
                    say(&format!("gco: {trouble}"));
                }
                if let (Some(words), true) = (words, self.talks) {
                    let name = self.id.as_deref().map_or(String::new(), |id| format!(" {id}"));
                    say(&format!("gco: task{name} {words}"));
                }
                return Ok(Some(match exit {
                    Exit::Code(code) => End::Exit(code),
                    Exit::Signal(signal) => End::Signal(signal),
                    Exit::Unknown => {
                        say("gco: the command is gone and its exit status could not be learned");
                        End::Exit(i32::from(EXIT_GCO_FAILED))
                    }
                }));
            }
        }
        Ok(None)
    }

    fn claimed(&self, trouble: Option<String>) -> Result<(), Failure> {
        let Some(trouble) = trouble else { return Ok(()) };
        if self.waits {
            let failure =
                Failure::new(EXIT_GCO_FAILED, format!("{trouble}; nobody can tell whose turn it is"));
            return Err(failure.hint("set GCO_TASK_STATUS_DIR to a directory of your own"));
        }
        if self.detach {
            let failure =
                Failure::new(EXIT_GCO_FAILED, format!("{trouble}; nobody could ever find the task"));
            return Err(failure.hint("set GCO_TASK_STATUS_DIR to a directory of your own"));
        }
        say(&format!("gco: {trouble}; the command runs without a record"));
        Ok(())
    }

    /// There is no place for the task, and it was not to wait.
    fn refused(&mut self, why: &str, holder: Option<String>) -> Result<End, Failure> {
        match holder.as_deref().and_then(|id| TaskId::parse(id).ok()) {
            Some(holder) if self.follows && self.detach => {
                self.id = Some(holder.to_string());
                self.print_id()
            }
            Some(holder) if self.follows => Ok(End::Follow(holder)),
            holder => {
                let failure = Failure::new(EXIT_STILL_RUNNING, format!("not run: {why}"));
                Err(match holder {
                    Some(id) => failure.hint(format!("'gco tasks wait {id}' waits until it is over")),
                    None => failure,
                })
            }
        }
    }

    /// The task has taken longer than this front-end was to stay.
    fn leave(&self) -> End {
        let id = self.id.as_deref().unwrap_or_default();
        let hint = match &self.console {
            Some(_) => format!("'gco tasks attach {id}' comes back to it"),
            None => format!("'gco tasks wait {id}' waits for its end"),
        };
        say(&format!("gco: task {id} goes on in the background\nhint: {hint}"));
        End::Exit(i32::from(EXIT_STILL_RUNNING))
    }

    /// The task runs and this front-end leaves it.
    fn print_id(&self) -> Result<End, Failure> {
        let id = self.id.as_deref().unwrap_or_default();
        let text = if self.manner.json {
            format!("{}\n", serde_json::json!({ "task_id": id }))
        } else {
            format!("{id}\n")
        };
        match io::stdout().write_all(text.as_bytes()) {
            Ok(()) => Ok(End::Exit(0)),
            // Whoever closed the pipe has no use for the id.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(End::Exit(0)),
            Err(error) => {
                let words = io_words(&error);
                Err(Failure::new(
                    EXIT_GCO_FAILED,
                    format!("task {id} runs, but its id cannot be printed: {words}"),
                ))
            }
        }
    }

    /// Supervisor and keeper are both gone.
    fn abandoned(&self) -> Failure {
        match &self.id {
            Some(id) => Failure::new(EXIT_GCO_FAILED, format!("the supervisor of '{id}' is gone"))
                .hint(format!("the command may still run; see: gco tasks status {id}")),
            None => Failure::new(EXIT_GCO_FAILED, "the supervisor could not begin its work")
                .hint("the system may be out of processes, descriptors or memory"),
        }
    }
}

/// Says something to the person at the terminal. One who is not there misses it.
fn say(words: &str) {
    // In one piece: the command may be writing there, too.
    let _ = io::stderr().write_all(format!("{words}\n").as_bytes());
}
