//! The front-end of whoever attaches to a task: it hands its terminal and its keys to the supervisor, and waits.
//!
//! It is a guest. Whatever becomes of it the task goes on, and its terminal gets its own modes back: from the supervisor, and
//! if that is killed from here. A new supervisor is gone to as soon as there is one.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, poll};
use serde_json::json;

use super::console::{self, Console, Typed};
use super::message::{Heard, Order, Report};
use crate::failure::{Failure, io_words};
use crate::store::StatusDir;
use crate::sys::descriptors::standard;
use crate::sys::door;
use crate::sys::pty::Modes;
use crate::sys::signals::{Queue, die_of, unblock};
use crate::sys::start::Inherited;
use crate::sys::terminal::has_controlling_terminal;
use crate::sys::time::poll_timeout;
use crate::task::{Exit, TaskId};

/// The signals that are taken as events.
const HEARD: [i32; 8] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGWINCH,
    libc::SIGCONT,
    libc::SIGTTIN,
    libc::SIGTTOU,
];

/// How long a supervisor that was killed may take to be replaced.
const REPLACED: Duration = Duration::from_secs(5);
/// How often it is looked whether it has been.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What puts a terminal into order whose state nobody knows any more.
const SOFT_RESET: &[u8] =
    b"\x1b[!p\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?1049l\x1b[?25h\r\n";

/// How a visit ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Visited {
    /// The command has no terminal, or is over.
    NoDoor,
    /// It was left.
    Left,
    /// The task is over.
    Ended(Exit),
    /// It could not be started, and this is the exit code for that.
    NotStarted(i32),
    /// This process is to end of this signal.
    Signal(i32),
    /// Nobody supervises the task any more.
    Lost,
}

/// A visit under way.
struct Visit {
    way: OwnedFd,
    signals: Queue,
    console: Console,
    had_terminal: bool,
}

/// Attaches to task `id` with the terminal that is standard output, and the keys that come from standard input unless it
/// `only_looks`. Typing `leaving` ends it.
///
/// # Errors
/// A [`Failure`] if this terminal cannot be used, or what there is of the task is not to be trusted.
pub fn visit(
    dir: &StatusDir,
    id: &TaskId,
    inherited: &Inherited,
    only_looks: bool,
    leaving: &[u8],
) -> Result<Visited, Failure> {
    let cannot = |error: io::Error| Failure::failed(format!("cannot attach to '{id}': {}", io_words(&error)));
    let own = Modes::of(standard(1)).map_err(cannot)?;
    let is_free = |&signal: &i32| !inherited.ignores(signal) && !inherited.blocks(signal);
    let mut lost_at: Option<Instant> = None;
    loop {
        let way = match door::knock(&dir.door(id), |uid| dir.trusts(uid)) {
            Ok(way) => way,
            Err(error) => match (error.raw_os_error(), lost_at) {
                (Some(libc::ENOENT | libc::ECONNREFUSED), None) => return Ok(Visited::NoDoor),
                (Some(libc::ENOENT | libc::ECONNREFUSED), Some(since)) => {
                    if since.elapsed() > REPLACED {
                        return Ok(Visited::Lost);
                    }
                    std::thread::sleep(LOOK_AGAIN);
                    continue;
                }
                _ => return Err(cannot(error)),
            },
        };
        let (console, keys) = console::of_guest(leaving, only_looks).map_err(cannot)?;
        // From here on no change of the terminal's size may go unheard: the supervisor looks at it once, when it is handed over.
        let signals = Queue::new(HEARD.into_iter().filter(is_free)).map_err(cannot)?;
        let hello = json!(["attach", only_looks]).to_string();
        if door::hand_over(way.as_fd(), hello.as_bytes(), &[standard(1), keys.as_fd()]).is_err() {
            unblock(inherited);
            lost_at.get_or_insert_with(Instant::now);
            continue;
        }
        let mut visit = Visit { way, signals, console, had_terminal: has_controlling_terminal() };
        let visited = visit.stay();
        if visited != Visited::Lost {
            return Ok(visited);
        }
        // The supervisor is gone, and with it what it knew of this terminal.
        unblock(inherited);
        if Modes::of(standard(1)).is_ok_and(|now| now != own) {
            // A terminal that is gone needs no modes.
            let _ = own.set(standard(1));
            let _ = io::stdout().write_all(SOFT_RESET).and_then(|()| io::stdout().flush());
        }
        lost_at.get_or_insert_with(Instant::now);
    }
}

/// Ends this process by `signal`; gives the exit code for it if that does not end it.
#[must_use]
pub fn end_by(signal: i32) -> i32 {
    die_of(signal);
    128 + signal
}

impl Visit {
    fn stay(&mut self) -> Visited {
        loop {
            while let Some(arrived) = self.signals.next() {
                match arrived.signal {
                    libc::SIGWINCH => self.order(Order::Resized),
                    libc::SIGCONT => {
                        self.console.go_on_reading();
                        self.order(Order::Ground(self.console.is_in_front()));
                        self.order(Order::Resized);
                        if !arrived.is_our_own {
                            self.order(Order::Pass(libc::SIGCONT));
                        }
                    }
                    libc::SIGTTIN | libc::SIGTTOU => {}
                    signal => {
                        self.leave();
                        // Typed before the terminal was the command's.
                        let is_key = matches!(signal, libc::SIGINT | libc::SIGQUIT);
                        return if is_key { Visited::Left } else { Visited::Signal(signal) };
                    }
                }
            }
            loop {
                match Report::hear(self.way.as_fd()) {
                    Heard::Message(Report::Left) => return Visited::Left,
                    Heard::Message(Report::Ended { exit, .. }) => return Visited::Ended(exit),
                    Heard::Message(Report::NotStarted { code, .. }) => return Visited::NotStarted(code),
                    Heard::Message(_) => {}
                    Heard::Nothing => break,
                    Heard::Gone => return Visited::Lost,
                }
            }
            match console::wait(self.way.as_fd(), &self.signals, Some(&mut self.console), None) {
                Typed::Leave => self.order(Order::Leave),
                Typed::Gone if self.had_terminal && !has_controlling_terminal() => {
                    return Visited::Signal(libc::SIGHUP);
                }
                Typed::Keys | Typed::Gone => {}
            }
        }
    }

    /// Tells the supervisor. If that is gone it is heard next.
    fn order(&self, order: Order) {
        let _ = order.send(self.way.as_fd());
    }

    /// Leaves, and waits a moment until the terminal is as it was.
    fn leave(&self) {
        self.order(Order::Leave);
        let until = Instant::now() + Duration::from_secs(1);
        while Instant::now() < until {
            match Report::hear(self.way.as_fd()) {
                Heard::Message(Report::Left | Report::Ended { .. }) | Heard::Gone => return,
                Heard::Message(_) => {}
                Heard::Nothing => {
                    let mut fds = [PollFd::new(self.way.as_fd(), PollFlags::POLLIN)];
                    // What poll says is found out by hearing.
                    let _ = poll(&mut fds, poll_timeout(Some(until)));
                }
            }
        }
    }
}
