//! Watching a process: that it ended, stopped or went on, and how, without reaping it.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};

use super::time::poll_timeout;
use crate::task::Exit;

/// What a process has used, with all of its own children that it waited for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// The most memory it had resident, in KiB.
    pub max_rss_kib: u64,
    /// Time spent in user mode.
    pub user: Duration,
    /// Time spent in the kernel.
    pub system: Duration,
}

/// What has become of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It has ended, and is still to be reaped.
    Ended(Exit, Usage),
    /// This signal stopped it.
    Stopped(i32),
    /// It goes on.
    Continued,
}

/// A handle on a process that keeps meaning that process, also when its pid is used again.
#[derive(Debug)]
pub struct PidFd {
    fd: OwnedFd,
    pid: i32,
}

impl PidFd {
    /// Opens one for the process that has `pid` now.
    ///
    /// # Errors
    /// `ESRCH` if there is none.
    pub fn open(pid: i32) -> io::Result<Self> {
        // SAFETY: the call only makes a descriptor, close-on-exec by itself.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let fd = i32::try_from(Errno::result(fd)?).map_err(|_| io::ErrorKind::InvalidData)?;
        // SAFETY: a new descriptor that nobody else owns.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(fd) }, pid })
    }

    /// Sends the process signal `number`, marked as coming from another part of gco: see
    /// [`Arrived`](super::signals::Arrived). One that is gone has no use for it.
    pub fn send(&self, number: i32) {
        let info = QueuedSignal {
            signal: number,
            error: 0,
            code: libc::SI_QUEUE,
            padding: 0,
            sender: std::process::id().cast_signed(),
            user: nix::unistd::getuid().as_raw(),
            value: i64::from(MARK),
            rest: [0; 12],
        };
        // SAFETY: the struct is a siginfo_t of the kind that `sigqueue` makes, as large as the kernel's.
        unsafe {
            libc::syscall(libc::SYS_pidfd_send_signal, self.fd.as_raw_fd(), number, &raw const info, 0);
        }
    }

    /// Sends the process signal `number`, as `kill` does.
    ///
    /// # Errors
    /// `ESRCH` if it is gone, `EPERM` if it is somebody else's.
    pub fn signal(&self, number: i32) -> io::Result<()> {
        let nothing = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: without a siginfo the kernel makes its own, as for `kill`.
        let sent =
            unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.fd.as_raw_fd(), number, nothing, 0) };
        Errno::result(sent)?;
        Ok(())
    }

    /// Whether the process is stopped, as far as `/proc` can tell.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        super::process::look(self.pid).is_some_and(|seen| seen.stopped)
    }

    /// The process's parent, where the kernel tells it by the handle (Linux 6.13) and the process has not been reaped.
    #[must_use]
    pub fn parent(&self) -> Option<i32> {
        let info = self.info(PIDFD_INFO_PID)?;
        i32::try_from(info.pids[2]).ok().filter(|parent| *parent > 0)
    }

    /// Waits until the process has ended, for `most` at most or as long as it takes: whether it has.
    ///
    /// # Errors
    /// What waiting said.
    pub fn await_end(&self, most: Option<Duration>) -> io::Result<bool> {
        let deadline = most.and_then(|most| Instant::now().checked_add(most));
        loop {
            let mut watched = [PollFd::new(self.as_fd(), PollFlags::POLLIN)];
            match poll(&mut watched, poll_timeout(deadline)) {
                Ok(0) if deadline.is_none_or(|deadline| Instant::now() < deadline) => {}
                Ok(ended) => return Ok(ended > 0),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// How the process ended, once it has been reaped by whoever is its parent: Linux 6.15 keeps it for those who
    /// had the process open.
    #[must_use]
    pub fn exit_after_reaping(&self) -> Option<Exit> {
        self.info(PIDFD_INFO_EXIT).map(|info| exit_of_status(info.exit_code))
    }

    /// What the kernel tells of the process, if it tells what `wanted` means.
    fn info(&self, wanted: u64) -> Option<PidFdInfo> {
        let mut info = PidFdInfo { mask: wanted, ..PidFdInfo::default() };
        // SAFETY: the number says how large the struct is that the kernel fills in.
        let done = unsafe { libc::ioctl(self.fd.as_raw_fd(), PIDFD_GET_INFO, &raw mut info) };
        (done == 0 && info.mask & wanted != 0).then_some(info)
    }
}

/// A relative of this process, its parent or a child, that is watched for its end.
///
/// By a pidfd where one can be had. Where not (kernels before 5.3, a filter in a container, out of descriptors) it is
/// asked about again and again: that it cannot be opened does not mean that it is gone.
#[derive(Debug)]
pub struct Relative {
    pid: i32,
    is_parent: bool,
    process: Option<PidFd>,
}

impl Relative {
    /// The parent of this process, which had `pid` when this one was made.
    #[must_use]
    pub fn parent(pid: i32) -> Self {
        Self { pid, is_parent: true, process: PidFd::open(pid).ok() }
    }

    /// A child of this process.
    #[must_use]
    pub fn child(pid: i32) -> Self {
        Self { pid, is_parent: false, process: PidFd::open(pid).ok() }
    }

    /// Its pid.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Whether it is a child, and to be reaped.
    #[must_use]
    pub fn is_child(&self) -> bool {
        !self.is_parent
    }

    /// The descriptor that becomes readable when it is gone; none if it has to be asked about.
    #[must_use]
    pub fn watched(&self) -> Option<BorrowedFd<'_>> {
        self.process.as_ref().map(PidFd::as_fd)
    }

    /// Whether it is gone.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        if self.is_parent {
            // Orphans get another parent; until then the pid is its own.
            nix::unistd::getppid().as_raw() != self.pid
        } else {
            // A child that is not there has been reaped by somebody who knew.
            !matches!(look(self.pid), Ok(Some(Change::Stopped(_) | Change::Continued) | None))
        }
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What comes with a signal from gco to gco.
pub(super) const MARK: i32 = 0x0067_636f;

/// `siginfo_t` as it is for a queued signal, on 64-bit machines.
#[repr(C)]
struct QueuedSignal {
    signal: i32,
    error: i32,
    code: i32,
    padding: i32,
    sender: i32,
    user: u32,
    value: i64,
    rest: [u64; 12],
}

const _: () = assert!(size_of::<QueuedSignal>() == size_of::<libc::siginfo_t>());

/// `struct pidfd_info` of `linux/pidfd.h` in its first, 64-byte form.
#[repr(C)]
#[derive(Default)]
struct PidFdInfo {
    mask: u64,
    cgroup: u64,
    pids: [u32; 3],
    credentials: [u32; 8],
    exit_code: i32,
}

const PIDFD_INFO_PID: u64 = 1;
const PIDFD_INFO_EXIT: u64 = 1 << 3;
/// `_IOWR(0xFF, 11, struct pidfd_info)`.
const PIDFD_GET_INFO: libc::c_ulong = nix::request_code_readwrite!(0xFF, 11, size_of::<PidFdInfo>());

pub(super) fn exit_of_status(status: i32) -> Exit {
    if libc::WIFSIGNALED(status) {
        Exit::Signal(libc::WTERMSIG(status))
    } else {
        Exit::Code(libc::WEXITSTATUS(status))
    }
}

/// What has become of child `pid`, if anything has since the last look. An end is told at each look until it is
/// [reaped](reap); `usage` and exit status come with it, before reaping.
///
/// # Errors
/// `ECHILD` if it is no child of this process.
pub fn look(pid: i32) -> io::Result<Option<Change>> {
    if let Some((info, usage)) = wait(libc::P_PID, pid, libc::WEXITED | libc::WNOWAIT | libc::WNOHANG)? {
        return Ok(Some(Change::Ended(info.exit(), usage)));
    }
    // Only now: who asks for stops alone is told of a child that has ended that there is none.
    let passing = libc::WSTOPPED | libc::WCONTINUED | libc::WNOHANG;
    match wait(libc::P_PID, pid, passing) {
        Ok(Some((info, _))) if info.code == libc::CLD_CONTINUED => Ok(Some(Change::Continued)),
        Ok(Some((info, _))) => Ok(Some(Change::Stopped(info.status))),
        // It ended between the two: that is told next time.
        Ok(None) | Err(_) => Ok(None),
    }
}

/// Reaps child `pid`, which has ended.
pub fn reap(pid: i32) {
    // A child that is not there any more needs no reaping.
    let _ = wait(libc::P_PID, pid, libc::WEXITED | libc::WNOHANG);
}

/// So many children are reaped one by one, before all that have ended are looked for at once.
const FEW: usize = 16;

/// Reaps every child that has ended, up to the first that is `spared`.
pub fn reap_all_but(spared: &[i32]) {
    let mut reaped = 0;
    while let Some(pid) = any_ended().filter(|pid| !spared.contains(pid)) {
        reap(pid);
        reaped += 1;
        if reaped % FEW == 0 {
            // Whoever ends by the thousand is not to be faster than this.
            reap_the_rest(spared);
        }
    }
}

/// The same, and past those that are spared as well: for when it matters that none is left.
pub fn reap_the_rest(spared: &[i32]) {
    let me = std::process::id().cast_signed();
    for child in super::tree::children(me).unwrap_or_default() {
        if !spared.contains(&child) {
            reap(child);
        }
    }
}

struct Info {
    pid: i32,
    code: i32,
    status: i32,
}

impl Info {
    fn exit(&self) -> Exit {
        if self.code == libc::CLD_EXITED { Exit::Code(self.status) } else { Exit::Signal(self.status) }
    }
}

/// The system call itself: unlike the C library's function it also gives the resources used, and does so
/// without reaping.
fn wait(kind: libc::idtype_t, pid: i32, flags: i32) -> io::Result<Option<(Info, Usage)>> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let mut used = MaybeUninit::<libc::rusage>::zeroed();
    loop {
        // SAFETY: both pointers are to zeroed structs of the kernel's own layout.
        let done = unsafe {
            libc::syscall(libc::SYS_waitid, kind, pid, info.as_mut_ptr(), flags, used.as_mut_ptr())
        };
        match Errno::result(done) {
            Ok(_) => break,
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // SAFETY: zeroed or filled in by the kernel; all bit patterns of both are valid.
    let (info, used) = unsafe { (info.assume_init(), used.assume_init()) };
    // SAFETY: for this call the kernel fills in the fields of a child's signal, or leaves zeros.
    let (child, status) = unsafe { (info.si_pid(), info.si_status()) };
    if child == 0 {
        return Ok(None);
    }
    let span = |time: libc::timeval| {
        Duration::from_micros(
            time.tv_sec.unsigned_abs().saturating_mul(1_000_000).saturating_add(time.tv_usec.unsigned_abs()),
        )
    };
    let usage = Usage {
        max_rss_kib: used.ru_maxrss.unsigned_abs(),
        user: span(used.ru_utime),
        system: span(used.ru_stime),
    };
    Ok(Some((Info { pid: child, code: info.si_code, status }, usage)))
}

/// Reaps child `pid`, waiting for its end: for one that is about to.
pub fn reap_now(pid: i32) {
    // A child that is not there any more needs no reaping.
    let _ = wait(libc::P_PID, pid, libc::WEXITED);
}

/// A child that has ended and is still to be reaped, if there is one.
#[must_use]
pub fn any_ended() -> Option<i32> {
    let ended = wait(libc::P_ALL, 0, libc::WEXITED | libc::WNOWAIT | libc::WNOHANG);
    ended.ok().flatten().map(|(info, _)| info.pid)
}

/// Whether this process has any child, ended or not.
#[must_use]
pub fn has_any() -> bool {
    wait(libc::P_ALL, 0, libc::WEXITED | libc::WNOWAIT | libc::WNOHANG).is_ok()
}
