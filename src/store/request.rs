//! Asking a task's supervisor to end it: a file beside the record, which it takes up when it is told to look.
//!
//! `.ID.cancel` holds what is asked; renaming it to `.ID.cancelling` is how the supervisor takes it up, in one step, so that its
//! successor knows of it too. A later request takes the place of an earlier one. Taken up is only what the task's own
//! user or root asks.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use nix::fcntl::OFlag;
use serde_json::{Value, json};

use super::{StatusDir, open, replace};
use crate::task::TaskId;
use crate::task::outcome::signal_name;

/// A request is at most this long.
const MAX_BYTES: u64 = 16 << 10;

/// What is asked, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The signal that tells the command to end.
    pub signal: i32,
    /// How long it is given before what is left is killed.
    pub grace: Duration,
    /// The user who asks.
    pub user: String,
    /// The process that asks.
    pub pid: i32,
    /// On which machine.
    pub host: String,
    /// When, since 1970: tells a request from one that came before it.
    pub at: Duration,
}

impl Request {
    /// Who asks, in words: `ada (pid 4242)`, with the machine if it is not `here`.
    #[must_use]
    pub fn by(&self, here: &str) -> String {
        let host = if self.host == here { String::new() } else { format!(" on {}", self.host) };
        format!("{} (pid {}{host})", self.user, self.pid)
    }

    /// What a record says of it.
    #[must_use]
    pub fn to_record(&self) -> Value {
        json!({ "host": self.host, "pid": self.pid, "signal": signal_name(self.signal), "user": self.user })
    }

    fn to_json(&self) -> Value {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        json!({
            "at_ns": u64::try_from(self.at.as_nanos()).unwrap_or(u64::MAX),
            "grace_ms": millis(self.grace),
            "host": self.host,
            "pid": self.pid,
            "signal": self.signal,
            "user": self.user,
        })
    }

    fn from_json(value: &Value) -> Option<Self> {
        let text = |name: &str| value.get(name)?.as_str().map(str::to_owned);
        let number = |name: &str| value.get(name)?.as_u64();
        let small = |name: &str| i32::try_from(number(name)?).ok();
        Some(Self {
            signal: small("signal").filter(|signal| (1..=64).contains(signal))?,
            grace: Duration::from_millis(number("grace_ms")?),
            user: text("user")?,
            pid: small("pid")?,
            host: text("host")?,
            at: Duration::from_nanos(number("at_ns")?),
        })
    }
}

/// Asks that task `id` be ended. Its supervisor is still to be told to look.
///
/// # Errors
/// What the system says.
pub fn make(dir: &StatusDir, id: &TaskId, request: &Request) -> io::Result<()> {
    let mut file = replace::temporary(dir, id)?;
    file.write_all(format!("{}\n", request.to_json()).as_bytes())?;
    dir.hand_over(file.as_file());
    file.persist(dir.cancel(id)).map_err(|refused| refused.error)?;
    Ok(())
}

/// Whether a request waits to be taken up.
#[must_use]
pub fn is_waiting(dir: &StatusDir, id: &TaskId) -> bool {
    fs::symlink_metadata(dir.cancel(id)).is_ok()
}

/// Takes up the request that waits for task `id`, if there is one that counts. One that does not is cleared away.
pub fn take_up(dir: &StatusDir, id: &TaskId) -> Option<Request> {
    if !is_waiting(dir, id) {
        return None;
    }
    let path = dir.cancel(id);
    let request = read(dir, &path);
    let done = match &request {
        Some(_) => fs::rename(&path, dir.cancelling(id)),
        None => fs::remove_file(&path),
    };
    // Where it can be neither renamed nor removed it is read again, and is found to be known.
    drop(done);
    request
}

/// The request that was taken up for task `id` before.
#[must_use]
pub fn taken_up(dir: &StatusDir, id: &TaskId) -> Option<Request> {
    read(dir, &dir.cancelling(id))
}

/// Removes what was asked for task `id`, which is over, the door to it, and what was told of it.
pub fn clear(dir: &StatusDir, id: &TaskId) {
    for path in [dir.cancel(id), dir.cancelling(id), dir.door(id), dir.told(id)] {
        // Usually there is none. What stays is cleared away by a prune.
        let _ = fs::remove_file(path);
    }
}

fn read(dir: &StatusDir, path: &std::path::Path) -> Option<Request> {
    let file = open::regular_of(dir, path, OFlag::empty(), &[0]).ok()?;
    if file.metadata().ok()?.mode() & 0o022 != 0 {
        // Others could have written it.
        return None;
    }
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text).ok()?;
    Request::from_json(&serde_json::from_str(&text).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(at: u64) -> Request {
        let (user, host) = ("ada".to_owned(), "box".to_owned());
        let grace = Duration::from_millis(1500);
        Request { signal: 15, grace, user, pid: 7, host, at: Duration::from_secs(at) }
    }

    #[test]
    fn a_request_is_taken_up_once_and_remembered() -> Result<(), Box<dyn std::error::Error>> {
        let room = tempfile::tempdir()?;
        let dir = StatusDir::at(room.path().to_owned())?.ok_or("no directory")?;
        let id = TaskId::parse("a-1")?;
        assert_eq!((take_up(&dir, &id), taken_up(&dir, &id)), (None, None));
        make(&dir, &id, &request(1))?;
        assert!(is_waiting(&dir, &id));
        assert_eq!(take_up(&dir, &id), Some(request(1)));
        assert_eq!((take_up(&dir, &id), taken_up(&dir, &id)), (None, Some(request(1))));
        make(&dir, &id, &request(2))?;
        make(&dir, &id, &request(3))?;
        assert_eq!(take_up(&dir, &id), Some(request(3)));
        assert_eq!(taken_up(&dir, &id), Some(request(3)));
        assert_eq!(
            (request(1).by("box"), request(1).by("x")),
            ("ada (pid 7)".into(), "ada (pid 7 on box)".into())
        );
        clear(&dir, &id);
        assert_eq!(fs::read_dir(dir.path())?.count(), 0);
        Ok(())
    }

    #[test]
    fn what_is_no_request_is_cleared_away() -> Result<(), Box<dyn std::error::Error>> {
        let room = tempfile::tempdir()?;
        let dir = StatusDir::at(room.path().to_owned())?.ok_or("no directory")?;
        let id = TaskId::parse("a-1")?;
        for text in ["", "{}", "{\"signal\":0}", "[", "\0\0"] {
            fs::write(dir.cancel(&id), text)?;
            assert_eq!(take_up(&dir, &id), None, "{text:?}");
            assert!(!is_waiting(&dir, &id));
        }
        nix::unistd::mkfifo(&dir.cancel(&id), nix::sys::stat::Mode::S_IRWXU)?;
        assert_eq!(take_up(&dir, &id), None, "and a FIFO is not waited at");
        assert!(!is_waiting(&dir, &id));
        Ok(())
    }
}
