//! A disk that is full, or broken, from any moment on: the command must not notice.
//!
//! First the calls are counted that change the status directory, then one run is made for each of them, in which that one fails
//! and all that come after it. CI takes every fifth (`GCO_IT_FAILURES=1` takes them all), beginning with another one each time.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::errno::Errno;

use crate::harness::{Home, eventually};
use crate::struck::{Look, run};
use crate::tools::count;
use crate::tracer::{Plan, Trace};

/// What is wrong with a run whose disk failed.
fn wrong(home: &Home, trace: &Trace) -> Vec<String> {
    let mut look = Look::at(home);
    let hung = look.text("hung");
    if !hung.is_empty() {
        return vec![format!("it hung: {hung}")];
    }
    eventually("everything to end", || home.processes().is_empty().then_some(()));
    let (ran, out, err) = (look.text("ran"), look.text("out"), look.text("err"));
    look.expect(ran == "ran\n", format!("the command ran so often: {ran:?}"));
    look.expect(trace.status.code() == Some(7), format!("exit code {:?}", trace.status.code()));
    look.expect(out == "out\n", format!("shown {out:?}"));
    // What is missing is said, beside what the command wrote.
    let theirs: String = err.split_inclusive('\n').filter(|line| !is_ours(line)).collect();
    look.expect(theirs == "err\n", format!("shown {err:?}"));
    for id in home.ids() {
        let status = home.gco(["tasks", "status", &id, "--json"]).run().code(0).stderr("").json();
        let is_true =
            status["state"] == "orphaned" || (status["state"] == "failed" && status["exit_code"] == 7);
        look.expect(is_true, format!("record {status}"));
        // The log is as far as it goes, in order, and says nothing that was not written.
        let log = fs::read(home.tasks().join(format!("{id}.log"))).unwrap_or_default();
        let log = String::from_utf8(log).unwrap();
        let lines: Vec<_> = log.split_inclusive('\n').filter(|line| !line.starts_with("[gco] ")).collect();
        let whole = ["[stdout] out\n", "[stderr] err\n"];
        let is_begin = |line: &&str| whole.iter().any(|whole| whole.starts_with(*line));
        look.expect(lines.len() <= 2 && lines.iter().all(is_begin), format!("log {log:?}"));
    }
    look.at_leftovers(&home.ids().iter().map(|id| format!(".{id}.lock")).collect());
    look.wrong
}

fn is_ours(line: &str) -> bool {
    line.starts_with("gco: ") || line.starts_with("hint: ")
}

fn fail_everywhere(error: Errno) {
    if !cfg!(target_arch = "x86_64") {
        return eprintln!("NOT TESTED on this kind of processor");
    }
    let home = Home::new();
    let run = |home: &Home, from| run(home, &[], Some(Plan::Fail { error, from, dir: &home.tasks() }));
    let whole = run(&home, u64::MAX);
    assert_eq!(wrong(&home, &whole), [""; 0]);
    assert!(whole.changes > 10, "{whole:?}");
    let step = count("GCO_IT_FAILURES", 5) as u64;
    let first = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64 % step;
    eprintln!("every {step}th of {}, the first is {first}", whole.changes);
    let (mut all, mut unsaid) = (Vec::new(), 0);
    for from in (1..=whole.changes + 2).filter(|from| from % step == first) {
        let home = Home::new();
        let trace = run(&home, from);
        let is_whole = |id: &String| home.record(id)["state"] == "failed";
        unsaid += usize::from(!home.ids().iter().any(is_whole));
        all.extend(
            wrong(&home, &trace)
                .iter()
                .map(|wrong| format!("from call {from} of {}: {wrong}", trace.changes)),
        );
    }
    assert!(unsaid > 0, "no record was kept from being written");
    assert!(all.is_empty(), "{} are wrong:\n{}", all.len(), all.join("\n"));
}

#[test]
fn a_disk_that_is_full_from_any_moment_on() {
    fail_everywhere(Errno::ENOSPC);
}

#[test]
fn a_disk_that_is_broken_from_any_moment_on() {
    fail_everywhere(Errno::EIO);
}

#[test]
fn a_disk_that_becomes_read_only_at_any_moment() {
    fail_everywhere(Errno::EROFS);
}
