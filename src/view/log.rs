//! A log as `gco tasks tail` prints it: lines for people, an array of lines, or one object a line.

use serde_json::json;

use super::lines::{self, Painter, Surface};
use crate::log::join::{Choice, Joiner, Origin, Shown};
use crate::log::replay::Entry;
use crate::task::{State, TaskId};

/// The form that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people, or a stream's bytes.
    Text(Surface),
    /// One JSON object: task, state and all lines.
    Object,
    /// One JSON object for each line, and a last one with the state: for lines that are still to come.
    Objects,
}

/// When a line was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct When {
    /// In milliseconds since 1970, if that is known.
    pub time: Option<u64>,
    /// What of it is to stand before the line.
    pub shown: String,
}

/// Prints lines that have been put together ([`line`](Printer::line)), then entries as they are
/// written ([`entry`](Printer::entry)). What is to be written is put behind `out`.
#[derive(Debug)]
pub struct Printer {
    form: Form,
    choice: Choice,
    painter: Painter,
    joiner: Joiner,
    is_first: bool,
}

impl Printer {
    /// Prints what `choice` takes; of a line longer than `longest` bytes only the end, except in text.
    #[must_use]
    pub fn new(form: Form, choice: Choice, longest: usize) -> Self {
        let surface = if let Form::Text(surface) = form { surface } else { Surface::Bytes };
        let joiner = Joiner::new(choice, longest);
        Self { form, choice, painter: Painter::new(surface), joiner, is_first: true }
    }

    /// Whether gco's own words are among the lines.
    #[must_use]
    pub fn shows_gco(&self) -> bool {
        self.choice.takes(Origin::Gco)
    }

    /// What comes before all lines.
    pub fn begin(&self, id: &TaskId, state: Option<State>, out: &mut Vec<u8>) {
        if self.form == Form::Object {
            let head = json!({"task_id": id.as_str(), "state": state.map(State::as_str)}).to_string();
            // Left open for the lines.
            out.extend_from_slice(head.trim_end_matches('}').as_bytes());
            out.extend_from_slice(b",\"lines\":[");
        }
    }

    /// A line.
    pub fn line(&mut self, line: Shown, when: &When, out: &mut Vec<u8>) {
        match self.form {
            Form::Text(_) => {
                self.painter.piece(&when.shown, line.origin, &line.payload, line.complete, out);
            }
            // The rest of it may come.
            Form::Objects if !line.complete => self.joiner.resume(line),
            Form::Object | Form::Objects => self.json_line(&line, when.time, out),
        }
    }

    /// An entry of the log.
    pub fn entry(&mut self, entry: &Entry<'_>, when: &When, out: &mut Vec<u8>) {
        let origin = Origin::of(entry.tag);
        if let Form::Text(_) = self.form {
            if self.choice.takes(origin) {
                self.painter.piece(&when.shown, origin, entry.payload, entry.ends, out);
            }
        } else if let Some(line) = self.joiner.push(entry) {
            self.json_line(&line, when.time, out);
        }
    }

    /// What comes after all lines. `time` tells when what begins at an offset of the log was written.
    pub fn end(
        &mut self,
        id: &TaskId,
        state: Option<State>,
        mut time: impl FnMut(u64) -> Option<u64>,
        out: &mut Vec<u8>,
    ) {
        for line in self.joiner.finish() {
            self.json_line(&line, time(line.log_offset), out);
        }
        match self.form {
            Form::Text(_) => self.painter.finish(out),
            Form::Object => out.extend_from_slice(b"]}\n"),
            Form::Objects => {
                let last = json!({"task_id": id.as_str(), "state": state.map(State::as_str)});
                out.extend_from_slice(format!("{last}\n").as_bytes());
            }
        }
    }

    fn json_line(&mut self, line: &Shown, time: Option<u64>, out: &mut Vec<u8>) {
        let is_first = std::mem::replace(&mut self.is_first, false);
        if self.form == Form::Object && !is_first {
            out.push(b',');
        }
        out.extend_from_slice(lines::json(line, time).to_string().as_bytes());
        if self.form == Form::Objects {
            out.push(b'\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::replay::Replay;
    use crate::task::id::NotAnId;

    fn printed(form: Form, log: &[u8]) -> Result<String, NotAnId> {
        let id = TaskId::parse("t-1")?;
        let mut printer = Printer::new(form, Choice::ALL, 100);
        let mut out = Vec::new();
        printer.begin(&id, Some(State::Running), &mut out);
        let mut replay = Replay::from(0);
        while let Ok(Some(entry)) = replay.next(log) {
            printer.entry(&entry, &When::default(), &mut out);
        }
        printer.end(&id, Some(State::Failed), |_| None, &mut out);
        Ok(String::from_utf8_lossy(&out).into_owned())
    }

    #[test]
    fn each_form_is_whole() -> Result<(), NotAnId> {
        let log = b"[stdout~] a\n[stderr] \xff\n[stdout] b\n[stderr~] c\n";
        let text = "[stdout] a\n[stderr] \u{fffd}\n[stdout] b\n[stderr] c\n";
        assert_eq!(printed(Form::Text(Surface::Bytes), log)?, text);
        let lines = [
            r#"{"complete":true,"stream":"stderr","text":"�"}"#,
            r#"{"complete":true,"stream":"stdout","text":"ab"}"#,
            r#"{"complete":false,"stream":"stderr","text":"c"}"#,
        ];
        let object =
            format!("{{\"state\":\"running\",\"task_id\":\"t-1\",\"lines\":[{}]}}\n", lines.join(","));
        assert_eq!(printed(Form::Object, log)?, object);
        let last = r#"{"state":"failed","task_id":"t-1"}"#;
        assert_eq!(printed(Form::Objects, log)?, format!("{}\n{last}\n", lines.join("\n")));
        assert_eq!(printed(Form::Object, b"")?, "{\"state\":\"running\",\"task_id\":\"t-1\",\"lines\":[]}\n");
        Ok(())
    }
}
