//! What there is on stdout and stderr to show something on.

use std::io::{self, IsTerminal};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};

/// How many columns the terminal behind `fd` has. `None` if it is no terminal, or one that does not say.
#[must_use]
pub fn columns(fd: impl AsFd) -> Option<usize> {
    let mut size = MaybeUninit::<libc::winsize>::zeroed();
    // SAFETY: the call fills in `size` or fails; zeroes are a valid value of it either way.
    let size = unsafe {
        if libc::ioctl(fd.as_fd().as_raw_fd(), libc::TIOCGWINSZ, size.as_mut_ptr()) != 0 {
            return None;
        }
        size.assume_init()
    };
    (size.ws_col > 0).then(|| usize::from(size.ws_col))
}

/// Whether stdout shows colours and its reader wants them: it is a terminal, and `NO_COLOR` is not set, or empty.
#[must_use]
pub fn takes_colour() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal() && !refused
}

/// Whether somebody sits before both stdout and stderr, so that a remark beside the output helps and does no harm.
#[must_use]
pub fn is_watched() -> bool {
    io::stdout().is_terminal() && io::stderr().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_no_columns() -> io::Result<()> {
        assert_eq!(columns(std::fs::File::open("/dev/null")?), None);
        Ok(())
    }
}
