//! Which system calls would change a directory, and how they are kept from it: for a disk that is full or broken from an exact
//! moment on. What was reserved before fails as well, which is worse than a full disk is.
//!
//! Only on x86-64: elsewhere no call is known, and the tests that need it say so.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc::{self, ptrace_syscall_info};
use nix::unistd::Pid;

/// What a descriptor of the process leads to.
fn target(pid: Pid, descriptor: u64) -> Option<PathBuf> {
    let descriptor = descriptor as i32;
    if descriptor == libc::AT_FDCWD {
        return fs::read_link(format!("/proc/{pid}/cwd")).ok();
    }
    fs::read_link(format!("/proc/{pid}/fd/{descriptor}")).ok()
}

/// The path at an address in the process.
fn path_at(pid: Pid, address: u64) -> Option<PathBuf> {
    let memory = fs::File::open(format!("/proc/{pid}/mem")).ok()?;
    let mut bytes = [0; 4096];
    let count = memory.read_at(&mut bytes, address).ok()?;
    let end = bytes[..count].iter().position(|&b| b == 0)?;
    Some(PathBuf::from(std::str::from_utf8(&bytes[..end]).ok()?))
}

/// Whether the system call that is about to be done would change something below `dir`.
#[cfg(target_arch = "x86_64")]
pub fn changes(pid: Pid, info: &ptrace_syscall_info, dir: &Path) -> bool {
    // SAFETY: of the union, the part that the kernel says it has filled.
    let entry = unsafe { info.u.entry };
    let args = entry.args;
    let is_below = |path: Option<PathBuf>| path.is_some_and(|path| path.starts_with(dir));
    let is_named = |at: u64, name: u64| {
        let base = target(pid, at).unwrap_or_default();
        is_below(path_at(pid, name).map(|path| base.join(path)))
    };
    let here = libc::AT_FDCWD as u64;
    match entry.nr as i64 {
        libc::SYS_write
        | libc::SYS_pwrite64
        | libc::SYS_writev
        | libc::SYS_pwritev
        | libc::SYS_pwritev2
        | libc::SYS_fallocate
        | libc::SYS_ftruncate
        | libc::SYS_fsync
        | libc::SYS_fdatasync
        | libc::SYS_sendfile => is_below(target(pid, args[0])),
        libc::SYS_splice | libc::SYS_copy_file_range => is_below(target(pid, args[2])),
        libc::SYS_open => args[1] & libc::O_CREAT as u64 != 0 && is_named(here, args[0]),
        libc::SYS_openat => {
            let creates = libc::O_CREAT | libc::O_TMPFILE & !libc::O_DIRECTORY;
            args[2] & creates as u64 != 0 && is_named(args[0], args[1])
        }
        libc::SYS_mkdir | libc::SYS_rename | libc::SYS_link => is_named(here, args[0]),
        libc::SYS_mkdirat | libc::SYS_renameat | libc::SYS_renameat2 => is_named(args[0], args[1]),
        libc::SYS_linkat => is_named(args[2], args[3]),
        _ => false,
    }
}

/// Has the kernel do nothing instead.
#[cfg(target_arch = "x86_64")]
pub fn leave_out(pid: Pid) {
    let mut registers = nix::sys::ptrace::getregs(pid).unwrap();
    registers.orig_rax = u64::MAX;
    nix::sys::ptrace::setregs(pid, registers).unwrap();
}

/// Has the call return `error`.
#[cfg(target_arch = "x86_64")]
pub fn give_back(pid: Pid, error: Errno) {
    let Ok(mut registers) = nix::sys::ptrace::getregs(pid) else { return };
    registers.rax = -i64::from(error as i32) as u64;
    let _ = nix::sys::ptrace::setregs(pid, registers);
}

#[cfg(not(target_arch = "x86_64"))]
pub fn changes(_: Pid, _: &ptrace_syscall_info, _: &Path) -> bool {
    let _ = (target, path_at);
    false
}

#[cfg(not(target_arch = "x86_64"))]
pub fn leave_out(_: Pid) {}

#[cfg(not(target_arch = "x86_64"))]
pub fn give_back(_: Pid, _: Errno) {}
