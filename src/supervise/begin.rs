//! The beginning of a task: from the front-end's wish to a supervisor at work.
//!
//! What needs the caller's terminal comes first: after that this process is in a session of its own.

use std::os::fd::{AsFd, OwnedFd};

use super::handover::release;
use super::message::Report;
use super::setup::{self, Stage};
use super::supervisor::Supervisor;
use super::viewing::{Seat, Wanted};
use super::{session, terminals};
use crate::failure::io_words;
use crate::sys::child::PidFd;
use crate::sys::descriptors::{private_copy, standard};
use crate::sys::fork::{adopt_orphans, exit_now, own_session, set_name};
use crate::sys::signals::block_all;
use crate::sys::start::Inherited;
use crate::task::Spec;

/// The exit code of a supervisor that could not begin.
const COULD_NOT_BEGIN: i32 = 125;

/// What a supervisor is given by the front-end.
#[derive(Debug)]
pub struct Beginning {
    /// Keep files of the task.
    pub track: bool,
    /// The way to the front-end.
    pub front: OwnedFd,
    /// Its process.
    pub front_pid: i32,
    /// The task's id is to be shown before the command starts.
    pub announce: bool,
    /// Which of the command's standard descriptors are to be terminals.
    pub wanted: Wanted,
    /// The keys that are typed at the front-end.
    pub keys: Option<OwnedFd>,
    /// The front-end is in the background of its terminal.
    pub behind: bool,
}

/// Makes the terminals that are wanted, and the session that has them.
fn set_stage(beginning: &mut Beginning, spec: &Spec, inherited: &Inherited) -> (Stage, Option<String>) {
    let mut stage = Stage::default();
    let mut make = || {
        // While there still is a terminal.
        let seat = Seat::find(spec, beginning.wanted, beginning.behind, inherited)?;
        own_session();
        if beginning.wanted.any() {
            let made = terminals::make(beginning.wanted, seat.as_ref(), beginning.behind)?;
            stage.leash = Some(session::lead(made.1.main.as_fd())?);
            (stage.terminals, stage.seat, stage.keys) = (Some(made), seat, beginning.keys.take());
        }
        Ok::<_, std::io::Error>(())
    };
    match make() {
        Ok(()) => (stage, None),
        Err(error) => {
            own_session();
            beginning.wanted = Wanted::default();
            (stage, Some(format!("the command has no terminal: {}", io_words(&error))))
        }
    }
}

/// The life of a task's first supervisor, in a newly forked process.
pub fn live(spec: &Spec, inherited: Inherited, mut beginning: Beginning) -> ! {
    // While there still is a terminal.
    let mut places = setup::open_places(spec, beginning.wanted, &inherited);
    let without = beginning.wanted.any().then(|| setup::open_places(spec, Wanted::default(), &inherited));
    let terminal = if beginning.announce { private_copy(standard(2)).ok() } else { None };
    let (stage, trouble) = set_stage(&mut beginning, spec, &inherited);
    if let Some(without) = without.filter(|_| trouble.is_some()) {
        // By a pipe, then, and shown as what comes by one.
        places = without;
    }
    let Beginning { track, front, front_pid, behind, .. } = beginning;
    adopt_orphans();
    set_name(c"gco-supervisor");
    block_all();
    if spec.detach {
        release(0);
    }
    let made = places.and_then(|places| setup::set_up(spec, inherited, track, places, stage));
    let (mut handover, claimed) = match made {
        Ok(made) => made,
        Err(error) => {
            let why = format!("cannot supervise anything: {}", io_words(&error));
            Report::NotStarted { code: COULD_NOT_BEGIN, why }.send(front.as_fd());
            exit_now(COULD_NOT_BEGIN)
        }
    };
    handover.control.set_behind(behind);
    if let Some(trouble) = trouble {
        if let Some(terminal) = &terminal {
            // A terminal that is stopped misses it; it is in the record.
            let _ = nix::unistd::write(terminal, format!("gco: {trouble}\n").as_bytes());
        }
        handover.warn(trouble);
        Report::NoTerminal.send(front.as_fd());
    }
    handover.front = Some(front);
    handover.front_process = PidFd::open(front_pid).ok();
    let report = match claimed {
        setup::Claimed::As(id) => {
            if let Some(terminal) = &terminal {
                // Before the command can write anything. A terminal that is stopped misses it.
                let _ = nix::unistd::write(terminal, format!("gco: task {id}\n").as_bytes());
            }
            Report::Claimed { id: Some(id.to_string()), trouble: None }
        }
        setup::Claimed::Untracked => Report::Claimed { id: None, trouble: None },
        setup::Claimed::Failed(why) => Report::Claimed { id: None, trouble: Some(why) },
    };
    let refused = handover.tracking.is_none() && (spec.detach || !spec.turn.is_now());
    if let Some(front) = &handover.front {
        report.send(front.as_fd());
    }
    if refused {
        exit_now(COULD_NOT_BEGIN);
    }
    release(1);
    release(2);
    let mut supervisor = Supervisor::new(handover);
    supervisor.await_turn();
    supervisor.hold_seats();
    supervisor.run()
}
