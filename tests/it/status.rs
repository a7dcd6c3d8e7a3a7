//! `gco tasks status`.

use serde_json::json;

use crate::records::{Living, NO_PID, Store, id_of, now_text, on_a_terminal};

#[test]
fn the_panel_tells_everything() {
    let store = Store::new();
    let id = id_of("make", 120);
    let more = json!({
        "argv": ["sh", "-c", "make 'all'\n"], "cwd": "/src/x y", "host": "box", "user": "ada", "state": "failed",
        "exit_code": 137, "signal": "SIGKILL", "error": "killed by SIGKILL", "started_at": now_text(120),
        "finished_at": now_text(60), "stacks_completed": 3, "stacks_total": 12, "last_stack": "db",
        "warnings": ["the log was cut"], "labels": {"env": "prod"}, "tail": ["one", "two"],
        "max_rss_kib": 2048, "user_ms": 1500, "system_ms": 20, "stdout_bytes": 9, "stderr_bytes": 4096,
    });
    store.finished(&id, more);
    let shown = store.gco(&["tasks", "status"]).ok();
    for wanted in [
        &format!("{id}  failed"),
        r"$'make \'all\'\n'",
        "/src/x y",
        "ada on box",
        "1, gone",
        "2m ago",
        "1m ago",
        "1m00s",
        "3/12, last db",
        "137, SIGKILL",
        "killed by SIGKILL",
        "2 MiB memory at most, 1s user, 20ms system",
        "9 B on stdout, 4 KiB on stderr",
        "(10 bytes)",
        &store.path(&format!("{id}.log")).display().to_string(),
        "env=prod",
        "the log was cut",
        "    one\n    two\n",
    ] {
        assert!(shown.contains(wanted), "{wanted:?} is not in\n{shown}");
    }
}

#[test]
fn json_is_the_record_and_what_is_true() {
    let store = Store::new();
    let command = Living::new();
    let id = id_of("x", 10);
    store.running(&id, command.pid(), NO_PID, json!({"mine": {"kept": true}}));
    let task = store.gco(&["tasks", "status", "--json", &id]).json();
    assert_eq!((&task["state"], &task["is_alive"]), (&json!("orphaned"), &json!(true)));
    assert_eq!(task["mine"]["kept"], true);
    let shown = store.gco(&["tasks", "status"]).ok();
    assert!(shown.contains("its command still runs") && shown.contains("elapsed"), "{shown}");
}

#[test]
fn another_hosts_task_is_as_it_says() {
    let store = Store::new();
    let id = id_of("x", 10);
    store.running(&id, NO_PID, NO_PID, json!({"host": "elsewhere", "boot_id": "another"}));
    let task = store.gco(&["tasks", "status", "--json"]).json();
    assert_eq!((&task["state"], &task["is_alive"]), (&json!("running"), &json!(null)));
    let (seen, code) = on_a_terminal(store.command(&["tasks", "status"]), "");
    assert!(seen.contains("cannot be told from here") && code == Some(0), "{seen}");
}

#[test]
fn a_record_that_cannot_be_read_is_said_so() {
    let store = Store::new();
    store.write("x-1795257472000-0.json", "");
    for args in [&["tasks", "status"][..], &["tasks", "status", "x", "--json"]] {
        let said = store.gco(args).failed(1);
        assert_eq!(said, "gco: cannot read the record of 'x-1795257472000-0': it is empty\n");
    }
}

#[test]
fn an_empty_record_is_a_task_all_the_same() {
    let store = Store::new();
    store.write("x-1795257472000-0.json", "{}");
    let shown = store.gco(&["tasks", "status", "x"]).ok();
    assert!(shown.starts_with("x-1795257472000-0  running"), "{shown}");
    assert!(shown.contains("there is none"), "{shown}");
}
