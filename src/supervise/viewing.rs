//! Which of a command's standard descriptors are to be terminals, and what is known of the terminal that gco's caller sits at.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use super::control::{Cell, Control};
use super::viewer::Manner;
use crate::sys::descriptors::{Kind, kind, private_copy, standard};
use crate::sys::pty::Modes;
use crate::sys::start::Inherited;
use crate::task::Stream;
use crate::task::spec::{Echo, Pty, ShowProgress, Spec};

/// Which of the standard descriptors are to be terminals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Input.
    pub input: bool,
    /// stdout and stderr.
    pub outputs: [bool; 2],
    /// stderr is the same terminal as stdout.
    pub is_one: bool,
}

impl Wanted {
    /// What `pty` means for descriptors such as gco has been given.
    #[must_use]
    pub fn of(spec: &Spec, inherited: &Inherited) -> Self {
        let Spec { pty, detach, .. } = *spec;
        let is_open = |fd: usize| detach || !inherited.was_closed(fd);
        let wanted = |fd: usize| match pty {
            Pty::Never => false,
            Pty::Always => is_open(fd),
            Pty::Auto => !detach && is_open(fd) && kind(standard(fd)) == Kind::Terminal,
        };
        let (input, outputs) = (wanted(0), [wanted(1), wanted(2)]);
        if input && outputs == [true; 2] && is_interactive_shell(&spec.argv) {
            return Self { input, outputs: [true, false], is_one: true };
        }
        Self { input, outputs, is_one: false }
    }

    /// Whether `stream` is to be one.
    #[must_use]
    pub fn is(self, stream: Stream) -> bool {
        self.outputs[stream.index()]
    }

    /// Whether any is.
    #[must_use]
    pub fn any(self) -> bool {
        self.input || self.outputs != [false; 2]
    }
}

/// The shells that take the terminal behind stderr for the one whose jobs they control.
const SHELLS: [&str; 3] = ["bash", "rbash", "sh"];

/// Whether that is a shell that somebody is to talk to. It controls its jobs by the terminal behind stderr, which has to be the
/// controlling one then, and so the same as stdout's.
fn is_interactive_shell(argv: &[OsString]) -> bool {
    let Some((program, arguments)) = argv.split_first() else { return false };
    let name = Path::new(program).file_name().and_then(OsStr::to_str).unwrap_or_default();
    let is_option = |argument: &OsString| {
        let text = argument.to_str().unwrap_or_default();
        text.starts_with("--") || (text.starts_with(['-', '+']) && !text.contains('c'))
    };
    if name == "env" {
        // What it runs comes after its options and settings.
        let is_setting =
            |word: &OsString| word.to_str().is_some_and(|word| word.contains('=') || word.starts_with('-'));
        let at = arguments.iter().position(|word| !is_setting(word)).unwrap_or(arguments.len());
        return is_interactive_shell(&arguments[at..]);
    }
    SHELLS.contains(&name) && arguments.iter().all(is_option)
}

/// Where gco's caller sits.
#[derive(Debug)]
pub struct Seat {
    /// The terminal.
    pub terminal: OwnedFd,
    /// The modes that it had at first; those of a new terminal if what it had was others'.
    pub modes: Modes,
    /// How it is used.
    pub manner: Manner,
    /// Which streams are shown there.
    pub sees: [bool; 2],
    /// How far the command is is shown there, too.
    pub shows_bar: bool,
}

impl Seat {
    /// The seat of this process's caller; `None` if there is no terminal, or it is not used for the command.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn find(
        spec: &Spec,
        wanted: Wanted,
        behind: bool,
        inherited: &Inherited,
    ) -> io::Result<Option<Self>> {
        let is_terminal = |fd: usize| !inherited.was_closed(fd) && kind(standard(fd)) == Kind::Terminal;
        if spec.detach || !wanted.any() {
            return Ok(None);
        }
        let Some(fd) = [1, 2, 0].into_iter().find(|&fd| is_terminal(fd)) else { return Ok(None) };
        let terminal = private_copy(standard(fd))?;
        let modes = Modes::of(terminal.as_fd())?;
        // A shell's, while that has the foreground; or those of another program in a pipeline, which reads keys.
        let is_others = behind || (is_in_pipeline() && !modes.is_by_line());
        let modes = if is_others { Modes::of_new_terminal()? } else { modes };
        let manner = manner(spec, inherited);
        let shows_bar = is_terminal(2)
            && match spec.show_progress {
                ShowProgress::Never => false,
                // Another program may draw there, and nobody tells what.
                ShowProgress::Alone => !is_in_pipeline(),
                ShowProgress::Always => true,
            };
        Ok(Some(Self { terminal, modes, manner, sees: [is_terminal(1), is_terminal(2)], shows_bar }))
    }
}

/// Whether what this process writes goes to another program, which may read the terminal.
fn is_in_pipeline() -> bool {
    [1, 2].into_iter().any(|fd| kind(standard(fd)) == Kind::Pipe)
}

/// How the terminal of this process's caller is used.
#[must_use]
pub fn manner(spec: &Spec, inherited: &Inherited) -> Manner {
    let is_input = !inherited.was_closed(0) && kind(standard(0)) == Kind::Terminal;
    match spec.echo {
        Echo::Always if is_input && !is_in_pipeline() => Manner::Own,
        Echo::Always => Manner::Shared,
        Echo::Never | Echo::OnFailure => Manner::Unseen,
    }
}

/// The caller's terminal has been given other modes by gco.
const HELD: u64 = 1;
/// gco's front-end is not in its foreground.
const BEHIND: u64 = 2;

impl Control {
    /// Whether the caller's terminal has been given other modes by gco.
    #[must_use]
    pub fn is_terminal_held(&self) -> bool {
        self.get(Cell::Viewing) & HELD != 0
    }

    /// Says so, before it is, or after it has got its own back.
    pub fn set_terminal_held(&self, held: bool) {
        self.set_viewing(HELD, held);
    }

    /// Whether the front-end is in the background of the caller's terminal.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.get(Cell::Viewing) & BEHIND != 0
    }

    /// Says so.
    pub fn set_behind(&self, behind: bool) {
        self.set_viewing(BEHIND, behind);
    }

    pub(super) fn set_viewing(&self, bit: u64, on: bool) {
        let others = self.get(Cell::Viewing) & !bit;
        self.set(Cell::Viewing, if on { others | bit } else { others });
    }

    /// What the terminals that show the command have been told to be: see [`Screen`](crate::task::screen::Screen).
    #[must_use]
    pub fn screen_marks(&self) -> u64 {
        self.get(Cell::Screen)
    }

    /// Says what.
    pub fn set_screen_marks(&self, marks: u64) {
        self.set(Cell::Screen, marks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_to_talk_to_is_told_from_one_that_runs_something() {
        let is = |line: &str| is_interactive_shell(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        for line in ["bash", "/bin/bash -l", "bash --norc --noprofile", "sh -i", "env A=b -i bash -i"] {
            assert!(is(line), "{line}");
        }
        for line in
            ["bash -c x", "bash -xc x", "bash script", "bash -l script", "make", "env A=b make", "env"]
        {
            assert!(!is(line), "{line}");
        }
    }
}
