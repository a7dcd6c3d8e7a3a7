//! Every event once, whoever writes, reads, shares or is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use gco::sys::lock::Probe;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::events::{events, follow, names, parse, stop};
use crate::fake::Fake;
use crate::harness::{DEADLINE, Home, Running, eventually, sh};
use crate::records::NO_PID;
use crate::tools::{Gate, Numbers, count, parent_of, send};

/// Has the supervisor die, and waits until that can be seen: another test's process that is just being started may still
/// have the lock.
fn die(home: &Home, fake: Fake) {
    let lock = home.tasks().join(format!(".{}.lock", fake.id));
    fake.die();
    let lock = fs::File::open(lock).unwrap();
    eventually("the lock to be dropped", || (gco::sys::lock::probe(&lock, 0) == Probe::Free).then_some(()));
}

/// A home with a journal of `number` events, each of some 3 KB.
fn home_with(number: usize) -> Home {
    let home = Home::new();
    fs::create_dir(home.tasks()).unwrap();
    let line = |n: usize| {
        json!({"event": "ended", "task_id": format!("t-{n}"), "at": "2026-11-21T10:37:52Z", "record": {"x": "x".repeat(3000)}})
            .to_string()
            + "\n"
    };
    fs::write(home.tasks().join(".events"), (0..number).map(line).collect::<String>()).unwrap();
    home
}

#[test]
fn two_readers_of_one_name_share() {
    let home = Home::new();
    let readers = [follow(&home, &["--consumer", "x"]), follow(&home, &["--consumer", "x"])];
    for _ in 0..13 {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| home.gco(["run", "--", "true"]).run().code(0).stdout("").stderr(""));
            }
        });
    }
    eventually("all events", || {
        let all: usize = readers.iter().map(|reader| parse(&reader.stdout()).len()).sum();
        (all >= 2 * 52).then_some(())
    });
    let shown = readers.map(stop);
    let all: Vec<_> = shown.iter().flat_map(|events| names(events)).collect();
    let different: BTreeSet<_> = all.iter().collect();
    assert_eq!((all.len(), different.len()), (104, 104));
    assert_eq!(events(&home, &["--consumer", "x"]).len(), 0);
    assert_eq!(events(&home, &[]).len(), 104);
}

#[test]
fn a_reader_that_is_ended_at_any_moment_loses_and_doubles_nothing() {
    const NUMBER: usize = 3000;
    let mut numbers = Numbers(4711);
    let home = home_with(NUMBER);
    let mut seen = Vec::new();
    let mut ended = 0;
    let start = Instant::now();
    for round in 0.. {
        let reader = home.gco(["tasks", "events", "--consumer", "x"]).spawn();
        thread::park_timeout(Duration::from_micros(numbers.below(30_000)));
        // It may have come to its end before.
        let _ = kill(Pid::from_raw(reader.pid()), [Signal::SIGTERM, Signal::SIGINT][round % 2]);
        let output = reader.wait();
        let was_ended = output.status.code().is_none();
        ended += usize::from(was_ended);
        let output = if was_ended {
            output.signal([Signal::SIGTERM, Signal::SIGINT][round % 2])
        } else {
            output.code(0)
        };
        let shown = parse(&output.stderr("").into_stdout());
        seen.extend(shown.iter().map(|event| event["task_id"].as_str().unwrap().to_owned()));
        if !was_ended && shown.is_empty() || start.elapsed() > DEADLINE {
            break;
        }
    }
    assert!(ended > 3, "{ended}");
    assert_eq!(seen, (0..NUMBER).map(|n| format!("t-{n}")).collect::<Vec<_>>());
}

#[test]
fn a_pipe_that_is_closed_takes_no_event_with_it() {
    let home = home_with(200);
    let mut seen = 0;
    for most in [0, 1, 3000, 3100, 10_000, 50_000] {
        let output = home.gco(["tasks", "events", "--consumer", "x"]).read_at_most(most).run();
        let shown = output.code(0).stderr("").into_stdout();
        assert!(shown.len() <= most);
        // What fitted into the pipe was received, for all that gco can know: whoever closed it threw it away.
        let next = parse(
            &home
                .gco(["tasks", "events", "--consumer", "y"])
                .read_at_most(1)
                .run()
                .code(0)
                .stderr("")
                .into_stdout(),
        );
        assert!(next.is_empty());
        seen += parse(&shown).len();
    }
    let rest = events(&home, &["--consumer", "x"]);
    assert_eq!(rest.last().unwrap()["task_id"], "t-199");
    assert!(rest.len() + seen <= 200);
    // A full disk in its place: what could not be written is the next.
    let script = "gco tasks events --consumer z >/dev/full";
    home.command("sh", ["-c", script]).run().code(1).stdout("").stderr_has("gco: ");
    assert_eq!(events(&home, &["--consumer", "z"]).len(), 200);
}

#[test]
fn a_reader_that_is_not_read_takes_nothing_from_the_other() {
    let home = home_with(300);
    // It fills its pipe and then waits, without the lock.
    let gate = Gate::new(&home, "go");
    let script = "gco tasks events --consumer x | (read x <go; cat >first)";
    let slow = home.command("sh", ["-c", script]).spawn();
    eventually("the first to be taken", || {
        let place = fs::read(home.tasks().join(".consumer-x.cursor")).ok()?;
        (!place.is_empty()).then_some(())
    });
    // Both take some, until the slow one is full.
    let rest = events(&home, &["--consumer", "x"]);
    assert!(rest.len() > 200, "{}", rest.len());
    assert!(events(&home, &["--consumer", "x"]).is_empty());
    gate.open();
    slow.wait().code(0).stdout("").stderr("");
    let first = parse(&fs::read(home.path().join("first")).unwrap());
    let all: BTreeSet<_> = first.iter().chain(&rest).map(|event| event["task_id"].to_string()).collect();
    assert_eq!((all.len(), first.len() + rest.len()), (300, 300));
}

#[test]
fn an_orphan_is_told_once_by_several_readers() {
    let home = Home::new();
    let fake = Fake::start(&home, "t-1");
    let others: Vec<_> = (0..3).map(|_| follow(&home, &["--since", "1d"])).collect();
    let _gate = Gate::new(&home, "never");
    let run = home.gco(sh("read x <never")).spawn();
    eventually("all to follow", || {
        others.iter().all(|follower| !parse(&follower.stdout()).is_empty()).then_some(())
    });
    fake.die();
    eventually("all to be told", || {
        others
            .iter()
            .all(|follower| String::from_utf8(follower.stdout()).unwrap().contains("orphaned"))
            .then_some(())
    });
    let id = names(&events(&home, &[]))[0].1.to_owned();
    for pid in [home.the_gco("gco-keeper"), home.the_gco("gco-supervisor")] {
        send(pid, Signal::SIGSTOP);
    }
    for pid in [home.the_gco("gco-keeper"), home.the_gco("gco-supervisor")] {
        send(pid, Signal::SIGKILL);
    }
    eventually("all to be told of both", || {
        let told = |follower: &Running<'_>| parse(&follower.stdout()).len() >= 3;
        others.iter().all(told).then_some(())
    });
    let many = thread::scope(|scope| {
        let readers: Vec<_> = (0..6).map(|_| scope.spawn(|| events(&home, &[]))).collect();
        readers.into_iter().map(|reader| reader.join().unwrap()).collect::<Vec<_>>()
    });
    let wanted = |events: &[Value]| {
        let mut names: Vec<_> =
            names(events).into_iter().map(|(a, b)| (a.to_owned(), b.to_owned())).collect();
        names.sort();
        let mut wanted = [("orphaned", "t-1"), ("orphaned", &id), ("started", &id)]
            .map(|(a, b)| (a.to_owned(), b.to_owned()));
        wanted.sort();
        assert_eq!(names, wanted);
    };
    many.iter().for_each(|events| wanted(events));
    others.into_iter().for_each(|follower| wanted(&stop(follower)));
    let all = events(&home, &["--consumer", "x"]);
    wanted(&all);
    let orphan = all.iter().find(|event| event["event"] == "orphaned" && event["task_id"] != "t-1").unwrap();
    assert_eq!(orphan["record"]["state"], "orphaned");
    run.wait().code(125).stdout("").stderr_has("the supervisor");
}

#[test]
fn many_orphans_are_told_once_by_many_at_once() {
    const NUMBER: usize = 60;
    let home = Home::new();
    let fakes: Vec<_> = (0..NUMBER).map(|n| Fake::start(&home, &format!("t-{n}"))).collect();
    fakes.into_iter().for_each(|fake| die(&home, fake));
    let all_at_once = || {
        thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| events(&home, &[]));
            }
        });
        let all = events(&home, &[]);
        assert!(all.iter().all(|event| event["event"] == "orphaned"));
        let different: BTreeSet<_> = all.iter().map(|event| event["task_id"].to_string()).collect();
        assert_eq!((all.len(), different.len()), (NUMBER, NUMBER));
    };
    all_at_once();
    // Whoever told was killed before it could say so.
    for n in 0..NUMBER {
        fs::write(home.tasks().join(format!(".t-{n}.lock")), "").unwrap();
    }
    all_at_once();
}

#[test]
fn an_orphan_is_told_before_it_is_pruned() {
    let home = Home::new();
    die(&home, Fake::start(&home, "t-1"));
    // Its record names this process, which lives: without that it can be removed.
    let text = fs::read_to_string(home.tasks().join("t-1.json")).unwrap();
    let text = text.replace(&format!("\"pid\":{}", std::process::id()), &format!("\"pid\":{}", NO_PID));
    fs::write(home.tasks().join("t-1.json"), text).unwrap();
    home.gco(["tasks", "prune", "-y", "--keep", "0"]).run().code(0).stdout_has("1").stderr("");
    assert_eq!(home.names(), [".events"]);
    assert_eq!(names(&events(&home, &[])), [("orphaned", "t-1")]);
}

#[test]
fn an_end_that_nobody_lived_to_tell_is_told() {
    let home = Home::new();
    let fake = Fake::start(&home, "t-1");
    fake.record("failed");
    assert_eq!(events(&home, &[]).len(), 0, "somebody is about to tell it");
    die(&home, fake);
    assert_eq!(names(&events(&home, &[])), [("ended", "t-1")]);
    assert_eq!(names(&events(&home, &[])), [("ended", "t-1")]);
}

#[test]
fn a_task_of_another_host_is_no_orphan() {
    let home = Home::new();
    let fake = Fake::start(&home, "t-1");
    let mut record: Value = serde_json::from_slice(&fs::read(fake.record_path()).unwrap()).unwrap();
    record["host"] = json!("elsewhere");
    record["boot_id"] = json!("another");
    fs::write(fake.record_path(), record.to_string()).unwrap();
    die(&home, fake);
    assert_eq!(events(&home, &[]).len(), 0);
}

#[test]
fn a_supervisor_killed_at_any_moment_tells_each_event_once() {
    let mut numbers = Numbers(31);
    for round in 0..count("GCO_IT_KILLS", 20) {
        let home = Home::new();
        let gate = Gate::new(&home, "go");
        let run = home.gco(sh("read x <go; exit 6")).spawn();
        let pid = if round % 2 == 0 {
            // Around the start.
            eventually("a supervisor", || {
                home.gcos("gco-keeper").pop().and_then(parent_of).filter(|pid| *pid > 1)
            })
        } else {
            home.until_running();
            home.the_gco("gco-supervisor")
        };
        gate.open();
        thread::park_timeout(Duration::from_micros(numbers.below(5000)));
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        run.wait().code(6).stdout("").stderr_has("");
        let id = home.only_id();
        home.until_state(&id, "failed");
        home.until_quiet();
        let all = events(&home, &[]);
        assert_eq!(names(&all), [("started", id.as_str()), ("ended", id.as_str())], "round {round}");
        assert_eq!(all[1]["record"], home.record(&id));
    }
}

#[test]
fn each_task_tells_once_whatever_many_do_at_once() {
    let home = Home::new();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..8 {
                    home.gco(["run", "--", "true"]).run().code(0).stdout("").stderr("");
                }
            });
        }
    });
    let all = events(&home, &[]);
    let mut counts = BTreeMap::new();
    for name in names(&all) {
        *counts.entry(name).or_insert(0) += 1;
    }
    assert_eq!((counts.len(), all.len()), (64, 64));
}
