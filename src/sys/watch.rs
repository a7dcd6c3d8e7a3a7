//! Waiting until something changes in a directory or in one file, told by the kernel (`inotify`).
//!
//! The directory is watched by name, because a watch on a file ends with its first replacement; one open
//! file is watched for being written to. Where the kernel cannot tell (no watches left, no such
//! mechanism), [`Watch::wait`] takes [`BLIND`] at most: it says nothing about it, and the caller looks again as
//! after any wait whose time was over.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How long a wait is where the kernel cannot tell.
pub const BLIND: Duration = Duration::from_millis(200);

/// A name that appears, disappears, is replaced, or is closed by who wrote it (or held a lock on it).
const IN_DIRECTORY: WatchMask = WatchMask::CREATE
    .union(WatchMask::DELETE)
    .union(WatchMask::MOVED_FROM)
    .union(WatchMask::MOVED_TO)
    .union(WatchMask::CLOSE_WRITE)
    .union(WatchMask::DELETE_SELF)
    .union(WatchMask::MOVE_SELF)
    .union(WatchMask::ONLYDIR);

/// Which names in the directory are watched.
#[derive(Debug)]
enum Names {
    /// These.
    These(Vec<OsString>),
    /// Those that are like this; what happens to them is collected.
    Like(fn(&OsStr) -> bool),
}

/// How many names are collected.
const MOST_HEARD: usize = 10_000;

/// A watch over names in a directory and over one open file.
#[derive(Debug)]
pub struct Watch {
    inotify: Option<Inotify>,
    path: PathBuf,
    names: Names,
    /// The names that something happened to, as far as they are collected; `None` if there may be others.
    heard: Option<Vec<OsString>>,
    directory: Option<WatchDescriptor>,
    file: Option<WatchDescriptor>,
    /// A file was asked for and cannot be watched.
    blind: bool,
}

/// What a wait has brought. Nothing at all if its time was over: then anything may have happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wake {
    /// The file may have been written to.
    pub file: bool,
    /// Something may have happened to one of the names.
    pub names: bool,
    /// Whoever read what we write has gone.
    pub reader_gone: bool,
}

impl Wake {
    const ANYTHING: Wake = Wake { file: true, names: true, reader_gone: false };
}

impl Watch {
    /// Watches `names` in the directory at `path`, which need not be there yet.
    #[must_use]
    pub fn new(path: &Path, names: Vec<OsString>) -> Self {
        Self::over(path, Names::These(names))
    }

    /// Watches all names in the directory at `path` that are `like` this. [`Watch::take_heard`] tells which they were.
    #[must_use]
    pub fn like(path: &Path, like: fn(&OsStr) -> bool) -> Self {
        Self::over(path, Names::Like(like))
    }

    fn over(path: &Path, names: Names) -> Self {
        let inotify = Inotify::init().ok();
        let path = path.to_owned();
        let mut watch = Self { inotify, path, names, heard: None, directory: None, file: None, blind: false };
        watch.watch_directory();
        watch
    }

    /// The names that something happened to since this was last asked. `None` if there may be others: at first, when
    /// the directory was not there, when too much happened at once, and always where the kernel cannot tell.
    pub fn take_heard(&mut self) -> Option<Vec<OsString>> {
        let again = self.directory.is_some().then(Vec::new);
        mem::replace(&mut self.heard, again)
    }

    /// Watches `file` in place of the one watched so far.
    pub fn watch_file(&mut self, file: &File) {
        let Some(inotify) = &self.inotify else { return };
        if let Some(old) = self.file.take() {
            // It has ended by itself if the file is gone.
            let _ = inotify.watches().remove(old);
        }
        // By the handle, so that it is this file also when its name means another one by now.
        let handle = format!("/proc/self/fd/{}", file.as_raw_fd());
        self.file = inotify.watches().add(handle, WatchMask::MODIFY).ok();
        self.blind = self.file.is_none();
    }

    /// Waits until something changes, `reader` (the descriptor written to) loses its reader, or `most` has passed.
    ///
    /// # Errors
    /// What waiting said.
    pub fn wait(&mut self, most: Duration, reader: BorrowedFd<'_>) -> io::Result<Wake> {
        // Asked for nothing, a descriptor still tells errors and hang-ups.
        let (wake, [reader_gone]) = self.wait_for(most, [(reader, PollFlags::empty())])?;
        Ok(Wake { reader_gone, ..wake })
    }

    /// Waits until something changes, there is something to read from one of `others`, or `most` has passed. Gives what has
    /// changed, and from which of `others` there is something to read, or has hung up.
    ///
    /// # Errors
    /// What waiting said.
    pub fn wait_beside<const N: usize>(
        &mut self,
        most: Duration,
        others: [BorrowedFd<'_>; N],
    ) -> io::Result<(Wake, [bool; N])> {
        self.wait_for(most, others.map(|fd| (fd, PollFlags::POLLIN)))
    }

    fn wait_for<const N: usize>(
        &mut self,
        most: Duration,
        others: [(BorrowedFd<'_>, PollFlags); N],
    ) -> io::Result<(Wake, [bool; N])> {
        if self.directory.is_none() && self.watch_directory() {
            // What happened before the watch was there has been told to nobody.
            return Ok((Wake::ANYTHING, [false; N]));
        }
        let can_tell = self.directory.is_some() && !self.blind;
        let most = if can_tell { most } else { most.min(BLIND) };
        let start = Instant::now();
        loop {
            let left = most.saturating_sub(start.elapsed());
            let (changed, told) = self.poll_once(left, others)?;
            let mut wake = Wake::default();
            if changed {
                self.read_events(&mut wake);
            }
            if wake != Wake::default() || told != [false; N] || start.elapsed() >= most {
                return Ok((wake, told));
            }
        }
    }

    /// Waits for an event or for one of `others`: which of them came.
    fn poll_once<const N: usize>(
        &self,
        most: Duration,
        others: [(BorrowedFd<'_>, PollFlags); N],
    ) -> io::Result<(bool, [bool; N])> {
        let mut watched = others.map(|(fd, wanted)| PollFd::new(fd, wanted)).to_vec();
        if let Some(inotify) = &self.inotify {
            watched.push(PollFd::new(inotify.as_fd(), PollFlags::POLLIN));
        }
        // Rounded up: a wait that ends too early would only be repeated.
        let millis = most.as_micros().div_ceil(1000);
        let timeout = PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX);
        match poll(&mut watched, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let told = |at: usize| watched.get(at).and_then(PollFd::any).unwrap_or(false);
        Ok((told(N), std::array::from_fn(told)))
    }

    fn read_events(&mut self, wake: &mut Wake) {
        let Some(inotify) = &mut self.inotify else { return };
        let mut buffer = [0; 4096];
        let Ok(events) = inotify.read_events(&mut buffer) else { return };
        for event in events {
            if event.mask.contains(EventMask::Q_OVERFLOW) {
                self.heard = None;
                *wake = Wake { reader_gone: wake.reader_gone, ..Wake::ANYTHING };
            } else if Some(&event.wd) == self.file.as_ref() {
                wake.file = true;
            } else if Some(&event.wd) == self.directory.as_ref() {
                let gone = EventMask::DELETE_SELF | EventMask::MOVE_SELF | EventMask::IGNORED;
                if event.mask.intersects(gone) {
                    self.directory = None;
                    self.heard = None;
                    wake.names = true;
                } else if let Some(name) = event.name {
                    wake.names |= match &self.names {
                        Names::These(names) => names.iter().any(|known| known == name),
                        Names::Like(like) => like(name),
                    };
                    if matches!(self.names, Names::Like(like) if like(name)) {
                        let heard = self.heard.take().filter(|heard| heard.len() < MOST_HEARD);
                        self.heard = heard.map(|mut heard| {
                            heard.push(name.to_owned());
                            heard
                        });
                    }
                }
            }
        }
    }

    /// Whether the directory is watched now.
    fn watch_directory(&mut self) -> bool {
        let add = |inotify: &Inotify| inotify.watches().add(&self.path, IN_DIRECTORY).ok();
        self.directory = self.inotify.as_ref().and_then(add);
        self.directory.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_happens_is_told_apart() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let mut file = File::create(dir.path().join("log"))?;
        let (reading, writing) = io::pipe()?;
        let mut watch = Watch::new(dir.path(), vec!["record".into()]);
        watch.watch_file(&file);
        file.write_all(b"x")?;
        assert_eq!(watch.wait(LONG, writing.as_fd())?, Wake { file: true, ..Wake::default() });
        fs::write(dir.path().join("another"), b"")?;
        assert_eq!(watch.wait(Duration::from_millis(1), writing.as_fd())?, Wake::default());
        fs::rename(dir.path().join("another"), dir.path().join("record"))?;
        assert_eq!(watch.wait(LONG, writing.as_fd())?, Wake { names: true, ..Wake::default() });
        // The file is still the one to be watched when its name is gone.
        fs::remove_file(dir.path().join("log"))?;
        file.write_all(b"y")?;
        assert!(watch.wait(LONG, writing.as_fd())?.file);
        drop(reading);
        assert!(watch.wait(LONG, writing.as_fd())?.reader_gone);
        Ok(())
    }

    #[test]
    fn others_are_waited_for_as_well() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let (reading, mut writing) = io::pipe()?;
        let (quiet, _open) = io::pipe()?;
        let mut watch = Watch::new(dir.path(), vec!["record".into()]);
        writing.write_all(b"x")?;
        let told = watch.wait_beside(LONG, [quiet.as_fd(), reading.as_fd()])?;
        assert_eq!(told, (Wake::default(), [false, true]));
        fs::write(dir.path().join("record"), b"")?;
        let told = watch.wait_beside(LONG, [quiet.as_fd(), reading.as_fd()])?;
        assert_eq!(told, (Wake { names: true, ..Wake::default() }, [false, true]));
        Ok(())
    }

    #[test]
    fn where_the_kernel_cannot_tell_a_wait_is_short() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let (_reading, writing) = io::pipe()?;
        let mut watch = Watch { inotify: None, ..Watch::new(dir.path(), Vec::new()) };
        watch.directory = None;
        let start = Instant::now();
        assert_eq!(watch.wait(LONG, writing.as_fd())?, Wake::default());
        assert!((BLIND..LONG).contains(&start.elapsed()));
        Ok(())
    }

    #[test]
    fn a_directory_that_comes_back_is_watched_again() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("tasks");
        let (_reading, writing) = io::pipe()?;
        let mut watch = Watch::new(&path, vec!["record".into()]);
        assert_eq!(watch.wait(LONG, writing.as_fd())?, Wake::default());
        fs::create_dir(&path)?;
        assert_eq!(watch.wait(LONG, writing.as_fd())?, Wake::ANYTHING);
        fs::remove_dir(&path)?;
        assert!(watch.wait(LONG, writing.as_fd())?.names);
        fs::create_dir(&path)?;
        assert_eq!(watch.wait(LONG, writing.as_fd())?, Wake::ANYTHING);
        fs::write(path.join("record"), b"")?;
        assert!(watch.wait(LONG, writing.as_fd())?.names);
        Ok(())
    }
}
