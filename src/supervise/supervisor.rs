//! The supervisor: a thin driver. It waits for descriptors and the machine's deadline, tells the machine what it saw, and
//! does what the machine says is due.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use super::control::{Phase, Request};
use super::echo::Echo;
use super::handover::{Handover, release};
use super::machine::{Action, Machine};
use super::message::{Heard, Order, Report};
use super::publisher::Publisher;
use super::rerun::Rerun;
use super::witness::{self, Sight};
use super::{keeper, setup};
use crate::store::StatusDir;
use crate::sys::child::{self, PidFd};
use crate::sys::fork::{Side, adopt_orphans, exit_now, fork, own_group, own_session, set_name};
use crate::sys::signals::{Queue, block_all, send_to_group};
use crate::sys::start::Inherited;
use crate::sys::{process, time};
use crate::task::outcome::signal_name;
use crate::task::{Spec, Stream};

/// How soon to look again at something that is about to change by itself.
const SOON: Duration = Duration::from_millis(1);

/// The exit code of a supervisor that could not begin.
const COULD_NOT_BEGIN: i32 = 125;

/// A supervisor at work.
#[derive(Debug)]
pub struct Supervisor {
    pub(super) handover: Handover,
    pub(super) machine: Machine,
    pub(super) echoes: [Echo; 2],
    pub(super) publisher: Option<Publisher>,
    /// Showing everything at the end, if that is wanted and under way.
    pub(super) rerun: Option<Rerun>,
    /// What could not be done at the end, for the front-end.
    pub(super) final_trouble: Option<String>,
    /// Retention has been seen to.
    pub(super) pruned: bool,
    pub(super) me: (i32, Option<u64>),
    keeper: Option<Keeper>,
    signals: Option<Queue>,
    /// Signals that came before there was a command.
    pending: Vec<i32>,
    /// The keeper was asked for something and has not been rung for.
    has_asked: bool,
    /// The front-end was told that the command is stopped.
    told_stopped: bool,
    told_started: bool,
    /// Look again at the command soon.
    look_again: bool,
    /// The directory that is still to be tidied once the task is over.
    pub(super) retire: Option<StatusDir>,
    /// What the front-end is to hear in the end instead of how the command ended.
    pub(super) not_started_report: Option<Report>,
    /// Up to where each stream is known to be the command's own, once that has ended.
    pub(super) owed_until: [u64; 2],
    /// When bytes last came, for gathering.
    pub(super) last_take: [Option<Instant>; 2],
}

#[derive(Debug)]
struct Keeper {
    pid: i32,
    process: PidFd,
}

/// The life of a task's first supervisor, in a newly forked process. `announce` is shown before the command starts.
pub fn live(
    spec: &Spec,
    inherited: Inherited,
    track: bool,
    front: OwnedFd,
    front_pid: i32,
    announce: bool,
) -> ! {
    own_session();
    adopt_orphans();
    set_name(c"gco-supervisor");
    block_all();
    if spec.detach {
        release(0);
    }
    let (handover, claimed) = match setup::set_up(spec, inherited, track, front, front_pid) {
        Ok(made) => made,
        // The front-end sees the way to here close without a word, and says that gco failed.
        Err(_) => exit_now(COULD_NOT_BEGIN),
    };
    let report = match claimed {
        setup::Claimed::As(id) => {
            if announce {
                // To a terminal only, and before the command can write anything; if it cannot be shown, so be it.
                let _ = nix::unistd::write(
                    crate::sys::descriptors::standard(2),
                    format!("gco: task {id}\n").as_bytes(),
                );
            }
            Report::Claimed { id: Some(id.to_string()), trouble: None }
        }
        setup::Claimed::Untracked => Report::Claimed { id: None, trouble: None },
        setup::Claimed::Failed(why) => Report::Claimed { id: None, trouble: Some(why) },
    };
    let refused = spec.detach && handover.tracking.is_none();
    if let Some(front) = &handover.front {
        report.send(front.as_fd());
    }
    if refused {
        exit_now(COULD_NOT_BEGIN);
    }
    release(1);
    release(2);
    Supervisor::new(handover).run()
}

/// The life of a supervisor in the place of one that died, in a process newly forked by the keeper.
pub fn take_over(mut handover: Handover) -> ! {
    own_group();
    adopt_orphans();
    set_name(c"gco-supervisor");
    block_all();
    handover.control.count_restart();
    let trouble = setup::recover(&mut handover).err();
    if handover.control.phase() == Phase::Underway {
        handover.journal.say("the supervisor was killed and has been replaced");
        setup::recall_warnings(&mut handover);
        handover.warnings.push("the supervisor was killed and has been replaced".to_owned());
        if let Some(error) = trouble {
            let words = crate::failure::io_words(&error);
            handover.warnings.push(format!("the log could not be taken up again: {words}"));
        }
    }
    let keeper = nix::unistd::getppid().as_raw();
    let mut supervisor = Supervisor::new(handover);
    supervisor.guard_with(keeper);
    supervisor.resume();
    supervisor.run()
}

impl Supervisor {
    fn new(handover: Handover) -> Self {
        let control = handover.control;
        let echo = |stream: Stream| {
            let place = handover.places[stream.index()].as_ref().filter(|_| !control.is_hidden(stream));
            place
                .and_then(|place| Echo::on(control, stream, place.as_fd()).ok())
                .unwrap_or_else(|| Echo::none(control, stream))
        };
        let me = std::process::id().cast_signed();
        let publisher = handover
            .tracking
            .as_ref()
            .map(|tracking| Publisher::new(tracking.dir.clone(), handover.facts.id.clone()));
        let mut supervisor = Self {
            machine: Machine::new(Instant::now(), handover.tracking.is_some()),
            echoes: Stream::BOTH.map(echo),
            publisher,
            rerun: None,
            final_trouble: None,
            pruned: false,
            retire: None,
            not_started_report: None,
            owed_until: [0; 2],
            me: (me, process::look(me).map(|seen| seen.start)),
            keeper: None,
            // Without it the supervisor only hears of the command by other ways.
            signals: Queue::new([libc::SIGTERM, libc::SIGINT, libc::SIGCHLD]).ok(),
            pending: Vec::new(),
            has_asked: false,
            told_stopped: false,
            told_started: false,
            look_again: false,
            last_take: [None; 2],
            handover,
        };
        for stream in Stream::BOTH {
            if supervisor.handover.sources[stream.index()].is_none() {
                supervisor.machine.closed(stream);
            }
        }
        supervisor
    }

    /// Works until there is nothing left to do.
    fn run(mut self) -> ! {
        loop {
            if self.keeper.is_none() && self.make_keeper() == Side::Child {
                let parent = nix::unistd::getppid().as_raw();
                // The publisher's thread does not exist on this side of the fork; its locks were all open.
                let Self { handover, .. } = self;
                keeper::live(handover, parent);
            }
            self.notice();
            let now = Instant::now();
            while let Some(action) = self.machine.due(now) {
                match action {
                    Action::FlushPart(stream) => self.flush_part(stream),
                    Action::WriteRecord => self.write_record(),
                    Action::CheckFiles => self.check_files(),
                    Action::Finish { left_open } => self.finish(left_open),
                    Action::Leave => {}
                }
            }
            if self.show_the_rest() {
                self.tell_end();
                if !Stream::BOTH.into_iter().any(|stream| self.machine.is_open(stream)) {
                    self.leave();
                }
            }
            self.wait();
        }
    }

    /// Takes up what a predecessor left.
    fn resume(&mut self) {
        let control = self.handover.control;
        self.told_started = control.is_executing();
        if self.told_started {
            self.machine.started(Instant::now());
        }
        if control.phase() >= Phase::Final {
            self.machine.ended(Instant::now());
            self.machine.resume_finished();
            self.begin_rerun();
        }
        for stream in Stream::BOTH {
            self.store(stream, Instant::now());
        }
    }

    /// Forks a keeper. While there is no command yet, it starts it.
    fn make_keeper(&mut self) -> Side {
        let forked = match &self.publisher {
            Some(publisher) => publisher.at_rest(fork),
            None => fork(),
        };
        match forked {
            Ok(Side::Child) => return Side::Child,
            Ok(Side::Parent(pid)) => self.guard_with(pid),
            // Out of processes. It is tried again; until then there is one life less.
            Err(_) => self.look_again = true,
        }
        Side::Parent(0)
    }

    fn guard_with(&mut self, pid: i32) {
        // One that is gone already is replaced at the next turn.
        self.keeper = PidFd::open(pid).ok().map(|process| Keeper { pid, process });
    }

    /// Sees what has happened in the control memory: the command's start, stop, end.
    fn notice(&mut self) {
        let control = self.handover.control;
        self.look_again = false;
        self.handover.to_supervisor.silence();
        if !self.told_started && (control.is_executing() || self.lost_starter()) {
            self.started();
        }
        if let Some(error) = control.start_error()
            && !self.machine.is_draining()
            && !self.machine.is_finished()
        {
            self.not_started(error);
        }
        if self.told_started && control.exit().is_none() && !self.is_kept_by_parent() {
            self.look_myself();
        }
        if control.exit().is_some() && !self.machine.is_draining() && !self.machine.is_finished() {
            self.ended();
        }
        let stopped = control.stopped();
        if stopped.is_some() != self.told_stopped {
            self.tell_stopped(stopped);
        }
    }

    /// The keeper that forked the command died before it could say that the program executes.
    fn lost_starter(&self) -> bool {
        let control = self.handover.control;
        control.command().is_some() && control.start_error().is_none() && !self.is_kept_by_parent()
    }

    /// Whether the keeper is the command's parent, who sees what becomes of it.
    fn is_kept_by_parent(&self) -> bool {
        self.keeper.as_ref().is_some_and(|keeper| keeper.pid == self.handover.control.parent())
    }

    fn look_myself(&mut self) {
        let control = self.handover.control;
        let Some(pid) = control.command() else { return };
        if witness::look(control, pid, self.handover.command.as_ref()) == Sight::Soon {
            self.look_again = true;
        }
    }

    fn started(&mut self) {
        let control = self.handover.control;
        self.told_started = true;
        if let Some(pid) = control.command() {
            if self.handover.command.is_none() {
                self.handover.command = PidFd::open(pid).ok();
            }
            if control.command_start().is_none()
                && let Some(seen) = process::look(pid)
            {
                control.set_command_start(seen.start);
            }
        }
        control.set_executing();
        self.handover.command_has_started();
        self.machine.started(Instant::now());
        if self.handover.detach {
            self.write_record_now();
        }
        if self.handover.detach {
            self.tell(&Report::Started);
        }
        for signal in std::mem::take(&mut self.pending) {
            self.pass_on(signal);
        }
    }

    fn tell_stopped(&mut self, stopped: Option<i32>) {
        self.told_stopped = stopped.is_some();
        match stopped {
            Some(signal) => self.tell(&Report::Stopped(signal)),
            None => {
                // It may be stopped itself, because it was told so, and cannot hear.
                if let Some(front) = &self.handover.front_process {
                    front.send(libc::SIGCONT);
                }
            }
        }
    }

    /// Tells the front-end, if there is one.
    pub(super) fn tell(&self, report: &Report) {
        if let Some(front) = &self.handover.front {
            report.send(front.as_fd());
        }
    }

    /// Asks the keeper.
    pub(super) fn ask(&mut self, request: Request) {
        self.handover.control.ask(request);
        self.has_asked = true;
    }

    /// Rings for the keeper, once for all that it was asked since. If this process is killed before, that is a bell, too.
    pub(super) fn ring_for_keeper(&mut self) {
        if std::mem::take(&mut self.has_asked) {
            self.handover.to_keeper.ring();
        }
    }

    /// Has the command reaped, by whoever is its parent.
    pub(super) fn have_reaped(&mut self) {
        self.ask(Request::Reap);
        self.ring_for_keeper();
        if !self.is_kept_by_parent()
            && let Some(pid) = self.handover.control.command()
        {
            child::reap(pid);
        }
        self.handover.command = None;
    }

    /// Passes a signal on to the command's process group.
    fn pass_on(&mut self, signal: i32) {
        let control = self.handover.control;
        let Some(pid) = control.command().filter(|_| self.told_started) else {
            self.pending.push(signal);
            return;
        };
        if control.exit().is_some() {
            return;
        }
        if matches!(signal, libc::SIGINT | libc::SIGTERM | libc::SIGHUP | libc::SIGQUIT) {
            control.set_asked_to_end(signal, time::since_boot());
        }
        send_to_group(pid, signal);
    }

    /// Waits for something to happen, and deals with what the descriptors say.
    fn wait(&mut self) {
        self.ring_for_keeper();
        let mut ready = Vec::with_capacity(10);
        let failed = {
            let mut fds = Vec::with_capacity(10);
            self.watched(&mut fds, &mut ready);
            let result = poll(&mut fds, self.timeout());
            for (fd, (_, events)) in fds.iter().zip(&mut ready) {
                *events = fd.revents().unwrap_or(PollFlags::empty());
            }
            result.is_err_and(|error| error != Errno::EINTR)
        };
        if failed {
            // Out of memory for the moment.
            std::thread::sleep(SOON);
        }
        for (what, events) in ready {
            if !events.is_empty() {
                self.happened(what, events);
            }
        }
        // Before anything else is done: somebody may wait for the end of a stream.
        self.ring_for_keeper();
    }

    fn timeout(&self) -> PollTimeout {
        let soon = self.look_again.then(|| Instant::now() + SOON);
        let Some(deadline) = self.machine.deadline().into_iter().chain(soon).min() else {
            return PollTimeout::NONE;
        };
        // Rounded up: a poll that returns too early only turns in vain.
        let millis = deadline.saturating_duration_since(Instant::now()).as_micros().div_ceil(1000);
        PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
    }

    fn watched<'a>(&'a self, fds: &mut Vec<PollFd<'a>>, ready: &mut Vec<(Watched, PollFlags)>) {
        let mut watch = |fd: BorrowedFd<'a>, flags: PollFlags, what: Watched| {
            fds.push(PollFd::new(fd, flags));
            ready.push((what, PollFlags::empty()));
        };
        let read = PollFlags::POLLIN;
        watch(self.handover.to_supervisor.as_fd(), read, Watched::Bell);
        if let Some(signals) = &self.signals {
            watch(signals.as_fd(), read, Watched::Signals);
        }
        if let Some(keeper) = &self.keeper {
            watch(keeper.process.as_fd(), read, Watched::Keeper);
        }
        if let Some(front) = &self.handover.front {
            watch(front.as_fd(), read, Watched::Front);
        }
        if !self.is_kept_by_parent()
            && !self.look_again
            && self.handover.control.exit().is_none()
            && let Some(command) = &self.handover.command
        {
            watch(command.as_fd(), read, Watched::Bell);
        }
        for stream in Stream::BOTH {
            let n = stream.index();
            if let Some(source) = &self.handover.sources[n]
                && !self.handover.spools[n].is_full()
            {
                watch(source.as_fd(), read, Watched::Source(stream));
            }
            if let Some(place) = self.echoes[n].pollable() {
                let flags = if self.wants_to_show(stream) { PollFlags::POLLOUT } else { PollFlags::empty() };
                watch(place, flags, Watched::Place(stream));
            }
        }
    }

    fn happened(&mut self, what: Watched, events: PollFlags) {
        match what {
            // What rang it is looked at each turn.
            Watched::Bell => {}
            Watched::Signals => {
                while let Some(arrived) = self.signals.as_ref().and_then(Queue::next) {
                    if arrived.signal != Signal::SIGCHLD as i32 {
                        self.pass_on(arrived.signal);
                    }
                }
                self.reap_strangers();
            }
            Watched::Keeper => self.keeper_died(),
            Watched::Front => self.hear(),
            Watched::Source(stream) => self.take(stream),
            Watched::Place(stream) => self.place_changed(stream, events),
        }
    }

    /// Orphans of the command that fell to this process are its to reap.
    fn reap_strangers(&self) {
        let keeper = self.keeper.as_ref().map_or(0, |keeper| keeper.pid);
        let command = self.handover.control.command().unwrap_or(0);
        child::reap_all_but(&[keeper, command]);
    }

    fn keeper_died(&mut self) {
        let control = self.handover.control;
        if let Some(keeper) = self.keeper.take() {
            child::reap(keeper.pid);
        }
        if control.phase() == Phase::Underway {
            let words = "the keeper was killed and has been replaced";
            self.handover.journal.say(words);
            self.handover.warnings.push(words.to_owned());
            self.machine.changed();
        }
        // If the command has been forked already it is about to say who it is. If not, the next keeper forks it.
        while control.command().is_none() && control.start_error().is_none() && child::has_any() {
            std::thread::sleep(SOON);
        }
        if let Some(pid) = control.command()
            && self.handover.command.is_none()
            && control.exit().is_none()
        {
            self.handover.command = PidFd::open(pid).ok();
        }
    }

    /// Hears what the front-end says.
    fn hear(&mut self) {
        loop {
            let Some(front) = &self.handover.front else { return };
            match Order::hear(front.as_fd()) {
                Heard::Message(Order::Pass(signal)) => self.pass_on(signal),
                Heard::Message(Order::Close(stream)) => self.close_source(stream),
                Heard::Nothing => return,
                Heard::Gone => {
                    self.front_left();
                    return;
                }
            }
        }
    }

    /// The front-end is gone: whoever waits for the end of what it showed must not wait for the task.
    pub(super) fn front_left(&mut self) {
        self.handover.front = None;
        self.handover.front_process = None;
        self.ask(Request::CloseFront);
        for stream in Stream::BOTH {
            self.stop_showing(stream);
        }
        self.rerun = None;
    }

    /// The words for an end that is not a success.
    pub(super) fn words_for_end(&self, error: &str) -> String {
        match self.handover.control.exit() {
            Some((crate::task::Exit::Signal(signal), ..)) => format!("killed by {}", signal_name(signal)),
            _ => error.replace("exit_code=", "exit code "),
        }
    }
}

/// What a descriptor is watched for.
#[derive(Debug, Clone, Copy)]
enum Watched {
    Bell,
    Signals,
    Keeper,
    Front,
    Source(Stream),
    Place(Stream),
}
