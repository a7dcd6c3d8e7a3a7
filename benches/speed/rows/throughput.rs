//! How fast bytes go through.

use std::ffi::OsStr;
use std::fs;
use std::io::pipe;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use crate::bench::Bench;
use crate::data;
use crate::measure::Reading;
use crate::processes;

const MIB: u64 = 1 << 20;

/// gco's tag makes each line of the log that much longer than the command's.
const TAG: u64 = 9;

pub fn echo(bench: &Bench) -> Result<Reading> {
    let (text, lines) = bench.text(bench.size(512 * MIB, 4 * MIB))?;
    bench.pairs(
        9,
        "cat f | tee log > /dev/null",
        || {
            through_gco(
                bench,
                &["run", "--"],
                ["cat".as_ref(), text.as_os_str()],
                (&text, lines),
                &["[stdout] "],
            )
        },
        || through_pipes(bench, &text, 1, true),
    )
}

pub fn no_echo(bench: &Bench) -> Result<Reading> {
    let (text, lines) = bench.text(bench.size(512 * MIB, 4 * MIB))?;
    let args = ["run", "--echo", "never", "--"];
    bench.pairs(
        9,
        "cat f | cat > log",
        || through_gco(bench, &args, ["cat".as_ref(), text.as_os_str()], (&text, lines), &["[stdout] "]),
        || through_pipes(bench, &text, 1, false),
    )
}

pub fn both(bench: &Bench) -> Result<Reading> {
    let (text, lines) = bench.text(bench.size(256 * MIB, 2 * MIB))?;
    let command = ["sh", "-c", "cat \"$0\" >&2 & cat \"$0\"; wait"].map(OsStr::new).into_iter();
    let command: Vec<&OsStr> = command.chain([text.as_os_str()]).collect();
    let tags = ["[stdout] ", "[stderr] "];
    bench.pairs(
        9,
        "two of cat f | tee log",
        || through_gco(bench, &["run", "--"], command.clone(), (&text, lines), &tags),
        || through_pipes(bench, &text, 2, true),
    )
}

/// `text`, of so many lines, through `gco run`, once for each of `tags`. All of it is read back.
fn through_gco<'a>(
    bench: &Bench,
    args: &'a [&'a str],
    command: impl IntoIterator<Item = &'a OsStr>,
    (text, lines): (&Path, u64),
    tags: &[&str],
) -> Result<f64> {
    bench.room.clear()?;
    let wall = bench.wall(bench.room.gco(args.iter().map(OsStr::new).chain(command)))?;
    let (record, log) = bench.room.only_task()?;
    ensure!(record["state"] == "succeeded", "the task is {}", record["state"]);
    let size = tags.len() as u64 * lines * (data::LINE as u64 + TAG);
    ensure!(fs::metadata(&log)?.len() == size, "the log has not the size it should have");
    data::compare(&log, text, tags)?;
    Ok(wall)
}

/// `text` through so many pipes at once, each into `tee` or `cat` and a log.
fn through_pipes(bench: &Bench, text: &Path, count: usize, tee: bool) -> Result<f64> {
    let logs: Vec<PathBuf> = (0..count).map(|n| bench.room.path(&format!("log-{n}"))).collect();
    let mut commands = Vec::new();
    for log in &logs {
        commands.extend(pipeline(bench, bench.room.command("cat", [text]), log, tee)?);
    }
    let wall = processes::run(commands)?.wall;
    for log in logs {
        ensure!(fs::metadata(&log)?.len() == fs::metadata(text)?.len(), "the other program lost something");
        fs::remove_file(log)?;
    }
    Ok(wall)
}

/// `writer | tee log > /dev/null`, or `writer | cat > log`.
pub fn pipeline(bench: &Bench, mut writer: Command, log: &Path, tee: bool) -> Result<[Command; 2]> {
    let (reading, writing) = pipe()?;
    writer.stdout(writing);
    let mut reader = if tee {
        bench.room.command("tee", [log])
    } else {
        let mut cat = bench.room.command("cat", [""; 0]);
        cat.stdout(fs::File::create(log)?);
        cat
    };
    reader.stdin(reading);
    Ok([writer, reader])
}
