//! Waiting for tasks to end: what it takes while nothing happens, and how soon it is over.

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use crate::bench::Bench;
use crate::fakes;
use crate::helper;
use crate::measure::{Reading, Unit, median};
use crate::processes::{self, until};
use crate::room::Room;

/// How long nothing happens.
const SPAN: Duration = Duration::from_secs(10);

pub fn idle(bench: &Bench) -> Result<Reading> {
    let many = Many::start(bench)?;
    let (clock, awake) = (many.waiter.clock()?, ClockId::CLOCK_MONOTONIC);
    let (before, since) = (clock_gettime(clock)?, clock_gettime(awake)?);
    thread::sleep(bench.size(SPAN, Duration::from_millis(100)));
    let used = Duration::from(clock_gettime(clock)? - before);
    let passed = Duration::from(clock_gettime(awake)? - since);
    ensure!(used <= passed, "more time was used than passed");
    let count = many.count;
    many.end(&[count])?;
    Ok(Reading::one(Unit::Seconds, used.as_secs_f64()))
}

/// All at the same time.
pub fn burst(bench: &Bench) -> Result<Reading> {
    repeat(bench, 21, || {
        let many = Many::start(bench)?;
        let count = many.count;
        many.end(&[count])
    })
}

/// All the others earlier.
pub fn last(bench: &Bench) -> Result<Reading> {
    repeat(bench, 21, || {
        let many = Many::start(bench)?;
        let count = many.count;
        many.end(&[count - 1, 1])
    })
}

/// A real one, whose command writes down when it ends.
pub fn one(bench: &Bench) -> Result<Reading> {
    let room = &bench.room;
    let report = room.path("report");
    repeat(bench, 101, || {
        room.clear()?;
        let mut command =
            room.gco_with_helper(&["run", "--name", "last"], &["end", &report.to_string_lossy()])?;
        let mut front_end = command.stdin(Stdio::piped()).spawn()?;
        until("the record of the command", || {
            let (record, _) = room.only_task().ok()?;
            (record["pid"] != record["supervisor_pid"]).then_some(())
        })?;
        let waiter = Waiter::start(room, &["last".to_owned()])?;
        drop(front_end.stdin.take());
        let returned = waiter.returned()?;
        ensure!(front_end.wait()?.success(), "the task failed");
        processes::reap_the_rest()?;
        let ended = Duration::from_nanos(fs::read_to_string(&report)?.parse()?);
        fs::remove_file(&report)?;
        Ok((returned - ended).as_secs_f64())
    })
}

fn repeat(bench: &Bench, full: usize, mut one: impl FnMut() -> Result<f64>) -> Result<Reading> {
    let values = (0..bench.times(full)).map(|_| one()).collect::<Result<Vec<_>>>()?;
    Ok(Reading::Alone { unit: Unit::Seconds, figure: median(&values), values })
}

/// `gco tasks wait`, asleep.
struct Waiter {
    child: Child,
}

impl Waiter {
    /// Starts it for these tasks, all of which are under way.
    fn start(room: &Room, ids: &[String]) -> Result<Self> {
        let args = ["tasks", "wait"].into_iter().chain(ids.iter().map(String::as_str));
        let child = room.gco(args).spawn()?;
        let locks = locks(room)?;
        until("gco to wait", || {
            // The kernel lists who waits for a lock behind an arrow.
            let list = fs::read_to_string("/proc/locks").ok()?;
            let waited_for = |line: &str| {
                let place = line.split_once("-> ")?.1.split_whitespace().nth(4)?;
                place.rsplit(':').next()?.parse().ok()
            };
            let waiting: HashSet<u64> = list.lines().filter_map(waited_for).collect();
            (locks.intersection(&waiting).count() == ids.len()).then_some(())
        })?;
        Ok(Self { child })
    }

    /// The clock of the processor time that it uses.
    fn clock(&self) -> Result<ClockId> {
        Ok(clock_getcpuclockid(Pid::from_raw(self.child.id().cast_signed()))?)
    }

    /// When it had returned.
    fn returned(mut self) -> Result<Duration> {
        let status = self.child.wait()?;
        let at = helper::now()?;
        ensure!(status.success(), "gco tasks wait: {status}");
        Ok(at)
    }
}

/// The inodes of the lock files.
fn locks(room: &Room) -> Result<HashSet<u64>> {
    let mut found = HashSet::new();
    for entry in fs::read_dir(room.tasks())? {
        let entry = entry?;
        if entry.path().extension().is_some_and(|extension| extension == "lock") {
            found.insert(entry.metadata()?.ino());
        }
    }
    Ok(found)
}

/// Very many tasks under way, and somebody who waits for all of them.
struct Many {
    count: usize,
    waiter: Waiter,
    supervisor: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Many {
    fn start(bench: &Bench) -> Result<Self> {
        let room = &bench.room;
        room.clear()?;
        processes::run([room.gco(["run", "--", "true"])])?;
        let template = room.records()?.pop().context("there is no record")?;
        let count = bench.size(1000, 50);
        let mut helper = room.helper(&["tasks", &count.to_string(), &template.to_string_lossy()])?;
        let mut supervisor = helper.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let ask = supervisor.stdin.take().context("no input")?;
        let mut answers = BufReader::new(supervisor.stdout.take().context("no output")?);
        ensure!(answers.read_line(&mut String::new())? > 0, "the tasks did not start");
        let mut ids = Vec::new();
        for record in room.records()? {
            let id = record.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if id.starts_with(fakes::NAME) {
                ids.push(id);
            }
        }
        ensure!(ids.len() == count, "{} tasks instead of {count}", ids.len());
        let waiter = Waiter::start(room, &ids)?;
        Ok(Self { count, waiter, supervisor, ask, answers })
    }

    /// Ends so many of them, and when that is done with so many. Gives the time from the end of the last to the waiter's return.
    fn end(mut self, parts: &[usize]) -> Result<f64> {
        let mut line = String::new();
        let mut left = self.count;
        for part in parts {
            // One thread for each that is waited for, and what they tell it.
            until("gco to have seen the others", || {
                let threads =
                    processes::proc_number(self.waiter.child.id().into(), "status", "Threads").ok()?;
                (threads <= left as u64 + 1).then_some(())
            })?;
            ensure!(self.waiter.child.try_wait()?.is_none(), "the waiter did not wait for all");
            writeln!(self.ask, "{part}")?;
            left -= part;
            line.clear();
            self.answers.read_line(&mut line)?;
        }
        let ended = Duration::from_nanos(line.trim_end().parse()?);
        let returned = self.waiter.returned()?;
        drop(self.ask);
        ensure!(self.supervisor.wait()?.success(), "the tasks failed");
        processes::reap_the_rest()?;
        Ok((returned - ended).as_secs_f64())
    }
}
