//! What the shell offers when TAB is pressed: the tasks, names and labels there are.
//!
//! The shells' scripts (`completions/`) call `COMPLETE=SHELL gco -- WORDS…`. A command that is to be run may
//! have `COMPLETE` in its environment for reasons of its own, so that variable alone means nothing: see
//! [`is_asked_for`]. Everything here is best effort: what cannot be read is not offered, and nothing is said
//! about it in the middle of a command line. Nothing is offered that a shell would not take for one plain word.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Result;
use clap::Command;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter};
use clap_complete::env::{Bash, CompleteEnv, EnvCompleter, Fish, Shells, Zsh};

use crate::failure::Failure;
use crate::store::liveness::Here;
use crate::store::scan::{self, NewestFirst};
use crate::store::{StatusDir, Task, load};
use crate::sys::time;
use crate::task::record::field;
use crate::task::{id, text};
use crate::view::words::ago;

/// Names the shell that asks.
pub const VARIABLE: &str = "COMPLETE";

/// How many tasks are looked at, the newest.
const MOST_TASKS: usize = 200;

/// Whether gco was started to complete a command line, or to print a shell's script.
#[must_use]
pub fn is_asked_for(words: &[OsString]) -> bool {
    is_no_command_line(words)
        && std::env::var_os(VARIABLE).is_some_and(|shell| !shell.is_empty() && shell != "0")
}

/// Whether there are no arguments, or `--` comes before all others: neither is a command line of gco's own.
fn is_no_command_line(words: &[OsString]) -> bool {
    words.get(1).is_none_or(|word| word == "--")
}

/// Prints what can stand at the cursor; without words, the script for the shell. What cannot be completed is
/// a quiet failure.
///
/// # Errors
/// No such shell.
pub fn run(command: fn() -> Command, words: Vec<OsString>) -> Result<i32> {
    let shell = std::env::var_os(VARIABLE).unwrap_or_default();
    let shell = Path::new(&shell).file_stem().unwrap_or(&shell).to_string_lossy();
    let known = SHELLS;
    if known.completer(&shell).is_none() {
        let names: Vec<&str> = known.names().collect();
        let message = format!("{VARIABLE} is '{}', for which there are no completions", text::clean(&shell));
        return Err(Failure::usage(message).hint(format!("there are some for {}", names.join(", "))).into());
    }
    let line = CommandLine { is_begun: has_command(command(), words.get(2..).unwrap_or_default()) };
    let complete =
        CompleteEnv::with_factory(|| with_candidates(command(), line)).var(VARIABLE).shells(SHELLS);
    let done = complete.try_complete(words, std::env::current_dir().ok().as_deref());
    // The last line of some shells' answers has no end.
    Ok(i32::from(done.is_err() || io::stdout().flush().is_err()))
}

/// The script that makes `shell` complete the command lines of the `gco` in `PATH`.
///
/// # Errors
/// There is none for this shell.
pub fn script(shell: &str) -> io::Result<Vec<u8>> {
    let mut script = Vec::new();
    let known = SHELLS.completer(shell).ok_or(io::ErrorKind::NotFound)?;
    known.write_registration(VARIABLE, "gco", "gco", "gco", &mut script)?;
    Ok(script)
}

/// The shells there are scripts for.
const SHELLS: Shells<'static> = Shells(&[&WholeWords, &Zsh, &Fish]);

/// Bash. It takes `key=value` for three words, and wants only the last of them completed.
struct WholeWords;

/// What clap_complete's script takes for the words.
const SPLIT: &str = r#"    local words=("${COMP_WORDS[@]}")
    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
        words[COMP_CWORD]="$2"
    fi
"#;

/// The same with the word at the cursor as it was typed.
const JOINED: &str = r#"    local words=("${COMP_WORDS[@]:0:COMP_CWORD}")
    local typed="${COMP_LINE:0:COMP_POINT}" word="${COMP_WORDS[COMP_CWORD]}"
    typed="${typed##*[[:space:]]}"
    while [[ "$typed" != "$word" && "$typed" == *"$word" && ${#words[@]} -gt 1 ]]; do
        word="${words[${#words[@]}-1]}$word"
        words=("${words[@]:0:${#words[@]}-1}")
    done
    if [[ "$typed" != "$word" ]]; then
        words=("${COMP_WORDS[@]:0:COMP_CWORD}")
        word="$2"
    fi
    words+=("$word")
    _CLAP_COMPLETE_INDEX=$(( ${#words[@]} - 1 ))
"#;

/// Where clap_complete's script looks whether it has got an answer.
const ANSWERED: &str = "    if [[ $? != 0 ]]; then\n        unset COMPREPLY\n";

/// The same, and takes off what bash does not want again.
const SHORTENED: &str = "    if [[ $? != 0 ]]; then\n        unset COMPREPLY\n    else\n        \
    COMPREPLY=(\"${COMPREPLY[@]#\"${word%\"$2\"}\"}\")\n    fi\n    if [[ ${#COMPREPLY[@]} == 0 ]]; then\n        :\n";

impl EnvCompleter for WholeWords {
    fn name(&self) -> &'static str {
        Bash.name()
    }

    fn is(&self, name: &str) -> bool {
        Bash.is(name)
    }

    fn write_registration(
        &self,
        var: &str,
        name: &str,
        bin: &str,
        completer: &str,
        buf: &mut dyn Write,
    ) -> io::Result<()> {
        let mut script = Vec::new();
        Bash.write_registration(var, name, bin, completer, &mut script)?;
        let script = String::from_utf8_lossy(&script).replace(SPLIT, JOINED).replace(ANSWERED, SHORTENED);
        writeln!(buf, "{}", script.trim())
    }

    fn write_complete(
        &self,
        cmd: &mut Command,
        args: Vec<OsString>,
        current_dir: Option<&Path>,
        buf: &mut dyn Write,
    ) -> io::Result<()> {
        Bash.write_complete(cmd, args, current_dir, buf)
    }
}

/// Whether the words before the cursor have a command to be run among them. (What clap_complete says of its place is
/// the same for the command and its first argument.)
fn has_command(gco: Command, line: &[OsString]) -> bool {
    let told = std::env::var("_CLAP_COMPLETE_INDEX").ok().and_then(|index| index.parse().ok());
    let before = told.unwrap_or(line.len().saturating_sub(1));
    gco.try_get_matches_from(line.iter().take(before)).is_ok()
}

/// Adds to each argument that names something gco knows what it can be. They are found by what help calls their
/// values, so that a command need only use the usual words.
fn with_candidates(command: Command, line: CommandLine) -> Command {
    let add = |arg: clap::Arg| {
        let value = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
        let completer = match (arg.get_long(), value.as_deref()) {
            (_, Some("GROUP")) => ArgValueCompleter::new(groups),
            (None | Some("replay"), Some("TASK" | "OTHER")) => ArgValueCompleter::new(tasks),
            (Some("name"), _) => ArgValueCompleter::new(names),
            (Some("label"), _) => ArgValueCompleter::new(labels),
            (None, Some("COMMAND")) => ArgValueCompleter::new(line),
            _ => return arg,
        };
        arg.add(completer)
    };
    command.mut_args(add).mut_subcommands(|command| with_candidates(command, line))
}

/// The newest tasks of which `pick` wants something, with that.
fn newest<T>(mut pick: impl FnMut(&Task) -> Option<T>) -> Vec<T> {
    let Ok(Some(dir)) = StatusDir::for_reading() else { return Vec::new() };
    let Ok(listed) = scan::records(&dir) else { return Vec::new() };
    let here = Here::ask();
    let loaded = NewestFirst::from(listed).take(MOST_TASKS).filter_map(|one| load(&dir, &one.id, &here).ok());
    loaded.filter_map(|task| pick(&task)).collect()
}

/// The name that `task` goes by.
fn name_of(task: &Task) -> Option<String> {
    let of_record = || task.record.text(field::TOOL).map(|tool| id::tool_name(tool.as_bytes()));
    scan::Listed::from_id(&task.id).and_then(|one| one.tool().map(str::to_owned)).or_else(of_record)
}

/// Names, the newest first, then ids, the newest first.
fn tasks(current: &OsStr) -> Vec<CompletionCandidate> {
    let now = time::now();
    let found = newest(|task| {
        let started = task.record.time(field::STARTED_AT).map(|at| format!(", {}", ago(at, now)));
        let id = CompletionCandidate::new(task.id.as_str());
        let id = id.help(Some(format!("{}{}", task.state, started.unwrap_or_default()).into()));
        Some((name_of(task), begins(task.id.as_str(), current).then_some(id)))
    });
    let (names, ids): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    let mut all = distinct(names.into_iter().flatten(), current);
    all.extend(ids.into_iter().flatten());
    all
}

fn names(current: &OsStr) -> Vec<CompletionCandidate> {
    distinct(newest(name_of), current)
}

/// Each of `names` that begins with `current`, once.
fn distinct(names: impl IntoIterator<Item = String>, current: &OsStr) -> Vec<CompletionCandidate> {
    let mut seen = HashSet::new();
    let names = names.into_iter().filter(|name| begins(name, current) && seen.insert(name.clone()));
    names.map(|name| CompletionCandidate::new(name).help(Some("the newest of this name".into()))).collect()
}

fn labels(current: &OsStr) -> Vec<CompletionCandidate> {
    let mut seen = HashSet::new();
    let of_each = newest(|task| {
        Some(task.record.labels().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>())
    });
    let mut all: Vec<String> = of_each.into_iter().flatten().collect();
    all.retain(|label| is_plain(label) && begins(label, current) && seen.insert(label.clone()));
    all.into_iter().map(CompletionCandidate::new).collect()
}

/// The groups that are in use or have a limit.
fn groups(current: &OsStr) -> Vec<CompletionCandidate> {
    let Ok(Some(dir)) = StatusDir::for_reading() else { return Vec::new() };
    let lines = scan::everything(&dir).map(|found| found.lines).unwrap_or_default();
    let names = lines.iter().filter(|line| line.is_group()).map(|line| line.name().to_owned());
    let mut names: Vec<String> = names.filter(|name| begins(name, current)).collect();
    names.sort();
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// The command to be run, then its arguments, of which all that can be known is that they may be files.
#[derive(Debug, Clone, Copy)]
struct CommandLine {
    is_begun: bool,
}

impl ValueCompleter for CommandLine {
    fn complete(&self, current: &OsStr) -> Vec<CompletionCandidate> {
        let is_path = current.to_string_lossy().contains('/');
        if !self.is_begun && !is_path && !current.is_empty() {
            return programs(current);
        }
        let mut all = PathCompleter::any().complete(current);
        all.retain(|candidate| candidate.get_value().to_str().is_some_and(is_plain));
        all
    }
}

/// The programs in `PATH`.
fn programs(current: &OsStr) -> Vec<CompletionCandidate> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let entries = std::env::split_paths(&path).filter_map(|dir| fs::read_dir(dir).ok()).flatten().flatten();
    let fits = |name: &str| is_plain(name) && begins(name, current);
    let found = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok().filter(|name| fits(name))?;
        let meta = fs::metadata(entry.path()).ok()?;
        (meta.is_file() && meta.permissions().mode() & 0o111 != 0).then_some(name)
    });
    let mut names: Vec<String> = found.collect();
    names.sort();
    names.dedup();
    names.into_iter().map(CompletionCandidate::new).collect()
}

fn begins(word: &str, current: &OsStr) -> bool {
    current.to_str().is_some_and(|current| word.starts_with(current))
}

/// Whether a shell takes `word` for itself: what is in a record ends up on a command line.
fn is_plain(word: &str) -> bool {
    !word.starts_with('-') && word.chars().all(|c| c.is_alphanumeric() || "._-+/=:,@%~".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_never_taken_for_a_question() {
        let is_question =
            |line: &str| is_no_command_line(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert!(is_question("gco") && is_question("gco -- gco run"));
        for own in ["gco run -- x", "gco tasks list", "gco -h", "gco run"] {
            assert!(!is_question(own), "{own}");
        }
    }

    #[test]
    fn what_a_shell_would_read_is_not_offered() {
        for plain in ["env=prod", "branch=feature/x", "at=10:30", "größe=1"] {
            assert!(is_plain(plain), "{plain}");
        }
        for live in
            ["a=$(id)", "a=`id`", "a=b c", "a=;id", "a=\n", "a=\u{1b}[2J", "--x=y", "a=\u{202e}b", "a=*"]
        {
            assert!(!is_plain(live), "{live:?}");
        }
    }
}
