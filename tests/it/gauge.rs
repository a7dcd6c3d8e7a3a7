//! How far a command is: recognised in its output, told by its own script, in the record and in what is shown of it.

use std::fs;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::harness::{Home, sh};
use crate::tools::Gate;

/// The record's `progress` of a run of `script` with `options`, once it is over, and the record.
fn run(home: &Home, options: &[&str], script: &str) -> Value {
    let command = ["run", "--name", "t"].iter().chain(options).copied().chain(["--", "sh", "-c", script]);
    let _ = home.gco(command).run().code(0).stderr("").into_stdout();
    let listed = home.gco(["tasks", "status", "t", "--json"]).run().code(0).stderr("").json();
    let record = home.record(listed["task_id"].as_str().unwrap());
    assert_eq!(record["progress"], listed["progress"]);
    record
}

#[test]
fn what_a_tool_writes_is_recognised_and_its_output_unchanged() {
    let home = Home::new();
    let gate = Gate::new(&home, "gate");
    let script = "echo '[1/4] Building C object a.o'; echo '[2/4] Building C object b.o'; read x <gate; echo '[4/4] Linking C executable x'";
    let gco = home.gco(sh(script)).spawn();
    let id = {
        home.until_running();
        home.only_id()
    };
    let record = home.until_record(&id, "the second step", |record| record["progress"]["current"] == 2);
    let progress = json!({
        "current": 2, "total": 4, "percent": 50.0, "message": "Building C object b.o", "unit": null, "source": "ninja"
    });
    assert_eq!(record["progress"], progress);
    let table = home.gco(["tasks", "list"]).run().code(0).stderr("").into_stdout();
    assert!(String::from_utf8(table).unwrap().contains(" 2/4 "));
    let waited = home.gco(["tasks", "wait", &id, "--until", "progress:50"]).run();
    waited.code(0).stderr("").stdout("");
    gate.open();
    gco.wait()
        .code(0)
        .stderr("")
        .stdout("[1/4] Building C object a.o\n[2/4] Building C object b.o\n[4/4] Linking C executable x\n");
    let record = home.record(&id);
    assert_eq!(record["state"], "succeeded");
    assert_eq!(record["progress"]["percent"], 100.0, "the last line counts too");
    assert_eq!(record["stacks_completed"], 0);
    home.until_quiet();
    home.no_leftovers();
}

/// A detached task's record is written when its front-end leaves, with the output of until then; it was without the progress
/// in that output, and the next record came half a minute later.
#[test]
fn a_record_with_a_line_has_the_progress_in_that_line() {
    let home = Home::new();
    let _gate = Gate::new(&home, "gate");
    for _ in 0..20 {
        let command =
            ["run", "--detach", "--", "sh", "-c", "echo '[1/4] Building C object a.o'; read x <gate"];
        let id = home.gco(command).run().code(0).stderr("").into_stdout();
        let id = String::from_utf8(id).unwrap();
        let record = home.until_record(id.trim_end(), "its line", |record| !record["last_message"].is_null());
        assert_eq!(record["progress"]["current"], 1, "{record}");
    }
}

#[test]
fn units_are_counted_once_against_the_total() {
    let home = Home::new();
    let script = "echo ' ✅  one'; echo ' ✅  one'; echo ' ✅  two' >&2";
    let record = run(&home, &["--total", "4", "--echo", "never"], script);
    assert_eq!(record["stacks_completed"], 2);
    assert_eq!(record["stacks_total"], 4);
    assert!(["one", "two"].contains(&record["last_stack"].as_str().unwrap()));
    assert_eq!(record["progress"]["percent"], 50.0);
    assert_eq!(record["progress"]["source"], "cdk");
}

#[test]
fn what_is_recognised_can_be_chosen() {
    let home = Home::new();
    let script = "echo '[1/4] Building x'; echo 'step 3 of 10: copying'; printf '\\033]9;4;1;70\\007\\n'";
    let progress = |options: &[&str]| run(&home, options, script)["progress"].clone();
    let source = |options: &[&str]| progress(options)["source"].clone();
    assert_eq!(source(&[]), "osc");
    assert_eq!(progress(&[])["percent"], 70.0);
    assert_eq!(progress(&["--progress", "none"]), Value::Null);
    let record =
        run(&home, &["--progress", "ninja"], "echo '[1/4] Building x'; echo ' 45%|## | 45/100 [00:01]'");
    assert_eq!(record["progress"]["percent"], 25.0);
    let step = "step (?P<current>[0-9]+) of (?P<total>[0-9]+): (?P<message>.*)";
    let record =
        run(&home, &["--progress-pattern", step], "echo 'step 3 of 10: copying'; echo '[1/4] Building x'");
    let expected = json!({
        "current": 3, "total": 10, "percent": 30.0, "message": "copying", "unit": null, "source": "pattern"
    });
    assert_eq!(record["progress"], expected);
}

#[test]
fn wrong_words_are_told() {
    let home = Home::new();
    let refused = |options: &[&str], words: &str| {
        let command = ["run"].iter().chain(options).copied().chain(["--", "true"]);
        home.gco(command).run().code(125).stdout("").stderr_has(words);
    };
    refused(&["--progress", "make"], "it is auto, none or one of cdk,");
    refused(&["--progress-pattern", "("], "it is not a regular expression");
    refused(&["--progress-pattern", "[0-9]+"], "it needs at least one of the groups current");
    refused(&["--progress", "cargo", "--progress-pattern", "(?P<unit>x)"], "cannot be used with");
    home.gco(["progress", "3/2", "x"])
        .run()
        .code(2)
        .stdout("")
        .stderr("gco: '3/2' does not say how far it is\nhint: write it like 25/100, 40% or 25\n");
    home.gco(["progress"]).run().code(2).stdout("").stderr_has("required");
    assert!(home.names().is_empty());
}

#[test]
fn a_script_tells_from_any_depth() {
    let home = Home::new();
    let gate = Gate::new(&home, "gate");
    let script = "echo '[1/4] Building x'; sh -c \"sh -c 'gco progress 25/100 \\\"copying files\\\"'\"; read x <gate; gco progress 40%; read x <gate";
    let gco = home.gco(sh(script)).spawn();
    home.until_running();
    let id = home.only_id();
    let record = home.until_record(&id, "what was told", |record| record["progress"]["source"] == "command");
    let expected = json!({
        "current": 25, "total": 100, "percent": 25.0, "message": "copying files", "unit": null, "source": "command"
    });
    assert_eq!(record["progress"], expected, "it counts more than what is recognised");
    gate.open();
    home.until_record(&id, "40 percent", |record| record["progress"]["percent"] == 40.0);
    gate.open();
    gco.wait().code(0).stderr("").stdout("[1/4] Building x\n");
    assert_eq!(home.record(&id)["progress"]["percent"], 40.0);
    home.until_quiet();
    home.no_leftovers();
}

#[test]
fn the_last_word_is_in_the_record_and_units_count() {
    let home = Home::new();
    let script = "for s in a b a c; do gco progress --unit $s; done; gco progress 'all but done'";
    let record = run(&home, &["--total", "3", "--progress", "none"], script);
    assert_eq!(record["stacks_completed"], 3);
    assert_eq!(record["last_stack"], "c");
    assert_eq!(record["progress"]["current"], 3);
    assert_eq!(record["progress"]["total"], 3);
    assert_eq!(record["progress"]["message"], "all but done");
}

#[test]
fn outside_a_task_it_is_silent() {
    let home = Home::new();
    let silent = |id: Option<&str>| {
        let gco = home.gco(["progress", "1/2", "x", "--unit", "y"]);
        let gco = id.map_or_else(|| home.gco(["progress", "1/2"]), |id| gco.env("GCO_TASK_ID", id));
        gco.run().code(0).stdout("").stderr("");
    };
    silent(None);
    silent(Some("none-1-0"));
    silent(Some("../x"));
    assert!(home.names().is_empty());
    run(&home, &[], "true");
    silent(Some(&home.only_id()));
    home.until_quiet();
    home.no_leftovers();
    // And where no records are kept.
    let untracked = home.gco(sh("gco progress 1/2")).env("GCO_DISABLE_TASK_STATUS", "1");
    untracked.run().code(0).stdout("").stderr("");
}

#[test]
fn a_supervisor_that_takes_over_knows_it_too() {
    let home = Home::new();
    let gate = Gate::new(&home, "gate");
    let script =
        "echo ' ✅  one'; gco progress --unit two; gco progress 7/9 x; read x <gate; echo ' ✅  three'";
    let gco = home.gco(sh(script)).spawn();
    home.until_running();
    let id = home.only_id();
    let before = |record: &Value| record["stacks_completed"] == 2 && record["progress"]["current"] == 7;
    let record = home.until_record(&id, "both", before);
    let first = record["supervisor_pid"].clone();
    kill(Pid::from_raw(i32::try_from(first.as_i64().unwrap()).unwrap()), Signal::SIGKILL).unwrap();
    let taken = |record: &Value| record["supervisor_pid"] != first && before(record);
    home.until_record(&id, "a successor that knows", taken);
    gate.open();
    gco.wait().code(0).stderr("").stdout(" ✅  one\n ✅  three\n");
    let record = home.record(&id);
    assert_eq!(record["stacks_completed"], 3);
    assert_eq!(record["progress"]["current"], 7);
    home.until_quiet();
    home.no_leftovers();
}

#[test]
fn what_is_planted_where_scripts_tell_says_nothing() {
    let home = Home::new();
    let script = "mkfifo tasks/.$GCO_TASK_ID.progress; gco progress 1/2; echo done";
    let record = run(&home, &[], script);
    assert_eq!(record["progress"], Value::Null);
    assert_eq!(record["state"], "succeeded");
    home.until_quiet();
    home.no_leftovers();
}

#[test]
fn real_output_is_recognised_through_a_pipe() {
    let home = Home::new();
    let recordings = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    for (name, percent) in
        [("rsync-p2", 100.0), ("ninja-pipe", 100.0), ("curl-pipe", 100.0), ("cargo-tty", 83.3)]
    {
        let log = fs::read(recordings.join(format!("{name}.log"))).unwrap();
        let bytes = ["stdout", "stderr"].map(|stream| crate::oracle::rebuild(&log, stream)).concat();
        fs::write(home.path().join("recorded"), bytes).unwrap();
        let record = run(&home, &["--echo", "never"], "cat recorded >&2");
        assert_eq!(record["progress"]["percent"], percent, "{name}");
    }
}
