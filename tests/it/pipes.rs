//! Where the output goes: readers that leave, readers that are slow, terminals that are stopped.

use std::fs;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::harness::{Home, eventually};
use crate::oracle::rebuild;
use crate::tools::{Gate, most_memory};

/// What a pipeline prints and how its parts end, bare and with gco before one of its commands.
#[track_caller]
fn same(home: &Home, bare: &str, wrapped: &str) {
    let script = |line: &str| format!("{line}; echo \"${{PIPESTATUS[*]}}\"");
    let result = |line: &str| {
        let output = home.command("bash", ["-c", &script(line)]).run();
        let shown = output.to_string();
        output.code(0).stdout_has("").stderr_has("");
        // All but the first line, which is the script itself.
        shown.split_once("\nstdout: ").unwrap().1.to_owned()
    };
    assert_eq!(result(bare), result(wrapped), "{wrapped}");
    home.until_quiet();
}

#[test]
fn pipelines_end_as_they_do_without_gco() {
    let home = Home::new();
    same(&home, "yes | head -n 1", "gco run -- yes | head -n 1");
    same(&home, "yes | head -n 1", "yes | gco run -- head -n 1");
    same(&home, "yes | head -n 1", "gco run -- yes | gco run -- head -n 1");
    same(&home, "yes 2>&1 | head -n 1", "gco run -- yes 2>&1 | head -n 1");
    same(&home, "seq 1000000 | tail -n 1", "gco run -- seq 1000000 | tail -n 1");
    same(&home, "seq 300000 | cat | md5sum", "seq 300000 | gco run -- cat | md5sum");
    // Whoever ignores the signal hears of it as an error.
    let bare = "trap '' PIPE; (yes 2>/dev/null) | head -n 1";
    same(&home, bare, "trap '' PIPE; (gco run -- yes 2>/dev/null) | head -n 1");
}

#[test]
fn a_reader_that_leaves_is_noticed_by_a_command_that_writes() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let script = "echo one; read x <go; while :; do echo two; done";
    let run = home.gco(["run", "--", "sh", "-c", script]).read_at_most(4).spawn();
    run.until_stdout("one\n");
    gate.open();
    run.wait().signal(Signal::SIGPIPE).stdout("one\n").stderr("");
    let record = home.record(&home.only_id());
    assert_eq!((record["state"].as_str(), record["signal"].as_str()), (Some("failed"), Some("SIGPIPE")));
}

#[test]
fn a_reader_of_one_stream_that_leaves_does_not_take_the_other() {
    let home = Home::new();
    let script = "trap '' PIPE; exec 2>/dev/null; gco run -- sh -c 'read x <go; echo out; echo err >&2; echo more >&2' \
                  2>&1 >&3 3>&- | cat >err; true";
    let gate = Gate::new(&home, "go");
    // Nobody reads stdout from the start.
    let script = format!("{{ {script}; }} 3>&1");
    let run = home.command("sh", ["-c", &script]).read_at_most(0).spawn();
    home.until_running();
    gate.open();
    run.wait().code(0).stdout("").stderr("");
    let err = fs::read_to_string(home.path().join("err")).unwrap();
    assert!(err.ends_with("err\nmore\n"), "{err}");
}

#[test]
fn a_slow_reader_slows_the_command_and_nothing_is_kept_in_memory() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let script = "gco run -- seq 1500000 | { read x <go; cat; }";
    let run = home.command("sh", ["-c", script]).spawn();
    let id = home.until_running()["task_id"].as_str().unwrap().to_owned();
    let size = || fs::metadata(home.tasks().join(format!("{id}.log"))).map_or(0, |meta| meta.len());
    // Until it stands still. What is slow for other reasons stands still, too: that only makes the test milder.
    let (mut last, mut looks) = (0, 0);
    eventually("the log to grow no more", || {
        let now = size();
        looks = if now == last && now > 0 { looks + 1 } else { 0 };
        last = now;
        thread::park_timeout(Duration::from_millis(10));
        (looks > 30).then_some(())
    });
    assert!(last < 6 << 20, "{last} bytes went into the log with nobody reading");
    assert_eq!(home.record(&id)["state"], "running");
    let gcos = home.processes().into_iter().filter(|process| process.is_gco);
    let peak = gcos.filter_map(|process| most_memory(process.pid)).max().unwrap_or(0);
    assert!(peak < 6 << 10, "{peak} KiB");
    gate.open();
    let expected: String = (1..=1_500_000).map(|n| format!("{n}\n")).collect();
    let shown = run.wait().code(0).stderr("").into_stdout();
    assert!(shown == expected.as_bytes(), "{} of {} bytes", shown.len(), expected.len());
    assert!(rebuild(&home.log(&id), "stdout") == expected.as_bytes());
}

#[test]
fn a_stopped_terminal_holds_nothing_up_and_misses_nothing() {
    let home = Home::new();
    let script = "seq 300000; yes e | head -n 1000 >&2; echo over >finished";
    let pty = home.gco(["run", "--", "sh", "-c", script]).on_pty();
    // Nobody reads the terminal, and the command is through.
    home.until_file("finished");
    let id = home.only_id();
    home.until_state(&id, "succeeded");
    let (status, screen) = pty.wait();
    assert_eq!(status.code(), Some(0));
    let screen = String::from_utf8(screen).unwrap();
    let shown = screen.strip_prefix(&format!("gco: task {id}\r\n")).unwrap();
    // The two streams may be mixed where the terminal was full; each is whole and in order.
    let digits: String = shown.chars().filter(char::is_ascii_digit).collect();
    let expected: String = (1..=300_000).map(|n| n.to_string()).collect();
    assert!(digits == expected, "{} digits of {}", digits.len(), expected.len());
    assert_eq!((shown.matches('e').count(), shown.matches("\r\n").count()), (1000, 301_000));
    assert_eq!(shown.len(), digits.len() + 1000 + 2 * 301_000);
}
