//! The pictures in the README: `gco tasks list --watch` and `gco tasks top` with real tasks on a real screen.
//!
//! The committed ones are compared with what is shown now, but for the numbers, and so cannot grow old.
//! `GCO_GENERATE=1 cargo test --test it pictures` makes them anew.

use std::fs;
use std::path::Path;

use crate::harness::{DEADLINE, Home, eventually};

use crate::screen::{Screen, are_here};
use crate::svg;
use crate::tools::{Gate, write_program};

/// What a deployment of twelve stacks has written when it is in the middle of it, and then waits.
const DEPLOY: &str = r#"
echo "✨  Synthesis time: 11.62s"
i=0
for stack in Network Secrets Database Queue Cache Api; do
    i=$((i + 1))
    echo
    echo "$stack: deploying... [$i/12]"
    echo "$stack | 0/9 | 10:14:0$i AM | CREATE_IN_PROGRESS   | AWS::SQS::Queue"
    echo "$stack | 9/9 | 10:14:5$i AM | CREATE_COMPLETE      | AWS::SQS::Queue"
    echo " ✅  $stack"
done
echo "Worker: deploying... [7/12]"
echo "Worker: creating the changeset..." >&2
read x <go
"#;

/// A command line of the scene, and the state it is to have come to.
const SCENE: [(&[&str], &str); 6] = [
    (&["--name", "nightly", "--", "sh", "-c", "echo 'backed up 214 files, 1.2 GiB'"], "succeeded"),
    (&["--name", "lint", "--", "./pytest", "-q"], "failed"),
    (&["--name", "migrate", "--", "sh", "-c", "echo 'applying 0042_orders'; read x <go"], "cancelled"),
    (&["--name", "build", "--", "./make", "-j4"], "running"),
    (&["--name", "deploy", "--group", "prod", "--", "./cdk", "deploy", "--all"], "running"),
    (&["--name", "smoke", "--group", "prod", "--", "./smoke"], "queued"),
];

/// Programs of these names that write what the real ones were recorded to write.
fn programs(home: &Home) {
    let recorded = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings").join(name);
        let log = fs::read_to_string(path).unwrap();
        log.lines().filter_map(|line| line.strip_prefix("[stdout] ")).collect::<Vec<_>>().join("\n")
    };
    let pytest = recorded("pytest-pipe.log");
    let lines: Vec<_> = pytest.lines().map(|line| line.trim_matches(['=', ' '])).collect();
    let pytest = format!("cat <<'E'\n{}\nE\nexit 1\n", lines.join("\n"));
    let make = recorded("cmake-pipe.log").replace("CMakeFiles/", "");
    let up_to_half = make.split_inclusive('\n').take_while(|line| !line.contains("[ 57%]"));
    let make = format!("cat <<'E'\n{}E\nread x <go\n", up_to_half.collect::<String>());
    for (name, script) in [("cdk", DEPLOY), ("pytest", &pytest), ("make", &make), ("smoke", "")] {
        write_program(&home.path().join(name), format!("#!/bin/sh\n{script}"), 0o755);
    }
}

/// Everything under way, or over.
fn scene(home: &Home) {
    programs(home);
    for (options, state) in SCENE {
        let line = ["run", "--detach"].iter().chain(options);
        let id = home.gco(line).run().code(0).stderr("").into_stdout();
        let id = String::from_utf8(id).unwrap().trim_end().to_owned();
        if state == "cancelled" {
            home.until_record(&id, "its message", |record| record["last_message"] == "applying 0042_orders");
            drop(home.gco(["tasks", "cancel", &id]).run().code(0).stderr("").into_stdout());
        }
        home.until_state(&id, state);
    }
}

/// Compares `shown` with the committed picture, or makes that anew.
fn compare(name: &str, shown: &str, (columns, rows): (u16, u16), title: &str) {
    let drawn = svg::draw(shown, columns, rows, title);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures").join(name);
    if is_generating() {
        fs::write(path, drawn).unwrap();
        return;
    }
    let committed = fs::read_to_string(&path).unwrap();
    assert_eq!(
        svg::words(&committed),
        svg::words(&drawn),
        "{name} is not what is shown now\nTo make it anew: GCO_GENERATE=1 cargo test --test it pictures"
    );
    assert!(committed.contains(&format!("<title>{title}</title>")), "{name} has another title");
}

fn is_generating() -> bool {
    std::env::var_os("GCO_GENERATE").is_some_and(|value| value == "1")
}

#[test]
fn the_pictures_are_what_is_shown() {
    if !are_here(&["tmux", "bash"]) {
        return;
    }
    let home = Home::new();
    let _gate = Gate::new(&home, "go");
    scene(&home);
    if is_generating() {
        // Times worth showing.
        std::thread::park_timeout(DEADLINE);
    }
    let mut screen = Screen::new(&home, "");
    let list = (110, 9);
    screen.resize(list.0, list.1);
    screen.line("gco tasks list --watch");
    let shown = |screen: &Screen<'_>| {
        eventually("a full screen", || {
            let text = screen.text();
            // Both are to have come to where they wait.
            (text.contains("50%") && text.contains("42%")).then(|| screen.coloured())
        })
    };
    compare("list.svg", &shown(&screen), list, "gco tasks list --watch, with bars for two tasks that run");
    screen.press(&["q"]);
    screen.until_prompt();
    let top = (120, 18);
    screen.resize(top.0, top.1);
    screen.line("gco tasks top");
    screen.until_it("as many rows", |text| {
        text.contains("q quit") && text.lines().count() == usize::from(top.1)
    });
    // From the one that is queued to the one it waits for.
    screen.press(&["j"]);
    screen.until("▸deploy");
    screen.until("creating the changeset");
    compare("top.svg", &shown(&screen), top, "gco tasks top, with the log of a deployment");
}
