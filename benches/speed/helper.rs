//! The commands that are measured with: this program, run once more as something that writes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, Read, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use gco::sys::fork::{Side, exit_now, fork, own_group, own_session};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::UsageWho;
use nix::sys::signal::SigSet;
use nix::time::{ClockId, clock_gettime};

use crate::{data, fakes, processes};

/// The first argument of a helper.
pub const WORD: &str = "helper";

/// How many processes there are at any time of those that flee.
pub const CHAINS: usize = 3;

pub fn help(words: &[String]) -> Result<()> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["lines", count, report] => lines(count.parse()?, report),
        ["long-line", bytes, ready] => long_line(bytes.parse()?, ready),
        ["clock"] => clock(),
        ["end", report] => end(report),
        ["flee", leash] => flee(leash),
        ["tasks", count, template] => fakes::supervise(count.parse()?, template),
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

/// Ends with its input, and leaves in `report` when that was.
fn end(report: &str) -> Result<()> {
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    fs::write(report, now()?.as_nanos().to_string())?;
    Ok(())
}

/// Stays, deaf to all signals that can be blocked, and starts chains of processes each of which forks and ends, as fast as it
/// can: in the first chain each has a session of its own, in the second a group. All of them hold `leash`, and the first
/// of each chain writes a byte to it. If nobody has it at the other end any more, they end by themselves.
fn flee(leash: &str) -> Result<()> {
    let mut leash = OpenOptions::new().write(true).open(leash)?;
    SigSet::all().thread_block()?;
    for chain in 0..CHAINS {
        if fork()? == Side::Child {
            leash.write_all(b"x")?;
            while !is_loose(&leash, PollTimeout::ZERO) {
                // Where there is no room for another process, there is soon.
                if matches!(fork(), Ok(Side::Parent(_))) {
                    break;
                }
                match chain {
                    0 => own_session(),
                    1 => own_group(),
                    _ => {}
                }
            }
            exit_now(0);
        }
    }
    is_loose(&leash, PollTimeout::NONE);
    Ok(())
}

/// Whether nobody has the other end of `leash`.
fn is_loose(leash: &File, timeout: PollTimeout) -> bool {
    poll(&mut [PollFd::new(leash.as_fd(), PollFlags::empty())], timeout).is_ok_and(|count| count > 0)
}

/// The time by a clock that all processes share.
pub fn now() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_MONOTONIC)?.into())
}
