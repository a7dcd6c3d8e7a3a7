//! `gco run --retry`: attempts inside one task.

use nix::sys::signal::Signal;

use crate::harness::{Home, eventually};
use crate::oracle::rebuild;
use crate::tools::{Gate, lives, pid_in, send};

/// Fails until there have been as many attempts as the file `good` says.
const FAILS: &str =
    "echo x >>tries; n=$(wc -l <tries); echo attempt $n; test $n -ge $(cat good) || exit $((n + 2))";

fn run<'a>(options: &[&'a str], script: &'a str) -> Vec<&'a str> {
    ["run"].iter().chain(options).chain(&["--", "sh", "-c", script]).copied().collect()
}

fn good_after(home: &Home, attempts: usize) {
    std::fs::write(home.path().join("good"), attempts.to_string()).unwrap();
}

#[test]
fn it_is_tried_until_it_succeeds() {
    let home = Home::new();
    good_after(&home, 3);
    let output = home.gco(run(&["--retry", "5", "--retry-delay", "20ms"], FAILS)).run();
    output.code(0).stdout("attempt 1\nattempt 2\nattempt 3\n").stderr("");
    let id = home.only_id();
    let record = home.record(&id);
    assert_eq!((record["state"].as_str(), record["exit_code"].as_i64()), (Some("succeeded"), Some(0)));
    assert_eq!((record["attempt"].as_i64(), record["attempts"].as_i64()), (Some(3), Some(6)));
    let log = String::from_utf8(home.log(&id)).unwrap();
    assert_eq!(
        log,
        "[stdout] attempt 1\n[gco] attempt 1 of 6: exit_code=3; the next begins in 20ms\n\
         [stdout] attempt 2\n[gco] attempt 2 of 6: exit_code=4; the next begins in 40ms\n[stdout] attempt 3\n"
    );
    assert_eq!(record["stdout_bytes"], 30);
    home.until_quiet();
    home.no_leftovers();
}

#[test]
fn the_last_failure_is_the_tasks() {
    let home = Home::new();
    good_after(&home, 100);
    let output = home.gco(run(&["--retry", "2", "--retry-delay", "0s"], FAILS)).run();
    output.code(5).stdout("attempt 1\nattempt 2\nattempt 3\n").stderr("");
    let record = home.record(&home.only_id());
    assert_eq!((record["error"].as_str(), record["attempt"].as_i64()), (Some("exit_code=5"), Some(3)));
}

#[test]
fn without_retry_the_record_says_nothing_of_it() {
    let home = Home::new();
    home.gco(run(&[], "exit 1")).run().code(1).stdout("").stderr("");
    let record = home.record(&home.only_id());
    assert!(record.get("attempt").is_none() && record.get("attempts").is_none(), "{record}");
}

#[test]
fn what_was_told_to_end_or_cannot_start_is_not_tried_again() {
    let home = Home::new();
    let _gate = Gate::new(&home, "never");
    let running = home.gco(run(&["--retry", "5"], "echo up; read x <never")).spawn();
    running.until_stdout("up\n");
    running.kill(Signal::SIGINT);
    running.wait().signal(Signal::SIGINT).stdout("up\n").stderr("");
    assert_eq!(home.record(&home.only_id())["attempt"], 1);
    home.remove_tasks();
    home.gco(["run", "--retry", "5", "--", "no-such-command"])
        .run()
        .code(127)
        .stdout("")
        .stderr("gco: cannot run: 'no-such-command': command not found\n");
    home.until_quiet();
    home.no_leftovers();
}

/// The record of the only task, once it is in the pause after its first attempt.
fn until_resting(home: &Home) -> serde_json::Value {
    let id = eventually("a task", || home.ids().pop());
    home.until_record(&id, "the pause", |record| {
        let log = std::fs::read_to_string(home.tasks().join(format!("{id}.log"))).unwrap_or_default();
        log.contains("; the next begins in") && record["pid"] == record["supervisor_pid"]
    })
}

#[test]
fn in_the_pause_it_is_no_orphan_and_can_be_cancelled() {
    let home = Home::new();
    let running = home.gco(run(&["--retry", "5", "--retry-delay", "1h"], "echo up; exit 3")).spawn();
    let record = until_resting(&home);
    let id = record["task_id"].as_str().unwrap();
    let status = home.gco(["tasks", "status", id, "--json"]).run().code(0).stderr("").json();
    assert_eq!((status["state"].as_str(), status["is_alive"].as_bool()), (Some("running"), Some(true)));
    assert!(lives(pid_in(&record, "pid")));
    let said = home.gco(["tasks", "cancel", id]).run().code(0).stderr("").into_stdout();
    assert!(String::from_utf8(said).unwrap().starts_with(&format!("{id} cancelled after ")));
    running.wait().signal(Signal::SIGTERM).stdout("up\n").stderr("");
    let record = home.record(id);
    assert_eq!((record["state"].as_str(), record["exit_code"].as_i64()), (Some("cancelled"), Some(143)));
    home.until_quiet();
    home.no_leftovers();
}

#[test]
fn an_interrupt_in_the_pause_ends_the_task() {
    let home = Home::new();
    let running = home.gco(run(&["--retry", "5", "--retry-delay", "1h"], "echo up; exit 3")).spawn();
    until_resting(&home);
    running.kill(Signal::SIGINT);
    running.wait().signal(Signal::SIGINT).stdout("up\n").stderr("");
    let id = home.only_id();
    let record = home.record(&id);
    assert_eq!(
        (record["state"].as_str(), record["error"].as_str()),
        (Some("cancelled"), Some("cancelled by SIGINT"))
    );
    assert!(home.log(&id).ends_with(b"[gco] cancelled by SIGINT\n"));
}

#[test]
fn whoever_ends_it_between_the_end_of_an_attempt_and_the_pause_has_ended_it() {
    // What an attempt leaves behind holds up its end for a moment.
    let script = "echo x >>tries; (echo up; while :; do echo x >&2; sleep 0.05; done) & exit 3";
    for way in ["cancel", "interrupt"] {
        let home = Home::new();
        let running = home.gco(run(&["--retry", "5", "--retry-delay", "1h"], script)).spawn();
        running.until_stdout("up\n");
        let record = home.until_running();
        let command = pid_in(&record, "pid");
        eventually("the attempt to have ended", || (!lives(command)).then_some(()));
        if way == "cancel" {
            home.gco(["tasks", "cancel", &home.only_id(), "--grace", "0s"])
                .run()
                .code(0)
                .stderr("")
                .stdout_has("cancelled");
        } else {
            running.kill(Signal::SIGINT);
        }
        running.wait().whatever();
        let record = home.record(&home.only_id());
        assert_eq!(
            (record["state"].as_str(), record["attempt"].as_i64()),
            (Some("cancelled"), Some(1)),
            "{way}: {record}"
        );
        assert_eq!(std::fs::read_to_string(home.path().join("tries")).unwrap(), "x\n");
    }
}

#[test]
fn the_time_is_for_all_attempts_and_silence_for_each() {
    let home = Home::new();
    home.gco(run(&["--retry", "5", "--retry-delay", "1h", "--timeout", "300ms"], "exit 3"))
        .run()
        .code(124)
        .stdout("")
        .stderr("");
    assert_eq!(home.record(&home.only_id())["error"], "timed out after 300ms");
    home.remove_tasks();
    let script = "echo x >>tries; test $(wc -l <tries) -ge 2 || sleep 1000";
    let options = ["--retry", "1", "--retry-delay", "0s", "--stall-timeout", "2s"];
    home.gco(run(&options, script)).run().code(0).stdout("").stderr("");
    let log = String::from_utf8(home.log(&home.only_id())).unwrap();
    assert_eq!(
        log,
        "[gco] no output for 2s: SIGTERM, and SIGKILL after 10s\n\
         [gco] attempt 1 of 2: no output for 2s; the next begins now\n"
    );
}

#[test]
fn supervisor_and_keeper_may_be_killed_in_the_pause_and_after() {
    for victim in ["gco-supervisor", "gco-keeper"] {
        let home = Home::new();
        let gate = Gate::new(&home, "go");
        let script = "echo x >>tries; test $(wc -l <tries) -ge 2 || exit 3; echo again; read x <go; exit 6";
        let running = home.gco(run(&["--retry", "5", "--retry-delay", "1s"], script)).spawn();
        until_resting(&home);
        send(home.the_gco(victim), Signal::SIGKILL);
        running.until_stdout("again\n");
        home.until_running();
        send(home.the_gco(victim), Signal::SIGKILL);
        // The third attempt.
        gate.open();
        eventually("the third attempt", || (running.stdout() == b"again\nagain\n").then_some(()));
        home.gco(["tasks", "cancel", &home.only_id()]).run().code(0).stderr("").stdout_has("cancelled");
        running.wait().signal(Signal::SIGTERM).stdout("again\nagain\n").stderr("");
        let id = home.only_id();
        assert_eq!(rebuild(&home.log(&id), "stdout"), b"again\nagain\n");
        assert_eq!(home.record(&id)["attempt"], 3);
        assert_eq!(std::fs::read_to_string(home.path().join("tries")).unwrap(), "x\nx\nx\n");
        home.until_quiet();
        home.no_leftovers();
    }
}

#[test]
fn input_and_output_are_the_same_for_all_attempts() {
    let home = Home::new();
    let script = "read line; echo \"got $line\"; echo err >&2; test \"$line\" = good";
    let output = home
        .gco(run(&["--retry", "5", "--retry-delay", "0s"], script))
        .stdin("bad\nworse\ngood\nrest\n")
        .run();
    output.code(0).stdout("got bad\ngot worse\ngot good\n").stderr("err\nerr\nerr\n");
}
