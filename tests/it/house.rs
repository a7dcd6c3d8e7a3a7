//! The house rules that a compiler does not check: who may import whom, where `unsafe` may be, how long a file may be.

use std::fs;
use std::path::{Path, PathBuf};

/// Each room and the rooms it may use, from `src/lib.rs`.
const MAY_USE: [(&str, &[&str]); 14] = [
    ("cli", &["commands", "supervise", "store", "view", "log", "sys", "task", "failure"]),
    (
        "commands",
        &[
            "mcp",
            "screen",
            "present",
            "supervise",
            "observe",
            "store",
            "view",
            "gauge",
            "log",
            "sys",
            "task",
            "failure",
        ],
    ),
    ("mcp", &["supervise", "observe", "store", "view", "log", "sys", "task", "failure"]),
    ("screen", &["observe", "store", "view", "log", "sys", "task", "failure"]),
    ("present", &["observe", "store", "view", "log", "sys", "task", "failure"]),
    ("supervise", &["store", "gauge", "log", "sys", "task", "failure"]),
    ("observe", &["store", "log", "sys", "task", "failure"]),
    ("store", &["log", "sys", "task", "failure"]),
    ("view", &["log", "task", "failure"]),
    ("gauge", &["log", "task", "failure"]),
    ("log", &["task", "failure"]),
    ("sys", &["task", "failure"]),
    ("task", &["failure"]),
    ("failure", &[]),
];

const LONGEST_FILE: usize = 450;

/// The Rust files below `folder` of the repository, with their paths from there.
fn files(folder: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut folders = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(&root).unwrap().to_owned(), text));
            }
        }
    }
    found
}

/// A file's text without its comments.
fn code(text: &str) -> String {
    let cut = |line: &str| match line
        .match_indices("//")
        .find(|(at, _)| line[..*at].trim().is_empty() || line[..*at].ends_with(' '))
    {
        Some((at, _)) => line[..at].to_owned(),
        None => line.to_owned(),
    };
    text.lines().map(cut).collect::<Vec<_>>().join("\n")
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The names that follow each `crate::` in `code`: one, or those at the top of a list in braces.
fn names_after_crate(code: &str) -> Vec<String> {
    let first_word = |text: &str| text.trim_start().chars().take_while(|&c| is_word(c)).collect::<String>();
    let mut names = Vec::new();
    for (at, prefix) in code.match_indices("crate::") {
        let rest = code[at + prefix.len()..].trim_start();
        let Some(list) = rest.strip_prefix('{') else {
            names.push(first_word(rest));
            continue;
        };
        names.push(first_word(list));
        let mut depth = 1;
        for (at, c) in list.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => names.push(first_word(&list[at + 1..])),
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// The room a file of `src` is in.
fn room(path: &Path) -> String {
    let first = path.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn imports_run_downwards() {
    let mut faults = Vec::new();
    for (path, text) in files("src") {
        let from = room(&path);
        if matches!(from.as_str(), "lib" | "main") {
            continue;
        }
        let Some((_, may_use)) = MAY_USE.iter().find(|(name, _)| *name == from) else {
            faults.push(format!("{}: no known room", path.display()));
            continue;
        };
        let code = code(&text);
        for name in names_after_crate(&code) {
            if name != from && !may_use.contains(&name.as_str()) {
                faults.push(format!("{}: {from} may not use {name}", path.display()));
            }
            if name == from && from == "commands" {
                faults.push(format!("{}: a command uses another", path.display()));
            }
        }
        if code.contains("super::super::") {
            faults.push(format!("{}: say crate:: instead of climbing", path.display()));
        }
        if from == "commands"
            && code.contains("super::")
            && code.matches("super::").count() > code.matches("use super::*;").count()
        {
            faults.push(format!("{}: a command leans on its siblings", path.display()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn unsafe_code_is_in_sys_only() {
    for (path, text) in files("src") {
        let mut code = code(&text);
        if path == Path::new("main.rs") {
            code = code.replace("#[unsafe(no_mangle)]", "");
        }
        let is_there = code.split(|c| !is_word(c)).any(|word| word == "unsafe");
        assert!(!is_there || room(&path) == "sys", "{} has unsafe code", path.display());
    }
}

#[test]
fn nouns_and_views_touch_nothing() {
    for (path, text) in files("src") {
        if matches!(room(&path).as_str(), "task" | "view") {
            let code = code(&text);
            for forbidden in
                ["std::fs", "std::env", "File::", "SystemTime", "Instant", "Utc::now", "Local::now"]
            {
                assert!(!code.contains(forbidden), "{} uses {forbidden}", path.display());
            }
        }
    }
}

#[test]
fn files_are_short() {
    for folder in ["src", "tests"] {
        for (path, text) in files(folder) {
            let lines = text.lines().count();
            assert!(lines <= LONGEST_FILE, "{} has {lines} lines: it is two rooms", path.display());
        }
    }
}

#[test]
fn the_scan_sees_what_it_should() {
    let code = code(
        "use crate::{store::{a, b}, view, sys::c}; // crate::no\nlet x = crate::log::y;\n// crate::no\n",
    );
    assert_eq!(names_after_crate(&code), ["store", "view", "sys", "log"]);
}
