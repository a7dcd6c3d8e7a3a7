//! Naming a task on the command line.

use serde_json::json;

use crate::records::{NO_PID, Store, now_text};

fn store() -> Store {
    let store = Store::new();
    for id in ["deploy-1795257472001-0", "deploy-1795257472002-0", "deploy-blue-1795257472000-0"] {
        store.finished(id, json!({}));
    }
    store.foreign("backup_7", "borg", "succeeded", NO_PID);
    store.age("backup_7.json", 365 * 86_400);
    store
}

fn means(store: &Store, word: &str) -> String {
    let task = store.gco(&["tasks", "status", "--json", "--", word]).json();
    task["task_id"].as_str().unwrap().to_owned()
}

#[test]
fn an_id_a_tool_or_a_beginning() {
    let store = store();
    for (word, id) in [
        ("deploy-1795257472001-0", "deploy-1795257472001-0"),
        ("deploy", "deploy-1795257472002-0"),
        ("deploy-b", "deploy-blue-1795257472000-0"),
        ("borg", "backup_7"),
        ("back", "backup_7"),
    ] {
        assert_eq!(means(&store, word), id, "{word}");
    }
    let newest = store.gco(&["tasks", "status", "--json"]).json();
    assert_eq!(newest["task_id"], "deploy-1795257472002-0");
    let shown = store.gco(&["tasks", "show", "borg"]).ok();
    assert!(shown.starts_with("backup_7  succeeded\n"), "{shown}");
}

#[test]
fn an_ambiguous_beginning_lists_what_it_could_be() {
    let said = store().gco(&["tasks", "status", "deploy-1"]).failed(2);
    let wanted = "gco: 'deploy-1' is the beginning of 2 ids:\n  deploy-1795257472002-0\n  deploy-1795257472001-0\nhint: give more of the id\n";
    assert_eq!(said, wanted);
}

#[test]
fn what_is_not_there_is_not_found() {
    for store in [store(), Store::new(), Store::without_directory()] {
        let said = store.gco(&["tasks", "status", "nope"]).failed(1);
        assert!(said.starts_with("gco: there is no task 'nope'\nhint: "), "{said}");
    }
    let said = Store::new().gco(&["tasks", "status"]).failed(1);
    assert!(said.starts_with("gco: there are no tasks\nhint: "), "{said}");
}

#[test]
fn what_is_no_name_is_refused() {
    let store = store();
    std::fs::write(store.dir().join("../secret.json"), "{}").unwrap();
    let long = "x".repeat(10_000);
    for word in ["../secret", "/etc/passwd", "", "-x", ".deploy", "a b", "a/b", "deploy\n", "ä", &long] {
        let said = store.gco(&["tasks", "status", "--", word]).failed(2);
        assert!(said.contains("cannot be the name of a task\nhint: "), "{word}: {said}");
        assert!(said.len() < 400, "{said}");
    }
    let said = store.gco(&["tasks", "status", "\x1b]0;title\x07x"]).failed(2);
    assert!(!said.contains('\x1b') && !said.contains('\x07'), "{said:?}");
}

#[test]
fn the_newest_task_of_a_tool_may_be_another_tools() {
    let store = store();
    store.foreign("zzz", "deploy", "succeeded", NO_PID);
    store.age("zzz.json", 1);
    // The ids of the others say November 2026; what is newest depends on today.
    let today = now_text(0);
    let wanted = if today.as_str() > "2026-11-21T10:37:53Z" { "zzz" } else { "deploy-1795257472002-0" };
    assert_eq!(means(&store, "deploy"), wanted);
}
