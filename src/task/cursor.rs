//! A place in a task's log that can be written down and come back to: `ID@OFFSET`.
//!
//! The offset is that of the start of a log line, in bytes. A log only ever grows, so a cursor stays valid for as long as
//! the task is kept. Whether it fits a log is for whoever reads that to find out; here is only its form.

use std::fmt;

use super::TaskId;

/// A place in the log of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Whose log it is.
    pub task: TaskId,
    /// Where the next log line begins, in bytes.
    pub offset: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.task, self.offset)
    }
}

/// From where on a log is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Since {
    /// All of it.
    Start,
    /// What comes behind this place.
    Cursor(Cursor),
}

impl Since {
    /// Reads `start` or a cursor.
    ///
    /// # Errors
    /// What is wrong with `text`, for the person who typed it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "start" {
            return Ok(Since::Start);
        }
        let cursor = || {
            let (id, offset) = text.split_once('@')?;
            let is_number = !offset.is_empty() && offset.bytes().all(|b| b.is_ascii_digit());
            let offset = if is_number { offset.parse().ok()? } else { return None };
            Some(Since::Cursor(Cursor { task: TaskId::parse(id).ok()?, offset }))
        };
        cursor().ok_or_else(|| "write 'start', or a cursor as --json gives it: ID@OFFSET".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::id::NotAnId;

    #[test]
    fn a_cursor_is_read_as_it_is_written() -> Result<(), NotAnId> {
        let cursor = Cursor { task: TaskId::parse("a.b-1-0")?, offset: u64::MAX };
        assert_eq!(Since::parse(&cursor.to_string()), Ok(Since::Cursor(cursor)));
        assert_eq!(Since::parse("start"), Ok(Since::Start));
        for bad in [
            "",
            "a",
            "a@",
            "@1",
            "a@-1",
            "a@+1",
            "a@1x",
            "a@b@1",
            "../a@1",
            "a@99999999999999999999",
            "Start",
        ] {
            assert!(Since::parse(bad).is_err(), "{bad:?}");
        }
        Ok(())
    }
}
