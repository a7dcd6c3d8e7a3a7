//! Making a task end: its command is told to, and after a while what is left of its processes is killed, until there is nothing
//! left.
//!
//! Whatever a command has started is below supervisor or keeper, because both adopt orphans: no change of session or
//! group and no double fork leads out of there. A process that forks faster than it is looked at is killed in the end
//! because looking costs less than forking, and because one that has been killed forks no more. The end of the task is
//! put off until it is known that nothing is left.

use std::time::{Duration, Instant};

use super::control::Request as Ask;
use super::course::{Cause, Stop};
use super::limits::{Limits, Over};
use super::spool::Spool;
use super::supervisor::Supervisor;
use crate::store::request;
use crate::sys::child::{self, Relative};
use crate::sys::signals::send_to_group;
use crate::sys::time::{awake, instant_at};
use crate::sys::tree::{self, Member};
use crate::sys::{process, time};
use crate::task::outcome::{Stopped, signal_name};
use crate::task::{Stream, span};

/// How often in a row nothing must have been found where the kernel does not tell for sure.
const SURE: u32 = 3;
/// How long one go of killing takes at most.
const GO: Duration = Duration::from_millis(3);
/// Between two goes, in the beginning,
const SOON: Duration = Duration::from_millis(1);
/// which lasts this long,
const BEGINNING: Duration = Duration::from_secs(3);
/// and later: what cannot be killed now (it waits for a disk) may take its time.
const LATER: Duration = Duration::from_millis(100);
/// How often is looked whether anything is left while it is given time to end.
const WATCH: Duration = Duration::from_millis(25);
/// How long supervisors of other tasks below this one are spared: they end by themselves once their commands have been killed, and
/// have written down how.
pub(super) const SPARE_OTHERS: Duration = Duration::from_secs(3);

/// What has been seen of the processes that are to go.
#[derive(Debug, Clone, Default)]
pub(super) struct Going {
    /// When to look again, and how long after the look before.
    due: Option<Instant>,
    pause: Duration,
    /// How often in a row nothing was left.
    empty: u32,
    /// Those that belong to somebody else and cannot be signalled.
    untouchable: Vec<i32>,
    /// Supervisor and keeper run before all ordinary processes.
    precedes: bool,
}

impl Going {
    fn at(due: Instant) -> Self {
        Self { due: Some(due), ..Self::default() }
    }

    /// When to look again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due
    }
}

impl Supervisor {
    /// Looks whether somebody asks for the task's end.
    pub(super) fn take_up_request(&mut self) {
        if self.is_too_late() {
            return;
        }
        let Some(tracking) = &self.handover.tracking else { return };
        let Some(request) = request::take_up(&tracking.dir, &self.handover.facts.id) else { return };
        if self.handover.control.request_at() == request.at {
            return;
        }
        self.handover.control.set_request_at(request.at);
        let (signal, grace) = (request.signal, request.grace);
        self.request = Some(request);
        self.make_end(Cause::Cancelled, signal, grace);
    }

    /// Makes the command end. Asked again it may end sooner, never later.
    pub(super) fn make_end(&mut self, cause: Cause, signal: i32, grace: Duration) {
        if self.is_too_late() {
            return;
        }
        let control = self.handover.control;
        let grace = if signal == libc::SIGKILL { Duration::ZERO } else { grace };
        let kill_at = awake().saturating_add(grace);
        let stop = match control.stop() {
            None => Stop { cause, signal, kill_at },
            Some(earlier) => {
                // What a limit has ended may still be cancelled, so that it is not tried again.
                let cause = if earlier.cause == Cause::Silent { cause } else { earlier.cause };
                Stop { cause, signal, kill_at: kill_at.min(earlier.kill_at) }
            }
        };
        control.set_stop(stop);
        if let Some(why) = self.stopped() {
            let is_told = self.is_there_a_command() && !matches!(cause, Cause::Passed | Cause::NotWanted);
            let told = match cause {
                Cause::TimedOut | Cause::Silent if is_told => format!(": {}", signal_name(signal)),
                _ => String::new(),
            };
            let then = match signal {
                libc::SIGKILL => String::new(),
                _ if !is_told => String::new(),
                _ if grace.is_zero() => ", and SIGKILL at once".to_owned(),
                _ => format!(", and SIGKILL after {}", span::exact(grace)),
            };
            self.handover.journal.say(&format!("{}{told}{then}", why.words()));
        }
        self.machine.changed();
        self.go_on_ending();
    }

    /// Whether there is a command, or is about to be: its turn has come, and it is no pause between two attempts.
    fn is_there_a_command(&self) -> bool {
        let control = self.handover.control;
        control.is_attempt_underway() || control.is_attempt_coming()
    }

    /// Whether the command has ended without having been told to, for good: that is how it ended.
    fn is_too_late(&self) -> bool {
        let by_itself = !self.machine.awaits_end() && self.handover.control.stop().is_none();
        self.machine.is_finished() || (by_itself && !self.will_try_again())
    }

    /// Takes up ending where it is: by a predecessor, or from its begin.
    pub(super) fn go_on_ending(&mut self) {
        let control = self.handover.control;
        let Some(stop) = control.stop() else { return };
        if !self.is_there_a_command() {
            // There is no command: its turn has not come, or it is the pause between two attempts.
            self.waiting = None;
            self.machine.ended(Instant::now());
            return;
        }
        if stop.cause == Cause::Passed {
            // It came after the end of an attempt: there is nobody to tell, and no other attempt.
            return;
        }
        self.machine.mind_tree(true);
        self.going = Going::at(Instant::now());
        if control.command().is_some() && !control.is_stop_told() {
            // Killing has rules of its own: see `kill_the_rest`.
            if stop.signal != libc::SIGKILL {
                self.tell_tree(stop.signal);
            }
            control.set_stop_told();
        }
    }

    /// Tells all of the command's processes to end, and those that are stopped to go on.
    fn tell_tree(&mut self, signal: i32) {
        self.wake_keeper();
        let control = self.handover.control;
        let members = self.tree();
        // The group in one step, so that a process cannot be born between the looks; the others one by one.
        let group = control.command().filter(|_| control.exit().is_none());
        if let Some(group) = group {
            send_to_group(group, signal);
        }
        for member in &members {
            if Some(member.seen.group) != group {
                // One that is gone, or is somebody else's, is seen to later.
                let _ = member.signal(signal);
            }
            if member.seen.stopped {
                let _ = member.signal(libc::SIGCONT);
            }
        }
    }

    /// A keeper that somebody has stopped sees nothing of its command's end.
    fn wake_keeper(&self) {
        if let Some(pid) = self.keeper.as_ref().map(Relative::pid)
            && let Some(seen) = process::look(pid).filter(|seen| seen.stopped)
        {
            let _ = process::signal(pid, seen.start, libc::SIGCONT);
        }
    }

    /// gco's own processes that adopt what the command leaves behind.
    fn adopters(&self) -> Vec<i32> {
        let (me, _) = self.me;
        [Some(me), self.keeper.as_ref().map(Relative::pid)].into_iter().flatten().collect()
    }

    /// Those below them that are not to go, or stay until they are reaped in their own time.
    fn known(&self) -> Vec<i32> {
        let hook = self.hook.as_ref().map(super::hook::Running::pid);
        self.adopters().into_iter().chain(hook).chain(self.handover.control.command()).collect()
    }

    /// The command, if it has not ended.
    fn command(&self) -> Option<Member> {
        let control = self.handover.control;
        let pid = control.command().filter(|_| control.exit().is_none())?;
        let seen = process::look(pid).filter(|seen| !seen.zombie)?;
        control.command_start().is_none_or(|start| start == seen.start).then_some(Member { pid, seen })
    }

    /// The processes of the command that have not ended.
    fn tree(&self) -> Vec<Member> {
        let command = self.command();
        let mut roots = self.adopters();
        // One that supervisor and keeper have lost to somebody else is not below them.
        roots.extend(command.map(|one| one.pid));
        let spared: Vec<i32> = self.known();
        let mut members = tree::below(&roots, &spared);
        members.extend(command);
        if let Some(family) = &self.handover.family {
            let known: Vec<i32> = members.iter().map(|one| one.pid).chain(spared).collect();
            members.extend(family.members().into_iter().filter(|one| !known.contains(&one.pid)));
        }
        members
    }

    /// Looks after the processes that are to go, if it is time to.
    pub(super) fn mind_the_tree(&mut self) {
        let control = self.handover.control;
        let Some(stop) = control.stop() else { return };
        let ended = control.exit().is_some() || control.start_error().is_some();
        if self.going.due.is_none_or(|due| due > Instant::now() && !ended) {
            return;
        }
        let killing = awake().checked_sub(stop.kill_at);
        if let Some(since) = killing {
            self.wake_keeper();
            // Against processes that fork and end by the thousand: one has to look, the other to reap, faster than they.
            self.take_precedence(since < BEGINNING);
            let others = if since < SPARE_OTHERS { self.others() } else { Vec::new() };
            let began = Instant::now();
            while began.elapsed() < GO {
                self.kill_the_newest(&others);
            }
            self.kill_the_rest(&others);
        }
        if ended && self.is_over() {
            self.take_precedence(false);
            self.going = Going::default();
            self.machine.mind_tree(false);
            // Nobody holds the streams any more: their ends are there to be seen.
            for stream in Stream::BOTH {
                self.take(stream);
            }
            self.count_what_is_owed();
            return;
        }
        let pause = match killing {
            None => {
                // Most end soon when they are told to.
                self.going.pause = (self.going.pause * 2).clamp(SOON, WATCH);
                stop.kill_at.saturating_sub(awake()).clamp(SOON, self.going.pause)
            }
            Some(since) if since < BEGINNING => SOON,
            Some(_) => LATER,
        };
        self.going.due = Some(Instant::now() + pause);
    }

    fn take_precedence(&mut self, takes: bool) {
        if takes != self.going.precedes {
            self.going.precedes = takes;
            for pid in self.adopters() {
                process::take_precedence(pid, takes);
            }
        }
    }

    /// Supervisors of other tasks below this one.
    fn others(&self) -> Vec<i32> {
        self.tree().iter().filter(|one| is_one_of_ours(one)).map(|one| one.pid).collect()
    }

    /// Those that are not to be killed: gco's own, and `others`.
    fn spared(&self, others: &[i32]) -> Vec<i32> {
        let command = self.command().map(|one| one.pid);
        let mut spared = self.known();
        spared.retain(|pid| Some(*pid) != command);
        spared.extend(others);
        spared
    }

    /// Kills the command, and what has been forked last, before it forks again.
    fn kill_the_newest(&self, others: &[i32]) {
        if let Some(command) = self.command() {
            // One that is gone, or is another user's, is seen to by the slower way.
            let _ = command.signal(libc::SIGKILL);
        }
        let spared = self.spared(others);
        for root in self.adopters() {
            tree::strike(root, &spared);
        }
    }

    /// Kills all that is left, and notes what cannot be killed.
    fn kill_the_rest(&mut self, others: &[i32]) {
        for member in self.tree() {
            if !others.contains(&member.pid)
                && let Err(error) = member.signal(libc::SIGKILL)
                && error.raw_os_error() == Some(libc::EPERM)
                && !self.going.untouchable.contains(&member.pid)
            {
                self.going.untouchable.push(member.pid);
                let pid = member.pid;
                self.handover.warn(format!("process {pid} belongs to another user and could not be ended"));
            }
        }
    }

    /// Whether nothing is left of the command's processes, but for what cannot be ended.
    fn is_over(&mut self) -> bool {
        let known = self.known();
        child::reap_the_rest(&known);
        let known: Vec<i32> = known.into_iter().chain(self.going.untouchable.iter().copied()).collect();
        let untouchable = &self.going.untouchable;
        let is_left = |members: Vec<Member>| members.iter().any(|one| !untouchable.contains(&one.pid));
        match tree::is_bare(&self.adopters(), &known) {
            Some(false) => false,
            Some(true) if untouchable.is_empty() && self.handover.family.is_none() => {
                self.command().is_none()
            }
            _ => {
                self.going.empty = if is_left(self.tree()) { 0 } else { self.going.empty + 1 };
                self.going.empty >= SURE
            }
        }
    }

    /// Why gco made the command end, if it did.
    pub(super) fn stopped(&self) -> Option<Stopped> {
        let stop = self.handover.control.stop()?;
        let limits = &self.handover.limits;
        Some(match stop.cause {
            Cause::Cancelled => {
                let by = self.request.as_ref().map(|request| request.by(&self.handover.facts.host));
                let signal = self.request.as_ref().map_or(stop.signal, |request| request.signal);
                Stopped::Cancelled { signal, by }
            }
            Cause::Passed => Stopped::Cancelled { signal: stop.signal, by: None },
            Cause::TimedOut => Stopped::TimedOut(limits.timeout.unwrap_or_default()),
            Cause::Silent => Stopped::Silent(limits.stall.unwrap_or_default()),
            Cause::NotWanted => Stopped::NotWanted(self.not_wanted.clone().unwrap_or_default()),
        })
    }

    /// When a limit is reached if nothing happens.
    pub(super) fn limit_due(&self) -> Option<Instant> {
        let next = self.clocks.next(&self.limits()).filter(|_| self.machine.awaits_end());
        next.map(|(at, _)| instant_at(at))
    }

    /// The limits that still count.
    fn limits(&self) -> Limits {
        let limits = self.handover.limits;
        if self.handover.control.stop().is_none() {
            limits
        } else {
            Limits { leave: limits.leave, ..Limits::default() }
        }
    }

    /// Sees to the limits that are reached.
    pub(super) fn mind_limits(&mut self) {
        while self.machine.awaits_end()
            && let Some((at, over)) = self.clocks.next(&self.limits())
            && at <= awake()
        {
            let grace = self.handover.grace;
            match over {
                Over::Timeout => self.make_end(Cause::TimedOut, libc::SIGTERM, grace),
                Over::Stall if self.is_held_up() => self.excuse(),
                Over::Stall => self.make_end(Cause::Silent, libc::SIGTERM, grace),
                Over::Stay => {
                    self.handover.limits.leave = None;
                    self.let_front_go();
                }
            }
        }
    }

    /// Whether what the command writes waits for a slow reader.
    pub(super) fn is_held_up(&self) -> bool {
        self.handover.spools.iter().any(Spool::is_full)
    }

    /// Notes whether the command is stopped: such time counts towards no limit.
    pub(super) fn note_stopped(&mut self, stopped: bool) {
        if stopped != self.clocks.stopped.is_some() {
            self.clocks.set_stopped(stopped, awake());
            self.keep_clocks();
            self.machine.changed();
        }
    }

    /// The command has written something.
    pub(super) fn heard(&mut self) {
        self.clocks.hear(awake());
        self.keep_clocks();
    }

    /// What the command writes waits, or has waited, for a slow reader: it was not silent.
    pub(super) fn excuse(&mut self) {
        self.clocks.excuse(awake());
        self.keep_clocks();
    }

    /// Puts the clocks where a successor finds them.
    pub(super) fn keep_clocks(&self) {
        self.handover.control.set_clocks(&self.clocks);
    }

    /// Notes that an attempt has begun.
    pub(super) fn note_start(&mut self) {
        if self.handover.control.started().is_none() {
            self.handover.control.set_started(time::now(), time::since_boot());
            self.handover.control.keep_oom_kills();
        }
        self.clocks.start(awake());
        self.keep_clocks();
    }

    /// Has the keeper let go of what would start the command once more.
    pub(super) fn start_no_more(&mut self) {
        self.handover.close_start();
        self.ask(Ask::CloseStart);
    }
}

/// Whether a process is one of those that supervise a task, by its name. One that only calls itself so gains a moment.
pub(super) fn is_one_of_ours(one: &Member) -> bool {
    one.name().is_some_and(|name| matches!(name.as_str(), "gco-supervisor" | "gco-keeper" | "gco-session"))
}
