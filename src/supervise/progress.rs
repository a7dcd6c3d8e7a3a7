//! How far the command's bytes have got, in the [control memory](super::control): taken, logged, shown.
//!
//! Two of these facts are more than one cell. They are made so that one store decides: a checkpoint is
//! written to the older of two places and then made the one that counts; a rewind is announced before the ring's
//! position is set, so that the position itself tells whether it was done.

use std::sync::atomic::Ordering;

use super::control::{Cell, Control};
use crate::task::Stream;

/// How far the log is, in one piece.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's length in bytes.
    pub log_len: u64,
    /// How many bytes of each stream are in the log, or were given up.
    pub taken: [u64; 2],
    /// How many of them the command wrote: what a terminal added or drew is not counted.
    pub written: [u64; 2],
    /// Which of them show the alternate screen there.
    pub on_screen: [bool; 2],
}

/// How many cells one takes.
const SLOT: usize = 6;

impl Control {
    /// How far the log is.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        let slot = SLOT * (self.get(Cell::Current) & 1) as usize;
        let part = |n| self.cell(Cell::Checkpoints, slot + n).load(Ordering::Acquire);
        let flags = part(5);
        Checkpoint {
            log_len: part(0),
            taken: [part(1), part(2)],
            written: [part(3), part(4)],
            on_screen: [flags & 1 != 0, flags & 2 != 0],
        }
    }

    /// Says how far the log is: into the older of the two places, which then counts by one store.
    pub fn set_checkpoint(&self, checkpoint: Checkpoint) {
        let next = (self.get(Cell::Current) & 1) ^ 1;
        let slot = SLOT * next as usize;
        let Checkpoint { log_len, taken, written, on_screen } = checkpoint;
        let flags = u64::from(on_screen[0]) | u64::from(on_screen[1]) << 1;
        let values = [log_len, taken[0], taken[1], written[0], written[1], flags];
        for (n, value) in values.into_iter().enumerate() {
            self.cell(Cell::Checkpoints, slot + n).store(value, Ordering::Release);
        }
        self.set(Cell::Current, next);
    }

    /// How far `stream` has been shown.
    #[must_use]
    pub fn shown(&self, stream: Stream) -> u64 {
        self.get_of(Cell::Shown, stream)
    }

    /// Says how far.
    pub fn set_shown(&self, stream: Stream, to: u64) {
        self.set_of(Cell::Shown, stream, to);
    }

    /// Whether nothing of `stream` is shown any more.
    #[must_use]
    pub fn is_hidden(&self, stream: Stream) -> bool {
        self.get_of(Cell::Hidden, stream) != 0
    }

    /// Says so.
    pub fn set_hidden(&self, stream: Stream) {
        self.set_of(Cell::Hidden, stream, 1);
    }

    /// Whether what is shown of `stream` comes from the log, because the spool has let it go.
    #[must_use]
    pub fn is_lagging(&self, stream: Stream) -> bool {
        self.get_of(Cell::Lagging, stream) != 0
    }

    /// Says so.
    pub fn set_lagging(&self, stream: Stream, lagging: bool) {
        self.set_of(Cell::Lagging, stream, u64::from(lagging));
    }

    /// The stream offset of the first byte in `stream`'s ring, given the ring's position: a rewind that
    /// was under way when its process died is finished, or undone.
    #[must_use]
    pub fn settle_base(&self, stream: Stream, position: usize) -> u64 {
        let next_position = self.get_of(Cell::NextPosition, stream);
        if next_position > 0 && next_position - 1 == position as u64 {
            self.set_of(Cell::Base, stream, self.get_of(Cell::NextBase, stream));
        }
        self.set_of(Cell::NextPosition, stream, 0);
        self.get_of(Cell::Base, stream)
    }

    /// Announces that `stream`'s ring is to begin at `base`, its position becoming `position`, which is less than
    /// it is.
    pub fn begin_rewind(&self, stream: Stream, base: u64, position: usize) {
        self.set_of(Cell::NextBase, stream, base);
        self.set_of(Cell::NextPosition, stream, position as u64 + 1);
    }

    /// The position has been set: what was announced is so.
    pub fn end_rewind(&self, stream: Stream) {
        self.set_of(Cell::Base, stream, self.get_of(Cell::NextBase, stream));
        self.set_of(Cell::NextPosition, stream, 0);
    }

    /// Device and inode of the log that is being written.
    #[must_use]
    pub fn log_file(&self) -> (u64, u64) {
        (self.get(Cell::LogDevice), self.get(Cell::LogInode))
    }

    /// Says which file it is.
    pub fn set_log_file(&self, device: u64, inode: u64) {
        self.set(Cell::LogDevice, device);
        self.set(Cell::LogInode, inode);
    }

    /// How many bytes of output are not in the log.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.get(Cell::Lost)
    }

    /// Counts bytes that are not.
    pub fn count_lost(&self, bytes: u64) {
        self.cell(Cell::Lost, 0).fetch_add(bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn cells_do_not_share_a_place() -> io::Result<()> {
        let control = Control::new()?;
        let first = Checkpoint { log_len: 1, taken: [2, 3], ..Checkpoint::default() };
        let second = Checkpoint { log_len: 4, taken: [5, 6], written: [7, 8], on_screen: [false, true] };
        control.set_checkpoint(first);
        control.set_checkpoint(second);
        for (n, stream) in Stream::BOTH.into_iter().enumerate() {
            control.set_shown(stream, 100 + n as u64);
            control.begin_rewind(stream, 200 + n as u64, 7);
        }
        control.set_log_file(11, 12);
        control.count_lost(13);
        assert_eq!(control.checkpoint(), second);
        assert_eq!(control.shown(Stream::Stdout), 100);
        assert_eq!(control.shown(Stream::Stderr), 101);
        assert_eq!(control.settle_base(Stream::Stdout, 7), 200);
        assert_eq!(control.settle_base(Stream::Stderr, 8), 0, "a rewind that was not done is undone");
        assert_eq!(control.log_file(), (11, 12));
        assert_eq!(control.lost(), 13);
        assert_eq!(control.restarts(), 0);
        assert!(!control.is_hidden(Stream::Stdout) && !control.is_hidden(Stream::Stderr));
        Ok(())
    }
}
