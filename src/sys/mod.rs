//! The system: the only room with `unsafe`, raw system calls and `/proc`.
//!
//! Each file wraps one thing the kernel offers in a type that cannot be held wrongly. Nothing here knows what
//! a task is; what the kernel's answers mean is decided elsewhere.

pub mod child;
pub mod descriptors;
pub mod door;
pub mod fork;
pub mod holes;
pub mod limits;
pub mod lock;
pub mod notify;
pub mod oom;
pub mod process;
pub mod pty;
pub mod reclaim;
pub mod ring;
pub mod shared;
pub mod signals;
pub mod spawn;
pub mod start;
pub mod terminal;
pub mod time;
pub mod touch;
pub mod tree;
pub mod watch;
pub mod window;
