//! A place where output is shown, written to without ever waiting.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};

use crate::sys::descriptors::{Kind, kind, may_wait};

/// The most that a pipe is sure to take without waiting once it says that it is writable: `PIPE_BUF`.
const SURE_OF_PIPE: usize = 4096;

/// And a terminal.
const SURE_OF_TERMINAL: usize = 1;

/// The place.
#[derive(Debug)]
pub struct Place {
    file: File,
    kind: Kind,
    /// It is the caller's own description: it may wait, so only as much as is sure is written.
    cautious: bool,
}

impl Place {
    /// The one behind `fd`.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn new(fd: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Self { file: File::from(fd.try_clone_to_owned()?), kind: kind(fd), cautious: may_wait(fd) })
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Writes what it takes of `bytes` now.
    ///
    /// # Errors
    /// `EAGAIN` if it takes nothing now, and what else writing says.
    pub fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        match self.kind {
            Kind::Socket => {
                send(self.file.as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL)
            }
            Kind::Pipe | Kind::Terminal if self.cautious => {
                let mut fds = [PollFd::new(self.file.as_fd(), PollFlags::POLLOUT)];
                if poll(&mut fds, PollTimeout::ZERO)? == 0 {
                    return Err(Errno::EAGAIN);
                }
                let sure = if self.kind == Kind::Pipe { SURE_OF_PIPE } else { SURE_OF_TERMINAL };
                self.write_some(&bytes[..bytes.len().min(sure)])
            }
            _ => self.write_some(bytes),
        }
    }

    fn write_some(&self, bytes: &[u8]) -> Result<usize, Errno> {
        (&self.file).write(bytes).map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
    }
}

impl AsFd for Place {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
