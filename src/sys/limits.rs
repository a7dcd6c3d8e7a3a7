//! How many files this process may have open, and how many heaps.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the limit of open files as far as this process may, and gives it. For a process that starts no others: they would
/// get it too, and some count on it being small.
#[must_use]
pub fn raise_open_files() -> u64 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return 0 };
    match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        Err(_) => soft,
    }
}

/// How many heaps the threads of a process share that has many of them.
#[cfg(target_env = "gnu")]
const HEAPS: libc::c_int = 2;

/// Has the threads of this process share a few heaps. Otherwise the C library gives nearly each its own, and what has been used of it
/// once is never given back. For a process with many threads that come and go, before the first of them.
pub fn share_heaps() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes two numbers, and touches nothing but the allocator's own settings.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, HEAPS);
    }
}
