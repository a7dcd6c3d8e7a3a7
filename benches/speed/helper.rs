//! The commands that are measured with: this program, run once more as something that writes.

use std::fs;
use std::io::{self, BufRead, Read, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::resource::UsageWho;
use nix::time::{ClockId, clock_gettime};

use crate::{data, processes};

/// The first argument of a helper.
pub const WORD: &str = "helper";

pub fn help(words: &[String]) -> Result<()> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["lines", count, report] => lines(count.parse()?, report),
        ["long-line", bytes, ready] => long_line(bytes.parse()?, ready),
        ["clock"] => clock(),
        _ => bail!("no such helper: {words:?}"),
    }
}

/// Writes `count` lines, each with a `write` of its own, and leaves in `report` what processor time that took.
fn lines(count: usize, report: &str) -> Result<()> {
    let text = data::block();
    let out = io::stdout();
    for line in text.chunks_exact(data::LINE).cycle().take(count) {
        let written = nix::unistd::write(out.as_fd(), line)?;
        anyhow::ensure!(written == line.len(), "a short write");
    }
    fs::write(report, processes::processor_time(UsageWho::RUSAGE_SELF)?.to_string())?;
    Ok(())
}

/// Writes a line of `bytes` without an end, makes the file `ready`, and stays until its input ends.
fn long_line(bytes: u64, ready: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    io::copy(&mut io::repeat(b'x').take(bytes), &mut out)?;
    out.flush()?;
    fs::write(ready, "")?;
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    Ok(())
}

/// For each line of its input writes one with the time.
fn clock() -> Result<()> {
    let out = io::stdout();
    for line in io::stdin().lock().lines() {
        line?;
        let text = format!("{}\n", now()?.as_nanos());
        let written = nix::unistd::write(out.as_fd(), text.as_bytes()).context("the time")?;
        anyhow::ensure!(written == text.len(), "a short write");
    }
    Ok(())
}

/// The time by a clock that all processes share.
pub fn now() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_MONOTONIC)?.into())
}
