//! Terminals.

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

/// Whether this process has a controlling terminal that is still there.
#[must_use]
pub fn has_controlling_terminal() -> bool {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
    match open("/dev/tty", flags, Mode::empty()) {
        // A terminal that has hung up can still be opened for a moment; asking for its settings then fails.
        Ok(terminal) => nix::sys::termios::tcgetattr(&terminal).is_ok(),
        Err(_) => false,
    }
}
