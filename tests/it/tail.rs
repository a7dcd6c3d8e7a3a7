//! `gco tasks tail` on logs as they are.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::symlink;
use std::time::Instant;

use nix::sys::stat::Mode;
use serde_json::json;

use crate::fake::Fake;
use crate::harness::Home;
use crate::oracle::rebuild;

const LOG: &[u8] = b"[stdout~] a\n[stderr] x\n[gco] g\n[stdout] b\n[stdout] \n[stderr~] p\n[stdout] tor";

fn home_with(log: &[u8]) -> Home {
    let home = Home::new();
    Fake::over(&home, "t-1", log);
    home
}

#[test]
fn lines_are_tagged_and_parts_are_joined() {
    let home = home_with(LOG);
    let tail = |args: &[&str], expected: &str| {
        home.gco(["tasks", "tail", "t-1"].iter().chain(args)).run().code(0).stdout(expected).stderr("");
    };
    let all = "[stderr] x\n[gco] g\n[stdout] ab\n[stdout] \n[stderr] p\n";
    tail(&[], all);
    tail(&["-n", "all"], all);
    tail(&["-n2"], "[stdout] \n[stderr] p\n");
    tail(&["-n", "0"], "");
    tail(&["--stream", "stdout"], "[stdout] ab\n[stdout] \n");
    tail(&["--stream", "stderr", "-n", "1"], "[stderr] p\n");
    tail(&["--stream", "stderr", "-n", "all"], "[stderr] x\n[stderr] p\n");
    tail(&["--raw", "-n", "3"], "ab\n\np");
    tail(&["--raw", "-n", "all"], "ax\nb\n\np");
    tail(&["--raw", "-n", "all", "--stream", "stdout"], "ab\n\n");
}

#[test]
fn raw_is_the_stream_to_the_byte() {
    let log = [
        &b"[stdout] nul \0 and \xff\xfe and \xc3\n[stderr~] 10%\r\n[stdout] \r\n[stdout] [stderr] not a tag\n"[..],
        b"[stderr~] 20%\r\n[gco] a word\n[stdout] \n[stdout~] \x1b[31m",
        &b"x".repeat(65_000),
        b"\n[stdout~] no newline\n[stderr] \n",
    ]
    .concat();
    let home = home_with(&log);
    for stream in ["stdout", "stderr"] {
        let expected = rebuild(&log, stream);
        let args = ["tasks", "tail", "t-1", "--raw", "-n", "all", "--stream", stream];
        home.gco(args).run().code(0).stdout(&expected).stderr("");
        home.gco(args).arg("-f").run().code(0).stdout(&expected).stderr("");
    }
}

#[test]
fn json_is_json_also_of_nothing() {
    let home = home_with(LOG);
    let lines = json!([
        {"stream": "gco", "text": "g", "complete": true},
        {"stream": "stdout", "text": "ab", "complete": true},
        {"stream": "stdout", "text": "", "complete": true},
        {"stream": "stderr", "text": "p", "complete": false},
    ]);
    let shown = home.gco(["tasks", "tail", "t-1", "--json", "-n", "4"]).run().code(0).stderr("").json();
    assert_eq!(shown, json!({"task_id": "t-1", "state": "succeeded", "lines": lines}));
    let running = Fake::start(&home, "t-2");
    let shown = home.gco(["tasks", "tail", "t-2", "--json"]).run().code(0).stderr("").json();
    assert_eq!(shown, json!({"task_id": "t-2", "state": "running", "lines": []}));
    home.gco(["tasks", "tail", &running.id]).run().code(0).stdout("").stderr("");
}

#[test]
fn another_tools_log_is_shown_as_it_is() {
    let home = home_with(b"plain\n\n[other] x\n");
    home.gco(["tasks", "tail", "t-1"]).run().code(0).stdout("plain\n\n[other] x\n").stderr("");
    home.gco(["tasks", "tail", "t-1", "--raw"]).run().code(0).stdout("plain\n\n[other] x\n").stderr("");
    home.gco(["tasks", "tail", "t-1", "--stream", "stdout"]).run().code(0).stdout("").stderr("");
}

#[test]
fn the_end_of_ten_gibibytes_is_there_at_once() {
    let home = home_with(b"");
    let mut log = File::options().write(true).open(home.tasks().join("t-1.log")).unwrap();
    log.seek(SeekFrom::Start(10 << 30)).unwrap();
    let lines: Vec<_> = (0..5000).map(|n| format!("[stdout] line {n}\n")).collect();
    log.write_all(b"\n").unwrap();
    log.write_all(lines.concat().as_bytes()).unwrap();
    let start = Instant::now();
    home.gco(["tasks", "tail", "t-1"]).run().code(0).stdout(lines[4900..].concat()).stderr("");
    home.gco(["tasks", "tail", "t-1", "-f", "-n", "1"])
        .run()
        .code(0)
        .stdout("[stdout] line 4999\n")
        .stderr("");
    // Reading all of it takes longer by far on any machine.
    assert!(start.elapsed().as_secs_f64() < 1.0, "{:?}", start.elapsed());
}

#[test]
fn what_is_read_does_not_grow_with_the_log() {
    let line = b"[stdout] a line of the usual length, more or less, as compilers write them\n";
    let home = home_with(&line.repeat(1_400_000));
    // The shell's counter takes in what its children have read once they are reaped.
    let script = "gco tasks tail t-1 >lines; cat /proc/$$/io";
    let output = home.command("sh", ["-c", script]).run().code(0).stderr("").into_stdout();
    let shown = String::from_utf8(output).unwrap();
    let read: u64 = shown.lines().next().unwrap().strip_prefix("rchar: ").unwrap().parse().unwrap();
    assert!(read < 1 << 20, "{read} bytes were read");
    assert_eq!(fs::read(home.path().join("lines")).unwrap(), line.repeat(100));
}

#[test]
fn a_line_that_never_ends_is_shown_by_its_last_part() {
    let mut log = b"[stdout] before\n".to_vec();
    for _ in 0..80 {
        log.extend_from_slice(b"[stdout~] ");
        log.resize(log.len() + 65_536, b'x');
        log.push(b'\n');
    }
    log.extend_from_slice(b"[stdout] end\n");
    let home = home_with(&log);
    let shown = home.gco(["tasks", "tail", "t-1", "-n1"]).run().code(0).stderr("").into_stdout();
    assert_eq!(shown.len(), b"[stdout] \n".len() + (1 << 20));
    assert!(shown.starts_with(b"[stdout] xxx") && shown.ends_with(b"xend\n"));
    let whole =
        home.gco(["tasks", "tail", "t-1", "-n", "all", "--raw"]).run().code(0).stderr("").into_stdout();
    assert!(whole == rebuild(&log, "stdout"));
}

#[test]
fn a_terminal_gets_colours_and_nothing_else() {
    let home = home_with(b"[stdout] \x1b[31mred\x1b[2J\x1b]0;title\x07\n[stderr] a\rb\r\n");
    let (status, screen) = home.gco(["tasks", "tail", "t-1"]).on_pty().wait();
    assert_eq!(status.code(), Some(0));
    assert_eq!(screen.escape_ascii().to_string(), r"[stdout] \x1b[31mred\x1b[0m\r\n[stderr] b\r\n");
    let (_, screen) = home.gco(["tasks", "tail", "t-1"]).env("NO_COLOR", "1").on_pty().wait();
    assert_eq!(screen.escape_ascii().to_string(), r"[stdout] red\r\n[stderr] b\r\n");
    let (_, screen) = home.gco(["tasks", "tail", "t-1", "--raw", "-n1"]).on_pty().wait();
    assert_eq!(screen.escape_ascii().to_string(), r"a\rb\r\r\n");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let home = home_with(&b"[stdout] a line\n".repeat(100_000));
    home.gco(["tasks", "tail", "t-1", "-n", "all"])
        .read_at_most(9)
        .run()
        .code(0)
        .stdout("[stdout] ")
        .stderr("");
}

#[test]
fn planted_logs_are_refused_and_never_opened() {
    let home = home_with(b"");
    let log = home.tasks().join("t-1.log");
    let secret = home.path().join("secret");
    fs::write(&secret, "[stdout] secret\n").unwrap();
    let plants: [(&dyn Fn(), &str); 4] = [
        (&|| nix::unistd::mkfifo(&log, Mode::S_IRWXU).unwrap(), "it is not a regular file"),
        (&|| symlink(&secret, &log).unwrap(), "it is a symbolic link"),
        (&|| fs::hard_link(&secret, &log).unwrap(), "it has more than one link"),
        (&|| fs::create_dir(&log).unwrap(), "it is not a regular file"),
    ];
    fs::remove_file(&log).unwrap();
    for (plant, why) in plants {
        plant();
        let words = format!("gco: cannot read the log of 't-1': {why}\n");
        for args in [&["tasks", "tail", "t-1"][..], &["tasks", "tail", "t-1", "-f"]] {
            home.gco(args).run().code(1).stdout("").stderr(&words);
        }
        if log.is_dir() { fs::remove_dir(&log).unwrap() } else { fs::remove_file(&log).unwrap() }
    }
}

#[test]
fn a_task_is_named_as_everywhere() {
    let home = home_with(LOG);
    Fake::over(&home, "other-1895257472000-0", b"[stdout] older\n");
    Fake::over(&home, "other-1895257473000-0", b"[stdout] newer\n");
    home.gco(["tasks", "tail", "other", "-n1"]).run().code(0).stdout("[stdout] newer\n").stderr("");
    home.gco(["tasks", "tail", "other-1895257472"]).run().code(0).stdout("[stdout] older\n").stderr("");
    home.gco(["tasks", "tail", "-n1", "-f"]).run().code(0).stdout("[stdout] newer\n").stderr("");
    home.gco(["tasks", "tail", "other-"]).run().code(2).stdout("").stderr_has("other-1895257473000-0");
}

#[test]
fn wrong_words_are_told() {
    let home = home_with(LOG);
    home.gco(["tasks", "tail", "nosuch"]).run().code(1).stdout("").stderr_has("nosuch");
    for id in ["../t-1", "/etc/passwd", "", "a/b", &"x".repeat(10_000)] {
        home.gco(["tasks", "tail", id]).run().code(2).stdout("").stderr_has("gco: ");
    }
    for args in [&["-n", "-5"][..], &["-n", "many"], &["-n", ""], &["--stream", "x"], &["--raw", "--json"]] {
        home.gco(["tasks", "tail", "t-1"].iter().chain(args)).run().code(2).stdout("").stderr_has("gco: ");
    }
    let nobody = Home::new();
    nobody.gco(["tasks", "tail", "t-1"]).run().code(1).stdout("").stderr_has("t-1");
}
