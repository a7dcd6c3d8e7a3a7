//! Taking up the pipe of a process whose reader has gone.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How long a pipe may still have a reader that has been killed, in milliseconds.
const LETTING_GO: u16 = 500;

fn path(pid: i32, fd: usize) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/fd/{fd}"))
}

/// The reading end of the pipe that process `pid` has open as `fd`, if nobody else has one: what is in it is then nobody's.
/// `None` if it is no pipe, or has a reader.
///
/// # Errors
/// What the system says: the process is another user's, or has gone.
pub fn reading_end(pid: i32, fd: usize) -> io::Result<Option<OwnedFd>> {
    let path = path(pid, fd);
    let kind = match fs::metadata(&path) {
        Ok(meta) => meta.file_type(),
        // It has closed it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !kind.is_fifo() {
        return Ok(None);
    }
    // To who might write, a pipe without a reader is an error.
    let writing = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(&path)?;
    // Readers that have just been killed let go of it one after the other.
    let mut polled = [PollFd::new(writing.as_fd(), PollFlags::empty())];
    poll(&mut polled, PollTimeout::from(LETTING_GO))?;
    if !polled[0].revents().is_some_and(|events| events.contains(PollFlags::POLLERR)) {
        return Ok(None);
    }
    let end = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path)?;
    Ok(Some(OwnedFd::from(end)))
}

/// Whether these are the same pipe of process `pid`.
#[must_use]
pub fn is_same_pipe(pid: i32, fds: [usize; 2]) -> bool {
    let [one, other] = fds.map(|fd| fs::metadata(path(pid, fd)).map(|meta| (meta.dev(), meta.ino())).ok());
    one.is_some() && one == other
}

/// Whose process `pid` is; `None` if there is none.
#[must_use]
pub fn owner(pid: i32) -> Option<u32> {
    Some(File::open(format!("/proc/{pid}")).ok()?.metadata().ok()?.uid())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;

    #[test]
    fn only_a_pipe_without_a_reader_is_taken() -> io::Result<()> {
        let me = std::process::id().cast_signed();
        let (mut reader, mut writer) = io::pipe()?;
        let number = |fd: i32| usize::try_from(fd).unwrap_or(usize::MAX);
        writer.write_all(b"one")?;
        assert!(reading_end(me, number(writer.as_raw_fd()))?.is_none());
        let mut three = [0; 3];
        reader.read_exact(&mut three)?;
        drop(reader);
        let end = reading_end(me, number(writer.as_raw_fd()))?.ok_or(io::ErrorKind::NotFound)?;
        writer.write_all(b"two")?;
        File::from(end).read_exact(&mut three)?;
        assert_eq!(&three, b"two");
        let file = tempfile::tempfile()?;
        assert!(reading_end(me, number(file.as_raw_fd()))?.is_none());
        let fds = [number(writer.as_raw_fd()), number(file.as_raw_fd())];
        assert!(!is_same_pipe(me, fds) && is_same_pipe(me, [fds[0]; 2]));
        assert_eq!(owner(me), Some(nix::unistd::geteuid().as_raw()));
        Ok(())
    }
}
