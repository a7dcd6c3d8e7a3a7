//! The times of a task's lines, from the index beside its log.
//!
//! Where nobody knows them, lines have none, and a place of the same width is left free: other tools' logs, and what was written
//! while the index could not be. That is said once.

use std::fs::File;

use chrono::Local;

use crate::log::times::Times;
use crate::observe::Subject;
use crate::store::load;
use crate::task::moment::{self, COLUMNS};
use crate::view::log::When;

/// How a line's time is shown before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Style {
    /// The time of the day.
    Absolute,
    /// The time since the task's start.
    Relative,
}

/// Tells when lines were written.
#[derive(Debug)]
pub struct Stamps<'a> {
    subject: Subject<'a>,
    /// None for what only scripts read.
    style: Option<Style>,
    times: Option<Times<File>>,
    /// The index is looked for once for each piece that is written: a task under way may not have one yet.
    may_look: bool,
    /// When the task started, once it has been asked for.
    start: Option<Option<u64>>,
    /// A line without a time was shown, of a log without an index, and that has not been said.
    to_say: bool,
    was_said: bool,
}

impl<'a> Stamps<'a> {
    /// The times of the lines of `subject`, to be shown in `style`.
    #[must_use]
    pub fn new(subject: &Subject<'a>, style: Option<Style>) -> Self {
        let subject = *subject;
        Self { subject, style, times: None, may_look: true, start: None, to_say: false, was_said: false }
    }

    /// When what begins at `offset` of the log was written.
    pub fn of(&mut self, offset: u64) -> When {
        if self.times.is_none() && std::mem::take(&mut self.may_look) {
            self.times = self.subject.open_times();
        }
        // What cannot be read is not known.
        let time = self.times.as_mut().and_then(|times| times.at(offset).unwrap_or(None));
        self.to_say |= self.times.is_none() && self.style.is_some();
        When { time, shown: self.style.map(|style| self.show(style, time)).unwrap_or_default() }
    }

    fn show(&mut self, style: Style, time: Option<u64>) -> String {
        let shown = match (style, time) {
            (_, None) => String::new(),
            (Style::Absolute, Some(time)) => moment::clock(time, &Local),
            (Style::Relative, Some(time)) => {
                let start = *self.start.get_or_insert_with(|| start(&self.subject));
                start.map(|start| moment::since(time, start)).unwrap_or_default()
            }
        };
        format!("{shown:>COLUMNS$} ")
    }

    /// All that there was has been written. Gives what is to be said beside it.
    pub fn flushed(&mut self) -> Option<String> {
        self.may_look = true;
        let now = std::mem::take(&mut self.to_say) && !std::mem::replace(&mut self.was_said, true);
        now.then(|| unknown(&self.subject))
    }

    /// The log is not what the index was made for.
    pub fn forget(&mut self) {
        self.times = None;
        self.may_look = false;
    }
}

/// That there are no times.
pub fn unknown(subject: &Subject<'_>) -> String {
    format!("no times are known for the lines of '{}'", subject.id)
}

/// When the task started.
fn start(subject: &Subject<'_>) -> Option<u64> {
    let record = load::read_record(subject.dir, subject.id).ok();
    moment::started(subject.id, &record.unwrap_or_default())
}
