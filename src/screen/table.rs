//! The table of tasks, drawn anew whenever one of them changes: `gco tasks list --watch`.
//!
//! Only as many tasks are looked at as the screen has rows for.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Face, News, Pace};
use crate::store::Task;
use crate::store::wait::HEARTBEAT;
use crate::sys::pty::Size;
use crate::sys::watch::Watch;
use crate::sys::{time, window};
use crate::task::line::Place;
use crate::task::record::field;
use crate::task::{Past, TaskId};
use crate::view::paint::Paint;
use crate::view::table::Table;
use crate::view::words::cut;
use crate::view::{Shown, Style};

/// How long a time is shown in seconds, and so changes with each.
const IN_SECONDS: i64 = 60;
/// How often a screen is looked at where no time changes but in minutes.
const QUIET: Duration = Duration::from_secs(60);

/// What is known of a task that is not in its record.
#[derive(Debug, Default)]
pub struct Beside {
    /// Where it stands in line.
    pub place: Option<Place>,
    /// The runs of its command before it.
    pub past: Option<Past>,
}

/// A row of the table.
#[derive(Debug)]
pub enum Row {
    /// A task, and what was looked up about it.
    Task(Box<Task>, Beside),
    /// A record that cannot be read: of which task, when it was written in seconds since 1970, and why.
    Unreadable(TaskId, i64, String),
}

impl Row {
    /// Adds it to `table`.
    pub fn add_to(&self, table: &mut Table) {
        match self {
            Row::Task(task, beside) => table.add(&shown(task, beside)),
            Row::Unreadable(id, written, error) => table.add_unreadable(id, *written, error),
        }
    }

    fn is_live(&self) -> bool {
        matches!(self, Row::Task(task, _) if task.state.is_live())
    }

    /// Whether it looks different with each second.
    fn changes(&self, now: i64) -> bool {
        self.is_live()
            || match self {
                Row::Task(task, _) => task.record.time(field::STARTED_AT),
                Row::Unreadable(_, written, _) => Some(*written),
            }
            .is_some_and(|at| now.saturating_sub(at) < IN_SECONDS)
    }
}

/// `task` as it is shown.
#[must_use]
pub fn shown<'a>(task: &'a Task, beside: &'a Beside) -> Shown<'a> {
    let Task { id, record, state, is_alive } = task;
    let (place, past) = (beside.place.as_ref(), beside.past.as_ref());
    Shown { id, record, state: *state, is_alive: *is_alive, place, past }
}

/// What there is to show.
#[derive(Debug, Default)]
pub struct Picture {
    /// The rows, newest first.
    pub rows: Vec<Row>,
    /// How many older tasks were not looked at.
    pub rest: usize,
    /// Whether there are tasks at all.
    pub any: bool,
}

/// Shows what `gather` gives, which is told for how many rows there is room, until `q` or Ctrl-C. `path` is the status directory.
/// Gives the exit code.
///
/// # Errors
/// There is no terminal, or what `gather` says.
pub fn watch(path: &Path, mut gather: impl FnMut(usize) -> Result<Picture>) -> Result<i32> {
    let instead = "leave out --watch; 'gco tasks events --follow' tells a script what changes";
    let mut face = Face::open("--watch", instead)?;
    let mut watch = Watch::like(path, tells);
    let mut pace = Pace::new(Instant::now());
    let colour = window::takes_colour();
    let mut picture = Picture::default();
    loop {
        let size = face.size();
        if pace.looks(Instant::now()) {
            // The headings and the last row are not for tasks.
            picture = gather(usize::from(size.rows).saturating_sub(2).max(1))?;
        }
        let now = time::now();
        face.show(&draw(&picture, size, colour, now))?;
        let changes = picture.rows.iter().any(|row| row.changes(now));
        let most = pace.left(Instant::now(), if changes { HEARTBEAT } else { QUIET });
        match face.wait(&mut watch, most)? {
            News::Changed => pace.changed(Instant::now()),
            News::Redraw | News::Nothing => pace.hurry(Instant::now()),
            News::Keys if leaves()? => return Ok(0),
            // Something may have changed as well.
            News::Keys => pace.changed(Instant::now()),
            News::End(signal) => return Ok(face.end_by(signal)),
        }
    }
}

/// Whether what happens to the file of this name tells about a task: its record, or a lock.
pub(super) fn tells(name: &OsStr) -> bool {
    name.to_str()
        .is_some_and(|name| (name.ends_with(".json") && !name.starts_with('.')) || name.ends_with(".lock"))
}

/// Reads what was typed: whether that is to leave. A terminal that has gone is left as well.
fn leaves() -> io::Result<bool> {
    let mut keys = [0; 256];
    match nix::unistd::read(io::stdin().as_fd(), &mut keys) {
        Ok(0) | Err(nix::errno::Errno::EIO) => Ok(true),
        Ok(count) => Ok(keys.iter().take(count).any(|key| matches!(key, b'q' | b'Q' | 3))),
        Err(nix::errno::Errno::EINTR | nix::errno::Errno::EAGAIN) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// What draws `picture` on a screen of this `size`.
fn draw(picture: &Picture, size: Size, colour: bool, now: i64) -> String {
    let columns = usize::from(size.columns);
    let mut table = Table::new(Style { width: Some(columns), colour, now }).with_bars();
    for row in &picture.rows {
        row.add_to(&mut table);
    }
    let mut lines: Vec<String> = table.lines().collect();
    if !picture.any {
        lines.push(cut("no tasks yet; start one with 'gco run -- COMMAND'", columns));
    } else if picture.rows.is_empty() {
        lines.push(cut("no task is like that", columns));
    }
    let last = usize::from(size.rows).saturating_sub(1);
    lines.truncate(last);
    lines.resize(last, String::new());
    let mut line = String::new();
    Paint::Dim.put(&mut line, &cut(&footer(picture), columns), colour);
    lines.push(line);
    // Shown at once, where the terminal knows how.
    let mut text = String::from("\x1b[?2026h");
    for (line, row) in lines.iter().zip(1..) {
        // Emptied first: behind a line that fills the row its last character would go.
        // Writing to a String cannot fail.
        let _ = write!(text, "\x1b[{row};1H\x1b[K{line}");
    }
    text.push_str("\x1b[?2026l");
    text
}

/// What the last row says.
fn footer(picture: &Picture) -> String {
    let live = picture.rows.iter().filter(|row| row.is_live()).count();
    let mut words = format!("q quits   {live} under way");
    if picture.rest > 0 {
        // Writing to a String cannot fail.
        let _ = write!(words, ", {} older not shown", picture.rest);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Record, State};

    const NOW: i64 = 1_795_257_472;

    fn row(id: &str, state: State, record: &str) -> Result<Row, Box<dyn std::error::Error>> {
        let record = Record::from_bytes(record.as_bytes())?;
        Ok(Row::Task(
            Box::new(Task { id: TaskId::parse(id)?, record, state, is_alive: None }),
            Beside::default(),
        ))
    }

    fn rows(text: &str) -> Vec<String> {
        text.split("\x1b[K").skip(1).map(|row| row.split('\x1b').next().unwrap_or("").to_owned()).collect()
    }

    #[test]
    fn a_screen_is_filled_and_not_more() -> Result<(), Box<dyn std::error::Error>> {
        let running = r#"{"started_at":"2026-11-21T10:34:12Z","stacks_completed":3,"stacks_total":12,"last_message":"\u001b[2Jx"}"#;
        let ended = r#"{"started_at":"2026-11-21T09:34:12Z","duration_ms":450}"#;
        let mut picture = Picture { rows: Vec::new(), rest: 7, any: true };
        picture.rows.push(row("cargo-1795257252000-0", State::Running, running)?);
        for number in 0..5 {
            picture.rows.push(row(&format!("old-179525725200{number}-0"), State::Failed, ended)?);
        }
        let size = Size { rows: 5, columns: 80, width: 0, height: 0 };
        assert_eq!(
            rows(&draw(&picture, size, false, NOW)),
            [
                "TASK                   STATE    STARTED  TIME   PROGRESS         LAST MESSAGE",
                "cargo-1795257252000-0  running  3m ago   3m40s  ██▌░░░░░░░  25%  x",
                "old-1795257252000-0    failed   1h ago   450ms",
                "old-1795257252001-0    failed   1h ago   450ms",
                "q quits   1 under way, 7 older not shown",
            ]
        );
        assert!(picture.rows[0].changes(NOW) && !picture.rows[1].changes(NOW));
        for (rows_there, columns) in [(1, 1), (2, 5), (24, 1)] {
            let size = Size { rows: rows_there, columns, ..size };
            assert_eq!(rows(&draw(&picture, size, false, NOW)).len(), usize::from(rows_there));
        }
        Ok(())
    }

    #[test]
    fn nothing_is_said_to_be_nothing() {
        let size = Size { rows: 3, columns: 60, width: 0, height: 0 };
        let shown = |any| rows(&draw(&Picture { any, ..Picture::default() }, size, false, NOW));
        assert_eq!(shown(false)[0], "no tasks yet; start one with 'gco run -- COMMAND'");
        assert_eq!(shown(true), ["no task is like that", "", "q quits   0 under way"]);
    }
}
