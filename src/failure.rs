//! What can be said to a person when something failed, and the exit code that goes with it.
//!
//! A [`Failure`] is the last thing a command says: `gco: {message}`, then `hint: {hint}` where there
//! is something to do. Everything below the commands returns its own or the system's errors;
//! [`io_words`] makes the latter fit to be read.

use std::fmt;
use std::io;

/// gco could not do its own part of a `run`.
pub const EXIT_GCO_FAILED: u8 = 125;
/// The task goes on in the background, or could not be started because others hold the places.
pub const EXIT_STILL_RUNNING: u8 = 75;
/// No such task, or a `tasks` command failed.
pub const EXIT_FAILED: u8 = 1;
/// The command line was wrong.
pub const EXIT_USAGE: u8 = 2;

/// A message for a person, a hint, and an exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    message: String,
    hint: Option<String>,
    code: u8,
}

impl Failure {
    /// A failure that ends gco with `code`.
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, code }
    }

    /// A failed `tasks` command: exit code 1.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(EXIT_FAILED, message)
    }

    /// A wrong command line: exit code 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(EXIT_USAGE, message)
    }

    /// Adds what the reader can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with another exit code.
    #[must_use]
    pub fn with_code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// What failed, and why, without the hint.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The exit code that goes with it.
    #[must_use]
    pub fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gco: {}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// A system error in words that fit behind a colon: `permission denied`.
#[must_use]
pub fn io_words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => "unknown error".to_owned(),
    }
}
