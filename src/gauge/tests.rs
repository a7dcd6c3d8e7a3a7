//! The recognisers on what the tools really wrote, and on what their documentation says they write.

use std::error::Error;
use std::fs;
use std::path::Path;

use super::*;
use crate::task::spec::Recognise;

type Done = Result<(), Box<dyn Error>>;

fn gauged(log: &[u8], recognise: Recognise) -> std::io::Result<Gauge> {
    let mut gauge = Gauge::new(recognise, None);
    gauge.read(log, log.len() as u64, true)?;
    Ok(gauge)
}

/// What came of a log, in words.
fn words(gauge: &Gauge) -> String {
    let Some(progress) = gauge.progress() else { return "nothing".to_owned() };
    let number = |n: Option<u64>| n.map_or("?".to_owned(), |n| n.to_string());
    let percent = progress.percent().map_or("?".to_owned(), |percent| format!("{percent:.0}"));
    format!(
        "{} {}/{} {percent}% {} units",
        progress.source.as_deref().unwrap_or("?"),
        number(progress.current),
        number(progress.total),
        gauge.units.count()
    )
}

/// The recordings, and what is to come of each by its end.
const RECORDINGS: [(&str, &str); 26] = [
    ("apt-pipe", "apt 4/4 100% 4 units"),
    ("apt-tty", "apt ?/? 89% 2 units"),
    ("cargo-pipe", "cargo 4/? ?% 4 units"),
    ("cargo-tty", "cargo 5/6 83% 4 units"),
    ("cmake-pipe", "cmake ?/? 100% 0 units"),
    ("cmake-tty", "cmake ?/? 100% 0 units"),
    ("curl-bar", "curl ?/? 100% 0 units"),
    ("curl-pipe", "curl ?/? 100% 0 units"),
    ("git-pipe", "git 402/402 100% 0 units"),
    ("git-tty", "git 402/402 100% 0 units"),
    ("ninja-pipe", "ninja 7/7 100% 0 units"),
    ("ninja-tty", "ninja 7/7 100% 0 units"),
    ("npm-pipe", "nothing"),
    ("npm-tty", "nothing"),
    ("pip-pipe", "nothing"),
    ("pip-tty", "pip ?/? 100% 0 units"),
    ("pytest-pipe", "pytest ?/? 100% 0 units"),
    ("pytest-tty", "pytest ?/? 100% 0 units"),
    ("pytest-v", "pytest ?/? 100% 0 units"),
    ("rsync-p2", "rsync ?/? 100% 0 units"),
    ("rsync-tty", "rsync ?/? 100% 0 units"),
    ("tqdm-pipe", "tqdm 40/40 100% 0 units"),
    ("tqdm-tty", "tqdm 40/40 100% 0 units"),
    ("wget-pipe", "wget ?/? 100% 0 units"),
    ("wget-tty", "wget ?/? 100% 0 units"),
    ("words", "nothing"),
];

#[test]
fn each_tool_is_recognised_by_its_own_recogniser_and_no_other() -> Done {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let count = fs::read_dir(&folder)?
        .filter(|e| e.as_ref().is_ok_and(|e| e.path().extension().is_some_and(|e| e == "log")))
        .count();
    assert_eq!(count, RECORDINGS.len(), "each recording is tried");
    for (name, expected) in RECORDINGS {
        let log = fs::read(folder.join(format!("{name}.log")))?;
        assert_eq!(words(&gauged(&log, Recognise::Auto)?), expected, "{name}");
        assert_eq!(words(&gauged(&log, Recognise::Nothing)?), "nothing", "{name}");
        for tool in names() {
            let alone = words(&gauged(&log, Recognise::One(tool))?);
            let own = name.starts_with(tool) && expected != "nothing";
            assert_eq!(alone, if own { expected } else { "nothing" }, "{tool} on {name}");
        }
    }
    Ok(())
}

#[test]
fn a_recording_that_is_read_piece_by_piece_comes_to_the_same() -> Done {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    for (name, expected) in RECORDINGS {
        let log = fs::read(folder.join(format!("{name}.log")))?;
        let mut gauge = Gauge::new(Recognise::Auto, None);
        for end in (0..=log.len()).step_by(37).chain([log.len()]) {
            gauge.read(&log[..end], end as u64, false)?;
        }
        assert_eq!(words(&gauge), expected, "{name}");
    }
    Ok(())
}

/// What the tools' documentation shows, with what is to come of all lines up to there.
#[test]
fn what_is_documented_is_recognised() -> Done {
    for (lines, expected) in [
        (
            &[
                "MyStack: deploying... [1/2]",
                "MyStack | 1/4 | 10:34:56 AM | CREATE_COMPLETE | AWS::S3::Bucket | Bucket (B1)",
            ][..],
            "cdk 0/2 12% 0 units",
        ),
        (
            &["MyStack |  3/87 | 10:34:56 AM | CREATE_IN_PROGRESS   | AWS::IAM::Role | Role (R1)"],
            "cdk 3/87 3% 0 units",
        ),
        (
            &["A: deploying... [1/3]", " ✅  A", "✨  Deployment time: 23.4s", "B: deploying... [2/3]"],
            "cdk 1/3 33% 1 units",
        ),
        (&[" ✅  A (no changes)", " ✅  A (no changes)", " ✅  B"], "cdk 2/? ?% 2 units"),
        (
            &[
                "Plan: 2 to add, 1 to change, 1 to destroy.",
                "aws_s3_bucket.a: Creation complete after 2s [id=a]",
            ],
            "terraform 1/4 25% 1 units",
        ),
        (
            &[
                "Plan: 1 to add, 0 to change, 0 to destroy.",
                "module.x.aws_instance.b[\"k\"]: Creation complete after 1m3s [id=i-1]",
            ],
            "terraform 1/1 100% 1 units",
        ),
        (
            &[
                "#5 [internal] load build context",
                "#7 [1/4] FROM docker.io/library/alpine",
                "#9 [3/4] RUN make",
            ],
            "docker 2/4 50% 0 units",
        ),
        (
            &["#7 [build 1/2] FROM x", "#8 [build 2/2] RUN y", "#9 [stage-1 2/2] COPY z"],
            "docker 2/4 50% 0 units",
        ),
        (
            &[
                "PLAY [all] ****",
                "TASK [Gathering Facts] *********",
                "TASK [web : install] ****",
                "PLAY RECAP ****",
            ],
            "ansible 2/? ?% 2 units",
        ),
        (&["(######⠂⠂⠂⠂⠂⠂⠂⠂⠂⠂⠂⠂) ⠧ reify:lodash: http fetch GET 200"], "npm ?/? 33% 0 units"),
        (&["[gw0] [ 45%] PASSED tests/test_a.py::test_b"], "pytest ?/? 45% 0 units"),
        (&["   Compiling serde v1.0.2", "   Compiling syn v2.0.1 (/home/ada/syn)"], "cargo 2/? ?% 2 units"),
        (&["x\x1b]9;4;1;45\x07"], "osc ?/? 45% 0 units"),
        (&["\x1b]9;4;1;45\x07", "\x1b]9;4;0\x07"], "nothing"),
    ] {
        let log: String = lines.iter().map(|line| format!("[stdout] {line}\n")).collect();
        assert_eq!(words(&gauged(log.as_bytes(), Recognise::Auto)?), expected, "{lines:?}");
    }
    Ok(())
}

#[test]
fn other_words_are_no_progress() -> Done {
    for line in [
        "100% of the users 3/4 happy",
        "2026/11/25 07:45:00 [1/2] hello",
        "[1/2] hello",
        "[12/30] tests passed",
        "GET /a/1/2 200 45%",
        "✅ done",
        "✅  all tests passed in 3s",
        "coverage: 87%",
        "Filesystem 45% /home",
        "/dev/sda1 100G 45G 55G 45% /",
        "Compiling things",
        "TASK [x]",
        "Plan: to add 3",
        "creation complete after all",
        "#1 [issue 3/4",
        "a | 3/87 | b",
        " 12 34 56 0:01:00",
        "CPU 12% 0:00:01",
    ] {
        let log = format!("[stderr] {line}\n");
        assert_eq!(words(&gauged(log.as_bytes(), Recognise::Auto)?), "nothing", "{line}");
    }
    Ok(())
}

#[test]
fn a_bar_is_read_while_its_line_is_open() -> Done {
    let log = b"[stderr~] \r 10%|#   | 1/10 [00:00<00:01]\n[stderr~] \r 20%|##   | 2/10 [00:00<00:01]\n";
    assert_eq!(words(&gauged(log, Recognise::Auto)?), "tqdm 2/10 20% 0 units");
    Ok(())
}

#[test]
fn a_unit_counts_once_and_a_predecessor_is_believed() {
    let mut units = Units::default();
    for name in ["a", "b", "a"] {
        units.done(name);
    }
    assert_eq!((units.count(), units.last()), (2, Some("a")));
    units.at_least(7);
    assert_eq!(units.count(), 7);
}

#[test]
fn units_make_a_share_of_what_was_said_there_are() -> Done {
    let mut gauge = Gauge::new(Recognise::Auto, Some(4));
    assert_eq!(words(&gauge), "nothing");
    gauge.units.done("a");
    assert_eq!(words(&gauge), "units 1/4 25% 1 units");
    let log = "[stdout]  ✅  b\n".as_bytes();
    gauge.read(log, log.len() as u64, false)?;
    assert_eq!(words(&gauge), "cdk 2/4 50% 2 units");
    Ok(())
}

#[test]
fn patterns_are_all_that_counts_where_one_is_given() -> Done {
    let pattern = choice::pattern("done (?P<percent>[0-9]+)")?;
    let log = b"[stdout] [1/2] Building x\n[stdout] done 40\n";
    // A pattern is asked of every line, whatever is in it.
    assert_eq!(words(&gauged(log, pattern)?), "pattern ?/? 40% 0 units");
    Ok(())
}

#[test]
fn where_nothing_is_ever_found_little_is_looked_at() -> Done {
    let log = "[stdout] 2026/11/25 nothing\n".repeat(60_000);
    let mut gauge = gauged(&log.as_bytes()[..1_000_000], Recognise::Auto)?;
    let later = format!("{log}[stdout] [1/2] Building x\n[stdout]  ✅  c\n");
    gauge.read(later.as_bytes(), later.len() as u64, false)?;
    assert_eq!(words(&gauge), "cdk 1/? ?% 1 units", "what is written last is seen all the same");
    Ok(())
}
