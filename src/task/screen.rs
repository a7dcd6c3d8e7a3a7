//! What a terminal has been told to be, from the bytes it was shown. Pure.
//!
//! A few modes matter to whoever looks at the terminal next: the alternate screen, a hidden cursor, how keys and the mouse are
//! reported. They are kept as marks, so that a terminal that is left can be put back, and one that comes can be made alike.

use std::fmt::Write;

/// One thing that a terminal can be told.
struct Known {
    /// The private mode's number.
    mode: u16,
    /// Whether that is how a terminal is at first.
    is_usual: bool,
}

const fn mode(mode: u16) -> Known {
    Known { mode, is_usual: false }
}

const fn usual(mode: u16) -> Known {
    Known { mode, is_usual: true }
}

/// The private modes that are kept, in the order of their marks.
const KNOWN: [Known; 20] = [
    mode(1049),
    mode(1047),
    mode(47),
    usual(25),
    mode(1),
    usual(7),
    mode(6),
    mode(5),
    mode(9),
    mode(1000),
    mode(1002),
    mode(1003),
    mode(1004),
    mode(1005),
    mode(1006),
    mode(1015),
    mode(1016),
    mode(2004),
    mode(2026),
    mode(2031),
];

/// How many of them are the alternate screen's.
const SCREENS: u64 = 3;
/// Marks of what is no private mode.
const KEYPAD: u64 = 1 << 32;
const COLOUR: u64 = 1 << 33;
const REGION: u64 = 1 << 34;
const CURSOR: u64 = 1 << 35;
const LINES: u64 = 1 << 36;
const OTHER_KEYS: u64 = 1 << 37;
const KEYBOARD: u64 = 1 << 38;
const INSERT: u64 = 1 << 39;

/// The longest control sequence that is looked at.
pub const LONGEST: usize = 64;

/// What a terminal is, as far as it differs from what it is at first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Screen {
    marks: u64,
    /// The begin of a sequence whose end has not come yet.
    begun: Vec<u8>,
}

impl Screen {
    /// One with these marks: see [`Screen::marks`].
    #[must_use]
    pub fn with(marks: u64) -> Self {
        Self { marks, begun: Vec::new() }
    }

    /// What it is, as a number to be kept.
    #[must_use]
    pub fn marks(&self) -> u64 {
        self.marks
    }

    /// Whether the alternate screen is shown.
    #[must_use]
    pub fn is_alternate(&self) -> bool {
        self.marks & ((1 << SCREENS) - 1) != 0
    }

    /// Takes note of what the terminal is shown. Gives the place in `bytes` behind which the alternate screen is shown, if that
    /// begins there.
    pub fn show(&mut self, bytes: &[u8]) -> Option<usize> {
        let was_alternate = self.is_alternate();
        let mut entered = None;
        let mut at = 0;
        let mut note = |screen: &mut Self, sequence: &[u8], end: usize| {
            let before = screen.is_alternate();
            screen.note(sequence);
            if screen.is_alternate() && !before {
                entered = Some(end);
            }
        };
        if !self.begun.is_empty() {
            let mut joined = std::mem::take(&mut self.begun);
            let old = joined.len();
            joined.extend_from_slice(&bytes[..bytes.len().min(LONGEST)]);
            match length(&joined) {
                Some(length) if length >= old => {
                    at = length - old;
                    note(self, &joined[..length], at);
                }
                Some(_) => {}
                None => {
                    self.begun = joined;
                    return None;
                }
            }
        }
        while let Some(found) = memchr::memchr(b'\x1b', &bytes[at..]) {
            let start = at + found;
            let Some(length) = length(&bytes[start..]) else {
                self.begun = bytes[start..].to_vec();
                break;
            };
            at = start + length;
            note(self, &bytes[start..at], at);
        }
        entered.filter(|_| !was_alternate && self.is_alternate())
    }

    fn note(&mut self, sequence: &[u8]) {
        match sequence {
            b"\x1bc" => self.marks = 0,
            b"\x1b[!p" => self.marks &= (1 << SCREENS) - 1,
            b"\x1b=" => self.marks |= KEYPAD,
            b"\x1b>" => self.marks &= !KEYPAD,
            b"\x1b(0" => self.marks |= LINES,
            b"\x1b(B" => self.marks &= !LINES,
            b"\x1b[4h" => self.marks |= INSERT,
            b"\x1b[4l" => self.marks &= !INSERT,
            [b'\x1b', b'[', b'?', modes @ .., b'h'] => self.note_modes(modes, true),
            [b'\x1b', b'[', b'?', modes @ .., b'l'] => self.note_modes(modes, false),
            [b'\x1b', b'[', b'>', b'4', rest @ .., b'm'] => {
                self.mark(OTHER_KEYS, !matches!(rest, b"" | b";" | b";0"));
            }
            [b'\x1b', b'[', b'>' | b'=', .., b'u'] => self.mark(KEYBOARD, true),
            [b'\x1b', b'[', b'<', .., b'u'] => self.mark(KEYBOARD, false),
            [b'\x1b', b'[', colours @ .., b'm']
                if colours.iter().all(|b| matches!(b, b'0'..=b'9' | b';' | b':')) =>
            {
                let last = colours.rsplit(|&b| b == b';').next().unwrap_or_default();
                self.mark(COLOUR, !matches!(last, b"" | b"0" | b"00") || has_extended(colours));
            }
            [b'\x1b', b'[', style @ .., b' ', b'q'] => self.mark(CURSOR, !matches!(style, b"" | b"0")),
            [b'\x1b', b'[', region @ .., b'r'] if !region.starts_with(b"?") => {
                self.mark(REGION, !region.is_empty());
            }
            _ => {}
        }
    }

    fn mark(&mut self, mark: u64, on: bool) {
        self.marks = if on { self.marks | mark } else { self.marks & !mark };
    }

    fn note_modes(&mut self, modes: &[u8], on: bool) {
        for number in modes.split(|&b| b == b';') {
            let number: Option<u16> = std::str::from_utf8(number).ok().and_then(|text| text.parse().ok());
            if let Some(at) = KNOWN.iter().position(|known| Some(known.mode) == number) {
                self.mark(1 << at, on != KNOWN[at].is_usual);
            }
        }
        if !on && modes.split(|&b| b == b';').any(|mode| matches!(mode, b"47" | b"1047" | b"1049")) {
            // There is one alternate screen, however it was reached.
            self.marks &= !((1 << SCREENS) - 1);
        }
    }

    /// What puts a terminal that is like this back to what it is at first.
    #[must_use]
    pub fn undo(&self) -> String {
        let mut text = String::new();
        let mut say = |mark: u64, sequence: &str| {
            if self.marks & mark != 0 {
                text.push_str(sequence);
            }
        };
        say(KEYBOARD, "\x1b[<9u");
        say(OTHER_KEYS, "\x1b[>4m");
        say(KEYPAD, "\x1b>");
        say(LINES, "\x1b(B");
        say(INSERT, "\x1b[4l");
        say(COLOUR, "\x1b[0m");
        say(CURSOR, "\x1b[0 q");
        // It moves the cursor.
        say(REGION, "\x1b7\x1b[r\x1b8");
        // The alternate screen last.
        for (at, known) in KNOWN.iter().enumerate().rev() {
            if self.marks & (1 << at) != 0 {
                // Writing to a String cannot fail.
                let _ = write!(text, "\x1b[?{}{}", known.mode, if known.is_usual { 'h' } else { 'l' });
            }
        }
        text
    }

    /// What makes a terminal like this that is as at first.
    #[must_use]
    pub fn redo(&self) -> String {
        let mut text = String::new();
        for (at, known) in KNOWN.iter().enumerate() {
            if self.marks & (1 << at) != 0 {
                // Writing to a String cannot fail.
                let _ = write!(text, "\x1b[?{}{}", known.mode, if known.is_usual { 'l' } else { 'h' });
            }
        }
        if self.marks & KEYPAD != 0 {
            text.push_str("\x1b=");
        }
        text
    }
}

/// Whether a colour is given by number or by its parts: then a 0 at the end need not be a reset.
fn has_extended(colours: &[u8]) -> bool {
    let mut parts = colours.rsplit(|&b| b == b';').skip(1).take(4);
    parts.any(|part| matches!(part, b"38" | b"48" | b"58"))
}

/// The length of the control sequence that `bytes` begin with; `None` if its end is not there.
#[must_use]
pub fn length(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [_, b'[', rest @ ..] => {
            let rest = &rest[..rest.len().min(LONGEST)];
            let end = rest.iter().position(|b| !(0x20..0x40).contains(b));
            end.map(|end| end + 3).or((rest.len() == LONGEST).then_some(2))
        }
        [_, b'(' | b')' | b'#' | b'%', ..] => (bytes.len() > 2).then_some(3),
        [_, _, ..] => Some(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_undone() {
        for (told, undone) in [
            ("plain", ""),
            ("\x1b[1;31mred\x1b[0m", ""),
            ("\x1b[1;31mred", "\x1b[0m"),
            ("\x1b[38;5;0m", "\x1b[0m"),
            ("\x1b[?25l\x1b[?2004h", "\x1b[?2004l\x1b[?25h"),
            ("\x1b[?1049h\x1b[?25l\x1b[?25h\x1b[?1049l", ""),
            ("\x1b[?1049;1006h", "\x1b[?1006l\x1b[?1049l"),
            ("\x1b[?1047h\x1b[?1049l", ""),
            ("\x1b=\x1b[5;10r", "\x1b>\x1b7\x1b[r\x1b8"),
            ("\x1b(0\x1b(B\x1b[2 q", "\x1b[0 q"),
            ("\x1b[4h\x1b[4l\x1b[4h", "\x1b[4l"),
            ("\x1b[>1u\x1b[>4;2m", "\x1b[<9u\x1b[>4m"),
            ("\x1b[?25l\x1bc", ""),
        ] {
            let mut whole = Screen::default();
            whole.show(told.as_bytes());
            assert_eq!(whole.undo(), undone, "{told:?}");
            let mut bytewise = Screen::default();
            for byte in told.as_bytes() {
                bytewise.show(&[*byte]);
            }
            assert_eq!(bytewise.marks(), whole.marks(), "{told:?}");
            let mut back = Screen::with(whole.marks());
            back.show(undone.as_bytes());
            assert_eq!(back.marks(), 0, "{told:?}");
        }
    }

    #[test]
    fn the_begin_of_the_alternate_screen_is_told() {
        let mut screen = Screen::default();
        assert_eq!(screen.show(b"ab\x1b[?10"), None);
        assert_eq!(screen.show(b"49hx"), Some(3));
        assert!(screen.is_alternate());
        assert_eq!(screen.show(b"\x1b[?1049l\x1b[?1049h"), None, "it was shown before");
        let mut other = Screen::default();
        other.show(screen.redo().as_bytes());
        assert_eq!(other.marks(), screen.marks());
    }
}
