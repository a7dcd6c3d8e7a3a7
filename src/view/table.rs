//! The table of tasks: one line each, whatever is in their records, and no wider than the screen.
//!
//! Columns are as wide as what is in them. The last message gets what is left; where that is too little to
//! read, the columns one can do without make room.

use super::bar::bar;
use super::paint::Paint;
use super::words::{ago, cut, cut_middle, one_line, width};
use super::{Shown, Style, hints};
use crate::task::record::field;
use crate::task::{Progress, State, TaskId, span};

const TASK: usize = 0;
const STATE: usize = 1;
const STARTED: usize = 2;
const TIME: usize = 3;
const PROGRESS: usize = 4;
const MESSAGE: usize = 5;
const HEADINGS: [&str; 6] = ["TASK", "STATE", "STARTED", "TIME", "PROGRESS", "LAST MESSAGE"];

/// Blanks between two columns.
const GAP: usize = 2;

/// The columns an id may always take; beyond, it gets a share of the width.
const ID_ROOM: usize = 24;

/// The fewest columns in which a message can be read.
const MESSAGE_ROOM: usize = 12;

/// The cells of a bar, and those where there is little room.
const BAR: usize = 10;
const SHORT_BAR: usize = 5;
/// From so many columns on there is room.
const ROOMY: usize = 72;
/// From so many on there is room for the time that is left.
const VERY_ROOMY: usize = 100;

/// A table that is being filled.
#[derive(Debug)]
pub struct Table {
    style: Style,
    /// How far those are that run is shown as a bar.
    bars: bool,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    cells: [String; 6],
    state: Paint,
    message: Paint,
}

impl Table {
    /// An empty table.
    #[must_use]
    pub fn new(style: Style) -> Self {
        Self { style, bars: false, rows: Vec::new() }
    }

    /// The same with bars for those that run, for a screen that is looked at.
    #[must_use]
    pub fn with_bars(self) -> Self {
        Self { bars: true, ..self }
    }

    fn progress(&self, task: &Shown<'_>) -> Option<String> {
        let has = |columns| self.style.width.is_none_or(|width| width >= columns);
        let bar = |percent| bar(percent, if has(ROOMY) { BAR } else { SHORT_BAR });
        if let Some(estimate) = task.estimate(self.style.now) {
            return Some(match self.bars {
                true => format!("{} {:>4}", bar(estimate.percent), hints::percent(&estimate)),
                false if has(VERY_ROOMY) => hints::brief_estimate(&estimate),
                false => hints::percent(&estimate),
            });
        }
        let percent = Progress::of(task.record).and_then(|progress| progress.percent());
        match percent.filter(|_| self.bars && task.state == State::Running) {
            // Like the bar, it says 100 at the end only.
            Some(percent) => Some(format!("{} {:>3.0}%", bar(percent), percent.floor())),
            None => task.progress(),
        }
    }

    /// What it waits for, that it is silent, or what it said last.
    fn message(&self, task: &Shown<'_>) -> Option<String> {
        let said = || task.line(field::LAST_MESSAGE).or_else(|| task.line(field::ERROR));
        if let Some(silent) = task.silence(self.style.now).as_ref().and_then(hints::silence) {
            return Some(said().map_or_else(|| silent.clone(), |said| format!("{silent}; {said}")));
        }
        task.waits_for().or_else(said)
    }

    /// Adds a task.
    pub fn add(&mut self, task: &Shown<'_>) {
        let message = self.message(task).unwrap_or_default();
        self.push(
            [
                task.id.to_string(),
                task.state.to_string(),
                task.record.time(field::STARTED_AT).map(|at| ago(at, self.style.now)).unwrap_or_default(),
                task.elapsed(self.style.now).map(span::brief).unwrap_or_default(),
                self.progress(task).unwrap_or_default(),
                message,
            ],
            Paint::State(task.state),
            Paint::Plain,
        );
    }

    /// Adds a task whose record cannot be read. `written` is what its name or its file say of its time, in seconds
    /// since 1970.
    pub fn add_unreadable(&mut self, id: &TaskId, written: i64, error: &str) {
        let started = ago(written, self.style.now);
        let message = one_line(error);
        let cells = [id.to_string(), "unreadable".to_owned(), started, String::new(), String::new(), message];
        self.push(cells, Paint::Bad, Paint::Bad);
    }

    fn push(&mut self, mut cells: [String; 6], state: Paint, message: Paint) {
        if let Some(width) = self.style.width {
            // A record may say a lot; no more of it is kept than can be shown.
            cells[MESSAGE] = cut(&cells[MESSAGE], width);
        }
        self.rows.push(Row { cells, state, message });
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines of the table, headings first. Without rows there are none.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let widths = self.layout();
        let headings = (!self.is_empty()).then(|| {
            let cells = HEADINGS.map(str::to_owned);
            self.line(&cells, [Paint::Dim; 6], &widths)
        });
        headings.into_iter().chain(self.rows.iter().map(move |row| {
            let paints = [Paint::Plain, row.state, Paint::Dim, Paint::Plain, Paint::Plain, row.message];
            self.line(&row.cells, paints, &widths)
        }))
    }

    /// The width of each column; 0 for one that is left out.
    fn layout(&self) -> [usize; 6] {
        let mut widths = [0; 6];
        for (at, widest) in widths.iter_mut().enumerate() {
            *widest = self.rows.iter().map(|row| width(&row.cells[at])).max().unwrap_or(0);
            if *widest > 0 {
                *widest = (*widest).max(HEADINGS[at].len());
            }
        }
        let Some(most) = self.style.width else {
            return widths;
        };
        widths[TASK] = widths[TASK].min(ID_ROOM.max(most / 3));
        widths[STATE] = widths[STATE].min(most);
        widths[TASK] = widths[TASK].min(most.saturating_sub(widths[STATE] + GAP));
        let wanted = widths[MESSAGE].min(MESSAGE_ROOM);
        let left = |widths: &[usize; 6]| {
            let taken: usize =
                widths[..MESSAGE].iter().filter(|width| **width > 0).map(|width| width + GAP).sum();
            // Behind the last one there need be no gap.
            (most + GAP).checked_sub(taken).map(|left| left.saturating_sub(GAP))
        };
        // A bar says more than the times, and goes only where it does not fit.
        let spares = if self.bars { [STARTED, TIME, PROGRESS] } else { [PROGRESS, STARTED, TIME] };
        for spare in spares {
            let enough = if self.bars && spare == PROGRESS { 0 } else { wanted };
            if left(&widths).is_none_or(|left| left < enough) {
                widths[spare] = 0;
            }
        }
        let room = left(&widths).unwrap_or(0);
        widths[MESSAGE] =
            if room < MESSAGE_ROOM / 2 && room < wanted { 0 } else { widths[MESSAGE].min(room) };
        widths
    }

    fn line(&self, cells: &[String; 6], paints: [Paint; 6], widths: &[usize; 6]) -> String {
        let mut line = String::new();
        let mut owed = 0;
        for (at, cell) in cells.iter().enumerate().filter(|(at, _)| widths[*at] > 0) {
            let text = if at == TASK { cut_middle(cell, widths[at]) } else { cut(cell, widths[at]) };
            let taken = width(&text);
            if taken > 0 {
                line.extend(std::iter::repeat_n(' ', owed));
                owed = 0;
                paints[at].put(&mut line, &text, self.style.colour);
            }
            owed += widths[at] - taken + GAP;
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Past, Record};

    const NOW: i64 = 1_795_257_472;

    fn table(width: Option<usize>) -> Result<Table, Box<dyn std::error::Error>> {
        let mut table = Table::new(Style { width, colour: false, now: NOW });
        let running = Record::from_bytes(
            br#"{"started_at":"2026-11-21T10:34:12Z","last_message":"Compiling serde v1.0.2 (3 of 12)\nx","stacks_completed":3,"stacks_total":12}"#,
        )?;
        let failed = Record::from_bytes(
            "{\"started_at\":\"2026-11-21T09:00:00Z\",\"duration_ms\":450,\"error\":\"exit_code=3 漢字\\u001b[2J\"}".as_bytes(),
        )?;
        let id = |text| TaskId::parse(text);
        table.add(&Shown {
            id: &id("cargo-1795257252000-0")?,
            record: &running,
            state: State::Running,
            is_alive: None,
            place: None,
            past: None,
        });
        table.add(&Shown {
            id: &id("backup-1795251600000-0")?,
            record: &failed,
            state: State::Failed,
            is_alive: None,
            place: None,
            past: None,
        });
        table.add_unreadable(&id("x-1795251600000-0")?, NOW - 86_400, "it is empty");
        Ok(table)
    }

    #[test]
    fn columns_are_aligned() -> Result<(), Box<dyn std::error::Error>> {
        let lines: Vec<String> = table(None)?.lines().collect();
        assert_eq!(
            lines,
            [
                "TASK                    STATE       STARTED  TIME   PROGRESS  LAST MESSAGE",
                "cargo-1795257252000-0   running     3m ago   3m40s  3/12      Compiling serde v1.0.2 (3 of 12) x",
                "backup-1795251600000-0  failed      1h ago   450ms            exit_code=3 漢字",
                "x-1795251600000-0       unreadable  1d ago                    it is empty",
            ]
        );
        Ok(())
    }

    #[test]
    fn what_is_guessed_is_marked() -> Result<(), Box<dyn std::error::Error>> {
        let mut past = Past::default();
        past.add(&Record::from_bytes(br#"{"state":"succeeded","duration_ms":350000}"#)?);
        let id = TaskId::parse("build-1795257252000-0")?;
        let row = |width: usize, bars: bool, more: &str| -> Result<String, Box<dyn std::error::Error>> {
            let mut table =
                Table { bars, ..Table::new(Style { width: Some(width), colour: false, now: NOW }) };
            let text = format!(r#"{{"started_at":"2026-11-21T10:34:12Z"{more}}}"#);
            let record = Record::from_bytes(text.as_bytes())?;
            let (state, is_alive) = (State::Running, Some(true));
            table.add(&Shown { id: &id, record: &record, state, is_alive, place: None, past: Some(&past) });
            let lines: Vec<String> = table.lines().collect();
            Ok(lines[1]
                .strip_prefix("build-1795257252000-0  running  3m ago   3m40s  ")
                .unwrap_or("")
                .to_owned())
        };
        assert_eq!(row(120, false, "")?, "~62%, 3m left");
        assert_eq!(row(80, false, "")?, "~62%");
        assert_eq!(row(80, true, "")?, "██████▎░░░ ~62%");
        assert_eq!(row(70, true, "")?, "███▏░ ~62%");
        assert_eq!(row(120, true, r#","stacks_total":4,"stacks_completed":1"#)?, "██▌░░░░░░░  25%");
        let silent = r#","silent_since":"2026-11-21T10:35:12Z","longest_silence_ms":61000"#;
        assert_eq!(row(120, false, silent)?, "~62%, 3m left  silent for 2m (longest before: 1m)");
        let said = format!(r#"{silent},"last_message":"linking""#);
        assert_eq!(row(120, false, &said)?, "~62%, 3m left  silent for 2m (longest before: 1m); linking");
        Ok(())
    }

    #[test]
    fn no_line_is_wider_than_the_screen() -> Result<(), Box<dyn std::error::Error>> {
        for most in 1..120 {
            for line in table(Some(most))?.lines() {
                assert!(width(&line) <= most, "{most}: {line:?}");
            }
        }
        let lines: Vec<String> = table(Some(70))?.lines().collect();
        assert_eq!(lines[1], "cargo-1795257252000-0   running     3m ago   3m40s  Compiling serde v…");
        let lines: Vec<String> = table(Some(80))?.lines().collect();
        assert_eq!(
            lines[1],
            "cargo-1795257252000-0   running     3m ago   3m40s  3/12      Compiling serde v…"
        );
        Ok(())
    }

    #[test]
    fn nothing_to_show_is_no_table() {
        assert_eq!(Table::new(Style { width: None, colour: true, now: NOW }).lines().count(), 0);
    }
}
