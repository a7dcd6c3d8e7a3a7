//! Reading one task as it really is.

use std::fmt;
use std::io::{self, Read};

use nix::fcntl::OFlag;

use super::liveness::{Here, Liveness, judge, look};
use super::{StatusDir, lockfile, open};
use crate::failure::io_words;
use crate::sys::lock::Probe;
use crate::task::record::{MAX_BYTES, NotARecord};
use crate::task::{Record, State, TaskId};

/// A task: its id, its record, and what is true of it now.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// The id, from the file's name.
    pub id: TaskId,
    /// The record as on disk.
    pub record: Record,
    /// The effective state.
    pub state: State,
    /// Whether the command itself still runs; `None` if that cannot be known from here.
    pub is_alive: Option<bool>,
}

/// Whether a task goes on.
#[derive(Debug)]
pub enum Now {
    /// It does. Without the task where its record is missing or cannot be read, and its supervisor, who holds its lock, will
    /// put that right.
    Live(Option<Box<Task>>),
    /// It does not; without the task if it has been removed.
    Over(Option<Box<Task>>),
}

/// Why a task could not be loaded.
#[derive(Debug)]
pub enum LoadError {
    /// There is no such record.
    Missing,
    /// There is one, and it could not be read.
    Unreadable(io::Error),
    /// What was read is no record.
    Spoiled(NotARecord),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Missing => f.write_str("there is no such task"),
            LoadError::Unreadable(error) => f.write_str(&io_words(error)),
            LoadError::Spoiled(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for LoadError {}

/// Loads task `id` and finds out what is true of it.
///
/// # Errors
/// [`LoadError`] if there is no record, or none that can be read.
pub fn load(dir: &StatusDir, id: &TaskId, here: &Here) -> Result<Task, LoadError> {
    let mut record = read_record(dir, id)?;
    let mut evidence = look(dir, id, &record, here);
    let mut liveness = judge(evidence);
    if liveness.state == State::Orphaned && evidence.written.is_live() {
        // The task may have ended between the two looks: then its lock is free because all is well.
        // A second look that finds the same record and again nobody is proof.
        record = read_record(dir, id)?;
        evidence = look(dir, id, &record, here);
        liveness = judge(evidence);
    }
    let Liveness { state, is_alive } = liveness;
    Ok(Task { id: id.clone(), record, state, is_alive })
}

/// Loads task `id`, if there is anything to load, and finds out whether it goes on.
///
/// # Errors
/// Its record is there and cannot be read, and nobody supervises it.
pub fn now(dir: &StatusDir, id: &TaskId, here: &Here) -> Result<Now, LoadError> {
    let fault = match load(dir, id, here) {
        Ok(task) if task.state.is_live() => return Ok(Now::Live(Some(Box::new(task)))),
        Ok(task) => return Ok(Now::Over(Some(Box::new(task)))),
        Err(fault) => fault,
    };
    if lockfile::probe(dir, id) == Some(Probe::Held) {
        return Ok(Now::Live(None));
    }
    match fault {
        LoadError::Missing => Ok(Now::Over(None)),
        fault => Err(fault),
    }
}

/// Reads the record of task `id` as it is on disk.
///
/// # Errors
/// [`LoadError`] as for [`load`].
pub fn read_record(dir: &StatusDir, id: &TaskId) -> Result<Record, LoadError> {
    let file = match open::regular(dir, &dir.record(id), OFlag::empty()) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(LoadError::Missing),
        Err(error) => return Err(LoadError::Unreadable(error)),
    };
    let mut bytes = Vec::with_capacity(4096);
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(LoadError::Unreadable)?;
    Record::from_bytes(&bytes).map_err(LoadError::Spoiled)
}
