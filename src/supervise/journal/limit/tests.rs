//! A log that grows far beyond its limit, with successors in between.

use std::fs::OpenOptions;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use super::*;
use crate::log::format::Tag;
use crate::log::replay::Replay;
use crate::supervise::control::Control;
use crate::task::Stream;

const MIB: u64 = 1 << 20;

/// A log in a new file of `dir`.
fn journal(dir: &tempfile::TempDir, limit: u64) -> io::Result<Journal> {
    let mut journal = Journal::absent(Control::new()?);
    let path = dir.path().join("log");
    let file = OpenOptions::new().read(true).append(true).create_new(true).mode(0o600).open(path)?;
    journal.adopt(file)?;
    journal.keep_within(LogLimit::new(limit)?);
    Ok(journal)
}

/// Number `n` as a line; every hundredth is long.
fn line(n: u64) -> String {
    format!("{n:09}{}\n", "x".repeat(if n.is_multiple_of(100) { 3000 } else { 20 }))
}

/// Checks what `log`, in which `lines` lines of stdout are, has of them: all, but for what it says is left out.
fn check(log: &Journal, lines: u64) -> io::Result<u64> {
    let Some(file) = log.file() else { return Err(io::ErrorKind::NotFound.into()) };
    let mut replay = Replay::from(0);
    let (mut next, mut offset, mut left_out) = (0, 0, 0);
    while let Some(entry) = replay.next(file)? {
        if let Some(gone) = entry.left_out {
            left_out += gone.bytes;
            let end = gone.streams.map_or(0, |streams| streams[0]);
            while offset < end {
                offset += line(next).len() as u64;
                next += 1;
            }
            assert_eq!(offset, end, "it is told to the byte what is missing");
        } else {
            assert_eq!(entry.tag, Some(Tag::Line(Stream::Stdout)));
            let wanted = line(next);
            assert_eq!(String::from_utf8_lossy(entry.payload), wanted.trim_end());
            offset += wanted.len() as u64;
            next += 1;
        }
    }
    assert_eq!((next, offset), (lines, log.written(Stream::Stdout)));
    Ok(left_out)
}

#[test]
fn the_begin_and_the_newest_part_are_kept() -> io::Result<()> {
    for limit in [MIB, 3 * MIB, 5 * MIB + 77] {
        let dir = tempfile::tempdir()?;
        let mut log = journal(&dir, limit)?;
        let mut lines = 0;
        let mut least = u64::MAX;
        for round in 0..60 {
            let text: String = (lines..lines + 5000).map(line).collect();
            lines += 5000;
            log.store_lines(Stream::Stdout, text.as_bytes());
            let blocks = log.file().map(File::metadata).transpose()?.map_or(0, |meta| meta.blocks() * 512);
            assert!(blocks <= limit + 8192, "{blocks} of {limit}");
            if log.left_out() > 0 {
                least = least.min(blocks);
            }
            if round % 20 == 7 {
                let left_out = check(&log, lines)?;
                assert_eq!(left_out > 0, log.left_out() > 0);
            }
            if round % 7 == 3 {
                // A successor, which has what is shared and the file.
                let (file, limit, control) = (log.file.take(), log.limit, log.control);
                log = Journal::absent(control);
                (log.file, log.limit) = (file, limit.map(|limit| LogLimit { gap: None, ..limit }));
                let before = log.left_out();
                log.recover(None, [None; 2])?;
                assert!(log.left_out() >= before);
            }
        }
        assert!(check(&log, lines)? > 6 * MIB && log.size() > 9 * MIB);
        assert!(least >= limit * 2 / 3, "{least} of {limit} are used");
        assert_eq!(log.control.lost(), 0);
    }
    Ok(())
}

#[test]
fn a_predecessor_may_have_died_between_any_two_steps() -> io::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut log = journal(&dir, MIB)?;
    let mut lines = 0;
    let mut more = |log: &mut Journal| {
        let text: String = (lines..lines + 2000).map(line).collect();
        lines += 2000;
        log.store_lines(Stream::Stdout, text.as_bytes());
        lines
    };
    while log.limit.is_some_and(|limit| limit.word().is_none()) {
        more(&mut log);
    }
    // The word was written, and nobody told.
    let Some(limit) = log.limit else { return Ok(()) };
    let word = limit.word().unwrap_or(0);
    limit.set(WORD, 0);
    let file = log.file.take();
    let mut rest = vec![0; usize::try_from(log.size() - word).unwrap_or(0)];
    file.as_ref().map(|file| file.read_exact_at(&mut rest, word)).transpose()?;
    log.file = file;
    log.recover_limit(&rest, word);
    assert_eq!(limit.word(), Some(word));
    while log.left_out() == 0 {
        more(&mut log);
    }
    // It has more left out than it knows of.
    let known = log.limit.and_then(|limit| limit.gap);
    while log.limit.and_then(|limit| limit.gap) == known {
        more(&mut log);
    }
    if let Some(limit) = &mut log.limit {
        limit.gap = known;
    }
    for _ in 0..9 {
        more(&mut log);
    }
    let lines = more(&mut log);
    assert!(check(&log, lines)? > 0);
    Ok(())
}

#[test]
fn where_nothing_can_be_given_back_the_log_stops() -> io::Result<()> {
    let dir = tempfile::tempdir()?;
    let mut log = journal(&dir, MIB)?;
    let mut lines = 0;
    while log.size() < MIB / 2 {
        log.store_lines(Stream::Stdout, line(lines).as_bytes());
        lines += 1;
    }
    // Somebody else writes into it: nothing in it is where it should be.
    std::fs::write(dir.path().join("log"), "other\n")?;
    let text: String = (0..40_000).map(line).collect();
    log.store_lines(Stream::Stdout, text.as_bytes());
    assert!(log.trouble().is_some_and(|why| why.contains("limit")), "{:?}", log.trouble());
    let lost = log.control.lost();
    assert!(lost > MIB / 2);
    log.store_lines(Stream::Stderr, b"and this\n");
    assert_eq!(log.control.lost(), lost + 9);
    assert_eq!(log.tail().last().map(String::as_str), Some("and this"));
    log.sync()?;
    log.sync()?;
    let bytes = std::fs::read(dir.path().join("log"))?;
    let text = String::from_utf8_lossy(&bytes);
    let words: Vec<&str> = text.lines().filter(|line| line.starts_with("[gco]")).collect();
    let [.., stopped, missing] = words[..] else { return Err(io::Error::other(format!("{words:?}"))) };
    assert_eq!(
        stopped,
        "[gco] the log has reached its limit of 1 MiB, and no room can be made in it: somebody has changed it; what follows is not in the log"
    );
    assert_eq!(
        missing,
        format!(
            "[gco] {lost} bytes of stdout and 9 bytes of stderr are missing here: the limit of the log was reached"
        )
    );
    Ok(())
}

#[test]
fn limits_are_enough_or_none() {
    let parse = LogLimit::parse;
    assert_eq!((parse("0"), parse("1MiB"), parse("2GB")), (Ok(0), Ok(1 << 20), Ok(2_000_000_000)));
    assert!(parse("1MB").is_err() && parse("1").is_err() && parse("-1").is_err() && parse("much").is_err());
    let usual = |text: &str| LogLimit::usual_of(Some(OsStr::new(text))).0;
    assert_eq!([usual(""), usual("64MiB"), usual("0"), usual("1k")], [USUAL, 64 << 20, 0, USUAL]);
}
