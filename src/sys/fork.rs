//! Making processes of gco's own, and their place in the tree.

use std::ffi::CStr;
use std::io;

use nix::sys::prctl;
use nix::unistd::{ForkResult, Pid, setpgid, setsid};

/// Which side of a fork this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The old process; the new one has this pid.
    Parent(i32),
    /// The new process.
    Child,
}

/// Splits this process in two.
///
/// gco forks while it has one thread, or while its only other one holds no lock that the new process
/// needs (see `supervise::publisher`).
///
/// # Errors
/// Out of processes or memory.
pub fn fork() -> io::Result<Side> {
    // SAFETY: the C library's own locks are put right by itself, and no other thread of gco holds one of Rust's
    // at this time.
    match unsafe { nix::unistd::fork()? } {
        ForkResult::Parent { child } => Ok(Side::Parent(child.as_raw())),
        ForkResult::Child => Ok(Side::Child),
    }
}

/// Leaves the caller's session and terminal for a session of one's own.
pub fn own_session() {
    // Fails only for a process group leader, which a newly forked process is not.
    let _ = setsid();
}

/// Leaves the process group for one of one's own.
pub fn own_group() {
    // Fails only for a session leader, which has one already.
    let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
}

/// From now on, orphans below this process become its children.
pub fn adopt_orphans() {
    // Known since Linux 3.4. Without it orphans go to init, as they would without gco.
    let _ = prctl::set_child_subreaper(true);
}

/// The name by which `ps` and `top` show this process.
pub fn set_name(name: &CStr) {
    // Cosmetic.
    let _ = prctl::set_name(name);
}

/// Ends this process at once: no destructors, no exit handlers.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` only ends the process.
    unsafe { libc::_exit(code) }
}
