//! gco: the task supervisor.
//!
//! # The house
//!
//! | room | what it is for |
//! |---|---|
//! | [`cli`] | the command line as a whole |
//! | [`commands`] | one file a command: its arguments, what it does |
//! | [`mcp`] | tasks for agents: a server of the Model Context Protocol |
//! | [`screen`] | tasks on a screen of their own, which follows what happens |
//! | [`present`] | a task's lines on stdout, for the commands that show them |
//! | [`supervise`] | running a task: front-end, supervisor, keeper, spool |
//! | [`observe`] | one task seen from outside: its log as it grows, its end |
//! | [`store`] | the status directory: claim, load, scan, prune, replace |
//! | [`view`] | what people see: table, panel, JSON, relative times. Pure |
//! | [`gauge`] | how far a command is, read from what it writes |
//! | [`log`] | the log's form, its writer and its readers |
//! | [`sys`] | the kernel: processes, signals, locks. The only room with `unsafe` |
//! | [`task`] | the nouns: id, record, state, outcome. Pure |
//! | [`failure`] | messages for people, with hints and exit codes |
//!
//! Imports run downwards only: `cli` → `commands` → {`mcp`, `screen`, `present`} → {`supervise`, `observe`} → {`store`, `view`} → `gauge` →
//! {`log`, `sys`} → `task`; `failure` may be used by all. `tests/it/house.rs` keeps it so.
//!
//! Around it: `completions/` and `man/` are made from the code (`tests/generated`), what README.md shows is tried
//! (`tests/it/readme.rs`), and `.ci/run` does everything that must hold before a change goes in.
//!
//! # What always holds
//!
//! 1. Wrapping is never worse than not wrapping: no fault of gco's own files changes what the command does.
//! 2. The record never lies: `running` means running now, and an outcome on disk is the real one.
//! 3. Nothing is lost: what the command wrote is in the log to the byte, whoever died first.

pub mod cli;
pub mod commands;
pub mod failure;
pub mod gauge;
pub mod log;
pub mod mcp;
pub mod observe;
pub mod present;
pub mod screen;
pub mod store;
pub mod supervise;
pub mod sys;
pub mod task;
pub mod view;
