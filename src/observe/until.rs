//! Going along with one task until something comes to pass: a line of its output, progress, silence, its end.
//!
//! In this order: first the state is looked up, then all that has come into the log is looked at, and only then does what
//! was looked up count. So a line that the task wrote last is seen before its end.

use std::fs::File;
use std::io;
use std::mem;
use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime};

use super::ends::orphaned;
use super::{Following, News, Subject, Verdict};
use crate::failure::{Failure, io_words};
use crate::log::ReadAt;
use crate::log::format::Tag;
use crate::log::replay::Entry;
use crate::log::search::{Found, Search};
use crate::store::handle::Handle;
use crate::store::load::Now;
use crate::store::wait::{LOCK_DELAY, comes_late};
use crate::store::{Task, liveness};
use crate::sys::descriptors::null;
use crate::sys::watch::Watch;
use crate::task::State;
use crate::task::condition::{Condition, Kind, has_reached};

/// What ended the wait.
#[derive(Debug)]
pub enum Reached {
    /// This condition, by its place, with the line that matched.
    Condition(usize, Option<String>),
    /// The task's end.
    End(Verdict),
    /// The time that was given.
    Timeout,
}

/// How a wait ended, and what was seen last.
#[derive(Debug)]
pub struct Halted {
    /// What ended it.
    pub reached: Reached,
    /// The task.
    pub task: Option<Box<Task>>,
    /// Its log, which may have lost its name.
    pub log: Option<File>,
    /// How many bytes of the log were gone before they could be looked at.
    pub left_out: u64,
}

/// Somebody who goes along with a wait.
pub trait Companion {
    /// Hears what comes in the log, gco's own words included.
    fn hears(&mut self, entry: &Entry<'_>);

    /// Whether to go on waiting. `task` is what was seen of it last.
    fn stays(&mut self, task: Option<&Task>) -> bool;

    /// How long it need not be asked that.
    fn patience(&self) -> Duration;
}

/// Nobody: the wait goes on.
impl Companion for () {
    fn hears(&mut self, _: &Entry<'_>) {}

    fn stays(&mut self, _: Option<&Task>) -> bool {
        true
    }

    fn patience(&self) -> Duration {
        Duration::MAX
    }
}

/// Waits until one of `conditions` holds, the task is over, or it is `deadline`. Output counts from `offset` in the log on, the
/// start of a log line. A `companion` that does not stay ends the wait as the deadline does.
///
/// # Errors
/// The log or the record cannot be read.
pub fn until(
    subject: &Subject<'_>,
    conditions: &[Condition],
    offset: u64,
    deadline: Option<Instant>,
    companion: &mut impl Companion,
) -> Result<Halted, Failure> {
    let mut watch = Watch::new(subject.dir.path(), subject.names());
    let mut following = Following::begin(subject, &mut watch)?;
    following.go_to(offset);
    let there = following.log().and_then(|log| log.size().ok()).unwrap_or(0);
    let mut watcher = Watcher::new(conditions, there);
    let (reached, task) = go_along(subject, &mut watcher, deadline, &mut following, &mut watch, companion)?;
    Ok(Halted { reached, task, log: following.into_log(), left_out: watcher.left_out })
}

fn go_along(
    subject: &Subject<'_>,
    watcher: &mut Watcher<'_>,
    deadline: Option<Instant>,
    following: &mut Following,
    watch: &mut Watch,
    companion: &mut impl Companion,
) -> Result<(Reached, Option<Box<Task>>), Failure> {
    let nobody = null().map_err(|error| cannot(subject, &error))?;
    let mut last_seen = None;
    let mut handle = None;
    let mut state_again = false;
    let mut is_first = true;
    let mut was_live = false;
    loop {
        let now = following.look(subject).map_err(|error| subject.unreadable_record(&error))?;
        let mut found = watcher.read(subject, following, deadline, companion)?;
        if found.is_none() && following.turn(subject, watch)? {
            found = watcher.read(subject, following, deadline, companion)?;
        }
        if mem::take(&mut is_first) {
            // What was there already has not come now.
            watcher.heard = written_at(following);
        }
        if let Some(found) = found {
            return Ok((found, seen(now).or(last_seen)));
        }
        let is_live = matches!(now, Now::Live(_));
        match now {
            // It is given until the next look.
            Now::Over(Some(task)) if was_live && comes_late(&task) => last_seen = Some(task),
            Now::Over(None) => return Ok((Reached::End(Verdict::Removed), None)),
            Now::Over(Some(task)) => {
                let again = Some(task.clone());
                let verdict = match task.state {
                    State::Orphaned => orphaned(subject, task, handle.as_ref()),
                    _ => Verdict::Ended(task),
                };
                return Ok((Reached::End(verdict), again));
            }
            Now::Live(task) => last_seen = task.or(last_seen),
        }
        was_live = is_live;
        // Its exit status may be wanted when nobody is left who knows it.
        let command = last_seen.as_ref().and_then(|task| liveness::command(&task.record, subject.here));
        Handle::keep(&mut handle, command);
        if let Some(at) = last_seen.as_ref().and_then(|task| watcher.progress(task)) {
            return Ok((Reached::Condition(at, None), last_seen));
        }
        // What is written to the log alone says nothing about the state.
        loop {
            if let Some(at) = watcher.silence(Instant::now()) {
                return Ok((Reached::Condition(at, None), last_seen));
            }
            if deadline.is_some_and(|deadline| deadline <= Instant::now())
                || !companion.stays(last_seen.as_deref())
            {
                return Ok((Reached::Timeout, last_seen));
            }
            let most = if state_again { LOCK_DELAY } else { following.patience() }.min(companion.patience());
            let due = deadline.into_iter().chain(watcher.silent_at());
            let left = due.map(|due| due.saturating_duration_since(Instant::now()));
            let wake = watch
                .wait(left.chain([most]).min().unwrap_or(most), nobody.as_fd())
                .map_err(|error| cannot(subject, &error))?;
            if wake.names || !wake.file {
                state_again = wake.names;
                break;
            }
            if let Some(found) = watcher.read(subject, following, deadline, companion)? {
                return Ok((found, last_seen));
            }
        }
    }
}

fn seen(now: Now) -> Option<Box<Task>> {
    match now {
        Now::Live(task) | Now::Over(task) => task,
    }
}

fn cannot(subject: &Subject<'_>, error: &io::Error) -> Failure {
    Failure::failed(format!("cannot wait for '{}': {}", subject.id, io_words(error)))
}

/// When the log was last written to; now if that cannot be told.
fn written_at(following: &Following) -> Instant {
    let now = Instant::now();
    let written = following.log().and_then(|log| log.metadata().ok()?.modified().ok());
    // A time in the future says nothing about how long ago it was.
    let age = written.and_then(|at| SystemTime::now().duration_since(at).ok()).unwrap_or_default();
    now.checked_sub(age).unwrap_or(now)
}

/// Looks at what comes.
struct Watcher<'a> {
    conditions: &'a [Condition],
    search: Search,
    /// Which condition each expression belongs to.
    searched: Vec<usize>,
    heard: Instant,
    /// How long the log was when the wait began.
    there: u64,
    left_out: u64,
}

impl<'a> Watcher<'a> {
    fn new(conditions: &'a [Condition], there: u64) -> Self {
        let mut expressions = Vec::new();
        let mut searched = Vec::new();
        for (at, condition) in conditions.iter().enumerate() {
            if let Kind::Match(expression) = &condition.kind {
                expressions.push(expression.clone());
                searched.push(at);
            }
        }
        Self {
            conditions,
            search: Search::new(expressions),
            searched,
            heard: Instant::now(),
            there,
            left_out: 0,
        }
    }

    /// Looks at what there is in the log, up to a line that matches. At `deadline` it stops: a command may write faster than
    /// this looks, and then there is no end of it. What was there when the wait began is looked at in any case.
    fn read(
        &mut self,
        subject: &Subject<'_>,
        following: &mut Following,
        deadline: Option<Instant>,
        companion: &mut impl Companion,
    ) -> Result<Option<Reached>, Failure> {
        while let Some(news) = following.next(subject)? {
            let News::Entry(entry) = news else { continue };
            if entry.offset >= self.there && deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Ok(Some(Reached::Timeout));
            }
            companion.hears(&entry);
            if entry.tag == Some(Tag::Gco) {
                if let Some(left_out) = entry.left_out {
                    self.left_out += left_out.bytes;
                    self.search.push(&entry);
                }
                continue;
            }
            self.heard = Instant::now();
            if let Some(Found { which, line }) = self.search.push(&entry) {
                let at = self.searched.get(which).copied().unwrap_or_default();
                return Ok(Some(Reached::Condition(at, Some(line))));
            }
        }
        Ok(None)
    }

    fn progress(&self, task: &Task) -> Option<usize> {
        self.conditions.iter().position(|condition| match condition.kind {
            Kind::Progress(percent) => has_reached(&task.record, percent),
            _ => false,
        })
    }

    fn spans(&self) -> impl Iterator<Item = (usize, Duration)> {
        self.conditions.iter().enumerate().filter_map(|(at, condition)| match condition.kind {
            Kind::Silent(span) => Some((at, span)),
            _ => None,
        })
    }

    /// When the first silence is long enough.
    fn silent_at(&self) -> Option<Instant> {
        self.spans().filter_map(|(_, span)| self.heard.checked_add(span)).min()
    }

    fn silence(&self, now: Instant) -> Option<usize> {
        let long_enough = |span: Duration| now.saturating_duration_since(self.heard) >= span;
        self.spans().find(|(_, span)| long_enough(*span)).map(|(at, _)| at)
    }
}
