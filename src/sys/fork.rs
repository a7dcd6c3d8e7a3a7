//! Making processes of gco's own, and their place in the tree.

use std::ffi::{CStr, c_int, c_void};
use std::io;

use nix::errno::Errno;
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

/// How much stack a process that is about to execute a program has.
const STACK: usize = 64 << 10;

/// Makes a process that does `act` and executes a program, or ends with the code that `act` gives. Gives its pid.
///
/// Nothing is copied: until then the two share all memory, and this one waits. So `act` must leave no trace in
/// memory that this process would stumble over. Killing this process meanwhile does not harm the new one.
///
/// # Errors
/// Out of processes or memory.
pub fn fork_to_execute(mut act: impl FnMut() -> i32) -> io::Result<i32> {
    extern "C" fn begin<F: FnMut() -> i32>(act: *mut c_void) -> c_int {
        // SAFETY: the argument is the `act` below, which lives while this process shares its memory.
        unsafe { (*act.cast::<F>())() }
    }
    fn entry<F: FnMut() -> i32>(_: &F) -> extern "C" fn(*mut c_void) -> c_int {
        begin::<F>
    }
    let begin = entry(&act);
    let mut stack = vec![0_u128; STACK / size_of::<u128>()];
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the new process has a stack of its own, aligned, which is there until it executes or ends, for so
    // long this process waits. gco has no signal handlers that could run in it.
    let pid =
        unsafe { libc::clone(begin, stack.as_mut_ptr_range().end.cast(), flags, (&raw mut act).cast()) };
    Ok(Errno::result(pid)?)
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

/// The process group of this process.
#[must_use]
pub fn this_group() -> i32 {
    nix::unistd::getpgrp().as_raw()
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI32, Ordering};

    #[test]
    fn a_process_that_shares_memory_ends_with_its_code() -> io::Result<()> {
        let told = AtomicI32::new(0);
        let pid = fork_to_execute(|| {
            told.store(std::process::id().cast_signed(), Ordering::Relaxed);
            7
        })?;
        // It waited: what the new process did is there.
        assert_eq!(told.load(Ordering::Relaxed), pid);
        let status = nix::sys::wait::waitpid(Pid::from_raw(pid), None)?;
        assert_eq!(status, nix::sys::wait::WaitStatus::Exited(Pid::from_raw(pid), 7));
        Ok(())
    }
}
