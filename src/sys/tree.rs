//! The processes below a process, and telling all of them something.
//!
//! What is read of a tree is true of a moment that has passed: its members fork, end, and change their parents meanwhile. So
//! whoever wants that all have heard looks again and again. No process gets a signal that was not seen in
//! the tree, under its start time or below its parent.
//!
//! One thing can be known for sure: that nothing is left below a process that adopts orphans ([`is_bare`]).

use std::collections::HashSet;
use std::fs;
use std::io;

use super::child::PidFd;
use super::process::{self, Seen};

/// A process in a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Its pid.
    pub pid: i32,
    /// What was seen of it.
    pub seen: Seen,
}

impl Member {
    /// Sends it signal `number`.
    ///
    /// # Errors
    /// `ESRCH` if it is gone, `EPERM` if it is somebody else's.
    pub fn signal(&self, number: i32) -> io::Result<()> {
        process::signal(self.pid, self.seen.start, number)
    }

    /// The name by which `ps` shows it; none when it is gone.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        let name = fs::read_to_string(format!("/proc/{}/comm", self.pid)).ok()?;
        Some(name.trim_end().to_owned())
    }
}

/// The processes below `roots` that have not ended, without those that are `spared`. What is below a spared one is a member.
#[must_use]
pub fn below(roots: &[i32], spared: &[i32]) -> Vec<Member> {
    let mut known: HashSet<i32> = roots.iter().copied().collect();
    let mut waiting: Vec<i32> = roots.to_vec();
    let mut members = Vec::new();
    while let Some(parent) = waiting.pop() {
        let Some(children) = children(parent) else { return below_by_scan(roots, spared) };
        for pid in children {
            if !known.insert(pid) {
                continue;
            }
            waiting.push(pid);
            members.extend(member(pid).filter(|_| !spared.contains(&pid)));
        }
    }
    members
}

fn member(pid: i32) -> Option<Member> {
    process::look(pid).filter(|seen| !seen.zombie).map(|seen| Member { pid, seen })
}

/// Whether the processes `adopters`, all of which adopt orphans, have no children but those in `known`: these do not end meanwhile
/// without staying as what is left of them, and have no others below them. `None` where the kernel does not list
/// children.
///
/// The kernel appends to the list of a process's children and hands them out in order, each step under its lock. The child
/// of a process that ends is on its adopter's list before its parent can be taken off it. So a list in which there is nobody
/// but those that stay was whole: whoever forks and ends, again and again, is on it all the time, or what is
/// left of it is. That is why these count, too.
#[must_use]
pub fn is_bare(adopters: &[i32], known: &[i32]) -> Option<bool> {
    for adopter in adopters {
        if children(*adopter)?.iter().any(|child| !known.contains(child)) {
            return Some(false);
        }
    }
    Some(true)
}

/// How many of a process's children [`strike`] looks at, the newest.
const NEWEST: usize = 256;

/// Kills the newest children of `parent`, and theirs, at once, but for those that are `spared`. With as few steps as can be
/// between seeing a process and killing it: it may be about to fork and to end. What is left of those that forked and ended
/// before may be many and is not looked at.
pub fn strike(parent: i32, spared: &[i32]) {
    for child in children(parent).unwrap_or_default().into_iter().rev().take(NEWEST) {
        if spared.contains(&child) {
            continue;
        }
        if let Ok(process) = PidFd::open(child)
            && process.parent().is_none_or(|is| is == parent)
        {
            // One that is gone, or is another user's, is seen by others.
            let _ = process.signal(libc::SIGKILL);
        }
        strike(child, spared);
    }
}

/// The children of `parent`, of each of its threads. `None` where the kernel does not list them (`CONFIG_PROC_CHILDREN`).
pub(super) fn children(parent: i32) -> Option<Vec<i32>> {
    let mut found = Vec::new();
    let Ok(threads) = fs::read_dir(format!("/proc/{parent}/task")) else { return Some(found) };
    for thread in threads.flatten() {
        match fs::read_to_string(thread.path().join("children")) {
            Ok(list) => found.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok())),
            Err(_) if thread.path().exists() => return None,
            // That thread has ended.
            Err(_) => {}
        }
    }
    Some(found)
}

/// Every process there is, by its number, as far as `/proc` shows it.
#[must_use]
pub fn everybody() -> Vec<Member> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some(Member { pid, seen: process::look(pid)? })).collect()
}

fn below_by_scan(roots: &[i32], spared: &[i32]) -> Vec<Member> {
    let all = everybody();
    let mut known: HashSet<i32> = roots.iter().copied().collect();
    loop {
        let before = known.len();
        known.extend(
            all.iter().filter(|one| known.contains(&one.seen.parent)).map(|one| one.pid).collect::<Vec<_>>(),
        );
        if known.len() == before {
            break;
        }
    }
    let is_member = |one: &Member| {
        known.contains(&one.pid)
            && !roots.contains(&one.pid)
            && !spared.contains(&one.pid)
            && !one.seen.zombie
    };
    all.into_iter().filter(is_member).collect()
}

/// Whether process `pid` was started with variable `name` set to `value`.
#[must_use]
pub fn has_variable(pid: i32, name: &str, value: &str) -> bool {
    let wanted = format!("{name}={value}");
    // Another user's cannot be read.
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|&b| b == 0).any(|variable| variable == wanted.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    #[test]
    fn both_ways_of_looking_find_the_same() -> io::Result<()> {
        let script = "sleep 1000 & (sleep 1000 & echo up; wait) & wait";
        let mut shell = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let stdout = shell.stdout.take().ok_or(io::ErrorKind::Other)?;
        BufReader::new(stdout).read_line(&mut line)?;
        let root = shell.id().cast_signed();
        let me = std::process::id().cast_signed();
        let pids = |mut members: Vec<Member>| {
            members.sort_by_key(|one| one.pid);
            members.into_iter().map(|one| one.pid).collect::<Vec<_>>()
        };
        let found = pids(below(&[root], &[]));
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(found, pids(below_by_scan(&[root], &[])));
        assert_eq!(pids(below(&[root], &found[..1])), found[1..]);
        assert!(pids(below(&[me], &[])).contains(&root));
        for one in below(&[me], &[]).iter().filter(|one| one.pid == root || found.contains(&one.pid)) {
            assert!(process::signal(one.pid, one.seen.start + 1, libc::SIGKILL).is_err());
            one.signal(libc::SIGKILL)?;
        }
        shell.wait()?;
        Ok(())
    }
}
