//! The tools that look: `task_status`, `task_list`, `task_tail`, `task_why`, `task_diff`.

use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::arguments::{Arguments, wrong};
use super::desk::{Desk, Slice, about};
use crate::failure::{Failure, io_words};
use crate::observe::versus::Versus;
use crate::store::filter::Filter;
use crate::store::line::Places;
use crate::store::load::LoadError;
use crate::store::scan::{self, NewestFirst};
use crate::store::{Task, load};
use crate::task::{State, Stream, span, text};
use crate::view::{Shown, Style, diff};

/// How much output is given unless something else is said, and at most, in bytes.
pub const USUAL_OUTPUT: u64 = 16 << 10;
/// The most output that is given.
pub const MOST_OUTPUT: u64 = 256 << 10;

/// What is shown of a task's output beside its state.
const GLANCE: Slice = Slice { lines: 10, only: None, most: 4 << 10 };

/// How many bytes a listing has at most.
const MOST_LISTED: usize = 128 << 10;

/// `task_status`.
///
/// # Errors
/// No such task, or arguments that make no sense.
pub fn status(mut arguments: Arguments) -> Result<Answer, Failure> {
    let word = arguments.text("task")?;
    arguments.end()?;
    let desk = Desk::open()?;
    let task = desk.task(&desk.id(word.as_deref())?)?;
    let output = desk.tail(&task.id, GLANCE)?;
    Ok(about(&desk, &task, Some(&output)))
}

/// `task_why`.
///
/// # Errors
/// No such task, or arguments that make no sense.
pub fn why(mut arguments: Arguments) -> Result<Answer, Failure> {
    let word = arguments.text("task")?;
    arguments.end()?;
    let desk = Desk::open()?;
    let task = desk.task(&desk.id(word.as_deref())?)?;
    let mut answer = about(&desk, &task, None);
    if answer.value.get("reason").is_none() {
        answer.text.push_str(". There is nothing to explain");
    }
    Ok(answer)
}

/// `task_tail`.
///
/// # Errors
/// No such task, a log that cannot be read, or arguments that make no sense.
pub fn tail(mut arguments: Arguments) -> Result<Answer, Failure> {
    let word = arguments.text("task")?;
    let lines = arguments.count("lines", 1..=10_000)?;
    let since = arguments.text("since")?;
    let only = stream(arguments.text("stream")?)?;
    let most = output_bytes(&mut arguments)?;
    arguments.end()?;
    if lines.is_some() && since.is_some() {
        return Err(wrong("lines", "cannot be given together with 'since'"));
    }
    let desk = Desk::open()?;
    let task = desk.task(&desk.id(word.as_deref())?)?;
    let output = match since {
        Some(since) => desk.since(&task.id, desk.place(&task.id, &since)?, only, most)?,
        None => {
            let lines = usize::try_from(lines.unwrap_or(100)).unwrap_or(usize::MAX);
            desk.tail(&task.id, Slice { lines, only, most })?
        }
    };
    let (sentence, _) = desk.told(&task);
    let mut value = json!({ "task_id": task.id.as_str(), "state": task.state.as_str() });
    if let Value::Object(map) = &mut value {
        output.put_into(&task.id, map);
    }
    Ok(Answer::new(format!("{sentence}\n{}", output.words(&task.id)), value))
}

/// `task_diff`.
///
/// # Errors
/// There is nothing to compare, it cannot be read, or arguments that make no sense.
pub fn compare(mut arguments: Arguments) -> Result<Answer, Failure> {
    let word = arguments.text("task")?;
    let other = arguments.text("other")?;
    arguments.end()?;
    let desk = Desk::open()?;
    let id = desk.id(word.as_deref())?;
    let found = Versus::of(desk.dir_of(&id)?, &id, other.as_deref(), &desk.here)?;
    let (task, other) = (shown(&found.task), shown(&found.other));
    let style = Style { width: Some(240), colour: false, now: desk.now };
    let lines = diff::lines(&task, &other, &found.comparison, style).join("\n");
    let mut value = diff::to_json(&task, &other, &found.comparison);
    if answer::shrink(&mut value, 64 << 10) {
        value["cut"] = json!(true);
    }
    Ok(Answer::new(answer::quoted(id.as_str(), text::begin(&lines, 32 << 10)), value))
}

fn shown(task: &Task) -> Shown<'_> {
    let Task { id, record, state, is_alive } = task;
    Shown { id, record, state: *state, is_alive: *is_alive, place: None, past: None }
}

/// `task_list`.
///
/// # Errors
/// The directory cannot be read, or arguments that make no sense.
pub fn list(mut arguments: Arguments) -> Result<Answer, Failure> {
    let state = |word: String| {
        State::parse(&word).ok_or_else(|| {
            let words = State::ALL.map(State::as_str).join(", ");
            wrong("states", &format!("has states that there are not; there are {words}"))
        })
    };
    let states = arguments.texts("states")?.into_iter().map(state).collect::<Result<Vec<_>, _>>()?;
    let labels = arguments.pairs("labels")?;
    let name = arguments.text("name")?;
    let since = arguments.text("since")?.map(|text| span::parse(&text)).transpose();
    let since = since.map_err(|why| wrong("since", &format!("is wrong: {why}")))?;
    let limit = arguments.count("limit", 1..=200)?.unwrap_or(20);
    arguments.end()?;
    let desk = Desk::open()?;
    let filter = Filter::new(&states, &labels, name.as_deref(), since, desk.now);
    let (mut lines, mut tasks, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
    let mut rest = 0;
    if let Some(dir) = desk.dir() {
        let listed = scan::records(dir).map_err(|error| {
            let path = dir.path().display();
            Failure::failed(format!("cannot read the status directory '{path}': {}", io_words(&error)))
        })?;
        let mut left = NewestFirst::from(listed);
        let mut places = Places::new();
        let mut bytes = 0;
        while (tasks.len() + unreadable.len()) as u64 != limit && bytes < MOST_LISTED {
            let Some(one) = left.next() else { break };
            if filter.is_past(i64::try_from(one.millis / 1000).unwrap_or(i64::MAX)) {
                left = NewestFirst::from(Vec::new());
                break;
            }
            if !filter.may_be(&one) {
                continue;
            }
            match load(dir, &one.id, &desk.here) {
                Ok(task) if filter.is_met_by(&task) => {
                    let place = places.of(dir, &task);
                    lines.push(answer::sentence(&task, place.as_ref(), desk.now));
                    let object = Value::Object(answer::object(&task, place.as_ref(), desk.now));
                    bytes += object.to_string().len();
                    tasks.push(object);
                }
                // Pruned since its name was read, or not asked for.
                Ok(_) | Err(LoadError::Missing) => {}
                Err(error) if filter.takes_unreadable(&one) => {
                    lines.push(format!("{} cannot be read: {error}", one.id));
                    unreadable.push(json!({ "task_id": one.id.as_str(), "error": error.to_string() }));
                }
                Err(_) => {}
            }
        }
        rest = left.left();
    }
    if lines.is_empty() {
        lines.push("there is no such task".to_owned());
    }
    if rest > 0 {
        lines.push(format!("{rest} older ones were not looked at; 'limit' and the filters say which are"));
    }
    Ok(Answer::new(
        lines.join("\n"),
        json!({ "tasks": tasks, "unreadable": unreadable, "not_looked_at": rest }),
    ))
}

/// The argument `max_bytes`.
///
/// # Errors
/// It makes no sense.
pub fn output_bytes(arguments: &mut Arguments) -> Result<usize, Failure> {
    let bytes = arguments.count("max_bytes", 0..=MOST_OUTPUT)?.unwrap_or(USUAL_OUTPUT);
    Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
}

fn stream(word: Option<String>) -> Result<Option<Stream>, Failure> {
    let Some(word) = word else { return Ok(None) };
    let stream = Stream::BOTH.into_iter().find(|stream| stream.as_str() == word);
    stream.map(Some).ok_or_else(|| wrong("stream", "must be \"stdout\" or \"stderr\""))
}
