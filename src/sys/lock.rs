//! Locks that the kernel drops when their last holder is gone.
//!
//! Open-file-description locks (`F_OFD_SETLK`, Linux 3.15): the lock belongs to the open file, so
//! processes that got it by `fork` hold it together, and it ends when the last of them is gone or has
//! closed it. Close-on-exec keeps it from the command. `F_OFD_GETLK` asks who holds it without
//! taking it, so that no reader ever stands in a supervisor's way.
//!
//! Locks are on single bytes, which need not be there: one file holds as many as it takes. Holders lock for writing.
//! Whoever [waits](wait) locks for reading, for a moment, which no question here ever takes for a holder.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, Flock, FlockArg, fcntl};

/// How soon a lock is asked for again that was held for the moment.
const ASK_AGAIN: Duration = Duration::from_millis(1);

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

fn on(bytes: Range<u64>, kind: i32) -> io::Result<libc::flock> {
    let offset = |at: u64| i64::try_from(at).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput));
    // The pid must be 0 for locks of this kind. A length of 0 would mean all bytes there can ever be.
    Ok(libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: offset(bytes.start)?,
        l_len: offset(bytes.end.saturating_sub(bytes.start).max(1))?,
        l_pid: 0,
    })
}

/// Takes `bytes` of `file`, which must be open for writing. Never waits.
///
/// # Errors
/// `EAGAIN` or `EACCES` if somebody else holds one of them, or what the file system says.
pub fn take(file: &File, bytes: Range<u64>) -> io::Result<()> {
    fcntl(file.as_fd(), FcntlArg::F_OFD_SETLK(&on(bytes, libc::F_WRLCK)?))?;
    Ok(())
}

/// The same, and waits until nobody else holds any of them. For moments that no holder makes long.
///
/// # Errors
/// What the file system says.
pub fn take_in_turn(file: &File, bytes: Range<u64>) -> io::Result<()> {
    set_and_wait(file, &on(bytes, libc::F_WRLCK)?)
}

/// The same, and gives up after `most`: for a lock whose holder may have been stopped in such a moment.
///
/// # Errors
/// `EAGAIN` or `EACCES` if somebody else has held one of them all the time, or what the file system says.
pub fn take_soon(file: &File, bytes: Range<u64>, most: Duration) -> io::Result<()> {
    soon(most, || take(file, bytes.clone()))
}

/// Takes the lock on a whole file or directory, which ends with the value, and gives up after `most`. It has nothing to do
/// with those on bytes, and a process that is forked meanwhile holds it as well. `None` where there are no such locks.
///
/// # Errors
/// `EAGAIN` if somebody else has held it all the time.
pub fn take_whole(file: File, most: Duration) -> io::Result<Option<Flock<File>>> {
    let mut file = Some(file);
    let taken = soon(most, || {
        let Some(given) = file.take() else { return Ok(None) };
        match Flock::lock(given, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Some(lock)),
            Err((back, error)) => {
                file = Some(back);
                Err(error.into())
            }
        }
    });
    match taken {
        Err(error) if !is_held(&error) => Ok(None),
        other => other,
    }
}

fn soon<T>(most: Duration, mut take: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let start = Instant::now();
    loop {
        match take() {
            Err(error) if is_held(&error) && start.elapsed() < most => thread::sleep(ASK_AGAIN),
            other => return other,
        }
    }
}

fn is_held(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES))
}

/// Lets go of `bytes`, for all who hold them together.
///
/// # Errors
/// What the file system says.
pub fn release(file: &File, bytes: Range<u64>) -> io::Result<()> {
    fcntl(file.as_fd(), FcntlArg::F_OFD_SETLK(&on(bytes, libc::F_UNLCK)?))?;
    Ok(())
}

/// Waits until nobody else holds `byte` of `file`, which must be open for reading. The kernel wakes this thread; nothing is
/// asked again and again.
///
/// # Errors
/// What the file system says.
pub fn wait(file: &File, byte: u64) -> io::Result<()> {
    set_and_wait(file, &on(byte..byte + 1, libc::F_RDLCK)?)?;
    release(file, byte..byte + 1)
}

fn set_and_wait(file: &File, lock: &libc::flock) -> io::Result<()> {
    loop {
        match fcntl(file.as_fd(), FcntlArg::F_OFD_SETLKW(lock)) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The lowest of `bytes` that somebody else holds. Takes nothing.
///
/// # Errors
/// What the file system says.
pub fn lowest_held(file: &File, bytes: Range<u64>) -> io::Result<Option<u64>> {
    let mut lowest = None;
    // The kernel tells of any holder, in an order of its own: what is below must be asked about until there is none.
    while let Some(held) = any_held(file, bytes.start..lowest.unwrap_or(bytes.end))? {
        lowest = Some(held);
    }
    Ok(lowest)
}

/// The highest of `bytes` that somebody else holds. Takes nothing.
///
/// # Errors
/// What the file system says.
pub fn highest_held(file: &File, bytes: Range<u64>) -> io::Result<Option<u64>> {
    let Some(mut highest) = any_held(file, bytes.clone())? else { return Ok(None) };
    let mut end = bytes.end;
    // All from `end` on are free, and `highest` was held; each question halves what is between.
    while highest + 1 < end {
        let middle = highest + (end - highest).div_ceil(2);
        match any_held(file, middle..end)? {
            Some(held) => highest = held,
            None => end = middle,
        }
    }
    Ok(Some(highest))
}

/// One of `bytes` that somebody else holds, whichever the kernel comes upon first. Takes nothing.
///
/// # Errors
/// What the file system says.
pub fn any_held(file: &File, bytes: Range<u64>) -> io::Result<Option<u64>> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let from = bytes.start;
    // Asked as one who wants to read: only holders are in the way, not others who wait.
    let mut found = on(bytes, libc::F_RDLCK)?;
    fcntl(file.as_fd(), FcntlArg::F_OFD_GETLK(&mut found))?;
    let is_free = i32::from(found.l_type) == libc::F_UNLCK;
    Ok((!is_free).then(|| u64::try_from(found.l_start).unwrap_or(0).max(from)))
}

/// Whether somebody holds `byte` of `file`. Takes nothing.
#[must_use]
pub fn probe(file: &File, byte: u64) -> Probe {
    match any_held(file, byte..byte + 1) {
        Ok(None) => Probe::Free,
        Ok(Some(_)) => Probe::Held,
        Err(_) => Probe::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;

    #[test]
    fn bytes_are_held_apart_and_waiting_is_not_holding() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("lock");
        let open = || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let (one, other, third) = (open()?, open()?, open()?);
        take(&one, 3..5)?;
        take(&other, 9..10)?;
        assert_eq!(take(&other, 4..6).err().and_then(|e| e.raw_os_error()), Some(libc::EAGAIN));
        assert_eq!(lowest_held(&third, 0..100)?, Some(3));
        assert_eq!(lowest_held(&third, 4..100)?, Some(4));
        assert_eq!(lowest_held(&third, 5..100)?, Some(9));
        assert_eq!(lowest_held(&one, 0..9)?, None, "one's own locks are in nobody's way");
        assert_eq!((probe(&third, 3), probe(&third, 5)), (Probe::Held, Probe::Free));
        let waiting = std::thread::spawn(move || wait(&third, 4).map(|()| third));
        release(&one, 4..5)?;
        let third = waiting.join().map_err(|_| io::ErrorKind::Other)??;
        assert_eq!((probe(&one, 4), probe(&third, 3)), (Probe::Free, Probe::Held));
        drop(one);
        assert_eq!(probe(&third, 3), Probe::Free);
        Ok(())
    }

    #[test]
    fn the_lowest_and_the_highest_are_found_in_whatever_order_they_were_taken() -> io::Result<()> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("lock");
        let open = || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut holders = Vec::new();
        for byte in [9, 3, 70, 12, 5, 41] {
            let file = open()?;
            take(&file, byte..byte + 1)?;
            holders.push(file);
        }
        let eye = open()?;
        assert_eq!((lowest_held(&eye, 0..100)?, highest_held(&eye, 0..100)?), (Some(3), Some(70)));
        assert_eq!((lowest_held(&eye, 4..10)?, highest_held(&eye, 4..10)?), (Some(5), Some(9)));
        assert_eq!((lowest_held(&eye, 12..13)?, highest_held(&eye, 12..13)?), (Some(12), Some(12)));
        assert_eq!((lowest_held(&eye, 13..41)?, highest_held(&eye, 71..100)?), (None, None));
        assert_eq!((lowest_held(&eye, 5..5)?, highest_held(&eye, 5..5)?), (None, None));
        Ok(())
    }
}
