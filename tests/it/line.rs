//! `gco tasks limit`, and how tasks that wait in line are shown.

use std::os::unix::fs::symlink;

use gco::store::StatusDir;
use gco::store::line::{self, Line};
use gco::task::{LineName, TaskId};
use serde_json::{Value, json};

use crate::records::{NO_PID, Store, id_of, now_text, on_a_terminal};

fn dir(store: &Store) -> StatusDir {
    StatusDir::at(store.dir()).unwrap().unwrap()
}

fn group(name: &str) -> LineName {
    LineName::group(name).unwrap()
}

/// Gets in `line` for task `id`.
fn enter(store: &Store, line: &LineName, id: &str) -> Line {
    Line::enter(&dir(store), line, &TaskId::parse(id).unwrap(), None).unwrap()
}

/// A task that waits: its record, with `more` in it, and its lock until the file is dropped.
fn queued(store: &Store, id: &str, more: Value) -> std::fs::File {
    let lock = store.hold_lock(id);
    let me = std::process::id();
    store.running(id, me.into(), me.into(), json!({"state": "queued", "queued_at": now_text(190)}));
    let mut record: Value =
        serde_json::from_slice(&std::fs::read(store.path(&format!("{id}.json"))).unwrap()).unwrap();
    for name in ["last_message", "tail"] {
        record.as_object_mut().unwrap().remove(name);
    }
    record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    store.write(&format!("{id}.json"), record.to_string());
    lock
}

#[test]
fn a_limit_is_set_and_shown() {
    let store = Store::without_directory();
    assert_eq!(store.gco(&["tasks", "limit", "deploy", "3"]).ok(), "");
    assert_eq!(store.names(), [".group-deploy.line"]);
    assert_eq!(store.gco(&["tasks", "limit", "deploy"]).ok(), "deploy  limit 3\n");
    let set = store.gco(&["tasks", "limit", "--json", "deploy", "100000"]).json();
    assert_eq!(set, json!({"group": "deploy", "limit": 100_000, "running": [], "waiting": []}));
    assert_eq!(store.gco(&["tasks", "limit", "deploy", "--json"]).json(), set);
    assert_eq!(store.gco(&["tasks", "limit", "other", "1"]).ok(), "");
    assert_eq!(store.gco(&["tasks", "limit", "other"]).ok(), "other  limit 1\n");
}

#[test]
fn who_runs_and_who_waits_is_shown() {
    let store = Store::new();
    let lines: Vec<Line> =
        ["a-1-1", "b-1-1", "c-1-1", "d-1-1"].map(|id| enter(&store, &group("deploy"), id)).into();
    assert!(lines[0].try_place().unwrap());
    let shown = store.gco(&["tasks", "limit", "deploy"]).ok();
    assert_eq!(
        shown,
        "deploy  limit 1\n\n  running  a-1-1\n  1st      b-1-1\n  2nd      c-1-1\n  3rd      d-1-1\n"
    );
    // The limit is raised while they wait; the next ones take their places as soon as they notice.
    let shown = store.gco(&["tasks", "limit", "deploy", "3", "--json"]).json();
    let wanted =
        json!({"group": "deploy", "limit": 3, "running": ["a-1-1"], "waiting": ["b-1-1", "c-1-1", "d-1-1"]});
    assert_eq!(shown, wanted);
    assert!(lines[1].wait_for_place().unwrap() && lines[2].wait_for_place().unwrap());
    assert!(!lines[3].try_place().unwrap());
    lines[0].leave();
    let shown = store.gco(&["tasks", "limit", "deploy", "--json"]).json();
    let wanted = json!({"group": "deploy", "limit": 3, "running": ["b-1-1", "c-1-1"], "waiting": ["d-1-1"]});
    assert_eq!(shown, wanted);
    let (seen, code) = on_a_terminal(store.command(&["tasks", "limit", "deploy"]), "");
    assert!(seen.contains("\u{1b}[1mdeploy\u{1b}[0m  limit 3\n") && code == Some(0), "{seen:?}");
}

#[test]
fn a_group_that_is_not_there_is_said_so() {
    for store in [Store::new(), Store::without_directory()] {
        for args in [&["tasks", "limit", "deploy"][..], &["tasks", "limit", "deploy", "--json"]] {
            let said = store.gco(args).failed(1);
            let wanted = "gco: there is no group 'deploy'\nhint: a group is there while tasks run or wait in it, or once it has a limit: 'gco tasks limit deploy N'\n";
            assert_eq!(said, wanted);
        }
    }
    assert!(!Store::without_directory().dir().exists());
}

#[test]
fn a_wrong_command_line_is_explained() {
    let store = Store::new();
    for number in ["0", "-1", "100001", "99999999999999999999", "+3", "3.5", "many", "", "0x10"] {
        let said = store.gco(&["tasks", "limit", "deploy", number]).failed(2);
        assert!(said.contains("a limit is a number from 1 to 100000"), "{number}: {said}");
    }
    for name in ["a/b", "../x", ".x", "-x", "", "a b", "\u{1b}[2J", &"x".repeat(65)] {
        for args in [&["tasks", "limit", "--", name][..], &["tasks", "limit", "--", name, "3"]] {
            let said = store.gco(args).failed(2);
            assert!(said.contains("the name of a group is letters, digits"), "{name:?}: {said}");
            assert!(!said.contains('\u{1b}'), "{said:?}");
        }
    }
    assert!(store.gco(&["tasks", "limit"]).failed(2).contains("GROUP"));
    assert_eq!(store.names(), [""; 0]);
}

#[test]
fn what_is_planted_is_not_followed() {
    let store = Store::new();
    let outside = store.dir().join("../outside");
    std::fs::write(&outside, "precious").unwrap();
    symlink(&outside, store.path(".group-link.line")).unwrap();
    nix::unistd::mkfifo(&store.path(".group-fifo.line"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for (name, why) in [("link", "it is a symbolic link"), ("fifo", "it is not a regular file")] {
        let said = store.gco(&["tasks", "limit", name]).failed(1);
        assert_eq!(said, format!("gco: cannot look at group '{name}': {why}\n"));
        let said = store.gco(&["tasks", "limit", name, "3"]).failed(1);
        assert_eq!(said, format!("gco: cannot set the limit of group '{name}': {why}\n"));
    }
    // A record that names them costs its task the place in the listing, and nothing else.
    let id = id_of("x", 60);
    let _lock = queued(&store, &id, json!({"group": "fifo", "key": "a/../b", "ticket": 0}));
    assert_eq!(store.gco(&["tasks", "status", "--json"]).json().get("place"), None);
    assert!(store.gco(&["tasks", "list"]).ok().contains("queued"));
    assert_eq!(std::fs::read_to_string(outside).unwrap(), "precious");
}

#[test]
fn queued_tasks_are_listed_with_their_places() {
    let store = Store::new();
    let ids: Vec<String> = (0..4).map(|n| id_of("deploy", 300 - n * 60)).collect();
    let in_group = json!({"group": "deploy", "ticket": 7});
    let lines: Vec<Line> = ids.iter().map(|id| enter(&store, &group("deploy"), id)).collect();
    assert!(lines[0].try_place().unwrap());
    let locks: Vec<_> = ids[1..].iter().map(|id| queued(&store, id, in_group.clone())).collect();
    let me = std::process::id().into();
    store.running(&ids[0], me, me, in_group);
    let key = LineName::key("nightly backup").unwrap();
    let by_key = id_of("backup", 30);
    let (first, second) = (enter(&store, &key, "other-1-1"), enter(&store, &key, &by_key));
    let _by_key = queued(&store, &by_key, json!({"key": "nightly backup", "ticket": 1, "group": "deploy"}));
    let after = id_of("test", 10);
    let _after = queued(&store, &after, json!({"after": ["build-1-0", "lint-1-0"]}));

    let shown = store.gco(&["tasks", "list"]).ok();
    let last = |id: &str| -> String {
        let line = shown.lines().find(|line| line.starts_with(id)).unwrap();
        line.rsplit("  ").next().unwrap().to_owned()
    };
    assert_eq!(last(&ids[0]), "fine");
    assert_eq!(last(&ids[1]), "1st in group 'deploy'");
    assert_eq!(last(&ids[3]), "3rd in group 'deploy'");
    assert_eq!(last(&by_key), "2nd for key 'nightly backup'");
    assert_eq!(last(&after), "after build-1-0 and 1 more");

    let listed = store.gco(&["tasks", "list", "--state", "queued", "--json"]).json();
    let places: Vec<_> =
        listed["tasks"].as_array().unwrap().iter().map(|task| task["place"].clone()).collect();
    assert_eq!(places, [Value::Null, json!(2), json!(3), json!(2), json!(1)]);
    assert!(listed["tasks"].as_array().unwrap().iter().all(|task| task["is_alive"] == false));

    lines[1].leave();
    drop(first);
    let status = |id: &str| store.gco(&["tasks", "status", id]).ok();
    let shown = status(&ids[2]);
    assert!(shown.contains("  waits for   place 1 in group 'deploy'\n"), "{shown}");
    assert!(shown.contains("  group       deploy\n") && shown.contains("UTC, 3m ago\n"), "{shown}");
    assert!(shown.contains("  pid         not started yet\n"), "{shown}");
    assert!(status(&by_key).contains("  waits for   place 1 for key 'nightly backup'\n"));
    assert!(status(&after).contains("  after       build-1-0, lint-1-0\n"));
    assert_eq!(store.gco(&["tasks", "status", "--json", &ids[2]]).json()["place"], 1);

    // Killed while it waited, and one that has a place now: neither has one in line.
    drop(second);
    assert_eq!(store.gco(&["tasks", "status", "--json", &by_key]).json().get("place"), None);
    drop(locks);
    let orphan = store.gco(&["tasks", "status", "--json", &ids[3]]).json();
    assert_eq!((&orphan["state"], &orphan["is_alive"]), (&json!("orphaned"), &json!(false)));
    assert_eq!(orphan.get("place"), None);
    assert!(
        status(&ids[3])
            .contains("orphaned  nobody supervises it any more, and its command was never started")
    );
}

#[test]
fn a_cancelled_task_says_by_whom() {
    let store = Store::new();
    let id = id_of("x", 60);
    let by = json!({"user": "ada", "pid": 4242, "host": "box", "signal": "SIGTERM"});
    let more = json!({"state": "cancelled", "host": "box", "cancelled_by": by, "attempt": 2, "attempts": 4, "pid": NO_PID});
    store.finished(&id, more);
    let shown = store.gco(&["tasks", "status"]).ok();
    assert!(shown.contains("  cancelled   by ada, pid 4242, SIGTERM\n"), "{shown}");
    assert!(shown.contains("  attempt     2 of 4\n"), "{shown}");
}

#[test]
fn groups_are_offered_where_one_is_wanted() {
    let store = Store::new();
    for name in ["deploy", "demo", "x"] {
        line::set_limit(&dir(&store), &group(name), 2).unwrap();
    }
    let _key = enter(&store, &LineName::key("dear").unwrap(), "a-1-1");
    let mut command = store.command(&["--", "gco", "tasks", "limit", "de"]);
    let offered = String::from_utf8(command.env("COMPLETE", "fish").output().unwrap().stdout).unwrap();
    assert_eq!(offered.lines().collect::<Vec<_>>(), ["demo", "deploy"]);
}
