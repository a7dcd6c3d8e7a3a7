//! What supervisor and keeper tell each other, in memory that outlives either.
//!
//! Every fact that a successor needs and that changes while a task runs is a cell here, written in one
//! store. A process killed between two stores leaves each cell as it was or as it is to be.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::sys::child::Usage;
use crate::sys::shared::Cells;
use crate::task::outcome::{StartError, StartStep};
use crate::task::{Exit, Stream};

/// The cells by name. Those "per stream" take two.
#[derive(Debug, Clone, Copy)]
enum Cell {
    /// The command's pid, 0 until it is forked.
    Command = 0,
    /// The command's start time in clock ticks, as `/proc` has it.
    CommandStart,
    /// The pid of the keeper that forked the command: it, if it lives, is the parent.
    Parent,
    /// 1 once the program is executing.
    Executing,
    /// Why the command could not start: 0, or step and errno.
    StartError,
    /// How the command ended: 0, or kind and number.
    Exit,
    /// What it used: KiB, microseconds, microseconds.
    MaxRss,
    UserTime,
    SystemTime,
    /// When it ended, in nanoseconds since boot.
    EndedAt,
    /// The signal that stopped it, 0 while it goes on.
    Stopped,
    /// What the keeper is asked to do: a bit each.
    Requests,
    /// How far the task is: see [`Phase`].
    Phase,
    /// The last signal passed on that asks a program to end, and when, in nanoseconds since boot.
    AskedSignal,
    AskedAt,
    /// How often a supervisor was replaced.
    Restarts,
    /// Which checkpoint counts: 0 or 1.
    Current,
    /// The two checkpoints: log length, bytes taken of stdout and of stderr.
    Checkpoints,
    /// Per stream: how far it has been shown.
    Shown = 23,
    /// Per stream: the stream offset that the ring's front holds.
    Base = 25,
    /// Per stream: the base that a rewind under way makes.
    NextBase = 27,
    /// Per stream: 0, or 1 more than the position that a rewind under way sets.
    NextPosition = 29,
    /// Device and inode of the log that is being written.
    LogDevice = 31,
    LogInode,
    /// Bytes of output that are not in the log.
    Lost,
    /// Per stream: 1 once nothing of it is shown any more.
    Hidden,
}

const CELLS: usize = Cell::Hidden as usize + 2;

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The command runs, or is about to.
    Underway = 0,
    /// The terminal record is on disk.
    Final = 1,
    /// The front-end knows, too.
    Told = 2,
    /// There is nothing left to do.
    Over = 3,
}

/// What the supervisor may ask of the keeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Reap the command.
    Reap,
    /// Let go of the spare end of this stream's pipe.
    CloseSource(Stream),
    /// Let go of what this stream is shown on.
    CloseShown(Stream),
    /// Let go of the way to the front-end.
    CloseFront,
}

impl Request {
    fn bit(self) -> u64 {
        match self {
            Request::Reap => 1,
            Request::CloseSource(stream) => 2 << stream.index(),
            Request::CloseShown(stream) => 8 << stream.index(),
            Request::CloseFront => 32,
        }
    }
}

/// How far the log is, in one piece.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's length in bytes.
    pub log_len: u64,
    /// How many bytes of each stream are in the log, or were given up.
    pub taken: [u64; 2],
}

/// The shared memory of one task's processes.
#[derive(Debug, Clone, Copy)]
pub struct Control {
    cells: Cells<CELLS>,
}

impl Control {
    /// Makes it.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new() -> io::Result<Self> {
        Ok(Self { cells: Cells::new()? })
    }

    fn cell(&self, cell: Cell, offset: usize) -> &AtomicU64 {
        &self.cells.get()[cell as usize + offset]
    }

    fn get(&self, cell: Cell) -> u64 {
        self.cell(cell, 0).load(Ordering::Acquire)
    }

    fn set(&self, cell: Cell, value: u64) {
        self.cell(cell, 0).store(value, Ordering::Release);
    }

    fn get_of(&self, cell: Cell, stream: Stream) -> u64 {
        self.cell(cell, stream.index()).load(Ordering::Acquire)
    }

    fn set_of(&self, cell: Cell, stream: Stream, value: u64) {
        self.cell(cell, stream.index()).store(value, Ordering::Release);
    }

    /// The command's pid; `None` until it is forked.
    #[must_use]
    pub fn command(&self) -> Option<i32> {
        i32::try_from(self.get(Cell::Command)).ok().filter(|&pid| pid > 0)
    }

    /// Says by the new process itself that it is the command, before it becomes the program.
    pub fn set_command(&self, pid: i32) {
        self.set(Cell::Command, u64::from(pid.unsigned_abs()));
    }

    /// The command's start time in clock ticks, once known.
    #[must_use]
    pub fn command_start(&self) -> Option<u64> {
        Some(self.get(Cell::CommandStart)).filter(|&ticks| ticks > 0)
    }

    /// Sets the command's start time.
    pub fn set_command_start(&self, ticks: u64) {
        self.set(Cell::CommandStart, ticks);
    }

    /// Which keeper is the command's parent.
    #[must_use]
    pub fn parent(&self) -> i32 {
        i32::try_from(self.get(Cell::Parent)).unwrap_or(0)
    }

    /// Says which keeper is about to fork the command.
    pub fn set_parent(&self, pid: i32) {
        self.set(Cell::Parent, u64::from(pid.unsigned_abs()));
    }

    /// Whether the program is executing.
    #[must_use]
    pub fn is_executing(&self) -> bool {
        self.get(Cell::Executing) != 0
    }

    /// Says that it is.
    pub fn set_executing(&self) {
        self.set(Cell::Executing, 1);
    }

    /// Why the command could not start.
    #[must_use]
    pub fn start_error(&self) -> Option<StartError> {
        let word = self.get(Cell::StartError);
        let step = match word >> 32 {
            0 => return None,
            1 => StartStep::Fork,
            2 => StartStep::Chdir,
            _ => StartStep::Exec,
        };
        Some(StartError { errno: low(word), step })
    }

    /// Says why the command could not start.
    pub fn set_start_error(&self, error: StartError) {
        let step: u64 = match error.step {
            StartStep::Fork => 1,
            StartStep::Chdir => 2,
            StartStep::Exec => 3,
        };
        self.set(Cell::StartError, step << 32 | u64::from(error.errno.unsigned_abs()));
    }

    /// How the command ended, and what it used.
    #[must_use]
    pub fn exit(&self) -> Option<(Exit, Usage, Duration)> {
        let word = self.get(Cell::Exit);
        let exit = match word >> 32 {
            0 => return None,
            1 => Exit::Code(low(word)),
            2 => Exit::Signal(low(word)),
            _ => Exit::Unknown,
        };
        let usage = Usage {
            max_rss_kib: self.get(Cell::MaxRss),
            user: Duration::from_micros(self.get(Cell::UserTime)),
            system: Duration::from_micros(self.get(Cell::SystemTime)),
        };
        Some((exit, usage, Duration::from_nanos(self.get(Cell::EndedAt))))
    }

    /// Says how the command ended, `at` this time since boot. The first to say so is right.
    pub fn set_exit(&self, exit: Exit, usage: Usage, at: Duration) {
        if self.get(Cell::Exit) != 0 {
            return;
        }
        let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        self.set(Cell::MaxRss, usage.max_rss_kib);
        self.set(Cell::UserTime, micros(usage.user));
        self.set(Cell::SystemTime, micros(usage.system));
        self.set(Cell::EndedAt, nanos(at));
        let word = match exit {
            Exit::Code(code) => 1 << 32 | u64::from(code.unsigned_abs()),
            Exit::Signal(signal) => 2 << 32 | u64::from(signal.unsigned_abs()),
            Exit::Unknown => 3 << 32,
        };
        self.set(Cell::Exit, word);
    }

    /// The signal that stopped the command; `None` while it goes on.
    #[must_use]
    pub fn stopped(&self) -> Option<i32> {
        Some(low(self.get(Cell::Stopped))).filter(|&signal| signal > 0)
    }

    /// Says which signal stopped the command, or that it goes on.
    pub fn set_stopped(&self, signal: Option<i32>) {
        self.set(Cell::Stopped, u64::from(signal.unwrap_or(0).unsigned_abs()));
    }

    /// Asks the keeper for something. It stays asked.
    pub fn ask(&self, request: Request) {
        self.cell(Cell::Requests, 0).fetch_or(request.bit(), Ordering::AcqRel);
    }

    /// Whether something is asked of the keeper.
    #[must_use]
    pub fn is_asked(&self, request: Request) -> bool {
        self.get(Cell::Requests) & request.bit() != 0
    }

    /// How far the task is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.get(Cell::Phase) {
            0 => Phase::Underway,
            1 => Phase::Final,
            2 => Phase::Told,
            _ => Phase::Over,
        }
    }

    /// Says how far the task is.
    pub fn set_phase(&self, phase: Phase) {
        self.set(Cell::Phase, phase as u64);
    }

    /// The last signal passed on that asks a program to end, and when that was, since boot.
    #[must_use]
    pub fn asked_to_end(&self) -> Option<(i32, Duration)> {
        let signal = low(self.get(Cell::AskedSignal));
        (signal > 0).then(|| (signal, Duration::from_nanos(self.get(Cell::AskedAt))))
    }

    /// Notes such a signal.
    pub fn set_asked_to_end(&self, signal: i32, at: Duration) {
        self.set(Cell::AskedAt, nanos(at));
        self.set(Cell::AskedSignal, u64::from(signal.unsigned_abs()));
    }

    /// How often a supervisor was replaced.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.get(Cell::Restarts)
    }

    /// Counts a replacement.
    pub fn count_restart(&self) {
        self.cell(Cell::Restarts, 0).fetch_add(1, Ordering::AcqRel);
    }

    /// How far the log is.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        let slot = 3 * (self.get(Cell::Current) & 1) as usize;
        let part = |n| self.cell(Cell::Checkpoints, slot + n).load(Ordering::Acquire);
        Checkpoint { log_len: part(0), taken: [part(1), part(2)] }
    }

    /// Says how far the log is: into the older of the two places, which then counts by one store.
    pub fn set_checkpoint(&self, checkpoint: Checkpoint) {
        let next = (self.get(Cell::Current) & 1) ^ 1;
        let slot = 3 * next as usize;
        let values = [checkpoint.log_len, checkpoint.taken[0], checkpoint.taken[1]];
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

/// The lower half of a cell, a number that is not negative.
fn low(word: u64) -> i32 {
    i32::try_from(word & 0x7fff_ffff).unwrap_or(0)
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_do_not_share_a_place() -> io::Result<()> {
        let control = Control::new()?;
        control.set_checkpoint(Checkpoint { log_len: 1, taken: [2, 3] });
        control.set_checkpoint(Checkpoint { log_len: 4, taken: [5, 6] });
        for (n, stream) in Stream::BOTH.into_iter().enumerate() {
            control.set_shown(stream, 100 + n as u64);
            control.begin_rewind(stream, 200 + n as u64, 7);
        }
        control.set_log_file(11, 12);
        control.count_lost(13);
        assert_eq!(control.checkpoint(), Checkpoint { log_len: 4, taken: [5, 6] });
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

    #[test]
    fn ends_come_through_whole() -> io::Result<()> {
        for exit in [Exit::Code(0), Exit::Code(255), Exit::Signal(9), Exit::Unknown] {
            let control = Control::new()?;
            assert_eq!(control.exit(), None);
            let usage =
                Usage { max_rss_kib: 5, user: Duration::from_micros(6), system: Duration::from_micros(7) };
            control.set_exit(exit, usage, Duration::from_nanos(8));
            control.set_exit(Exit::Code(1), Usage::default(), Duration::ZERO);
            assert_eq!(control.exit(), Some((exit, usage, Duration::from_nanos(8))));
        }
        let control = Control::new()?;
        let error = StartError { errno: libc::ENOENT, step: StartStep::Exec };
        control.set_start_error(error);
        assert_eq!(control.start_error(), Some(error));
        Ok(())
    }
}
