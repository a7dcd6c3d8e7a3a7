//! What `gco tasks top` shows, and what keys and the mouse make of it. Pure: events and what was looked up go in, and what is
//! to be done comes out.

use std::ops::Range;

use ratatui::crossterm::event::{
    KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};
use ratatui::layout::Position;

use super::draw::{Areas, areas};
use crate::task::{Silence, State, TaskId};

/// A task as it stands in the list. All texts are fit for a screen.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Its id.
    pub id: TaskId,
    /// Its state; none if its record cannot be read.
    pub state: Option<State>,
    /// How long it has been under way, or was.
    pub time: String,
    /// The hundredths that are done, if it runs and that is known,
    pub percent: Option<f64>,
    /// or guessed from earlier runs.
    pub is_estimate: bool,
    /// It is more silent than ever.
    pub silence: Option<Silence>,
    /// What a filter is compared with: its id, its state and its labels, in small letters.
    pub words: String,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Where in the log its last piece begins. Lines are in this order.
    pub offset: u64,
    /// Whether it is the command's stderr, or a word of gco's.
    pub is_aside: bool,
    /// Its text, fit for a screen.
    pub text: String,
}

/// What typed text is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Keys are commands.
    Browse,
    /// Keys are what is searched for in the log.
    Search,
    /// Keys are what tasks are filtered by.
    Filter,
    /// Whether to cancel this task is asked.
    Confirm(TaskId),
    /// The keys are explained.
    Help,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nothing but to draw.
    Draw,
    /// To end.
    Quit,
    /// To cancel this task.
    Cancel(TaskId),
    /// To attach to this task.
    Attach(TaskId),
}

/// The state of the screen.
#[derive(Debug)]
pub struct App {
    /// Columns and rows.
    pub size: (u16, u16),
    all: Vec<Item>,
    /// Those that the filter lets through.
    pub items: Vec<Item>,
    /// Where in them the chosen one is.
    pub chosen: usize,
    /// The first one that is shown.
    pub first: usize,
    /// The log of the chosen one, as much of it as is looked at.
    pub log: Vec<LogLine>,
    /// The panel of the chosen one.
    pub panel: Vec<String>,
    /// The panel is shown in place of the log.
    pub shows_panel: bool,
    /// The last line that is shown, by its offset; none while the log is followed.
    pub anchor: Option<u64>,
    /// What typed text is for.
    pub mode: Mode,
    /// What is searched for, in small letters.
    pub search: String,
    /// What tasks are filtered by.
    pub filter: String,
    /// What there is to say.
    pub message: String,
}

impl App {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(columns: u16, rows: u16) -> Self {
        Self {
            size: (columns, rows),
            all: Vec::new(),
            items: Vec::new(),
            chosen: 0,
            first: 0,
            log: Vec::new(),
            panel: Vec::new(),
            shows_panel: false,
            anchor: None,
            mode: Mode::Browse,
            search: String::new(),
            filter: String::new(),
            message: String::new(),
        }
    }

    /// The chosen task.
    #[must_use]
    pub fn current(&self) -> Option<&Item> {
        self.items.get(self.chosen)
    }

    fn current_id(&self) -> Option<TaskId> {
        self.current().map(|item| item.id.clone())
    }

    /// Takes what the tasks are now. The chosen one stays chosen, wherever it is.
    pub fn set_tasks(&mut self, all: Vec<Item>) {
        self.all = all;
        self.choose_again();
    }

    fn choose_again(&mut self) {
        let before = self.current_id();
        let filter = self.filter.to_lowercase();
        let meets = |item: &&Item| filter.split_whitespace().all(|word| item.words.contains(word));
        self.items = self.all.iter().filter(meets).cloned().collect();
        let there = self.items.iter().position(|item| Some(&item.id) == before.as_ref());
        self.chosen = there.unwrap_or_else(|| self.chosen.min(self.items.len().saturating_sub(1)));
        if self.current_id() != before {
            self.forget_log();
        }
        self.keep_in_view();
    }

    /// Takes what the log of the chosen task is now.
    pub fn set_log(&mut self, log: Vec<LogLine>) {
        self.log = log;
    }

    fn forget_log(&mut self) {
        self.log.clear();
        self.panel.clear();
        self.anchor = None;
    }

    fn areas(&self) -> Areas {
        areas(self.size, self.items.len())
    }

    /// Takes another size.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        self.size = (columns, rows);
        self.keep_in_view();
    }

    fn keep_in_view(&mut self) {
        let rows = usize::from(self.areas().tasks.height).max(1);
        let most = self.items.len().saturating_sub(rows);
        self.first = self.first.clamp((self.chosen + 1).saturating_sub(rows), self.chosen).min(most);
    }

    fn choose(&mut self, at: usize) {
        let at = at.min(self.items.len().saturating_sub(1));
        if at != self.chosen {
            self.chosen = at;
            self.forget_log();
        }
        self.keep_in_view();
    }

    /// The lines of the log that are shown.
    #[must_use]
    pub fn visible(&self) -> Range<usize> {
        let rows = usize::from(self.areas().body.height);
        let end = match self.anchor {
            Some(offset) => self.log.partition_point(|line| line.offset <= offset),
            None => self.log.len(),
        };
        // What was cut off at the beginning leaves no gap at the end.
        let end = end.max(rows.min(self.log.len()));
        end.saturating_sub(rows)..end
    }

    /// Shows the log up to line `end`, which it follows again if that is its last.
    fn scroll_to(&mut self, end: usize) {
        let rows = usize::from(self.areas().body.height);
        let end = end.max(rows).min(self.log.len());
        self.anchor = match end.checked_sub(1).and_then(|last| self.log.get(last)) {
            Some(line) if end < self.log.len() => Some(line.offset),
            _ => None,
        };
    }

    fn scroll(&mut self, by: isize) {
        self.scroll_to(self.visible().end.saturating_add_signed(by));
    }

    /// Whether a line has what is searched for.
    #[must_use]
    pub fn is_found(&self, line: &LogLine) -> bool {
        !self.search.is_empty() && line.text.to_lowercase().contains(&self.search)
    }

    /// Goes to the next line above (or below) `from` that has what is searched for.
    fn find(&mut self, from: usize, above: bool) {
        let has = |at: &usize| self.log.get(*at).is_some_and(|line| self.is_found(line));
        let found = if above { (0..from).rev().find(has) } else { (from..self.log.len()).find(has) };
        match found {
            Some(at) => self.scroll_to(at + 1),
            None if self.search.is_empty() => {}
            None => self.message = format!("no more '{}'", self.search),
        }
    }

    /// A key was pressed.
    pub fn key(&mut self, key: KeyEvent) -> Action {
        if key.kind == KeyEventKind::Release {
            return Action::Draw;
        }
        self.message.clear();
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match (self.mode.clone(), key.code) {
            (_, KeyCode::Char('c')) if is_control => Action::Quit,
            (Mode::Confirm(id), code) => {
                self.mode = Mode::Browse;
                if matches!(code, KeyCode::Char('y' | 'Y')) {
                    return Action::Cancel(id);
                }
                self.message = format!("{id} goes on");
                Action::Draw
            }
            (Mode::Search | Mode::Filter, _) if is_control => Action::Draw,
            (Mode::Search | Mode::Filter, code) => {
                self.typed(code);
                Action::Draw
            }
            (Mode::Help, _) => {
                self.mode = Mode::Browse;
                Action::Draw
            }
            (Mode::Browse, code) => self.command(code),
        }
    }

    fn typed(&mut self, code: KeyCode) {
        let is_filter = self.mode == Mode::Filter;
        let text = if is_filter { &mut self.filter } else { &mut self.search };
        match code {
            KeyCode::Char(c) if !c.is_control() => text.extend(c.to_lowercase()),
            KeyCode::Backspace => _ = text.pop(),
            KeyCode::Esc => {
                text.clear();
                self.mode = Mode::Browse;
            }
            KeyCode::Enter => {
                self.mode = Mode::Browse;
                if !is_filter {
                    self.shows_panel = false;
                    self.find(self.log.len(), true);
                }
            }
            _ => {}
        }
        if is_filter {
            self.choose_again();
        }
    }

    fn command(&mut self, code: KeyCode) -> Action {
        let page = usize::from(self.areas().body.height).saturating_sub(1).max(1).cast_signed();
        match code {
            KeyCode::Char('q') => return Action::Quit,
            KeyCode::Down | KeyCode::Char('j') => self.choose(self.chosen + 1),
            KeyCode::Up | KeyCode::Char('k') => self.choose(self.chosen.saturating_sub(1)),
            KeyCode::PageUp => self.scroll(-page),
            KeyCode::PageDown => self.scroll(page),
            KeyCode::Home => self.scroll_to(0),
            KeyCode::End => self.anchor = None,
            KeyCode::Char('/') => {
                self.search.clear();
                self.mode = Mode::Search;
            }
            KeyCode::Char('n') => self.find(self.visible().end.saturating_sub(1), true),
            KeyCode::Char('N') => self.find(self.visible().end, false),
            KeyCode::Char('f') => self.mode = Mode::Filter,
            KeyCode::Char('s') => self.shows_panel = !self.shows_panel,
            KeyCode::Char('?') => self.mode = Mode::Help,
            KeyCode::Char('c') => match self.current() {
                Some(item)
                    if item.state.is_some_and(|state| !state.is_live() && state != State::Orphaned) =>
                {
                    self.message = format!("{} is over", item.id);
                }
                Some(item) => self.mode = Mode::Confirm(item.id.clone()),
                None => {}
            },
            KeyCode::Char('a') => return self.current_id().map_or(Action::Draw, Action::Attach),
            KeyCode::Esc => {
                self.search.clear();
                self.shows_panel = false;
            }
            _ => {}
        }
        Action::Draw
    }

    /// The mouse was used.
    pub fn mouse(&mut self, event: MouseEvent) {
        let areas = self.areas();
        let at = Position { x: event.column, y: event.row };
        let in_tasks = areas.tasks.contains(at);
        match event.kind {
            MouseEventKind::Down(MouseButton::Left) if in_tasks => {
                let row = self.first + usize::from(event.row - areas.tasks.y);
                if row < self.items.len() {
                    self.choose(row);
                }
            }
            MouseEventKind::ScrollUp if in_tasks => self.choose(self.chosen.saturating_sub(1)),
            MouseEventKind::ScrollDown if in_tasks => self.choose(self.chosen + 1),
            MouseEventKind::ScrollUp => self.scroll(-3),
            MouseEventKind::ScrollDown => self.scroll(3),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
