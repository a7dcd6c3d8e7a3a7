//! The form of a log: lines of bytes, each behind a tag. The contract's section 5.
//!
//! A stream is rebuilt from its payloads in order, with a newline after each whole line and none
//! after a part.

use crate::task::Stream;

/// The longest payload of one log line. A line of the command that is longer is cut into parts of this size.
pub const MAX_PAYLOAD: usize = 64 * 1024;

/// The longest log line: the longest tag, the longest payload and the newline.
pub const MAX_LINE: usize = 10 + MAX_PAYLOAD + 1;

/// Who wrote a log line, and whether its end is the command's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    /// A whole line of the command.
    Line(Stream),
    /// A part of a line of the command: its end is not the command's.
    Part(Stream),
    /// A word from gco itself.
    Gco,
}

impl Tag {
    /// The tag with the blank behind it, as it stands at the start of a log line.
    #[must_use]
    pub fn bytes(self) -> &'static [u8] {
        match self {
            Tag::Line(Stream::Stdout) => b"[stdout] ",
            Tag::Line(Stream::Stderr) => b"[stderr] ",
            Tag::Part(Stream::Stdout) => b"[stdout~] ",
            Tag::Part(Stream::Stderr) => b"[stderr~] ",
            Tag::Gco => b"[gco] ",
        }
    }

    /// The stream it belongs to; none for gco's own words.
    #[must_use]
    pub fn stream(self) -> Option<Stream> {
        match self {
            Tag::Line(stream) | Tag::Part(stream) => Some(stream),
            Tag::Gco => None,
        }
    }
}

const TAGS: [Tag; 5] = [
    Tag::Line(Stream::Stdout),
    Tag::Line(Stream::Stderr),
    Tag::Part(Stream::Stdout),
    Tag::Part(Stream::Stderr),
    Tag::Gco,
];

/// Splits a log line, without its newline, into tag and payload. `None` for a line without a tag: another tool's.
#[must_use]
pub fn parse(line: &[u8]) -> Option<(Tag, &[u8])> {
    TAGS.into_iter().find_map(|tag| Some((tag, line.strip_prefix(tag.bytes())?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tag_is_found_again() {
        for tag in TAGS {
            let line = [tag.bytes(), b"[stderr] x"].concat();
            assert_eq!(parse(&line), Some((tag, &b"[stderr] x"[..])));
        }
        assert_eq!(parse(b"plain"), None);
        assert_eq!(parse(b""), None);
        assert_eq!(parse(b"[stdout]x"), None);
    }
}
