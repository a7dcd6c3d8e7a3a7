//! When the lines of a log were written: the index that the supervisor keeps beside it.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use gco::log::times::Times;
use nix::sys::signal::Signal;

use crate::harness::{Home, eventually};
use crate::tools::{Gate, send};

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

fn index(home: &Home, id: &str) -> PathBuf {
    home.tasks().join(format!(".{id}.times"))
}

fn times(home: &Home, id: &str) -> Times<File> {
    Times::open(File::open(index(home, id)).unwrap()).unwrap().unwrap()
}

/// Waits until nothing that is written now is in the same tenth of a second as anything before.
fn until_next_tenth() {
    let tenth = now() / 100;
    eventually("the next tenth of a second", || (now() / 100 > tenth).then_some(()));
}

#[test]
fn each_line_has_its_time() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let begun = now();
    let run = home.gco(["run", "--", "sh", "-c", "echo one; echo two >&2; read x <go; echo three"]).spawn();
    let id = home.until_running()["task_id"].as_str().unwrap().to_owned();
    let two = b"[stdout] one\n[stderr] two\n".len() as u64;
    eventually("two lines", || (home.log(&id).len() as u64 == two).then_some(()));
    let seen = now();
    until_next_tenth();
    let opened = now();
    gate.open();
    run.wait().code(0).stdout("one\nthree\n").stderr("two\n");
    let ended = now();
    assert_eq!(fs::metadata(index(&home, &id)).unwrap().mode() & 0o7777, 0o600);
    let mut times = times(&home, &id);
    for offset in 0..two {
        let time = times.at(offset).unwrap().unwrap();
        assert!(begun <= time && time <= seen, "{begun} {time} {seen}");
    }
    for offset in two..home.log(&id).len() as u64 {
        let time = times.at(offset).unwrap().unwrap();
        assert!(opened <= time && time <= ended, "{opened} {time} {ended}");
    }
    assert_eq!(times.since(0).unwrap(), Some(0));
    assert_eq!(times.since(opened).unwrap(), Some(two));
    assert_eq!(times.since(ended + 100).unwrap(), None);
}

#[test]
fn a_successor_goes_on_with_it() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let run = home.gco(["run", "--", "sh", "-c", "echo one; read x <go; echo two"]).spawn();
    let id = home.until_running()["task_id"].as_str().unwrap().to_owned();
    home.until_log(&id, "[stdout] one\n");
    let before = fs::read(index(&home, &id)).unwrap();
    let old = home.the_gco("gco-supervisor");
    send(old, Signal::SIGKILL);
    eventually("a successor", || home.gcos("gco-supervisor").into_iter().find(|&pid| pid != old));
    until_next_tenth();
    let opened = now();
    gate.open();
    run.wait().code(0).stdout("one\ntwo\n").stderr("");
    assert!(fs::read(index(&home, &id)).unwrap().starts_with(&before));
    let mut times = times(&home, &id);
    let log = home.log(&id);
    let two = memchr::memmem::rfind(&log, b"[stdout] two").unwrap() as u64;
    assert!(times.at(0).unwrap().unwrap() < opened);
    assert!(times.at(two).unwrap().unwrap() >= opened);
}

#[test]
fn it_comes_back_with_the_log() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let run = home.gco(["run", "--", "sh", "-c", "echo one; read x <go; echo two"]).spawn();
    let id = home.until_running()["task_id"].as_str().unwrap().to_owned();
    home.until_log(&id, "[stdout] one\n");
    let before = times(&home, &id).at(0).unwrap();
    until_next_tenth();
    let opened = now();
    fs::remove_file(home.tasks().join(format!("{id}.log"))).unwrap();
    fs::remove_file(index(&home, &id)).unwrap();
    gate.open();
    run.wait().code(0).stdout("one\ntwo\n").stderr("");
    let mut times = times(&home, &id);
    assert_eq!(times.at(0).unwrap(), before);
    assert_eq!(times.since(opened).unwrap(), Some(b"[stdout] one\n".len() as u64));
    home.until_quiet();
    home.no_leftovers();
}

#[test]
fn it_comes_back_alone_as_well() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let run = home.gco(["run", "--", "sh", "-c", "echo one; read x <go; echo two; read x <go"]).spawn();
    let id = home.until_running()["task_id"].as_str().unwrap().to_owned();
    home.until_log(&id, "[stdout] one\n");
    let before = times(&home, &id).at(0).unwrap();
    let log = fs::metadata(home.tasks().join(format!("{id}.log"))).unwrap().ino();
    fs::remove_file(index(&home, &id)).unwrap();
    until_next_tenth();
    let opened = now();
    gate.open();
    // While the task still runs.
    eventually("the index", || index(&home, &id).exists().then_some(()));
    assert_eq!(fs::metadata(index(&home, &id)).unwrap().mode() & 0o7777, 0o600);
    gate.open();
    run.wait().code(0).stdout("one\ntwo\n").stderr("");
    let mut times = times(&home, &id);
    assert_eq!(times.at(0).unwrap(), before);
    assert_eq!(times.since(opened).unwrap(), Some(b"[stdout] one\n".len() as u64));
    assert_eq!(home.record(&id)["warnings"], serde_json::json!([]));
    assert_eq!(
        fs::metadata(home.tasks().join(format!("{id}.log"))).unwrap().ino(),
        log,
        "that was not touched"
    );
    home.until_quiet();
    home.no_leftovers();
}

#[test]
fn what_is_done_to_it_does_not_touch_the_command() {
    type Harm = fn(&Home, &str);
    let harms: [Harm; 3] = [
        |home, id| fs::remove_file(index(home, id)).unwrap(),
        |home, id| File::options().write(true).open(index(home, id)).unwrap().set_len(5).unwrap(),
        |home, id| {
            fs::write(home.path().join("other"), "precious").unwrap();
            fs::remove_file(index(home, id)).unwrap();
            symlink(home.path().join("other"), index(home, id)).unwrap();
        },
    ];
    for harm in harms {
        let home = Home::new();
        let gate = Gate::new(&home, "go");
        let run = home.gco(["run", "--", "sh", "-c", "echo one; read x <go; echo two; exit 3"]).spawn();
        let id = home.until_running()["task_id"].as_str().unwrap().to_owned();
        home.until_log(&id, "[stdout] one\n");
        harm(&home, &id);
        let old = home.the_gco("gco-supervisor");
        send(old, Signal::SIGKILL);
        eventually("a successor", || home.gcos("gco-supervisor").into_iter().find(|&pid| pid != old));
        until_next_tenth();
        let opened = now();
        gate.open();
        run.wait().code(3).stdout("one\ntwo\n").stderr("");
        let mut times = times(&home, &id);
        assert!(times.at(home.log(&id).len() as u64 - 1).unwrap().unwrap() >= opened);
        let other = fs::read_to_string(home.path().join("other"));
        assert!(other.is_err() || other.unwrap() == "precious");
    }
}

#[test]
fn it_goes_with_its_task() {
    let home = Home::new();
    home.gco(["run", "--", "echo", "x"]).run().code(0).stdout("x\n").stderr("");
    let id = home.only_id();
    assert!(index(&home, &id).exists());
    home.until_quiet();
    home.gco(["tasks", "prune", "--keep", "0", "-y"]).run().code(0).stdout_has("removed 1 task").stderr("");
    assert_eq!(home.names(), [".events"]);
}

#[test]
fn a_silent_command_has_none() {
    let home = Home::new();
    home.gco(["run", "--", "true"]).run().code(0).stdout("").stderr("");
    assert!(!index(&home, &home.only_id()).exists());
}
