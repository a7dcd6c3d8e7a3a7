//! Reading a log as it grows: which lines are looked at, and what they come to.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;

use super::choice::matched;
use super::look::is_worth_it;
use super::osc;
use super::sight::Sight;
use super::status;
use super::tools::{self, Memory};
use crate::log::ReadAt;
use crate::log::format::Tag;
use crate::log::replay::Replay;
use crate::task::spec::Recognise;
use crate::task::{Progress, text};

/// How much is looked at at once, where nobody has said what is to be recognised. What came before that is passed over: it
/// came faster than anybody could read it.
const MOST_AT_ONCE: u64 = 4 << 20;
/// And where somebody has, or a supervisor takes over.
const MOST_IF_WANTED: u64 = 256 << 20;
/// How many lines may be looked at closely without finding anything before
const PATIENCE: u32 = 20_000;
/// or so many bytes of other lines,
const PATIENCE_BYTES: u64 = 64 << 20;
/// only so much of the end is looked at.
const LITTLE: u64 = 64 << 10;
/// The longest line that is looked at: its end.
const LONGEST_LINE: usize = 4096;
/// How many names of units are told from each other.
const MOST_UNITS: usize = 1 << 20;
/// How long words about what is being done are, in bytes.
pub(super) const LONGEST_MESSAGE: usize = 200;

/// The source of what a pattern found.
const PATTERN: &str = "pattern";
/// The source of what the terminal's progress sequence says.
const OSC: &str = "osc";
/// The source where units are all there is.
const UNITS: &str = "units";

/// The units of work that are done.
#[derive(Debug, Default)]
pub struct Units {
    known: HashSet<u64>,
    /// So many were done already as far as a predecessor knew.
    before: u64,
    last: Option<String>,
}

impl Units {
    /// Unit `name` is done. However often that is said, it counts once.
    pub fn done(&mut self, name: &str) {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        if self.known.len() < MOST_UNITS {
            self.known.insert(hasher.finish());
        }
        self.last = Some(text::begin(name, LONGEST_MESSAGE).to_owned());
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.before.max(self.known.len() as u64)
    }

    /// The latest one.
    #[must_use]
    pub fn last(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// At least so many are done.
    pub fn at_least(&mut self, count: u64) {
        self.before = self.before.max(count);
    }
}

/// What is known of how far a command is.
#[derive(Debug)]
pub struct Gauge {
    choice: Recognise,
    /// How many units there are, if that was said.
    total: Option<u64>,
    /// Up to where the log has been read.
    seen: u64,
    /// What is open of each stream's last line.
    open: [Vec<u8>; 2],
    /// What each recogniser remembers.
    memory: Vec<Memory>,
    /// What the terminal's progress sequence says.
    osc: Option<Progress>,
    /// The last thing that was recognised otherwise.
    recognised: Option<Progress>,
    /// How many lines have been looked at since,
    in_vain: u32,
    /// and how many bytes have been passed.
    passed: u64,
    /// The units that are done.
    pub units: Units,
    /// What the command's own script says.
    pub told: Option<Progress>,
}

impl Gauge {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(choice: Recognise, total: Option<u64>) -> Self {
        Self {
            choice,
            total,
            seen: 0,
            open: [Vec::new(), Vec::new()],
            memory: Vec::new(),
            recognised: None,
            osc: None,
            in_vain: 0,
            passed: 0,
            units: Units::default(),
            told: None,
        }
    }

    /// Reads on in `log`, up to its length `end`. With `all` nothing is passed over that can be helped.
    ///
    /// # Errors
    /// What reading said.
    pub fn read<S: ReadAt + ?Sized>(&mut self, log: &S, end: u64, all: bool) -> io::Result<()> {
        if matches!(self.choice, Recognise::Nothing) || end <= self.seen {
            return Ok(());
        }
        let is_pattern = matches!(self.choice, Recognise::Pattern(_));
        let is_auto = matches!(self.choice, Recognise::Auto);
        let most = match self.in_vain {
            PATIENCE.. if is_auto => LITTLE,
            _ if is_auto && self.passed > PATIENCE_BYTES => LITTLE,
            _ if is_auto && !all => MOST_AT_ONCE,
            _ => MOST_IF_WANTED,
        };
        let from = self.seen.max(end.saturating_sub(most));
        let mut is_torn = from > self.seen;
        if is_torn {
            self.open.iter_mut().for_each(Vec::clear);
        }
        let mut replay = Replay::between(from, end);
        while let Some(entry) = replay.next(log)? {
            if std::mem::take(&mut is_torn) {
                // Most likely from the middle of a line.
                continue;
            }
            if entry.left_out.is_some() {
                self.open.iter_mut().for_each(Vec::clear);
            }
            let (stream, ends) = match entry.tag {
                Some(Tag::Line(stream)) => (stream, true),
                Some(Tag::Part(stream)) => (stream, false),
                Some(Tag::Gco) | None => continue,
            };
            let n = stream.index();
            if self.open[n].is_empty() && ends {
                let line = entry.payload;
                if is_pattern || is_worth_it(line) || memchr::memmem::find(line, osc::BEGIN).is_some() {
                    self.line(line);
                }
                continue;
            }
            let mut line = std::mem::take(&mut self.open[n]);
            line.extend_from_slice(entry.payload);
            self.line(&line);
            if !ends {
                let from = memchr::memrchr(b'\r', &line).unwrap_or(0);
                line.drain(..from.max(line.len().saturating_sub(LONGEST_LINE)));
                self.open[n] = line;
            }
        }
        self.passed += end - self.seen;
        self.seen = replay.position();
        Ok(())
    }

    /// Looks at a line, or as much of it as there is: a bar is drawn over itself, and only what is seen last counts.
    fn line(&mut self, line: &[u8]) {
        if let Some(said) = osc::last(line) {
            self.osc = said.filter(Sight::is_sound).map(|sight| sight.to_progress(OSC));
        }
        let line = &line[line.len().saturating_sub(LONGEST_LINE)..];
        let mut pieces = line.split(|&b| b == b'\r').filter(|piece| !piece.is_empty());
        let Some(last) = pieces.next_back() else { return };
        let last = if is_worth_it(last) { last } else { pieces.next_back().unwrap_or(last) };
        if let Recognise::Pattern(pattern) = &self.choice {
            if let Some(sight) = matched(pattern, &text::plain(last)) {
                self.saw(&sight, PATTERN);
            }
        } else if is_worth_it(last) {
            self.recognise(&text::plain(last));
        }
    }

    fn recognise(&mut self, line: &str) {
        if self.memory.is_empty() {
            self.memory = tools::all().iter().map(|_| Memory::default()).collect();
        }
        self.in_vain = self.in_vain.saturating_add(1);
        for (at, tool) in tools::all().iter().enumerate() {
            if matches!(&self.choice, Recognise::One(only) if *only != tool.name) {
                continue;
            }
            let memory = &mut self.memory[at];
            if let Some(sight) = (tool.see)(memory, line) {
                (self.in_vain, self.passed) = (0, 0);
                self.saw(&sight, tool.name);
                return;
            }
        }
    }

    fn saw(&mut self, sight: &Sight, source: &str) {
        if !sight.is_sound() {
            return;
        }
        if let Some(name) = &sight.done {
            self.units.done(name);
        }
        let mut progress = sight.to_progress(source);
        for words in [&mut progress.message, &mut progress.unit].into_iter().flatten() {
            words.truncate(text::begin(words, LONGEST_MESSAGE).len());
        }
        self.recognised = Some(progress);
    }

    /// Whether the command tells its terminal itself how far it is.
    #[must_use]
    pub fn tells_terminals(&self) -> bool {
        self.osc.is_some()
    }

    /// How far the command is, as far as anybody knows.
    #[must_use]
    pub fn progress(&self) -> Option<Progress> {
        let seen = self.osc.as_ref().or(self.recognised.as_ref());
        let known = match (&self.told, seen) {
            // Words alone are a program's status: how far it is, others may know.
            (Some(told), Some(seen))
                if told.source.as_deref() == Some(status::SOURCE) && !told.is_counted() =>
            {
                Some(Progress { message: told.message.clone(), ..seen.clone() })
            }
            (told, seen) => told.as_ref().or(seen).cloned(),
        };
        let count = self.units.count();
        let Some(mut progress) = known else {
            let total = self.total.filter(|&total| total > 0 && count > 0)?;
            return Some(Progress {
                current: Some(count.min(total)),
                total: Some(total),
                source: Some(UNITS.to_owned()),
                unit: self.units.last().map(str::to_owned),
                ..Progress::default()
            });
        };
        if !progress.is_counted() {
            if let Some(total) = self.total.filter(|&total| total > 0) {
                (progress.current, progress.total) = (Some(count.min(total)), Some(total));
            } else if count > 0 {
                progress.current = Some(count);
            }
        }
        Some(progress)
    }
}
