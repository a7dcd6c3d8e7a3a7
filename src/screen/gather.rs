//! What `gco tasks top` looks up: the newest tasks, and the end of one's log.
//!
//! Records of tasks that are over are kept until something happens to them: with a thousand of those a look costs no more than
//! with one.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;

use super::app::{Item, LogLine};
use super::table::{Beside, Row, shown};
use crate::failure::{Failure, io_words};
use crate::log::join::{Choice, Origin};
use crate::log::last::{Wanted, last};
use crate::observe::Subject;
use crate::store::history::History;
use crate::store::line::Places;
use crate::store::liveness::Here;
use crate::store::load::LoadError;
use crate::store::scan::{self, NewestFirst};
use crate::store::{StatusDir, load};
use crate::sys::descriptors::is_same;
use crate::sys::time;
use crate::sys::watch::Watch;
use crate::task::{Progress, Silence, State, Stream, TaskId, span, text};
use crate::view::Style;
use crate::view::panel::{self, Around};
use crate::view::why::Why;
use crate::view::words::one_line;

/// How many of the newest tasks there are to choose from.
const MOST_TASKS: usize = 500;

/// What of a log is looked at.
const LOG: Wanted =
    Wanted { lines: 2000, choice: Choice::ALL, look_at_most: 1024 * 1024, longest_line: 8 * 1024 };

/// What has been looked up.
#[derive(Debug)]
pub struct Gathered {
    here: Here,
    rows: HashMap<TaskId, Row>,
    history: History,
    /// The log that is watched.
    log: Option<File>,
}

impl Gathered {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self { here: Here::ask(), rows: HashMap::new(), history: History::new(), log: None }
    }

    /// The newest tasks. `heard` are the names that something happened to; none if there may be others.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn tasks(
        &mut self,
        dir: Option<&StatusDir>,
        heard: Option<Vec<OsString>>,
    ) -> Result<Vec<Item>, Failure> {
        let Some(dir) = dir else {
            self.rows.clear();
            return Ok(Vec::new());
        };
        let listed = scan::records(dir).map_err(|error| dir.unreadable(&error))?;
        let mut before = std::mem::take(&mut self.rows);
        match &heard {
            Some(names) => {
                for name in names.iter().filter_map(|name| name.to_str()) {
                    let stem = name.trim_start_matches('.').rsplit_once('.').map_or(name, |(stem, _)| stem);
                    if let Ok(id) = TaskId::parse(stem) {
                        before.remove(&id);
                    }
                }
            }
            None => before.clear(),
        }
        let now = time::now();
        let mut items = Vec::new();
        let mut tasks = NewestFirst::from(listed);
        self.history.begin_look();
        while items.len() < MOST_TASKS
            && let Some(listed) = tasks.next()
        {
            let row = match before.remove(&listed.id).filter(is_over) {
                Some(row) => row,
                None => match load(dir, &listed.id, &self.here) {
                    Ok(task) => {
                        // What is left is older than it.
                        let past = self.history.of(dir, &task, &tasks, now);
                        Row::Task(Box::new(task), Beside { place: None, past })
                    }
                    // Removed since its name was read.
                    Err(LoadError::Missing) => continue,
                    Err(error) => Row::Unreadable(listed.id.clone(), 0, error.to_string()),
                },
            };
            items.push(item(&listed.id, &row, now));
            self.rows.insert(listed.id, row);
        }
        Ok(items)
    }

    /// The end of the log of task `id`, which is watched from now on.
    pub fn log(&mut self, dir: &StatusDir, id: &TaskId, watch: &mut Watch) -> Vec<LogLine> {
        let subject = Subject { dir, id, here: &self.here };
        let word = |text: String| vec![LogLine { offset: 0, is_aside: true, text }];
        let log = match subject.open_log() {
            Ok(Some(log)) => log,
            Ok(None) => return Vec::new(),
            Err(failure) => return word(one_line(failure.message())),
        };
        if !self.log.as_ref().is_some_and(|old| is_same(old, &log).unwrap_or(false)) {
            // The watch first: what is written while it is read is then told.
            watch.watch_file(&log);
        }
        let found = last(&log, &LOG);
        self.log = Some(log);
        match found {
            Ok(found) => found
                .lines
                .into_iter()
                .map(|line| LogLine {
                    offset: line.log_offset,
                    is_aside: matches!(line.origin, Origin::Gco | Origin::Stream(Stream::Stderr)),
                    text: text::plain(&line.payload),
                })
                .collect(),
            Err(error) => word(one_line(subject.unreadable_log(&error).message())),
        }
    }

    /// Everything about task `id`, in so many `columns`.
    #[must_use]
    pub fn panel(&self, dir: &StatusDir, id: &TaskId, columns: usize) -> Vec<String> {
        match self.rows.get(id) {
            Some(Row::Task(task, Beside { past, .. })) => {
                let beside = Beside { place: Places::new().of(dir, task), past: past.clone() };
                let log = match &self.log {
                    Some(log) => log.metadata().map(|meta| meta.len()).map_err(|error| io_words(&error)),
                    None => Err("there is none".to_owned()),
                };
                let subject = Subject { dir, id, here: &self.here };
                let why = Why::of(id, &task.record, task.state, self.log.as_ref(), subject.open_times());
                let around = Around { log_path: dir.log(id).to_string_lossy().into_owned(), log, why };
                let style = Style { width: Some(columns), colour: false, now: time::now() };
                panel::lines(&shown(task, &beside), &around, style)
            }
            Some(Row::Unreadable(_, _, error)) => vec![one_line(error)],
            None => Vec::new(),
        }
    }

    /// Another task's log is looked at from now on.
    pub fn forget_log(&mut self) {
        self.log = None;
    }
}

/// Whether nothing more becomes of it unless something happens to its files.
fn is_over(row: &Row) -> bool {
    matches!(row, Row::Task(task, _) if !task.state.is_live() && task.state != State::Orphaned)
}

fn item(id: &TaskId, row: &Row, now: i64) -> Item {
    let Row::Task(task, beside) = row else {
        let words = format!("{id} unreadable").to_lowercase();
        let (id, time) = (id.clone(), String::new());
        return Item { id, state: None, time, percent: None, is_estimate: false, silence: None, words };
    };
    let mut words = format!("{id} {}", task.state);
    for (key, value) in task.record.labels() {
        words.push_str(&format!(" {key}={value}"));
    }
    let shown = shown(task, beside);
    let told = Progress::of(&task.record).filter(|_| task.state == State::Running);
    let estimate = shown.estimate(now);
    Item {
        id: id.clone(),
        state: Some(task.state),
        time: shown.elapsed(now).map(span::brief).unwrap_or_default(),
        percent: estimate.map(|estimate| estimate.percent).or_else(|| told?.percent()),
        is_estimate: estimate.is_some(),
        silence: shown.silence(now).filter(Silence::is_unusual),
        words: words.to_lowercase(),
    }
}
