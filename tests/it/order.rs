//! `gco run --key` and `--after`: one at a time across all callers, and in order.

use std::fs;

use nix::sys::signal::Signal;

use crate::harness::{Home, eventually};
use crate::queue::{detached, kill_gcos_of, run, state};
use crate::tools::Gate;

#[test]
fn one_key_one_task() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    // Any text is a key.
    let key = "deploy: eu-west/1";
    let first = detached(&home, &["--key", key], "echo out; echo err >&2; read x <go; echo last; exit 6");
    let refused = home.gco(["run", "--key", key, "--", "true"]).run().code(75).stdout("");
    drop(refused.stderr(format!(
        "gco: not run: key '{key}' is held by '{first}'\nhint: 'gco tasks wait {first}' waits until it is over\n"
    )));
    let follower = run(&home, &["--key", key, "--on-conflict", "follow"], "echo mine");
    eventually("what there is to be shown", || {
        (follower.stdout() == b"out\n" && follower.stderr() == b"err\n").then_some(())
    });
    let other = home.gco(["run", "-d", "--key", key, "--on-conflict", "follow", "--", "true"]).run();
    other.code(0).stdout(format!("{first}\n")).stderr("");
    let waiter = run(&home, &["--key", key, "--on-conflict", "wait"], "echo afterwards");
    let id = eventually("one that waits", || home.ids().into_iter().find(|id| *id != first));
    home.until_state(&id, "queued");
    gate.open();
    follower.wait().code(6).stdout("out\nlast\n").stderr("err\n");
    waiter.wait().code(0).stdout("afterwards\n").stderr("");
    assert_eq!(home.record(&first)["state"], "failed");
    home.gco(["run", "--key", key, "--on-conflict", "follow", "--", "echo", "mine"])
        .run()
        .code(0)
        .stdout("mine\n")
        .stderr("");
    home.until_quiet();
    home.no_leftovers();
}

#[test]
fn a_follower_that_is_interrupted_leaves_the_task_alone() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let first = detached(&home, &["--key", "k"], "echo out; read x <go");
    let follower = run(&home, &["--key", "k", "--on-conflict", "follow"], "echo mine");
    follower.until_stdout("out\n");
    follower.kill(Signal::SIGINT);
    follower.wait().signal(Signal::SIGINT).stdout("out\n").stderr("");
    assert_eq!(state(&home, &first), "running");
    gate.open();
    home.until_state(&first, "succeeded");
}

#[test]
fn after_others_have_succeeded() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let build = detached(&home, &["--name", "build"], "read x <go; echo built >>order");
    let test = detached(&home, &["--name", "test"], "read x <go; echo tested >>order");
    let after = format!("build,{test}");
    let deploy = run(&home, &["--name", "deploy", "--after", &after], "echo deployed >>order");
    let id = eventually("the third", || home.ids().into_iter().find(|id| id.starts_with("deploy")));
    let record = home.until_state(&id, "queued");
    assert_eq!(record["after"], serde_json::json!([build, test]));
    gate.open();
    gate.open();
    deploy.wait().code(0).stdout("").stderr("");
    assert!(fs::read_to_string(home.path().join("order")).unwrap().ends_with("deployed\n"));
    // Those that are over already need no waiting for.
    home.gco(["run", "--after", "deploy", "--after", "build", "--", "true"])
        .run()
        .code(0)
        .stdout("")
        .stderr("");
}

#[test]
fn after_one_that_did_not_succeed_nothing_is_started() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let failed = detached(&home, &["--name", "build"], "read x <go; exit 3");
    let deploy = run(&home, &["--name", "deploy", "--after", "build"], "touch ran");
    let id = eventually("the second", || home.ids().into_iter().find(|id| id.starts_with("deploy")));
    home.until_state(&id, "queued");
    gate.open();
    deploy.wait().code(125).stdout("").stderr(format!("gco: '{id}' was not started: '{failed}' failed\n"));
    let record = home.record(&id);
    assert_eq!((record["state"].as_str(), record["exit_code"].as_i64()), (Some("cancelled"), Some(125)));
    assert_eq!(record["error"], format!("not started: '{failed}' failed"));
    assert!(!home.path().join("ran").exists());
    let cleanup = detached(&home, &["--after-any", "build,deploy"], "echo cleaned");
    home.until_state(&cleanup, "succeeded");
    // Orphaned is not succeeded, and not over before the command is.
    let orphan = detached(&home, &["--name", "orphan"], "read x <go");
    let (strict, any) = (
        detached(&home, &["--after", "orphan"], "true"),
        detached(&home, &["--after-any", "orphan"], "true"),
    );
    kill_gcos_of(&home, &orphan);
    gate.open();
    home.until_state(&any, "succeeded");
    assert_eq!(
        home.until_state(&strict, "cancelled")["error"],
        format!("not started: '{orphan}' is orphaned")
    );
}

#[test]
fn what_waits_for_two_things_gets_both() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let first = detached(&home, &["--name", "first"], "read x <go");
    let held = detached(&home, &["--group", "g"], "read x <go");
    home.until_state(&held, "running");
    let both = detached(&home, &["--after", "first", "--key", "k", "--group", "g"], "echo both");
    assert_eq!(state(&home, &both), "queued");
    gate.open();
    gate.open();
    let record = home.until_state(&both, "succeeded");
    assert_eq!((record["group"].as_str(), record["key"].as_str()), (Some("g"), Some("k")));
    home.until_state(&first, "succeeded");
}
