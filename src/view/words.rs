//! Words on the screen: relative times, text cut to a width, arguments quoted for a shell.

use std::fmt::Write;

use unicode_width::UnicodeWidthChar;

use crate::task::text::{clean, deceives};
use crate::task::timestamp;

/// The most characters without a width of their own that may pile up on one that has.
const MAX_PILE: usize = 4;

/// `text` from a record as one line of plain text: line ends become blanks, and what is no text goes.
#[must_use]
pub fn one_line(text: &str) -> String {
    indented_line(text).trim_start().to_owned()
}

/// [`one_line`] with the blanks at its start: for output, which may be indented.
#[must_use]
pub fn indented_line(text: &str) -> String {
    let joined =
        if text.contains('\n') { clean(&text.replace("\r\n", " ").replace('\n', " ")) } else { clean(text) };
    joined.trim_end().to_owned()
}

/// The columns that `text` takes.
#[must_use]
pub fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

fn char_width(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// As much of `text` as fits into `most` columns, with `…` for what does not.
#[must_use]
pub fn cut(text: &str, most: usize) -> String {
    let mut shown = String::new();
    let mut taken = 0;
    let mut pile = 0;
    // Where to go back to if an ellipsis has to fit as well.
    let mut end = 0;
    for c in text.chars() {
        let wide = char_width(c);
        pile = if wide == 0 { pile + 1 } else { 0 };
        if pile > MAX_PILE {
            continue;
        }
        if taken + wide > most {
            shown.truncate(end);
            if most > 0 {
                shown.push('…');
            }
            return shown;
        }
        taken += wide;
        shown.push(c);
        if taken < most {
            end = shown.len();
        }
    }
    shown
}

/// An id in `most` columns: what is too long for them loses its middle, since both its ends tell something.
#[must_use]
pub fn cut_middle(id: &str, most: usize) -> String {
    // `-1795257472000-0`.
    const END: usize = 16;
    if id.len() <= most {
        return id.to_owned();
    }
    if most < END + 4 {
        return cut(id, most);
    }
    // Ids are ASCII.
    format!("{}…{}", &id[..most - END - 1], &id[id.len() - END..])
}

/// How long before `now` something was: `just now`, `12s ago`, `3m ago`, `2h ago`, `5d ago`, then the date.
/// What lies ahead (another machine's clock) is `in 3m`.
#[must_use]
pub fn ago(at: i64, now: i64) -> String {
    let seconds = now.saturating_sub(at);
    match seconds {
        -1..2 => "just now".to_owned(),
        2..2_592_000 => format!("{} ago", roughly(seconds.unsigned_abs())),
        -86_400..-1 => format!("in {}", roughly(seconds.unsigned_abs())),
        _ => timestamp::format(at).chars().take("2026-11-21".len()).collect(),
    }
}

/// So many seconds in their largest unit: `12s`, `3m`, `2h`, `5d`.
#[must_use]
pub fn roughly(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// `1,234,567`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1st`, `2nd`, `3rd`, `4th`, `11th`, `1,021st`.
#[must_use]
pub fn ordinal(number: u64) -> String {
    let end = match (number % 100, number % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{}{end}", grouped(number))
}

/// Arguments as a shell takes them, to be pasted. What a screen cannot show, or must not, is written as an escape in
/// `$'…'`.
#[must_use]
pub fn quote<'a>(argv: impl Iterator<Item = &'a str>) -> String {
    let mut line = String::new();
    for arg in argv {
        if !line.is_empty() {
            line.push(' ');
        }
        quote_one(&mut line, arg);
    }
    line
}

fn quote_one(line: &mut String, arg: &str) {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    let is_hidden = |c: char| c.is_control() || deceives(c);
    if !arg.is_empty() && arg.chars().all(is_safe) {
        line.push_str(arg);
    } else if !arg.chars().any(is_hidden) {
        line.push('\'');
        line.push_str(&arg.replace('\'', r"'\''"));
        line.push('\'');
    } else {
        line.push_str("$'");
        for c in arg.chars() {
            match c {
                '\'' => line.push_str(r"\'"),
                '\\' => line.push_str(r"\\"),
                '\n' => line.push_str(r"\n"),
                '\t' => line.push_str(r"\t"),
                '\r' => line.push_str(r"\r"),
                // Writing to a String cannot fail. Three octal digits, so that a digit behind it is no part of it.
                c if c.is_ascii() && is_hidden(c) => _ = write!(line, r"\{:03o}", c as u32),
                c if is_hidden(c) && (c as u32) < 0x1_0000 => _ = write!(line, r"\u{:04x}", c as u32),
                c if is_hidden(c) => _ = write!(line, r"\U{:08x}", c as u32),
                c => line.push(c),
            }
        }
        line.push('\'');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one() {
        assert_eq!(one_line("a\nb\r\nc"), "a b c");
        assert_eq!(one_line("\x1b[2J\x1b[31mx\u{202e}y\x07 \n"), "xy");
        assert_eq!(one_line("\u{9b}2Jx"), "2Jx");
        assert_eq!((one_line("  x "), indented_line("  x ")), ("x".to_owned(), "  x".to_owned()));
    }

    #[test]
    fn text_is_cut_to_its_columns() {
        assert_eq!(cut("hello", 5), "hello");
        assert_eq!(cut("hello", 4), "hel…");
        assert_eq!(cut("hello", 1), "…");
        assert_eq!(cut("hello", 0), "");
        assert_eq!(cut("漢字漢字", 5), "漢字…");
        assert_eq!(cut("漢字漢字", 4), "漢…");
        assert_eq!(cut("漢字", 4), "漢字");
        assert_eq!(cut(&format!("a{}b", "\u{301}".repeat(100)), 5).chars().count(), 6);
        for most in 0..12 {
            assert!(width(&cut("x漢y字z漢w字", most)) <= most, "{most}");
        }
        assert_eq!(
            cut_middle("a-very-long-tool-name-indeed-1795257472000-0", 32),
            "a-very-long-too…-1795257472000-0".to_owned()
        );
    }

    #[test]
    fn times_are_told_relative_to_now() {
        let now = 1_795_257_472;
        for (before, text) in [
            (0, "just now"),
            (12, "12s ago"),
            (190, "3m ago"),
            (7300, "2h ago"),
            (5 * 86_400, "5d ago"),
            (40 * 86_400, "2026-10-12"),
            (-200, "in 3m"),
            (-200_000, "2026-11-23"),
        ] {
            assert_eq!(ago(now - before, now), text);
        }
        assert_eq!(ago(i64::MIN, now), "1970-01-01");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn places_are_counted() {
        let shown = [1, 2, 3, 4, 11, 12, 13, 21, 111, 1021].map(ordinal);
        assert_eq!(shown, ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "111th", "1,021st"]);
    }

    #[test]
    fn arguments_can_be_pasted() {
        let quoted = |args: &[&str]| quote(args.iter().copied());
        assert_eq!(quoted(&["cargo", "build", "--release"]), "cargo build --release");
        assert_eq!(quoted(&["sh", "-c", "echo 'a b' $X"]), r"sh -c 'echo '\''a b'\'' $X'");
        assert_eq!(quoted(&["", "*", "~"]), "'' '*' '~'");
        assert_eq!(quoted(&["a\nb'\\", "\x1b[31m1", "\u{202e}x"]), r"$'a\nb\'\\' $'\033[31m1' $'\u202ex'");
        assert_eq!(quoted(&["żółć"]), "'żółć'");
    }
}
