//! `gco tasks tail`: the last lines of a log, and with `-f` those that follow.

use std::io::{self, IsTerminal, Write};

use anyhow::Result;
use chrono::Local;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::log::join::Choice;
use crate::observe::Subject;
use crate::present::{self, Count, LONGEST_LINE, Out, Stamps, Style, Wish};
use crate::store::liveness::Here;
use crate::store::name;
use crate::sys::{time, window};
use crate::task::Stream;
use crate::task::moment::Moment;
use crate::view::lines::Surface;
use crate::view::log::{Form, Printer};

/// What help and the man page say after the options.
const MORE: &str = "\
Examples:
  The last hundred lines of the newest task, and each new one:
    gco tasks tail -f
  Only what went to stderr:
    gco tasks tail backup --stream stderr
  All of its stdout, to the byte:
    gco tasks tail backup --stream stdout --raw -n all
  What it wrote since half past two, and when; and the last five minutes, by the time since its start:
    gco tasks tail backup --since 14:30 --timestamps
    gco tasks tail backup --since 5m --timestamps=relative";

/// Show the last lines of a task's log
///
/// Each line has a tag before it, which says whether the command wrote it to stdout or to stderr, or that it is a word of
/// gco's own. On a terminal colours survive, and nothing that moves the cursor does.
///
/// With --follow it ends when the task has ended and everything has been shown, with exit code 0 whatever became of the
/// task.
#[derive(Debug, clap::Args)]
#[command(after_long_help = MORE)]
pub struct Args {
    /// An id, the beginning of one, or a name, whose newest task is meant [default: the newest task]
    #[arg(value_name = "TASK")]
    task: Option<String>,
    /// How many lines: a number, or 'all'. With --follow, 0 shows only what is new [default: 100; with --since, all]
    #[arg(short = 'n', long, value_name = "N", allow_hyphen_values = true)]
    lines: Option<Count>,
    /// Only what was written since then: 5m (ago), 14:30, 14:30:05, or a date with a time, as 2026-11-21T14:30:00Z
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true, value_parser = Moment::parse)]
    since: Option<Moment>,
    /// Put before each line when it was written: the time of the day, or since the task's start
    #[arg(
        long,
        value_name = "STYLE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "absolute",
        conflicts_with = "raw"
    )]
    timestamps: Option<Style>,
    /// Go on with each new line as it is written, until the task has ended
    #[arg(short, long)]
    follow: bool,
    /// Only what the command wrote to this stream
    #[arg(long, value_parser = PossibleValuesParser::new(Stream::BOTH.map(Stream::as_str)).map(stream_named))]
    stream: Option<Stream>,
    /// The command's own bytes, without tags
    #[arg(long)]
    raw: bool,
    /// Print JSON; with --follow one object a line, the last of which has the state
    #[arg(long, conflicts_with = "raw")]
    json: bool,
}

/// The parser before it lets no other name through.
fn stream_named(name: String) -> Stream {
    if name == Stream::Stdout.as_str() { Stream::Stdout } else { Stream::Stderr }
}

/// Does it, and gives the exit code: 0 also if a followed task was removed or lost its supervisor.
///
/// # Errors
/// No such task, a log that cannot be read, or a stdout that cannot be written to.
pub fn run(args: &Args) -> Result<i32> {
    let (dir, id) = name::find(args.task.as_deref())?;
    let here = Here::ask();
    let subject = Subject { dir: &dir, id: &id, here: &here };
    let mut out = Out::new(&id, printer(args));
    if args.json || args.timestamps.is_some() {
        out = out.with(Stamps::new(&subject, args.timestamps.filter(|_| !args.json)));
    }
    let wish = wish(args);
    if args.follow {
        let state = present::follow(&subject, wish, out)?;
        if let Some(why) = subject.why_over(state, "followed") {
            // With stderr gone too there is nobody left to tell.
            let _ = writeln!(io::stderr(), "{why}");
        }
    } else {
        present::show(&subject, wish, out)?;
    }
    Ok(0)
}

/// How many lines are shown if nobody says.
const LINES: usize = 100;

fn wish(args: &Args) -> Wish {
    let now = u64::try_from(time::since_epoch().as_millis()).unwrap_or(u64::MAX);
    let since = args.since.map(|moment| moment.before(now, &Local));
    let lines = args.lines.unwrap_or(if since.is_some() { Count::All } else { Count::Last(LINES) });
    Wish { lines, choice: choice(args), raw: args.raw, since }
}

fn choice(args: &Args) -> Choice {
    Choice { only: args.stream, gco: !args.raw }
}

fn printer(args: &Args) -> Printer {
    let form = match (args.json, args.follow) {
        (true, false) => Form::Object,
        (true, true) => Form::Objects,
        (false, _) => Form::Text(surface(args)),
    };
    Printer::new(form, choice(args), LONGEST_LINE)
}

/// What stdout is, as far as lines are concerned.
fn surface(args: &Args) -> Surface {
    if args.raw {
        Surface::Raw
    } else if io::stdout().is_terminal() {
        Surface::Terminal { colour: window::takes_colour() }
    } else {
        Surface::Bytes
    }
}
