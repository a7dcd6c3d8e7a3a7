//! Where there are no terminals to be had, or hardly any descriptors: the command runs all the same.

use crate::harness::Home;
use crate::leader::{self, ALL, USUAL, job};

#[test]
fn without_terminals_the_command_has_pipes_and_its_output_is_shown() {
    let home = Home::new();
    // Root in a namespace of its own has a `/dev/ptmx` that makes none.
    let spoil = "mount --bind /dev/null /dev/ptmx 2>/dev/null";
    let may = |how: &str| {
        let tried = home.command("unshare", [how, "sh", "-c", spoil]).run();
        let done = tried.status.success();
        tried.whatever();
        done
    };
    // Not everybody is allowed that.
    let Some(how) = ["-m", "-rm"].into_iter().find(|how| may(how)) else { return };
    let script = "echo out; echo err >&2; read x </dev/null; [ -t 0 ] && ! [ -t 1 ] && exit 3";
    let line = format!("{spoil}; exec gco run -- sh -c '{script}'");
    let (ended, shown) = leader::run(&home, USUAL, &[job(ALL, &["unshare", how, "sh", "-c", &line])]);
    assert_eq!(ended[0].status, 3 << 8, "{}", shown.escape_ascii());
    assert_eq!(ended[0].before, ended[0].after);
    let id = home.only_id();
    let mut lines: Vec<_> = std::str::from_utf8(&shown).unwrap().split_terminator("\r\n").collect();
    lines.sort_unstable();
    let why = "the command has no terminal: invalid argument";
    let said = [why, &format!("task {id}"), &format!("task {id} failed: exit code 3")]
        .map(|what| format!("gco: {what}"));
    let mut wanted = vec!["err", "out"];
    wanted.extend(said.iter().map(String::as_str));
    wanted.sort_unstable();
    assert_eq!(lines, wanted);
    assert_eq!(home.record(&id)["warnings"], serde_json::json!([why]));
    home.until_quiet();
    home.no_leftovers();
}

#[test]
fn with_hardly_any_descriptors_it_ends_nevertheless() {
    let home = Home::new();
    for most in 12..=40 {
        let line = format!("ulimit -n {most}; exec gco run -q -- sh -c 'exit 9'");
        let (ended, shown) = leader::run(&home, USUAL, &[job(ALL, &["sh", "-c", &line])]);
        // Not started at all, and so it says, or run.
        let words = String::from_utf8_lossy(&shown);
        let refused = ended[0].status == 125 << 8 && words.contains("too many open files");
        assert!(refused || ended[0].status == 9 << 8, "ulimit -n {most}: {:x}: {words}", ended[0].status);
        assert!(!refused || most < 20, "ulimit -n {most}: {words}");
        assert_eq!(ended[0].before, ended[0].after);
    }
    home.until_quiet();
}
