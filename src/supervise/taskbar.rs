//! Progress in the title or taskbar of the terminal at which gco's caller sits.
//!
//! What the command shows is never torn: it stands between two of its characters and sequences, and not while the alternate
//! screen is shown. A command that shows its own progress there is left alone. Whatever becomes of the command, of this process and
//! of the caller, the terminal is told in the end that there is no progress any more.
//!
//! No variable is set to make programs send the sequence. Those that ask look at what the terminal sets, which they find as it is; the
//! one variable that only asks for the sequence is cargo's, and it would outweigh what the user has configured there. What
//! cargo would send stands in its bar, too, which is recognised.

use super::control::{Cell, Control, Phase};
use super::supervisor::Supervisor;
use super::viewer::Viewer;
use crate::task::taskbar::{CLEAR, Place, show};

/// What a viewer's terminal shows of progress.
#[derive(Debug, Default)]
pub struct Bar {
    /// Where what the terminal has been shown ends.
    pub place: Place,
    /// What is shown.
    shown: Option<u8>,
}

/// More than all of it: a predecessor has shown something.
const UNKNOWN: u8 = u8::MAX;

impl Bar {
    /// One that a predecessor may have shown.
    pub(super) fn from(control: Control) -> Self {
        Self { place: Place::default(), shown: control.is_bar_shown().then_some(UNKNOWN) }
    }

    /// Takes back what is shown, for good.
    pub(super) fn end(&mut self) -> Option<&'static str> {
        self.shown.take().map(|_| CLEAR)
    }
}

impl Supervisor {
    /// Takes note of how far the command is by now.
    pub(super) fn note_share(&mut self) {
        let is_own = self.gauge.tells_terminals();
        let progress = if is_own { None } else { self.gauge.progress() };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to 100")]
        let share = progress.and_then(|progress| progress.percent()).map(|percent| percent as u8);
        self.share = share;
    }

    /// Shows it to gco's caller, or no more, if that has changed and may be now.
    pub(super) fn mind_bar(&mut self) {
        let Some(at) = self.seat_at().filter(|&at| self.display.viewers[at].bar.is_some()) else { return };
        let control = self.handover.control;
        let is_on = control.phase() == Phase::Underway
            && control.is_attempt_underway()
            && control.exit().is_none()
            && !self.told_stopped
            && !control.is_behind();
        let share = self.share.filter(|_| is_on);
        let is_covered = self.display.screen.is_alternate();
        let viewer = &mut self.display.viewers[at];
        // Where the command goes on nothing is torn, not even to take progress back.
        if !viewer.may_show_bar(share, is_on, is_covered) {
            return;
        }
        // Announced before: a successor is to take it back.
        control.set_bar_shown(true);
        viewer.show_bar(share);
        control.set_bar_shown(share.is_some());
    }
}

impl Viewer {
    /// Whether `share` is something else than is shown, and may be shown here and now.
    fn may_show_bar(&self, share: Option<u8>, is_on: bool, is_covered: bool) -> bool {
        let Some(bar) = &self.bar else { return false };
        let is_left = !bar.place.is_used() || share.is_none();
        let is_free = !self.shows() || (bar.place.is_between() && is_left && !is_covered);
        bar.shown != share && !self.is_stopped() && self.is_up_to_date() && (is_free || !is_on)
    }

    fn show_bar(&mut self, share: Option<u8>) {
        let Some(bar) = &mut self.bar else { return };
        let is_used = bar.place.is_used();
        bar.shown = share;
        let sequence = share.map_or(CLEAR.to_owned(), show);
        if share.is_some() || !is_used {
            // A terminal that has gone is found out by polling.
            let _ = self.write(sequence.as_bytes());
        }
    }
}

/// gco shows progress on the caller's terminal: see `viewing` for the others.
const BAR: u64 = 4;

impl Control {
    /// Whether gco shows progress on the caller's terminal.
    #[must_use]
    pub fn is_bar_shown(&self) -> bool {
        self.get(Cell::Viewing) & BAR != 0
    }

    /// Says so, before it is, or after it has been taken back.
    pub fn set_bar_shown(&self, shown: bool) {
        self.set_viewing(BAR, shown);
    }
}
