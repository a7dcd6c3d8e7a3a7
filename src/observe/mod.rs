//! One task seen from outside, by somebody who did not start it: what is true of it, what it writes, how it ends.
//!
//! [`subject`] looks at it once; [`following`] goes along with its log until its end, [`until`] until something comes to pass;
//! [`ends`] waits for the ends of many tasks at once without a processor's time; [`verdict`] is what became of one; [`versus`] puts two runs side by side. Nothing here changes anything in the
//! directory, and nothing is taken for the end of a task but its record, or the proof that nobody supervises it.

pub mod ends;
pub mod following;
pub mod place;
pub mod subject;
pub mod until;
pub mod verdict;
pub mod versus;

pub use ends::Ends;
pub use following::{Following, Halt, News, Sink};
pub use subject::Subject;
pub use verdict::Verdict;
