//! What README and the man pages show is tried: every command is run, and what is printed beside it must come.
//!
//! Each block of commands is run in a home of its own, on a terminal of 80 columns, in order. Three things are not as
//! for a reader. Scripts and programs that the examples are about but nobody ships (`backup.sh`, `make`, `ssh`)
//! are stand-ins. `cargo` is not run: such a command must be one of those in `.ci/run`, which is. And of what is
//! printed, that which differs each time is left out: see [`lasting`].

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::harness::{Home, eventually};
use crate::tools::write_program;

/// Programs that say what they were called with.
const STAND_INS: [&str; 4] = ["bin/make", "bin/systemd-notify", "backup.sh", "deploy.sh"];

/// Runs its words in a shell, as the one at the other end would.
const SSH: &str = "#!/bin/sh\nwhile [ \"${1#-}\" != \"$1\" ]; do shift; done\nshift\nexec sh -c \"$*\"\n";

/// What begins a line of `gco tasks status` that is different each time.
const VOLATILE: [&str; 9] =
    ["where", "pid", "supervisor", "started", "ended", "last heard", "took", "elapsed", "used"];

pub fn repository(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// A block of a Markdown file.
pub struct Block {
    pub language: String,
    pub line: usize,
    pub text: String,
}

pub fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut inside = false;
    for (at, line) in markdown.lines().enumerate() {
        if let Some(language) = line.strip_prefix("```") {
            inside = !inside;
            if inside {
                blocks.push(Block { language: language.to_owned(), line: at + 1, text: String::new() });
            }
        } else if inside {
            let block = blocks.last_mut().unwrap();
            block.text += line;
            block.text += "\n";
        }
    }
    assert!(!inside, "a block without an end");
    blocks
}

/// The home of one who reads along.
fn reader() -> Home {
    let home = Home::new();
    let program = |name: &str, text: &str| {
        write_program(&home.path().join(name), text, 0o755);
    };
    fs::create_dir(home.path().join("bin")).unwrap();
    for name in STAND_INS {
        program(name, "#!/bin/sh\necho \"${0##*/} $*\"\n");
    }
    program("bin/ssh", SSH);
    fs::write(home.path().join("words"), "b\na\n").unwrap();
    for folder in ["completions", "man"] {
        symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), home.path().join(folder)).unwrap();
    }
    home
}

/// What has a screen to itself until somebody leaves it.
const SCREENS: [&str; 2] = ["gco tasks list --watch", "gco tasks top"];

/// Runs a line in the shell of a reader, on whose terminal the line before ended with `last`. Gives what is shown, and
/// how it ended.
fn typed(home: &Home, line: &str, last: i32) -> (String, i32) {
    let script = format!("PATH=$PWD/bin:$PATH; (exit {last})\n{line}");
    let command = home.command("sh", ["-c", &script]).env_remove("GCO_TASK_STATUS_DIR").env("NO_COLOR", "1");
    let mut terminal = command.on_pty();
    if SCREENS.iter().any(|screen| line.contains(screen)) {
        terminal.until("q quit");
        terminal.write(b"q");
    }
    let (status, shown) = terminal.wait();
    let shown = String::from_utf8(shown).unwrap().replace("\r\n", "\n");
    (shown.replace(home.path().to_str().unwrap(), "/home/me"), status.code().unwrap_or(-1))
}

/// Runs a line that must succeed.
fn succeeds(home: &Home, line: &str) {
    let (shown, code) = typed(home, line, 0);
    assert_eq!(code, 0, "{line}\n{shown}");
}

/// What must be the same each time: without ids' numbers, times, spans of time and process ids, and with one blank
/// where a table has several.
pub fn lasting(shown: &str) -> String {
    let mut lasting = String::new();
    for line in shown.lines() {
        let field =
            VOLATILE.iter().find(|name| line.strip_prefix("  ").is_some_and(|line| line.starts_with(*name)));
        let line = match field {
            Some(name) => format!("{name} …"),
            None => line
                .split(' ')
                .filter(|word| !word.is_empty())
                .map(lasting_word)
                .collect::<Vec<_>>()
                .join(" "),
        };
        lasting += line.replace("just now", "<span> ago").trim_end();
        lasting += "\n";
    }
    lasting
}

fn lasting_word(word: &str) -> String {
    if let Some(word) = word.strip_suffix(':') {
        return lasting_word(word) + ":";
    }
    let is_span = word.starts_with(|c: char| c.is_ascii_digit())
        && word.ends_with(['s', 'm', 'h'])
        && word.chars().all(|c| c.is_ascii_digit() || "msh".contains(c));
    if is_span {
        return "<span>".to_owned();
    }
    // An estimate.
    let is_percent = |text: &str| text.ends_with('%') && text.starts_with(|c: char| c.is_ascii_digit());
    if word.strip_prefix('~').is_some_and(is_percent) {
        return "~<percent>".to_owned();
    }
    // The milliseconds in an id.
    let is_millis = |part: &&str| part.len() == 13 && part.bytes().all(|b| b.is_ascii_digit());
    word.split('-').map(|part| if is_millis(&part) { "<millis>" } else { part }).collect::<Vec<_>>().join("-")
}

/// A line that was typed, and what is said to have been shown.
fn session(block: &Block) -> Vec<(String, String)> {
    let mut session: Vec<(String, String)> = Vec::new();
    for line in block.text.lines() {
        match line.strip_prefix("$ ") {
            Some(command) => session.push((command.to_owned(), String::new())),
            None => {
                let (_, shown) = session.last_mut().unwrap();
                *shown += line;
                *shown += "\n";
            }
        }
    }
    session
}

/// Commands that only look, and so may look again until the task has got as far as the reader's.
fn only_looks(line: &str) -> bool {
    let acts = [" prune", " cancel", " limit", " attach", " adopt"];
    line.starts_with("gco tasks ") && !acts.iter().any(|word| line.contains(word))
}

fn try_session(block: &Block) {
    let home = reader();
    let mut last = 0;
    for (line, wanted) in session(block) {
        let wanted = lasting(&wanted);
        let mut shown = String::new();
        let mut look = || {
            let code;
            (shown, code) = typed(&home, &line, last);
            (lasting(&shown) == wanted).then_some(code)
        };
        let found = if only_looks(&line) && look().is_none() {
            let start = std::time::Instant::now();
            std::iter::repeat_with(&mut look)
                .find(|code| code.is_some() || start.elapsed().as_secs() > 20)
                .flatten()
        } else {
            look()
        };
        assert!(
            found.is_some(),
            "README.md:{}: {line}\nshows\n{shown}\nwhich is\n{}\nand not\n{wanted}",
            block.line,
            lasting(&shown)
        );
        last = found.unwrap();
    }
}

/// Whether this is cargo's work, and `.ci/run` does it.
fn is_for_ci(line: &str) -> bool {
    let is_cargo = line.starts_with("cargo ");
    if is_cargo {
        let done = repository(".ci/run").lines().any(|done| done.trim().starts_with(line));
        assert!(done, "README says '{line}', and .ci/run has no line that begins so");
    }
    is_cargo
}

#[test]
fn what_readme_shows_is_what_comes() {
    let readme = repository("README.md");
    let sessions: Vec<Block> =
        blocks(&readme).into_iter().filter(|block| block.language == "console").collect();
    assert!(sessions.iter().map(|block| session(block).len()).sum::<usize>() >= 8);
    sessions.iter().for_each(try_session);
}

#[test]
fn what_readme_says_to_do_can_be_done() {
    let home = reader();
    let mut count = 0;
    for block in blocks(&repository("README.md")) {
        let lines = block.text.lines();
        match block.language.as_str() {
            // What is said to agents is tried elsewhere.
            "console" | "json" | "toml" | "mcp" => {}
            "sh" => lines.filter(|line| !is_for_ci(line)).for_each(|line| {
                succeeds(&home, line);
                count += 1;
            }),
            "crontab" => lines.filter(|line| !line.starts_with("PATH=")).for_each(|line| {
                let fields: Vec<&str> = line.split_whitespace().take(5).collect();
                assert!(
                    fields
                        .iter()
                        .all(|field| field.bytes().all(|b| b.is_ascii_digit() || b"*/,-".contains(&b)))
                );
                let command = line.splitn(6, char::is_whitespace).last().unwrap().trim_start();
                assert!(!command.contains('%'), "cron takes it for a newline");
                succeeds(&home, command);
                count += 1;
            }),
            other => panic!("README.md:{}: nobody checks blocks of '{other}'", block.line),
        }
    }
    assert!(count >= 10, "{count} commands were found");
    for file in
        [".local/share/bash-completion/completions/gco", ".zfunc/_gco", ".local/share/man/man5/gco-tasks.5"]
    {
        assert!(home.path().join(file).is_file(), "{file}");
    }
}

#[test]
fn what_the_man_pages_say_to_do_can_be_done() {
    let home = reader();
    // Twice, so that there is something to compare.
    for line in
        ["gco run -- make", "gco run -- make", "gco run --name backup --label env=prod -- ./backup.sh"]
    {
        succeeds(&home, line);
    }
    let mut count = 0;
    let mut pages: Vec<_> =
        fs::read_dir(home.path().join("man")).unwrap().map(|page| page.unwrap().path()).collect();
    pages.sort();
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for example in text.split(".nf\n").skip(1).map(|rest| rest.split(".fi\n").next().unwrap()) {
            for line in example.lines() {
                let line = line.strip_prefix("\\fB").and_then(|line| line.strip_suffix("\\fR")).unwrap();
                succeeds(&home, &line.replace("\\-", "-").replace("\\*(Aq", "'").replace("\\\\", "\\"));
                count += 1;
            }
        }
    }
    assert!(count >= 15, "{count} commands were found");
    eventually("the last task to end", || {
        let (shown, _) = typed(&home, "gco tasks list --state running --json", 0);
        (shown == "{\"tasks\": []}\n").then_some(())
    });
}

#[test]
fn what_differs_each_time_is_left_out_and_nothing_else() {
    let shown =
        "TASK  STATE\na.b-1795262527243-0   failed  5s ago   1m02s    3 of 90\n  pid         4240, gone\n";
    assert_eq!(lasting(shown), "TASK STATE\na.b-<millis>-0 failed <span> ago <span> 3 of 90\npid …\n");
    assert_eq!(lasting("exit code   3\n"), "exit code 3\n");
    assert_eq!((lasting_word("90"), lasting_word("~63%")), ("90".to_owned(), "~<percent>".to_owned()));
}
