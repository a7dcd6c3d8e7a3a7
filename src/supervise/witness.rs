//! Seeing what becomes of the command, by whoever can: its parent by `wait`, others by its pidfd.

use super::control::Control;
use crate::sys::child::{self, Change, PidFd, Usage};
use crate::sys::{process, time};
use crate::task::Exit;

/// What a look at the command brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// Nothing new.
    Same,
    /// Something, which is in the control memory now.
    News,
    /// It has ended, and is about to be reaped by its parent, who is not of gco. Look again soon.
    Soon,
}

/// Looks at command `pid`, and notes what is new. `pidfd` is a handle on it from when it was known to be alive.
pub fn look(control: Control, pid: i32, pidfd: Option<&PidFd>) -> Sight {
    match child::look(pid) {
        Ok(None) => Sight::Same,
        Ok(Some(change)) => {
            match change {
                Change::Ended(exit, usage) => {
                    control.set_stopped(None);
                    control.set_exit(exit, usage, time::since_boot());
                }
                Change::Stopped(signal) => control.set_stopped(Some(signal)),
                Change::Continued => control.set_stopped(None),
            }
            Sight::News
        }
        // Not a child of this process: its parent was killed, and it fell to somebody else.
        Err(_) => look_from_outside(control, pid, pidfd),
    }
}

fn look_from_outside(control: Control, pid: i32, pidfd: Option<&PidFd>) -> Sight {
    if let Some(exit) = pidfd.and_then(PidFd::exit_after_reaping) {
        control.set_exit(exit, Usage::default(), time::since_boot());
        return Sight::News;
    }
    match process::look(pid) {
        Some(seen) if control.command_start().is_none_or(|start| start == seen.start) => {
            if seen.zombie {
                // Its parent may never reap it.
                match process::exit_of_zombie(pid, seen.start) {
                    Some(exit) => {
                        control.set_exit(exit, Usage::default(), time::since_boot());
                        Sight::News
                    }
                    None => Sight::Soon,
                }
            } else {
                Sight::Same
            }
        }
        _ => {
            // Gone between the two looks, or on a kernel that does not keep the status.
            let exit = pidfd.and_then(PidFd::exit_after_reaping).unwrap_or(Exit::Unknown);
            control.set_exit(exit, Usage::default(), time::since_boot());
            Sight::News
        }
    }
}
