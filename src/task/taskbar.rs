//! Progress in a terminal's title or taskbar: `ESC ] 9 ; 4 ; STATE ; PERCENT BEL`. Which terminals show it, and where in
//! what they are shown such a sequence may stand. Pure.
//!
//! A terminal that does not know it may show a notification instead, or its letters. So it must be known by its environment
//! to be one that does, from the version on that does. Inside a multiplexer nobody knows what is outside.

/// What all of these sequences begin with, behind `ESC ]`.
const BEGIN: &[u8] = b"9;4;";

/// Takes progress back.
pub const CLEAR: &str = "\x1b]9;4;0;\x07";

/// Shows so many hundredths.
#[must_use]
pub fn show(percent: u8) -> String {
    format!("\x1b]9;4;1;{percent}\x07")
}

/// Whether the terminal that sets these variables for its programs is one that shows progress.
#[must_use]
pub fn is_shown_by(variable: impl Fn(&str) -> Option<String>) -> bool {
    let get = |name: &str| variable(name).filter(|value| !value.is_empty());
    let is_inside = ["TMUX", "STY", "ZELLIJ"].into_iter().any(|name| get(name).is_some());
    let term = get("TERM").unwrap_or_default();
    if is_inside
        || ["", "dumb", "linux"].contains(&&*term)
        || term.starts_with("screen")
        || term.starts_with("tmux")
    {
        return false;
    }
    let number = |name: &str| get(name).and_then(|value| value.parse::<u64>().ok()).unwrap_or(0);
    let version = get("TERM_PROGRAM_VERSION").unwrap_or_default();
    let since = match get("TERM_PROGRAM").as_deref() {
        Some("ghostty") => Some([1, 2, 0]),
        Some("iTerm.app") => Some([3, 6, 6]),
        Some("mintty") => Some([3, 4, 2]),
        // Versions are dates.
        Some("WezTerm") => Some([20_250_209, 0, 0]),
        _ => None,
    };
    // One that is started within another has the other's variables, too: of two, what is certain counts.
    since.is_some_and(|since| parts(&version) >= since)
        || get("WT_SESSION").is_some()
        || get("ConEmuANSI").as_deref() == Some("ON")
        || number("VTE_VERSION") >= 7900
        || number("KONSOLE_VERSION") >= 250_400
}

/// The first three numbers of a version.
fn parts(version: &str) -> [u64; 3] {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    [0; 3].map(|zero| numbers.next().unwrap_or(zero))
}

/// Where the bytes that a terminal has been shown end: between two things, or in the middle of one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    within: Within,
    /// How much of [`BEGIN`] the words of a sequence have begun with.
    matched: usize,
    /// How many bytes of a character are still to come.
    owed: usize,
    /// A program has shown its own progress.
    is_used: bool,
}

/// What they are in the middle of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Within {
    /// Nothing.
    #[default]
    Text,
    /// A sequence of which nothing but the escape is known.
    Escape,
    /// `ESC [` and so on.
    Control,
    /// `ESC ]` and so on, up to a BEL or an escape.
    Command,
    /// `ESC P` and the like, up to an escape.
    Words,
}

impl Place {
    /// Takes note of what is shown.
    pub fn pass(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((&byte, more)) = rest.split_first() {
            if self.within == Within::Text {
                let Some(at) = memchr::memchr(b'\x1b', rest) else {
                    self.pass_text(rest);
                    return;
                };
                (self.within, self.owed) = (Within::Escape, 0);
                rest = &rest[at + 1..];
                continue;
            }
            rest = more;
            self.within = match (self.within, byte) {
                // Cancelled.
                (_, 0x18 | 0x1a) => Within::Text,
                (_, b'\x1b') => Within::Escape,
                (Within::Escape, b'[') => Within::Control,
                (Within::Escape, b']') => {
                    self.matched = 0;
                    Within::Command
                }
                (Within::Escape, b'P' | b'X' | b'^' | b'_') => Within::Words,
                (Within::Escape, 0x20..=0x2f) => Within::Escape,
                (Within::Control, 0x40..=0x7e)
                | (Within::Command, 0x07)
                | (Within::Escape | Within::Text, _) => Within::Text,
                (Within::Command, _) => {
                    self.match_begin(byte);
                    Within::Command
                }
                (within, _) => within,
            };
        }
    }

    fn match_begin(&mut self, byte: u8) {
        if BEGIN.get(self.matched) == Some(&byte) {
            self.matched += 1;
            self.is_used |= self.matched == BEGIN.len();
        } else {
            self.matched = BEGIN.len();
        }
    }

    fn pass_text(&mut self, text: &[u8]) {
        for byte in &text[text.len().saturating_sub(4)..] {
            self.owed = match byte {
                0xf0.. => 3,
                0xe0.. => 2,
                0xc0.. => 1,
                0x80.. => self.owed.saturating_sub(1),
                _ => 0,
            };
        }
    }

    /// Whether a sequence may stand here.
    #[must_use]
    pub fn is_between(&self) -> bool {
        self.within == Within::Text && self.owed == 0
    }

    /// Whether a program has shown its own progress.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.is_used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_are_told_by_their_variables() {
        for (variables, shown) in [
            (&[][..], false),
            (&[("WT_SESSION", "1-2")], true),
            (&[("ConEmuANSI", "ON")], true),
            (&[("ConEmuANSI", "OFF")], false),
            (&[("VTE_VERSION", "7900")], true),
            (&[("VTE_VERSION", "7802")], false),
            (&[("KONSOLE_VERSION", "250401")], true),
            (&[("KONSOLE_VERSION", "240803")], false),
            (&[("TERM_PROGRAM", "ghostty"), ("TERM_PROGRAM_VERSION", "1.2.0")], true),
            (&[("TERM_PROGRAM", "ghostty"), ("TERM_PROGRAM_VERSION", "1.1.3")], false),
            (&[("TERM_PROGRAM", "ghostty")], false),
            (&[("TERM_PROGRAM", "iTerm.app"), ("TERM_PROGRAM_VERSION", "3.6.6")], true),
            (&[("TERM_PROGRAM", "iTerm.app"), ("TERM_PROGRAM_VERSION", "3.5.14")], false),
            (&[("TERM_PROGRAM", "WezTerm"), ("TERM_PROGRAM_VERSION", "20240203-110809-5046fc22")], false),
            (&[("TERM_PROGRAM", "WezTerm"), ("TERM_PROGRAM_VERSION", "20250301-1-a")], true),
            (&[("TERM_PROGRAM", "mintty"), ("TERM_PROGRAM_VERSION", "3.7.8")], true),
            (&[("TERM_PROGRAM", "vscode"), ("TERM_PROGRAM_VERSION", "9.9")], false),
            (&[("WT_SESSION", "1"), ("TMUX", "/tmp/x")], false),
            (&[("WT_SESSION", "1"), ("TERM", "screen-256color")], false),
            (&[("WT_SESSION", "1"), ("TERM", "dumb")], false),
        ] {
            let find =
                |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
            let variable = |name: &str| find(name).or((name == "TERM").then_some("xterm-256color"));
            assert_eq!(is_shown_by(|name| variable(name).map(str::to_owned)), shown, "{variables:?}");
        }
        assert!(!is_shown_by(|name| (name == "WT_SESSION").then(|| "1".to_owned())), "no TERM at all");
    }

    #[test]
    fn a_sequence_stands_between_others() {
        for (bytes, between) in [
            (&b""[..], true),
            (b"text\r\n", true),
            (b"\x1b", false),
            (b"\x1b[", false),
            (b"\x1b[1;3", false),
            (b"\x1b[1;31m", true),
            (b"\x1b(", false),
            (b"\x1b(B", true),
            (b"\x1b]0;title", false),
            (b"\x1b]0;title\x07", true),
            (b"\x1b]0;title\x1b", false),
            (b"\x1b]0;title\x1b\\", true),
            (b"\x1bPq#0\x07", false),
            (b"\x1bPq#0\x1b\\", true),
            (b"\x1b[1\x18", true),
            (b"\x1b7", true),
            (b"a\xc3", false),
            (b"a\xc3\xa9", true),
            (b"\xe2\x9c", false),
            (b"\xe2\x9c\x85", true),
            (b"\xf0\x9f\x9a", false),
            (b"\xf0\x9f\x9a\x80", true),
            (b"\xff\xff", false),
            (b"\xff\xff\n", true),
        ] {
            let mut whole = Place::default();
            whole.pass(bytes);
            assert_eq!(whole.is_between(), between, "{}", bytes.escape_ascii());
            let mut bytewise = Place::default();
            bytes.iter().for_each(|&byte| bytewise.pass(&[byte]));
            assert_eq!(bytewise, whole, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_programs_own_progress_is_seen() {
        for (bytes, used) in [
            (&show(5).into_bytes()[..], true),
            (CLEAR.as_bytes(), true),
            (b"\x1b]9;text\x07\x1b]0;9;4;\x07 9;4;", false),
            (b"\x1b]8;;http://x\x1b\\9;4;\x1b]8;;\x1b\\", false),
        ] {
            let mut place = Place::default();
            bytes.iter().for_each(|&byte| place.pass(&[byte]));
            assert_eq!(place.is_used(), used, "{}", bytes.escape_ascii());
            assert!(place.is_between());
        }
    }
}
