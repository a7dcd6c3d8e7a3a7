//! The leader of the session that a command with a terminal runs in.
//!
//! The kernel takes the terminal away from a session, and hangs up on its foreground, when the session's leader ends. So that
//! role is nobody's who could be replaced or may end earlier than what it leads: not the supervisor's, not the keeper's, and
//! not the command's, whose leavings in the background would be hung up on. This process does nothing else. It waits until
//! supervisor and keeper are gone, and steps into the foreground before it goes, so that it hangs up on itself alone.
//!
//! What it cannot do: to be killed without the command being hung up on (SIGHUP), which is the kernel's doing.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;

use crate::sys::descriptors::{close_all_but, leash};
use crate::sys::fork::{Side, exit_now, fork, own_group, set_name};
use crate::sys::pty;
use crate::sys::signals::{block_all, ignore_sigchld};
use crate::sys::terminal::controlling_terminal;

/// Makes `terminal` the controlling one of the session that this process leads, and goes on in a new process of that session,
/// while this one stays to lead it. It does so for as long as somebody has what this gives.
///
/// # Errors
/// Out of descriptors or processes, or the terminal cannot be had.
pub fn lead(terminal: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let (waiting, held) = leash()?;
    pty::control(terminal)?;
    match fork()? {
        Side::Child => {
            own_group();
            Ok(held)
        }
        Side::Parent(_) => {
            block_all();
            // A supervisor that is killed is this one's child, and nobody else's to reap.
            ignore_sigchld();
            set_name(c"gco-session");
            close_all_but(waiting.as_fd());
            // Nothing is at stake: it only keeps this process from holding on to a file system.
            let _ = nix::unistd::chdir("/");
            let mut nothing = [0; 1];
            while nix::unistd::read(&waiting, &mut nothing) == Err(Errno::EINTR) {}
            if let Some(terminal) = controlling_terminal() {
                // If it is gone there is nobody to be hung up on.
                let _ = pty::set_foreground(terminal, std::process::id().cast_signed());
            }
            exit_now(0)
        }
    }
}
