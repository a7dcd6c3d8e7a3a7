//! Processes that a command at a terminal leaves behind: they delay nothing, keep their terminal, and are logged.

use crate::harness::{Home, eventually};
use crate::leader::{self, ALL, USUAL, job};
use crate::oracle::rebuild;
use crate::tools::{Gate, lives};

const WHAT_FOLLOWS: &str = "[gco] the command has ended; what follows comes from processes it left behind\n";

/// Leaves a process behind that holds both terminals, and writes on both when the gate is opened; prints and is gone.
const LEAVES: &str = r#"
import os, sys
if os.fork() == 0:
    os.setpgid(0, 0)
    open("go").readline()
    for n in (1, 2): os.write(n, b"later\n" * 20000)
    open("wrote", "w").write("%s\n" % [os.isatty(n) for n in (0, 1, 2)])
    open("go").readline()
    os.write(1, b"last")
    os._exit(0)
os.write(1, b"out\n" * 30000)
os.write(2, b"err\n" * 30000)
os._exit(4)
"#;

#[test]
fn one_that_holds_the_terminals_delays_nothing_and_is_logged() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let args = ["gco", "run", "-q", "--", "python3", "-I", "-S", "-c", LEAVES];
    // It only goes on when the gate is opened, and that is after gco has left and the terminal has gone.
    let (ended, _) = leader::run(&home, USUAL, &[job(ALL, &args)]);
    assert_eq!(ended[0].status, 4 << 8);
    assert_eq!(ended[0].before, ended[0].after);
    let id = home.only_id();
    let record = home.record(&id);
    assert_eq!((record["state"].as_str(), record["exit_code"].as_i64()), (Some("failed"), Some(4)));
    let log = String::from_utf8(home.log(&id)).unwrap();
    let before = log.split(WHAT_FOLLOWS).next().unwrap();
    for (name, word) in [("stdout", "out\n"), ("stderr", "err\n")] {
        assert!(rebuild(before.as_bytes(), name) == word.repeat(30_000).as_bytes(), "{name}");
    }
    home.the_gco("gco-supervisor");
    gate.open();
    // Nobody has hung up on it.
    assert_eq!(home.until_file("wrote"), "[True, True, True]\n");
    eventually("what it wrote to be in the log", || {
        let log = String::from_utf8(home.log(&id)).unwrap();
        let after = log.split_once(WHAT_FOLLOWS)?.1;
        ["stdout", "stderr"]
            .iter()
            .all(|name| after.matches(&format!("[{name}] later\n")).count() == 20_000)
            .then_some(())
    });
    gate.open();
    home.until_quiet();
    assert!(String::from_utf8(home.log(&id)).unwrap().ends_with("[stdout~] last\n"));
    assert_eq!(home.record(&id)["exit_code"], 4);
    home.no_leftovers();
}

#[test]
fn one_that_let_go_of_the_terminals_is_no_matter() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let script = "(exec >/dev/null 2>&1 </dev/null; echo x >up; read x <go; echo x >on) & \
                  while [ ! -e up ]; do :; done; echo out";
    let (ended, shown) =
        leader::run(&home, USUAL, &[job(ALL, &["gco", "run", "-q", "--", "sh", "-c", script])]);
    assert_eq!((ended[0].status, shown.escape_ascii().to_string()), (0, r"out\r\n".to_owned()));
    assert_eq!(home.record(&home.only_id())["warnings"], serde_json::json!([]));
    // Nobody stays for it.
    home.until_quiet();
    home.no_leftovers();
    assert!(home.processes().iter().any(|process| lives(process.pid)));
    gate.open();
    home.until_file("on");
}
