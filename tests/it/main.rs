//! The real binary, driven from outside.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics has failed, which is what it is for"
)]

mod hostile;
mod list;
mod names;
mod prune;
mod records;
mod status;
