//! `gco mcp --http`, in raw HTTP: who is let in, and that it is the same server as on stdio.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::{DEADLINE, Home, Running, eventually};

/// A server that listens.
struct Listening<'h> {
    server: Running<'h>,
    port: u16,
    token: String,
}

impl<'h> Listening<'h> {
    fn new(home: &'h Home, options: &[&str]) -> Listening<'h> {
        let server = home.gco(["mcp", "--http", "127.0.0.1:0"].iter().chain(options)).spawn();
        let said = eventually("the address", || {
            String::from_utf8(server.stdout()).ok().filter(|said| said.matches('\n').count() == 2)
        });
        let (url, token) = said.trim_end().split_once('\n').unwrap();
        let port = url
            .strip_prefix("url: http://127.0.0.1:")
            .unwrap()
            .strip_suffix("/mcp")
            .unwrap()
            .parse()
            .unwrap();
        let token = token.strip_prefix("token: ").unwrap().to_owned();
        assert_eq!(token.len(), 64);
        Listening { server, port, token }
    }

    /// Sends a request with these lines in its head besides what every one has: its status, and what comes behind the head.
    fn post(&self, path: &str, head: &[&str], body: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut request =
            format!("POST {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        if !head.iter().any(|line| line.starts_with("Host:")) {
            request += &format!("Host: 127.0.0.1:{}\r\n", self.port);
        }
        for line in head {
            request += &format!("{line}\r\n");
        }
        request += "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        // One that is turned away before it has said all gets its answer none the less, or the connection is reset.
        let _ = stream.write_all(body);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        let status = answer.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
        (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
    }

    fn known(&self) -> String {
        format!("Authorization: Bearer {}", self.token)
    }

    /// Calls a tool, as a client of 2026-07-28 does.
    fn call(&self, tool: &str, arguments: Value) -> Value {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "web", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let params = json!({ "name": tool, "arguments": arguments, "_meta": meta });
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string();
        let known = self.known();
        let name = format!("Mcp-Name: {tool}");
        let head = [known.as_str(), "MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", &name];
        let (status, answer) = self.post("/mcp", &head, body.as_bytes());
        assert_eq!(status, 200, "{answer}");
        let data =
            answer.lines().find_map(|line| line.strip_prefix("data: {").or_else(|| line.strip_prefix('{')));
        let message: Value = serde_json::from_str(&format!("{{{}", data.unwrap())).unwrap();
        message["result"].clone()
    }

    fn end(self) {
        self.server.kill(Signal::SIGTERM);
        drop(self.server.wait().signal(Signal::SIGTERM).stderr("").into_stdout());
    }
}

#[test]
fn only_who_knows_the_token_and_comes_from_here_is_served() {
    let home = Home::new();
    let listening = Listening::new(&home, &["--allow-run"]);
    let known = listening.known();
    let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "web", "version": "1" } } });
    let hello = hello.to_string().into_bytes();
    let wrong = format!("{known}x");
    for (path, head, status) in [
        ("/mcp", &[known.as_str()][..], 200),
        ("/mcp", &[], 401),
        ("/mcp", &[wrong.as_str()], 401),
        ("/mcp", &["Authorization: Bearer "], 401),
        ("/", &[known.as_str()], 404),
        ("/mcp", &[known.as_str(), "Origin: http://localhost:6274"], 200),
        ("/mcp", &[known.as_str(), "Origin: https://evil.example"], 403),
        ("/mcp", &[known.as_str(), "Origin: null"], 403),
        ("/mcp", &[known.as_str(), "Host: evil.example"], 403),
    ] {
        let (got, said) = listening.post(path, head, &hello);
        assert_eq!(got, status, "{path} {head:?}: {said}");
    }
    let huge = vec![b' '; 10 << 20];
    assert!(matches!(listening.post("/mcp", &[known.as_str()], &huge).0, 413 | 0));
    assert_eq!(listening.post("/mcp", &[known.as_str()], b"{").0 / 100, 4);
    assert_eq!(listening.post("/mcp", &[known.as_str()], &hello).0, 200);
    listening.end();
}

#[test]
fn it_is_the_same_server() {
    let home = Home::new();
    let listening = Listening::new(&home, &["--allow-run"]);
    let done = listening.call("task_run", json!({ "argv": ["echo", "hello"], "wait_seconds": 60 }));
    assert_eq!(done["structuredContent"]["output"], "[stdout] hello\n");
    assert_eq!(done["structuredContent"]["labels"]["mcp_client"], "web 1");
    let long = listening.call("task_run", json!({ "argv": ["sleep", "600"], "wait_seconds": 0 }));
    let id = long["structuredContent"]["task_id"].as_str().unwrap().to_owned();
    listening.end();
    // Its tasks go on.
    let again = Listening::new(&home, &[]);
    let status = again.call("task_status", json!({ "task": id }));
    assert_eq!(status["structuredContent"]["state"], "running");
    again.end();
}

#[test]
fn what_it_cannot_listen_on_is_said() {
    let home = Home::new();
    home.gco(["mcp", "--http", "0.0.0.0:0"]).run().code(2).stdout("").stderr(
        "gco: cannot listen on '0.0.0.0:0': it is not an address of this machine alone\n\
         hint: use 127.0.0.1; from elsewhere, come through ssh\n",
    );
    let said = "gco: GCO_MCP_TOKEN is no token: it must have 16 characters or more, and no blanks\n\
                hint: leave it out, and a token is made and printed\n";
    for bad in ["short", "a token with blanks in it"] {
        home.gco(["mcp", "--http", "127.0.0.1:0"])
            .env("GCO_MCP_TOKEN", bad)
            .run()
            .code(2)
            .stdout("")
            .stderr(said);
    }
    // One that was given is not repeated.
    let command = home.gco(["mcp", "--http", "127.0.0.1:0"]).env("GCO_MCP_TOKEN", "0123456789abcdef");
    let server = command.spawn();
    eventually("the address", || server.stdout().ends_with(b"\n").then_some(()));
    server.kill(Signal::SIGTERM);
    let said = server.wait().signal(Signal::SIGTERM).stderr("").into_stdout();
    assert_eq!(said.iter().filter(|&&b| b == b'\n').count(), 1);
    assert!(fs::read_dir(home.tasks()).is_err());
}
