//! Completions, as the shells ask for them and as they end up on the command line.

use std::path::Path;

use serde_json::Value;

use crate::harness::{Home, eventually};

/// A home with two tasks of `nightly` and one of `other`, the newest.
fn home() -> Home {
    let home = Home::new();
    let labels = |label| ["run", "--name", "nightly", "--label", label, "--", "true"];
    home.gco(labels("env=prod")).run().code(0).stdout("").stderr("");
    home.gco(labels("env=$(id)")).run().code(0).stdout("").stderr("");
    home.gco(["run", "--name", "other", "--label", "env=dev", "--", "false"])
        .run()
        .code(1)
        .stdout("")
        .stderr("");
    home.until_quiet();
    home
}

/// What can stand at the end of `line`, the words of which have blanks between.
fn offered(home: &Home, line: &str) -> Vec<String> {
    let words = ["--"].into_iter().chain(line.split(' '));
    let answer = home.gco(words).env("COMPLETE", "fish").run().code(0).stderr("").into_stdout();
    let answer = String::from_utf8(answer).unwrap();
    answer.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

#[test]
fn tasks_names_states_and_labels_are_offered() {
    let home = home();
    let mut ids = home.ids();
    ids.sort_by_key(|id| !id.starts_with("other"));
    for command in ["status", "show", "tail"] {
        let offered = offered(&home, &format!("gco tasks {command} "));
        assert_eq!(offered[..3], ["other".to_owned(), "nightly".to_owned(), ids[0].clone()], "{command}");
        assert!(ids.iter().all(|id| offered.contains(id)), "{offered:?}");
    }
    assert_eq!(offered(&home, "gco tasks status other"), ["other", &ids[0]]);
    assert_eq!(offered(&home, "gco tasks list --name n"), ["nightly"]);
    assert_eq!(offered(&home, "gco run --name o"), ["other"]);
    assert_eq!(offered(&home, "gco run --replay other"), ["other", &ids[0]]);
    assert_eq!(offered(&home, "gco tasks list --state r"), ["running"]);
    assert_eq!(offered(&home, "gco tasks list --state failed,r"), ["failed,running"]);
    assert_eq!(offered(&home, "gco tasks prune --state o"), ["orphaned"]);
    assert_eq!(offered(&home, "gco tasks list --label "), ["env=dev", "env=prod"]);
    assert_eq!(offered(&home, "gco tasks list --label=env=p"), ["--label=env=prod"]);
    assert_eq!(offered(&home, "gco tasks p"), ["prune"]);
}

#[test]
fn the_command_and_its_files_are_offered() {
    let home = Home::new();
    std::fs::create_dir(home.path().join("shelf")).unwrap();
    std::fs::write(home.path().join("sh $(id)"), "").unwrap();
    let programs = offered(&home, "gco run --name x -- s");
    assert!(programs.iter().any(|name| name == "sh") && programs.iter().all(|name| name.starts_with('s')));
    assert!(!programs.iter().any(|name| name.starts_with("shelf")), "{programs:?}");
    for line in ["gco run ls s", "gco run -- ls -l s", "gco run sh -c x s"] {
        assert_eq!(offered(&home, line), ["shelf/"], "{line}");
    }
}

#[test]
fn without_tasks_nothing_is_offered_or_said() {
    let home = Home::new();
    assert_eq!(offered(&home, "gco tasks status x"), [""; 0]);
    assert_eq!(offered(&home, "gco tasks list --label "), [""; 0]);
    std::fs::write(home.tasks(), "").unwrap();
    assert_eq!(offered(&home, "gco tasks status x"), [""; 0]);
    let words = ["--", "gco", "run", "--", "x"];
    home.gco(words)
        .env("COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", "99")
        .run()
        .code(1)
        .stdout("")
        .stderr("");
}

#[test]
fn a_command_gets_the_variable_as_it_would_without_gco() {
    let home = Home::new();
    for value in ["bash", "junk", ""] {
        let run = home.gco(["run", "--", "sh", "-c", "echo $COMPLETE"]).env("COMPLETE", value);
        run.run().code(0).stdout(format!("{value}\n")).stderr("");
    }
    let said = "gco: COMPLETE is 'junk', for which there are no completions\nhint: there are some for bash, zsh, fish\n";
    home.gco([""; 0]).env("COMPLETE", "junk").run().code(2).stdout("").stderr(said);
    home.gco(["tasks", "list", "--json"])
        .env("COMPLETE", "junk")
        .run()
        .code(0)
        .stdout_has("tasks")
        .stderr("");
}

/// A shell that is installed. They are tested as far as they are there: bash always is where gco's scripts run.
fn has(shell: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&path).any(|dir| dir.join(shell).is_file());
    if !there {
        eprintln!(
            "{shell} is not installed: what it would ask gco is tested, what it makes of the answer is not"
        );
    }
    there
}

fn script(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("completions").join(name).display().to_string()
}

/// Types each of `lines` at a shell on a terminal, with a TAB where it ends, and gives the tasks each one lists.
fn typed(home: &Home, shell: &[&str], setup: &str, lines: &[&str]) -> Vec<Vec<String>> {
    let mut pty = home.command(shell[0], &shell[1..]).env("PS1", "ready> ").on_pty();
    pty.write(format!("{setup}; echo set''up\n").as_bytes());
    pty.until("setup\r\n");
    let mut answers = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let file = home.path().join(format!("answer{at}"));
        pty.write(format!("gco tasks list --json {line}\t").as_bytes());
        // The answer is on the screen before the rest is typed: a shell may throw away what came while it was busy.
        pty.until(&line[..line.len() - 1]);
        pty.write(format!(" >answer{at}; echo do''ne{at}\n").as_bytes());
        pty.until(&format!("done{at}\r\n"));
        let answer = eventually("the answer", || std::fs::read(&file).ok());
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        let tools =
            answer["tasks"].as_array().unwrap().iter().map(|task| task["tool"].as_str().unwrap().to_owned());
        answers.push(tools.collect());
    }
    pty.write(b"exit\n");
    assert!(pty.wait().0.success());
    answers
}

const LINES: [&str; 4] = ["--name oth", "--state fai", "--label env=d", "--name nigh"];

fn assert_completed(answers: &[Vec<String>]) {
    assert_eq!(answers, [vec!["other"], vec!["other"], vec!["other"], vec!["nightly", "nightly"]]);
}

#[test]
fn bash_completes() {
    let home = home();
    let setup = format!("bind 'set enable-bracketed-paste off'; . {}", script("gco.bash"));
    assert_completed(&typed(&home, &["bash", "--norc", "--noprofile", "-i"], &setup, &LINES));
}

#[test]
fn zsh_completes() {
    if has("zsh") {
        let home = home();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions");
        let setup = format!(
            "PROMPT='ready> '; unsetopt zle_bracketed_paste; fpath=({} $fpath); autoload -U compinit; compinit -u -D",
            folder.display()
        );
        assert_completed(&typed(&home, &["zsh", "-f", "-i"], &setup, &LINES));
    }
}

#[test]
fn fish_completes() {
    if has("fish") {
        let home = home();
        for (line, wanted) in LINES.iter().zip(["other", "failed", "env=dev", "nightly"]) {
            let ask = format!("source {}; complete -C 'gco tasks list {line}'", script("gco.fish"));
            let answer =
                home.command("fish", ["--no-config", "-c", &ask]).run().code(0).stderr("").into_stdout();
            let answer = String::from_utf8(answer).unwrap();
            let words: Vec<&str> = answer.lines().map(|line| line.split('\t').next().unwrap()).collect();
            assert_eq!(words, [wanted], "{line}");
        }
    }
}
