//! The few colours there are, and what they mean.

use crate::task::State;

/// How a piece of text is painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// As it is.
    Plain,
    /// What is read last: headings, names of fields.
    Dim,
    /// What is read first.
    Bold,
    /// Something is wrong.
    Bad,
    /// As the state deserves.
    State(State),
}

impl Paint {
    fn code(self) -> &'static str {
        match self {
            Paint::Plain => "",
            Paint::Dim => "2",
            Paint::Bold => "1",
            Paint::Bad => "31",
            Paint::State(State::Queued) => "2",
            Paint::State(State::Running) => "36",
            Paint::State(State::Succeeded) => "32",
            Paint::State(State::Failed) => "31",
            Paint::State(State::Cancelled) => "33",
            Paint::State(State::Orphaned) => "35",
        }
    }

    /// Appends `text` to `line`, painted if `colour` says so.
    pub fn put(self, line: &mut String, text: &str, colour: bool) {
        let code = self.code();
        if colour && !code.is_empty() && !text.is_empty() {
            line.push_str("\x1b[");
            line.push_str(code);
            line.push('m');
            line.push_str(text);
            line.push_str("\x1b[0m");
        } else {
            line.push_str(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_painted_unasked() {
        let mut line = String::new();
        Paint::Bad.put(&mut line, "x", false);
        Paint::Plain.put(&mut line, "y", true);
        Paint::Dim.put(&mut line, "", true);
        assert_eq!(line, "xy");
        Paint::State(State::Failed).put(&mut line, "z", true);
        assert_eq!(line, "xy\x1b[31mz\x1b[0m");
    }
}
