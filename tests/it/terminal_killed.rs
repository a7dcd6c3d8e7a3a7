//! gco's processes killed while the command is at a terminal: its log, its exit code and the terminal are as they should be.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::libc;
use nix::sys::signal::Signal;

use crate::harness::{Home, eventually};
use crate::leader::{self, ALL, USUAL, job};
use crate::oracle::rebuild;
use crate::tools::{Gate, Numbers, count, pid_in, send};

/// Writes file `argv[1]` to stdout and `argv[2]` to stderr, in steps of all sizes, and exits with 7.
const WRITES: &str = "
import os, sys
left = [memoryview(open(path, 'rb').read()) for path in sys.argv[1:3]]
step = 1
while any(map(len, left)):
    for n in (0, 1):
        step = step * 5 % 8191
        if left[n]: left[n] = left[n][os.write(1 + n, left[n][:step]):]
os._exit(7)
";

/// Lines that are all different, some of them long, with returns and blanks, so many bytes of them.
fn lines(length: usize, numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 200);
    let mut n = 0;
    while bytes.len() < length {
        n += 1;
        let fill = usize::try_from(numbers.below(if n % 200 == 0 { 30_000 } else { 120 })).unwrap();
        bytes.extend_from_slice(format!("{n} {}", "x".repeat(fill)).as_bytes());
        bytes.extend_from_slice(
            [&b"\n"[..], b"\r\n", b"\n\n", b"\x1b[0m\n"][usize::try_from(numbers.below(4)).unwrap()],
        );
    }
    bytes.extend_from_slice(b"and no end");
    bytes
}

/// Whether this line of a log says that somebody has been replaced.
fn is_word(line: &[u8]) -> bool {
    line.starts_with(b"[gco] ") && line.ends_with(b" was killed and has been replaced")
}

/// A task at full speed, some of whose processes are killed at some moments: by name, in turn.
fn killed_at_full_speed(names: &[&str], seed: u64) {
    let home = Home::new();
    let mut numbers = Numbers(seed);
    let written = ["out", "err"].map(|name| {
        let bytes = lines(2 << 20, &mut numbers);
        fs::write(home.path().join(name), &bytes).unwrap();
        bytes
    });
    let args = ["gco", "run", "-q", "--", "python3", "-I", "-S", "-c", WRITES, "out", "err"];
    let pty = leader::start(&home, USUAL, &[job(ALL, &args)]);
    let over = AtomicBool::new(false);
    let mut kills = 0;
    let (ended, _) = thread::scope(|scope| {
        let killer = scope.spawn(|| {
            let mut kills = 0;
            let id = home.until_running()["task_id"].as_str().unwrap().to_owned();
            let log = home.tasks().join(format!("{id}.log"));
            let size = || fs::metadata(&log).map_or(0, |meta| meta.len());
            let mut next = 0;
            for name in names.iter().cycle() {
                next += numbers.below(1 << 20) + 1;
                eventually("the log to grow", || {
                    (over.load(Ordering::Relaxed) || size() >= next).then_some(())
                });
                if over.load(Ordering::Relaxed) {
                    return kills;
                }
                let [pid] = home.gcos(name)[..] else { continue };
                if nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL).is_err() {
                    continue;
                }
                kills += 1;
                // Of both killed at once nobody could know the rest: the next only once this one has been replaced. The
                // word of a new keeper comes before the keeper.
                eventually("it to be replaced", || {
                    let text = fs::read(&log).unwrap_or_default();
                    let said = text.split(|&b| b == b'\n').filter(|line| is_word(line)).count();
                    let is_back = || matches!(home.gcos(name)[..], [new] if new != pid);
                    (over.load(Ordering::Relaxed) || said >= kills && is_back()).then_some(())
                });
                next = next.max(size());
            }
            kills
        });
        let found = leader::finish(&home, pty);
        over.store(true, Ordering::Relaxed);
        kills = killer.join().unwrap();
        found
    });
    assert!(kills > 0);
    assert_eq!(ended[0].status, 7 << 8, "after {kills} kills");
    assert_eq!(ended[0].before, ended[0].after, "the terminal is as it was");
    let id = home.only_id();
    let (log, record) = (home.log(&id), home.until_state(&id, "failed"));
    for (name, bytes) in ["stdout", "stderr"].iter().zip(&written) {
        let found = rebuild(&log, name);
        let differ = found.iter().zip(bytes).position(|(a, b)| a != b).map(|at| {
            let from = at.saturating_sub(60);
            let part = |bytes: &[u8]| bytes[from..(at + 60).min(bytes.len())].escape_ascii().to_string();
            (at, part(&found), part(bytes))
        });
        assert!(
            found == *bytes,
            "{kills} kills, {name}: {} bytes, in the log {}: {differ:?}",
            bytes.len(),
            found.len()
        );
        assert_eq!(record[format!("{name}_bytes")].as_u64(), Some(bytes.len() as u64));
    }
    assert_eq!((record["exit_code"].as_i64(), record["log_truncated"].as_bool()), (Some(7), Some(false)));
    home.until_quiet();
    home.no_leftovers();
}

#[test]
fn supervisors_killed_at_full_speed() {
    for seed in 1..=count("GCO_IT_KILLS", 3) {
        killed_at_full_speed(&["gco-supervisor"], 0xabcd_0000 + seed as u64);
    }
}

#[test]
fn keepers_killed_at_full_speed() {
    for seed in 1..=count("GCO_IT_KILLS", 3) {
        killed_at_full_speed(&["gco-keeper"], 0xbcde_0000 + seed as u64);
    }
}

#[test]
fn both_killed_in_turn_at_full_speed() {
    for seed in 1..=count("GCO_IT_KILLS", 3) {
        killed_at_full_speed(&["gco-supervisor", "gco-keeper"], 0xcdef_0000 + seed as u64);
    }
}

/// Sets its terminal up (`argv[1:]`, for `stty`), says so, and waits.
const SETS_UP: &str = r#"stty "$@"; echo up; read x <go; echo done; exit 7"#;

/// A task that has its terminal set up in this way, at a terminal that is like that; kills its front-end after `first`.
fn front_end_killed(inner: &[&str], outer: &str, first: impl Fn(&Home)) {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let after = Gate::new(&home, "after");
    let args: Vec<_> =
        ["gco", "run", "-q", "--", "sh", "-c", SETS_UP, "sh"].iter().chain(inner).copied().collect();
    let setup = format!("stty {outer}; stty -g >modes");
    let jobs = [
        job(ALL, &["sh", "-c", &setup]),
        job(ALL, &args),
        job(ALL, &["sh", "-c", "echo killed; read x <after"]),
    ];
    let mut pty = leader::start(&home, USUAL, &jobs);
    pty.until("up");
    let own = home.until_file("modes");
    let held = pty.modes();
    home.until_running();
    first(&home);
    send(home.the_gco("gco"), Signal::SIGKILL);
    pty.until("killed");
    // Whoever is next at the terminal may come before that: nobody is left who could have done it in time.
    eventually("the terminal to be as it was", || (pty.modes() != held).then_some(()));
    let record = home.until_running();
    assert_eq!(record["state"], "running");
    assert!(crate::tools::lives(pid_in(&record, "pid")));
    gate.open();
    let id = home.only_id();
    assert_eq!(home.until_state(&id, "failed")["exit_code"], 7);
    let log = String::from_utf8(rebuild(&home.log(&id), "stdout")).unwrap();
    assert_eq!(log.replace('\r', ""), "up\ndone\n");
    after.open();
    let (ended, shown) = leader::finish(&home, pty);
    let status: Vec<_> = ended.iter().map(|ended| ended.status).collect();
    assert_eq!(status, [0, i64::from(libc::SIGKILL), 0]);
    assert_eq!(ended[2].after, ended[1].before, "after stty {inner:?} at a terminal with {outer}");
    assert!(!own.is_empty() && !String::from_utf8(shown).unwrap().contains("done"));
}

#[test]
fn the_terminal_is_as_it_was_when_the_front_end_is_killed() {
    for inner in [&["sane"][..], &["raw"], &["-echo"], &["raw", "-echo"], &["-icanon", "-isig"]] {
        front_end_killed(inner, "sane", |_| ());
    }
    front_end_killed(&["raw", "-echo"], "-ixon erase ^H -iutf8 tostop", |_| ());
}

#[test]
fn the_terminal_is_as_it_was_when_others_are_killed_first() {
    for name in ["gco-supervisor", "gco-keeper"] {
        // The successor may be at work by then, or not yet.
        front_end_killed(&["raw", "-echo"], "sane", |home| send(home.the_gco(name), Signal::SIGKILL));
        front_end_killed(&["-echo"], "-ixon", |home| {
            let old = home.the_gco(name);
            send(old, Signal::SIGKILL);
            eventually("another", || home.gcos(name).first().is_some_and(|&pid| pid != old).then_some(()));
        });
    }
}
