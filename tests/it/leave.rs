//! Front-end, supervisor and keeper killed, and terminals closed: the command goes on, and log, record and exit code are
//! complete.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::{Home, eventually, sh};
use crate::oracle::rebuild;
use crate::tools::{Gate, lives, pid_in, send};

const WAITS: &str = "echo up; read x <go; echo done; exit 7";

/// Asserts that the only task has ended as [`WAITS`] does, with these words of gco's in log and warnings.
fn ended_well(home: &Home, words: &[&str]) -> Value {
    let id = home.only_id();
    let record = home.until_state(&id, "failed");
    assert_eq!(record["exit_code"], 7, "{record}");
    let log = home.log(&id);
    assert_eq!(rebuild(&log, "stdout"), b"up\ndone\n");
    let log = String::from_utf8(log).unwrap();
    let said: Vec<_> = log.lines().filter_map(|line| line.strip_prefix("[gco] ")).collect();
    assert_eq!(said, words, "{log}");
    let warnings: Vec<_> =
        record["warnings"].as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
    let mut distinct = warnings.clone();
    distinct.dedup();
    for word in words {
        assert!(warnings.contains(word), "{warnings:?}");
    }
    home.until_quiet();
    home.no_leftovers();
    record
}

const NEW_SUPERVISOR: &str = "the supervisor was killed and has been replaced";
const NEW_KEEPER: &str = "the keeper was killed and has been replaced";

#[test]
fn without_a_front_end_the_task_goes_on() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let run = home.gco(sh(WAITS)).spawn();
    run.until_stdout("up\n");
    run.kill(Signal::SIGKILL);
    // Whoever reads gco's output sees its end now: this wait is for the streams, too.
    run.wait().signal(Signal::SIGKILL).stdout("up\n").stderr("");
    let record = home.until_running();
    assert_eq!(record["state"], "running");
    assert!(lives(pid_in(&record, "pid")));
    gate.open();
    ended_well(&home, &[]);
}

#[test]
fn a_lost_terminal_leaves_the_task_running() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let script = "echo up; read x <go; echo done; echo done >&2; exit 7";
    let mut pty = home.gco(["run", "--", "sh", "-c", script]).on_pty();
    pty.until("up\r\n");
    pty.close();
    let (status, _) = pty.wait();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(Signal::SIGHUP as i32));
    assert_eq!(home.until_running()["state"], "running");
    gate.open();
    let record = ended_well(&home, &[]);
    assert_eq!(record["stderr_bytes"], 5);
}

#[test]
fn a_lost_terminal_with_a_shell_before_it_too() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    for shell in ["bash", "sh"] {
        let mut pty = home.command(shell, ["-i"]).env("PS1", "> ").env_remove("ENV").on_pty();
        pty.write(format!("gco run -q -- sh -c '{}'\n", WAITS.replace("up", "u\"\"p")).as_bytes());
        pty.until("up\r\n");
        pty.close();
        pty.wait();
        let front_ends = || home.gcos("gco").len();
        eventually("the front-end to leave", || (front_ends() == 0).then_some(()));
        assert_eq!(home.until_running()["state"], "running");
        gate.open();
        ended_well(&home, &[]);
        home.remove_tasks();
    }
}

#[test]
fn a_hangup_from_somebody_is_a_signal_like_any() {
    let home = Home::new();
    let _gate = Gate::new(&home, "never");
    let mut pty = home.gco(["run", "-q", "--", "sh", "-c", "echo up; read x <never"]).on_pty();
    pty.until("up\r\n");
    pty.kill(Signal::SIGHUP);
    let (status, _) = pty.wait();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(Signal::SIGHUP as i32));
    assert_eq!(home.record(&home.only_id())["signal"], "SIGHUP");
}

/// A quiet task, at which `harm` is done.
fn harmed(harm: impl Fn(&Home), words: &[&str]) {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let run = home.gco(sh(WAITS)).spawn();
    run.until_stdout("up\n");
    let command = pid_in(&home.until_running(), "pid");
    harm(&home);
    assert!(lives(command));
    gate.open();
    run.wait().code(7).stdout("up\ndone\n").stderr("");
    let record = ended_well(&home, words);
    assert_eq!(pid_in(&record, "pid"), command);
}

/// Kills one of gco's, and waits until there is another in its place.
fn replace(home: &Home, name: &str) {
    let old = home.the_gco(name);
    send(old, Signal::SIGKILL);
    eventually("another in its place", || {
        home.gcos(name).first().is_some_and(|&pid| pid != old).then_some(())
    });
    // It says so in the log: by then it has taken over.
    let word = if name == "gco-keeper" { NEW_KEEPER } else { NEW_SUPERVISOR };
    eventually("it to say so", || {
        String::from_utf8_lossy(&home.log(&home.only_id())).contains(word).then_some(())
    });
}

#[test]
fn a_supervisor_killed_is_replaced() {
    harmed(|home| replace(home, "gco-supervisor"), &[NEW_SUPERVISOR]);
}

#[test]
fn a_keeper_killed_is_replaced() {
    harmed(|home| replace(home, "gco-keeper"), &[NEW_KEEPER]);
}

#[test]
fn supervisor_and_keeper_killed_in_turn_are_replaced() {
    let both = |home: &Home| {
        replace(home, "gco-keeper");
        replace(home, "gco-supervisor");
    };
    harmed(both, &[NEW_KEEPER, NEW_SUPERVISOR]);
    let both = |home: &Home| {
        replace(home, "gco-supervisor");
        replace(home, "gco-keeper");
    };
    harmed(both, &[NEW_SUPERVISOR, NEW_KEEPER]);
}

#[test]
fn a_supervisor_killed_again_and_again_is_replaced() {
    let again = |home: &Home| {
        for killed in 1..=6 {
            send(home.the_gco("gco-supervisor"), Signal::SIGKILL);
            eventually("it to be said once more", || {
                let log = String::from_utf8(home.log(&home.only_id())).unwrap();
                (log.matches(NEW_SUPERVISOR).count() == killed).then_some(())
            });
        }
    };
    harmed(again, &[NEW_SUPERVISOR; 6]);
}

#[test]
fn a_replaced_supervisor_still_passes_signals_on() {
    let home = Home::new();
    let _gate = Gate::new(&home, "never");
    for name in ["gco-supervisor", "gco-keeper"] {
        let run = home.gco(sh("echo up; read x <never")).spawn();
        run.until_stdout("up\n");
        home.until_running();
        replace(&home, name);
        run.kill(Signal::SIGTERM);
        run.wait().signal(Signal::SIGTERM).stdout("up\n").stderr("");
        assert_eq!(home.record(&home.only_id())["state"], "cancelled");
        home.until_quiet();
        home.remove_tasks();
    }
}

#[test]
fn with_both_gone_the_task_is_orphaned_and_the_command_lives() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let run = home.gco(sh("echo up; read x <go")).spawn();
    run.until_stdout("up\n");
    let record = home.until_running();
    let (id, command) = (record["task_id"].as_str().unwrap(), pid_in(&record, "pid"));
    // Stopped first, so that neither can do anything about the other.
    let both = [home.the_gco("gco-keeper"), home.the_gco("gco-supervisor")];
    for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
        both.into_iter().for_each(|pid| send(pid, signal));
    }
    run.wait().code(125).stdout("up\n").stderr(format!(
        "gco: the supervisor of '{id}' is gone\nhint: the command may still run; see: gco tasks status {id}\n"
    ));
    let shown = || home.gco(["tasks", "status", id, "--json"]).run().code(0).stderr("").json();
    let status = shown();
    assert_eq!((status["state"].as_str(), status["is_alive"].as_bool()), (Some("orphaned"), Some(true)));
    gate.open();
    eventually("the command to end", || (!lives(command)).then_some(()));
    let status = shown();
    assert_eq!((status["state"].as_str(), status["is_alive"].as_bool()), (Some("orphaned"), Some(false)));
    assert_eq!(home.record(id)["state"], "running", "readers rewrite nothing");
}

#[test]
fn a_supervisor_killed_while_the_command_is_stopped() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let run = home.gco(sh(WAITS)).spawn();
    run.until_stdout("up\n");
    let command = pid_in(&home.until_running(), "pid");
    run.kill(Signal::SIGTSTP);
    crate::tools::until_stopped(command);
    crate::tools::until_stopped(run.pid());
    replace(&home, "gco-supervisor");
    assert_eq!(crate::tools::state_of(command), Some('T'));
    run.kill(Signal::SIGCONT);
    gate.open();
    run.wait().code(7).stdout("up\ndone\n").stderr("");
    ended_well(&home, &[NEW_SUPERVISOR]);
}
