//! `gco tasks events`: what became of tasks, one JSON object a line, as it happens.
//!
//! Before events are read, those that nobody else can tell are told: see [`orphans`](crate::store::orphans). A supervisor
//! that dies closes its lock file, which wakes a follower; once a second it looks as well.

mod out;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::Result;

use self::out::Out;
use crate::failure::{Failure, io_words};
use crate::store::StatusDir;
use crate::store::consumer::{Consumer, Name};
use crate::store::events::{self, Events, Reader};
use crate::store::liveness::Here;
use crate::store::orphans::Lookout;
use crate::store::scan;
use crate::store::wait::LOCK_DELAY;
use crate::sys::time;
use crate::sys::watch::{BLIND, Watch};
use crate::task::span;

/// What help and the man page say after the options.
const MORE: &str = "\
Examples:
  What happened in the last hour:
    gco tasks events --since 1h
  The first event from now on or of the last day, whichever there is:
    gco tasks events --follow --since 1d | head -n 1
  From cron, each event once, for a script that tells people:
    gco tasks events --consumer notify | while read -r event; do echo \"$event\"; done";

/// Show what became of tasks, as it happens
///
/// One JSON object a line for each task that was queued, started, ended or orphaned: event says which, at when,
/// task_id of which task, and record is the whole record as it was then. Attempts within a task are no events. Without
/// options: all that are in the journal, which holds at least the last 64 MiB of them, also of tasks that have been removed.
///
/// With --follow alone, only those that come from now on; with --since or --consumer, first those that there are.
///
/// A consumer is a name of your choice that gets each event once, whenever and however often it is read. A new one
/// gets everything in the journal. An event counts as received when its line has been written; one that could not be is
/// the next again. Only a reader that is killed by SIGKILL in just that moment makes an event come twice. Several readers
/// of one name share: each event goes to one of them. Removing .consumer-NAME.cursor from the directory makes the name
/// a new one.
#[derive(Debug, clap::Args)]
#[command(after_long_help = MORE)]
pub struct Args {
    /// Go on with each new event as it comes
    #[arg(short, long)]
    follow: bool,

    /// Only events of this time: 90s, 30m, 2h, 1d. For a consumer, older ones then count as received
    #[arg(long, value_name = "DURATION", value_parser = since, allow_hyphen_values = true)]
    since: Option<Duration>,

    /// Only what this consumer has not got yet
    #[arg(long, value_name = "NAME", value_parser = Name::parse, allow_hyphen_values = true)]
    consumer: Option<Name>,

    /// Print JSON, as it always does
    #[arg(long)]
    json: bool,
}

fn since(text: &str) -> Result<Duration, String> {
    match span::parse(text)? {
        Duration::ZERO => Err("it takes a time that is longer than that".to_owned()),
        span => Ok(span),
    }
}

/// How often everything is looked at where nobody is told. Also of its directory's removal a follower is told only once it
/// has let go of the files in it.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Does it, and gives the exit code.
///
/// # Errors
/// A journal or a consumer's file that cannot be read, or a stdout that cannot be written to.
pub fn run(args: &Args) -> Result<i32> {
    let since = args.since.map(|span| time::now().saturating_sub_unsigned(span.as_secs()));
    let unusable = |why: crate::store::dir::Unusable| Failure::failed(why.to_string());
    let path = StatusDir::location().map_err(unusable)?;
    let mut watch = Watch::like(&path, concerns_events);
    let mut is_new = false;
    let dir = loop {
        match StatusDir::at(path.clone()).map_err(unusable)? {
            Some(dir) => break dir,
            None if !args.follow => return Ok(0),
            None => is_new = true,
        }
        wait(&mut watch, BLIND)?;
    };
    let events = Events::of(&dir);
    let trouble = |error: io::Error| unreadable(args, &dir, &error);
    let source = match &args.consumer {
        Some(name) => Source::Shared(Consumer::named(events, name, since)),
        // What there is in a directory that was not there is new.
        None if args.follow && since.is_none() && !is_new => {
            Source::Own(Reader::from_now(events).map_err(trouble)?, None)
        }
        None => Source::Own(Reader::from_start(events), since),
    };
    let (out, lookout) = (Out::new(), Lookout::default());
    let mut session = Session {
        args,
        dir: &dir,
        source,
        out,
        lookout,
        is_unsure: false,
        scanned: None,
        has_complained: false,
    };
    session.run(&mut watch)?;
    Ok(0)
}

/// The files about which a follower is told.
fn concerns_events(name: &OsStr) -> bool {
    name == events::NAME || name.to_str().is_some_and(|name| scan::lock_of(name).is_some())
}

/// Waits for something to happen. Whoever reads what is written having gone is an end.
fn wait(watch: &mut Watch, most: Duration) -> io::Result<()> {
    let wake = watch.wait(most, io::stdout().as_fd())?;
    if wake.reader_gone { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
}

fn unreadable(args: &Args, dir: &StatusDir, error: &io::Error) -> Failure {
    let why = io_words(error);
    let dir = dir.path().display();
    match &args.consumer {
        Some(name) => Failure::failed(format!("cannot read the events for '{name}' in '{dir}': {why}"))
            .hint(format!("look at '{dir}/{}' and '{dir}/.consumer-{name}.cursor'; without the latter the name is a new one", events::NAME)),
        None => Failure::failed(format!("cannot read the events in '{dir}': {why}"))
            .hint(format!("look at '{dir}/{}' and '{dir}/{}'", events::NAME, events::OLD_NAME)),
    }
}

/// Where events come from.
enum Source<'a> {
    /// The journal, from this time on.
    Own(Reader<'a>, Option<i64>),
    /// What the consumer has not got yet.
    Shared(Consumer<'a>),
}

/// One run of the command.
struct Session<'a> {
    args: &'a Args,
    dir: &'a StatusDir,
    source: Source<'a>,
    out: Out,
    lookout: Lookout,
    /// Not all tasks that may be orphaned are known,
    is_unsure: bool,
    /// and when the directory was last looked through for them.
    scanned: Option<Instant>,
    /// What is in the way of telling of orphans has been said.
    has_complained: bool,
}

impl Session<'_> {
    fn run(&mut self, watch: &mut Watch) -> Result<()> {
        let here = Here::ask();
        loop {
            let heard = watch.take_heard();
            let may_orphan = self.look_out(heard.as_deref(), &here);
            self.show()?;
            if !self.args.follow {
                return Ok(());
            }
            let has_closed = heard.is_some_and(|names| names.iter().any(|name| name != events::NAME));
            let most = if has_closed && may_orphan { LOCK_DELAY } else { HEARTBEAT };
            wait(watch, most)?;
        }
    }

    /// Tells of orphans. Whether there may be more of them.
    fn look_out(&mut self, heard: Option<&[OsString]>, here: &Here) -> bool {
        self.is_unsure |= heard.is_none();
        let names = heard.unwrap_or_default();
        names.iter().filter_map(|name| name.to_str()).for_each(|name| self.lookout.hear(name));
        let mut scanned = Ok(());
        // Where the kernel tells nothing it is always so: a large directory is not looked through again and again.
        if self.is_unsure && self.scanned.is_none_or(|last| last.elapsed() >= HEARTBEAT) {
            self.is_unsure = false;
            self.scanned = Some(Instant::now());
            scanned = self.lookout.scan(self.dir);
        }
        match scanned.and_then(|()| self.lookout.look(&Events::of(self.dir), here)) {
            Ok(any) => any || self.is_unsure,
            Err(error) => {
                if !std::mem::replace(&mut self.has_complained, true) {
                    let why = io_words(&error);
                    say(&Failure::failed(format!("cannot note which tasks are orphaned: {why}")));
                }
                true
            }
        }
    }

    /// Shows all that there is.
    fn show(&mut self) -> Result<()> {
        loop {
            let trouble = |error: io::Error| unreadable(self.args, self.dir, &error);
            let (has_more, has_gap) = match &mut self.source {
                Source::Own(reader, since) => {
                    let event = reader.next_event().map_err(trouble)?;
                    let has_gap = reader.take_gap();
                    let is_wanted = |at: Option<i64>| at.zip(*since).is_none_or(|(at, since)| at >= since);
                    if let Some(event) = event.as_ref().filter(|event| is_wanted(event.at())) {
                        self.out.gather(event)?;
                    }
                    (event.is_some(), has_gap)
                }
                Source::Shared(consumer) => {
                    self.out.until_writable()?;
                    let has_more = match consumer.take().map_err(trouble)? {
                        Some(taken) => self.out.hand_over(taken).map(|()| true)?,
                        None => false,
                    };
                    (has_more, consumer.take_gap())
                }
            };
            if has_gap {
                self.out.flush()?;
                say(&Failure::failed(self.gap()));
            }
            if !has_more {
                self.out.flush()?;
                return Ok(());
            }
        }
    }

    /// What is said where events may be missing.
    fn gap(&self) -> String {
        let what = match &self.args.consumer {
            Some(name) => format!("the events that '{name}' had not got yet may be gone from the journal"),
            None => "events may be gone from the journal before they were read".to_owned(),
        };
        format!("{what}; going on with the oldest there is")
    }
}

/// Says something beside the output. With stderr gone too there is nobody left to tell.
fn say(what: &Failure) {
    let _ = io::stderr().write_all(format!("{what}\n").as_bytes());
}
