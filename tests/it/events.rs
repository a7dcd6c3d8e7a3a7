//! `gco tasks events`: every event once, whoever writes, reads, shares or is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::fake::Fake;
use crate::harness::{Home, Running, eventually, sh};
use crate::tools::{Gate, Numbers, count, send};

/// The events in what was printed; a last line without its end is none.
fn parse(shown: &[u8]) -> Vec<Value> {
    let whole = shown.iter().rposition(|&b| b == b'\n').map_or(0, |end| end + 1);
    let lines = shown[..whole].split(|&b| b == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

/// What `gco tasks events` with `args` shows.
fn events(home: &Home, args: &[&str]) -> Vec<Value> {
    parse(&home.gco(["tasks", "events"].iter().chain(args)).run().code(0).stderr("").into_stdout())
}

/// Kind and task of each.
fn names(events: &[Value]) -> Vec<(&str, &str)> {
    events
        .iter()
        .map(|event| (event["event"].as_str().unwrap(), event["task_id"].as_str().unwrap()))
        .collect()
}

fn follow<'h>(home: &'h Home, args: &[&str]) -> Running<'h> {
    home.gco(["tasks", "events", "--follow"].iter().chain(args)).spawn()
}

/// Ends a follower as a person does, and gives what it has shown.
fn stop(follower: Running<'_>) -> Vec<Value> {
    follower.kill(Signal::SIGINT);
    parse(&follower.wait().signal(Signal::SIGINT).stderr("").into_stdout())
}

#[test]
fn a_task_starts_and_ends_with_its_whole_record() {
    let home = Home::new();
    home.gco(["tasks", "events"]).run().code(0).stdout("").stderr("");
    home.gco(["run", "--label", "env=prod", "--", "sh", "-c", "echo hi; exit 3"])
        .run()
        .code(3)
        .stdout("hi\n")
        .stderr("");
    let id = home.only_id();
    let all = events(&home, &[]);
    assert_eq!(names(&all), [("started", id.as_str()), ("ended", id.as_str())]);
    let started = &all[0]["record"];
    assert_eq!((&started["state"], &started["labels"]["env"]), (&json!("running"), &json!("prod")));
    assert_ne!(started["pid"], started["supervisor_pid"]);
    assert_eq!(all[1]["record"], home.record(&id), "as it is on disk");
    assert!(all.iter().all(|event| gco::task::timestamp::parse(event["at"].as_str().unwrap()).is_some()));
    assert_eq!(events(&home, &["--json"]), all);
    let mode = fs::metadata(home.tasks().join(".events")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[test]
fn a_command_that_cannot_start_only_ends() {
    let home = Home::new();
    home.gco(["run", "--", "nosuch"]).run().code(127).stdout("").stderr_has("not found");
    let id = home.only_id();
    let all = events(&home, &[]);
    assert_eq!(names(&all), [("ended", id.as_str())]);
    assert_eq!(all[0]["record"]["state"], "failed");
}

#[test]
fn untracked_tasks_have_no_events() {
    let home = Home::new();
    home.gco(["run", "--", "true"]).env("GCO_DISABLE_TASK_STATUS", "1").run().code(0).stdout("").stderr("");
    assert!(home.names().is_empty());
}

#[test]
fn since_leaves_out_what_is_older() {
    let home = Home::new();
    fs::create_dir(home.tasks()).unwrap();
    let ago = |seconds: i64| {
        let now = i64::try_from(crate::records::now()).unwrap();
        gco::task::timestamp::format(now - seconds)
    };
    let line = |id: &str, at: &str| {
        json!({"event": "ended", "task_id": id, "at": at, "record": {}}).to_string() + "\n"
    };
    let text = [line("a-1", &ago(7200)), line("b-1", &ago(600)), line("c-1", &ago(1))].concat();
    fs::write(home.tasks().join(".events"), text).unwrap();
    assert_eq!(names(&events(&home, &["--since", "1h"])), [("ended", "b-1"), ("ended", "c-1")]);
    assert_eq!(events(&home, &["--since", "100w"]).len(), 3);
    assert_eq!(events(&home, &["--since", "18446744073709551615s"]).len(), 3);
    assert_eq!(events(&home, &["--consumer", "x", "--since", "1m"]).len(), 1);
    assert_eq!(events(&home, &["--consumer", "x"]).len(), 0, "what was left out counts as received");
    for wrong in ["0s", "0h", "-1h", "x", "", "99999999999999999999s"] {
        home.gco(["tasks", "events", "--since", wrong]).run().code(2).stdout("").stderr_has("gco: ");
    }
}

#[test]
fn a_consumer_gets_each_event_once_though_tasks_are_pruned() {
    let home = Home::new();
    home.gco(["run", "--", "true"]).run().code(0).stdout("").stderr("");
    assert_eq!(events(&home, &["--consumer", "a"]).len(), 2);
    assert_eq!(events(&home, &["--consumer", "a"]), [json!(0); 0]);
    for _ in 0..3 {
        home.gco(["run", "--", "true"]).run().code(0).stdout("").stderr("");
    }
    home.until_quiet();
    home.gco(["tasks", "prune", "-y", "--keep", "0"]).run().code(0).stdout_has("4").stderr("");
    assert_eq!(home.ids().len(), 0);
    assert_eq!(home.names(), [".consumer-a.cursor", ".events"]);
    let rest = events(&home, &["--consumer", "a"]);
    assert_eq!(rest.len(), 6);
    assert!(rest.iter().all(|event| event["record"]["argv"] == json!(["true"])), "the whole record inside");
    assert_eq!(events(&home, &["--consumer", "a"]).len(), 0);
    assert_eq!(events(&home, &["--consumer", "b.lock"]).len(), 8, "a new one gets all that there is");
    fs::remove_file(home.tasks().join(".consumer-a.cursor")).unwrap();
    assert_eq!(events(&home, &["--consumer", "a"]).len(), 8);
}

#[test]
fn a_follower_alone_shows_what_is_new() {
    let home = Home::new();
    home.gco(["run", "--name", "old", "--", "true"]).run().code(0).stdout("").stderr("");
    let follower = follow(&home, &[]);
    // Nothing tells when it has begun to look: tasks are started until one is seen.
    eventually("a new event", || {
        home.gco(["run", "--name", "new", "--", "true"]).run().code(0).stdout("").stderr("");
        (!follower.stdout().is_empty()).then_some(())
    });
    let shown = stop(follower);
    assert!(names(&shown).iter().all(|(_, id)| id.starts_with("new-")), "{shown:?}");
}

#[test]
fn a_follower_may_come_before_the_directory() {
    let home = Home::new();
    let follower = follow(&home, &[]);
    let shared = follow(&home, &["--consumer", "x"]);
    eventually("a task that both were told of", || {
        home.gco(["run", "--", "true"]).run().code(0).stdout("").stderr("");
        (parse(&follower.stdout()).len() >= 2 && parse(&shared.stdout()).len() >= 2).then_some(())
    });
    // Removed under them, and made again.
    home.remove_tasks();
    let before = follower.stdout().len();
    eventually("a task in the new directory", || {
        home.gco(["run", "--", "true"]).run().code(0).stdout("").stderr("");
        (follower.stdout().len() > before).then_some(())
    });
    let doubled = |events: &[Value]| {
        let mut seen = BTreeSet::new();
        names(events).into_iter().find(|name| !seen.insert((name.0.to_owned(), name.1.to_owned()))).is_some()
    };
    for follower in [follower, shared] {
        follower.kill(Signal::SIGINT);
        let output = follower.wait().signal(Signal::SIGINT);
        // Those that were removed together with the directory are gone, and that may be said.
        assert!(!doubled(&parse(&output.stderr_has("").into_stdout())));
    }
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
fn a_reader_that_is_ended_at_any_moment_loses_and_doubles_nothing() {
    const NUMBER: usize = 3000;
    let mut numbers = Numbers(4711);
    let home = home_with(NUMBER);
    let mut seen = Vec::new();
    let mut ended = 0;
    let start = std::time::Instant::now();
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
        if !was_ended && shown.is_empty() || start.elapsed() > crate::harness::DEADLINE {
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
    let mut rest = Vec::new();
    eventually("the others to be taken", || {
        rest.extend(events(&home, &["--consumer", "x"]));
        (rest.last().is_some_and(|event| event["task_id"] == "t-299")).then_some(())
    });
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
fn an_orphan_is_told_before_it_is_pruned() {
    let home = Home::new();
    Fake::start(&home, "t-1").die();
    // Its record names this process, which lives: without that it can be removed.
    let text = fs::read_to_string(home.tasks().join("t-1.json")).unwrap();
    let text = text
        .replace(&format!("\"pid\":{}", std::process::id()), &format!("\"pid\":{}", crate::records::NO_PID));
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
    fake.die();
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
    fake.die();
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
                home.gcos("gco-keeper").pop().and_then(crate::tools::parent_of).filter(|pid| *pid > 1)
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
fn a_journal_that_is_none_is_never_opened() {
    let home = Home::new();
    fs::create_dir(home.tasks()).unwrap();
    let journal = home.tasks().join(".events");
    let cursor = home.tasks().join(".consumer-x.cursor");
    let secret = home.path().join("secret");
    fs::write(&secret, "").unwrap();
    let plants: [(&dyn Fn(&std::path::Path), &str); 4] = [
        (&|path| nix::unistd::mkfifo(path, Mode::S_IRWXU).unwrap(), "it is not a regular file"),
        (&|path| symlink(&secret, path).unwrap(), "it is a symbolic link"),
        (&|path| fs::hard_link(&secret, path).unwrap(), "it has more than one link"),
        (&|path| fs::create_dir(path).unwrap(), "it is not a regular file"),
    ];
    for (plant, why) in plants {
        plant(&journal);
        for more in [&[][..], &["--follow"], &["--consumer", "x"], &["--since", "1h", "--follow"]] {
            let output = home.gco(["tasks", "events"].iter().chain(more)).run();
            output.code(1).stdout("").stderr_has(why);
        }
        home.gco(["run", "--", "echo", "fine"]).run().code(0).stdout("fine\n").stderr("");
        let id = home.ids().pop().unwrap();
        let warnings = home.record(&id)["warnings"].to_string();
        assert!(warnings.contains(&format!("an event could not be noted: {why}")), "{warnings}");
        assert_eq!(fs::read(&secret).unwrap(), b"", "nothing is written through it");
        home.until_quiet();
        home.gco(["tasks", "prune", "-y", "--keep", "0"]).run().code(0).stdout_has("").stderr("");
        if journal.is_dir() && !journal.is_symlink() {
            fs::remove_dir(&journal)
        } else {
            fs::remove_file(&journal)
        }
        .unwrap();
        let _ = fs::remove_file(&cursor);
        plant(&cursor);
        home.gco(["tasks", "events", "--consumer", "x"]).run().code(1).stdout("").stderr_has(why);
        if cursor.is_dir() && !cursor.is_symlink() {
            fs::remove_dir(&cursor)
        } else {
            fs::remove_file(&cursor)
        }
        .unwrap();
    }
    for spoiled in ["x", &"0".repeat(42), &"\0".repeat(42), "1 2\n"] {
        fs::write(&cursor, spoiled).unwrap();
        let output = home.gco(["tasks", "events", "--consumer", "x"]).run();
        output.code(1).stdout("").stderr_has("it does not hold a place in the journal\nhint: ");
    }
}

#[test]
fn nothing_in_a_journal_steers_a_terminal_or_ends_the_reading() {
    let home = Home::new();
    fs::create_dir(home.tasks()).unwrap();
    let hostile = "{\"event\":\"ended\",\"task_id\":\"t-1\",\"record\":{\"x\":\"\u{9b}31m\u{202e}\u{7f}\\u001b[2J\"}}\n";
    let bytes = [
        &[0; 70_000][..],
        b"\n{\"event\":\"ended\",\"task_id\":\"t-0\",\"x\":\"\\udc00\"}\n",
        &[b'{'; 3_000_000],
        b"\n",
        hostile.as_bytes(),
        b"{\"event\":\"en",
    ];
    fs::write(home.tasks().join(".events"), bytes.concat()).unwrap();
    let shown = home.gco(["tasks", "events"]).run().code(0).stderr("").into_stdout();
    let text = String::from_utf8(shown.clone()).unwrap();
    assert!(!text.trim_end().contains(|c: char| c.is_control() || gco::task::text::deceives(c)), "{text:?}");
    assert_eq!(parse(&shown), [serde_json::from_str::<Value>(hostile).unwrap()]);
}

#[test]
fn wrong_words_are_told() {
    let home = Home::new();
    for name in ["a/b", "../x", "", ".x", "-x", "a b", &"x".repeat(65), "\u{1b}[31m"] {
        let output = home.gco(["tasks", "events", "--consumer", name]).run();
        output.code(2).stdout("").stderr_has("gco: ");
    }
    home.gco(["tasks", "events", "--consumer", "a/b"])
        .run()
        .code(2)
        .stdout("")
        .stderr_has("a name is letters");
    assert!(home.names().is_empty());
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
