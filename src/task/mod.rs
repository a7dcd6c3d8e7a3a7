//! The nouns: what a task is, what it is called, what can become of it.
//!
//! Everything here is a pure value. Nothing in this room opens a file, reads the
//! environment or asks the clock, so every other room may lean on it.

pub mod condition;
pub mod cursor;
pub mod id;
pub mod keys;
pub mod line;
pub mod moment;
pub mod outcome;
pub mod past;
pub mod progress;
pub mod reason;
pub mod record;
pub mod screen;
pub mod silence;
pub mod size;
pub mod span;
pub mod spec;
pub mod state;
pub mod stream;
pub mod taskbar;
pub mod text;
pub mod timestamp;

pub use id::TaskId;
pub use line::LineName;
pub use outcome::{Exit, Outcome};
pub use past::Past;
pub use progress::Progress;
pub use record::Record;
pub use silence::Silence;
pub use spec::Spec;
pub use state::State;
pub use stream::Stream;
