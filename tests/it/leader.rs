//! A parent such as a shell is: it leads the session of a terminal, and runs jobs one after the other in process groups
//! of their own that have the terminal's foreground. So a program run bare and one run by gco are in the same situation.

use std::fs;

use serde_json::{Value, json};

use crate::harness::Home;
use crate::pty::Pty;

/// Runs the jobs of plan `argv[1]` and writes what became of them into `argv[2]`: for each the wait status, what came by a
/// pipe or a file for stdout and stderr, and the terminal's modes before and after.
const LEADER: &str = r#"
import fcntl, json, os, resource, signal, struct, sys, termios
plan = json.load(open(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", *plan["size"]))
def modes(): return repr(termios.tcgetattr(0))
def run(job):
    files = {}
    ends = [0, 1, 2]
    close = []
    for fd, kind in enumerate(job["ends"]):
        if kind == "tty": continue
        if kind == "closed":
            ends[fd] = None
            continue
        if kind == "pipe":
            read, write = os.pipe()
            ends[fd], mine = (read, write) if fd == 0 else (write, read)
            if fd == 0:
                os.write(mine, b"typed\n")
                os.close(mine)
            else: files[fd] = mine
        else:
            ends[fd] = os.memfd_create("end")
            os.write(ends[fd], b"typed\n" if fd == 0 else b"")
            os.lseek(ends[fd], 0, 0)
            if fd: files[fd] = os.open("/proc/self/fd/%d" % ends[fd], os.O_RDONLY)
        close.append(ends[fd])
    before = modes()
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(0, os.getpid())
        for number in (signal.SIGTTOU, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        for fd, end in enumerate(ends):
            if end is None: os.close(fd)
            elif end != fd: os.dup2(end, fd)
        os.execvp(job["argv"][0], job["argv"])
    for fd in close: os.close(fd)
    status = os.waitpid(pid, 0)[1]
    os.tcsetpgrp(0, os.getpgrp())
    found = {"status": status, "before": before, "after": modes()}
    for fd, end in files.items():
        text = b""
        while part := os.read(end, 65536): text += part
        os.close(end)
        found[("", "stdout", "stderr")[fd]] = text.decode("latin-1")
    return found
found = [run(job) for job in plan["jobs"]]
json.dump(found, open(sys.argv[2], "w"))
"#;

/// The size of the terminal, if nothing else is said: rows, columns, and the same in pixels.
pub const USUAL: [u16; 4] = [24, 80, 0, 0];

/// A job has the terminal for all three.
pub const ALL: [&str; 3] = ["tty"; 3];

/// A job: a command, and what its three descriptors are to be (`tty`, `file`, `pipe`, `closed`).
pub fn job(ends: [&str; 3], argv: &[&str]) -> Value {
    json!({"argv": argv, "ends": ends})
}

/// What became of a job.
#[derive(Debug)]
pub struct Ended {
    /// As `waitpid` gives it.
    pub status: i64,
    /// What came on it, if it was a pipe or a file.
    pub stdout: Option<String>,
    pub stderr: Option<String>,
    /// The terminal's modes.
    pub before: String,
    pub after: String,
}

/// Starts these jobs on a terminal of this size.
pub fn start(home: &Home, size: [u16; 4], jobs: &[Value]) -> Pty {
    let plan = json!({"size": size, "jobs": jobs});
    fs::write(home.path().join("plan"), plan.to_string()).unwrap();
    let leader = home.command("python3", ["-I", "-S", "-c", LEADER, "plan", "jobs-ended"]);
    // There may be more jobs than are kept.
    leader.env("GCO_TASK_RETENTION", "0").on_pty()
}

/// Waits for the end of all of them, and gives what became of them and all that the terminal has shown.
#[track_caller]
pub fn finish(home: &Home, pty: Pty) -> (Vec<Ended>, Vec<u8>) {
    let (status, shown) = pty.wait();
    assert!(status.success(), "{status}: {}", shown.escape_ascii());
    let found = fs::read(home.path().join("jobs-ended")).unwrap();
    let found: Vec<Value> = serde_json::from_slice(&found).unwrap();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let ended = |value: Value| Ended {
        status: value["status"].as_i64().unwrap(),
        stdout: text(&value["stdout"]),
        stderr: text(&value["stderr"]),
        before: text(&value["before"]).unwrap(),
        after: text(&value["after"]).unwrap(),
    };
    (found.into_iter().map(ended).collect(), shown)
}

/// Runs these jobs to their ends.
#[track_caller]
pub fn run(home: &Home, size: [u16; 4], jobs: &[Value]) -> (Vec<Ended>, Vec<u8>) {
    finish(home, start(home, size, jobs))
}
