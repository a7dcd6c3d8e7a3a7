//! `gco tasks wait` for ends: its exit code is the task's, for one and for a thousand, and nothing is done meanwhile.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Instant;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::fake::Fake;
use crate::harness::{Home, Running, eventually, sh};
use crate::queue::detached;
use crate::tools::{Gate, state_of};

/// `gco tasks wait` with `args`, started.
pub fn wait<'h>(home: &'h Home, args: &[&str]) -> Running<'h> {
    home.gco(["tasks", "wait"].iter().chain(args)).spawn()
}

/// The same, run to its end, which is this exit code; nothing is printed.
fn waited(home: &Home, args: &[&str], code: i32) {
    wait(home, args).wait().code(code).stdout("").stderr("");
}

/// The same with `--json`: what is printed.
pub fn told(home: &Home, args: &[&str], code: i32) -> Value {
    home.gco(["tasks", "wait", "--json"].iter().chain(args)).run().code(code).stderr("").json()
}

/// Waits until `count` are asleep until the task with this id has ended: the kernel lists them.
pub fn until_asleep(home: &Home, id: &str, count: usize) {
    let inode = fs::metadata(home.tasks().join(format!(".{id}.lock"))).unwrap().ino();
    let inode = format!(":{inode} ");
    eventually("waiters to be asleep", || {
        let locks = fs::read_to_string("/proc/locks").unwrap();
        (locks.lines().filter(|line| line.contains(" -> ") && line.contains(&inode)).count() >= count)
            .then_some(())
    });
}

#[test]
fn it_ends_as_the_task_has_ended() {
    let home = Home::new();
    let killed = home.gco(sh("kill -KILL $$")).run();
    killed.signal(Signal::SIGKILL).stdout("").stderr("");
    waited(&home, &[], 137);
    for (options, code) in [
        (&["--", "true"][..], 0),
        (&["--", "sh", "-c", "exit 3"], 3),
        (&["--", "sh", "-c", "exit 255"], 255),
        (&["--timeout", "50ms", "--", "sleep", "1000"], 124),
        (&["--", "./not-there"], 127),
        (&["--", "/"], 126),
    ] {
        home.gco(["run"].iter().chain(options)).run().code(code).whatever();
        // Left out, the newest is meant.
        waited(&home, &[], code);
    }
}

#[test]
fn it_ends_as_the_task_ends() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    for (end, code) in [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -SEGV $$", 139)] {
        let id = detached(&home, &["--name", "t"], &format!("read x <go; {end}"));
        let waiters = [wait(&home, &["t"]), wait(&home, &[&id]), wait(&home, &[]), wait(&home, &["t", &id])];
        until_asleep(&home, &id, waiters.len());
        gate.open();
        for waiter in waiters {
            waiter.wait().code(code).stdout("").stderr("");
        }
    }
    let id = detached(&home, &["--name", "t"], "trap 'exit 0' TERM; echo up >up; read x <go");
    home.until_file("up");
    let waiter = wait(&home, &[&id]);
    until_asleep(&home, &id, 1);
    home.gco(["tasks", "cancel", &id]).run().code(0).whatever();
    // It did as it was told; what it was for has not been done.
    waiter.wait().code(1).stdout("").stderr("");
    let id = detached(&home, &["--name", "t", "--timeout", "300ms"], "read x <go");
    waited(&home, &[&id], 124);
}

#[test]
fn a_task_that_leaves_somebody_behind_is_not_waited_for_longer() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let id = detached(&home, &[], "(read x <go; echo late) & exit 5");
    waited(&home, &[&id], 5);
    assert_eq!(home.gcos("gco-supervisor").len(), 1, "it is still there for what comes");
    gate.open();
    home.until_quiet();
}

#[test]
fn for_several_the_first_failure_in_the_order_named_counts() {
    let home = Home::new();
    let names = ["a", "b", "c"];
    let gates: Vec<_> = names.iter().map(|name| Gate::new(&home, &format!("go-{name}"))).collect();
    let start = |codes: [i32; 3]| -> Vec<String> {
        let one =
            |(name, code)| detached(&home, &["--name", name], &format!("read x <go-{name}; exit {code}"));
        names.into_iter().zip(codes).map(one).collect()
    };
    for (codes, expected) in [([0, 0, 0], 0), ([0, 4, 5], 4), ([6, 0, 5], 6)] {
        let ids = start(codes);
        let waiter = wait(&home, &names);
        let one = wait(&home, &["--any", "a", "b", "c"]);
        ids.iter().for_each(|id| until_asleep(&home, id, 2));
        // The last first.
        gates[2].open();
        one.wait().code(codes[2]).stdout("").stderr("");
        gates[1].open();
        home.until_record(&ids[1], "its end", |record| record["exit_code"] == codes[1]);
        gates[0].open();
        waiter.wait().code(expected).stdout("").stderr("");
        // All are over: the one that is named first is first.
        waited(&home, &["--any", "a", "b", "c"], codes[0]);
        waited(&home, &["--any", "b", "a", "c"], codes[1]);
    }
}

#[test]
fn the_time_is_over() {
    let home = Home::new();
    let (one, _two) = (Fake::start(&home, "t-1"), Fake::start(&home, "t-2"));
    Fake::over(&home, "t-3", b"");
    let start = Instant::now();
    let words = "gco: 't-1' did not come that far within 100ms\n";
    wait(&home, &["t-1", "--timeout", "100ms"]).wait().code(124).stdout("").stderr(words);
    let words = "gco: 2 of 3 tasks did not come that far within 50ms\n";
    wait(&home, &["t-1", "t-2", "t-3", "--timeout", "50ms"]).wait().code(124).stdout("").stderr(words);
    let words = "gco: 2 of 2 tasks did not come that far within 50ms\n";
    wait(&home, &["--any", "t-1", "t-2", "--timeout", "50ms"]).wait().code(124).stdout("").stderr(words);
    assert!(start.elapsed().as_millis() >= 200);
    waited(&home, &["--any", "t-1", "t-3", "--timeout", "10s"], 0);
    assert_eq!(
        told(&home, &["t-1", "--timeout", "10ms"], 124),
        json!({"task_id": "t-1", "state": "running", "is_alive": true, "fired": "timeout", "output": "",
            "more": false, "cursor": "t-1@0"})
    );
    let told = told(&home, &["t-1", "t-3", "--timeout", "10ms"], 124);
    assert_eq!(told["fired"], "timeout");
    assert_eq!(told["tasks"][0], json!({"task_id": "t-1", "state": "running", "is_alive": true}));
    one.finish("succeeded");
    waited(&home, &["t-1", "--timeout", "3650d"], 0);
}

#[test]
fn one_that_is_queued_is_waited_for() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let first = detached(&home, &["--group", "g"], "read x <go");
    home.until_state(&first, "running");
    let second = detached(&home, &["--group", "g"], "exit 9");
    let third = detached(&home, &["--group", "g"], "exit 0");
    assert_eq!(home.record(&second)["state"], "queued");
    let waiters = [wait(&home, &[&second]), wait(&home, &[&third, &second]), wait(&home, &[&third])];
    until_asleep(&home, &second, 2);
    until_asleep(&home, &third, 2);
    home.gco(["tasks", "cancel", &third]).run().code(0).whatever();
    gate.open();
    let [one, both, cancelled] = waiters;
    one.wait().code(9).stdout("").stderr("");
    cancelled.wait().code(143).stdout("").stderr("");
    both.wait().code(143).stdout("").stderr("");
}

#[test]
fn json_says_what_became_of_it() {
    let home = Home::new();
    let id = detached(&home, &["--name", "t"], "echo out; echo err >&2; exit 3");
    waited(&home, &[&id], 3);
    let all = told(&home, &["t", "--since", "start"], 3);
    let lines = all["output"].as_str().unwrap().to_owned();
    assert_eq!(lines.as_bytes(), home.log(&id));
    let expected = json!({"task_id": id, "state": "failed", "is_alive": false, "exit_code": 3, "error": "exit_code=3",
        "fired": "exit", "output": lines, "more": false, "cursor": format!("{id}@{}", lines.len())});
    assert_eq!(all, expected);
    // What is new from now on is nothing.
    let mut expected = expected;
    expected["output"] = json!("");
    assert_eq!(told(&home, &["t"], 3), expected);
    home.gco(["run", "--name", "u", "--", "true"]).run().code(0).stdout("").stderr("");
    let other = home.ids().into_iter().find(|id| id.starts_with("u-")).unwrap();
    let over = json!({"task_id": other, "state": "succeeded", "is_alive": false, "exit_code": 0});
    let failed =
        json!({"task_id": id, "state": "failed", "is_alive": false, "exit_code": 3, "error": "exit_code=3"});
    assert_eq!(told(&home, &["u", "t"], 3), json!({"tasks": [over, failed], "fired": "exit"}));
    // Named twice, it is one.
    assert_eq!(told(&home, &["u", &other], 0)["task_id"], other.as_str());
    let any = told(&home, &["u", "t", "--any"], 0);
    assert_eq!((&any["fired"], any["tasks"].as_array().unwrap().len()), (&json!("exit"), 2));
}

#[test]
fn a_thousand_at_once() {
    let home = Home::new();
    let ids: Vec<String> = (0..1000).map(|n| format!("t-{n}")).collect();
    let mut live = Vec::new();
    for (n, id) in ids.iter().enumerate() {
        if n % 10 == 3 {
            live.push(Fake::start(&home, id));
        } else {
            Fake::over(&home, id, b"");
        }
    }
    let names: Vec<&str> = ids.iter().map(String::as_str).collect();
    let waiter = wait(&home, &names);
    until_asleep(&home, &live[99].id, 1);
    for (n, fake) in live.into_iter().enumerate() {
        fake.finish(if n == 50 { "failed" } else { "succeeded" });
    }
    waiter.wait().code(1).stdout("").stderr("");
    let told = told(&home, &names, 1);
    let states: Vec<_> = told["tasks"].as_array().unwrap().iter().map(|task| &task["state"]).collect();
    assert_eq!((states.len(), states.iter().filter(|state| **state == "failed").count()), (1000, 1));
}

/// How often a process went to sleep so far; `None` unless all of its threads are asleep.
fn sleeps(pid: i32) -> Option<u64> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let path = thread.unwrap().path();
        let number = path.file_name()?.to_str()?.parse().ok()?;
        (state_of(number) == Some('S')).then_some(())?;
        let status = fs::read_to_string(path.join("status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        sum += line.trim().parse::<u64>().ok()?;
    }
    Some(sum)
}

#[test]
fn while_nothing_happens_nothing_is_done() {
    let home = Home::new();
    let fakes: Vec<_> = (0..50).map(|n| Fake::start(&home, &format!("t-{n}"))).collect();
    let names: Vec<&str> = fakes.iter().map(|fake| fake.id.as_str()).collect();
    let waiter = wait(&home, &names);
    names.iter().for_each(|name| until_asleep(&home, name, 1));
    let before = eventually("all to be asleep", || sleeps(waiter.pid()));
    // What happens to others is nothing to it.
    home.gco(["run", "--", "sleep", "1.5"]).run().code(0).stdout("").stderr("");
    assert_eq!(sleeps(waiter.pid()), Some(before));
    for fake in fakes {
        fake.finish("succeeded");
    }
    waiter.wait().code(0).stdout("").stderr("");
}

#[test]
fn a_closed_pipe_is_a_quiet_end() {
    let home = Home::new();
    Fake::over(&home, "t-1", b"[stdout] a\n");
    for args in [&["t-1"][..], &["t-1", "t-2"], &["t-1", "--until", "match:a", "--since", "start"]] {
        Fake::over(&home, "t-2", b"");
        let command = home.gco(["tasks", "wait", "--json"].iter().chain(args));
        command.read_at_most(0).run().code(0).stdout("").stderr("");
    }
}

#[test]
fn bad_input_is_refused() {
    let home = Home::new();
    let refused = |args: &[&str], code, words: &str| {
        wait(&home, args).wait().code(code).stdout("").stderr_has(words);
    };
    refused(&[], 1, "gco: there are no tasks\nhint: ");
    refused(&["t"], 1, "gco: there is no task 't'\n");
    let (_one, _two) = (Fake::start(&home, "t-1"), Fake::start(&home, "t-2"));
    refused(&["t-1", "nobody"], 1, "gco: there is no task 'nobody'\n");
    refused(&["t-"], 2, "t-1\n");
    refused(&["../t-1"], 2, "cannot be the name of a task");
    for bad in [
        "--timeout=0s",
        "--timeout=-1s",
        "--timeout=5",
        "--timeout=99999w",
        "--until=silent:0s",
        "--until=silent:-1s",
        "--until=silent:99999w",
        "--until=match:(",
        "--until=match:",
        "--until=progress:101",
        "--until=progress:-1",
        "--until=never",
        "--until=",
        "--since=t-1",
        "--since=t-1@x",
        "--since=@0",
        "--since=../t-1@0",
        "--since=",
        "--max-bytes=0",
        "--max-bytes=-1",
        "--max-bytes=99999999999TiB",
    ] {
        refused(&["t-1", bad], 2, &format!("gco: invalid value '{}'", bad.split_once('=').unwrap().1));
    }
}
