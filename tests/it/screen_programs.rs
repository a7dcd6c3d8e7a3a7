//! Real programs on a real screen: they look in gco as they look bare.

use std::fs;

use crate::harness::Home;
use crate::screen::{Screen, are_here, same_on_both};

/// The log of the only task; empty if there is none, as for what was run bare.
fn log(home: &Home) -> String {
    home.ids().first().map(|id| String::from_utf8_lossy(&home.log(id)).into_owned()).unwrap_or_default()
}

#[test]
fn a_password_is_asked_for_and_seen_nowhere() {
    if !are_here(&["tmux", "bash", "python3"]) {
        return;
    }
    let ask = "import getpass; p = getpass.getpass('word: '); print('it has', len(p))";
    for (before, after) in [("", ""), ("echo | ", ""), ("", " >out; cat out"), ("", " 2>err")] {
        let shown = same_on_both(|screen, home| {
            fs::write(home.path().join("ask.py"), ask).unwrap();
            screen.line(&format!("{before}$W python3 -I ask.py{after}"));
            screen.until("word:");
            screen.line("secret");
            let shown = screen.until_prompt();
            assert!(!log(home).contains("secret"));
            shown
        });
        assert!(shown.contains("it has 6") && !shown.contains("secret"), "{shown}");
    }
}

#[test]
fn a_line_is_read_and_edited() {
    if !are_here(&["tmux", "bash", "python3"]) {
        return;
    }
    let shown = same_on_both(|screen, _| {
        screen.line("$W python3 -c 'import readline; print(repr(input(\"name? \")))'");
        screen.until("\nname?");
        screen.types("Anx");
        screen.press(&["BSpace", "n", "Left", "Left", "Left", "o", "Enter"]);
        screen.until_prompt()
    });
    assert!(shown.contains("'oAnn'"), "{shown}");
}

#[test]
fn a_commit_message_is_written_in_an_editor() {
    if !are_here(&["tmux", "bash", "git", "vim"]) {
        return;
    }
    let shown = same_on_both(|screen, home| {
        screen.run("git init -q; git config user.name me; git config user.email me@x; clear");
        screen.line("$W git commit --allow-empty");
        screen.until("# Please enter");
        screen.types("iwords of mine");
        screen.press(&["Escape"]);
        screen.line(":wq");
        screen.until_prompt();
        assert!(!log(home).contains("Please enter"), "{}", log(home));
        screen.run("clear; git log --format=%s")
    });
    assert!(shown.contains("words of mine"), "{shown}");
}

#[test]
fn full_screens_come_and_go() {
    if !are_here(&["tmux", "bash", "top", "less", "vim"]) {
        return;
    }
    same_on_both(|screen, _| {
        screen.line("$W top");
        screen.until("load average");
        screen.press(&["q"]);
        screen.until_prompt();
        screen.run("clear; seq 1000 >lines")
    });
    let shown = same_on_both(|screen, _| {
        screen.run("seq 1000 >lines; clear");
        screen.line("$W less lines");
        screen.until("\n23\n");
        screen.press(&["Space"]);
        screen.until("\n46\n");
        screen.line("/777");
        screen.until("777\n");
        screen.press(&["q"]);
        screen.until_prompt()
    });
    assert!(!shown.contains("777\n"), "{shown}");
    let shown = same_on_both(|screen, home| {
        screen.line("$W vim -u NONE text");
        screen.until("~\n~");
        screen.types("ihello");
        screen.press(&["Escape"]);
        screen.line(":wq");
        screen.until_prompt();
        assert_eq!(fs::read_to_string(home.path().join("text")).unwrap(), "hello\n");
        screen.text()
    });
    assert!(!shown.contains('~'), "{shown}");
}

#[test]
fn a_progress_bar_and_colours() {
    if !are_here(&["tmux", "bash", "python3", "git"]) {
        return;
    }
    let bar = "import sys\nfor n in range(0, 101, 20):\n print(f'\\r{n:3}% [' + '#' * (n // 10) + ']', end='', flush=True)\nprint()";
    let shown = same_on_both(|screen, home| {
        fs::write(home.path().join("bar.py"), bar).unwrap();
        let shown = screen.run("$W python3 -I bar.py");
        if let Some(id) = home.ids().first() {
            assert_eq!(home.record(id)["last_message"], "100% [##########]");
        }
        shown
    });
    assert!(shown.contains("100% [##########]"), "{shown}");
    let shown = same_on_both(|screen, home| {
        fs::create_dir(home.path().join("folder")).unwrap();
        screen.run("clear; $W ls --color=auto -d folder; $W printf '\\033[38;2;10;200;30mrgb\\033[0m\\n'");
        screen.coloured()
    });
    assert!(shown.contains("34mfolder") && shown.contains("38;2;10;200;30m"), "{shown:?}");
}

#[test]
fn the_size_of_the_window_is_the_commands() {
    if !are_here(&["tmux", "bash", "python3"]) {
        return;
    }
    let text = "import os, signal\n\
        show = lambda *_: print('%dx%d' % os.get_terminal_size(), flush=True)\n\
        signal.signal(signal.SIGWINCH, show)\nshow()\ninput()";
    let shown = same_on_both(|screen, home| {
        fs::write(home.path().join("size.py"), text).unwrap();
        screen.line("$W python3 -I size.py");
        screen.until("80x24");
        screen.resize(100, 30);
        screen.until("100x30");
        screen.press(&["Enter"]);
        screen.until_prompt()
    });
    assert!(shown.contains("100x30"), "{shown}");
}

#[test]
fn a_pager_at_the_end_of_a_pipe_has_its_keys() {
    if !are_here(&["tmux", "bash", "less"]) {
        return;
    }
    let shown = same_on_both(|screen, _| {
        screen.line("$W seq 100000 | less");
        screen.until("\n23\n");
        screen.press(&["G"]);
        screen.until("\n100000\n");
        screen.press(&["q"]);
        screen.until_prompt();
        screen.line("$W sh -c 'echo up; read x; echo \"got $x\"' 2>&1 | cat");
        // Typed while the shell still reads its own line, the line end would be one to nobody.
        screen.until("\nup");
        screen.line("words");
        screen.until("got words");
        screen.until_prompt()
    });
    assert_eq!(shown.matches("words").count(), 2, "{shown}");
}

/// The shell's screen and the terminal's modes, before and after.
fn modes(screen: &mut Screen<'_>) -> String {
    screen.run("clear; stty -a | grep -v rows")
}

#[test]
fn whoever_leaves_finds_the_terminal_as_it_was() {
    if !are_here(&["tmux", "bash", "vim"]) {
        return;
    }
    for kills in [false, true] {
        let home = Home::new();
        let mut screen = Screen::new(&home, "gco run -q --");
        let before = modes(&mut screen).replace("mark 1", "").replace("rk 1", "");
        screen.line("clear; $W vim -u NONE text");
        screen.until("~\n~");
        if kills {
            crate::tools::send(home.the_gco("gco"), nix::sys::signal::Signal::SIGKILL);
        } else {
            screen.press(&["C-^", "d"]);
            screen.until("goes on in the background");
        }
        screen.until_it("the shell's screen", |text| !text.contains("~\n~"));
        if kills {
            // The shell is told of the death when gco is, and may have written its prompt on the screen that goes.
            screen.press(&["Enter"]);
        }
        screen.until_prompt();
        let after = modes(&mut screen).replace("mark 3", "").replace("rk 3", "");
        assert_eq!(before, after, "kills: {kills}");
        let id = home.only_id();
        assert_eq!(home.record(&id)["state"], "running");
        screen.line(&format!("gco tasks attach {id}"));
        screen.until("~\n~");
        screen.line(":q");
        screen.until_prompt();
        home.until_quiet();
    }
}
