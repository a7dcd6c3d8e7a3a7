//! Strikes a process of gco's at an exact moment: as it is about to do its n-th system call.
//!
//! A run is traced (ptrace(2)) with all that it forks, but not what the command becomes once it is executed. Processes are
//! numbered in the order they come to be, and their system calls are counted, those of all threads together. When the time has
//! come one process is struck, and all others are let go: from then on they run as if nobody had ever looked. Or, from some
//! moment on, whatever any of them wants of the status directory's disk fails.

use std::collections::HashMap;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus};

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::disk;
use crate::tools::comm;

/// Which process is struck, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strike {
    /// The first process is 0, the next to come to be is 1.
    pub process: usize,
    /// Before which of its system calls, the first of which is 1.
    pub at: u64,
}

/// What is done to a run.
#[derive(Debug, Clone, Copy)]
pub enum Plan<'p> {
    /// One process is killed.
    Kill(Strike),
    /// Everything that would change the file system below `dir` fails, from the `from`th such call on, counted from 1 over all
    /// processes.
    Fail { error: Errno, from: u64, dir: &'p Path },
}

/// A process that was traced.
#[derive(Debug, Clone)]
pub struct Traced {
    /// Its name when it was last looked at.
    pub name: String,
    /// How many system calls it has begun.
    pub calls: u64,
    /// Whether it became the command.
    pub is_command: bool,
}

/// How a traced run went.
#[derive(Debug)]
pub struct Trace {
    /// How the first process ended.
    pub status: ExitStatus,
    /// All that are gco's, in the order they came to be.
    pub processes: Vec<Traced>,
    /// What was struck.
    pub struck: Option<Struck>,
    /// How many calls would have changed the file system, with [`Plan::Fail`].
    pub changes: u64,
}

/// A process at the moment it was struck.
#[derive(Debug)]
pub struct Struck {
    /// Its number.
    pub process: usize,
    #[expect(dead_code, reason = "for those who read what went wrong")]
    name: String,
    #[expect(dead_code, reason = "for those who read what went wrong")]
    at: u64,
    /// The number of the system call it was about to do.
    #[expect(dead_code, reason = "for those who read what went wrong")]
    call: u64,
}

/// A thread that is traced.
struct Thread {
    process: usize,
    /// What its system call is to return, instead of being done.
    fails: Option<Errno>,
}

/// The process a thread belongs to.
fn process_of(thread: Pid) -> Option<i32> {
    let status = std::fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()
}

struct Tracer<'p> {
    threads: HashMap<Pid, Thread>,
    numbers: HashMap<i32, usize>,
    trace: Trace,
    plan: Option<Plan<'p>>,
}

/// Runs `command` to the end of everything that is traced, with `plan` done to it.
///
/// Whatever goes on for ever is the caller's to end: from another thread.
pub fn trace(command: &mut Command, plan: Option<Plan<'_>>) -> Trace {
    // SAFETY: one system call, which is safe after fork.
    unsafe { command.pre_exec(|| ptrace::traceme().map_err(Into::into)) };
    #[expect(clippy::zombie_processes, reason = "it is waited for below, as all that is traced")]
    let root = command.spawn().unwrap();
    let root = Pid::from_raw(root.id().cast_signed());
    let trace = Trace { status: ExitStatus::from_raw(-1), processes: Vec::new(), struck: None, changes: 0 };
    let mut tracer = Tracer { threads: HashMap::new(), numbers: HashMap::new(), trace, plan };
    // Only what this thread has begun to trace: others in this process have children, too. To the last: what was forked a
    // moment ago may not have said so yet.
    let flags = WaitPidFlag::from_bits_retain(libc::__WALL | libc::__WNOTHREAD);
    loop {
        match waitpid(None, Some(flags)) {
            Ok(status) => tracer.take(root, status),
            Err(Errno::ECHILD) => break,
            Err(error) => panic!("waitpid: {error}"),
        }
    }
    tracer.trace
}

impl Tracer<'_> {
    fn take(&mut self, root: Pid, status: WaitStatus) {
        match status {
            WaitStatus::Exited(pid, code) => self.ended(root, pid, code << 8),
            WaitStatus::Signaled(pid, signal, _) => self.ended(root, pid, signal as i32),
            WaitStatus::PtraceSyscall(pid) => self.call(pid),
            WaitStatus::PtraceEvent(pid, _, libc::PTRACE_EVENT_EXEC) if pid != root => {
                if let Some(thread) = self.threads.get(&pid) {
                    self.trace.processes[thread.process].is_command = true;
                }
                self.let_go(pid, None);
            }
            WaitStatus::PtraceEvent(pid, ..) => self.go_on(pid, None),
            WaitStatus::Stopped(pid, signal) => {
                if self.threads.contains_key(&pid) {
                    return self.go_on(pid, Some(signal));
                }
                // Its first stop is the tracing's own doing.
                self.begin(pid);
                if pid == root {
                    let options = Options::PTRACE_O_TRACESYSGOOD
                        | Options::PTRACE_O_TRACEFORK
                        | Options::PTRACE_O_TRACEVFORK
                        | Options::PTRACE_O_TRACECLONE
                        | Options::PTRACE_O_TRACEEXEC
                        | Options::PTRACE_O_EXITKILL;
                    ptrace::setoptions(pid, options).unwrap();
                }
                self.go_on(pid, None);
            }
            _ => {}
        }
    }

    fn ended(&mut self, root: Pid, pid: Pid, status: i32) {
        self.threads.remove(&pid);
        if pid == root {
            self.trace.status = ExitStatus::from_raw(status);
        }
    }

    fn begin(&mut self, pid: Pid) {
        let group = process_of(pid).unwrap_or(pid.as_raw());
        let next = self.trace.processes.len();
        let process = *self.numbers.entry(group).or_insert(next);
        if process == next {
            self.trace.processes.push(Traced { name: comm(pid.as_raw()), calls: 0, is_command: false });
        }
        self.threads.insert(pid, Thread { process, fails: None });
    }

    /// A system call begins or ends.
    fn call(&mut self, pid: Pid) {
        let Some(number) = self.threads.get(&pid).map(|thread| thread.process) else {
            return self.go_on(pid, None);
        };
        let Ok(info) = ptrace::syscall_info(pid) else { return self.go_on(pid, None) };
        if info.op == libc::PTRACE_SYSCALL_INFO_ENTRY {
            let process = &mut self.trace.processes[number];
            process.calls += 1;
            if let Some(Plan::Kill(strike)) = self.plan
                && (strike.process, strike.at) == (number, process.calls)
            {
                process.name = comm(pid.as_raw());
                // SAFETY: of the union, the part that the kernel says it has filled.
                let call = unsafe { info.u.entry.nr };
                let name = process.name.clone();
                self.trace.struck = Some(Struck { process: number, name, at: strike.at, call });
                let group = process_of(pid).unwrap_or(pid.as_raw());
                kill(Pid::from_raw(group), Signal::SIGKILL).unwrap();
                return;
            }
            if let Some(Plan::Fail { error, from, dir }) = self.plan
                && disk::changes(pid, &info, dir)
            {
                self.trace.changes += 1;
                if self.trace.changes >= from {
                    disk::leave_out(pid);
                    self.threads.entry(pid).and_modify(|thread| thread.fails = Some(error));
                }
            }
        } else {
            if let Some(error) = self.threads.get_mut(&pid).and_then(|thread| thread.fails.take()) {
                disk::give_back(pid, error);
            }
            let name = comm(pid.as_raw());
            if !name.is_empty() {
                self.trace.processes[number].name = name;
            }
        }
        self.go_on(pid, None);
    }

    fn go_on(&mut self, pid: Pid, signal: Option<Signal>) {
        if self.trace.struck.is_some() {
            return self.let_go(pid, signal);
        }
        // One that has been killed in the meantime says so itself.
        let _ = ptrace::syscall(pid, signal);
    }

    fn let_go(&mut self, pid: Pid, signal: Option<Signal>) {
        let _ = ptrace::detach(pid, signal);
        self.threads.remove(&pid);
    }
}
