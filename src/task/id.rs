//! Task ids: `{tool}-{unix milliseconds}-{counter}`.
//!
//! A [`TaskId`] can only be made from text that matches the contract's pattern, so a
//! path built from one never leaves the status directory.

use std::fmt;

/// The longest id, in bytes.
pub const MAX_LEN: usize = 128;

/// The longest tool name: what is left of [`MAX_LEN`] beside 20 digits of milliseconds,
/// 10 of counter and two dashes.
const MAX_TOOL_LEN: usize = MAX_LEN - 32;

/// What stands in for a tool name in which no character is usable.
const NAMELESS: &str = "task";

/// An id that matches `^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(String);

/// The text is no task id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnId;

impl fmt::Display for NotAnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a task id: ids are letters, digits, '.', '_' and '-', begin with a letter or digit, and have at most 128 characters")
    }
}

impl std::error::Error for NotAnId {}

impl TaskId {
    /// Takes `text` for an id.
    ///
    /// # Errors
    /// [`NotAnId`] if it does not match the contract's pattern.
    pub fn parse(text: &str) -> Result<Self, NotAnId> {
        let bytes = text.as_bytes();
        let fits = !bytes.is_empty()
            && bytes.len() <= MAX_LEN
            && bytes[0].is_ascii_alphanumeric()
            && bytes.iter().all(|&b| is_id_byte(b));
        if fits { Ok(Self(text.to_owned())) } else { Err(NotAnId) }
    }

    /// The id of the `counter`-th attempt to name a task of `tool` that starts at `unix_millis`.
    ///
    /// `tool` is expected to come from [`tool_name`].
    #[must_use]
    pub fn new(tool: &str, unix_millis: u64, counter: u32) -> Self {
        Self(format!("{}-{unix_millis}-{counter}", tool_name(tool.as_bytes())))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tool, milliseconds and counter of an id in gco's own form; `None` for the ids of other tools.
    #[must_use]
    pub fn parts(&self) -> Option<(&str, u64, u32)> {
        let (rest, counter) = self.0.rsplit_once('-')?;
        let (tool, millis) = rest.rsplit_once('-')?;
        if tool.is_empty() {
            return None;
        }
        Some((tool, digits(millis)?, digits(counter)?.try_into().ok()?))
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The tool part of an id, made from `name`: what is outside `[A-Za-z0-9._-]` becomes `_`, and it begins
/// with a letter or a digit.
#[must_use]
pub fn tool_name(name: &[u8]) -> String {
    let text = String::from_utf8_lossy(name);
    let mut tool: String = text
        .chars()
        .map(|c| if c.is_ascii() && is_id_byte(c as u8) { c } else { '_' })
        .skip_while(|c| !c.is_ascii_alphanumeric())
        .take(MAX_TOOL_LEN)
        .collect();
    if tool.is_empty() {
        tool.push_str(NAMELESS);
    }
    tool
}

fn is_id_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')
}

/// Plain digits only: `u64::from_str` would take a sign as well.
fn digits(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_id_is_refused() {
        for bad in
            ["", "-x", ".x", "_x", "../x", "/etc/passwd", "a/b", "a b", "ä", "a\0", "a\n", &"x".repeat(129)]
        {
            assert_eq!(TaskId::parse(bad), Err(NotAnId), "{bad:?}");
        }
        for good in ["a", "0", "a.b_c-d", &"x".repeat(128)] {
            assert!(TaskId::parse(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn every_made_id_is_an_id() {
        for name in ["cdk", "", "../../etc", "-rf", "ünïcode", "a b\nc", &"long".repeat(500)] {
            let id = TaskId::new(name, u64::MAX, u32::MAX);
            assert_eq!(TaskId::parse(id.as_str()), Ok(id.clone()), "{name:?} made {id}");
        }
        assert_eq!(TaskId::new("cdk deploy", 17, 0).as_str(), "cdk_deploy-17-0");
        assert_eq!(TaskId::new(".hidden", 17, 0).as_str(), "hidden-17-0");
    }

    #[test]
    fn parts_are_found_again() {
        assert_eq!(TaskId::new("a-b", 123, 4).parts(), Some(("a-b", 123, 4)));
        for other in ["deploy-1", "x", "a-+1-2", "-1-2", "a--2", "a-1-99999999999"] {
            assert_eq!(TaskId::parse(other).ok().and_then(|id| id.parts().map(|p| p.1)), None, "{other}");
        }
    }
}
