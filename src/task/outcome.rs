//! How a command ended, and what that makes of its task.

use std::time::Duration;

use super::{State, span};

/// How a process ended, as `wait` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// It is gone and nobody could tell how it ended.
    Unknown,
}

impl Exit {
    /// The code a shell would show: 128+N for signal N. `None` when nobody knows.
    #[must_use]
    pub fn code(self) -> Option<i32> {
        match self {
            Exit::Code(code) => Some(code),
            Exit::Signal(signal) => Some(128 + signal),
            Exit::Unknown => None,
        }
    }
}

/// Why a command could not be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartError {
    /// The `errno` of the step that failed.
    pub errno: i32,
    /// The step.
    pub step: StartStep,
}

/// The steps of starting a command that can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartStep {
    /// Making a process.
    Fork,
    /// Entering the working directory.
    Chdir,
    /// Executing the program.
    Exec,
}

impl StartError {
    /// The exit code for it: 127 not found, 126 found but cannot be run, 125 when gco's own part failed.
    #[must_use]
    pub fn exit_code(self) -> i32 {
        match self.step {
            StartStep::Fork | StartStep::Chdir => 125,
            StartStep::Exec if self.errno == libc::ENOENT => 127,
            StartStep::Exec => 126,
        }
    }
}

/// The end of a task: what its terminal record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// `succeeded`, `failed` or `cancelled`.
    pub state: State,
    /// The exit code, where there is one.
    pub exit_code: Option<i32>,
    /// The signal that ended the command, by number.
    pub signal: Option<i32>,
    /// What there is to say, in words.
    pub error: Option<String>,
}

/// The last signal that was passed on to the command and asks a program to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The signal.
    pub signal: i32,
    /// How long before the command's end it was passed on.
    pub ago: Duration,
}

/// Why gco itself made the command end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stopped {
    /// It was cancelled.
    Cancelled {
        /// The signal that told it to end.
        signal: i32,
        /// By whom, in words; none if nobody said.
        by: Option<String>,
    },
    /// It took longer than this.
    TimedOut(Duration),
    /// It said nothing for this long.
    Silent(Duration),
    /// It was not started at all, for this reason.
    NotWanted(String),
}

impl Stopped {
    /// What was done and why, in words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Stopped::Cancelled { signal, by } => {
                let from = by.as_deref().map(|by| format!(" from {by}")).unwrap_or_default();
                format!("cancelled by {}{from}", signal_name(*signal))
            }
            Stopped::TimedOut(after) => format!("timed out after {}", span::exact(*after)),
            Stopped::Silent(after) => format!("no output for {}", span::exact(*after)),
            Stopped::NotWanted(why) => format!("{NOT_STARTED}{why}"),
        }
    }
}

/// How the words begin for a task whose command was not started.
pub const NOT_STARTED: &str = "not started: ";

/// The exit code of a task that took too long, as that of `timeout`.
pub const EXIT_TIMED_OUT: i32 = 124;

/// The exit code of a task whose command was not started because it was not wanted any more.
pub const EXIT_NOT_WANTED: i32 = 125;

/// For how long after a passed-on signal a failing end is taken for the answer to it. A shell or an
/// interpreter that lives on after Ctrl-C and fails an hour later has failed; one that cleans up and
/// then exits with 1 was cancelled.
const ANSWER_TIME: Duration = Duration::from_secs(10);

impl Outcome {
    /// What `exit` makes of the task, given the last signal that asked it to end.
    #[must_use]
    pub fn of(exit: Exit, asked: Option<Asked>) -> Outcome {
        let answered = asked.is_some_and(|asked| match exit {
            Exit::Code(0) => false,
            Exit::Code(code) => code == 128 + asked.signal || asked.ago <= ANSWER_TIME,
            Exit::Signal(signal) => signal == asked.signal || asked.ago <= ANSWER_TIME,
            Exit::Unknown => asked.ago <= ANSWER_TIME,
        });
        let state = match exit {
            Exit::Code(0) => State::Succeeded,
            _ if answered => State::Cancelled,
            _ => State::Failed,
        };
        let mut error = match exit {
            Exit::Code(0) => None,
            Exit::Code(code) => Some(format!("exit_code={code}")),
            Exit::Signal(signal) => Some(format!("killed by {}", signal_name(signal))),
            Exit::Unknown => Some("the command is gone and its exit status could not be learned".to_owned()),
        };
        if let (State::Cancelled, Some(asked), Some(text)) = (state, asked, error.as_mut()) {
            *text = format!("{text} after {} was passed on", signal_name(asked.signal));
        }
        Outcome { state, exit_code: exit.code(), signal: signal_of(exit), error }
    }

    /// What `exit` makes of a task that gco itself made end; without one its command did not run at that time.
    #[must_use]
    pub fn stopped(exit: Option<Exit>, why: &Stopped) -> Outcome {
        let (state, told, code) = match why {
            Stopped::Cancelled { signal, .. } => (State::Cancelled, Some(*signal), None),
            Stopped::TimedOut(_) | Stopped::Silent(_) => (State::Failed, None, Some(EXIT_TIMED_OUT)),
            Stopped::NotWanted(_) => (State::Cancelled, None, Some(EXIT_NOT_WANTED)),
        };
        // One that was told before it began counts as if it had been told later.
        let exit = exit.or(told.map(Exit::Signal)).unwrap_or(Exit::Unknown);
        let mut error = why.words();
        match exit {
            Exit::Signal(signal) if told.is_some_and(|told| told != signal) => {
                error.push_str(&format!(", killed by {}", signal_name(signal)));
            }
            Exit::Code(code) if told.is_some() && code != 0 => error.push_str(&format!(", exit_code={code}")),
            _ => {}
        }
        Outcome { state, exit_code: code.or(exit.code()), signal: signal_of(exit), error: Some(error) }
    }

    /// The end of a task whose command could not start; `why` is for the reader of the record.
    #[must_use]
    pub fn not_started(error: StartError, why: String) -> Outcome {
        Outcome { state: State::Failed, exit_code: Some(error.exit_code()), signal: None, error: Some(why) }
    }
}

fn signal_of(exit: Exit) -> Option<i32> {
    match exit {
        Exit::Signal(signal) => Some(signal),
        Exit::Code(_) | Exit::Unknown => None,
    }
}

/// The number of the signal called `name`: `TERM`, `SIGTERM`, `term`, `15`, `RTMIN+3`.
#[must_use]
pub fn signal_number(name: &str) -> Option<i32> {
    if name.bytes().all(|b| b.is_ascii_digit()) {
        return name.parse().ok().filter(|number| (1..=64).contains(number));
    }
    let name = name.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    (1..=64).find(|&number| signal_name(number).strip_prefix("SIG") == Some(name))
}

/// The name of signal `number`: `SIGKILL`, `SIGRTMIN+3`, or `signal 99` where there is none.
#[must_use]
pub fn signal_name(number: i32) -> String {
    let name = match number {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGUSR1 => "SIGUSR1",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGUSR2 => "SIGUSR2",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGALRM => "SIGALRM",
        libc::SIGTERM => "SIGTERM",
        libc::SIGSTKFLT => "SIGSTKFLT",
        libc::SIGCHLD => "SIGCHLD",
        libc::SIGCONT => "SIGCONT",
        libc::SIGSTOP => "SIGSTOP",
        libc::SIGTSTP => "SIGTSTP",
        libc::SIGTTIN => "SIGTTIN",
        libc::SIGTTOU => "SIGTTOU",
        libc::SIGURG => "SIGURG",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ",
        libc::SIGVTALRM => "SIGVTALRM",
        libc::SIGPROF => "SIGPROF",
        libc::SIGWINCH => "SIGWINCH",
        libc::SIGIO => "SIGIO",
        libc::SIGPWR => "SIGPWR",
        libc::SIGSYS => "SIGSYS",
        // The first real-time signal a program may use: the C library keeps 32 and 33 to itself.
        34..=64 => return format!("SIGRTMIN+{}", number - 34),
        _ => return format!("signal {number}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(signal: i32, secs: u64) -> Option<Asked> {
        Some(Asked { signal, ago: Duration::from_secs(secs) })
    }

    #[test]
    fn an_end_is_cancelled_only_as_an_answer() {
        let state = |exit, asked| Outcome::of(exit, asked).state;
        assert_eq!(state(Exit::Code(0), None), State::Succeeded);
        assert_eq!(state(Exit::Code(0), asked(libc::SIGINT, 0)), State::Succeeded);
        assert_eq!(state(Exit::Code(3), None), State::Failed);
        assert_eq!(state(Exit::Signal(libc::SIGTERM), None), State::Failed);
        assert_eq!(state(Exit::Signal(libc::SIGTERM), asked(libc::SIGTERM, 900)), State::Cancelled);
        assert_eq!(state(Exit::Code(130), asked(libc::SIGINT, 900)), State::Cancelled);
        assert_eq!(state(Exit::Code(1), asked(libc::SIGINT, 1)), State::Cancelled);
        assert_eq!(state(Exit::Code(1), asked(libc::SIGINT, 3600)), State::Failed);
    }

    #[test]
    fn an_end_that_gco_brought_about_says_so() {
        let by = Some("ada (pid 7)".to_owned());
        let cancelled = Stopped::Cancelled { signal: libc::SIGTERM, by };
        let seen = |exit, why: &Stopped| {
            let outcome = Outcome::stopped(exit, why);
            (outcome.state, outcome.exit_code, outcome.error.unwrap_or_default())
        };
        let words = "cancelled by SIGTERM from ada (pid 7)";
        let killed = format!("{words}, killed by SIGKILL");
        assert_eq!(seen(Some(Exit::Signal(15)), &cancelled), (State::Cancelled, Some(143), words.to_owned()));
        assert_eq!(seen(Some(Exit::Signal(9)), &cancelled), (State::Cancelled, Some(137), killed));
        assert_eq!(seen(Some(Exit::Code(0)), &cancelled), (State::Cancelled, Some(0), words.to_owned()));
        assert_eq!(seen(None, &cancelled), (State::Cancelled, Some(143), words.to_owned()));
        let late = Stopped::TimedOut(Duration::from_secs(1800));
        let wanted = (State::Failed, Some(124), "timed out after 30m".to_owned());
        assert_eq!(seen(Some(Exit::Signal(15)), &late), wanted);
        assert_eq!(seen(Some(Exit::Code(0)), &late), wanted, "also if it ends well when told to");
        let refused = Stopped::NotWanted("'a' failed".to_owned());
        assert_eq!(seen(None, &refused), (State::Cancelled, Some(125), "not started: 'a' failed".to_owned()));
    }

    #[test]
    fn signals_are_known_by_name_and_number() {
        for (name, number) in
            [("TERM", 15), ("sigterm", 15), ("SIGKILL", 9), ("9", 9), ("RTMIN+3", 37), ("64", 64)]
        {
            assert_eq!(signal_number(name), Some(number), "{name}");
        }
        for bad in ["", "0", "65", "-9", "TERMINATE", "SIG", "SIGSIGTERM", "signal 70"] {
            assert_eq!(signal_number(bad), None, "{bad}");
        }
    }

    #[test]
    fn codes_follow_the_shell() {
        assert_eq!(Exit::Signal(9).code(), Some(137));
        let failed = |step, errno| StartError { step, errno }.exit_code();
        assert_eq!(failed(StartStep::Exec, libc::ENOENT), 127);
        assert_eq!(failed(StartStep::Exec, libc::EACCES), 126);
        assert_eq!(failed(StartStep::Chdir, libc::ENOENT), 125);
    }
}
