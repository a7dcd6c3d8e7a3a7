//! How far a command is, in the title or taskbar of a terminal that can show it: `gco run --show-progress`.

use nix::sys::signal::Signal;

use crate::harness::{Gco, Home, eventually};
use crate::leader::{self, USUAL, job};
use crate::tools::{Gate, send, until_stopped};

const CLEAR: &str = "\x1b]9;4;0;\x07";

fn bar(percent: u8) -> String {
    format!("\x1b]9;4;1;{percent}\x07")
}

/// `gco run -q` with `options` and a shell `script`, for a terminal that shows progress.
fn gco<'h>(home: &'h Home, options: &[&str], script: &str) -> Gco<'h> {
    let words = ["run", "-q"].iter().chain(options).copied().chain(["--", "sh", "-c", script]);
    home.gco(words).env("WT_SESSION", "1")
}

/// Once the record says so many hundredths.
fn until_percent(home: &Home, percent: f64) {
    let id = eventually("a task", || home.ids().pop());
    home.until_record(&id, "a percentage", |record| record["progress"]["percent"] == percent);
}

#[test]
fn a_terminal_that_can_shows_it_and_is_cleared() {
    let home = Home::new();
    let gate = Gate::new(&home, "gate");
    let script = "echo '[1/4] Building a'; read x <gate; echo '[2/4] Building b' >&2; read x <gate; printf 'end\\n'; exit 3";
    let mut terminal = gco(&home, &[], script).on_pty();
    terminal.until(&bar(25));
    gate.open();
    terminal.until(&bar(50));
    gate.open();
    let (status, shown) = terminal.wait();
    assert_eq!(status.code(), Some(3));
    let shown = String::from_utf8(shown).unwrap();
    assert_eq!(shown.matches("\x1b]9;4;").count(), 3, "only what has changed: {shown:?}");
    assert_eq!(
        shown.replace(&bar(25), "").replace(&bar(50), "").replace(CLEAR, ""),
        "[1/4] Building a\r\n[2/4] Building b\r\nend\r\n"
    );
    assert!(shown.rfind(CLEAR) > shown.find(&bar(50)), "{shown:?}");
    assert!(!home.log(&home.only_id()).contains(&0x1b), "it is not the command's");
    home.until_quiet();
    home.no_leftovers();
}

#[test]
fn others_are_told_nothing() {
    let home = Home::new();
    let script =
        "gco progress 50%; until grep -q '\"percent\": 50' tasks/$GCO_TASK_ID.json; do :; done; printf x";
    let none: &[(&str, &[(&str, &str)])] = &[
        ("auto", &[]),
        ("auto", &[("WT_SESSION", "1"), ("TMUX", "x")]),
        ("auto", &[("TERM_PROGRAM", "iTerm.app"), ("TERM_PROGRAM_VERSION", "3.4.0")]),
        ("never", &[("WT_SESSION", "1")]),
    ];
    for (when, variables) in none {
        let mut run = home.gco(["run", "-q", "--show-progress", when, "--", "sh", "-c", script]);
        for (name, value) in *variables {
            run = run.env(name, value);
        }
        let (status, shown) = run.on_pty().wait();
        assert_eq!((status.code(), &shown[..]), (Some(0), &b"x"[..]), "{when} {variables:?}");
    }
    let run = |options: &[&str], variable: &str| {
        let words = ["run", "-q"].iter().chain(options).copied().chain(["--", "sh", "-c", script]);
        let (status, shown) = home.gco(words).env("GCO_SHOW_PROGRESS", variable).on_pty().wait();
        assert_eq!(status.code(), Some(0));
        String::from_utf8(shown).unwrap().contains(&bar(50))
    };
    assert!(run(&[], "always"));
    assert!(!run(&["--show-progress", "never"], "always"));
    assert!(!run(&[], "never"));
    let run_so = home.gco(["run", "--", "true"]).env("GCO_SHOW_PROGRESS", "so").run();
    run_so
        .code(0)
        .stdout("")
        .stderr("gco: GCO_SHOW_PROGRESS is 'so', which is not auto, always or never; it is passed over\n");
    assert!(run(&["--show-progress", "always", "--echo", "never"], ""));
    // No terminal, no bar.
    gco(&home, &["--show-progress", "always"], script).run().code(0).stdout("x").stderr("");
}

#[test]
fn what_the_command_shows_is_never_torn() {
    let home = Home::new();
    let gate = Gate::new(&home, "gate");
    // In the middle of a title, of a character, and on the alternate screen.
    let script = "printf '\\033]0;ti'; gco progress 10%; read x <gate; gco progress 11%; read x <gate; printf 'tle\\007\\303'; \
         gco progress 20%; read x <gate; printf '\\251\\n\\033[?1049h'; gco progress 30%; read x <gate; \
         gco progress 31%; read x <gate; printf 'full\\033[?1049l'; read x <gate";
    let mut terminal = gco(&home, &[], script).on_pty();
    for percent in [10.0, 11.0] {
        until_percent(&home, percent);
        gate.open();
    }
    for percent in [20.0, 30.0, 31.0] {
        until_percent(&home, percent);
        gate.open();
    }
    terminal.until(&bar(31));
    gate.open();
    let (status, shown) = terminal.wait();
    assert_eq!(status.code(), Some(0));
    let shown = String::from_utf8(shown).unwrap();
    for whole in ["\x1b]0;title\x07", "é", "\x1b[?1049hfull\x1b[?1049l"] {
        assert!(shown.contains(whole), "{whole:?} in {shown:?}");
    }
    assert!(shown.ends_with(CLEAR), "{shown:?}");
}

#[test]
fn a_command_that_shows_its_own_is_left_alone() {
    let home = Home::new();
    let gate = Gate::new(&home, "gate");
    let script = "printf '\\033]9;4;1;7\\033\\\\'; read x <gate; printf '\\033]9;4;0\\007'; gco progress 50%; read x <gate; printf end";
    let terminal = gco(&home, &[], script).on_pty();
    until_percent(&home, 7.0);
    gate.open();
    until_percent(&home, 50.0);
    gate.open();
    let (status, shown) = terminal.wait();
    assert_eq!(status.code(), Some(0));
    assert_eq!(String::from_utf8(shown).unwrap(), "\x1b]9;4;1;7\x1b\\\x1b]9;4;0\x07end");
}

#[test]
fn whoever_goes_clears_it() {
    let script = "gco progress 50%; read x <gate";
    // Left by keys.
    let home = Home::new();
    let gate = Gate::new(&home, "gate");
    let mut terminal = gco(&home, &[], script).on_pty();
    terminal.until(&bar(50));
    terminal.write(b"\x1ed");
    let (status, shown) = terminal.wait();
    let shown = String::from_utf8(shown).unwrap();
    assert_eq!((status.code(), shown.matches(CLEAR).count()), (Some(75), 1), "{shown:?}");
    gate.open();
    home.until_quiet();
    // The front-end killed, and the command made to end by a signal.
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        let home = Home::new();
        let gate = Gate::new(&home, "gate");
        let mut terminal = gco(&home, &[], script).on_pty();
        terminal.until(&bar(50));
        terminal.kill(signal);
        terminal.until(CLEAR);
        gate.open();
        home.until_quiet();
    }
    // The supervisor killed: its successor goes on.
    let home = Home::new();
    let gate = Gate::new(&home, "gate");
    let mut terminal = gco(&home, &[], &format!("{script}; gco progress 75%; read x <gate")).on_pty();
    terminal.until(&bar(50));
    send(home.the_gco("gco-supervisor"), Signal::SIGKILL);
    gate.open();
    terminal.until(&bar(75));
    send(home.the_gco("gco-supervisor"), Signal::SIGKILL);
    gate.open();
    let (status, shown) = terminal.wait();
    assert_eq!(status.code(), Some(0));
    assert!(String::from_utf8(shown).unwrap().ends_with(CLEAR));
}

#[test]
fn a_job_that_is_stopped_shows_none() {
    let home = Home::new();
    let gate = Gate::new(&home, "gate");
    let mut terminal = gco(&home, &[], "gco progress 50%; read x <gate; printf end").on_pty();
    terminal.until(&bar(50));
    terminal.kill(Signal::SIGTSTP);
    let shown = terminal.until(CLEAR);
    assert_eq!(shown, format!("{}{CLEAR}", bar(50)));
    until_stopped(terminal.pid());
    terminal.kill(Signal::SIGCONT);
    terminal.until(&format!("{CLEAR}{}", bar(50)));
    gate.open();
    let (status, shown) = terminal.wait();
    assert_eq!(status.code(), Some(0));
    assert!(String::from_utf8(shown).unwrap().ends_with(CLEAR));
}

#[test]
fn in_a_pipeline_only_if_it_is_asked_for() {
    let home = Home::new();
    let script =
        "gco progress 50%; until grep -q '\"percent\": 50' tasks/$GCO_TASK_ID.json; do :; done; printf x >&2";
    let run = |when: &str| {
        let argv =
            ["env", "WT_SESSION=1", "gco", "run", "-q", "--show-progress", when, "--", "sh", "-c", script];
        let (ended, shown) = leader::run(&home, USUAL, &[job(["tty", "pipe", "tty"], &argv)]);
        assert_eq!((ended[0].status, ended[0].stdout.as_deref()), (0, Some("")));
        String::from_utf8(shown).unwrap()
    };
    assert_eq!(run("auto"), "x");
    let shown = run("always");
    assert!(shown.contains(&bar(50)) && shown.ends_with(CLEAR), "{shown:?}");
}
