//! `gco tasks wait` for tasks that lose their supervisor, their files or their directory, and for those of other tools.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::fake::Fake;
use crate::harness::{Home, Running, eventually};
use crate::queue::detached;
use crate::tools::{Gate, lives, pid_in, send, state_of, until_stopped};
use crate::wait::{sleeps, told, until_asleep, wait};

/// Waits until it watches this many files and directories, and is asleep: it has looked at all of them then.
pub fn until_watching(waiter: &Running<'_>, count: usize) {
    eventually("the watch", || {
        let handles = fs::read_dir(format!("/proc/{}/fdinfo", waiter.pid())).ok()?;
        let watches = |info: String| info.matches("inotify wd:").count() == count;
        let is_on = handles.flatten().any(|fd| fs::read_to_string(fd.path()).is_ok_and(watches));
        (is_on && state_of(waiter.pid()) == Some('S')).then_some(())
    });
}

/// A task whose command waits at the gate `go`, and then does this.
pub fn waiting(home: &Home, then: &str) -> (String, i32) {
    let id = detached(home, &["--name", "t"], &format!("echo up; read x <go; {then}"));
    let command = pid_in(&home.until_running(), "pid");
    home.until_log(&id, "[stdout] up\n");
    (id, command)
}

/// Both ways of waiting.
fn waiters<'h>(home: &'h Home, id: &str) -> [Running<'h>; 2] {
    let ends = wait(home, &[id]);
    until_asleep(home, id, 1);
    let goes_along = wait(home, &[id, "--until", "exit", "--until", "match:^never$"]);
    until_watching(&goes_along, 2);
    // It takes hold of the command once it has looked at it.
    until_on_a_process(&goes_along);
    [ends, goes_along]
}

/// Stops the supervisor and the keeper, so that neither can do anything about the other, or about the command.
pub fn stop(home: &Home) -> [i32; 2] {
    let both = [home.the_gco("gco-keeper"), home.the_gco("gco-supervisor")];
    both.into_iter().for_each(|pid| send(pid, Signal::SIGSTOP));
    both.into_iter().for_each(until_stopped);
    both
}

fn orphan(home: &Home) {
    stop(home).into_iter().for_each(|pid| send(pid, Signal::SIGKILL));
}

fn words(id: &str, hint: &str) -> String {
    format!("gco: '{id}' is orphaned: nobody supervises it any more\nhint: {hint}\n")
}

#[test]
fn one_that_is_orphaned_is_told_though_its_command_runs() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let (id, command) = waiting(&home, "exit 0");
    let waiters = waiters(&home, &id);
    orphan(&home);
    let hint = format!("its command still runs (pid {command}); 'gco tasks cancel {id}' ends it");
    for waiter in waiters {
        waiter.wait().code(125).stdout("").stderr(words(&id, &hint));
    }
    // So it is before a wait has begun.
    wait(&home, &[&id]).wait().code(125).stdout("").stderr(words(&id, &hint));
    wait(&home, &[&id, "--until", "silent:1h"]).wait().code(125).stdout("").stderr(words(&id, &hint));
    assert!(lives(command));
    let json = home.gco(["tasks", "wait", "--json"]).run().code(125).stderr(words(&id, &hint)).json();
    let expected = json!({"task_id": id, "state": "orphaned", "is_alive": true, "fired": "exit", "output": "",
        "more": false, "cursor": format!("{id}@12")});
    assert_eq!(json, expected);
    gate.open();
    // As long as it is not reaped the kernel would still know.
    eventually("the command to be gone", || state_of(command).is_none().then_some(()));
    let hint = "its command is gone, and how it ended cannot be known";
    wait(&home, &[&id]).wait().code(125).stdout("").stderr(words(&id, hint));
    assert_eq!(home.record(&id)["state"], "running", "readers rewrite nothing");
}

/// The version of the kernel. Since 6.15 it tells how a process ended also after that was reaped.
fn kernel() -> (u32, u32) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split('.').map(|number| number.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

#[test]
fn where_the_kernel_still_knows_how_the_command_ended_that_counts() {
    for (end, code, said) in [
        ("exit 0", 0, "its command exited with 0"),
        ("exit 7", 7, "its command exited with 7"),
        ("kill -KILL $$", 137, "SIGKILL ended its command"),
    ] {
        let home = Home::new();
        let gate = Gate::new(&home, "go");
        let (id, command) = waiting(&home, end);
        let waiters = waiters(&home, &id);
        let both = stop(&home);
        gate.open();
        eventually("the command to end", || (!lives(command)).then_some(()));
        // Those who wait come to look at it only after it has been reaped by somebody else.
        for waiter in &waiters {
            waiter.kill(Signal::SIGSTOP);
            until_stopped(waiter.pid());
        }
        both.into_iter().for_each(|pid| send(pid, Signal::SIGKILL));
        eventually("the command to be reaped", || state_of(command).is_none().then_some(()));
        for waiter in waiters {
            waiter.kill(Signal::SIGCONT);
            let (code, words) = match kernel() >= (6, 15) {
                true => (code, format!("gco: '{id}' was orphaned; {said}\n")),
                false => (125, words(&id, "its command is gone, and how it ended cannot be known")),
            };
            waiter.wait().code(code).stdout("").stderr(words);
        }
    }
}

#[test]
fn among_several_the_orphan_is_told_and_the_others_waited_for() {
    let home = Home::new();
    let fakes = ["t-1", "t-2", "t-3"].map(|id| Fake::start(&home, id));
    let waiter = wait(&home, &["t-1", "t-2", "t-3"]);
    fakes.iter().for_each(|fake| until_asleep(&home, &fake.id, 1));
    let [one, two, three] = fakes;
    one.finish("succeeded");
    two.die();
    let hint = format!("its command still runs (pid {}); 'gco tasks cancel t-2' ends it", std::process::id());
    eventually("it to be told", || (waiter.stderr() == words("t-2", &hint).as_bytes()).then_some(()));
    three.finish("failed");
    waiter.wait().code(125).stdout("").stderr(words("t-2", &hint));
}

#[test]
fn a_supervisor_that_is_replaced_is_no_end() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let (id, _) = waiting(&home, "echo more; exit 6");
    let waiters = waiters(&home, &id);
    for name in ["gco-supervisor", "gco-keeper", "gco-supervisor"] {
        let old = home.the_gco(name);
        send(old, Signal::SIGKILL);
        eventually("another in its place", || {
            home.gcos(name).first().is_some_and(|&pid| pid != old).then_some(())
        });
        home.the_gco("gco-keeper");
    }
    gate.open();
    for waiter in waiters {
        waiter.wait().code(6).stdout("").stderr("");
    }
}

#[test]
fn one_that_is_removed_is_told() {
    let home = Home::new();
    let task = Fake::start(&home, "t-1");
    task.write(b"[stdout] up\n");
    let ends = wait(&home, &["t-1"]);
    until_asleep(&home, "t-1", 1);
    let goes_along = wait(&home, &["t-1", "--until", "match:never", "--json"]);
    until_watching(&goes_along, 2);
    let several = wait(&home, &["t-1", "t-1", "--any", "--json", "--until", "exit"]);
    until_asleep(&home, "t-1", 2);
    for path in [task.record_path(), task.log_path(), home.tasks().join(".t-1.lock")] {
        fs::remove_file(path).unwrap();
    }
    task.die();
    let words = "gco: 't-1' was removed while it was waited for\n";
    ends.wait().code(125).stdout("").stderr(words);
    for waiter in [goes_along, several] {
        let json = waiter.wait().code(125).stderr(words).json();
        let expected = json!({"task_id": "t-1", "state": null, "is_alive": null, "fired": "exit", "output": "",
            "more": false, "cursor": "t-1@12"});
        assert_eq!(json, expected);
    }
}

#[test]
fn a_record_that_was_spoiled_is_told() {
    let home = Home::new();
    let task = Fake::start(&home, "t-1");
    let ends = wait(&home, &["t-1"]);
    until_asleep(&home, "t-1", 1);
    fs::write(task.record_path(), "{").unwrap();
    task.die();
    ends.wait().code(125).stdout("").stderr_has("gco: cannot read the record of 't-1': it is not valid JSON");
}

#[test]
fn a_directory_that_disappears_and_comes_back_is_no_end() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let (id, _) = waiting(&home, "echo mid; read x <go; echo late; exit 6");
    let [ends, goes_along] = waiters(&home, &id);
    let output = wait(&home, &[&id, "--until", "match:mid", "--json"]);
    until_watching(&output, 2);
    let late = wait(&home, &[&id, "--until", "match:late"]);
    until_watching(&late, 2);
    home.remove_tasks();
    // What is written while nobody can see the log is seen all the same.
    gate.open();
    let json = output.wait().code(0).stderr("").json();
    assert_eq!((&json["fired"], &json["matched"]), (&json!("match:mid"), &json!("mid")));
    assert_eq!((&json["output"], &json["cursor"]), (&json!("[stdout] mid\n"), &json!(format!("{id}@25"))));
    // The supervisor looks after its files from time to time, and puts them back.
    home.until_state(&id, "running");
    home.until_log(&id, "[stdout] up\n[stdout] mid\n");
    gate.open();
    late.wait().code(0).stdout("").stderr("");
    for waiter in [ends, goes_along] {
        waiter.wait().code(6).stdout("").stderr("");
    }
    let rest = told(&home, &[&id, "--since", &format!("{id}@25")], 6);
    assert_eq!(rest["output"], "[stdout] late\n");
}

#[test]
fn a_directory_that_stays_away_is_told_with_the_end() {
    let home = Home::new();
    let task = Fake::start(&home, "t-1");
    task.write(b"[stdout] up\n");
    let ends = wait(&home, &["t-1"]);
    until_asleep(&home, "t-1", 1);
    let goes_along = wait(&home, &["t-1", "--until", "match:never"]);
    until_watching(&goes_along, 2);
    home.remove_tasks();
    task.die();
    for waiter in [ends, goes_along] {
        waiter.wait().code(125).stdout("").stderr("gco: 't-1' was removed while it was waited for\n");
    }
}

/// Waits until it watches a process.
fn until_on_a_process(waiter: &Running<'_>) {
    eventually("a handle on a process", || {
        let handles = fs::read_dir(format!("/proc/{}/fd", waiter.pid())).ok()?;
        let mut to = handles.flatten().filter_map(|fd| fs::read_link(fd.path()).ok());
        to.any(|to| to.to_string_lossy().contains("pidfd")).then_some(())
    });
}

#[test]
fn without_a_lock_the_end_is_seen_though_the_supervisor_stays() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let _never = Gate::new(&home, "never");
    // Somebody stays who holds the output open, and the supervisor with him.
    let id = detached(&home, &["--name", "t"], "read x <never & read x <go; exit 4");
    home.until_running();
    fs::remove_file(home.tasks().join(format!(".{id}.lock"))).unwrap();
    let waiter = wait(&home, &[&id]);
    until_on_a_process(&waiter);
    gate.open();
    waiter.wait().code(4).stdout("").stderr("");
    home.the_gco("gco-supervisor");
}

#[test]
fn without_record_and_lock_it_is_waited_for_while_its_supervisor_lives() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let (id, _) = waiting(&home, "exit 4");
    let both = stop(&home);
    fs::remove_file(home.tasks().join(format!(".{id}.lock"))).unwrap();
    let mut waiter = wait(&home, &[&id]);
    until_on_a_process(&waiter);
    fs::remove_file(home.tasks().join(format!("{id}.json"))).unwrap();
    // It looks once a second. Each look is a sleep or two.
    let before = eventually("it to sleep", || sleeps(waiter.pid()));
    eventually("it to have looked", || {
        (waiter.has_ended() || sleeps(waiter.pid()).is_some_and(|now| now > before + 2)).then_some(())
    });
    assert!(!waiter.has_ended());
    both.into_iter().for_each(|pid| send(pid, Signal::SIGCONT));
    gate.open();
    waiter.wait().code(4).stdout("").stderr("");
}

/// The record of another tool: no lock, and no start time of its process.
pub fn theirs(home: &Home, pid: u32) -> Fake {
    let task = Fake::start(home, "theirs-1");
    task.record_with("running", json!({"pid": pid}));
    fs::remove_file(home.tasks().join(".theirs-1.lock")).unwrap();
    task
}

/// A process that ends when its standard input does.
pub fn process() -> std::process::Child {
    Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap()
}

/// Both ways of waiting for `theirs`, once they do.
fn waiting_for_theirs(home: &Home) -> [Running<'_>; 2] {
    let ends = wait(home, &["theirs-1"]);
    until_on_a_process(&ends);
    let goes_along = wait(home, &["theirs-1", "--until", "match:never", "--until", "exit"]);
    until_watching(&goes_along, 1);
    [ends, goes_along]
}

#[test]
fn the_task_of_another_tool_ends_with_its_record() {
    let home = Home::new();
    let mut process = process();
    let task = theirs(&home, process.id());
    let waiters = waiting_for_theirs(&home);
    // As careful tools do it.
    task.record_with("failed", json!({"pid": process.id(), "exit_code": 4}));
    drop(process.stdin.take());
    process.wait().unwrap();
    for waiter in waiters {
        waiter.wait().code(4).stdout("").stderr("");
    }
}

#[test]
fn the_record_of_another_tool_counts_though_its_process_lives_on() {
    let home = Home::new();
    let mut process = process();
    let task = theirs(&home, process.id());
    let waiters = waiting_for_theirs(&home);
    task.record_with("failed", json!({"pid": process.id(), "exit_code": 4}));
    for waiter in waiters {
        waiter.wait().code(4).stdout("").stderr("");
    }
    assert!(lives(process.id().cast_signed()));
    drop(process.stdin.take());
    process.wait().unwrap();
}

#[test]
fn the_task_of_another_tool_may_say_so_late() {
    // It is given a second for it: what took this test longer proves nothing.
    for _ in 0..20 {
        let home = Home::new();
        let mut process = process();
        let task = theirs(&home, process.id());
        let waiters = waiting_for_theirs(&home);
        let before = waiters.each_ref().map(|waiter| eventually("sleep", || sleeps(waiter.pid())));
        let start = Instant::now();
        // They come to look only when the process is gone altogether.
        waiters.iter().for_each(|waiter| waiter.kill(Signal::SIGSTOP));
        waiters.iter().for_each(|waiter| until_stopped(waiter.pid()));
        process.kill().unwrap();
        process.wait().unwrap();
        waiters.iter().for_each(|waiter| waiter.kill(Signal::SIGCONT));
        // The one that sleeps until the process ends has seen that it has.
        eventually("it to have looked", || {
            sleeps(waiters[0].pid()).is_none_or(|now| now > before[0]).then_some(())
        });
        eventually("it to sleep again", || {
            (!lives(waiters[0].pid()) || sleeps(waiters[0].pid()).is_some()).then_some(())
        });
        task.record_with("failed", json!({"pid": process.id(), "exit_code": 137}));
        if start.elapsed().as_millis() > 500 {
            waiters.into_iter().for_each(|waiter| waiter.wait().whatever());
            continue;
        }
        for waiter in waiters {
            waiter.wait().code(137).stdout("").stderr("");
        }
        return;
    }
}

#[test]
fn the_task_of_another_tool_that_says_nothing_is_an_orphan() {
    let home = Home::new();
    let mut process = process();
    let _task = theirs(&home, process.id());
    let waiters = waiting_for_theirs(&home);
    process.kill().unwrap();
    process.wait().unwrap();
    for waiter in waiters {
        let hint = "its command is gone, and how it ended cannot be known";
        waiter.wait().code(125).stdout("").stderr(words("theirs-1", hint));
    }
}

#[test]
fn a_process_that_is_not_reaped_is_not_waited_for_in_circles() {
    let home = Home::new();
    let mut process = process();
    let _task = theirs(&home, process.id());
    process.kill().unwrap();
    eventually("it to end", || (!lives(process.id().cast_signed())).then_some(()));
    let script = "gco tasks wait theirs-1 --timeout 1500ms; echo $?; times";
    let output = home.command("sh", ["-c", script]).run().code(0);
    let output = output.stderr("gco: 'theirs-1' did not come that far within 1500ms\n").into_stdout();
    let output = String::from_utf8(output).unwrap();
    // The third line is the time that the shell's children have used.
    let lines: Vec<&str> = output.lines().collect();
    let used: f64 = lines[2].split(' ').map(|time| time[2..time.len() - 1].parse::<f64>().unwrap()).sum();
    assert!(lines[0] == "124" && lines[2].starts_with("0m") && used < 0.5, "{output}");
    process.wait().unwrap();
}
