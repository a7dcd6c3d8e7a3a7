//! `gco run --after` for tasks that lose their files or their supervisor, and for those of other tools: it waits for them as
//! `gco tasks wait` does.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::fake::Fake;
use crate::harness::{Home, eventually};
use crate::queue::detached;
use crate::tools::{Gate, comm, lives, pid_in, send, state_of, until_stopped};
use crate::wait::until_asleep;
use crate::wait_lost::{process, stop, theirs, waiting};

/// A task that waits for another.
struct After<'h> {
    home: &'h Home,
    id: String,
    supervisor: i32,
}

impl<'h> After<'h> {
    /// One that is to start when `task` has succeeded.
    fn new(home: &'h Home, task: &str) -> Self {
        let id = detached(home, &["--name", "after", "--after", task], "true");
        let supervisor = pid_in(&home.until_state(&id, "queued"), "supervisor_pid");
        After { home, id, supervisor }
    }

    /// Waits until it watches process `pid`.
    fn until_on(&self, pid: i32) {
        let is_it = |info: String| info.lines().any(|line| line == format!("Pid:\t{pid}"));
        eventually("a handle on the process", || {
            let mut handles = fs::read_dir(format!("/proc/{}/fdinfo", self.supervisor)).ok()?.flatten();
            handles.any(|fd| fs::read_to_string(fd.path()).is_ok_and(is_it)).then_some(())
        });
    }

    /// How often the thread that waits went to sleep so far, if it is asleep: between any two times it has looked.
    fn looks(&self) -> Option<u64> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.supervisor)).ok()?.flatten();
        let thread = threads
            .filter_map(|thread| thread.file_name().to_str()?.parse().ok())
            .find(|thread| comm(*thread) == "gco-turn")?;
        (state_of(thread) == Some('S')).then_some(())?;
        let status = fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?.trim().parse().ok()
    }

    fn until_asleep(&self) -> u64 {
        eventually("it to be asleep", || self.looks())
    }

    /// Waits until it has slept through that many looks from now on, unless it has had enough before.
    fn until_looked(&self, count: u64) {
        let before = self.until_asleep();
        eventually("it to have looked", || (!self.waits() || self.looks()? >= before + count).then_some(()));
    }

    fn waits(&self) -> bool {
        self.home.record(&self.id)["state"] == "queued"
    }

    fn has_run(&self) {
        let record = self.home.until_record(&self.id, "its end", |record| record["finished_at"].is_string());
        assert_eq!(record["state"], "succeeded", "{record}");
    }

    fn was_not_started(&self, why: &str) {
        let record = self.home.until_record(&self.id, "its end", |record| record["finished_at"].is_string());
        assert_eq!(record["error"], format!("not started: {why}"));
    }
}

#[test]
fn the_record_of_another_tool_counts_though_its_process_lives_on() {
    let home = Home::new();
    let mut process = process();
    let task = theirs(&home, process.id());
    let after = After::new(&home, "theirs-1");
    after.until_on(process.id().cast_signed());
    task.record_with("succeeded", json!({"pid": process.id(), "exit_code": 0}));
    after.has_run();
    assert!(lives(process.id().cast_signed()));
    drop(process.stdin.take());
    process.wait().unwrap();
}

#[test]
fn without_a_lock_the_end_is_seen_though_the_supervisor_stays() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let _never = Gate::new(&home, "never");
    // Somebody stays who holds the output open, and the supervisor with him.
    let id = detached(&home, &["--name", "t"], "read x <never & read x <go");
    let supervisor = pid_in(&home.until_running(), "supervisor_pid");
    fs::remove_file(home.tasks().join(format!(".{id}.lock"))).unwrap();
    let after = After::new(&home, &id);
    after.until_on(supervisor);
    gate.open();
    after.has_run();
    assert!(lives(supervisor));
}

#[test]
fn without_record_and_lock_it_is_waited_for_while_its_supervisor_lives() {
    let home = Home::new();
    let gate = Gate::new(&home, "go");
    let (id, _) = waiting(&home, "exit 0");
    let both = stop(&home);
    fs::remove_file(home.tasks().join(format!(".{id}.lock"))).unwrap();
    let after = After::new(&home, &id);
    after.until_on(pid_in(&home.record(&id), "supervisor_pid"));
    fs::remove_file(home.tasks().join(format!("{id}.json"))).unwrap();
    after.until_looked(2);
    assert!(after.waits(), "{}", home.record(&after.id));
    both.into_iter().for_each(|pid| send(pid, Signal::SIGCONT));
    gate.open();
    after.has_run();
}

#[test]
fn one_that_is_gone_with_its_supervisor_was_removed() {
    let home = Home::new();
    let task = Fake::start(&home, "t-1");
    let after = After::new(&home, "t-1");
    until_asleep(&home, "t-1", 1);
    for path in [task.record_path(), home.tasks().join(".t-1.lock")] {
        fs::remove_file(path).unwrap();
    }
    task.die();
    after.was_not_started("'t-1' was removed");
}

#[test]
fn a_record_that_was_spoiled_is_told() {
    let home = Home::new();
    let task = Fake::start(&home, "t-1");
    let after = After::new(&home, "t-1");
    let any = detached(&home, &["--after-any", "t-1"], "true");
    until_asleep(&home, "t-1", 2);
    fs::write(task.record_path(), "{").unwrap();
    task.die();
    let record = home.until_record(&after.id, "its end", |record| record["finished_at"].is_string());
    let error = record["error"].as_str().unwrap();
    assert!(
        error.starts_with("not started: cannot read the record of 't-1': it is not valid JSON"),
        "{error}"
    );
    // Whatever has become of it, nobody is at it any more.
    home.until_state(&any, "succeeded");
}

#[test]
fn the_task_of_another_tool_may_say_so_late() {
    // It is given a second for it: what took this test longer proves nothing.
    for _ in 0..20 {
        let home = Home::new();
        let mut process = process();
        let task = theirs(&home, process.id());
        let after = After::new(&home, "theirs-1");
        after.until_on(process.id().cast_signed());
        let before = after.until_asleep();
        let start = Instant::now();
        // It comes to look only when the process is gone altogether.
        send(after.supervisor, Signal::SIGSTOP);
        until_stopped(after.supervisor);
        process.kill().unwrap();
        process.wait().unwrap();
        send(after.supervisor, Signal::SIGCONT);
        eventually("it to have seen that", || {
            (!after.waits() || after.looks().is_some_and(|now| now > before)).then_some(())
        });
        task.record_with("succeeded", json!({"pid": process.id(), "exit_code": 0}));
        if start.elapsed() < Duration::from_millis(500) {
            return after.has_run();
        }
    }
}

#[test]
fn a_lock_that_nobody_holds_elsewhere_is_not_waited_for_in_circles() {
    let home = Home::new();
    let task = Fake::start(&home, "t-1");
    task.record_with("running", json!({"host": "elsewhere", "boot_id": "another"}));
    // Who holds it there cannot be seen here.
    fs::remove_file(home.tasks().join(".t-1.lock")).unwrap();
    fs::File::create(home.tasks().join(".t-1.lock")).unwrap();
    let start = Instant::now();
    let after = After::new(&home, "t-1");
    // The first pauses are short, together more than a second.
    after.until_looked(7);
    assert!(start.elapsed() > Duration::from_secs(1), "{:?}", start.elapsed());
    assert!(after.waits());
    task.record("succeeded");
    after.has_run();
}

#[test]
fn what_is_left_of_an_orphan_is_not_waited_for_in_circles() {
    let home = Home::new();
    let mut process = process();
    let task = theirs(&home, process.id());
    // Without a start time a process that has ended and is not reaped cannot be told from one that runs.
    task.record_with("orphaned", json!({"pid": process.id()}));
    process.kill().unwrap();
    eventually("it to end", || (!lives(process.id().cast_signed())).then_some(()));
    let start = Instant::now();
    let after = After::new(&home, "theirs-1");
    after.until_looked(2);
    assert!(start.elapsed() > Duration::from_secs(1), "{:?}", start.elapsed());
    assert!(after.waits());
    process.wait().unwrap();
    after.was_not_started("'theirs-1' is orphaned");
}
