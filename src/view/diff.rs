//! How a run differs from a good one: for a person, and for scripts.

use serde_json::{Value, json};

use super::paint::Paint;
use super::words::{ago, cut, grouped, indented_line};
use super::{Shown, Style};
use crate::log::compare::{Comparison, LOOK, Line, New};
use crate::task::record::field;

/// So many new lines are shown to a person.
const SHOWN: usize = 40;

/// The lines that tell how `task` differs from `other`.
#[must_use]
pub fn lines(task: &Shown<'_>, other: &Shown<'_>, found: &Comparison, style: Style) -> Vec<String> {
    let mut lines = vec![title("", task, style), title("compared with ", other, style), String::new()];
    let fit = |line: String| style.width.map_or_else(|| line.clone(), |width| cut(&line, width));
    let wide = widest(found);
    let row = |mark: &str, line: &Line| {
        fit(format!("  {mark} {}  {}", number(line.number, wide), indented_line(&line.text)))
    };
    match &found.parting {
        None if found.cut || found.good_cut => lines.push("no line is new in what was looked at".to_owned()),
        None => lines.push("no line is new, and none is missing at the end".to_owned()),
        Some(parting) => {
            let place = |line: &Option<Line>| match line {
                Some(Line { number: Some(number), .. }) => format!("at line {}", grouped(*number)),
                Some(_) => "far on".to_owned(),
                None => "at its end".to_owned(),
            };
            let (here, there) = (place(&parting.here), place(&parting.there));
            let heading = format!("went another way {here}; the other is {there} then");
            lines.push(painted(Paint::Bold, &heading, style));
            lines.extend(parting.before.iter().map(|line| row(" ", line)));
            lines.extend(parting.here.iter().map(|line| row("+", line)));
            lines.extend(parting.there.iter().map(|line| row("-", line)));
        }
    }
    if !found.new.is_empty() {
        lines.push(String::new());
        lines.push(painted(Paint::Bold, "lines that the other does not have", style));
        for New { line, count } in found.new.iter().take(SHOWN) {
            let times = if *count > 1 { format!("  ({}×)", grouped(*count)) } else { String::new() };
            let text = indented_line(&line.text);
            lines.push(fit(format!("    {}{times}  {text}", number(line.number, wide))));
        }
        let more = found.new.len().saturating_sub(SHOWN) as u64 + found.left_out;
        if more > 0 {
            lines.push(painted(Paint::Dim, &format!("    … and {} more", grouped(more)), style));
        }
    }
    let cut_one = |id: &str| {
        let most = LOOK >> 20;
        format!("of the log of {id} at most the first and the last {most} MiB were looked at")
    };
    let cuts = [(found.cut, task), (found.good_cut, other)];
    for (_, of) in cuts.iter().filter(|(is_cut, _)| *is_cut) {
        lines.push(painted(Paint::Dim, &cut_one(of.id.as_str()), style));
    }
    lines
}

/// The columns that the largest number of a line takes.
fn widest(found: &Comparison) -> usize {
    let parting = found.parting.iter().flat_map(|p| p.before.iter().chain(&p.here).chain(&p.there));
    let new = found.new.iter().take(SHOWN).map(|new| &new.line);
    parting.chain(new).filter_map(|line| line.number).max().map_or(0, |number| grouped(number).len())
}

fn number(number: Option<u64>, wide: usize) -> String {
    format!("{:>wide$}", number.map(grouped).unwrap_or_default())
}

fn title(before: &str, task: &Shown<'_>, style: Style) -> String {
    let mut line = before.to_owned();
    Paint::Bold.put(&mut line, task.id.as_str(), style.colour);
    line.push_str("  ");
    Paint::State(task.state).put(&mut line, task.state.as_str(), style.colour);
    if let Some(at) = task.record.time(field::STARTED_AT) {
        line.push_str(&format!("  started {}", ago(at, style.now)));
    }
    line
}

fn painted(paint: Paint, text: &str, style: Style) -> String {
    let mut line = String::new();
    paint.put(&mut line, text, style.colour);
    line
}

/// What it is in JSON.
#[must_use]
pub fn to_json(task: &Shown<'_>, other: &Shown<'_>, found: &Comparison) -> Value {
    let line = |line: &Line| json!({ "line": line.number, "text": line.text });
    let parting = found.parting.as_ref().map(|parting| {
        json!({
            "before": parting.before.iter().map(line).collect::<Vec<_>>(),
            "here": parting.here.as_ref().map(line),
            "there": parting.there.as_ref().map(line),
        })
    });
    let new = |new: &New| json!({ "count": new.count, "line": new.line.number, "text": new.line.text });
    let of = |task: &Shown<'_>| json!({ "state": task.state.as_str(), "task_id": task.id.as_str() });
    json!({
        "log_cut": found.cut,
        "new": found.new.iter().map(new).collect::<Vec<_>>(),
        "new_left_out": found.left_out,
        "other": of(other),
        "other_log_cut": found.good_cut,
        "parting": parting,
        "task": of(task),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::compare::Parting;
    use crate::task::{Record, State, TaskId};

    #[test]
    fn a_comparison_is_shown() -> Result<(), Box<dyn std::error::Error>> {
        let (id, other) = (TaskId::parse("a-2")?, TaskId::parse("a-1")?);
        let record = Record::from_bytes(br#"{"started_at":"2026-11-21T10:34:12Z"}"#)?;
        let shown = |id, state| Shown { id, record: &record, state, is_alive: None, place: None, past: None };
        let (task, other) = (shown(&id, State::Failed), shown(&other, State::Succeeded));
        let line = |number, text: &str| Line { number, text: text.to_owned() };
        let parting = Parting {
            before: vec![line(Some(9), "b\x1b[2J")],
            here: Some(line(Some(1010), "error")),
            there: None,
        };
        let mut found = Comparison {
            parting: Some(parting),
            new: vec![New { line: line(Some(1010), "error"), count: 3 }; SHOWN + 2],
            left_out: 5,
            cut: true,
            good_cut: false,
        };
        let style = Style { width: Some(60), colour: false, now: 1_795_257_472 };
        let told = lines(&task, &other, &found, style);
        let wanted = "\
a-2  failed  started 3m ago
compared with a-1  succeeded  started 3m ago

went another way at line 1,010; the other is at its end then
        9  b
  + 1,010  error

lines that the other does not have
    1,010  (3×)  error";
        assert_eq!(told[..9].join("\n"), wanted);
        assert_eq!(
            told[48..],
            [
                "    … and 7 more".to_owned(),
                "of the log of a-2 at most the first and the last 8 MiB were looked at".to_owned()
            ]
        );
        let json = to_json(&task, &other, &found);
        assert_eq!(json["parting"]["here"], json!({"line": 1010, "text": "error"}));
        assert_eq!((&json["new_left_out"], &json["other"]["task_id"]), (&json!(5), &json!("a-1")));
        found = Comparison::default();
        assert!(
            lines(&task, &other, &found, style)
                .join("\n")
                .ends_with("\n\nno line is new, and none is missing at the end")
        );
        assert_eq!(to_json(&task, &other, &found)["parting"], Value::Null);
        Ok(())
    }
}
