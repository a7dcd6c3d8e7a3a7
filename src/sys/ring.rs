//! A buffer in a memfd into which the kernel moves a pipe's bytes: the heart of the spool.
//!
//! `splice(pipe → memfd)` takes bytes out of the pipe, stores them and moves the file position in one
//! system call. The position belongs to the open file, which all processes forked from one another
//! share. So however a process dies, the next one knows to the byte what has been taken. With `read`,
//! a process killed between `read` and `write` takes the bytes along.

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::Ordering;

use nix::errno::Errno;
use nix::fcntl::{SpliceFFlags, splice};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, mmap_anonymous};
use nix::unistd::{Whence, ftruncate, lseek};

use super::shared::Cells;

/// What came of taking bytes from a pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// This many bytes.
    Bytes(usize),
    /// Nothing now.
    Nothing,
    /// Nothing any more: all writers are gone.
    End,
}

/// The buffer: a memfd, mapped.
///
/// Where files may not be as large as the buffer (`ulimit -f` counts memfds too) it is plain shared memory that
/// `read` fills, with the position beside it: then a process killed right after `read` takes those bytes along.
#[derive(Debug)]
pub struct RingBuffer {
    backing: Backing,
    map: NonNull<u8>,
    size: usize,
}

#[derive(Debug)]
enum Backing {
    /// The kernel keeps the position.
    Memfd(File),
    /// It is kept in shared memory.
    Plain(Cells<1>),
}

impl RingBuffer {
    /// Makes one of `size` bytes. Pages are only used once they have been written to.
    ///
    /// # Errors
    /// What the kernel says: out of descriptors or memory.
    pub fn new(size: usize) -> io::Result<Self> {
        Self::in_memfd(size).or_else(|_| Self::in_plain_memory(size))
    }

    fn in_plain_memory(size: usize) -> io::Result<Self> {
        let length = NonZeroUsize::new(size).ok_or(io::ErrorKind::InvalidInput)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let map = unsafe { mmap_anonymous(None, length, access, MapFlags::MAP_SHARED)? };
        Ok(Self { backing: Backing::Plain(Cells::new()?), map: map.cast(), size })
    }

    fn in_memfd(size: usize) -> io::Result<Self> {
        let file = File::from(memfd_create("gco-ring", MFdFlags::MFD_CLOEXEC)?);
        ftruncate(&file, i64::try_from(size).map_err(|_| io::ErrorKind::InvalidInput)?)?;
        let length = NonZeroUsize::new(size).ok_or(io::ErrorKind::InvalidInput)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice; the file is as long as the mapping and is
        // never cut.
        let map = unsafe { mmap(None, length, access, MapFlags::MAP_SHARED, &file, 0)? };
        Ok(Self { backing: Backing::Memfd(file), map: map.cast(), size })
    }

    /// How many bytes it holds.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// The file position: how many bytes have been taken since it was last set to 0.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn position(&self) -> io::Result<usize> {
        match &self.backing {
            Backing::Memfd(file) => {
                let at = lseek(file, 0, Whence::SeekCur)?;
                usize::try_from(at).map_err(|_| io::ErrorKind::InvalidData.into())
            }
            Backing::Plain(cells) => usize::try_from(cells.get()[0].load(Ordering::Acquire))
                .map_err(|_| io::ErrorKind::InvalidData.into()),
        }
    }

    /// Sets the file position.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_position(&self, at: usize) -> io::Result<()> {
        match &self.backing {
            Backing::Memfd(file) => {
                lseek(file, i64::try_from(at).map_err(|_| io::ErrorKind::InvalidInput)?, Whence::SeekSet)?;
            }
            Backing::Plain(cells) => cells.get()[0].store(at as u64, Ordering::Release),
        }
        Ok(())
    }

    /// Takes what is in `pipe`, at most `most` bytes, to the file position. Never waits.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn take(&mut self, pipe: BorrowedFd<'_>, most: usize) -> io::Result<Taken> {
        loop {
            let taken = match &self.backing {
                Backing::Memfd(file) => {
                    splice(pipe, None, file.as_fd(), None, most, SpliceFFlags::SPLICE_F_NONBLOCK)
                }
                Backing::Plain(_) => self.read(pipe, most),
            };
            match taken {
                Ok(0) => return Ok(Taken::End),
                Ok(bytes) => return Ok(Taken::Bytes(bytes)),
                Err(Errno::EAGAIN) => return Ok(Taken::Nothing),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn read(&mut self, pipe: BorrowedFd<'_>, most: usize) -> Result<usize, Errno> {
        let Backing::Plain(cells) = &self.backing else { return Err(Errno::EINVAL) };
        let position = &cells.get()[0];
        let at = usize::try_from(position.load(Ordering::Acquire)).unwrap_or(self.size).min(self.size);
        let room = most.min(self.size - at);
        // SAFETY: within the mapping, behind the position, where nobody reads; no other slice of it is alive while
        // this value is borrowed mutably.
        let place = unsafe { std::slice::from_raw_parts_mut(self.map.as_ptr().add(at), room) };
        let bytes = nix::unistd::read(pipe, place)?;
        position.store((at + bytes) as u64, Ordering::Release);
        Ok(bytes)
    }

    /// The bytes from `from` to `to`. Only those below the file position may be asked for: the kernel does not
    /// write there until the position has been set back.
    #[must_use]
    pub fn bytes(&self, from: usize, to: usize) -> &[u8] {
        let to = to.min(self.size);
        let from = from.min(to);
        // SAFETY: within the mapping, which lives as long as `self`; nobody writes below the position.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().add(from), to - from) }
    }

    /// Copies the bytes from `from` to `to` to the front. The two places must not overlap.
    ///
    /// Gives `false`, and does nothing, if they would.
    pub fn copy_to_front(&mut self, from: usize, to: usize) -> bool {
        if to > self.size || from > to || to - from > from {
            return false;
        }
        // SAFETY: both places are within the mapping and do not overlap.
        unsafe {
            std::ptr::copy_nonoverlapping(self.map.as_ptr().add(from), self.map.as_ptr(), to - from);
        }
        true
    }
}

// SAFETY: the mapping is shared memory that this value alone writes to from this process.
unsafe impl Send for RingBuffer {}
