//! The options of `gco run` about terminals: the command's, and the one that its caller sits at.

use clap::ValueEnum;

use crate::task::keys::{self, Keys};
use crate::task::spec::Pty;

/// These options.
#[derive(Debug, clap::Args)]
pub struct Seat {
    /// Whether the command gets terminals
    ///
    /// On a terminal it looks and behaves as it would without gco: colours, progress bars, prompts, full-screen programs. stdout
    /// and stderr get one each, so that the log tells them apart. In the log lines end as the command wrote them.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = PtyArg::Auto)]
    pty: PtyArg,

    /// Keep in the log what full-screen programs draw
    ///
    /// Else what is drawn on the terminal's alternate screen is left out, and a line says so.
    #[arg(long)]
    pub log_screen: bool,

    /// What to do when the terminal goes away: its window is closed, the connection is lost
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = HangupArg::Leave)]
    on_hangup: HangupArg,

    /// The keys that leave the command to itself: characters and 'ctrl-' with a character, with commas between, or 'none'
    ///
    /// Typed one after the other they end gco with exit code 75, and the command runs on in the background; 'gco tasks attach'
    /// comes back to it. The first of them typed twice reaches the command once.
    #[arg(long, value_name = "KEYS", default_value = keys::USUAL)]
    pub detach_keys: Keys,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PtyArg {
    /// For each of its standard descriptors that is one for gco
    Auto,
    /// For all of them, also in the background
    Always,
    /// For none: pipes, as before
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum HangupArg {
    /// Leave the command to itself
    Leave,
    /// End it: SIGHUP, and SIGKILL after --grace
    Cancel,
}

impl Seat {
    /// Whether the command gets terminals.
    pub fn pty(&self) -> Pty {
        match self.pty {
            PtyArg::Auto => Pty::Auto,
            PtyArg::Always => Pty::Always,
            PtyArg::Never => Pty::Never,
        }
    }

    /// Whether the command is to end with its terminal.
    pub fn ends_on_hangup(&self) -> bool {
        self.on_hangup == HangupArg::Cancel
    }
}
