//! Processes that a command leaves behind.

use std::fs;

use crate::harness::{Home, eventually, sh};
use crate::tools::{Gate, lives};

const LEFT_BEHIND: &str = "a process that the command left behind still holds its output open";
const WHAT_FOLLOWS: &str = "[gco] the command has ended; what follows comes from processes it left behind\n";

/// Leaves a process behind that holds both streams, says `later` on both when the gate is opened, and ends.
const LEAVES: &str = "(read x <go; echo later; echo later >&2; echo on >wrote; read x <go; echo last) & echo $! >pid; echo out; exit 4";

fn pid_left(home: &Home) -> i32 {
    home.until_file("pid").trim_end().parse().unwrap()
}

#[test]
fn one_that_holds_the_streams_delays_nothing_and_is_logged() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    // It only goes on when the gate is opened, and that is after gco has left and its streams have ended.
    home.gco(sh(LEAVES)).run().code(4).stdout("out\n").stderr("");
    let id = home.only_id();
    let record = home.record(&id);
    assert_eq!((record["state"].as_str(), record["exit_code"].as_i64()), (Some("failed"), Some(4)));
    assert_eq!(record["warnings"], serde_json::json!([LEFT_BEHIND]));
    let left = pid_left(&home);
    assert!(lives(left));
    assert_eq!(home.gcos("gco"), Vec::<i32>::new());
    home.the_gco("gco-supervisor");
    gate.open();
    // It is not ended by SIGPIPE: it gets beyond its writes.
    home.until_file("wrote");
    eventually("what it wrote to be in the log", || {
        let log = String::from_utf8(home.log(&id)).unwrap();
        let (before, after) = log.split_once(WHAT_FOLLOWS)?;
        assert_eq!(before, "[stdout] out\n");
        let mut lines: Vec<_> = after.lines().collect();
        lines.sort();
        (lines == ["[stderr] later", "[stdout] later"]).then_some(())
    });
    assert!(lives(left));
    gate.open();
    home.until_quiet();
    assert!(String::from_utf8(home.log(&id)).unwrap().ends_with("[stdout] last\n"));
    assert_eq!(home.record(&id)["exit_code"], 4);
    home.no_leftovers();
}

#[test]
fn one_that_writes_all_the_time_delays_no_more_than_the_drain() {
    let home = Home::new();
    let script = "(while [ ! -e stop ]; do echo more; done; echo over >stopped) & echo $! >pid; exit 5";
    let shown = home.gco(sh(script)).run().code(5).stderr("").into_stdout();
    assert!(shown.starts_with(b"more\n"));
    assert!(lives(pid_left(&home)));
    let id = home.only_id();
    assert_eq!(home.record(&id)["warnings"], serde_json::json!([LEFT_BEHIND]));
    fs::write(home.path().join("stop"), "").unwrap();
    home.until_file("stopped");
    home.until_quiet();
    let log = String::from_utf8(home.log(&id)).unwrap();
    assert_eq!(log.matches(WHAT_FOLLOWS).count(), 1);
    home.no_leftovers();
}

#[test]
fn a_daemon_that_let_go_of_the_streams_is_no_matter() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let script = "(exec >/dev/null 2>&1 </dev/null; echo x >let-go; read x <go) & echo $! >pid; \
                  while [ ! -e let-go ]; do :; done; echo out";
    home.gco(sh(script)).run().code(0).stdout("out\n").stderr("");
    let record = home.record(&home.only_id());
    assert_eq!(record["warnings"], serde_json::json!([]));
    // Nobody stays for it.
    home.until_quiet();
    home.no_leftovers();
    assert!(lives(pid_left(&home)));
    gate.open();
}

#[test]
fn one_stream_held_and_the_other_not() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let script = "(read x <go; printf later >&2) >/dev/null & echo $! >pid; printf part";
    home.gco(sh(script)).run().code(0).stdout("part").stderr("");
    let id = home.only_id();
    assert_eq!(home.log(&id), b"[stdout~] part\n");
    gate.open();
    home.until_quiet();
    assert_eq!(
        String::from_utf8(home.log(&id)).unwrap(),
        format!("[stdout~] part\n{WHAT_FOLLOWS}[stderr~] later\n")
    );
}

#[test]
fn detached_and_untracked_ones_too() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    home.gco(sh(LEAVES)).env("GCO_DISABLE_TASK_STATUS", "1").run().code(4).stdout("out\n").stderr("");
    let left = pid_left(&home);
    gate.open();
    home.until_file("wrote");
    assert!(lives(left));
    gate.open();
    home.until_quiet();
    for file in ["pid", "wrote"] {
        fs::remove_file(home.path().join(file)).unwrap();
    }
    let printed = home.gco(["run", "-d", "--", "sh", "-c", LEAVES]).run().code(0).stderr("").into_stdout();
    let id = String::from_utf8(printed).unwrap().trim_end().to_owned();
    home.until_state(&id, "failed");
    gate.open();
    home.until_file("wrote");
    gate.open();
    home.until_quiet();
    assert!(String::from_utf8(home.log(&id)).unwrap().contains("\n[stdout] last\n"));
}

#[test]
fn a_supervisor_killed_while_it_listens_is_replaced() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    home.gco(sh(LEAVES)).run().code(4).stdout("out\n").stderr("");
    let (id, left) = (home.only_id(), pid_left(&home));
    let old = home.the_gco("gco-supervisor");
    crate::tools::send(old, nix::sys::signal::Signal::SIGKILL);
    eventually("another supervisor", || {
        home.gcos("gco-supervisor").first().is_some_and(|&pid| pid != old).then_some(())
    });
    gate.open();
    home.until_file("wrote");
    assert!(lives(left));
    gate.open();
    home.until_quiet();
    let log = String::from_utf8(home.log(&id)).unwrap();
    assert!(log.contains("\n[stdout] last\n") && log.contains("[stderr] later\n"), "{log}");
    assert!(log.starts_with(&format!("[stdout] out\n{WHAT_FOLLOWS}")), "{log}");
    assert_eq!(home.record(&id)["state"], "failed");
    home.no_leftovers();
}
