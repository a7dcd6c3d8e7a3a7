//! What is told of a running task from the runs before it: how far it probably is, and that it is more silent than ever.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::fake::Fake;
use crate::harness::{Home, eventually};
use crate::records::{Living, Store, id_of, now_text};
use crate::screen::{Screen, are_here};
use crate::tools::{Gate, pid_in, send};

/// How long ago the task began that is asked about: 63 % of what its runs take, for as long as a test may take.
const AGO: u64 = 6300;

/// A directory with a task under way, and runs of its command before it.
fn with_runs(more: Value) -> (Store, Living, String) {
    let store = Store::new();
    let command = Living::new();
    for (ago, millis) in [(90_000, 9_000_000), (80_000, 10_000_000), (70_000, 99_000_000)] {
        let run = json!({"cwd": "/src", "duration_ms": millis, "longest_silence_ms": 180_500});
        store.finished(&id_of("x", ago), run);
    }
    // Others, which do not count.
    store.finished(&id_of("x", 60_000), json!({"cwd": "/other", "duration_ms": 1}));
    store.finished(&id_of("x", 60_001), json!({"cwd": "/src", "argv": ["x", "-v"], "duration_ms": 1}));
    store.finished(&id_of("x", 60_002), json!({"cwd": "/src", "state": "failed", "duration_ms": 1}));
    store.finished(&id_of("x", 60_003), json!({"cwd": "/src", "attempt": 2, "duration_ms": 1}));
    store.write(&format!("{}.json", id_of("x", 60_004)), "");
    let id = id_of("x", AGO);
    let mut record =
        json!({"cwd": "/src", "started_at": now_text(AGO), "elapsed_seconds": 3, "stacks_completed": 0});
    record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    store.running(&id, command.pid(), command.pid(), record);
    (store, command, id)
}

/// The line of the table, without its times.
fn row(store: &Store, id: &str) -> String {
    let table = store.gco(&["tasks", "list"]).ok();
    let row = table.lines().find(|line| line.starts_with(id)).unwrap();
    row.split("1h45m").nth(1).unwrap().trim().to_owned()
}

#[test]
fn the_runs_before_give_an_estimate() {
    let (store, _command, id) = with_runs(json!({}));
    assert_eq!(row(&store, &id), "~63%, 1h02m left  fine");
    let shown = store.gco(&["tasks", "status", &id]).ok();
    assert!(shown.contains("\n  progress    ~63%, about 1 h 2 min left (from the last 3 runs)\n"), "{shown}");
    let told = store.gco(&["tasks", "status", &id, "--json"]).json();
    let estimate = &told["estimate"];
    assert_eq!((&estimate["runs"], &estimate["typical_seconds"]), (&json!(3), &json!(10_000)), "{told}");
    assert!((63.0..64.0).contains(&estimate["percent"].as_f64().unwrap()), "{told}");
    assert!((3600..=3700).contains(&estimate["remaining_seconds"].as_i64().unwrap()), "{told}");
    assert_eq!(told.get("progress"), None, "it is no progress");
    let listed = store.gco(&["tasks", "list", "--json"]).json();
    let tasks = listed["tasks"].as_array().unwrap();
    assert_eq!(tasks[0]["estimate"]["runs"], 3);
    assert!(tasks[1..].iter().all(|task| task.get("estimate").is_none()));
    // On the disk nothing is guessed.
    assert!(!std::fs::read_to_string(store.path(&format!("{id}.json"))).unwrap().contains("estimate"));
}

#[test]
fn what_a_task_says_itself_is_not_guessed() {
    for (more, shown) in [
        (json!({"progress": {"percent": 7.0}}), "7%"),
        (json!({"stacks_total": 3}), "0/3"),
        (json!({"attempt": 2, "attempts": 3}), ""),
        (json!({"argv": ["x", "-q"]}), ""),
        (json!({"host": "elsewhere", "boot_id": "another"}), ""),
    ] {
        let (store, _command, id) = with_runs(more.clone());
        assert_eq!(row(&store, &id).replace("fine", "").trim(), shown, "{more}");
        let told = store.gco(&["tasks", "status", &id, "--json"]).json();
        assert_eq!(told.get("estimate"), None, "{more}");
    }
}

#[test]
fn a_real_run_is_compared_with_real_ones() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let run = || home.gco(["run", "--name", "t", "--", "sh", "-c", "read x <go"]).spawn();
    let status = || home.gco(["tasks", "status", "t", "--json"]).run().code(0).stderr("").json();
    let first = run();
    gate.open();
    first.wait().code(0).stdout("").stderr("");
    let took = status()["duration_ms"].as_u64().unwrap();
    let second = run();
    let late = eventually("an estimate that has run out", || {
        let task = status();
        (task["state"] == "running" && task["estimate"]["percent"] == 99.0).then_some(task)
    });
    assert_eq!(late["estimate"]["remaining_seconds"], Value::Null);
    assert_eq!(late["estimate"]["typical_seconds"].as_u64(), Some((took + 500) / 1000));
    let shown = home.gco(["tasks", "status", "t"]).run().code(0).stderr("").into_stdout();
    assert!(String::from_utf8(shown).unwrap().contains("\n  progress    ~99%, longer than the last run\n"));
    gate.open();
    second.wait().code(0).stdout("").stderr("");
    assert_eq!(status().get("estimate"), None);
}

#[test]
fn a_silence_is_told_if_there_was_never_a_longer_one() {
    let at = |ago| json!({"silent_since": now_text(ago), "longest_silence_ms": 60_000});
    let (store, _command, id) = with_runs(at(545));
    assert_eq!(row(&store, &id), "~63%, 1h02m left  silent for 9m (longest before: 3m); fine");
    let shown = store.gco(&["tasks", "status", &id]).ok();
    assert!(shown.starts_with(&format!("{id}  running  silent for 9m (longest before: 3m)\n")), "{shown}");
    let told = store.gco(&["tasks", "status", &id, "--json"]).json();
    assert!((545..600).contains(&told["silent_seconds"].as_i64().unwrap()), "{told}");
    assert_eq!(told["longest_silence_seconds"], 180);
    // Those before were as silent.
    let (store, _command, id) = with_runs(at(150));
    assert_eq!(row(&store, &id), "~63%, 1h02m left  fine");
    let told = store.gco(&["tasks", "list", "--json"]).json()["tasks"][0].clone();
    assert_eq!(told["longest_silence_seconds"], 180, "{told}");
    // It has just said something.
    let (store, _command, id) = with_runs(at(2));
    let told = store.gco(&["tasks", "status", &id, "--json"]).json();
    assert_eq!((told.get("silent_seconds"), told.get("longest_silence_seconds")), (None, None), "{told}");
    // One that says how far it is can be silent as well.
    let mut more = at(545);
    more["stacks_total"] = json!(4);
    let (store, _command, id) = with_runs(more);
    assert_eq!(row(&store, &id), "0/4       silent for 9m (longest before: 3m); fine");
}

/// Waits until this much time has passed since `start`.
fn until_passed(start: Instant, millis: u64) {
    eventually("time to pass", || (start.elapsed() >= Duration::from_millis(millis)).then_some(()));
}

#[test]
fn the_longest_silence_is_in_the_record_whoever_died_meanwhile() {
    for kills in [false, true] {
        let home = Home::new();
        let gate = Gate::new(&home, "go");
        let start = Instant::now();
        let script = "echo one; read x <go; echo two; read x <go";
        let run = home.gco(["run", "--", "sh", "-c", script]).spawn();
        let id = home.until_running()["task_id"].as_str().unwrap().to_owned();
        home.until_log(&id, "[stdout] one\n");
        let silent = Instant::now();
        let record = home.record(&id);
        assert!(record["silent_since"].is_string() && record["longest_silence_ms"].is_u64(), "{record}");
        if kills {
            let old = home.the_gco("gco-supervisor");
            send(old, Signal::SIGKILL);
            eventually("a successor", || home.gcos("gco-supervisor").into_iter().find(|&pid| pid != old));
        }
        until_passed(silent, 700);
        gate.open();
        let heard = home.until_record(&id, "a silence that is over", |record| {
            record["longest_silence_ms"].as_u64().unwrap() >= 700
        });
        assert!(heard["silent_since"].is_string());
        gate.open();
        run.wait().code(0).stdout("one\ntwo\n").stderr("");
        let record = home.record(&id);
        let longest = record["longest_silence_ms"].as_u64().unwrap();
        assert!((700..=start.elapsed().as_millis() as u64).contains(&longest), "{record}");
        assert_eq!(record.get("silent_since"), None, "it is over");
    }
}

#[test]
fn a_stopped_or_waiting_task_is_not_silent() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let run = home.gco(["run", "--group", "g", "--", "sh", "-c", "read x <go"]).spawn();
    let record = home.until_running();
    let id = record["task_id"].as_str().unwrap().to_owned();
    home.until_record(&id, "a silence", |record| record["silent_since"].is_string());
    let waiting = home.gco(["run", "-d", "--group", "g", "--", "true"]).run().code(0).stderr("");
    let waiting = String::from_utf8(waiting.into_stdout()).unwrap().trim().to_owned();
    let queued = home.until_state(&waiting, "queued");
    assert_eq!((queued.get("silent_since"), queued.get("longest_silence_ms")), (None, None));
    let begun = Instant::now();
    send(pid_in(&record, "pid"), Signal::SIGSTOP);
    home.until_record(&id, "it to be stopped", |record| record.get("silent_since").is_none());
    let stopped = Instant::now();
    until_passed(stopped, 1500);
    let lost = stopped.elapsed();
    send(pid_in(&record, "pid"), Signal::SIGCONT);
    home.until_record(&id, "it to go on", |record| record["silent_since"].is_string());
    gate.open();
    run.wait().code(0).stdout("").stderr("");
    let longest = home.record(&id)["longest_silence_ms"].as_u64().unwrap();
    let most = home.record(&id)["duration_ms"].as_u64().unwrap() - lost.as_millis() as u64;
    assert!(longest <= most, "{longest} {most} {:?}", begun.elapsed());
    let waited = home.until_state(&waiting, "succeeded");
    let longest = waited["longest_silence_ms"].as_u64().unwrap();
    assert!(longest <= waited["duration_ms"].as_u64().unwrap(), "{waited}");
}

#[test]
fn a_task_that_waits_for_a_slow_reader_is_not_silent() {
    let home = Home::new();
    // More than gco keeps for the reader, who does not come for it for a while.
    let script = "head -c 3000000 /dev/zero | tr '\\0' x";
    let gate = Gate::new(&home, "go");
    let pipeline = "gco run -- sh -c \"$1\" | (read x <go; wc -c)";
    let running = home.command("sh", ["-c", pipeline, "sh", script]).spawn();
    let id = home.until_running()["task_id"].as_str().unwrap().to_owned();
    let full = home.until_record(&id, "all there is room for", |record| {
        record["stdout_bytes"].as_u64().is_some_and(|bytes| bytes >= 1 << 20)
    });
    let held = Instant::now();
    until_passed(held, 2500);
    gate.open();
    running.wait().code(0).stdout("3000000\n").stderr("");
    let record = home.until_state(&id, "succeeded");
    assert!(record["longest_silence_ms"].as_u64().unwrap() < 1250, "{full}\n{record}");
}

#[test]
fn on_a_screen_guesses_are_marked_and_move() {
    if !are_here(&["tmux", "bash", "stty"]) {
        return;
    }
    let home = Home::new();
    Fake::over_with(&home, "build-1795257400000-0", json!({"cwd": "/src", "duration_ms": 10_000_000}));
    let build = Fake::start(&home, "build-1795257472000-0");
    let begun = |more: Value| {
        let mut record = json!({"cwd": "/src", "started_at": now_text(AGO)});
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        build.record_with("running", record);
    };
    begun(json!({}));
    let mut screen = Screen::new(&home, "");
    screen.resize(120, 24);
    screen.line("gco tasks list --watch");
    screen.until("██████▎░░░ ~63%");
    begun(json!({"silent_since": now_text(545), "longest_silence_ms": 180_000}));
    screen.until("silent for 9m (longest before: 3m)");
    begun(json!({"progress": {"percent": 25.0}}));
    screen
        .until_it("what it says itself", |text| text.contains("██▌░░░░░░░  25%") && !text.contains("silent"));
    screen.press(&["q"]);
    screen.until_prompt();
    begun(json!({}));
    screen.line("gco tasks top");
    screen.until("███▏░ ~63%");
    begun(json!({"silent_since": now_text(545), "longest_silence_ms": 180_000}));
    screen.until("silent 9m");
    screen.until("no output, silent for 9m (longest before: 3m)");
    screen.press(&["s"]);
    screen.until("running  silent for 9m (longest before: 3m)");
    screen.until("~63%, about 1 h 2 min left (from the last run)");
    screen.press(&["q"]);
    screen.until_prompt();
}
