//! `gco tasks wait --until`: the first condition that holds ends the wait and is named, and an end that comes before does so too.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fake::Fake;
use crate::harness::{Home, Running};
use crate::queue::detached;
use crate::tools::Gate;
use crate::wait::{told, wait};
use crate::wait_lost::until_watching;

/// A running task with a line in its log, and one who waits with `--json` until one of these.
fn waiting<'h>(home: &'h Home, conditions: &[&str]) -> (Fake, Running<'h>) {
    let task = Fake::start(home, "t-1");
    task.write(b"[stdout] old\n");
    let waiter = until(home, conditions);
    until_watching(&waiter, 2);
    (task, waiter)
}

fn until<'h>(home: &'h Home, conditions: &[&str]) -> Running<'h> {
    let conditions = conditions.iter().flat_map(|condition| ["--until", *condition]);
    let line: Vec<&str> = ["t-1", "--json"].into_iter().chain(conditions).collect();
    wait(home, &line)
}

/// What `waiter` says has fired, and which line matched.
fn fired(waiter: Running<'_>, code: i32) -> (Value, Value) {
    let json = waiter.wait().code(code).stderr("").json();
    (json["fired"].clone(), json["matched"].clone())
}

#[test]
fn a_line_that_matches_ends_it() {
    let home = Home::new();
    let (task, waiter) = waiting(&home, &["match:^(ready|old)$"]);
    let quiet = wait(&home, &["t-1", "--until", "match:ready"]);
    until_watching(&quiet, 2);
    task.write(b"[gco] ready\n[stdout] not rea");
    task.write(b"dy\n[stderr] ready\n[stdout] after\n");
    let json = waiter.wait().code(0).stderr("").json();
    let output = json["output"].as_str().unwrap();
    // What comes after the line may be there by then, or not.
    let begin = "[gco] ready\n[stdout] not ready\n[stderr] ready\n";
    assert!([begin.to_owned(), format!("{begin}[stdout] after\n")].contains(&output.to_owned()), "{json}");
    let expected = json!({"task_id": "t-1", "state": "running", "is_alive": true, "fired": "match:^(ready|old)$",
        "matched": "ready", "output": output, "more": false, "cursor": format!("t-1@{}", 13 + output.len())});
    assert_eq!(json, expected);
    quiet.wait().code(0).stdout("").stderr("");
    // From the start on it has come to pass already.
    wait(&home, &["t-1", "--until", "match:old", "--since", "start"]).wait().code(0).stdout("").stderr("");
}

#[test]
fn lines_are_looked_at_as_they_are_seen() {
    for (pattern, log, matched) in [
        ("^name\\? $", &b"[stdout~] name? \n"[..], "name? "),
        ("^ready$", b"[stderr] \x1b[1;32mrea\x1b[0mdy\x1b[K\n", "ready"),
        ("^ready$", b"[stdout~] rea\n[stderr] x\n[stdout] dy\n", "ready"),
        ("^ 80%$", b"[stderr~]  10%\r 80%\r\n", " 80%"),
        ("^end$", b"[stdout~] whole\n[stdout] \rend\n", "end"),
        ("\u{fffd}", b"[stdout] \xff\n", "\u{fffd}"),
        ("^$", b"[stdout] x\n[stdout] \n", ""),
        (": ", b"[stdout] a: b\n", "a: b"),
    ] {
        let home = Home::new();
        let condition = format!("match:{pattern}");
        let (task, waiter) = waiting(&home, &[&condition]);
        task.write(log);
        assert_eq!(fired(waiter, 0), (json!(condition), json!(matched)));
    }
}

#[test]
fn a_prompt_of_a_real_command_is_seen() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let script = "read x <go; printf '\\033[1mname? ' >&2; read x <go; printf 'no end'";
    let id = detached(&home, &["--name", "t"], script);
    home.until_state(&id, "running");
    let waiter = wait(&home, &[&id, "--until", "match:^name\\? $"]);
    until_watching(&waiter, 2);
    gate.open();
    waiter.wait().code(0).stdout("").stderr("");
    // What comes last of all, without a newline, comes before the end.
    let waiter = wait(&home, &[&id, "--until", "exit", "--until", "match:^no end$", "--json"]);
    until_watching(&waiter, 2);
    gate.open();
    assert_eq!(fired(waiter, 0), (json!("match:^no end$"), json!("no end")));
}

#[test]
fn progress_is_what_the_record_says() {
    let home = Home::new();
    let (task, waiter) = waiting(&home, &["progress:100", "progress:80"]);
    let steps = |done| json!({"stacks_total": 10, "stacks_completed": done});
    task.record_with("running", steps(7));
    let early = until(&home, &["progress:81"]);
    until_watching(&early, 2);
    task.record_with("running", steps(8));
    assert_eq!(fired(waiter, 0), (json!("progress:80"), Value::Null));
    assert_eq!(fired(until(&home, &["progress:80%"]), 0).0, "progress:80%");
    task.record_with("running", steps(9));
    assert_eq!(fired(early, 0).0, "progress:81");
    // Not known how much there is: never.
    task.record_with("running", json!({"stacks_completed": 99}));
    assert_eq!(told(&home, &["t-1", "--until", "progress:0", "--timeout", "50ms"], 124)["fired"], "timeout");
}

#[test]
fn silence_is_as_long_as_nothing_is_written() {
    let home = Home::new();
    let (task, waiter) = waiting(&home, &["silent:1h", "silent:300ms"]);
    let (mut written, mut longest) = (Instant::now(), Duration::ZERO);
    for _ in 0..100 {
        task.write(b"[stdout] more\n");
        longest = longest.max(written.elapsed());
        written = Instant::now();
    }
    assert_eq!(fired(waiter, 0), (json!("silent:300ms"), Value::Null));
    // Unless this test itself was kept from writing; and the time of the last change is told to some milliseconds.
    assert!(longest.as_millis() > 200 || written.elapsed().as_millis() >= 285, "{longest:?} {written:?}");
    // It has been silent for as long as its log has not been written to, also where that is shown.
    let log = std::fs::File::options().append(true).open(task.log_path()).unwrap();
    log.set_modified(std::time::SystemTime::now() - Duration::from_secs(3600)).unwrap();
    assert_eq!(fired(until(&home, &["silent:59m"]), 0).0, "silent:59m");
    let since = told(&home, &["t-1", "--until", "silent:59m", "--since", "start"], 0);
    assert_eq!((&since["fired"], since["output"].as_str().unwrap().len()), (&json!("silent:59m"), 13 + 1400));
    assert_eq!(told(&home, &["t-1", "--until", "silent:2h", "--timeout", "50ms"], 124)["fired"], "timeout");
    // A clock that was set back proves nothing.
    log.set_modified(std::time::SystemTime::now() + Duration::from_secs(3600)).unwrap();
    assert_eq!(
        told(&home, &["t-1", "--until", "silent:50ms", "--timeout", "10s"], 0)["fired"],
        "silent:50ms"
    );
}

#[test]
fn a_task_without_a_log_is_silent_too() {
    let home = Home::new();
    let task = Fake::start(&home, "t-1");
    task.record("queued");
    let waiter = until(&home, &["silent:50ms", "match:x"]);
    assert_eq!(fired(waiter, 0).0, "silent:50ms");
    let waiter = until(&home, &["match:first"]);
    until_watching(&waiter, 1);
    task.write(b"[stdout] first\n");
    assert_eq!(fired(waiter, 0).0, "match:first");
}

#[test]
fn of_several_the_first_that_holds_is_named() {
    let home = Home::new();
    let all = ["exit", "match:one", "match:two", "progress:50", "silent:10m"];
    let (task, waiter) = waiting(&home, &all);
    task.write(b"[stderr] two\n[stdout] one\n");
    assert_eq!(fired(waiter, 0), (json!("match:two"), json!("two")));
    let waiter = until(&home, &all);
    until_watching(&waiter, 2);
    // Of two for the same line, the one that was named first.
    task.write(b"[stdout] two one\n");
    assert_eq!(fired(waiter, 0), (json!("match:one"), json!("two one")));
    let waiter = until(&home, &all);
    until_watching(&waiter, 2);
    task.record_with("running", json!({"stacks_total": 2, "stacks_completed": 1}));
    assert_eq!(fired(waiter, 0).0, "progress:50");
    task.record("running");
    let waiter = until(&home, &all);
    until_watching(&waiter, 2);
    task.record_with("failed", json!({"exit_code": 8}));
    assert_eq!(fired(waiter, 8), (json!("exit"), Value::Null));
}

#[test]
fn its_end_ends_the_wait_whatever_was_waited_for() {
    for (state, more, with_exit, code) in [
        ("succeeded", json!({"exit_code": 0}), false, 1),
        ("succeeded", json!({"exit_code": 0}), true, 0),
        ("failed", json!({"exit_code": 5}), false, 5),
        ("failed", json!({"exit_code": 5}), true, 5),
        ("cancelled", json!({"exit_code": 143}), false, 143),
    ] {
        let home = Home::new();
        let task = Fake::start(&home, "t-1");
        task.write(b"[stdout] old\n");
        let mut line = vec!["t-1", "--until", "match:never", "--until", "silent:1h", "--until", "progress:1"];
        line.extend(with_exit.then_some(["--until", "exit"]).into_iter().flatten());
        let waiter = wait(&home, &line);
        until_watching(&waiter, 2);
        task.record_with(state, more);
        let words = "gco: 't-1' ended before what was waited for came to pass\n";
        let words = if with_exit { "" } else { words };
        waiter.wait().code(code).stdout("").stderr(words);
        drop(task);
        // So it does when it has ended before.
        wait(&home, &line).wait().code(code).stdout("").stderr(words);
    }
}

#[test]
fn the_last_line_comes_before_the_end() {
    for round in 0..50 {
        let home = Home::new();
        let (task, waiter) = waiting(&home, &["exit", "match:last"]);
        // Somewhere in this it looks at the log, and somewhere at the record.
        (0..round).for_each(|_| task.record("running"));
        task.write(b"[stdout] last\n");
        task.finish("failed");
        assert_eq!(fired(waiter, 0).0, "match:last");
    }
}

#[test]
fn the_time_is_over_though_much_is_written() {
    let home = Home::new();
    let task = Fake::start(&home, "t-1");
    task.write(b"[stdout] old\n");
    let mut waiter = wait(&home, &["t-1", "--until", "match:never", "--timeout", "300ms"]);
    while !waiter.has_ended() {
        task.write(b"[stdout] more\n");
    }
    waiter.wait().code(124).stdout("").stderr("gco: 't-1' did not come that far within 300ms\n");
}

#[test]
fn the_time_is_over_though_more_is_written_than_can_be_looked_at() {
    let home = Home::new();
    let id =
        crate::queue::detached(&home, &[], "exec yes aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    home.until_running();
    let start = std::time::Instant::now();
    // Slow to look for.
    let waiter = wait(&home, &[&id, "--until", "match:(a|aa)*b$", "--timeout", "300ms"]);
    waiter.wait().code(124).stdout("").stderr(format!("gco: '{id}' did not come that far within 300ms\n"));
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    // What was there before is looked at all the same.
    let waiter = wait(&home, &[&id, "--until", "match:^a+$", "--since", "start", "--timeout", "1ms"]);
    waiter.wait().code(0).stdout("").stderr("");
}

#[test]
fn conditions_are_for_one_task() {
    let home = Home::new();
    let _tasks = ["t-1", "t-2"].map(|id| Fake::start(&home, id));
    for condition in ["match:a", "silent:1s", "progress:1"] {
        wait(&home, &["t-1", "t-2", "--until", "exit", "--until", condition])
            .wait()
            .code(2)
            .stdout("")
            .stderr("gco: --until with anything but 'exit' is for one task, and 2 are named\n");
    }
    let words = "gco: --since is for one task, and 2 are named\n";
    wait(&home, &["t-1", "t-2", "--since", "start"]).wait().code(2).stdout("").stderr(words);
    // Named twice, it is one.
    wait(&home, &["t-1", "t-1", "--until", "silent:1ms"]).wait().code(0).stdout("").stderr("");
}
