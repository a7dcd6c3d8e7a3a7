//! How a command at a terminal ends: gco ends in the same way, as whoever waits for it sees.

use crate::harness::Home;
use crate::leader::{self, ALL, USUAL, job};

/// Runs each of these shell scripts bare and in gco, and asserts the wait status that both end with.
fn end_alike(scripts: impl Iterator<Item = (String, i64)>) {
    let home = Home::new();
    let scripts: Vec<_> = scripts.collect();
    let mut jobs = Vec::new();
    for (script, _) in &scripts {
        jobs.push(job(ALL, &["sh", "-c", script]));
        jobs.push(job(ALL, &["gco", "run", "-q", "--", "sh", "-c", script]));
    }
    let mut pty = leader::start(&home, USUAL, &jobs);
    pty.takes_long();
    let (ended, shown) = leader::finish(&home, pty);
    assert_eq!(shown.escape_ascii().to_string(), "");
    for ((script, status), pair) in scripts.iter().zip(ended.chunks(2)) {
        assert_eq!([pair[0].status, pair[1].status], [*status; 2], "{script}, bare and in gco");
        assert_eq!(pair[1].before, pair[1].after, "the terminal is as it was");
    }
    for id in home.ids() {
        let record = home.record(&id);
        let state = if record["exit_code"] == 0 { "succeeded" } else { "failed" };
        assert_eq!(record["state"], state);
    }
    assert_eq!(home.ids().len(), scripts.len());
    home.until_quiet();
    home.no_leftovers();
}

#[test]
fn every_exit_code() {
    for half in [0..128, 128..256] {
        end_alike(half.map(|code| (format!("exit {code}"), code << 8)));
    }
}

#[test]
fn death_by_every_signal() {
    // Those that do not end a process: it stops, goes on, or does not mind.
    let others = [17, 18, 19, 20, 21, 22, 23, 28];
    let signals = (1..=31).chain([34, 50, 64]).filter(|signal| !others.contains(signal));
    // Nothing is added to the status: no core has been dumped.
    end_alike(signals.map(|signal| (format!("kill -{signal} $$"), signal)));
}

#[test]
fn what_cannot_be_run() {
    let home = Home::new();
    std::fs::write(home.path().join("text"), "").unwrap();
    let missing = job(ALL, &["gco", "run", "-q", "--", "no-such-command"]);
    let refused = job(ALL, &["gco", "run", "-q", "--", "./text"]);
    let (ended, shown) = leader::run(&home, USUAL, &[missing, refused]);
    assert_eq!(ended.iter().map(|ended| ended.status).collect::<Vec<_>>(), [127 << 8, 126 << 8]);
    assert!(ended.iter().all(|ended| ended.before == ended.after));
    let words = "gco: cannot run: 'no-such-command': command not found\r\n\
                 gco: cannot run: './text': permission denied\r\n";
    assert_eq!(String::from_utf8(shown).unwrap(), words);
}
