//! Cleaning up: what the rules let go, and removing it.

use super::StatusDir;
use super::liveness::Here;
use super::prune::{self, Found, Leftover};
use super::retention::{Rules, Standing, Why, plan};
use super::scan;
use crate::failure::{Failure, io_words};
use crate::sys::time;
use crate::task::text;

/// What is to be removed.
#[derive(Debug)]
pub struct Work {
    /// The tasks, and why each goes.
    pub tasks: Vec<(Found, Why)>,
    /// What belongs to no task.
    pub leftovers: Vec<Leftover>,
    /// The tasks that stay because their records cannot be read, and why that is.
    pub unreadable: Vec<(String, String)>,
}

impl Work {
    /// Looks for what `rules` let go.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn find(dir: &StatusDir, here: &Here, rules: &Rules) -> Result<Work, Failure> {
        let contents = scan::everything(dir).map_err(|error| dir.unreadable(&error))?;
        let found = prune::survey(dir, &contents, here);
        let candidates: Vec<_> = found.iter().map(|task| task.candidate.clone()).collect();
        let going = plan(&candidates, time::now(), rules);
        let tasks = going.into_iter().map(|(at, why)| (found[at].clone(), why)).collect();
        let unreadable = found.iter().filter_map(|task| match &task.candidate.standing {
            Standing::Unreadable(why) => Some((task.id.to_string(), text::clean(why))),
            _ => None,
        });
        let unreadable = unreadable.collect();
        Ok(Work { tasks, leftovers: prune::leftovers(dir, &contents, here), unreadable })
    }

    /// Whether there is nothing to remove.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.leftovers.is_empty()
    }

    /// What would be done.
    #[must_use]
    pub fn pretend(&self) -> Done {
        let mut done = Done::default();
        for (task, _) in &self.tasks {
            done.tasks.push(task.id.to_string());
            done.freed += task.candidate.size;
        }
        for leftover in &self.leftovers {
            done.leftovers.push(leftover.name());
            done.freed += leftover.size;
        }
        done
    }

    /// Removes it.
    #[must_use]
    pub fn carry_out(&self, dir: &StatusDir, here: &Here) -> Done {
        let mut done = Done::default();
        for (task, _) in &self.tasks {
            match prune::remove(dir, &task.id, here) {
                Ok(Some(freed)) => {
                    done.tasks.push(task.id.to_string());
                    done.freed += freed;
                }
                Ok(None) => {}
                Err(error) => {
                    done.problems.push(format!("cannot remove '{}': {}", task.id, io_words(&error)));
                }
            }
        }
        for leftover in &self.leftovers {
            match prune::clear(dir, leftover, here) {
                Ok(Some(freed)) => {
                    done.leftovers.push(leftover.name());
                    done.freed += freed;
                }
                Ok(None) => {}
                Err(error) => {
                    done.problems.push(format!("cannot remove '{}': {}", leftover.name(), io_words(&error)));
                }
            }
        }
        done
    }
}

/// What was removed, or would be.
#[derive(Debug, Default)]
pub struct Done {
    /// The tasks.
    pub tasks: Vec<String>,
    /// The files that belonged to none.
    pub leftovers: Vec<String>,
    /// How many bytes that freed.
    pub freed: u64,
    /// What could not be removed, and why.
    pub problems: Vec<String>,
}

impl Done {
    /// The same for scripts.
    #[must_use]
    pub fn json(&self, dry_run: bool) -> serde_json::Value {
        serde_json::json!({
            "dry_run": dry_run,
            "freed_bytes": self.freed,
            "leftovers": self.leftovers,
            "removed": self.tasks,
        })
    }
}
