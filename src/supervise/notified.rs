//! What the command says of itself as programs tell a service manager: on the socket that `NOTIFY_SOCKET` names.
//!
//! Supervisor and keeper both have the socket, so it outlives either. Whoever sends there waits while the socket is full, so
//! everything is taken as it comes, whatever it says; a successor finds what was said last in the [control memory](super::control). Only
//! this user and root are heard.
//!
//! It is there only where it is asked for: the variable changes what some programs do (`podman run -d` and other starters of
//! containers wait for a `READY=1`), and a wrapped command is to do what it does without gco.
//!
//! A service manager's own socket stays where it is: gco in its place would answer for what it does not know (`READY=1`,
//! descriptors to be kept, who sent it), and what the command says would come from another process than without gco. Only
//! that of another gco around this one is replaced, as its task is by this one.

use std::ffi::OsString;
use std::sync::atomic::Ordering;

use nix::unistd::getuid;

use super::control::{Cell, Control, Phase};
use super::supervisor::Supervisor;
use crate::failure::io_words;
use crate::gauge::status;
use crate::sys::notify::{Mailbox, NAMES};
use crate::task::Spec;

/// Names the socket in the command's environment.
pub(super) const VARIABLE: &str = "NOTIFY_SOCKET";

/// How many messages are taken before something else is looked at.
const MOST_AT_ONCE: usize = 256;

/// How many cells the words take: 200 bytes.
const WORDS: usize = 25;
/// How many cells a place for a status takes,
const SLOT: usize = 1 + WORDS;
/// and the two of them.
pub(super) const STATUS_CELLS: usize = 2 * SLOT;

/// The socket for the task that `spec` describes. None if it is not asked for, or the command has a service manager's.
pub(super) fn mailbox(spec: &Spec, track: bool, warnings: &mut Vec<String>) -> Option<Mailbox> {
    if !spec.notify || !track {
        return None;
    }
    let is_anothers =
        |value: &OsString| !value.is_empty() && !value.as_encoded_bytes().starts_with(NAMES.as_bytes());
    let given = spec.environment.iter().find(|(name, _)| name == VARIABLE);
    if given.is_some_and(|(_, value)| is_anothers(value)) {
        warnings.push(format!("--notify: {VARIABLE} was set already, and the command's status goes there"));
        return None;
    }
    Mailbox::new()
        .map_err(|error| {
            warnings.push(format!("--notify: {VARIABLE} could not be set: {}", io_words(&error)));
        })
        .ok()
}

impl Supervisor {
    /// Takes what was sent.
    pub(super) fn hear_notified(&mut self) {
        let Some(mailbox) = &self.handover.mailbox else { return };
        let me = getuid().as_raw();
        let mut last = None;
        for (message, sender) in std::iter::from_fn(|| mailbox.next()).take(MOST_AT_ONCE) {
            if sender.is_some_and(|user| user == me || user == 0) {
                last = status::said(&message).or(last);
            }
        }
        // What is left of the command says nothing of it any more.
        if let Some(words) = last.filter(|_| self.handover.control.phase() == Phase::Underway) {
            self.take_status(&words);
            self.machine.changed();
        }
    }

    /// This is the command's status.
    pub(super) fn take_status(&mut self, words: &str) {
        self.handover.control.set_status(words);
        self.gauge.hear_status(words);
    }
}

impl Control {
    /// The status that the command has told last; none if it has not, or has said otherwise since.
    #[must_use]
    pub fn status(&self) -> Option<String> {
        let slot = SLOT * (self.get(Cell::StatusCurrent) & 1) as usize;
        let part = |n: usize| self.cell(Cell::Status, slot + n).load(Ordering::Acquire);
        let length = usize::try_from(part(0)).unwrap_or(0).min(8 * WORDS);
        let bytes: Vec<u8> = (1..SLOT).flat_map(|n| part(n).to_ne_bytes()).take(length).collect();
        Some(String::from_utf8_lossy(&bytes).into_owned()).filter(|words| !words.is_empty())
    }

    /// Says what it is: into the older of two places, which then counts by one store.
    pub fn set_status(&self, words: &str) {
        let next = (self.get(Cell::StatusCurrent) & 1) ^ 1;
        let slot = SLOT * next as usize;
        let words = crate::task::text::begin(words, 8 * WORDS).as_bytes();
        let store = |n: usize, value: u64| self.cell(Cell::Status, slot + n).store(value, Ordering::Release);
        store(0, words.len() as u64);
        for (n, chunk) in words.chunks(8).enumerate() {
            let mut bytes = [0; 8];
            bytes[..chunk.len()].copy_from_slice(chunk);
            store(1 + n, u64::from_ne_bytes(bytes));
        }
        self.set(Cell::StatusCurrent, next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_kept_whole() -> std::io::Result<()> {
        let control = Control::new()?;
        assert_eq!(control.status(), None);
        let long = "ż".repeat(500);
        for words in ["a", "Ready to serve żółć", "12345678", &long[..200]] {
            control.set_status(words);
            assert_eq!(control.status().as_deref(), Some(words));
        }
        control.set_status(&long);
        assert_eq!(control.status().map(|words| words.len()), Some(200));
        control.set_status("");
        assert_eq!(control.status(), None);
        Ok(())
    }
}
