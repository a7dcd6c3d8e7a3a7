//! Where in a task's log somebody wants to go on: at its start, at its end, at a cursor that was given out earlier.

use super::Subject;
use crate::failure::Failure;
use crate::log::last::{Wanted, last};
use crate::log::since::is_line_start;
use crate::store::lockfile;
use crate::sys::lock::Probe;
use crate::task::cursor::Since;

/// Where in the log `since` is.
///
/// # Errors
/// The cursor is another task's, or does not fit the log; the log cannot be read.
pub fn of(subject: &Subject<'_>, since: &Since) -> Result<u64, Failure> {
    let Since::Cursor(cursor) = since else { return Ok(0) };
    let id = subject.id;
    if cursor.task != *id {
        return Err(Failure::usage(format!("the cursor '{cursor}' is one of another task, not of '{id}'")));
    }
    let refuse = |why: &str| {
        Err(Failure::usage(format!("the cursor '{cursor}' {why}"))
            .hint("--since start begins with the first line"))
    };
    match subject.open_log()? {
        None if cursor.offset == 0 => Ok(0),
        // Removed, and about to be put back by whoever supervises the task.
        None if lockfile::probe(subject.dir, id) == Some(Probe::Held) => Ok(cursor.offset),
        None => refuse("is for a log that is not there"),
        Some(log) => {
            let size = log.metadata().map_err(|error| subject.unreadable_log(&error))?.len();
            if cursor.offset > size {
                refuse(&format!("is beyond the end of the log, which has {size} bytes"))
            } else if !is_line_start(&log, cursor.offset).map_err(|error| subject.unreadable_log(&error))? {
                refuse("is not at the start of a line")
            } else {
                Ok(cursor.offset)
            }
        }
    }
}

/// Where the next line of the log will begin.
///
/// # Errors
/// The log cannot be read.
pub fn end_of_log(subject: &Subject<'_>) -> Result<u64, Failure> {
    let Some(log) = subject.open_log()? else { return Ok(0) };
    let nothing = Wanted { lines: 0, ..Wanted::FOR_RECORD };
    Ok(last(&log, &nothing).map_err(|error| subject.unreadable_log(&error))?.end)
}
