//! What a command finds at a terminal when it is started by `gco run`: the same as without.

use std::fs;

use serde_json::Value;

use crate::harness::Home;
use crate::leader::{self, USUAL, job};

/// Writes into file `argv[1]` what it finds.
const PROBE: &str = r#"
import fcntl, json, os, resource, signal, stat, struct, sys, termios
def attempt(what):
    try: return what()
    except (OSError, termios.error) as error: return "error %d" % error.args[0]
def modes(fd):
    *numbers, keys = termios.tcgetattr(fd)
    return numbers + [key if isinstance(key, int) else key.hex() for key in keys]
def terminal(fd):
    return {
        "size": struct.unpack("HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, b"\0" * 8)),
        "modes": modes(fd),
        "discipline": struct.unpack("i", fcntl.ioctl(fd, termios.TIOCGETD, b"\0" * 4)),
        "is ours": attempt(lambda: os.tcgetpgrp(fd) == os.getpgrp()),
        "is our session's": attempt(lambda: struct.unpack("i", fcntl.ioctl(fd, 0x5429, b"\0" * 4))[0] == os.getsid(0)),
        "flags": fcntl.fcntl(fd, fcntl.F_GETFL),
        "exclusive": attempt(lambda: fcntl.ioctl(fd, 0x80045440, b"\0" * 4).hex()),
        "unread": attempt(lambda: fcntl.ioctl(fd, termios.FIONREAD, b"\0" * 4).hex()),
    }
def named(fd):
    found = os.stat(os.ttyname(fd))
    return [stat.filemode(found.st_mode), found.st_uid, found.st_gid, os.access(os.ttyname(fd), 6)]
def controlling():
    fd = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    try: return terminal(fd)
    finally: os.close(fd)
def is_open(fd): return attempt(lambda: os.fstat(fd) and True) is True
def descriptors():
    # The listing itself is closed by then.
    numbers = [n for n in sorted(map(int, os.listdir("/proc/self/fd"))) if is_open(n)]
    return [[n, os.readlink("/proc/self/fd/%d" % n) if n > 2 else ""] for n in numbers]
found = {"descriptors": descriptors(), "isatty": [os.isatty(n) for n in (0, 1, 2)]}
for n in (0, 1, 2):
    if os.isatty(n):
        found["terminal %d" % n] = terminal(n)
        found["name %d" % n] = attempt(lambda: named(n))
found["/dev/tty"] = attempt(controlling)
fields = open("/proc/self/stat").read().rpartition(") ")[2].split()
found["has terminal"] = fields[4] != "0"
found["foreground"] = fields[5] == fields[2]
found["leads"] = [os.getpgrp() == os.getpid(), os.getsid(0) == os.getpid()]
found["input is output"] = is_open(0) and is_open(1) and os.isatty(0) and os.isatty(1) and os.path.sameopenfile(0, 1)
found["status"] = [line for line in open("/proc/self/status").read().splitlines() if line.split(":")[0] in
    "SigPnd ShdPnd SigBlk SigIgn SigCgt Umask NoNewPrivs Seccomp Uid Gid Groups Cpus_allowed_list CapInh CapPrm CapEff CapBnd CapAmb".split()]
found["limits"] = open("/proc/self/limits").read()
found["priority"] = [os.nice(0), open("/proc/self/oom_score_adj").read(), open("/proc/self/timerslack_ns").read()]
found["umask"] = os.umask(0)
found["cwd"] = os.getcwd()
found["environment"] = {key: value for key, value in os.environ.items() if not key.startswith("GCO_")}
json.dump(found, open(sys.argv[1], "w"))
"#;

/// Runs the probe bare and in gco, with each of these as its descriptors, after the job `setup`, and compares.
fn same_on(size: [u16; 4], all_ends: &[[&str; 3]], setup: &str, by: &str) {
    let home = Home::new();
    fs::write(home.path().join("probe.py"), PROBE).unwrap();
    let mut jobs = vec![job(["tty"; 3], &["sh", "-c", setup])];
    for (n, ends) in all_ends.iter().enumerate() {
        for gco in ["", "gco run -q --"] {
            let result = format!("found-{n}-{}", gco.len());
            let line = format!("{by}\nexec {gco} python3 -I -S probe.py {result}");
            jobs.push(job(*ends, &["sh", "-c", &line]));
        }
    }
    let (ended, shown) = leader::run(&home, size, &jobs);
    assert_eq!(shown.escape_ascii().to_string(), "");
    let read = |n: usize, gco: &str| -> Value {
        let text = fs::read(home.path().join(format!("found-{n}-{}", gco.len())));
        serde_json::from_slice(&text.unwrap()).unwrap()
    };
    for (n, ends) in all_ends.iter().enumerate() {
        for (ended, ends) in [(&ended[2 * n + 1], "bare"), (&ended[2 * n + 2], "in gco")] {
            assert_eq!(ended.status, 0, "{ends}");
            assert_eq!(ended.before, ended.after, "the terminal is as it was");
            assert_eq!(ended.stdout.as_deref().unwrap_or_default(), "");
            assert_eq!(ended.stderr.as_deref().unwrap_or_default(), "");
        }
        let (mut bare, mut found) = (read(n, ""), read(n, "gco run -q --"));
        let is_terminal = ends.map(|end| end == "tty");
        assert_eq!(bare["isatty"], serde_json::json!(is_terminal));
        if is_terminal[1] && is_terminal[2] {
            // The terminal of stderr is another one, so that the log can tell the streams apart: it cannot be the session's too.
            for key in ["is ours", "is our session's"] {
                assert_eq!(bare["terminal 2"][key].take(), true);
                assert_eq!(found["terminal 2"][key].take(), "error 25");
            }
        }
        if is_terminal == [false; 3] {
            // gco runs it in a session of its own: with no terminal to be seen it has none.
            for key in ["/dev/tty", "has terminal", "foreground"] {
                bare[key].take();
            }
            assert_eq!(found["/dev/tty"].take(), "error 6");
            assert_eq!(
                (found["has terminal"].take(), found["foreground"].take()),
                (false.into(), false.into())
            );
        }
        for (key, value) in bare.as_object().unwrap() {
            assert_eq!(*value, found[key], "{key}, with {ends:?} after {setup:?} and {by:?}");
        }
        assert_eq!(bare.as_object().unwrap().len(), found.as_object().unwrap().len());
    }
}

/// All that descriptors can be.
fn all_ends() -> Vec<[&'static str; 3]> {
    let kinds = ["tty", "file", "pipe"];
    (0..27).map(|n| [kinds[n / 9], kinds[n / 3 % 3], kinds[n % 3]]).collect()
}

/// The eight combinations of terminal and not.
fn some_ends() -> Vec<[&'static str; 3]> {
    all_ends().into_iter().filter(|ends| !ends.contains(&"pipe")).collect()
}

#[test]
fn the_probe_finds_the_same_in_gco_whatever_its_descriptors_are() {
    same_on(USUAL, &all_ends(), "true", "");
}

#[test]
fn closed_descriptors_stay_closed() {
    let ends = [
        ["closed", "tty", "tty"],
        ["tty", "closed", "tty"],
        ["tty", "tty", "closed"],
        ["closed", "closed", "tty"],
    ];
    same_on(USUAL, &ends, "true", "");
}

#[test]
fn a_terminal_that_has_been_set_up_in_another_way() {
    let setup = "stty -ixon -iutf8 ixany erase ^H intr ^X quit ^G eof ^E kill ^K susp ^Y time 3 min 2 9600 tostop -echoe";
    same_on([50, 132, 1320, 1000], &some_ends(), setup, "");
    same_on([0, 0, 0, 0], &some_ends(), "stty raw", "");
    same_on([1, 1, 0, 0], &some_ends(), "stty -echo -onlcr", "");
    same_on([50, 132, 0, 0], &some_ends(), "stty -icanon -isig olcuc tab3", "");
}

#[test]
fn what_the_caller_has_set_up_at_a_terminal() {
    let some =
        [["tty", "tty", "tty"], ["file", "tty", "file"], ["pipe", "file", "tty"], ["tty", "pipe", "file"]];
    same_on(USUAL, &some, "true", "trap '' INT QUIT TSTP TTIN TTOU WINCH HUP; umask 0137; ulimit -n 64");
    same_on(
        USUAL,
        &some,
        "true",
        "exec 3<probe.py 7>>seven; cd /; cd - >/dev/null; A='x y'; export A; unset TERM",
    );
    // Another name for the terminal itself.
    same_on(USUAL, &some[..1], "true", "umask 0; ulimit -s 2048");
}
