//! The keeper: parent of the command, holder of spare ends, and nothing else.
//!
//! It is as small as can be, so that there is nothing in it that could go wrong. It starts the command, waits for it,
//! tells the supervisor, and reaps when told to. If the supervisor dies, it forks a new one that has everything
//! the old one had; until then the spare ends keep the command from SIGPIPE.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::control::{Control, Phase, Request};
use super::handover::Handover;
use super::witness::{self, Sight};
use crate::sys::child::{self, PidFd, Relative};
use crate::sys::fork::{Side, adopt_orphans, exit_now, fork, own_group, set_name};
use crate::sys::signals::{Queue, default_sigchld, ignore_sigchld};
use crate::sys::{process, time};
use crate::task::Stream;

/// A supervisor that lived less than this is replaced after a pause.
const SHORT_LIFE: Duration = Duration::from_secs(1);
/// The pause, doubled each time up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How often a supervisor is asked about that cannot be watched, in milliseconds.
const ASK_AGAIN: u8 = 100;
/// How many short-lived supervisors in a row are replaced at once.
const FREE_TRIES: u32 = 3;

/// What a process newly forked by this keeper (its pid) does to become the supervisor.
pub type TakeOver = fn(Handover, i32) -> !;

/// The keeper's life. `supervisor` is the process that forked it; `take_over` makes its successors.
pub fn live(mut handover: Handover, supervisor: i32, take_over: TakeOver) -> ! {
    set_name(c"gco-keeper");
    own_group();
    adopt_orphans();
    // Without the queue stops of the command go unnoticed; its end comes by the pidfd.
    let children = Queue::new([libc::SIGCHLD]).ok();
    start_command(&mut handover);
    let mut guarded = Guarded::new(Relative::parent(supervisor), 0);
    loop {
        if let Some(queue) = &children {
            while queue.next().is_some() {}
        }
        handover.to_keeper.silence();
        serve(&mut handover);
        watch(&mut handover);
        start_command(&mut handover);
        if guarded.process.is_gone() {
            child::reap(guarded.process.pid());
            if handover.control.phase() == Phase::Over {
                exit_now(0);
            }
            let me = std::process::id().cast_signed();
            match replace(&guarded) {
                Replaced::By(next) => guarded = next,
                Replaced::Myself => {
                    drop((children, guarded));
                    take_over(handover, me)
                }
            }
        }
        // Out of memory for the moment; nothing else can happen to poll.
        if wait(&handover, children.as_ref(), &guarded).is_err() {
            std::thread::sleep(FIRST_PAUSE);
        }
    }
}

/// Starts the command if it is its turn, unless a predecessor did.
fn start_command(handover: &mut Handover) {
    let control = handover.control;
    if control.is_attempt_coming() {
        if let Some(pid) = control.command() {
            // Of the attempt before, whose end is known.
            child::reap(pid);
        }
        handover.command = None;
        default_sigchld();
        control.begin_attempt(control.wanted_attempt());
    }
    if control.attempt() > 0
        && control.command().is_none()
        && control.start_error().is_none()
        && let Some(start) = &handover.start
    {
        control.set_parent(std::process::id().cast_signed());
        match start.start(control) {
            Ok(pid) => {
                // Not yet reaped, whatever has become of it: the pid is its own.
                handover.command = PidFd::open(pid).ok();
                if let Some(seen) = process::look(pid) {
                    control.set_command_start(seen.start);
                }
                control.set_executing();
            }
            Err(error) => control.set_start_error(error),
        }
        handover.to_supervisor.ring();
    }
    if control.start_error().is_some() {
        handover.close_start();
    } else if control.command().is_some() {
        handover.command_has_started();
    }
}

/// The supervisor that is guarded.
struct Guarded {
    process: Relative,
    since: Duration,
    /// How many short lives there were in a row.
    short_lives: u32,
}

impl Guarded {
    fn new(process: Relative, short_lives: u32) -> Self {
        Self { process, since: time::since_boot(), short_lives }
    }
}

/// Waits until something happens.
fn wait(handover: &Handover, children: Option<&Queue>, guarded: &Guarded) -> Result<(), Errno> {
    let mut fds = vec![PollFd::new(handover.to_keeper.as_fd(), PollFlags::POLLIN)];
    fds.extend(children.map(|queue| PollFd::new(queue.as_fd(), PollFlags::POLLIN)));
    fds.extend(guarded.process.watched().map(|process| PollFd::new(process, PollFlags::POLLIN)));
    let mut is_told = guarded.process.watched().is_some();
    // Only the parent does something about the command's end, and only once.
    if is_parent(handover.control) && handover.control.exit().is_none() {
        let command = handover.command.as_ref();
        fds.extend(command.map(|process| PollFd::new(process.as_fd(), PollFlags::POLLIN)));
        // There may have been no descriptors left for either.
        is_told &= children.is_some() || command.is_some() || handover.control.command().is_none();
    }
    let timeout = if is_told { PollTimeout::NONE } else { PollTimeout::from(ASK_AGAIN) };
    match poll(&mut fds, timeout) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether this keeper forked the command, and is not one that came later.
fn is_parent(control: Control) -> bool {
    control.parent() == std::process::id().cast_signed()
}

/// Does what the supervisor asks for.
fn serve(handover: &mut Handover) {
    for stream in Stream::BOTH {
        if handover.control.is_asked(Request::CloseSource(stream)) {
            handover.close_source(stream);
        }
        if handover.control.is_asked(Request::CloseShown(stream)) {
            handover.close_place(stream);
        }
    }
    if handover.control.is_asked(Request::CloseStart) {
        handover.close_start();
    }
    if handover.control.is_asked(Request::CloseFront) {
        handover.close_front();
    }
}

/// Looks at the command, and reaps what has ended.
fn watch(handover: &mut Handover) {
    let control = handover.control;
    let Some(pid) = control.command() else { return };
    if is_parent(control) {
        while control.exit().is_none()
            && witness::look(control, pid, handover.command.as_ref()) == Sight::News
        {
            handover.to_supervisor.ring();
        }
        if control.is_asked(Request::Reap) {
            child::reap(pid);
            handover.command = None;
            child::reap_all_but(&[]);
            return;
        }
    }
    child::reap_all_but(&[pid]);
    if control.stop().is_some() && control.exit().is_some() {
        // The supervisor waits until nothing is left, not even of those that ended after the command. Whoever forks and ends
        // again and again would leave more behind than can be reaped beside.
        ignore_sigchld();
        child::reap_the_rest(&[pid]);
    }
}

/// What came of replacing a supervisor.
enum Replaced {
    /// This is the new supervisor.
    Myself,
    /// This is still the keeper, who guards the new one.
    By(Guarded),
}

/// Forks a new supervisor in the place of the one that died.
fn replace(gone: &Guarded) -> Replaced {
    let lived = time::since_boot().saturating_sub(gone.since);
    let short_lives = if lived < SHORT_LIFE { gone.short_lives + 1 } else { 0 };
    if short_lives > FREE_TRIES {
        let pause = FIRST_PAUSE.saturating_mul(1 << (short_lives - FREE_TRIES).min(10));
        std::thread::sleep(pause.min(LONGEST_PAUSE));
    }
    loop {
        match fork() {
            Ok(Side::Parent(pid)) => return Replaced::By(Guarded::new(Relative::child(pid), short_lives)),
            Ok(Side::Child) => return Replaced::Myself,
            // Out of processes: the spare ends still hold; try again soon.
            Err(_) => std::thread::sleep(LONGEST_PAUSE),
        }
    }
}
