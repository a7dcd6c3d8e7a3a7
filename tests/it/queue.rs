//! `gco run --group`, `--key`, `--after`: who runs when, whoever is killed meanwhile.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::{Home, Running, eventually};
use crate::tools::{Gate, Numbers, count, lives, pid_in, send};

/// Starts a detached run with `options`, and gives its id.
pub fn detached(home: &Home, options: &[&str], script: &str) -> String {
    let line =
        ["run", "-d"].iter().chain(options).chain(&["--", "sh", "-c", script]).copied().collect::<Vec<_>>();
    let printed = home.gco(line).run().code(0).stderr("").into_stdout();
    String::from_utf8(printed).unwrap().trim_end().to_owned()
}

/// Starts a run with `options` in the foreground.
pub fn run<'h>(home: &'h Home, options: &[&str], script: &str) -> Running<'h> {
    home.gco(["run"].iter().chain(options).chain(&["--", "sh", "-c", script]).copied()).spawn()
}

pub fn state(home: &Home, id: &str) -> String {
    home.record(id)["state"].as_str().unwrap().to_owned()
}

/// The supervisor of task `id`, and its keeper if there is one.
pub fn gcos_of(home: &Home, id: &str) -> Vec<i32> {
    let supervisor = pid_in(&home.record(id), "supervisor_pid");
    let keepers =
        home.gcos("gco-keeper").into_iter().filter(|pid| crate::tools::parent_of(*pid) == Some(supervisor));
    [supervisor].into_iter().chain(keepers).collect()
}

/// Kills supervisor and keeper of task `id`, so that neither can do anything about the other.
pub fn kill_gcos_of(home: &Home, id: &str) {
    let all = gcos_of(home, id);
    for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
        // The keeper first: the end of the leader of its session makes a stopped process go on.
        all.iter().rev().for_each(|pid| send(*pid, signal));
    }
}

/// Kills all of gco's processes of task `id` at once, and its command.
fn destroy(home: &Home, id: &str) {
    let command = pid_in(&home.record(id), "pid");
    kill_gcos_of(home, id);
    if lives(command) {
        send(command, Signal::SIGKILL);
    }
}

#[test]
fn one_of_a_group_runs_and_the_others_wait_in_order() {
    let home = Home::new();
    let gates: Vec<_> = (0..4).map(|n| Gate::new(&home, &format!("go{n}"))).collect();
    let ids: Vec<String> = (0..4)
        .map(|n| detached(&home, &["--group", "g"], &format!("echo {n} >>order; read x <go{n}")))
        .collect();
    for (n, gate) in gates.iter().enumerate() {
        home.until_state(&ids[n], "running");
        eventually("it to have begun", || {
            (fs::read(home.path().join("order")).ok()?.len() == 2 * (n + 1)).then_some(())
        });
        let listed = home.gco(["tasks", "list", "--json"]).run().code(0).stderr("").json();
        for task in listed["tasks"].as_array().unwrap() {
            let at = ids.iter().position(|id| task["task_id"] == id.as_str()).unwrap();
            if at > n {
                assert_eq!(task["state"], "queued");
                assert_eq!(
                    (task["place"].as_u64(), task["is_alive"].as_bool()),
                    (Some((at - n) as u64), Some(false))
                );
                assert_eq!(task["group"], "g");
                assert!(task["queued_at"].is_string(), "{task}");
            }
        }
        gate.open();
        home.until_state(&ids[n], "succeeded");
    }
    assert_eq!(fs::read_to_string(home.path().join("order")).unwrap(), "0\n1\n2\n3\n");
    home.until_quiet();
    home.no_leftovers();
}

#[test]
fn in_the_foreground_it_is_as_without_a_group() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let first = run(&home, &["--group", "g"], "echo up; read x <go");
    first.until_stdout("up\n");
    let second = run(&home, &["--group", "g"], "cat; echo err >&2; exit 4");
    eventually("the second to wait", || {
        home.ids().iter().any(|id| state(&home, id) == "queued").then_some(())
    });
    gate.open();
    first.wait().code(0).stdout("up\n").stderr("");
    second.wait().code(4).stdout("").stderr("err\n");
}

#[test]
fn on_a_terminal_it_is_said_what_is_waited_for() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let id = detached(&home, &["--group", "g"], "read x <go");
    home.until_state(&id, "running");
    let mut pty = home.gco(["run", "--group", "g", "--name", "t", "--", "echo", "done"]).on_pty();
    pty.until("waits for a place in group 'g'\r\n");
    gate.open();
    pty.until("done\r\n");
    let (status, _) = pty.wait();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn no_more_than_the_limit_ever_run_though_holders_are_killed() {
    let home = Home::new();
    let mut numbers = Numbers(0x0BAD_5EED);
    let many = count("GCO_IT_QUEUED", 60) as u64;
    // Each command holds a byte of its own while it runs, and counts the others.
    let probe = "import fcntl, os, struct, sys, time\n\
        f = open('probe', 'r+b')\n\
        me = int(sys.argv[1])\n\
        fcntl.lockf(f, fcntl.LOCK_EX, 1, me)\n\
        open('begun', 'a').write(str(me) + '\\n')\n\
        running = 0\n\
        for n in range(int(sys.argv[2])):\n\
        \x20   asked = struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, n, 1, 0)\n\
        \x20   running += n == me or struct.unpack('hhqqi4x', fcntl.fcntl(f, fcntl.F_GETLK, asked))[0] != fcntl.F_UNLCK\n\
        open('counts', 'a').write(str(running) + '\\n')\n\
        time.sleep(0.02 if me % 4 else 1000)\n";
    fs::write(home.path().join("probe.py"), probe).unwrap();
    fs::write(home.path().join("probe"), b"").unwrap();
    let all = many.to_string();
    let started: Vec<_> = (0..many)
        .map(|n| {
            let n = n.to_string();
            let line = [
                "run", "-d", "--group", "g", "--limit", "3", "--name", "p", "--", "python3", "-I", "-S",
                "probe.py",
            ];
            let command = home.gco(line.iter().copied().chain([n.as_str(), all.as_str()]));
            command.env("GCO_TASK_RETENTION", "0").spawn()
        })
        .collect();
    let ids: Vec<String> = started
        .into_iter()
        .map(|one| {
            String::from_utf8(one.wait_long().code(0).stderr("").into_stdout()).unwrap().trim_end().to_owned()
        })
        .collect();
    // Every fourth would run for ever: it is killed, with its supervisor and keeper, or cancelled.
    eventually("all to have had their turn", || {
        for id in &ids {
            let record = home.record(id);
            let has_begun = record["pid"] != record["supervisor_pid"] && record["state"] == "running";
            let is_long = has_begun
                && fs::read_to_string(format!("/proc/{}/cmdline", record["pid"]))
                    .ok()
                    .and_then(|line| line.split('\0').nth(4)?.parse::<u64>().ok())
                    .is_some_and(|n| n.is_multiple_of(4));
            let supervised = lives(pid_in(&record, "supervisor_pid"));
            if is_long && supervised && fs::read_to_string(home.path().join("counts")).is_ok() {
                if numbers.below(2) == 0 {
                    destroy(&home, id);
                } else {
                    home.gco(["tasks", "cancel", id, "--grace", "0s"]).run().whatever();
                }
            }
        }
        let begun = fs::read_to_string(home.path().join("begun")).unwrap_or_default();
        let over = ids.iter().all(|id| {
            let record = home.record(id);
            record["state"] != "queued"
                && (record["state"] != "running" || !lives(pid_in(&record, "supervisor_pid")))
        });
        (over && begun.lines().count() as u64 >= many - 15).then_some(())
    });
    let counts = fs::read_to_string(home.path().join("counts")).unwrap();
    let most = counts.lines().map(|line| line.parse::<u64>().unwrap()).max().unwrap();
    assert!(most <= 3, "{most} ran at once");
    assert!(most >= 2, "never more than {most} at once");
}

#[test]
fn a_holder_destroyed_frees_its_place_and_a_killed_supervisor_keeps_it() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let first = detached(&home, &["--group", "g"], "read x <go");
    home.until_state(&first, "running");
    let second = detached(&home, &["--group", "g"], "read x <go");
    // One of the two is killed: the other holds the place, and its successor gets it.
    send(home.record(&first)["supervisor_pid"].as_i64().unwrap() as i32, Signal::SIGKILL);
    home.until_record(&first, "another supervisor", |record| {
        !record["warnings"].as_array().unwrap().is_empty()
    });
    send(*gcos_of(&home, &first).last().unwrap(), Signal::SIGKILL);
    assert_eq!(state(&home, &second), "queued");
    gate.open();
    home.until_state(&first, "succeeded");
    home.until_state(&second, "running");
    let third = detached(&home, &["--group", "g"], "true");
    assert_eq!(state(&home, &third), "queued");
    home.until_record(&second, "its command", |record| record["pid"] != record["supervisor_pid"]);
    destroy(&home, &second);
    home.until_state(&third, "succeeded");
}

#[test]
fn whoever_waits_survives_its_front_end_its_supervisor_and_its_keeper() {
    for victim in ["front-end", "supervisor", "keeper"] {
        let home = Home::new();
        let gate = Gate::new(&home, "go");
        let first = detached(&home, &["--group", "g"], "read x <go");
        home.until_state(&first, "running");
        let second = run(&home, &["--group", "g"], "echo second");
        let id = eventually("the second", || home.ids().into_iter().find(|id| *id != first));
        home.until_record(&id, "it to wait", |record| record["state"] == "queued");
        let both =
            eventually("supervisor and keeper", || Some(gcos_of(&home, &id)).filter(|all| all.len() == 2));
        let third = detached(&home, &["--group", "g"], "echo third");
        match victim {
            "front-end" => second.kill(Signal::SIGKILL),
            "supervisor" => send(both[0], Signal::SIGKILL),
            _ => send(both[1], Signal::SIGKILL),
        }
        if victim != "front-end" {
            let word = format!("the {victim} was killed and has been replaced");
            eventually("it to be replaced", || {
                String::from_utf8_lossy(&home.log(&id)).contains(&word).then_some(())
            });
        }
        gate.open();
        home.until_state(&third, "succeeded");
        // In order: the third had to wait for it.
        let record = home.record(&id);
        assert_eq!(record["state"], "succeeded", "{victim}: {record}");
        second.wait().whatever();
        home.until_quiet();
    }
}

#[test]
fn whoever_waits_can_be_cancelled_and_interrupted() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let first = detached(&home, &["--group", "g"], "read x <go");
    home.until_state(&first, "running");
    let waiting = run(&home, &["--group", "g"], "echo never");
    let id = eventually("the second", || home.ids().into_iter().find(|id| *id != first));
    home.until_state(&id, "queued");
    let last = detached(&home, &["--group", "g"], "true");
    let said = home.gco(["tasks", "cancel", &id]).run().code(0).stderr("").into_stdout();
    assert!(String::from_utf8(said).unwrap().ends_with("it had not been started\n"));
    waiting.wait().signal(Signal::SIGTERM).stdout("").stderr("");
    let record = home.record(&id);
    assert_eq!((record["state"].as_str(), record["exit_code"].as_i64()), (Some("cancelled"), Some(143)));
    let waiting = run(&home, &["--group", "g"], "echo never");
    let id = eventually("another", || {
        home.ids().into_iter().find(|id| state(&home, id) == "queued" && *id != last)
    });
    waiting.kill(Signal::SIGINT);
    waiting.wait().signal(Signal::SIGINT).stdout("").stderr("");
    assert_eq!(home.record(&id)["error"], "cancelled by SIGINT");
    gate.open();
    home.until_state(&last, "succeeded");
    home.until_quiet();
    home.no_leftovers();
}

#[test]
fn the_limit_can_be_changed_while_tasks_wait() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let ids: Vec<String> = (0..4).map(|_| detached(&home, &["--group", "g"], "read x <go")).collect();
    home.until_state(&ids[0], "running");
    home.gco(["tasks", "limit", "g", "3"]).run().code(0).stdout("").stderr("");
    home.until_state(&ids[2], "running");
    home.until_state(&ids[1], "running");
    assert_eq!(state(&home, &ids[3]), "queued");
    home.gco(["tasks", "limit", "g", "1"]).run().code(0).stdout("").stderr("");
    gate.open();
    gate.open();
    eventually("two to end", || {
        (ids.iter().filter(|id| state(&home, id) == "succeeded").count() == 2).then_some(())
    });
    assert_eq!(state(&home, &ids[3]), "queued");
    gate.open();
    home.until_state(&ids[3], "running");
    gate.open();
    home.until_state(&ids[3], "succeeded");
}

#[test]
fn whoever_does_not_want_to_wait_is_told_who_is_there() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let first = detached(&home, &["--group", "g", "--no-wait"], "read x <go");
    let refused = format!(
        "gco: not run: group 'g' is held by '{first}'\nhint: 'gco tasks wait {first}' waits until it is over\n"
    );
    for detach in [&["-d"][..], &[]] {
        let line =
            ["run"].iter().chain(detach).chain(&["--group", "g", "--no-wait", "--", "touch", "ran"]).copied();
        home.gco(line).run().code(75).stdout("").stderr(&refused);
    }
    assert_eq!(home.ids(), [first.as_str()]);
    assert!(!home.path().join("ran").exists());
    gate.open();
    home.until_state(&first, "succeeded");
    home.until_quiet();
    home.no_leftovers();
}

#[test]
fn attempts_keep_their_place_and_waiting_takes_no_time() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let script = "echo x >>tries; test $(wc -l <tries) -ge 2 || exit 3; read x <go";
    let first = detached(&home, &["--group", "g", "--retry", "1", "--retry-delay", "0s"], script);
    let second =
        run(&home, &["--group", "g", "--timeout", "1h", "--background-after", "300ms"], "sleep 0.01");
    // It leaves although it has not begun.
    let output = second.wait().code(75).stdout("");
    drop(output.stderr_has("goes on in the background"));
    let id = home.ids().into_iter().find(|id| *id != first).unwrap();
    assert_eq!(state(&home, &id), "queued");
    gate.open();
    home.until_state(&first, "succeeded");
    let record = home.until_state(&id, "succeeded");
    assert!(record["duration_ms"].as_u64().unwrap() < 60_000);
    assert!(record["queued_at"].as_str() <= record["started_at"].as_str(), "{record}");
}

#[test]
fn a_limit_of_time_begins_with_the_command() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let first = detached(&home, &["--group", "g"], "read x <go");
    let second = detached(&home, &["--group", "g", "--timeout", "2s"], "echo begun; sleep 1000");
    // Longer than it may take.
    home.gco(["run", "--timeout", "2500ms", "--", "sleep", "1000"]).run().code(124).stdout("").stderr("");
    assert_eq!(state(&home, &second), "queued");
    gate.open();
    home.until_state(&first, "succeeded");
    assert_eq!(home.until_state(&second, "failed")["exit_code"], 124);
    assert!(home.log(&second).starts_with(b"[stdout] begun\n"));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let home = Home::new();
    let refused = |options: &[&str], why: &str| {
        let line = ["run"].iter().chain(options).chain(&["--", "touch", "ran"]).copied();
        home.gco(line).run().code(125).stdout("").stderr_has(why).whatever();
    };
    refused(&["--group", "a/b"], "the name of a group");
    refused(&["--group", ""], "the name of a group");
    refused(&["--group", "g", "--limit", "0"], "from 1 to");
    refused(&["--group", "g", "--limit", "-3"], "from 1 to");
    refused(&["--group", "g", "--limit", "1000000"], "from 1 to");
    refused(&["--limit", "3"], "--group");
    refused(&["--no-wait"], "--group");
    refused(&["--on-conflict", "wait"], "--key");
    refused(&["--key", ""], "a key cannot be empty");
    refused(&["--after", "nobody"], "there is no task 'nobody'");
    refused(&["--after", "../x"], "cannot be the name of a task");
    // No task can name itself: its name means those there are already.
    refused(&["--name", "me", "--after", "me"], "there is no task 'me'");
    let command = home.gco(["run", "--group", "g", "--", "touch", "ran"]).env("GCO_DISABLE_TASK_STATUS", "1");
    command.run().code(125).stdout("").stderr_has("nobody can tell whose turn it is").whatever();
    let command =
        home.gco(["run", "--key", "k", "--", "touch", "ran"]).env("GCO_TASK_STATUS_DIR", "/proc/none");
    command.run().code(125).stdout("").stderr_has("nobody can tell whose turn it is").whatever();
    assert!(!home.path().join("ran").exists());
    assert_eq!(home.ids(), [""; 0]);
}

#[test]
fn the_directory_may_go_while_tasks_wait() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let first = detached(&home, &["--group", "g"], "read x <go");
    home.until_state(&first, "running");
    let second = detached(&home, &["--group", "g"], "echo done >done");
    home.remove_tasks();
    gate.open();
    home.until_file("done");
    home.until_quiet();
    let record: Value = home.record(&second);
    assert_eq!(record["state"], "succeeded");
}
