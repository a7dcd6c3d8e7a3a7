//! The keyboard of a front-end: what is typed goes to the command, and the keys that leave it are found.
//!
//! It reads only while its job is in the foreground, and not while another program of the pipeline has set the terminal up to
//! read it: those keys are that program's.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::PollFlags;

use crate::sys::descriptors::{Kind, kind};
use crate::sys::pty::{self, Modes};
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
    /// No other keys are passed on.
    only_leaves: bool,
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
            is_held: false,
            busy_until: None,
        }
    }

    /// Whatever is typed goes nowhere, but the keys that leave, of which Ctrl-C is one then.
    #[must_use]
    pub fn for_leaving_only(self) -> Self {
        Self { only_leaves: true, ..self }
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
                // The end of input, as the command's terminal has it.
                let by_line = Modes::of(keyboard.as_fd()).ok();
                if let Some(modes) = &by_line {
                    self.waiting.push(modes.end_of_input());
                } else {
                    self.waiting.push(END_OF_INPUT);
                    self.keyboard = None;
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
        is_in_front(keyboard) && (self.is_held || is_as_usual)
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
    pty::foreground(keyboard).is_none_or(|group| group == nix::unistd::getpgrp().as_raw())
}

/// The terminal at which this process's caller sits: standard input if that is one, else the controlling one.
///
/// # Errors
/// Out of descriptors.
pub fn keyboard(input: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    if kind(input) == Kind::Terminal {
        return crate::sys::descriptors::copy_above(input).map(Some);
    }
    Ok(crate::sys::terminal::controlling_terminal())
}
