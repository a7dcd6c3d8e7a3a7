//! What people and scripts see: tables, panels, JSON, relative times.
//!
//! Pure: a record, a width and the time go in, text comes out. Nothing here touches a file, the environment
//! or the clock.

pub mod lines;
pub mod log;
