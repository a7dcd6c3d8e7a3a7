//! Why a task did not succeed: for a person, above everything else about it, and for scripts.

use serde_json::{Map, Value, json};

use super::Style;
use super::paint::Paint;
use super::words::{cut, grouped, indented_line, one_line};
use crate::log::ReadAt;
use crate::log::clues::{Cause, Clues, clues};
use crate::log::times::Times;
use crate::task::moment::{self, COLUMNS};
use crate::task::reason::{self, Reason};
use crate::task::{Record, State, TaskId};

/// Why a task did not succeed.
#[derive(Debug, Clone)]
pub struct Why {
    /// What its record says.
    pub reason: Reason,
    /// What its log says.
    pub clues: Clues,
    /// When the task started, in milliseconds since 1970.
    pub started: Option<u64>,
}

impl Why {
    /// What `record` and `log` say of task `id` in `state`, and `times` of when; `None` if that needs no reason. A log that cannot
    /// be read has no clues.
    #[must_use]
    pub fn of<S: ReadAt + ?Sized, T: ReadAt>(
        id: &TaskId,
        record: &Record,
        state: State,
        log: Option<&S>,
        times: Option<Times<T>>,
    ) -> Option<Self> {
        let reason = reason::of(record, state)?;
        let mut clues = log.and_then(|log| clues(log).ok()).unwrap_or_default();
        if let Some(mut times) = times {
            // What cannot be read is not known.
            clues.tell_times(|offset| times.at(offset).unwrap_or(None));
        }
        Some(Self { reason, clues, started: moment::started(id, record) })
    }
}

/// The lines that tell it, with an empty one behind them.
#[must_use]
pub fn lines(why: &Why, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::from("  ");
    Paint::Bad.put(&mut line, &one_line(&why.reason.text), style.colour);
    lines.push(line);
    let heading = |lines: &mut Vec<String>, text: &str| {
        let mut line = String::from("  ");
        Paint::Dim.put(&mut line, text, style.colour);
        lines.push(line);
    };
    let fit = |line: String| style.width.map_or_else(|| line.clone(), |width| cut(&line, width));
    let Clues { stderr, causes, .. } = &why.clues;
    if !causes.is_empty() {
        heading(&mut lines, "what looks like the cause, by lines of the log");
        let wide = causes.iter().filter_map(|cause| cause.line).max().map_or(0, |line| grouped(line).len());
        let time = |cause: &Cause| {
            cause.time.zip(why.started).map(|(time, start)| moment::since(time, start)).unwrap_or_default()
        };
        let knows_times = causes.iter().any(|cause| !time(cause).is_empty());
        for (at, cause) in causes.iter().enumerate() {
            if why.clues.gap() == Some(at) {
                lines.push(fit(format!("    … {} more …", grouped(why.clues.left_out))));
            }
            let number = cause.line.map(grouped).unwrap_or_default();
            let between = if wide == 0 { "" } else { "  " };
            let time = if knows_times { format!("{:>COLUMNS$}  ", time(cause)) } else { String::new() };
            lines.push(fit(format!("    {number:>wide$}{between}{time}{}", one_line(&cause.text))));
        }
    }
    let stderr: Vec<String> =
        stderr.iter().map(|line| indented_line(line)).filter(|l| !l.is_empty()).collect();
    if !stderr.is_empty() {
        heading(&mut lines, "last lines of stderr");
        lines.extend(stderr.into_iter().map(|line| fit(format!("    {line}"))));
    }
    if why.clues.cut {
        heading(&mut lines, "only the end of the log was looked at");
    }
    lines.push(String::new());
    lines
}

/// What it is in JSON.
#[must_use]
pub fn to_json(why: &Why) -> Value {
    let Why { reason, clues, .. } = why;
    let mut object = Map::new();
    object.insert("text".to_owned(), Value::from(reason.text.as_str()));
    if let Some(signal) = &reason.signal {
        object.insert("signal".to_owned(), Value::from(signal.as_str()));
    }
    if let Some(sender) = &reason.sender {
        object.insert("sender".to_owned(), sender.clone());
    }
    object.insert("stderr".to_owned(), Value::from(clues.stderr.clone()));
    let causes: Vec<Value> = clues.causes.iter().map(cause).collect();
    object.insert("causes".to_owned(), Value::from(causes));
    if clues.left_out > 0 {
        object.insert("causes_left_out".to_owned(), Value::from(clues.left_out));
    }
    if clues.cut {
        object.insert("log_cut".to_owned(), Value::from(true));
    }
    Value::Object(object)
}

fn cause(cause: &Cause) -> Value {
    json!({ "line": cause.line, "time": cause.time.map(moment::exact), "text": cause.text })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why() -> Why {
        let cause = |line, text: &str| Cause { line, offset: 0, time: None, text: text.to_owned() };
        Why {
            reason: Reason { text: "exit\x1b[2J code 3".to_owned(), signal: None, sender: None },
            clues: Clues {
                stderr: vec!["  a\x1b]0;x\x07".to_owned(), String::new(), "b".to_owned()],
                causes: vec![cause(Some(7), "error: one"), cause(Some(1234), "a very long error indeed")],
                left_out: 0,
                cut: false,
            },
            started: Some(1_795_257_472_000),
        }
    }

    #[test]
    fn it_is_told_to_people() {
        let style = Style { width: Some(24), colour: false, now: 0 };
        let wanted = "
  exit code 3
  what looks like the cause, by lines of the log
        7  error: one
    1,234  a very long …
  last lines of stderr
      a
    b
";
        assert_eq!(lines(&why(), style).join("\n"), wanted.trim_start_matches('\n'));
        let mut long = why();
        long.clues.cut = true;
        long.clues.left_out = 5;
        long.clues.causes = vec![Cause { line: None, offset: 0, time: None, text: "x".to_owned() }; 10];
        let told = lines(&long, Style { width: None, ..style }).join("\n");
        assert!(told.contains("\n    x\n    … 5 more …\n    x\n"), "{told}");
        assert!(told.contains("only the end of the log was looked at"), "{told}");
    }

    #[test]
    fn it_is_told_to_scripts() {
        let told = to_json(&why());
        assert_eq!(told["causes"][0], json!({"line": 7, "time": null, "text": "error: one"}));
        assert_eq!((&told["signal"], &told["causes_left_out"]), (&Value::Null, &Value::Null));
        assert_eq!(told["stderr"][2], "b");
    }
}
