//! The tests that drive the real `gco`, each in a home of its own. `harness` says how.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod fake;
mod harness;
mod house;
mod oracle;
mod output;
mod pty;
mod selftest;
mod tail;
mod tail_follow;
