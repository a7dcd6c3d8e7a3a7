//! Many small writes.

use std::fs;

use anyhow::{Result, ensure};

use super::throughput::pipeline;
use crate::bench::Bench;
use crate::data;
use crate::measure::Reading;
use crate::processes::{self, Run};

const PAIRS: usize = 11;
const AGAINST: &str = "| tee log > /dev/null";

pub fn wall(bench: &Bench) -> Result<Reading> {
    bench.pairs(PAIRS, AGAINST, || Ok(through_gco(bench)?.wall), || Ok(through_tee(bench)?.wall))
}

pub fn processor(bench: &Bench) -> Result<Reading> {
    bench.pairs(PAIRS, AGAINST, || Ok(through_gco(bench)?.processor), || Ok(through_tee(bench)?.processor))
}

fn count(bench: &Bench) -> u64 {
    bench.size(1_000_000, 10_000)
}

fn through_gco(bench: &Bench) -> Result<Run> {
    bench.room.clear()?;
    let report = bench.room.path("report");
    let helper = ["lines", &count(bench).to_string(), &report.to_string_lossy()];
    let run = processes::run([bench.room.gco_with_helper(&["run"], &helper)?])?;
    let (record, log) = bench.room.only_task()?;
    ensure!(record["state"] == "succeeded", "the task is {}", record["state"]);
    let size = count(bench) * (data::LINE + b"[stdout] ".len()) as u64;
    ensure!(fs::metadata(log)?.len() == size, "the log has not the size it should have");
    without_writer(bench, run)
}

fn through_tee(bench: &Bench) -> Result<Run> {
    let (report, log) = (bench.room.path("report"), bench.room.path("log"));
    let writer = bench.room.helper(&["lines", &count(bench).to_string(), &report.to_string_lossy()])?;
    let run = processes::run(pipeline(bench, writer, &log, true)?)?;
    ensure!(fs::metadata(&log)?.len() == count(bench) * data::LINE as u64, "tee lost something");
    fs::remove_file(log)?;
    without_writer(bench, run)
}

/// What the writer itself used, it has written down.
fn without_writer(bench: &Bench, run: Run) -> Result<Run> {
    let report = bench.room.path("report");
    let own: f64 = fs::read_to_string(&report)?.parse()?;
    fs::remove_file(report)?;
    Ok(Run { processor: run.processor - own, ..run })
}
