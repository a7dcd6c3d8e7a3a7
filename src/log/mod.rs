//! The log: what the command wrote, tagged and byte for byte.
//!
//! [`format`](mod@format) is the form itself, shared by the writing and the reading side. Readers take a
//! [`ReadAt`]: [`replay`] goes through entries one by one, [`join`] puts parts together, [`last`] finds the last
//! lines, [`follow`] goes on where a log grows, [`times`] tells when a line was written, [`clues`] looks for why a task failed,
//! [`compare`] for where it went another way than one that did not. [`gap`] knows of logs that lack their middle. None of them needs memory or time in proportion to the log.

pub mod cause;
pub mod clues;
pub mod compare;
pub mod follow;
pub mod format;
pub mod gap;
pub mod join;
pub mod last;
pub mod mask;
pub mod numbers;
pub mod replay;
pub mod search;
pub mod since;
pub mod source;
pub mod splitter;
pub mod terminal;
pub mod times;

pub use source::ReadAt;
