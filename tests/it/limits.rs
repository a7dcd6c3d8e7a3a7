//! `gco run --timeout`, `--stall-timeout`, `--background-after`: what takes too long, is silent too long, or is left.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::{Home, eventually};
use crate::tools::{Gate, pid_in, send, until_stopped};

/// `gco run` with `options` and this shell `script`.
fn run<'a>(options: &[&'a str], script: &'a str) -> Vec<&'a str> {
    ["run"].iter().chain(options).chain(&["--", "sh", "-c", script]).copied().collect()
}

/// The record of the only task, which must have failed with 124 and these words.
fn too_long(home: &Home, words: &str) -> Value {
    let record = home.record(&home.only_id());
    assert_eq!((record["state"].as_str(), record["exit_code"].as_i64()), (Some("failed"), Some(124)));
    assert_eq!(record["error"], words);
    record
}

#[test]
fn what_takes_too_long_is_ended_with_all_its_processes() {
    let home = Home::new();
    let script = "echo up; sleep 1000 & setsid sleep 1000 & wait";
    home.gco(run(&["--timeout", "300ms"], script)).run().code(124).stdout("up\n").stderr("");
    let record = too_long(&home, "timed out after 300ms");
    assert_eq!(record["signal"], "SIGTERM");
    assert_eq!(record.get("cancelled_by"), None);
    let log = home.log(&home.only_id());
    assert_eq!(log, b"[stdout] up\n[gco] timed out after 300ms: SIGTERM, and SIGKILL after 10s\n");
    home.until_quiet();
    assert!(home.processes().is_empty(), "{:#?}", home.processes());
    home.no_leftovers();
}

#[test]
fn one_that_does_not_listen_is_killed_after_the_grace_period() {
    let home = Home::new();
    let script = "trap '' TERM; sleep 1000; sleep 1000";
    home.gco(run(&["--timeout", "100ms", "--grace", "100ms"], script)).run().code(124).stdout("").stderr("");
    assert_eq!(too_long(&home, "timed out after 100ms")["signal"], "SIGKILL");
    home.until_quiet();
    assert!(home.processes().is_empty(), "{:#?}", home.processes());
}

#[test]
fn one_that_ends_well_when_told_to_has_taken_too_long_all_the_same() {
    let home = Home::new();
    let script = "trap 'echo bye; exit 0' TERM; while :; do sleep 1000 & wait; done";
    home.gco(run(&["--timeout", "100ms"], script)).run().code(124).stdout("bye\n").stderr("");
    let record = too_long(&home, "timed out after 100ms");
    assert_eq!(record.get("signal"), None);
}

#[test]
fn one_that_is_in_time_knows_nothing_of_it() {
    let home = Home::new();
    let options = ["--timeout", "1h", "--stall-timeout", "1h", "--background-after", "1h", "--grace", "0s"];
    home.gco(run(&options, "echo out; exit 3")).run().code(3).stdout("out\n").stderr("");
    let record = home.record(&home.only_id());
    assert_eq!(record["error"], "exit_code=3");
    assert_eq!(home.log(&home.only_id()), b"[stdout] out\n");
}

#[test]
fn it_works_without_a_record_too() {
    let home = Home::new();
    let command = home.gco(run(&["--timeout", "100ms"], "echo up; sleep 1000 & wait"));
    command.env("GCO_DISABLE_TASK_STATUS", "1").run().code(124).stdout("up\n").stderr("");
    home.until_quiet();
    assert!(home.processes().is_empty(), "{:#?}", home.processes());
}

#[test]
fn a_supervisor_killed_meanwhile_does_not_stop_the_clock() {
    let home = Home::new();
    let running = home.gco(run(&["--timeout", "1s"], "echo up; sleep 1000")).spawn();
    running.until_stdout("up\n");
    home.until_running();
    send(home.the_gco("gco-supervisor"), Signal::SIGKILL);
    running.wait().code(124).stdout("up\n").stderr("");
    too_long(&home, "timed out after 1s");
}

#[test]
fn supervisors_killed_meanwhile_do_not_put_off_the_end_of_a_silence() {
    let home = Home::new();
    let mut running = home.gco(run(&["--stall-timeout", "3s"], "echo up; sleep 1000")).spawn();
    running.until_stdout("up\n");
    home.until_running();
    let mut killed = Instant::now();
    let mut kills = 0;
    eventually("an end, whoever is killed", || {
        if running.has_ended() {
            return Some(());
        }
        // No supervisor lives long enough to see it all.
        if killed.elapsed() >= Duration::from_millis(400) {
            for supervisor in home.gcos("gco-supervisor") {
                let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(supervisor), Signal::SIGKILL);
                kills += 1;
            }
            killed = Instant::now();
        }
        None
    });
    assert!(kills > 0);
    running.wait().code(124).stdout("up\n").stderr("");
    too_long(&home, "no output for 3s");
}

#[test]
fn time_spent_stopped_counts_towards_no_limit() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let options = ["--timeout", "4s", "--stall-timeout", "4s", "--background-after", "4s"];
    let running = home.gco(run(&options, "echo up; read x <go; echo done")).spawn();
    running.until_stdout("up\n");
    let command = pid_in(&home.until_running(), "pid");
    running.kill(Signal::SIGTSTP);
    until_stopped(command);
    until_stopped(running.pid());
    // Another run measures a longer time.
    home.gco(run(&["--timeout", "4500ms"], "sleep 1000")).run().code(124).stdout("").stderr("");
    running.kill(Signal::SIGCONT);
    gate.open();
    running.wait().code(0).stdout("up\ndone\n").stderr("");
}

#[test]
fn silence_on_both_streams_is_what_counts() {
    let home = Home::new();
    // It says something on one or the other for longer than it may be silent, and then nothing more.
    let script = "for n in 1 2 3 4; do echo $n >&2; sleep 0.2; echo $n; sleep 0.2; done; sleep 1000";
    let output = home.gco(run(&["--stall-timeout", "2s"], script)).run();
    output.code(124).stdout("1\n2\n3\n4\n").stderr("1\n2\n3\n4\n");
    too_long(&home, "no output for 2s");
    let log = String::from_utf8(home.log(&home.only_id())).unwrap();
    assert!(log.ends_with("[gco] no output for 2s: SIGTERM, and SIGKILL after 10s\n"), "{log}");
}

#[test]
fn the_front_end_leaves_and_the_task_goes_on() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let running =
        home.gco(run(&["--background-after", "2s"], "echo up; read x <go; echo done; exit 5")).spawn();
    let output = running.wait().code(75).stdout("up\n");
    let id = home.only_id();
    drop(output.stderr(format!(
        "gco: task {id} goes on in the background\nhint: 'gco tasks wait {id}' waits for its end\n"
    )));
    assert_eq!(home.record(&id)["state"], "running");
    gate.open();
    assert_eq!(home.until_state(&id, "failed")["exit_code"], 5);
    assert_eq!(home.log(&id), b"[stdout] up\n[stdout] done\n");
    home.until_quiet();
    home.no_leftovers();
}

#[test]
fn on_a_terminal_nothing_is_shown_after_it_has_left() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let script = "gco run -q --background-after 200ms -- sh -c 'echo up; read x <go; echo done' ; echo \"left with $?\"; read x";
    let mut pty = home.command("sh", ["-c", script]).on_pty();
    pty.until("left with 75\r\n");
    gate.open();
    home.until_state(&home.only_id(), "succeeded");
    home.until_quiet();
    pty.write(b"\n");
    let (_, shown) = pty.wait();
    let shown = String::from_utf8(shown).unwrap();
    assert!(shown.contains("goes on in the background") && !shown.contains("done"), "{shown}");
}

#[test]
fn a_task_that_nobody_could_find_is_not_left() {
    let home = Home::new();
    let command = home.gco(run(&["--background-after", "100ms"], "echo up; sleep 0.5; exit 3"));
    command.env("GCO_DISABLE_TASK_STATUS", "1").run().code(3).stdout("up\n").stderr("");
    let command = home.gco(run(&["--background-after", "100ms"], "echo up; sleep 0.5; exit 3"));
    let output = command.env("GCO_TASK_STATUS_DIR", "/proc/none").run().code(3).stdout("up\n");
    drop(output.stderr_has("the command runs without a record"));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let home = Home::new();
    for bad in ["0s", "-1s", "1", "never", "11000000000000000000s", "600w", ""] {
        for option in ["--timeout", "--stall-timeout", "--background-after"] {
            home.gco(run(&[&format!("{option}={bad}")], "true"))
                .run()
                .code(125)
                .stdout("")
                .stderr_has("gco: ");
        }
    }
    for bad in ["--grace=-1s", "--grace=600w", "--retry=-1", "--retry=x", "--retry=10001", "--retry-delay=1"]
    {
        home.gco(run(&[bad, "--retry=1"][..1 + usize::from(bad.starts_with("--retry-d"))], "true"))
            .run()
            .code(125)
            .stdout("")
            .stderr_has("invalid value");
    }
    home.gco(run(&["--background-after", "1s", "--detach"], "true"))
        .run()
        .code(125)
        .stdout("")
        .stderr_has("cannot be used");
    assert_eq!(home.ids(), [""; 0]);
    eventually("nothing to be left", || home.processes().is_empty().then_some(()));
}

#[test]
fn who_waits_for_a_slow_reader_is_not_silent() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    // It writes and writes until nothing more fits anywhere, and then waits for somebody to read.
    let script =
        "gco run --stall-timeout 4s -- sh -c 'yes | head -c 8000000; echo last' | { read x <go; tail -n 1; }";
    let pipe = home.command("sh", ["-c", script]).spawn();
    home.until_running();
    // Longer than it may be silent.
    home.gco(run(&["--timeout", "4500ms"], "sleep 1000")).run().code(124).stdout("").stderr("");
    gate.open();
    pipe.wait().code(0).stdout("last\n").stderr("");
    let id = home.ids().into_iter().next().unwrap();
    assert_eq!(
        home.until_record(&id, "its end", |record| record["state"] != "running")["state"],
        "succeeded"
    );
}
