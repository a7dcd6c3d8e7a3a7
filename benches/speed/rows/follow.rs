//! How soon a line is seen by somebody who follows the log.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::bench::Bench;
use crate::helper;
use crate::measure::{Reading, Unit, quantile};
use crate::processes::{self, until};

/// The command writes the time; when the line comes out of `tail -f`, the next one is asked for.
pub fn latency(bench: &Bench) -> Result<Reading> {
    let room = &bench.room;
    let mut command = room.gco_with_helper(&["run", "--name", "clock"], &["clock"])?;
    let mut front_end = command.stdin(Stdio::piped()).spawn()?;
    let mut ask = front_end.stdin.take().context("no input")?;
    until("the task", || room.only_task().ok())?;
    let mut follower = room.gco(["tasks", "tail", "-f", "clock"]).stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(follower.stdout.take().context("no output")?);
    let mut line = String::new();
    let mut values = Vec::new();
    let count = bench.times(1001);
    // The first ones also wait for the programs to start.
    for n in 0..count + 2 {
        ask.write_all(b"\n")?;
        line.clear();
        ensure!(lines.read_line(&mut line)? > 0, "the follower has ended");
        let seen = helper::now()?;
        let word = line.split_whitespace().last().context("an empty line")?;
        let written = Duration::from_nanos(word.parse().with_context(|| line.clone())?);
        if n >= 2 {
            values.push((seen - written).as_secs_f64());
        }
    }
    drop(ask);
    ensure!(front_end.wait()?.success(), "the task failed");
    ensure!(follower.wait()?.success(), "the follower failed");
    processes::reap_the_rest()?;
    Ok(Reading::Alone { unit: Unit::Seconds, figure: quantile(&values, 0.99), values })
}
