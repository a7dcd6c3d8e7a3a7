//! What is to be recognised: all that is known, one tool's words, a pattern, nothing.

use std::fmt;

use regex_lite::Regex;

use super::sight::Sight;
use super::tools;
use crate::task::spec::Recognise;

/// Why text is no choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotAChoice {
    /// It names no recogniser.
    Unknown,
    /// It is no regular expression; what is wrong with it.
    NotARegex(String),
    /// It has none of the groups from which anything could be told.
    NoGroup,
}

/// The groups that mean something.
const GROUPS: [&str; 5] = ["current", "total", "percent", "unit", "message"];

impl fmt::Display for NotAChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotAChoice::Unknown => {
                let names: Vec<_> = tools::names().collect();
                write!(f, "it is auto, none or one of {}", names.join(", "))
            }
            NotAChoice::NotARegex(why) => write!(f, "it is not a regular expression: {why}"),
            NotAChoice::NoGroup => write!(
                f,
                "it needs at least one of the groups {}, written like (?P<current>[0-9]+)",
                GROUPS.join(", ")
            ),
        }
    }
}

impl std::error::Error for NotAChoice {}

/// Reads `auto`, `none` or the name of a recogniser.
///
/// # Errors
/// [`NotAChoice::Unknown`].
pub fn parse(text: &str) -> Result<Recognise, NotAChoice> {
    match text {
        "auto" => Ok(Recognise::Auto),
        "none" => Ok(Recognise::Nothing),
        name => tools::find(name).map(|tool| Recognise::One(tool.name)).ok_or(NotAChoice::Unknown),
    }
}

/// Reads a pattern.
///
/// # Errors
/// [`NotAChoice`] if it is none from which anything could be told.
pub fn pattern(text: &str) -> Result<Recognise, NotAChoice> {
    let regex = Regex::new(text).map_err(|error| NotAChoice::NotARegex(error.to_string()))?;
    if !regex.capture_names().flatten().any(|name| GROUPS.contains(&name)) {
        return Err(NotAChoice::NoGroup);
    }
    Ok(Recognise::Pattern(regex))
}

/// What `pattern` finds in a line.
pub(super) fn matched(pattern: &Regex, line: &str) -> Option<Sight> {
    let found = pattern.captures(line)?;
    let text = |name: &str| found.name(name).map(|text| text.as_str().trim()).filter(|text| !text.is_empty());
    let number = |name: &str| text(name)?.replace([',', '_'], "").parse::<u64>().ok();
    Some(Sight {
        current: number("current"),
        total: number("total"),
        percent: text("percent").and_then(|text| text.trim_end_matches('%').parse().ok()),
        message: text("message").map(str::to_owned),
        unit: text("unit").map(str::to_owned),
        // Without numbers a unit that is named is one that is done.
        done: text("unit").filter(|_| text("current").or(text("percent")).is_none()).map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_choice_says_so() {
        assert!(matches!(parse("auto"), Ok(Recognise::Auto)));
        assert!(matches!(parse("none"), Ok(Recognise::Nothing)));
        assert!(matches!(parse("cargo"), Ok(Recognise::One(_))));
        assert_eq!(parse("Cargo").err(), Some(NotAChoice::Unknown));
        assert!(matches!(pattern("(").err(), Some(NotAChoice::NotARegex(_))));
        assert_eq!(pattern("(?P<x>.)").err(), Some(NotAChoice::NoGroup));
        assert!(matches!(pattern("(?P<percent>[0-9]+)%"), Ok(Recognise::Pattern(_))));
    }

    #[test]
    fn groups_mean_what_they_are_called() -> Result<(), regex_lite::Error> {
        let step = Regex::new(r"step (?P<current>[\d,]+) of (?P<total>[\d,]+)(?:: (?P<message>.*))?")?;
        let seen = matched(&step, "step 1,200 of 3,000: copying");
        assert_eq!(seen, Some(Sight::counted(1200, 3000).saying("copying")));
        assert_eq!(matched(&step, "step 1 of 2"), Some(Sight::counted(1, 2)));
        assert_eq!(matched(&step, "step one"), None);
        let unit = Regex::new(r"built (?P<unit>\S+)")?;
        assert_eq!(matched(&unit, "built a.o"), Some(Sight::done("a.o").of("a.o")));
        let percent = Regex::new(r"(?P<percent>[\d.]+%)")?;
        assert_eq!(matched(&percent, "at 12.5%"), Some(Sight::percent(12.5)));
        Ok(())
    }
}
