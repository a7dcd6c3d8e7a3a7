//! The window that a terminal shows.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_no_columns() -> std::io::Result<()> {
        assert_eq!(columns(std::fs::File::open("/dev/null")?), None);
        Ok(())
    }
}
