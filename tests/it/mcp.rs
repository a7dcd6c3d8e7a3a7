//! `gco mcp` over stdio, in raw JSON-RPC: the tools, what is refused, and what a client may send.

use std::io::Write;

use serde_json::{Value, json};

use crate::harness::{Gco, Home, Running, eventually};

/// A client of a server on stdio, which it has started.
pub struct Client<'h> {
    pub server: Running<'h>,
    last: i64,
}

impl<'h> Client<'h> {
    /// Starts a server, and says hello as clients of before 2026-07-28 do.
    pub fn new(home: &'h Home, options: &[&str]) -> Client<'h> {
        let mut client = Client::bare(home.gco(["mcp"].iter().chain(options)));
        let capabilities = json!({});
        client.greet(capabilities);
        client
    }

    pub fn greet(&mut self, capabilities: Value) -> Value {
        let client = json!({ "name": "tester", "version": "1.2" });
        let params =
            json!({ "protocolVersion": "2025-06-18", "capabilities": capabilities, "clientInfo": client });
        let answer = self.request("initialize", params);
        self.notify("notifications/initialized", json!({}));
        answer
    }

    /// Starts a server and says nothing.
    pub fn bare(command: Gco<'h>) -> Client<'h> {
        Client { server: command.stdin_pipe().spawn(), last: 0 }
    }

    /// Sends a line.
    pub fn line(&mut self, line: &[u8]) {
        let pipe = self.server.stdin.as_mut().unwrap();
        pipe.write_all(line).unwrap();
        pipe.write_all(b"\n").unwrap();
    }

    pub fn notify(&mut self, method: &str, params: Value) {
        self.line(json!({ "jsonrpc": "2.0", "method": method, "params": params }).to_string().as_bytes());
    }

    /// Sends a request, and gives its id.
    pub fn send(&mut self, method: &str, params: Value) -> i64 {
        self.last += 1;
        let request = json!({ "jsonrpc": "2.0", "id": self.last, "method": method, "params": params });
        self.line(request.to_string().as_bytes());
        self.last
    }

    /// All messages so far.
    pub fn messages(&self) -> Vec<Value> {
        let seen = self.server.stdout();
        let whole = seen.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
        seen[..whole]
            .split(|&b| b == b'\n')
            .filter(|l| !l.is_empty())
            .map(|l| serde_json::from_slice(l).unwrap())
            .collect()
    }

    /// Waits for the answer to request `id`.
    pub fn answer(&self, id: i64) -> Value {
        eventually("an answer", || self.messages().into_iter().find(|message| message["id"] == id))
    }

    /// Sends a request, and waits for its result.
    pub fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params);
        let answer = self.answer(id);
        assert!(answer.get("error").is_none(), "{answer}");
        answer["result"].clone()
    }

    /// Calls a tool that does what it is to do: its structured answer.
    pub fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let result = self.call_raw(tool, arguments);
        assert_eq!(result["isError"], false, "{result}");
        result["structuredContent"].clone()
    }

    /// Calls a tool.
    pub fn call_raw(&mut self, tool: &str, arguments: Value) -> Value {
        self.request("tools/call", json!({ "name": tool, "arguments": arguments }))
    }

    /// Calls a tool that refuses: what it says.
    pub fn refused(&mut self, tool: &str, arguments: Value) -> String {
        let result = self.call_raw(tool, arguments);
        assert_eq!(result["isError"], true, "{result}");
        result["content"][0]["text"].as_str().unwrap().to_owned()
    }

    /// Closes the connection. The server ends well and has said nothing beside its messages.
    pub fn close(self) {
        let ended = self.server.wait();
        drop(ended.code(0).stderr("").into_stdout());
    }
}

/// The text that a model is shown.
fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap()
}

#[test]
fn it_only_looks_unless_more_is_allowed() {
    let home = Home::new();
    let mut client = Client::new(&home, &[]);
    let tools = client.request("tools/list", json!({}));
    let names: Vec<&str> =
        tools["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["task_status", "task_list", "task_tail", "task_wait", "task_why", "task_diff"]);
    for tool in tools["tools"].as_array().unwrap() {
        assert_eq!(tool["annotations"]["readOnlyHint"], true, "{tool}");
        assert_eq!(
            (&tool["inputSchema"]["type"], &tool["outputSchema"]["type"]),
            (&json!("object"), &json!("object"))
        );
        assert!(tool["title"].is_string() && tool["description"].is_string());
    }
    assert!(client.refused("task_run", json!({ "argv": ["touch", "x"] })).contains("--allow-run"));
    assert!(client.refused("task_cancel", json!({ "task": "x" })).contains("there is no task 'x'"));
    assert!(client.refused("task_prune", json!({})).contains("--allow-prune"));
    assert_eq!(client.call("task_list", json!({}))["tasks"], json!([]));
    assert!(home.names().is_empty());
    home.gco(["run", "-d", "--name", "mine", "--", "sleep", "60"]).run().code(0).stderr("").into_stdout();
    assert!(client.refused("task_cancel", json!({ "task": "mine" })).contains("only looks"));
    assert_eq!(client.call("task_status", json!({ "task": "mine" }))["state"], "running");
    client.close();
    let mut other = Client::new(&home, &["--allow-run"]);
    assert!(other.refused("task_cancel", json!({ "task": "mine" })).contains("--allow-cancel"));
    other.close();
    let mut another = Client::new(&home, &["--allow-cancel"]);
    assert_eq!(another.call("task_cancel", json!({ "task": "mine" }))["cancelled"], true);
    another.close();
    home.until_quiet();
}

#[test]
fn every_tool_does_its_work() {
    let home = Home::new();
    let mut client = Client::new(&home, &["--allow-run", "--allow-prune"]);
    let script = "echo one; echo two >&2; test -e good || { echo 'error: it broke' >&2; exit 3; }";
    let run = |client: &mut Client<'_>, more: Value| {
        let mut arguments = json!({ "argv": ["sh", "-c", script], "name": "build", "wait_seconds": 60 });
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        client.call_raw("task_run", arguments)
    };
    std::fs::write(home.path().join("good"), "").unwrap();
    let good = run(&mut client, json!({ "labels": { "env": "prod", "via": "x" }, "env": { "LEVEL": "2" } }));
    assert_eq!(good["isError"], false, "{good}");
    let structured = &good["structuredContent"];
    assert_eq!((&structured["state"], &structured["exit_code"]), (&json!("succeeded"), &json!(0)));
    assert!(structured["output"].as_str().unwrap().contains("[stdout] one\n"));
    assert_eq!(structured["labels"], json!({ "env": "prod", "mcp_client": "tester 1.2", "via": "mcp" }));
    std::fs::remove_file(home.path().join("good")).unwrap();
    let bad = run(&mut client, json!({}));
    assert_eq!(bad["isError"], true);
    assert_eq!(bad["structuredContent"]["exit_code"], 3);
    assert_eq!(bad["structuredContent"]["reason"]["causes"][0]["text"], "error: it broke");
    assert!(text(&bad).contains("exit code 3") && text(&bad).contains("error: it broke"), "{}", text(&bad));
    let id = bad["structuredContent"]["task_id"].as_str().unwrap().to_owned();
    assert_eq!(client.call("task_status", json!({}))["task_id"], id.as_str());
    assert_eq!(client.call("task_why", json!({ "task": "build" }))["reason"]["text"], "exit code 3");
    let listed = client.call(
        "task_list",
        json!({ "states": ["failed"], "name": "build", "labels": { "via": "mcp" }, "since": "1h" }),
    );
    assert_eq!(listed["tasks"].as_array().unwrap().len(), 1);
    assert_eq!(listed["tasks"][0]["task_id"], id.as_str());
    let diff = client.call("task_diff", json!({ "task": id }));
    assert_eq!(diff["parting"]["here"]["text"], "error: it broke");
    let tail = client.call("task_tail", json!({ "task": id, "lines": 1 }));
    assert_eq!(tail["output"], "[stderr] error: it broke\n");
    assert!(tail["left_out_bytes"].as_u64().unwrap() > 0);
    let tail = client.call("task_tail", json!({ "task": id, "since": "start", "stream": "stdout" }));
    assert_eq!(tail["output"], "[stdout] one\n");
    let cursor = tail["cursor"].as_str().unwrap();
    assert_eq!(client.call("task_tail", json!({ "task": id, "since": cursor }))["output"], "");
    let waited = client.call("task_wait", json!({ "task": id }));
    assert_eq!((&waited["fired"], &waited["exit_code"]), (&json!("exit"), &json!(3)));
    let pruned = client.call("task_prune", json!({ "keep": 0, "dry_run": true }));
    assert_eq!(pruned["removed"].as_array().unwrap().len(), 2);
    assert_eq!(home.ids().len(), 2);
    client.call("task_prune", json!({ "keep": 0 }));
    assert!(home.ids().is_empty());
    client.close();
}

#[test]
fn a_task_that_takes_longer_is_waited_for_and_cancelled() {
    let home = Home::new();
    let mut client = Client::new(&home, &["--allow-run"]);
    let script = "echo begin; until test -e go; do sleep 0.05; done; echo ready; sleep 600";
    let started = client
        .call("task_run", json!({ "argv": [script], "shell": true, "name": "server", "wait_seconds": 0 }));
    assert_eq!(started["state"], "running");
    let id = started["task_id"].as_str().unwrap();
    let waited = client.call("task_wait", json!({ "task": id, "until": ["match:begin"], "since": "start" }));
    assert_eq!((&waited["fired"], &waited["matched"]), (&json!("match:begin"), &json!("begin")));
    let cursor = waited["cursor"].as_str().unwrap().to_owned();
    let short = client.call(
        "task_wait",
        json!({ "task": id, "until": ["match:ready"], "since": cursor, "timeout_seconds": 0.3 }),
    );
    assert_eq!((&short["fired"], &short["output"]), (&json!("timeout"), &json!("")));
    std::fs::write(home.path().join("go"), "").unwrap();
    let waited =
        client.call("task_wait", json!({ "task": id, "until": ["match:ready"], "since": short["cursor"] }));
    assert_eq!(waited["output"], "[stdout] ready\n");
    // Others are served while one call waits.
    let long = client.send("tools/call", json!({ "name": "task_wait", "arguments": { "task": id } }));
    let cancelled = client.call("task_cancel", json!({ "task": id, "grace_seconds": 5 }));
    assert_eq!((&cancelled["state"], &cancelled["cancelled"]), (&json!("cancelled"), &json!(true)));
    assert_eq!(client.answer(long)["result"]["structuredContent"]["state"], "cancelled");
    assert_eq!(client.call("task_cancel", json!({ "task": id }))["cancelled"], false);
    client.close();
    home.until_quiet();
}

#[test]
fn what_may_be_run_can_be_limited() {
    let home = Home::new();
    let place = home.path().join("place");
    std::fs::create_dir(&place).unwrap();
    std::os::unix::fs::symlink("/", place.join("out")).unwrap();
    let here = place.to_str().unwrap();
    let options = ["--allow-run", "--only-program", "sleep", "--only-dir", here, "--max-running", "2"];
    let mut client = Client::new(&home, &options);
    let run = |arguments: Value| {
        let mut all = json!({ "argv": ["sleep", "600"], "cwd": here, "wait_seconds": 0 });
        all.as_object_mut().unwrap().extend(arguments.as_object().unwrap().clone());
        all
    };
    for (arguments, words) in [
        (json!({ "argv": ["touch", "x"] }), "'touch' is not one of the allowed programs"),
        (json!({ "argv": ["sleep 1"], "shell": true }), "'/bin/sh' is not one of the allowed programs"),
        (json!({ "cwd": "/" }), "it is not one of the allowed directories"),
        (json!({ "cwd": format!("{here}/..") }), "it is not one of the allowed directories"),
        (json!({ "cwd": format!("{here}/out") }), "it is not one of the allowed directories"),
        (json!({ "cwd": null }), "it is not one of the allowed directories"),
        (json!({ "cwd": "place" }), "it is not an absolute path"),
        (json!({ "env": { "PATH": "/x" } }), "the variable 'PATH' may not be set"),
        (json!({ "argv": [] }), "must name a program"),
        (json!({ "argv": "sleep" }), "must be a list"),
        (json!({ "wait_seconds": 121 }), "from 0 to 120"),
        (json!({ "on_finish": "touch x" }), "there is no argument 'on_finish'"),
        (json!({ "timeout": "soon" }), "'soon' is not a duration"),
        (json!({ "name": "" }), "a value is required"),
    ] {
        let said = client.refused("task_run", run(arguments.clone()));
        assert!(said.contains(words), "{arguments}: {said}");
    }
    assert!(home.ids().is_empty());
    let first = client.call("task_run", run(json!({})));
    client.call("task_run", run(json!({})));
    let said = client.refused("task_run", run(json!({})));
    assert!(said.contains("2 tasks are under way, as many as there may be\nhint: wait for one"), "{said}");
    client.call("task_cancel", json!({ "task": first["task_id"] }));
    client.call("task_run", run(json!({})));
    client.close();
}

#[test]
fn variables_are_for_the_command_alone() {
    let home = Home::new();
    let mut client = Client::new(&home, &["--allow-run"]);
    let elsewhere = home.path().join("elsewhere");
    let variables = json!({ "SECRET": "hush-hush", "HOME": elsewhere, "GCO_TASK_STATUS_DIR": "/nowhere", "COMPLETE": "bash" });
    let script = "echo $SECRET $GCO_TASK_STATUS_DIR $COMPLETE; exec sleep 600";
    let arguments = json!({ "argv": [script], "shell": true, "env": variables, "wait_seconds": 0 });
    let task = client.call("task_run", arguments)["task_id"].clone();
    let waited = client.call("task_wait", json!({ "task": task, "until": ["match:hush"], "since": "start" }));
    assert_eq!(waited["output"], "[stdout] hush-hush /nowhere bash\n");
    // Arguments can be read by everybody.
    let gcos: Vec<_> = home.processes().into_iter().filter(|process| process.is_gco).collect();
    assert!(gcos.len() >= 2 && gcos.iter().all(|gco| !gco.command.contains("hush")), "{gcos:?}");
    for bad in [json!({ "": "x" }), json!({ "A=B": "x" }), json!({ "A": "x\0" })] {
        let said = client.refused("task_run", json!({ "argv": ["true"], "env": bad }));
        assert!(said.contains("a variable that can be none"), "{said}");
    }
    client.close();
}

#[test]
fn what_cannot_be_started_is_said() {
    let home = Home::new();
    let mut client = Client::new(&home, &["--allow-run"]);
    let said = client.refused("task_run", json!({ "argv": ["no-such-program"] }));
    assert_eq!(said, "gco: cannot run: 'no-such-program': command not found");
    client.call("task_run", json!({ "argv": ["sleep", "600"], "key": "k", "wait_seconds": 0 }));
    let said = client.refused("task_run", json!({ "argv": ["sleep", "600"], "key": "k" }));
    assert!(said.contains("key 'k' is held by 'sleep-"), "{said}");
    client.close();
}
