//! What became of a task that was waited for, as an exit code and in words.

use crate::failure::Failure;
use crate::store::Task;
use crate::store::handle::Fate;
use crate::task::outcome::signal_name;
use crate::task::record::field;
use crate::task::{Exit, State, TaskId};

/// The exit code where the outcome cannot be known.
pub const UNKNOWN: i32 = 125;

/// What became of a task.
#[derive(Debug)]
pub enum Verdict {
    /// It has ended: its record says how.
    Ended(Box<Task>),
    /// Nobody supervises it any more. What has become of its command, if it is known to have been started.
    Orphaned(Box<Task>, Option<Fate>),
    /// It was removed before it was known to have ended.
    Removed,
    /// Its record cannot be read, for this reason, and nobody supervises it.
    Unreadable(String),
}

impl Verdict {
    /// The exit code, where the outcome is known: 0 if the task succeeded, never otherwise.
    #[must_use]
    pub fn exit_code(&self) -> Option<i32> {
        match self {
            Verdict::Ended(task) => Some(code_of(task)),
            Verdict::Orphaned(_, Some(Fate::Ended(exit))) => exit.code(),
            Verdict::Orphaned(..) | Verdict::Removed | Verdict::Unreadable(_) => None,
        }
    }

    /// The exit code, 125 where the outcome cannot be known.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.exit_code().unwrap_or(UNKNOWN)
    }

    /// The task, as far as there is one.
    #[must_use]
    pub fn task(&self) -> Option<&Task> {
        match self {
            Verdict::Ended(task) | Verdict::Orphaned(task, _) => Some(task),
            Verdict::Removed | Verdict::Unreadable(_) => None,
        }
    }

    /// What there is to say where task `id` did not just end.
    #[must_use]
    pub fn trouble(&self, id: &TaskId) -> Option<Failure> {
        let orphaned = || Failure::failed(format!("'{id}' is orphaned: nobody supervises it any more"));
        Some(match self {
            Verdict::Ended(_) => return None,
            Verdict::Orphaned(_, Some(Fate::Ended(Exit::Code(code)))) => {
                Failure::failed(format!("'{id}' was orphaned; its command exited with {code}"))
            }
            Verdict::Orphaned(_, Some(Fate::Ended(Exit::Signal(signal)))) => {
                Failure::failed(format!("'{id}' was orphaned; {} ended its command", signal_name(*signal)))
            }
            Verdict::Orphaned(_, Some(Fate::Runs(pid))) => orphaned()
                .hint(format!("its command still runs (pid {pid}); 'gco tasks cancel {id}' ends it")),
            Verdict::Orphaned(_, Some(Fate::Ended(Exit::Unknown))) => {
                orphaned().hint("its command is gone, and how it ended cannot be known")
            }
            Verdict::Orphaned(_, None) => orphaned().hint("whether its command was started cannot be known"),
            Verdict::Removed => Failure::failed(format!("'{id}' was removed while it was waited for")),
            Verdict::Unreadable(why) => Failure::failed(format!("cannot read the record of '{id}': {why}")),
        })
    }
}

/// The exit code of a task that has ended. A record may say anything: only success is 0, and a code is one that a process can
/// have.
fn code_of(task: &Task) -> i32 {
    if task.state == State::Succeeded {
        return 0;
    }
    let recorded = task.record.integer(field::EXIT_CODE).and_then(|code| i32::try_from(code).ok());
    recorded.filter(|code| (1..=255).contains(code)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::Record;

    fn ended(record: &str) -> Result<Verdict, Box<dyn std::error::Error>> {
        let record = Record::from_bytes(record.as_bytes())?;
        let state = record.state().unwrap_or(State::Failed);
        let id = TaskId::parse("a-1")?;
        Ok(Verdict::Ended(Box::new(Task { id, record, state, is_alive: Some(false) })))
    }

    #[test]
    fn only_success_is_nought() -> Result<(), Box<dyn std::error::Error>> {
        for (record, code) in [
            (r#"{"state":"succeeded","exit_code":0}"#, 0),
            (r#"{"state":"succeeded"}"#, 0),
            (r#"{"state":"failed","exit_code":3}"#, 3),
            (r#"{"state":"cancelled","exit_code":143}"#, 143),
            (r#"{"state":"failed"}"#, 1),
            (r#"{"state":"cancelled","exit_code":0}"#, 1),
            (r#"{"state":"failed","exit_code":256}"#, 1),
            (r#"{"state":"failed","exit_code":-9}"#, 1),
            (r#"{"state":"failed","exit_code":"x"}"#, 1),
        ] {
            assert_eq!(ended(record)?.code(), code, "{record}");
        }
        assert_eq!(Verdict::Removed.code(), 125);
        Ok(())
    }
}
