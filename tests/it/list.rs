//! `gco tasks list`.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use serde_json::json;

use crate::records::{Living, NO_PID, Store, id_of, is_root, now_text, on_a_terminal};

#[test]
fn no_tasks_are_an_empty_list() {
    for store in [Store::new(), Store::without_directory()] {
        assert_eq!(store.gco(&["tasks", "list", "--json"]).json(), json!({"tasks": []}));
        assert_eq!(store.gco(&["tasks", "list"]).ok(), "");
        let (seen, code) = on_a_terminal(store.command(&["tasks", "list"]), "");
        assert!(seen.contains("no tasks yet") && code == Some(0), "{seen}");
    }
    assert!(!Store::without_directory().dir().exists(), "reading makes no directory");
}

#[test]
fn a_directory_that_cannot_be_read_is_said_so() {
    let store = Store::without_directory();
    fs::write(store.dir(), "x").unwrap();
    for args in [&["tasks", "list"][..], &["tasks", "list", "--json"], &["tasks", "status"]] {
        let said = store.gco(args).failed(1);
        assert!(
            said.starts_with("gco: cannot use the status directory") && said.contains("not a directory"),
            "{said}"
        );
    }
    if !is_root() {
        let store = Store::new();
        fs::set_permissions(store.dir(), fs::Permissions::from_mode(0o000)).unwrap();
        let said = store.gco(&["tasks", "list"]).failed(1);
        assert!(said.contains("permission denied"), "{said}");
    }
}

#[test]
fn the_newest_twenty_come_first() {
    let store = Store::new();
    for ago in 0..30 {
        store.finished(&id_of("x", ago * 60), json!({}));
    }
    let wanted: Vec<String> = store.listed(&["-n", "0"]);
    assert_eq!(wanted.len(), 30);
    assert!(wanted.is_sorted_by(|a, b| a > b), "{wanted:?}");
    assert_eq!(store.listed(&[]), wanted[..20]);
    assert_eq!(store.listed(&["-n", "3"]), wanted[..3]);
    assert_eq!(store.gco(&["tasks", "list"]).ok().lines().count(), 21);
    let (seen, _) = on_a_terminal(store.command(&["tasks", "list"]), "");
    assert!(seen.contains("10 older not shown"), "{seen}");
}

#[test]
fn filters_come_before_the_count() {
    let store = Store::new();
    for n in 0..40 {
        let state = if n % 10 == 9 { "failed" } else { "succeeded" };
        let tool = if n % 2 == 0 { "even" } else { "odd" };
        let labels = json!({"n": n.to_string(), "all": "yes"});
        store.finished(&id_of(tool, n * 60), json!({"state": state, "tool": tool, "labels": labels}));
    }
    store.foreign("theirs", "odd", "succeeded", NO_PID);
    assert_eq!(store.listed(&["--state", "failed"]).len(), 4);
    assert_eq!(store.listed(&["--state", "failed", "-n", "3"]).len(), 3);
    assert_eq!(store.listed(&["--state", "failed,succeeded", "--state", "running", "-n0"]).len(), 41);
    assert_eq!(store.listed(&["--name", "odd", "-n", "0"]).len(), 21);
    assert_eq!(store.listed(&["--name", "odd", "-n", "1"]), ["theirs"]);
    assert_eq!(store.listed(&["--name", "od"]).len(), 0);
    assert_eq!(store.listed(&["--label", "n=7", "--label", "all=yes"]).len(), 1);
    assert_eq!(store.listed(&["--label", "n=7", "--label", "all=no"]).len(), 0);
    assert_eq!(
        store.listed(&["--since", "270s", "-n", "0"]).len(),
        5,
        "four minutes and a bit, and not theirs"
    );
    assert_eq!(store.listed(&["--since", "20m", "--state", "failed"]).len(), 2);
}

#[test]
fn a_wrong_command_line_is_explained() {
    let store = Store::new();
    for (args, says) in [
        (&["-n", "-1"][..], "number of tasks"),
        (&["-n", "x"], "number of tasks"),
        (&["--since", "-2h"], "not a duration"),
        (&["--since", "soon"], "not a duration"),
        (&["--state", "done"], "possible values: queued, running"),
        (&["--label", "x"], "KEY=VALUE"),
        (&["--label", "=x"], "KEY=VALUE"),
        (&["--name", ""], "--name"),
        (&["extra"], "unexpected argument"),
    ] {
        let said = store.gco(&[&["tasks", "list"], args].concat()).failed(2);
        assert!(said.contains(says), "{args:?}: {said}");
    }
}

#[test]
fn a_running_task_is_timed_now() {
    let store = Store::new();
    let command = Living::new();
    let more = json!({"started_at": now_text(7265), "elapsed_seconds": 3, "stacks_completed": 3, "stacks_total": 12,
        "last_message": "working"});
    store.running(&id_of("x", 7265), command.pid(), command.pid(), more);
    let table = store.gco(&["tasks", "list"]).ok();
    let row: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row[1..], ["running", "2h", "ago", "2h01m", "3/12", "working"]);
}

#[test]
fn other_tools_tasks_are_judged() {
    let store = Store::new();
    let command = Living::new();
    store.foreign("lives", "cdk", "running", command.pid());
    store.foreign("dead", "cdk", "running", NO_PID);
    store.foreign("given-up", "cdk", "orphaned", NO_PID);
    store.foreign("done", "cdk", "succeeded", NO_PID);
    let listed = store.gco(&["tasks", "list", "--json"]).json();
    let mut told: Vec<_> = listed["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| {
            (task["task_id"].as_str().unwrap(), task["state"].as_str().unwrap(), task["is_alive"].as_bool())
        })
        .collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [
            ("dead", "orphaned", Some(false)),
            ("done", "succeeded", Some(false)),
            ("given-up", "orphaned", Some(false)),
            ("lives", "running", Some(true)),
        ]
    );
    assert_eq!(listed["tasks"][0]["log_path"], "/somewhere/else.log", "the record is as on disk");
    assert_eq!(store.listed(&["--state", "orphaned"]).len(), 2);
    let on_disk = fs::read_to_string(store.path("dead.json")).unwrap();
    assert!(on_disk.contains("\"running\""), "a reader writes nothing");
}

#[test]
fn a_locked_task_runs_whatever_its_pids_say() {
    let store = Store::new();
    let id = id_of("x", 10);
    store.running(&id, NO_PID, NO_PID, json!({}));
    let state = || store.gco(&["tasks", "status", "--json"]).json()["state"].clone();
    assert_eq!(state(), "orphaned");
    let lock = store.hold_lock(&id);
    assert_eq!(state(), "running");
    drop(lock);
    assert_eq!(state(), "orphaned");
}

#[test]
fn ten_thousand_are_listed_without_opening_them() {
    let store = Store::new();
    let start = 1_795_000_000_000_u64;
    // Not one of them but the newest can be read.
    for n in 0..9_990 {
        fs::write(store.path(&format!("x-{}-0.json", start + n)), "").unwrap();
        fs::write(store.path(&format!("x-{}-0.log", start + n)), "").unwrap();
    }
    for n in 9_990..10_000 {
        store.finished(&format!("x-{}-0", start + n), json!({}));
    }
    let wanted: Vec<String> = (9_990..10_000).rev().map(|n| format!("x-{}-0", start + n)).collect();
    let listed = store.gco(&["tasks", "list", "--json", "-n", "10"]).json();
    assert_eq!(listed["tasks"].as_array().unwrap().len(), 10);
    assert!(listed.get("unreadable").is_none(), "no more are read than are shown");
    assert_eq!(store.listed(&["-n", "10"]), wanted);
    let all = store.gco(&["tasks", "list", "--json", "-n", "0"]).json();
    assert_eq!(all["unreadable"].as_array().unwrap().len(), 9_990);
    assert_eq!(store.gco(&["tasks", "list", "-n", "0"]).ok().lines().count(), 10_001);
}

#[test]
fn a_closed_pipe_is_a_quiet_end() {
    let store = Store::new();
    for n in 0..500 {
        store.finished(&id_of("x", n), json!({"last_message": "m".repeat(1000)}));
    }
    for json in [&["--json"][..], &[]] {
        let args = [&["tasks", "list", "-n", "0"], json].concat();
        let mut child = store.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(!first.is_empty());
        assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
    }
}

#[test]
fn colour_is_for_terminals() {
    let store = Store::new();
    store.finished(&id_of("x", 10), json!({"state": "failed"}));
    assert!(!store.gco(&["tasks", "list"]).ok().contains('\x1b'));
    let (seen, _) = on_a_terminal(store.command(&["tasks", "list"]), "");
    assert!(seen.contains("\x1b[31mfailed\x1b[0m"), "{seen:?}");
    let mut command = store.command(&["tasks", "list"]);
    command.env("NO_COLOR", "1");
    assert!(!on_a_terminal(command, "").0.contains('\x1b'));
    let mut command = store.command(&["tasks", "list"]);
    command.env("NO_COLOR", "");
    assert!(on_a_terminal(command, "").0.contains('\x1b'), "an empty NO_COLOR counts as unset");
}
