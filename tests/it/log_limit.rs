//! `--log-limit`: a command that writes for ever, and what every reader makes of a log that lacks its middle.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::harness::{Home, eventually};
use crate::queue::detached;
use crate::tools::{Gate, Numbers, count};

const LIMIT: u64 = 1 << 20;

/// The first of the numbers that are written. Each has seven digits, so that no write ends within a line.
const FIRST: u64 = 1_000_001;

/// What the log may take on the disk: where the hole ends within a block of the file system, that block stays.
pub const MOST: u64 = LIMIT + 16_384;

/// What is left of a log, read from the contract's words alone.
#[derive(Debug, PartialEq, Eq)]
pub struct Parts {
    /// The lines before and behind what is left out, with their tags.
    first: Vec<String>,
    newest: Vec<String>,
    /// From where to where something is left out: of the log, of stdout, of stderr.
    numbers: Vec<u64>,
}

pub fn parts(log: &[u8], own: &str) -> Parts {
    let mut parts = Parts { first: Vec::new(), newest: Vec::new(), numbers: Vec::new() };
    let mut offset = 0;
    for line in log.split_inclusive(|&b| b == b'\n') {
        let text = || String::from_utf8(line.to_vec()).unwrap().trim_end_matches('\n').to_owned();
        let hole = parts.numbers.get(..2).map(|numbers| numbers[0]..numbers[1]);
        if hole.is_some_and(|hole| hole.contains(&offset)) {
            assert_eq!(offset + line.len() as u64, parts.numbers[1], "it goes on where it says");
            assert!(line[..line.len() - 1].iter().all(|&byte| byte == 0), "the hole is empty");
        } else if line.starts_with(b"[gco] left out here: ") {
            let text = text();
            let words = text.split(' ').filter_map(|word| word.parse().ok());
            parts.numbers = words.collect();
            assert_eq!((parts.numbers.len(), parts.numbers[0]), (6, offset + line.len() as u64), "{text}");
        } else if !own.is_empty() && text() == own {
            // That is no matter here.
        } else if parts.numbers.is_empty() {
            parts.first.push(text());
        } else {
            parts.newest.push(text());
        }
        offset += line.len() as u64;
    }
    parts
}

impl Parts {
    /// The words that readers are told.
    fn words(&self) -> String {
        format!("{} bytes of the log are left out here", self.numbers[1] - self.numbers[0])
    }

    /// All that a reader shows.
    fn shown(&self) -> String {
        let lines = self.first.iter().cloned().chain([format!("[gco] {}", self.words())]);
        lines.chain(self.newest.iter().cloned()).map(|line| line + "\n").collect()
    }

    /// The numbers that a stream has, first and newest.
    fn of(&self, stream: &str) -> [Vec<u64>; 2] {
        let tag = format!("[{stream}] ");
        [&self.first, &self.newest].map(|lines| {
            lines
                .iter()
                .filter_map(|line| line.strip_prefix(&tag))
                .map(|line| line.parse().unwrap())
                .collect()
        })
    }

    /// Checks that of the lines `from` to `to` of a stream all are there but for the bytes that are said to be left out.
    pub fn check(&self, stream: &str, from: u64, to: u64) {
        let [first, newest] = self.of(stream);
        let n = if stream == "stdout" { 2 } else { 4 };
        let [left, right] = [self.numbers[n], self.numbers[n + 1]];
        let next = newest.first().copied().unwrap_or(to + 1);
        assert!(first.iter().copied().eq(from..from + first.len() as u64), "{stream} begins in order");
        let torn = newest.iter().copied().zip(next..).find(|(is, should)| is != should);
        assert_eq!((torn, next + newest.len() as u64), (None, to + 1), "{stream} ends in order");
        assert_eq!((first.len() as u64 * 8, (next - from) * 8), (left, right), "{stream} is left out");
    }
}

pub fn on_disk(home: &Home, id: &str) -> u64 {
    fs::metadata(home.tasks().join(format!("{id}.log"))).unwrap().blocks() * 512
}

/// A task that has written so many numbers under the smallest limit, and what is left of its log.
fn limited(home: &Home, count: u64) -> (String, Parts) {
    let [first, last] = [FIRST, FIRST + count - 1].map(|n| n.to_string());
    home.gco(["run", "--echo", "never", "--log-limit", "1MiB", "--", "seq", &first, &last])
        .run()
        .code(0)
        .stdout("")
        .stderr("");
    let id = home.only_id();
    let parts = parts(&home.log(&id), "");
    (id, parts)
}

#[test]
fn what_is_written_for_ever_does_not_fill_the_disk() {
    let home = Home::new();
    let (id, parts) = limited(&home, 700_000);
    parts.check("stdout", FIRST, 1_700_000);
    let (log, disk) = (home.log(&id).len() as u64, on_disk(&home, &id));
    assert!(log > 10 * LIMIT && disk <= MOST && disk > LIMIT / 2, "{log} bytes, {disk} on disk");
    let record = home.record(&id);
    let left_out = parts.numbers[3] - parts.numbers[2];
    assert_eq!(record["log_truncated"], true);
    assert_eq!(record["log_left_out_bytes"].as_u64(), Some(left_out));
    assert_eq!(record["stdout_bytes"], 5_600_000);
    assert_eq!(record["log_bytes"].as_u64(), Some(log));
    assert_eq!(record["tail"][19], "1700000");
    assert_eq!(record["warnings"], Value::Array(Vec::new()));
    let status = home.gco(["tasks", "status", &id]).run().code(0).stderr("").into_stdout();
    let status = String::from_utf8(status).unwrap();
    assert!(status.contains("MiB of its middle)"), "{status}");
    home.until_quiet();
    home.no_leftovers();
    // What is not there takes no room.
    let prune = |size: &str| {
        home.gco(["tasks", "prune", "--max-size", size, "--dry-run", "--json"])
            .run()
            .code(0)
            .stderr("")
            .into_stdout()
    };
    let named = |size: &str| String::from_utf8(prune(size)).unwrap().contains(&id);
    assert_eq!((named("512KiB"), named("2MiB")), (true, false));
}

#[test]
fn with_no_limit_or_a_large_one_all_is_kept() {
    let home = Home::new();
    for (limit, words) in [("0", 0), ("64MiB", 0), ("2MiB", 1)] {
        home.gco(["run", "--echo", "never", "--", "seq", "1000001", "1090000"])
            .env("GCO_LOG_LIMIT", limit)
            .run()
            .code(0)
            .stdout("")
            .stderr("");
        let id = home.only_id();
        let log = home.log(&id);
        let parts = parts(&log, "");
        assert!(parts.of("stdout").concat().into_iter().eq(FIRST..=1_090_000), "{limit}");
        // The word stands there in time, and nobody shows it.
        assert_eq!(parts.numbers.len(), 6 * words, "{limit}");
        assert_eq!(home.record(&id)["log_truncated"], false);
        assert!(home.record(&id).get("log_left_out_bytes").is_none());
        let shown: String = (FIRST..=1_090_000).map(|n| format!("[stdout] {n}\n")).collect();
        home.gco(["tasks", "tail", &id, "-n", "all"]).run().code(0).stdout(shown).stderr("");
        home.until_quiet();
        home.remove_tasks();
    }
    let refused = home.gco(["run", "--log-limit", "1000", "--", "true"]).run().code(125).stdout("");
    refused.stderr_has("1000 B is too little; it takes 1MiB or more, or 0").whatever();
    let wrong = home.gco(["run", "--", "true"]).env("GCO_LOG_LIMIT", "much").run().code(0).stdout("");
    wrong.stderr("gco: GCO_LOG_LIMIT is 'much': 'much' is not a size; write it like 512KiB, 10MiB or 2GB; 1GiB of a log is kept\n");
}

#[test]
fn readers_say_how_much_is_left_out_and_show_no_hole() {
    let home = Home::new();
    let (id, parts) = limited(&home, 300_000);
    let (words, shown) = (parts.words(), parts.shown());
    let lines = |lines: usize| {
        let all: Vec<&str> = shown.lines().collect();
        all[all.len() - lines..].iter().map(|line| format!("{line}\n")).collect::<String>()
    };
    let tail = |args: &[&str]| home.gco(["tasks", "tail", &id].iter().chain(args)).run().code(0);
    tail(&["-n", "all"]).stdout(&shown).stderr("");
    tail(&["-n", "all", "-f"]).stdout(&shown).stderr("");
    let newest = parts.newest.len();
    for count in [3, newest, newest + 1, newest + 2] {
        tail(&["-n", &count.to_string()]).stdout(lines(count)).stderr("");
    }
    let payload = |lines: &str| {
        lines
            .lines()
            .filter_map(|line| line.strip_prefix("[stdout] "))
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    };
    let beside = format!("gco: {words}\n");
    tail(&["-n", "all", "--raw"]).stdout(payload(&shown)).stderr(&beside);
    tail(&["-n", &(newest + 1).to_string(), "--raw"]).stdout(payload(&lines(newest + 2))).stderr(&beside);
    tail(&["-n", &newest.to_string(), "--raw"]).stdout(payload(&lines(newest))).stderr("");
    let json = tail(&["-n", "all", "--json"]).stderr("").json();
    let found: Vec<_> =
        json["lines"].as_array().unwrap().iter().filter(|line| line["stream"] == "gco").collect();
    assert_eq!((found.len(), &found[0]["text"]), (1, &Value::from(words.as_str())));
    home.gco(["tasks", "replay", &id, "--speed", "1000000"])
        .run()
        .code(0)
        .stdout(payload(&shown))
        .stderr(&beside);
    // A copy that has NULs in place of the hole says the same.
    let path = home.tasks().join(format!("{id}.log"));
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, bytes).unwrap();
    tail(&["-n", "all"]).stdout(&shown).stderr("");
}

#[test]
fn what_is_shown_once_more_has_the_words_too() {
    let home = Home::new();
    let script = "seq 1000001 1300000; exit 3";
    let args = ["run", "--echo", "on-failure", "--log-limit", "1MiB", "--", "sh", "-c", script];
    let output = home.gco(args).run().code(3);
    let parts = parts(&home.log(&home.only_id()), "");
    parts.check("stdout", FIRST, 1_300_000);
    let shown: String = parts.of("stdout").concat().iter().map(|n| format!("{n}\n")).collect();
    output.stdout(shown).stderr(format!("[gco] {}\n", parts.words()));
    home.until_quiet();
}

#[test]
fn cursors_stay_valid_and_tell_what_was_missed() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let script = "seq 1000001 1010000; read x <go; seq 1010001 1400000; read x <go";
    let id = detached(&home, &["--log-limit", "1MiB"], script);
    let wait = |since: &str, until: &str| {
        home.gco(["tasks", "wait", &id, "--json", "--since", since, "--until", until, "--max-bytes", "64MiB"])
            .run()
    };
    let first = wait("start", "match:^1010000$").code(0).stderr("").json();
    let cursor = first["cursor"].as_str().unwrap().to_owned();
    assert!(first.get("log_left_out_bytes").is_none());
    gate.open();
    home.until_record(&id, "all to be written", |record| record["stdout_bytes"] == 3_200_000);
    let parts = parts(&home.log(&id), "");
    parts.check("stdout", FIRST, 1_400_000);
    // From before the hole, in two steps: up to it, and behind it.
    let up_to = wait(&cursor, "match:^1010001$").code(0).stderr("").json();
    let lines = |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    assert_eq!(up_to["output"], lines(&parts.first[10_000..]));
    assert_eq!((&up_to["more"], up_to.get("log_left_out_bytes")), (&Value::Bool(true), None));
    let behind = |since: &str, missed: u64| {
        let said = "bytes of the log were gone before they could be looked at";
        let json = wait(since, "match:^1399999$").code(0).stderr(format!("gco: {missed} {said}\n")).json();
        assert_eq!(
            json["output"],
            format!("[gco] {missed} bytes of the log are left out here\n{}", lines(&parts.newest))
        );
        assert_eq!((&json["more"], &json["log_left_out_bytes"]), (&Value::Bool(false), &Value::from(missed)));
    };
    let [begin, end] = [parts.numbers[0], parts.numbers[1]];
    behind(up_to["cursor"].as_str().unwrap(), end - begin);
    // A cursor of old that is in the hole by now.
    behind(&format!("{id}@{}", begin + 100_000), end - begin - 100_000);
    behind(&format!("{id}@{}", end - 20), 20);
    gate.open();
    home.gco(["tasks", "wait", &id]).run().code(0).stdout("").stderr("");
    home.until_quiet();
}

#[test]
fn who_reads_while_the_middle_goes_sees_whole_lines_only() {
    let home = Home::new();
    let id = detached(&home, &["--log-limit", "1MiB"], "seq 1000001 2500000");
    let follow = home.gco(["tasks", "tail", &id, "-f", "-n", "all"]).spawn();
    let check = |shown: &[u8]| {
        let text = std::str::from_utf8(shown).unwrap();
        let (mut last, mut may_jump) = (FIRST - 1, false);
        for line in text.lines() {
            if line.starts_with("[gco] ") && line.ends_with(" bytes of the log are left out here") {
                may_jump = true;
                continue;
            }
            let number = line.strip_prefix("[stdout] ").and_then(|line| line.parse::<u64>().ok());
            let number = number.unwrap_or_else(|| panic!("after {last}: {}", line.escape_debug()));
            assert!(number == last + 1 || (may_jump && number > last), "{number} after {last}");
            (last, may_jump) = (number, false);
        }
        last
    };
    let mut looks = 0;
    let is_over = || home.record(&id)["state"] != "running";
    loop {
        let over = is_over();
        check(&home.gco(["tasks", "tail", &id, "-n", "all"]).run().code(0).stderr("").into_stdout());
        let newest = home.gco(["tasks", "tail", &id, "-n", "2000"]).run().code(0).stderr("").into_stdout();
        let newest = String::from_utf8(newest).unwrap();
        let lines =
            newest.lines().filter(|line| line.starts_with("[gco] ") || line[9..].parse::<u64>().is_ok());
        assert_eq!(lines.count(), newest.lines().count());
        looks += 1;
        if over {
            break;
        }
    }
    assert!(looks > 1);
    let last = check(&follow.wait_long().code(0).stderr("").into_stdout());
    assert_eq!(last, 2_500_000);
    assert!(on_disk(&home, &id) <= MOST);
    home.until_quiet();
}

#[test]
fn a_supervisor_that_is_killed_leaves_a_log_that_goes_on() {
    let mut numbers = Numbers(0x1234_5678_9ABC_DEF1);
    let script = "(seq 1000001 1400000 >&2)& seq 2000001 2400000; wait; exit 9";
    let mut killed = 0;
    for _ in 0..count("GCO_IT_KILLS", 4) {
        let home = Home::new();
        let run =
            home.gco(["run", "--echo", "never", "--log-limit", "1MiB", "--", "sh", "-c", script]).spawn();
        let id = eventually("a task", || home.ids().pop());
        let mut last = 0;
        for _ in 0..6 {
            let pid = eventually("somebody to kill", || {
                let over = home.record(&id)["state"] != "running";
                let both = ["gco-supervisor", "gco-keeper"].map(|name| home.gcos(name));
                let whole = both.iter().all(|pids| pids.len() == 1 && pids[0] != last);
                let pid = whole.then(|| both[0].first().copied()).flatten();
                pid.map(Some).or(over.then_some(None))
            });
            let Some(pid) = pid else { break };
            // Not to wait for anything: to strike at any moment.
            thread::park_timeout(Duration::from_micros(numbers.below(60_000)));
            killed += usize::from(kill(Pid::from_raw(pid), Signal::SIGKILL).is_ok());
            last = pid;
        }
        run.wait().code(9).stdout("").stderr("");
        let own = "[gco] the supervisor was killed and has been replaced";
        let parts = parts(&home.log(&id), own);
        parts.check("stdout", 2_000_001, 2_400_000);
        parts.check("stderr", FIRST, 1_400_000);
        let record = home.until_state(&id, "failed");
        let left_out = parts.numbers[3] - parts.numbers[2] + parts.numbers[5] - parts.numbers[4];
        assert_eq!(record["log_left_out_bytes"].as_u64(), Some(left_out));
        assert_eq!(
            (record["stdout_bytes"].as_u64(), record["stderr_bytes"].as_u64()),
            (Some(3_200_000), Some(3_200_000))
        );
        let disk = on_disk(&home, &id);
        assert!(disk <= MOST, "{disk}");
        home.until_quiet();
        home.no_leftovers();
    }
    assert!(killed > 0);
}

#[test]
fn a_log_that_is_removed_is_put_back_without_its_middle() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let script = "seq 1000001 1500000; read x <go; seq 1500001 1500010; read x <go";
    let id = detached(&home, &["--log-limit", "1MiB"], script);
    home.until_record(&id, "all to be written", |record| record["stdout_bytes"] == 4_000_000);
    let path = home.tasks().join(format!("{id}.log"));
    let before = home.log(&id);
    fs::remove_file(&path).unwrap();
    gate.open();
    eventually("the log to be back", || fs::read(&path).ok().filter(|log| log.len() == before.len() + 170));
    assert!(home.log(&id).starts_with(&before));
    assert!(on_disk(&home, &id) <= MOST);
    gate.open();
    home.gco(["tasks", "wait", &id]).run().code(0).stdout("").stderr("");
    parts(&home.log(&id), "").check("stdout", FIRST, 1_500_010);
    home.until_quiet();
}
