//! Whatever lies in the directory: every task is told of, and nothing is harmed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::stat::{Mode, SFlag, mknod};
use nix::unistd::mkfifo;
use serde_json::{Value, json};

use crate::records::{Store, is_root, on_a_terminal};

/// Records that are none, and what is said of them.
fn broken() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    vec![
        ("empty", Vec::new(), "it is empty"),
        ("nuls", vec![0; 4096], "it is not valid JSON"),
        ("huge", vec![b' '; 3 << 20], "it is larger than 1 MiB"),
        ("deep", "[".repeat(100_000).into_bytes(), "it is not valid JSON"),
        ("deep-object", "{\"a\":".repeat(100_000).into_bytes(), "it is not valid JSON"),
        ("list", b"[1]".to_vec(), "it is not a JSON object"),
        ("cut", b"{\"state\": \"runn".to_vec(), "it is not valid JSON"),
        ("latin", b"{\"state\": \"\xe9\"}".to_vec(), "it is not valid JSON"),
    ]
}

/// Files that are none, and what is said of them.
fn planted(store: &Store) -> Vec<(&'static str, &'static str)> {
    let outside = store.dir().join("../outside");
    fs::write(&outside, "{\"state\":\"failed\"}").unwrap();
    symlink(&outside, store.path("link-1-1.json")).unwrap();
    symlink("nowhere", store.path("dangling-1-1.json")).unwrap();
    symlink("loop-1-1.json", store.path("loop-1-1.json")).unwrap();
    fs::hard_link(&outside, store.path("hard-1-1.json")).unwrap();
    fs::create_dir(store.path("directory-1-1.json")).unwrap();
    mkfifo(&store.path("fifo-1-1.json"), Mode::S_IRWXU).unwrap();
    let _ = std::os::unix::net::UnixListener::bind(store.path("socket-1-1.json")).unwrap();
    let mut all = vec![
        ("link", "it is a symbolic link"),
        ("dangling", "it is a symbolic link"),
        ("loop", "it is a symbolic link"),
        ("hard", "it has more than one link"),
        ("directory", "it is not a regular file"),
        ("fifo", "it is not a regular file"),
        ("socket", "it is not a regular file"),
    ];
    // 1:5 is /dev/zero, which never ends. Root may be forbidden to make one too.
    let device = nix::sys::stat::makedev(1, 5);
    if is_root() && mknod(&store.path("device-1-1.json"), SFlag::S_IFCHR, Mode::S_IRWXU, device).is_ok() {
        all.push(("device", "it is not a regular file"));
    }
    all
}

#[test]
fn no_record_ends_a_listing() {
    let store = Store::new();
    let mut wanted = Vec::new();
    for (name, bytes, says) in broken() {
        store.write(&format!("{name}-1-1.json"), bytes);
        wanted.push((name, says));
    }
    wanted.extend(planted(&store));
    store.finished("good-1-1", json!({}));
    for other in ["notes.txt", "_x.json", ".json", ".x.json", "a b.json", "x.JSON"] {
        store.write(other, "x");
    }
    let began = Instant::now();
    let listed = store.gco(&["tasks", "list", "-n", "0", "--json"]).json();
    assert_eq!(listed["tasks"].as_array().unwrap().len(), 1);
    assert_eq!(listed["unreadable"].as_array().unwrap().len(), wanted.len());
    let table = store.gco(&["tasks", "list", "-n", "0"]).ok();
    assert_eq!(table.lines().count(), 2 + wanted.len(), "{table}");
    for (name, says) in &wanted {
        let id = format!("{name}-1-1");
        let told =
            listed["unreadable"].as_array().unwrap().iter().find(|told| told["task_id"] == *id).unwrap();
        assert!(told["error"].as_str().unwrap().starts_with(says), "{told}");
        let row = table.lines().find(|line| line.starts_with(&id)).unwrap();
        assert!(row.contains("unreadable") && row.contains(says), "{row}");
        let said = store.gco(&["tasks", "status", &id]).failed(1);
        assert!(said.starts_with(&format!("gco: cannot read the record of '{id}': {says}")), "{said}");
    }
    assert!(began.elapsed() < Duration::from_secs(60), "nothing is waited for");
    let before = store.names();
    let ran = store.gco(&["tasks", "prune", "--keep", "0", "-y"]);
    assert_eq!((ran.code, ran.stderr.lines().count()), (Some(0), wanted.len()), "{}", ran.stderr);
    let gone: Vec<_> = before.into_iter().filter(|name| !store.has(name)).collect();
    assert_eq!(gone, ["good-1-1.json", "good-1-1.log"]);
    assert_eq!(fs::read_to_string(store.dir().join("../outside")).unwrap(), "{\"state\":\"failed\"}");
}

#[test]
fn somebody_elses_record_is_not_read() {
    if !is_root() {
        return;
    }
    let store = Store::new();
    store.finished("theirs-1-1", json!({}));
    std::os::unix::fs::chown(store.path("theirs-1-1.json"), Some(12_345), None).unwrap();
    let said = store.gco(&["tasks", "status", "theirs"]).failed(1);
    assert_eq!(said, "gco: cannot read the record of 'theirs-1-1': it belongs to another user\n");
}

/// What a field may hold that no field should.
fn nasty_values() -> Vec<Value> {
    let text =
        "a\nb\r\nc\x1b[2J\x1b[31m\x1b]0;title\x07\u{9b}5m\u{202e}x\u{200b}\u{2066}\u{feff}\0\x7f\t漢字";
    vec![
        Value::from(text),
        Value::from(text.repeat(100)),
        json!(null),
        json!(true),
        json!(-1),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1e308),
        json!([text, [text], {text: text}, 1, null]),
        json!({text: text, "k": 1}),
        json!("9999-12-31T23:59:59Z"),
        json!("0000-01-01T00:00:00Z"),
    ]
}

const FIELDS: [&str; 38] = [
    "argv",
    "boot_id",
    "cwd",
    "duration_ms",
    "elapsed_seconds",
    "error",
    "exit_code",
    "finished_at",
    "host",
    "is_alive",
    "labels",
    "last_message",
    "last_stack",
    "log_bytes",
    "log_path",
    "log_truncated",
    "max_rss_kib",
    "pid",
    "pid_start",
    "schema",
    "signal",
    "stacks_completed",
    "stacks_total",
    "started_at",
    "state",
    "stderr_bytes",
    "stdout_bytes",
    "supervisor_pid",
    "supervisor_start",
    "system_ms",
    "tail",
    "task_id",
    "tool",
    "updated_at",
    "user",
    "user_ms",
    "warnings",
    "unknown",
];

fn assert_calm(shown: &str) {
    let acts = |c: char| c != '\n' && (c.is_control() || gco::task::text::deceives(c));
    assert!(!shown.contains(acts), "{:?}", shown.chars().find(|c| acts(*c)));
}

fn strip_colours(shown: &str) -> String {
    let mut text = shown.to_owned();
    for colour in ["0", "2", "31", "32", "33", "35", "36"] {
        text = text.replace(&format!("\x1b[{colour}m"), "");
    }
    text
}

#[test]
fn no_field_can_harm_what_is_shown() {
    let store = Store::new();
    for (n, value) in nasty_values().into_iter().enumerate() {
        for (at, field) in FIELDS.iter().enumerate() {
            store.finished(&format!("f{at}-1795000000000-{n}"), json!({*field: value.clone()}));
        }
        let every: Value = FIELDS
            .iter()
            .map(|field| ((*field).to_owned(), value.clone()))
            .collect::<serde_json::Map<_, _>>()
            .into();
        store.finished(&format!("all-1795000000000-{n}"), every);
    }
    let count = FIELDS.len() * nasty_values().len() + nasty_values().len();
    let table = store.gco(&["tasks", "list", "-n", "0"]).ok();
    assert_calm(&table);
    assert_eq!(table.lines().count(), count + 1, "one line a task");
    let listed = store.gco(&["tasks", "list", "-n", "0", "--json"]).ok();
    assert_calm(&listed);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["tasks"].as_array().unwrap().len(), count);
    for n in 0..nasty_values().len() {
        let shown = store.gco(&["tasks", "status", &format!("all-1795000000000-{n}")]).ok();
        assert_calm(&shown);
        assert!(shown.lines().count() < 40, "{shown}");
    }
    let (seen, code) = on_a_terminal(store.command(&["tasks", "list", "-n", "0"]), "");
    assert_eq!(code, Some(0));
    assert_eq!(strip_colours(&seen).find('\x1b'), None, "colours and nothing else");
    assert_calm(&strip_colours(&seen));
}

#[test]
fn a_log_path_in_a_record_leads_nowhere() {
    let store = Store::new();
    store.finished("x-1-1", json!({"log_path": "/etc/passwd"}));
    let shown = store.gco(&["tasks", "status"]).ok();
    assert!(!shown.contains("/etc/passwd") && shown.contains("x-1-1.log (10 bytes)"), "{shown}");
    assert_eq!(store.gco(&["tasks", "prune", "--keep", "0", "-y"]).code, Some(0));
    assert!(Path::new("/etc/passwd").exists());
}
