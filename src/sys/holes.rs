//! Giving the middle of a file back to the disk: a hole, which reads as NULs, without any other byte changing its place.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;

use nix::fcntl::{FallocateFlags, fallocate};

/// Another way to the file that `file` is open on, to write anywhere in it: what is open for appending writes at the end only.
///
/// # Errors
/// What the system says.
pub fn open_again(file: &File) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Whether the file system of `file`, which has `size` bytes, can do it. Nothing is changed.
///
/// # Errors
/// Why it cannot.
pub fn can_punch(file: &File, size: u64) -> io::Result<()> {
    // Behind the end there is nothing to be lost.
    let behind = size.next_multiple_of(1 << 20);
    punch(file, behind, behind + (64 << 10))
}

/// Gives back what is in `file` from `from` to `to`.
///
/// # Errors
/// What the file system says: most likely that it cannot.
pub fn punch(file: &File, from: u64, to: u64) -> io::Result<()> {
    let number = |at: u64| i64::try_from(at).map_err(|_| io::ErrorKind::InvalidInput);
    let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    let (from, length) = (number(from)?, number(to.saturating_sub(from))?);
    loop {
        match fallocate(file, flags, from, length) {
            Err(nix::errno::Errno::EINTR) => {}
            other => return other.map_err(io::Error::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileExt, MetadataExt};

    #[test]
    fn what_is_given_back_reads_as_nuls_and_takes_no_room() -> io::Result<()> {
        let file = tempfile::tempfile()?;
        file.write_all_at(&[b'x'; 1 << 20], 0)?;
        can_punch(&file, 1 << 20)?;
        let before = file.metadata()?;
        punch(&open_again(&file)?, 100, 1_000_000)?;
        let after = file.metadata()?;
        assert_eq!(after.len(), before.len());
        assert!(after.blocks() < before.blocks() / 4, "{} blocks", after.blocks());
        let mut bytes = [0; 3];
        file.read_exact_at(&mut bytes, 99)?;
        assert_eq!(bytes, [b'x', 0, 0]);
        file.read_exact_at(&mut bytes, 999_998)?;
        assert_eq!(bytes, [0, 0, b'x']);
        assert!(punch(&File::open("/proc/self/exe")?, 0, 1).is_err());
        Ok(())
    }
}
