//! File descriptors: pipes, `/dev/null`, private copies, and letting go of the caller's.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::stat::Mode;
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, pipe2};

/// How large a pipe from the command should be, in bytes. Larger ones were measured to be no faster, and all pipes of a
/// user share what an ordinary user may have (64 MiB): who uses it up makes the pipes of other programs small.
const PIPE_SIZE: i32 = 256 << 10;

/// Whether both are one and the same file, whatever their names are.
///
/// # Errors
/// What the system says.
pub fn is_same(one: &File, other: &File) -> io::Result<bool> {
    let (one, other) = (one.metadata()?, other.metadata()?);
    Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
}

/// What a descriptor leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A pipe or FIFO.
    Pipe,
    /// A socket.
    Socket,
    /// A terminal.
    Terminal,
    /// A file, a device, anything that does not make its writers wait for a reader.
    File,
}

/// What `fd` leads to.
#[must_use]
pub fn kind(fd: BorrowedFd<'_>) -> Kind {
    if nix::unistd::isatty(fd).unwrap_or(false) {
        return Kind::Terminal;
    }
    let Ok(copy) = fd.try_clone_to_owned() else { return Kind::File };
    match File::from(copy).metadata() {
        Ok(meta) if meta.file_type().is_fifo() => Kind::Pipe,
        Ok(meta) if meta.file_type().is_socket() => Kind::Socket,
        _ => Kind::File,
    }
}

/// A pipe for the command's output: (reading end, writing end), close-on-exec, the reading end non-blocking.
///
/// # Errors
/// Out of descriptors.
pub fn output_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    // More room means fewer turns; where the user's share of pipe pages is used up the usual room will do.
    let _ = fcntl(&read, FcntlArg::F_SETPIPE_SZ(PIPE_SIZE));
    Ok((read, write))
}

/// The reading ends of pipes, one for each stream that has one.
pub type Sources = [Option<OwnedFd>; 2];

/// A pipe on which keys are sent: (reading end, writing end), close-on-exec, neither of which waits.
///
/// # Errors
/// Out of descriptors.
pub fn key_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?)
}

/// A pipe that says by its end that nobody has the writing end any more: (reading end, writing end), close-on-exec.
///
/// # Errors
/// Out of descriptors.
pub fn leash() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(pipe2(OFlag::O_CLOEXEC)?)
}

/// Closes everything but `spared`.
pub fn close_all_but(spared: BorrowedFd<'_>) {
    let spared = spared.as_raw_fd().unsigned_abs();
    for (first, last) in [(0, spared.saturating_sub(1)), (spared + 1, u32::MAX)] {
        // SAFETY: the caller goes on with nothing but the one that is spared.
        unsafe {
            libc::syscall(libc::SYS_close_range, first, last, 0);
        }
    }
}

/// A pair of connected sockets that keep messages apart.
///
/// # Errors
/// Out of descriptors.
pub fn message_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SockFlag::SOCK_CLOEXEC;
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?)
}

/// A bell: readable once it has been rung, until it is [silenced](Bell::silence).
#[derive(Debug)]
pub struct Bell(EventFd);

impl Bell {
    /// Makes one.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Self(EventFd::from_flags(flags)?))
    }

    /// The same bell, for another thread.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn copy(&self) -> io::Result<Self> {
        let copy = self.0.as_fd().try_clone_to_owned()?;
        // SAFETY: it is a copy of the descriptor of such a counter.
        Ok(Self(unsafe { EventFd::from_owned_fd(copy) }))
    }

    /// Rings it.
    pub fn ring(&self) {
        // Fails only if it has been rung 2^64 times already: then it is heard as well.
        let _ = self.0.write(1);
    }

    /// Takes note.
    pub fn silence(&self) {
        // Fails only if it has not been rung.
        let _ = self.0.read();
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// `/dev/null`, for reading and writing.
///
/// # Errors
/// What the system says.
pub fn null() -> io::Result<OwnedFd> {
    Ok(open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?)
}

/// A copy of standard descriptor `fd`, with a number above them, close-on-exec.
///
/// # Errors
/// Out of descriptors, or `fd` is closed.
pub fn copy_above(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let copy = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(3))?;
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Puts `fd` in the place of a standard descriptor (0, 1 or 2).
///
/// # Errors
/// What the system says.
pub fn put_in_place(fd: BorrowedFd<'_>, place: usize) -> io::Result<()> {
    match place {
        0 => dup2_stdin(fd)?,
        1 => dup2_stdout(fd)?,
        _ => dup2_stderr(fd)?,
    }
    Ok(())
}

/// Closes a standard descriptor, or one of the caller's: a number nothing in gco owns.
pub fn close_foreign(fd: RawFd) {
    // SAFETY: the callers pass descriptors that came from gco's own caller and are owned by no value.
    unsafe {
        libc::close(fd);
    }
}

/// Standard descriptor `fd` (0, 1 or 2), which is always open: see
/// [`Inherited::capture`](super::start::Inherited::capture).
#[must_use]
pub fn standard(fd: usize) -> BorrowedFd<'static> {
    let fd = fd.min(2) as RawFd;
    // SAFETY: the three stay open, on whatever, for as long as the process lives.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// A copy of standard descriptor `fd` that can be written to without waiting, where that is possible.
///
/// Pipes and terminals are opened once more: the new description is private, and the flags of the caller's stay as they
/// are. What cannot be opened again (another user's) is copied, and [`may_wait`].
///
/// # Errors
/// Out of descriptors.
pub fn private_copy(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let again = match kind(fd) {
        Kind::Pipe => reopen_without_waiting(fd).ok(),
        // Opening the master side of a terminal again makes another terminal.
        Kind::Terminal if !is_terminal_master(fd) => reopen_without_waiting(fd).ok(),
        _ => None,
    };
    match again {
        Some(again) => Ok(again),
        None => copy_above(fd),
    }
}

fn reopen_without_waiting(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let same = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
    Ok(open(same.as_str(), flags, Mode::empty())?)
}

fn is_terminal_master(fd: BorrowedFd<'_>) -> bool {
    // The multiplexer, `/dev/ptmx`, is device 5:2.
    nix::sys::stat::fstat(fd).is_ok_and(|stat| stat.st_rdev == libc::makedev(5, 2))
}

/// Whether writing to `fd` may wait: it is the caller's own description, whose flags are not gco's to set.
#[must_use]
pub fn may_wait(fd: BorrowedFd<'_>) -> bool {
    let flags = fcntl(fd, FcntlArg::F_GETFL).map(OFlag::from_bits_truncate);
    !flags.is_ok_and(|flags| flags.contains(OFlag::O_NONBLOCK))
}

/// A file in memory that holds `bytes`, close-on-exec, to be read from its begin.
///
/// # Errors
/// Out of descriptors or memory; `ulimit -f` counts such files too.
pub fn in_memory(bytes: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create("gco", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

/// How many bytes are in `pipe`, waiting to be read.
#[must_use]
pub fn bytes_waiting(pipe: BorrowedFd<'_>) -> u64 {
    let mut waiting: libc::c_int = 0;
    // SAFETY: the kernel writes one int.
    let done = unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &raw mut waiting) };
    if done == 0 { u64::from(waiting.unsigned_abs()) } else { 0 }
}
