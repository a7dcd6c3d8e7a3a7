//! x
pub mod control;
pub mod journal;
pub mod machine;
pub mod spool;
