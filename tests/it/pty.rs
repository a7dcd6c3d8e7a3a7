//! A terminal for a command to run on: its controlling one, 80 columns by 24 rows.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{DEADLINE, Gco};

/// A command on a terminal of its own. What it shows is read whenever the test waits for something.
pub struct Pty {
    master: Option<File>,
    child: Child,
    screen: Vec<u8>,
    deadline: Duration,
}

nix::ioctl_write_ptr_bad!(set_window_size, nix::libc::TIOCSWINSZ, Winsize);

nix::ioctl_read_bad!(get_window_size, nix::libc::TIOCGWINSZ, Winsize);

/// The size of the window of `terminal`.
pub fn window_size(terminal: &File) -> Winsize {
    let mut size = Winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the size is written within the call.
    unsafe { get_window_size(terminal.as_raw_fd(), &raw mut size) }.unwrap();
    size
}

/// A new terminal and its other end. Nobody who is started meanwhile inherits them: what a task leaves in the background
/// would keep the terminal open, and every command would have two descriptors more.
pub fn terminal() -> (File, File) {
    let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    // SAFETY: the size is read within the call.
    unsafe { set_window_size(master.as_raw_fd(), &raw const size) }.unwrap();
    let path = ptsname_r(&master).unwrap();
    let slave =
        File::options().read(true).write(true).custom_flags(OFlag::O_NOCTTY.bits()).open(path).unwrap();
    (File::from(OwnedFd::from(master)), slave)
}

/// The modes that a new terminal has, as [`Pty::modes`] gives them.
pub fn usual_modes() -> String {
    let (master, _slave) = terminal();
    format!("{:?}", nix::sys::termios::tcgetattr(&master).unwrap())
}

impl Gco<'_> {
    /// Starts it on a new terminal, leading a new session.
    pub fn on_pty(mut self) -> Pty {
        let (master, slave) = terminal();
        let end = || slave.try_clone().unwrap();
        self.command.env("TERM", "xterm-256color").stdin(end()).stdout(end()).stderr(end());
        // SAFETY: between fork and exec only system calls are made.
        unsafe {
            self.command.pre_exec(|| {
                nix::unistd::setsid()?;
                if nix::libc::ioctl(0, nix::libc::TIOCSCTTY, 0) < 0 {
                    return Err(io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let child = self.command.spawn().unwrap();
        Pty { master: Some(master), child, screen: Vec::new(), deadline: DEADLINE }
    }
}

impl Pty {
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    pub fn kill(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// It does many things one after the other, each of which could take its time.
    pub fn takes_long(&mut self) {
        self.deadline = 10 * DEADLINE;
    }

    /// Everything shown so far.
    pub fn screen(&self) -> &[u8] {
        &self.screen
    }

    /// Types `keys`.
    pub fn write(&mut self, keys: &[u8]) {
        self.master.as_mut().unwrap().write_all(keys).unwrap();
    }

    /// Gives the terminal another size.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the size is read within the call.
        unsafe { set_window_size(self.master.as_ref().unwrap().as_raw_fd(), &raw const size) }.unwrap();
    }

    /// The terminal's modes, in words that can be compared.
    pub fn modes(&self) -> String {
        let modes = nix::sys::termios::tcgetattr(self.master.as_ref().unwrap()).unwrap();
        format!("{modes:?}")
    }

    /// Takes the terminal away, as when its window is closed.
    pub fn close(&mut self) {
        self.master = None;
    }

    /// Reads until `pattern` has been shown, and gives all that has.
    pub fn until(&mut self, pattern: &str) -> String {
        let start = Instant::now();
        loop {
            let shown = String::from_utf8_lossy(&self.screen).into_owned();
            if shown.contains(pattern) {
                return shown;
            }
            let more = self.read();
            let end =
                shown.chars().rev().take(2000).collect::<Vec<_>>().into_iter().rev().collect::<String>();
            assert!(
                more && start.elapsed() < self.deadline,
                "waited for {pattern:?} on the terminal, which shows at the end {end:?}"
            );
        }
    }

    /// Reads until so many bytes have been shown.
    pub fn until_count(&mut self, count: usize) {
        let start = Instant::now();
        while self.screen.len() < count {
            let more = self.read();
            let shown = self.screen.len();
            assert!(
                more && start.elapsed() < self.deadline,
                "waited for {count} bytes on the terminal, got {shown}"
            );
        }
    }

    /// Waits for the command's end and gives it, with all that the terminal has shown.
    pub fn wait(mut self) -> (ExitStatus, Vec<u8>) {
        let start = Instant::now();
        loop {
            let ended = self.child.try_wait().unwrap();
            let more = self.read();
            if let Some(status) = ended
                && (!more || self.master.is_none())
            {
                return (status, std::mem::take(&mut self.screen));
            }
            assert!(
                start.elapsed() < self.deadline,
                "the command on the terminal goes on; shown: {}",
                self.screen.escape_ascii()
            );
        }
    }

    /// Reads what there is, waiting a moment for it. `false` once nothing more can come.
    fn read(&mut self) -> bool {
        let Some(master) = self.master.as_mut() else {
            std::thread::park_timeout(Duration::from_millis(2));
            return false;
        };
        let mut watched = [PollFd::new(master.as_fd(), PollFlags::POLLIN)];
        if poll(&mut watched, PollTimeout::from(20_u8)).unwrap_or(0) == 0 {
            return true;
        }
        let mut block = [0; 4096];
        // EIO is the end of file of a terminal that no process has open any more.
        let count = master.read(&mut block).unwrap_or(0);
        self.screen.extend_from_slice(&block[..count]);
        count > 0
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
