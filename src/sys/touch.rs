//! Waiting until somebody touches an open file: writes to it, or closes it after having it open for writing, which
//! the kernel also does for those who are killed.
//!
//! Everything goes by the handle, not by a name, so it is this file also when its name means another one by now, or
//! none.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use inotify::{Inotify, WatchMask};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::watch::BLIND;

/// The file of `file`, opened once more, for reading. What is locked on the one is locked for the other.
///
/// # Errors
/// What the system says.
pub fn reopen(file: &File) -> io::Result<File> {
    File::open(handle(file))
}

/// Touches `file`, and changes nothing in it.
///
/// # Errors
/// What the system says.
pub fn touch(file: &File) -> io::Result<()> {
    OpenOptions::new().write(true).open(handle(file)).map(drop)
}

fn handle(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// Tells when a file is touched.
#[derive(Debug)]
pub struct Touched(Option<Inotify>);

impl Touched {
    /// Takes note of each touch of `file` from now on. Where the kernel cannot tell, no wait is longer than [`BLIND`].
    #[must_use]
    pub fn new(file: &File) -> Self {
        let watch = || {
            let inotify = Inotify::init()?;
            inotify.watches().add(handle(file), WatchMask::MODIFY | WatchMask::CLOSE_WRITE)?;
            Ok::<_, io::Error>(inotify)
        };
        Self(watch().ok())
    }

    /// Waits for a touch, for `most` at most: whether there was one since the last wait.
    ///
    /// # Errors
    /// What waiting said.
    pub fn wait(&mut self, most: Duration) -> io::Result<bool> {
        let Some(inotify) = &mut self.0 else {
            std::thread::sleep(most.min(BLIND));
            return Ok(false);
        };
        // Rounded up: a wait that ends too early would only be repeated.
        let timeout = PollTimeout::try_from(most.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(inotify.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) | Err(Errno::EINTR) => return Ok(false),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        // Which ones they are does not matter: all there are count as one. A full buffer leaves some for the next wait.
        match inotify.read_events(&mut [0; 4096]) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(1);

    #[test]
    fn writers_are_noticed_and_readers_are_not() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("line");
        let mut file = File::create(&path)?;
        let mut touched = Touched::new(&file);
        assert!(!touched.wait(SHORT)?);
        drop(reopen(&file)?);
        assert!(!touched.wait(SHORT)?);
        touch(&file)?;
        assert!(touched.wait(LONG)? && !touched.wait(SHORT)?);
        let other = OpenOptions::new().write(true).open(&path)?;
        std::fs::remove_file(&path)?;
        while touched.wait(SHORT)? {}
        drop(other);
        assert!(touched.wait(LONG)? && !touched.wait(SHORT)?, "also when it has no name any more");
        file.write_all(b"x")?;
        assert!(touched.wait(LONG)?);
        Ok(())
    }

    #[test]
    fn where_the_kernel_cannot_tell_a_wait_is_short() -> io::Result<()> {
        let start = std::time::Instant::now();
        assert!(!Touched(None).wait(LONG)?);
        assert!((BLIND..LONG).contains(&start.elapsed()));
        Ok(())
    }
}
