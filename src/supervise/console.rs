//! The keyboard of a front-end: what is typed goes to the command, and the keys that leave it are found.
//!
//! It reads only while its job is in the foreground, and not while another program of the pipeline has set the terminal up to
//! read it: those keys are that program's.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};

use super::viewer::Manner;
use super::viewing::{Wanted, manner};
use crate::sys::descriptors::{Kind, copy_above, key_pipe, kind, standard};
use crate::sys::fork::this_group;
use crate::sys::pty::{self, Modes};
use crate::sys::signals::Queue;
use crate::sys::start::Inherited;
use crate::sys::terminal::controlling_terminal;
use crate::sys::time::poll_timeout;
use crate::task::Spec;
use crate::task::keys::Finder;

/// How soon to look again at a keyboard that somebody else reads.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// How much is read at once.
const TAKE: usize = 4096;

/// The keyboard.
#[derive(Debug)]
pub struct Console {
    keyboard: Option<OwnedFd>,
    is_terminal: bool,
    /// The way to the command.
    keys: OwnedFd,
    /// The other end of it: what is left in it at the end was typed for whoever reads next.
    rest: Option<OwnedFd>,
    /// What has not been taken there yet.
    waiting: Vec<u8>,
    /// The command is over, and nothing is read any more.
    is_stopped: bool,
    leaving: Finder,
    /// No other keys are passed on, and Ctrl-C leaves, too.
    only_leaves: bool,
    /// The terminal is the command's alone, and is read once it is held.
    is_own: bool,
    /// gco has set the terminal up to be read key by key.
    is_held: bool,
    /// Somebody else reads it, until it is looked at again.
    busy_until: Option<Instant>,
}

/// What came of reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Typed {
    /// Keys, or nothing.
    Keys,
    /// The keys that leave.
    Leave,
    /// The keyboard has gone.
    Gone,
}

impl Console {
    /// Reads `keyboard` and sends its keys to `keys`, until those of `leaving` are typed.
    #[must_use]
    pub fn new(keyboard: OwnedFd, keys: OwnedFd, leaving: Vec<u8>) -> Self {
        let is_terminal = kind(keyboard.as_fd()) == Kind::Terminal;
        let leaving = Finder::new(if is_terminal { leaving } else { Vec::new() });
        let keyboard = Some(keyboard);
        Self {
            keyboard,
            is_terminal,
            keys,
            rest: None,
            waiting: Vec::new(),
            is_stopped: false,
            leaving,
            only_leaves: false,
            is_own: false,
            is_held: false,
            busy_until: None,
        }
    }

    /// Keeps the end from which the command gets its keys.
    pub fn keep(&mut self, rest: OwnedFd) {
        self.rest = Some(rest);
    }

    /// The command is over: what is typed from now on is for whoever reads the terminal next.
    pub fn stop(&mut self) {
        self.is_stopped = true;
    }

    /// The command goes on.
    pub fn go_on_reading(&mut self) {
        self.is_stopped = false;
    }

    /// Gives back what was typed and the command has not read: these keys, and those that have not reached it.
    pub fn type_back(&mut self, mut keys: Vec<u8>) {
        let mut block = [0; TAKE];
        while let Some(rest) = &self.rest
            && let Ok(left) = nix::unistd::read(rest, &mut block)
            && left > 0
        {
            keys.extend_from_slice(&block[..left]);
        }
        keys.append(&mut self.waiting);
        if let Some(keyboard) = self.keyboard.as_ref().filter(|_| self.is_terminal && !keys.is_empty())
            && is_in_front(keyboard)
        {
            // Where that is not allowed they are lost.
            let _ = pty::type_back(keyboard.as_fd(), &keys);
        }
    }

    /// Whether this process's job is in the foreground of the terminal.
    #[must_use]
    pub fn is_in_front(&self) -> bool {
        self.keyboard.as_ref().is_none_or(is_in_front)
    }

    /// gco has set the terminal up to be read key by key, or as it was.
    pub fn held(&mut self, held: bool) {
        self.is_held = held;
        self.busy_until = None;
    }

    /// What to wait for: the keyboard, or that there is room for its keys.
    #[must_use]
    pub fn wanted(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        if self.is_stopped {
            return None;
        }
        if !self.waiting.is_empty() {
            return Some((self.keys.as_fd(), PollFlags::POLLOUT));
        }
        let keyboard =
            self.keyboard.as_ref().filter(|_| self.busy_until.is_none_or(|until| until <= Instant::now()));
        keyboard.map(|keyboard| (keyboard.as_fd(), PollFlags::POLLIN))
    }

    /// When to look again, if nothing is waited for.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.busy_until.filter(|_| !self.is_stopped)
    }

    /// Takes what has been typed, and passes on what there is room for.
    pub fn go_on(&mut self) -> Typed {
        if self.is_stopped {
            return Typed::Keys;
        }
        if !self.waiting.is_empty() {
            self.send();
            return Typed::Keys;
        }
        let Some(keyboard) = &self.keyboard else { return Typed::Keys };
        self.busy_until = None;
        if self.is_terminal && !self.may_read(keyboard) {
            self.busy_until = Some(Instant::now() + LOOK_AGAIN);
            return Typed::Keys;
        }
        let mut block = [0; TAKE];
        match nix::unistd::read(keyboard, &mut block) {
            Ok(0) => {
                // The end of input, as the command's terminal has it. A terminal that has gone says the same.
                match Modes::of(keyboard.as_fd()) {
                    Ok(modes) => self.waiting.push(modes.end_of_input()),
                    Err(_) if self.is_terminal => {
                        self.keyboard = None;
                        return Typed::Gone;
                    }
                    Err(_) => {
                        self.waiting.push(END_OF_INPUT);
                        self.keyboard = None;
                    }
                }
                self.send();
                Typed::Keys
            }
            Ok(taken) => {
                let leaves = self.leaving.take(&block[..taken], &mut self.waiting);
                if self.only_leaves {
                    self.waiting.clear();
                    return if leaves || block[..taken].contains(&INTERRUPT) {
                        Typed::Leave
                    } else {
                        Typed::Keys
                    };
                }
                self.send();
                if leaves { Typed::Leave } else { Typed::Keys }
            }
            Err(Errno::EINTR | Errno::EAGAIN) => Typed::Keys,
            Err(_) if self.is_terminal && !is_in_front(keyboard) => {
                self.busy_until = Some(Instant::now() + LOOK_AGAIN);
                Typed::Keys
            }
            Err(_) => {
                self.keyboard = None;
                Typed::Gone
            }
        }
    }

    /// Whether what is typed is for this command.
    fn may_read(&self, keyboard: &OwnedFd) -> bool {
        let is_as_usual = Modes::of(keyboard.as_fd()).map_or(true, |modes| modes.is_by_line());
        // What is typed before is shown by the terminal itself, and counted by who holds it.
        is_in_front(keyboard) && (self.is_held || (is_as_usual && !self.is_own))
    }

    fn send(&mut self) {
        while !self.waiting.is_empty() {
            match nix::unistd::write(&self.keys, &self.waiting) {
                Ok(sent) => {
                    self.waiting.drain(..sent);
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                // Nobody takes them any more; that is heard elsewhere.
                Err(_) => self.waiting.clear(),
            }
        }
    }
}

/// The key that ends the input of a terminal in its usual modes.
const END_OF_INPUT: u8 = 4;

/// The key that interrupts, on any terminal that people use.
const INTERRUPT: u8 = 3;

fn is_in_front(keyboard: &OwnedFd) -> bool {
    // On a terminal that is not the controlling one there is no foreground.
    pty::foreground(keyboard).is_none_or(|group| group == this_group())
}

/// Waits for something to happen on the `way` to the supervisor, among `signals` or at the keyboard, or for the time
/// `until`, and sees to what is typed.
pub fn wait(
    way: BorrowedFd<'_>,
    signals: &Queue,
    mut console: Option<&mut Console>,
    until: Option<Instant>,
) -> Typed {
    let mut fds = vec![PollFd::new(way, PollFlags::POLLIN), PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
    let wanted = console.as_deref().and_then(Console::wanted);
    fds.extend(wanted.map(|(fd, flags)| PollFd::new(fd, flags)));
    let look_again = console.as_deref().and_then(Console::deadline);
    match poll(&mut fds, poll_timeout(until.into_iter().chain(look_again).min())) {
        Ok(_) | Err(Errno::EINTR) => {}
        // Out of memory for the moment.
        Err(_) => std::thread::sleep(Duration::from_millis(1)),
    }
    let is_ready = fds.get(2).and_then(PollFd::any).unwrap_or(false);
    match &mut console {
        Some(console) if is_ready || look_again.is_some_and(|at| at <= Instant::now()) => console.go_on(),
        _ => Typed::Keys,
    }
}

/// The keyboard of gco's caller, and the end from which the command gets its keys; `None` if it has no terminal.
///
/// # Errors
/// Out of descriptors.
pub fn of_caller(
    spec: &Spec,
    wanted: Wanted,
    inherited: &Inherited,
) -> io::Result<Option<(Console, OwnedFd)>> {
    if !wanted.any() || spec.detach {
        return Ok(None);
    }
    // What is to be the command's input, or where somebody may be asked who has none left.
    let keyboard = if wanted.input { Some(copy_above(standard(0))?) } else { controlling_terminal() };
    let Some(keyboard) = keyboard else { return Ok(None) };
    let (read, write) = key_pipe()?;
    let console = Console::new(keyboard, write, spec.detach_keys.clone());
    let is_own = manner(spec, inherited) == Manner::Own;
    Ok(Some((Console { is_own, ..console }, read)))
}

/// The keyboard of somebody who attaches, and the end from which the command gets its keys. Whoever `only_looks` types the
/// keys that leave all the same.
///
/// # Errors
/// Out of descriptors.
pub fn of_guest(leaving: &[u8], only_looks: bool) -> io::Result<(Console, OwnedFd)> {
    let (read, write) = key_pipe()?;
    let console = Console::new(copy_above(standard(0))?, write, leaving.to_vec());
    // The supervisor has the terminal be read key by key at once.
    Ok((Console { is_held: true, only_leaves: only_looks, ..console }, read))
}
