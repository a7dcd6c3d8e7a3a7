//! One process of gco's killed as it is about to do this or that system call, and every system call is tried.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::mpsc::channel;
use std::thread;

use crate::harness::{DEADLINE, Home};
use crate::oracle::rebuild;
use crate::tools::count;
use crate::tracer::{Strike, Trace, trace};

const SCRIPT: &str = "echo ran >>ran; echo out; echo err >&2; exit 7";

/// Runs it with one process struck.
fn run(home: &Home, options: &[&str], strike: Option<Strike>) -> Trace {
    let args = ["run"].iter().chain(options).chain(&["--", "sh", "-c", SCRIPT]);
    let mut gco = home.gco(args);
    let file = |name: &str| File::create(home.path().join(name)).unwrap();
    gco.command.stdin(Stdio::null()).stdout(file("out")).stderr(file("err"));
    let (done, ended) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            // What hangs is ended, and then does not look as it should.
            if ended.recv_timeout(DEADLINE / 4).is_err() {
                fs::write(home.path().join("hung"), format!("{:#?}", home.processes())).unwrap();
                home.kill_all();
            }
        });
        let traced = trace(&mut gco.command, strike);
        done.send(()).unwrap_or(());
        traced
    })
}

/// What is wrong with what a run has left behind.
fn wrong(home: &Home, options: &[&str], trace: &Trace) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Ok(hung) = fs::read_to_string(home.path().join("hung")) {
        return vec![format!("it hung: {hung}")];
    }
    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| home.until_quiet())).is_err() {
        return vec![format!("never quiet: {:#?}", home.processes())];
    }
    let read = |name: &str| fs::read_to_string(home.path().join(name)).unwrap_or_default();
    let (ran, out, err) = (read("ran"), read("out"), read("err"));
    let is_front_end = trace.struck.as_ref().is_some_and(|(name, _)| name == "gco");
    let refused = status_is_125(trace) && ran.is_empty() && read("err").starts_with("gco: ");
    let mut expect = |is: bool, what: String| {
        if !is {
            wrong.push(what);
        }
    };
    let is_detached = options.contains(&"--detach");
    let status = trace.status;
    if is_front_end {
        expect(ran == "ran\n" || ran.is_empty(), format!("ran {ran:?}"));
    } else if !refused {
        expect(ran == "ran\n", format!("ran {ran:?}"));
        let code = if is_detached { 0 } else { 7 };
        expect(status.code() == Some(code), format!("status {:?} {:?}", status.code(), status.signal()));
        if !is_detached {
            expect(out == "out\n" && err == "err\n", format!("shown {out:?} {err:?}"));
        }
    }
    for id in home.ids() {
        let log = fs::read(home.tasks().join(format!("{id}.log"))).unwrap_or_default();
        let listed = home.gco(["tasks", "status", &id, "--json"]).run().code(0).stderr("").json();
        let state = listed["state"].as_str().unwrap_or_default().to_owned();
        if ran.is_empty() {
            expect(state != "running" && state != "succeeded" && state != "queued", format!("state {state}"));
        } else {
            expect(state == "failed" && listed["exit_code"] == 7, format!("record {listed}"));
            let streams = ["stdout", "stderr"].map(|name| rebuild(&log, name));
            expect(streams == [&b"out\n"[..], b"err\n"], format!("log {}", log.escape_ascii()));
        }
    }
    if !ran.is_empty() {
        expect(home.ids().len() == 1, format!("ids {:?}", home.ids()));
    }
    // What a kill has left is gone after the next run.
    home.gco(["run", "--", "true"]).run().code(0).stdout("").stderr("");
    home.until_quiet();
    let left: Vec<_> = home.names().into_iter().filter(|name| name.starts_with('.') && !name.ends_with(".times") && name != ".events").collect();
    expect(left.is_empty(), format!("left {left:?}"));
    wrong
}

fn status_is_125(trace: &Trace) -> bool {
    trace.status.code() == Some(125)
}

fn strike_everywhere(options: &[&str]) {
    let home = Home::new();
    let whole = run(&home, options, None);
    assert_eq!(wrong(&home, options, &whole), [""; 0]);
    eprintln!("{:?}", whole.processes);
    let step = count("GCO_IT_STRIKES", 7) as u64;
    let mut all = Vec::new();
    for (process, traced) in whole.processes.iter().enumerate().filter(|(_, traced)| !traced.is_command) {
        for at in (1..=traced.calls + 3).filter(|at| at % step == 0) {
            let home = Home::new();
            let strike = Strike { process, at };
            let trace = run(&home, options, Some(strike));
            for wrong in wrong(&home, options, &trace) {
                all.push(format!("{strike:?} {:?}: {wrong}", trace.struck));
            }
        }
    }
    assert!(all.is_empty(), "{} wrong:\n{}", all.len(), all.join("\n"));
}

#[test]
fn piped() {
    strike_everywhere(&[]);
}

#[test]
fn detached() {
    strike_everywhere(&["--detach"]);
}
