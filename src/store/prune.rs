//! Removing tasks, and what was left lying about: the thin doing behind [`retention`](super::retention).
//!
//! What is about to be removed is looked at again just before, and left alone if it has changed. Any number
//! of prunes may run at once, beside running tasks: a file that is gone already is no error, and counts
//! for whoever removed it.
//!
//! The record goes first, then the log with its times, then the lock file. A crash in between leaves a log without a
//! record, which every prune clears away; the other order would leave a record that says a task
//! succeeded, and no log of it.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::events::Events;
use super::liveness::Here;
use super::load::{LoadError, Task, load};
use super::retention::{Candidate, Standing};
use super::scan::{self, Contents, Listed, NewestFirst};
use super::{StatusDir, line, lockfile, orphans};
use crate::log::gap::SMALLEST_LIMIT;
use crate::sys::lock::Probe;
use crate::sys::process;
use crate::task::record::field;
use crate::task::{LineName, Record, State, TaskId};

/// How long something that belongs to no task must have been left alone to be taken for a leftover. A task is
/// without its record or its lock for moments only.
const LEFT_ALONE: Duration = Duration::from_secs(60);

/// A task that was found, and what the decision needs of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its id.
    pub id: TaskId,
    /// What the decision needs.
    pub candidate: Candidate,
}

/// Looks at every task, newest first. This opens every record.
#[must_use]
pub fn survey(dir: &StatusDir, contents: &Contents, here: &Here) -> Vec<Found> {
    let tasks = NewestFirst::from(contents.records.clone());
    tasks
        .filter_map(|task| {
            let loaded = load(dir, &task.id, here);
            let began = task.seconds();
            let (standing, ended) = match loaded {
                Err(LoadError::Missing) => return None,
                Err(error) => (Standing::Unreadable(error.to_string()), began),
                Ok(task) => (standing(dir, &task), ended(&task.record).unwrap_or(began)),
            };
            let paths = [dir.record(&task.id), dir.log(&task.id), dir.times(&task.id)];
            let size = paths.iter().map(|path| size_of(path)).sum();
            Some(Found { candidate: Candidate { standing, ended, size }, id: task.id })
        })
        .collect()
}

/// Removes task `id`, if it is over. Gives the bytes that were freed: the lengths of record, log and times. `None` if there was
/// nothing to remove any more, or no reason to.
///
/// # Errors
/// What the system says. The record may be gone then and the log still be there.
pub fn remove(dir: &StatusDir, id: &TaskId, here: &Here) -> io::Result<Option<u64>> {
    let task = load(dir, id, here).ok();
    let Some(task) = task.filter(|task| matches!(standing(dir, task), Standing::Over(_))) else {
        return Ok(None);
    };
    if task.state == State::Orphaned {
        // Nobody can find out any more once it is gone. If it cannot be told, that is no reason to keep it.
        let _ = orphans::tell(&Events::of(dir), id, here);
    }
    let Some(mut freed) = unlink(&dir.record(id))? else {
        return Ok(None);
    };
    freed += unlink(&dir.log(id))?.unwrap_or(0);
    freed += unlink(&dir.times(id))?.unwrap_or(0);
    unlink(&dir.lock(id))?;
    Ok(Some(freed))
}

/// Something that belongs to no task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Where it is.
    pub path: PathBuf,
    /// Its length in bytes.
    pub size: u64,
    kind: Kind,
}

/// What a leftover was for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Log(TaskId),
    Lock(TaskId),
    Line(LineName),
    Temporary,
}

impl Leftover {
    /// The file's name.
    #[must_use]
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// Finds the logs without a record and their times, the temporary files, and the lock files and waiting lines that nobody needs any more.
#[must_use]
pub fn leftovers(dir: &StatusDir, contents: &Contents, here: &Here) -> Vec<Leftover> {
    let logs = contents.stray_logs.iter().map(|id| (dir.log(id), Kind::Log(id.clone())));
    // The times of a log are as much use without a record as the log.
    let times = contents.stray_times.iter().map(|id| (dir.times(id), Kind::Log(id.clone())));
    let locks = contents.locks.iter().map(|id| (dir.lock(id), Kind::Lock(id.clone())));
    let temporaries = contents.temporaries.iter().map(|name| (dir.path().join(name), Kind::Temporary));
    let lines =
        contents.lines.iter().map(|name| (dir.path().join(name.file_name()), Kind::Line(name.clone())));
    // A request belongs to a task as its lock does, and goes with it.
    let requests = contents.requests.iter().map(|(name, id)| (dir.path().join(name), Kind::Lock(id.clone())));
    logs.chain(times)
        .chain(temporaries)
        .chain(requests)
        .chain(locks)
        .chain(lines)
        .map(|(path, kind)| Leftover { path, size: 0, kind })
        .filter_map(|leftover| {
            let meta = still_left(dir, &leftover, here)?;
            Some(Leftover { size: meta.len(), ..leftover })
        })
        .collect()
}

/// Removes a leftover, if it still is one. Gives the bytes that were freed, `None` if it was left alone.
///
/// # Errors
/// What the system says.
pub fn clear(dir: &StatusDir, leftover: &Leftover, here: &Here) -> io::Result<Option<u64>> {
    let Some(meta) = still_left(dir, leftover, here) else { return Ok(None) };
    match &leftover.kind {
        // Somebody may get in line at this moment.
        Kind::Line(name) => Ok(line::remove_unused(dir, name)?.then_some(meta.len())),
        _ => unlink(&leftover.path),
    }
}

/// Removes the oldest of the tasks that are over until `keep` of them are left, and gives their number. 0 keeps all.
/// What killed processes have left of gco's own goes as well: temporary files, and what belongs to a task without a record.
/// For the supervisor: quiet, as far as it goes, and with at most `keep` records and no leftovers nothing is opened.
///
/// # Errors
/// What reading the directory said. What cannot be removed is left.
pub fn retain(dir: &StatusDir, keep: usize) -> io::Result<usize> {
    if keep == 0 {
        return Ok(0);
    }
    let mut contents = scan::everything(dir)?;
    let listed = std::mem::take(&mut contents.records);
    clear_away(dir, contents, &listed);
    if listed.len() <= keep {
        return Ok(0);
    }
    let here = Here::ask();
    let mut over = 0;
    let mut removed = 0;
    for task in NewestFirst::from(listed) {
        if over < keep {
            let loaded = load(dir, &task.id, &here);
            let is_over = loaded.is_ok_and(|task| matches!(standing(dir, &task), Standing::Over(_)));
            over += usize::from(is_over);
        } else if matches!(remove(dir, &task.id, &here), Ok(Some(_))) {
            removed += 1;
        }
    }
    Ok(removed)
}

/// Removes leftovers that hold nothing anybody could miss. A log without a record may be dear to somebody; it is left to those
/// who can be asked.
fn clear_away(dir: &StatusDir, mut contents: Contents, listed: &[Listed]) {
    let recorded: HashSet<&TaskId> = listed.iter().map(|listed| &listed.id).collect();
    contents.locks.retain(|id| !recorded.contains(id));
    contents.requests.retain(|(_, id)| !recorded.contains(id));
    let is_tidy = contents.temporaries.is_empty() && contents.stray_times.is_empty();
    if is_tidy && contents.requests.is_empty() && contents.locks.is_empty() {
        return;
    }
    contents.stray_logs.clear();
    contents.lines.clear();
    let here = Here::ask();
    for leftover in leftovers(dir, &contents, &here) {
        // What cannot be removed is left.
        let _ = clear(dir, &leftover, &here);
    }
}

/// Whether `task` may be removed.
fn standing(dir: &StatusDir, task: &Task) -> Standing {
    let claims_to_run =
        task.state.is_live() || (task.state == State::Orphaned && task.is_alive != Some(false));
    // A record may be final while the supervisor still takes down what left-behind processes write.
    let supervised =
        || lockfile::probe(dir, &task.id) == Some(Probe::Held) || is_supervisor_alive(&task.record);
    if claims_to_run || supervised() { Standing::UnderWay } else { Standing::Over(task.state) }
}

/// Whether the supervisor that the record names runs, for when its lock file has been removed.
fn is_supervisor_alive(record: &Record) -> bool {
    let (Some(pid), Some(start)) = (record.pid(field::SUPERVISOR_PID), record.count(field::SUPERVISOR_START))
    else {
        return false;
    };
    process::look(pid).is_some_and(|seen| seen.start == start && !seen.zombie)
        && process::boot_id().is_ok_and(|boot| record.text(field::BOOT_ID).is_none_or(|named| named == boot))
}

/// When a task ended, or was last heard of.
fn ended(record: &Record) -> Option<i64> {
    [field::FINISHED_AT, field::UPDATED_AT, field::STARTED_AT].into_iter().find_map(|name| record.time(name))
}

/// What is at the leftover's path, if it is a leftover: a file of gco's own kind that has been left alone, with
/// no task that could need it.
fn still_left(dir: &StatusDir, leftover: &Leftover, here: &Here) -> Option<Metadata> {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    let meta = fs::symlink_metadata(&leftover.path).ok()?;
    let is_plain = meta.is_file() || meta.file_type().is_socket();
    let is_ours = is_plain && meta.nlink() == 1 && dir.trusts(meta.uid());
    // A time in the future says nothing about how long ago it was.
    let age = SystemTime::now().duration_since(meta.modified().ok()?).unwrap_or_default();
    if !is_ours || age < LEFT_ALONE {
        return None;
    }
    let is_unused = match &leftover.kind {
        Kind::Temporary => true,
        Kind::Log(id) => lockfile::probe(dir, id) != Some(Probe::Held) && is_absent(&dir.record(id)),
        // The free lock of an orphan is what tells that it is one.
        Kind::Lock(id) => {
            lockfile::probe(dir, id) != Some(Probe::Held)
                && match load(dir, id, here) {
                    Err(LoadError::Missing) => true,
                    Ok(task) => !task.state.is_live() && task.state != State::Orphaned,
                    Err(_) => false,
                }
        }
        Kind::Line(name) => line::is_unused(dir, name),
    };
    is_unused.then_some(meta)
}

fn is_absent(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// What a file takes on the disk: of a log whose middle was given back that is less than it is long.
fn taken(meta: &Metadata) -> u64 {
    let size = meta.len();
    if size > SMALLEST_LIMIT { size.min(meta.blocks().saturating_mul(512)) } else { size }
}

/// How much the file at `path` takes; 0 for what is no file.
fn size_of(path: &Path) -> u64 {
    fs::symlink_metadata(path).ok().filter(Metadata::is_file).map_or(0, |meta| taken(&meta))
}

/// Removes a name, never what a link of that name leads to. `None` if there was none.
fn unlink(path: &Path) -> io::Result<Option<u64>> {
    let size = size_of(path);
    match fs::remove_file(path) {
        Ok(()) => Ok(Some(size)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
