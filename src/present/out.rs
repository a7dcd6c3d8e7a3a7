//! Where the lines of a task go: stdout, gathered into few writes.
//!
//! Errors are those of writing; a reader that has gone is among them and is for the caller's caller to know.

use std::io::{self, Write};

use crate::failure::Failure;
use crate::log::join::Shown;
use crate::log::replay::Entry;
use crate::observe::Sink;
use crate::task::{State, TaskId};
use crate::view::log::Printer;

/// How much output is gathered before it is written.
const GATHERED: usize = 64 * 1024;

/// Prints lines to stdout in the form that was asked for.
#[derive(Debug)]
pub struct Out<'a> {
    id: &'a TaskId,
    printer: Printer,
    gathered: Vec<u8>,
}

impl<'a> Out<'a> {
    /// Lines of task `id`, printed by `printer`.
    #[must_use]
    pub fn new(id: &'a TaskId, printer: Printer) -> Self {
        Self { id, printer, gathered: Vec::new() }
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
        self.printer.line(line, &mut self.gathered);
        self.flush_if_much()
    }

    /// What comes after all lines; all is written.
    ///
    /// # Errors
    /// What writing said.
    pub fn end(mut self, state: Option<State>) -> io::Result<()> {
        self.printer.end(self.id, state, &mut self.gathered);
        self.flush()
    }

    fn flush_if_much(&mut self) -> io::Result<()> {
        if self.gathered.len() >= GATHERED { self.flush() } else { Ok(()) }
    }
}

impl Sink for Out<'_> {
    fn entry(&mut self, entry: &Entry<'_>) -> io::Result<()> {
        self.printer.entry(entry, &mut self.gathered);
        self.flush_if_much()
    }

    fn cut(&mut self) -> io::Result<()> {
        self.flush()?;
        let words = format!("the log of '{}' was cut; going on from its beginning", self.id);
        // With stderr gone too there is nobody left to tell.
        let _ = writeln!(io::stderr(), "{}", Failure::failed(words));
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(&self.gathered)?;
        self.gathered.clear();
        stdout.flush()
    }
}
