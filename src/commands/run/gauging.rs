//! The options of `gco run` that tell how far a command is.

use std::io::Write;

use clap::ValueEnum;

use crate::gauge::choice;
use crate::task::spec::{Recognise, ShowProgress};
use crate::task::taskbar;

/// These options.
#[derive(Debug, clap::Args)]
pub struct Gauging {
    /// How many units of work there are
    ///
    /// A unit is something that the command finishes, like a stack that is deployed; it is recognised in the output or named by
    /// 'gco progress --unit', and counts once however often its line appears. Of so many, the record says how many are done.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub total: Option<u64>,

    /// What to recognise in the output of how far the command is: auto, none, or one tool's words
    ///
    /// The tools are: ansible, apt, cargo, cdk, cmake, curl, docker, git, ninja, npm, pip, pytest, rsync, terraform, tqdm and wget;
    /// and with auto whatever any of them writes, or a program that tells terminals about its progress (OSC 9;4). The output itself
    /// is not changed.
    #[arg(long, value_name = "WHAT", default_value = "auto", value_parser = recognise)]
    progress: Recognise,

    /// Recognise lines that match this regular expression instead
    ///
    /// What its groups named current, total, percent, unit and message match is what they are called. A unit without a number
    /// is a unit of work that is done.
    #[arg(long, value_name = "REGEX", conflicts_with = "progress", value_parser = pattern, allow_hyphen_values = true)]
    progress_pattern: Option<Recognise>,

    /// Hear what the command tells a service manager as its status
    ///
    /// NOTIFY_SOCKET is set to a socket on which programs say STATUS= as to systemd ('systemd-notify --status', sd_notify). A percentage
    /// in it says how far the command is. One that is a service manager's already stays. It is not set without being asked for
    /// because it changes what some programs do: 'podman run -d' waits until the container says that it is ready.
    #[arg(long)]
    pub notify: bool,

    /// Whether the terminal shows in its title or taskbar how far the command is
    ///
    /// Windows Terminal, ConEmu, Ghostty, WezTerm, iTerm2, mintty, Konsole and the terminals of GNOME do, in recent versions (OSC
    /// 9;4). It is left to a command that does so itself, and there is none with '--pty never'.
    #[arg(long, value_name = "WHEN", value_enum)]
    show_progress: Option<ShowArg>,
}

/// What '--show-progress' is if it is not given.
const SHOW_VARIABLE: &str = "GCO_SHOW_PROGRESS";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ShowArg {
    /// If it is known that the terminal can, and no other program of a pipeline draws on it
    Auto,
    /// If stderr is a terminal
    Always,
    /// Not at all
    Never,
}

impl Gauging {
    /// What is to be recognised.
    pub fn recognised(&self) -> Recognise {
        self.progress_pattern.as_ref().unwrap_or(&self.progress).clone()
    }
}

impl Gauging {
    /// Whether the terminal is to show how far the command is.
    pub fn shown(&self) -> ShowProgress {
        let variable = |name: &str| std::env::var(name).ok();
        match self.show_progress.or_else(set_for_all).unwrap_or(ShowArg::Auto) {
            ShowArg::Auto if taskbar::is_shown_by(variable) => ShowProgress::Alone,
            ShowArg::Auto | ShowArg::Never => ShowProgress::Never,
            ShowArg::Always => ShowProgress::Always,
        }
    }
}

/// What the variable says. What makes no sense is said and passed over: it must not keep anything from running.
fn set_for_all() -> Option<ShowArg> {
    let value = std::env::var_os(SHOW_VARIABLE).filter(|value| !value.is_empty())?;
    let found = value.to_str().and_then(|text| ShowArg::from_str(text, false).ok());
    if found.is_none() {
        let words = format!(
            "gco: {SHOW_VARIABLE} is '{}', which is not auto, always or never; it is passed over\n",
            value.display()
        );
        // One who is not at the terminal misses it.
        let _ = std::io::stderr().write_all(words.as_bytes());
    }
    found
}

fn recognise(text: &str) -> Result<Recognise, String> {
    choice::parse(text).map_err(|error| error.to_string())
}

fn pattern(text: &str) -> Result<Recognise, String> {
    choice::pattern(text).map_err(|error| error.to_string())
}
