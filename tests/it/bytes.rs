//! Any bytes at any speed: each stream can be rebuilt from the log to the byte, in constant memory.

use std::fs;
use std::io::Read;

use crate::harness::{Home, eventually, sh};
use crate::oracle::rebuild;
use crate::tools::{Gate, Numbers, most_memory};

/// Runs `cat` on these bytes: they are shown and logged as they are. Gives the log.
fn through(home: &Home, bytes: &[u8]) -> Vec<u8> {
    fs::write(home.path().join("in"), bytes).unwrap();
    let shown = home.gco(["run", "--", "cat", "in"]).run().code(0).stderr("").into_stdout();
    assert!(shown == bytes, "{} of {} bytes", shown.len(), bytes.len());
    let id = home.only_id();
    let (log, record) = (home.log(&id), home.record(&id));
    assert!(rebuild(&log, "stdout") == bytes);
    assert_eq!(record["stdout_bytes"].as_u64(), Some(bytes.len() as u64));
    assert_eq!(record["log_bytes"].as_u64(), Some(log.len() as u64));
    assert_eq!(record["log_truncated"], false);
    home.until_quiet();
    home.remove_tasks();
    log
}

#[test]
fn lines_around_the_longest() {
    let home = Home::new();
    let longest = 64 << 10;
    for length in [0, 1, 4095, 4096, longest - 1, longest, longest + 1, 2 * longest, 2 * longest + 1, 1 << 20]
    {
        for end in ["\n", ""] {
            let mut bytes = vec![b'x'; length];
            bytes.extend_from_slice(end.as_bytes());
            let log = through(&home, &bytes);
            let most = log.split(|&b| b == b'\n').map(<[u8]>::len).max().unwrap();
            assert!(most <= longest + "[stdout~] ".len(), "{most}");
        }
    }
}

#[test]
fn every_byte_and_every_kind_of_line_end() {
    let home = Home::new();
    let all: Vec<u8> = (0..=255).collect();
    for bytes in [
        all.repeat(3),
        b"\n".repeat(3000),
        b"\0".to_vec(),
        b"\r\n\r\r\n\n\r".to_vec(),
        b"\xff\xfe\n\xc3\n\xe2\x82\n".to_vec(),
        b"[stdout] x\n[stderr~] y\n[gco] z\n[stdout~] ".to_vec(),
        b"\x1b[2J\x1b]0;title\x07\n".to_vec(),
    ] {
        through(&home, &bytes);
    }
}

#[test]
fn lines_of_random_length() {
    let home = Home::new();
    let mut numbers = Numbers(0xBAD5_EED5);
    let mut bytes = Vec::new();
    while bytes.len() < 6 << 20 {
        let length = match numbers.below(100) {
            0 => 150_000,
            1..=5 => 10_000,
            _ => 100,
        };
        let fill = u8::try_from(numbers.below(200)).unwrap() + 20;
        bytes.extend(std::iter::repeat_n(fill, usize::try_from(numbers.below(length)).unwrap()));
        bytes.push(b'\n');
    }
    through(&home, &bytes);
}

#[test]
fn both_streams_at_full_speed() {
    let home = Home::new();
    let script = "(seq 1 1000000 >&2)& seq 3000001 4000000; wait";
    let output = home.gco(sh(script)).run().code(0);
    let lines = |from: u32, to: u32| (from..=to).map(|n| format!("{n}\n")).collect::<String>();
    let (out, err) = (lines(3_000_001, 4_000_000), lines(1, 1_000_000));
    let log = home.log(&home.only_id());
    assert!(rebuild(&log, "stdout") == out.as_bytes() && rebuild(&log, "stderr") == err.as_bytes());
    output.stdout(out).stderr(err);
}

#[test]
fn one_write_a_line_and_one_write_a_byte() {
    let home = Home::new();
    let script = "import os\nfor n in range(20000): os.write(1 + n % 2, b'%d\\n' % n)\n\
                  for n in range(5000): os.write(1, b'z')";
    let output = home.gco(["run", "--", "python3", "-I", "-S", "-c", script]).run().code(0);
    let lines = |odd: usize| (odd..20000).step_by(2).map(|n| format!("{n}\n")).collect::<String>();
    let (out, err) = (lines(0) + &"z".repeat(5000), lines(1));
    let log = home.log(&home.only_id());
    assert_eq!(rebuild(&log, "stdout"), out.as_bytes());
    assert_eq!(rebuild(&log, "stderr"), err.as_bytes());
    output.stdout(out).stderr(err);
}

#[test]
fn prompts_are_parts_and_go_on_as_one_line() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let run =
        home.gco(sh("printf 'one '; read x <go; printf 'two '; read x <go; echo three; printf end")).spawn();
    let id = eventually("a task", || home.ids().pop());
    home.until_log(&id, "[stdout~] one \n");
    gate.open();
    home.until_log(&id, "[stdout~] one \n[stdout~] two \n");
    gate.open();
    run.wait().code(0).stdout("one two three\nend").stderr("");
    assert_eq!(home.log(&id), b"[stdout~] one \n[stdout~] two \n[stdout] three\n[stdout~] end\n");
    assert_eq!(home.record(&id)["last_message"], "end");
}

#[test]
fn a_line_of_100_mib_takes_little_memory() {
    const LENGTH: usize = 100 << 20;
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    // Each gco is looked at when all has gone through it and before it ends.
    let script = format!("head -c {LENGTH} /dev/zero; printf x; read x <go");
    let run = home.gco(["run", "--echo", "never", "--", "sh", "-c", &script]).spawn();
    let id = eventually("a task", || home.ids().pop());
    home.until_record(&id, "all to be logged", |record| {
        record["stdout_bytes"].as_u64() == Some(LENGTH as u64 + 1)
    });
    for process in home.processes().into_iter().filter(|process| process.is_gco) {
        let peak = most_memory(process.pid).unwrap();
        assert!(peak < 6 << 10, "{} needed {peak} KiB", crate::tools::comm(process.pid));
    }
    gate.open();
    run.wait().code(0).stdout("").stderr("");
    // Too much for the oracle: counted instead.
    let mut log = fs::File::open(home.tasks().join(format!("{id}.log"))).unwrap();
    let (mut block, mut zeros, mut others) = (vec![0; 1 << 20], 0, Vec::new());
    loop {
        let count = log.read(&mut block).unwrap();
        if count == 0 {
            break;
        }
        let before = others.len();
        others.extend(block[..count].iter().filter(|b| **b != 0));
        zeros += count - (others.len() - before);
    }
    assert_eq!(zeros, LENGTH);
    let text = String::from_utf8(others).unwrap();
    assert!(text.lines().all(|line| line == "[stdout~] " || line == "[stdout~] x"), "{}", &text[..200]);
    assert_eq!(text.matches('x').count(), 1);
    assert_eq!(home.record(&id)["log_truncated"], false);
}
