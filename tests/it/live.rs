//! `gco tasks list --watch` on a real screen: what it shows, and how it leaves the terminal.

use nix::sys::signal::Signal;
use serde_json::json;

use crate::fake::Fake;
use crate::harness::Home;
use crate::screen::{Screen, are_here};
use crate::tools::{send, until_stopped};

/// The sizes that are tried.
const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (50, 15)];

fn are_all_here() -> bool {
    are_here(&["tmux", "bash", "stty"])
}

/// The rows of a screen, the last of which are told apart from blank ones only by what is in them.
fn rows(text: &str) -> Vec<&str> {
    text.lines().collect()
}

/// The shell's screen and the terminal's modes.
fn modes(screen: &mut Screen<'_>) -> String {
    let text = screen.run("clear; stty -a | grep -v rows; echo under this");
    text.split("under this").next().unwrap().to_owned()
}

#[test]
fn the_table_follows_what_happens_at_any_size() {
    if !are_all_here() {
        return;
    }
    for (columns, height) in SIZES {
        let home = Home::new();
        let build = Fake::start(&home, "build-1795257472000-0");
        for number in 0..60 {
            Fake::over(&home, &format!("old-17952574{number:02}000-0"), b"");
        }
        let mut screen = Screen::new(&home, "");
        screen.resize(columns, height);
        screen.line("gco tasks list --watch -n 0");
        let footer = format!("q quits   1 under way, {} older not shown", 61 - (height - 2));
        let shown = screen.until(&footer);
        let lines = rows(&shown);
        assert_eq!(lines.len(), usize::from(height), "{shown}");
        assert!(lines[0].starts_with("TASK                   STATE"), "{shown}");
        assert!(lines[1].starts_with("build-1795257472000-0  running"), "{shown}");
        // A bar that moves.
        for (done, bar) in [
            (1, if columns < 72 { "█▎░░░  25%" } else { "██▌░░░░░░░  25%" }),
            (2, if columns < 72 { "██▌░░  50%" } else { "█████░░░░░  50%" }),
        ] {
            let progress =
                json!({"current": done, "total": 4, "percent": null, "message": null, "unit": null});
            build.record_with("running", json!({ "progress": progress }));
            let shown = screen.until(bar);
            assert!(rows(&shown)[1].contains(bar), "{shown}");
        }
        // A new task is there at once, and one that has gone is gone.
        let new = Fake::start(&home, "new-1795257473000-0");
        let shown = screen.until("2 under way");
        assert!(rows(&shown)[1].starts_with("new-1795257473000-0"), "{shown}");
        std::fs::remove_file(new.record_path()).unwrap();
        new.die();
        screen.until_it("the new one to be gone", |text| !text.contains("new-1795"));
        build.finish("succeeded");
        let shown = screen.until("q quits   0 under way");
        assert!(shown.contains("build-1795257472000-0  succeeded") && !shown.contains('█'), "{shown}");
        // Another size is followed.
        screen.resize(columns + 10, height - 5);
        screen.until(&format!("q quits   0 under way, {} older not shown", 61 - (height - 7)));
        screen.press(&["q"]);
        screen.until_prompt();
        assert!(!screen.text().contains("quits"), "{}", screen.text());
    }
}

#[test]
fn a_time_goes_on_and_a_supervisor_that_dies_is_seen() {
    if !are_all_here() {
        return;
    }
    let home = Home::new();
    let fake = Fake::start(&home, "build-1795257472000-0");
    let now = chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ").to_string();
    fake.record_with("running", json!({ "started_at": now, "pid": 1, "pid_start": 0, "boot_id": "x" }));
    let mut screen = Screen::new(&home, "");
    screen.line("gco tasks list --watch");
    screen.until("running");
    // Nothing happens but the time.
    let time = |text: &str| text.lines().find(|line| line.starts_with("build")).map(str::to_owned);
    let first = time(&screen.text());
    screen.until_it("another time", |text| time(text).is_some_and(|now| Some(now) != first));
    fake.die();
    screen.until("orphaned");
    screen.press(&["C-c"]);
    screen.until_prompt();
}

#[test]
fn filters_and_what_is_not_there() {
    if !are_all_here() {
        return;
    }
    let home = Home::new();
    let mut screen = Screen::new(&home, "");
    screen.line("gco tasks list --watch --state running --name build --label env=prod");
    screen.until("no tasks yet; start one with 'gco run -- COMMAND'");
    let _other = Fake::start(&home, "other-1795257472000-0");
    screen.until("no task is like that");
    let build = Fake::start(&home, "build-1795257472000-0");
    build.record_with("running", json!({"labels": {"env": "prod"}, "last_message": "a\u{1b}[2J\u{202e}b"}));
    let shown = screen.until_it("the row", |text| text.contains("ab\n") && text.contains("1 under way"));
    assert!(shown.contains("build-1795257472000-0") && !shown.contains("other"), "{shown}");
    build.finish("succeeded");
    screen.until("no task is like that");
    // The directory may go, and come again.
    home.remove_tasks();
    screen.until("no tasks yet");
    let build = Fake::start(&home, "build-1795257479000-0");
    build.record_with("running", json!({"labels": {"env": "prod"}}));
    screen.until("build-1795257479000-0");
    screen.press(&["q"]);
    screen.until_prompt();
}

#[test]
fn the_terminal_is_put_back_however_it_ends() {
    if !are_all_here() {
        return;
    }
    for end in ["q", "C-c", "SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT"] {
        let home = Home::new();
        let _fake = Fake::start(&home, "build-1795257472000-0");
        let mut screen = Screen::new(&home, "");
        let before = modes(&mut screen);
        screen.line("gco tasks list --watch; echo \"code $?\"");
        screen.until("under way");
        let code = match end.parse::<Signal>() {
            Ok(signal) => {
                send(home.the_gco("gco"), signal);
                128 + signal as i32
            }
            Err(_) => {
                screen.press(&[end]);
                if end == "q" { 0 } else { 130 }
            }
        };
        if code != 130 {
            // The shell leaves the line at a Ctrl-C, or what looks like one.
            screen.until(&format!("code {code}"));
        }
        screen.until_prompt();
        assert!(!screen.text().contains("under way"), "{end}");
        assert_eq!(before, modes(&mut screen), "{end}");
    }
}

#[test]
fn it_is_stopped_and_goes_on() {
    if !are_all_here() {
        return;
    }
    let home = Home::new();
    let fake = Fake::start(&home, "build-1795257472000-0");
    let mut screen = Screen::new(&home, "");
    let before = modes(&mut screen);
    screen.line("gco tasks list --watch");
    screen.until("1 under way");
    screen.press(&["C-z"]);
    screen.until("Stopped");
    until_stopped(home.the_gco("gco"));
    screen.until_prompt();
    assert!(!screen.text().contains("under way"), "{}", screen.text());
    assert_eq!(before, modes(&mut screen));
    fake.finish("succeeded");
    screen.line("fg");
    screen.until("0 under way");
    // From outside it knows nothing of it.
    let gco = home.the_gco("gco");
    send(gco, Signal::SIGSTOP);
    screen.until("Stopped");
    screen.press(&["Enter"]);
    screen.line("fg");
    screen.until_it("the table", |text| text.contains("0 under way") && !text.contains("fg"));
    // Ended like that, it has nothing to do with the modes that are the shell's by now.
    send(gco, Signal::SIGSTOP);
    screen.until("Stopped");
    screen.press(&["Enter"]);
    screen.line("kill %1; kill -CONT %1; wait");
    screen.until("Terminated");
    screen.until_prompt();
    assert_eq!(before, modes(&mut screen));
    screen.line("gco tasks list --watch");
    screen.until("0 under way");
    let gco = home.the_gco("gco");
    // And when it is ended while it is stopped, the shell's terminal stays as it is.
    screen.press(&["C-z"]);
    screen.until("Stopped");
    until_stopped(gco);
    screen.until_prompt();
    screen.line("kill %1; kill -CONT %1; wait");
    screen.until("Terminated");
    screen.until_prompt();
    assert_eq!(before, modes(&mut screen));
    home.until_quiet();
}

#[test]
fn a_window_that_is_closed_ends_it() {
    if !are_all_here() {
        return;
    }
    for command in ["gco tasks list --watch", "gco tasks top"] {
        let home = Home::new();
        let _fake = Fake::start(&home, "build-1795257472000-0");
        let screen = Screen::new(&home, "");
        // Not even as the shell's child: then nobody passes the hang-up on.
        screen.line(&format!("exec {command}"));
        screen.until("1 under way");
        screen.close();
        home.until_quiet();
    }
}

#[test]
fn without_a_terminal_it_says_what_to_do() {
    let home = Home::new();
    let hint = "hint: leave out --watch; 'gco tasks events --follow' tells a script what changes\n";
    home.gco(["tasks", "list", "--watch"])
        .run()
        .code(2)
        .stdout("")
        .stderr(format!("gco: --watch needs a terminal, and stdin is none\n{hint}"));
    home.gco(["tasks", "list", "--watch", "--json"])
        .run()
        .code(2)
        .stdout("")
        .stderr_has("'--watch' cannot be used with '--json'");
}
