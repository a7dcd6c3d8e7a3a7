//! Tasks on a screen of their own, which follows what happens until somebody leaves it.
//!
//! [`Face`] takes the terminal over and gives it back, however this ends; [`Pace`] says when to look at the tasks again. What is
//! shown is looked up anew each time: there is no state here that could differ from what is on disk. No text reaches
//! the screen but through [`view`](crate::view) or [`text`](crate::task::text), so that nothing a task says can move the cursor.

mod app;
mod draw;
mod face;
mod gather;
mod pace;
pub mod table;
pub mod top;

pub use self::face::{Face, News};
pub use self::pace::Pace;
