//! The files of a task while it runs, and its end: in which order things become true.
//!
//! The log is complete and synced, then the terminal record is written and synced, then the command is reaped, then
//! the front-end is told. A reader that only knows `kill(pid, 0)` so never finds a task that says
//! `running` with its process gone, and one that finds `succeeded` finds the whole log.

use std::time::{Duration, Instant};

use super::control::Phase;
use super::course::Cause;
use super::message::Report;
use super::report::{Status, record};
use super::supervisor::Supervisor;
use crate::failure::io_words;
use crate::store::lockfile::TaskLock;
use crate::store::{load, prune, replace, request};
use crate::sys::child::Usage;
use crate::sys::fork::exit_now;
use crate::sys::time;
use crate::task::outcome::{
    Asked, EXIT_NOT_WANTED, EXIT_TIMED_OUT, NOT_STARTED, StartError, StartStep, signal_name,
};
use crate::task::record::field;
use crate::task::{Exit, Outcome, Record, State, Stream};

/// What stands in the log before output that came after the end.
const LEFT_BEHIND: &str = "the command has ended; what follows comes from processes it left behind";

/// How soon to try again to put files back, if that failed.
const RESTORE_RETRY: Duration = Duration::from_secs(15);

impl Supervisor {
    /// What the record says now.
    pub(super) fn status(&self, end: Option<(Outcome, Usage)>) -> Status {
        let control = self.handover.control;
        // A task that waited for its turn began when its command did.
        let waited = !self.handover.turn.is_now();
        let started = control.started().map(|(_, since_boot)| since_boot).filter(|_| waited);
        let began = started.unwrap_or(self.handover.facts.made);
        let underway = control.is_attempt_underway() || end.is_some();
        let exit = control.exit().filter(|_| end.is_some() && control.is_attempt_underway());
        let ended = exit.map(|(_, _, at)| at);
        let mut warnings = self.handover.warnings.clone();
        if let Some(why) = self.handover.journal.trouble() {
            warnings.push(format!("output is missing in the log: {why}"));
        }
        Status {
            command: control
                .command()
                .filter(|_| underway && control.is_executing())
                .map(|pid| (pid, control.command_start())),
            supervisor: self.me,
            now: time::now(),
            elapsed: ended.unwrap_or_else(time::since_boot).saturating_sub(began),
            queued: end.is_none() && control.wanted_attempt() == 0,
            started_at: control.started().map(|(at, _)| at).filter(|_| waited),
            attempt: control.attempt().max(1),
            request: self.request.clone(),
            sender: self
                .sender
                .filter(|_| end.as_ref().is_some_and(|(outcome, _)| outcome.state == State::Cancelled))
                .filter(|(signal, _)| self.is_passed_on_end(*signal)),
            oom_kills: end.as_ref().and_then(|_| control.oom_kills()),
            bytes: Stream::BOTH.map(|stream| self.to_show(stream)),
            log_bytes: self.handover.journal.size(),
            log_truncated: control.lost() > 0 || self.handover.journal.left_out() > 0,
            log_left_out: self.handover.journal.left_out(),
            progress: self.gauge.progress(),
            units: (self.gauge.units.count(), self.gauge.units.last().map(str::to_owned)),
            silence: self.clocks.silence(time::awake()).filter(|_| self.may_be_silent()),
            longest_silence: self.clocks.started.map(|_| self.clocks.longest),
            tail: self.handover.journal.tail(),
            warnings,
            end,
        }
    }

    /// Whether there is a command that could say something.
    fn may_be_silent(&self) -> bool {
        self.machine.awaits_end() && self.clocks.stopped.is_none()
    }

    /// Whether it was `signal`, passed on from somebody, that asked for the end, and not gco itself since.
    fn is_passed_on_end(&self, signal: i32) -> bool {
        let control = self.handover.control;
        match control.stop() {
            Some(stop) => stop.cause == Cause::Passed && stop.signal == signal,
            None => control.asked_to_end().is_some_and(|(asked, _)| asked == signal),
        }
    }

    /// Has the record written, by the publisher.
    pub(super) fn write_record(&mut self) {
        self.check_files();
        // Somebody may have asked who cannot reach this process.
        self.take_up_request();
        if let Some(trouble) = self.publisher.as_ref().and_then(|publisher| publisher.take_trouble()) {
            self.handover.warn(trouble);
        }
        self.measure(false);
        if self.is_held_up() {
            self.excuse();
        }
        let record = record(&self.handover.facts, &self.status(None));
        let keep = self.handover.retention;
        if let Some(publisher) = &mut self.publisher {
            publisher.write(record);
            if !self.pruned && keep > 0 {
                publisher.prune(keep);
            }
            self.pruned = true;
        }
    }

    /// Writes the record at once: for the front-end that is about to say that the task runs.
    pub(super) fn write_record_now(&mut self) {
        if let Some(publisher) = &self.publisher {
            publisher.finish();
        }
        // What the command has written by now is in this record, and might be in no other for long.
        self.measure(false);
        let record = record(&self.handover.facts, &self.status(None));
        if let Some(tracking) = &self.handover.tracking
            && let Err(error) = replace::replace(&tracking.dir, &self.handover.facts.id, &record)
        {
            self.handover.warn(format!("the record could not be written: {}", io_words(&error)));
        }
        self.machine.wrote_record(Instant::now());
    }

    /// Puts back what others have removed. The record first: a log alone would be removed again.
    pub(super) fn check_files(&mut self) {
        let Some(tracking) = &mut self.handover.tracking else { return };
        let id = &self.handover.facts.id;
        let record_gone = !tracking.dir.record(id).exists();
        let lock_gone = !tracking.lock.is_in_place();
        let log_gone = self.handover.journal.is_unlinked();
        let too_soon = self.restore_due.is_some_and(|due| Instant::now() < due);
        if too_soon || (!record_gone && !lock_gone && !log_gone) {
            return;
        }
        let mut restore = || {
            tracking.dir.restore()?;
            if lock_gone {
                tracking.lock = TaskLock::take(&tracking.dir, id)?;
            }
            Ok::<_, std::io::Error>(())
        };
        let locked = restore();
        if record_gone {
            self.write_record_now();
        }
        let Some(tracking) = &self.handover.tracking else { return };
        let logged = self.handover.journal.restore(&tracking.dir, &self.handover.facts.id);
        if let Err(error) = locked.and(logged) {
            self.handover.warn(format!("files were removed and could not be put back: {}", io_words(&error)));
            // A log may be large: copying it again and again to a full disk is no use to anybody.
            self.restore_due = Some(Instant::now() + RESTORE_RETRY);
        }
    }

    /// How the task ended, once that is known.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        let control = self.handover.control;
        if let Some(error) = control.start_error() {
            return Some(Outcome::not_started(error, self.why_not_started(error)));
        }
        if let Some(why) = self.stopped() {
            // That of an attempt before the pause in which it was told is not how the task ended.
            let exit = control.exit().filter(|_| control.is_attempt_underway());
            return Some(Outcome::stopped(exit.map(|(exit, ..)| exit), &why));
        }
        let (exit, _, at) = control.exit()?;
        let asked =
            control.asked_to_end().map(|(signal, when)| Asked { signal, ago: at.saturating_sub(when) });
        Some(Outcome::of(exit, asked))
    }

    fn why_not_started(&self, error: StartError) -> String {
        let command =
            self.handover.facts.argv.first().map(|arg| String::from_utf8_lossy(arg)).unwrap_or_default();
        let why = io_words(&std::io::Error::from_raw_os_error(error.errno));
        match error.step {
            StartStep::Exec if error.errno == libc::ENOENT => {
                format!("cannot run: '{command}': command not found")
            }
            StartStep::Exec => format!("cannot run: '{command}': {why}"),
            StartStep::Chdir => format!("cannot run: cannot enter '{}': {why}", self.handover.facts.cwd),
            StartStep::Fork => format!("cannot run: '{command}': cannot make a process: {why}"),
        }
    }

    /// The command could not be started.
    pub(super) fn not_started(&mut self) {
        self.start_no_more();
        for stream in Stream::BOTH {
            self.close_source(stream);
        }
        self.machine.ended(Instant::now());
    }

    /// The command has ended.
    pub(super) fn ended(&mut self) {
        if self.will_try_again() {
            // It goes on.
        } else {
            self.tell(&Report::Ending);
            self.stop_typing();
            self.start_no_more();
        }
        let ago = self.handover.control.exit().map(|(.., at)| time::since_boot().saturating_sub(at));
        self.clocks.settle(time::awake().saturating_sub(ago.unwrap_or_default()));
        self.keep_clocks();
        self.count_what_is_owed();
        self.machine.ended(Instant::now());
        for stream in Stream::BOTH {
            self.take(stream);
        }
    }

    /// Makes the end true on disk, in the order that readers rely on.
    pub(super) fn finish(&mut self, left_open: bool) {
        for stream in Stream::BOTH {
            self.flush_part(stream);
        }
        if self.will_try_again() {
            self.rest();
            return;
        }
        self.start_no_more();
        let Some(outcome) = self.outcome() else { return };
        if left_open && self.handover.control.command().is_some() {
            self.handover.warn("a process that the command left behind still holds its output open");
        }
        if let Err(error) = self.handover.journal.sync() {
            self.handover.warn(format!("the log could not be synced to disk: {}", io_words(&error)));
        }
        if let Some(publisher) = &self.publisher {
            publisher.finish();
            if let Some(trouble) = publisher.take_trouble() {
                self.handover.warn(trouble);
            }
        }
        self.check_files();
        self.measure(false);
        let usage = self.handover.control.exit().map(|(_, usage, _)| usage).unwrap_or_default();
        let record = record(&self.handover.facts, &self.status(Some((outcome, usage))));
        if let Some(tracking) = &self.handover.tracking {
            let id = &self.handover.facts.id;
            let written = replace::replace(&tracking.dir, id, &record)
                .and_then(|()| replace::sync_directory(&tracking.dir));
            match written {
                Ok(()) => self.tell_event_ended(record.clone()),
                Err(error) => {
                    let words = io_words(&error);
                    self.final_trouble = Some(format!("cannot write the record of '{id}': {words}"));
                }
            }
        }
        self.handover.control.set_phase(Phase::Final);
        self.have_reaped();
        if let Some(tracking) = self.handover.tracking.as_ref().filter(|_| self.final_trouble.is_none()) {
            // With no end on disk they wait until nobody is left who could put it there.
            tracking.lock.let_waiting_go();
        }
        self.leave_lines();
        self.begin_hook(&record);
        self.begin_rerun();
        self.note_ends();
    }

    /// What a predecessor who wrote the end may not have got to any more.
    pub(super) fn after_the_end(&mut self) {
        self.leave_lines();
        let Some(tracking) = &self.handover.tracking else { return };
        tracking.lock.let_waiting_go();
        if let Ok(record) = load::read_record(&tracking.dir, &self.handover.facts.id) {
            self.not_wanted = self.not_wanted.take().or_else(|| why_not_wanted(&record));
            self.begin_hook(&record);
        }
        self.take_up_hook();
    }

    /// From here on what comes is not the command's: it is logged as such, and its being shown is not waited for.
    pub(super) fn note_ends(&mut self) {
        self.ends_at = Stream::BOTH.map(|stream| self.to_show(stream));
        if Stream::BOTH.into_iter().any(|stream| self.machine.is_open(stream)) {
            self.handover.journal.say_before_more(LEFT_BEHIND);
        }
    }

    /// Tells the front-end that all is over and shown, and lets go of it.
    pub(super) fn tell_end(&mut self) {
        if self.handover.control.phase() >= Phase::Told {
            return;
        }
        if Stream::BOTH.into_iter().all(|stream| !self.machine.is_open(stream)) {
            self.drop_lock();
        }
        if let Some(report) = self.end_report() {
            self.tell_unread();
            self.tidy_seat();
            self.tell(&report);
        }
        self.handover.control.set_phase(Phase::Told);
        self.front_left();
    }

    /// How the task ended, for whoever sits before it.
    pub(super) fn end_report(&mut self) -> Option<Report> {
        let not_started = self.handover.control.start_error();
        let not_started = not_started
            .map(|error| Report::NotStarted { code: error.exit_code(), why: self.why_not_started(error) });
        let not_wanted = self.not_wanted.clone().filter(|_| not_started.is_none());
        let not_started = not_started.or(not_wanted.map(|why| Report::NotStarted {
            code: EXIT_NOT_WANTED,
            why: format!("'{}' was not started: {why}", self.handover.facts.id),
        }));
        not_started.or_else(|| {
            let outcome = self.outcome()?;
            let exit = match (self.handover.control.exit(), outcome.signal, outcome.exit_code) {
                // As the record has it, where gco made it end.
                (_, None, Some(code)) => Exit::Code(code),
                (_, Some(_), Some(EXIT_TIMED_OUT)) => Exit::Code(EXIT_TIMED_OUT),
                (_, Some(signal), _) => Exit::Signal(signal),
                (exit, None, None) => exit.map(|(exit, ..)| exit)?,
            };
            Some(Report::Ended { exit, words: words_for_end(&outcome), trouble: self.final_trouble.clone() })
        })
    }

    /// There is to be no task: its files go, the record first.
    pub(super) fn withdraw(&mut self) {
        if let Some(publisher) = &self.publisher {
            publisher.finish();
        }
        if let Some(tracking) = &self.handover.tracking {
            let id = &self.handover.facts.id;
            for path in [tracking.dir.record(id), tracking.dir.log(id)] {
                // What cannot be removed is cleared away by a prune.
                let _ = std::fs::remove_file(path);
            }
        }
        self.machine.resume_finished();
    }

    fn drop_lock(&mut self) {
        if let Some(tracking) = self.handover.tracking.take() {
            let id = self.handover.facts.id.clone();
            self.retire = Some(tracking.dir.clone());
            request::clear(&tracking.dir, &id);
            tracking.lock.remove(&tracking.dir, &id);
        }
    }

    /// Ends this process, and with it the keeper.
    pub(super) fn leave(&mut self) -> ! {
        self.ring_for_keeper();
        self.drop_lock();
        if let (Some(publisher), true) = (&self.publisher, self.pruned) {
            publisher.at_rest(|| ());
        } else if self.handover.retention > 0
            && let Some(dir) = &self.retire
        {
            // Nobody is left to be told; the next task tries again.
            let _ = prune::retain(dir, self.handover.retention);
        }
        self.handover.control.set_phase(Phase::Over);
        // The keeper sees this process end, which is as good as a bell.
        exit_now(0)
    }
}

/// Why the command was not started, if the record says that it was not wanted any more.
fn why_not_wanted(record: &Record) -> Option<String> {
    record.text(field::ERROR)?.strip_prefix(NOT_STARTED).map(str::to_owned)
}

/// How an end that is not a success is told to the person at the terminal.
fn words_for_end(outcome: &Outcome) -> Option<String> {
    if let (State::Cancelled | State::Failed, Some(error)) = (outcome.state, &outcome.error)
        && !error.starts_with("exit_code=")
        && !error.starts_with("killed by ")
    {
        // What it says is more than how it ended.
        return Some(match outcome.state {
            State::Cancelled => {
                format!("was cancelled: {error}").replace("cancelled: cancelled by", "cancelled by")
            }
            _ => format!("failed: {error}"),
        });
    }
    let how = match (outcome.signal, outcome.exit_code) {
        (Some(signal), _) => format!("killed by {}", signal_name(signal)),
        (None, Some(code)) => format!("exit code {code}"),
        (None, None) => "exit status unknown".to_owned(),
    };
    match outcome.state {
        State::Succeeded => None,
        State::Cancelled => Some(format!("was cancelled: {how}")),
        _ => Some(format!("failed: {how}")),
    }
}
