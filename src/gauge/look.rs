//! A first look at a line's bytes: whether any recogniser could make something of them.

use memchr::memmem;

/// Words without which, and without a percentage or a fraction, no line says how far anything is.
const WORDS: [&[u8]; 11] = [
    "✅".as_bytes(),
    "✨".as_bytes(),
    b" complete after ",
    b"Plan: ",
    b"TASK [",
    b"PLAY RECAP",
    b"Compiling",
    b"Setting up ",
    b"newly installed",
    // curl's times, unknown and known.
    b"--:--:--",
    b" 0:0",
];

/// Whether a line could say how far something is: it has a percentage, a fraction or a word that a tool uses.
pub(super) fn is_worth_it(line: &[u8]) -> bool {
    let digit = |at: usize| line.get(at).is_some_and(u8::is_ascii_digit);
    let number = memchr::memchr2_iter(b'%', b'/', line)
        .any(|at| at > 0 && digit(at - 1) && (line[at] == b'%' || digit(at + 1)));
    // npm's bar has neither.
    number || line.starts_with(b"(#") || WORDS.iter().any(|word| memmem::find(line, word).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_lines_are_not() {
        for line in ["", "hello", "gcc -c a/b.c", "100 %", "/3", "3/", "a/1", "50 per cent", "TASK"] {
            assert!(!is_worth_it(line.as_bytes()), "{line}");
        }
        for line in ["[1/2] x", "45% done", "  ✅  Stack", "x: Creation complete after 3s", "1/2"] {
            assert!(is_worth_it(line.as_bytes()), "{line}");
        }
    }
}
