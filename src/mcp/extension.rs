//! The Tasks extension, `io.modelcontextprotocol/tasks`: a task of the protocol is a task of gco, under the same id. All is
//! answered from disk, so it does not matter which server had started it, or whether that still runs.

use rmcp::model::{DetailedTask, JsonObject, Task as Told, TaskPayload, TaskStatus};
use serde_json::{Value, json};

use super::act;
use super::desk::Desk;
use super::look::USUAL_OUTPUT;
use super::server::result;
use crate::failure::Failure;
use crate::store::{Task, name};
use crate::task::record::field;
use crate::task::{State, TaskId, timestamp};

/// How often a client is to ask, in milliseconds.
const ASK_EVERY: u64 = 1000;

/// What a call that failed inside the server is answered with.
const INTERNAL_ERROR: i64 = -32603;

/// The task called `id` in a request.
///
/// # Errors
/// It can be no task's.
pub fn parse(id: &str) -> Result<TaskId, Failure> {
    name::parse(id)
}

/// What is told of a task in the answer to the call that has started it, and again whenever the client asks.
#[must_use]
pub fn told(desk: &Desk, task: &Task) -> Told {
    let record = &task.record;
    let stamp = |names: &[&str]| names.iter().find_map(|name| record.time(name)).map(timestamp::format);
    let now = || timestamp::format(desk.now);
    let began = stamp(&[field::QUEUED_AT, field::STARTED_AT]).unwrap_or_else(now);
    let updated = stamp(&[field::FINISHED_AT, field::UPDATED_AT]).unwrap_or_else(now);
    let sentence = desk.sentence(task);
    Told::new(task.id.as_str(), status(task.state), began, updated)
        .with_status_message(sentence)
        .with_poll_interval_ms(ASK_EVERY)
}

fn status(state: State) -> TaskStatus {
    match state {
        State::Queued | State::Running => TaskStatus::Working,
        // A command that failed is a result: the error of the protocol would be one of the server's.
        State::Succeeded | State::Failed => TaskStatus::Completed,
        State::Cancelled => TaskStatus::Cancelled,
        State::Orphaned => TaskStatus::Failed,
    }
}

/// Task `id` as it is, with its result if it has one.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn get(id: &TaskId) -> Result<DetailedTask, Failure> {
    let desk = Desk::open()?;
    let task = desk.task(id)?;
    let told = told(&desk, &task);
    let payload = match task.state {
        State::Queued | State::Running => TaskPayload::Working,
        State::Cancelled => TaskPayload::Cancelled,
        State::Succeeded | State::Failed => {
            let most = usize::try_from(USUAL_OUTPUT).unwrap_or(usize::MAX);
            let answer = result(act::result(id, most));
            TaskPayload::Completed { result: object(serde_json::to_value(answer).unwrap_or_default()) }
        }
        State::Orphaned => {
            let message = told.status_message.clone();
            TaskPayload::Failed { error: object(json!({ "code": INTERNAL_ERROR, "message": message })) }
        }
    };
    Ok(DetailedTask::new(told, payload))
}

fn object(value: Value) -> JsonObject {
    match value {
        Value::Object(object) => object,
        _ => JsonObject::new(),
    }
}
