//! `gco tasks prune`, and what the supervisor calls after each start.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Stdio;

use gco::store::StatusDir;
use gco::store::line::{self, Line};
use gco::store::liveness::Here;
use gco::store::{load, prune};
use gco::task::LineName;
use serde_json::json;

use crate::records::{Living, NO_PID, Store, exists, id_of, now_text, on_a_terminal};

fn prune(store: &Store, args: &[&str]) -> String {
    store.gco(&[&["tasks", "prune"], args].concat()).ok()
}

#[test]
fn the_newest_fifty_stay() {
    let store = Store::new();
    let mut freed = 0;
    let oldest = id_of("x", 52 * 60);
    for n in 0..53 {
        let id = if n == 52 { oldest.clone() } else { id_of("x", n * 60) };
        let size = store.finished(&id, json!({}));
        freed += if n >= 50 { size } else { 0 };
    }
    assert!(store.has(&format!("{oldest}.log")));
    let said = store.gco(&["tasks", "prune", "--dry-run", "--json"]).json();
    assert_eq!(said["freed_bytes"], freed);
    assert_eq!(store.names().len(), 106, "a dry run removes nothing");
    assert_eq!(prune(&store, &["-y"]), format!("removed 3 tasks, freed {}\n", gco::task::size::brief(freed)));
    assert_eq!(store.names().len(), 100);
    assert!(!store.has(&format!("{oldest}.log")));
    assert_eq!(prune(&store, &["-y"]), "nothing removed\n");
    assert_eq!(prune(&store, &["--keep", "49", "-y"]).split(',').next(), Some("removed 1 task"));
}

#[test]
fn limits_and_states() {
    let store = Store::new();
    let mut ids = Vec::new();
    for n in 0..6 {
        let state = if n % 2 == 0 { "succeeded" } else { "failed" };
        ids.push(id_of("x", n * 86_400 + 5));
        store.finished(&ids[ids.len() - 1], json!({"state": state, "finished_at": now_text(n * 86_400)}));
    }
    let would = |args: &[&str]| -> Vec<usize> {
        let said = store.gco(&[&["tasks", "prune", "--dry-run", "--json"], args].concat()).json();
        let removed = said["removed"].as_array().unwrap();
        removed.iter().map(|id| ids.iter().position(|known| id == known).unwrap()).collect()
    };
    assert_eq!(would(&[]), [0; 0]);
    assert_eq!(would(&["--keep", "4"]), [4, 5]);
    assert_eq!(would(&["--state", "failed", "--keep", "0"]), [1, 3, 5]);
    assert_eq!(would(&["--state", "failed,orphaned", "--keep", "2"]), [5]);
    assert_eq!(would(&["--older-than", "60h"]), [3, 4, 5]);
    assert_eq!(would(&["--older-than", "60h", "--keep", "1"]), [1, 2, 3, 4, 5]);
    assert_eq!(would(&["--max-size", "0"]), [0, 1, 2, 3, 4, 5]);
    assert_eq!(would(&["--max-size", "1KiB"]), [2, 3, 4, 5]);
    let listed = prune(&store, &["--dry-run", "--keep", "5"]);
    assert!(
        listed.contains("failed") && listed.contains("beyond the newest to keep\nwould remove 1 task: "),
        "{listed}"
    );
}

#[test]
fn who_lives_stays() {
    let store = Store::new();
    let command = Living::new();
    let me = std::process::id().into();
    store.running("supervised-1-1", command.pid(), me, json!({}));
    store.running("left-1-1", command.pid(), NO_PID, json!({}));
    store.running("dead-1-1", NO_PID, NO_PID, json!({}));
    store.running("away-1-1", NO_PID, NO_PID, json!({"host": "elsewhere", "boot_id": "another"}));
    store.running("locked-1-1", NO_PID, NO_PID, json!({}));
    let _locked = store.hold_lock("locked-1-1");
    store.finished("draining-1-1", json!({}));
    let _draining = store.hold_lock("draining-1-1");
    store.running("unlocked-1-1", NO_PID, me, json!({"state": "succeeded"}));
    store.finished("over-1-1", json!({}));
    store.foreign("theirs", "cdk", "running", command.pid());
    store.foreign("their-dead", "cdk", "running", NO_PID);
    store.foreign("their-orphan", "cdk", "orphaned", NO_PID);
    store.foreign("their-living-orphan", "cdk", "orphaned", command.pid());
    store.write("broken-1-1.json", "\0\0\0");
    let ran = store.gco(&["tasks", "prune", "--keep", "0", "-y"]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.stdout.starts_with("removed 4 tasks, freed "), "{}", ran.stdout);
    assert!(ran.stderr.starts_with("gco: 'broken-1-1' stays, its record cannot be read: "), "{}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1);
    for id in
        ["supervised-1-1", "left-1-1", "away-1-1", "locked-1-1", "draining-1-1", "unlocked-1-1", "theirs"]
    {
        assert!(store.has(&format!("{id}.json")) && store.has(&format!("{id}.log")), "{id}");
    }
    assert!(store.has("their-living-orphan.json") && store.has("broken-1-1.json"));
    for id in ["dead-1-1", "over-1-1", "their-dead", "their-orphan"] {
        assert!(!store.has(&format!("{id}.json")) && !store.has(&format!("{id}.log")), "{id}");
    }
}

#[test]
fn without_a_terminal_it_must_be_told() {
    let store = Store::new();
    store.finished("x-1-1", json!({}));
    let said = store.gco(&["tasks", "prune", "--keep", "0"]).failed(2);
    assert!(said.starts_with("gco: there is no terminal on which to ask\nhint: give -y"), "{said}");
    assert!(store.has("x-1-1.json"));
}

#[test]
fn on_a_terminal_it_asks() {
    let store = Store::new();
    store.finished("x-1-1", json!({}));
    for answer in ["n\n", "\n", "what\n", "\x04"] {
        let (seen, code) = on_a_terminal(store.command(&["tasks", "prune", "--keep", "0"]), answer);
        assert!(seen.contains("remove 1 task (") && seen.contains("[y/N]"), "{seen}");
        assert!(seen.contains("nothing removed") && code == Some(0), "{seen}");
        assert!(store.has("x-1-1.json"));
    }
    let (seen, code) = on_a_terminal(store.command(&["tasks", "prune", "--keep", "0"]), "y\n");
    assert!(seen.contains("removed 1 task, freed") && code == Some(0), "{seen}");
    assert_eq!(store.names(), [""; 0]);
    let (seen, _) = on_a_terminal(store.command(&["tasks", "prune", "--keep", "0"]), "");
    assert_eq!(seen, "nothing removed\n", "with nothing to do there is nothing to ask");
}

#[test]
fn leftovers_are_cleared_once_they_are_left_alone() {
    let store = Store::new();
    let stale = ["gone-1-1.log", ".gone-1-1.Ab12.tmp", ".gone-1-1.lock", ".over-1-1.lock", ".gone-1-1.times"];
    let recent = ["new-1-1.log", ".new-1-1.Ab12.tmp", ".new-1-1.lock", ".new-1-1.times"];
    let kept =
        [".orphan-1-1.lock", "notes.txt", ".hidden", "_x.log", ".x.tmp", "held-1-1.log", ".over-1-1.times"];
    for name in stale.iter().chain(&recent).chain(&kept) {
        store.write(name, "123");
    }
    store.finished("over-1-1", json!({}));
    store.running("orphan-1-1", NO_PID, NO_PID, json!({}));
    for name in stale.iter().chain(&kept) {
        store.age(name, 120);
    }
    let _held = store.hold_lock("held-1-1");
    symlink("/etc/passwd", store.path("link-1-1.log")).unwrap();
    let listed = prune(&store, &["--dry-run"]);
    assert!(listed.ends_with("would remove 5 leftover files: 15 B\n"), "{listed}");
    assert_eq!(prune(&store, &["-y"]), "removed 5 leftover files, freed 15 B\n");
    for name in stale {
        assert!(!store.has(name), "{name}");
    }
    for name in recent.iter().chain(&kept).chain(&["over-1-1.json", "over-1-1.log", "link-1-1.log"]) {
        assert!(store.has(name), "{name}");
    }
}

#[test]
fn lines_that_nobody_needs_are_leftovers() {
    let store = Store::new();
    let dir = opened(&store);
    let line = |name: &str| LineName::group(name).unwrap();
    let id = gco::task::TaskId::parse("x-1-1").unwrap();
    let held = Line::enter(&dir, &line("held"), &id, None).unwrap();
    drop(Line::enter(&dir, &line("left"), &id, None).unwrap());
    drop(Line::enter(&dir, &LineName::key("a/b").unwrap(), &id, None).unwrap());
    drop(Line::enter(&dir, &line("recent"), &id, None).unwrap());
    line::set_limit(&dir, &line("limited"), 3).unwrap();
    for name in [".group-held.line", ".group-left.line", ".key-a%2Fb.line", ".group-limited.line"] {
        store.age(name, 120);
    }
    symlink("/etc/passwd", store.path(".group-link.line")).unwrap();
    let said = store.gco(&["tasks", "prune", "-y", "--json"]).json();
    let mut gone: Vec<&str> =
        said["leftovers"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    gone.sort_unstable();
    assert_eq!(gone, [".group-left.line", ".key-a%2Fb.line"]);
    assert_eq!(said["freed_bytes"], 2 * (64 + 144));
    assert_eq!(
        store.names(),
        [".group-held.line", ".group-limited.line", ".group-link.line", ".group-recent.line"]
    );
    assert!(held.try_place().unwrap());
}

#[test]
fn a_planted_log_harms_nothing() {
    let store = Store::new();
    let outside = store.dir().join("../outside");
    fs::write(&outside, "precious").unwrap();
    store.finished("link-1-1", json!({}));
    fs::remove_file(store.path("link-1-1.log")).unwrap();
    symlink(&outside, store.path("link-1-1.log")).unwrap();
    store.finished("dir-1-1", json!({}));
    fs::remove_file(store.path("dir-1-1.log")).unwrap();
    fs::create_dir(store.path("dir-1-1.log")).unwrap();
    symlink(&outside, store.path("record-1-1.json")).unwrap();
    let ran = store.gco(&["tasks", "prune", "--keep", "0", "-y"]);
    assert_eq!(ran.code, Some(1), "one could not be removed");
    assert!(ran.stderr.contains("cannot remove 'dir-1-1': is a directory"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("'record-1-1' stays, its record cannot be read: it is a symbolic link"),
        "{}",
        ran.stderr
    );
    assert!(!store.has("dir-1-1.json"), "the record goes first");
    assert!(!store.has("link-1-1.log") && store.has("record-1-1.json") && exists(&outside));
    assert_eq!(fs::read_to_string(outside).unwrap(), "precious");
}

#[test]
fn many_at_once_remove_each_task_once() {
    let store = Store::new();
    let command = Living::new();
    for n in 0..300 {
        store.finished(&format!("x-{}-0", 1_795_000_000_000_u64 + n), json!({}));
    }
    store.running(&id_of("run", 1000), command.pid(), command.pid(), json!({}));
    let prunes: Vec<_> = (0..8)
        .map(|_| {
            let mut command = store.command(&["tasks", "prune", "--keep", "0", "-y", "--json"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let mut removed = 0;
    for prune in prunes {
        let output = prune.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        removed += said["removed"].as_array().unwrap().len();
    }
    assert_eq!(removed, 300);
    assert_eq!(store.names().len(), 2, "{:?}", store.names());
}

#[test]
fn a_directory_that_is_not_there_is_empty() {
    let store = Store::without_directory();
    assert_eq!(prune(&store, &["-y"]), "nothing removed\n");
    assert_eq!(prune(&store, &["--dry-run"]), "nothing to remove\n");
    assert!(!store.dir().exists());
}

#[test]
fn a_wrong_command_line_is_explained() {
    let store = Store::new();
    for (args, says) in [
        (&["--keep", "-1"][..], "number of tasks"),
        (&["--older-than", "-7d"], "not a duration"),
        (&["--max-size", "big"], "not a size"),
        (&["--state", "running"], "possible values: succeeded, failed, cancelled, orphaned"),
    ] {
        let said = store.gco(&[&["tasks", "prune", "-y"], args].concat()).failed(2);
        assert!(said.contains(says), "{args:?}: {said}");
    }
}

/// The directory of `store`, for calls of the library.
fn opened(store: &Store) -> StatusDir {
    StatusDir::at(store.dir()).unwrap().unwrap()
}

#[test]
fn the_supervisor_keeps_so_many() {
    let store = Store::new();
    let command = Living::new();
    for n in 0..10 {
        store.finished(&id_of("x", 60 + n * 60), json!({}));
    }
    store.running(&id_of("run", 1), command.pid(), command.pid(), json!({}));
    let old = id_of("old", 9000);
    store.running(&old, command.pid(), command.pid(), json!({}));
    let dir = opened(&store);
    assert_eq!(prune::retain(&dir, 0).unwrap(), 0);
    assert_eq!(prune::retain(&dir, 12).unwrap(), 0);
    assert_eq!(prune::retain(&dir, 4).unwrap(), 6);
    assert_eq!(store.names().len(), 12);
    assert!(store.has(&format!("{old}.json")));
    assert_eq!(prune::retain(&dir, 4).unwrap(), 0);
}

#[test]
fn what_has_changed_since_is_left_alone() {
    let store = Store::new();
    store.finished("x-1-1", json!({}));
    let (dir, here) = (opened(&store), Here::ask());
    let id = gco::task::TaskId::parse("x-1-1").unwrap();
    assert!(load(&dir, &id, &here).is_ok());
    let lock = store.hold_lock("x-1-1");
    assert_eq!(prune::remove(&dir, &id, &here).unwrap(), None, "somebody looks after it now");
    drop(lock);
    assert!(prune::remove(&dir, &id, &here).unwrap().is_some());
    assert_eq!(prune::remove(&dir, &id, &here).unwrap(), None, "it is gone");
    assert_eq!(store.names(), [""; 0]);
}
