//! What supervisor and keeper tell each other, in memory that outlives either.
//!
//! Every fact that a successor needs and that changes while a task runs is a cell here, written in one
//! store. A process killed between two stores leaves each cell as it was or as it is to be. What concerns the way of
//! the bytes is in [`progress`](super::progress), what concerns attempts, limits and being stopped in
//! [`course`](super::course).

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::notified::STATUS_CELLS;
use crate::sys::child::Usage;
use crate::sys::shared::Cells;
use crate::task::outcome::{StartError, StartStep};
use crate::task::{Exit, Stream};

/// The cells by name. Those "per stream" take two.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cell {
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
    /// The two checkpoints: log length, bytes taken of stdout and of stderr, how many of them are the command's own, and
    /// whether either shows the alternate screen.
    Checkpoints,
    /// Per stream: how far it has been shown.
    Shown = 29,
    /// Per stream: the stream offset that the ring's front holds.
    Base = 31,
    /// Per stream: the base that a rewind under way makes.
    NextBase = 33,
    /// Per stream: 0, or 1 more than the position that a rewind under way sets.
    NextPosition = 35,
    /// Device and inode of the log that is being written.
    LogDevice = 37,
    LogInode,
    /// Bytes of output that are not in the log.
    Lost,
    /// Per stream: 1 once nothing of it is shown any more.
    Hidden,
    /// Per stream: 1 while what is shown of it comes from the log.
    Lagging = 42,
    /// Which attempt is to be under way, 0 while the task waits for its turn.
    Wanted = 44,
    /// Which attempt the cells about the command are about.
    Attempt,
    /// The attempt after which there is a pause, and when that is over.
    RestingAfter,
    NextAttemptAt,
    /// Why the command is made to end: 0, or a cause; with which signal; when what is left is killed; whether it was told.
    StopCause,
    StopSignal,
    KillAt,
    StopTold,
    /// When the request was made that was taken up last.
    RequestAt,
    /// When the first attempt began: since 1970 in seconds, and since boot.
    StartedAt,
    StartedSinceBoot,
    /// 1 once the command that is run at the end has been.
    Hooked,
    /// Its pid, and its start time in clock ticks.
    HookPid,
    HookStart,
    /// What the limits are measured by.
    Clocks,
    /// Which events are about to be noted, and which have been: two bits each.
    Events = 66,
    /// What the terminal of gco's caller is being used as: see `viewing`.
    Viewing,
    /// What it has been told to be: the marks of its screen.
    Screen,
    /// The front-end was stopped with the command.
    FrontStopped,
    /// How often the out-of-memory killer had been at work when the first attempt began, above two bits: 1 if of the control
    /// group, 1 if that is known.
    OomBefore,
    /// Which of the two places for the status that the command has told counts: 0 or 1.
    StatusCurrent,
    /// These: how long it is, 0 if there is none, and its bytes.
    Status,
}

const CELLS: usize = Cell::Status as usize + STATUS_CELLS;

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
    /// Let go of what is only needed to start the command once more.
    CloseStart,
}

impl Request {
    fn bit(self) -> u64 {
        match self {
            Request::Reap => 1,
            Request::CloseSource(stream) => 2 << stream.index(),
            Request::CloseShown(stream) => 8 << stream.index(),
            Request::CloseFront => 32,
            Request::CloseStart => 64,
        }
    }
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

    pub(super) fn cell(&self, cell: Cell, offset: usize) -> &AtomicU64 {
        &self.cells.get()[cell as usize + offset]
    }

    pub(super) fn get(&self, cell: Cell) -> u64 {
        self.cell(cell, 0).load(Ordering::Acquire)
    }

    pub(super) fn set(&self, cell: Cell, value: u64) {
        self.cell(cell, 0).store(value, Ordering::Release);
    }

    pub(super) fn get_of(&self, cell: Cell, stream: Stream) -> u64 {
        self.cell(cell, stream.index()).load(Ordering::Acquire)
    }

    pub(super) fn set_of(&self, cell: Cell, stream: Stream, value: u64) {
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

    /// Whether the front-end was stopped with the command, and nobody has had it go on from here.
    #[must_use]
    pub fn has_stopped_front(&self) -> bool {
        self.get(Cell::FrontStopped) != 0
    }

    /// Says whether it was.
    pub fn set_stopped_front(&self, stopped: bool) {
        self.set(Cell::FrontStopped, u64::from(stopped));
    }

    /// Asks the keeper for something. It stays asked.
    pub fn ask(&self, request: Request) {
        self.cell(Cell::Requests, 0).fetch_or(request.bit(), Ordering::AcqRel);
    }

    /// Asks for it no more.
    pub fn withdraw(&self, request: Request) {
        self.cell(Cell::Requests, 0).fetch_and(!request.bit(), Ordering::AcqRel);
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
}

/// The lower half of a cell, a number that is not negative.
fn low(word: u64) -> i32 {
    i32::try_from(word & 0x7fff_ffff).unwrap_or(0)
}

pub(super) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

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
