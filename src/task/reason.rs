//! Why a task did not succeed, in words: from its record alone.
//!
//! What a number means is only said where that is certain: a shell's exit codes are explained if the command is a shell.

use serde_json::Value;

use super::outcome::signal_name;
use super::record::field;
use super::{Record, State};

/// What the shells are called whose exit codes are known.
const SHELLS: [&str; 7] = ["sh", "bash", "dash", "zsh", "ksh", "ash", "fish"];

/// How the error of a record begins if the command could not be started.
const CANNOT_RUN: &str = "cannot run: ";

/// Why a task did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// In words. From the record: to be cleaned before it is shown.
    pub text: String,
    /// The signal that ended the command.
    pub signal: Option<String>,
    /// Who sent the signal that gco passed on to it: what the record says.
    pub sender: Option<Value>,
}

/// Why the task of `record`, which is over, did not succeed. `None` if it did, or is not over.
#[must_use]
pub fn of(record: &Record, state: State) -> Option<Reason> {
    if !matches!(state, State::Failed | State::Cancelled) {
        return None;
    }
    let code = record.integer(field::EXIT_CODE);
    let signal = record.text(field::SIGNAL).map(str::to_owned);
    let sender = record.fields().get(field::SIGNALLED_BY).filter(|by| by.is_object()).cloned();
    let mut text = match (record.text(field::ERROR).filter(|error| !error.is_empty()), code, &signal) {
        (Some(error), ..) => said(error, code, record, sender.as_ref()),
        (None, _, Some(signal)) => format!("killed by {signal}"),
        (None, Some(code), None) => exit_code(code, record),
        (None, None, None) => "nobody said why".to_owned(),
    };
    let is_killed = signal.as_deref() == Some("SIGKILL") || code == Some(137);
    if is_killed && record.count(field::OOM_KILLS).is_some_and(|kills| kills > 0) {
        text.push_str("; the kernel's out-of-memory killer was at work at that time");
    }
    Some(Reason { text, signal, sender })
}

/// The words of the record, a bit more of a sentence.
fn said(error: &str, code: Option<i64>, record: &Record, sender: Option<&Value>) -> String {
    if let (Some(why), Some(code)) = (error.strip_prefix(CANNOT_RUN), code) {
        return format!("exit code {code}: {why}");
    }
    // `killed by SIGTERM after SIGTERM was passed on`, `exit_code=1 after …`.
    let passed = error.strip_suffix(" was passed on").and_then(|rest| rest.rsplit_once(" after "));
    let (how, asked) = passed.map_or((error, None), |(how, signal)| (how, Some(signal)));
    let how = match (how.strip_prefix("exit_code="), code) {
        (Some(number), Some(code)) if number == code.to_string() && asked.is_none() => {
            exit_code(code, record)
        }
        (Some(number), _) => format!("exit code {number}"),
        (None, _) => how.to_owned(),
    };
    let Some(asked) = asked else {
        // It waited for another attempt when the signal came.
        let signal = how.strip_prefix("cancelled by ").unwrap_or_default();
        let by = sender.and_then(|by| sent_by(by, signal)).map(|by| format!(" sent by {by}"));
        return how + &by.unwrap_or_default();
    };
    match sender.and_then(|by| sent_by(by, asked)) {
        Some(by) if how == format!("killed by {asked}") => format!("terminated by {asked} sent by {by}"),
        Some(by) => format!("{how} after {asked} sent by {by} was passed on"),
        None => format!("{how} after {asked} was passed on"),
    }
}

/// `pid 4242 (sshd)`, if it is that signal which the record speaks of.
fn sent_by(by: &Value, signal: &str) -> Option<String> {
    if by.get("signal").and_then(Value::as_str) != Some(signal) {
        return None;
    }
    let pid = by.get("pid").and_then(Value::as_i64)?;
    let name = by.get("command").and_then(Value::as_str).map(|name| format!(" ({name})"));
    Some(format!("pid {pid}{}", name.unwrap_or_default()))
}

/// `exit code 3`, with what it means if the command is a program whose codes are known.
fn exit_code(code: i64, record: &Record) -> String {
    let program =
        record.texts(field::ARGV).next().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let words = format!("exit code {code}");
    match (program, code) {
        (shell, 127) if SHELLS.contains(&shell) => format!("{words}: a shell's word for a command not found"),
        (shell, 126) if SHELLS.contains(&shell) => {
            format!("{words}: a shell's word for a command that cannot be run")
        }
        (shell, 129..=192) if SHELLS.contains(&shell) => match i32::try_from(code - 128) {
            Ok(signal) => format!("{words}: a shell's word for a command killed by {}", signal_name(signal)),
            Err(_) => words,
        },
        ("timeout", 124) => format!("{words}: timeout's word for a command that took too long"),
        _ => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> Option<String> {
        let record = Record::from_bytes(json.as_bytes()).ok()?;
        of(&record, record.state()?).map(|reason| reason.text)
    }

    #[test]
    fn the_words_of_the_reason() {
        for (json, words) in [
            (r#"{"state":"failed","exit_code":3,"error":"exit_code=3"}"#, "exit code 3"),
            (r#"{"state":"failed","exit_code":3}"#, "exit code 3"),
            (r#"{"state":"failed"}"#, "nobody said why"),
            (
                r#"{"state":"failed","exit_code":137,"signal":"SIGKILL","error":"killed by SIGKILL"}"#,
                "killed by SIGKILL",
            ),
            (
                r#"{"state":"failed","exit_code":137,"signal":"SIGKILL","error":"killed by SIGKILL","oom_kills":1}"#,
                "killed by SIGKILL; the kernel's out-of-memory killer was at work at that time",
            ),
            (r#"{"state":"failed","exit_code":1,"error":"exit_code=1","oom_kills":1}"#, "exit code 1"),
            (
                r#"{"state":"failed","exit_code":137,"error":"exit_code=137","oom_kills":2,"argv":["/bin/sh"]}"#,
                "exit code 137: a shell's word for a command killed by SIGKILL; \
                 the kernel's out-of-memory killer was at work at that time",
            ),
            (r#"{"state":"failed","exit_code":124,"error":"timed out after 30m"}"#, "timed out after 30m"),
            (
                r#"{"state":"failed","exit_code":124,"argv":["timeout"]}"#,
                "exit code 124: timeout's word for a command that took too long",
            ),
            (
                r#"{"state":"failed","exit_code":127,"error":"cannot run: 'x': command not found"}"#,
                "exit code 127: 'x': command not found",
            ),
            (
                r#"{"state":"failed","exit_code":127,"error":"exit_code=127","argv":["bash","-c","x"]}"#,
                "exit code 127: a shell's word for a command not found",
            ),
            (
                r#"{"state":"failed","exit_code":127,"error":"exit_code=127","argv":["make"]}"#,
                "exit code 127",
            ),
            (
                r#"{"state":"cancelled","error":"cancelled by SIGTERM from ada (pid 7)"}"#,
                "cancelled by SIGTERM from ada (pid 7)",
            ),
        ] {
            assert_eq!(text(json).as_deref(), Some(words), "{json}");
        }
        for json in [r#"{"state":"succeeded","exit_code":0}"#, r#"{"state":"running","exit_code":1}"#] {
            assert_eq!(text(json), None, "{json}");
        }
    }

    #[test]
    fn who_sent_the_signal_is_told() {
        let told = |error: &str, by: &str| {
            text(&format!(r#"{{"state":"cancelled","exit_code":143,"error":"{error}","signalled_by":{by}}}"#))
        };
        let killed = "killed by SIGTERM after SIGTERM was passed on";
        let by = r#"{"signal":"SIGTERM","pid":4242,"command":"sshd"}"#;
        assert_eq!(told(killed, by).as_deref(), Some("terminated by SIGTERM sent by pid 4242 (sshd)"));
        let ended = told("exit_code=1 after SIGTERM was passed on", by);
        assert_eq!(ended.as_deref(), Some("exit code 1 after SIGTERM sent by pid 4242 (sshd) was passed on"));
        for other in ["7", "{}", r#"{"signal":"SIGINT","pid":1}"#, r#"{"signal":"SIGTERM","pid":"x"}"#] {
            assert_eq!(told(killed, other).as_deref(), Some(killed), "{other}");
        }
        let resting = told("cancelled by SIGTERM", by);
        assert_eq!(resting.as_deref(), Some("cancelled by SIGTERM sent by pid 4242 (sshd)"));
        let nameless = told(killed, r#"{"signal":"SIGTERM","pid":7}"#);
        assert_eq!(nameless.as_deref(), Some("terminated by SIGTERM sent by pid 7"));
    }
}
