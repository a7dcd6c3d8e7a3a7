//! The tools whose words are known, one recogniser each.
//!
//! A recogniser is shown lines that could say how far something is, as plain text, and answers only for its own tool's. Each first
//! looks for something that is cheap to find. What it has to remember from one line to the next it keeps in its
//! [`Memory`]. The forms are those of the tools' own output, recorded in `tests/it/recordings` with their versions, or, where
//! a tool cannot be installed everywhere, those of its documentation.

mod build;
mod deploy;
mod fetch;
mod install;
mod test_run;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex_lite::{Captures, Regex};

use super::sight::Sight;

/// A recogniser.
pub struct Tool {
    /// What it is called.
    pub name: &'static str,
    /// What it sees in a line.
    pub(super) see: fn(&mut Memory, &str) -> Option<Sight>,
}

impl std::fmt::Debug for Tool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// What a recogniser remembers.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// How much there is to do.
    pub total: Option<u64>,
    /// How much is done.
    pub done: u64,
    /// What is under way.
    pub current: Option<String>,
    /// How far each of several things is.
    pub parts: BTreeMap<String, (u64, u64)>,
}

impl Memory {
    /// How much is done, if it is known of how much.
    fn so_far(&self) -> Sight {
        self.total.map_or_else(Sight::default, |total| Sight::counted(self.done.min(total), total))
    }

    /// The piece `name` is done as well.
    fn one_more(&mut self, name: &str) -> Sight {
        self.done += 1;
        Sight { done: Some(name.to_owned()), ..self.so_far().of(name) }
    }
}

static TOOLS: [Tool; 16] = [
    Tool { name: "cdk", see: deploy::cdk },
    Tool { name: "terraform", see: deploy::terraform },
    Tool { name: "ansible", see: deploy::ansible },
    Tool { name: "docker", see: build::docker },
    Tool { name: "cargo", see: build::cargo },
    Tool { name: "ninja", see: build::ninja },
    Tool { name: "cmake", see: build::cmake },
    Tool { name: "pytest", see: test_run::pytest },
    Tool { name: "tqdm", see: test_run::tqdm },
    Tool { name: "git", see: fetch::git },
    Tool { name: "curl", see: fetch::curl },
    Tool { name: "wget", see: fetch::wget },
    Tool { name: "rsync", see: fetch::rsync },
    Tool { name: "pip", see: install::pip },
    Tool { name: "npm", see: install::npm },
    Tool { name: "apt", see: install::apt },
];

/// All of them.
pub(super) fn all() -> &'static [Tool] {
    &TOOLS
}

/// The one that is called so.
pub(super) fn find(name: &str) -> Option<&'static Tool> {
    TOOLS.iter().find(|tool| tool.name == name)
}

/// What they are called.
pub fn names() -> impl Iterator<Item = &'static str> {
    TOOLS.iter().map(|tool| tool.name)
}

/// A pattern that is made when it is first needed. One that could not be made matches nothing; a test makes them all.
pub(super) struct Form(LazyLock<Option<Regex>>);

impl Form {
    fn captures<'a>(&self, line: &'a str) -> Option<Captures<'a>> {
        self.0.as_ref()?.captures(line)
    }
}

/// Makes a [`Form`].
macro_rules! form {
    ($pattern:literal) => {
        crate::gauge::tools::Form(std::sync::LazyLock::new(|| regex_lite::Regex::new($pattern).ok()))
    };
}
pub(super) use form;

/// The number in group `at`.
fn number(found: &Captures<'_>, at: usize) -> Option<u64> {
    found.get(at)?.as_str().parse().ok()
}

/// The decimal number in group `at`.
fn decimal(found: &Captures<'_>, at: usize) -> Option<f64> {
    found.get(at)?.as_str().parse().ok()
}

/// The text of group `at`.
fn words<'a>(found: &Captures<'a>, at: usize) -> &'a str {
    found.get(at).map_or("", |group| group.as_str())
}
