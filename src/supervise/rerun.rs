//! Showing a whole task once more, from its log: what `--echo on-failure` does when the command has failed.
//!
//! The pieces come in the log's order, each on the stream that it came from. What the log has no longer is said on stderr.

use std::fs::File;
use std::io;

use super::echo::{Echo, Shown};
use crate::log::format::Tag;
use crate::log::replay::Replay;
use crate::task::Stream;

/// How much is shown in one go, about.
const BATCH: usize = 64 << 10;

/// How far it has got.
#[derive(Debug)]
pub struct Rerun {
    replay: Replay,
    /// Read and not yet shown.
    ready: Vec<u8>,
    stream: Stream,
    /// The first piece for the other stream.
    next: Option<(Stream, Vec<u8>)>,
}

impl Default for Rerun {
    fn default() -> Self {
        Self::new()
    }
}

impl Rerun {
    /// From the log's begin.
    #[must_use]
    pub fn new() -> Self {
        Self { replay: Replay::from(0), ready: Vec::new(), stream: Stream::Stdout, next: None }
    }

    /// The stream that the next piece is for.
    #[must_use]
    pub fn waits_for(&self) -> Stream {
        self.stream
    }

    /// Shows as much as can be shown now: all, or until it is blocked.
    ///
    /// # Errors
    /// What reading the log said.
    pub fn go(&mut self, log: &File, echoes: &[Echo; 2]) -> io::Result<Shown> {
        loop {
            let mut done = 0;
            while done < self.ready.len() {
                match echoes[self.stream.index()].write(&self.ready[done..]) {
                    Ok(written) => done += written,
                    // Somebody has seen enough of this stream; the other goes on.
                    Err(Shown::ReaderGone | Shown::Failed(_)) => done = self.ready.len(),
                    Err(state) => {
                        self.ready.drain(..done);
                        return Ok(state);
                    }
                }
            }
            self.ready.clear();
            if !self.read(log)? {
                return Ok(Shown::All);
            }
        }
    }

    /// Reads on, as far as it is one stream's. `false` at the end.
    fn read(&mut self, log: &File) -> io::Result<bool> {
        if let Some((stream, bytes)) = self.next.take() {
            self.stream = stream;
            self.ready = bytes;
        }
        while self.ready.len() < BATCH {
            let Some(entry) = self.replay.next(log)? else { break };
            let words = entry.left_out.map(|_| Stream::Stderr);
            let Some(stream) = entry.tag.and_then(Tag::stream).or(words) else { continue };
            let tag = if words.is_some() { Tag::Gco.bytes() } else { b"" };
            let end: &[u8] = if entry.ends { b"\n" } else { b"" };
            if self.ready.is_empty() {
                self.stream = stream;
            } else if stream != self.stream {
                self.next = Some((stream, [tag, entry.payload, end].concat()));
                break;
            }
            self.ready.extend_from_slice(tag);
            self.ready.extend_from_slice(entry.payload);
            self.ready.extend_from_slice(end);
        }
        Ok(!self.ready.is_empty())
    }
}
