//! The last lines, against a slow reading of the whole log.

use super::*;
use crate::task::Stream;

const PLENTY: Wanted =
    Wanted { lines: 100, choice: Choice::ALL, look_at_most: u64::MAX, longest_line: 1 << 20 };

fn texts(log: &[u8], wanted: &Wanted) -> io::Result<Vec<String>> {
    let show = |line: &Shown| {
        let open = if line.complete { "" } else { "~" };
        let name = match line.origin {
            Origin::Stream(stream) => &stream.as_str()[3..],
            Origin::Gco => "gco",
            Origin::Untagged => "-",
        };
        format!("{name}{open} {}", String::from_utf8_lossy(&line.payload))
    };
    Ok(last(log, wanted)?.lines.iter().map(show).collect())
}

#[test]
fn parts_are_joined_at_the_place_of_the_last() -> io::Result<()> {
    let log = b"[stdout~] a\n[stderr] x\n[gco] g\n[stdout] b\n[stderr~] p\n[stdout~] q\nplain\n[stdout] tor";
    let all = ["err x", "gco g", "out ab", "err~ p", "out~ q", "- plain"];
    for lines in 0..8 {
        let wanted = Wanted { lines, ..PLENTY };
        assert_eq!(texts(log, &wanted)?, all[all.len().saturating_sub(lines)..], "{lines}");
    }
    let only = Choice { only: Some(Stream::Stdout), gco: true };
    assert_eq!(texts(log, &Wanted { choice: only, ..PLENTY })?, ["out ab", "out~ q"]);
    assert_eq!(texts(log, &Wanted { choice: only, lines: 1, ..PLENTY })?, ["out~ q"]);
    let no_gco = Choice { only: None, gco: false };
    assert_eq!(texts(log, &Wanted { choice: no_gco, ..PLENTY })?.len(), 5);
    assert_eq!(last(&log[..], &PLENTY)?.end, log.len() as u64 - 12);
    Ok(())
}

#[test]
fn small_and_odd_logs() -> io::Result<()> {
    for (log, lines, end) in [
        (&b""[..], &[][..], 0),
        (b"\n", &["- "], 1),
        (b"[stdout] ", &[], 0),
        (b"[stdout] \n", &["out "], 10),
        (b"[stdout]\n", &["- [stdout]"], 9),
        (b"a\n\nb\n[", &["- a", "- ", "- b"], 5),
    ] {
        assert_eq!(texts(log, &PLENTY)?, lines, "{log:?}");
        assert_eq!(last(log, &PLENTY)?.end, end, "{log:?}");
    }
    Ok(())
}

/// A number that looks random and is the same each time.
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

#[test]
fn any_log_gives_the_end_of_what_reading_it_all_gives() -> io::Result<()> {
    let mut seed = 7;
    for round in 0..100 {
        let mut log = Vec::new();
        for _ in 0..next(&mut seed) % 60 {
            let tags: [&[u8]; 6] = [b"[stdout] ", b"[stderr] ", b"[stdout~] ", b"[stderr~] ", b"[gco] ", b""];
            log.extend_from_slice(tags[(next(&mut seed) % 6) as usize]);
            let long = if next(&mut seed).is_multiple_of(8) { 9000 } else { 12 };
            log.resize(log.len() + (next(&mut seed) % long) as usize, b'a' + (next(&mut seed) % 26) as u8);
            log.push(b'\n');
        }
        let whole = texts(&log, &Wanted { lines: usize::MAX, ..PLENTY })?;
        for lines in [1, 2, 3, 5, 10, 40] {
            let wanted = Wanted { lines, ..PLENTY };
            assert_eq!(texts(&log, &wanted)?, whole[whole.len().saturating_sub(lines)..], "{round} {lines}");
        }
    }
    Ok(())
}

/// A log that counts what is read of it.
struct Counted<'a>(&'a [u8], std::cell::Cell<u64>);

impl ReadAt for Counted<'_> {
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }

    fn read_some(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let count = self.0.read_some(buffer, at)?;
        self.1.set(self.1.get() + count as u64);
        Ok(count)
    }
}

#[test]
fn little_is_read_of_a_long_log() -> io::Result<()> {
    let mut log = b"[stderr] once, long ago\n".to_vec();
    log.extend(
        b"[stdout] a line of the usual length, more or less, as compilers write them\n".repeat(200_000),
    );
    let ends: [(&[u8], u64); 3] = [
        (b"", 64 * 1024),
        // A lone line of the other stream: where it begins is looked for within reach only.
        (b"[stderr] end\n", 4 * REACH),
        (b"[stderr~] prompt\n", 4 * REACH),
    ];
    for (end, most) in ends {
        let log = [&log, end].concat();
        let source = Counted(&log, std::cell::Cell::default());
        let found = last(&source, &Wanted { lines: 20, ..PLENTY })?;
        assert_eq!(found.lines.len(), 20);
        assert!(source.1.get() <= most, "{} bytes for {:?}", source.1.get(), end.escape_ascii().to_string());
    }
    Ok(())
}

#[test]
fn a_line_without_end_is_shown_by_its_end() -> io::Result<()> {
    let mut log = b"[stdout] first\n".to_vec();
    log.resize(3_000_000, 0);
    log.extend_from_slice(b"the end\n");
    let found = last(&log, &Wanted { look_at_most: 100_000, longest_line: 7, ..PLENTY })?;
    assert!(found.cut);
    assert_eq!(found.end, log.len() as u64);
    assert_eq!(found.lines.iter().map(|line| &line.payload[..]).collect::<Vec<_>>(), [b"the end"]);
    log.extend_from_slice(b"[stdout] next\n");
    let found = last(&log, &Wanted { look_at_most: 100_000, ..PLENTY })?;
    assert_eq!(found.lines.len(), 1);
    assert_eq!(found.lines[0].payload, b"next");
    log.extend_from_slice(&[b'x'; 200_000]);
    let found = last(&log, &Wanted { look_at_most: 100_000, ..PLENTY })?;
    assert_eq!((found.lines.len(), found.end), (0, log.len() as u64));
    Ok(())
}

#[test]
fn the_tail_of_a_record_is_plain_and_the_commands_own() -> io::Result<()> {
    let log = b"[stdout] \x1b[31mred\x1b[0m\n[gco] word\n[stderr~] 10%\r\n[stderr~] 20%\n";
    assert_eq!(plain_tail(&log[..])?, ["red", "20%"]);
    Ok(())
}
