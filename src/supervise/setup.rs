//! Making a task: claim an id, open its files, make the pipes, and put together what all its processes need.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use super::control::{Control, Phase};
use super::handover::{Handover, Start, Tracking};
use super::hook::Hook;
use super::journal::{Journal, LogLimit};
use super::limits::{Clocks, Limits};
use super::notified;
use super::report::{Facts, Status, record};
use super::spool::Spool;
use super::terminals::{Ends, Terminals};
use super::viewing::{Seat, Wanted};
use crate::failure::io_words;
use crate::store::lockfile::TaskLock;
use crate::store::{StatusDir, load, replace};
use crate::sys::descriptors::{Bell, Kind, Sources, kind, output_pipe, private_copy, standard};
use crate::sys::notify::Mailbox;
use crate::sys::spawn::Program;
use crate::sys::start::Inherited;
use crate::sys::{process, time};
use crate::task::record::field;
use crate::task::spec::{Echo, Turn};
use crate::task::{Spec, State, Stream, TaskId};

/// Names the task's id in the command's environment.
pub const ID_VARIABLE: &str = "GCO_TASK_ID";

/// How many ids are tried before it is given up: so many tasks of one name cannot start in one millisecond.
const MOST_CLASHES: u32 = 100_000;

/// How a task came to be tracked, or not.
#[derive(Debug)]
pub enum Claimed {
    /// By this id.
    As(TaskId),
    /// Not, because nobody wanted it.
    Untracked,
    /// Not, for this reason.
    Failed(String),
}

/// What there is of terminals.
#[derive(Debug, Default)]
pub struct Stage {
    /// Those that the command runs on.
    pub terminals: Option<(Terminals, Ends, Sources)>,
    /// The caller's, and the keys that are typed there.
    pub seat: Option<Seat>,
    /// The keys.
    pub keys: Option<OwnedFd>,
    /// What keeps the leader of the session in its place.
    pub leash: Option<OwnedFd>,
}

/// Makes everything for the task that `spec` describes. With `track` it is given an id and files in the status
/// directory; if that cannot be done, the task goes without. `places` are where the streams are shown.
///
/// # Errors
/// gco cannot run anything: out of descriptors, memory or processes; the command line holds a NUL byte.
pub fn set_up(
    spec: &Spec,
    inherited: Inherited,
    track: bool,
    places: [Option<OwnedFd>; 2],
    stage: Stage,
) -> io::Result<(Handover, Claimed)> {
    // What can fail comes before the task is claimed: a record without a task would be a lie.
    let control = Control::new()?;
    let bells = (Bell::new()?, Bell::new()?);
    let spools = [Spool::new(control, Stream::Stdout)?, Spool::new(control, Stream::Stderr)?];
    let limit = LogLimit::new(spec.log_limit)?;
    let Stage { terminals, seat, keys, leash } = stage;
    let mut sources = [None, None];
    let mut ends = [None, None];
    let mut terminal = None;
    let mut inner = None;
    if let Some((made, made_ends, made_sources)) = terminals {
        inner = Some(made);
        terminal = Some((made_ends.main, made_ends.is_input));
        (sources, ends) = (made_sources, made_ends.outputs);
    }
    let ends_are_one = sources[1].is_none() && ends[1].is_some();
    for stream in Stream::BOTH {
        let n = stream.index();
        if sources[n].is_some() || ends[n].is_some() {
            // It is a terminal.
        } else if !inherited.was_closed(n + 1) || spec.detach {
            let (read, write) = output_pipe()?;
            (sources[n], ends[n]) = (Some(read), Some(write));
        }
    }
    // What is shown elsewhere than on a terminal is taken from the log, if it comes by one.
    let from_log = |stream: Stream| {
        let n = stream.index();
        places[n].is_some() && inner.as_ref().is_some_and(|inner| inner.has(stream))
    };
    let unnamed = if spec.echo == Echo::OnFailure || Stream::BOTH.into_iter().any(from_log) {
        Some(Journal::unnamed(control)?)
    } else {
        None
    };
    let stdin_closed = inherited.was_closed(0) && !spec.detach;
    let hook = spec.on_finish.as_ref().map(|command| Hook::new(command, spec, &inherited));
    let mut warnings = Vec::new();
    let mailbox = notified::mailbox(spec, track, &mut warnings);
    let mut start = Start { program: program(spec, None, None)?, stdin_closed, inherited, ends, terminal };
    let mut facts = Facts { pty: inner.is_some(), ..facts(spec) };
    let (tracking, claimed) = if track {
        match claim(&mut facts) {
            Ok(tracking) => (Some(tracking), Claimed::As(facts.id.clone())),
            Err(why) => (None, Claimed::Failed(why)),
        }
    } else {
        (None, Claimed::Untracked)
    };
    let mut journal = match &tracking {
        Some(tracking) => {
            if let Err(error) = replace::sync_directory(&tracking.dir) {
                warnings
                    .push(format!("the status directory could not be synced to disk: {}", io_words(&error)));
            }
            start.program = program(spec, Some(&facts.id), mailbox.as_ref())?;
            Journal::create(&tracking.dir, &facts.id, control).unwrap_or_else(|error| {
                warnings.push(format!("the log could not be created: {}", io_words(&error)));
                Journal::missing(control)
            })
        }
        // What is to be shown in the end must be kept until then, in a file without a name.
        None => unnamed.unwrap_or_else(|| Journal::absent(control)),
    };
    journal.keep_within(limit);
    if ends_are_one {
        journal.say("what goes to stderr is with stdout here: a shell's jobs have one terminal");
    }
    let is_tracked = tracking.is_some();
    let handover = Handover {
        control,
        to_supervisor: bells.0,
        to_keeper: bells.1,
        sources,
        spools,
        places,
        terminals: inner,
        seat,
        keys,
        leash,
        log_screen: spec.log_screen,
        front: None,
        front_process: None,
        journal,
        tracking,
        facts,
        warnings,
        command: None,
        family: None,
        start: Some(start),
        echo: spec.echo,
        detach: spec.detach,
        mailbox: mailbox.filter(|_| is_tracked),
        progress: spec.progress.clone(),
        retention: spec.retention,
        limits: Limits {
            timeout: spec.timeout,
            stall: spec.stall_timeout,
            // A task that nobody could find again is not left.
            leave: spec.background_after.filter(|_| is_tracked),
        },
        grace: spec.grace,
        retry: spec.retry,
        hook,
        turn: if is_tracked { spec.turn.clone() } else { Turn::default() },
        lines: Vec::new(),
    };
    control.set_clocks(&Clocks { began: time::awake(), ..Clocks::default() });
    if handover.turn.is_now() {
        control.want_attempt(1);
    }
    Ok((handover, claimed))
}

/// Opens where each stream is to be shown, as [`private_copy`] has it. To be called while this process still has the
/// caller's terminal: later `/dev/tty` leads nowhere.
///
/// # Errors
/// Out of descriptors.
pub fn open_places(spec: &Spec, wanted: Wanted, inherited: &Inherited) -> io::Result<[Option<OwnedFd>; 2]> {
    let mut places = [None, None];
    if spec.echo != Echo::Never && !spec.detach {
        for stream in Stream::BOTH {
            let fd = stream.index() + 1;
            // What the command's terminal shows is for all of the caller's.
            let is_on_seat = spec.echo == Echo::Always
                && (wanted.is(stream) || wanted.is_one)
                && kind(standard(fd)) == Kind::Terminal;
            if !inherited.was_closed(fd) && !is_on_seat {
                places[stream.index()] = Some(private_copy(standard(fd))?);
            }
        }
    }
    Ok(places)
}

fn program(spec: &Spec, id: Option<&TaskId>, mailbox: Option<&Mailbox>) -> io::Result<Program> {
    let mut environment = spec.environment.clone();
    let mut set = |name: &str, value: &str| {
        environment.retain(|(key, _)| key != name);
        environment.push((name.into(), value.into()));
    };
    if let Some(id) = id {
        set(ID_VARIABLE, id.as_str());
    }
    if let Some(mailbox) = mailbox {
        set(notified::VARIABLE, mailbox.name());
    }
    Program::new(&spec.argv, &environment, spec.change_directory.as_ref().map(|path| path.as_os_str()))
}

fn facts(spec: &Spec) -> Facts {
    let now = time::since_epoch();
    Facts {
        // The first id to try; claiming settles it.
        id: TaskId::new(&spec.tool, u64::try_from(now.as_millis()).unwrap_or(u64::MAX), 0),
        tool: spec.tool.clone(),
        argv: spec.argv.iter().map(|arg| arg.as_bytes().to_vec()).collect(),
        cwd: spec.directory.to_string_lossy().into_owned(),
        host: process::host_name(),
        user: process::user_name(nix::unistd::geteuid().as_raw()),
        boot_id: process::boot_id().unwrap_or_default(),
        pid_namespace: process::pid_namespace(),
        labels: spec.labels.clone(),
        total: spec.total,
        pty: false,
        log_path: String::new(),
        attempts: spec.retry.attempts,
        turn: spec.turn.clone(),
        made_at: i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
        made: time::since_boot(),
    }
}

/// Gives the task an id and its record. The lock is taken first, so that nobody ever sees the record without it.
fn claim(facts: &mut Facts) -> Result<Tracking, String> {
    let dir = StatusDir::for_writing().map_err(|unusable| unusable.to_string())?;
    let me = std::process::id().cast_signed();
    let supervisor = (me, process::look(me).map(|seen| seen.start));
    let cannot = |error: &io::Error| {
        format!("cannot keep a record in '{}': {}", dir.path().display(), io_words(error))
    };
    let millis = facts.id.parts().map_or(0, |(_, millis, _)| millis);
    for counter in 0..MOST_CLASHES {
        let id = TaskId::new(&facts.tool, millis, counter);
        let lock = match TaskLock::take(&dir, &id) {
            Ok(lock) => lock,
            // Another task has this id.
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => continue,
            Err(error) if error.raw_os_error() == Some(libc::EACCES) && dir.lock(&id).exists() => continue,
            Err(error) => return Err(cannot(&error)),
        };
        facts.log_path = dir.log(&id).to_string_lossy().into_owned();
        facts.id = id.clone();
        let queued = !facts.turn.is_now();
        let status = Status { supervisor, now: facts.made_at, attempt: 1, queued, ..Status::default() };
        match replace::claim(&dir, &id, &record(facts, &status)) {
            Ok(true) => return Ok(Tracking { dir, lock }),
            Ok(false) => lock.remove(&dir, &id),
            Err(error) => {
                lock.remove(&dir, &id);
                return Err(cannot(&error));
            }
        }
    }
    Err(format!("cannot find a free id for '{}'", facts.tool))
}

/// Takes up what a supervisor that died had got to: which bytes were taken, which are in the log.
///
/// # Errors
/// What the kernel or the disk says. As much as could be taken up has been.
pub fn recover(handover: &mut Handover) -> io::Result<()> {
    for spool in &mut handover.spools {
        spool.recover()?;
    }
    let place = handover.tracking.as_ref().map(|tracking| (&tracking.dir, &handover.facts.id));
    let checkpoint = handover.control.checkpoint();
    let (terminals, spools) = (&handover.terminals, &handover.spools);
    let shown = Stream::BOTH.map(|stream| {
        let n = stream.index();
        let by_terminal = terminals.as_ref().is_some_and(|terminals| terminals.has(stream));
        by_terminal.then(|| spools[n].from(checkpoint.taken[n]))
    });
    handover.journal.recover(place, shown)?;
    place.map_or(Ok(()), |(dir, id)| replace::remove_unfinished(dir, id))
}

/// What the supervisor that died had written down: its warnings, and perhaps the end already. That stays the end.
pub fn recall_record(handover: &mut Handover) {
    let Some(tracking) = &handover.tracking else { return };
    if let Ok(record) = load::read_record(&tracking.dir, &handover.facts.id) {
        if matches!(record.state(), Some(State::Succeeded | State::Failed | State::Cancelled))
            && handover.control.phase() == Phase::Underway
        {
            handover.control.set_phase(Phase::Final);
        }
        for warning in record.texts(field::WARNINGS) {
            if !handover.warnings.iter().any(|known| known == warning) {
                handover.warnings.push(warning.to_owned());
            }
        }
    }
}
