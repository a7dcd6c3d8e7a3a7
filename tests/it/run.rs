//! `gco run` in the foreground: output and end are what they would be without gco.

use std::os::unix::process::ExitStatusExt;

use crate::harness::{Home, eventually, sh};
use crate::oracle::rebuild;
use crate::tools::{Gate, count};

#[test]
fn output_comes_byte_for_byte_on_its_own_stream() {
    let home = Home::new();
    let script = r"printf 'a\0\377\r\nb\n\n\033[1m'; printf 'e\n\n\200' >&2";
    let (out, err) = (b"a\0\xff\r\nb\n\n\x1b[1m", b"e\n\n\x80");
    home.gco(sh(script)).run().code(0).stdout(out).stderr(err);
    let log = home.log(&home.only_id());
    assert_eq!((rebuild(&log, "stdout"), rebuild(&log, "stderr")), (out.to_vec(), err.to_vec()));
    home.until_quiet();
    home.no_leftovers();
}

#[test]
fn a_prompt_is_shown_at_once_and_the_answer_goes_to_the_command() {
    let home = Home::new();
    let mut run = home
        .gco(sh(r#"printf 'Name? '; read x; printf 'Age? ' >&2; read y; echo "$x $y""#))
        .stdin_pipe()
        .spawn();
    run.until_stdout("Name? ");
    let mut stdin = run.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, b"joe\n").unwrap();
    eventually("the second prompt", || (run.stderr() == b"Age? ").then_some(()));
    // Both prompts are in the log as parts, though their lines are not complete.
    home.until_log(&home.only_id(), "[stdout~] Name? \n[stderr~] Age? \n");
    std::io::Write::write_all(&mut stdin, b"7\n").unwrap();
    drop(stdin);
    run.wait().code(0).stdout("Name? joe 7\n").stderr("Age? ");
    assert_eq!(home.log(&home.only_id()), b"[stdout~] Name? \n[stderr~] Age? \n[stdout] joe 7\n");
}

#[test]
fn gco_itself_is_silent_where_nobody_sits() {
    let home = Home::new();
    home.gco(["run", "--", "true"]).run().code(0).stdout("").stderr("");
    home.gco(["run", "--", "false"]).run().code(1).stdout("").stderr("");
}

#[test]
fn on_a_terminal_a_line_at_the_start_and_one_at_a_failure() {
    let home = Home::new();
    let shown = |args: &[&str]| {
        let (status, screen) = home.gco(args.iter()).on_pty().wait();
        (status.code(), String::from_utf8(screen).unwrap())
    };
    let (code, screen) = shown(&["run", "--name", "good", "--", "echo", "hi"]);
    let id = home.only_id();
    assert_eq!((code, screen), (Some(0), format!("gco: task {id}\r\nhi\r\n")));
    home.remove_tasks();
    let (code, screen) = shown(&["run", "--name", "bad", "--", "sh", "-c", "exit 3"]);
    let id = home.only_id();
    assert_eq!(code, Some(3));
    assert_eq!(screen, format!("gco: task {id}\r\ngco: task {id} failed: exit code 3\r\n"));
    assert_eq!(shown(&["run", "-q", "--", "sh", "-c", "exit 3"]), (Some(3), String::new()));
    assert_eq!(shown(&["run", "--quiet", "--", "echo", "hi"]), (Some(0), "hi\r\n".to_owned()));
    // What is wrong is said all the same.
    let (code, screen) = shown(&["run", "-q", "--", "./nothing"]);
    assert_eq!((code, screen.as_str()), (Some(127), "gco: cannot run: './nothing': command not found\r\n"));
}

#[test]
fn every_exit_code_comes_through() {
    let home = Home::new();
    for code in 0..=255 {
        let name = format!("c{code}");
        let script = format!("exit {code}");
        let args = ["run", "--name", &name, "--", "sh", "-c", &script];
        home.gco(args).env("GCO_TASK_RETENTION", "0").run().code(code).stdout("").stderr("");
    }
    let ids = home.ids();
    assert_eq!(ids.len(), 256);
    for id in ids {
        let record = home.record(&id);
        let code: i64 = record["tool"].as_str().unwrap()[1..].parse().unwrap();
        assert_eq!(record["exit_code"], code);
        assert_eq!(record["state"], if code == 0 { "succeeded" } else { "failed" });
        let error = record["error"].as_str();
        assert_eq!(error.map(str::to_owned), (code != 0).then(|| format!("exit_code={code}")));
    }
}

/// Signals that end a process that does nothing about them: all but those that stop, continue or do nothing.
fn deadly() -> impl Iterator<Item = i32> {
    let harmless = [17, 18, 19, 20, 21, 22, 23, 28];
    // 32 and 33 are the C library's own.
    (1..=64).filter(move |n| !harmless.contains(n) && *n != 32 && *n != 33)
}

#[test]
fn a_death_by_any_signal_is_one_of_gco_too() {
    let home = Home::new();
    for number in deadly() {
        // The shell's own `kill` does not know them all.
        let script = format!(
            "import os, signal\nif {number} != 9: signal.signal({number}, signal.SIG_DFL)\nos.kill(os.getpid(), {number})"
        );
        let args = ["run", "--", "python3", "-I", "-S", "-c", &script];
        let output = home.gco(args).env("GCO_TASK_RETENTION", "1").run();
        assert_eq!(output.status.signal(), Some(number), "{output}");
        assert!(!output.status.core_dumped());
        output.signal_number(number).stdout("").stderr("");
        let id = home.ids().into_iter().next_back().unwrap();
        let record = home.record(&id);
        assert_eq!(record["exit_code"], 128 + number);
        assert_eq!(record["state"], "failed");
        home.until_quiet();
        home.remove_tasks();
    }
}

#[test]
fn only_the_command_leaves_a_core() {
    let home = Home::new();
    let script = "ulimit -c unlimited; exec gco run -- sh -c 'ulimit -c 0; kill -SEGV $$'";
    let output = home.command("sh", ["-c", script]).run();
    assert!(!output.status.core_dumped(), "{output}");
    output.signal(nix::sys::signal::Signal::SIGSEGV).stdout("").stderr("");
    let cores = std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let cores: Vec<_> = cores.filter(|name| name.to_string_lossy().starts_with("core")).collect();
    assert_eq!(cores, Vec::<std::ffi::OsString>::new());
}

#[test]
fn a_place_that_cannot_be_written_costs_neither_command_nor_log() {
    let home = Home::new();
    let script = "gco run -- sh -c 'echo one; read x <go; echo two' >/dev/full";
    let gate = Gate::new(&home, "go");
    let run = home.command("sh", ["-c", script]).spawn();
    let id = eventually("a task", || home.ids().pop());
    home.until_log(&id, "[stdout] one\n");
    gate.open();
    let words = "stdout could not be shown: no space left on device; it is in the log";
    run.wait().code(0).stdout("").stderr(format!("gco: {words}\n"));
    assert_eq!(home.log(&id), b"[stdout] one\n[stdout] two\n");
    assert_eq!(home.record(&id)["warnings"], serde_json::json!([words]));
}

#[test]
fn simultaneous_tasks_of_one_name_all_succeed() {
    let home = Home::new();
    let tasks = count("GCO_IT_SIMULTANEOUS", 200);
    let runs: Vec<_> = (0..tasks)
        .map(|_| home.gco(["run", "--name", "same", "--", "true"]).env("GCO_TASK_RETENTION", "0").spawn())
        .collect();
    for run in runs {
        run.wait().code(0).stdout("").stderr("");
    }
    let ids = home.ids();
    assert_eq!(ids.len(), tasks);
    for id in ids {
        let record = home.record(&id);
        assert_eq!((record["state"].as_str(), record["tool"].as_str()), (Some("succeeded"), Some("same")));
    }
    home.until_quiet();
    home.no_leftovers();
}
