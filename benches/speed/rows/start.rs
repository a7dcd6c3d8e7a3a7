//! What starting a command costs.

use anyhow::{Result, ensure};

use crate::bench::Bench;
use crate::measure::Reading;

const PAIRS: usize = 301;

pub fn run(bench: &Bench) -> Result<Reading> {
    let room = &bench.room;
    let gco = || bench.wall(room.gco(["run", "--", "true"]));
    let reading = bench.pairs(PAIRS, "nohup true", gco, || bench.wall(room.command("nohup", ["true"])))?;
    check(bench, bench.times(PAIRS))?;
    Ok(reading)
}

pub fn detach(bench: &Bench) -> Result<Reading> {
    let room = &bench.room;
    let gco = || bench.wall(room.gco(["run", "--detach", "--", "true"]));
    let (against, other) = if room.has("nq") {
        ("nq true", ["nq", "true"])
    } else {
        ("nohup true (no nq here)", ["nohup", "true"])
    };
    let queue = room.path("nq");
    let other = || {
        let mut command = room.command(other[0], &other[1..]);
        command.env("NQDIR", &queue);
        bench.wall(command)
    };
    let reading = bench.pairs(PAIRS, against, gco, other)?;
    if queue.exists() {
        std::fs::remove_dir_all(queue)?;
    }
    check(bench, bench.times(PAIRS))?;
    Ok(reading)
}

/// What waiting in line for a place costs that is free.
pub fn group(bench: &Bench) -> Result<Reading> {
    let room = &bench.room;
    let gco = || bench.wall(room.gco(["run", "--group", "g", "--", "true"]));
    let other = || bench.wall(room.gco(["run", "--", "true"]));
    let reading = bench.pairs(PAIRS, "gco run -- true", gco, other)?;
    check(bench, 2 * bench.times(PAIRS))?;
    Ok(reading)
}

/// There are as many records as there should be, after retention.
fn check(bench: &Bench, runs: usize) -> Result<()> {
    let found = bench.room.records()?.len();
    ensure!(found == runs.min(50) || found == runs.min(51), "{found} records of {runs} runs");
    Ok(())
}
