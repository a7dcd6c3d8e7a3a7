//! Commands that cannot be started, and command lines that make no sense: the right exit code, a clear message.

use std::fs;

use crate::harness::Home;
use crate::tools::write_program;

fn file(home: &Home, name: &str, text: &str, mode: u32) {
    write_program(&home.path().join(name), text, mode);
}

#[test]
fn what_cannot_be_run_is_126_or_127() {
    let home = Home::new();
    file(&home, "plain", "text\n", 0o644);
    file(&home, "lost", "#!/no/such/interpreter\n", 0o755);
    fs::create_dir(home.path().join("folder")).unwrap();
    let cases: [(&str, i32, &str); 6] = [
        ("gco-no-such-command", 127, "command not found"),
        ("./no-such-file", 127, "command not found"),
        ("./plain", 126, "permission denied"),
        ("./folder", 126, "permission denied"),
        ("/", 126, "permission denied"),
        ("./lost", 127, "command not found"),
    ];
    for (command, code, why) in cases {
        let line = format!("gco: cannot run: '{command}': {why}\n");
        home.gco(["run", "--", command]).run().code(code).stdout("").stderr(&line);
        let id = home.only_id();
        let record = home.record(&id);
        assert_eq!(record["state"], "failed");
        assert_eq!(record["exit_code"], code);
        assert_eq!(record["error"], format!("cannot run: '{command}': {why}"));
        assert_eq!(home.log(&id), b"");
        home.until_quiet();
        home.no_leftovers();
        home.remove_tasks();
        home.gco(["run", "-d", "--", command]).run().code(code).stdout("").stderr(&line);
        home.until_quiet();
        home.no_leftovers();
        home.remove_tasks();
        home.gco(["run", "--", command])
            .env("GCO_DISABLE_TASK_STATUS", "1")
            .run()
            .code(code)
            .stdout("")
            .stderr(&line);
    }
}

#[test]
fn a_command_is_looked_for_along_the_commands_own_path() {
    let home = Home::new();
    for place in ["one", "two"] {
        fs::create_dir(home.path().join(place)).unwrap();
    }
    // What may not be run in the first place does not hide what may in the second.
    file(&home, "one/tool", "#!/bin/sh\necho one\n", 0o644);
    file(&home, "two/tool", "#!/bin/sh\necho two\n", 0o755);
    let path = format!("PATH={0}/none:{0}/one:{0}/two:/usr/bin:/bin", home.path().display());
    home.gco(["run", "--env", &path, "--", "tool"]).run().code(0).stdout("two\n").stderr("");
    fs::remove_file(home.path().join("two/tool")).unwrap();
    home.gco(["run", "--env", &path, "--", "tool"])
        .run()
        .code(126)
        .stdout("")
        .stderr("gco: cannot run: 'tool': permission denied\n");
}

#[test]
fn a_script_without_a_first_line_is_run_by_the_shell() {
    let home = Home::new();
    file(&home, "script", "echo \"$0 $1 $#\"; exit 4\n", 0o755);
    home.gco(["run", "--", "./script", "a b", "c"]).run().code(4).stdout("./script a b 2\n").stderr("");
    file(&home, "empty", "", 0o755);
    home.gco(["run", "--", "./empty"]).run().code(0).stdout("").stderr("");
}

#[test]
fn a_wrong_command_line_is_125_and_leaves_nothing() {
    let home = Home::new();
    file(&home, "plain", "text\n", 0o644);
    let cases: [(&[&str], &str); 13] = [
        (&["run"], "<COMMAND>"),
        (&["run", "--"], "<COMMAND>"),
        (&["run", "--no-such-option", "--", "true"], "--no-such-option"),
        (&["run", "--", ""], "gco: the command is empty\n"),
        (&["run", "--name", "", "--", "true"], "--name"),
        (&["run", "--label", "plain", "--", "true"], "a label is of the form KEY=VALUE"),
        (&["run", "--label", "=x", "--", "true"], "a label is of the form KEY=VALUE"),
        (&["run", "--env", "PLAIN", "--", "true"], "gco: --env 'PLAIN' is not of the form NAME=VALUE\n"),
        (&["run", "--env", "=x", "--", "true"], "gco: --env '=x' is not of the form NAME=VALUE\n"),
        (&["run", "--total", "-1", "--", "true"], "--total"),
        (&["run", "--total", "many", "--", "true"], "--total"),
        (&["run", "--echo", "often", "--", "true"], "--echo"),
        (&["run", "--json", "--", "true"], "--detach"),
    ];
    for (args, message) in cases {
        home.gco(args.iter()).run().code(125).stdout("").stderr_has(message);
    }
    let gone = home.path().join("gone");
    let line = format!("gco: cannot run in '{}': no such file or directory\n", gone.display());
    home.gco(["run", "--cwd", "gone", "--", "true"]).run().code(125).stdout("").stderr(line);
    let plain = home.path().join("plain");
    let line = format!("gco: cannot run in '{}': it is not a directory\n", plain.display());
    home.gco(["run", "--cwd", "plain", "--", "true"]).run().code(125).stdout("").stderr(line);
    assert_eq!(home.names(), Vec::<String>::new());
}

#[test]
fn a_setting_that_makes_no_sense_does_not_keep_a_command_from_running() {
    let home = Home::new();
    home.gco(["run", "--", "echo", "ran"])
        .env("GCO_TASK_RETENTION", "-1")
        .run()
        .code(0)
        .stdout("ran\n")
        .stderr("gco: GCO_TASK_RETENTION is '-1', which is not a number of tasks; 50 are kept\n");
}

#[test]
fn a_command_line_as_long_as_the_system_takes() {
    let home = Home::new();
    let long = "x".repeat(120_000);
    home.gco(["run", "--", "echo", &long]).run().code(0).stdout(format!("{long}\n")).stderr("");
    let record = home.record(&home.only_id());
    assert_eq!(record["argv"][1].as_str().map(str::len), Some(120_000));
    let bytes = fs::metadata(home.tasks().join(format!("{}.json", home.only_id()))).unwrap().len();
    assert!(bytes <= 1 << 20, "{bytes}");
    // Many long ones: the record stays within its size.
    let many: Vec<&str> = std::iter::repeat_n(&long[..], 12).collect();
    let args = ["run", "--name", "many", "--", "true"].into_iter().chain(many);
    home.gco(args).run().code(0).stdout("").stderr("");
    let id = home.ids().into_iter().find(|id| id.starts_with("many-")).unwrap();
    assert_eq!(home.record(&id)["state"], "succeeded");
    let bytes = fs::metadata(home.tasks().join(format!("{id}.json"))).unwrap().len();
    assert!(bytes <= 1 << 20, "{bytes}");
}
