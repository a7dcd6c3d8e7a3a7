//! `gco tasks events`: what is shown, to whom, and what cannot be.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use serde_json::{Value, json};

use crate::harness::{Home, Running, eventually};

/// The events in what was printed; a last line without its end is none.
pub fn parse(shown: &[u8]) -> Vec<Value> {
    let whole = shown.iter().rposition(|&b| b == b'\n').map_or(0, |end| end + 1);
    let lines = shown[..whole].split(|&b| b == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

/// What `gco tasks events` with `args` shows.
pub fn events(home: &Home, args: &[&str]) -> Vec<Value> {
    parse(&home.gco(["tasks", "events"].iter().chain(args)).run().code(0).stderr("").into_stdout())
}

/// Kind and task of each.
pub fn names(events: &[Value]) -> Vec<(&str, &str)> {
    events
        .iter()
        .map(|event| (event["event"].as_str().unwrap(), event["task_id"].as_str().unwrap()))
        .collect()
}

pub fn follow<'h>(home: &'h Home, args: &[&str]) -> Running<'h> {
    home.gco(["tasks", "events", "--follow"].iter().chain(args)).spawn()
}

/// Ends a follower as a person does, and gives what it has shown.
pub fn stop(follower: Running<'_>) -> Vec<Value> {
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
    assert!(events(&home, &["--consumer", "a"]).is_empty());
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
    // Removed under them, and made again. The journal first, with nobody left to write to it: a name whose file is gone while
    // the journal is there is a new one, and gets everything once more.
    eventually("no task to be under way", || home.gcos("gco-supervisor").is_empty().then_some(()));
    fs::remove_file(home.tasks().join(".events")).unwrap();
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
        let events = parse(&output.stderr_has("").into_stdout());
        assert!(!doubled(&events), "{events:#?}");
    }
}

/// Puts something where a file should be.
type Plant<'a> = &'a dyn Fn(&Path);

#[test]
fn a_journal_that_is_none_is_never_opened() {
    let home = Home::new();
    fs::create_dir(home.tasks()).unwrap();
    let journal = home.tasks().join(".events");
    let cursor = home.tasks().join(".consumer-x.cursor");
    let secret = home.path().join("secret");
    fs::write(&secret, "").unwrap();
    let plants: [(Plant<'_>, &str); 4] = [
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
