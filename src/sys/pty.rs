//! Pseudo-terminals: making them, their size and modes, and who has the foreground.
//!
//! What the master side is asked for is answered for the slave side: size, modes, foreground process group.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, SpliceFFlags, fcntl, splice};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{posix_openpt, unlockpt};

/// How large a terminal is: rows and columns, and its size in pixels where it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Rows of text.
    pub rows: u16,
    /// Columns of text.
    pub columns: u16,
    /// Width in pixels, 0 if not known.
    pub width: u16,
    /// Height in pixels, 0 if not known.
    pub height: u16,
}

/// The size of a terminal that nobody looks at.
pub const USUAL: Size = Size { rows: 24, columns: 80, width: 0, height: 0 };

/// The modes of a terminal, as `tcgetattr` gives them.
#[derive(Clone, Copy)]
pub struct Modes(libc::termios);

impl std::fmt::Debug for Modes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Modes(modes) = self;
        write!(
            f,
            "Modes({:x} {:x} {:x} {:x} {:?})",
            modes.c_iflag, modes.c_oflag, modes.c_cflag, modes.c_lflag, modes.c_cc
        )
    }
}

impl PartialEq for Modes {
    fn eq(&self, other: &Self) -> bool {
        let flags = |Modes(m): &Modes| (m.c_iflag, m.c_oflag, m.c_cflag, m.c_lflag, m.c_line, m.c_cc);
        flags(self) == flags(other)
    }
}

impl Eq for Modes {}

/// What a key means to a terminal that is in its usual modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Output is to stop, or
    Stop,
    /// to go on.
    Start,
    /// The foreground process group gets this signal.
    Signal(i32),
}

impl Modes {
    /// The modes of the terminal behind `fd`.
    ///
    /// # Errors
    /// It is none, or has gone.
    pub fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        let mut modes = MaybeUninit::<libc::termios>::zeroed();
        // SAFETY: the call fills the struct in, or fails.
        Errno::result(unsafe { libc::tcgetattr(fd.as_raw_fd(), modes.as_mut_ptr()) })?;
        // SAFETY: zeroed, and filled in.
        Ok(Self(unsafe { modes.assume_init() }))
    }

    /// The modes of a new terminal.
    ///
    /// # Errors
    /// There are no more terminals, or none at all.
    pub fn of_new_terminal() -> io::Result<Self> {
        let (master, _slave) = open()?;
        Self::of(master.as_fd())
    }

    /// Gives the terminal behind `fd` these modes, at once.
    ///
    /// # Errors
    /// It is none, or has gone.
    pub fn set(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        // SAFETY: the struct is read within the call.
        Errno::result(unsafe { libc::tcsetattr(fd.as_raw_fd(), libc::TCSANOW, &raw const self.0) })?;
        Ok(())
    }

    /// These modes made such that every key comes as it is typed and every byte is shown as it is.
    #[must_use]
    pub fn raw(&self) -> Self {
        let mut raw = *self;
        // SAFETY: the call only changes the struct.
        unsafe { libc::cfmakeraw(&raw mut raw.0) };
        raw
    }

    /// These modes made such that every key comes as it is typed, but for those that mean a signal, and none is echoed or
    /// stops the output.
    #[must_use]
    pub fn by_key(&self) -> Self {
        let mut modes = *self;
        modes.0.c_lflag &= !(libc::ICANON | libc::ECHO | libc::IEXTEN);
        modes.0.c_lflag |= libc::ISIG;
        modes.0.c_iflag &= !(libc::IXON | libc::ICRNL | libc::INLCR);
        modes.0.c_cc[libc::VMIN] = 1;
        modes.0.c_cc[libc::VTIME] = 0;
        modes
    }

    /// These modes with or without the echo of what is typed.
    #[must_use]
    pub fn echoing(&self, on: bool) -> Self {
        let mut modes = *self;
        let flag = libc::ECHO;
        modes.0.c_lflag = if on { modes.0.c_lflag | flag } else { modes.0.c_lflag & !flag };
        modes
    }

    /// Whether what is typed is echoed.
    #[must_use]
    pub fn echoes(&self) -> bool {
        self.0.c_lflag & libc::ECHO != 0
    }

    /// Whether what is typed comes line by line.
    #[must_use]
    pub fn is_by_line(&self) -> bool {
        self.0.c_lflag & libc::ICANON != 0
    }

    /// Whether the terminal puts a carriage return before each newline that it is sent.
    #[must_use]
    pub fn adds_returns(&self) -> bool {
        let wanted = libc::OPOST | libc::ONLCR;
        self.0.c_oflag & wanted == wanted
    }

    /// What typing `key` means to the terminal itself; nothing for a key that is for whoever reads.
    #[must_use]
    pub fn meaning(&self, key: u8) -> Option<Meaning> {
        let is = |at: usize| self.0.c_cc[at] == key && key != 0;
        if self.0.c_iflag & libc::IXON != 0 {
            if is(libc::VSTOP) {
                return Some(Meaning::Stop);
            }
            if is(libc::VSTART) {
                return Some(Meaning::Start);
            }
        }
        if self.0.c_lflag & libc::ISIG == 0 {
            return None;
        }
        let signals =
            [(libc::VINTR, libc::SIGINT), (libc::VQUIT, libc::SIGQUIT), (libc::VSUSP, libc::SIGTSTP)];
        signals.into_iter().find(|(at, _)| is(*at)).map(|(_, signal)| Meaning::Signal(signal))
    }

    /// Whether any key lets stopped output go on.
    #[must_use]
    pub fn starts_with_any_key(&self) -> bool {
        self.0.c_iflag & libc::IXANY != 0
    }

    /// The key that means the end of input.
    #[must_use]
    pub fn end_of_input(&self) -> u8 {
        self.0.c_cc[libc::VEOF]
    }
}

/// The kernel's `O_LARGEFILE`, which `open` always sets where longs have 64 bits. The C library says 0 there.
const LARGE_FILE: i32 = if cfg!(target_pointer_width = "64") { 0o100_000 } else { 0 };

/// Makes a terminal: (master side, slave side), both close-on-exec, the master side never waits.
///
/// # Errors
/// There are no more, or none at all.
pub fn open() -> io::Result<(OwnedFd, OwnedFd)> {
    let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    unlockpt(&master)?;
    // As `open` gives it: the command sees these flags (`F_GETFL`), which here would keep what is the descriptor's alone.
    let slave = open_slave(master.as_fd(), libc::O_RDWR | libc::O_NOCTTY | LARGE_FILE)?;
    fcntl(&slave, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok((OwnedFd::from(master), slave))
}

fn open_slave(master: BorrowedFd<'_>, flags: i32) -> io::Result<OwnedFd> {
    // SAFETY: the call opens a descriptor; by the handle, so that no mount or root directory is in the way.
    let slave = Errno::result(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags) })?;
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(slave) })
}

/// Takes what was typed and nobody has read, `most` bytes of it.
///
/// # Errors
/// The terminal has gone.
pub fn take_unread(master: BorrowedFd<'_>, most: usize) -> io::Result<Vec<u8>> {
    let slave = open_slave(master, libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC | libc::O_NONBLOCK)?;
    let modes = Modes::of(slave.as_fd())?;
    // Else the begin of a line could not be read. What is shown goes on as before: whoever takes over from a process that is
    // killed here has yet to read it.
    modes.by_key().set(slave.as_fd())?;
    let mut unread = vec![0; most];
    let taken = nix::unistd::read(&slave, &mut unread).unwrap_or(0);
    unread.truncate(taken);
    modes.set(slave.as_fd())?;
    Ok(unread)
}

/// Has the terminal take what was written to its master side, which it does by and by. Where it has something to be read
/// already, it may not have taken the rest.
///
/// # Errors
/// The terminal has gone.
pub fn settle(master: BorrowedFd<'_>) -> io::Result<()> {
    let slave = open_slave(master, libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC | libc::O_NONBLOCK)?;
    // The kernel takes what there is before it says that there is nothing.
    poll(&mut [PollFd::new(slave.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO)?;
    Ok(())
}

/// Puts `keys` where what is typed at the terminal behind `fd` waits to be read, without showing them. Some systems do not
/// allow that (`dev.tty.legacy_tiocsti`).
///
/// # Errors
/// It is not allowed, or the terminal has gone.
pub fn type_back(fd: BorrowedFd<'_>, keys: &[u8]) -> io::Result<()> {
    let modes = Modes::of(fd)?;
    modes.echoing(false).set(fd)?;
    let mut typed = Ok(0);
    for key in keys {
        // SAFETY: the call reads one byte.
        typed = typed.and(Errno::result(unsafe {
            libc::ioctl(fd.as_raw_fd(), libc::TIOCSTI, std::ptr::from_ref(key))
        }));
    }
    modes.set(fd)?;
    typed?;
    Ok(())
}

/// The size of the terminal behind `fd`.
///
/// # Errors
/// It is none, or has gone.
pub fn size(fd: BorrowedFd<'_>) -> io::Result<Size> {
    let mut size = MaybeUninit::<libc::winsize>::zeroed();
    // SAFETY: the call fills the struct in, or fails.
    Errno::result(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGWINSZ, size.as_mut_ptr()) })?;
    // SAFETY: zeroed, and filled in.
    let size = unsafe { size.assume_init() };
    Ok(Size { rows: size.ws_row, columns: size.ws_col, width: size.ws_xpixel, height: size.ws_ypixel })
}

/// Gives the terminal behind `fd` a size. If it had another, its foreground process group is told (SIGWINCH).
///
/// # Errors
/// It is none, or has gone.
pub fn set_size(fd: BorrowedFd<'_>, size: Size) -> io::Result<()> {
    let size = libc::winsize {
        ws_row: size.rows,
        ws_col: size.columns,
        ws_xpixel: size.width,
        ws_ypixel: size.height,
    };
    // SAFETY: the struct is read within the call.
    Errno::result(unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) })?;
    Ok(())
}

/// Makes `slave` the controlling terminal of the session that this process leads.
///
/// # Errors
/// It leads none, or has one already.
pub fn control(slave: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the call takes no pointer.
    Errno::result(unsafe { libc::ioctl(slave.as_raw_fd(), libc::TIOCSCTTY, 0) })?;
    Ok(())
}

/// Stops the output of the terminal behind `fd`, as its stop key does.
///
/// # Errors
/// It is none, or has gone.
pub fn stop_output(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the call takes no pointer.
    Errno::result(unsafe { libc::tcflow(fd.as_raw_fd(), libc::TCOOFF) })?;
    Ok(())
}

/// Which process group has the foreground of the terminal. `None` if that cannot be told.
#[must_use]
pub fn foreground(fd: impl AsFd) -> Option<i32> {
    let mut group: libc::pid_t = 0;
    // SAFETY: the call writes one number.
    let done = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TIOCGPGRP, &raw mut group) };
    (done == 0 && group > 0).then_some(group)
}

/// Gives `group` the foreground of this process's controlling terminal.
///
/// # Errors
/// It is not the controlling one, or the group is in another session.
pub fn set_foreground(fd: impl AsFd, group: i32) -> io::Result<()> {
    // SAFETY: the call reads one number.
    Errno::result(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TIOCSPGRP, &raw const group) })?;
    Ok(())
}

/// Whether the terminal shows something that has not been taken yet. What has been written counts at once.
#[must_use]
pub fn has_more(master: BorrowedFd<'_>) -> bool {
    let mut watched = [PollFd::new(master, PollFlags::POLLIN)];
    poll(&mut watched, PollTimeout::ZERO).is_ok()
        && watched[0].revents().is_some_and(|r| r.contains(PollFlags::POLLIN))
}

/// Moves what the terminal shows into `pipe`, at most `most` bytes, and gives how many. Never waits.
///
/// # Errors
/// `EAGAIN` if there is nothing, or no room in the pipe; `EIO` if nobody has the slave side open.
pub fn feed(master: BorrowedFd<'_>, pipe: BorrowedFd<'_>, most: usize) -> Result<usize, Errno> {
    loop {
        match splice(master, None, pipe, None, most, SpliceFFlags::SPLICE_F_NONBLOCK) {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn the_master_side_answers_for_the_slave_side() -> io::Result<()> {
        let (master, slave) = open()?;
        let size_before = Size { rows: 5, columns: 70, width: 1, height: 2 };
        set_size(master.as_fd(), size_before)?;
        assert_eq!(size(slave.as_fd())?, size_before);
        let modes = Modes::of(master.as_fd())?;
        assert!(modes.adds_returns() && modes.is_by_line() && modes.echoes());
        assert_eq!(modes.meaning(3), Some(Meaning::Signal(libc::SIGINT)));
        assert_eq!((modes.meaning(0x13), modes.meaning(0x11)), (Some(Meaning::Stop), Some(Meaning::Start)));
        assert_eq!((modes.meaning(b'x'), modes.end_of_input()), (None, 4));
        let raw = modes.raw();
        raw.set(slave.as_fd())?;
        assert_eq!(Modes::of(master.as_fd())?, raw);
        assert!(!raw.adds_returns() && !raw.is_by_line() && raw.meaning(3).is_none());
        Ok(())
    }

    #[test]
    fn what_is_shown_goes_into_a_pipe_to_the_last_byte() -> io::Result<()> {
        let (master, slave) = open()?;
        let (read, write) = crate::sys::descriptors::output_pipe()?;
        assert_eq!(feed(master.as_fd(), write.as_fd(), 4096), Err(Errno::EAGAIN));
        let mut slave = std::fs::File::from(slave);
        slave.write_all(b"one\n")?;
        drop(slave);
        assert_eq!(feed(master.as_fd(), write.as_fd(), 4096), Ok(5));
        assert_eq!(feed(master.as_fd(), write.as_fd(), 4096), Err(Errno::EIO));
        let mut block = [0; 16];
        assert_eq!(nix::unistd::read(&read, &mut block)?, 5);
        assert_eq!(&block[..5], b"one\r\n");
        Ok(())
    }
}
