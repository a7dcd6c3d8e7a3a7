//! What every row works with.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::args::Args;
use crate::data;
use crate::measure::{Reading, Unit};
use crate::processes;
use crate::room::Room;

#[derive(Debug)]
pub struct Bench {
    pub room: Room,
    /// Once, with little data.
    pub quick: bool,
    disk: bool,
    pairs: Option<usize>,
}

impl Bench {
    pub fn new(args: &Args) -> Result<Self> {
        Ok(Self { room: Room::new(args.disk)?, quick: args.quick, disk: args.disk, pairs: args.pairs })
    }

    /// Where and on what this is measured, in a line.
    pub fn place(&self) -> String {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = read("/proc/cpuinfo");
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
        format!(
            "{} processors ({}), Linux {}, {}{}",
            std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            model.unwrap_or("of an unknown kind"),
            read("/proc/sys/kernel/osrelease").trim(),
            if self.disk { "disk" } else { "tmpfs" },
            if self.quick { ", quick: the figures mean nothing" } else { "" },
        )
    }

    /// `full`, or `little` in a quick run.
    pub fn size<T>(&self, full: T, little: T) -> T {
        if self.quick { little } else { full }
    }

    /// How often, if `full` times is right.
    pub fn times(&self, full: usize) -> usize {
        if self.quick { 1 } else { self.pairs.unwrap_or(full) }
    }

    /// gco and the other by turns; before that each once, for nothing, unless it is a quick run.
    pub fn pairs(
        &self,
        full: usize,
        against: &str,
        mut gco: impl FnMut() -> Result<f64>,
        mut other: impl FnMut() -> Result<f64>,
    ) -> Result<Reading> {
        if !self.quick {
            gco()?;
            other()?;
        }
        let (mut one, mut two) = (Vec::new(), Vec::new());
        for _ in 0..self.times(full) {
            one.push(gco()?);
            two.push(other()?);
        }
        Ok(Reading::Pairs { unit: Unit::Seconds, against: against.to_owned(), gco: one, other: two })
    }

    /// How long `command` takes.
    pub fn wall(&self, command: Command) -> Result<f64> {
        Ok(processes::run([command])?.wall)
    }

    /// A file of about `bytes` of text that stays as long as the bench, and how many lines it has.
    pub fn text(&self, bytes: u64) -> Result<(PathBuf, u64)> {
        let path = self.room.path(&format!("text-{bytes}"));
        if !path.exists() {
            data::write(&path, bytes, b"")?;
        }
        Ok((path, bytes / data::LINE as u64))
    }
}
