//! The supervisor: a thin driver. It waits for descriptors and the machine's deadline, tells the machine what it saw, and
//! does what the machine says is due.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use super::control::{Phase, Request};
use super::course::Cause;
use super::display::Display;
use super::echo::Echo;
use super::handover::Handover;
use super::hook::Running;
use super::limits::Clocks;
use super::machine::{Action, Machine};
use super::message::{Heard, Order, Report};
use super::publisher::Publisher;
use super::pump::Pace;
use super::rerun::Rerun;
use super::stage::Known;
use super::stopping::Going;
use super::turn::Waiting;
use super::{keeper, setup};
use crate::failure::io_words;
use crate::gauge::Gauge;
use crate::store::StatusDir;
use crate::store::request::{self, Request as Wish};
use crate::store::told::Told;
use crate::sys::child::Relative;
use crate::sys::fork::{Side, adopt_orphans, own_group, set_name};
use crate::sys::process;
use crate::sys::signals::{Queue, Sender, block_all};
use crate::task::Stream;
use crate::task::screen::Screen;

/// The signal that has a supervisor look for what is asked of it.
pub const LOOK: i32 = libc::SIGUSR1;

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
    pub(super) keeper: Option<Relative>,
    /// When to try again to make a keeper, if that could not be done.
    pub(super) keeper_due: Option<Instant>,
    pub(super) signals: Option<Queue>,
    /// Signals that came before there was a command.
    pub(super) pending: Vec<i32>,
    /// The front-end was told that the command is stopped.
    pub(super) told_stopped: bool,
    /// The keeper was asked for something and has not been rung for.
    has_asked: bool,
    pub(super) told_started: bool,
    /// Look again at the command soon.
    pub(super) look_again: bool,
    /// The directory that is still to be tidied once the task is over.
    pub(super) retire: Option<StatusDir>,
    /// When to try again to put files back, if that failed.
    pub(super) restore_due: Option<Instant>,
    /// Up to where each stream is known to be the command's own, once that has ended.
    pub(super) owed_until: [u64; 2],
    /// Up to where each stream is to be shown before the front-end may go, once the task is over.
    pub(super) ends_at: [u64; 2],
    /// How each stream's bytes come, for gathering.
    pub(super) pace: [Pace; 2],
    /// What the limits are measured by.
    pub(super) clocks: Clocks,
    /// Who asked for the task's end, and how.
    pub(super) request: Option<Wish>,
    /// The last signal passed on that asks for the end, and who sent it. A successor does not know it.
    pub(super) sender: Option<(i32, Sender)>,
    /// What is left of a command that is made to end.
    pub(super) going: Going,
    /// What is run at the end, while it runs.
    pub(super) hook: Option<Running>,
    /// The task waits for its turn.
    pub(super) waiting: Option<Waiting>,
    /// It is to be said that it does,
    pub(super) is_to_say_queued: bool,
    /// and has been.
    pub(super) told_queued: bool,
    /// The front-end was stopped while there was no command.
    pub(super) stopped_alone: bool,
    /// Whoever sits before the front-end does not want to wait for what is run at the end.
    pub(super) front_is_impatient: bool,
    /// Why the command is not started at all.
    pub(super) not_wanted: Option<String>,
    /// Those who look at the command's terminals.
    pub(super) display: Display,
    /// What is known of these.
    pub(super) known: [Known; 2],
    /// No process has the one that is no stream's open; when to look again.
    pub(super) alone_closed_until: Option<Instant>,
    /// The front-end was told that its terminal is held.
    pub(super) told_held: bool,
    /// Where those who want to attach knock,
    pub(super) door: Option<OwnedFd>,
    /// and those who have not said yet what they want.
    pub(super) guests: Vec<OwnedFd>,
    /// Keys that the command's terminal has not taken yet.
    pub(super) typed: Vec<u8>,
    /// The front-end is to be stopped once it has given back what was typed, or at this time.
    pub(super) pause_until: Option<Instant>,
    /// So many of the keys that come next have been shown already.
    pub(super) echoed_ahead: usize,
    /// What was typed and the command has not read, once it is over.
    pub(super) unread: Option<Vec<u8>>,
    /// How far the command is, from what it writes,
    pub(super) gauge: Gauge,
    /// what its own script says,
    pub(super) told: Told,
    /// and in hundredths, as far as is to be shown.
    pub(super) share: Option<u8>,
    /// Which process group was in the foreground before the caller's job left it.
    pub(super) before: Option<i32>,
}

/// The life of a supervisor in the place of one that died, in a process newly forked by this keeper.
pub fn take_over(mut handover: Handover, keeper: i32) -> ! {
    own_group();
    adopt_orphans();
    set_name(c"gco-supervisor");
    block_all();
    handover.control.count_restart();
    let trouble = setup::recover(&mut handover).err();
    setup::recall_record(&mut handover);
    if handover.control.phase() == Phase::Underway {
        handover.journal.say("the supervisor was killed and has been replaced");
        handover.warn("the supervisor was killed and has been replaced");
        if let Some(error) = trouble {
            let words = io_words(&error);
            handover.warn(format!("the log could not be taken up again: {words}"));
        }
    }
    let mut supervisor = Supervisor::new(handover);
    supervisor.keeper = Some(Relative::parent(keeper));
    supervisor.resume();
    supervisor.run()
}

impl Supervisor {
    pub(super) fn new(handover: Handover) -> Self {
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
            restore_due: None,
            owed_until: [0; 2],
            ends_at: [0; 2],
            me: (me, process::look(me).map(|seen| seen.start)),
            keeper: None,
            keeper_due: None,
            // Without it the supervisor only hears of the command by other ways.
            signals: Queue::new([libc::SIGTERM, libc::SIGINT, libc::SIGCHLD, LOOK]).ok(),
            pending: Vec::new(),
            told_stopped: false,
            has_asked: false,
            told_started: false,
            look_again: false,
            pace: [Pace::default(); 2],
            clocks: control.clocks(),
            request: None,
            sender: None,
            going: Going::default(),
            hook: None,
            waiting: None,
            is_to_say_queued: false,
            told_queued: false,
            stopped_alone: false,
            front_is_impatient: false,
            not_wanted: None,
            display: Display::new(Screen::with(control.screen_marks()), handover.terminal_size()),
            known: Stream::BOTH.map(|stream| {
                let is_elsewhere = handover.places[stream.index()].is_some();
                let spool = handover.spools[stream.index()].end();
                Known::from(if is_elsewhere { spool } else { control.shown(stream) })
            }),
            alone_closed_until: None,
            told_held: false,
            door: None,
            guests: Vec::new(),
            typed: Vec::new(),
            pause_until: None,
            echoed_ahead: 0,
            unread: None,
            before: None,
            gauge: Gauge::new(handover.progress.clone(), handover.facts.total),
            told: Told::default(),
            share: None,
            handover,
        };
        supervisor.take_seat();
        supervisor.open_door();
        for stream in Stream::BOTH {
            let n = stream.index();
            if supervisor.handover.sources[n].is_none() {
                supervisor.machine.closed(stream);
            }
            if supervisor.handover.places[n].is_some()
                && !supervisor.echoes[n].is_on()
                && !control.is_hidden(stream)
            {
                supervisor.handover.warn(format!("{} cannot be shown: out of descriptors", stream.as_str()));
            }
        }
        supervisor
    }

    /// Works until there is nothing left to do.
    pub(super) fn run(mut self) -> ! {
        loop {
            // Before anything is looked at that it may have been rung for.
            self.handover.to_supervisor.silence();
            // Before the keeper, who is to hold the lines that the task is in.
            self.mind_turn();
            if self.needs_keeper() && self.make_keeper() == Side::Child {
                // From before the fork: asked now, the parent could be the one that adopted an orphan.
                let (supervisor, _) = self.me;
                keeper::live(self.into_handover(), supervisor, take_over);
            }
            self.say_queued();
            self.notice();
            self.mind_limits();
            self.mind_attempts();
            self.mind_the_tree();
            let now = Instant::now();
            while let Some(action) = self.machine.due(now) {
                match action {
                    Action::FlushPart(stream) => self.flush_part(stream),
                    Action::WriteRecord => self.write_record(),
                    Action::CheckFiles => {
                        self.check_files();
                        // Somebody may have asked who cannot reach this process.
                        self.take_up_request();
                    }
                    Action::Finish { left_open } => self.finish(left_open),
                }
            }
            if self.show_the_rest() {
                let is_over = self.is_hook_over();
                if is_over || self.front_is_impatient {
                    self.tell_end();
                }
                let is_closed = !Stream::BOTH.into_iter().any(|stream| self.machine.is_open(stream));
                if is_over && self.see_guests_off() && is_closed {
                    self.leave();
                }
            }
            self.mind_bar();
            self.ring_for_keeper();
            self.wait();
            // Before anything slow is done: somebody may wait for the end of a stream.
            self.ring_for_keeper();
        }
    }

    /// On the keeper's side of the fork: lets go of all but the handover, most of all of where output is shown.
    fn into_handover(self) -> Handover {
        // The publisher's thread does not exist on this side; its locks were all open.
        self.handover
    }

    /// Takes up what a predecessor left.
    fn resume(&mut self) {
        let control = self.handover.control;
        if let Some(tracking) = &self.handover.tracking {
            self.request = request::taken_up(&tracking.dir, &self.handover.facts.id);
        }
        // While it is under way the start is told again: a detached front-end may still be waiting for it.
        if control.phase() >= Phase::Final {
            self.told_started = control.is_executing();
            self.machine.ended(Instant::now());
            self.machine.resume_finished();
            self.tell_event_ended_before();
            self.have_reaped();
            self.after_the_end();
            if control.phase() == Phase::Final {
                self.begin_rerun();
            }
            self.note_ends();
        }
        self.recall_gauge();
        if control.phase() == Phase::Underway {
            if control.next_attempt_at().is_some() {
                self.go_to_rest();
            }
            if control.stop().is_some_and(|stop| stop.cause == Cause::NotWanted) {
                // Why is found out anew.
                control.clear_stop();
            }
            self.go_on_ending();
            self.take_up_request();
            if control.stop().is_none() {
                self.told_queued = true;
                self.await_turn();
            }
        }
        self.told_stopped = control.stopped().is_some();
        if !self.told_stopped {
            // A predecessor may have had the front-end stop, and not have seen the command go on.
            self.tell_stopped(None);
        } else if !control.has_stopped_front()
            && self.handover.front_process.as_ref().is_some_and(|front| !front.is_stopped())
        {
            // A predecessor did not get to stopping it. One that it has stopped was continued since, and is about to say so.
            self.tell_stopped(control.stopped());
        }
        if control.phase() == Phase::Underway {
            self.check_files();
        }
        for stream in Stream::BOTH {
            // One that is not shown any more may still be held open for that.
            if control.is_hidden(stream) {
                self.stop_showing(stream);
            }
            self.store(stream, Instant::now());
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

    /// Hears what the front-end says.
    pub(super) fn hear(&mut self) {
        loop {
            let Some(front) = &self.handover.front else { return };
            match Order::hear(front.as_fd()) {
                Heard::Message(Order::Pass(signal)) => self.pass_on_from(signal, None),
                Heard::Message(Order::PassFrom(signal, by)) => self.pass_on_from(signal, Some(by)),
                Heard::Message(Order::Close(stream)) if self.handover.is_terminal(stream) => {
                    // A terminal has no reader whose going the command could see. It is told in another way.
                    self.pass_on(libc::SIGPIPE);
                }
                Heard::Message(Order::Close(stream)) => self.close_source(stream),
                Heard::Message(Order::Ground(in_front)) => self.set_behind(!in_front),
                Heard::Message(Order::Resized) => {
                    if let Some(at) = self.seat_at() {
                        self.resize(at);
                    }
                }
                Heard::Message(Order::Paused) => self.paused(),
                Heard::Message(Order::Leave) => {
                    self.let_front_go();
                    return;
                }
                Heard::Message(Order::HungUp) => {
                    let grace = self.handover.grace;
                    self.make_end(Cause::Cancelled, libc::SIGHUP, grace);
                }
                Heard::Nothing => return,
                Heard::Gone => {
                    self.front_left();
                    return;
                }
            }
        }
    }

    /// The front-end leaves, and the task goes on. One that could not be found again is not left.
    pub(super) fn let_front_go(&mut self) {
        if self.handover.tracking.is_none() || self.handover.control.phase() > Phase::Underway {
            return;
        }
        self.leave_seat();
        self.tell(&Report::Left);
        self.front_left();
    }

    /// The front-end is gone: whoever waits for the end of what it showed must not wait for the task. A file has nobody
    /// who waits, and gets the rest as well.
    pub(super) fn front_left(&mut self) {
        self.leave_seat();
        self.handover.close_front();
        self.ask(Request::CloseFront);
        for stream in Stream::BOTH {
            if self.echoes[stream.index()].pollable().is_some() {
                self.stop_showing(stream);
            }
        }
        self.rerun = None;
    }
}
