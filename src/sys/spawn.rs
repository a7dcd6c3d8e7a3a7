//! Starting the command exactly as its caller would have: own `fork` and `exec`, because `std`'s hands on
//! blocked signals and cannot put back what was ignored.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use nix::errno::Errno;
use nix::unistd::{chdir, execve};

use super::descriptors::{close_foreign, put_in_place};
use super::fork::{fork_to_execute, own_group};
use super::signals;
use super::start::Inherited;
use crate::task::outcome::{StartError, StartStep};

/// Where programs are looked for if `PATH` is not set: the C library's default.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// How a process ends that could not become the program.
const EXIT_NOT_STARTED: i32 = 125;

/// A program ready to be executed: everything that needs memory has been made.
#[derive(Debug)]
pub struct Program {
    candidates: Vec<CString>,
    arguments: Vec<CString>,
    environment: Vec<CString>,
    directory: Option<CString>,
}

/// The standard descriptors of the command. `None`: closed.
#[derive(Debug, Clone, Copy)]
pub struct Stdio<'a>(pub [Option<BorrowedFd<'a>>; 3]);

impl Program {
    /// A program called `arguments[0]` with `environment`, to run in `directory` (else where gco is).
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] if there is no name, or a NUL byte in any of it.
    pub fn new(
        arguments: &[OsString],
        environment: &[(OsString, OsString)],
        directory: Option<&OsStr>,
    ) -> io::Result<Self> {
        let text =
            |bytes: Vec<u8>| CString::new(bytes).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput));
        let name = arguments.first().ok_or(io::ErrorKind::InvalidInput)?.as_bytes();
        let path = environment.iter().find(|(key, _)| key == "PATH");
        let path = path.map_or(DEFAULT_PATH.as_bytes(), |(_, value)| value.as_bytes());
        let candidates = if name.contains(&b'/') || name.is_empty() {
            vec![name.to_vec()]
        } else {
            let join = |place: &[u8]| match place {
                b"" => name.to_vec(),
                place => [place, b"/", name].concat(),
            };
            path.split(|&b| b == b':').map(join).collect()
        };
        Ok(Self {
            candidates: candidates.into_iter().map(text).collect::<io::Result<_>>()?,
            arguments: arguments.iter().map(|a| text(a.as_bytes().to_vec())).collect::<io::Result<_>>()?,
            environment: environment
                .iter()
                .map(|(key, value)| text([key.as_bytes(), b"=", value.as_bytes()].concat()))
                .collect::<io::Result<_>>()?,
            directory: directory.map(|d| text(d.to_owned().into_vec())).transpose()?,
        })
    }

    /// Starts it in a process group of its own. Gives its pid once it is really executing.
    ///
    /// The new process itself tells `announce` its pid first, and why it could not become the program: so both are
    /// known even if this process is killed meanwhile.
    ///
    /// # Errors
    /// Which step failed, and why.
    pub fn start(
        &self,
        stdio: Stdio<'_>,
        ground: Option<BorrowedFd<'_>>,
        inherited: &Inherited,
        announce: impl Fn(Result<i32, StartError>),
    ) -> Result<i32, StartError> {
        let mut failure = None;
        // This process goes on once the new one has executed the program or has ended.
        let pid = fork_to_execute(|| {
            announce(Ok(std::process::id().cast_signed()));
            let error = self.become_it(stdio, ground, inherited);
            announce(Err(error));
            failure = Some(error);
            EXIT_NOT_STARTED
        })
        .map_err(|error| StartError {
            errno: error.raw_os_error().unwrap_or(libc::EIO),
            step: StartStep::Fork,
        })?;
        match failure {
            Some(error) => {
                super::child::reap_now(pid);
                Err(error)
            }
            None => Ok(pid),
        }
    }

    /// In the new process: returns only with the reason why it could not become the program.
    fn become_it(
        &self,
        stdio: Stdio<'_>,
        ground: Option<BorrowedFd<'_>>,
        inherited: &Inherited,
    ) -> StartError {
        own_group();
        if let Some(terminal) = ground {
            // Signals are still blocked: else this would stop a process that is not in the foreground yet. Fails only if the
            // terminal has been taken from the session.
            let _ = super::pty::set_foreground(terminal, std::process::id().cast_signed());
        }
        if let Some(error) = place_stdio(stdio) {
            return StartError { errno: error.raw_os_error().unwrap_or(libc::EIO), step: StartStep::Fork };
        }
        if let Some(directory) = &self.directory
            && let Err(errno) = chdir(directory.as_c_str())
        {
            return StartError { errno: errno as i32, step: StartStep::Chdir };
        }
        signals::restore(inherited);
        let mut denied = false;
        let mut last = Errno::ENOENT;
        for candidate in &self.candidates {
            let Err(errno) = execve(candidate, &self.arguments, &self.environment);
            last = match errno {
                Errno::ENOEXEC => self.run_by_shell(candidate),
                other => other,
            };
            match last {
                Errno::EACCES => denied = true,
                // Not in this place; perhaps in the next.
                Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::ENAMETOOLONG => {}
                _ => break,
            }
        }
        let not_here = matches!(last, Errno::ENOENT | Errno::ENOTDIR);
        let errno = if denied && not_here { Errno::EACCES } else { last };
        let errno = if errno == Errno::ENOTDIR && self.candidates.len() > 1 { Errno::ENOENT } else { errno };
        StartError { errno: errno as i32, step: StartStep::Exec }
    }

    /// A script without `#!` is the shell's to run, as every shell and `execvp` have it.
    fn run_by_shell(&self, script: &CString) -> Errno {
        let arguments: Vec<_> = [c"/bin/sh", script.as_c_str()]
            .into_iter()
            .chain(self.arguments.iter().skip(1).map(|a| &**a))
            .collect();
        let Err(errno) = execve(c"/bin/sh", &arguments, &self.environment);
        errno
    }
}

/// Puts the three in place. gco's own descriptors are all above them, so no order of doing it can lose one.
fn place_stdio(stdio: Stdio<'_>) -> Option<io::Error> {
    for (place, fd) in stdio.0.into_iter().enumerate() {
        match fd {
            // Already in place, and perhaps marked to close: only a copy would clear that, so it is never marked.
            Some(fd) if fd.as_raw_fd() == place as RawFd => {}
            Some(fd) => {
                if let Err(error) = put_in_place(fd.as_fd(), place) {
                    return Some(error);
                }
            }
            None => close_foreign(place as RawFd),
        }
    }
    None
}
