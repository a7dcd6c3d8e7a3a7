//! Running processes and accounting for all of them, also for those that gco leaves behind when its front-end ends.
//!
//! This process adopts them (it is their subreaper), so that their processor time is counted with its children's, and
//! the next measurement begins when the last of them is gone.

use std::process::{Command, ExitStatus};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

/// How long a row may take before something must be stuck.
const STUCK: Duration = Duration::from_secs(900);

/// How long a single condition may take to come true.
const DEADLINE: Duration = Duration::from_secs(60);

/// What a run took, in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// Until the processes that were started had ended.
    pub wall: f64,
    /// Of every process that had part in it, those left behind included.
    pub processor: f64,
}

/// Makes this process the one that orphans below it fall to.
pub fn adopt_orphans() -> Result<()> {
    set_child_subreaper(true).context("cannot adopt orphans")
}

/// Starts `commands` one after the other, waits for them all, then for whatever they left behind.
pub fn run(commands: impl IntoIterator<Item = Command>) -> Result<Run> {
    let before = processor_time(UsageWho::RUSAGE_CHILDREN)?;
    let begin = Instant::now();
    let mut started = Vec::new();
    for mut command in commands {
        let child = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
        // The command holds its ends of pipes, which must close now.
        started.push((child, format!("{command:?}")));
    }
    let mut ended: Vec<(ExitStatus, String)> = Vec::new();
    for (mut child, words) in started {
        ended.push((child.wait()?, words));
    }
    let wall = begin.elapsed().as_secs_f64();
    reap_the_rest()?;
    for (status, words) in ended {
        ensure!(status.success(), "{words}: {status}");
    }
    Ok(Run { wall, processor: processor_time(UsageWho::RUSAGE_CHILDREN)? - before })
}

/// Waits until this process has no children, its own or adopted.
pub fn reap_the_rest() -> Result<()> {
    loop {
        match waitpid(None, None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(Errno::ECHILD) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// User and system time together, in seconds.
pub fn processor_time(who: UsageWho) -> Result<f64> {
    let usage = getrusage(who)?;
    let seconds = |time: TimeVal| time.num_microseconds() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// Looks again and again until there is an answer.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        ensure!(begin.elapsed() < DEADLINE, "waited {DEADLINE:?} in vain for {what}");
        thread::park_timeout(Duration::from_millis(1));
    }
}

/// The number behind `key` in one of the files that `/proc` has about process `pid`.
pub fn proc_number(pid: i64, file: &str, key: &str) -> Result<u64> {
    let path = format!("/proc/{pid}/{file}");
    let text = std::fs::read_to_string(&path).with_context(|| path.clone())?;
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':')?.split_whitespace().next()?.parse().ok())
        .with_context(|| format!("{path} has no {key}"))
}

/// Kills every process below this one: the children, then those that fall to this process by that.
pub fn kill_all() {
    let me = std::process::id();
    loop {
        // A snapshot proves nothing: what is below these falls to this process when they end.
        let below = std::fs::read_to_string(format!("/proc/{me}/task/{me}/children")).unwrap_or_default();
        if below.is_empty() {
            return;
        }
        for pid in below.split_whitespace().filter_map(|word| word.parse().ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        if !matches!(waitpid(None, None), Ok(_) | Err(Errno::EINTR)) {
            return;
        }
    }
}

/// Ends this process, and all below it, if the row `name` hangs. Ends itself when dropped.
pub fn watch(name: &'static str) -> Sender<()> {
    let (done, waiting) = channel();
    thread::spawn(move || {
        if waiting.recv_timeout(STUCK) == Err(RecvTimeoutError::Timeout) {
            eprintln!("speed: {name} hangs");
            kill_all();
            std::process::exit(1);
        }
    });
    done
}
