//! What the supervisor tells the journal of events, each once, whoever was killed in between.
//!
//! That an event is about to be noted, and that it has been, stands in the control memory. A successor that finds the first
//! and not the second looks it up in the journal; in all other cases nothing is looked up.

use super::control::{Cell, Control};
use super::report::record;
use super::supervisor::Supervisor;
use crate::failure::io_words;
use crate::store::events::{Events, Kind};
use crate::store::{load, replace};
use crate::task::Record;

impl Control {
    /// Says that the event is about to be noted. Whether a predecessor had said so, who was killed then.
    fn begin_telling(self, kind: Kind) -> bool {
        self.mark(about_to(kind))
    }

    fn set_told(self, kind: Kind) {
        self.mark(done(kind));
    }

    /// The task's start was noted by somebody whose memory is gone.
    pub(super) fn set_told_start(self) {
        self.set_told(Kind::Started);
    }

    fn has_told(self, kind: Kind) -> bool {
        self.get(Cell::Events) & done(kind) != 0
    }

    /// Sets a mark, and gives whether it was set.
    fn mark(self, bit: u64) -> bool {
        let before = self.get(Cell::Events);
        self.set(Cell::Events, before | bit);
        before & bit != 0
    }
}

fn about_to(kind: Kind) -> u64 {
    1 << (2 * kind as u64)
}

fn done(kind: Kind) -> u64 {
    about_to(kind) << 1
}

impl Supervisor {
    /// Tells that `kind` has come to pass for the task as it is now.
    pub(super) fn tell_event_now(&mut self, kind: Kind) {
        if self.handover.tracking.is_some() {
            let record = record(&self.handover.facts, &self.status(None));
            self.tell_event(kind, &record);
        }
    }

    /// Tells that the task is over; `record` is on disk. What goes wrong is in the record on disk all the same.
    pub(super) fn tell_event_ended(&mut self, mut record: Record) {
        let known = self.handover.warnings.len();
        self.tell_event(Kind::Ended, &record);
        if self.handover.warnings.len() > known
            && let Some(tracking) = &self.handover.tracking
        {
            record.set(crate::task::record::field::WARNINGS, self.handover.warnings.clone());
            // If it cannot be written either, the disk says so by itself.
            let _ = replace::replace(&tracking.dir, &self.handover.facts.id, &record);
        }
    }

    /// The same, where a predecessor wrote the record.
    pub(super) fn tell_event_ended_before(&mut self) {
        let Some(tracking) = &self.handover.tracking else { return };
        // Without a record there is nothing to be told.
        if let Ok(record) = load::read_record(&tracking.dir, &self.handover.facts.id) {
            self.tell_event(Kind::Ended, &record);
        }
    }

    /// Tells that `kind` has come to pass, once in the life of the task. What goes wrong is a warning.
    pub(super) fn tell_event(&mut self, kind: Kind, record: &Record) {
        let control = self.handover.control;
        let Some(tracking) = &self.handover.tracking else { return };
        if control.has_told(kind) {
            return;
        }
        let (events, id) = (Events::of(&tracking.dir), &self.handover.facts.id);
        let told = if control.begin_telling(kind) {
            events.append_once(kind, id, record).map(drop)
        } else {
            events.append(kind, id, record)
        };
        match told {
            Ok(()) => control.set_told(kind),
            Err(error) => self.handover.warn(format!("an event could not be noted: {}", io_words(&error))),
        }
    }
}
