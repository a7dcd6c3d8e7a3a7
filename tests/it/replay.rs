//! `gco tasks replay`: what was written, where it was written, in its time, and the end it had.

use std::fs;
use std::time::{Duration, Instant};

use gco::log::times::{HEADER, entry};
use serde_json::json;

use crate::fake::Fake;
use crate::harness::{Home, eventually};

const LOG: &[u8] =
    b"[stdout~] a\n[stderr] x\xff\n[gco] g\n[stdout] b\n[stdout] \n[stderr~] p\n[stdout] last\n[stdout] tor";

/// A task with [`LOG`], which ended with `code`; what came from `offset` on came `later` milliseconds later.
fn home(code: i32, offset: u64, later: u64) -> Home {
    let home = Home::new();
    let fake = Fake::start(&home, "t-1");
    fake.write(LOG);
    fake.finish("failed");
    let path = home.tasks().join("t-1.json");
    let mut record = home.record("t-1");
    record.as_object_mut().unwrap().insert("exit_code".to_owned(), json!(code));
    fs::write(path, record.to_string()).unwrap();
    let start = 1_795_257_472_000;
    let index = [HEADER, entry(0, start), entry(offset, start + later)].concat();
    fs::write(home.tasks().join(".t-1.times"), index).unwrap();
    home
}

const LAST: u64 = 65;

#[test]
fn each_byte_comes_where_it_was_written() {
    for code in [3, 143] {
        let home = home(code, LAST, 0);
        home.gco(["tasks", "replay", "t-1"]).run().code(code).stdout("ab\n\nlast\n").stderr(b"x\xff\np");
    }
}

#[test]
fn a_piece_comes_when_it_came() {
    assert!(LOG[usize::try_from(LAST).unwrap()..].starts_with(b"[stdout] last"));
    // So long that it would be seen if it were waited for.
    let long = home(3, LAST, 3_600_000_000);
    let mut replay = long.gco(["tasks", "replay", "t-1", "--speed", "2"]).spawn();
    replay.until_stdout("ab\n\n");
    eventually("stderr", || (replay.stderr() == b"x\xff\np").then_some(()));
    assert!(!replay.has_ended());
    drop(replay);
    for args in [&["--speed", "1e9"][..], &["--max-gap", "100ms"], &["--max-gap", "0s", "--speed", "0.1"]] {
        long.gco(["tasks", "replay", "t-1"].iter().chain(args))
            .run()
            .code(3)
            .stdout("ab\n\nlast\n")
            .stderr(b"x\xff\np");
    }
    let short = home(3, LAST, 600);
    let begun = Instant::now();
    short
        .gco(["tasks", "replay", "t-1", "--speed", "2"])
        .run()
        .code(3)
        .stdout("ab\n\nlast\n")
        .stderr(b"x\xff\np");
    assert!(begun.elapsed() >= Duration::from_millis(300));
}

#[test]
fn a_real_task_is_played() {
    let home = Home::new();
    let script = "printf one; echo two >&2; echo; kill -TERM $$";
    home.gco(["run", "--", "sh", "-c", script])
        .run()
        .signal(nix::sys::signal::Signal::SIGTERM)
        .stdout("one\n")
        .stderr("two\n");
    home.gco(["tasks", "replay"]).run().code(128 + 15).stdout("one\n").stderr("two\n");
    home.gco(["run", "--", "true"]).run().code(0).stdout("").stderr("");
    home.gco(["tasks", "replay", "true"]).run().code(0).stdout("").stderr("");
}

#[test]
fn what_cannot_be_played_is_told() {
    let home = home(3, LAST, 0);
    let running = Fake::start(&home, "t-2");
    home.gco(["tasks", "replay", &running.id]).run().code(1).stdout("").stderr(
        "gco: cannot replay 't-2': it has not ended\nhint: 'gco tasks tail -f t-2' shows it as it goes on\n",
    );
    fs::remove_file(home.tasks().join(".t-1.times")).unwrap();
    home.gco(["tasks", "replay", "t-1"]).run().code(1).stdout("").stderr(
        "gco: cannot replay 't-1': no times are known for its lines\n\
         hint: 'gco tasks tail --raw -n all t-1' shows all of them at once\n",
    );
    home.gco(["tasks", "replay", "nosuch"]).run().code(1).stdout("").stderr_has("nosuch");
    for args in [["--speed", "0"], ["--speed", "fast"], ["--max-gap", "-1s"], ["--max-gap", "2"]] {
        home.gco(["tasks", "replay", "t-1"].iter().chain(&args)).run().code(2).stdout("").stderr_has("gco: ");
    }
}
