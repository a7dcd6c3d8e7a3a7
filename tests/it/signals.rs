//! Signals between the caller, gco's front-end and the command: passed on, stopped, continued, died of.

use std::path::Path;

use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::harness::{Home, eventually, sh};
use crate::tools::{Gate, pid_in, send, state_of, until_stopped};

/// A program that says which signals it gets, and so does its child.
const LISTENER: &str = r#"
import os, signal
name = "parent" if os.fork() else "child"
def say(number, frame): os.write(1, (name + " " + signal.Signals(number).name + "\n").encode())
for number in (1, 2, 3, 10, 12, 15): signal.signal(number, say)
os.write(1, (name + " ready\n").encode())
while True: signal.pause()
"#;

#[test]
fn signals_reach_the_commands_whole_group() {
    let home = Home::new();
    let run = home.gco(["run", "--", "python3", "-I", "-S", "-c", LISTENER]).spawn();
    let mut expected = vec!["child ready".to_owned(), "parent ready".to_owned()];
    let until = |expected: &[String]| {
        let mut expected = expected.to_vec();
        expected.sort();
        eventually("both to have said so", || {
            let text = String::from_utf8(run.stdout()).unwrap();
            let mut lines: Vec<_> = text.lines().collect();
            lines.sort();
            (lines == expected).then_some(())
        });
    };
    until(&expected);
    use Signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
    for signal in [SIGUSR1, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR2, SIGINT] {
        run.kill(signal);
        expected.extend(["child", "parent"].map(|name| format!("{name} {signal}")));
        until(&expected);
    }
    let record = home.record(&home.only_id());
    let pid = pid_in(&record, "pid");
    send(-pid, Signal::SIGKILL);
    assert!(run.wait().signal(Signal::SIGKILL).stderr("").into_stdout().len() > 100);
}

/// A run of `script`, which says `up`, that gets `signal`.
fn after(home: &Home, script: &str, signal: Signal) -> (crate::output::Output, serde_json::Value) {
    let run = home.gco(sh(script)).spawn();
    run.until_stdout("up\n");
    run.kill(signal);
    let output = run.wait();
    let record = home.record(&home.ids().pop().unwrap());
    home.remove_tasks();
    (output, record)
}

#[test]
fn an_end_that_was_asked_for_is_cancelled() {
    let home = Home::new();
    let _gate = Gate::new(&home, "never");
    use Signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
    for (signal, state) in [
        (SIGINT, "cancelled"),
        (SIGTERM, "cancelled"),
        (SIGHUP, "cancelled"),
        (SIGQUIT, "cancelled"),
        (SIGUSR1, "failed"),
        (SIGUSR2, "failed"),
    ] {
        let (output, record) = after(&home, "echo up; read x <never", signal);
        output.signal(signal).stdout("up\n").stderr("");
        assert_eq!(record["state"], state, "{signal}");
        assert_eq!(record["signal"], signal.as_str());
        assert_eq!(record["exit_code"], 128 + signal as i32);
    }
    let cleaned_up = "trap 'echo bye; exit 9' TERM; echo up; read x <never";
    let (output, record) = after(&home, cleaned_up, SIGTERM);
    output.code(9).stdout("up\nbye\n").stderr("");
    assert_eq!((record["state"].as_str(), record["exit_code"].as_i64()), (Some("cancelled"), Some(9)));
    let (output, record) = after(&home, "trap 'exit 0' INT; echo up; read x <never", SIGINT);
    output.code(0).stdout("up\n").stderr("");
    assert_eq!(record["state"], "succeeded");
}

#[test]
fn an_end_that_nobody_asked_gco_for_is_failed() {
    let home = Home::new();
    let _gate = Gate::new(&home, "never");
    let run = home.gco(sh("echo up; read x <never")).spawn();
    run.until_stdout("up\n");
    send(pid_in(&home.until_running(), "pid"), Signal::SIGTERM);
    run.wait().signal(Signal::SIGTERM).stdout("up\n").stderr("");
    assert_eq!(home.record(&home.only_id())["state"], "failed");
}

#[test]
fn what_was_ignored_is_not_passed_on() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let script = "trap '' HUP INT; exec gco run -- sh -c 'echo up; read x <go; echo on'";
    let run = home.command("sh", ["-c", script]).spawn();
    run.until_stdout("up\n");
    run.kill(Signal::SIGHUP);
    run.kill(Signal::SIGINT);
    gate.open();
    run.wait().code(0).stdout("up\non\n").stderr("");
}

#[test]
fn a_signal_right_after_the_start_is_not_lost() {
    let home = Home::new();
    let _gate = Gate::new(&home, "never");
    for _ in 0..20 {
        let run = home.gco(sh("read x <never")).spawn();
        // As soon as the signal cannot end gco itself any more: it is blocked.
        eventually("the front-end to be ready", || {
            let status = std::fs::read_to_string(format!("/proc/{}/status", run.pid())).ok()?;
            let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:"))?;
            (u64::from_str_radix(blocked.trim(), 16).ok()? & (1 << 14) != 0).then_some(())
        });
        run.kill(Signal::SIGTERM);
        run.wait().signal(Signal::SIGTERM).stdout("").stderr("");
    }
    home.until_quiet();
}

#[test]
fn stopping_and_continuing_the_front_end_takes_the_command_along() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let run = home.gco(sh("echo up; read x <go; echo done")).spawn();
    run.until_stdout("up\n");
    let command = pid_in(&home.until_running(), "pid");
    let front = Pid::from_raw(run.pid());
    for _ in 0..20 {
        run.kill(Signal::SIGTSTP);
        // As a shell sees it.
        let flags = WaitPidFlag::WUNTRACED | WaitPidFlag::WNOHANG;
        let seen = eventually("the front-end to stop", || {
            waitpid(front, Some(flags)).ok().filter(|seen| *seen != WaitStatus::StillAlive)
        });
        assert!(matches!(seen, WaitStatus::Stopped(pid, _) if pid == front), "{seen:?}");
        assert_eq!(state_of(command), Some('T'));
        run.kill(Signal::SIGCONT);
        eventually("both to go on", || {
            [command, run.pid()].iter().all(|pid| state_of(*pid) == Some('S')).then_some(())
        });
    }
    gate.open();
    run.wait().code(0).stdout("up\ndone\n").stderr("");
}

#[test]
fn a_command_that_is_stopped_and_continued_by_others_leaves_no_front_end_behind() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let run = home.gco(sh("echo up; read x <go; echo done")).spawn();
    run.until_stdout("up\n");
    let command = pid_in(&home.until_running(), "pid");
    for round in 0..300 {
        send(command, Signal::SIGSTOP);
        if round % 3 == 0 {
            until_stopped(run.pid());
        }
        send(command, Signal::SIGCONT);
    }
    gate.open();
    run.wait().code(0).stdout("up\ndone\n").stderr("");
}

#[test]
fn a_stopped_task_that_is_killed_is_over() {
    let home = Home::new();
    let _gate = Gate::new(&home, "never");
    let run = home.gco(sh("echo up; read x <never")).spawn();
    run.until_stdout("up\n");
    let command = pid_in(&home.until_running(), "pid");
    send(command, Signal::SIGSTOP);
    until_stopped(run.pid());
    send(command, Signal::SIGKILL);
    run.wait().signal(Signal::SIGKILL).stdout("up\n").stderr("");
    home.until_quiet();
}

/// An interactive shell on a terminal: those of these that are there.
fn shells() -> Vec<(&'static str, Vec<&'static str>)> {
    let all = [("/bin/bash", vec!["--norc", "--noprofile", "--noediting", "-i"]), ("/bin/sh", vec!["-i"])];
    all.into_iter().filter(|(shell, _)| Path::new(shell).exists()).collect()
}

#[test]
fn control_c_ends_the_command() {
    for (shell, args) in shells() {
        let home = Home::new();
        let _gate = Gate::new(&home, "never");
        let mut pty = home.command(shell, args).env("PS1", "> ").env_remove("ENV").on_pty();
        pty.write(b"gco run -q -- sh -c 'echo u\"\"p; read x <never'\n");
        pty.until("up\r\n");
        pty.write(b"\x03");
        pty.write(b"echo \"ended with $?\"\n");
        pty.until("ended with 130\r\n");
        assert_eq!(home.record(&home.only_id())["state"], "cancelled");
        pty.write(b"exit\n");
        pty.wait();
    }
}

#[test]
fn control_z_stops_the_job_and_fg_resumes_it() {
    for (shell, args) in shells() {
        let home = Home::new();
        let gate = Gate::new(&home, "go");
        let mut pty = home.command(shell, args).env("PS1", "> ").env_remove("ENV").on_pty();
        pty.write(b"gco run -q -- sh -c 'echo u\"\"p; read x <go; echo d\"\"one'\n");
        pty.until("up\r\n");
        let command = pid_in(&home.until_running(), "pid");
        for round in 0..3 {
            pty.write(b"\x1a");
            until_stopped(command);
            pty.write(format!("echo \"back {round}$?\"\n").as_bytes());
            pty.until(&format!("back {round}1"));
            assert_eq!(state_of(command), Some('T'));
            pty.write(b"fg\n");
            eventually("the command to go on", || (state_of(command) == Some('S')).then_some(()));
        }
        gate.open();
        pty.until("done\r\n");
        pty.write(b"echo \"ended with $?\"\n");
        pty.until("ended with 0\r\n");
        pty.write(b"exit\n");
        pty.wait();
    }
}

#[test]
fn bg_lets_the_command_go_on() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let (shell, args) = shells().remove(0);
    let mut pty = home.command(shell, args).env("PS1", "> ").on_pty();
    pty.write(b"gco run -q -- sh -c 'echo u\"\"p; read x <go; echo d\"\"one'\n");
    pty.until("up\r\n");
    let command = pid_in(&home.until_running(), "pid");
    pty.write(b"\x1a");
    until_stopped(command);
    pty.write(b"bg\n");
    eventually("the command to go on", || (state_of(command) == Some('S')).then_some(()));
    gate.open();
    pty.until("done\r\n");
    pty.write(b"wait; echo \"all ov\"\"er\"\n");
    pty.until("all over");
    pty.write(b"exit\n");
    pty.wait();
}
