//! Drawing what `gco tasks top` shows: where everything is, and how it looks.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::app::{App, Item, Mode};
use crate::task::State;
use crate::view::bar::bar;
use crate::view::hints;
use crate::view::words::{cut, cut_middle, roughly, width};

/// From so many columns on the log is beside the tasks, below that it is under them.
const WIDE: u16 = 100;
/// The columns of the tasks where the log is beside them.
const TASKS: u16 = 48;
/// The columns of a state, or of the bar in place of it.
const STATE: usize = 10;
/// The columns of a time.
const TIME: usize = 7;
/// The cells of a bar.
const BAR: usize = 5;

/// What the keys do.
const HELP: [&str; 14] = [
    "Up Down j k      choose a task",
    "PgUp PgDn Home   scroll in its log",
    "End              follow its log again",
    "/                search in the log; Enter goes there",
    "n N              the next one above, below",
    "f                filter tasks: words of id, state, label",
    "s                its status in place of its log",
    "c                cancel it; asks first",
    "a                attach to it",
    "Esc              no search, no filter being typed",
    "q Ctrl-C         leave; the tasks go on",
    "Mouse            click chooses, wheel scrolls",
    "",
    "Any key goes back",
];

/// Where everything is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Areas {
    /// The headings of the tasks.
    pub heading: Rect,
    /// The tasks.
    pub tasks: Rect,
    /// What the body is.
    pub title: Rect,
    /// The log, or what is shown in place of it.
    pub body: Rect,
    /// The last row.
    pub footer: Rect,
}

/// Where everything is on a screen of this size, with so many tasks.
#[must_use]
pub fn areas((columns, rows): (u16, u16), tasks: usize) -> Areas {
    let above = rows.saturating_sub(1);
    let footer = Rect::new(0, above, columns, rows.min(1));
    let part = |x, y, width, height| {
        let head = Rect::new(x, y, width, u16::min(height, 1));
        (head, Rect::new(x, y + head.height, width, height - head.height))
    };
    let ((heading, tasks), (title, body)) = if columns >= WIDE {
        let beside = TASKS + 1;
        (part(0, 0, TASKS, above), part(beside, 0, columns - beside, above))
    } else {
        let wanted = u16::try_from(tasks.max(1)).unwrap_or(u16::MAX).saturating_add(1);
        let height = wanted.min((above * 2 / 5).max(2)).min(above);
        (part(0, 0, columns, height), part(0, height, columns, above - height))
    };
    Areas { heading, tasks, title, body, footer }
}

/// Draws it all.
pub fn draw(app: &App, colour: bool, frame: &mut Frame<'_>) {
    let areas = areas(app.size, app.items.len());
    let dim = Style::new().add_modifier(Modifier::DIM);
    let strong = Style::new().add_modifier(Modifier::BOLD);
    put(frame, areas.heading, 0, Line::styled(heading(app, areas.heading.width), dim));
    for (row, item) in app.items.iter().skip(app.first).take(usize::from(areas.tasks.height)).enumerate() {
        let is_chosen = app.first + row == app.chosen;
        put(frame, areas.tasks, row, task(item, usize::from(areas.tasks.width), is_chosen, colour));
    }
    if areas.title.x > 0 {
        let between = Rect::new(areas.title.x - 1, 0, 1, areas.title.height + areas.body.height);
        for row in 0..usize::from(between.height) {
            put(frame, between, row, Line::styled("│", dim));
        }
    }
    put(frame, areas.title, 0, Line::styled(title(app, usize::from(areas.title.width)), strong));
    let room = usize::from(areas.body.width);
    if app.mode == Mode::Help {
        for (row, line) in HELP.iter().enumerate() {
            put(frame, areas.body, row, Line::raw(cut(line, room)));
        }
    } else if app.shows_panel {
        for (row, line) in app.panel.iter().enumerate() {
            put(frame, areas.body, row, Line::raw(cut(line, room)));
        }
    } else {
        for (row, line) in app.log.get(app.visible()).into_iter().flatten().enumerate() {
            let style = match (app.is_found(line), line.is_aside) {
                (true, _) => Style::new().add_modifier(Modifier::REVERSED),
                (false, true) if colour => Style::new().fg(Color::Yellow),
                _ => Style::new(),
            };
            put(frame, areas.body, row, Line::styled(cut(&line.text, room), style));
        }
    }
    let (text, style) = footer(app);
    put(frame, areas.footer, 0, Line::styled(cut(&text, usize::from(areas.footer.width)), style));
}

/// Draws `line` in row `row` of `area`, if it has that.
fn put(frame: &mut Frame<'_>, area: Rect, row: usize, line: Line<'_>) {
    if let Ok(row) = u16::try_from(row)
        && row < area.height
    {
        frame.render_widget(line, Rect { y: area.y + row, height: 1, ..area });
    }
}

fn heading(app: &App, columns: u16) -> String {
    let live = app.items.iter().filter(|item| item.state.is_some_and(State::is_live)).count();
    let filter = if app.filter.is_empty() { String::new() } else { format!(", like '{}'", app.filter) };
    let all = app.items.len();
    let noun = if all == 1 { "task" } else { "tasks" };
    cut(&format!("{all} {noun}, {live} under way{filter}"), usize::from(columns))
}

/// A row: id, state or bar, time.
fn task<'a>(item: &Item, columns: usize, is_chosen: bool, colour: bool) -> Line<'a> {
    let room = columns.saturating_sub(STATE + TIME + 4);
    let id = cut_middle(item.id.as_str(), room);
    let state = match (item.percent, item.silence) {
        // That it may be stuck is the greater news.
        (_, Some(silence)) => format!("silent {}", roughly(silence.lasts.as_secs())),
        (Some(percent), None) => {
            let mark = if item.is_estimate { "~" } else { "" };
            format!("{} {:>4}", bar(percent, BAR), format!("{mark}{:.0}%", percent.floor()))
        }
        (None, None) => item.state.map_or("unreadable", State::as_str).to_owned(),
    };
    let mut style = Style::new();
    let by_state = item.state.map_or(Some(Color::Red), colour_of);
    if colour && let Some(foreground) = item.silence.map_or(by_state, |_| Some(Color::Yellow)) {
        style = style.fg(foreground);
    }
    let mark = if is_chosen { "▸" } else { " " };
    let gap = " ".repeat(room.saturating_sub(width(&id)) + 1);
    let line = Line::from(vec![
        Span::raw(format!("{mark}{id}{gap}")),
        Span::styled(format!("{state:<STATE$}"), style),
        Span::raw(format!(" {:>TIME$}", item.time)),
    ]);
    if is_chosen { line.style(Style::new().add_modifier(Modifier::REVERSED)) } else { line }
}

/// As in the table.
fn colour_of(state: State) -> Option<Color> {
    match state {
        State::Queued => None,
        State::Running => Some(Color::Cyan),
        State::Succeeded => Some(Color::Green),
        State::Failed => Some(Color::Red),
        State::Cancelled => Some(Color::Yellow),
        State::Orphaned => Some(Color::Magenta),
    }
}

fn title(app: &App, columns: usize) -> String {
    if app.mode == Mode::Help {
        return cut("Keys", columns);
    }
    let Some(item) = app.current() else { return cut("no task", columns) };
    let what = match (app.shows_panel, app.anchor, app.log.is_empty()) {
        (true, ..) => "status".to_owned(),
        (false, _, true) => "no output".to_owned(),
        (false, None, _) => "following".to_owned(),
        (false, Some(_), _) => format!("{} lines below", app.log.len() - app.visible().end),
    };
    let room = columns.saturating_sub(what.len() + 4);
    let mut title = format!("─ {} {what}", cut_middle(item.id.as_str(), room));
    // The panel says so itself.
    if let Some(silent) = item.silence.as_ref().filter(|_| !app.shows_panel).and_then(hints::silence) {
        title.push_str(", ");
        title.push_str(&silent);
    }
    cut(&title, columns)
}

fn footer(app: &App) -> (String, Style) {
    let strong = Style::new().add_modifier(Modifier::BOLD);
    match &app.mode {
        Mode::Confirm(id) => (format!("cancel {id}? y/n"), strong),
        Mode::Search => (format!("/{}▏", app.search), strong),
        Mode::Filter => (format!("filter: {}▏", app.filter), strong),
        _ if !app.message.is_empty() => (app.message.clone(), strong),
        _ => (
            "q quit  ? help  / search  f filter  s status  c cancel  a attach".to_owned(),
            Style::new().add_modifier(Modifier::DIM),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::app::LogLine;
    use crate::task::{Silence, TaskId};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::crossterm::event::KeyCode;

    type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

    fn app(columns: u16, rows: u16) -> Outcome<App> {
        let mut app = App::new(columns, rows);
        let item = |id: &str, state, percent| -> Outcome<Item> {
            let time = "1h02m".to_owned();
            let (id, words) = (TaskId::parse(id)?, String::new());
            Ok(Item { id, state: Some(state), time, percent, is_estimate: false, silence: None, words })
        };
        app.set_tasks(vec![
            item("build-1795257472000-0", State::Running, Some(62.5))?,
            item("test-1795257471000-0", State::Failed, None)?,
        ]);
        let line = |n| LogLine { offset: n, is_aside: n == 2, text: format!("line {n}") };
        app.set_log((0..3).map(line).collect());
        Ok(app)
    }

    fn screen(app: &App) -> Outcome<Vec<String>> {
        let mut terminal = Terminal::new(TestBackend::new(app.size.0, app.size.1))?;
        terminal.draw(|frame| draw(app, true, frame))?;
        let buffer = terminal.backend().buffer();
        let row = |y| (0..app.size.0).filter_map(|x| buffer.cell((x, y))).map(|cell| cell.symbol()).collect();
        Ok((0..app.size.1).map(row).map(|row: String| row.trim_end().to_owned()).collect())
    }

    #[test]
    fn a_narrow_screen_has_the_log_below() -> Outcome<()> {
        assert_eq!(
            screen(&app(50, 9)?)?,
            [
                "2 tasks, 1 under way",
                "▸build-1795257472000-0         ███▏░  62%   1h02m",
                " test-1795257471000-0          failed       1h02m",
                "─ build-1795257472000-0 following",
                "line 0",
                "line 1",
                "line 2",
                "",
                "q quit  ? help  / search  f filter  s status  c c…",
            ]
        );
        Ok(())
    }

    #[test]
    fn a_wide_one_has_it_beside() -> Outcome<()> {
        let shown = screen(&app(120, 6)?)?;
        assert!(shown[1].contains("62%   1h02m │line 0"), "{shown:?}");
        assert!(shown[0].contains(" │─ build-1795257472000-0 following"), "{shown:?}");
        Ok(())
    }

    #[test]
    fn a_guess_is_marked_and_a_silence_told() -> Outcome<()> {
        let mut app = app(80, 9)?;
        let mut items = app.items.clone();
        items[0].is_estimate = true;
        app.set_tasks(items.clone());
        assert!(screen(&app)?[1].ends_with("███▏░ ~62%   1h02m"), "{:?}", screen(&app)?);
        let seconds = std::time::Duration::from_secs;
        items[0].silence = Some(Silence { lasts: seconds(540), longest_before: seconds(180) });
        app.set_tasks(items);
        let shown = screen(&app)?;
        assert!(shown[1].ends_with("silent 9m    1h02m"), "{shown:?}");
        assert_eq!(shown[3], "─ build-1795257472000-0 following, silent for 9m (longest before: 3m)");
        Ok(())
    }

    #[test]
    fn no_size_is_too_small() -> Outcome<()> {
        for (columns, rows) in [(1, 1), (2, 2), (5, 3), (99, 1), (100, 1), (101, 2), (300, 100)] {
            let mut app = app(columns, rows)?;
            for key in ['x', '?', 'x', 's', 'c', 'n', 'f', 'x'] {
                app.key(KeyCode::Char(key).into());
                app.key(KeyCode::PageUp.into());
                screen(&app)?;
            }
        }
        Ok(())
    }
}
