//! A waiting line, for a person and for scripts: its limit, who runs, who waits.

use serde_json::{Value, json};

use super::Style;
use super::paint::Paint;
use super::words::{cut_middle, grouped, ordinal, width};
use crate::task::line::{LineName, LineState};
use crate::task::{State, TaskId};

/// Blanks before an entry, and between its parts.
const GAP: usize = 2;

/// The lines to show.
#[must_use]
pub fn lines(name: &LineName, state: &LineState, style: Style) -> Vec<String> {
    let mut title = String::new();
    Paint::Bold.put(&mut title, name.name(), style.colour);
    title.push_str(&format!("  limit {}", grouped(state.limit.into())));
    let mut lines = vec![title];
    let running = state.holders.iter().map(|id| (id, "running".to_owned(), State::Running));
    let waiting = state.waiting.iter().zip(1..).map(|(id, number)| (id, ordinal(number), State::Queued));
    let entries: Vec<_> = running.chain(waiting).collect();
    if entries.is_empty() {
        return lines;
    }
    lines.push(String::new());
    let widest = entries.iter().map(|(_, standing, _)| width(standing)).max().unwrap_or(0);
    for (id, standing, paint) in entries {
        let mut line = " ".repeat(GAP);
        Paint::State(paint).put(&mut line, &standing, style.colour);
        line.push_str(&" ".repeat(widest - width(&standing) + GAP));
        let room = style.width.map_or(usize::MAX, |columns| columns.saturating_sub(widest + 2 * GAP));
        line.push_str(&cut_middle(id.as_str(), room));
        lines.push(line);
    }
    lines
}

/// `{"group", "limit", "running": [id, …], "waiting": [id, …]}`.
#[must_use]
pub fn json(name: &LineName, state: &LineState) -> Value {
    json!({
        "group": name.name(),
        "limit": state.limit,
        "running": ids(&state.holders),
        "waiting": ids(&state.waiting),
    })
}

fn ids(tasks: &[TaskId]) -> Vec<&str> {
    tasks.iter().map(TaskId::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_runs_and_who_waits() -> Result<(), Box<dyn std::error::Error>> {
        let name = LineName::group("deploy")?;
        let id = |number: u64| TaskId::new("deploy", 1_795_257_472_000 + number, 0);
        let state =
            LineState { limit: 1000, limit_is_set: true, holders: vec![id(0)], waiting: vec![id(1), id(2)] };
        let style = Style { width: Some(34), colour: false, now: 0 };
        let shown = lines(&name, &state, style);
        assert_eq!(
            shown,
            [
                "deploy  limit 1,000",
                "",
                "  running  deploy-1795257472000-0",
                "  1st      deploy-1795257472001-0",
                "  2nd      deploy-1795257472002-0",
            ]
        );
        let narrow = lines(&name, &state, Style { width: Some(30), ..style });
        assert!(narrow.iter().all(|line| width(line) <= 30), "{narrow:?}");
        let empty = LineState { holders: Vec::new(), waiting: Vec::new(), ..state.clone() };
        assert_eq!(lines(&name, &empty, style), ["deploy  limit 1,000"]);
        assert_eq!(json(&name, &state)["waiting"][1], "deploy-1795257472002-0");
        Ok(())
    }
}
