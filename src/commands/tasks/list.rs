//! `gco tasks list`: lists tasks, newest first.

use std::io::{self, BufWriter, Write};
use std::time::Duration;

use anyhow::Result;
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser};

use crate::failure::Failure;
use crate::screen::table::{self as screen, Beside, Picture, Row};
use crate::store::StatusDir;
use crate::store::filter::{Chosen, Filter, Found};
use crate::store::history::History;
use crate::store::line::Places;
use crate::store::liveness::Here;
use crate::store::scan::{self, NewestFirst};
use crate::sys::{time, window};
use crate::task::{State, span};
use crate::view::Style;
use crate::view::json::Listing;
use crate::view::table::Table;

/// What help and the man page say after the options.
const MORE: &str = "\
Examples:
  The newest twenty:
    gco tasks list
  All that run, all that failed:
    gco tasks list -n 0 --state running,failed
  What one name did today:
    gco tasks list --name backup --since 24h
  What runs, how far it is, and what becomes of it, on a screen of its own:
    gco tasks list --watch --state queued,running
  All with a label, for a script:
    gco tasks list --label env=prod --json";

/// List tasks, newest first
///
/// One line a task: its id, its state, when it started, how long it took or has been running, and the last line it wrote; if
/// it is queued, what it waits for. What is behind a ~ is guessed from earlier runs of the command, and one that is silent for
/// longer than ever says so before its last line: see 'gco tasks status'. A record that cannot be read has a line as well, which says why. On a terminal the
/// table is as wide as that.
///
/// States are queued, running, succeeded, failed, cancelled, and orphaned: its record says it runs, but nobody supervises
/// it any more.
///
/// With --watch the table has the screen to itself and changes with the tasks, which have a bar if it is known how far they are.
/// As many are shown as there are rows for.
#[derive(Debug, clap::Args)]
#[command(after_long_help = MORE)]
pub struct Args {
    /// Show at most N tasks, 0 for all
    #[arg(short = 'n', long = "limit", value_name = "N", default_value = "20", value_parser = number, allow_negative_numbers = true)]
    limit: usize,

    /// Only tasks in this state; may be repeated, or several given with commas between them
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = state())]
    state: Vec<State>,

    /// Only tasks of this name
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    name: Option<String>,

    /// Only tasks with this label; with several, those that have them all
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,

    /// Only tasks started within this time: 90s, 30m, 2h, 1d
    #[arg(long, value_name = "DURATION", value_parser = span::parse, allow_hyphen_values = true)]
    since: Option<Duration>,

    /// Show the table until q or Ctrl-C, and follow what happens
    #[arg(short, long, conflicts_with = "json")]
    watch: bool,

    /// Print JSON: {"tasks": [...]}
    #[arg(long)]
    json: bool,
}

fn number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| "it takes a number of tasks, 0 for all".to_owned())
}

fn state() -> impl TypedValueParser<Value = State> {
    PossibleValuesParser::new(State::ALL.map(State::as_str))
        .try_map(|word| State::parse(&word).ok_or("there is no such state"))
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("a label is written KEY=VALUE".to_owned()),
    }
}

/// Does it, and gives the exit code.
///
/// # Errors
/// What failed.
pub fn run(args: &Args) -> Result<i32> {
    if args.watch {
        let path = StatusDir::location().map_err(|unusable| Failure::failed(unusable.to_string()))?;
        let mut history = History::new();
        return screen::watch(&path, |room| picture(args, room, &mut history));
    }
    let (dir, tasks) = listed()?;
    let style =
        Style { width: window::columns(io::stdout()), colour: window::takes_colour(), now: time::now() };
    let out = BufWriter::new(io::stdout().lock());
    let mut rows = if args.json {
        Rows::Json(Listing::begin(out, style.now)?)
    } else {
        Rows::Table(out, Table::new(style))
    };
    let any = tasks.left() > 0;
    let rest = match &dir {
        Some(dir) => Look { dir, args, limit: args.limit, now: style.now, history: &mut History::new() }
            .each(tasks, |row| rows.add(&row))?,
        None => 0,
    };
    let shown = rows.end()?;
    if !args.json && window::is_watched() {
        remark(any, shown, rest)?;
    }
    Ok(0)
}

/// The status directory, if it is there, and the tasks in it.
fn listed() -> Result<(Option<StatusDir>, NewestFirst)> {
    let dir = StatusDir::for_reading().map_err(|unusable| Failure::failed(unusable.to_string()))?;
    let tasks = match &dir {
        Some(dir) => scan::records(dir).map_err(|error| dir.unreadable(&error))?,
        None => Vec::new(),
    };
    Ok((dir, tasks.into()))
}

/// What `--watch` shows where there is `room` for so many tasks.
fn picture(args: &Args, room: usize, history: &mut History) -> Result<Picture> {
    let (dir, tasks) = listed()?;
    let mut picture = Picture { any: tasks.left() > 0, ..Picture::default() };
    let limit = if args.limit == 0 { room } else { args.limit.min(room) };
    if let Some(dir) = &dir {
        history.begin_look();
        picture.rest = Look { dir, args, limit, now: time::now(), history }.each(tasks, |row| {
            picture.rows.push(row);
            Ok(())
        })?;
    }
    Ok(picture)
}

/// What the rows go to.
enum Rows<W: Write> {
    Json(Listing<W>),
    Table(W, Table),
}

impl<W: Write> Rows<W> {
    fn add(&mut self, row: &Row) -> io::Result<()> {
        match (self, row) {
            (Rows::Json(listing), Row::Task(task, beside)) => {
                return listing.add(&screen::shown(task, beside));
            }
            (Rows::Json(listing), Row::Unreadable(id, _, error)) => listing.add_unreadable(id, error),
            (Rows::Table(_, table), row) => row.add_to(table),
        }
        Ok(())
    }

    fn end(self) -> io::Result<bool> {
        match self {
            Rows::Json(listing) => listing.end().map(|()| true),
            Rows::Table(mut out, table) => {
                for line in table.lines() {
                    writeln!(out, "{line}")?;
                }
                out.flush()?;
                Ok(!table.is_empty())
            }
        }
    }
}

/// A look at the tasks.
struct Look<'a> {
    dir: &'a StatusDir,
    args: &'a Args,
    /// How many are shown at most; 0 for all.
    limit: usize,
    now: i64,
    history: &'a mut History,
}

impl Look<'_> {
    /// Hands those of `tasks` that are asked for to `take`, and gives the number of those that were not looked at any more.
    fn each(self, tasks: NewestFirst, mut take: impl FnMut(Row) -> io::Result<()>) -> io::Result<usize> {
        let Self { dir, args, limit, now, history } = self;
        let here = Here::ask();
        let filter = Filter::new(&args.state, &args.labels, args.name.as_deref(), args.since, now);
        let mut chosen = Chosen::new(dir, &filter, &here, tasks);
        let mut places = Places::new();
        let mut count = 0;
        while limit == 0 || count < limit {
            let Some(found) = chosen.next() else { break };
            take(match found {
                Found::Task(task) => {
                    let place = places.of(dir, &task);
                    let past = history.of(dir, &task, chosen.rest(), now);
                    Row::Task(Box::new(task), Beside { place, past })
                }
                Found::Unreadable(listed, error) => {
                    let seconds = listed.seconds();
                    Row::Unreadable(listed.id, seconds, error.to_string())
                }
            })?;
            count += 1;
        }
        Ok(chosen.rest().left())
    }
}

/// Says beside the table what it does not.
fn remark(any: bool, shown: bool, rest: usize) -> io::Result<()> {
    let mut err = io::stderr().lock();
    match (any, shown, rest) {
        (false, _, _) => writeln!(err, "no tasks yet; start one with 'gco run -- COMMAND'"),
        (true, false, _) => writeln!(err, "no task is like that"),
        (true, true, 0) => Ok(()),
        (true, true, rest) => writeln!(err, "{rest} older not shown; -n 0 shows all"),
    }
}
