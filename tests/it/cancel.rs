//! `gco tasks cancel`: the whole tree ends, the record says how and by whom, and nobody else is touched.

use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::fake::Fake;
use crate::harness::{Home, eventually, sh};
use crate::tools::{Gate, count, lives, pid_in, send, until_stopped};

/// Starts `args` detached under the name `t`, and gives its id.
fn detached(home: &Home, args: &[&str]) -> String {
    let line = ["run", "--detach", "--name", "t", "--"].iter().chain(args).copied().collect::<Vec<_>>();
    let printed = home.gco(line).run().code(0).stderr("").into_stdout();
    String::from_utf8(printed).unwrap().trim_end().to_owned()
}

/// Cancels with `options`, and gives what is said behind the id and the time that it took.
fn cancelled(home: &Home, id: &str, options: &[&str]) -> String {
    let line = ["tasks", "cancel", id].iter().chain(options).copied().collect::<Vec<_>>();
    let said = String::from_utf8(home.gco(line).run().code(0).stderr("").into_stdout()).unwrap();
    let rest = said.strip_prefix(&format!("{id} cancelled after ")).unwrap_or_else(|| panic!("{said}"));
    rest.split_once(": ").unwrap().1.trim_end().to_owned()
}

/// Waits until a file that the task's processes hold open has been let go of by all of them: none is left.
fn none_left(home: &Home) {
    home.until_quiet();
    let left = home.processes();
    assert!(left.is_empty(), "{left:#?}");
}

#[test]
fn a_task_is_told_to_end_and_says_by_whom() {
    let home = Home::new();
    let _gate = Gate::new(&home, "never");
    let run = home.gco(sh("echo up; read x <never")).spawn();
    run.until_stdout("up\n");
    let record = home.until_running();
    let id = record["task_id"].as_str().unwrap();
    assert_eq!(cancelled(&home, id, &[]), "ended by SIGTERM");
    // No waiting: whoever is told so finds it so.
    let record = home.record(id);
    assert_eq!((record["state"].as_str(), record["signal"].as_str()), (Some("cancelled"), Some("SIGTERM")));
    assert_eq!(record["exit_code"], 143);
    let by = &record["cancelled_by"];
    assert_eq!(by["signal"], "SIGTERM");
    assert_eq!(by["user"], record["user"]);
    assert_eq!(by["host"], record["host"]);
    let words = format!("cancelled by SIGTERM from {} (pid {})", record["user"].as_str().unwrap(), by["pid"]);
    assert_eq!(record["error"], words);
    run.wait().signal(Signal::SIGTERM).stdout("up\n").stderr("");
    assert_eq!(home.log(id), format!("[stdout] up\n[gco] {words}, and SIGKILL after 10s\n").as_bytes());
    none_left(&home);
    home.no_leftovers();
}

#[test]
fn one_that_cleans_up_is_given_the_time() {
    let home = Home::new();
    let gate = Gate::new(&home, "never");
    let id = detached(&home, &["sh", "-c", "trap 'echo bye; exit 0' INT; echo up >up; read x <never"]);
    home.until_file("up");
    assert_eq!(cancelled(&home, &id, &["--signal", "int", "--grace", "1h"]), "ended with exit code 0");
    let record = home.record(&id);
    assert_eq!((record["state"].as_str(), record["exit_code"].as_i64()), (Some("cancelled"), Some(0)));
    assert_eq!(record["cancelled_by"]["signal"], "SIGINT");
    assert!(home.log(&id).ends_with(b"[stdout] bye\n"));
    drop(gate);
    none_left(&home);
}

#[test]
fn one_that_does_not_listen_is_killed() {
    let home = Home::new();
    let deaf = "trap '' TERM; echo up >up; sleep 1000; sleep 1000";
    let id = detached(&home, &["sh", "-c", deaf]);
    home.until_file("up");
    assert_eq!(cancelled(&home, &id, &["--grace", "50ms"]), "ended by SIGKILL");
    let record = home.record(&id);
    assert_eq!((record["signal"].as_str(), record["exit_code"].as_i64()), (Some("SIGKILL"), Some(137)));
    assert!(record["error"].as_str().unwrap().ends_with(", killed by SIGKILL"), "{record}");
    none_left(&home);
}

#[test]
fn a_later_request_may_only_be_sooner() {
    let home = Home::new();
    let id = detached(&home, &["sh", "-c", "trap '' TERM; echo up >up; sleep 1000; sleep 1000"]);
    home.until_file("up");
    let first = home.gco(["tasks", "cancel", &id, "--grace", "1h"]).spawn();
    eventually("the first request to be taken up", || {
        String::from_utf8(home.log(&id)).unwrap().contains("SIGKILL after 1h").then_some(())
    });
    assert_eq!(cancelled(&home, &id, &["--grace", "0s"]), "ended by SIGKILL");
    assert!(first.wait().code(0).stderr("").into_stdout().starts_with(id.as_bytes()));
    none_left(&home);
}

#[test]
fn one_that_is_stopped_goes_on_to_end() {
    let home = Home::new();
    let gate = Gate::new(&home, "never");
    let id = detached(&home, &["sh", "-c", "trap 'echo bye; exit 3' TERM; echo up >up; read x <never"]);
    home.until_file("up");
    let command = pid_in(&home.record(&id), "pid");
    send(command, Signal::SIGSTOP);
    until_stopped(command);
    assert_eq!(cancelled(&home, &id, &["--grace", "1h"]), "ended with exit code 3");
    drop(gate);
}

/// A tree whose members change session and group, leave their parents and ignore what can be ignored.
const FAMILY: &str = r#"
import os, signal, sys, time
for number in (1, 2, 15): signal.signal(number, signal.SIG_IGN)
def child(lead):
    if os.fork() == 0:
        lead()
        if os.fork() == 0:
            open("born", "a").write("x")
            time.sleep(1000)
        os._exit(0)
for lead in (lambda: None, os.setsid, lambda: os.setpgid(0, 0)): child(lead)
while True: time.sleep(1000)
"#;

#[test]
fn no_change_of_session_group_or_parent_leads_out() {
    let home = Home::new();
    let id = detached(&home, &["python3", "-I", "-S", "-c", FAMILY]);
    eventually("all of them", || (fs::read(home.path().join("born")).ok()?.len() == 3).then_some(()));
    assert_eq!(cancelled(&home, &id, &["--grace", "0s"]), "ended by SIGKILL");
    assert!(home.processes().iter().all(|process| process.is_gco), "{:#?}", home.processes());
    none_left(&home);
}

/// The same, forking on and on.
const FLEEING: &str = r#"
import os, signal
for number in (1, 2, 15): signal.signal(number, signal.SIG_IGN)
for chain in range(3):
    if os.fork() == 0:
        open("born", "a").write("x")
        while True:
            if os.fork(): os._exit(0)
            if chain == 0: os.setsid()
            if chain == 1: os.setpgid(0, 0)
os.wait()
while True: signal.pause()
"#;

#[test]
fn whoever_forks_on_and_on_is_gone_too() {
    for _ in 0..count("GCO_IT_KILLS", 10) {
        let home = Home::new();
        let id = detached(&home, &["python3", "-I", "-S", "-c", FLEEING]);
        eventually("all of them", || (fs::read(home.path().join("born")).ok()?.len() == 3).then_some(()));
        assert_eq!(cancelled(&home, &id, &["--grace", "0s"]), "ended by SIGKILL");
        assert!(home.processes().iter().all(|process| process.is_gco), "{:#?}", home.processes());
        none_left(&home);
    }
}

#[test]
fn what_the_command_left_behind_ends_with_it() {
    let home = Home::new();
    // The command ends when it is told to, its child does not: the task is over once both have.
    let script = "(trap '' TERM; echo up >up; sleep 1000; sleep 1000) & trap 'exit 4' TERM; while :; do sleep 1000 & wait; done";
    let id = detached(&home, &["sh", "-c", script]);
    home.until_file("up");
    assert_eq!(cancelled(&home, &id, &["--grace", "2s"]), "ended with exit code 4");
    assert!(home.processes().iter().all(|process| process.is_gco), "{:#?}", home.processes());
    assert_eq!(home.record(&id)["warnings"], serde_json::json!([]));
}

#[test]
fn the_task_of_another_gco_below_is_written_down() {
    below(&["--grace", "50ms"]);
    below(&["--signal", "KILL"]);
}

fn below(options: &[&str]) {
    let home = Home::new();
    let script = "gco run --name inner -- sh -c 'trap \"\" TERM; echo up >up; sleep 1000'";
    let id = detached(&home, &["sh", "-c", script]);
    home.until_file("up");
    cancelled(&home, &id, options);
    let inner = home.ids().into_iter().find(|id| id.starts_with("inner")).unwrap();
    let record = home.record(&inner);
    assert_eq!(record["signal"], "SIGKILL", "{record}");
    none_left(&home);
}

#[test]
fn a_supervisor_that_was_stopped_goes_on() {
    let home = Home::new();
    let id = detached(&home, &["sleep", "1000"]);
    for name in ["gco-supervisor", "gco-keeper"] {
        let pid = home.the_gco(name);
        send(pid, Signal::SIGSTOP);
        until_stopped(pid);
    }
    assert_eq!(cancelled(&home, &id, &[]), "ended by SIGTERM");
    none_left(&home);
}

#[test]
fn a_supervisor_killed_meanwhile_is_replaced_by_one_that_knows() {
    let home = Home::new();
    let id = detached(&home, &["sh", "-c", "trap '' TERM; echo up >up; sleep 1000; sleep 1000"]);
    home.until_file("up");
    let cancel = home.gco(["tasks", "cancel", &id, "--grace", "1500ms"]).spawn();
    eventually("the request to be taken up", || {
        String::from_utf8(home.log(&id)).unwrap().contains("SIGKILL after 1500ms").then_some(())
    });
    send(home.the_gco("gco-supervisor"), Signal::SIGKILL);
    let said = cancel.wait().code(0).stderr("").into_stdout();
    assert!(String::from_utf8(said).unwrap().ends_with("ended by SIGKILL\n"));
    let record = home.record(&id);
    assert_eq!((record["state"].as_str(), record["signal"].as_str()), (Some("cancelled"), Some("SIGKILL")));
    assert_eq!(record["cancelled_by"]["signal"], "SIGTERM");
    none_left(&home);
    home.no_leftovers();
}

/// Kills supervisor and keeper, so that neither can do anything about the other.
fn orphan(home: &Home) {
    let both = [home.the_gco("gco-keeper"), home.the_gco("gco-supervisor")];
    for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
        both.into_iter().for_each(|pid| send(pid, signal));
    }
    home.until_quiet();
}

#[test]
fn an_orphan_is_ended_with_all_that_is_its_own_and_nobody_else() {
    let home = Home::new();
    let _gate = Gate::new(&home, "never");
    let bystander = home.command("sh", ["-c", "read x <never"]).spawn();
    let id = detached(&home, &["python3", "-I", "-S", "-c", FAMILY]);
    eventually("all of them", || (fs::read(home.path().join("born")).ok()?.len() == 3).then_some(()));
    orphan(&home);
    let said = cancelled(&home, &id, &["--grace", "100ms"]);
    assert!(said == "ended by SIGKILL" || said == "how its command ended could not be learned", "{said}");
    let record = home.record(&id);
    assert_eq!(record["state"], "cancelled");
    assert_eq!(record["cancelled_by"]["signal"], "SIGTERM");
    assert!(record["finished_at"].is_string() && record["duration_ms"].is_u64(), "{record}");
    let left: Vec<i32> = home.processes().into_iter().map(|process| process.pid).collect();
    assert_eq!(left, [bystander.pid()]);
    assert!(lives(bystander.pid()));
    home.no_leftovers();
    drop(bystander);
}

#[test]
fn an_orphan_whose_command_is_gone_needs_no_ending() {
    let home = Home::new();
    let id = detached(&home, &["sleep", "1000"]);
    orphan(&home);
    let command = pid_in(&home.record(&id), "pid");
    send(command, Signal::SIGKILL);
    eventually("the command to be gone", || (!lives(command)).then_some(()));
    let said = format!("{id} is orphaned, and its command is gone\n");
    home.gco(["tasks", "cancel", &id]).run().code(0).stdout(said).stderr("");
    assert_eq!(home.record(&id)["state"], "running", "what nobody knows is not written down");
}

#[test]
fn what_proves_nothing_is_not_touched() {
    let home = Home::new();
    let fake = Fake::start(&home, "theirs-1");
    // Its pid is that of this test, without a start time.
    let id = fake.id.clone();
    fake.die();
    let _ = fs::remove_file(home.tasks().join(".theirs-1.lock"));
    home.gco(["tasks", "cancel", &id, "--grace", "0s"]).run().code(1).stdout("").stderr(
        "gco: cannot cancel 'theirs-1': its record does not prove which process is its own\n\
         hint: it was written by another tool, or before a restart; look at it with 'gco tasks status'\n",
    );
}

#[test]
fn what_is_over_is_no_error_and_names_must_be_clear() {
    let home = Home::new();
    home.gco(["run", "--name", "t", "--", "true"]).run().code(0).stdout("").stderr("");
    let id = home.only_id();
    home.gco(["tasks", "cancel", &id])
        .run()
        .code(0)
        .stdout(format!("{id} had succeeded already\n"))
        .stderr("");
    home.gco(["tasks", "cancel", "t"]).run().code(1).stdout("").stderr(
        "gco: no task of the name 't' is under way\nhint: 'gco tasks list --name t' shows those that were\n",
    );
    home.gco(["tasks", "cancel", "nobody"])
        .run()
        .code(1)
        .stdout("")
        .stderr("gco: there is no task 'nobody'\nhint: 'gco tasks list' shows the tasks that there are\n");
    let one = detached(&home, &["sleep", "1000"]);
    assert_eq!(cancelled_by_name(&home), one);
    let (two, three) = (detached(&home, &["sleep", "1000"]), detached(&home, &["sleep", "1000"]));
    home.gco(["tasks", "cancel", "t"]).run().code(2).stdout("").stderr(format!(
        "gco: 't' is the name of 2 tasks that are under way:\n  {three}\n  {two}\nhint: give the id\n"
    ));
    home.gco(["tasks", "cancel", &two, "../x"])
        .run()
        .code(2)
        .stdout("")
        .stderr_has("cannot be the name of a task");
    assert!([&two, &three].iter().all(|id| home.record(id)["state"] == "running"), "nothing is half done");
    home.gco(["tasks", "cancel"]).run().code(2).stdout("").stderr_has("TASK");
    home.gco(["tasks", "cancel", "--all", &two]).run().code(2).stdout("").stderr_has("cannot be used with");
    for bad in ["--signal=STOP", "--signal=0", "--signal=NOPE", "--grace=-1s", "--grace=1", "--grace=99999w"]
    {
        home.gco(["tasks", "cancel", bad, &two]).run().code(2).stdout("").stderr_has("invalid value");
    }
}

/// Cancels the only task of the name `t` that is under way.
fn cancelled_by_name(home: &Home) -> String {
    let said = home.gco(["tasks", "cancel", "t"]).run().code(0).stderr("").into_stdout();
    String::from_utf8(said).unwrap().split(' ').next().unwrap().to_owned()
}

#[test]
fn all_of_them_at_once() {
    let home = Home::new();
    home.gco(["run", "--", "true"]).run().code(0).stdout("").stderr("");
    let mut ids: Vec<String> = (0..20).map(|_| detached(&home, &["sleep", "1000"])).collect();
    let told = home.gco(["tasks", "cancel", "--all", "--json"]).run().code(0).stderr("").json();
    let mut seen: Vec<String> = Vec::new();
    for task in told["tasks"].as_array().unwrap() {
        assert_eq!(
            (&task["state"], &task["cancelled"], &task["exit_code"], &task["signal"]),
            (&Value::from("cancelled"), &Value::from(true), &Value::from(143), &Value::from("SIGTERM")),
        );
        seen.push(task["task_id"].as_str().unwrap().to_owned());
    }
    ids.sort();
    seen.sort();
    assert_eq!(seen, ids);
    home.gco(["tasks", "cancel", "--all", "--json"])
        .run()
        .code(0)
        .stdout("{\n  \"tasks\": []\n}\n")
        .stderr("");
    none_left(&home);
}

#[test]
fn a_task_that_cancels_all_spares_itself() {
    let home = Home::new();
    let other = detached(&home, &["sleep", "1000"]);
    let run = home.gco(sh("gco tasks cancel --all")).run();
    assert!(String::from_utf8(run.code(0).stderr("").into_stdout()).unwrap().starts_with(&other));
    assert_eq!(home.record(&other)["state"], "cancelled");
}

#[test]
fn what_is_no_request_harms_nobody() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let run = home.gco(sh("echo up; read x <go; echo done")).spawn();
    run.until_stdout("up\n");
    let id = home.until_running()["task_id"].as_str().unwrap().to_owned();
    let path = home.tasks().join(format!(".{id}.cancel"));
    let supervisor = home.the_gco("gco-supervisor");
    let look = || send(supervisor, Signal::SIGUSR1);
    let gone = |path: &Path| eventually("it to be cleared away", || (!path.exists()).then_some(()));
    fs::write(&path, "{\"signal\":9}").unwrap();
    look();
    gone(&path);
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    look();
    gone(&path);
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    look();
    eventually("it to be cleared away", || fs::symlink_metadata(&path).is_err().then_some(()));
    gate.open();
    run.wait().code(0).stdout("up\ndone\n").stderr("");
}
