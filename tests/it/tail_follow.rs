//! `gco tasks tail --follow` on logs that grow, vanish, come back and end.

use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

use crate::fake::Fake;
use crate::harness::{Home, Running};
use crate::wait_lost::until_watching;

fn follow<'h>(home: &'h Home, args: &[&str]) -> Running<'h> {
    home.gco(["tasks", "tail", "t-1", "-f"].iter().chain(args)).spawn()
}

/// A running task with a log, and a follower that has shown it.
fn followed(home: &Home) -> (Fake, Running<'_>) {
    let task = Fake::start(home, "t-1");
    task.write(b"[stdout] one\n");
    let tail = follow(home, &[]);
    tail.until_stdout("[stdout] one\n");
    (task, tail)
}

#[test]
fn each_line_is_shown_as_it_is_written() {
    let home = Home::new();
    let (task, tail) = followed(&home);
    task.write(b"[stderr] two\n[stdout] th");
    tail.until_stdout("[stdout] one\n[stderr] two\n");
    task.write(b"ree\n");
    tail.until_stdout("[stdout] one\n[stderr] two\n[stdout] three\n");
    task.record("running");
    task.write(b"[stdout] four\n");
    task.finish("failed");
    tail.wait().code(0).stdout("[stdout] one\n[stderr] two\n[stdout] three\n[stdout] four\n").stderr("");
}

#[test]
fn the_kernel_tells_and_nobody_polls() {
    let home = Home::new();
    let (task, tail) = followed(&home);
    let mut shown = "[stdout] one\n".to_owned();
    let start = Instant::now();
    for n in 0..100 {
        let line = format!("[stdout] {n}\n");
        task.write(line.as_bytes());
        shown += &line;
        tail.until_stdout(&shown);
    }
    // A look every 200 ms would take 10 s on average.
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    task.finish("succeeded");
    tail.wait().code(0).stdout(shown).stderr("");
}

#[test]
fn the_last_line_is_never_missed() {
    for round in 0..60 {
        let home = Home::new();
        let (task, tail) = followed(&home);
        // Somewhere in this the follower looks at the log, and somewhere at the record.
        for _ in 0..round {
            task.record("running");
        }
        task.write(b"[stdout] last\n");
        task.finish("succeeded");
        tail.wait().code(0).stdout("[stdout] one\n[stdout] last\n").stderr("");
    }
}

#[test]
fn a_prompt_is_shown_at_once_and_its_line_goes_on() {
    let home = Home::new();
    let (task, tail) = followed(&home);
    task.write(b"[stdout~] name? \n");
    tail.until_stdout("[stdout] one\n[stdout] name? ");
    task.write(b"[stdout] joe\n[stdout~] 10%\n");
    tail.until_stdout("[stdout] one\n[stdout] name? joe\n[stdout] 10%");
    task.write(b"[stderr] warning\n[stdout~] 20%\n");
    let shown = "[stdout] one\n[stdout] name? joe\n[stdout] 10%\n[stderr] warning\n[stdout] 20%";
    tail.until_stdout(shown);
    task.finish("succeeded");
    tail.wait().code(0).stdout(format!("{shown}\n")).stderr("");
}

#[test]
fn a_terminal_redraws_a_progress_bar() {
    let home = Home::new();
    let task = Fake::start(&home, "t-1");
    let mut tail = home.gco(["tasks", "tail", "t-1", "-f"]).on_pty();
    task.write(b"[stderr~] 10%\r\n");
    tail.until("\x1b[?7l[stderr] 10%\x1b[?7h");
    task.write(b"[stderr] 20%\n[stdout] next\n");
    tail.until("\r\x1b[K[stderr] 20%\r\n[stdout] next\r\n");
    task.finish("succeeded");
    assert_eq!(tail.wait().0.code(), Some(0));
}

#[test]
fn only_what_is_new() {
    let home = Home::new();
    let task = Fake::start(&home, "t-1");
    task.write(b"[stdout] old\n");
    let tail = follow(&home, &["-n", "0"]);
    until_watching(&tail, 2);
    task.write(b"[stderr] new\n");
    tail.until_stdout("[stderr] new\n");
    task.finish("succeeded");
    tail.wait().code(0).stdout("[stderr] new\n").stderr("");
}

#[test]
fn a_log_that_is_not_there_yet_is_waited_for() {
    let home = Home::new();
    let task = Fake::start(&home, "t-1");
    let tail = follow(&home, &["--json"]);
    task.write(b"[stdout~] a\n");
    task.write(b"[stdout] b\n");
    let line = "{\"complete\":true,\"stream\":\"stdout\",\"text\":\"ab\"}\n";
    tail.until_stdout(line);
    task.finish("cancelled");
    let last = "{\"state\":\"cancelled\",\"task_id\":\"t-1\"}\n";
    tail.wait().code(0).stdout(format!("{line}{last}")).stderr("");
}

#[test]
fn a_queued_task_without_output_ends_too() {
    let home = Home::new();
    let task = Fake::start(&home, "t-1");
    task.record("queued");
    let tail = follow(&home, &[]);
    task.finish("failed");
    tail.wait().code(0).stdout("").stderr("");
}

#[test]
fn a_supervisor_that_dies_is_told() {
    let home = Home::new();
    let (task, tail) = followed(&home);
    task.write(b"[stdout] two\n[stdout] to");
    task.die();
    let words = "gco: 't-1' is orphaned: nobody supervises it any more\n";
    tail.wait().code(0).stdout("[stdout] one\n[stdout] two\n").stderr(words);
}

#[test]
fn a_task_that_is_removed_is_told() {
    let home = Home::new();
    let (task, tail) = followed(&home);
    task.write(b"[stdout] last\n");
    fs::remove_file(task.log_path()).unwrap();
    fs::remove_file(task.record_path()).unwrap();
    task.die();
    let words = "gco: 't-1' was removed while it was followed\n";
    tail.wait().code(0).stdout("[stdout] one\n[stdout] last\n").stderr(words);
}

#[test]
fn a_live_task_puts_its_files_back_and_nothing_is_shown_twice() {
    let home = Home::new();
    let (task, tail) = followed(&home);
    fs::remove_file(task.log_path()).unwrap();
    fs::remove_file(task.record_path()).unwrap();
    // Put back bit by bit: the follower may look at any moment.
    task.write(b"[stdout] o");
    task.record("running");
    task.write(b"ne\n[stdout] two\n");
    tail.until_stdout("[stdout] one\n[stdout] two\n");
    task.write(b"[stdout] three\n");
    task.finish("succeeded");
    tail.wait().code(0).stdout("[stdout] one\n[stdout] two\n[stdout] three\n").stderr("");
}

#[test]
fn another_log_in_its_place_is_shown_from_its_beginning() {
    let home = Home::new();
    let (task, tail) = followed(&home);
    let other = home.path().join("other");
    fs::write(&other, "[gco] new\n").unwrap();
    fs::rename(&other, task.log_path()).unwrap();
    tail.until_stdout("[stdout] one\n[gco] new\n");
    task.write(b"[stdout] on\n");
    task.finish("succeeded");
    tail.wait().code(0).stdout("[stdout] one\n[gco] new\n[stdout] on\n").stderr("");
}

#[test]
fn a_log_that_is_cut_is_told() {
    let home = Home::new();
    let (task, tail) = followed(&home);
    fs::File::options().write(true).open(task.log_path()).unwrap().set_len(0).unwrap();
    crate::harness::eventually("the cut to be told", || (!tail.stderr().is_empty()).then_some(()));
    task.write(b"[stdout] two\n");
    task.finish("succeeded");
    let words = "gco: the log of 't-1' was cut; going on from its beginning\n";
    tail.wait().code(0).stdout("[stdout] one\n[stdout] two\n").stderr(words);
}

#[test]
fn a_torn_line_taken_back_by_a_successor_is_never_shown() {
    let home = Home::new();
    let (task, tail) = followed(&home);
    let whole = fs::metadata(task.log_path()).unwrap().len();
    task.write(b"[stdout] torn by a ki");
    task.write(b"");
    fs::File::options().write(true).open(task.log_path()).unwrap().set_len(whole).unwrap();
    task.write(b"[gco] restarted\n");
    task.finish("succeeded");
    tail.wait().code(0).stdout("[stdout] one\n[gco] restarted\n").stderr("");
}

#[test]
fn a_reader_that_goes_ends_it_though_nothing_is_written() {
    let home = Home::new();
    let task = Fake::start(&home, "t-1");
    task.write(b"[stdout] one\n");
    let tail = home.gco(["tasks", "tail", "t-1", "-f"]).read_at_most(5).spawn();
    tail.wait().code(0).stdout("[stdo").stderr("");
    drop(task);
}

#[test]
fn a_planted_log_ends_it() {
    let home = Home::new();
    let (task, tail) = followed(&home);
    fs::remove_file(task.log_path()).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", task.log_path()).unwrap();
    let words = "gco: cannot read the log of 't-1': it is a symbolic link\n";
    tail.wait().code(1).stdout("[stdout] one\n").stderr(words);
}

#[test]
fn a_spoiled_record_leaves_the_log_readable() {
    let home = Home::new();
    let task = Fake::start(&home, "t-1");
    task.write(b"[stdout] one\n");
    fs::write(task.record_path(), "{").unwrap();
    task.die();
    home.gco(["tasks", "tail", "t-1"]).run().code(0).stdout("[stdout] one\n").stderr("");
    let followed = home.gco(["tasks", "tail", "t-1", "-f"]).run().code(1);
    followed.stdout_has("").stderr_has("gco: cannot read the record of 't-1': it is not valid JSON");
}

#[test]
fn a_fast_writer_is_followed_to_the_byte() {
    let home = Home::new();
    let task = Fake::start(&home, "t-1");
    task.write(b"");
    let tail = follow(&home, &["-n", "all", "--raw"]);
    let mut log = fs::File::options().append(true).open(task.log_path()).unwrap();
    let mut expected = Vec::new();
    for round in 0..2000 {
        let text = format!("line {round} {}", "x".repeat(round % 500));
        expected.extend_from_slice(text.as_bytes());
        expected.push(b'\n');
        // In two writes: the follower may look in between.
        let line = format!("[stdout] {text}\n");
        let (one, two) = line.split_at(round % line.len());
        log.write_all(one.as_bytes()).unwrap();
        log.write_all(two.as_bytes()).unwrap();
    }
    task.finish("succeeded");
    tail.wait().code(0).stdout(expected).stderr("");
}
