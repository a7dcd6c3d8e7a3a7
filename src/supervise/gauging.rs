//! How far the command is: what its output and its own script say, taken down before each record is written.

use super::supervisor::Supervisor;
use crate::store::load;
use crate::task::record::field;

impl Supervisor {
    /// Takes up what a predecessor knew and nobody can find out again: all else is in the log, and in what was told.
    pub(super) fn recall_gauge(&mut self) {
        let Some(tracking) = &self.handover.tracking else { return };
        // Before what was told otherwise is read once more.
        let status = self.handover.control.status();
        if let Ok(record) = load::read_record(&tracking.dir, &self.handover.facts.id) {
            self.gauge.units.at_least(record.count(field::STACKS_COMPLETED).unwrap_or(0));
        }
        self.measure(true);
        if let Some(words) = status {
            self.take_status(&words);
        }
    }

    /// Looks how far the command is by now. With `all` nothing is passed over that can be helped.
    pub(super) fn measure(&mut self, all: bool) {
        self.hear_told();
        self.hear_notified();
        if let Some(log) = self.handover.journal.file().filter(|_| self.handover.tracking.is_some()) {
            // A log that cannot be read says nothing; that it cannot is said elsewhere.
            let _ = self.gauge.read(log, self.handover.journal.size(), all);
        }
        self.note_share();
    }

    /// Hears what the command's own script says.
    pub(super) fn hear_told(&mut self) {
        let Some(tracking) = &self.handover.tracking else { return };
        for word in self.told.hear(&tracking.dir, &self.handover.facts.id) {
            if let Some(unit) = &word.unit {
                self.gauge.units.done(unit);
            }
            if word.progress.is_some() {
                self.gauge.told = word.progress;
                self.handover.control.set_status("");
            }
            self.machine.changed();
        }
    }
}
