//! Lines of a log as they are shown: tagged, or a stream's bytes alone, or JSON.
//!
//! To a pipe go the bytes as they are. To a terminal goes text that cannot do anything to it
//! ([`text::coloured`]), and a line that is not at its end yet is drawn anew with each piece that comes, in one row:
//! so a progress bar, which writes carriage returns, moves as its author meant it to.

use serde_json::{Value, json};

use crate::log::join::{Origin, Shown};
use crate::task::{Stream, moment, text};

/// What the lines are shown on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// Not a terminal, or one that is to get the bytes: a stream's bytes, without tags.
    Raw,
    /// Not a terminal: tags, and the bytes.
    Bytes,
    /// A terminal: tags, and text, with its colours if wanted.
    Terminal {
        /// Whether colours are wanted.
        colour: bool,
    },
}

/// An unfinished line longer than this is not drawn anew any more; what comes is put behind it.
const MOST_REDRAWN: usize = 8 * 1024;

/// To the row's beginning, and the row emptied.
const REDRAW: &[u8] = b"\r\x1b[K";
/// Text beyond the right margin goes nowhere rather than into the next row.
const WRAP_OFF: &[u8] = b"\x1b[?7l";
const WRAP_ON: &[u8] = b"\x1b[?7h";

/// Turns pieces of lines into what is written to stdout.
#[derive(Debug)]
pub struct Painter {
    surface: Surface,
    /// What stands before the tag of that line.
    stamp: String,
    /// Whose line the output is in the middle of.
    open: Option<Origin>,
    /// On a terminal: what there is of that line; none once it is too long.
    line: Option<Vec<u8>>,
}

impl Painter {
    /// Nothing has been written yet.
    #[must_use]
    pub fn new(surface: Surface) -> Self {
        Self { surface, stamp: String::new(), open: None, line: None }
    }

    /// A piece of a line of `origin`; the line ends with it if `ends`. `stamp` stands before the line's tag. What is to be written
    /// is put behind `out`.
    pub fn piece(&mut self, stamp: &str, origin: Origin, payload: &[u8], ends: bool, out: &mut Vec<u8>) {
        if self.open != Some(origin) && self.surface != Surface::Raw {
            self.break_line(out);
        }
        self.stamp.clear();
        self.stamp.push_str(stamp);
        match self.surface {
            Surface::Raw => {
                if origin == Origin::Gco {
                    return;
                }
                out.extend_from_slice(payload);
            }
            Surface::Bytes => {
                if self.open != Some(origin) {
                    self.put_tag(origin, out);
                }
                out.extend_from_slice(payload);
            }
            Surface::Terminal { colour } => self.draw(origin, payload, ends, colour, out),
        }
        if ends {
            out.push(b'\n');
        }
        self.open = if ends { None } else { Some(origin) };
    }

    /// The end of all output: a line that is still open is ended, except among raw bytes.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.surface != Surface::Raw {
            self.break_line(out);
        }
    }

    /// Ends the output line that another one's line has been left open on.
    fn break_line(&mut self, out: &mut Vec<u8>) {
        let Some(origin) = self.open.take() else { return };
        if let (Surface::Terminal { colour }, Some(line)) = (self.surface, self.line.take()) {
            // It has been shown in one row so far.
            out.extend_from_slice(REDRAW);
            self.put_tag(origin, out);
            out.extend_from_slice(render(&line, colour).as_bytes());
        }
        out.push(b'\n');
    }

    fn put_tag(&self, origin: Origin, out: &mut Vec<u8>) {
        out.extend_from_slice(self.stamp.as_bytes());
        out.extend_from_slice(tag(origin));
    }

    fn draw(&mut self, origin: Origin, payload: &[u8], ends: bool, colour: bool, out: &mut Vec<u8>) {
        let goes_on = self.open == Some(origin);
        if !goes_on {
            self.line = Some(Vec::new());
        }
        let Some(line) = &mut self.line else {
            out.extend_from_slice(render(payload, colour).as_bytes());
            return;
        };
        line.extend_from_slice(payload);
        if goes_on {
            out.extend_from_slice(REDRAW);
        }
        let text = render(line, colour);
        let in_one_row = !ends && line.len() <= MOST_REDRAWN;
        if in_one_row {
            out.extend_from_slice(WRAP_OFF);
        }
        self.put_tag(origin, out);
        out.extend_from_slice(text.as_bytes());
        if in_one_row {
            out.extend_from_slice(WRAP_ON);
        } else {
            self.line = None;
        }
    }
}

/// What stands before a line.
fn tag(origin: Origin) -> &'static [u8] {
    match origin {
        Origin::Stream(Stream::Stdout) => b"[stdout] ",
        Origin::Stream(Stream::Stderr) => b"[stderr] ",
        Origin::Gco => b"[gco] ",
        Origin::Untagged => b"",
    }
}

fn render(bytes: &[u8], colour: bool) -> String {
    if colour { text::coloured(bytes) } else { text::clean(&String::from_utf8_lossy(bytes)) }
}

/// A line for scripts: whose it is (`stdout`, `stderr`, `gco`, or null for a line without a tag), its text,
/// whether it has ended, and when it was written, if that is known. Bytes that are not UTF-8 are replaced.
#[must_use]
pub fn json(line: &Shown, time: Option<u64>) -> Value {
    let stream = match line.origin {
        Origin::Stream(stream) => Some(stream.as_str()),
        Origin::Gco => Some("gco"),
        Origin::Untagged => None,
    };
    let text = String::from_utf8_lossy(&line.payload);
    let mut json = json!({"stream": stream, "text": text, "complete": line.complete});
    if let Some(time) = time {
        json["time"] = moment::exact(time).into();
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUT: Origin = Origin::Stream(Stream::Stdout);
    const ERR: Origin = Origin::Stream(Stream::Stderr);

    fn painted(surface: Surface, pieces: &[(Origin, &str, bool)]) -> String {
        let mut painter = Painter::new(surface);
        let mut out = Vec::new();
        for (origin, payload, ends) in pieces {
            painter.piece("", *origin, payload.as_bytes(), *ends, &mut out);
        }
        painter.finish(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    const PIECES: [(Origin, &str, bool); 7] = [
        (OUT, "name? ", false),
        (OUT, "joe", true),
        (OUT, "10%\r", false),
        (ERR, "warning", true),
        (Origin::Gco, "word", true),
        (OUT, "20%", false),
        (Origin::Untagged, "x", false),
    ];

    #[test]
    fn a_line_goes_on_where_it_can_and_is_broken_where_not() {
        assert_eq!(
            painted(Surface::Bytes, &PIECES),
            "[stdout] name? joe\n[stdout] 10%\r\n[stderr] warning\n[gco] word\n[stdout] 20%\nx\n"
        );
        assert_eq!(painted(Surface::Raw, &PIECES), "name? joe\n10%\rwarning\n20%x");
    }

    /// What a terminal without a right margin shows of `bytes`: enough to check redrawing.
    fn screen(bytes: &str) -> Vec<String> {
        let plain = bytes.replace("\x1b[?7l", "").replace("\x1b[?7h", "");
        let row = |row: &str| row.rsplit("\r\x1b[K").next().unwrap_or_default().to_owned();
        plain.split('\n').map(row).collect()
    }

    #[test]
    fn a_terminal_shows_the_same_lines_as_text() {
        let shown = painted(Surface::Terminal { colour: true }, &PIECES);
        assert_eq!(
            screen(&shown),
            ["[stdout] name? joe", "[stdout] 10%", "[stderr] warning", "[gco] word", "[stdout] 20%", "x", ""]
        );
        let bar =
            [(OUT, "10%\r", false), (OUT, "20%\r", false), (OUT, "\x1b[31m30%", false), (OUT, "", true)];
        let shown = painted(Surface::Terminal { colour: true }, &bar);
        assert_eq!(screen(&shown), ["[stdout] \x1b[31m30%\x1b[0m", ""]);
        assert!(shown.contains("\x1b[?7l[stdout] 10%\x1b[?7h"));
        let shown = painted(Surface::Terminal { colour: false }, &bar);
        assert_eq!(screen(&shown), ["[stdout] 30%", ""]);
    }

    #[test]
    fn a_line_has_its_time_before_it() {
        let mut painter = Painter::new(Surface::Bytes);
        let mut out = Vec::new();
        for (stamp, (origin, payload, ends)) in ["1 ", "2 ", "3 ", "4 ", "5 "].into_iter().zip(PIECES) {
            painter.piece(stamp, origin, payload.as_bytes(), ends, &mut out);
        }
        painter.finish(&mut out);
        assert_eq!(
            String::from_utf8_lossy(&out),
            "1 [stdout] name? joe\n3 [stdout] 10%\r\n4 [stderr] warning\n5 [gco] word\n"
        );
        let (mut painter, mut out) = (Painter::new(Surface::Terminal { colour: false }), Vec::new());
        painter.piece("1 ", OUT, b"a", false, &mut out);
        painter.piece("2 ", OUT, b"b", false, &mut out);
        painter.piece("3 ", ERR, b"c", true, &mut out);
        let shown = String::from_utf8_lossy(&out).into_owned();
        assert!(shown.starts_with("\x1b[?7l1 [stdout] a"), "{shown:?}");
        assert_eq!(screen(&shown), ["2 [stdout] ab", "3 [stderr] c", ""]);
    }

    #[test]
    fn a_very_long_line_is_not_drawn_anew() {
        let long = "x".repeat(10_000);
        let pieces = [(OUT, &long[..], false), (OUT, &long[..], false), (OUT, "end\x1b[2J", true)];
        let shown = painted(Surface::Terminal { colour: true }, &pieces);
        assert_eq!(shown, format!("[stdout] {long}{long}end\n"));
    }
}
