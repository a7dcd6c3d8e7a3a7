//! The record of a running task: from what is known of it to the contract's fields.

use std::time::Duration;

use crate::store::liveness::PID_NAMESPACE;
use crate::store::request::Request;
use crate::sys::child::Usage;
use crate::sys::signals::Sender;
use crate::task::outcome::{Outcome, signal_name};
use crate::task::record::{SCHEMA, field};
use crate::task::spec::Turn;
use crate::task::{Progress, Record, State, TaskId, silence, text};
use serde_json::{Map, Value, json};

/// What does not change while a task runs.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The id.
    pub id: TaskId,
    /// The tool name.
    pub tool: String,
    /// The command and its arguments.
    pub argv: Vec<Vec<u8>>,
    /// Where it runs.
    pub cwd: String,
    /// On which machine.
    pub host: String,
    /// As whom.
    pub user: String,
    /// Since which boot.
    pub boot_id: String,
    /// In which pid namespace.
    pub pid_namespace: Option<u64>,
    /// Its labels.
    pub labels: Vec<(String, String)>,
    /// How many units of work there are.
    pub total: Option<u64>,
    /// How often the command is tried at most.
    pub attempts: u64,
    /// What the task had to wait for.
    pub turn: Turn,
    /// The command has a terminal.
    pub pty: bool,
    /// The path of its log.
    pub log_path: String,
    /// When the task was made, in seconds since 1970.
    pub made_at: i64,
    /// When it was made, since boot.
    pub made: Duration,
}

impl Facts {
    /// What the task waits for, in words.
    #[must_use]
    pub fn waits_for(&self) -> String {
        let tasks = self.turn.after.iter().chain(&self.turn.after_any).map(|id| format!("'{id}'"));
        let lines = self.turn.queues.iter().map(|queue| format!("a place in {}", queue.name));
        tasks.chain(lines).collect::<Vec<_>>().join(", then ")
    }
}

/// What does.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// The command's pid and start time, once there is one.
    pub command: Option<(i32, Option<u64>)>,
    /// The supervisor's pid and start time.
    pub supervisor: (i32, Option<u64>),
    /// It waits for its turn.
    pub queued: bool,
    /// When the command was started first, in seconds since 1970, if it had to wait for its turn.
    pub started_at: Option<i64>,
    /// Which attempt this is.
    pub attempt: u64,
    /// Who asked for its end: a user, a process, a machine, a signal.
    pub request: Option<Request>,
    /// Who sent the signal that asked for its end, if it was passed on from somebody.
    pub sender: Option<(i32, Sender)>,
    /// How often the kernel's out-of-memory killer was at work while the command ran, if it was.
    pub oom_kills: Option<u64>,
    /// Now, in seconds since 1970.
    pub now: i64,
    /// How long it has been running.
    pub elapsed: Duration,
    /// Bytes of stdout and stderr so far.
    pub bytes: [u64; 2],
    /// The log's length.
    pub log_bytes: u64,
    /// Whether output is missing in the log.
    pub log_truncated: bool,
    /// How many bytes of output have left the log.
    pub log_left_out: u64,
    /// How far it is.
    pub progress: Option<Progress>,
    /// How many units of work are done, and the latest of them.
    pub units: (u64, Option<String>),
    /// For how long the command has written nothing, if there is one that could,
    pub silence: Option<Duration>,
    /// and the longest that it was silent for before, once it was started.
    pub longest_silence: Option<Duration>,
    /// The last lines, plain.
    pub tail: Vec<String>,
    /// What went wrong with the bookkeeping.
    pub warnings: Vec<String>,
    /// The end, once there is one, and what the command used.
    pub end: Option<(Outcome, Usage)>,
}

/// The record for both.
#[must_use]
pub fn record(facts: &Facts, status: &Status) -> Record {
    let mut record = Record::new();
    record.set(field::TASK_ID, facts.id.as_str());
    record.set(field::TOOL, facts.tool.as_str());
    record.set_argv(&facts.argv);
    record.set(field::CWD, facts.cwd.as_str());
    record.set(field::HOST, facts.host.as_str());
    record.set(field::USER, facts.user.as_str());
    record.set(field::BOOT_ID, facts.boot_id.as_str());
    if let Some(namespace) = facts.pid_namespace {
        record.set(PID_NAMESPACE, namespace);
    }
    let labels: Map<String, Value> =
        facts.labels.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    record.set(field::LABELS, labels);
    record.set(field::SCHEMA, SCHEMA);
    record.set(field::LOG_PATH, facts.log_path.as_str());
    record.set_time(field::STARTED_AT, status.started_at.unwrap_or(facts.made_at));
    if status.queued || status.started_at.is_some() {
        record.set_time(field::QUEUED_AT, facts.made_at);
    }
    if facts.attempts > 1 {
        record.set(field::ATTEMPT, status.attempt);
        record.set(field::ATTEMPTS, facts.attempts);
    }
    if facts.pty {
        record.set(field::PTY, true);
    }
    let after: Vec<&str> = facts.turn.after.iter().chain(&facts.turn.after_any).map(TaskId::as_str).collect();
    if !after.is_empty() {
        record.set(field::AFTER, after);
    }
    for queue in &facts.turn.queues {
        let name = if queue.name.is_group() { field::GROUP } else { field::KEY };
        record.set(name, queue.name.name());
    }
    if let Some(request) = &status.request {
        record.set(field::CANCELLED_BY, request.to_record());
    }
    record.set_time(field::UPDATED_AT, status.now);
    record.set(field::ELAPSED_SECONDS, status.elapsed.as_secs());
    let (units, last_unit) = &status.units;
    record.set(field::STACKS_COMPLETED, *units);
    record.set(field::LAST_STACK, last_unit.clone());
    if let Some(progress) = &status.progress {
        record.set(field::PROGRESS, progress.to_value());
    }
    if let Some(total) = facts.total {
        record.set(field::STACKS_TOTAL, total);
    }
    silence::note(&mut record, status.silence, status.longest_silence, status.now);
    let last = status.tail.iter().rev().find(|line| !line.trim().is_empty());
    record.set(field::LAST_MESSAGE, last.map_or(Value::Null, |line| Value::from(line.as_str())));
    record.set(field::TAIL, status.tail.clone());
    let (supervisor, supervisor_start) = status.supervisor;
    record.set(field::SUPERVISOR_PID, supervisor);
    if let Some(start) = supervisor_start {
        record.set(field::SUPERVISOR_START, start);
    }
    let (pid, pid_start) = status.command.unwrap_or(status.supervisor);
    record.set(field::PID, pid);
    if let Some(start) = pid_start {
        record.set(field::PID_START, start);
    }
    record.set(field::STDOUT_BYTES, status.bytes[0]);
    record.set(field::STDERR_BYTES, status.bytes[1]);
    record.set(field::LOG_BYTES, status.log_bytes);
    record.set(field::LOG_TRUNCATED, status.log_truncated);
    if status.log_left_out > 0 {
        record.set(field::LOG_LEFT_OUT_BYTES, status.log_left_out);
    }
    record.set(field::WARNINGS, status.warnings.clone());
    match &status.end {
        None => {
            let state = if status.queued { State::Queued } else { State::Running };
            record.set(field::STATE, state.as_str());
        }
        Some((outcome, usage)) => set_end(&mut record, status, outcome, *usage),
    }
    record
}

fn set_end(record: &mut Record, status: &Status, outcome: &Outcome, usage: Usage) {
    let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    record.set(field::STATE, outcome.state.as_str());
    if let Some(code) = outcome.exit_code {
        record.set(field::EXIT_CODE, code);
    }
    if let Some(signal) = outcome.signal {
        record.set(field::SIGNAL, signal_name(signal));
    }
    if let Some(error) = &outcome.error {
        record.set(field::ERROR, error.as_str());
    }
    if let Some((signal, by)) = &status.sender {
        let name = by.name().map(|name| text::clean(&name));
        let by = json!({ "command": name, "pid": by.pid, "signal": signal_name(*signal), "uid": by.uid });
        record.set(field::SIGNALLED_BY, by);
    }
    if let Some(kills) = status.oom_kills {
        record.set(field::OOM_KILLS, kills);
    }
    record.set_time(field::FINISHED_AT, status.now);
    record.set(field::DURATION_MS, millis(status.elapsed));
    record.set(field::MAX_RSS_KIB, usage.max_rss_kib);
    record.set(field::USER_MS, millis(usage.user));
    record.set(field::SYSTEM_MS, millis(usage.system));
}
