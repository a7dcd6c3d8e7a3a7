//! What front-end and supervisor say to each other.
//!
//! One message a packet on a socket pair that the kernel keeps whole. Both ends come from the same
//! program, so the form is nobody else's business. The front-end is a client: no message of the supervisor
//! waits for an answer that has to come.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv, send};
use serde_json::{Value, json};

use crate::sys::signals::Sender;
use crate::task::{Exit, Stream};

/// From the supervisor to the front-end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// The task has an id, or could not get one.
    Claimed {
        /// The id; none if the task is not tracked.
        id: Option<String>,
        /// Why it is not, if it should have been.
        trouble: Option<String>,
    },
    /// The task waits for its turn.
    Queued {
        /// What it waits for.
        words: String,
    },
    /// There is no place for the task, and it was not to wait: there is none.
    Refused {
        /// Why, for a person.
        why: String,
        /// The task that has the place.
        holder: Option<String>,
        /// It is a key that it has.
        is_key: bool,
    },
    /// The command is executing.
    Started,
    /// The command could not be started.
    NotStarted {
        /// The exit code for it.
        code: i32,
        /// Why, for a person.
        why: String,
    },
    /// Nothing will be shown on this stream any more.
    Closed(Stream),
    /// The command has ended; how will be said once that is on disk.
    Ending,
    /// The reader of this stream has closed it. If all is well with the terminal, the command is to be told.
    ReaderGone(Stream),
    /// The time that the front-end was to stay is over, or it wanted to leave; nothing is shown any more.
    Left,
    /// The command has ended without having read these keys.
    Unread(Vec<u8>),
    /// The command has been stopped without having read these keys. They are to be given back.
    Pause(Vec<u8>),
    /// The terminal is read key by key, or is as it was.
    Held(bool),
    /// The command was to have a terminal, and could not get one: what is typed is for whoever reads the caller's.
    NoTerminal,
    /// The task is over and all its output has been shown.
    Ended {
        /// How the command ended.
        exit: Exit,
        /// How to say so.
        words: Option<String>,
        /// What went wrong with the bookkeeping at the end.
        trouble: Option<String>,
    },
}

/// From the front-end to the supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Pass this signal on to the command.
    Pass(i32),
    /// The same, and who sent it.
    PassFrom(i32, Sender),
    /// Close the command's end of this stream.
    Close(Stream),
    /// The front-end's job is in the foreground of its terminal, or is not.
    Ground(bool),
    /// The terminal has another size.
    Resized,
    /// The keys have been given back, and the front-end may be stopped.
    Paused,
    /// The front-end wants to leave.
    Leave,
    /// The terminal has gone, and the command is to end with it.
    HungUp,
}

/// A packet is at most this long; texts are cut to fit.
const MAX_PACKET: usize = 16 << 10;
const MAX_TEXT: usize = 2 << 10;
const MAX_KEYS: usize = 4000;

/// What came of listening.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard<T> {
    /// A message.
    Message(T),
    /// Nothing now.
    Nothing,
    /// The other side is gone.
    Gone,
}

impl Report {
    /// Sends it. Never waits; a front-end that is gone hears nothing.
    pub fn send(&self, to: BorrowedFd<'_>) {
        let packet = match self {
            Report::Claimed { id, trouble } => json!(["claimed", id, text_of(trouble)]),
            Report::Queued { words } => json!(["queued", short(words)]),
            Report::Refused { why, holder, is_key } => {
                json!(["refused", short(why), text_of(holder), is_key])
            }
            Report::Started => json!(["started"]),
            Report::NotStarted { code, why } => json!(["not started", code, short(why)]),
            Report::Closed(stream) => json!(["closed", stream.index()]),
            Report::Ending => json!(["ending"]),
            Report::Left => json!(["left"]),
            Report::Unread(keys) => json!(["unread", &keys[..keys.len().min(MAX_KEYS)]]),
            Report::Pause(keys) => json!(["pause", &keys[..keys.len().min(MAX_KEYS)]]),
            Report::Held(held) => json!(["held", held]),
            Report::NoTerminal => json!(["no terminal"]),
            Report::ReaderGone(stream) => json!(["reader gone", stream.index()]),
            Report::Ended { exit, words, trouble } => {
                let (kind, number) = match exit {
                    Exit::Code(code) => ("code", *code),
                    Exit::Signal(signal) => ("signal", *signal),
                    Exit::Unknown => ("unknown", 0),
                };
                json!(["ended", kind, number, text_of(words), text_of(trouble)])
            }
        };
        // A packet that cannot be sent has nobody to read it: the task goes on all the same.
        let _ = post(to, &packet);
    }

    /// The next one, if one has come.
    pub fn hear(from: BorrowedFd<'_>) -> Heard<Report> {
        listen(from, |packet| {
            let number = |at: usize| packet.get(at)?.as_i64()?.try_into().ok();
            let text = |at: usize| packet.get(at).and_then(Value::as_str).map(str::to_owned);
            Some(match packet.get(0)?.as_str()? {
                "claimed" => Report::Claimed { id: text(1), trouble: text(2) },
                "queued" => Report::Queued { words: text(1)? },
                "refused" => {
                    Report::Refused { why: text(1)?, holder: text(2), is_key: packet.get(3)?.as_bool()? }
                }
                "started" => Report::Started,
                "not started" => Report::NotStarted { code: number(1)?, why: text(2)? },
                "closed" => Report::Closed(stream_at(number(1)?)?),
                "ending" => Report::Ending,
                "left" => Report::Left,
                "unread" => Report::Unread(keys(packet)?),
                "pause" => Report::Pause(keys(packet)?),
                "held" => Report::Held(packet.get(1)?.as_bool()?),
                "no terminal" => Report::NoTerminal,
                "reader gone" => Report::ReaderGone(stream_at(number(1)?)?),
                "ended" => {
                    let exit = match packet.get(1)?.as_str()? {
                        "code" => Exit::Code(number(2)?),
                        "signal" => Exit::Signal(number(2)?),
                        _ => Exit::Unknown,
                    };
                    Report::Ended { exit, words: text(3), trouble: text(4) }
                }
                _ => return None,
            })
        })
    }
}

impl Order {
    /// Sends it.
    ///
    /// # Errors
    /// The supervisor is gone, or does not listen.
    pub fn send(self, to: BorrowedFd<'_>) -> io::Result<()> {
        post(
            to,
            &match self {
                Order::Pass(signal) => json!(["pass", signal]),
                Order::PassFrom(signal, by) => json!(["pass from", signal, by.pid, by.uid, by.name()]),
                Order::Close(stream) => json!(["close", stream.index()]),
                Order::Ground(in_front) => json!(["ground", i32::from(in_front)]),
                Order::Resized => json!(["resized", 0]),
                Order::Paused => json!(["paused", 0]),
                Order::Leave => json!(["leave", 0]),
                Order::HungUp => json!(["hung up", 0]),
            },
        )
    }

    /// The next one, if one has come.
    pub fn hear(from: BorrowedFd<'_>) -> Heard<Order> {
        listen(from, |packet| {
            let number: i32 = packet.get(1)?.as_i64()?.try_into().ok()?;
            match packet.get(0)?.as_str()? {
                "pass" => Some(Order::Pass(number)),
                "pass from" => {
                    let pid = packet.get(2)?.as_i64()?.try_into().ok()?;
                    let uid = packet.get(3)?.as_u64()?.try_into().ok()?;
                    let name = packet.get(4).and_then(Value::as_str).unwrap_or_default();
                    Some(Order::PassFrom(number, Sender::new(pid, uid, name)))
                }
                "close" => Some(Order::Close(stream_at(number)?)),
                "ground" => Some(Order::Ground(number != 0)),
                "resized" => Some(Order::Resized),
                "paused" => Some(Order::Paused),
                "leave" => Some(Order::Leave),
                "hung up" => Some(Order::HungUp),
                _ => None,
            }
        })
    }
}

fn keys(packet: &Value) -> Option<Vec<u8>> {
    packet.get(1)?.as_array()?.iter().map(|key| key.as_u64()?.try_into().ok()).collect()
}

fn stream_at(index: i32) -> Option<Stream> {
    Stream::BOTH.get(usize::try_from(index).ok()?).copied()
}

fn text_of(text: &Option<String>) -> Option<&str> {
    text.as_deref().map(short)
}

fn short(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn post(to: BorrowedFd<'_>, packet: &Value) -> io::Result<()> {
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    send(to.as_raw_fd(), packet.to_string().as_bytes(), flags)?;
    Ok(())
}

fn listen<T>(from: BorrowedFd<'_>, read: impl Fn(&Value) -> Option<T>) -> Heard<T> {
    let mut packet = [0; MAX_PACKET];
    loop {
        match recv(from.as_raw_fd(), &mut packet, MsgFlags::MSG_DONTWAIT) {
            Ok(0) => return Heard::Gone,
            Ok(size) => {
                let message = serde_json::from_slice(&packet[..size]).ok().as_ref().and_then(&read);
                if let Some(message) = message {
                    return Heard::Message(message);
                }
            }
            // The other side has left with something of ours unread. That is told once, and before what it said.
            Err(Errno::EINTR | Errno::ECONNRESET) => {}
            Err(Errno::EAGAIN) => return Heard::Nothing,
            Err(_) => return Heard::Gone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn last_words_are_heard_though_the_other_side_did_not_listen() -> io::Result<()> {
        let (front, back) = crate::sys::descriptors::message_pair()?;
        let ended = Report::Ended { exit: Exit::Signal(13), words: None, trouble: None };
        ended.send(back.as_fd());
        Order::Close(Stream::Stdout).send(front.as_fd())?;
        drop(back);
        assert_eq!(Report::hear(front.as_fd()), Heard::Message(ended));
        assert_eq!(Report::hear(front.as_fd()), Heard::Gone);
        Ok(())
    }

    #[test]
    fn each_message_arrives_as_it_was_sent() -> io::Result<()> {
        let (front, back) = crate::sys::descriptors::message_pair()?;
        let reports = [
            Report::Claimed { id: Some("a-1-0".to_owned()), trouble: None },
            Report::Claimed { id: None, trouble: Some("no \"room\"\n".to_owned()) },
            Report::Queued { words: "a place".to_owned() },
            Report::Refused { why: "no place".to_owned(), holder: Some("a-1-0".to_owned()), is_key: true },
            Report::Started,
            Report::NotStarted { code: 127, why: "not found".to_owned() },
            Report::Ending,
            Report::NoTerminal,
            Report::Left,
            Report::Held(true),
            Report::Pause(Vec::new()),
            Report::Unread(b"ls\r\xff".to_vec()),
            Report::Closed(Stream::Stderr),
            Report::ReaderGone(Stream::Stdout),
            Report::Ended { exit: Exit::Signal(9), words: Some("x".to_owned()), trouble: None },
            Report::Ended { exit: Exit::Unknown, words: None, trouble: Some("y".to_owned()) },
        ];
        for report in &reports {
            report.send(back.as_fd());
        }
        for report in reports {
            assert_eq!(Report::hear(front.as_fd()), Heard::Message(report));
        }
        assert_eq!(Report::hear(front.as_fd()), Heard::Nothing);
        for order in [
            Order::Pass(15),
            Order::PassFrom(15, Sender::new(7, 1000, "sshd")),
            Order::PassFrom(2, Sender::new(7, 0, "")),
            Order::Close(Stream::Stderr),
            Order::Ground(true),
            Order::Ground(false),
            Order::Resized,
            Order::Paused,
            Order::Leave,
            Order::HungUp,
        ] {
            order.send(front.as_fd())?;
            assert_eq!(Order::hear(back.as_fd()), Heard::Message(order));
        }
        let long = Report::NotStarted { code: 1, why: "é".repeat(100_000) };
        long.send(back.as_fd());
        assert!(matches!(Report::hear(front.as_fd()), Heard::Message(Report::NotStarted { code: 1, .. })));
        drop(front);
        assert_eq!(Order::hear(back.as_fd()), Heard::Gone);
        assert!(Order::Pass(1).send(back.as_fd()).is_err());
        Ok(())
    }
}
