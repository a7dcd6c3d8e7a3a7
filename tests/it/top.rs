//! `gco tasks top` on a real screen: what it shows, what keys and the mouse do, and how it leaves the terminal.

use nix::sys::signal::Signal;
use serde_json::json;

use crate::fake::Fake;
use crate::harness::Home;
use crate::screen::{Screen, are_here};
use crate::tools::{send, until_stopped};

/// The sizes that are tried: under, beside, and very little room.
const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (50, 15)];

fn are_all_here() -> bool {
    are_here(&["tmux", "bash", "stty"])
}

/// The terminal's modes.
fn modes(screen: &mut Screen<'_>) -> String {
    let text = screen.run("clear; stty -a | grep -v rows; echo under this");
    text.split("under this").next().unwrap().to_owned()
}

/// Two tasks, the newer of which is under way.
fn two(home: &Home) -> Fake {
    let log: String = (1..=300).map(|n| format!("[stdout] old line {n}\n")).collect();
    Fake::over(home, "test-1795257471000-0", log.as_bytes());
    let build = Fake::start(home, "build-1795257472000-0");
    build.write(b"[stdout] one\n[stderr] two\x1b[2J\x1b]0;x\x07\xe2\x80\xae!\n");
    let progress = json!({ "percent": 62.5 });
    build.record_with("running", json!({ "progress": progress, "labels": {"env": "prod"} }));
    build
}

#[test]
fn tasks_and_a_log_that_is_followed_at_any_size() {
    if !are_all_here() {
        return;
    }
    for (columns, rows) in SIZES {
        let home = Home::new();
        let build = two(&home);
        let mut screen = Screen::new(&home, "");
        screen.resize(columns, rows);
        screen.line("gco tasks top");
        let shown = screen.until("q quit  ? help");
        assert_eq!(shown.lines().count(), usize::from(rows), "{shown}");
        assert!(shown.starts_with("2 tasks, 1 under way"), "{shown}");
        assert!(shown.contains("▸build-1795257472000-0"), "{shown}");
        assert!(shown.contains("███▏░  62%"), "{shown}");
        assert!(shown.contains("─ build-1795257472000-0 following"), "{shown}");
        let first = shown.lines().find(|line| line.ends_with("one")).unwrap();
        assert_eq!(first.contains("│one"), columns >= 100, "{shown}");
        assert!(shown.lines().any(|line| line.ends_with("two!")), "{shown}");
        // What comes is shown, and so is what becomes of it.
        build.write(b"[stdout] three\n");
        screen.until("three");
        let more: String = (0..100).map(|n| format!("[stdout] more {n}\n")).collect();
        build.write(more.as_bytes());
        screen.until("more 99");
        build.finish("failed");
        screen.until("failed");
        screen.until("0 under way");
        // Another one, with its end.
        screen.press(&["j"]);
        screen.until("old line 300");
        screen.until("▸test-1795257471000-0");
        // Another size, and back to the shell.
        screen.resize(columns + 10, rows + 5);
        screen.until_it("the other size", |text| text.lines().count() == usize::from(rows + 5));
        screen.until("old line 300");
        screen.press(&["q"]);
        screen.until_prompt();
        assert!(!screen.text().contains("old line"), "{}", screen.text());
    }
}

#[test]
fn a_log_is_scrolled_and_searched_and_tasks_are_filtered() {
    if !are_all_here() {
        return;
    }
    let home = Home::new();
    let _build = two(&home);
    let mut screen = Screen::new(&home, "");
    screen.line("gco tasks top");
    screen.until("q quit");
    screen.press(&["Down"]);
    screen.until("old line 300");
    screen.press(&["PPage"]);
    screen.until_it("the page before", |text| !text.contains("line 300") && text.contains("lines below"));
    screen.press(&["End"]);
    screen.until("old line 300");
    screen.types("/LINE 77");
    screen.until("/line 77");
    screen.press(&["Enter"]);
    screen.until("223 lines below");
    assert!(screen.coloured().contains("\u{1b}[7mold line 77"), "{}", screen.coloured());
    screen.press(&["n"]);
    screen.until("no more 'line 77'");
    // A filter by state, by label, by name.
    for (filter, shown, hidden) in [
        ("succ", "test-1795257471000-0", "build-1795257472000-0"),
        ("env=prod", "build-1795257472000-0", "test-1795257471000-0"),
        ("TEST", "test-1795257471000-0", "build-1795257472000-0"),
    ] {
        screen.press(&["f"]);
        screen.types(filter);
        screen.press(&["Enter"]);
        let text = screen.until_it("one task", |text| {
            text.starts_with("1 task,") && text.contains(shown) && text.contains("q quit")
        });
        assert!(!text.contains(hidden), "{text}");
        screen.press(&["f", "Escape"]);
        screen.until("2 tasks");
    }
    screen.press(&["s"]);
    screen.until("succeeded");
    screen.until(" status");
    screen.press(&["?"]);
    screen.until("cancel it; asks first");
    screen.press(&["x", "q"]);
    screen.until_prompt();
}

#[test]
fn the_mouse_chooses_and_scrolls() {
    if !are_all_here() {
        return;
    }
    let home = Home::new();
    let _build = two(&home);
    let mut screen = Screen::new(&home, "");
    screen.line("gco tasks top");
    screen.until("q quit");
    // A click on the third row, and the wheel over the log.
    screen.types("\x1b[<0;5;3M\x1b[<0;5;3m");
    screen.until("▸test-1795257471000-0");
    screen.until("old line 300");
    screen.types("\x1b[<64;5;15M");
    screen.until("3 lines below");
    screen.types("\x1b[<65;5;15M");
    screen.until("following");
    screen.press(&["C-c"]);
    screen.until_prompt();
}

#[test]
fn a_task_is_cancelled_after_a_question() {
    if !are_all_here() {
        return;
    }
    let home = Home::new();
    let run = home.gco(["run", "-q", "-d", "--name", "victim", "--", "sleep", "600"]).run();
    run.code(0).stderr("").into_stdout();
    let id = home.only_id();
    let mut screen = Screen::new(&home, "");
    screen.line("gco tasks top");
    screen.until("1 under way");
    screen.press(&["c"]);
    screen.until(&format!("cancel {id}? y/n"));
    screen.press(&["n"]);
    screen.until(&format!("{id} goes on"));
    screen.press(&["c"]);
    screen.until(&format!("cancel {id}? y/n"));
    screen.press(&["y"]);
    screen.until(&format!("{id} cancelled after"));
    screen.until("0 under way");
    assert_eq!(home.record(&id)["state"], "cancelled");
    screen.press(&["c"]);
    screen.until(&format!("{id} is over"));
    screen.press(&["q"]);
    screen.until_prompt();
    home.until_quiet();
}

#[test]
fn a_task_is_attached_to_and_left() {
    if !are_all_here() {
        return;
    }
    let home = Home::new();
    let script = "read x; echo \"got $x\"; sleep 600";
    let run = home.gco(["run", "-q", "-d", "--pty", "always", "--", "sh", "-c", script]).run();
    run.code(0).stderr("").into_stdout();
    let mut screen = Screen::new(&home, "");
    let before = modes(&mut screen);
    screen.line("clear; gco tasks top");
    screen.until("1 under way");
    screen.press(&["a"]);
    screen.until_it("the task's screen", |text| !text.contains("under way"));
    screen.line("words");
    screen.until("got words");
    screen.press(&["C-^", "d"]);
    screen.until("attach ended with 75");
    screen.until("got words");
    screen.press(&["q"]);
    screen.until_prompt();
    assert_eq!(before, modes(&mut screen));
}

#[test]
fn the_terminal_is_put_back_however_it_ends() {
    if !are_all_here() {
        return;
    }
    for end in [Signal::SIGTERM, Signal::SIGHUP] {
        let home = Home::new();
        let _build = two(&home);
        let mut screen = Screen::new(&home, "");
        let before = modes(&mut screen);
        screen.line("gco tasks top; echo \"code $?\"");
        screen.until("q quit");
        screen.press(&["C-z"]);
        screen.until("Stopped");
        until_stopped(home.the_gco("gco"));
        screen.until_prompt();
        assert_eq!(before, modes(&mut screen));
        screen.line("fg; echo \"code $?\"");
        screen.until("q quit");
        send(home.the_gco("gco"), end);
        screen.until(&format!("code {}", 128 + end as i32));
        screen.until_prompt();
        // What the mouse does is nobody's any more.
        assert_eq!(before, modes(&mut screen), "{end}");
    }
}

#[test]
fn nothing_to_show_and_no_terminal() {
    let home = Home::new();
    home.gco(["tasks", "top"])
        .run()
        .code(2)
        .stdout("")
        .stderr("gco: 'gco tasks top' needs a terminal, and stdin is none\nhint: 'gco tasks list' and 'gco tasks tail' need none\n");
    if !are_all_here() {
        return;
    }
    let mut screen = Screen::new(&home, "");
    screen.line("gco tasks top");
    screen.until("no task");
    let _build = two(&home);
    screen.until("two!");
    home.remove_tasks();
    screen.until("0 tasks");
    screen.press(&["q"]);
    screen.until_prompt();
}
