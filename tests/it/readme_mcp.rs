//! What README shows of agents is tried: the snippets for clients start a server, and the calls are answered so.

use serde_json::{Value, json};

use crate::harness::Home;
use crate::mcp::Client;
use crate::readme::{Block, blocks, lasting, repository};

fn blocks_of(language: &str) -> Vec<Block> {
    let blocks = blocks(&repository("README.md")).into_iter().filter(|block| block.language == language);
    let blocks: Vec<Block> = blocks.collect();
    assert!(!blocks.is_empty(), "README.md has no block of '{language}'");
    blocks
}

/// The servers that a client's file names.
fn servers(file: &Value) -> Vec<&Value> {
    let servers = file.get("mcpServers").or_else(|| file.get("servers")).unwrap();
    servers.as_object().unwrap().values().collect()
}

#[test]
fn snippets_start_a_server() {
    let mut commands: Vec<Vec<String>> = Vec::new();
    for block in blocks_of("json") {
        let file: Value = serde_json::from_str(&block.text).unwrap();
        for server in servers(&file) {
            assert_eq!(server["command"], "gco", "README.md:{}", block.line);
            commands.push(serde_json::from_value(server["args"].clone()).unwrap());
        }
    }
    for block in blocks_of("toml") {
        assert!(block.text.contains("\ncommand = \"gco\"\n"), "README.md:{}", block.line);
        let args = block.text.lines().find_map(|line| line.strip_prefix("args = ")).unwrap();
        commands.push(serde_json::from_str(args).unwrap());
    }
    assert!(commands.len() >= 3);
    for words in commands {
        let home = Home::new();
        let options: Vec<&str> = words.iter().map(String::as_str).collect();
        assert_eq!(options[0], "mcp");
        let mut client = Client::new(&home, &options[1..]);
        assert_eq!(client.call("task_list", json!({}))["tasks"], json!([]));
        client.close();
    }
}

/// Without the numbers of quotations, ids' numbers, and times.
fn same_each_time(text: &str) -> String {
    let mut same = String::new();
    for line in lasting(text).lines() {
        let line = match line.rsplit_once('(') {
            Some((before, number))
                if number.len() > 16 && number[..16].bytes().all(|b| b.is_ascii_hexdigit()) =>
            {
                format!("{before}({}", &number[16..])
            }
            _ => line.to_owned(),
        };
        // When a line came, counted from the start: `+0:03.0`.
        let is_time = |word: &str| word.starts_with('+') && word.contains(':');
        let words: Vec<&str> =
            line.split(' ').map(|word| if is_time(word) { "<time>" } else { word }).collect();
        same += &words.join(" ");
        same += "\n";
    }
    same
}

#[test]
fn calls_are_answered_as_readme_shows() {
    for block in blocks_of("mcp") {
        let home = Home::new();
        let mut client: Option<Client<'_>> = None;
        let mut id = String::new();
        let mut rest = block.text.lines().peekable();
        while let Some(line) = rest.next() {
            if let Some(command) = line.strip_prefix("$ gco mcp") {
                if let Some(client) = client.take() {
                    client.close();
                }
                client = Some(Client::new(&home, &command.split_whitespace().collect::<Vec<_>>()));
                continue;
            }
            let (tool, arguments) = line.strip_prefix("> ").unwrap().split_once(' ').unwrap();
            let shown_id = block.text.split_whitespace().find(|word| word.starts_with("build-")).unwrap();
            let arguments = arguments.replace(shown_id, if id.is_empty() { shown_id } else { &id });
            let result = client.as_mut().unwrap().call_raw(tool, serde_json::from_str(&arguments).unwrap());
            id = home.ids().first().cloned().unwrap_or_default();
            let mut wanted = String::new();
            while let Some(line) = rest.next_if(|line| !line.starts_with(['$', '>'])) {
                wanted += line;
                wanted += "\n";
            }
            let got = result["content"][0]["text"].as_str().unwrap();
            assert_eq!(
                same_each_time(got),
                same_each_time(&wanted),
                "README.md:{}: {line}\n{got}",
                block.line
            );
        }
        client.unwrap().close();
    }
}
