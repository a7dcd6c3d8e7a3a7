//! The options of `gco run`: what they do to the command, and what the record says of them.

use std::fs;

use serde_json::json;

use crate::harness::{Home, eventually, sh};
use crate::tools::Gate;

#[test]
fn options_end_where_the_command_begins() {
    let home = Home::new();
    let shown = |args: &[&str], out: &str| home.gco(args.iter()).run().code(0).stdout(out).stderr("");
    drop(shown(&["run", "echo", "--name", "x", "-d"], "--name x -d\n"));
    drop(shown(&["run", "-q", "echo", "-q", "--", "a"], "-q -- a\n"));
    drop(shown(&["run", "--", "echo", "--", "a"], "-- a\n"));
    drop(shown(&["run", "--name=x", "--", "printf", "%s", "--help"], "--help"));
    let dash = home.gco(["run", "--", "-x"]).run();
    dash.code(127).stdout("").stderr("gco: cannot run: '-x': command not found\n");
    let named = home.ids().into_iter().filter(|id| id.starts_with("x-")).count();
    assert_eq!(named, 2, "the one called so and the one whose command is: {:?}", home.ids());
}

#[test]
fn the_record_tells_what_was_asked_for() {
    let home = Home::new();
    let below = home.path().join("below");
    fs::create_dir(&below).unwrap();
    let args = [
        "run",
        "--name",
        "my tool/1",
        "--label",
        "a=1",
        "--label",
        "b=x=y",
        "--label",
        "a=2",
        "--total",
        "12",
        "--cwd",
        "below",
        "--env",
        "A=1",
        "--env",
        "A=2",
        "--env",
        "HOME=",
        "--",
        "sh",
        "-c",
        "pwd -P; echo \"$A,$HOME,$GCO_TASK_ID\"",
    ];
    let output = home.gco(args).env("GCO_TASK_ID", "another-1-0").run();
    let id = home.only_id();
    assert!(id.starts_with("my_tool_1-"), "{id}");
    let real = fs::canonicalize(&below).unwrap();
    output.code(0).stdout(format!("{}\n2,,{id}\n", real.display())).stderr("");
    let record = home.record(&id);
    assert_eq!(record["task_id"], id);
    assert_eq!(record["tool"], "my_tool_1");
    assert_eq!(record["labels"], json!({"a": "2", "b": "x=y"}));
    assert_eq!(record["stacks_total"], 12);
    assert_eq!(record["cwd"], below.to_str().unwrap());
    assert_eq!(record["argv"], json!(["sh", "-c", "pwd -P; echo \"$A,$HOME,$GCO_TASK_ID\""]));
    assert_eq!(record["log_path"], home.tasks().join(format!("{id}.log")).to_str().unwrap());
    assert_eq!(record["log_truncated"], false);
    assert_eq!(record["warnings"], json!([]));
    assert_eq!(
        record["stdout_bytes"].as_u64(),
        Some(real.to_str().unwrap().len() as u64 + 4 + id.len() as u64 + 1)
    );
    assert_eq!(record["log_bytes"].as_u64(), Some(home.log(&id).len() as u64));
    for word in ["A=1", "environment", "PATH"] {
        assert!(!record.to_string().contains(word), "{record}");
    }
}

#[test]
fn echo_never_shows_nothing_and_keeps_the_log() {
    let home = Home::new();
    let script = "echo out; echo err >&2; exit 3";
    home.gco(["run", "--echo", "never", "--", "sh", "-c", script]).run().code(3).stdout("").stderr("");
    let log = String::from_utf8(home.log(&home.only_id())).unwrap();
    assert!(log.contains("[stdout] out\n") && log.contains("[stderr] err\n"), "{log}");
}

const MUCH: &str = "i=0; while [ $i -lt 3000 ]; do echo \"out $i\"; echo \"err $i\" >&2; i=$((i+1)); done; printf part; exit ";

fn much(word: &str) -> String {
    (0..3000).map(|i| format!("{word} {i}\n")).collect()
}

#[test]
fn echo_on_failure_shows_all_of_a_failure_and_nothing_of_a_success() {
    let home = Home::new();
    for disabled in ["", "1"] {
        for code in [0, 3] {
            let script = format!("{MUCH}{code}");
            let output = home
                .gco(["run", "--echo", "on-failure", "--", "sh", "-c", &script])
                .env("GCO_DISABLE_TASK_STATUS", disabled)
                .run();
            let shown = |text: String| if code == 0 { String::new() } else { text };
            output.code(code).stdout(shown(much("out") + "part")).stderr(shown(much("err")));
        }
    }
    // A death by a signal and a command that is not there are failures, too.
    let kill = ["run", "--echo", "on-failure", "--", "sh", "-c", "echo last; kill -9 $$"];
    home.gco(kill).run().signal(nix::sys::signal::Signal::SIGKILL).stdout("last\n").stderr("");
}

#[test]
fn echo_on_failure_keeps_the_order_of_the_log() {
    let home = Home::new();
    let script = format!("exec 2>&1; exec gco run --echo on-failure -- sh -c '{MUCH}3'");
    let shown = home.command("sh", ["-c", &script]).run().code(3).stderr("").into_stdout();
    let log = home.log(&home.only_id());
    let lines = log.split(|&b| b == b'\n').filter(|line| !line.is_empty());
    let mut expected = Vec::new();
    for line in lines {
        let end = line.iter().position(|&b| b == b']').unwrap();
        expected.extend_from_slice(&line[end + 2..]);
        if line[end - 1] != b'~' {
            expected.push(b'\n');
        }
    }
    assert!(shown == expected, "{} and {} bytes", shown.len(), expected.len());
}

#[test]
fn echo_on_failure_waits_for_the_end() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let script = "echo early; read x <go; exit 1";
    let run = home.gco(["run", "--echo", "on-failure", "--", "sh", "-c", script]).spawn();
    let id = eventually("a task", || home.ids().pop());
    home.until_log(&id, "[stdout] early\n");
    assert_eq!(run.stdout(), b"");
    gate.open();
    run.wait().code(1).stdout("early\n").stderr("");
}

#[test]
fn an_unnamed_task_is_called_after_its_command() {
    let home = Home::new();
    home.gco(["run", "--", "/bin/true"]).run().code(0).stdout("").stderr("");
    assert!(home.only_id().starts_with("true-"), "{}", home.only_id());
    // The id is a task's, not a file's: an odd name cannot lead out of the directory.
    home.gco(["run", "--name", "../../x", "--", "true"]).run().code(0).stdout("").stderr("");
    for id in home.ids() {
        assert!(!id.contains('/') && id.as_bytes()[0].is_ascii_alphanumeric(), "{id}");
    }
    home.gco(sh("exit 0")).arg("x").run().code(0).stdout("").stderr("");
    assert_eq!(home.ids().len(), 3);
}
