//! How far a command is, read from what it writes.
//!
//! Pure but for reading the log: lines go in, a [`Progress`](crate::task::Progress) comes out, and everything can be found again from the log alone,
//! so that a supervisor that takes over knows what its predecessor knew. Most lines are told from their bytes to be of no use
//! and cost no more than that; where nothing is ever recognised, only the end of what is written is looked at.
//!
//! What is recognised is a guess about somebody else's words. It never counts more than what the command's own script says
//! with `gco progress`.

pub mod choice;
mod look;
mod osc;
mod reading;
mod sight;
pub mod status;
mod tools;

#[cfg(test)]
mod tests;

pub use reading::{Gauge, Units};
pub use sight::Sight;
pub use tools::names;
