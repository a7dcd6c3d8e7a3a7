//! How this process was started: what it must hand on to the command as it got it.
//!
//! gco has no `std` runtime before `main` (see `main.rs`), so what is read here is what the caller
//! set: the runtime would have ignored SIGPIPE and opened closed descriptors first.

use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, RawFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use nix::sys::stat::Mode;
use std::os::fd::{BorrowedFd, IntoRawFd};

/// The highest signal number on Linux.
pub const MAX_SIGNAL: i32 = 64;

/// What the caller of gco had set up.
#[derive(Debug, Clone)]
pub struct Inherited {
    mask: SigSet,
    /// Bit N is set if signal N was ignored.
    ignored: u128,
    /// Which of the descriptors 0, 1 and 2 were closed.
    closed: [bool; 3],
    /// The descriptors from 3 on that were open.
    extra: Vec<RawFd>,
}

impl Inherited {
    /// Takes it down, and fills closed standard descriptors with `/dev/null`, so that nothing that is opened
    /// later is taken for one. To be called first of all.
    #[must_use]
    pub fn capture() -> Self {
        let mut mask = SigSet::empty();
        // Asking for the mask cannot fail.
        let _ = sigprocmask(SigmaskHow::SIG_BLOCK, None, Some(&mut mask));
        let ignored = (1..=MAX_SIGNAL).filter(|&signal| is_ignored(signal)).fold(0, |set, s| set | 1 << s);
        let closed = [0, 1, 2].map(|fd| {
            // SAFETY: the number is only asked about; a closed one is answered with EBADF.
            let fd = unsafe { BorrowedFd::borrow_raw(fd) };
            fcntl(fd, FcntlArg::F_GETFD).is_err()
        });
        for fd in (0..3).filter(|&fd| closed[fd]) {
            // The lowest free number is the one that is missing.
            if let Ok(null) = open("/dev/null", OFlag::O_RDWR, Mode::empty()) {
                debug_assert_eq!(null.as_raw_fd(), fd as RawFd);
                let _ = null.into_raw_fd();
            }
        }
        Self { mask, ignored, closed, extra: Vec::new() }
    }

    /// Takes down which descriptors from 3 on are open. To be called by who hands them on, before anything is opened.
    pub fn note_open_descriptors(&mut self) {
        // Without /proc they stay open in gco as well; the command gets them all the same.
        self.extra = open_descriptors().unwrap_or_default();
    }

    /// The signal mask.
    #[must_use]
    pub fn mask(&self) -> &SigSet {
        &self.mask
    }

    /// Whether `signal` was ignored.
    #[must_use]
    pub fn ignores(&self, signal: i32) -> bool {
        self.ignored & (1 << signal) != 0
    }

    /// Whether `signal` was blocked.
    #[must_use]
    pub fn blocks(&self, signal: i32) -> bool {
        nix::sys::signal::Signal::try_from(signal).is_ok_and(|signal| self.mask.contains(signal))
    }

    /// Whether standard descriptor `fd` was closed.
    #[must_use]
    pub fn was_closed(&self, fd: usize) -> bool {
        self.closed.get(fd).copied().unwrap_or(false)
    }

    /// The descriptors from 3 on that were open: the command's, not gco's.
    #[must_use]
    pub fn extra(&self) -> &[RawFd] {
        &self.extra
    }
}

fn is_ignored(signal: i32) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: with no new action the call only fills `action` in, and fails for numbers it does not know.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}

fn open_descriptors() -> io::Result<Vec<RawFd>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        if let Some(fd) = entry?.file_name().to_str().and_then(|name| name.parse().ok())
            && fd > 2
        {
            found.push(fd);
        }
    }
    // One of them was the listing itself, closed by now.
    found.retain(|&fd| {
        // SAFETY: the number is only asked about.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        fcntl(fd, FcntlArg::F_GETFD).is_ok()
    });
    Ok(found)
}

/// Ignores SIGPIPE, so that a closed pipe is an error to look at and not a death.
pub fn ignore_sigpipe() {
    // SAFETY: setting a signal to ignored runs no code of ours.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
    }
}
