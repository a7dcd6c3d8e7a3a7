//! Signals: taking them as events, passing them on, dying of them.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, killpg, raise, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;

use super::child::MARK;
use super::process;
use super::start::Inherited;

/// A signal that has come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    /// Its number.
    pub signal: i32,
    /// Another part of gco sent it.
    pub is_our_own: bool,
    /// Who sent it, if a process did that can be seen from here: not for what a terminal sends.
    pub sender: Option<Sender>,
}

/// Who sent a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    /// The process.
    pub pid: i32,
    /// Its user.
    pub uid: u32,
    /// What it was called when the signal came in, up to the first zero; empty if it was gone already.
    name: [u8; NAME],
}

/// As many bytes as the kernel keeps of a process's name.
const NAME: usize = 16;

impl Sender {
    /// The process `pid` of user `uid`, by the name `name`.
    #[must_use]
    pub fn new(pid: i32, uid: u32, name: &str) -> Self {
        let mut kept = [0; NAME];
        for (place, byte) in kept.iter_mut().zip(name.bytes()) {
            *place = byte;
        }
        Self { pid, uid, name: kept }
    }

    /// What the process was called. `None` if that could not be learned.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        let name = self.name.split(|&byte| byte == 0).next().unwrap_or_default();
        (!name.is_empty()).then(|| String::from_utf8_lossy(name).into_owned())
    }
}

/// A queue of signals: those it is made for are blocked and read from it instead.
#[derive(Debug)]
pub struct Queue {
    fd: SignalFd,
}

impl Queue {
    /// Takes `wanted` over.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn new(wanted: impl IntoIterator<Item = i32>) -> io::Result<Self> {
        let set: SigSet = wanted.into_iter().filter_map(|number| Signal::try_from(number).ok()).collect();
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None)?;
        Ok(Self { fd: SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)? })
    }

    /// The next one, if one has come in.
    pub fn next(&self) -> Option<Arrived> {
        let info = self.fd.read_signal().ok().flatten()?;
        let is_our_own = info.ssi_code == libc::SI_QUEUE && info.ssi_int == MARK;
        let is_sent = matches!(info.ssi_code, libc::SI_USER | libc::SI_QUEUE | libc::SI_TKILL);
        let pid = info.ssi_pid.cast_signed();
        // A process of another pid namespace has no number here.
        let sender = (is_sent && !is_our_own && pid > 0)
            .then(|| Sender::new(pid, info.ssi_uid, &process::name(pid).unwrap_or_default()));
        Some(Arrived { signal: info.ssi_signo.cast_signed(), is_our_own, sender })
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Lets signals through that only gco blocks: this process is to end of them again.
pub fn unblock(inherited: &Inherited) {
    // Setting the mask cannot fail.
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(inherited.mask()), None);
}

/// Blocks every signal that can be blocked.
pub fn block_all() {
    // Setting the mask cannot fail.
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None);
}

/// Keeps the signals that people and scripts end or stop a program with waiting until the value is dropped.
#[derive(Debug)]
pub struct Undisturbed {
    before: SigSet,
}

impl Undisturbed {
    /// From now on. For moments: a program that cannot be ended is a nuisance.
    #[must_use]
    pub fn begin() -> Self {
        let waiting: SigSet =
            [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGTSTP]
                .into_iter()
                .collect();
        let mut before = SigSet::empty();
        // Setting the mask cannot fail.
        let _ = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&waiting), Some(&mut before));
        Self { before }
    }
}

impl Drop for Undisturbed {
    fn drop(&mut self) {
        let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None);
    }
}

/// Sends signal `number` to process group `group`. A group that is gone has no use for it.
pub fn send_to_group(group: i32, number: i32) {
    if group > 1
        && let Ok(wanted) = Signal::try_from(number)
    {
        let _ = killpg(Pid::from_raw(group), wanted);
    }
}

/// Stops this process as Ctrl-Z does, though it takes that signal as an event, and returns when it is to go on. Where nobody
/// could let it go on again the kernel does not stop it.
pub fn stop() {
    let only: SigSet = [Signal::SIGTSTP].into_iter().collect();
    // Raised while it is blocked, it is there once. Neither call can fail.
    let _ = raise(Signal::SIGTSTP);
    let _ = sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&only), None);
    let _ = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&only), None);
}

/// Does `what` with this process stopped by Ctrl-Z as one that does not take that for an event.
pub fn stoppable<T>(what: impl FnOnce() -> T) -> T {
    let only: SigSet = [Signal::SIGTSTP, Signal::SIGCONT].into_iter().collect();
    // Neither call can fail.
    let _ = sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&only), None);
    let done = what();
    let _ = sigprocmask(SigmaskHow::SIG_BLOCK, Some(&only), None);
    done
}

/// Has `command` start with the signal mask that gco's caller had set, whatever gco blocks.
pub fn give_signals<'c>(command: &'c mut Command, inherited: &Inherited) -> &'c mut Command {
    let mask = *inherited.mask();
    let set = move || Ok(sigprocmask(SigmaskHow::SIG_SETMASK, Some(&mask), None)?);
    // SAFETY: between fork and exec one system call is made, and nothing is allocated.
    unsafe { command.pre_exec(set) }
}

/// Dies of signal `number` as the command did, without a core dump of its own. Returns only if that signal does
/// not end this process, as for process 1 of a container.
pub fn die_of(number: i32) {
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _ = nix::sys::prctl::set_dumpable(false);
    // By number throughout: real-time signals have no names.
    let mut only = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the default action runs no code of ours; the set is made empty before it is used.
    unsafe {
        libc::signal(number, libc::SIG_DFL);
        libc::sigemptyset(only.as_mut_ptr());
        libc::sigaddset(only.as_mut_ptr(), number);
        libc::raise(number);
        libc::sigprocmask(libc::SIG_UNBLOCK, only.as_ptr(), std::ptr::null_mut());
    }
}

/// Gives this process, a child about to execute the command, the signals as gco's caller had set them.
///
/// Handlers do not outlive `exec`, and gco's own are all masks and "ignored"; both are put back here.
pub fn restore(inherited: &Inherited) {
    for number in 1..=super::start::MAX_SIGNAL {
        let disposition = if inherited.ignores(number) { libc::SIG_IGN } else { libc::SIG_DFL };
        // SAFETY: neither disposition runs code of ours; numbers the system keeps to itself are refused.
        unsafe {
            libc::signal(number, disposition);
        }
    }
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(inherited.mask()), None);
}

/// Ignores SIGCHLD: from now on nothing is left of children that end. What ended before is still to be reaped.
pub fn ignore_sigchld() {
    // SAFETY: setting a signal to ignored runs no code of ours.
    unsafe {
        libc::signal(libc::SIGCHLD, libc::SIG_IGN);
    }
}

/// Sets SIGCHLD to its default: if it is ignored, the kernel reaps children itself and their exit status is lost.
pub fn default_sigchld() {
    // SAFETY: the default action of SIGCHLD is to do nothing.
    unsafe {
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
    }
}
