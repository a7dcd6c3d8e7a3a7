//! `gco tasks wait --until`: the first condition that holds ends the wait.

use serde_json::json;

use crate::fake::Fake;
use crate::harness::Home;
use crate::queue::detached;
use crate::tools::Gate;
use crate::wait::{told, wait};
use crate::wait_lost::until_watching;

#[test]
fn a_line_that_comes_is_matched_and_one_that_was_there_is_not() {
    let home = Home::new();
    let fake = Fake::start(&home, "t-1");
    fake.write(b"[stdout] ready\n");
    let waiter = wait(&home, &["t-1", "--json", "--until", "match:^ready$"]);
    until_watching(&waiter, 2);
    // Neither gco's own words nor a part of something else.
    fake.write(b"[gco] ready\n[stdout] not ready\n[stderr~] re\n[stdout] x\n");
    fake.write(b"[stderr] \x1b[32mady\x1b[0m\n[stdout] later\n");
    let shown = waiter.wait().code(0).stderr("").json();
    assert_eq!((shown["fired"].as_str(), shown["matched"].as_str()), (Some("match:^ready$"), Some("ready")));
    assert_eq!((shown["state"].as_str(), shown.get("exit_code")), (Some("running"), None));
    assert!(shown["output"].as_str().unwrap().starts_with("[gco] ready\n[stdout] not ready\n"), "{shown}");
    let earlier = told(&home, &["t-1", "--until", "match:^ready$", "--since", "start", "--timeout", "1h"], 0);
    assert_eq!(earlier["matched"], "ready");
}

#[test]
fn a_prompt_needs_no_line_end() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let id = detached(&home, &[], "read x <go; printf 'name? ' >&2; read x <go");
    let waiter = wait(&home, &[&id, "--until", "match:name\\?"]);
    until_watching(&waiter, 2);
    gate.open();
    waiter.wait().code(0).stdout("").stderr("");
    gate.open();
    home.until_state(&id, "succeeded");
}

#[test]
fn progress_and_silence_and_the_end() {
    let home = Home::new();
    let fake = Fake::start(&home, "t-1");
    fake.record_with("running", json!({"stacks_completed": 3, "stacks_total": 10}));
    let args = ["t-1", "--json", "--until", "match:x", "--until", "progress:80", "--until", "exit"];
    let waiter = wait(&home, &args);
    until_watching(&waiter, 1);
    fake.record_with("running", json!({"stacks_completed": 7, "stacks_total": 10}));
    fake.record_with("running", json!({"stacks_completed": 8, "stacks_total": 10}));
    assert_eq!(waiter.wait().code(0).stderr("").json()["fired"], "progress:80");
    fake.write(b"[stdout] a\n");
    let silent = told(&home, &["t-1", "--until", "silent:1h", "--until", "silent:100ms"], 0);
    assert_eq!(silent["fired"], "silent:100ms");
    let waiter = wait(&home, &["t-1", "--until", "silent:1h", "--until", "exit"]);
    until_watching(&waiter, 2);
    fake.record_with("failed", json!({"exit_code": 9}));
    fake.finish("failed");
    waiter.wait().whatever();
    // It has said nothing for long, and is over.
    assert_eq!(told(&home, &["t-1", "--until", "progress:10", "--until", "exit"], 1)["fired"], "exit");
}

#[test]
fn a_task_that_ends_before_is_not_what_was_waited_for() {
    let home = Home::new();
    let words = |id: &str| format!("gco: '{id}' ended before what was waited for came to pass\n");
    for (code, expected) in [(0, 1), (4, 4)] {
        let gate = Gate::new(&home, &format!("go{code}"));
        let id = detached(&home, &[], &format!("read x <go{code}; exit {code}"));
        let waiter = wait(&home, &[&id, "--until", "match:never"]);
        until_watching(&waiter, 2);
        gate.open();
        waiter.wait().code(expected).stdout("").stderr(words(&id));
        wait(&home, &[&id, "--until", "progress:50"]).wait().code(expected).stdout("").stderr(words(&id));
        wait(&home, &[&id, "--until", "match:never", "--until", "exit"])
            .wait()
            .code(code)
            .stdout("")
            .stderr("");
    }
}

#[test]
fn what_a_task_writes_last_is_seen_before_its_end() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    for round in 0..10 {
        let id = detached(&home, &[], &format!("read x <go; echo last {round}"));
        let waiter = wait(&home, &[&id, "--until", "match:^last"]);
        until_watching(&waiter, 2);
        gate.open();
        waiter.wait().code(0).stdout("").stderr("");
    }
}

#[test]
fn conditions_are_for_one_task_but_for_its_end() {
    let home = Home::new();
    Fake::over(&home, "t-1", b"");
    Fake::over(&home, "t-2", b"");
    let words = "gco: --until with anything but 'exit' is for one task, and 2 are named\n";
    wait(&home, &["t-1", "t-2", "--until", "match:x"]).wait().code(2).stdout("").stderr(words);
    wait(&home, &["t-1", "t-2", "--until", "exit"]).wait().code(0).stdout("").stderr("");
}
