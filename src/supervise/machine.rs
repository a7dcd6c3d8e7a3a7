//! What is to be done when: the decisions of a supervisor, as a pure function of what happened and the time.
//!
//! The driver tells the machine what it saw (`output`, `closed`, `ended`, …) and asks what is
//! [due](Machine::due); how long it may sleep is the [deadline](Machine::deadline). Nothing here
//! touches a descriptor, so each rule is tested without a process.

use std::time::{Duration, Instant};

use crate::task::Stream;

/// A partial line that has been idle for this long goes into the log as a part.
const PART_IDLE: Duration = Duration::from_millis(100);
/// A partial line that has been waiting for this long goes into the log, though more of it keeps coming.
const PART_WAITING: Duration = Duration::from_millis(500);
/// The least time between two writes of the record.
const RECORD_GAP: Duration = Duration::from_millis(500);
/// How soon after the start the record says that the command runs. Not at once, so that a command that ends at once
/// costs one write less.
const RECORD_START: Duration = Duration::from_millis(20);
/// A quiet task's record is written again after this long.
const RECORD_REFRESH: Duration = Duration::from_secs(30);
/// How often a quiet task looks whether its files are still there.
const FILES_CHECK: Duration = Duration::from_secs(15);
/// After the command's end its streams are read until they have been idle for this long,
const DRAIN_IDLE: Duration = Duration::from_millis(100);
/// but no longer than this.
const DRAIN_MOST: Duration = Duration::from_secs(2);

/// What the driver is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Put the begin of this stream's open line into the log as a part.
    FlushPart(Stream),
    /// Write the record.
    WriteRecord,
    /// Look whether the files are still there.
    CheckFiles,
    /// The command is over and its output complete: write the terminal record, have the command reaped.
    Finish {
        /// Somebody else still holds the command's streams.
        left_open: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It waits for its turn, or between two attempts.
    Waiting,
    /// Not started yet.
    Starting,
    /// The command runs.
    Running,
    /// The command has ended, at this time; what it wrote is being read.
    Draining(Instant),
    /// The end is on disk; whoever still writes is listened to.
    Finished,
}

/// One stream as the machine sees it.
#[derive(Debug, Clone, Copy)]
struct Flow {
    open: bool,
    /// Since when a partial line waits to be put into the log.
    waiting_since: Option<Instant>,
    last_bytes: Instant,
    /// Something is known to be in the pipe that has not been taken yet.
    owes: bool,
}

/// The state of the decisions.
#[derive(Debug, Clone)]
pub struct Machine {
    phase: Phase,
    flows: [Flow; 2],
    /// When the record must be written for what has changed.
    record_due: Option<Instant>,
    record_written: Instant,
    files_checked: Instant,
    keeps_record: bool,
    /// The command is being made to end: that counts once nothing is left of its processes.
    minds_tree: bool,
}

impl Machine {
    /// A task that is about to start. Without `keeps_record` there are no files to look after.
    #[must_use]
    pub fn new(now: Instant, keeps_record: bool) -> Self {
        let flow = Flow { open: true, waiting_since: None, last_bytes: now, owes: false };
        Self {
            phase: Phase::Starting,
            flows: [flow; 2],
            record_due: None,
            record_written: now,
            files_checked: now,
            keeps_record,
            minds_tree: false,
        }
    }

    /// There is no command for now: its turn has not come, or an attempt is over and the next has not begun.
    pub fn rests(&mut self) {
        self.phase = Phase::Waiting;
    }

    /// The command is about to start.
    pub fn starts(&mut self) {
        self.phase = Phase::Starting;
    }

    /// Whether there is no command for now.
    #[must_use]
    pub fn is_resting(&self) -> bool {
        self.phase == Phase::Waiting
    }

    /// The command is being made to end, so its end waits for all of its processes; or nothing is left of them.
    pub fn mind_tree(&mut self, minds: bool) {
        self.minds_tree = minds;
    }

    /// The command runs.
    pub fn started(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Starting | Phase::Waiting) {
            self.phase = Phase::Running;
            self.record_due = Some(now + RECORD_START);
        }
    }

    /// Bytes came; `open_line` says whether a partial line waits after them.
    pub fn output(&mut self, stream: Stream, open_line: bool, now: Instant) {
        let flow = &mut self.flows[stream.index()];
        flow.last_bytes = now;
        flow.waiting_since = open_line.then(|| flow.waiting_since.unwrap_or(now));
        self.changed();
    }

    /// The record has just been written.
    pub fn wrote_record(&mut self, now: Instant) {
        self.record_due = None;
        self.record_written = now;
    }

    /// Something else that the record tells has changed.
    pub fn changed(&mut self) {
        if self.record_due.is_none() {
            self.record_due = Some(self.record_written + RECORD_GAP);
        }
    }

    /// A stream has no writers any more, or was closed by gco.
    pub fn closed(&mut self, stream: Stream) {
        let flow = &mut self.flows[stream.index()];
        flow.open = false;
        flow.owes = false;
    }

    /// Whether a stream is still read.
    #[must_use]
    pub fn is_open(&self, stream: Stream) -> bool {
        self.flows[stream.index()].open
    }

    /// The part of a partial line that was there has been put into the log.
    pub fn flushed(&mut self, stream: Stream) {
        self.flows[stream.index()].waiting_since = None;
        self.changed();
    }

    /// The command has ended, or could not start.
    pub fn ended(&mut self, now: Instant) {
        if self.awaits_end() {
            self.phase = Phase::Draining(now);
        }
    }

    /// Bytes that were written before the command's end are known to be still in the stream's pipe, or no more.
    pub fn owes(&mut self, stream: Stream, owes: bool) {
        self.flows[stream.index()].owes = owes;
    }

    /// Whether the command's end is still to come.
    #[must_use]
    pub fn awaits_end(&self) -> bool {
        matches!(self.phase, Phase::Waiting | Phase::Starting | Phase::Running)
    }

    /// Whether the command has ended and the end is not on disk yet.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        matches!(self.phase, Phase::Draining(_))
    }

    /// Whether the end is on disk.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.phase == Phase::Finished
    }

    /// Takes up where a predecessor had written the end.
    pub fn resume_finished(&mut self) {
        self.phase = Phase::Finished;
        self.record_due = None;
    }

    /// What is due now, one thing at a time; ask until there is nothing.
    pub fn due(&mut self, now: Instant) -> Option<Action> {
        for stream in Stream::BOTH {
            let flow = &mut self.flows[stream.index()];
            if flow.part_due().is_some_and(|due| due <= now) {
                flow.waiting_since = None;
                self.changed();
                return Some(Action::FlushPart(stream));
            }
        }
        if self.drained().is_some_and(|due| due <= now) {
            self.phase = Phase::Finished;
            self.record_due = None;
            return Some(Action::Finish { left_open: self.flows.iter().any(|flow| flow.open) });
        }
        if self.record_wanted().is_some_and(|due| due <= now) {
            self.record_due = None;
            self.record_written = now;
            self.files_checked = now;
            return Some(Action::WriteRecord);
        }
        if self.files_due().is_some_and(|due| due <= now) {
            self.files_checked = now;
            return Some(Action::CheckFiles);
        }
        None
    }

    /// When something will be due if nothing happens.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let parts = self.flows.iter().filter_map(Flow::part_due);
        parts.chain(self.drained()).chain(self.record_wanted()).chain(self.files_due()).min()
    }

    /// When the command's output counts as complete; `None` while the pipe still owes some.
    fn drained(&self) -> Option<Instant> {
        let Phase::Draining(ended) = self.phase else { return None };
        if self.minds_tree || self.flows.iter().any(|flow| flow.owes) {
            return None;
        }
        let idle = self.flows.iter().filter(|flow| flow.open).map(|flow| flow.last_bytes.max(ended)).max();
        Some(idle.map_or(ended, |since| (since + DRAIN_IDLE).min(ended + DRAIN_MOST)))
    }

    fn record_wanted(&self) -> Option<Instant> {
        let underway = matches!(self.phase, Phase::Waiting | Phase::Running | Phase::Draining(_));
        if !underway || !self.keeps_record {
            return None;
        }
        let refresh = self.record_written + RECORD_REFRESH;
        Some(self.record_due.map_or(refresh, |due| due.min(refresh)))
    }

    fn files_due(&self) -> Option<Instant> {
        let underway = matches!(self.phase, Phase::Waiting | Phase::Running);
        (underway && self.keeps_record).then(|| self.files_checked + FILES_CHECK)
    }
}

impl Flow {
    fn part_due(&self) -> Option<Instant> {
        self.waiting_since.map(|since| (since + PART_WAITING).min(self.last_bytes + PART_IDLE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn running(t: Instant) -> Machine {
        let mut machine = Machine::new(t, true);
        machine.started(t);
        assert_eq!(machine.due(t + 20 * MS), Some(Action::WriteRecord));
        machine
    }

    #[test]
    fn a_partial_line_waits_for_its_rest_but_not_for_long() {
        let t = Instant::now();
        let mut machine = running(t);
        let t = t + 20 * MS;
        machine.output(Stream::Stdout, true, t);
        assert_eq!(machine.due(t + 99 * MS), None);
        assert_eq!(machine.due(t + 100 * MS), Some(Action::FlushPart(Stream::Stdout)));
        // One that keeps growing.
        let t = t + 100 * MS;
        for n in 0..10 {
            assert_eq!(machine.due(t + 50 * n * MS).filter(|a| *a != Action::WriteRecord), None, "{n}");
            machine.output(Stream::Stdout, true, t + 50 * n * MS);
        }
        assert_eq!(machine.due(t + 500 * MS), Some(Action::FlushPart(Stream::Stdout)));
        // One that is completed.
        machine.output(Stream::Stdout, true, t + 600 * MS);
        machine.output(Stream::Stdout, false, t + 601 * MS);
        assert_eq!(machine.flows[0].part_due(), None);
    }

    #[test]
    fn the_record_is_written_at_most_twice_a_second_and_soon() {
        let start = Instant::now();
        let mut machine = running(start);
        let mut writes = Vec::new();
        for n in 1..3000_u32 {
            let now = start + 20 * MS + n * MS;
            if n < 2000 {
                machine.output(Stream::Stderr, false, now);
            }
            while let Some(action) = machine.due(now) {
                assert_eq!(action, Action::WriteRecord);
                writes.push(n);
            }
        }
        assert!(writes.windows(2).all(|w| w[1] - w[0] >= 500), "{writes:?}");
        assert_eq!(writes.len(), 4, "the last change lands without more output: {writes:?}");
    }

    #[test]
    fn a_quiet_task_is_refreshed_and_its_files_looked_after() {
        let start = Instant::now();
        let mut machine = running(start);
        let mut wakes = 0;
        let mut now = start + 20 * MS;
        let end = start + Duration::from_secs(60);
        while let Some(next) = machine.deadline().filter(|next| *next <= end) {
            assert!(next > now);
            now = next;
            wakes += 1;
            assert!(machine.due(now).is_some());
            assert_eq!(machine.due(now), None);
        }
        assert!((2..=6).contains(&wakes), "{wakes} wake-ups in a minute");
    }

    #[test]
    fn the_end_waits_for_the_streams_but_not_for_strangers() {
        let t = Instant::now();
        let both = |machine: &mut Machine| Stream::BOTH.into_iter().for_each(|s| machine.closed(s));
        // All closed: at once.
        let mut machine = running(t);
        let t = t + 20 * MS;
        both(&mut machine);
        assert_eq!(machine.due(t), None, "not before the command has ended");
        machine.ended(t);
        assert_eq!(machine.due(t), Some(Action::Finish { left_open: false }));
        assert_eq!(machine.due(t), None);
        // A quiet stranger: after the idle time.
        let mut machine = running(t);
        let t = t + 20 * MS;
        machine.ended(t);
        assert_eq!(machine.due(t + 99 * MS), None);
        assert_eq!(machine.due(t + 100 * MS), Some(Action::Finish { left_open: true }));
        assert_eq!(machine.due(t + 10_000 * MS), None, "and then it is listened to");
        // A stranger that keeps talking: at the deadline, which is computed once.
        let mut machine = running(t);
        let t = t + 20 * MS;
        machine.ended(t);
        for n in 0..40 {
            machine.output(Stream::Stdout, false, t + 50 * n * MS);
            assert_eq!(machine.due(t + 50 * n * MS).filter(|a| *a != Action::WriteRecord), None);
        }
        assert_eq!(machine.due(t + 2000 * MS), Some(Action::Finish { left_open: true }));
        // One that is made to end: once nothing is left of it.
        let mut machine = running(t);
        let t = t + 20 * MS;
        both(&mut machine);
        machine.mind_tree(true);
        machine.ended(t);
        assert_eq!(machine.due(t + 400 * MS), None);
        machine.mind_tree(false);
        assert_eq!(machine.due(t + 400 * MS), Some(Action::Finish { left_open: false }));
        // What the command wrote before its end is waited for, however long.
        let mut machine = running(t);
        let t = t + 20 * MS;
        machine.ended(t);
        machine.owes(Stream::Stdout, true);
        assert_eq!(machine.due(t + 20_000 * MS), None);
        machine.owes(Stream::Stdout, false);
        assert_eq!(machine.due(t + 20_000 * MS), Some(Action::Finish { left_open: true }));
    }
}
