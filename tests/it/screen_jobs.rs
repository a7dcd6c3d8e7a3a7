//! Job control on a real screen: interrupts, stops, shells in gco, keys typed ahead, a screen that is held.

use std::fs;

use crate::harness::{Home, eventually};
use crate::screen::{Screen, are_here, same_on_both};
use crate::tools::Gate;

#[test]
fn interrupts_end_a_command() {
    if !are_here(&["tmux", "bash"]) {
        return;
    }
    for (key, code) in [("C-c", "130"), ("C-\\", "131")] {
        let shown = same_on_both(|screen, home| {
            screen.run("ulimit -c 0; clear");
            screen.line("$W sh -c 'echo up; exec sleep 1000'");
            screen.until("\nup");
            screen.press(&[key]);
            screen.until_it("a prompt", |text| text.ends_with('$'));
            let shown = screen.run("echo \"code $?\"");
            if let Some(id) = home.ids().first() {
                assert_eq!(home.until_state(id, "cancelled")["exit_code"].to_string(), code);
            }
            shown
        });
        assert!(shown.contains(&format!("code {code}")), "{shown}");
    }
    let shown = same_on_both(|screen, _| {
        screen.line("$W sh -c 'echo up; exec cat'");
        // Typed while the shell still reads its own line, the line end would be one to nobody.
        screen.until("\nup");
        screen.line("words");
        screen.until("words\nwords");
        screen.press(&["C-d"]);
        screen.until_prompt()
    });
    assert!(shown.contains("words\nwords\n"), "{shown}");
}

#[test]
fn a_stopped_job_comes_back() {
    if !are_here(&["tmux", "bash", "vim"]) {
        return;
    }
    let shown = same_on_both(|screen, home| {
        screen.line("$W vim -u NONE text");
        screen.until("~\n~");
        screen.types("ihello");
        screen.press(&["Escape", "C-z"]);
        screen.until("Stopped");
        screen.run("jobs");
        screen.line("fg");
        screen.until("hello\n~");
        screen.line(":wq");
        screen.until_prompt();
        assert_eq!(fs::read_to_string(home.path().join("text")).unwrap(), "hello\n");
        screen.text()
    });
    assert!(shown.contains("Stopped"), "{shown}");
    // In the background it runs, and stops when it wants to read.
    let shown = same_on_both(|screen, _| {
        screen.line("$W sh -c 'echo up; read x; echo \"got $x\"'");
        screen.until("\nup");
        screen.press(&["C-z"]);
        screen.until("Stopped");
        screen.run("clear");
        screen.line("fg");
        screen.until("got $x\"'");
        screen.line("words");
        screen.until("got words");
        screen.until_prompt()
    });
    assert!(shown.contains("got words"), "{shown}");
}

#[test]
fn a_shell_in_it_has_jobs_of_its_own() {
    if !are_here(&["tmux", "bash"]) {
        return;
    }
    let shown = same_on_both(|screen, _| {
        screen.line("$W env PS1='in: ' bash --norc --noprofile");
        screen.until_it("a prompt", |text| text.ends_with("\nin:"));
        // It says when it runs, and when it goes on. It starts nothing meanwhile: a child that is stopped between `vfork` and
        // `execve` keeps its parent from stopping, bare as in gco.
        screen.line("sh -c 'trap \"echo on\" CONT; echo up; while :; do :; done'");
        screen.until("\nup");
        screen.press(&["C-z"]);
        screen.until("Stopped");
        screen.line("fg");
        screen.until("\non");
        screen.press(&["C-c"]);
        screen.until_it("a prompt", |text| text.ends_with("in:"));
        screen.line("echo \"code $?\"; exit 3");
        screen.until("code 130");
        screen.until_it("a prompt", |text| text.ends_with("\n$"));
        screen.run("echo \"code $?\"")
    });
    assert!(shown.contains("code 3"), "{shown}");
}

#[test]
fn what_is_typed_ahead_is_the_shells() {
    if !are_here(&["tmux", "bash"]) {
        return;
    }
    let shown = same_on_both(|screen, home| {
        let gate = Gate::new(home, "go");
        screen.line("clear; $W sh -c 'echo up; read x <go'");
        screen.until_it("the command's output", |text| text == "up");
        screen.line("echo ty''ped");
        screen.until("ty''ped");
        gate.open();
        screen.until("\ntyped");
        screen.until_prompt();
        screen.text().lines().filter(|line| *line == "typed").collect()
    });
    assert_eq!(shown, "typed");
}

#[test]
fn a_screen_that_is_held_holds_nothing_up() {
    if !are_here(&["tmux", "bash"]) {
        return;
    }
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let mut screen = Screen::new(&home, "gco run -q --");
    let script = "i=0; while [ ! -e stop ]; do i=$((i+1)); echo line $i; sleep 0.01; done; seq 200000; echo last; read x <go";
    fs::write(home.path().join("script"), script).unwrap();
    screen.line("$W sh script");
    screen.until("line 1");
    screen.press(&["C-s"]);
    let id = home.only_id();
    let size = || home.log(&id).len();
    eventually("the screen to be held while the log grows", || {
        let (shown, before) = (screen.text(), size());
        eventually("the log to grow", || (size() > before + 100).then_some(()));
        (screen.text() == shown).then_some(())
    });
    fs::write(home.path().join("stop"), "").unwrap();
    eventually("all in the log", || home.log(&id).ends_with(b"[stdout] last\n").then_some(()));
    assert!(!screen.text().contains("last\n"));
    screen.press(&["C-q"]);
    screen.until("\n199999\n200000\nlast");
    gate.open();
    screen.until_prompt();
    home.until_quiet();
}

#[test]
fn a_window_that_is_closed() {
    if !are_here(&["tmux", "bash"]) {
        return;
    }
    for (option, ends) in [("", false), ("--on-hangup leave", false), ("--on-hangup cancel", true)] {
        let home = Home::new();
        let gate = Gate::new(&home, "go");
        let screen = Screen::new(&home, &format!("gco run -q {option} --"));
        screen.line("$W sh -c 'echo up; read x <go; exit 3'");
        screen.until("\nup");
        let id = home.only_id();
        home.until_running();
        screen.close();
        eventually("the front-end to be gone", || {
            let fronts = home.processes();
            (!fronts.iter().any(|one| one.is_gco && crate::tools::comm(one.pid) == "gco")).then_some(())
        });
        if ends {
            assert_eq!(home.until_state(&id, "cancelled")["signal"], "SIGHUP");
        } else {
            assert_eq!(home.record(&id)["state"], "running");
            gate.open();
            assert_eq!(home.until_state(&id, "failed")["exit_code"], 3);
        }
        home.until_quiet();
    }
}
