//! The waiting lines: what they are called, and what one looks like.
//!
//! There is one for each group (`--group`) and each key (`--key`) in use. A [`LineName`] can only be made from text that fits,
//! and its file name never leaves the status directory: it begins with a dot, and ends neither as a record, a log, a
//! lock nor a temporary file does, whatever the group or key is called.

use std::fmt::{self, Write};

use super::{TaskId, text};

/// How many of a line may run at once, unless somebody has said otherwise.
pub const DEFAULT_LIMIT: u32 = 1;

/// The largest limit that can be set.
pub const MAX_LIMIT: u32 = 100_000;

/// The longest name of a group, in bytes.
pub const MAX_GROUP: usize = 64;

/// The longest key, in bytes.
pub const MAX_KEY: usize = 200;

/// The longest name that file systems take, in bytes.
const MAX_FILE_NAME: usize = 255;

const GROUP_PREFIX: &str = ".group-";
const KEY_PREFIX: &str = ".key-";
const SUFFIX: &str = ".line";

/// What a line is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind {
    Group,
    Key,
}

/// The name of a line: a group's, or a key's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineName {
    kind: Kind,
    name: String,
}

/// Why text names no group, or is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotALine {
    /// Not the name of a group.
    Group,
    /// An empty key.
    NoKey,
    /// A key of more than [`MAX_KEY`] bytes, or one that would be too long a file name.
    LongKey,
}

impl fmt::Display for NotALine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotALine::Group => write!(
                f,
                "the name of a group is letters, digits, '.', '_' and '-', begins with a letter or digit, and has at most {MAX_GROUP} characters"
            ),
            NotALine::NoKey => f.write_str("a key cannot be empty"),
            NotALine::LongKey => write!(
                f,
                "a key can have at most {MAX_KEY} bytes, and fewer with many blanks, '/', '%' or control characters"
            ),
        }
    }
}

impl std::error::Error for NotALine {}

impl LineName {
    /// The line of group `name`.
    ///
    /// # Errors
    /// [`NotALine::Group`] if it does not match `^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`.
    pub fn group(name: &str) -> Result<Self, NotALine> {
        // The same characters as in an id.
        if name.len() > MAX_GROUP || TaskId::parse(name).is_err() {
            return Err(NotALine::Group);
        }
        Ok(Self { kind: Kind::Group, name: name.to_owned() })
    }

    /// The line of key `key`, which may be any text.
    ///
    /// # Errors
    /// [`NotALine`] if it is empty or too long.
    pub fn key(key: &str) -> Result<Self, NotALine> {
        if key.is_empty() {
            return Err(NotALine::NoKey);
        }
        let line = Self { kind: Kind::Key, name: key.to_owned() };
        if key.len() > MAX_KEY || line.file_name().len() > MAX_FILE_NAME {
            return Err(NotALine::LongKey);
        }
        Ok(line)
    }

    /// The name of the line's file.
    #[must_use]
    pub fn file_name(&self) -> String {
        match self.kind {
            Kind::Group => format!("{GROUP_PREFIX}{}{SUFFIX}", self.name),
            Kind::Key => format!("{KEY_PREFIX}{}{SUFFIX}", encoded(&self.name)),
        }
    }

    /// The line whose file has this name; `None` if it is the file of none.
    #[must_use]
    pub fn from_file_name(name: &str) -> Option<Self> {
        let stem = name.strip_suffix(SUFFIX)?;
        let line = match stem.strip_prefix(GROUP_PREFIX) {
            Some(group) => Self::group(group).ok()?,
            None => Self::key(&decoded(stem.strip_prefix(KEY_PREFIX)?)?).ok()?,
        };
        // One line has one name.
        (line.file_name() == name).then_some(line)
    }

    /// The group's name, or the key.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is a group's.
    #[must_use]
    pub fn is_group(&self) -> bool {
        self.kind == Kind::Group
    }
}

/// For messages: `group 'deploy'`, `key 'nightly backup'`.
impl fmt::Display for LineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_group() { "group" } else { "key" };
        write!(f, "{kind} '{}'", text::clean(&self.name.replace('\n', " ")))
    }
}

fn encoded(key: &str) -> String {
    let mut name = String::with_capacity(key.len() + 16);
    for c in key.chars() {
        if c == '/' || c == '%' || c == ' ' || c.is_control() || text::deceives(c) {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                // Writing to a String cannot fail.
                let _ = write!(name, "%{byte:02X}");
            }
        } else {
            name.push(c);
        }
    }
    name
}

fn decoded(name: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

/// A line as it is at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineState {
    /// How many may run at once.
    pub limit: u32,
    /// Whether somebody has said so.
    pub limit_is_set: bool,
    /// The tasks that have a place, in the order in which they came.
    pub holders: Vec<TaskId>,
    /// The tasks that wait for one, the next one first.
    pub waiting: Vec<TaskId>,
}

/// Where a task stands in line. Shown: `in group 'deploy'`, `for key 'nightly backup'`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: LineName,
    /// 1 for the one that is next.
    pub number: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", if self.line.is_group() { "in" } else { "for" }, self.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_group_is_refused() {
        for bad in ["", "a/b", "../x", ".x", "-x", "a b", "ä", "a\0", "a\n", &"x".repeat(65)] {
            assert_eq!(LineName::group(bad), Err(NotALine::Group), "{bad:?}");
        }
        for good in ["deploy", "0", "a.b_c-d", "x.json", &"x".repeat(64)] {
            assert!(LineName::group(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn keys_are_any_text_that_fits() {
        assert_eq!(LineName::key(""), Err(NotALine::NoKey));
        for bad in [&"x".repeat(201), &"/".repeat(82), &"\u{202e}".repeat(28)] {
            assert_eq!(LineName::key(bad), Err(NotALine::LongKey), "{bad:?}");
        }
        for good in ["x", "..", "/", "%", "/home/me/a b", "ż", &"x".repeat(200), &"ż".repeat(100)] {
            assert!(LineName::key(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn each_line_has_a_file_of_its_own_that_is_no_other_kind_of_file() -> Result<(), NotALine> {
        let groups = ["a", "x.json", "x.log", "x.lock", "x.tmp", "x.line"].map(LineName::group);
        let keys = ["a", "..", "/etc/passwd", "a b", "a%20b", "a\nb\x1b", "\u{202e}", "x.log", "zażółć"]
            .map(LineName::key);
        let mut names = std::collections::HashSet::new();
        for line in groups.into_iter().chain(keys) {
            let line = line?;
            let name = line.file_name();
            assert!(name.starts_with('.') && name.ends_with(".line") && !name.contains(['/', '\0', '\n']));
            assert_eq!(LineName::from_file_name(&name), Some(line));
            assert!(names.insert(name.clone()), "{name}");
        }
        assert_eq!(LineName::key("/a b")?.file_name(), ".key-%2Fa%20b.line");
        for other in [
            "",
            ".line",
            ".group-.line",
            ".key-.line",
            ".group-a",
            ".key-%2f.line",
            ".key-%41.line",
            ".key-%.line",
            ".key-%FF.line",
            ".key-a b.line",
            ".group-a-1-0.lock",
            "group-a.line",
        ] {
            assert_eq!(LineName::from_file_name(other), None, "{other}");
        }
        Ok(())
    }

    #[test]
    fn names_in_messages_are_plain_text() -> Result<(), NotALine> {
        assert_eq!(LineName::group("deploy")?.to_string(), "group 'deploy'");
        assert_eq!(LineName::key("a\nb\x1b[2Jc\u{202e}")?.to_string(), "key 'a bc'");
        Ok(())
    }
}
