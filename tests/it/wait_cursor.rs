//! `gco tasks wait --json --since`: step by step through a log, nothing missed and nothing twice.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::fake::Fake;
use crate::harness::{Home, eventually};
use crate::queue::detached;
use crate::tools::{Gate, send};
use crate::wait::{told, wait};

/// One who goes step by step.
struct Stepper<'h> {
    home: &'h Home,
    cursor: String,
    output: String,
}

impl Stepper<'_> {
    fn begin(home: &Home) -> Stepper<'_> {
        Stepper { home, cursor: "start".to_owned(), output: String::new() }
    }

    /// Takes a step: whether there was more, and whether the task was over.
    fn step(&mut self, id: &str, until: &[&str], most: usize) -> (bool, bool) {
        let size = most.to_string();
        let line = ["tasks", "wait", id, "--json", "--since", &self.cursor, "--max-bytes", &size];
        let line = line.into_iter().chain(until.iter().flat_map(|condition| ["--until", *condition]));
        let json = self.home.gco(line).run().code(0).stderr("").json();
        let output = json["output"].as_str().unwrap();
        assert!(output.len() <= most && (output.is_empty() || output.ends_with('\n')), "{json}");
        self.output += output;
        json["cursor"].as_str().unwrap().clone_into(&mut self.cursor);
        (json["more"].as_bool().unwrap(), json["fired"] == "exit")
    }
}

#[test]
fn step_by_step_through_a_log_that_grows() {
    let home = Home::new();
    let task = Fake::start(&home, "t-1");
    let mut stepper = Stepper::begin(&home);
    let mut log = String::new();
    for n in 0..30 {
        // The last of it is not whole yet.
        let piece = format!("line {n}\n[stderr] é\n[stdout~] part {n}\n[stdout] ");
        let piece = if n == 0 { format!("[stdout] {piece}") } else { piece };
        task.write(piece.as_bytes());
        log += &piece;
        stepper.step("t-1", &["silent:1ms"], [19, 30, 64][n % 3]);
        assert!(log.starts_with(&stepper.output));
    }
    task.write(b"end\n");
    log += "end\n";
    while stepper.step("t-1", &["silent:1ms"], 40).0 {}
    assert_eq!(stepper.output, log);
    assert_eq!(stepper.cursor, format!("t-1@{}", log.len()));
    let cursor = stepper.cursor.clone();
    assert_eq!(stepper.step("t-1", &["silent:1ms"], 40), (false, false), "there is nothing new");
    assert_eq!((stepper.output.len(), &stepper.cursor), (log.len(), &cursor));
}

#[test]
fn step_by_step_to_the_end_though_the_supervisor_is_killed() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let script =
        "i=0; while [ $i -lt 400 ]; do echo $i; echo error $i >&2; i=$((i+1)); done; read x <go; echo end";
    let id = detached(&home, &["--name", "t"], script);
    home.until_state(&id, "running");
    let mut stepper = Stepper::begin(&home);
    for steps in 1.. {
        // New output ends a step at once, and where there is none, the end.
        let (more, over) = stepper.step(&id, &["exit", "match:."], 50 * steps);
        if over && !more {
            break;
        }
        if steps <= 3 {
            send(home.the_gco("gco-supervisor"), Signal::SIGKILL);
            eventually("another in its place", || {
                let log = String::from_utf8_lossy(&home.log(&id)).into_owned();
                (log.matches("supervisor was killed and has been replaced").count() == steps).then_some(())
            });
        }
        if steps == 3 {
            gate.open();
        }
    }
    assert_eq!(stepper.output.as_bytes(), home.log(&id));
}

#[test]
fn a_line_that_is_too_long_is_cut_and_passed() {
    let home = Home::new();
    let task = Fake::start(&home, "t-1");
    task.write(format!("[stdout] a\n[stdout] {}\n[stdout] b\n", "x".repeat(1000)).as_bytes());
    let step = |since: &str, most: &str| {
        told(&home, &["t-1", "--until", "silent:1ms", "--since", since, "--max-bytes", most], 0)
    };
    let first = step("start", "50");
    assert_eq!(
        (&first["output"], &first["more"], &first["cursor"]),
        (&json!("[stdout] a\n"), &json!(true), &json!("t-1@11"))
    );
    assert!(first.get("left_out_bytes").is_none());
    let second = step("t-1@11", "50");
    assert_eq!(second["output"], format!("[stdout] {}…\n", "x".repeat(41)));
    assert_eq!(second["left_out_bytes"], 959);
    assert_eq!((&second["more"], &second["cursor"]), (&json!(true), &json!("t-1@1021")));
    let third = step("t-1@1021", "11");
    assert_eq!(
        (&third["output"], &third["more"], &third["cursor"]),
        (&json!("[stdout] b\n"), &json!(false), &json!("t-1@1032"))
    );
    // Unless told, it is 64 KiB.
    task.write("[stdout] 3456789012345\n".repeat(6000).as_bytes());
    let much = told(&home, &["t-1", "--until", "silent:1ms", "--since", "t-1@1032"], 0);
    assert_eq!(much["output"].as_str().unwrap().len(), 65536 / 23 * 23);
    assert_eq!(much["more"], true);
}

#[test]
fn a_cursor_must_fit() {
    let home = Home::new();
    let task = Fake::start(&home, "t-1");
    task.write(b"[stdout] one\n[stdout] tw");
    let refused = |cursor: &str, words: &str| {
        let words = format!("gco: the cursor '{cursor}' {words}\n");
        for more in [&["--json"][..], &[], &["--until", "silent:1ms"]] {
            let line: Vec<&str> = ["t-1", "--since", cursor].iter().chain(more).copied().collect();
            wait(&home, &line).wait().code(2).stdout("").stderr(&words);
        }
    };
    let hint = "\nhint: --since start begins with the first line";
    refused("t-2@0", "is one of another task, not of 't-1'");
    refused("t-1@24", &format!("is not at the start of a line{hint}"));
    refused("t-1@25", &format!("is beyond the end of the log, which has 24 bytes{hint}"));
    refused("t-1@99999999", &format!("is beyond the end of the log, which has 24 bytes{hint}"));
    refused("t-1@5", &format!("is not at the start of a line{hint}"));
    for fits in ["t-1@0", "t-1@13"] {
        told(&home, &["t-1", "--until", "silent:1ms", "--since", fits], 0);
    }
}

#[test]
fn a_log_that_is_away_comes_back() {
    let home = Home::new();
    let task = Fake::start(&home, "t-1");
    task.write(b"[stdout] one\n");
    let away = home.path().join("away");
    fs::rename(task.log_path(), &away).unwrap();
    let waiter = wait(&home, &["t-1", "--until", "match:.", "--since", "t-1@13", "--json"]);
    crate::wait_lost::until_watching(&waiter, 1);
    fs::rename(&away, task.log_path()).unwrap();
    eventually("the log to be watched", || {
        let text = fs::read_dir(format!("/proc/{}/fd", waiter.pid())).ok()?;
        let mut open = text.flatten().filter_map(|fd| fs::read_link(fd.path()).ok());
        open.any(|path| path == task.log_path()).then_some(())
    });
    task.write(b"[stdout] two\n");
    assert_eq!(waiter.wait().code(0).stderr("").json()["output"], "[stdout] two\n");
    // When nobody is left who could put it back, there is no more to be said about it.
    fs::remove_file(task.log_path()).unwrap();
    task.finish("succeeded");
    wait(&home, &["t-1", "--since", "t-1@13"]).wait().code(2).stdout("").stderr(
        "gco: the cursor 't-1@13' is for a log that is not there\nhint: --since start begins with the first line\n",
    );
    assert_eq!(told(&home, &["t-1", "--since", "start"], 0)["cursor"], "t-1@0");
}
