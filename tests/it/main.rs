//! The tests that drive the real `gco`, each in a home of its own. `harness` says how.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod complete;
mod fake;
mod harness;
mod hostile;
mod house;
mod list;
mod names;
mod oracle;
mod output;
mod prune;
mod pty;
mod readme;
mod records;
mod selftest;
mod status;
mod tail;
mod tail_follow;
