//! The tools that look: `task_status`, `task_list`, `task_tail`, `task_why`, `task_diff`.

use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::arguments::{Arguments, wrong};
use super::desk::{Desk, Slice, about};
use crate::failure::Failure;
use crate::observe::versus::Versus;
use crate::store::filter::{Chosen, Filter, Found};
use crate::store::line::Places;
use crate::store::scan::{self, Listed};
use crate::task::{State, Stream, span, text};
use crate::view::{Style, diff};

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
        Some(since) => desk.since(&task.id, desk.offset_of(&task.id, &since)?, only, most)?,
        None => {
            let lines = usize::try_from(lines.unwrap_or(100)).unwrap_or(usize::MAX);
            desk.tail(&task.id, Slice { lines, only, most })?
        }
    };
    let sentence = desk.sentence(&task);
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
    let (task, other) = (answer::shown(&found.task, None), answer::shown(&found.other, None));
    let style = Style { width: Some(240), colour: false, now: desk.now };
    let lines = diff::lines(&task, &other, &found.comparison, style).join("\n");
    let mut value = diff::to_json(&task, &other, &found.comparison);
    if answer::shrink(&mut value, 64 << 10) {
        value["cut"] = json!(true);
    }
    Ok(Answer::new(answer::quoted(id.as_str(), text::begin(&lines, 32 << 10)), value))
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
        let listed = scan::records(dir).map_err(|error| dir.unreadable(&error))?;
        let mut chosen = Chosen::new(dir, &filter, &desk.here, listed.into());
        let mut places = Places::new();
        let mut bytes = 0;
        while (tasks.len() + unreadable.len()) as u64 != limit && bytes < MOST_LISTED {
            match chosen.next() {
                Some(Found::Task(task)) => {
                    let place = places.of(dir, &task);
                    lines.push(answer::sentence(&task, place.as_ref(), desk.now));
                    let object = Value::Object(answer::object(&task, place.as_ref(), desk.now));
                    bytes += object.to_string().len();
                    tasks.push(object);
                }
                Some(Found::Unreadable(Listed { id, .. }, error)) => {
                    lines.push(format!("{id} cannot be read: {error}"));
                    unreadable.push(json!({ "task_id": id.as_str(), "error": error.to_string() }));
                }
                None => break,
            }
        }
        rest = chosen.rest().left();
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
