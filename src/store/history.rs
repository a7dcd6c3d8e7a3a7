//! What went before a running task: the latest successful runs of its command line in its directory.
//!
//! It is looked up only for tasks of which it would tell something: those that do not say how far they are, and those that
//! are silent. However many tasks there are, a bounded number of records is read, those of the same name first, and each
//! once in a look. What was found for a task is kept from one look to the next: what went before it does not change.

use std::collections::{BinaryHeap, HashMap};
use std::mem;

use super::load::read_record;
use super::scan::{Listed, NewestFirst};
use super::{StatusDir, Task};
use crate::task::id::tool_name;
use crate::task::record::field;
use crate::task::{Past, Record, Silence, State, TaskId, past};

/// So many records are looked at for a task: what takes a few hundredths of a second.
const MOST_RECORDS: usize = 500;

/// What has been looked up.
#[derive(Debug, Default)]
pub struct History {
    known: HashMap<TaskId, Past>,
    /// From the look before, until it is asked for again.
    before: HashMap<TaskId, Past>,
    /// The records that were read in this look, if they are of any use.
    read: HashMap<TaskId, Option<Record>>,
}

impl History {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Another look at the tasks begins: what is not asked for in it will be forgotten.
    pub fn begin_look(&mut self) {
        self.before = mem::take(&mut self.known);
        self.read.clear();
    }

    /// The runs before `task`, from among `others` and at `now`, in seconds since 1970. `None` if they would tell nothing.
    pub fn of(&mut self, dir: &StatusDir, task: &Task, others: &NewestFirst, now: i64) -> Option<Past> {
        if !is_wanted(task, now) {
            return None;
        }
        if let Some(past) = self.known.get(&task.id) {
            return Some(past.clone());
        }
        let past = self.before.remove(&task.id).unwrap_or_else(|| self.look_up(dir, task, others));
        self.known.insert(task.id.clone(), past.clone());
        Some(past)
    }

    fn look_up(&mut self, dir: &StatusDir, task: &Task, others: &NewestFirst) -> Past {
        let this = Listed::from_id(&task.id);
        let said = || task.record.text(field::TOOL).map(|tool| tool_name(tool.as_bytes()));
        let tool = this.as_ref().and_then(Listed::tool).map(str::to_owned).or_else(said);
        // Not sorted: a million of them cost one step each, and then only those that are taken cost more. A name may be another
        // for each run, so it decides the order and no more; the ids of other tools do not say it.
        let mut candidates: BinaryHeap<(bool, &Listed)> = others
            .iter()
            .filter(|other| other.id != task.id && this.as_ref().is_none_or(|this| *other < this))
            .map(|other| (other.tool().is_none_or(|name| Some(name) == tool.as_deref()), other))
            .collect();
        let mut past = Past::default();
        for _ in 0..MOST_RECORDS {
            if past.is_enough() {
                break;
            }
            let Some((_, other)) = candidates.pop() else { break };
            if let Some(run) = self.success(dir, &other.id).filter(|run| run.is_run_of_same(&task.record)) {
                past.add(run);
            }
        }
        past
    }

    /// The record of task `id`, if it succeeded. One that cannot be read is no help.
    fn success(&mut self, dir: &StatusDir, id: &TaskId) -> Option<&Record> {
        let read = || read_record(dir, id).ok().filter(|record| record.state() == Some(State::Succeeded));
        self.read.entry(id.clone()).or_insert_with(read).as_ref()
    }
}

fn is_wanted(task: &Task, now: i64) -> bool {
    let runs = task.state == State::Running && task.is_alive == Some(true);
    runs && (!past::says_how_far(&task.record) || Silence::of(&task.record, None, now).is_some())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::store::scan;
    use crate::task::silence;

    type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

    const NOW: i64 = 1_795_257_472;

    fn running(id: &str) -> Outcome<Task> {
        let record = Record::from_bytes(br#"{"argv":["make"],"cwd":"/a","tool":"make"}"#)?;
        Ok(Task { id: TaskId::parse(id)?, record, state: State::Running, is_alive: Some(true) })
    }

    struct Place(tempfile::TempDir, StatusDir);

    impl Place {
        fn new() -> Outcome<Self> {
            let place = tempfile::tempdir()?;
            let dir = StatusDir::at(place.path().to_owned())?.ok_or("no directory")?;
            Ok(Self(place, dir))
        }

        fn run(&self, id: &str, seconds: u64, more: &str) -> Outcome<()> {
            let text = format!(
                r#"{{"argv":["make"],"cwd":"/a","state":"succeeded","duration_ms":{}{more}}}"#,
                seconds * 1000
            );
            Ok(fs::write(self.0.path().join(format!("{id}.json")), text)?)
        }

        fn others(&self) -> Outcome<NewestFirst> {
            Ok(scan::records(&self.1)?.into())
        }

        fn typical(&self, task: &Task) -> Outcome<Option<u64>> {
            let past = History::new().of(&self.1, task, &self.others()?, NOW);
            let estimate = past.and_then(|past| past.estimate(&task.record, std::time::Duration::ZERO));
            Ok(estimate.map(|estimate| estimate.typical.as_secs()))
        }
    }

    #[test]
    fn the_latest_runs_before_it_count() -> Outcome<()> {
        let place = Place::new()?;
        let task = running("make-1795257472000-0")?;
        assert_eq!(place.typical(&task)?, None);
        // Too old to count once there are newer ones, another command, another directory, a failure, one that began later, one
        // that cannot be read.
        for (id, seconds, more) in [
            ("make-1795257400000-0", 1, ""),
            ("make-1795257401000-0", 1, ""),
            ("make-1795257402000-0", 1, ""),
            ("make-1795257460000-0", 1, r#","argv":["make","clean"]"#),
            ("make-1795257461000-0", 1, r#","cwd":"/b""#),
            ("make-1795257463000-0", 1, r#","state":"failed""#),
            ("make-1795257473000-0", 1, ""),
        ] {
            place.run(id, seconds, more)?;
        }
        fs::write(place.0.path().join("make-1795257464000-0.json"), "")?;
        for n in 0..past::RUNS {
            place.run(&format!("make-17952574{}0000-0", n + 1), 100 + n as u64, "")?;
        }
        assert_eq!(place.typical(&task)?, Some(102));
        // Those of another name count where there are not enough of its own.
        place.run("nightly-1795257471000-0", 200, "")?;
        assert_eq!(place.typical(&task)?, Some(102));
        assert_eq!(place.typical(&running("make-1795257449000-0")?)?, Some(101));
        assert_eq!(place.typical(&running("monthly-1795257472000-0")?)?, Some(103));
        // The id of another tool's task says neither its name nor its time.
        place.run("other", 300, "")?;
        assert_eq!(place.typical(&running("mine")?)?, Some(103));
        Ok(())
    }

    #[test]
    fn it_is_looked_up_only_where_it_tells_something_and_only_once() -> Outcome<()> {
        let place = Place::new()?;
        place.run("make-1795257400000-0", 60, "")?;
        let task = running("make-1795257472000-0")?;
        let mut history = History::new();
        let others = place.others()?;
        let of = |history: &mut History, task: &Task| history.of(&place.1, task, &others, NOW).is_some();
        for (state, is_alive) in [
            (State::Running, Some(false)),
            (State::Running, None),
            (State::Queued, Some(true)),
            (State::Succeeded, Some(false)),
        ] {
            assert!(!of(&mut history, &Task { state, is_alive, ..task.clone() }));
        }
        let mut known = task.clone();
        known.record.set(field::STACKS_TOTAL, 3);
        assert!(!of(&mut history, &known));
        silence::note(&mut known.record, Some(silence::LEAST), None, NOW);
        assert!(of(&mut history, &known), "it may be more silent than ever");
        assert!(of(&mut history, &task));
        let nothing = NewestFirst::from(Vec::new());
        history.begin_look();
        let again = history.of(&place.1, &task, &nothing, NOW);
        assert_ne!(again, Some(Past::default()), "it was known");
        history.begin_look();
        history.begin_look();
        assert_eq!(history.of(&place.1, &task, &nothing, NOW), Some(Past::default()), "it was forgotten");
        Ok(())
    }

    #[test]
    fn no_more_records_are_read_than_is_worth_it() -> Outcome<()> {
        let place = Place::new()?;
        place.run("make-1795257400000-0", 60, "")?;
        for n in 0..MOST_RECORDS {
            place.run(&format!("make-{}-0", 1_795_257_401_000 + n), 1, r#","cwd":"/b""#)?;
        }
        assert_eq!(place.typical(&running("make-1795257472000-0")?)?, None);
        Ok(())
    }
}
