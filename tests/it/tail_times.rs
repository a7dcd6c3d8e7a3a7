//! `gco tasks tail --timestamps` and `--since`: what it shows of the times that are known, and how it says that none are.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::symlink;

use gco::log::times::{HEADER, entry};
use serde_json::json;

use crate::fake::Fake;
use crate::harness::{Gco, Home, eventually};
use crate::tools::Gate;

/// 2026-11-21T10:37:52Z: when each [`Fake`] started.
const START: u64 = 1_795_257_472_000;

const LOG: &[u8] = b"[stdout~] a\n[stderr] x\n[gco] g\n[stdout] b\n[stdout] \n[stderr~] p\n";

fn write_index(home: &Home, id: &str, entries: &[(u64, u64)]) {
    let mut bytes = HEADER.to_vec();
    bytes.extend(entries.iter().flat_map(|&(offset, time)| entry(offset, time)));
    fs::write(home.tasks().join(format!(".{id}.times")), bytes).unwrap();
}

/// A task with [`LOG`]: its first two lines at once, the next two 12.3 seconds, the last ones a day later.
fn home() -> Home {
    let home = Home::new();
    Fake::over(&home, "t-1", LOG);
    write_index(&home, "t-1", &[(0, START + 40), (23, START + 12_345), (42, START + 86_400_000)]);
    home
}

fn tail<'h>(home: &'h Home, args: &[&str]) -> Gco<'h> {
    home.gco(["tasks", "tail", "t-1"].iter().chain(args)).env("TZ", "UTC")
}

#[test]
fn each_line_has_its_time_before_it() {
    let home = home();
    let absolute = "10:37:52.0 [stderr] x\n10:38:04.3 [gco] g\n10:38:04.3 [stdout] ab\n\
                    10:37:52.0 [stdout] \n10:37:52.0 [stderr] p\n";
    tail(&home, &["--timestamps"]).run().code(0).stdout(absolute).stderr("");
    tail(&home, &["--timestamps=absolute"]).run().code(0).stdout(absolute).stderr("");
    let east = absolute.replace("10:3", "15:3");
    tail(&home, &["--timestamps"]).env("TZ", "<+05>-5").run().code(0).stdout(east).stderr("");
    let relative = "   +0:00.0 [stderr] x\n   +0:12.3 [gco] g\n".to_owned()
        + "   +0:12.3 [stdout] ab\n+24:00:00.0 [stdout] \n+24:00:00.0 [stderr] p\n";
    tail(&home, &["--timestamps=relative"]).run().code(0).stdout(&relative).stderr("");
    let followed = "10:37:52.0 [stdout] a\n10:37:52.0 [stderr] x\n10:38:04.3 [gco] g\n";
    let all = tail(&home, &["--timestamps", "-n", "0", "-f"]).run();
    all.code(0).stdout("").stderr("");
    let running = Fake::start(&home, "t-2");
    write_index(&home, "t-2", &[(0, START + 40), (23, START + 12_345)]);
    let follow = home.gco(["tasks", "tail", "t-2", "-f", "--timestamps"]).env("TZ", "UTC").spawn();
    running.write(&LOG[..31]);
    follow.until_stdout(followed);
    running.write(&LOG[31..42]);
    running.finish("succeeded");
    follow.wait().code(0).stdout(followed.to_owned() + "10:38:04.3 [stdout] b\n").stderr("");
    // The start to the millisecond, where the id says it.
    let id = format!("t-{}-0", START + 40);
    Fake::over(&home, &id, LOG);
    write_index(&home, &id, &[(0, START + 1140)]);
    let args = ["tasks", "tail", &id, "-n1", "--timestamps=relative"];
    home.gco(args).run().code(0).stdout("   +0:01.1 [stderr] p\n").stderr("");
}

#[test]
fn json_has_the_times_that_are_known() {
    let home = home();
    write_index(&home, "t-1", &[(31, START + 12_345), (42, START + 86_400_000)]);
    let lines = json!([
        {"stream": "gco", "text": "g", "complete": true},
        {"stream": "stdout", "text": "ab", "complete": true, "time": "2026-11-21T10:38:04.300Z"},
        {"stream": "stdout", "text": "", "complete": true, "time": "2026-11-22T10:37:52.000Z"},
        {"stream": "stderr", "text": "p", "complete": false, "time": "2026-11-22T10:37:52.000Z"},
    ]);
    let shown = tail(&home, &["--json", "-n4"]).run().code(0).stderr("").json();
    assert_eq!(shown["lines"], lines);
    let output = tail(&home, &["--json", "-n4", "-f"]).run().code(0).stderr("").into_stdout();
    let objects: Vec<serde_json::Value> =
        output.split(|&b| b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    assert_eq!(objects[..4], lines.as_array().unwrap()[..]);
}

#[test]
fn a_moment_is_where_it_begins() {
    let home = home();
    let shown = |args: &[&str], expected: &str| {
        tail(&home, args).run().code(0).stdout(expected).stderr("");
        tail(&home, &[args, &["-f"]].concat()).run().code(0).stdout(expected).stderr("");
    };
    let late = "[stdout] \n[stderr] p\n";
    let middle = "[gco] g\n[stdout] b\n[stdout] \n[stderr] p\n";
    let all = "[stderr] x\n[gco] g\n[stdout] ab\n[stdout] \n[stderr] p\n";
    shown(&["--since", "2026-11-21T10:38:04.399Z"], middle);
    shown(&["--since", "2026-11-21T12:38:04+02:00"], middle);
    shown(&["--since", "2026-11-21T10:38:04.4Z"], late);
    shown(&["--since", "2026-11-22T10:37:52Z", "-n", "1"], "[stderr] p\n");
    shown(&["--since", "2026-11-22T10:37:52Z", "-n", "50"], late);
    shown(&["--since", "2026-11-22T10:37:52Z", "--stream", "stderr"], "[stderr] p\n");
    shown(&["--since", "2026-11-22T10:37:53Z"], "");
    shown(&["--since", "2026-11-22T10:37:53Z", "-n", "5"], "");
    shown(&["--since", "2026-11-22T10:37:52Z", "--raw"], "\np");
    shown(&["--since", "500w", "--timestamps", "-n1"], "10:37:52.0 [stderr] p\n");
    tail(&home, &["--since", "2026-11-01T00:00:00Z"]).run().code(0).stdout(all).stderr("");
    for wrong in ["", "soon", "25:00", "-5m", "2026-11-22"] {
        tail(&home, &["--since", wrong]).run().code(2).stdout("").stderr_has("write it like 5m");
    }
    tail(&home, &["--timestamps=long"]).run().code(2).stdout("").stderr_has("relative");
    tail(&home, &["--timestamps", "--raw"]).run().code(2).stdout("").stderr_has("--raw");
}

#[test]
fn what_has_no_times_says_so() {
    let home = home();
    let secret = home.path().join("secret");
    fs::rename(home.tasks().join(".t-1.times"), &secret).unwrap();
    let none = "gco: no times are known for the lines of 't-1'\n";
    let check = || {
        for args in [&["--timestamps", "-n1"][..], &["--timestamps=relative", "-n1"]] {
            tail(&home, args).run().code(0).stdout("           [stderr] p\n").stderr(none);
            tail(&home, &[args, &["-f"]].concat())
                .run()
                .code(0)
                .stdout("           [stderr] p\n")
                .stderr(none);
        }
        for args in [&["--since", "5m"][..], &["--since", "5m", "-f"], &["--since", "5m", "--timestamps"]] {
            let hint = "hint: gco notes them as it runs a command; -n shows the last lines of any log\n";
            tail(&home, args).run().code(1).stdout("").stderr(none.to_owned() + hint);
        }
    };
    check();
    // What is planted there is not opened.
    symlink(&secret, home.tasks().join(".t-1.times")).unwrap();
    check();
    fs::remove_file(home.tasks().join(".t-1.times")).unwrap();
    nix::unistd::mkfifo(&home.tasks().join(".t-1.times"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    check();
}

#[test]
fn an_index_that_lies_harms_nobody() {
    let home = home();
    let all = "[stderr] x\n[gco] g\n[stdout] ab\n[stdout] \n[stderr] p\n";
    for entries in [
        &[(1 << 40, START), (3, 7), (1 << 40, START + 1000), (0, 9), (5, START)][..],
        &[(25, START), (25, START)],
        &[(9, START), (8, START + 5), (7, START + 10_000)],
        &[],
    ] {
        write_index(&home, "t-1", entries);
        tail(&home, &["-n", "all"]).run().code(0).stdout(all).stderr("");
        tail(&home, &["-n", "all", "--timestamps"]).run().code(0).stdout_has("[stderr] p\n").stderr("");
        let since = ["--since", "2026-11-21T10:37:52Z"];
        let output = tail(&home, &since).run().code(0).stderr("").into_stdout();
        let shown = String::from_utf8(output).unwrap();
        assert!(all.replace("ab", "b").ends_with(&shown.replace("ab", "b")), "{entries:?}: {shown}");
    }
}

/// What a shell's children have read, once it has run `script`.
fn bytes_read(home: &Home, script: &str) -> u64 {
    let script = format!("{script} >lines; cat /proc/$$/io");
    let output = home.command("sh", ["-c", &script]).env("TZ", "UTC").run().code(0).stderr("").into_stdout();
    let shown = String::from_utf8(output).unwrap();
    shown.lines().next().unwrap().strip_prefix("rchar: ").unwrap().parse().unwrap()
}

#[test]
fn what_is_read_does_not_grow_with_the_log() {
    let home = Home::new();
    Fake::over(&home, "t-1", b"");
    let mut log = File::options().write(true).open(home.tasks().join("t-1.log")).unwrap();
    log.seek(SeekFrom::Start(10 << 30)).unwrap();
    log.write_all(b"\n").unwrap();
    let lines: Vec<_> = (0..5000).map(|n| format!("[stdout] line {n:04}\n")).collect();
    log.write_all(lines.concat().as_bytes()).unwrap();
    // A day of output, and then a line each tenth of a second.
    let begin = (10 << 30) + 1;
    let before = (0..864_000).map(|n| (n * 12_000, START + n * 100));
    let then = START + 86_400_000;
    let last = (0..5000).map(|n| (begin + n * 19, then + n * 100));
    write_index(&home, "t-1", &before.chain(last).collect::<Vec<_>>());
    let usual = bytes_read(&home, "gco tasks tail t-1");
    for (args, expected) in [
        ("--since 2026-11-22T10:46:02Z", lines[4900..].concat()),
        ("--since 2026-11-22T10:46:11.9Z --timestamps", format!("10:46:11.9 {}", lines[4999])),
        ("-n1 --timestamps=relative", format!("+24:08:19.9 {}", lines[4999])),
        ("--since 2026-11-22T10:46:02Z -f", lines[4900..].concat()),
        ("-n100 --since 2026-11-21T10:46:02Z", lines[4900..].concat()),
    ] {
        let read = bytes_read(&home, &format!("gco tasks tail t-1 {args}"));
        assert_eq!(fs::read_to_string(home.path().join("lines")).unwrap(), expected, "{args}");
        // Where a line should begin and none does, no more than the longest is looked through, and as much for what may be left
        // out there.
        assert!(read < usual + (192 << 10), "{args}: {read} bytes were read, {usual} without");
    }
}

#[test]
fn a_task_under_way_is_gone_along_with() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let run = home.gco(["run", "--", "sh", "-c", "read x <go; echo one; read x <go; echo two"]).spawn();
    let id = home.until_running()["task_id"].as_str().unwrap().to_owned();
    // There is no index yet.
    let follow = home.gco(["tasks", "tail", &id, "-f", "--since", "1h", "--json"]).spawn();
    let stamped = home.gco(["tasks", "tail", &id, "-f", "--timestamps=relative"]).spawn();
    gate.open();
    let has = |running: &crate::harness::Running<'_>, text: &[u8]| {
        memchr::memmem::find(&running.stdout(), text).is_some()
    };
    eventually("the first line", || (has(&follow, b"one") && has(&stamped, b"one")).then_some(()));
    gate.open();
    run.wait().code(0).stdout("one\ntwo\n").stderr("");
    let output = follow.wait().code(0).stderr("").into_stdout();
    assert_eq!(memchr::memmem::find_iter(&output, b"\"time\":\"2").count(), 2, "{}", output.escape_ascii());
    let output = String::from_utf8(stamped.wait().code(0).stderr("").into_stdout()).unwrap();
    let lines: Vec<_> = output.lines().map(|line| line.split_at(11)).collect();
    assert_eq!(lines.iter().map(|line| line.1).collect::<Vec<_>>(), ["[stdout] one", "[stdout] two"]);
    assert!(lines.iter().all(|line| line.0.trim_start().starts_with("+0:")), "{output}");
}
