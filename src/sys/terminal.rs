//! The controlling terminal.

use std::os::fd::OwnedFd;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

/// This process's controlling terminal, if it has one, for reading and without waiting.
#[must_use]
pub fn controlling_terminal() -> Option<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
    open("/dev/tty", flags, Mode::empty()).ok()
}

/// Whether this process has a controlling terminal that is still there.
#[must_use]
pub fn has_controlling_terminal() -> bool {
    // A terminal that has hung up can still be opened for a moment; asking for its settings then fails.
    controlling_terminal().is_some_and(|terminal| nix::sys::termios::tcgetattr(&terminal).is_ok())
}
