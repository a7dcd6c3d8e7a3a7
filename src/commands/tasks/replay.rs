//! `gco tasks replay`: plays what a task wrote once more, each piece when it came.
//!
//! The bytes are the command's own, each stream's on the stream it was written to. The pauses between them are those of the
//! index beside the log, to a tenth of a second; without one it is refused, as `tail --raw` shows everything at once. What the
//! log has no longer is passed over, and said on stderr.

use std::fs::File;
use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::failure::{EXIT_GCO_FAILED, Failure};
use crate::log::ReadAt;
use crate::log::format::Tag;
use crate::log::replay::Replay;
use crate::log::times::Times;
use crate::observe::{Ends, Subject};
use crate::store::liveness::Here;
use crate::store::{Task, name};
use crate::sys::signals::die_of;
use crate::task::outcome::signal_name;
use crate::task::record::field;
use crate::task::{Stream, span};

/// What help and the man page say after the options.
const MORE: &str = "\
Exit status:
  The task's exit code; 128+N if signal N ended the command
  1    There is no such task, it has not ended, or it cannot be played
  2    The command line was wrong, or a name means several tasks
  125  How the task ended cannot be known

Examples:
  What the newest backup wrote, in the time it took:
    gco tasks replay backup
  Ten times as fast, and without waiting where nothing came for long:
    gco tasks replay backup --speed 10 --max-gap 2s
  As the command itself, for a program that looks how it ended:
    gco tasks replay --by-signal backup";

/// Play what a task wrote once more, with its pauses
///
/// What the command wrote to stdout goes to stdout, what it wrote to stderr to stderr, byte for byte, and each piece when it
/// came, counted from the first. It ends as the task did.
#[derive(Debug, clap::Args)]
#[command(after_long_help = MORE)]
pub struct Args {
    /// An id, the beginning of one, or a name, whose newest task is meant [default: the newest task]
    #[arg(value_name = "TASK")]
    task: Option<String>,
    /// So many times as fast as it was
    #[arg(long, value_name = "FACTOR", default_value = "1", allow_hyphen_values = true, value_parser = span::factor)]
    speed: f64,
    /// Wait no longer than this for the next piece: 500ms, 2s
    #[arg(long, value_name = "SPAN", allow_hyphen_values = true, value_parser = span::parse)]
    max_gap: Option<Duration>,
    /// If a signal ended the command, end by that signal, too
    #[arg(long)]
    by_signal: bool,
}

/// Does it, and gives the task's exit code.
///
/// # Errors
/// No such task, one that has not ended, a log that cannot be read or has no times, or an output that cannot be written to.
pub fn run(args: &Args) -> Result<i32> {
    let (dir, id) = name::find(args.task.as_deref())?;
    let here = Here::ask();
    let subject = Subject { dir: &dir, id: &id, here: &here };
    let task = subject.task()?;
    if task.state.is_live() {
        return Err(Failure::failed(format!("cannot replay '{id}': it has not ended"))
            .hint(format!("'gco tasks tail -f {id}' shows it as it goes on"))
            .into());
    }
    // Before it is played: it may be removed meanwhile.
    let ends = Ends::of(&dir, std::slice::from_ref(&id), &here)?;
    if let Some(log) = subject.open_log()?
        && log.size().map_err(|error| subject.unreadable_log(&error))? > 0
    {
        let times = subject.open_times().ok_or_else(|| {
            Failure::failed(format!("cannot replay '{id}': no times are known for its lines"))
                .hint(format!("'gco tasks tail --raw -n all {id}' shows all of them at once"))
        })?;
        play(&subject, &log, times, Pace::new(args.speed, args.max_gap))?;
    }
    let Some((_, verdict)) = ends.next(None) else { return Ok(i32::from(EXIT_GCO_FAILED)) };
    if let Some(trouble) = verdict.trouble(&id) {
        // With stderr gone too there is nobody left to tell.
        let _ = writeln!(io::stderr(), "{trouble}");
    }
    if let Some(signal) = signal_of(&task).filter(|_| args.by_signal) {
        die_of(signal);
    }
    Ok(verdict.code())
}

/// The signal that ended the command of `task`, and was how the task ended.
fn signal_of(task: &Task) -> Option<i32> {
    let code = task.record.integer(field::EXIT_CODE)?;
    let signal = i32::try_from(code).ok()?.checked_sub(128).filter(|&signal| signal > 0)?;
    (task.record.text(field::SIGNAL)? == signal_name(signal)).then_some(signal)
}

/// How much is gathered before it is written.
const GATHERED: usize = 64 * 1024;

fn play(subject: &Subject<'_>, log: &File, mut times: Times<File>, mut pace: Pace) -> Result<()> {
    let unreadable = |error| subject.unreadable_log(&error);
    let begun = Instant::now();
    let mut replay = Replay::between(0, log.size().map_err(unreadable)?);
    let mut due = Duration::ZERO;
    let mut gathered = Vec::new();
    let mut to = Stream::Stdout;
    while let Some(entry) = replay.next(log).map_err(unreadable)? {
        if let Some(left_out) = entry.left_out {
            write(to, &mut gathered)?;
            // With stderr gone too there is nobody left to tell.
            let _ = writeln!(io::stderr(), "gco: {}", left_out.words());
        }
        let Some(stream) = entry.tag.and_then(Tag::stream) else { continue };
        let next = pace.due(times.at(entry.offset).unwrap_or(None));
        if next > due || stream != to || gathered.len() >= GATHERED {
            write(to, &mut gathered)?;
        }
        if next > due {
            thread::sleep(next.saturating_sub(begun.elapsed()));
        }
        (due, to) = (next, stream);
        gathered.extend_from_slice(entry.payload);
        if entry.ends {
            gathered.push(b'\n');
        }
    }
    write(to, &mut gathered)?;
    Ok(())
}

fn write(stream: Stream, bytes: &mut Vec<u8>) -> io::Result<()> {
    match stream {
        Stream::Stdout => {
            let mut stdout = io::stdout().lock();
            stdout.write_all(bytes)?;
            stdout.flush()?;
        }
        Stream::Stderr => io::stderr().write_all(bytes)?,
    }
    bytes.clear();
    Ok(())
}

/// When what is played is due.
#[derive(Debug)]
struct Pace {
    speed: f64,
    max_gap: Duration,
    last: Option<u64>,
    due: Duration,
}

impl Pace {
    fn new(speed: f64, max_gap: Option<Duration>) -> Self {
        Self { speed, max_gap: max_gap.unwrap_or(Duration::MAX), last: None, due: Duration::ZERO }
    }

    /// How long after the begin what was written at `time` is due: never before what came before it.
    fn due(&mut self, time: Option<u64>) -> Duration {
        let Some(time) = time else { return self.due };
        let gap = time.saturating_sub(self.last.replace(time).unwrap_or(time));
        let gap = Duration::from_millis(gap).as_secs_f64() / self.speed;
        let gap = Duration::try_from_secs_f64(gap).unwrap_or(Duration::MAX);
        self.due = self.due.saturating_add(gap.min(self.max_gap));
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_as_they_were_or_as_is_asked_for() {
        let dues = |speed, max_gap: Option<u64>| {
            let mut pace = Pace::new(speed, max_gap.map(Duration::from_millis));
            // The clock was put back in between.
            [None, Some(5000), Some(5000), Some(6000), None, Some(2000), Some(62_000)]
                .map(|time| pace.due(time).as_millis())
        };
        assert_eq!(dues(1.0, None), [0, 0, 0, 1000, 1000, 1000, 61_000]);
        assert_eq!(dues(10.0, None), [0, 0, 0, 100, 100, 100, 6100]);
        assert_eq!(dues(0.5, Some(3000)), [0, 0, 0, 2000, 2000, 2000, 5000]);
        assert_eq!(dues(1.0, Some(0)), [0; 7]);
        assert_eq!(Pace::new(f64::MIN_POSITIVE, None).due(Some(u64::MAX)), Duration::ZERO);
    }
}
