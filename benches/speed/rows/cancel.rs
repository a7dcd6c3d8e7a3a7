//! Ending a task with all its processes.

use std::os::unix::process::CommandExt;
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::bench::Bench;
use crate::helper;
use crate::leash::Leash;
use crate::measure::{Reading, Unit, quantile};
use crate::processes;

/// A command with ten children, all of which sleep.
const FAMILY: [&str; 3] =
    ["sh", "-c", "exec 9>leash; for n in 1 2 3 4 5 6 7 8 9 10; do sleep 1000 & done; echo >&9; wait"];

pub fn family(bench: &Bench) -> Result<Reading> {
    let room = &bench.room;
    let gco = || {
        let mut leash = Leash::new(room)?;
        detach(bench, room.gco(["run", "--detach", "--name", "family", "--"].iter().chain(&FAMILY)))?;
        leash.until_held(1)?;
        cancel(bench, &leash, &["family"])
    };
    let other = || {
        let mut leash = Leash::new(room)?;
        let mut command = room.command(FAMILY[0], &FAMILY[1..]);
        let mut child = command.process_group(0).spawn()?;
        leash.until_held(1)?;
        let group = format!("-{}", child.id());
        let begin = Instant::now();
        let status = room.command("kill", ["-TERM", "--", &group]).status()?;
        child.wait()?;
        processes::reap_the_rest()?;
        let wall = begin.elapsed().as_secs_f64();
        ensure!(status.success(), "kill: {status}");
        leash.expect_free()?;
        Ok(wall)
    };
    bench.pairs(51, "kill -- -PGID, wait", gco, other)
}

/// Every process of it forks and ends: the slowest of many trials.
pub fn fleeing(bench: &Bench) -> Result<Reading> {
    let room = &bench.room;
    let mut values = Vec::new();
    for _ in 0..bench.times(100) {
        let mut leash = Leash::new(room)?;
        let run = ["run", "--detach", "--name", "fleeing"];
        detach(bench, room.gco_with_helper(&run, &["flee", &room.path("leash").to_string_lossy()])?)?;
        leash.until_held(helper::CHAINS)?;
        values.push(cancel(bench, &leash, &["fleeing", "--grace", "0s"])?);
    }
    Ok(Reading::Alone { unit: Unit::Seconds, figure: quantile(&values, 1.0), values })
}

/// Starts a task, which goes on.
fn detach(bench: &Bench, mut run: std::process::Command) -> Result<()> {
    bench.room.clear()?;
    let status = run.status()?;
    ensure!(status.success(), "{run:?}: {status}");
    Ok(())
}

/// Cancels the task; none of its processes is left then.
fn cancel(bench: &Bench, leash: &Leash, args: &[&str]) -> Result<f64> {
    let mut cancel = bench.room.gco(["tasks", "cancel"].iter().chain(args));
    let begin = Instant::now();
    let status = cancel.status()?;
    let wall = begin.elapsed().as_secs_f64();
    ensure!(status.success(), "{cancel:?}: {status}");
    leash.expect_free()?;
    let (record, _) = bench.room.only_task()?;
    ensure!(record["state"] == "cancelled", "the task is {}", record["state"]);
    processes::reap_the_rest()?;
    Ok(wall)
}
