//! A first look at a line's bytes: whether any recogniser could make something of them.
//!
//! Every line of every command passes here, so nothing is looked for that is dear to find: bytes, words at a line's start,
//! and one word anywhere.

use std::sync::LazyLock;

use memchr::memmem::Finder;

/// Where in a line, in bytes, the words are that stand at its start: behind blanks and colours.
const HEAD: usize = 48;

/// What stands at a line's start, if it says how far something is.
const HEADS: [&[u8]; 5] = [b"Compiling", b"Plan: ", b"PLAY RECAP", b"TASK [", b"Setting up "];

/// What Terraform's resources say when they are done, behind their names.
static COMPLETE: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b" complete after "));
/// curl's times, as long as none is known
static NO_TIME: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b"--:--:--"));
/// and once they are.
static TIME: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b" 0:0"));
/// What apt is about to do.
static PLAN: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b" newly installed"));

/// Whether a line could say how far something is: it has a percentage, a fraction or a word that a tool uses.
pub(super) fn is_worth_it(line: &[u8]) -> bool {
    has_number(line) || has_word(line)
}

fn has_number(line: &[u8]) -> bool {
    let digit = |at: usize| line.get(at).is_some_and(u8::is_ascii_digit);
    memchr::memchr2_iter(b'%', b'/', line)
        .any(|at| at > 0 && digit(at - 1) && (line[at] == b'%' || digit(at + 1)))
}

fn has_word(line: &[u8]) -> bool {
    let Some(first) = line.first() else { return false };
    let head = &line[..line.len().min(HEAD)];
    let is_head = |at: usize| HEADS.iter().any(|word| head[at..].starts_with(word));
    if memchr::memchr3_iter(b'C', b'P', b'T', head).any(is_head)
        || memchr::memchr_iter(b'S', head).any(is_head)
    {
        return true;
    }
    let sign = |at: usize| ["✅", "✨"].iter().any(|sign| line[at..].starts_with(sign.as_bytes()));
    if memchr::memchr_iter(0xe2, head).any(sign) || COMPLETE.find(line).is_some() {
        return true;
    }
    match first {
        b'0'..=b'9' | b' ' | b'\r' => [&NO_TIME, &TIME, &PLAN].iter().any(|word| word.find(line).is_some()),
        // npm's bar.
        b'(' => line.starts_with(b"(#"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_lines_are_not() {
        for line in ["", "hello", "gcc -c a/b.c", "100 %", "/3", "3/", "a/1", "50 per cent", "TASK", "C"] {
            assert!(!is_worth_it(line.as_bytes()), "{line}");
        }
        for line in [
            "[1/2] x",
            "45% done",
            "  ✅  Stack",
            "x: Creation complete after 3s",
            "1/2",
            "\x1b[1m   Compiling\x1b[0m x",
            "Setting up x",
            "3 newly installed",
        ] {
            assert!(is_worth_it(line.as_bytes()), "{line}");
        }
    }
}
