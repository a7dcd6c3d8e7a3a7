//! The rows of the table. To add one: a function that measures, and a line here.

mod cancel;
mod directory;
mod follow;
mod lines;
mod memory;
mod start;
mod throughput;
mod wait;

use anyhow::Result;

use crate::bench::Bench;
use crate::measure::{Goal, Reading};

/// A row of the table.
#[derive(Debug)]
pub struct Row {
    /// To choose it by.
    pub name: &'static str,
    /// What is measured.
    pub what: &'static str,
    /// What is believed to be possible.
    pub goal: Goal,
    pub run: fn(&Bench) -> Result<Reading>,
}

const fn row(name: &'static str, what: &'static str, goal: Goal, run: fn(&Bench) -> Result<Reading>) -> Row {
    Row { name, what, goal, run }
}

const MIB: f64 = 1_048_576.0;

/// All of them, in the order of the table.
pub const ALL: &[Row] = &[
    row("throughput-echo", "512 MiB of text, log and echo", Goal::Ratio(0.8), throughput::echo),
    row("throughput-quiet", "the same, --echo never", Goal::Ratio(1.25), throughput::no_echo),
    row("throughput-both", "256 MiB on each stream at once", Goal::Ratio(0.9), throughput::both),
    row("lines-wall", "1,000,000 lines, one write each", Goal::Ratio(0.95), lines::wall),
    row(
        "lines-processor",
        "the same, processor time without the command",
        Goal::Ratio(0.5),
        lines::processor,
    ),
    row("start-run", "gco run -- true", Goal::Ratio(2.5), start::run),
    row("start-detach", "gco run --detach -- true", Goal::Ratio(3.0), start::detach),
    row("start-group", "gco run --group g -- true", Goal::Ratio(1.25), start::group),
    row("memory-quiet", "PSS of a quiet task, all processes", Goal::Figure(1.5 * MIB), memory::quiet),
    row("memory-after", "PSS after full speed, all processes", Goal::Figure(4.0 * MIB), memory::after),
    row("memory-peak", "peak memory, one line of 1 GiB", Goal::Figure(6.0 * MIB), memory::peak),
    row("list-newest", "newest 20 of 10,000 tasks", Goal::Ratio(1.5), directory::newest),
    row("list-json", "all of 10,000 tasks as JSON", Goal::Ratio(1.5), directory::json),
    row("tail", "last 100 lines of 512 MiB", Goal::Ratio(2.0), directory::tail),
    row("prune", "prune of 10,000 tasks", Goal::Ratio(3.0), directory::prune),
    row("follow", "line written to line seen, 99th percentile", Goal::Figure(0.005), follow::latency),
    row("wait-idle", "wait on 1,000 tasks, processor time in 10 s", Goal::Figure(0.0), wait::idle),
    row("wait-burst", "the same, all end at once: last to return", Goal::Figure(0.05), wait::burst),
    row("wait-last", "the same, the last ends alone: to return", Goal::Figure(0.05), wait::last),
    row("wait-one", "wait on one task: its end to the return", Goal::Figure(0.005), wait::one),
    row("cancel", "cancel a task of 11 processes that sleep", Goal::Figure(0.05), cancel::family),
    row("cancel-fleeing", "cancel one that forks and forks, the slowest", Goal::Figure(1.0), cancel::fleeing),
    row("size", "the binary", Goal::Figure(6.0 * MIB), memory::binary),
];
