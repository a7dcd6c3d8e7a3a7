//! `gco tasks wait --since`: step by step through a log that grows, nothing twice and nothing missed.

use nix::sys::signal::Signal;

use crate::fake::Fake;
use crate::harness::{Home, eventually};
use crate::queue::detached;
use crate::tools::{Gate, send};
use crate::wait::{told, wait};

/// Goes through what is there from `since` on in steps of at most `most` bytes, and gives all of it and the last cursor.
fn steps(home: &Home, id: &str, since: &str, most: &str) -> (String, String) {
    let (mut all, mut cursor) = (String::new(), since.to_owned());
    loop {
        let step = told(home, &[id, "--since", &cursor, "--max-bytes", most, "--until", "silent:1ms"], 0);
        let output = step["output"].as_str().unwrap();
        assert!(output.is_empty() || output.ends_with('\n'), "{output:?}");
        all.push_str(output);
        let next = step["cursor"].as_str().unwrap().to_owned();
        assert_eq!(output.is_empty(), next == cursor || cursor == "start" && next.ends_with("@0"));
        cursor = next;
        if step["more"] == false {
            return (all, cursor);
        }
    }
}

#[test]
fn each_step_gives_what_is_new() {
    let home = Home::new();
    let fake = Fake::start(&home, "t-1");
    let mut log = String::new();
    let mut seen = String::new();
    let mut cursor = "start".to_owned();
    for round in 0..5 {
        let lines: String =
            (0..20).map(|n| format!("[std{}] {round}-{n}\n", ["out", "err"][n % 2])).collect();
        fake.write(lines.as_bytes());
        log.push_str(&lines);
        let (new, next) = steps(&home, "t-1", &cursor, ["1", "20", "64", "300", "64KiB"][round]);
        seen.push_str(&new);
        cursor = next;
        if round > 0 {
            assert_eq!(cursor, format!("t-1@{}", log.len()));
        }
    }
    // One byte at a time a line is given cut, and told to be.
    let (first, rest) = seen.split_at(seen.find("[stdout] 1-0\n").unwrap());
    assert_eq!(first, "[…\n".repeat(20));
    assert_eq!(rest, &log[log.find("[stdout] 1-0\n").unwrap()..]);
    // A line whose end has not been written is none yet.
    fake.write(b"[stdout] half");
    assert_eq!(steps(&home, "t-1", &cursor, "64KiB"), (String::new(), cursor.clone()));
    fake.write(b" and half\n");
    assert_eq!(steps(&home, "t-1", &cursor, "64KiB").0, "[stdout] half and half\n");
}

#[test]
fn a_line_that_is_too_long_is_told_to_be_cut() {
    let home = Home::new();
    let long = format!("[stdout] {}\n[stdout] next\n", "x".repeat(1000));
    Fake::over(&home, "t-1", long.as_bytes());
    let step = told(&home, &["t-1", "--since", "start", "--max-bytes", "100"], 0);
    assert_eq!(step["output"], format!("[stdout] {}…\n", "x".repeat(91)));
    assert_eq!((step["left_out_bytes"].as_u64(), step["more"].as_bool()), (Some(909), Some(true)));
    let step = told(&home, &["t-1", "--since", step["cursor"].as_str().unwrap()], 0);
    assert_eq!((step["output"].as_str(), step.get("left_out_bytes")), (Some("[stdout] next\n"), None));
}

#[test]
fn a_cursor_outlives_whoever_writes() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let id = detached(&home, &[], "for n in 1 2 3; do echo $n; read x <go; done");
    home.until_log(&id, "[stdout] 1\n");
    let (first, cursor) = steps(&home, &id, "start", "64KiB");
    assert_eq!(first, "[stdout] 1\n");
    send(home.the_gco("gco-supervisor"), Signal::SIGKILL);
    let word = "[gco] the supervisor was killed and has been replaced\n";
    eventually("another", || String::from_utf8(home.log(&id)).unwrap().contains(word).then_some(()));
    gate.open();
    home.until_log(&id, format!("[stdout] 1\n{word}[stdout] 2\n"));
    let (second, cursor) = steps(&home, &id, &cursor, "64KiB");
    assert_eq!(second, format!("{word}[stdout] 2\n"));
    gate.open();
    gate.open();
    home.until_state(&id, "succeeded");
    assert_eq!(told(&home, &[&id, "--since", &cursor], 0)["output"], "[stdout] 3\n");
}

#[test]
fn a_cursor_that_fits_nothing_is_refused() {
    let home = Home::new();
    Fake::over(&home, "t-1", b"[stdout] a\n[stdout] b\n");
    Fake::over(&home, "t-2", b"");
    let refused = |args: &[&str], words: &str| wait(&home, args).wait().code(2).stdout("").stderr(words);
    let hint = "hint: --since start begins with the first line\n";
    drop(refused(
        &["t-1", "--since", "t-2@0"],
        "gco: the cursor 't-2@0' is one of another task, not of 't-1'\n",
    ));
    let beyond = "is beyond the end of the log, which has 22 bytes";
    drop(refused(&["t-1", "--since", "t-1@23"], &format!("gco: the cursor 't-1@23' {beyond}\n{hint}")));
    let within = "is not at the start of a line";
    drop(refused(&["t-1", "--since", "t-1@5"], &format!("gco: the cursor 't-1@5' {within}\n{hint}")));
    let several = "gco: --since is for one task, and 2 are named\n";
    drop(refused(&["t-1", "t-2", "--since", "start"], several));
    assert_eq!(told(&home, &["t-1", "--since", "t-1@11"], 0)["output"], "[stdout] b\n");
    assert_eq!(told(&home, &["t-1", "--since", "t-1@22"], 0)["output"], "");
}
