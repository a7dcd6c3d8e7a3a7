//! Supervisor and keeper killed at any moment: right at the start, at full speed, near the end.

use std::fs;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Home, eventually};
use crate::oracle::rebuild;
use crate::tools::{Gate, Numbers, count, parent_of};

/// Both streams at once, as fast as can be, each line different; a code of its own at the end.
const FULL_SPEED: &str = "(seq 1 150000 >&2)& seq 500001 650000; wait; printf end; exit 9";

fn expected() -> [Vec<u8>; 2] {
    let lines = |from: u32, to: u32| (from..=to).map(|n| format!("{n}\n")).collect::<String>();
    [(lines(500_001, 650_000) + "end").into_bytes(), lines(1, 150_000).into_bytes()]
}

/// Runs [`FULL_SPEED`], killing what `victims` names after pauses from `numbers`, and compares the log to the byte.
fn kill_at_full_speed(numbers: &mut Numbers, victims: &[&str], [out, err]: &[Vec<u8>; 2]) -> usize {
    let home = Home::new();
    let run = home.gco(["run", "--echo", "never", "--", "sh", "-c", FULL_SPEED]).spawn();
    let mut killed = 0;
    let mut last = 0;
    for victim in victims {
        // Both must be there: with one gone, the other is needed.
        let pid = eventually("somebody to kill", || {
            let over = home.ids().first().is_some_and(|id| home.record(id)["state"] != "running");
            let both = ["gco-supervisor", "gco-keeper"].map(|name| home.gcos(name));
            let whole = both.iter().all(|pids| pids.len() == 1 && pids[0] != last);
            let pid = whole.then(|| home.gcos(victim).pop()).flatten();
            pid.map(Some).or(over.then_some(None))
        });
        let Some(pid) = pid else { break };
        // Not to wait for anything: to strike at any moment.
        thread::park_timeout(Duration::from_micros(numbers.below(40_000)));
        killed += usize::from(kill(Pid::from_raw(pid), Signal::SIGKILL).is_ok());
        last = pid;
    }
    run.wait().code(9).stdout("").stderr("");
    let id = home.only_id();
    let log = home.log(&id);
    let rebuilt = [rebuild(&log, "stdout"), rebuild(&log, "stderr")];
    for (stream, (is, should)) in ["stdout", "stderr"].iter().zip(rebuilt.iter().zip([out, err])) {
        let at = is.iter().zip(should).position(|(a, b)| a != b);
        assert!(is == should, "{stream}: {} of {} bytes, differs at {at:?}", is.len(), should.len());
    }
    let record = home.until_state(&id, "failed");
    assert_eq!(record["exit_code"], 9);
    assert_eq!(record["stdout_bytes"].as_u64(), Some(out.len() as u64));
    assert_eq!(record["stderr_bytes"].as_u64(), Some(err.len() as u64));
    assert_eq!(record["log_bytes"].as_u64(), Some(log.len() as u64));
    home.until_quiet();
    home.no_leftovers();
    killed
}

#[test]
fn at_full_speed_no_byte_is_lost_or_doubled() {
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    let expected = expected();
    let runs = count("GCO_IT_KILLS", 12);
    let mut killed = 0;
    for run in 0..runs {
        let victims: &[&str] = match run % 4 {
            0 | 1 => &["gco-supervisor"; 3],
            2 => &["gco-keeper", "gco-supervisor"],
            _ => &["gco-supervisor", "gco-keeper"],
        };
        killed += kill_at_full_speed(&mut numbers, victims, &expected);
    }
    assert!(killed >= runs, "only {killed} kills in {runs} runs");
}

#[test]
fn with_the_output_shown_a_kill_skips_nothing() {
    let mut numbers = Numbers(77);
    for _ in 0..count("GCO_IT_KILLS", 6) {
        let home = Home::new();
        let run = home.gco(["run", "--", "seq", "300000"]).spawn();
        home.the_gco("gco-keeper");
        let pid = home.the_gco("gco-supervisor");
        thread::park_timeout(Duration::from_micros(numbers.below(30_000)));
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        let shown = run.wait().code(0).stderr("").into_stdout();
        let text: String = (1..=300_000).map(|n| format!("{n}\n")).collect();
        assert!(rebuild(&home.log(&home.only_id()), "stdout") == text.as_bytes());
        // What was on its way when the kill came may be shown twice: everything is there, in order.
        let mut at = 0;
        for piece in shown.chunks(1) {
            at += usize::from(text.as_bytes().get(at) == piece.first());
        }
        assert!(shown.len() >= text.len(), "{} of {} bytes were shown", shown.len(), text.len());
        home.until_quiet();
    }
}

/// Kills `victim` as soon as it is there, before or while the command starts: that must neither be lost nor run twice.
fn kill_at_the_start(victim: &str, detach: bool) {
    let mut numbers = Numbers(if detach { 5 } else { 6 });
    for _ in 0..count("GCO_IT_KILLS", 12) {
        let home = Home::new();
        let script = "echo run >>ran; exit 4";
        let mut args = vec!["run", "--", "sh", "-c", script];
        if detach {
            args.insert(1, "--detach");
        }
        let run = home.gco(args).spawn();
        // The keeper is there before the command is; the supervisor can only be replaced once there is a keeper.
        let pid = eventually("somebody to kill", || {
            let keeper = home.gcos("gco-keeper").pop();
            let pid = keeper.and_then(|keeper| {
                if victim == "gco-keeper" { Some(keeper) } else { parent_of(keeper).filter(|pid| *pid > 1) }
            });
            pid.map(Some).or_else(|| home.gcos("gco").is_empty().then_some(None))
        });
        if let Some(pid) = pid {
            thread::park_timeout(Duration::from_micros(numbers.below(2000)));
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        let output = run.wait();
        let id = home.only_id();
        if detach {
            output.code(0).stdout(format!("{id}\n")).stderr("");
        } else {
            output.code(4).stdout("").stderr("");
        }
        assert_eq!(home.until_state(&id, "failed")["exit_code"], 4);
        assert_eq!(fs::read_to_string(home.path().join("ran")).unwrap(), "run\n");
        home.until_quiet();
        home.no_leftovers();
    }
}

#[test]
fn a_supervisor_killed_at_the_start_loses_no_command() {
    kill_at_the_start("gco-supervisor", false);
    kill_at_the_start("gco-supervisor", true);
}

#[test]
fn a_keeper_killed_at_the_start_loses_no_command() {
    kill_at_the_start("gco-keeper", false);
    kill_at_the_start("gco-keeper", true);
}

#[test]
fn a_supervisor_killed_after_the_end_of_the_command_finishes_all_the_same() {
    let mut numbers = Numbers(99);
    for _ in 0..count("GCO_IT_KILLS", 12) {
        let home = Home::new();
        let gate = Gate::new(&home, "go");
        let run = home.gco(["run", "--", "sh", "-c", "read x <go; echo last; exit 6"]).spawn();
        home.until_running();
        let pid = home.the_gco("gco-supervisor");
        gate.open();
        thread::park_timeout(Duration::from_micros(numbers.below(6000)));
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        let shown = run.wait().code(6).stderr("").into_stdout();
        assert!(shown.starts_with(b"last\n"), "{shown:?}");
        let id = home.only_id();
        assert_eq!(home.until_state(&id, "failed")["exit_code"], 6);
        assert_eq!(rebuild(&home.log(&id), "stdout"), b"last\n");
        home.until_quiet();
        home.no_leftovers();
    }
}
