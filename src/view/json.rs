//! JSON for scripts: records as on disk, with what is true of them now.
//!
//! What a terminal would act on is written as an escape, so that the same JSON can be looked at.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde_json::{Map, Value};

use super::Shown;
use crate::task::TaskId;
use crate::task::record::field;
use crate::task::text::deceives;

/// The record of a task as on disk, with what is true of it `now`, in seconds since 1970: the effective `state`, `is_alive`, the
/// `task_id` that its file's name says, its `place`, if it waits in a line and that is known, an `estimate` of how far it is, if it
/// does not say so itself, and how long it has been silent.
#[must_use]
pub fn record(task: &Shown<'_>, now: i64) -> Value {
    let mut fields: Map<String, Value> = task.record.fields().clone();
    fields.insert(field::TASK_ID.to_owned(), Value::from(task.id.as_str()));
    fields.insert(field::STATE.to_owned(), Value::from(task.state.as_str()));
    fields.insert(field::IS_ALIVE.to_owned(), task.is_alive.map_or(Value::Null, Value::from));
    if let Some(place) = task.place {
        fields.insert(field::PLACE.to_owned(), Value::from(place.number));
    }
    if let Some(estimate) = task.estimate(now) {
        fields.insert(field::ESTIMATE.to_owned(), estimate.to_value());
    }
    if let Some(silence) = task.silence(now) {
        fields.insert(field::SILENT_SECONDS.to_owned(), silence.lasts.as_secs().into());
        fields.insert(field::LONGEST_SILENCE_SECONDS.to_owned(), silence.longest_before.as_secs().into());
    }
    Value::Object(fields)
}

/// `value` for a person to read as well: two-space indent, final newline.
#[must_use]
pub fn pretty(value: &Value) -> String {
    escape(&format!("{value:#}\n"))
}

/// `value` on one line, without its end.
#[must_use]
pub fn compact(value: &Value) -> String {
    escape(&value.to_string())
}

/// Outside of strings JSON has none of these, and inside of them the escape means the same. The line ends are the
/// layout's own: in strings they are escaped already.
fn escape(json: &str) -> String {
    let acts = |c: char| c != '\n' && (c.is_control() || deceives(c));
    if !json.contains(acts) {
        return json.to_owned();
    }
    let mut safe = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        if acts(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Writes `{"tasks": […]}` as the tasks come, one a line, so that a million of them take no memory. Records that
/// cannot be read follow as `"unreadable": [{"task_id", "error"}]`, if there are any.
#[derive(Debug)]
pub struct Listing<W> {
    out: W,
    now: i64,
    any: bool,
    unreadable: Vec<Value>,
}

impl<W: Write> Listing<W> {
    /// Begins a listing of what is true `now`, in seconds since 1970.
    ///
    /// # Errors
    /// What writing said.
    pub fn begin(mut out: W, now: i64) -> io::Result<Self> {
        out.write_all(b"{\"tasks\": [")?;
        Ok(Self { out, now, any: false, unreadable: Vec::new() })
    }

    /// Adds a task.
    ///
    /// # Errors
    /// What writing said.
    pub fn add(&mut self, task: &Shown<'_>) -> io::Result<()> {
        let between = if self.any { ",\n  " } else { "\n  " };
        self.any = true;
        write!(self.out, "{between}{}", compact(&record(task, self.now)))
    }

    /// Adds a record that cannot be read.
    pub fn add_unreadable(&mut self, id: &TaskId, error: &str) {
        self.unreadable.push(serde_json::json!({ "task_id": id.as_str(), "error": error }));
    }

    /// Ends the listing.
    ///
    /// # Errors
    /// What writing said.
    pub fn end(mut self) -> io::Result<()> {
        self.out.write_all(if self.any { b"\n]" } else { b"]" })?;
        if !self.unreadable.is_empty() {
            write!(self.out, ", \"unreadable\": {}", compact(&Value::from(self.unreadable)))?;
        }
        self.out.write_all(b"}\n")?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::line::Place;
    use crate::task::{LineName, Past, Record, State, silence};
    use std::time::Duration;

    const NOW: i64 = 1_795_257_472;

    #[test]
    fn a_record_is_told_with_what_is_true_of_it() -> Result<(), Box<dyn std::error::Error>> {
        let id = TaskId::parse("a-1")?;
        let stored = Record::from_bytes(br#"{"state":"running","task_id":"../x","mine":[1],"argv":["a"]}"#)?;
        let mut past = Past::default();
        past.add(&Record::from_bytes(
            br#"{"state":"succeeded","duration_ms":100000,"longest_silence_ms":7000}"#,
        )?);
        let task = Shown {
            id: &id,
            record: &stored,
            state: State::Orphaned,
            is_alive: None,
            place: None,
            past: None,
        };
        let wanted = r#"{"argv":["a"],"is_alive":null,"mine":[1],"state":"orphaned","task_id":"a-1"}"#;
        assert_eq!(compact(&record(&task, 0)), wanted);
        let place = Place { line: LineName::group("deploy")?, number: 2 };
        let queued = Shown { state: State::Queued, place: Some(&place), ..task };
        assert_eq!(record(&queued, 0)["place"], 2);
        let runs = Shown { state: State::Running, is_alive: Some(true), past: Some(&past), ..task };
        let stamp = |record: &mut Record, seconds| record.set_time(field::STARTED_AT, NOW - seconds);
        let mut quiet = stored.clone();
        stamp(&mut quiet, 63);
        silence::note(&mut quiet, Some(Duration::from_secs(60)), Some(Duration::from_secs(3)), NOW);
        let told = record(&Shown { record: &quiet, ..runs }, NOW);
        assert_eq!(told["estimate"]["percent"], 63.0);
        assert_eq!((&told["silent_seconds"], &told["longest_silence_seconds"]), (&60.into(), &7.into()));
        quiet.set(field::STACKS_TOTAL, 3);
        let told = record(&Shown { record: &quiet, ..runs }, NOW);
        assert_eq!((told.get("estimate"), told["silent_seconds"].as_u64()), (None, Some(60)));
        let over = Shown { record: &quiet, state: State::Succeeded, ..runs };
        assert_eq!(record(&over, NOW).get("silent_seconds"), None);
        let mut out = Vec::new();
        let mut listing = Listing::begin(&mut out, 0)?;
        listing.add(&task)?;
        listing.add(&task)?;
        listing.add_unreadable(&id, "it is empty");
        listing.end()?;
        let listed: Value = serde_json::from_slice(&out)?;
        assert_eq!(listed["tasks"][1]["state"], "orphaned");
        assert_eq!(listed["unreadable"][0]["error"], "it is empty");
        Ok(())
    }

    #[test]
    fn an_empty_listing_is_one_all_the_same() -> io::Result<()> {
        let mut out = Vec::new();
        Listing::begin(&mut out, 0)?.end()?;
        assert_eq!(out, b"{\"tasks\": []}\n");
        Ok(())
    }

    #[test]
    fn what_a_terminal_would_act_on_is_escaped() -> Result<(), serde_json::Error> {
        let hostile = Value::from("\x1b[2J\u{9b}31m\u{7f}\u{202e}\u{feff}\nż");
        let text = pretty(&hostile);
        assert!(!text.trim_end().contains(|c: char| c.is_control() || deceives(c)), "{text:?}");
        assert_eq!(serde_json::from_str::<Value>(&text)?, hostile);
        Ok(())
    }
}
