//! The options of `gco run` that run what a task wrote once more, instead of a command.
//!
//! What is run is `gco tasks replay`, and the record says so. So all that gco does with a command is done as if that had run again.

use std::ffi::OsString;
use std::time::Duration;

use crate::failure::{EXIT_GCO_FAILED, Failure, io_words};
use crate::store::liveness::Here;
use crate::store::{load, name};
use crate::task::span;

/// The name of a task that is one, if none is given.
pub const NAME: &str = "replay";

/// These options.
#[derive(Debug, clap::Args)]
pub struct Replaying {
    /// Instead of a command, play what this task wrote, as 'gco tasks replay' does, as a new task
    ///
    /// To try out a pipeline, --on-finish or what is recognised: the same comes on stdout and stderr, with the same pauses, and the
    /// same exit code or signal ends it. The task is called 'replay' unless --name says otherwise.
    #[arg(long, value_name = "TASK", conflicts_with = "command")]
    pub replay: Option<String>,

    /// With --replay: so many times as fast as it was
    #[arg(long, value_name = "FACTOR", conflicts_with = "command", allow_hyphen_values = true, value_parser = span::factor)]
    speed: Option<f64>,

    /// With --replay: wait no longer than this for the next piece
    #[arg(long, value_name = "SPAN", conflicts_with = "command", allow_hyphen_values = true, value_parser = span::parse)]
    max_gap: Option<Duration>,
}

impl Replaying {
    /// What is to be run for that; none if a command is.
    ///
    /// # Errors
    /// There is no such task, or it cannot be played.
    pub fn command(&self) -> Result<Option<Vec<OsString>>, Failure> {
        let Some(word) = &self.replay else { return Ok(None) };
        let (dir, id) = name::find(Some(word)).map_err(|failure| failure.with_code(EXIT_GCO_FAILED))?;
        // Said before there is a task. What else is in the way is said by the one who plays it.
        let is_live = load(&dir, &id, &Here::ask()).is_ok_and(|task| task.state.is_live());
        if is_live {
            return Err(Failure::new(EXIT_GCO_FAILED, format!("cannot replay '{id}': it has not ended"))
                .hint(format!("'gco tasks tail -f {id}' shows it as it goes on")));
        }
        let gco = std::env::current_exe().map_err(|error| {
            Failure::new(EXIT_GCO_FAILED, format!("cannot tell where gco is: {}", io_words(&error)))
        })?;
        let mut words = vec![gco.into_os_string()];
        words.extend(["tasks", "replay", "--by-signal"].map(OsString::from));
        if let Some(speed) = self.speed {
            words.extend(["--speed".into(), speed.to_string().into()]);
        }
        if let Some(gap) = self.max_gap {
            words.extend(["--max-gap".into(), span::exact(gap).into()]);
        }
        words.push(id.as_str().into());
        Ok(Some(words))
    }
}
