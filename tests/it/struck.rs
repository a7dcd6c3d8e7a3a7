//! Any one process of gco's killed with SIGKILL as it is about to do any one system call.
//!
//! First a run is counted, then one run is made for each system call of each process, which is struck there. CI takes every
//! eleventh (`GCO_IT_STRIKES=1` takes them all), beginning with another one each time; which one is printed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::process::Stdio;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

use crate::harness::{DEADLINE, Home, eventually};
use crate::oracle::rebuild;
use crate::tools::count;
use crate::tracer::{Plan, Strike, Trace, trace};

const SCRIPT: &str = "echo ran >>ran; echo out; echo err >&2; exit 7";

/// Runs it with `plan` done to it.
pub fn run(home: &Home, options: &[&str], plan: Option<Plan<'_>>) -> Trace {
    let args = ["run"].iter().chain(options).chain(&["--", "sh", "-c", SCRIPT]);
    let mut gco = home.gco(args);
    let file = |name: &str| File::create(home.path().join(name)).unwrap();
    gco.command.stdin(Stdio::null()).stdout(file("out")).stderr(file("err"));
    let (done, ended) = channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            // What hangs is ended, and then does not look as it should.
            if ended.recv_timeout(DEADLINE).is_err() {
                fs::write(home.path().join("hung"), format!("{:#?}", home.processes())).unwrap();
                home.kill_all();
            }
        });
        let traced = trace(&mut gco.command, plan);
        done.send(()).unwrap_or(());
        traced
    })
}

/// What a run has left behind, and what is wrong with it.
pub struct Look<'h> {
    home: &'h Home,
    pub wrong: Vec<String>,
}

impl<'h> Look<'h> {
    pub fn at(home: &'h Home) -> Look<'h> {
        Look { home, wrong: Vec::new() }
    }

    pub fn expect(&mut self, is: bool, what: impl Into<String>) {
        if !is {
            self.wrong.push(what.into());
        }
    }

    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.home.path().join(name)).unwrap_or_default()
    }

    /// Looks at what the caller has seen, and gives whether the command ran.
    fn at_the_end(&mut self, options: &[&str], trace: &Trace) -> bool {
        let (ran, err) = (self.text("ran"), self.text("err"));
        let shown = (self.text("out"), err.as_str());
        self.expect(ran.is_empty() || ran == "ran\n", format!("the command ran so often: {ran:?}"));
        let has_run = !ran.is_empty();
        if trace.struck.as_ref().is_some_and(|struck| struck.process == 0) {
            return has_run;
        }
        let code = trace.status.code();
        if !has_run {
            // It never began, and that is told.
            let is_told = err.starts_with("gco: the supervisor could not begin its work\n")
                || (err.starts_with("gco: the supervisor of ") && err.contains(" is gone\n"));
            self.expect(code == Some(125) && is_told, format!("not begun: {code:?} {err}"));
        } else if options.contains(&"--detach") {
            self.expect(code == Some(0), format!("exit code {code:?}: {err}"));
        } else {
            self.expect(code == Some(7), format!("exit code {code:?}"));
            self.expect((shown.0.as_str(), shown.1) == ("out\n", "err\n"), format!("shown {shown:?}"));
        }
        has_run
    }

    /// Looks at records and logs, and gives the names of the hidden files that may belong to what is orphaned.
    fn at_records(&mut self, has_run: bool) -> BTreeSet<String> {
        let mut wanted = BTreeSet::new();
        let ids = self.home.ids();
        self.expect(ids.len() == 1 || !has_run, format!("records {ids:?}"));
        for id in ids {
            let status = self.home.gco(["tasks", "status", &id, "--json"]).run().code(0).stderr("").json();
            let state = &status["state"];
            if !has_run {
                self.expect(state == "orphaned" || state == "failed", format!("not begun, and {state}"));
                if state == "orphaned" {
                    wanted.extend(["lock", "attach"].map(|kind| format!(".{id}.{kind}")));
                }
                continue;
            }
            self.expect(state == "failed" && status["exit_code"] == 7, format!("record {status}"));
            let log = self.home.log(&id);
            let streams = ["stdout", "stderr"].map(|name| rebuild(&log, name));
            self.expect(streams == [&b"out\n"[..], b"err\n"], format!("log {}", log.escape_ascii()));
        }
        wanted
    }

    /// What a kill has left is cleared away by the next run, once it is old enough to be nobody's.
    pub fn at_leftovers(&mut self, wanted: &BTreeSet<String>) {
        let old = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() - Duration::from_secs(120);
        let old = TimeSpec::from_duration(old);
        for name in self.home.names() {
            utimensat(AT_FDCWD, &self.home.tasks().join(name), &old, &old, UtimensatFlags::NoFollowSymlink)
                .unwrap();
        }
        self.home.gco(["run", "--", "true"]).run().code(0).stdout("").stderr("");
        self.home.until_quiet();
        let is_left = |name: &String| name.starts_with('.') && name != ".events" && !name.ends_with(".times");
        let left: Vec<_> =
            self.home.names().into_iter().filter(|name| is_left(name) && !wanted.contains(name)).collect();
        self.expect(left.is_empty(), format!("left {left:?}"));
    }
}

/// What is wrong with what a run has left behind.
fn wrong(home: &Home, options: &[&str], trace: &Trace) -> Vec<String> {
    let mut look = Look::at(home);
    let hung = look.text("hung");
    if !hung.is_empty() {
        return vec![format!("it hung: {hung}")];
    }
    eventually("everything to end", || home.processes().is_empty().then_some(()));
    let has_run = look.at_the_end(options, trace);
    let wanted = look.at_records(has_run);
    look.at_leftovers(&wanted);
    look.wrong
}

fn strike_everywhere(options: &[&str]) {
    let home = Home::new();
    let whole = run(&home, options, None);
    assert_eq!(wrong(&home, options, &whole), [""; 0]);
    let step = count("GCO_IT_STRIKES", 11) as u64;
    let first = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64 % step;
    eprintln!("every {step}th, the first is {first}, of {:#?}", whole.processes);
    let mut all = Vec::new();
    let mut struck = 0;
    for (process, traced) in whole.processes.iter().enumerate().filter(|(_, traced)| !traced.is_command) {
        // A few more, as no two runs are quite alike.
        for at in (1..=traced.calls + 5).filter(|at| at % step == first) {
            let home = Home::new();
            let strike = Strike { process, at };
            let trace = run(&home, options, Some(Plan::Kill(strike)));
            struck += usize::from(trace.struck.is_some());
            all.extend(
                wrong(&home, options, &trace).iter().map(|wrong| format!("{:?}: {wrong}", trace.struck)),
            );
        }
    }
    assert!(struck as u64 >= 300 / step, "only {struck} were struck");
    assert!(all.is_empty(), "{} are wrong:\n{}", all.len(), all.join("\n"));
}

#[test]
fn any_one_process_at_any_call() {
    strike_everywhere(&[]);
}

#[test]
fn any_one_process_at_any_call_in_the_background() {
    strike_everywhere(&["--detach"]);
}

#[test]
fn any_one_process_at_any_call_at_terminals() {
    strike_everywhere(&["--pty", "always"]);
}
