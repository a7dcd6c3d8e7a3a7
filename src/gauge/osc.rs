//! The terminal's progress sequence, `ESC ] 9 ; 4 ; STATE ; PERCENT BEL`, which ConEmu brought in and Windows Terminal, `WezTerm`,
//! Ghostty and others show. It may end with `ESC \` as well.

use super::sight::Sight;

/// What all of these begin with.
pub(super) const BEGIN: &[u8] = b"\x1b]9;4;";

/// What the last such sequence in `bytes` says. `Some(None)` if it takes the progress back.
pub(super) fn last(bytes: &[u8]) -> Option<Option<Sight>> {
    let at = memchr::memmem::rfind(bytes, BEGIN)?;
    let rest = &bytes[at + BEGIN.len()..];
    let end = rest.iter().position(|&b| b == 0x07 || b == 0x1b)?;
    let words = std::str::from_utf8(&rest[..end]).ok()?;
    let mut words = words.split(';');
    let state = words.next()?;
    let mut percent = || words.next().and_then(|text| text.parse::<u8>().ok()).map_or(0.0, f64::from);
    match state {
        "0" => Some(None),
        // Normal, in error, paused.
        "1" => Some(Some(Sight::percent(percent()))),
        "2" => Some(Some(Sight::percent(percent()).saying("in error"))),
        "4" => Some(Some(Sight::percent(percent()).saying("paused"))),
        // At work, and nobody knows how far.
        "3" => Some(Some(Sight::default().saying("at work"))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_read() {
        for (bytes, seen) in [
            (&b"x\x1b]9;4;1;45\x07y"[..], Some(Some(Sight::percent(45.0)))),
            (b"\x1b]9;4;1;45\x1b\\", Some(Some(Sight::percent(45.0)))),
            (b"\x1b]9;4;1;45\x07\x1b]9;4;1;46\x07", Some(Some(Sight::percent(46.0)))),
            (b"\x1b]9;4;0;\x07", Some(None)),
            (b"\x1b]9;4;0\x07", Some(None)),
            (b"\x1b]9;4;3\x07", Some(Some(Sight::default().saying("at work")))),
            (b"\x1b]9;4;2;10\x07", Some(Some(Sight::percent(10.0).saying("in error")))),
            (b"\x1b]9;4;1;45", None),
            (b"\x1b]9;4;7;45\x07", None),
            (b"\x1b]9;5;1;45\x07", None),
        ] {
            assert_eq!(last(bytes), seen, "{}", bytes.escape_ascii());
        }
    }
}
