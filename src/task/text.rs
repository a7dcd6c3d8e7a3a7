//! What a command printed, made fit to be shown: escape sequences and control characters out, of
//! overwritten text the part last seen.
//!
//! A program's output is not trusted: text made here cannot move a cursor, set a title or
//! change the order in which it is read. `plain` keeps nothing but text; `coloured` lets colours
//! and weights (the SGR sequences) through and ends each line without any.

use std::fmt::Write;

use vte::{Params, Parser, Perform};

/// The longest plain text, in bytes.
pub const MAX_PLAIN: usize = 8 * 1024;

/// The plain text of one line's bytes, at most [`MAX_PLAIN`] bytes of it.
#[must_use]
pub fn plain(line: &[u8]) -> String {
    render(line, false, MAX_PLAIN)
}

/// The text of one line for a terminal: colours survive, nothing else that is not text.
#[must_use]
pub fn coloured(line: &[u8]) -> String {
    render(line, true, usize::MAX)
}

/// `text` with everything taken out that is not plain text. For values from records.
#[must_use]
pub fn clean(text: &str) -> String {
    render(text.as_bytes(), false, usize::MAX)
}

/// The begin of `words`: `most` bytes at most, and no torn character.
#[must_use]
pub fn begin(words: &str, most: usize) -> &str {
    let mut end = words.len().min(most);
    while !words.is_char_boundary(end) {
        end -= 1;
    }
    &words[..end]
}

fn render(line: &[u8], keep_colour: bool, most: usize) -> String {
    // Most lines are plain ASCII, for which the whole machinery is not needed.
    if line.len() <= most && line.iter().all(|b| (0x20..0x7f).contains(b)) {
        return String::from_utf8_lossy(line).into_owned();
    }
    let mut sheet =
        Sheet { current: String::new(), shown: String::new(), keep_colour, coloured: false, most };
    Parser::new().advance(&mut sheet, line);
    sheet.finish()
}

/// What has been written on one line so far.
struct Sheet {
    /// The text since the last carriage return.
    current: String,
    /// The text before it, if it was visible.
    shown: String,
    keep_colour: bool,
    /// Whether a colour may be in force.
    coloured: bool,
    most: usize,
}

impl Sheet {
    fn finish(mut self) -> String {
        if is_blank(&self.current) && !is_blank(&self.shown) {
            self.current = self.shown;
        }
        if self.coloured {
            self.current.push_str("\x1b[0m");
        }
        self.current
    }
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

/// Whether `c` changes the order or the direction of the text around it, or shows nothing at all.
#[must_use]
pub fn deceives(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

impl Perform for Sheet {
    fn print(&mut self, c: char) {
        if !c.is_control() && !deceives(c) && self.current.len() + c.len_utf8() <= self.most {
            self.current.push(c);
        }
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\r' => {
                let before = std::mem::take(&mut self.current);
                if !is_blank(&before) {
                    self.shown = before;
                }
            }
            // Never into a colour sequence that was let through.
            b'\x08' if !self.current.ends_with('m') || !self.keep_colour => {
                self.current.pop();
            }
            b'\t' => self.print(' '),
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: char) {
        if !self.keep_colour || action != 'm' || ignore || !intermediates.is_empty() {
            return;
        }
        self.current.push_str("\x1b[");
        for (at, group) in params.iter().enumerate() {
            if at > 0 {
                self.current.push(';');
            }
            for (sub, value) in group.iter().enumerate() {
                let colon = if sub > 0 { ":" } else { "" };
                // Writing to a String cannot fail.
                let _ = write!(self.current, "{colon}{value}");
            }
        }
        self.current.push('m');
        self.coloured = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_has_nothing_but_text() {
        for (bytes, text) in [
            (&b"hello"[..], "hello"),
            (b"\x1b[1;32mok\x1b[0m", "ok"),
            (b"\x1b]0;title\x07x", "x"),
            (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
            (b"10%\r20%\r30%", "30%"),
            (b"done\r\n", "done"),
            (b"loading\r       \r", "loading"),
            (b"a\tb", "a b"),
            (b"nul\0bell\x07", "nulbell"),
            (b"ab\x08c", "ac"),
            (b"\xff\xfe!", "\u{fffd}\u{fffd}!"),
            ("rtl\u{202e}evil".as_bytes(), "rtlevil"),
            ("c1\u{9b}31mx".as_bytes(), "c131mx"),
            (b"\x1bPdcs\x1b\\y", "y"),
            ("żółć ✅".as_bytes(), "żółć ✅"),
        ] {
            assert_eq!(plain(bytes), text, "{bytes:?}");
        }
    }

    #[test]
    fn a_begin_ends_between_characters() {
        for (most, is) in [(0, ""), (1, "a"), (2, "a"), (3, "aż"), (9, "aż")] {
            assert_eq!(begin("aż", most), is);
        }
    }

    #[test]
    fn plain_text_is_bounded() {
        assert_eq!(plain(&vec![b'x'; 100_000]).len(), MAX_PLAIN);
        assert!(plain("é".repeat(50_000).as_bytes()).len() <= MAX_PLAIN);
    }

    #[test]
    fn colour_survives_and_ends_with_the_line() {
        assert_eq!(coloured(b"\x1b[1;31mred"), "\x1b[1;31mred\x1b[0m");
        assert_eq!(coloured(b"\x1b[38;2;1;2;3mrgb\x1b[2J\x1b[H"), "\x1b[38;2;1;2;3mrgb\x1b[0m");
        assert_eq!(coloured(b"\x1b[38:5:1mx"), "\x1b[38:5:1mx\x1b[0m");
        assert_eq!(coloured(b"\x1b[?25lx\x1b]2;t\x07"), "x");
        assert_eq!(coloured(b"x\x1b[31m\x08\x08"), "x\x1b[31m\x1b[0m");
    }
}
