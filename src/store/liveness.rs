//! Who is alive: the contract's section 4, decided from what was found.
//!
//! [`judge`] is pure. What it is given is looked up by [`look`], and only for records that claim to
//! be under way. No task is called running that is not, and none orphaned that is not known to be.

use super::{StatusDir, lockfile};
use crate::sys::lock::Probe;
use crate::sys::process;
use crate::task::record::field;
use crate::task::{Record, State, TaskId};

/// A record field of gco's own beside the contract's: the pid namespace its pids are numbers in.
pub const PID_NAMESPACE: &str = "pid_namespace";

/// The state to show, and whether the command itself still runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Liveness {
    /// The effective state.
    pub state: State,
    /// Whether the command runs; `None` if that cannot be known from here.
    pub is_alive: Option<bool>,
}

/// What a look at a process named in a record found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It is this process, and it runs.
    Runs,
    /// There is none, or another with the same number, or only what is left of it.
    Gone,
    /// The record does not name one, or not so that it can be told from another.
    Unnamed,
}

/// Everything [`judge`] goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evidence {
    /// The state as written.
    pub written: State,
    /// The supervisor's lock; `None` without a lock file.
    pub lock: Option<Probe>,
    /// The pids in the record are numbers that mean something here.
    pub pids_count: bool,
    /// The record was written on this machine.
    pub same_machine: bool,
    /// The supervisor, by pid and start time.
    pub supervisor: Found,
    /// The command, by pid and start time, else by `kill(pid, 0)`.
    pub command: Found,
    /// The command has not been started yet: the record names the supervisor in its place.
    pub not_started: bool,
}

/// Decides what to show for a record.
#[must_use]
pub fn judge(evidence: Evidence) -> Liveness {
    let Evidence { written, lock, pids_count, same_machine, supervisor, command, not_started } = evidence;
    let runs = match command {
        _ if !pids_count => None,
        Found::Runs => Some(true),
        Found::Gone => Some(false),
        Found::Unnamed => None,
    };
    if !written.is_live() {
        let is_alive = if written == State::Orphaned { runs } else { Some(false) };
        return Liveness { state: written, is_alive };
    }
    if lock == Some(Probe::Held) {
        // Supervised, wherever from. A command that is about to be started counts as running, one that waits for its turn
        // does not, whatever process the record names.
        let is_alive = match written {
            State::Queued => Some(false),
            _ if not_started => pids_count.then_some(true),
            _ => runs,
        };
        return Liveness { state: written, is_alive };
    }
    if !same_machine {
        return Liveness { state: written, is_alive: None };
    }
    let supervised = match (lock, supervisor) {
        (Some(Probe::Free), _) => Some(false),
        _ if !pids_count => None,
        (_, Found::Runs) => Some(true),
        (_, Found::Gone) => Some(false),
        // A record of another tool: whoever runs the command looks after it.
        (_, Found::Unnamed) => runs,
    };
    match supervised {
        Some(false) => {
            Liveness { state: State::Orphaned, is_alive: if not_started { Some(false) } else { runs } }
        }
        Some(true) if written == State::Queued => Liveness { state: written, is_alive: Some(false) },
        Some(true) | None => Liveness { state: written, is_alive: runs },
    }
}

/// Looks up the evidence for `record`, the record of task `id`.
#[must_use]
pub fn look(dir: &StatusDir, id: &TaskId, record: &Record, here: &Here) -> Evidence {
    let written = record.state().unwrap_or(State::Running);
    let is_over = !written.is_live() && written != State::Orphaned;
    let Origin { same_boot, same_machine, pids_count } = Origin::of(record, here);
    let find = |pid: &str, start: &str| match (record.pid(pid), record.count(start)) {
        (Some(_), Some(_)) if same_boot == Some(false) => Found::Gone,
        (Some(pid), start @ Some(_)) if (Named { pid, start }).runs() => Found::Runs,
        (Some(_), Some(_)) => Found::Gone,
        _ => Found::Unnamed,
    };
    let (supervisor, command) = if is_over || !pids_count {
        (Found::Unnamed, Found::Unnamed)
    } else {
        let command = match (find(field::PID, field::PID_START), record.pid(field::PID)) {
            (Found::Unnamed, Some(_)) if same_boot == Some(false) => Found::Gone,
            (Found::Unnamed, Some(pid)) if process::exists(pid) => Found::Runs,
            (Found::Unnamed, Some(_)) => Found::Gone,
            (found, _) => found,
        };
        (find(field::SUPERVISOR_PID, field::SUPERVISOR_START), command)
    };
    Evidence {
        written,
        lock: if written.is_live() { lockfile::probe(dir, id) } else { None },
        pids_count,
        same_machine,
        supervisor,
        command,
        not_started: record.pid(field::SUPERVISOR_PID).is_some()
            && record.pid(field::PID) == record.pid(field::SUPERVISOR_PID),
    }
}

/// Where a record was written, seen from here.
struct Origin {
    /// `None` if it does not say.
    same_boot: Option<bool>,
    same_machine: bool,
    pids_count: bool,
}

impl Origin {
    fn of(record: &Record, here: &Here) -> Self {
        let same_boot = record.text(field::BOOT_ID).map(|boot| boot == here.boot_id);
        let same_host = record.text(field::HOST).map(|host| host == here.host);
        // One kernel under another name (a container, a renamed laptop) is the same machine.
        let same_machine = same_boot == Some(true) || same_host != Some(false);
        let namespace = record.count(PID_NAMESPACE);
        let pids_count = same_machine && (namespace.is_none() || namespace == here.pid_namespace);
        Self { same_boot, same_machine, pids_count }
    }
}

/// A process that a record names, by numbers that mean something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// Its pid.
    pub pid: i32,
    /// When it started, in clock ticks since boot; `None` if the record does not say, as those of other tools.
    pub start: Option<u64>,
}

impl Named {
    /// Whether it runs. One that has ended and is not reaped does not, but that can be told only where its start is known.
    #[must_use]
    pub fn runs(self) -> bool {
        match self.start {
            Some(start) => process::look(self.pid).is_some_and(|seen| seen.start == start && !seen.zombie),
            None => process::exists(self.pid),
        }
    }
}

/// The supervisor that `record` names. `None` also if its pid means nothing here: on another machine, in another boot or pid
/// namespace.
#[must_use]
pub fn supervisor(record: &Record, here: &Here) -> Option<Named> {
    named(record, here, field::SUPERVISOR_PID, field::SUPERVISOR_START)
}

/// The command that `record` names; `None` as for [`supervisor`], and as long as it has not been started.
#[must_use]
pub fn command(record: &Record, here: &Here) -> Option<Named> {
    let command = named(record, here, field::PID, field::PID_START);
    command.filter(|command| record.pid(field::SUPERVISOR_PID) != Some(command.pid))
}

fn named(record: &Record, here: &Here, pid: &str, start: &str) -> Option<Named> {
    let Origin { same_boot, pids_count, .. } = Origin::of(record, here);
    let counts = pids_count && same_boot != Some(false);
    record.pid(pid).filter(|_| counts).map(|pid| Named { pid, start: record.count(start) })
}

/// This machine, this boot, this pid namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Here {
    boot_id: String,
    host: String,
    pid_namespace: Option<u64>,
}

impl Here {
    /// Asks the system.
    #[must_use]
    pub fn ask() -> Self {
        Self {
            // Without it no boot id matches, and what cannot be told stays untold.
            boot_id: process::boot_id().unwrap_or_default(),
            host: process::host_name(),
            pid_namespace: process::pid_namespace(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNNING: Evidence = Evidence {
        written: State::Running,
        lock: Some(Probe::Held),
        pids_count: true,
        same_machine: true,
        supervisor: Found::Runs,
        command: Found::Runs,
        not_started: false,
    };

    fn shown(evidence: Evidence) -> (State, Option<bool>) {
        let Liveness { state, is_alive } = judge(evidence);
        (state, is_alive)
    }

    #[test]
    fn the_lock_comes_first() {
        assert_eq!(shown(RUNNING), (State::Running, Some(true)));
        assert_eq!(shown(Evidence { supervisor: Found::Gone, ..RUNNING }), (State::Running, Some(true)));
        assert_eq!(shown(Evidence { lock: Some(Probe::Free), ..RUNNING }), (State::Orphaned, Some(true)));
        let dead = Evidence { lock: Some(Probe::Free), command: Found::Gone, ..RUNNING };
        assert_eq!(shown(dead), (State::Orphaned, Some(false)));
    }

    #[test]
    fn without_a_lock_the_supervisor_counts() {
        let no_lock = Evidence { lock: None, ..RUNNING };
        assert_eq!(shown(no_lock), (State::Running, Some(true)));
        assert_eq!(shown(Evidence { supervisor: Found::Gone, ..no_lock }), (State::Orphaned, Some(true)));
        let foreign = Evidence { supervisor: Found::Unnamed, ..no_lock };
        assert_eq!(shown(foreign), (State::Running, Some(true)));
        assert_eq!(shown(Evidence { command: Found::Gone, ..foreign }), (State::Orphaned, Some(false)));
        assert_eq!(shown(Evidence { command: Found::Unnamed, ..foreign }), (State::Running, None));
    }

    #[test]
    fn nothing_of_a_queued_task_runs() {
        let queued = Evidence { written: State::Queued, not_started: true, ..RUNNING };
        assert_eq!(shown(queued), (State::Queued, Some(false)));
        assert_eq!(shown(Evidence { lock: None, ..queued }), (State::Queued, Some(false)));
        assert_eq!(shown(Evidence { pids_count: false, ..queued }), (State::Queued, Some(false)));
        assert_eq!(shown(Evidence { lock: Some(Probe::Free), ..queued }), (State::Orphaned, Some(false)));
        // Of another tool: the process it names is whatever waits.
        let theirs = Evidence { lock: None, supervisor: Found::Unnamed, not_started: false, ..queued };
        assert_eq!(shown(theirs), (State::Queued, Some(false)));
        assert_eq!(shown(Evidence { command: Found::Gone, ..theirs }), (State::Orphaned, Some(false)));
    }

    #[test]
    fn elsewhere_nothing_is_known() {
        let away = Evidence { same_machine: false, pids_count: false, lock: Some(Probe::Free), ..RUNNING };
        assert_eq!(shown(away), (State::Running, None));
        assert_eq!(shown(Evidence { lock: Some(Probe::Held), ..away }), (State::Running, None));
        let contained = Evidence { pids_count: false, ..RUNNING };
        assert_eq!(shown(contained), (State::Running, None));
        assert_eq!(shown(Evidence { lock: None, ..contained }), (State::Running, None));
        assert_eq!(shown(Evidence { lock: Some(Probe::Free), ..contained }), (State::Orphaned, None));
    }

    #[test]
    fn what_is_over_stays_over() {
        let over = Evidence { written: State::Succeeded, lock: None, ..RUNNING };
        assert_eq!(shown(over), (State::Succeeded, Some(false)));
        let theirs = Evidence { written: State::Orphaned, lock: None, ..RUNNING };
        assert_eq!(shown(theirs), (State::Orphaned, Some(true)));
    }
}
