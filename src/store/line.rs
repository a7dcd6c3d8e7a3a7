//! The waiting lines: how many of a group, or with one key, run at once, and whose turn it is.
//!
//! There is a file for each line in use, and nobody who looks after it. Whoever comes appends itself to the file; its number there is
//! its ticket. As long as it waits it holds a lock on a byte that belongs to its ticket, and as long as its command
//! runs one on another: see `file`. The kernel drops them when supervisor and keeper are gone, so a task that was
//! killed in any way is out of line, or its place free, at once.
//!
//! Guarantees: a place is taken only by the task at the head of the line, of which there is one, and only while fewer places
//! are taken than the limit allows. Since nobody else may take one at that moment, looking and taking are one step, and
//! the order is that of arrival. Nobody waits by asking again and again: a task that has others before it sleeps
//! until the nearest of them is out of line, the head until somebody touches the file.
//!
//! A stopped process holds up only what it would do next: the line behind it if it is at its head, and new arrivals if it
//! was stopped in the moment of its own. Nobody needs a lock for a look at the line, or to change the limit.
//!
//! Not guaranteed: that a line outlives its file. If somebody removes that, or the directory, those in line keep their order
//! and the limit among themselves, and who comes later begins a line anew. The file is made shorter only while
//! nobody is in line: a line that is never empty grows by 144 bytes a task.

mod file;

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use self::file::{IN_LINE, LineFile, PLACE, byte};
use super::{StatusDir, Task};
use crate::sys::lock;
use crate::sys::touch::{Touched, reopen, touch};
use crate::task::line::{DEFAULT_LIMIT, LineName, LineState, Place};
use crate::task::record::field;
use crate::task::{State, TaskId};

/// How soon the head looks again after the file was touched: whoever is killed touches it a moment before its lock is dropped.
/// Each further look comes after twice the time, so a lock that is dropped late is noticed no later than that once
/// more, and a head that waits for a day has looked some thirty times.
const FIRST_LOOK: Duration = Duration::from_millis(1);

/// A task in line, or with a place. Supervisor and keeper hold it together, one being a fork of the other.
#[derive(Debug)]
pub struct Line {
    dir: StatusDir,
    name: LineName,
    file: LineFile,
    /// The same file, opened apart: through it this task's own locks are seen.
    eye: LineFile,
    ticket: u64,
    left: AtomicBool,
}

impl Line {
    /// Gets in line for task `id`, after all who came before. A `limit` is set for the whole line, as with [`set_limit`].
    /// Waits only for those who do the same at this moment.
    ///
    /// # Errors
    /// What the system says, and `InvalidInput` if what is there is no file for this.
    pub fn enter(dir: &StatusDir, name: &LineName, id: &TaskId, limit: Option<u32>) -> io::Result<Line> {
        loop {
            let file = LineFile::open_or_make(dir, name)?;
            file.begin_arrival()?;
            if !file.is_in_place()? {
                // It was removed after it was opened: others begin anew, and so do we.
                continue;
            }
            if let Some(limit) = limit {
                file.set_limit(limit)?;
            }
            let ticket = file.append(id)?;
            // In the way can only be the moment in which somebody who has left meets the end of his wait: see `lock::wait`.
            lock::take_in_turn(file.as_file(), byte(IN_LINE, ticket))?;
            file.end_arrival()?;
            return Self::with(dir, name, file, ticket);
        }
    }

    /// The same task in line again, for a process that has only inherited the open [file](Line::file), with the locks
    /// on it, and knows the [ticket](Line::ticket).
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn resume(dir: &StatusDir, name: &LineName, file: File, ticket: u64) -> io::Result<Line> {
        Self::with(dir, name, LineFile::from(file), ticket)
    }

    fn with(dir: &StatusDir, name: &LineName, file: LineFile, ticket: u64) -> io::Result<Line> {
        let eye = LineFile::from(reopen(file.as_file())?);
        Ok(Line { dir: dir.clone(), name: name.clone(), file, eye, ticket, left: AtomicBool::new(false) })
    }

    /// The open file that holds the locks.
    #[must_use]
    pub fn file(&self) -> &File {
        self.file.as_file()
    }

    /// Its number in the order of arrival.
    #[must_use]
    pub fn ticket(&self) -> u64 {
        self.ticket
    }

    /// The line's name.
    #[must_use]
    pub fn name(&self) -> &LineName {
        &self.name
    }

    /// Takes a place if it is this task's turn and there is one: whether it has one now. Never waits.
    ///
    /// # Errors
    /// What the system says.
    pub fn try_place(&self) -> io::Result<bool> {
        if self.has(PLACE)? {
            return Ok(true);
        }
        if !self.is_in_line()? || self.before()?.is_some() {
            return Ok(false);
        }
        // The head. Places can become free from here on, but nobody else can take one.
        let limit = self.file.limit().unwrap_or(DEFAULT_LIMIT);
        if self.file.held(PLACE).take(limit as usize).try_fold(0, |count, held| held.map(|_| count + 1))?
            >= limit
        {
            return Ok(false);
        }
        lock::take(self.file(), byte(PLACE, self.ticket))?;
        if self.left.load(Ordering::SeqCst) {
            // It left meanwhile, and may have looked for a place to give back before this one was taken.
            self.let_go(PLACE)?;
            return Ok(false);
        }
        self.let_go(IN_LINE)?;
        Ok(true)
    }

    /// Waits until the task has a place. `false` if it [left](Line::leave) instead; while others are before it, that may be
    /// noticed only when the nearest of them is out of line. Meant for a thread of its own.
    ///
    /// # Errors
    /// What the system says.
    pub fn wait_for_place(&self) -> io::Result<bool> {
        while self.is_in_line()? {
            match self.before()? {
                Some(nearest) => lock::wait(self.file(), IN_LINE + nearest)?,
                // A watch takes milliseconds to be put away, and often none is needed.
                None if self.try_place()? => return Ok(true),
                None => return self.wait_as_head(),
            }
        }
        self.try_place()
    }

    fn wait_as_head(&self) -> io::Result<bool> {
        // From before the first look, so that no touch is missed.
        let mut touched = Touched::new(self.file());
        let mut next_look = FIRST_LOOK;
        loop {
            if self.try_place()? {
                return Ok(true);
            }
            if !self.is_in_line()? {
                return Ok(false);
            }
            next_look = if touched.wait(next_look)? { FIRST_LOOK } else { next_look.saturating_mul(2) };
        }
    }

    /// Whether there is a place for this task at once, or as soon as those before it have taken theirs. For those who
    /// would rather not wait: [`try_place`](Line::try_place) also says no for the moment in which another takes a place.
    ///
    /// # Errors
    /// What the system says.
    pub fn has_room(&self) -> io::Result<bool> {
        // In this order: a task on its way from the one to the other is seen at least once, and counted once.
        let mut before = self.tickets(IN_LINE)?;
        before.extend(self.tickets(PLACE)?);
        let limit = self.file.limit().unwrap_or(DEFAULT_LIMIT);
        Ok(before.iter().filter(|ticket| **ticket < self.ticket).count() < limit as usize)
    }

    /// How many are in line up to this task: 1 if it is next.
    ///
    /// # Errors
    /// What the system says.
    pub fn position(&self) -> io::Result<u64> {
        let waiting = self.tickets(IN_LINE)?;
        Ok(waiting.range(..self.ticket).count() as u64 + 1)
    }

    /// Gets out of line, or gives its place to the next, for all who hold it together. A file that nobody needs any more
    /// is removed.
    pub fn leave(&self) {
        self.left.store(true, Ordering::SeqCst);
        // Where it cannot be done the kernel does it, when the last of those who hold it is gone.
        let _ = self.let_go(IN_LINE);
        let _ = self.let_go(PLACE);
        let _ = touch(self.file());
        // A file that is left is removed by the next who leaves, or a prune.
        let _ = remove_unused(&self.dir, &self.name);
    }

    fn let_go(&self, of: u64) -> io::Result<()> {
        lock::release(self.file(), byte(of, self.ticket))
    }

    /// Whether this task's byte in the range from `base` is held, by whichever process.
    fn has(&self, base: u64) -> io::Result<bool> {
        Ok(lock::any_held(self.eye.as_file(), byte(base, self.ticket))?.is_some())
    }

    fn is_in_line(&self) -> io::Result<bool> {
        Ok(!self.left.load(Ordering::SeqCst) && self.has(IN_LINE)?)
    }

    /// The ticket of the nearest who is in line before this task.
    fn before(&self) -> io::Result<Option<u64>> {
        let nearest = lock::highest_held(self.file(), IN_LINE..IN_LINE + self.ticket)?;
        Ok(nearest.map(|byte| byte - IN_LINE))
    }

    /// The tickets of the others whose byte from `base` on is held.
    fn tickets(&self, base: u64) -> io::Result<BTreeSet<u64>> {
        self.file.held(base).collect()
    }
}

/// The line as it is now; `None` if nobody has needed it, or set a limit for it. Takes nothing and waits for nobody.
///
/// # Errors
/// What the system says, and `InvalidInput` if what is there is no file for this.
pub fn look(dir: &StatusDir, name: &LineName) -> io::Result<Option<LineState>> {
    let Some(file) = LineFile::open(dir, name)? else { return Ok(None) };
    // In this order: a task on its way from the one to the other is seen in at least one of them.
    let waiting = file.held(IN_LINE).collect::<io::Result<BTreeSet<u64>>>()?;
    let holders = file.held(PLACE).collect::<io::Result<BTreeSet<u64>>>()?;
    // An entry that is gone was that of a task that has just left.
    let entry = |ticket: &u64| file.entry(*ticket);
    let waiting = waiting.difference(&holders).filter_map(entry).collect();
    let holders = holders.iter().filter_map(entry).collect();
    let limit = file.limit();
    Ok(Some(LineState {
        limit: limit.unwrap_or(DEFAULT_LIMIT),
        limit_is_set: limit.is_some(),
        holders,
        waiting,
    }))
}

/// Sets how many of a line may run at once. It holds at once for those who wait, and for all who come later; nobody loses the
/// place it has. A line that is not there is made.
///
/// # Errors
/// What the system says; `InvalidInput` for 0, for more than [`MAX_LIMIT`](crate::task::line::MAX_LIMIT), or if what is there is
/// no file for this.
pub fn set_limit(dir: &StatusDir, name: &LineName, limit: u32) -> io::Result<()> {
    loop {
        let file = LineFile::open_or_make(dir, name)?;
        file.set_limit(limit)?;
        // Else it was removed between the two.
        if file.is_in_place()? {
            return Ok(());
        }
    }
}

/// Whether the line's file is there and nobody needs it: nobody is in line or has a place, and no limit is set.
#[must_use]
pub fn is_unused(dir: &StatusDir, name: &LineName) -> bool {
    LineFile::open(dir, name).is_ok_and(|file| file.is_some_and(|file| file.is_unused().unwrap_or(false)))
}

/// Removes the line's file if it [is unused](is_unused): whether it did.
///
/// # Errors
/// What the system says.
pub fn remove_unused(dir: &StatusDir, name: &LineName) -> io::Result<bool> {
    let Some(file) = LineFile::open_existing(dir, name)? else { return Ok(false) };
    // Held while it is looked at and removed: whoever comes finds either a file in place, or none.
    if !file.try_arrival() || !file.is_in_place()? || !file.is_unused()? {
        return Ok(false);
    }
    if !file.remove(dir, name)? {
        return Ok(false);
    }
    match file.limit() {
        None => Ok(true),
        // It was set after the look, by somebody who still saw the file in place.
        Some(limit) => set_limit(dir, name, limit).map(|()| false),
    }
}

/// Where tasks stand in line. Each line is looked at once, when it is first asked about.
#[derive(Debug, Default)]
pub struct Places {
    seen: HashMap<LineName, HashMap<TaskId, u64>>,
}

impl Places {
    /// None has been looked at.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Where `task` stands in line; `None` if it does not, or that cannot be told.
    pub fn of(&mut self, dir: &StatusDir, task: &Task) -> Option<Place> {
        if task.state != State::Queued {
            return None;
        }
        let group = task.record.text(field::GROUP).and_then(|name| LineName::group(name).ok());
        let key = task.record.text(field::KEY).and_then(|key| LineName::key(key).ok());
        group.into_iter().chain(key).find_map(|line| {
            let places = self.seen.entry(line.clone()).or_insert_with(|| numbers(dir, &line));
            let number = *places.get(&task.id)?;
            Some(Place { line, number })
        })
    }
}

fn numbers(dir: &StatusDir, line: &LineName) -> HashMap<TaskId, u64> {
    let waiting = look(dir, line).ok().flatten().map(|state| state.waiting).unwrap_or_default();
    waiting.into_iter().zip(1..).collect()
}

#[cfg(test)]
mod tests;
