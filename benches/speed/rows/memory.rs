//! What gco occupies.

use std::fs;
use std::process::{Child, ChildStdin, Stdio};

use anyhow::{Context, Result, ensure};

use crate::bench::Bench;
use crate::measure::{Reading, Unit};
use crate::processes::{self, proc_number, until};

/// A running task whose command has written what it had to, and waits.
struct Task {
    front_end: Child,
    input: ChildStdin,
    supervisor: i64,
    keeper: i64,
}

impl Task {
    /// One with a line of `bytes` behind it.
    fn after(bench: &Bench, bytes: u64) -> Result<Self> {
        bench.room.clear()?;
        let ready = bench.room.path("ready");
        let helper = ["long-line", &bytes.to_string(), &ready.to_string_lossy()];
        let mut command = bench.room.gco_with_helper(&["run"], &helper)?;
        let mut front_end = command.stdin(Stdio::piped()).spawn()?;
        let input = front_end.stdin.take().context("no input")?;
        until("the command", || ready.exists().then_some(()))?;
        fs::remove_file(ready)?;
        // What is left in the pipe is a part soon; and the record names the command.
        let record = until("the record and the log", || {
            let (record, log) = bench.room.only_task().ok()?;
            let whole = fs::metadata(log).ok()?.len() >= bytes && record["stdout_bytes"] == bytes;
            (whole && record["pid"] != record["supervisor_pid"]).then_some(record)
        })?;
        let command = record["pid"].as_i64().context("the record has no pid")?;
        let supervisor = record["supervisor_pid"].as_i64().context("the record has no supervisor")?;
        let keeper = i64::try_from(proc_number(command, "status", "PPid")?)?;
        Ok(Self { front_end, input, supervisor, keeper })
    }

    fn all(&self) -> [i64; 3] {
        [i64::from(self.front_end.id()), self.supervisor, self.keeper]
    }

    fn pss(&self) -> Result<f64> {
        let mut sum = 0;
        for pid in self.all() {
            sum += proc_number(pid, "smaps_rollup", "Pss")?;
        }
        Ok(sum as f64 * 1024.0)
    }

    /// The most that any of them ever had.
    fn peak(&self) -> Result<f64> {
        let mut most = 0;
        for pid in self.all() {
            most = most.max(proc_number(pid, "status", "VmHWM")?);
        }
        Ok(most as f64 * 1024.0)
    }

    fn end(mut self) -> Result<()> {
        drop(self.input);
        ensure!(self.front_end.wait()?.success(), "the task failed");
        processes::reap_the_rest()
    }
}

pub fn quiet(bench: &Bench) -> Result<Reading> {
    let task = Task::after(bench, 0)?;
    let figure = task.pss()?;
    task.end()?;
    Ok(Reading::one(Unit::Bytes, figure))
}

pub fn after(bench: &Bench) -> Result<Reading> {
    let task = Task::after(bench, bench.size(1 << 30, 1 << 23))?;
    let figure = task.pss()?;
    task.end()?;
    Ok(Reading::one(Unit::Bytes, figure))
}

pub fn peak(bench: &Bench) -> Result<Reading> {
    let task = Task::after(bench, bench.size(1 << 30, 1 << 23))?;
    let figure = task.peak()?;
    task.end()?;
    Ok(Reading::one(Unit::Bytes, figure))
}

pub fn binary(_: &Bench) -> Result<Reading> {
    Ok(Reading::one(Unit::Bytes, fs::metadata(env!("CARGO_BIN_EXE_gco"))?.len() as f64))
}
