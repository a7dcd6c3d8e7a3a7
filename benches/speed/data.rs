//! Output like that of a build: lines of 81 bytes. And reading back what became of it.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

use anyhow::{Result, ensure};

/// The length of a line with its newline, in bytes.
pub const LINE: usize = 81;

/// About a mebibyte of lines.
pub fn block() -> Vec<u8> {
    let mut text = Vec::with_capacity(LINE * 13_000);
    for n in 0..12_945_u32 {
        let line = format!(
            "2026-11-21T{:02}:{:02}:{:02}Z INFO  [worker-{:02}] compiled module {n:07} of the project in {:>4} ms",
            n / 3600 % 24,
            n / 60 % 60,
            n % 60,
            n % 16,
            n * 7919 % 5000
        );
        text.extend_from_slice(format!("{line:<80.80}\n").as_bytes());
    }
    text
}

/// Writes whole lines of together at most `bytes` to `path`, each behind `tag`. Gives how many lines that were.
pub fn write(path: &Path, bytes: u64, tag: &[u8]) -> Result<u64> {
    let lines = bytes / LINE as u64;
    let text = block();
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut left = lines;
    for line in text.chunks_exact(LINE).cycle() {
        if left == 0 {
            break;
        }
        out.write_all(tag)?;
        out.write_all(line)?;
        left -= 1;
    }
    out.flush()?;
    Ok(lines)
}

/// Makes sure that `log` holds, for each of `tags`, the lines of `text` in order, and nothing else.
pub fn compare(log: &Path, text: &Path, tags: &[&str]) -> Result<()> {
    let mut texts = Vec::new();
    for _ in tags {
        texts.push(BufReader::with_capacity(1 << 20, File::open(text)?));
    }
    let mut log = BufReader::with_capacity(1 << 20, File::open(log)?);
    let (mut line, mut wanted) = (Vec::new(), Vec::new());
    while log.read_until(b'\n', &mut line)? > 0 {
        let found = tags
            .iter()
            .zip(&mut texts)
            .find_map(|(tag, text)| Some((line.strip_prefix(tag.as_bytes())?, text)));
        let Some((payload, text)) = found else { anyhow::bail!("a line in the log that nobody wrote") };
        text.read_until(b'\n', &mut wanted)?;
        ensure!(payload == wanted, "the log is not what the command wrote");
        line.clear();
        wanted.clear();
    }
    for mut text in texts {
        ensure!(text.read(&mut [0])? == 0, "the log lacks output");
    }
    Ok(())
}
