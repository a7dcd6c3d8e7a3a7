//! `gco tasks tail`: the last lines of a log, and with `-f` those that follow.
//!
//! Following ends when the task has ended: first the state is looked up, then all that is in the log is shown,
//! and only then does what was looked up count, since the final record is written after the log is complete.
//! A task that is removed meanwhile ends it too, but not one whose supervisor still holds its lock and
//! so will put its files back.

mod out;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Result;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use nix::fcntl::OFlag;

use self::out::Out;
use crate::failure::{Failure, io_words};
use crate::log::follow::{Follow, Step, Successor};
use crate::log::join::{Choice, Joiner};
use crate::log::last::{Wanted, last};
use crate::log::replay::Replay;
use crate::store::liveness::Here;
use crate::store::load::LoadError;
use crate::store::{StatusDir, load, lockfile, name, open};
use crate::sys::lock::Probe;
use crate::sys::watch::{BLIND, Watch};
use crate::sys::window;
use crate::task::{State, Stream, TaskId};
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
/// Each line has a tag before it: [stdout] or [stderr], which says where the command wrote it, or [gco] for words of gco's
/// own. On a terminal colours survive, and nothing that moves the cursor does.
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

/// How often a followed task is looked at where nothing happens: for tasks of other machines and other tools,
/// about which the kernel tells nothing.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// A lock file is told to be closed a moment before its lock is dropped.
const LOCK_DELAY: Duration = Duration::from_millis(20);

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
    let unreadable = |error| subject.unreadable(&error);
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
    let mut log = Following::begin(subject, args, &mut out, &mut watch)?;
    let stdout = io::stdout();
    let mut state_again = false;
    loop {
        let now = subject.look()?;
        log.show_new(subject, &mut out, &mut watch)?;
        out.flush()?;
        if let Now::Over(state) = now {
            out.end(state)?;
            subject.explain(state);
            return Ok(0);
        }
        // What is written to the log alone says nothing about the state.
        loop {
            let most = if state_again { LOCK_DELAY } else { log.patience() };
            let wake = watch.wait(most, stdout.as_fd())?;
            if wake.reader_gone {
                return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
            }
            if wake.names || !wake.file {
                state_again = wake.names;
                break;
            }
            log.show_written(subject, &mut out)?;
            out.flush()?;
        }
    }
}

/// The task that is looked at.
struct Subject<'a> {
    dir: &'a StatusDir,
    id: &'a TaskId,
    here: &'a Here,
}

/// What is true of a followed task.
enum Now {
    /// It goes on.
    Live,
    /// It does not, and this is its state; none if it has been removed.
    Over(Option<State>),
}

impl Subject<'_> {
    /// Opens the log. `None` if there is none yet, or none any more.
    fn open_log(&self) -> Result<Option<File>, Failure> {
        match open::regular(self.dir, &self.dir.log(self.id), OFlag::empty()) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.unreadable(&error)),
        }
    }

    fn unreadable(&self, error: &io::Error) -> Failure {
        Failure::failed(format!("cannot read the log of '{}': {}", self.id, io_words(error)))
    }

    /// The names in the directory that tell about it.
    fn names(&self) -> Vec<OsString> {
        let paths = [self.dir.record(self.id), self.dir.log(self.id), self.dir.lock(self.id)];
        paths.iter().filter_map(|path| path.file_name()).map(ToOwned::to_owned).collect()
    }

    fn look(&self) -> Result<Now, Failure> {
        let fault = match load(self.dir, self.id, self.here) {
            Ok(task) if task.state.is_live() => return Ok(Now::Live),
            Ok(task) => return Ok(Now::Over(Some(task.state))),
            Err(fault) => fault,
        };
        if lockfile::probe(self.dir, self.id) == Some(Probe::Held) {
            // Its supervisor will put the record back.
            return Ok(Now::Live);
        }
        match fault {
            LoadError::Missing => Ok(Now::Over(None)),
            fault => Err(Failure::failed(format!("cannot read the record of '{}': {fault}", self.id))
                .hint("without it nobody can tell when the task ends; leave out --follow")),
        }
    }

    /// Says why following has ended, where it is not that the task has.
    fn explain(&self, state: Option<State>) {
        let id = self.id;
        match state {
            None => say(&Failure::failed(format!("'{id}' was removed while it was followed"))),
            Some(State::Orphaned) => {
                say(&Failure::failed(format!("'{id}' is orphaned: nobody supervises it any more")));
            }
            Some(_) => {}
        }
    }
}

/// The log that is followed.
struct Following {
    log: Option<File>,
    place: Follow,
    /// A file under the log's name that may become what the log was.
    returning: bool,
}

impl Following {
    fn begin(subject: &Subject<'_>, args: &Args, out: &mut Out<'_>, watch: &mut Watch) -> Result<Self> {
        let log = subject.open_log()?;
        let mut from = 0;
        if let Some(log) = &log {
            // The watch first: what is written in between is then told.
            watch.watch_file(log);
            from = show_lines(log, subject, args, out)?;
        }
        Ok(Self { log, place: Follow::from(from), returning: false })
    }

    /// How long to wait at most before looking again.
    fn patience(&self) -> Duration {
        if self.returning { BLIND } else { HEARTBEAT }
    }

    /// Shows what has been written to the log, whatever file that is by now.
    fn show_new(&mut self, subject: &Subject<'_>, out: &mut Out<'_>, watch: &mut Watch) -> Result<()> {
        self.show_written(subject, out)?;
        let Some(file) = subject.open_log()? else { return Ok(()) };
        let successor = match &self.log {
            None => Successor::Other,
            Some(log) if is_same(log, &file).map_err(|error| subject.unreadable(&error))? => return Ok(()),
            Some(log) => self.place.compare(log, &file).map_err(|error| subject.unreadable(&error))?,
        };
        self.returning = successor == Successor::Growing;
        match successor {
            Successor::Growing => return Ok(()),
            Successor::Continues => {}
            Successor::Other => self.place = Follow::from(0),
        }
        watch.watch_file(&file);
        self.log = Some(file);
        self.show_written(subject, out)
    }

    /// Shows what has been written to the file that is open.
    fn show_written(&mut self, subject: &Subject<'_>, out: &mut Out<'_>) -> Result<()> {
        let Some(log) = &self.log else { return Ok(()) };
        loop {
            match self.place.next(log).map_err(|error| subject.unreadable(&error))? {
                Step::Entry(entry) => out.entry(&entry)?,
                Step::Cut => {
                    out.flush()?;
                    let id = subject.id;
                    say(&Failure::failed(format!("the log of '{id}' was cut; going on from its beginning")));
                }
                Step::UpToDate => return Ok(()),
            }
        }
    }
}

fn is_same(one: &File, other: &File) -> io::Result<bool> {
    let (one, other) = (one.metadata()?, other.metadata()?);
    Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
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
