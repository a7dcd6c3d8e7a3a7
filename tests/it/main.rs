//! The tests that drive the real `gco`, each in a home of its own. `harness` says how.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod bytes;
mod complete;
mod detach;
mod events;
mod events_once;
mod fake;
mod grandchild;
mod harness;
mod hostile;
mod house;
mod inherit;
mod killed;
mod leave;
mod list;
mod names;
mod options;
mod oracle;
mod output;
mod pipes;
mod prune;
mod pty;
mod python;
mod readme;
mod records;
mod run;
mod selftest;
mod signals;
mod start;
mod status;
mod tail;
mod tail_follow;
mod tools;
mod untracked;
