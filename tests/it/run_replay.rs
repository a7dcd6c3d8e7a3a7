//! `gco run --replay`: what a task wrote goes the whole way once more, as a new task.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::harness::{Home, eventually};
use crate::oracle::rebuild;
use crate::tools::Gate;

/// The id of the newest task called `name`.
fn newest(home: &Home, name: &str) -> String {
    let id = home.ids().into_iter().rfind(|id| id.starts_with(&format!("{name}-")));
    id.unwrap()
}

#[test]
fn streams_code_and_progress_are_those_of_the_task() {
    let home = Home::new();
    let script =
        "printf 'a\\377\\n[1/4] Building x'; echo err >&2; echo; echo '[2/4] Building y'; printf end; exit 7";
    let out = b"a\xff\n[1/4] Building x\n[2/4] Building y\nend";
    home.gco(["run", "--name", "t", "--", "sh", "-c", script]).run().code(7).stdout(out).stderr("err\n");
    let first = home.only_id();
    let hook = "echo $GCO_TOOL $GCO_STATE $GCO_EXIT_CODE >>finished";
    home.gco(["run", "--replay", "t", "--label", "try=1", "--on-finish", hook])
        .run()
        .code(7)
        .stdout(out)
        .stderr("err\n");
    assert_eq!(home.until_file("finished"), "replay failed 7\n");
    let id = newest(&home, "replay");
    let record = home.record(&id);
    let argv = record["argv"].as_array().unwrap();
    assert_eq!(argv[0], env!("CARGO_BIN_EXE_gco"));
    assert_eq!(argv[1..], [json!("tasks"), json!("replay"), json!("--by-signal"), json!(first)]);
    assert_eq!(
        (&record["state"], &record["exit_code"], &record["labels"]),
        (&json!("failed"), &json!(7), &json!({"try": "1"}))
    );
    assert_eq!(record["progress"], home.record(&first)["progress"]);
    let log = home.log(&id);
    assert_eq!((rebuild(&log, "stdout"), rebuild(&log, "stderr")), (out.to_vec(), b"err\n".to_vec()));
    // A replay can be replayed, under another name and in the background.
    let started = home.gco(["run", "-d", "--name", "again", "--replay", &id]).run().code(0).stderr("");
    let again = newest(&home, "again");
    started.stdout(format!("{again}\n"));
    assert_eq!(home.until_state(&again, "failed")["exit_code"], 7);
    assert_eq!(rebuild(&home.log(&again), "stdout"), out);
    home.until_quiet();
    home.no_leftovers();
}

#[test]
fn the_signal_that_ended_it_ends_it_again() {
    let home = Home::new();
    for (number, signal) in [(15, Signal::SIGTERM), (9, Signal::SIGKILL), (11, Signal::SIGSEGV)] {
        let script = format!("echo x; kill -{number} $$");
        home.gco(["run", "--name", "t", "--", "sh", "-c", &script])
            .run()
            .signal(signal)
            .stdout("x\n")
            .stderr("");
        home.gco(["run", "--replay", "t"]).run().signal(signal).stdout("x\n").stderr("");
        assert_eq!(home.record(&newest(&home, "replay"))["signal"], signal.as_str());
        home.gco(["tasks", "replay", "--by-signal", "t"]).run().signal(signal).stdout("x\n").stderr("");
    }
    // What gco ended has an exit code of its own.
    let run = home.gco(["run", "--name", "t", "--timeout", "1ms", "--", "sleep", "1000"]).run();
    run.code(124).stdout("").stderr("");
    home.gco(["run", "--replay", "t"]).run().code(124).stdout("").stderr("");
}

#[test]
fn pauses_are_as_they_were_or_as_is_asked_for() {
    let home = Home::new();
    let gate = Gate::new(&home, "gate");
    let script = "echo one; read x <gate; echo two";
    let run = home.gco(["run", "--name", "t", "--", "sh", "-c", script]).spawn();
    run.until_stdout("one\n");
    let begun = Instant::now();
    // Not to wait for anything: so long is the pause that is to be there again.
    eventually("a while to be over", || (begun.elapsed() > Duration::from_millis(700)).then_some(()));
    gate.open();
    run.wait().code(0).stdout("one\ntwo\n").stderr("");
    let took = |options: &[&str]| {
        let begun = Instant::now();
        home.gco(["run", "--replay", "t"].iter().chain(options))
            .run()
            .code(0)
            .stdout("one\ntwo\n")
            .stderr("");
        begun.elapsed()
    };
    assert!(took(&[]) >= Duration::from_millis(500));
    for options in [&["--speed", "1e6"][..], &["--max-gap", "0s"], &["--speed", "2", "--max-gap", "10ms"]] {
        took(options);
    }
    let argv = home.record(&newest(&home, "replay"))["argv"].clone();
    let words: Vec<_> = argv.as_array().unwrap()[3..7].iter().map(|word| word.as_str().unwrap()).collect();
    assert_eq!(words, ["--by-signal", "--speed", "2", "--max-gap"]);
}

#[test]
fn at_a_terminal_it_looks_as_it_did() {
    let home = Home::new();
    let script = "printf '\\033[31mred\\033[0m\\n'; echo err >&2";
    let (_, first) = home.gco(["run", "-q", "--name", "t", "--", "sh", "-c", script]).on_pty().wait();
    let (status, again) = home.gco(["run", "-q", "--replay", "t"]).on_pty().wait();
    assert_eq!(status.code(), Some(0));
    assert!(first.starts_with(b"\x1b[31mred\x1b[0m\r\n"), "{}", first.escape_ascii());
    assert_eq!(first, again);
}

#[test]
fn what_cannot_be_played_is_no_task() {
    let home = Home::new();
    let refused = |args: &[&str], words: &str| {
        home.gco(["run"].iter().chain(args)).run().code(125).stdout("").stderr_has(words);
    };
    refused(&["--replay", "nosuch"], "nosuch");
    refused(&["--replay", "../x"], "gco: ");
    refused(&["--replay", "t", "--", "true"], "cannot be used with");
    refused(&["--speed", "2", "--", "true"], "cannot be used with");
    refused(&["--max-gap", "2s", "--", "true"], "cannot be used with");
    refused(&["--speed", "2"], "required");
    refused(&["--replay", "t", "--speed", "0"], "greater than 0");
    refused(&[], "required");
    assert!(home.names().is_empty());
    let gate = Gate::new(&home, "gate");
    let run = home.gco(["run", "--name", "t", "--", "sh", "-c", "read x <gate"]).spawn();
    let id = home.until_running()["task_id"].as_str().unwrap().to_owned();
    home.gco(["run", "--replay", "t"]).run().code(125).stdout("").stderr(format!(
        "gco: cannot replay '{id}': it has not ended\nhint: 'gco tasks tail -f {id}' shows it as it goes on\n"
    ));
    gate.open();
    run.wait().code(0).stdout("").stderr("");
    home.until_quiet();
    assert_eq!(home.ids(), [id.as_str()]);
    // The one that plays it says what else is in the way.
    std::fs::write(home.tasks().join(format!("{id}.log")), "[stdout] x\n").unwrap();
    home.gco(["run", "--replay", &id])
        .run()
        .code(1)
        .stdout("")
        .stderr_has("no times are known for its lines");
}
