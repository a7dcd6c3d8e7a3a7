//! `task_wait`: going along with a task until something comes to pass, and telling the client about it meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::mpsc::Sender;

use super::answer::{self, Answer};
use super::arguments::{Arguments, wrong};
use super::desk::{Desk, about};
use super::look::output_bytes;
use crate::failure::Failure;
use crate::log::join::{Choice, Joiner};
use crate::log::replay::Entry;
use crate::observe::until::{Companion, Halted, Reached, until};
use crate::observe::{Verdict, place};
use crate::store::Task;
use crate::sys::time;
use crate::task::condition::Condition;
use crate::task::record::field;
use crate::task::{Progress, Stream, TaskId, span, text};
use crate::view::words::one_line;

/// The longest a call waits, in seconds.
pub const LONGEST: u64 = 120;
/// How long `task_wait` waits unless something else is said.
const USUAL: Duration = Duration::from_secs(60);
/// How many conditions a wait can have.
const MOST_CONDITIONS: usize = 16;

/// How soon a wait notices that its client has had enough.
const ASKED_EVERY: Duration = Duration::from_millis(200);
/// How often progress is told at most.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// How often something is told if there is no progress.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// How many lines of stderr a call passes on at most, and how long they are.
const MOST_LOGS: usize = 200;
const LONGEST_LOG: usize = 1024;

/// Something a client is told while its call waits.
#[derive(Debug, Clone, PartialEq)]
pub enum Word {
    /// How far the task is.
    Progress {
        /// More each time.
        done: f64,
        /// What `done` will be at the end, if that is known.
        total: Option<f64>,
        /// In words.
        message: String,
    },
    /// A line of stderr.
    Log(String),
}

/// Goes along with a wait and tells what comes. Nobody is waited for: a client that does not listen misses it.
#[derive(Debug)]
pub struct Teller {
    tell: Sender<Word>,
    stop: Arc<AtomicBool>,
    began: Instant,
    told: Option<Instant>,
    done: f64,
    stderr: Joiner,
    logs: usize,
}

impl Teller {
    /// One who tells through `tell`, and leaves once `stop` is true.
    #[must_use]
    pub fn new(tell: Sender<Word>, stop: Arc<AtomicBool>) -> Self {
        let choice = Choice { only: Some(Stream::Stderr), gco: false };
        let stderr = Joiner::new(choice, text::MAX_PLAIN);
        Self { tell, stop, began: Instant::now(), told: None, done: 0.0, stderr, logs: 0 }
    }
}

impl Companion for Teller {
    fn hears(&mut self, entry: &Entry<'_>) {
        let Some(line) = self.stderr.push(entry) else { return };
        self.logs += 1;
        let words = match self.logs.cmp(&(MOST_LOGS + 1)) {
            std::cmp::Ordering::Less => answer::begin(&text::plain(&line.payload), LONGEST_LOG),
            std::cmp::Ordering::Equal => "there is more, which is in the log alone".to_owned(),
            std::cmp::Ordering::Greater => return,
        };
        let _ = self.tell.try_send(Word::Log(words));
    }

    fn stays(&mut self, task: Option<&Task>) -> bool {
        let percent = task.and_then(|task| Progress::of(&task.record)?.percent());
        let has_moved = percent.is_some_and(|percent| percent > self.done);
        let pause = if has_moved { PROGRESS_EVERY } else { HEARTBEAT };
        if let Some(task) = task
            && self.told.is_none_or(|told| told.elapsed() >= pause)
        {
            self.told = Some(Instant::now());
            // It must grow each time, also if all there is to say is that the task goes on.
            self.done = percent.filter(|_| has_moved).unwrap_or(self.done + 0.001);
            let mut message = answer::sentence(task, None, time::now());
            if let Some(last) =
                task.record.text(field::LAST_MESSAGE).map(one_line).filter(|line| !line.is_empty())
            {
                message.push_str(&format!("; it says: {}", text::begin(&last, LONGEST_LOG)));
            }
            let word = Word::Progress { done: self.done, total: percent.map(|_| 100.0), message };
            let _ = self.tell.try_send(word);
        }
        !self.stop.load(Ordering::Relaxed)
    }

    fn patience(&self) -> Duration {
        ASKED_EVERY
    }
}

impl Teller {
    /// How long it has gone along.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

/// `task_wait`.
///
/// # Errors
/// No such task, a record or log that cannot be read, or arguments that make no sense.
pub fn wait(mut arguments: Arguments, teller: &mut Teller) -> Result<Answer, Failure> {
    let word = arguments.text("task")?;
    let words = arguments.texts("until")?;
    if words.len() > MOST_CONDITIONS {
        return Err(wrong("until", &format!("has more than {MOST_CONDITIONS} conditions")));
    }
    let condition = |word: &String| {
        Condition::parse(word).map_err(|why| {
            wrong("until", &format!("has a condition that is none, '{}': {why}", one_line(word)))
        })
    };
    let conditions = words.iter().map(condition).collect::<Result<Vec<_>, _>>()?;
    let since = arguments.text("since")?;
    let most = output_bytes(&mut arguments)?;
    let limit = arguments.seconds("timeout_seconds", LONGEST)?.unwrap_or(USUAL);
    arguments.end()?;
    let desk = Desk::open()?;
    let id = desk.id(word.as_deref())?;
    let subject = desk.subject(&id)?;
    let offset = match since {
        Some(words) => desk.offset_of(&id, &words)?,
        None => place::end_of_log(&subject)?,
    };
    let deadline = Instant::now().checked_add(limit);
    let halted = until(&subject, &conditions, offset, deadline, teller)?;
    let mut answer = ended(&id, &halted, offset, most)?;
    let (fired, matched) = match &halted.reached {
        Reached::Condition(at, line) => {
            (conditions.get(*at).map_or("", |one| one.typed.as_str()), line.as_deref())
        }
        Reached::Timeout => ("timeout", None),
        Reached::End(_) => ("exit", None),
    };
    answer.value["fired"] = json!(fired);
    if let Some(line) = matched {
        answer.value["matched"] = json!(text::begin(line, LONGEST_LOG));
    }
    let why = match &halted.reached {
        Reached::Timeout => format!(
            "The wait ended after {}: call task_wait again with 'since' set to the cursor.\n",
            span::brief(teller.elapsed())
        ),
        Reached::Condition(..) => format!("'{}' has come to pass.\n", one_line(fired)),
        Reached::End(_) => String::new(),
    };
    answer.text.insert_str(0, &why);
    Ok(answer)
}

/// What is to be said when a wait is over: the task as it is then, and its output from `offset` on.
///
/// # Errors
/// A log that cannot be read.
pub fn ended(id: &TaskId, halted: &Halted, offset: u64, most: usize) -> Result<Answer, Failure> {
    let verdict = match &halted.reached {
        Reached::End(verdict) => Some(verdict),
        _ => None,
    };
    let seen = verdict.and_then(Verdict::task).or(halted.task.as_deref());
    let Some(task) = seen else {
        let why = verdict.and_then(|verdict| verdict.trouble(id));
        let why = why.unwrap_or_else(|| Failure::failed(format!("nothing is known of '{id}'")));
        let value = json!({ "task_id": id.as_str(), "state": Value::Null, "error": why.message() });
        return Ok(Answer { failed: true, ..Answer::new(answer::failure(&why), value) });
    };
    let desk = Desk::open()?;
    let output = desk.since(id, offset, None, most)?;
    let mut answer = about(&desk, task, Some(&output));
    if let Some(code) = verdict.and_then(Verdict::exit_code) {
        answer.value[field::EXIT_CODE] = json!(code);
    }
    if let Some(trouble) = verdict.and_then(|verdict| verdict.trouble(id)) {
        answer.text.insert_str(0, &format!("{}\n", answer::failure(&trouble)));
    }
    Ok(answer)
}
