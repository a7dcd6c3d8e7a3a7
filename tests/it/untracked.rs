//! Without a record: because nobody wants one, or because the status directory cannot be used.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use crate::harness::{Home, sh};

#[test]
fn records_can_be_switched_off() {
    let home = Home::new();
    for value in ["1", "true", "yes", "TRUE", "Yes"] {
        home.gco(sh("echo out; echo err >&2; echo \"<$GCO_TASK_ID>\"; exit 3"))
            .env("GCO_DISABLE_TASK_STATUS", value)
            .run()
            .code(3)
            .stdout("out\n<>\n")
            .stderr("err\n");
        assert!(!home.tasks().exists(), "{value}");
        home.gco(["run", "-d", "--", "true"])
            .env("GCO_DISABLE_TASK_STATUS", value)
            .run()
            .code(125)
            .stdout("")
            .stderr(
                "gco: GCO_DISABLE_TASK_STATUS is set: without a record nobody could ever find a detached \
                 task\nhint: unset GCO_DISABLE_TASK_STATUS, or leave out --detach\n",
            );
        assert!(!home.tasks().exists(), "{value}");
    }
    for value in ["", "0", "no", "false", "2", "on"] {
        home.gco(["run", "--", "true"])
            .env("GCO_DISABLE_TASK_STATUS", value)
            .run()
            .code(0)
            .stdout("")
            .stderr("");
        home.only_id();
        home.remove_tasks();
    }
}

#[test]
fn without_records_all_else_is_the_same() {
    let home = Home::new();
    let off = |script: &str| home.gco(sh(script)).env("GCO_DISABLE_TASK_STATUS", "1").run();
    off("kill -TERM $$").signal(nix::sys::signal::Signal::SIGTERM).stdout("").stderr("");
    let many = "i=0; while [ $i -lt 20000 ]; do echo \"line $i\"; i=$((i+1)); done";
    let expected: String = (0..20000).map(|i| format!("line {i}\n")).collect();
    off(many).code(0).stdout(expected).stderr("");
    let run = home.gco(["run", "--", "yes"]).env("GCO_DISABLE_TASK_STATUS", "1").read_at_most(4).run();
    run.signal(nix::sys::signal::Signal::SIGPIPE).stdout("y\ny\n").stderr("");
    home.until_quiet();
}

/// A run with `variable` set to `value`: the command runs untracked, with one word about it; a detached one is refused.
fn unusable(home: &Home, variable: &str, value: &str, place: &str, why: &str) {
    let script = "echo out; echo err >&2; exit 7";
    let trouble = format!("gco: cannot use the status directory '{place}': {why}");
    let run = |args: &[&str]| {
        let gco = home.gco(args.iter()).env_remove("GCO_TASK_STATUS_DIR").env(variable, value);
        gco.run()
    };
    run(&["run", "--", "sh", "-c", script])
        .code(7)
        .stdout("out\n")
        .stderr_has(&format!("{trouble}; the command runs without a record\n"));
    let output = run(&["run", "-q", "--echo", "never", "--", "sh", "-c", script]);
    output.code(7).stdout("").stderr(format!("{trouble}; the command runs without a record\n"));
    run(&["run", "-d", "--", "sh", "-c", script]).code(125).stdout("").stderr(format!(
        "{trouble}; nobody could ever find the task\nhint: set GCO_TASK_STATUS_DIR to a directory of your own\n"
    ));
}

const DIR: &str = "GCO_TASK_STATUS_DIR";

#[test]
fn a_file_for_a_directory() {
    let home = Home::new();
    fs::write(home.path().join("file"), "mine").unwrap();
    let place = home.path().join("file").display().to_string();
    unusable(&home, DIR, &place, &place, "it is not a directory");
    let below = format!("{place}/tasks");
    unusable(&home, DIR, &below, &below, "not a directory");
    assert_eq!(fs::read_to_string(place).unwrap(), "mine");
}

#[test]
fn somebody_elses_directory() {
    let home = Home::new();
    // Root can make one; for others the system's own will do.
    let place = if nix::unistd::geteuid().is_root() {
        let foreign = home.path().join("foreign");
        fs::create_dir(&foreign).unwrap();
        chown(&foreign, Some(12345), None).unwrap();
        foreign.display().to_string()
    } else {
        "/usr".to_owned()
    };
    let uid = if nix::unistd::geteuid().is_root() { 12345 } else { 0 };
    unusable(&home, DIR, &place, &place, &format!("it belongs to another user (uid {uid})"));
    let open = home.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let place = open.display().to_string();
    unusable(&home, DIR, &place, &place, "everybody may write to it (mode 0777)");
}

#[test]
fn a_home_that_is_not_there_and_cannot_be() {
    let home = Home::new();
    // Nobody, not even root, can make a directory there.
    unusable(&home, "HOME", "/proc/gone", "/proc/gone/.gco/tasks", "no such file or directory");
}

#[test]
fn a_directory_that_cannot_be_written() {
    let home = Home::new();
    let script = "echo out; exit 7";
    // Root may write wherever there is something to write to; nobody can make a file here.
    let place = if nix::unistd::geteuid().is_root() {
        "/proc".to_owned()
    } else {
        let closed = home.path().join("closed");
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o500)).unwrap();
        closed.display().to_string()
    };
    let run = |args: &[&str]| home.gco(args.iter()).env(DIR, &place).run();
    let output = run(&["run", "--", "sh", "-c", script]);
    let shown = output.to_string();
    assert_eq!(shown.matches("gco: ").count(), 1, "{shown}");
    output.code(7).stdout("out\n").stderr_has(&format!("gco: cannot keep a record in '{place}': "));
    let output = run(&["run", "-d", "--", "sh", "-c", script]);
    output.code(125).stdout("").stderr_has("; nobody could ever find the task\nhint: ");
    home.until_quiet();
}

#[test]
fn the_directory_is_made_private_and_so_is_what_is_in_it() {
    let home = Home::new();
    let script = "umask 000; exec gco run -- true";
    let output =
        home.command("sh", ["-c", script]).env_remove(DIR).env("HOME", home.path().join("new")).run();
    output.code(0).stdout("").stderr("");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let dir = home.path().join("new/.gco/tasks");
    assert_eq!((mode(&dir), mode(dir.parent().unwrap())), (0o700, 0o700));
    let files: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    // Record, log, and the journal of events.
    assert_eq!(files.len(), 3, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}
