//! `gco tasks diff`: where a run went another way than one that went well.

use serde_json::{Value, json};

use crate::harness::{Home, sh};
use crate::records::{Store, id_of};

const SCRIPT: &str = "echo pid $$; echo checking; if [ -e bad ]; then for n in 1 2; do echo error: no space after ${n}ms >&2; done; exit 3; fi; \
                      echo done in 3s";

#[test]
fn a_run_is_compared_with_the_last_success_of_its_command() {
    let home = Home::new();
    let run = |code: i32, out: &str, err: &str| {
        let output = home.gco(sh(SCRIPT)).run().code(code).stderr(err);
        let said = String::from_utf8(output.into_stdout()).unwrap();
        assert!(said.starts_with("pid ") && said.ends_with(out), "{said}");
    };
    run(0, "checking\ndone in 3s\n", "");
    // Another command, and a later one that is no success.
    home.gco(sh("echo other")).run().code(0).stdout("other\n").stderr("");
    std::fs::write(home.path().join("bad"), "").unwrap();
    run(3, "checking\n", "error: no space after 1ms\nerror: no space after 2ms\n");
    let ids = home.ids();
    let told = home.gco(["tasks", "diff", "--json"]).run().code(0).stderr("").into_stdout();
    let told: Value = serde_json::from_slice(&told).unwrap();
    assert_eq!(told["task"], json!({"state": "failed", "task_id": ids[2]}));
    assert_eq!(told["other"], json!({"state": "succeeded", "task_id": ids[0]}));
    let parting = &told["parting"];
    assert_eq!(parting["here"]["text"], "error: no space after 1ms", "{told}");
    let new = told["new"].as_array().unwrap();
    assert_eq!(new.len(), 1, "{told}");
    assert_eq!((&new[0]["text"], &new[0]["count"]), (&json!("error: no space after 1ms"), &json!(2)));
    assert_eq!((&told["log_cut"], &told["new_left_out"]), (&json!(false), &json!(0)));
    // In the other's favour: nothing is new, and what it says at its end is not there.
    let shown = home.gco(["tasks", "diff", &ids[0], &ids[2]]).run().code(0).stderr("").into_stdout();
    let shown = String::from_utf8(shown).unwrap();
    assert!(shown.contains("  done in 3s\n"), "{shown}");
}

#[test]
fn it_is_shown_to_people() {
    let store = Store::new();
    let (good, bad) = (id_of("x", 3600), id_of("x", 60));
    let of = json!({"argv": ["deploy"], "cwd": "/src"});
    store.finished(&good, of.clone());
    store.write(&format!("{good}.log"), "[stdout] 10:00:01 begin\n[stdout] one\n[stdout] two\n");
    let mut failed = of;
    failed["state"] = json!("failed");
    failed["exit_code"] = json!(1);
    store.finished(&bad, failed);
    let log = "[stdout] 12:30:07 begin\n[stdout] one\n[gco] a word\n[stderr] error: \x1b[31mx\x1b]0;t\x07\n";
    store.write(&format!("{bad}.log"), log);
    let shown = store.gco(&["tasks", "diff"]).ok();
    let wanted = "\n\nwent another way at line 4; the other is at line 3 then\n    1  12:30:07 begin\n    2  one\n  + 4  error: x\n  - 3  two\n\n\
                  lines that the other does not have\n    4  error: x\n";
    assert!(shown.ends_with(wanted), "{shown:?}");
    assert!(shown.starts_with(&format!("{bad}  failed  started ")), "{shown}");
    assert!(shown.contains(&format!("\ncompared with {good}  succeeded  started ")), "{shown}");
    assert_eq!(store.gco(&["tasks", "diff", &bad, &good]).ok(), shown);
}

#[test]
fn without_anything_to_compare_with_it_says_so() {
    let store = Store::new();
    let id = id_of("x", 60);
    store.finished(&id, json!({"argv": ["deploy"], "cwd": "/src"}));
    store.finished(&id_of("y", 50), json!({"argv": ["deploy"], "cwd": "/other"}));
    let said = store.gco(&["tasks", "diff", &id]).failed(1);
    let wanted = format!(
        "gco: cannot compare '{id}': no other run of its command in its directory has succeeded\n\
                          hint: 'gco tasks diff TASK OTHER' compares any two\n"
    );
    assert_eq!(said, wanted);
    std::fs::remove_file(store.path(&format!("{id}.log"))).unwrap();
    let said = store.gco(&["tasks", "diff", "y", &id]).failed(1);
    assert_eq!(said, format!("gco: cannot read the log of '{id}': there is none\n"));
}

#[test]
fn of_huge_logs_both_ends_are_compared_and_that_is_said() {
    let store = Store::new();
    let (good, bad) = (id_of("x", 3600), id_of("x", 60));
    let of = json!({"argv": ["deploy"], "cwd": "/src"});
    let many = "[stdout] more\n".repeat(1_300_000);
    for (id, end) in [(&good, ""), (&bad, "[stderr] error: at last\n")] {
        store.finished(id, of.clone());
        store.write(&format!("{id}.log"), format!("{many}{end}"));
    }
    let told = store.gco(&["tasks", "diff", "--json"]).json();
    assert_eq!(told["new"], json!([{"count": 1, "line": 1_300_001, "text": "error: at last"}]));
    assert_eq!((&told["log_cut"], &told["other_log_cut"]), (&json!(true), &json!(true)));
}
