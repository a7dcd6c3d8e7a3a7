//! Running a task.
//!
//! ```text
//! gco run          front-end: terminal, signals, exit code; may leave or die
//!  └─ supervisor   own session, subreaper: log, record, echo
//!      └─ keeper   parent of the command, holds spare ends of everything, only waits
//!          └─ command   own process group in the supervisor's session
//! ```
//!
//! Guarantee: killing any one of the three neither kills nor blocks the command, nor loses a byte of the log or the exit
//! code. What is shown may repeat a piece then: nobody can ask a pipe or a terminal how much of a write it took. If the supervisor dies, the keeper forks a new one; if the keeper dies, the command falls
//! to the supervisor, which forks a new keeper. What either needs to know of the other is in [`control`], what has been
//! taken from the command and is not in the log yet is in the [`spool`]: both outlive any of the processes.
//!
//! The command is in a process group of its own, in the session of supervisor and keeper: so its group is not
//! an orphaned one (whose stop signals the kernel ignores), neither while both live nor when one of them dies.
//!
//! A command with a terminal has a session that a fourth process leads, between front-end and supervisor: see
//! [`session`]. What its terminals show takes the same way as what comes by pipes ([`terminals`]), and is shown to all who look
//! ([`display`]): gco's caller and those who attach ([`visit`]). Their keys go the other way
//! ([`console`]).

pub mod adopt;
mod attempts;
mod attend;
mod backlog;
pub mod begin;
pub mod cancel;
pub mod console;
pub mod control;
pub mod course;
pub mod display;
pub mod echo;
mod ending;
mod events;
pub mod front_end;
mod gauging;
pub mod handover;
pub mod hook;
pub mod journal;
pub mod keeper;
pub mod limits;
pub mod machine;
pub mod message;
mod notified;
pub mod orphan;
mod place;
pub mod progress;
pub mod publisher;
mod pump;
mod reception;
pub mod report;
pub mod rerun;
pub mod session;
pub mod setup;
pub mod spool;
mod stage;
mod stopping;
pub mod supervisor;
pub mod taskbar;
pub mod terminals;
mod turn;
mod typing;
pub mod viewer;
pub mod viewing;
pub mod visit;
mod wait;
pub mod witness;
