//! Reading a full directory, and emptying it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::bench::Bench;
use crate::data;
use crate::measure::Reading;
use crate::processes;
use crate::room::Room;

/// The tag that each line of the planted log has.
const TAG: &[u8] = b"[stdout] ";

pub fn newest(bench: &Bench) -> Result<Reading> {
    plant_many(bench)?;
    let room = &bench.room;
    expect_listed(room, &["tasks", "list", "--json"], 20.min(many(bench)))?;
    let other = || bench.wall(room.command("ls", ["-U".as_ref(), room.tasks().as_os_str()]));
    bench.pairs(51, "ls -U", || bench.wall(room.gco(["tasks", "list"])), other)
}

pub fn json(bench: &Bench) -> Result<Reading> {
    plant_many(bench)?;
    let room = &bench.room;
    let args = ["tasks", "list", "-n", "0", "--json"];
    expect_listed(room, &args, many(bench))?;
    let other = || {
        let mut command = room.command("sh", ["-c", "cat *.json"]);
        command.current_dir(room.tasks());
        bench.wall(command)
    };
    bench.pairs(15, "cat *.json", || bench.wall(room.gco(args)), other)
}

pub fn tail(bench: &Bench) -> Result<Reading> {
    let room = &bench.room;
    let log = plant_one(room)?.with_extension("log");
    data::write(&log, bench.size(512 << 20, 4 << 20), TAG)?;
    let args = ["tasks", "tail", "-n", "100"];
    let ours = output(room.gco(args))?;
    let theirs = output(room.command("tail", ["-n".as_ref(), "100".as_ref(), log.as_os_str()]))?;
    ensure!(ours == theirs, "gco's last lines are not those of tail");
    let other = || bench.wall(room.command("tail", ["-n".as_ref(), "100".as_ref(), log.as_os_str()]));
    bench.pairs(101, "tail -n 100", || bench.wall(room.gco(args)), other)
}

pub fn prune(bench: &Bench) -> Result<Reading> {
    let room = &bench.room;
    let gco = || {
        plant_many(bench)?;
        let wall = bench.wall(room.gco(["tasks", "prune", "--keep", "0", "-y"]))?;
        for entry in fs::read_dir(room.tasks())? {
            let name = entry?.file_name();
            // The journal of events outlives its tasks.
            ensure!(name == ".events", "'{}' is left", name.display());
        }
        Ok(wall)
    };
    let other = || {
        plant_many(bench)?;
        bench.wall(room.command("rm", ["-rf".as_ref(), room.tasks().as_os_str()]))
    };
    bench.pairs(5, "rm -rf", gco, other)
}

fn many(bench: &Bench) -> usize {
    bench.size(10_000, 200)
}

/// Fills the status directory with finished tasks.
fn plant_many(bench: &Bench) -> Result<()> {
    let first = plant_one(&bench.room)?;
    let mut record: Value = serde_json::from_slice(&fs::read(&first)?)?;
    let log = fs::read(first.with_extension("log"))?;
    let begin = 1_760_000_000_000_u64;
    for n in 1..many(bench) as u64 {
        let id = format!("build-{}-0", begin + n * 61_007);
        let path = bench.room.tasks().join(format!("{id}.json"));
        record["log_path"] = path.with_extension("log").to_string_lossy().into();
        record["task_id"] = id.into();
        fs::write(path.with_extension("log"), &log)?;
        private(&path.with_extension("log"))?;
        fs::write(&path, format!("{record:#}\n"))?;
        private(&path)?;
    }
    Ok(())
}

/// A directory with one real finished task. Gives the path of its record.
fn plant_one(room: &Room) -> Result<std::path::PathBuf> {
    room.clear()?;
    let script =
        "for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do echo \"  Compiling part $n of 16\"; done";
    processes::run([room.gco(["run", "--name", "build", "--", "sh", "-c", script])])?;
    let records = room.records()?;
    records.into_iter().next().context("there is no record")
}

fn private(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o600))?)
}

fn expect_listed(room: &Room, args: &[&str], count: usize) -> Result<()> {
    let listed: Value = serde_json::from_slice(&output(room.gco(args))?)?;
    let found = listed["tasks"].as_array().map_or(0, Vec::len);
    ensure!(found == count, "{found} tasks are listed instead of {count}");
    Ok(())
}

fn output(mut command: std::process::Command) -> Result<Vec<u8>> {
    let output = command.stdout(std::process::Stdio::piped()).output()?;
    ensure!(output.status.success(), "{command:?}: {}", output.status);
    Ok(output.stdout)
}
