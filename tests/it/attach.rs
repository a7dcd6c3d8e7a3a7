//! `gco tasks attach`: coming back to a task from another terminal, and leaving it again.

use std::fs;

use nix::sys::signal::Signal;

use crate::harness::{Home, eventually};
use crate::pty::Pty;
use crate::tools::{Gate, pid_in, send};

/// Leaves what it is attached to.
const LEAVE: &[u8] = b"\x1ed";

/// Starts shell `script` in the background, on a terminal that nobody looks at, and gives the task's id.
fn start(home: &Home, script: &str) -> String {
    let output = home.gco(["run", "-d", "--pty", "always", "--", "sh", "-c", script]).run();
    String::from_utf8(output.code(0).stderr("").into_stdout()).unwrap().trim().to_owned()
}

fn attach(home: &Home, id: &str) -> Pty {
    home.gco(["tasks", "attach", id]).on_pty()
}

#[test]
fn what_was_written_is_shown_and_what_is_typed_is_read() {
    let home = Home::new();
    let id = start(&home, "echo ready; read x; echo \"got $x\"; stty size; exit 5");
    home.until_log(&id, "[stdout] ready\n");
    let mut pty = attach(&home, &id);
    pty.until("ready\r\n");
    pty.resize(101, 33);
    eventually("the command's terminal to be resized", || (size_of(&home, &id) == (33, 101)).then_some(()));
    pty.write(b"some words\r");
    pty.until("got some words\r\n33 101\r\n");
    let (status, shown) = pty.wait();
    assert_eq!(status.code(), Some(5), "{}", shown.escape_ascii());
    home.until_quiet();
    assert_eq!(home.record(&id)["state"], "failed");
    assert_eq!(
        String::from_utf8_lossy(&home.log(&id)),
        "[stdout] ready\n[stdout] some words\n[stdout] got some words\n[stdout] 33 101\n"
    );
    home.no_leftovers();
}

/// Rows and columns of the command's terminal.
fn size_of(home: &Home, id: &str) -> (u16, u16) {
    let terminal = fs::File::open(format!("/proc/{}/fd/0", pid_in(&home.record(id), "pid"))).unwrap();
    let size = crate::pty::window_size(&terminal);
    (size.ws_row, size.ws_col)
}

#[test]
fn several_see_the_same_and_any_may_type() {
    let home = Home::new();
    let id = start(&home, "echo ready; read x; echo \"first $x\"; read y; echo \"then $y\"; read z; exit 0");
    home.until_log(&id, "[stdout] ready\n");
    let mut one = attach(&home, &id);
    one.until("ready\r\n");
    let mut other = attach(&home, &id);
    other.until("ready\r\n");
    one.write(b"a\r");
    one.until("first a\r\n");
    other.until("first a\r\n");
    let mut late = attach(&home, &id);
    late.until("first a\r\n");
    other.write(b"b\r");
    for pty in [&mut one, &mut other, &mut late] {
        pty.until("then b\r\n");
    }
    // One that is killed and one that loses its terminal change nothing for the rest.
    other.kill(Signal::SIGKILL);
    let (_, shown) = other.wait();
    assert!(shown.ends_with(b"then b\r\n"), "{}", shown.escape_ascii());
    late.close();
    late.wait();
    assert_eq!(home.record(&id)["state"], "running");
    one.write(b"c\r");
    let (status, _) = one.wait();
    assert_eq!(status.code(), Some(0));
    home.until_quiet();
    home.no_leftovers();
}

#[test]
fn whoever_leaves_gets_the_terminal_back_as_it_was() {
    let home = Home::new();
    // The alternate screen, no cursor, the mouse.
    let script = r"printf '\033[?1049h\033[?25l\033[?1000hdrawn'; read x; printf '\033[?1000l\033[?25h\033[?1049l'; exit 3";
    let id = start(&home, script);
    home.until_log(&id, "[gco] stdout: what is drawn on the alternate screen is left out here\n");
    for leaves in [true, false] {
        let mut pty = attach(&home, &id);
        // Asked of the terminal itself that could be too late: it is held as soon as somebody sits there.
        let before = crate::pty::usual_modes();
        pty.until("drawn");
        let shown = String::from_utf8_lossy(pty.screen()).into_owned();
        assert!(shown.starts_with("\x1b[?1049h"), "{shown:?}");
        eventually("the terminal to be held", || (pty.modes() != before).then_some(()));
        if leaves {
            pty.write(LEAVE);
            let words = format!(
                "gco: task {id} goes on in the background\r\nhint: 'gco tasks attach {id}' comes back to it\r\n"
            );
            pty.until(&words);
        } else {
            pty.kill(Signal::SIGKILL);
        }
        pty.until("\x1b[?1000l\x1b[?25h\x1b[?1049l");
        eventually("the terminal to be as before", || (pty.modes() == before).then_some(()));
        let (status, _) = pty.wait();
        assert_eq!(status.code(), leaves.then_some(75));
        assert_eq!(home.record(&id)["state"], "running");
    }
    let mut pty = attach(&home, &id);
    pty.until("drawn");
    pty.write(b"\r");
    let (status, shown) = pty.wait();
    assert_eq!(status.code(), Some(3));
    // What the command has put back is not put back once more.
    assert!(shown.ends_with(b"\x1b[?1049l"), "{}", shown.escape_ascii());
    home.until_quiet();
}

#[test]
fn the_first_key_typed_twice_goes_through_once() {
    let home = Home::new();
    let id = start(&home, "echo ready; read x; printf %s \"$x\" | od -An -c; exit 0");
    home.until_log(&id, "[stdout] ready\n");
    let mut pty = home.gco(["tasks", "attach", "--detach-keys", "ctrl-a,x", &id]).on_pty();
    pty.until("ready\r\n");
    pty.write(b"\x1ed\x01\x01y\x01z\r");
    pty.until("036   d 001   y 001   z\r\n");
    assert_eq!(pty.wait().0.code(), Some(0));
    home.until_quiet();
}

#[test]
fn who_only_looks_does_not_type() {
    let home = Home::new();
    let id = start(&home, "echo ready; read x; echo \"got $x\"");
    home.until_log(&id, "[stdout] ready\n");
    let mut pty = home.gco(["tasks", "attach", "--read-only", &id]).on_pty();
    pty.resize(50, 10);
    pty.until("ready\r\n");
    pty.write(b"nothing\r");
    let mut typist = attach(&home, &id);
    typist.until("ready\r\n");
    typist.write(b"something\r");
    typist.until("got something\r\n");
    pty.until("got something\r\n");
    assert_eq!((typist.wait().0.code(), pty.wait().0.code()), (Some(0), Some(0)));
    let id = start(&home, "echo ready; read x");
    home.until_log(&id, "[stdout] ready\n");
    let mut pty = home.gco(["tasks", "attach", "-r", &id]).on_pty();
    pty.until("ready\r\n");
    pty.write(b"\x03");
    pty.until("goes on in the background");
    assert_eq!(pty.wait().0.code(), Some(75));
    assert_eq!(home.record(&id)["state"], "running");
}

#[test]
fn a_command_with_pipes_is_followed_to_its_exit_code() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let script = "echo one; read x <go; echo two >&2; exit 7";
    let output = home.gco(["run", "-d", "--", "sh", "-c", script]).run();
    let id = String::from_utf8(output.code(0).stderr("").into_stdout()).unwrap().trim().to_owned();
    home.until_log(&id, "[stdout] one\n");
    let mut pty = attach(&home, &id);
    pty.until("[stdout] one\r\n");
    // It is no terminal's input, and stays what it was.
    pty.write(b"x\r");
    let piped = home.gco(["tasks", "attach", &id]).spawn();
    piped.until_stdout("[stdout] one\n");
    gate.open();
    pty.until("[stderr] two\r\n");
    assert_eq!(pty.wait().0.code(), Some(7));
    piped.wait().code(7).stdout("[stdout] one\n[stderr] two\n").stderr("");
    // Over already.
    home.gco(["tasks", "attach", &id]).run().code(7).stdout("[stdout] one\n[stderr] two\n").stderr("");
    home.gco(["tasks", "attach", "nobody"])
        .run()
        .code(1)
        .stdout("")
        .stderr_has("gco: there is no task 'nobody'");
}

#[test]
fn a_supervisor_that_is_killed_is_gone_on_with() {
    let home = Home::new();
    let id = start(&home, "echo ready; read x; echo \"got $x\"; exit 4");
    home.until_log(&id, "[stdout] ready\n");
    let mut pty = attach(&home, &id);
    pty.until("ready\r\n");
    for name in ["gco-supervisor", "gco-keeper", "gco-supervisor"] {
        let pid = home.the_gco(name);
        send(pid, Signal::SIGKILL);
        eventually("it to be replaced", || home.gcos(name).iter().any(|other| *other != pid).then_some(()));
    }
    pty.until("the supervisor was killed and has been replaced");
    pty.write(b"words\r");
    pty.until("got words\r\n");
    assert_eq!(pty.wait().0.code(), Some(4));
    home.until_quiet();
    assert_eq!(home.record(&id)["exit_code"], 4);
}

#[test]
fn a_viewer_that_does_not_look_holds_nothing_up_and_misses_nothing() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let id = start(&home, "echo ready; read x <go; seq 300000; echo over; exit 0");
    home.until_log(&id, "[stdout] ready\n");
    let mut pty = attach(&home, &id);
    pty.until("ready\r\n");
    gate.open();
    // Nobody reads the viewer's terminal meanwhile.
    eventually("the end on disk", || (home.record(&id)["state"] == "succeeded").then_some(()));
    let shown = pty.until("over\r\n");
    let expected: String = (1..=300_000).map(|n| format!("{n}\r\n")).collect();
    assert!(shown.ends_with(&format!("ready\r\n{expected}over\r\n")), "{} bytes shown", shown.len());
    assert_eq!(pty.wait().0.code(), Some(0));
    home.until_quiet();
    home.no_leftovers();
}

#[test]
fn a_front_end_that_was_left_is_come_back_to() {
    let home = Home::new();
    let mut pty =
        home.gco(["run", "-q", "--", "sh", "-c", "echo ready; read x; echo \"got $x\"; exit 6"]).on_pty();
    let before = pty.modes();
    pty.until("ready\r\n");
    let id = home.only_id();
    pty.write(LEAVE);
    pty.until("goes on in the background\r\n");
    eventually("the terminal to be as before", || (pty.modes() == before).then_some(()));
    assert_eq!(pty.wait().0.code(), Some(75));
    let mut pty = attach(&home, &id);
    pty.until("ready\r\n");
    pty.write(b"again\r");
    pty.until("got again\r\n");
    assert_eq!(pty.wait().0.code(), Some(6));
    home.until_quiet();
    home.no_leftovers();
}
