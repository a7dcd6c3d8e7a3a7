//! What is to be run, and how.

use std::ffi::OsString;
use std::path::PathBuf;

/// When the command's output is shown as well as logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Echo {
    /// As it comes.
    Always,
    /// Not at all.
    Never,
    /// All of it, at the end, if the command failed.
    OnFailure,
}

/// A task to be run, in full. It holds the environment and so is never stored.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The command and its arguments; never empty.
    pub argv: Vec<OsString>,
    /// The command's whole environment, but for the task's id.
    pub environment: Vec<(OsString, OsString)>,
    /// The directory to enter, if it is not the caller's.
    pub change_directory: Option<PathBuf>,
    /// The directory the command runs in, absolute.
    pub directory: PathBuf,
    /// The tool name, made fit for an id.
    pub tool: String,
    /// Labels, in the order of their names, one value each.
    pub labels: Vec<(String, String)>,
    /// How many units of work there are, if that was said.
    pub total: Option<u64>,
    /// When output is shown.
    pub echo: Echo,
    /// The front-end leaves as soon as the command runs.
    pub detach: bool,
    /// How many finished tasks are kept; 0 keeps all.
    pub retention: usize,
}
