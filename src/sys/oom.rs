//! How often the kernel's out-of-memory killer has been at work, as far as one may know without privileges.
//!
//! Best told by this process's own control group (version 2), whose counter is about the processes in it; where there is
//! none, by the counter of the whole machine. Neither says which process was killed.

use std::fs;
use std::path::Path;

/// How often it has killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kills {
    /// So many processes since the counter began.
    pub count: u64,
    /// Of the own control group, not of the whole machine.
    pub of_group: bool,
}

/// What is counted now. `None` where nobody tells.
#[must_use]
pub fn kills() -> Option<Kills> {
    let of_group = || {
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        let path = Path::new("/sys/fs/cgroup").join(group(&groups)?).join("memory.events");
        counter(&fs::read_to_string(path).ok()?)
    };
    if let Some(count) = of_group() {
        return Some(Kills { count, of_group: true });
    }
    let count = counter(&fs::read_to_string("/proc/vmstat").ok()?)?;
    Some(Kills { count, of_group: false })
}

/// The control group of version 2 in what `/proc/self/cgroup` says, as a path below where they are mounted.
fn group(groups: &str) -> Option<&str> {
    groups.lines().find_map(|line| line.strip_prefix("0::/"))
}

/// The counter `oom_kill` among lines of names and numbers.
fn counter(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found() {
        let events = "low 0\nhigh 0\nmax 7\noom 3\noom_kill 2\noom_group_kill 1\n";
        assert_eq!(counter(events), Some(2));
        assert_eq!(counter("oom_killer 2\noom_kill x\n"), None);
        assert_eq!(group("1:name=systemd:/a\n0::/user.slice/x y\n"), Some("user.slice/x y"));
        assert_eq!(group("0::/\n"), Some(""));
        assert_eq!(group("4:memory:/a\n"), None);
    }

    #[test]
    fn a_counter_never_goes_back() {
        if let (Some(before), Some(after)) = (kills(), kills()) {
            assert!(before.count <= after.count && before.of_group == after.of_group);
        }
    }
}
