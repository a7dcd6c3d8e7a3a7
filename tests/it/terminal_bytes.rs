//! What a command at a terminal prints: all of it is in the log, as it wrote it, and is shown, as a terminal shows it.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::harness::Home;
use crate::leader::{self, ALL, USUAL, job};
use crate::oracle::rebuild;
use crate::tools::{Numbers, count};

/// Writes the files `argv[1]` and `argv[2]` to stdout and stderr, in turn so many bytes at once, and is gone.
const PRINT: &str = "
import os, sys
left = [open(path, 'rb').read() for path in sys.argv[1:3]]
step = int(sys.argv[3])
while any(left):
    for n in (0, 1):
        if left[n]: left[n] = left[n][os.write(1 + n, left[n][:step]):]
os._exit(23)
";

/// So many bytes of lines of all lengths, of this alphabet, the last one with or without its end.
fn text(numbers: &mut Numbers, length: usize, alphabet: &[u8], whole: bool) -> Vec<u8> {
    let longest = [10, 80, 500, 20_000][usize::try_from(numbers.below(4)).unwrap()];
    let mut bytes: Vec<u8> = Vec::with_capacity(length);
    while bytes.len() < length {
        let line = usize::try_from(numbers.below(longest)).unwrap().min(length - bytes.len());
        let pick = |_| {
            alphabet[usize::try_from(numbers.0.wrapping_mul(numbers.below(1 << 40)) >> 20).unwrap_or(0)
                % alphabet.len()]
        };
        bytes.extend((0..line).map(pick));
        if bytes.len() < length {
            bytes.push(b'\n');
        }
    }
    let Some(last) = bytes.last_mut() else { return bytes };
    if whole {
        *last = b'\n';
    } else if *last == b'\n' {
        *last = alphabet[0];
    }
    bytes
}

/// What a terminal makes of it.
fn shown_as(bytes: &[u8]) -> Vec<u8> {
    let mut shown = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        if byte == b'\n' {
            shown.push(b'\r');
        }
        shown.push(byte);
    }
    shown
}

/// Whether a byte is of the alphabet of stderr. No byte is of both.
fn is_err(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte >= 0xa0
}

/// One run that prints and ends.
fn print(home: &Home, n: usize) {
    const SIZES: [usize; 16] = [
        0, 1, 2, 79, 80, 4095, 4096, 4097, 10_000, 65_535, 65_536, 65_537, 70_000, 100_000, 131_072, 200_000,
    ];
    let mut numbers = Numbers(0x5eed_0000_0001 + 7919 * n as u64);
    let all: Vec<u8> = (0..=255).collect();
    // A return that the program wrote itself is one that must stay. The others are the terminal's own business.
    let is_plain = |byte: u8| byte >= b' ' && byte != 0x7f || byte == b'\r' || byte == b'\t';
    let alphabet =
        |err| all.iter().copied().filter(|&byte| is_plain(byte) && is_err(byte) == err).collect::<Vec<_>>();
    let size = |numbers: &mut Numbers| SIZES[usize::try_from(numbers.below(16)).unwrap()];
    let mut make = |err: bool| {
        let (length, whole) = (size(&mut numbers), numbers.below(2) == 0);
        let mine = alphabet(err);
        // Only one of them has returns of its own, so that it can be told whose is whose.
        let mine: Vec<u8> = mine.into_iter().filter(|&byte| byte != b'\r' || n.is_multiple_of(2)).collect();
        text(&mut numbers, length, &mine, whole)
    };
    let mut written = [make(false), make(true)];
    // Now and then only one of them writes: then what is shown can be stated to the byte.
    match n % 4 {
        1 => written[0].clear(),
        2 => written[1].clear(),
        _ => {}
    }
    let names = ["out", "err"].map(|name| format!("{name}-{n}"));
    for (name, bytes) in names.iter().zip(&written) {
        fs::write(home.path().join(name), bytes).unwrap();
    }
    let step = [1 << 20, 4096, 100_000, 1000][usize::try_from(numbers.below(4)).unwrap()].to_string();
    let tool = format!("print{n}");
    let args =
        ["run", "-q", "--name", &tool, "--", "python3", "-I", "-S", "-c", PRINT, &names[0], &names[1], &step];
    let (status, shown) = home.gco(args).env("GCO_TASK_RETENTION", "0").on_pty().wait();
    assert_eq!(status.code(), Some(23), "run {n}: {}", shown.escape_ascii());
    let id = home.ids().into_iter().find(|id| id.starts_with(&format!("{tool}-"))).unwrap();
    let (log, record) = (home.log(&id), home.record(&id));
    for (name, bytes) in [("stdout", &written[0]), ("stderr", &written[1])] {
        let found = rebuild(&log, name);
        let differ = found.iter().zip(bytes).position(|(a, b)| a != b);
        assert!(
            found == *bytes,
            "run {n}: {name} has {} bytes, in the log {}, they differ at {differ:?}",
            bytes.len(),
            found.len()
        );
        assert_eq!(record[format!("{name}_bytes")].as_u64(), Some(bytes.len() as u64), "run {n}");
    }
    assert_eq!((&record["state"], &record["log_truncated"]), (&"failed".into(), &false.into()));
    if written.iter().any(Vec::is_empty) {
        let wanted = shown_as(&written.concat());
        let differ = shown.iter().zip(&wanted).position(|(a, b)| a != b);
        assert!(
            shown == wanted,
            "run {n}: {} bytes shown for {}, they differ at {differ:?}",
            shown.len(),
            wanted.len()
        );
    } else {
        // Each in its order, whatever the order of the two is.
        for (bytes, err) in written.iter().zip([false, true]) {
            let mine = |bytes: &[u8]| -> Vec<u8> {
                bytes.iter().copied().filter(|&b| b != b'\n' && b != b'\r' && is_err(b) == err).collect()
            };
            assert!(mine(&shown) == mine(bytes), "run {n}: not all of it is shown, or not in its order");
        }
        let count = |bytes: &[u8], which: u8| bytes.iter().filter(|&&byte| byte == which).count();
        let both = shown_as(&written.concat());
        for which in [b'\n', b'\r'] {
            assert_eq!(count(&shown, which), count(&both, which), "run {n}");
        }
        assert!(shown.iter().zip(shown.iter().skip(1)).all(|(a, b)| *b != b'\n' || *a == b'\r'), "run {n}");
    }
    for name in names {
        fs::remove_file(home.path().join(name)).unwrap();
    }
}

#[test]
fn no_byte_is_missing_when_a_command_prints_and_ends_at_once() {
    let runs = count("GCO_IT_PRINTS", 60);
    let next = AtomicUsize::new(0);
    let work = || {
        let home = Home::new();
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= runs {
                break;
            }
            print(&home, n);
        }
        home.until_quiet();
        home.no_leftovers();
    };
    // A few at once, so that they meet each other at all kinds of moments.
    thread::scope(|scope| (0..3).for_each(|_| drop(scope.spawn(work))));
}

/// Runs this script at a terminal; gives its log, its record, and what was shown.
fn at_a_terminal(options: &[&str], script: &str) -> (String, serde_json::Value, String) {
    let home = Home::new();
    let args: Vec<_> =
        ["gco", "run", "-q"].iter().chain(options).chain(&["--", "sh", "-c", script]).copied().collect();
    let (ended, shown) = leader::run(&home, USUAL, &[job(ALL, &args)]);
    assert_eq!(ended[0].status, 0);
    assert_eq!(ended[0].before, ended[0].after);
    let id = home.only_id();
    let (log, record) = (home.log(&id), home.record(&id));
    for name in ["stdout", "stderr"] {
        assert_eq!(
            record[format!("{name}_bytes")].as_u64(),
            Some(rebuild(&log, name).len() as u64),
            "{name}"
        );
    }
    assert_eq!(record["log_bytes"].as_u64(), Some(log.len() as u64));
    home.until_quiet();
    home.no_leftovers();
    (String::from_utf8(log).unwrap(), record, String::from_utf8(shown).unwrap())
}

const LEFT_OUT: &str = "what is drawn on the alternate screen is left out here";

#[test]
fn the_alternate_screen_is_left_out_of_the_log_and_marked() {
    let draw = |mode: u32, n: u32| format!(r"\033[?{mode}hdrawn {n}\n\033[2Jmore\033[?{mode}l");
    for mode in [47, 1047, 1049] {
        let script = format!("printf 'one\\n{}two\\nbe{}gun\\nend'", draw(mode, 1), draw(mode, 2));
        let (log, record, shown) = at_a_terminal(&[], &script);
        let word = format!("[gco] stdout: {LEFT_OUT}\n");
        let wanted =
            format!("[stdout] one\n{word}[stdout] two\n[stdout~] be\n{word}[stdout] gun\n[stdout~] end\n");
        assert_eq!(log, wanted);
        assert_eq!(record["tail"], serde_json::json!(["one", "two", "begun", "end"]));
        assert_eq!(record["last_message"], "end");
        let drawn = |n: u32| format!("\x1b[?{mode}hdrawn {n}\r\n\x1b[2Jmore\x1b[?{mode}l");
        assert_eq!(shown, format!("one\r\n{}two\r\nbe{}gun\r\nend", drawn(1), drawn(2)));
    }
    let (log, _, _) = at_a_terminal(&[], &format!("printf '{}after\\n' >&2; echo out", draw(1049, 1)));
    let mut lines: Vec<_> = log.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, [format!("[gco] stderr: {LEFT_OUT}").as_str(), "[stderr] after", "[stdout] out"]);
}

#[test]
fn a_screen_that_is_never_left_is_left_out_to_the_end_and_the_terminal_put_back() {
    let (log, record, shown) = at_a_terminal(&[], r"printf 'one\n\033[?25l\033[?1049hdrawn\nmore'");
    assert_eq!(log, format!("[stdout] one\n[stdout~] \x1b[?25l\n[gco] stdout: {LEFT_OUT}\n"));
    assert_eq!(record["last_message"], "one");
    assert_eq!(shown, "one\r\n\x1b[?25l\x1b[?1049hdrawn\r\nmore\x1b[?25h\x1b[?1049l");
}

#[test]
fn it_is_kept_on_request() {
    let (log, record, _) =
        at_a_terminal(&["--log-screen"], r"printf 'one\n\033[?1049hdrawn\033[2J\nmore\033[?1049ltwo\n'");
    assert_eq!(log, "[stdout] one\n[stdout] \x1b[?1049hdrawn\x1b[2J\n[stdout] more\x1b[?1049ltwo\n");
    assert_eq!(record["tail"], serde_json::json!(["one", "drawn", "moretwo"]));
}

#[test]
fn colours_stay_in_the_log_and_the_record_is_plain() {
    let script = r"printf '\033[31mred\033[0m\n\033[38;2;1;2;3mtrue\033[m \033]8;;http://x\033\\link\033]8;;\033\\\n'; printf '10%%\r20%%\r\033[K30%%\n' >&2";
    let (log, record, _) = at_a_terminal(&[], script);
    let out = "[stdout] \x1b[31mred\x1b[0m\n[stdout] \x1b[38;2;1;2;3mtrue\x1b[m \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\\n";
    assert_eq!(log.replace("[stderr] 10%\r20%\r\x1b[K30%\n", ""), out);
    let mut tail: Vec<_> =
        record["tail"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    tail.sort_unstable();
    assert_eq!(tail, ["30%", "red", "true link"]);
}

#[test]
fn a_command_that_ends_its_lines_itself() {
    // What it wrote before it switches must have been taken: else nobody could tell in which mode that was.
    let script = r"stty -onlcr; printf 'raw\r\n\nup\r\n'; gco tasks wait setup --until match:up --since start; \
                   stty onlcr; printf 'cooked\n\r\n'";
    let home = Home::new();
    let args = ["gco", "run", "-q", "--name", "setup", "--", "sh", "-c", script];
    let (ended, _) = leader::run(&home, USUAL, &[job(ALL, &args)]);
    assert_eq!(ended[0].status, 0);
    let log = home.log(&home.only_id());
    assert_eq!(rebuild(&log, "stdout").escape_ascii().to_string(), r"raw\r\n\nup\r\ncooked\n\r\n");
}

#[test]
fn nothing_is_kept_back_when_a_command_pauses_after_much_output() {
    let home = Home::new();
    let gate = crate::tools::Gate::new(&home, "go");
    // Around where what has been taken and not logged is at its most, in steps that fit nowhere.
    let script = "import os\nfor n in range(40):\n  left = 99_991\n  while left: left -= os.write(1, b'x' * left)\n  os.write(1, b'\\n')\n  open('go').readline()\n";
    let args = ["gco", "run", "-q", "--", "python3", "-I", "-S", "-c", script];
    let mut pty = leader::start(&home, USUAL, &[job(ALL, &args)]);
    let id = crate::harness::eventually("a task", || home.ids().pop());
    for n in 1..=40 {
        let shown = n * (99_991 + 2);
        pty.until_count(shown);
        let path = home.tasks().join(format!("{id}.log"));
        crate::harness::eventually("it to be logged", || {
            (rebuild(&fs::read(&path).ok()?, "stdout").len() == n * (99_991 + 1)).then_some(())
        });
        gate.open();
    }
    let (ended, shown) = leader::finish(&home, pty);
    assert_eq!((ended[0].status, shown.len()), (0, 40 * (99_991 + 2)));
}
