//! What a terminal has still to be shown: in memory, and when that is much, in a file without a name.
//!
//! A terminal that is stopped or slow never holds up the command, and when it goes on nothing has been skipped, unless
//! there is no room left on the disk: then it is counted what is missing.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// How much is kept in memory.
const IN_MEMORY: usize = 256 << 10;

/// The rest of what is to be shown, in order.
#[derive(Debug, Default)]
pub struct Backlog {
    /// What comes next, from `done` on.
    memory: Vec<u8>,
    done: usize,
    /// What comes after that.
    file: Option<Spill>,
    /// So many bytes came after that and could not be kept.
    missing: u64,
    /// Where the file is made; the system's place for temporary files if not said.
    place: Option<PathBuf>,
}

#[derive(Debug)]
struct Spill {
    file: File,
    read: u64,
    written: u64,
}

impl Backlog {
    /// An empty one, whose file is in directory `place`.
    #[must_use]
    pub fn new(place: Option<PathBuf>) -> Self {
        Self { place, ..Self::default() }
    }

    /// Whether there is nothing to be shown.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.done == self.memory.len() && self.file.is_none() && self.missing == 0
    }

    /// Adds `bytes` at the end.
    pub fn push(&mut self, bytes: &[u8]) {
        let in_memory = self.file.is_none() && self.missing == 0;
        if in_memory && self.memory.len() - self.done + bytes.len() <= IN_MEMORY {
            self.memory.drain(..self.done);
            self.done = 0;
            self.memory.extend_from_slice(bytes);
        } else if self.missing > 0 || self.spill(bytes).is_err() {
            self.missing += bytes.len() as u64;
        }
    }

    fn spill(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.file.is_none() {
            let file = match &self.place {
                Some(place) => tempfile::tempfile_in(place).or_else(|_| tempfile::tempfile())?,
                None => tempfile::tempfile()?,
            };
            self.file = Some(Spill { file, read: 0, written: 0 });
        }
        let Some(spill) = &mut self.file else { return Ok(()) };
        // All or nothing: what was written of it only is written over.
        spill.file.write_all_at(bytes, spill.written)?;
        spill.written += bytes.len() as u64;
        Ok(())
    }

    /// What comes next; empty if there is nothing.
    pub fn next(&mut self) -> &[u8] {
        if self.done == self.memory.len() {
            self.refill();
        }
        &self.memory[self.done..]
    }

    fn refill(&mut self) {
        self.memory.clear();
        self.done = 0;
        if let Some(spill) = &mut self.file {
            let left = usize::try_from(spill.written - spill.read).unwrap_or(IN_MEMORY);
            self.memory.resize(left.min(IN_MEMORY), 0);
            if spill.file.read_exact_at(&mut self.memory, spill.read).is_err() {
                self.missing += spill.written - spill.read;
                spill.read = spill.written;
                self.memory.clear();
            }
            spill.read += self.memory.len() as u64;
            if spill.read == spill.written {
                self.file = None;
            }
        }
        if self.memory.is_empty() && self.file.is_none() && self.missing > 0 {
            let words = format!(
                "\x1b[0m\r\n[gco: {} bytes could not be shown here; see the log]\r\n",
                std::mem::take(&mut self.missing)
            );
            self.memory.extend_from_slice(words.as_bytes());
        }
    }

    /// So many bytes of what came next have been shown.
    pub fn shown(&mut self, bytes: usize) {
        self.done = (self.done + bytes).min(self.memory.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn much_comes_out_as_it_went_in() {
        let mut backlog = Backlog::default();
        let byte = |at: usize| (at % 251) as u8;
        let (mut put, mut taken) = (0, 0);
        for round in 0..400 {
            let piece: Vec<u8> = (put..put + 10_007).map(byte).collect();
            put += piece.len();
            backlog.push(&piece);
            if round % 3 == 0 {
                let next = backlog.next();
                let count = next.len().min(5000);
                assert!(next[..count].iter().zip(taken..).all(|(&b, at)| b == byte(at)));
                taken += count;
                backlog.shown(count);
            }
        }
        while !backlog.is_empty() {
            let next = backlog.next();
            assert!(next.iter().zip(taken..).all(|(&b, at)| b == byte(at)));
            let count = next.len();
            taken += count;
            backlog.shown(count);
        }
        assert_eq!(taken, put);
        assert!(backlog.next().is_empty());
    }

    #[test]
    fn what_could_not_be_kept_is_said() -> io::Result<()> {
        let full = std::fs::OpenOptions::new().read(true).write(true).open("/dev/full")?;
        let mut backlog =
            Backlog { file: Some(Spill { file: full, read: 0, written: 0 }), ..Backlog::default() };
        backlog.push(b"lost");
        backlog.push(b"too");
        assert!(String::from_utf8_lossy(backlog.next()).contains("7 bytes could not be shown here"));
        let said = backlog.next().len();
        backlog.shown(said);
        assert!(backlog.is_empty());
        Ok(())
    }
}
