//! `--pty`: whether the command gets terminals, or pipes as ever.

use serde_json::json;

use crate::harness::{Home, sh};
use crate::leader::{self, ALL, USUAL, job};
use crate::oracle::rebuild;

/// Says of each standard descriptor whether it is a terminal, on stdout, and then a word on stderr.
const SAYS: &str = "for n in 0 1 2; do [ -t $n ] && echo tty || echo no; done; echo word >&2";

#[test]
fn never_is_pipes() {
    let home = Home::new();
    let (ended, shown) = leader::run(
        &home,
        USUAL,
        &[job(ALL, &["gco", "run", "-q", "--pty", "never", "--", "sh", "-c", SAYS])],
    );
    assert_eq!(ended[0].status, 0);
    // Input is the caller's own: nothing stands between it and the command.
    let mut lines: Vec<_> = std::str::from_utf8(&shown).unwrap().split_terminator("\r\n").collect();
    lines.sort_unstable();
    assert_eq!(lines, ["no", "no", "tty", "word"]);
    assert_eq!(rebuild(&home.log(&home.only_id()), "stdout"), b"tty\nno\nno\n");
}

#[test]
fn always_is_terminals_where_gco_has_none() {
    let home = Home::new();
    let args = ["run", "--pty", "always", "--", "sh", "-c", SAYS];
    home.gco(args).run().code(0).stdout("tty\ntty\ntty\n").stderr("word\n");
    let log = home.log(&home.only_id());
    assert_eq!(rebuild(&log, "stdout"), b"tty\ntty\ntty\n");
    assert_eq!(rebuild(&log, "stderr"), b"word\n");
    home.until_quiet();
    home.no_leftovers();
}

#[test]
fn always_is_terminals_without_a_record_too() {
    let home = Home::new();
    let command = home.gco(["run", "--pty", "always", "--", "sh", "-c", SAYS]);
    let output = command.env("GCO_DISABLE_TASK_STATUS", "1").run();
    output.code(0).stdout("tty\ntty\ntty\n").stderr("word\n");
    home.until_quiet();
    assert_eq!(home.names(), [""; 0]);
}

#[test]
fn always_is_terminals_in_the_background() {
    let home = Home::new();
    let script = format!("{SAYS}; stty size; echo over");
    let shown =
        home.gco(["run", "-d", "--pty", "always", "--", "sh", "-c", &script]).run().code(0).stderr("");
    let id = home.only_id();
    shown.stdout(format!("{id}\n"));
    home.until_state(&id, "succeeded");
    let log = home.log(&id);
    assert_eq!(rebuild(&log, "stdout"), b"tty\ntty\ntty\n24 80\nover\n");
    assert_eq!(rebuild(&log, "stderr"), b"word\n");
}

#[test]
fn in_the_background_there_are_none_of_itself() {
    let home = Home::new();
    let (ended, shown) = leader::run(
        &home,
        USUAL,
        &[job(["tty", "file", "tty"], &["gco", "run", "-d", "--", "sh", "-c", SAYS])],
    );
    assert_eq!((ended[0].status, shown.escape_ascii().to_string()), (0, String::new()));
    let id = home.only_id();
    assert_eq!(ended[0].stdout, Some(format!("{id}\n")));
    home.until_state(&id, "succeeded");
    assert_eq!(rebuild(&home.log(&id), "stdout"), b"no\nno\nno\n");
}

#[test]
fn output_on_failure_comes_as_the_command_wrote_it() {
    let home = Home::new();
    let script = "echo one; echo two >&2; exit 3";
    let args = ["run", "--pty", "always", "--echo", "on-failure", "--", "sh", "-c", script];
    home.gco(args).run().code(3).stdout("one\n").stderr("two\n");
    let args = ["gco", "run", "-q", "--echo", "on-failure", "--", "sh", "-c", script];
    let (ended, shown) = leader::run(&home, USUAL, &[job(ALL, &args)]);
    assert_eq!(ended[0].status, 3 << 8);
    assert_eq!(shown.escape_ascii().to_string(), r"one\r\ntwo\r\n");
    assert_eq!(ended[0].before, ended[0].after);
}

#[test]
fn a_pipeline_keeps_its_pipes() {
    let home = Home::new();
    let script = r#"printf 'b\na\n' | gco run -q -- sh -c '[ -t 0 ] || [ -t 1 ] || { [ -t 2 ] && sort; }' | sed 's/$/!/'"#;
    let (ended, shown) = leader::run(&home, USUAL, &[job(ALL, &["sh", "-c", script])]);
    assert_eq!(ended[0].status, 0);
    assert_eq!(ended[0].before, ended[0].after);
    assert_eq!(shown.escape_ascii().to_string(), r"a!\r\nb!\r\n");
    assert_eq!(rebuild(&home.log(&home.only_id()), "stdout"), b"a\nb\n");
}

#[test]
fn what_comes_by_a_pipe_is_typed_at_a_terminal_that_was_asked_for() {
    let home = Home::new();
    let read = r#"printf 'y\n' | gco run -q --pty always -- sh -c 'read x; echo "got $x"'"#;
    let output = home.command("sh", ["-c", read]).run();
    // As at any terminal, what is typed is shown: before the command reads it, or while it does.
    output.code(0).stdout("y\ngot y\n").stderr("");
    home.until_quiet();
    home.remove_tasks();
    // All of it, and then its end.
    let lines = (1..=2000).map(|n| format!("line {n}\n")).collect::<String>();
    let count = "stty -echo; echo up; wc -l";
    let run = home.gco(["run", "-q", "--pty", "always", "--", "sh", "-c", count]).stdin_pipe();
    let mut run = run.spawn();
    run.until_stdout("up\n");
    std::io::Write::write_all(&mut run.stdin.take().unwrap(), lines.as_bytes()).unwrap();
    run.wait().code(0).stdout("up\n2000\n").stderr("");
}

#[test]
fn every_option_says_what_it_did() {
    let home = Home::new();
    for (option, terminals) in [("auto", "no no no"), ("never", "no no no"), ("always", "tty tty tty")] {
        let script = "for n in 0 1 2; do [ -t $n ] && echo tty || echo no; done";
        let args = ["run", "--pty", option].into_iter().chain(sh(script).into_iter().skip(1));
        home.gco(args).run().code(0).stdout(terminals.replace(' ', "\n") + "\n").stderr("");
    }
    let record = home.record(&home.ids()[0]);
    assert_eq!(record["warnings"], json!([]));
    home.gco(["run", "--pty", "perhaps", "--", "true"]).run().code(125).stdout("").stderr_has("perhaps");
}
