//! `gco run --on-finish`: what is run once the end is on disk.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::{Home, eventually};
use crate::tools::{Gate, send};

/// Writes down what it gets.
const TELLS: &str = r#"cat >record; printf '%s\n' "$GCO_TASK_ID" "$GCO_STATE" "$GCO_EXIT_CODE" "$GCO_TOOL" "$GCO_LOG" "$PWD" "${GCO_ON_FINISH-unset}" "$MINE" >told"#;

#[test]
fn it_gets_the_record_and_what_it_needs_to_know() {
    let home = Home::new();
    let args = [
        "run",
        "--name",
        "job",
        "--on-finish",
        TELLS,
        "--env",
        "MINE=yes",
        "--",
        "sh",
        "-c",
        "echo out; exit 3",
    ];
    home.gco(args).run().code(3).stdout("out\n").stderr("");
    let id = home.only_id();
    // No waiting: gco ends when it has been run.
    let told = fs::read_to_string(home.path().join("told")).unwrap();
    let log = home.tasks().join(format!("{id}.log"));
    let here = home.path().canonicalize().unwrap();
    let wanted = [&id, "failed", "3", "job", log.to_str().unwrap(), here.to_str().unwrap(), "unset", "yes"];
    assert_eq!(told.lines().collect::<Vec<_>>(), wanted);
    let record: Value = serde_json::from_slice(&fs::read(home.path().join("record")).unwrap()).unwrap();
    assert_eq!(record, home.record(&id));
    assert_eq!(record["warnings"], serde_json::json!([]));
    home.until_quiet();
    home.no_leftovers();
}

#[test]
fn the_variable_does_the_same_and_does_not_reach_the_hook_itself() {
    let home = Home::new();
    let command =
        home.gco(["run", "--", "true"]).env("GCO_ON_FINISH", "gco run --name inner -- true; echo ran >>ran");
    command.run().code(0).stdout("").stderr("");
    assert_eq!(fs::read_to_string(home.path().join("ran")).unwrap(), "ran\n");
    assert_eq!(home.ids().len(), 2);
}

#[test]
fn it_is_run_for_a_task_that_was_detached_cancelled_or_not_started() {
    let home = Home::new();
    let state = |args: &[&str]| {
        let line = ["run", "-d", "--on-finish", "echo $GCO_STATE $GCO_EXIT_CODE >state"];
        home.gco(line.iter().chain(args).copied()).run().whatever();
    };
    state(&["--", "true"]);
    assert_eq!(home.until_file("state"), "succeeded 0\n");
    fs::remove_file(home.path().join("state")).unwrap();
    state(&["--name", "long", "--", "sleep", "1000"]);
    home.gco(["tasks", "cancel", "long"]).run().code(0).stderr("").stdout_has("cancelled");
    assert_eq!(home.until_file("state"), "cancelled 143\n");
    fs::remove_file(home.path().join("state")).unwrap();
    state(&["--", "no-such-command"]);
    assert_eq!(home.until_file("state"), "failed 127\n");
}

#[test]
fn it_is_run_when_the_front_end_is_gone() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let args = ["run", "--on-finish", "echo $GCO_STATE >state", "--", "sh", "-c", "echo up; read x <go"];
    let run = home.gco(args).spawn();
    run.until_stdout("up\n");
    run.kill(Signal::SIGKILL);
    run.wait().signal(Signal::SIGKILL).stdout("up\n").stderr("");
    // And the supervisor is another one by then.
    send(home.the_gco("gco-supervisor"), Signal::SIGKILL);
    gate.open();
    assert_eq!(home.until_file("state"), "succeeded\n");
    home.until_quiet();
}

#[test]
fn its_failure_is_a_warning_and_nothing_else() {
    let home = Home::new();
    let hook = "echo to nobody; echo first >&2; echo 'no mail today' >&2; exit 9";
    home.gco(["run", "--on-finish", hook, "--", "true"]).run().code(0).stdout("").stderr("");
    let record = home.record(&home.only_id());
    assert_eq!(record["state"], "succeeded");
    assert_eq!(record["warnings"], serde_json::json!(["--on-finish: exit code 9: no mail today"]));
    home.remove_tasks();
    home.gco(["run", "--on-finish", "kill -9 $$", "--", "true"]).run().code(0).stdout("").stderr("");
    assert_eq!(
        home.record(&home.only_id())["warnings"],
        serde_json::json!(["--on-finish: killed by SIGKILL"])
    );
}

#[test]
fn who_waits_for_the_task_does_not_wait_for_it() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let run = home.gco(["run", "--on-finish", "echo begun >begun; read x <go", "--", "true"]).spawn();
    home.until_file("begun");
    assert_eq!(home.record(&home.only_id())["state"], "succeeded");
    home.gco(["tasks", "tail", "-f"]).run().code(0).stdout("").stderr("");
    gate.open();
    run.wait().code(0).stdout("").stderr("");
}

#[test]
fn it_is_run_at_most_once() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let run = home.gco(["run", "--on-finish", "echo begun >>begun; read x <go", "--", "true"]).spawn();
    home.until_file("begun");
    send(home.the_gco("gco-supervisor"), Signal::SIGKILL);
    gate.open();
    run.wait().code(0).stdout("").stderr("");
    eventually("all to end", || home.processes().is_empty().then_some(()));
    assert_eq!(fs::read_to_string(home.path().join("begun")).unwrap(), "begun\n");
}

#[test]
fn without_a_record_it_is_run_as_well() {
    let home = Home::new();
    let command =
        home.gco(["run", "--on-finish", "echo \"[$GCO_TASK_ID] $GCO_STATE\" >state", "--", "false"]);
    command.env("GCO_DISABLE_TASK_STATUS", "1").run().code(1).stdout("").stderr("");
    assert_eq!(fs::read_to_string(home.path().join("state")).unwrap(), "[] failed\n");
}

#[test]
fn whoever_does_not_want_to_wait_for_it_need_not() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let run = home
        .gco(["run", "--on-finish", "echo begun >begun; read x <go; echo done >done", "--", "false"])
        .spawn();
    home.until_file("begun");
    run.kill(Signal::SIGINT);
    run.wait().code(1).stdout("").stderr("");
    gate.open();
    home.until_file("done");
    home.until_quiet();
    home.no_leftovers();
}

#[test]
fn a_successor_waits_for_it_too() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let run = home.gco(["run", "--on-finish", "echo begun >begun; read x <go", "--", "true"]).spawn();
    home.until_file("begun");
    let old = home.the_gco("gco-supervisor");
    send(old, Signal::SIGKILL);
    eventually("another supervisor", || {
        home.gcos("gco-supervisor").first().is_some_and(|pid| *pid != old).then_some(())
    });
    gate.open();
    run.wait().code(0).stdout("").stderr("");
    home.until_quiet();
}
