//! All tasks and the log of one, full screen: `gco tasks top`.
//!
//! What cancels and attaches is gco itself, run as a child: cancelling beside the screen, attaching in its place.

use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Result;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event};
use ratatui::layout::Rect;

use super::app::{Action, App};
use super::draw::{areas, draw};
use super::gather::Gathered;
use super::pace::GAP;
use super::table::tells;
use super::{Face, News, Pace};
use crate::failure::{Failure, io_words};
use crate::store::StatusDir;
use crate::store::wait::HEARTBEAT;
use crate::sys::pty::Size;
use crate::sys::signals::give_signals;
use crate::sys::start::Inherited;
use crate::sys::watch::Watch;
use crate::sys::window;
use crate::task::{State, TaskId};
use crate::view::words::one_line;

/// How often the screen is looked at where nothing is under way.
const QUIET: Duration = Duration::from_secs(60);

/// This program, whatever its name is by now.
const GCO: &str = "/proc/self/exe";

/// What is under way beside the screen.
struct Beside {
    id: TaskId,
    child: Child,
}

/// Shows the tasks until somebody leaves, and gives the exit code.
///
/// # Errors
/// There is no terminal, or the status directory cannot be read.
pub fn top(path: &Path, inherited: &Inherited) -> Result<i32> {
    let mut face = Face::open("'gco tasks top'", "'gco tasks list' and 'gco tasks tail' need none")?;
    face.take_mouse()?;
    let mut terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
    let mut watch = Watch::like(path, tells);
    let mut pace = Pace::new(Instant::now());
    let mut gathered = Gathered::new();
    let colour = window::takes_colour();
    let Size { columns, rows, .. } = face.size();
    let mut app = App::new(columns, rows);
    let mut beside: Vec<Beside> = Vec::new();
    loop {
        if pace.looks(Instant::now()) {
            look(&mut app, &mut gathered, &mut watch)?;
        }
        hear(&mut app, &mut beside);
        terminal.draw(|frame| draw(&app, colour, frame))?;
        let live = app.items.iter().any(|item| item.state.is_some_and(State::is_live));
        let most = match (beside.is_empty(), live) {
            (false, _) => GAP,
            (true, true) => HEARTBEAT,
            (true, false) => QUIET,
        };
        match face.wait(&mut watch, pace.left(Instant::now(), most))? {
            News::Changed => pace.changed(Instant::now()),
            News::Nothing => pace.hurry(Instant::now()),
            News::Redraw => {
                redraw(&mut app, &face, &mut terminal)?;
                pace.changed(Instant::now());
            }
            News::End(signal) => return Ok(face.end_by(signal)),
            News::Keys => {
                let before = app.current().map(|item| item.id.clone());
                let mut left = false;
                while !left && event::poll(Duration::ZERO)? {
                    let action = match event::read()? {
                        Event::Key(key) => app.key(key),
                        Event::Mouse(event) => {
                            app.mouse(event);
                            Action::Draw
                        }
                        _ => Action::Draw,
                    };
                    match action {
                        Action::Draw => {}
                        Action::Quit => left = true,
                        Action::Cancel(id) => cancel(id, &mut app, &mut beside, inherited),
                        Action::Attach(id) => {
                            let mut command = Command::new(GCO);
                            command.args(["tasks", "attach", id.as_str()]);
                            let (status, ends) = face.lend(&mut command, inherited)?;
                            if let Some(signal) = ends {
                                return Ok(face.end_by(signal));
                            }
                            let code = status.code().map(|code| format!(" with {code}")).unwrap_or_default();
                            app.message = format!("attach ended{code}");
                            redraw(&mut app, &face, &mut terminal)?;
                        }
                    }
                }
                if left {
                    return Ok(0);
                }
                if app.current().map(|item| &item.id) != before.as_ref() {
                    gathered.forget_log();
                }
                // Something may have changed as well.
                pace.changed(Instant::now());
                pace.hurry(Instant::now());
            }
        }
    }
}

/// Looks up what there is.
fn look(app: &mut App, gathered: &mut Gathered, watch: &mut Watch) -> Result<(), Failure> {
    let dir = StatusDir::for_reading().map_err(|unusable| Failure::failed(unusable.to_string()))?;
    let heard = watch.take_heard();
    let before = app.current().map(|item| item.id.clone());
    app.set_tasks(gathered.tasks(dir.as_ref(), heard)?);
    let now = app.current().map(|item| item.id.clone());
    if now != before {
        gathered.forget_log();
    }
    if let (Some(dir), Some(id)) = (&dir, &now) {
        app.set_log(gathered.log(dir, id, watch));
        let columns = areas(app.size, app.items.len()).body.width;
        app.panel = if app.shows_panel { gathered.panel(dir, id, columns.into()) } else { Vec::new() };
    }
    Ok(())
}

/// Draws everything anew, at the size that the terminal has now.
fn redraw(
    app: &mut App,
    face: &Face,
    terminal: &mut Terminal<CrosstermBackend<io::Stdout>>,
) -> io::Result<()> {
    let Size { columns, rows, .. } = face.size();
    app.resize(columns, rows);
    terminal.resize(Rect::new(0, 0, columns, rows))
}

/// Begins to cancel a task.
fn cancel(id: TaskId, app: &mut App, beside: &mut Vec<Beside>, inherited: &Inherited) {
    let mut command = Command::new(GCO);
    command.args(["tasks", "cancel", id.as_str()]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    match give_signals(&mut command, inherited).spawn() {
        Ok(child) => {
            app.message = format!("cancelling {id}");
            beside.push(Beside { id, child });
        }
        Err(error) => app.message = format!("cannot cancel {id}: {}", io_words(&error)),
    }
}

/// Says how what ran beside the screen has ended, if it has.
fn hear(app: &mut App, beside: &mut Vec<Beside>) {
    let Some(at) = beside.iter_mut().position(|one| !matches!(one.child.try_wait(), Ok(None))) else {
        return;
    };
    let Beside { id, child } = beside.swap_remove(at);
    app.message = match child.wait_with_output() {
        Ok(output) => {
            let said = if output.status.success() { output.stdout } else { output.stderr };
            String::from_utf8_lossy(&said).lines().next().map(one_line).unwrap_or_default()
        }
        Err(error) => format!("cannot cancel {id}: {}", io_words(&error)),
    };
}
