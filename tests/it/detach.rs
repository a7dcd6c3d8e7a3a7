//! `gco run --detach`: the id once the command runs, and nothing of the caller's kept.

use crate::harness::{Home, eventually};
use crate::tools::{Gate, lives, pid_in};

/// The id that a detached run printed.
fn id_of(printed: Vec<u8>) -> String {
    let text = String::from_utf8(printed).unwrap();
    text.strip_suffix('\n').unwrap().to_owned()
}

#[test]
fn the_id_comes_once_the_command_runs() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let args = ["run", "--detach", "--", "sh", "-c", "read x <go; echo done; exit 3"];
    let id = id_of(home.gco(args).run().code(0).stderr("").into_stdout());
    // No waiting here: whoever has the id finds the command.
    let record = home.record(&id);
    let pid = pid_in(&record, "pid");
    assert_eq!(record["state"], "running");
    assert_ne!(record["pid"], record["supervisor_pid"]);
    let words = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(words.starts_with("sh\0-c\0read x"), "{words:?}");
    gate.open();
    let record = home.until_state(&id, "failed");
    assert_eq!(record["exit_code"], 3);
    assert_eq!(home.log(&id), b"[stdout] done\n");
    home.until_quiet();
    home.no_leftovers();
    assert!(!lives(pid));
}

#[test]
fn a_command_that_ends_at_once_is_no_matter() {
    let home = Home::new();
    for command in ["true", "false"] {
        let id = id_of(home.gco(["run", "-d", "--", command]).run().code(0).stderr("").into_stdout());
        assert!(id.starts_with(command), "{id}");
        let state = if command == "true" { "succeeded" } else { "failed" };
        home.until_state(&id, state);
    }
    let args = ["run", "-d", "--", "sh", "-c", "kill -STOP $$"];
    let id = id_of(home.gco(args).run().code(0).stderr("").into_stdout());
    let pid = pid_in(&home.record(&id), "pid");
    crate::tools::until_stopped(pid);
    crate::tools::send(pid, nix::sys::signal::Signal::SIGCONT);
    home.until_state(&id, "succeeded");
}

#[test]
fn json_is_the_id_and_nothing_else() {
    let home = Home::new();
    let printed = home.gco(["run", "-d", "--json", "--", "true"]).run().code(0).stderr("").json();
    assert_eq!(printed, serde_json::json!({ "task_id": home.only_id() }));
}

#[test]
fn input_is_dev_null_and_output_is_the_logs_alone() {
    let home = Home::new();
    let script = "readlink /proc/self/fd/0; cat; echo err >&2";
    let output = home.gco(["run", "-d", "--", "sh", "-c", script]).stdin("not for it\n").run();
    let id = id_of(output.code(0).stderr("").into_stdout());
    home.until_state(&id, "succeeded");
    let log = String::from_utf8(home.log(&id)).unwrap();
    let mut lines: Vec<_> = log.lines().collect();
    lines.sort();
    assert_eq!(lines, ["[stderr] err", "[stdout] /dev/null"]);
}

#[test]
fn a_substitution_returns_while_the_command_runs() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let script = r#"id=$(gco run -d -- sh -c "read x <go; echo done"); echo "it is $id""#;
    let output = home.command("sh", ["-c", script]).run().code(0).stderr("");
    let id = home.only_id();
    drop(output.stdout(format!("it is {id}\n")));
    assert_eq!(home.record(&id)["state"], "running");
    gate.open();
    home.until_state(&id, "succeeded");
}

#[test]
fn what_else_the_caller_has_open_is_the_commands_to_close() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    // The end of what is read here comes when nobody holds it: the command closes it, and gco must have, too.
    for detach in ["--detach", "--quiet"] {
        let script = format!(
            "gco run {detach} -- sh -c 'exec 3>&-; exec >&- 2>&-; read x <go' 3>&1 >/dev/null 2>&1 &"
        );
        home.command("sh", ["-c", &script]).run().code(0).stdout("").stderr("");
        let record = home.until_running();
        assert_eq!(record["state"], "running");
        gate.open();
        home.until_state(record["task_id"].as_str().unwrap(), "succeeded");
        home.until_quiet();
        home.remove_tasks();
    }
}

#[test]
fn streams_that_the_command_closes_end_for_their_readers() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    // `cat` ends when nobody holds the other end of its pipe any more; the command goes on.
    let script = "gco run -- sh -c 'echo out; exec >&-; echo err >&2; exec 2>&-; read x <go; exit 5' \
                  2>err | { cat; echo ended >first; } & \
                  wait $!; read x <stop";
    let stop = Gate::new(&home, "stop");
    let run = home.command("sh", ["-c", script]).spawn();
    home.until_file("first");
    run.until_stdout("out\n");
    let id = home.only_id();
    assert_eq!(home.record(&id)["state"], "running");
    gate.open();
    assert_eq!(home.until_state(&id, "failed")["exit_code"], 5);
    stop.open();
    run.wait().code(0).stdout("out\n").stderr("");
    assert_eq!(home.until_file("err"), "err\n");
}

#[test]
fn stderr_that_the_command_closes_ends_for_its_reader() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let script = "{ gco run -- sh -c 'echo err >&2; exec 2>&-; read x <go' 2>&1 >&3 3>&- | \
                  { cat; echo ended >first; }; } 3>&1";
    let run = home.command("sh", ["-c", script]).spawn();
    home.until_file("first");
    assert_eq!(home.record(&home.only_id())["state"], "running");
    gate.open();
    run.wait().code(0).stdout("err\n").stderr("");
}

#[test]
fn a_detached_task_has_no_tie_to_its_caller() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    // Started from a terminal that is closed right after.
    let script = "gco run -d -- sh -c 'read x <go; echo done' >id; echo there; read x";
    let mut shell = home.command("sh", ["-c", script]).on_pty();
    shell.until("there");
    let id = home.until_file("id").trim_end().to_owned();
    shell.close();
    shell.wait();
    let pid = pid_in(&home.record(&id), "pid");
    assert!(lives(pid));
    gate.open();
    assert_eq!(home.until_state(&id, "succeeded")["exit_code"], 0);
    eventually("the log", || (home.log(&id) == b"[stdout] done\n").then_some(()));
}
