//! The log: what the command wrote, tagged and byte for byte.
//!
//! [`format`](mod@format) is the form itself, shared by the writing and the reading side.

pub mod format;
pub mod splitter;
