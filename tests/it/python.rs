//! Other tools in the same directory: a reader that knows nothing but `kill(pid, 0)`, and one that removes files.

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::harness::{Home, eventually, sh};
use crate::oracle::rebuild;
use crate::tools::{Gate, count, pid_in};

/// Reads as the existing tool does, all the time: loads each record, and rewrites one that says `running` and whose
/// process is gone to `orphaned`. Says what it saw that must not be.
const READER: &str = r#"
import json, os, sys
directory, stop = sys.argv[1:]
loads = wrong = 0
last = False
print("reading")
while not last:
    last = os.path.exists(stop)
    for name in os.listdir(directory):
        if not name.endswith(".json") or name.startswith("."): continue
        path = os.path.join(directory, name)
        try: text = open(path, encoding="utf-8").read()
        except FileNotFoundError: continue
        loads += 1
        try: record = json.loads(text)
        except ValueError:
            print("torn:", name, repr(text[:200])); wrong += 1; continue
        if record["state"] != "running": continue
        try: os.kill(record["pid"], 0)
        except ProcessLookupError:
            # It may have ended since the record was read. The record of a task that is over says so by now.
            if json.loads(open(path, encoding="utf-8").read())["state"] != "running": continue
            record["state"] = "orphaned"
            with open(path + ".new", "w") as file: json.dump(record, file)
            os.replace(path + ".new", path)
            print("orphaned:", name, text); wrong += 1
print("loads", "some" if loads > 0 else "none", "wrong", wrong)
"#;

#[test]
fn a_polling_reader_sees_no_torn_record_and_no_false_orphan() {
    let home = Home::new();
    fs::create_dir(home.tasks()).unwrap();
    fs::set_permissions(home.tasks(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let tasks = home.tasks().display().to_string();
    let reader = home.command("python3", ["-I", "-S", "-u", "-c", READER, &tasks, "stop"]).spawn();
    reader.until_stdout("reading\n");
    let runs = count("GCO_IT_TRUES", 400) / 4;
    let script = format!("i=0; while [ $i -lt {runs} ]; do gco run -- true || exit 1; i=$((i+1)); done");
    let loops: Vec<_> = (0..4).map(|_| home.command("sh", ["-c", &script]).spawn()).collect();
    let mut outputs: Vec<_> = Vec::new();
    for run in loops {
        // The deadline is for one thing; this is many.
        outputs.push(run.wait_long());
    }
    for output in outputs {
        output.code(0).stdout("").stderr("");
    }
    fs::write(home.path().join("stop"), "").unwrap();
    reader.wait().code(0).stdout("reading\nloads some wrong 0\n").stderr("");
    home.until_quiet();
    home.no_leftovers();
    for id in home.ids() {
        assert_eq!(home.record(&id)["state"], "succeeded");
    }
}

#[test]
fn records_of_other_tools_stand_beside_ours() {
    let home = Home::new();
    home.gco(["run", "--", "true"]).run().code(0).stdout("").stderr("");
    let theirs = r#"{"task_id": "theirs-1700000000000-0", "tool": "theirs", "argv": ["theirs", "--all"],
        "pid": 2147483632, "started_at": "2026-11-20T10:00:00Z", "updated_at": "2026-11-20T10:00:05Z",
        "elapsed_seconds": 5, "state": "running", "stacks_completed": 2, "last_stack": "b", "last_message": "at b",
        "tail": ["at a", "at b"], "log_path": "/etc/passwd"}"#;
    let path = home.tasks().join("theirs-1700000000000-0.json");
    fs::write(&path, theirs).unwrap();
    let listed = home.gco(["tasks", "list", "--json"]).run().code(0).stderr("").json();
    let listed = listed["tasks"].as_array().unwrap();
    let theirs = listed.iter().find(|task| task["tool"] == "theirs").unwrap();
    assert_eq!((theirs["state"].as_str(), theirs["is_alive"].as_bool()), (Some("orphaned"), Some(false)));
    assert_eq!(listed.len(), 2);
}

#[test]
fn a_live_task_puts_back_what_others_remove() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let script = "echo one; read x <go; echo two; read x <go; echo three";
    let run = home.gco(sh(script)).spawn();
    let record = home.until_running();
    let id = record["task_id"].as_str().unwrap();
    home.until_log(id, "[stdout] one\n");
    for name in [format!("{id}.json"), format!("{id}.log"), format!(".{id}.lock")] {
        fs::remove_file(home.tasks().join(name)).unwrap();
    }
    gate.open();
    // The next change of the record comes with all of the files.
    let back = home.until_record(id, "the record to be back", |record| record["last_message"] == "two");
    assert_eq!(back["pid"], record["pid"]);
    home.until_log(id, "[stdout] one\n[stdout] two\n");
    let lock = home.tasks().join(format!(".{id}.lock"));
    assert_eq!(fs::metadata(&lock).unwrap().mode() & 0o7777, 0o600);
    let status = home.gco(["tasks", "status", id, "--json"]).run().code(0).stderr("").json();
    assert_eq!((status["state"].as_str(), status["is_alive"].as_bool()), (Some("running"), Some(true)));
    // Once more, the whole directory this time, right before the end.
    home.remove_tasks();
    gate.open();
    run.wait().code(0).stdout("one\ntwo\nthree\n").stderr("");
    assert_eq!(home.record(id)["state"], "succeeded");
    assert_eq!(rebuild(&home.log(id), "stdout"), b"one\ntwo\nthree\n");
    assert_eq!(pid_in(&home.record(id), "pid"), pid_in(&record, "pid"));
    home.until_quiet();
    home.no_leftovers();
}

#[test]
fn a_log_removed_by_itself_comes_back_whole() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let run = home.gco(sh("echo one; read x <go; echo two")).spawn();
    let id = home.until_running()["task_id"].as_str().unwrap().to_owned();
    home.until_log(&id, "[stdout] one\n");
    fs::remove_file(home.tasks().join(format!("{id}.log"))).unwrap();
    gate.open();
    run.wait().code(0).stdout("one\ntwo\n").stderr("");
    assert_eq!(home.log(&id), b"[stdout] one\n[stdout] two\n");
    home.until_quiet();
    home.no_leftovers();
}

#[test]
fn old_tasks_are_removed_after_the_start() {
    let home = Home::new();
    let run = |name: &str, keep: &str| {
        let args = ["run", "--name", name, "--", "true"];
        home.gco(args).env("GCO_TASK_RETENTION", keep).run().code(0).stdout("").stderr("");
    };
    for n in 0..5 {
        run(&format!("t{n}"), "0");
        home.until_quiet();
    }
    assert_eq!(home.ids().len(), 5);
    let gate = Gate::new(&home, "go");
    let live = home.gco(["run", "--name", "live", "--", "sh", "-c", "read x <go"]).spawn();
    home.until_record(
        &eventually("it", || home.ids().into_iter().find(|id| id.starts_with("live"))),
        "it to run",
        |r| r["pid"] != r["supervisor_pid"],
    );
    run("last", "2");
    // The two newest that are over before this one, itself, and what runs.
    eventually("the rest to be removed", || {
        let ids = home.ids();
        (ids.iter().filter(|id| id.starts_with('t')).count() <= 2).then_some(())
    });
    let names: Vec<_> = home.ids().iter().map(|id| id[..id.find('-').unwrap()].to_owned()).collect();
    assert!(names.contains(&"live".to_owned()) && names.contains(&"last".to_owned()), "{names:?}");
    assert!(names.contains(&"t4".to_owned()) && !names.contains(&"t0".to_owned()), "{names:?}");
    gate.open();
    live.wait().code(0).stdout("").stderr("");
    home.until_quiet();
    home.no_leftovers();
}
