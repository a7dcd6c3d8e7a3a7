//! A man page per command, from what its help says.

use std::path::PathBuf;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

/// What stands at the bottom of each page.
pub const SOURCE: &str = concat!("gco ", env!("CARGO_PKG_VERSION"));

/// What stands at the top of each page.
pub const MANUAL: &str = "gco manual";

/// The pages of `gco` and all its commands, by their paths.
pub fn pages() -> Vec<(PathBuf, String)> {
    let mut root = gco::cli::command();
    root.build();
    let mut commands = Vec::new();
    gather(&root, &mut commands);
    let names: Vec<String> = commands.iter().map(|command| name(command).to_owned()).collect();
    let path = |command: &Command| PathBuf::from(format!("man/{}.1", name(command)));
    commands.iter().map(|command| (path(command), page(command, &names))).collect()
}

fn gather(command: &Command, into: &mut Vec<Command>) {
    into.push(command.clone());
    for sub in command.get_subcommands() {
        gather(sub, into);
    }
}

fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn page(command: &Command, all: &[String]) -> String {
    let is_group = command.has_subcommands();
    let mut command = command.clone().subcommand_help_heading("COMMANDS");
    let usage = command.render_usage().to_string();
    command = command.override_usage(usage.trim_start_matches("Usage: ").to_owned());
    // What comes first stands behind the name already.
    if let Some((_, more)) =
        command.get_long_about().map(ToString::to_string).as_deref().and_then(|text| text.split_once("\n\n"))
    {
        command = command.long_about(more.to_owned());
    }
    let man = Man::new(command.clone()).source(SOURCE).manual(MANUAL);
    let mut out = Vec::new();
    man.render_title(&mut out).unwrap();
    man.render_name_section(&mut out).unwrap();
    man.render_synopsis_section(&mut out).unwrap();
    man.render_description_section(&mut out).unwrap();
    if is_group {
        man.render_subcommands_section(&mut out).unwrap();
    }
    man.render_options_section(&mut out).unwrap();
    let mut roff = Roff::new();
    if let Some(more) = command.get_after_long_help() {
        sections(&mut roff, &more.to_string());
    }
    roff.control("SH", ["SEE ALSO"]);
    let others = all.iter().filter(|other| *other != name(&command)).map(|other| (other.as_str(), "(1)"));
    let mut line = Vec::new();
    for (other, section) in others.chain([("gco-tasks", "(5)")]) {
        if !line.is_empty() {
            line.push(roman(", "));
        }
        line.extend([bold(other), roman(section)]);
    }
    roff.text(line);
    roff.to_writer(&mut out).unwrap();
    tidy(&String::from_utf8(out).unwrap())
}

/// Turns what help says after the options into sections: a heading is not indented; text is, by two blanks, a table of
/// words and their meanings too; four blanks stand before a command.
fn sections(roff: &mut Roff, text: &str) {
    let mut is_command = false;
    for line in text.lines() {
        let command = line.strip_prefix("    ");
        if command.is_some() != is_command {
            is_command = command.is_some();
            for control in if is_command { ["RS", "nf"] } else { ["fi", "RE"] } {
                roff.control(control, if control == "RS" { &["4"][..] } else { &[] }.iter().copied());
            }
        }
        match (command, line.strip_prefix("  ")) {
            (Some(command), _) => drop(roff.text([bold(command)])),
            (None, Some(text)) => match text.split_once("  ") {
                Some((term, meaning)) => {
                    roff.control("TP", []);
                    roff.text([bold(term)]);
                    roff.text([roman(meaning.trim_start())]);
                }
                None => {
                    roff.control("PP", []);
                    roff.text([roman(text)]);
                }
            },
            (None, None) if line.is_empty() => {}
            (None, None) => drop(roff.control("SH", [line.trim_end_matches(':').to_uppercase().as_str()])),
        }
    }
    if is_command {
        roff.control("fi", []);
        roff.control("RE", []);
    }
}

/// Every part begins with the same definitions; one of them is enough. An empty line is written as a request. What only
/// repeats that a paragraph begins is left out.
pub fn tidy(page: &str) -> String {
    let mut tidy = String::new();
    let mut seen = Vec::new();
    let lines: Vec<&str> = page.lines().map(str::trim_end).collect();
    for (at, &line) in lines.iter().enumerate() {
        let (before, after) = (at.checked_sub(1).map_or("", |at| lines[at]), lines.get(at + 1));
        let begins = before.starts_with(".SH") && line == ".PP";
        let breaks = line == ".br" && (before.is_empty() || after.is_some_and(|after| after.is_empty()));
        if begins || breaks {
            continue;
        }
        if line.starts_with(".ie") || line.starts_with(".el") {
            if seen.contains(&line) {
                continue;
            }
            seen.push(line);
        }
        tidy.push_str(if line.is_empty() { ".sp" } else { line });
        tidy.push('\n');
    }
    tidy
}

#[test]
fn every_option_is_explained() {
    let mut root = gco::cli::command();
    root.build();
    let mut commands = Vec::new();
    gather(&root, &mut commands);
    assert_eq!(commands.len(), 18);
    for (command, (path, page)) in commands.iter().zip(pages()) {
        for arg in command.get_arguments() {
            assert!(arg.get_help().is_some(), "{}: {} has no help", command.get_name(), arg.get_id());
            let option = arg.get_long().map(|long| format!("\\-\\-{}", long.replace('-', "\\-")));
            let option = option.unwrap_or_else(|| arg.get_value_names().unwrap()[0].to_string());
            assert!(page.contains(&option), "{}: {option} is missing", path.display());
        }
        assert!(page.contains("EXAMPLES"), "{} has no examples", path.display());
    }
}

#[test]
fn every_option_is_in_an_example() {
    let mut root = gco::cli::command();
    root.build();
    let mut commands = Vec::new();
    gather(&root, &mut commands);
    let mut examples = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    for (_, page) in pages() {
        examples.push_str(
            &page.split(".nf\n").skip(1).map(|rest| rest.split(".fi").next().unwrap()).collect::<String>(),
        );
    }
    let examples = examples.replace("\\-", "-");
    let mut missing = Vec::new();
    for command in &commands {
        for arg in command.get_arguments().filter(|arg| !arg.is_global_set()) {
            let Some(long) = arg.get_long().filter(|long| !matches!(*long, "help" | "version")) else {
                continue;
            };
            let short = arg.get_short().map(|short| format!(" -{short}"));
            let is_there = examples.contains(&format!("--{long}"))
                || short.is_some_and(|short| examples.contains(&short));
            if !is_there {
                missing.push(format!("{} --{long}", command.get_name()));
            }
        }
    }
    assert!(missing.is_empty(), "no example shows {missing:?}");
}
