//! What outlives a server: tasks of the protocol are tasks on disk. Also what a client is told while it waits, and what it
//! can subscribe to.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::harness::{Home, eventually};
use crate::mcp::Client;

/// What a client of 2026-07-28 sends with each request.
fn meta(more: Value) -> Value {
    let mut meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "modern", "version": "2" },
        "io.modelcontextprotocol/clientCapabilities": { "extensions": { "io.modelcontextprotocol/tasks": {} } },
    });
    meta.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    meta
}

fn modern(client: &mut Client<'_>, method: &str, mut params: Value) -> Value {
    params["_meta"] = meta(json!({}));
    client.request(method, params)
}

/// A client that knows of tasks starts `script`: the task.
fn start(client: &mut Client<'_>, script: &str) -> Value {
    let arguments = json!({ "argv": [script], "shell": true, "name": "work" });
    modern(client, "tools/call", json!({ "name": "task_run", "arguments": arguments }))
}

#[test]
fn a_task_is_found_again_after_its_server_was_killed() {
    let home = Home::new();
    let mut client = Client::bare(home.gco(["mcp", "--allow-run"]));
    let task = start(&mut client, "echo begun; until test -e go; do sleep 0.05; done; echo done");
    assert_eq!((&task["resultType"], &task["status"]), (&json!("task"), &json!("working")));
    let id = task["taskId"].as_str().unwrap().to_owned();
    assert_eq!(home.only_id(), id);
    client.server.kill(Signal::SIGKILL);
    drop(client.server.wait().signal(Signal::SIGKILL).stderr("").into_stdout());
    // Another server, and one more at the same time; neither may run anything.
    let mut again = Client::bare(home.gco(["mcp"]));
    let mut beside = Client::bare(home.gco(["mcp"]));
    for client in [&mut again, &mut beside] {
        assert_eq!(modern(client, "tasks/get", json!({ "taskId": id }))["status"], "working");
    }
    fs::write(home.path().join("go"), "").unwrap();
    let wait = json!({ "name": "task_wait", "arguments": { "task": id } });
    assert_eq!(modern(&mut again, "tools/call", wait)["structuredContent"]["state"], "succeeded");
    for client in [&mut again, &mut beside] {
        let task = modern(client, "tasks/get", json!({ "taskId": id }));
        assert_eq!((&task["status"], &task["taskId"]), (&json!("completed"), &json!(id)));
        assert_eq!(task["result"]["structuredContent"]["exit_code"], 0);
        assert_eq!(task["result"]["structuredContent"]["output"], "[stdout] begun\n[stdout] done\n");
    }
    again.close();
    beside.close();
}

#[test]
fn states_are_those_of_the_extension() {
    let home = Home::new();
    let mut client = Client::bare(home.gco(["mcp", "--allow-run"]));
    let get = |client: &mut Client<'_>, id: &Value| modern(client, "tasks/get", json!({ "taskId": id }));
    let until_over = |client: &mut Client<'_>, id: &Value| {
        let task = eventually("the task to end", || {
            Some(get(client, id)).filter(|task| task["status"] != "working")
        });
        assert!(task["createdAt"].is_string() && task["lastUpdatedAt"].is_string(), "{task}");
        task
    };
    let failed = start(&mut client, "echo 'error: no' >&2; exit 3")["taskId"].clone();
    let failed = until_over(&mut client, &failed);
    assert_eq!((&failed["status"], &failed["result"]["isError"]), (&json!("completed"), &json!(true)));
    assert_eq!(failed["result"]["structuredContent"]["exit_code"], 3);
    let long = start(&mut client, "exec sleep 600")["taskId"].clone();
    modern(&mut client, "tasks/cancel", json!({ "taskId": long }));
    assert_eq!(until_over(&mut client, &long)["status"], "cancelled");
    // Nobody is left who looks after it.
    let orphan = start(&mut client, "exec sleep 600")["taskId"].clone();
    let both = [home.the_gco("gco-keeper"), home.the_gco("gco-supervisor")];
    for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
        both.into_iter().for_each(|pid| kill(Pid::from_raw(pid), signal).unwrap());
    }
    let lost = until_over(&mut client, &orphan);
    assert_eq!(lost["status"], "failed");
    assert!(
        lost["error"]["message"].as_str().unwrap().contains("is orphaned: nobody supervises it"),
        "{lost}"
    );
    // One that ends in time is answered at once.
    let arguments = json!({ "argv": ["true"], "wait_seconds": 60 });
    let done = modern(&mut client, "tools/call", json!({ "name": "task_run", "arguments": arguments }));
    assert_eq!(done["structuredContent"]["state"], "succeeded");
    let id = client.send("tasks/get", json!({ "taskId": "no-such", "_meta": meta(json!({})) }));
    assert_eq!(client.answer(id)["error"]["code"], -32602);
    client.close();
}

#[test]
fn who_does_not_know_of_tasks_gets_none() {
    let home = Home::new();
    let mut client = Client::new(&home, &["--allow-run"]);
    let done = client.call("task_run", json!({ "argv": ["sleep", "600"], "wait_seconds": 0 }));
    let id = client.send("tasks/get", json!({ "taskId": done["task_id"] }));
    assert_eq!(client.answer(id)["error"]["code"], -32021);
    client.close();
}

#[test]
fn a_client_that_waits_is_told_what_happens() {
    let home = Home::new();
    let mut client = Client::new(&home, &["--allow-run"]);
    let script = "gco progress 3/10 copying; echo 'careful now' >&2; until test -e go; do sleep 0.05; done; gco progress 9/10; sleep 0.3";
    let arguments = json!({ "argv": [script], "shell": true, "wait_seconds": 60 });
    let call = json!({ "name": "task_run", "arguments": arguments, "_meta": { "progressToken": "p" } });
    let id = client.send("tools/call", call);
    let told = |method: &str, of: &dyn Fn(&Value) -> bool| {
        eventually(method, || {
            client
                .messages()
                .into_iter()
                .find(|message| message["method"] == method && of(&message["params"]))
        })["params"]
            .clone()
    };
    let log = told("notifications/message", &|_| true);
    assert_eq!(log, json!({ "level": "warning", "logger": "stderr", "data": "careful now" }));
    let first = told("notifications/progress", &|progress| {
        progress["total"] == 100.0 && progress["progress"] == 30.0
    });
    assert_eq!(first["progressToken"], "p");
    assert!(first["message"].as_str().unwrap().contains("progress 3/10; it says: careful now"), "{first}");
    fs::write(home.path().join("go"), "").unwrap();
    assert_eq!(client.answer(id)["result"]["structuredContent"]["state"], "succeeded");
    let progress: Vec<f64> = client
        .messages()
        .iter()
        .filter(|message| message["method"] == "notifications/progress")
        .map(|message| message["params"]["progress"].as_f64().unwrap())
        .collect();
    assert!(progress.is_sorted_by(|a, b| a < b), "{progress:?}");
    client.request("logging/setLevel", json!({ "level": "error" }));
    client.call("task_run", json!({ "argv": ["echo again >&2"], "shell": true, "wait_seconds": 60 }));
    assert_eq!(
        client.messages().iter().filter(|message| message["method"] == "notifications/message").count(),
        1
    );
    client.close();
}

#[test]
fn who_calls_off_a_call_ends_the_wait_and_not_the_task() {
    let home = Home::new();
    let mut client = Client::new(&home, &["--allow-run"]);
    let task =
        client.call("task_run", json!({ "argv": ["sleep", "600"], "wait_seconds": 0 }))["task_id"].clone();
    // Each wait watches the directory.
    let waits = |client: &Client<'_>| {
        let open = fs::read_dir(format!("/proc/{}/fd", client.server.pid())).unwrap();
        let link = |entry: std::io::Result<fs::DirEntry>| fs::read_link(entry.ok()?.path()).ok();
        open.filter_map(link).filter(|link| link.ends_with("anon_inode:inotify")).count()
    };
    let mut calls = Vec::new();
    for _ in 0..8 {
        calls.push(client.send("tools/call", json!({ "name": "task_wait", "arguments": { "task": task } })));
    }
    eventually("the calls to wait", || (waits(&client) == 8).then_some(()));
    for call in &calls {
        client.notify("notifications/cancelled", json!({ "requestId": call }));
    }
    eventually("the waits to end", || (waits(&client) == 0).then_some(()));
    assert_eq!(client.call("task_status", json!({ "task": task }))["state"], "running");
    assert!(client.messages().iter().all(|message| !calls.iter().any(|call| message["id"] == *call)));
    client.close();
}

#[test]
fn tasks_are_resources() {
    let home = Home::new();
    let mut client = Client::new(&home, &["--allow-run"]);
    let script = "echo one; until test -e go; do sleep 0.05; done; echo two; exec sleep 600";
    let task = client.call("task_run", json!({ "argv": [script], "shell": true, "wait_seconds": 0 }));
    let id = task["task_id"].as_str().unwrap();
    let (record, log) = (format!("gco://tasks/{id}"), format!("gco://tasks/{id}/log"));
    let listed = client.request("resources/list", json!({}));
    let uris: Vec<&str> =
        listed["resources"].as_array().unwrap().iter().map(|r| r["uri"].as_str().unwrap()).collect();
    assert_eq!(uris, [&record, &log]);
    assert_eq!(
        client.request("resources/templates/list", json!({}))["resourceTemplates"].as_array().unwrap().len(),
        2
    );
    let read = client.request("resources/read", json!({ "uri": record }));
    let told: Value = serde_json::from_str(read["contents"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!((&told["task_id"], &told["state"]), (&json!(id), &json!("running")));
    client.request("resources/subscribe", json!({ "uri": log }));
    fs::write(home.path().join("go"), "").unwrap();
    eventually("word of the change", || {
        let of = |message: &Value| {
            message["method"] == "notifications/resources/updated" && message["params"]["uri"] == log.as_str()
        };
        client.messages().iter().any(of).then_some(())
    });
    let read = client.request("resources/read", json!({ "uri": log }));
    assert!(
        read["contents"][0]["text"].as_str().unwrap().contains("\n[stdout] one\n[stdout] two\n---"),
        "{read}"
    );
    client.request("resources/unsubscribe", json!({ "uri": log }));
    for uri in ["gco://tasks/no-such", "file:///etc/passwd", "gco://tasks/../x/log"] {
        let read = client.send("resources/read", json!({ "uri": uri }));
        assert_eq!(client.answer(read)["error"]["code"], -32002, "{uri}");
    }
    client.close();
}

#[test]
fn a_client_of_2026_listens() {
    let home = Home::new();
    let mut client = Client::bare(home.gco(["mcp", "--allow-run"]));
    let id = start(&mut client, "until test -e go; do sleep 0.05; done; echo two; exec sleep 600")["taskId"]
        .clone();
    let log = format!("gco://tasks/{}/log", id.as_str().unwrap());
    let filter = json!({ "resourceSubscriptions": [log, "file:///x"] });
    let listening =
        client.send("subscriptions/listen", json!({ "notifications": filter, "_meta": meta(json!({})) }));
    let told = |client: &Client<'_>, method: &str, count: usize| {
        eventually(method, || client.messages().into_iter().filter(|m| m["method"] == method).nth(count - 1))
    };
    let accepted = told(&client, "notifications/subscriptions/acknowledged", 1);
    assert_eq!(accepted["params"]["notifications"]["resourceSubscriptions"], json!([log]));
    // The first word is of what there was already.
    let updated = "notifications/resources/updated";
    told(&client, updated, 1);
    fs::write(home.path().join("go"), "").unwrap();
    assert_eq!(told(&client, updated, 2)["params"]["uri"], log.as_str());
    client.notify("notifications/cancelled", json!({ "requestId": listening }));
    client.close();
}
