//! Locks that the kernel drops when their last holder is gone.
//!
//! Open-file-description locks (`F_OFD_SETLK`, Linux 3.15): the lock belongs to the open file, so
//! processes that got it by `fork` hold it together, and it ends when the last of them is gone or has
//! closed it. Close-on-exec keeps it from the command. `F_OFD_GETLK` asks who holds it without
//! taking it, so that no reader ever stands in a supervisor's way.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use nix::fcntl::{FcntlArg, fcntl};

/// What a look at a lock tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// Somebody holds it.
    Held,
    /// Nobody does.
    Free,
    /// The file system cannot tell.
    Unknown,
}

fn whole_file(kind: i32) -> libc::flock {
    // Start 0 and length 0 mean the whole file; the pid must be 0 for locks of this kind.
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

/// Takes the exclusive lock on `file`, which must be open for writing.
///
/// # Errors
/// `EAGAIN` or `EACCES` if somebody else holds it, or what the file system says.
pub fn take(file: &File) -> io::Result<()> {
    fcntl(file.as_fd(), FcntlArg::F_OFD_SETLK(&whole_file(libc::F_WRLCK)))?;
    Ok(())
}

/// Whether somebody holds a lock on `file`. Takes nothing.
#[must_use]
pub fn probe(file: &File) -> Probe {
    let mut found = whole_file(libc::F_WRLCK);
    match fcntl(file.as_fd(), FcntlArg::F_OFD_GETLK(&mut found)) {
        Ok(_) if i32::from(found.l_type) == libc::F_UNLCK => Probe::Free,
        Ok(_) => Probe::Held,
        Err(_) => Probe::Unknown,
    }
}
