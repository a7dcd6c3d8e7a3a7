//! The files that are made from the code and kept in the repository: `completions/` and `man/`.
//!
//! `cargo test --test generated` fails where one of them is not what the code makes now.
//! `GCO_GENERATE=1 cargo test --test generated` makes them anew.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod files_page;
mod man;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The folders in which every file is made here.
const FOLDERS: [&str; 2] = ["completions", "man"];

/// The files, by their paths in the repository.
fn all() -> Vec<(PathBuf, String)> {
    let mut files = man::pages();
    files.push((PathBuf::from("man/gco-tasks.5"), files_page::page()));
    for (shell, name) in [("bash", "gco.bash"), ("zsh", "_gco"), ("fish", "gco.fish")] {
        files.push((Path::new("completions").join(name), script(shell)));
    }
    files
}

fn script(shell: &str) -> String {
    let mut script = String::from_utf8(gco::commands::complete::script(shell).unwrap()).unwrap();
    if shell == "zsh" {
        // Zsh runs the file when it first needs it, to get an answer at once.
        script
            .push_str("\nif [[ $funcstack[1] == _gco ]]; then\n    _clap_dynamic_completer_gco \"$@\"\nfi\n");
    }
    script
}

#[test]
fn the_files_are_what_the_code_makes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = all();
    if std::env::var_os("GCO_GENERATE").is_some_and(|value| value == "1") {
        for folder in FOLDERS {
            let _ = fs::remove_dir_all(root.join(folder));
            fs::create_dir(root.join(folder)).unwrap();
        }
        for (path, text) in &files {
            fs::write(root.join(path), text).unwrap();
        }
    }
    let wanted: BTreeSet<PathBuf> = files.iter().map(|(path, _)| path.clone()).collect();
    let mut faults = Vec::new();
    for (path, text) in &files {
        match fs::read_to_string(root.join(path)) {
            Ok(found) if found == *text => {}
            Ok(found) => faults.push(format!("{}: {}", path.display(), first_difference(&found, text))),
            Err(error) => faults.push(format!("{}: {error}", path.display())),
        }
    }
    for folder in FOLDERS {
        for entry in fs::read_dir(root.join(folder)).into_iter().flatten() {
            let path = Path::new(folder).join(entry.unwrap().file_name());
            if !wanted.contains(&path) {
                faults.push(format!("{}: nothing makes it any more", path.display()));
            }
        }
    }
    assert!(
        faults.is_empty(),
        "{}\nTo make them anew: GCO_GENERATE=1 cargo test --test generated",
        faults.join("\n")
    );
}

fn first_difference(found: &str, wanted: &str) -> String {
    let differs = |(_, (found, wanted)): &(usize, (&str, &str))| found != wanted;
    match found.lines().zip(wanted.lines()).enumerate().find(differs) {
        Some((at, (found, wanted))) => format!("line {} is {found:?}, should be {wanted:?}", at + 1),
        None => format!("has {} lines, should have {}", found.lines().count(), wanted.lines().count()),
    }
}

#[test]
fn scripts_call_the_gco_in_path() {
    for shell in ["bash", "zsh", "fish"] {
        let script = script(shell);
        assert!(script.contains("gco") && !script.contains("target/"), "{script}");
        assert!(!script.contains(env!("CARGO_MANIFEST_DIR")), "{script}");
    }
}
