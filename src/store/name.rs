//! Which task is meant: an exact id, a tool's newest task, or the only id that begins so.
//!
//! [`choose`] is pure and decides from a list of ids. [`resolve`] reads the directory for it, and
//! never builds a path from what was typed before it has passed for an id.

use std::fs;

use super::liveness::Here;
use super::scan::{self, Listed, NewestFirst};
use super::{StatusDir, load};
use crate::failure::Failure;
use crate::task::record::field;
use crate::task::{State, TaskId, text};

/// How much of what was typed a message repeats, in characters.
const MAX_SHOWN: usize = 60;

/// How many candidates a message lists.
const MAX_CANDIDATES: usize = 10;

/// What a name means.
#[derive(Debug, PartialEq, Eq)]
pub enum Choice {
    /// This task.
    One(TaskId),
    /// No task.
    Nothing,
    /// The beginning of several ids, the newest first.
    Several(Vec<TaskId>),
}

/// Decides which of `tasks` is meant by `word`. `tool_of` tells the tool of a task whose id does not, and is
/// asked no more often than it must be.
pub fn choose(word: &TaskId, tasks: Vec<Listed>, tool_of: impl Fn(&TaskId) -> Option<String>) -> Choice {
    let word = word.as_str();
    if let Some(exact) = tasks.iter().find(|task| task.id.as_str() == word) {
        return Choice::One(exact.id.clone());
    }
    let mut begin_so: Vec<Listed> =
        tasks.iter().filter(|task| task.id.as_str().starts_with(word)).cloned().collect();
    for task in NewestFirst::from(tasks) {
        let is_it = match task.tool() {
            Some(tool) => tool == word,
            None => tool_of(&task.id).is_some_and(|tool| tool == word),
        };
        if is_it {
            return Choice::One(task.id);
        }
    }
    begin_so.sort_unstable_by(|a, b| b.cmp(a));
    let mut ids = begin_so.into_iter().map(|task| task.id);
    match (ids.next(), ids.next()) {
        (None, _) => Choice::Nothing,
        (Some(only), None) => Choice::One(only),
        (Some(first), Some(second)) => Choice::Several([first, second].into_iter().chain(ids).collect()),
    }
}

/// Finds the task that `word` means; without a word, the newest. `dir` is `None` if there is no directory.
///
/// # Errors
/// A [`Failure`] that says what is wrong: exit code 2 for a word that can be no task's or means several, 1 if there
/// is no such task or the directory cannot be read.
pub fn resolve(dir: Option<&StatusDir>, word: Option<&str>) -> Result<TaskId, Failure> {
    let Some(word) = word else {
        let tasks = dir.map_or(Ok(Vec::new()), list)?;
        let newest = tasks.into_iter().max().map(|task| task.id);
        return newest.ok_or_else(|| {
            Failure::failed("there are no tasks").hint("start one with 'gco run -- COMMAND'")
        });
    };
    let word = parse(word)?;
    let Some(dir) = dir else {
        return Err(unknown(&word));
    };
    // An exact id needs no look at the other tasks.
    if fs::symlink_metadata(dir.record(&word)).is_ok() {
        return Ok(word);
    }
    match choose(&word, list(dir)?, |id| tool_of(dir, id)) {
        Choice::One(id) => Ok(id),
        Choice::Nothing => Err(unknown(&word)),
        Choice::Several(ids) => Err(ambiguous(&word, &ids)),
    }
}

/// Finds the status directory, and the task in it that `word` means; without a word, the newest.
///
/// # Errors
/// As for [`resolve`]; also if the directory cannot be used (1).
pub fn find(word: Option<&str>) -> Result<(StatusDir, TaskId), Failure> {
    let dir = StatusDir::for_reading().map_err(|unusable| Failure::failed(unusable.to_string()))?;
    let id = resolve(dir.as_ref(), word)?;
    match dir {
        Some(dir) => Ok((dir, id)),
        None => Err(unknown(&id)),
    }
}

/// Finds the task that `word` means to a command that ends something: it never guesses. A tool name must mean exactly one task
/// that is under way; an exact id, or the beginning of one only, may be any task's.
///
/// # Errors
/// As for [`resolve`]; also if several tasks of that name are under way (2), or none (1).
pub fn resolve_living(dir: Option<&StatusDir>, word: &str, here: &Here) -> Result<TaskId, Failure> {
    let word = parse(word)?;
    let Some(dir) = dir else { return Err(unknown(&word)) };
    if fs::symlink_metadata(dir.record(&word)).is_ok() {
        return Ok(word);
    }
    let tasks = list(dir)?;
    let of_name: Vec<&Listed> = tasks
        .iter()
        .filter(|task| match task.tool() {
            Some(tool) => tool == word.as_str(),
            None => tool_of(dir, &task.id).is_some_and(|tool| tool == word.as_str()),
        })
        .collect();
    if of_name.is_empty() {
        return match choose(&word, tasks, |_| None) {
            Choice::One(id) => Ok(id),
            Choice::Nothing => Err(unknown(&word)),
            Choice::Several(ids) => Err(ambiguous(&word, &ids)),
        };
    }
    let mut living: Vec<TaskId> =
        of_name.iter().filter(|task| is_living(dir, &task.id, here)).map(|task| task.id.clone()).collect();
    match (living.pop(), living.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(last), false) => {
            living.push(last);
            living.sort_unstable_by(|a, b| b.cmp(a));
            Err(several_living(&word, &living))
        }
        (None, _) => Err(Failure::failed(format!("no task of the name '{word}' is under way"))
            .hint(format!("'gco tasks list --name {word}' shows those that were"))),
    }
}

/// Whether a task is under way, or its command runs although nobody supervises it.
#[must_use]
pub fn is_living(dir: &StatusDir, id: &TaskId, here: &Here) -> bool {
    load(dir, id, here).is_ok_and(|task| {
        task.state.is_live() || (task.state == State::Orphaned && task.is_alive != Some(false))
    })
}

fn tool_of(dir: &StatusDir, id: &TaskId) -> Option<String> {
    let record = load::read_record(dir, id).ok()?;
    record.text(field::TOOL).map(str::to_owned)
}

/// Takes what was typed for the name of a task: every id, tool name and beginning of one has the form of an id.
///
/// # Errors
/// A [`Failure`] with exit code 2.
pub fn parse(word: &str) -> Result<TaskId, Failure> {
    TaskId::parse(word).map_err(|_| {
        Failure::usage(format!("'{}' cannot be the name of a task", shorten(word))).hint(
            "a task is named by its id, the beginning of its id, or its tool; 'gco tasks list' shows them",
        )
    })
}

/// The failure of a task that is not there (any more): exit code 1.
#[must_use]
pub fn unknown(word: &TaskId) -> Failure {
    Failure::failed(format!("there is no task '{}'", shorten(word.as_str())))
        .hint("'gco tasks list' shows the tasks that there are")
}

fn ambiguous(word: &TaskId, ids: &[TaskId]) -> Failure {
    let message = format!("'{}' is the beginning of {} ids:", shorten(word.as_str()), ids.len());
    with_candidates(message, ids).hint("give more of the id")
}

fn several_living(word: &TaskId, ids: &[TaskId]) -> Failure {
    let message =
        format!("'{}' is the name of {} tasks that are under way:", shorten(word.as_str()), ids.len());
    with_candidates(message, ids).hint("give the id")
}

fn with_candidates(mut message: String, ids: &[TaskId]) -> Failure {
    for id in ids.iter().take(MAX_CANDIDATES) {
        message.push_str(&format!("\n  {id}"));
    }
    if ids.len() > MAX_CANDIDATES {
        message.push_str(&format!("\n  and {} more", ids.len() - MAX_CANDIDATES));
    }
    Failure::usage(message)
}

fn list(dir: &StatusDir) -> Result<Vec<Listed>, Failure> {
    scan::records(dir).map_err(|error| dir.unreadable(&error))
}

/// What was typed, fit to be repeated in a message.
fn shorten(word: &str) -> String {
    let mut chars = word.chars();
    let start: String = chars.by_ref().take(MAX_SHOWN).collect();
    let end = if chars.next().is_some() { "…" } else { "" };
    format!("{}{end}", text::clean(&start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::id::NotAnId;

    const IDS: [&str; 5] =
        ["deploy-1795257472001-0", "deploy-1795257472002-0", "deploy-blue-1795257472000-0", "old-7", "older"];

    fn means(word: &str) -> Result<Choice, NotAnId> {
        let mut tasks = Vec::new();
        for (at, id) in IDS.iter().enumerate() {
            let id = TaskId::parse(id)?;
            tasks.push(Listed::from_id(&id).unwrap_or_else(|| Listed::written_at(id, at as u64)));
        }
        let tool_of = |id: &TaskId| (id.as_str() == "old-7").then(|| "backup".to_owned());
        Ok(choose(&TaskId::parse(word)?, tasks, tool_of))
    }

    #[test]
    fn an_id_then_a_tool_then_a_beginning() -> Result<(), NotAnId> {
        for (word, id) in [
            ("deploy-1795257472001-0", "deploy-1795257472001-0"),
            ("deploy", "deploy-1795257472002-0"),
            ("deploy-blue", "deploy-blue-1795257472000-0"),
            ("deploy-b", "deploy-blue-1795257472000-0"),
            ("backup", "old-7"),
            ("old-", "old-7"),
            ("older", "older"),
        ] {
            assert_eq!(means(word)?, Choice::One(TaskId::parse(id)?), "{word}");
        }
        assert_eq!(means("back")?, Choice::Nothing);
        assert_eq!(means("deploy-1795257472001-0x")?, Choice::Nothing);
        let two = Choice::Several(vec![TaskId::parse(IDS[1])?, TaskId::parse(IDS[0])?]);
        assert_eq!(means("deploy-1")?, two);
        Ok(())
    }

    #[test]
    fn a_long_word_is_shortened() {
        let message = parse(&"x".repeat(10_000)).err().map(|failure| failure.to_string());
        assert!(message.is_some_and(|text| text.len() < 300 && text.contains("xxx…'")));
        let message = parse("\x1b[31m../x").err().map(|failure| failure.to_string());
        assert!(message.is_some_and(|text| text.contains("'../x'")));
    }
}
