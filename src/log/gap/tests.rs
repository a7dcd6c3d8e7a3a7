//! A log that lacks its middle, as each kind of reader sees it.

use super::*;
use crate::log::clues::clues;
use crate::log::format::Tag;
use crate::log::join::Choice;
use crate::log::last::{Wanted, last};
use crate::log::numbers::Numbers;
use crate::log::replay::Replay;
use crate::log::since::{is_line_start, line_start, since};

/// A log with a gap: a first part of lines, the word, NULs, a newline, and lines that say `newest`.
pub fn with_gap(hole: usize) -> (Vec<u8>, Gap) {
    let mut log = Vec::new();
    let mut number = 0;
    while (log.len() as u64) < SMALLEST {
        log.extend_from_slice(format!("[stdout] first {number}\n").as_bytes());
        number += 1;
    }
    let begin = log.len() as u64 + LINE;
    let gap = Gap { begin, end: begin + hole as u64, streams: [[7, 9], [0, 3]] };
    log.extend(gap.line());
    log.extend(vec![0; hole - 1]);
    log.extend_from_slice(b"\n[stdout] newest 1\n[stderr] newest 2\n");
    (log, gap)
}

/// What is read of `log` from `offset` on.
fn replayed(log: &[u8], offset: u64) -> io::Result<Vec<(u64, String)>> {
    let mut replay = Replay::from(offset);
    let mut seen = Vec::new();
    while let Some(entry) = replay.next(log)? {
        assert_eq!(entry.left_out.is_some(), entry.tag == Some(Tag::Gco));
        seen.push((entry.offset, String::from_utf8_lossy(entry.payload).into_owned()));
    }
    Ok(seen)
}

#[test]
fn who_goes_through_a_log_is_told_what_is_missing() -> io::Result<()> {
    for hole in [1, 100, 5000, 300_000, 3_000_000] {
        let (log, gap) = with_gap(hole);
        let first = log.iter().filter(|&&byte| byte == b'\n').count() - 4;
        let seen = replayed(&log, 0)?;
        assert_eq!((seen.len(), seen[0].1.as_str()), (first + 3, "first 0"));
        let ends = [(gap.end, "newest 1".to_owned()), (gap.end + 18, "newest 2".to_owned())];
        assert_eq!(seen[first], (gap.word_at(), words(hole as u64)));
        assert_eq!(seen[first + 1..], ends);
        // From the middle of it, as one that was overtaken.
        for at in [gap.begin, gap.begin + hole as u64 / 2].into_iter().filter(|&at| at < gap.end - 1) {
            let seen = replayed(&log, at)?;
            assert_eq!((&seen[0], &seen[1..]), (&(at, words(gap.end - at)), &ends[..]), "{hole} {at}");
        }
        assert_eq!(replayed(&log, gap.end)?, ends);
    }
    Ok(())
}

#[test]
fn nothing_is_said_where_nothing_is_missing() -> io::Result<()> {
    let (log, gap) = with_gap(1);
    let mut log = log[..usize::try_from(gap.word_at()).unwrap_or(0)].to_vec();
    log.extend(Gap::none(gap.word_at(), [0, 0]).line());
    log.extend_from_slice(b"[stdout] \0 is no gap\n");
    assert_eq!(replayed(&log, gap.word_at())?, [(gap.begin, "\0 is no gap".to_owned())]);
    assert_eq!(of(&log)?, None);
    let wanted = Wanted { lines: 2, ..Wanted::FOR_RECORD };
    let found = last(&log, &Wanted { choice: Choice::ALL, ..wanted })?;
    let texts: Vec<_> = found.lines.iter().map(|line| line.payload.clone()).collect();
    assert!(texts.len() == 2 && texts[0].starts_with(b"first ") && texts[1] == b"\0 is no gap", "{texts:?}");
    let piece = since(&log, gap.word_at() - 5, 1 << 20)?;
    assert_eq!((piece.bytes.len(), piece.next, piece.more, piece.gap), (5, gap.word_at(), true, 0));
    let piece = since(&log, gap.word_at(), 1 << 20)?;
    assert_eq!((&piece.bytes[..], piece.gap), (&b"[stdout] \0 is no gap\n"[..], 0));
    Ok(())
}

#[test]
fn nuls_that_no_word_tells_of_are_passed_over() -> io::Result<()> {
    let log = [b"[stdout] a\n", &vec![0; 1 << 20][..], b"torn\n[stdout] b\n"].concat();
    let mut replay = Replay::from(0);
    let mut seen = Vec::new();
    while let Some(entry) = replay.next(&log)? {
        seen.push((entry.payload.to_vec(), entry.left_out.map(|left_out| left_out.bytes)));
    }
    let hole = (1 << 20) + 5;
    assert_eq!(seen, [(b"a".to_vec(), None), (words(hole).into_bytes(), Some(hole)), (b"b".to_vec(), None),]);
    Ok(())
}

#[test]
fn the_last_lines_are_found_on_both_sides() -> io::Result<()> {
    for hole in [100, 5000, 300_000, 3_000_000] {
        let (log, gap) = with_gap(hole);
        let text = |lines, choice| -> io::Result<(Vec<String>, u64)> {
            let found = last(&log, &Wanted { lines, choice, look_at_most: 1 << 19, longest_line: 1 << 20 })?;
            let texts = found.lines.iter().map(|line| String::from_utf8_lossy(&line.payload).into_owned());
            assert!(!found.cut && found.end == log.len() as u64);
            Ok((texts.collect(), found.left_out))
        };
        let all = replayed(&log, 0)?.into_iter().map(|(_, text)| text).collect::<Vec<_>>();
        for lines in 0..8 {
            let (found, left_out) = text(lines, Choice::ALL)?;
            assert_eq!(found, all[all.len() - lines..], "{hole} {lines}");
            assert_eq!(left_out, if lines > 2 { hole as u64 } else { 0 });
        }
        let (found, left_out) = text(4, Choice { only: None, gco: false })?;
        assert_eq!((found.len(), &found[2..], left_out), (4, &all[all.len() - 2..], hole as u64));
        assert_eq!(text(all.len() + 9, Choice::ALL)?.0.len(), all.len());
        assert_eq!(gap.end + 36, log.len() as u64);
    }
    Ok(())
}

#[test]
fn a_cursor_goes_on_behind_it_and_is_told() -> io::Result<()> {
    let (log, gap) = with_gap(100_000);
    let newest = "[stdout] newest 1\n[stderr] newest 2\n";
    for (at, bytes) in [(gap.word_at(), 100_000), (gap.begin + 5000, 95_000), (gap.end - 2, 2)] {
        let piece = since(&log, at, 4096)?;
        let wanted = format!("[gco] {}\n{newest}", words(bytes));
        assert_eq!(String::from_utf8_lossy(&piece.bytes), wanted);
        assert_eq!((piece.next, piece.more, piece.gap), (log.len() as u64, false, bytes));
        assert!(at == gap.word_at() || is_line_start(&log, at)?);
        assert_eq!(line_start(&log, at, 0)?, at);
    }
    // Step by step, from the begin.
    for most in [80, 300, 5000, 1 << 20] {
        let (mut at, mut bytes, mut left_out) = (0, Vec::new(), 0);
        loop {
            let piece = since(&log, at, most)?;
            bytes.extend(piece.bytes);
            left_out += piece.gap;
            at = piece.next;
            if !piece.more {
                break;
            }
        }
        let first = String::from_utf8_lossy(&log[..usize::try_from(gap.word_at()).unwrap_or(0)]);
        let wanted = format!("{first}[gco] {}\n{newest}", words(100_000));
        assert!(String::from_utf8_lossy(&bytes) == wanted && left_out == 100_000, "{most}");
    }
    Ok(())
}

#[test]
fn lines_behind_it_have_no_number_and_clues_are_from_both_sides() -> io::Result<()> {
    let (mut log, gap) = with_gap(3_000_000);
    log.extend_from_slice(b"[stderr] error: bad\n");
    let mut numbers = Numbers::new(&log);
    assert_eq!((numbers.of(17)?, numbers.of(gap.end)?, numbers.of(gap.end + 18)?), (Some(2), None, None));
    assert_eq!(numbers.of(0)?, Some(1));
    let found = clues(&log)?;
    assert!(found.cut);
    let causes: Vec<_> = found.causes.iter().map(|cause| (cause.line, cause.text.as_str())).collect();
    assert_eq!(
        (causes, found.stderr),
        (vec![(None, "error: bad")], vec!["newest 2".into(), "error: bad".into()])
    );
    Ok(())
}

#[test]
fn a_line_that_lost_its_middle_has_a_mark_there() -> io::Result<()> {
    let (log, gap) = with_gap(1000);
    let word = usize::try_from(gap.word_at()).unwrap_or(0);
    let part = b"[stdout~] begun\n";
    let moved = Gap { begin: gap.begin + part.len() as u64, end: gap.end + part.len() as u64, ..gap };
    let rest = &log[word + LINE as usize..];
    let log = [&log[..word], &part[..], &moved.line(), rest].concat();
    let found = last(&log, &Wanted { lines: 3, choice: Choice::ALL, ..Wanted::FOR_RECORD })?;
    let texts: Vec<_> = found.lines.iter().map(|line| String::from_utf8_lossy(&line.payload)).collect();
    assert_eq!(texts, ["1000 bytes of the log are left out here", "begun […] newest 1", "newest 2"]);
    Ok(())
}

#[test]
fn the_word_is_read_as_it_was_written() {
    let gap = Gap { begin: 1000 + LINE, end: 99_999, streams: [[1, 2], [3, 1 << 50]] };
    let line = gap.line();
    assert_eq!((line.len() as u64, Gap::parse(&line, 1000)), (LINE, Some(gap)));
    assert_eq!(gap.payload(), 1 + (1 << 50) - 3);
    assert_eq!(Gap::parse(&line, 1001), None, "elsewhere it is no more than a line");
    let none = Gap::none(7, [5, 6]);
    assert_eq!(Gap::parse(&none.line(), 7), Some(none));
    assert!(none.is_empty() && none.payload() == 0);
    for at in 0..line.len() {
        let mut wrong = line.clone();
        wrong[at] = b'x';
        assert_eq!(Gap::parse(&wrong, 1000), None, "{at}");
    }
}

#[test]
fn a_first_part_is_a_quarter_or_less() {
    let gib = 1 << 30;
    for (limit, length) in
        [(1 << 20, 1 << 18), (gib, gib / 4), (gib + 1, gib / 4), (gib - 1, gib / 8), (u64::MAX, LARGEST)]
    {
        assert_eq!(first_part(limit), length);
    }
}

#[test]
fn it_is_found_from_any_place_in_it() -> io::Result<()> {
    let (log, gap) = with_gap(3_000_000);
    let mut gaps = Gaps::default();
    for at in [gap.begin, gap.begin + 70_000, gap.end - 2] {
        assert_eq!(gaps.around(&log, &(at..at + 1))?, Some(gap));
        assert_eq!(Gaps::default().around(&log, &(at..at + 1))?, Some(gap));
    }
    assert_eq!(gaps.around(&log, &(0..gap.begin))?, None);
    assert_eq!(gaps.around(&log, &(gap.end..gap.end + 5))?, None);
    assert_eq!(of(&log)?, Some(gap));
    assert_eq!(of(&vec![0; 3_000_000])?, None);
    Ok(())
}
