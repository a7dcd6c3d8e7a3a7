//! The harness itself: a test tool that cannot fail proves nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::sys::signal::Signal;

use crate::harness::Home;
use crate::oracle::rebuild;

#[test]
fn what_is_not_stated_fails() {
    let home = Home::new();
    let forgot = catch_unwind(AssertUnwindSafe(|| {
        drop(home.command("sh", ["-c", "echo out"]).run().code(0).stderr(""));
    }));
    let message = *forgot.unwrap_err().downcast::<String>().unwrap();
    assert!(message.starts_with(r#"not stated: ["stdout"]"#), "{message}");
}

#[test]
fn a_home_sees_and_ends_what_was_started_in_it() {
    let home = Home::new();
    let mut running = home.command("sh", ["-c", "echo on; exec sleep 1000"]).spawn();
    running.until_stdout("on\n");
    assert!(!running.has_ended());
    assert_eq!(home.processes().iter().map(|process| process.pid).collect::<Vec<_>>(), [running.pid()]);
    running.kill(Signal::SIGTERM);
    running.wait().signal(Signal::SIGTERM).stdout("on\n").stderr("");
    home.command("sh", ["-c", "sleep 1000 >/dev/null 2>&1 &"]).run().code(0).stdout("").stderr("");
    assert_eq!(home.processes().len(), 1);
    let pid = home.processes()[0].pid;
    drop(home);
    crate::harness::eventually("the process left behind to end", || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        stat.map_or(true, |stat| stat.contains(") Z ")).then_some(())
    });
}

#[test]
fn input_output_and_environment_are_as_asked() {
    let home = Home::new();
    home.command("cat", ["-"]).stdin("x\0y").run().code(0).stdout(b"x\0y").stderr("");
    home.command("sh", ["-c", "echo $HOME $A >&2; exit 3"])
        .env("A", "b")
        .run()
        .code(3)
        .stdout("")
        .stderr(format!("{} b\n", home.path().display()));
    let (status, screen) = home.command("sh", ["-c", "test -t 0 && stty size </dev/tty"]).on_pty().wait();
    assert_eq!((status.code(), screen.as_slice()), (Some(0), &b"24 80\r\n"[..]));
}

#[test]
fn the_oracle_follows_the_contract() {
    let log = b"[stdout~] a\n[gco] x\n[stderr] e\n[stdout] b\n[stdout] \n[stdout~] end\n";
    assert_eq!(rebuild(log, "stdout"), b"ab\n\nend");
    assert_eq!(rebuild(log, "stderr"), b"e\n");
}
