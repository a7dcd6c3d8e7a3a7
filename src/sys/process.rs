//! Other processes as `/proc` shows them, and this machine's and this boot's names.

use std::fs::{self, File};
use std::io::{self, Read};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::child::{PidFd, exit_of_status};
use crate::task::Exit;

/// A process as `/proc/PID/stat` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Its parent.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// Its session.
    pub session: i32,
    /// When it started, in clock ticks since boot: field 22. Together with the boot id it tells one
    /// process from a later one with the same pid.
    pub start: u64,
    /// It has ended and waits to be reaped.
    pub zombie: bool,
    /// A signal has stopped it.
    pub stopped: bool,
}

/// More than `/proc/PID/stat` ever has: 52 numbers and a name of at most 64 bytes.
const MAX_STAT: usize = 2048;

/// Looks at process `pid`. `None` if there is none, or `/proc` cannot be read.
#[must_use]
pub fn look(pid: i32) -> Option<Seen> {
    let mut stat = [0; MAX_STAT];
    // The kernel gives all of it at once.
    let size = File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut stat).ok()?;
    parse_stat(&stat[..size])
}

/// What process `pid` is called: its program's name, or what it calls itself. `None` if there is none.
#[must_use]
pub fn name(pid: i32) -> Option<String> {
    let name = fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(String::from_utf8_lossy(name.strip_suffix(b"\n").unwrap_or(&name)).into_owned())
}

/// The name in the second field is in parentheses and may hold anything, also parentheses: what
/// counts comes after the last one.
fn parse_stat(stat: &[u8]) -> Option<Seen> {
    let after_name = memchr::memrchr(b')', stat)? + 1;
    let rest = std::str::from_utf8(stat.get(after_name..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let session = fields.next()?.parse().ok()?;
    // The session is field 6, so field 22 is the 16th after it.
    let start = fields.nth(15)?.parse().ok()?;
    let zombie = matches!(state, "Z" | "X" | "x");
    Some(Seen { parent, group, session, start, zombie, stopped: state == "T" })
}

/// Sends signal `number` to the process that has `pid` and started at `start`, and to no other.
///
/// # Errors
/// `ESRCH` if it is gone, `EPERM` if it is somebody else's.
pub fn signal(pid: i32, start: u64, number: i32) -> io::Result<()> {
    let process = PidFd::open(pid)?;
    // The handle first: what is seen after it under this number, and is the same that was seen before it, is what the handle
    // is on.
    if look(pid).is_none_or(|seen| seen.start != start) {
        return Err(Errno::ESRCH.into());
    }
    process.signal(number)
}

/// Lets process `pid` (0: this one) run before all ordinary ones, or no more. Without the right to, which usually only root
/// has, it stays as it is. What it forks is ordinary in any case.
pub fn take_precedence(pid: i32, takes: bool) {
    let (policy, priority) =
        if takes { (libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, 1) } else { (libc::SCHED_OTHER, 0) };
    let parameters = libc::sched_param { sched_priority: priority };
    // SAFETY: the kernel reads the parameters, and changes nothing of this process's memory.
    unsafe {
        libc::sched_setscheduler(pid, policy, &raw const parameters);
    }
}

/// How the process that has `pid` and started at `start` ended, while it waits to be reaped. `None` if it is not there or has
/// not ended, and where this process may not know.
#[must_use]
pub fn exit_of_zombie(pid: i32, start: u64) -> Option<Exit> {
    let mut stat = [0; MAX_STAT];
    let size = File::open(format!("/proc/{pid}/stat")).ok()?.read(&mut stat).ok()?;
    let stat = &stat[..size];
    if !parse_stat(stat).is_some_and(|seen| seen.zombie && seen.start == start) {
        return None;
    }
    let status = last_number(stat)?;
    // Who may not know is told 0. Who may is refused nothing else either: then there is just no such file any more.
    let refused = || {
        let exe = fs::read_link(format!("/proc/{pid}/exe"));
        exe.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    };
    if status == 0 && refused() { None } else { Some(exit_of_status(status)) }
}

/// The exit status is the last field, the 52nd.
fn last_number(stat: &[u8]) -> Option<i32> {
    let rest = std::str::from_utf8(stat.get(memchr::memrchr(b')', stat)? + 1..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // The first two are before the parenthesis.
    fields.get(52 - 3)?.parse().ok()
}

/// Whether there is a process `pid`, as `kill(pid, 0)` tells it: also one of somebody else.
#[must_use]
pub fn exists(pid: i32) -> bool {
    !matches!(kill(Pid::from_raw(pid), None), Err(Errno::ESRCH))
}

/// The id of this boot, from `/proc/sys/kernel/random/boot_id`.
///
/// # Errors
/// What reading the file said.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// The name of this machine.
#[must_use]
pub fn host_name() -> String {
    nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The number of this process's pid namespace. `None` where the kernel does not say.
#[must_use]
pub fn pid_namespace() -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self/ns/pid").ok().map(|meta| meta.ino())
}

/// The name of the user with `uid`: from `/etc/passwd`, and only if it is not there from the system's other
/// sources, which may be a network away.
#[must_use]
pub fn user_name(uid: u32) -> String {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let listed = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    listed
        .or_else(|| nix::unistd::User::from_uid(uid.into()).ok().flatten().map(|user| user.name))
        .unwrap_or_else(|| uid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_does_not_mislead() {
        let stat = b"7 (a) Z 1 (b) 2) S 1 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 0 0";
        let seen = Seen { parent: 1, group: 7, session: 7, start: 4711, zombie: false, stopped: false };
        assert_eq!(parse_stat(stat), Some(seen));
        assert_eq!(parse_stat(b"7 (x"), None);
        assert_eq!(parse_stat(b""), None);
    }

    #[test]
    fn a_zombie_tells_how_it_ended() -> io::Result<()> {
        for (script, exit) in
            [("exit 7", Exit::Code(7)), ("exit 0", Exit::Code(0)), ("kill -9 $$", Exit::Signal(9))]
        {
            let mut child = std::process::Command::new("sh").args(["-c", script]).spawn()?;
            let pid = child.id().cast_signed();
            let start = look(pid).map(|seen| seen.start).unwrap_or_default();
            crate::sys::child::PidFd::open(pid)?.await_end(None)?;
            assert_eq!(exit_of_zombie(pid, start), Some(exit));
            assert_eq!(exit_of_zombie(pid, start + 1), None);
            child.wait()?;
            assert_eq!(exit_of_zombie(pid, start), None);
        }
        Ok(())
    }

    #[test]
    fn this_process_is_seen() {
        let me = std::process::id().cast_signed();
        assert!(look(me).is_some_and(|seen| !seen.zombie && seen.start > 0));
        assert!(exists(me));
        assert!(!exists(i32::MAX));
    }
}
