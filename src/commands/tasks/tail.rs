//! `gco tasks tail`: the last lines of a log, and with `-f` those that follow.
//!
//! Following ends when the task has ended. A task that is removed meanwhile ends it too, but not one whose supervisor still
//! holds its lock and so will put its files back.

mod out;

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::str::FromStr;

use anyhow::{Error, Result};
use clap::builder::{PossibleValuesParser, TypedValueParser};

use self::out::Out;
use crate::failure::Failure;
use crate::log::join::{Choice, Joiner};
use crate::log::last::{Wanted, last};
use crate::log::replay::Replay;
use crate::observe::{Following, Halt, Sink, Subject};
use crate::store::liveness::Here;
use crate::store::{StatusDir, load, name};
use crate::sys::watch::Watch;
use crate::sys::window;
use crate::task::Stream;
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
    gco tasks tail backup --stream stdout --raw -n all";

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
    /// How many lines: a number, or 'all'. With --follow, 0 shows only what is new
    #[arg(short = 'n', long, value_name = "N", default_value = "100", allow_hyphen_values = true)]
    lines: Count,
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

/// How many lines.
#[derive(Debug, Clone, Copy)]
enum Count {
    All,
    Last(usize),
}

impl FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" => Some(Count::All),
            _ if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok().map(Count::Last),
            _ => None,
        }
        .ok_or_else(|| "write a number of lines, or 'all'".to_owned())
    }
}

/// The parser before it lets no other name through.
fn stream_named(name: String) -> Stream {
    if name == Stream::Stdout.as_str() { Stream::Stdout } else { Stream::Stderr }
}

/// How many bytes of a log are looked at for a number of lines.
const LOOK_AT_MOST: u64 = 256 * 1024 * 1024;

/// How much of one line is kept to be shown: its last part.
const LONGEST_LINE: usize = 1024 * 1024;

/// Does it, and gives the exit code: 0 also if a followed task was removed or lost its supervisor.
///
/// # Errors
/// No such task, a log that cannot be read, or a stdout that cannot be written to.
pub fn run(args: &Args) -> Result<i32> {
    let found = StatusDir::for_reading().map_err(|unusable| Failure::failed(unusable.to_string()))?;
    let id = name::resolve(found.as_ref(), args.task.as_deref())?;
    let Some(dir) = found else { return Err(name::unknown(&id).into()) };
    let here = Here::ask();
    let subject = Subject { dir: &dir, id: &id, here: &here };
    let out = Out::new(&id, printer(args));
    if args.follow { follow(&subject, args, out) } else { show_once(&subject, args, out) }
}

/// Shows what there is.
fn show_once(subject: &Subject<'_>, args: &Args, mut out: Out<'_>) -> Result<i32> {
    // The state first: if it is final, so is the log that is read after it.
    let state = load(subject.dir, subject.id, subject.here).ok().map(|task| task.state);
    let log = subject.open_log()?;
    out.begin(state);
    if let Some(log) = &log {
        show_lines(log, subject, args, &mut out)?;
    }
    out.end(state)?;
    Ok(0)
}

/// Shows the lines of `log` that are asked for, and gives the place behind them.
fn show_lines(log: &File, subject: &Subject<'_>, args: &Args, out: &mut Out<'_>) -> Result<u64> {
    let unreadable = |error| subject.unreadable_log(&error);
    let choice = choice(args);
    let lines = match args.lines {
        Count::Last(lines) => lines,
        Count::All => {
            let size = log.metadata().map_err(unreadable)?.len();
            let mut replay = Replay::between(0, size);
            let mut joiner = Joiner::new(choice, LONGEST_LINE);
            while let Some(entry) = replay.next(log).map_err(unreadable)? {
                if args.raw {
                    out.entry(&entry)?;
                } else if let Some(line) = joiner.push(&entry) {
                    out.line(line)?;
                }
            }
            for line in joiner.finish() {
                out.line(line)?;
            }
            return Ok(replay.position());
        }
    };
    let wanted = Wanted { lines, choice, look_at_most: LOOK_AT_MOST, longest_line: LONGEST_LINE };
    let found = last(log, &wanted).map_err(unreadable)?;
    let is_short = found.cut && found.lines.len() < lines;
    for line in found.lines {
        out.line(line)?;
    }
    if is_short {
        out.flush()?;
        say(&Failure::failed("only the last 256 MiB of the log were looked at")
            .hint("-n all shows everything"));
    }
    Ok(found.end)
}

fn choice(args: &Args) -> Choice {
    Choice { only: args.stream, gco: !args.raw }
}

/// Says something beside the output. With stderr gone too there is nobody left to tell.
fn say(what: &Failure) {
    let _ = writeln!(io::stderr(), "{what}");
}

/// Shows what there is and then what comes.
fn follow(subject: &Subject<'_>, args: &Args, mut out: Out<'_>) -> Result<i32> {
    let mut watch = Watch::new(subject.dir.path(), subject.names());
    let mut following = Following::begin(subject, &mut watch)?;
    let from = following.log().map(|log| show_lines(log, subject, args, &mut out)).transpose()?;
    following.go_to(from.unwrap_or(0));
    let task =
        following.to_end(subject, &mut watch, &mut out, io::stdout().as_fd()).map_err(|halt| match halt {
            Halt::Output(error) => Error::from(error),
            Halt::Log(failure) => failure.into(),
            Halt::Record(error) => subject
                .unreadable_record(&error)
                .hint("without it nobody can tell when the task ends; leave out --follow")
                .into(),
        })?;
    let state = task.map(|task| task.state);
    out.end(state)?;
    if let Some(why) = subject.why_over(state, "followed") {
        say(&why);
    }
    Ok(0)
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
