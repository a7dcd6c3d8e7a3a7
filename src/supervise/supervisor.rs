//! The supervisor: a thin driver. It waits for descriptors and the machine's deadline, tells the machine what it saw, and
//! does what the machine says is due.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use super::control::{Phase, Request};
use super::echo::Echo;
use super::handover::{Handover, release};
use super::machine::{Action, Machine};
use super::message::{Heard, Order, Report};
use super::publisher::Publisher;
use super::rerun::Rerun;
use super::{keeper, setup};
use crate::store::StatusDir;
use crate::sys::child::PidFd;
use crate::sys::fork::{Side, adopt_orphans, exit_now, own_group, own_session, set_name};
use crate::sys::process;
use crate::sys::signals::{Queue, block_all};
use crate::sys::start::Inherited;
use crate::task::{Spec, Stream};

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
    pub(super) keeper: Option<Keeper>,
    pub(super) signals: Option<Queue>,
    /// Signals that came before there was a command.
    pub(super) pending: Vec<i32>,
    /// The front-end was told that the command is stopped.
    pub(super) told_stopped: bool,
    pub(super) told_started: bool,
    /// Look again at the command soon.
    pub(super) look_again: bool,
    /// The directory that is still to be tidied once the task is over.
    pub(super) retire: Option<StatusDir>,
    /// Up to where each stream is known to be the command's own, once that has ended.
    pub(super) owed_until: [u64; 2],
    /// When bytes last came, for gathering.
    pub(super) last_take: [Option<Instant>; 2],
}

#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) pid: i32,
    pub(super) process: PidFd,
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

/// The life of a supervisor in the place of one that died, in a process newly forked by this keeper.
pub fn take_over(mut handover: Handover, keeper: i32) -> ! {
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
            owed_until: [0; 2],
            me: (me, process::look(me).map(|seen| seen.start)),
            keeper: None,
            // Without it the supervisor only hears of the command by other ways.
            signals: Queue::new([libc::SIGTERM, libc::SIGINT, libc::SIGCHLD]).ok(),
            pending: Vec::new(),
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
                // From before the fork: asked now, the parent could be the one that adopted an orphan.
                let (supervisor, _) = self.me;
                keeper::live(self.into_handover(), supervisor);
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

    /// On the keeper's side of the fork: lets go of all but the handover, most of all of where output is shown.
    fn into_handover(self) -> Handover {
        // The publisher's thread does not exist on this side; its locks were all open.
        self.handover
    }

    /// Takes up what a predecessor left.
    fn resume(&mut self) {
        let control = self.handover.control;
        // While it is under way the start is told again: a detached front-end may still be waiting for it.
        if control.phase() >= Phase::Final {
            self.told_started = control.is_executing();
            self.machine.ended(Instant::now());
            self.machine.resume_finished();
            self.begin_rerun();
        }
        if control.phase() >= Phase::Told {
            self.announce_strangers();
        }
        for stream in Stream::BOTH {
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
    pub(super) fn ask(&self, request: Request) {
        self.handover.control.ask(request);
        self.handover.to_keeper.ring();
    }

    /// Hears what the front-end says.
    pub(super) fn hear(&mut self) {
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
}
