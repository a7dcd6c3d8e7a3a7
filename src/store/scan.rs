//! What is in the directory, told from the names of the files alone.
//!
//! A million tasks are listed without opening one of them: when a task began stands in its id. Only for
//! the ids of other tools, which need not say, the record is looked at (`lstat`), still not opened.
//! Names that are no task's are passed over: nothing is promised about files that gco does not know.

use std::collections::{BinaryHeap, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use super::StatusDir;
use super::replace::TEMPORARY;
use crate::task::{LineName, TaskId};

/// The milliseconds that a number in an id must lie between to be taken for a time: 2001 to 2286. Other
/// tools put pids, seconds or counters in the same place.
const PLAUSIBLE: std::ops::Range<u64> = 1_000_000_000_000..10_000_000_000_000;

/// A task's id with the moment it is sorted by. The greater one is the newer one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Milliseconds since 1970: when the task began, or for ids that do not say, when its record was last
    /// written.
    pub millis: u64,
    /// Tells tasks of the same millisecond apart.
    counter: u32,
    /// The id.
    pub id: TaskId,
}

impl Listed {
    /// The entry for an id that carries its time; `None` for one that does not.
    #[must_use]
    pub fn from_id(id: &TaskId) -> Option<Self> {
        let (_, millis, counter) = id.parts().filter(|(_, millis, _)| PLAUSIBLE.contains(millis))?;
        Some(Self { millis, counter, id: id.clone() })
    }

    /// The entry for an id of another tool, whose record was last written at `millis`.
    #[must_use]
    pub fn written_at(id: TaskId, millis: u64) -> Self {
        Self { millis, counter: 0, id }
    }

    /// The same time in seconds since 1970.
    #[must_use]
    pub fn seconds(&self) -> i64 {
        i64::try_from(self.millis / 1000).unwrap_or(i64::MAX)
    }

    /// The tool, where the id says it. The ids of other tools do not: there it is in the record.
    #[must_use]
    pub fn tool(&self) -> Option<&str> {
        let (tool, millis, _) = self.id.parts()?;
        PLAUSIBLE.contains(&millis).then_some(tool)
    }
}

/// Tasks, the newest first. Each one costs its own step only: whoever needs twenty of a million does not
/// pay for sorting the rest.
#[derive(Debug)]
pub struct NewestFirst(BinaryHeap<Listed>);

impl From<Vec<Listed>> for NewestFirst {
    fn from(listed: Vec<Listed>) -> Self {
        Self(listed.into())
    }
}

impl Iterator for NewestFirst {
    type Item = Listed;

    fn next(&mut self) -> Option<Listed> {
        self.0.pop()
    }
}

impl NewestFirst {
    /// Those still to come, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Listed> {
        self.0.iter()
    }

    /// How many there are still to come.
    #[must_use]
    pub fn left(&self) -> usize {
        self.0.len()
    }
}

/// Lists the tasks that have a record, in no order.
///
/// # Errors
/// What reading the directory said; a directory that is gone has no tasks.
pub fn records(dir: &StatusDir) -> io::Result<Vec<Listed>> {
    let mut listed = Vec::new();
    each_name(dir, |name| {
        if let Some(id) = name.strip_suffix(".json").and_then(|stem| TaskId::parse(stem).ok()) {
            listed.extend(entry(dir, id));
        }
    })?;
    Ok(listed)
}

/// All that is in the directory.
#[derive(Debug, Default)]
pub struct Contents {
    /// The tasks that have a record, in no order.
    pub records: Vec<Listed>,
    /// The ids of the logs that have no record.
    pub stray_logs: Vec<TaskId>,
    /// The ids of the indexes of logs that have no record.
    pub stray_times: Vec<TaskId>,
    /// The ids of the lock files, with or without a record.
    pub locks: Vec<TaskId>,
    /// The names of the temporary files.
    pub temporaries: Vec<String>,
    /// Requests to end a task: their names and the task's id.
    pub requests: Vec<(String, TaskId)>,
    /// The waiting lines that have a file.
    pub lines: Vec<LineName>,
}

/// Lists everything of gco's in the directory.
///
/// # Errors
/// What reading the directory said; a directory that is gone is empty.
pub fn everything(dir: &StatusDir) -> io::Result<Contents> {
    let mut found = Contents::default();
    each_name(dir, |name| match kind(name) {
        Some(Kind::Record(id)) => found.records.extend(entry(dir, id)),
        Some(Kind::Log(id)) => found.stray_logs.push(id),
        Some(Kind::Times(id)) => found.stray_times.push(id),
        Some(Kind::Lock(id)) => found.locks.push(id),
        Some(Kind::Temporary) => found.temporaries.push(name.to_owned()),
        Some(Kind::Request(id)) => found.requests.push((name.to_owned(), id)),
        Some(Kind::Line(line)) => found.lines.push(line),
        None => {}
    })?;
    let recorded: HashSet<&TaskId> = found.records.iter().map(|listed| &listed.id).collect();
    found.stray_logs.retain(|id| !recorded.contains(id));
    found.stray_times.retain(|id| !recorded.contains(id));
    Ok(found)
}

/// The tasks that have a lock file, in no order.
///
/// # Errors
/// What reading the directory said; a directory that is gone has none.
pub fn locks(dir: &StatusDir) -> io::Result<Vec<TaskId>> {
    let mut locks = Vec::new();
    each_name(dir, |name| locks.extend(lock_of(name)))?;
    Ok(locks)
}

/// The task whose lock file is called `name`; `None` if that is no lock file's name.
#[must_use]
pub fn lock_of(name: &str) -> Option<TaskId> {
    match kind(name) {
        Some(Kind::Lock(id)) => Some(id),
        _ => None,
    }
}

/// What a file is for, by its name.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Record(TaskId),
    Log(TaskId),
    Times(TaskId),
    Lock(TaskId),
    Request(TaskId),
    Temporary,
    Line(LineName),
}

fn kind(name: &str) -> Option<Kind> {
    let id = |stem: &str| TaskId::parse(stem).ok();
    let Some(hidden) = name.strip_prefix('.') else {
        return match name.rsplit_once('.')? {
            (stem, "json") => id(stem).map(Kind::Record),
            (stem, "log") => id(stem).map(Kind::Log),
            _ => None,
        };
    };
    if let Some(stem) = hidden.strip_suffix(".lock") {
        return id(stem).map(Kind::Lock);
    }
    if let Some(stem) = hidden.strip_suffix(".times") {
        return id(stem).map(Kind::Times);
    }
    let beside = [".cancel", ".cancelling", ".attach", ".progress"]
        .into_iter()
        .find_map(|end| hidden.strip_suffix(end));
    if let Some(stem) = beside {
        return id(stem).map(Kind::Request);
    }
    if let Some(line) = LineName::from_file_name(name) {
        return Some(Kind::Line(line));
    }
    let (stem, _random) = hidden.strip_suffix(TEMPORARY)?.rsplit_once('.')?;
    id(stem).map(|_| Kind::Temporary)
}

fn each_name(dir: &StatusDir, mut take: impl FnMut(&str)) -> io::Result<()> {
    let entries = match fs::read_dir(dir.path()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        // A name that is not UTF-8 is no task's.
        if let Some(name) = entry?.file_name().to_str() {
            take(name);
        }
    }
    Ok(())
}

/// The entry for `id`; `None` if its record has gone since its name was read.
fn entry(dir: &StatusDir, id: TaskId) -> Option<Listed> {
    if let Some(listed) = Listed::from_id(&id) {
        return Some(listed);
    }
    let written = match fs::symlink_metadata(dir.record(&id)) {
        Ok(meta) => meta.mtime().saturating_mul(1000).saturating_add(meta.mtime_nsec() / 1_000_000),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        // It is there all the same, and whoever opens it will learn what is wrong.
        Err(_) => 0,
    };
    Some(Listed::written_at(id, u64::try_from(written).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::id::NotAnId;

    fn id(text: &str) -> Result<TaskId, NotAnId> {
        TaskId::parse(text)
    }

    #[test]
    fn names_tell_what_files_are_for() -> Result<(), NotAnId> {
        assert_eq!(kind("a-1-2.json"), Some(Kind::Record(id("a-1-2")?)));
        assert_eq!(kind("a.b.log"), Some(Kind::Log(id("a.b")?)));
        assert_eq!(kind(".a.b.lock"), Some(Kind::Lock(id("a.b")?)));
        assert_eq!(kind(".a.b.times"), Some(Kind::Times(id("a.b")?)));
        assert_eq!(kind(".a-1-2.Xy12.tmp"), Some(Kind::Temporary));
        assert_eq!(kind(".a-1.cancel"), Some(Kind::Request(id("a-1")?)));
        assert_eq!(kind(".a-1.cancelling"), Some(Kind::Request(id("a-1")?)));
        assert_eq!(kind(".a-1.attach"), Some(Kind::Request(id("a-1")?)));
        assert_eq!(kind(".a-1.progress"), Some(Kind::Request(id("a-1")?)));
        assert_eq!(kind(".group-a.lock.line"), LineName::group("a.lock").ok().map(Kind::Line));
        assert_eq!(kind(".group-a.lock"), Some(Kind::Lock(id("group-a")?)));
        for other in [
            "",
            ".",
            "..",
            ".json",
            ".log",
            "x",
            "a.tmp",
            ".a.tmp",
            ".x.json",
            "_x.json",
            "a b.log",
            ".-x.lock",
            ".group-.line",
            ".x.line",
            ".events",
            ".events.old",
            ".consumer-a.lock.cursor",
            ".consumer-a.b.tmp.cursor",
        ] {
            assert_eq!(kind(other), None, "{other:?}");
        }
        Ok(())
    }

    #[test]
    fn the_newest_come_first() -> Result<(), NotAnId> {
        let by_id = |text| id(text).map(|id| Listed::from_id(&id));
        let mut all: Vec<Listed> = Vec::new();
        for text in ["z-1795257472000-0", "a-1795257472001-0", "a-1795257472001-10", "a-1795257472001-9"] {
            all.extend(by_id(text)?);
        }
        all.push(Listed::written_at(id("other")?, 1_795_257_472_002));
        let mut newest = NewestFirst::from(all);
        assert_eq!(newest.next().map(|l| l.id), Some(id("other")?));
        assert_eq!(newest.left(), 4);
        let rest: Vec<String> = newest.map(|listed| listed.id.to_string()).collect();
        assert_eq!(
            rest,
            ["a-1795257472001-10", "a-1795257472001-9", "a-1795257472001-0", "z-1795257472000-0"]
        );
        Ok(())
    }

    #[test]
    fn a_pid_in_an_id_is_no_time() -> Result<(), NotAnId> {
        for other in ["deploy-4711-1", "deploy-1795257472-1", "deploy-99999999999999-1", "deploy"] {
            assert_eq!(Listed::from_id(&id(other)?), None, "{other}");
            assert_eq!(Listed::written_at(id(other)?, 7).tool(), None);
        }
        Ok(())
    }
}
