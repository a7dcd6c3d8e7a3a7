//! Opening what others may have put there.
//!
//! A name in the directory may be a FIFO that blocks, a device that acts, a link that leads
//! elsewhere. So a file is first taken hold of without opening it (`O_PATH`), looked at, and only
//! then opened, by the same handle: nothing can be swapped in between.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use super::StatusDir;

/// Opens the regular file at `path` for reading, with `extra` flags.
///
/// # Errors
/// What the system says, and `InvalidInput` with the reason for what is not a regular file with one link that
/// belongs to the right user.
pub fn regular(dir: &StatusDir, path: &Path, extra: OFlag) -> io::Result<File> {
    regular_of(dir, path, extra, &[])
}

/// [`regular`], where the file may also belong to one of `others`.
///
/// # Errors
/// As there.
pub fn regular_of(dir: &StatusDir, path: &Path, extra: OFlag, others: &[u32]) -> io::Result<File> {
    let handle: OwnedFd = open(path, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())?;
    let handle = File::from(handle);
    let meta = handle.metadata()?;
    let refuse = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, why.to_owned()));
    if meta.is_symlink() {
        return refuse("it is a symbolic link");
    }
    if !meta.is_file() {
        return refuse("it is not a regular file");
    }
    if meta.nlink() > 1 {
        return refuse("it has more than one link");
    }
    if !dir.trusts(meta.uid()) && !others.contains(&meta.uid()) {
        return refuse("it belongs to another user");
    }
    let same = format!("/proc/self/fd/{}", handle.as_raw_fd());
    let flags =
        if extra.intersects(OFlag::O_WRONLY | OFlag::O_RDWR) { extra } else { extra | OFlag::O_RDONLY };
    Ok(File::from(open(same.as_str(), flags | OFlag::O_CLOEXEC | OFlag::O_NOCTTY, Mode::empty())?))
}
