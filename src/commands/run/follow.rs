//! Showing another task's output in place of a command's own: what `--on-conflict follow` does.
//!
//! From its start, each stream on its own, as the command wrote it; what its log has no longer is said on stderr. The task is not touched: whoever interrupts this leaves it
//! as it is.

use std::io::{self, Write};
use std::os::fd::AsFd;

use anyhow::Result;

use crate::failure::{EXIT_GCO_FAILED, Failure};
use crate::log::format::Tag;
use crate::log::replay::Entry;
use crate::observe::{Ends, Following, Halt, Sink, Subject};
use crate::store::StatusDir;
use crate::store::liveness::Here;
use crate::sys::watch::Watch;
use crate::task::{Stream, TaskId};

/// How much of a stream is gathered before it is written.
const GATHERED: usize = 64 * 1024;

/// Shows the output of task `id` until its end, and gives its exit code.
///
/// # Errors
/// The log or the record cannot be read, or what is shown cannot be written.
pub fn follow(id: &TaskId) -> Result<i32> {
    let failed = |failure: Failure| failure.with_code(EXIT_GCO_FAILED);
    let dir = StatusDir::for_reading()
        .map_err(|unusable| Failure::new(EXIT_GCO_FAILED, unusable.to_string()))?
        .ok_or_else(|| {
            Failure::new(EXIT_GCO_FAILED, format!("'{id}' is gone, and the status directory too"))
        })?;
    let here = Here::ask();
    let subject = Subject { dir: &dir, id, here: &here };
    let mut watch = Watch::new(dir.path(), subject.names());
    let following = Following::begin(&subject, &mut watch).map_err(failed)?;
    let mut streams = Streams::default();
    following.to_end(&subject, &mut watch, &mut streams, io::stdout().as_fd()).map_err(
        |halt| match halt {
            Halt::Output(error) => anyhow::Error::from(error),
            Halt::Log(failure) => failed(failure).into(),
            Halt::Record(error) => failed(subject.unreadable_record(&error)).into(),
        },
    )?;
    // How it ended, with what there is to say to that.
    let ends = Ends::of(&dir, std::slice::from_ref(id), &here)?;
    let Some((_, verdict)) = ends.next(None) else { return Ok(i32::from(EXIT_GCO_FAILED)) };
    if let Some(trouble) = verdict.trouble(id) {
        // With stderr gone too there is nobody left to tell; the exit code still does.
        let _ = writeln!(io::stderr(), "{trouble}");
    }
    Ok(verdict.code())
}

/// What has been read and not been shown.
#[derive(Default)]
struct Streams {
    gathered: [Vec<u8>; 2],
}

impl Sink for Streams {
    fn entry(&mut self, entry: &Entry<'_>) -> io::Result<()> {
        if let Some(left_out) = entry.left_out {
            self.flush()?;
            return writeln!(io::stderr(), "gco: {}", left_out.words());
        }
        let Some(stream) = entry.tag.and_then(Tag::stream) else { return Ok(()) };
        if !self.gathered[1 - stream.index()].is_empty() {
            // What came first is shown first.
            self.flush()?;
        }
        let gathered = &mut self.gathered[stream.index()];
        gathered.extend_from_slice(entry.payload);
        if entry.ends {
            gathered.push(b'\n');
        }
        if gathered.len() >= GATHERED { self.flush() } else { Ok(()) }
    }

    fn cut(&mut self) -> io::Result<()> {
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        for stream in Stream::BOTH {
            let bytes = std::mem::take(&mut self.gathered[stream.index()]);
            match stream {
                Stream::Stdout if !bytes.is_empty() => {
                    let mut out = io::stdout().lock();
                    out.write_all(&bytes)?;
                    out.flush()?;
                }
                Stream::Stderr if !bytes.is_empty() => io::stderr().write_all(&bytes)?,
                _ => {}
            }
        }
        Ok(())
    }
}
