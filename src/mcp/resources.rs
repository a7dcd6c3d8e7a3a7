//! Tasks as resources: `gco://tasks/{id}` is what is known of one, `gco://tasks/{id}/log` the end of its log. Ids are exact
//! here, so no address ever names a file of anybody's choosing.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::answer;
use super::desk::{Desk, Slice, about};
use super::look::MOST_OUTPUT;
use crate::failure::Failure;
use crate::store::StatusDir;
use crate::store::scan::{self, Listed, NewestFirst};
use crate::task::TaskId;
use crate::view::json;

/// What the address of every resource begins with.
const BEGIN: &str = "gco://tasks/";
/// And that of a log ends with.
const LOG: &str = "/log";

/// How many tasks are listed at once.
const PAGE: usize = 100;

/// A resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// What is known of a task.
    Task(TaskId),
    /// Its log.
    Log(TaskId),
}

impl Target {
    /// The resource at `address`.
    #[must_use]
    pub fn at(address: &str) -> Option<Self> {
        let rest = address.strip_prefix(BEGIN)?;
        match rest.strip_suffix(LOG) {
            Some(id) => TaskId::parse(id).ok().map(Target::Log),
            None => TaskId::parse(rest).ok().map(Target::Task),
        }
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> String {
        match self {
            Target::Task(id) => format!("{BEGIN}{id}"),
            Target::Log(id) => format!("{BEGIN}{id}{LOG}"),
        }
    }

    /// The form of what is in it.
    #[must_use]
    pub fn mime_type(&self) -> &'static str {
        match self {
            Target::Task(_) => "application/json",
            Target::Log(_) => "text/plain",
        }
    }

    /// What is in it.
    ///
    /// # Errors
    /// There is no such task, or it cannot be read.
    pub fn read(&self) -> Result<String, Failure> {
        let desk = Desk::open()?;
        match self {
            Target::Task(id) => Ok(json::pretty(&about(&desk, &desk.task(id)?, None).value)),
            Target::Log(id) => {
                let task = desk.task(id)?;
                let most = usize::try_from(MOST_OUTPUT).unwrap_or(usize::MAX);
                let output = desk.tail(&task.id, Slice { lines: 1_000_000, only: None, most })?;
                let left_out = match output.left_out {
                    0 => String::new(),
                    bytes => format!("{bytes} bytes are left out before this\n"),
                };
                Ok(format!("{left_out}{}\n", answer::quoted(id.as_str(), &output.lines)))
            }
        }
    }

    /// What changes whenever what is in it does.
    #[must_use]
    pub fn look(&self) -> Seen {
        let dir = StatusDir::for_reading().ok().flatten()?;
        let path = match self {
            Target::Task(id) => dir.record(id),
            Target::Log(id) => dir.log(id),
        };
        let meta = fs::symlink_metadata(path).ok()?;
        Some((meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec()))
    }
}

/// What a look at a resource's file told: which file, how long, and when it was written to.
pub type Seen = Option<(u64, u64, i64, i64)>;

/// The ids of the newest tasks, those that come after `last`, and where the next call goes on if there are more.
///
/// # Errors
/// The directory cannot be read, or `last` is nothing that was given out.
pub fn page(last: Option<&str>) -> Result<(Vec<TaskId>, Option<String>), Failure> {
    let desk = Desk::open()?;
    let Some(dir) = desk.dir() else { return Ok((Vec::new(), None)) };
    let listed = scan::records(dir).map_err(|error| dir.unreadable(&error))?;
    let mut after = listed;
    if let Some(last) = last {
        let place = place_of(last).ok_or_else(|| Failure::usage("the cursor is none of this server's"))?;
        after.retain(|one| *one < place);
    }
    let mut newest = NewestFirst::from(after);
    let page: Vec<Listed> = newest.by_ref().take(PAGE).collect();
    let next = page.last().filter(|_| newest.left() > 0).map(|last| format!("{}@{}", last.id, last.millis));
    Ok((page.into_iter().map(|one| one.id).collect(), next))
}

fn place_of(cursor: &str) -> Option<Listed> {
    let (id, millis) = cursor.split_once('@')?;
    let id = TaskId::parse(id).ok()?;
    let millis = millis.parse().ok()?;
    Some(Listed::from_id(&id).unwrap_or_else(|| Listed::written_at(id, millis)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_name_tasks_and_nothing_else() {
        for address in ["gco://tasks/a-1", "gco://tasks/a-1/log"] {
            assert_eq!(Target::at(address).map(|target| target.address()).as_deref(), Some(address));
        }
        for other in [
            "",
            "gco://tasks/",
            "gco://tasks/..",
            "gco://tasks/../x/log",
            "gco://tasks/a/b",
            "file:///etc/passwd",
            "a-1",
        ] {
            assert_eq!(Target::at(other), None, "{other}");
        }
    }
}
