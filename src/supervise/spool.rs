//! The spool of one stream: what has been taken from the command and is not yet in the log, or not yet shown.
//!
//! Exactly once, whoever is killed: the kernel takes bytes from the pipe into the ring in one step
//! and moves a position that all of gco's processes share. Stream offsets count the stream's bytes from
//! its begin; the ring holds those from `base` on.

use std::io;
use std::os::fd::BorrowedFd;

use super::control::Control;
use crate::sys::ring::{RingBuffer, Taken};
use crate::task::Stream;

/// The size of a ring in bytes.
pub const RING_SIZE: usize = 1 << 20;

/// How much is taken at once: what fits into a processor's second-level cache with the tagged copy of it.
const TAKE: usize = 256 << 10;

/// How much may be moved to the front at any time, in bytes.
const LITTLE: usize = 16 << 10;

/// One stream's ring with the offsets of what is in it.
#[derive(Debug)]
pub struct Spool {
    ring: RingBuffer,
    control: Control,
    stream: Stream,
    base: u64,
    position: usize,
}

impl Spool {
    /// An empty spool.
    ///
    /// # Errors
    /// Out of descriptors or memory.
    pub fn new(control: Control, stream: Stream) -> io::Result<Self> {
        Ok(Self { ring: RingBuffer::new(RING_SIZE)?, control, stream, base: 0, position: 0 })
    }

    /// Finds out where a predecessor had got to.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn recover(&mut self) -> io::Result<()> {
        self.position = self.ring.position()?;
        self.base = self.control.settle_base(self.stream, self.position);
        Ok(())
    }

    /// The stream offset up to which the command's bytes have been taken.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.base + self.position as u64
    }

    /// The stream offset from which on the bytes are here.
    #[must_use]
    pub fn begin(&self) -> u64 {
        self.base
    }

    /// Whether there is no room for more.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.position == self.ring.size()
    }

    /// Takes what the command has written, as much as there is room for. Never waits.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn take(&mut self, pipe: BorrowedFd<'_>) -> io::Result<Taken> {
        let room = self.ring.size() - self.position;
        if room == 0 {
            // Asked for no bytes, the kernel gives 0, as at the end.
            return Ok(Taken::Nothing);
        }
        let taken = self.ring.take(pipe, room.min(TAKE))?;
        if let Taken::Bytes(bytes) = taken {
            self.position += bytes;
        }
        Ok(taken)
    }

    /// The bytes from stream offset `from` on. Offsets before the ring's begin are taken for its begin.
    #[must_use]
    pub fn from(&self, from: u64) -> &[u8] {
        let skip = usize::try_from(from.saturating_sub(self.base)).unwrap_or(usize::MAX);
        self.ring.bytes(skip, self.position)
    }

    /// Makes room by letting go of what is before stream offset `keep`.
    ///
    /// When all can go, that costs a system call; else what is kept is moved to the front, which is done when it
    /// is little, or when the ring is half used up. So the ring's front, warm in the cache, is what is mostly used.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn rewind(&mut self, keep: u64) -> io::Result<()> {
        let keep = keep.min(self.end());
        let used = usize::try_from(keep.saturating_sub(self.base)).unwrap_or(0);
        let kept = self.position - used;
        if used == 0 || (kept > LITTLE && self.position < self.ring.size() / 2) {
            return Ok(());
        }
        if kept > 0 && !self.ring.copy_to_front(used, self.position) {
            return Ok(());
        }
        self.control.begin_rewind(self.stream, keep, kept);
        self.ring.set_position(kept)?;
        self.control.end_rewind(self.stream);
        self.base = keep;
        self.position = kept;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;

    #[test]
    fn bytes_keep_their_offsets_over_rewinds() -> io::Result<()> {
        let (read, write) = crate::sys::descriptors::output_pipe()?;
        let mut write = std::fs::File::from(write);
        let mut spool = Spool::new(Control::new()?, Stream::Stderr)?;
        let mut sent = 0;
        for round in 0..400_u64 {
            let block: Vec<u8> = (0..10_007).map(|n| ((sent + n) % 253) as u8).collect();
            write.write_all(&block)?;
            sent += block.len() as u64;
            assert_eq!(spool.take(read.as_fd())?, Taken::Bytes(block.len()));
            assert_eq!(spool.end(), sent);
            // Sometimes all can go, sometimes a rest is kept.
            let kept = if round % 3 == 0 { sent } else { sent - 5 };
            spool.rewind(kept)?;
            let rest = spool.from(kept);
            assert!(rest.iter().zip(kept..).all(|(&byte, at)| byte == (at % 253) as u8));
            assert_eq!(rest.len() as u64, sent - kept);
        }
        assert_eq!(spool.take(read.as_fd())?, Taken::Nothing);
        // A ring that is full takes nothing, which is not the end.
        spool.rewind(sent)?;
        let fill = vec![b'f'; RING_SIZE];
        for part in fill.chunks(4096) {
            write.write_all(part)?;
            assert_eq!(spool.take(read.as_fd())?, Taken::Bytes(part.len()));
        }
        write.write_all(b"more")?;
        assert!(spool.is_full());
        assert_eq!(spool.take(read.as_fd())?, Taken::Nothing);
        let kept = spool.end();
        spool.rewind(kept)?;
        assert_eq!(spool.take(read.as_fd())?, Taken::Bytes(4));
        drop(write);
        assert_eq!(spool.take(read.as_fd())?, Taken::End);

        // A successor that only has what is shared finds the same.
        let (end, rest) = (spool.end(), spool.from(kept).to_vec());
        spool.base = 0;
        spool.position = 0;
        spool.recover()?;
        assert_eq!((spool.end(), spool.from(kept)), (end, &rest[..]));
        Ok(())
    }
}
