//! Where the lines of a task go: stdout, gathered into few writes.
//!
//! Errors are those of writing; a reader that has gone is among them and is for the caller's caller to know.

use std::io::{self, Write};

use super::stamps::Stamps;
use crate::failure::Failure;
use crate::log::gap;
use crate::log::join::Shown;
use crate::log::replay::Entry;
use crate::observe::Sink;
use crate::task::{State, TaskId};
use crate::view::log::{Printer, When};

/// How much output is gathered before it is written.
const GATHERED: usize = 64 * 1024;

/// Prints lines to stdout in the form that was asked for.
#[derive(Debug)]
pub struct Out<'a> {
    id: &'a TaskId,
    printer: Printer,
    stamps: Option<Stamps<'a>>,
    gathered: Vec<u8>,
}

impl<'a> Out<'a> {
    /// Lines of task `id`, printed by `printer`.
    #[must_use]
    pub fn new(id: &'a TaskId, printer: Printer) -> Self {
        Self { id, printer, stamps: None, gathered: Vec::new() }
    }

    /// The same, with the times of the lines.
    #[must_use]
    pub fn with(self, stamps: Stamps<'a>) -> Self {
        Self { stamps: Some(stamps), ..self }
    }

    fn when(&mut self, offset: u64) -> When {
        self.stamps.as_mut().map(|stamps| stamps.of(offset)).unwrap_or_default()
    }

    /// What comes before all lines.
    pub fn begin(&mut self, state: Option<State>) {
        self.printer.begin(self.id, state, &mut self.gathered);
    }

    /// A line.
    ///
    /// # Errors
    /// What writing said.
    pub fn line(&mut self, line: Shown) -> io::Result<()> {
        let when = self.when(line.log_offset);
        self.printer.line(line, &when, &mut self.gathered);
        self.flush_if_much()
    }

    /// What is not in the log any more: if gco's words are not among the lines, it is said beside them.
    ///
    /// # Errors
    /// What writing said.
    pub fn left_out(&mut self, bytes: u64) -> io::Result<()> {
        if bytes > 0 && !self.printer.shows_gco() {
            self.flush()?;
            say(gap::words(bytes));
        }
        Ok(())
    }

    /// What comes after all lines; all is written.
    ///
    /// # Errors
    /// What writing said.
    pub fn end(mut self, state: Option<State>) -> io::Result<()> {
        let stamps = &mut self.stamps;
        let time = |offset| stamps.as_mut().and_then(|stamps| stamps.of(offset).time);
        self.printer.end(self.id, state, time, &mut self.gathered);
        self.flush()
    }

    fn flush_if_much(&mut self) -> io::Result<()> {
        if self.gathered.len() >= GATHERED { self.flush() } else { Ok(()) }
    }
}

impl Sink for Out<'_> {
    fn entry(&mut self, entry: &Entry<'_>) -> io::Result<()> {
        self.left_out(entry.left_out.map_or(0, |left_out| left_out.bytes))?;
        let when = self.when(entry.offset);
        self.printer.entry(entry, &when, &mut self.gathered);
        self.flush_if_much()
    }

    fn cut(&mut self) -> io::Result<()> {
        self.flush()?;
        if let Some(stamps) = &mut self.stamps {
            stamps.forget();
        }
        let words = format!("the log of '{}' was cut; going on from its beginning", self.id);
        say(words);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(&self.gathered)?;
        self.gathered.clear();
        stdout.flush()?;
        if let Some(words) = self.stamps.as_mut().and_then(Stamps::flushed) {
            say(words);
        }
        Ok(())
    }
}

/// Says something beside the output. With stderr gone too there is nobody left to tell.
fn say(words: String) {
    let _ = writeln!(io::stderr(), "{}", Failure::failed(words));
}
