//! Something that every process of a tree holds: when it is let go of, none of them is left.
//!
//! A FIFO that the first of them opens for writing and the others inherit, whatever they do. Its reader comes to
//! the end when the last of them is gone, which only the kernel can know.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use nix::libc;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::processes::until;
use crate::room::Room;

#[derive(Debug)]
pub struct Leash {
    path: PathBuf,
    end: File,
}

impl Leash {
    /// A new one at `leash` in the room.
    pub fn new(room: &Room) -> Result<Self> {
        let path = room.path("leash");
        mkfifo(&path, Mode::S_IRWXU)?;
        let end = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path)?;
        Ok(Self { path, end })
    }

    /// Waits until `count` bytes have been written by those who hold it.
    pub fn until_held(&mut self, count: usize) -> Result<()> {
        let mut left = count;
        until("the processes", || {
            left -= (&self.end).read(&mut vec![0; left]).unwrap_or(0);
            (left == 0).then_some(())
        })
    }

    /// Makes sure that nobody holds it any more.
    pub fn expect_free(&self) -> Result<()> {
        match (&self.end).read(&mut [0]) {
            Ok(0) => Ok(()),
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error.into()),
            _ => {
                ensure!(false, "some of the processes are left");
                Ok(())
            }
        }
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
