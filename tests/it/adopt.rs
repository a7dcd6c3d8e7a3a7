//! `gco tasks adopt`: a task whose processes of gco's were all killed, while its command lives on.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::{Home, eventually};
use crate::queue::detached;
use crate::tools::{Gate, lives, parent_of, pid_in, send, until_stopped};

/// Kills supervisor and keeper, so that neither can make the other anew. Only the one that is the other's parent is stopped
/// before: when a parent dies, the kernel has a stopped child go on.
fn orphan(home: &Home, id: &str) {
    let pids = ["gco-supervisor", "gco-keeper"].map(|name| home.the_gco(name));
    let is_parent = |pid: &&i32| pids.iter().any(|child| parent_of(*child) == Some(**pid));
    let parent = *pids.iter().find(is_parent).unwrap();
    send(parent, Signal::SIGSTOP);
    until_stopped(parent);
    pids.iter().filter(|pid| **pid != parent).for_each(|pid| send(*pid, Signal::SIGKILL));
    send(parent, Signal::SIGKILL);
    // A thread of theirs may outlive them for a moment.
    eventually("both to be gone", || {
        let json = home.gco(["tasks", "status", id, "--json"]).run().code(0).stderr("").json();
        assert_eq!(json["is_alive"], true);
        (json["state"] == "orphaned").then_some(())
    });
}

fn adopt(home: &Home, id: &str, with: &str) {
    let pid = home.record(id)["pid"].clone();
    let words = format!("{id} is supervised again (pid {pid}){with}\n");
    home.gco(["tasks", "adopt", id]).run().code(0).stdout(words).stderr("");
}

const BOTH: &str = ", with its stdout and stderr";
const WORDS: &str =
    "gco was killed and has taken the task on again: what the command wrote meanwhile may be missing";

#[test]
fn output_and_exit_code_are_had_again() {
    for (script, state, code) in [
        ("exit 3", "failed", Some(3)),
        ("exit 0", "succeeded", Some(0)),
        ("kill -KILL $$", "failed", Some(137)),
    ] {
        let home = Home::new();
        let gate = Gate::new(&home, "go");
        let script =
            format!("echo one; read x <go; echo two; echo err >&2; read x <go; printf end; {script}");
        let id = detached(&home, &["--label", "a=b"], &script);
        home.until_log(&id, "[stdout] one\n");
        let before = home.until_record(&id, "the line in the record", |record| record["stdout_bytes"] == 4);
        orphan(&home, &id);
        adopt(&home, &id, BOTH);
        let record = home.record(&id);
        assert_eq!(record["state"], "running");
        for field in ["pid", "pid_start", "argv", "cwd", "labels", "started_at", "tool", "user", "log_path"] {
            assert_eq!(record[field], before[field], "{field}");
        }
        assert_ne!(record["supervisor_pid"], before["supervisor_pid"]);
        assert_eq!(record["warnings"], Value::from(vec![WORDS]));
        let follow = home.gco(["tasks", "tail", &id, "-f"]).spawn();
        gate.open();
        follow.until_stdout(format!("[stdout] one\n[gco] {WORDS}\n[stdout] two\n[stderr] err\n"));
        let wait = home.gco(["tasks", "wait", &id]).spawn();
        gate.open();
        let exit = code.unwrap();
        wait.wait().code(exit).stdout("").stderr("");
        let all = format!("[stdout] one\n[gco] {WORDS}\n[stdout] two\n[stderr] err\n");
        follow.wait().code(0).stdout(format!("{all}[stdout] end\n")).stderr("");
        let record = home.until_state(&id, state);
        assert_eq!(record["exit_code"].as_i64(), code.map(i64::from));
        assert_eq!((&record["stdout_bytes"], &record["stderr_bytes"]), (&Value::from(11), &Value::from(4)));
        assert_eq!(home.log(&id), format!("{all}[stdout~] end\n").into_bytes());
        assert_eq!(record["log_truncated"], false);
        home.until_quiet();
        home.no_leftovers();
    }
}

#[test]
fn it_can_be_cancelled_with_all_that_belongs_to_it() {
    let home = Home::new();
    // One process below the command, and one that has left it and is nobody's.
    let script = "sleep 611 & (setsid sleep 612 &) ; echo ready; wait";
    let id = detached(&home, &[], script);
    home.until_log(&id, "[stdout] ready\n");
    orphan(&home, &id);
    adopt(&home, &id, BOTH);
    let record = home.record(&id);
    let sleeps =
        || home.processes().into_iter().filter(|process| process.command.starts_with("sleep 61")).count();
    assert_eq!(sleeps(), 2);
    home.gco(["tasks", "cancel", &id]).run().code(0).stdout_has("cancelled after").stderr("");
    assert_eq!(sleeps(), 0);
    assert!(!lives(pid_in(&record, "pid")));
    let record = home.until_state(&id, "cancelled");
    assert_eq!(record["signal"], "SIGTERM");
    home.until_quiet();
    home.no_leftovers();
}

#[test]
fn an_adopted_task_is_as_safe_as_any() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let id = detached(&home, &[], "echo one; read x <go; echo two; read x <go; exit 5");
    home.until_log(&id, "[stdout] one\n");
    orphan(&home, &id);
    adopt(&home, &id, BOTH);
    // Its new supervisor is replaced as any is, then all are killed once more.
    let first = home.the_gco("gco-supervisor");
    home.the_gco("gco-keeper");
    send(first, Signal::SIGKILL);
    let own = "[gco] the supervisor was killed and has been replaced\n";
    home.until_log(&id, format!("[stdout] one\n[gco] {WORDS}\n{own}"));
    eventually("its successor", || {
        home.gcos("gco-supervisor").first().is_some_and(|pid| *pid != first).then_some(())
    });
    gate.open();
    home.until_log(&id, format!("[stdout] one\n[gco] {WORDS}\n{own}[stdout] two\n"));
    home.until_record(&id, "the new supervisor in the record", |record| record["stdout_bytes"] == 8);
    orphan(&home, &id);
    adopt(&home, &id, BOTH);
    gate.open();
    home.gco(["tasks", "wait", &id]).run().code(5).stdout("").stderr("");
    let events = home.gco(["tasks", "events", "--json"]).run().code(0).stderr("").into_stdout();
    let events = String::from_utf8(events).unwrap();
    for (event, count) in [("started", 1), ("ended", 1)] {
        assert_eq!(events.matches(&format!("\"event\":\"{event}\"")).count(), count, "{events}");
    }
    home.until_quiet();
    home.no_leftovers();
}

#[test]
fn what_cannot_be_adopted_is_refused_in_words() {
    let home = Home::new();
    let refused = |id: &str, why: &str| {
        home.gco(["tasks", "adopt", id])
            .run()
            .code(1)
            .stdout("")
            .stderr_has(&format!("gco: cannot adopt '{id}': {why}\n"))
            .whatever();
    };
    home.gco(["run", "--", "true"]).run().code(0).stdout("").stderr("");
    let over = home.only_id();
    refused(&over, "it has ended: succeeded");
    home.until_quiet();
    home.remove_tasks();
    let id = detached(&home, &[], "echo ready; exec sleep 600");
    home.until_log(&id, "[stdout] ready\n");
    refused(&id, "it is supervised");
    orphan(&home, &id);
    let record = home.record(&id);
    let path = home.tasks().join(format!("{id}.json"));
    let with = |field: &str, value: Value| {
        let mut changed = record.clone();
        changed[field] = value;
        fs::write(&path, serde_json::to_vec(&changed).unwrap()).unwrap();
    };
    // Another process that has got the number.
    with("pid_start", Value::from(7));
    refused(&id, "its command is gone");
    with("boot_id", Value::from("another"));
    refused(&id, "its command is gone");
    with("pid_start", Value::Null);
    refused(&id, "nothing proves which process its command is");
    with("host", Value::from("elsewhere"));
    with("pid_start", record["pid_start"].clone());
    // Somebody else reads what it writes: that is not taken away.
    let pid = record["pid"].as_i64().unwrap();
    let reader = fs::File::open(format!("/proc/{pid}/fd/1")).unwrap();
    let json = home.gco(["tasks", "adopt", &id, "--json"]).run().code(0).stderr("").json();
    assert_eq!((&json["pid"], &json["streams"]), (&record["pid"], &Value::from(vec!["stderr"])));
    drop(reader);
    refused(&id, "it is supervised");
    home.gco(["tasks", "cancel", &id]).run().code(0).stdout_has("cancelled after").stderr("");
    refused(&id, "it has ended: cancelled");
    home.gco(["tasks", "adopt", "nothing"]).run().code(1).stdout("").stderr_has("nothing").whatever();
    home.until_quiet();
}

#[test]
fn a_limited_log_goes_on_within_its_limit() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let script = "seq 1000001 1200000; read x <go; seq 1200001 1400000";
    let id = detached(&home, &["--log-limit", "1MiB"], script);
    home.until_record(&id, "all to be written", |record| record["stdout_bytes"] == 1_600_000);
    orphan(&home, &id);
    let pid = home.record(&id)["pid"].clone();
    let words = format!("{id} is supervised again (pid {pid}){BOTH}\n");
    home.gco(["tasks", "adopt", &id]).env("GCO_LOG_LIMIT", "1MiB").run().code(0).stdout(words).stderr("");
    gate.open();
    home.gco(["tasks", "wait", &id]).run().code(0).stdout("").stderr("");
    let parts = crate::log_limit::parts(&home.log(&id), &format!("[gco] {WORDS}"));
    parts.check("stdout", 1_000_001, 1_400_000);
    assert!(crate::log_limit::on_disk(&home, &id) <= crate::log_limit::MOST);
    home.until_quiet();
    home.no_leftovers();
}
