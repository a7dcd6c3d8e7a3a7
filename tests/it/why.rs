//! `gco tasks status` of a task that did not succeed: it leads with why.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::{Home, sh};
use crate::records::{Store, id_of};

/// What `gco tasks status --json` says of the reason.
fn reason(home: &Home) -> Value {
    let told = home.gco(["tasks", "status", "--json"]).run().code(0).stderr("").into_stdout();
    serde_json::from_slice::<Value>(&told).unwrap()["reason"].take()
}

/// The panel up to the first empty line after its title.
fn head(panel: &[u8]) -> String {
    let panel = String::from_utf8(panel.to_vec()).unwrap();
    panel.split("\n\n").nth(1).unwrap().to_owned()
}

#[test]
fn a_failed_task_leads_with_the_reason() {
    let home = Home::new();
    let script = "echo building; echo 'a.c:3:5: error: no x' >&2; printf 'make: *** [all] '; echo 'Error 1'; echo bye >&2; exit 2";
    let output = home.gco(sh(script)).run().code(2).stderr("a.c:3:5: error: no x\nbye\n");
    output.stdout("building\nmake: *** [all] Error 1\n");
    let told = reason(&home);
    assert_eq!(told["text"], "exit code 2");
    assert_eq!(told["stderr"], json!(["a.c:3:5: error: no x", "bye"]));
    let causes = told["causes"].as_array().unwrap();
    let texts: Vec<&str> = causes.iter().map(|cause| cause["text"].as_str().unwrap()).collect();
    let mut sorted = texts.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, ["a.c:3:5: error: no x", "make: *** [all] Error 1"]);
    // The numbers are those of the log's own lines.
    let log = String::from_utf8(home.log(&home.only_id())).unwrap();
    for cause in causes {
        let at = usize::try_from(cause["line"].as_u64().unwrap()).unwrap();
        let line = log.lines().nth(at - 1).unwrap();
        assert!(line.ends_with(cause["text"].as_str().unwrap()), "{line:?} {cause}");
    }
    let shown = home.gco(["tasks", "status"]).run().code(0).stderr("").into_stdout();
    let shown = head(&shown);
    let mut lines: Vec<&str> = shown.lines().collect();
    for (line, cause) in lines.drain(2..4).zip(causes) {
        // When it was written, from the task's start on.
        let words: Vec<&str> = line.split("  ").filter(|word| !word.is_empty()).map(str::trim).collect();
        assert_eq!([words[0], words[2]], [&*cause["line"].to_string(), cause["text"].as_str().unwrap()]);
        assert!(words[1].starts_with("+0:0"), "{line}");
        let time = cause["time"].as_str().unwrap();
        let record = home.record(&home.only_id());
        let [first, last] =
            ["started_at", "finished_at"].map(|name| record[name].as_str().unwrap()[..19].to_owned());
        assert!((first..=last).contains(&time[..19].to_owned()) && time.ends_with("00Z"), "{time}");
    }
    let rest = [
        "  exit code 2",
        "  what looks like the cause, by lines of the log",
        "  last lines of stderr",
        "    a.c:3:5: error: no x",
        "    bye",
    ];
    assert_eq!(lines, rest);
}

#[test]
fn a_task_that_succeeded_has_none() {
    let home = Home::new();
    home.gco(sh("echo 'error: x' >&2")).run().code(0).stdout("").stderr("error: x\n");
    assert_eq!(reason(&home), Value::Null);
    let shown = home.gco(["tasks", "status"]).run().code(0).stderr("").into_stdout();
    assert!(head(&shown).starts_with("  command "), "{}", shown.escape_ascii());
}

#[test]
fn what_cannot_be_found_is_the_reason() {
    let home = Home::new();
    let said = "gco: cannot run: '/no/such': command not found\n";
    home.gco(["run", "--", "/no/such"]).run().code(127).stdout("").stderr(said);
    let wanted = json!({"text": "exit code 127: '/no/such': command not found", "stderr": [], "causes": []});
    assert_eq!(reason(&home), wanted);
    let home = Home::new();
    home.gco(["run", "--timeout", "100ms", "--", "sleep", "1000"]).run().code(124).stdout("").stderr("");
    let wanted = json!({"text": "timed out after 100ms", "signal": "SIGTERM", "stderr": [], "causes": []});
    assert_eq!(reason(&home), wanted);
}

#[test]
fn of_a_huge_log_the_end_is_looked_at() {
    let store = Store::new();
    let id = id_of("x", 10);
    store.finished(&id, json!({"state": "failed", "exit_code": 1, "error": "exit_code=1"}));
    let mut log = "[stderr] error: at first\n".to_owned() + &"[stdout] more\n".repeat(700_000);
    log.push_str("[stderr] error: at last\n");
    store.write(&format!("{id}.log"), log);
    let task = store.gco(&["tasks", "status", "--json"]).json();
    let cause = json!({"line": 700_002, "time": null, "text": "error: at last"});
    let wanted =
        json!({"text": "exit code 1", "stderr": ["error: at last"], "causes": [cause], "log_cut": true});
    assert_eq!(task["reason"], wanted);
}

#[test]
fn hostile_text_stays_text_and_a_strange_log_is_not_read() {
    let store = Store::new();
    let id = id_of("x", 10);
    let by = json!({"signal": "SIGTERM", "pid": 4242, "command": "ssh\u{1b}[2Jd"});
    let error = "killed by SIGTERM after SIGTERM was passed on";
    store.finished(&id, json!({"state": "cancelled", "exit_code": 143, "signal": "SIGTERM", "error": error, "signalled_by": by}));
    store.write(&format!("{id}.log"), "[stderr] error: \x1b[31mx\x1b]0;title\x07\n");
    let shown = store.gco(&["tasks", "status"]).ok();
    let wanted = "  terminated by SIGTERM sent by pid 4242 (sshd)\n  what looks like the cause, by lines of the log\n    1  error: x\n  \
                  last lines of stderr\n    error: x\n\n  command";
    assert!(shown.contains(wanted), "{shown}");
    let log = store.path(&format!("{id}.log"));
    std::fs::remove_file(&log).unwrap();
    nix::unistd::mkfifo(&log, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let shown = store.gco(&["tasks", "status"]).ok();
    assert!(shown.contains("  terminated by SIGTERM sent by pid 4242 (sshd)\n\n  command"), "{shown}");
}

#[test]
fn who_sent_the_signal_is_recorded() {
    let home = Home::new();
    let run = home.gco(sh("echo up; exec sleep 1000")).spawn();
    run.until_stdout("up\n");
    run.kill(Signal::SIGTERM);
    run.wait().signal(Signal::SIGTERM).stdout("up\n").stderr("");
    let record = home.record(&home.only_id());
    let me = i64::from(std::process::id());
    let name = std::fs::read_to_string("/proc/self/comm").unwrap().trim_end().to_owned();
    let uid = nix::unistd::getuid().as_raw();
    let by = json!({"command": name, "pid": me, "signal": "SIGTERM", "uid": uid});
    assert_eq!(record["signalled_by"], by);
    assert_eq!(record.get("oom_kills"), None);
    let told = reason(&home);
    assert_eq!(told["text"], format!("terminated by SIGTERM sent by pid {me} ({name})"));
    assert_eq!((&told["sender"], &told["signal"]), (&by, &json!("SIGTERM")));
}

#[test]
fn what_came_after_a_signal_is_told_with_its_sender() {
    let home = Home::new();
    let run =
        home.gco(sh("trap 'echo got; kill -9 $$' TERM; echo up; while :; do sleep 1 & wait; done")).spawn();
    run.until_stdout("up\n");
    run.kill(Signal::SIGTERM);
    run.wait().signal(Signal::SIGKILL).stdout("up\ngot\n").stderr("");
    let record = home.record(&home.only_id());
    assert_eq!(record["state"], "cancelled", "it is within the time for an answer");
    assert_eq!(record["signalled_by"]["signal"], "SIGTERM");
    let text = reason(&home)["text"].as_str().unwrap().to_owned();
    assert!(text.starts_with("killed by SIGKILL after SIGTERM sent by pid "), "{text}");
}

#[test]
fn one_that_was_cancelled_afterwards_was_not_ended_by_the_sender() {
    let home = Home::new();
    let script = "trap 'echo got' TERM; trap 'exit 5' INT; echo up; while :; do sleep 1000 & wait; done";
    let run = home.gco(sh(script)).spawn();
    run.until_stdout("up\n");
    run.kill(Signal::SIGTERM);
    run.until_stdout("up\ngot\n");
    let id = home.only_id();
    let output =
        home.gco(["tasks", "cancel", "--signal", "INT", "--grace", "2s", &id]).run().code(0).stderr("");
    let said = String::from_utf8(output.into_stdout()).unwrap();
    assert!(said.starts_with(&format!("{id} cancelled after ")), "{said}");
    run.wait().code(5).stdout("up\ngot\n").stderr("");
    let record = home.record(&id);
    assert_eq!((&record["state"], record.get("signalled_by")), (&json!("cancelled"), None));
    let text = reason(&home)["text"].as_str().unwrap().to_owned();
    assert!(text.starts_with("cancelled by SIGINT from ") && text.ends_with(", exit_code=5"), "{text}");
}
