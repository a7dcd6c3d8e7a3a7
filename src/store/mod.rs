//! The status directory: a pair of files per task, and nothing else to set up.
//!
//! Guarantees: a path is only ever built from a valid [`TaskId`](crate::task::TaskId); nothing is opened but a
//! regular file with one link and the right owner; a record is replaced whole or not at all; what is
//! shown of a task is its effective state, not just what was written.

pub mod consumer;
pub mod dir;
pub mod events;
pub mod filter;
pub mod handle;
pub mod history;
pub mod line;
pub mod liveness;
pub mod load;
pub mod lockfile;
pub mod name;
pub mod open;
pub mod orphans;
pub mod prune;
pub mod replace;
pub mod request;
pub mod retention;
pub mod scan;
pub mod sweep;
pub mod told;
pub mod wait;

pub use dir::StatusDir;
pub use load::{Task, load};
