//! What a command finds when it is started by `gco run`: the same as without.

use std::fs;

use crate::harness::Home;
use crate::tools::Gate;

/// Writes into file `$1` what the shell that runs it finds: descriptors, signals, limits, place, environment.
/// Nothing in it needs an open standard descriptor.
const PROBE: &str = r#"P=/proc/$$
( ls $P/fd
  for n in 0 3 7; do readlink $P/fd/$n; done
  grep -E '^(Sig(Blk|Ign|Cgt)|Umask|NoNewPrivs|Cap|Seccomp|Uid|Gid|Groups|Cpus_allowed_list)' $P/status
  cat $P/limits $P/oom_score_adj $P/timerslack_ns $P/cgroup
  nice; umask; pwd -P
  env | grep -v ^GCO_ | sort ) >"$1" 2>&1"#;

/// Runs the probe after `setup` (shell), bare and in gco, and compares.
#[track_caller]
fn same_after(home: &Home, setup: &str) {
    same_by(home, setup, "");
}

/// The same, with a `wrapper` that sets things up and executes the rest of its arguments.
#[track_caller]
fn same_by(home: &Home, setup: &str, wrapper: &str) {
    let path = home.path().join("probe");
    fs::write(&path, PROBE).unwrap();
    fs::create_dir_all(home.path().join("below")).unwrap();
    fs::write(home.path().join("file"), "text\n").unwrap();
    let found = ["", "gco run --", "gco run -d --"].map(|gco| {
        let result = home.path().join("found");
        let script = format!("{setup}\nexec {wrapper} {gco} sh {} {}", path.display(), result.display());
        let output = home.command("sh", ["-c", &script]).run();
        output.code(0).stdout_has("").stderr("");
        home.until_quiet();
        let found = fs::read_to_string(&result).unwrap();
        fs::remove_file(result).unwrap();
        found
    });
    assert!(found[0].contains("SigIgn") && found[0].contains("Max open files"), "{}", found[0]);
    assert_eq!(found[0], found[1], "after: {setup}");
    // Detached, the standard descriptors are others; all else is the same.
    let rest = |found: &str| found[found.find("Umask").unwrap()..].to_owned();
    assert_eq!(rest(&found[0]), rest(&found[2]), "detached, after: {setup}");
}

#[test]
fn nothing_special() {
    same_after(&Home::new(), ":");
}

#[test]
fn ignored_signals() {
    let home = Home::new();
    for signals in ["PIPE", "INT QUIT", "HUP", "TERM USR1 USR2 CHLD TSTP CONT TTIN TTOU WINCH ALRM XFSZ"] {
        same_after(&home, &format!("trap '' {signals}"));
    }
}

#[test]
fn blocked_signals() {
    let home = Home::new();
    let all = "set(range(1, 65)) - {32, 33}";
    for (signals, pipe) in [("{13}", "DFL"), ("{1, 2, 15, 10, 17, 18, 20}", "IGN"), (all, "DFL")] {
        let text = format!(
            "import os, signal, sys\n\
             signal.signal(signal.SIGPIPE, signal.SIG_{pipe})\n\
             signal.signal(signal.SIGXFSZ, signal.SIG_DFL)\n\
             signal.pthread_sigmask(signal.SIG_BLOCK, {signals})\n\
             os.execvp(sys.argv[1], sys.argv[1:])\n"
        );
        let path = home.path().join("block.py");
        fs::write(&path, text).unwrap();
        same_by(&home, ":", &format!("python3 -I -S {}", path.display()));
    }
}

#[test]
fn nohup() {
    let home = Home::new();
    let script = "nohup gco run -- grep SigIgn /proc/self/status";
    let shown = home.command("sh", ["-c", script]).run().code(0).stderr("").into_stdout();
    let mask = String::from_utf8(shown).unwrap();
    let mask = u64::from_str_radix(mask.trim_start_matches("SigIgn:").trim(), 16).unwrap();
    assert_eq!(mask & 1, 1, "SIGHUP stays ignored: {mask:x}");
}

#[test]
fn limits_and_masks() {
    let home = Home::new();
    same_after(&home, "ulimit -n 64; ulimit -s 2048; ulimit -c 0; ulimit -t 1000; ulimit -f 100000");
    same_after(&home, "umask 0137");
    same_after(&home, "umask 0; cd below");
    same_after(&home, "A='x y'; B=$(printf 'two\\nlines'); export A B; unset LC_ALL");
}

#[test]
fn descriptors() {
    let home = Home::new();
    same_after(&home, "exec 3<file 7>>seven");
    same_after(&home, "exec 4<file 5<file 6<file 9<file");
    same_after(&home, "exec 7>>seven; exec 0<file");
}

#[test]
fn closed_descriptors() {
    let home = Home::new();
    for closed in
        ["0<&-", "1>&-", "2>&-", "0<&- 1>&-", "1>&- 2>&-", "0<&- 1>&- 2>&-", "0<&- 1>&- 2>&- 3<file"]
    {
        same_after(&home, &format!("exec {closed}"));
    }
}

#[test]
fn the_command_leads_its_process_group() {
    let home = Home::new();
    let script = r#"read -r line </proc/$$/stat; set -- ${line##*) }; [ "$3" = $$ ] && echo leads"#;
    home.gco(["run", "--", "sh", "-c", script]).run().code(0).stdout("leads\n").stderr("");
}

#[test]
fn input_is_the_callers_own() {
    let home = Home::new();
    fs::write(home.path().join("lines"), "one\ntwo\n").unwrap();
    // Not relayed: what the command does not read is still there for the next.
    let script = r#"{ gco run -- sh -c 'read x; echo "got $x"'; read y; echo "left $y"; } <lines"#;
    home.command("sh", ["-c", script]).run().code(0).stdout("got one\nleft two\n").stderr("");
}

#[test]
fn a_writer_sees_at_once_that_the_command_has_closed_its_input() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let script = "{ yes; echo $? >code; } | gco run -- sh -c 'head -n 1; exec <&-; read x <go'";
    let run = home.command("sh", ["-c", script]).spawn();
    // While the command runs on.
    assert_eq!(home.until_file("code"), "141\n");
    assert_eq!(home.record(&home.only_id())["state"], "running");
    gate.open();
    run.wait().code(0).stdout("y\n").stderr("");
}
