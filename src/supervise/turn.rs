//! Waiting for one's turn: for other tasks to end, and for a place in a line.
//!
//! The waiting itself is done by a thread, asleep in the kernel until something happens; what comes of it is taken up by the
//! supervisor. A place in line is a lock on an open file that supervisor and keeper hold together, so that neither's death
//! loses it. A keeper from before the file was opened does not hold it, and has nothing to keep yet: it is replaced.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::course::Cause;
use super::message::Report;
use super::supervisor::Supervisor;
use crate::failure::io_words;
use crate::store::events::Kind;
use crate::store::line::{self, Line};
use crate::store::liveness::{self, Here};
use crate::store::load::LoadError;
use crate::store::{StatusDir, Task, load, wait};
use crate::sys::child;
use crate::sys::descriptors::Bell;
use crate::sys::process;
use crate::task::spec::{Queue, Turn};
use crate::task::{State, TaskId};

/// What has come of waiting.
#[derive(Debug)]
enum News {
    /// The task is in this line, and may have to wait there.
    InLine(Arc<Line>, bool),
    /// It is its turn.
    Now,
    /// There is no place, and it is not to be waited for: these have them.
    Refused(Queue, Vec<TaskId>),
    /// It will never be its turn, for this reason.
    Never(String),
}

/// The thread, and what it has to say.
#[derive(Debug)]
pub(super) struct Waiting {
    news: Arc<Mutex<Vec<News>>>,
}

/// What the thread waits for.
struct Waiter {
    dir: StatusDir,
    id: TaskId,
    turn: Turn,
    /// The lines that the task is in already.
    lines: Vec<Arc<Line>>,
    news: Arc<Mutex<Vec<News>>>,
    bell: Bell,
}

impl Supervisor {
    /// Waits for the task's turn, if it has to. Otherwise, and where that is known at once, the first attempt begins.
    pub(super) fn await_turn(&mut self) {
        if self.handover.control.wanted_attempt() > 0 {
            return;
        }
        self.machine.rests();
        let Some(tracking) = &self.handover.tracking else { return };
        let (dir, id) = (tracking.dir.clone(), self.handover.facts.id.clone());
        let news = Arc::new(Mutex::new(Vec::new()));
        let bell = match self.handover.to_supervisor.copy() {
            Ok(bell) => bell,
            Err(error) => return self.give_up(format!("cannot wait for its turn: {}", io_words(&error))),
        };
        let waiter = Waiter {
            dir,
            id,
            turn: self.handover.turn.clone(),
            lines: self.handover.lines.clone(),
            news: Arc::clone(&news),
            bell,
        };
        let builder = thread::Builder::new().name("gco-turn".to_owned()).stack_size(256 << 10);
        match builder.spawn(move || waiter.wait()) {
            Ok(_) => {
                self.waiting = Some(Waiting { news });
                self.is_to_say_queued = self.is_after_others();
            }
            Err(error) => self.give_up(format!("cannot wait for its turn: {}", io_words(&error))),
        }
    }

    fn is_after_others(&self) -> bool {
        let turn = &self.handover.turn;
        !turn.after.is_empty() || !turn.after_any.is_empty()
    }

    /// Whether the task is about to be in a line, which the keeper is to hold as well: it would only be replaced.
    pub(super) fn is_about_to_queue(&self) -> bool {
        self.waiting.is_some() && self.handover.lines.is_empty() && !self.is_after_others()
    }

    /// Takes up what has come of waiting.
    pub(super) fn mind_turn(&mut self) {
        let Some(waiting) = &self.waiting else { return };
        let news = std::mem::take(&mut *waiting.news.lock().unwrap_or_else(PoisonError::into_inner));
        for one in news {
            if self.handover.control.stop().is_some() {
                return;
            }
            match one {
                News::InLine(line, waits) => {
                    self.handover.lines.push(line);
                    self.retire_keeper();
                    self.is_to_say_queued |= waits;
                }
                News::Now => {
                    self.is_to_say_queued = false;
                    self.waiting = None;
                    self.begin_attempt(1);
                }
                News::Refused(queue, holders) => self.refuse(&queue, &holders),
                News::Never(why) => self.give_up(why),
            }
        }
    }

    /// Says that the task waits, to those who want to know: once, not if it is its turn at once, and when there is a keeper
    /// who would take over.
    pub(super) fn say_queued(&mut self) {
        if std::mem::take(&mut self.is_to_say_queued) && !std::mem::replace(&mut self.told_queued, true) {
            self.write_record_now();
            self.tell_event_now(Kind::Queued);
            self.tell(&Report::Queued { words: self.handover.facts.waits_for() });
        }
    }

    /// A keeper that does not hold the line has nothing to keep yet.
    fn retire_keeper(&mut self) {
        let Some(keeper) = self.keeper.take() else { return };
        if let Some(seen) = process::look(keeper.pid()) {
            // One that is gone already is gone.
            let _ = process::signal(keeper.pid(), seen.start, libc::SIGKILL);
        }
        if keeper.is_child() {
            child::reap_now(keeper.pid());
        } else {
            // This process was forked by it, and gets another parent.
            while !keeper.is_gone() {
                thread::park_timeout(Duration::from_millis(1));
            }
        }
    }

    /// It will never be the task's turn.
    fn give_up(&mut self, why: String) {
        self.not_wanted = Some(why);
        self.make_end(Cause::NotWanted, libc::SIGTERM, Duration::ZERO);
    }

    /// There is no place. So there is no task either: its files go.
    fn refuse(&mut self, queue: &Queue, holders: &[TaskId]) -> ! {
        let names: Vec<&str> = holders.iter().map(TaskId::as_str).collect();
        let why = match &names[..] {
            [] => format!("there is no place in {}", queue.name),
            [one] => format!("{} is held by '{one}'", queue.name),
            [first, rest @ ..] if rest.len() > 4 => {
                format!("all places in {} are held: by '{first}' and {} others", queue.name, rest.len())
            }
            all => format!("all places in {} are held: by '{}'", queue.name, all.join("', '")),
        };
        let holder = holders.first().map(ToString::to_string);
        self.leave_lines();
        self.withdraw();
        self.tell(&Report::Refused { why, holder, is_key: !queue.name.is_group() });
        self.leave()
    }

    /// Lets go of the places in line, for those who wait for them.
    pub(super) fn leave_lines(&mut self) {
        for line in self.handover.lines.drain(..) {
            line.leave();
        }
    }
}

impl Waiter {
    fn wait(self) {
        let news = self
            .wait_for_all()
            .unwrap_or_else(|error| News::Never(format!("cannot wait for its turn: {}", io_words(&error))));
        self.tell(news);
    }

    fn tell(&self, news: News) {
        self.news.lock().unwrap_or_else(PoisonError::into_inner).push(news);
        self.bell.ring();
    }

    fn wait_for_all(&self) -> io::Result<News> {
        let here = Here::ask();
        // One that is in line already has been through this.
        if self.lines.is_empty() {
            for (ids, must_succeed) in [(&self.turn.after, true), (&self.turn.after_any, false)] {
                for id in ids {
                    let how = match ended(&self.dir, id, &here) {
                        Ok(Some(State::Succeeded)) => continue,
                        Ok(Some(State::Failed)) => format!("'{id}' failed"),
                        Ok(Some(State::Cancelled)) => format!("'{id}' was cancelled"),
                        Ok(Some(_)) => format!("'{id}' is orphaned"),
                        Ok(None) => format!("'{id}' was removed"),
                        Err(error) => format!("cannot read the record of '{id}': {error}"),
                    };
                    if must_succeed {
                        return Ok(News::Never(how));
                    }
                }
            }
        }
        for (at, queue) in self.turn.queues.iter().enumerate() {
            let line = match self.lines.get(at) {
                Some(line) => Arc::clone(line),
                None => {
                    let line = Arc::new(Line::enter(&self.dir, &queue.name, &self.id, queue.limit)?);
                    if queue.no_wait && !line.has_room()? {
                        let holders = holders(&self.dir, queue, &self.id)?;
                        line.leave();
                        return Ok(News::Refused(queue.clone(), holders));
                    }
                    let waits = !line.try_place()?;
                    self.tell(News::InLine(Arc::clone(&line), waits));
                    line
                }
            };
            if !line.wait_for_place()? {
                return Ok(News::Never(format!("it lost its place in {}", queue.name)));
            }
        }
        Ok(News::Now)
    }
}

/// Who has a place in the line, then who waits for one before this task.
fn holders(dir: &StatusDir, queue: &Queue, me: &TaskId) -> io::Result<Vec<TaskId>> {
    let state = line::look(dir, &queue.name)?;
    let Some(state) = state else { return Ok(Vec::new()) };
    let all = if state.holders.is_empty() { state.waiting } else { state.holders };
    Ok(all.into_iter().filter(|id| id != me).collect())
}

/// Waits until task `id` is over, and its command too, and gives its state: `Orphaned` if nobody knows how it ended, none if
/// it was removed.
fn ended(dir: &StatusDir, id: &TaskId, here: &Here) -> Result<Option<State>, LoadError> {
    let lives_on = |task: &Task| task.state == State::Orphaned && task.is_alive == Some(true);
    loop {
        match wait::until_over(dir, id, here, |_| {})? {
            Some(task) if lives_on(&task) => {
                let command = liveness::command(&task.record, here);
                let lives_on = || load(dir, id, here).is_ok_and(|task| lives_on(&task));
                wait::await_process(command, None, lives_on);
            }
            over => return Ok(over.map(|task| task.state)),
        }
    }
}
