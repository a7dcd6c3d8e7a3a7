//! `NOTIFY_SOCKET`: what a command says of itself as to a service manager, by senders that know nothing of gco.

use std::os::unix::net::UnixDatagram;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::harness::{Home, eventually};
use crate::tools::Gate;

/// `say TEXT…`: sends each text as a message, as the library's `sd_notify` does, and fails where that would.
const SAY: &str = r#"import os, socket, sys
where = os.environ["NOTIFY_SOCKET"].replace("@", "\0", 1)
to = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
to.connect(where)
if "SAY_AS" in os.environ:
    os.setuid(int(os.environ["SAY_AS"]))
for text in sys.argv[1:]:
    to.send(text.replace(";", "\n").encode())
"#;

/// A home with `say.py` in it.
fn home() -> Home {
    let home = Home::new();
    std::fs::write(home.path().join("say.py"), SAY).unwrap();
    home
}

/// The arguments of a run of shell `script`.
fn sh(script: &str) -> [&str; 6] {
    ["run", "--notify", "--", "sh", "-c", script]
}

fn pid(record: &Value, field: &str) -> Pid {
    Pid::from_raw(i32::try_from(record[field].as_i64().unwrap()).unwrap())
}

/// Once the record of the only task has this message.
fn until_message(home: &Home, message: &str) -> Value {
    let id = eventually("a task", || home.ids().pop());
    home.until_record(&id, message, |record| record["progress"]["message"] == message)
}

#[test]
fn a_status_is_how_far_it_is() {
    let home = home();
    let gate = Gate::new(&home, "gate");
    let script = "python3 -I say.py 'READY=1;STATUS=Loading: 12.5% of the index;MAINPID=1;ERRNO=2;EXTEND_TIMEOUT_USEC=5' \
         WATCHDOG=1 STOPPING=1 '' nonsense; read x <gate; (sh -c '(python3 -I say.py STATUS=deep)'); read x <gate; \
         echo '[1/4] Building x'; read x <gate; python3 -I say.py STATUS=; read x <gate; python3 -I say.py 'STATUS=the last word'";
    let gco = home.gco(sh(script)).spawn();
    let record = until_message(&home, "Loading: 12.5% of the index");
    let expected = json!({
        "current": null, "total": null, "percent": 12.5, "message": "Loading: 12.5% of the index", "unit": null, "source": "notify"
    });
    assert_eq!(record["progress"], expected);
    gate.open();
    let record = until_message(&home, "deep");
    assert_eq!(record["progress"]["percent"], Value::Null);
    gate.open();
    let id = home.only_id();
    let record =
        home.until_record(&id, "a number from the output", |record| record["progress"]["current"] == 1);
    assert_eq!(
        (&record["progress"]["message"], &record["progress"]["source"]),
        (&json!("deep"), &json!("ninja"))
    );
    gate.open();
    home.until_record(&id, "a status taken back", |record| record["progress"]["message"] == "Building x");
    gate.open();
    gco.wait().code(0).stderr("").stdout("[1/4] Building x\n");
    let record = home.record(&id);
    assert_eq!(record["progress"]["message"], "the last word", "said just before the end");
    home.until_quiet();
    home.no_leftovers();
}

#[test]
fn systemds_own_program_does_not_hang() {
    if Command::new("systemd-notify").arg("--version").output().is_err() {
        return;
    }
    let home = home();
    // It waits until its message has been seen to, for which it sends a descriptor along.
    let script = "systemd-notify --ready --status='Serving: 7% used' && gco progress 3/4 && systemd-notify --status=later && echo done";
    home.gco(sh(script)).run().code(0).stdout("done\n").stderr("");
    let record = home.record(&home.only_id());
    let expected = json!({
        "current": 3, "total": 4, "percent": 75.0, "message": "later", "unit": null, "source": "command"
    });
    assert_eq!(record["progress"], expected);
}

#[test]
fn who_sends_without_end_is_never_held_up_for_long() {
    let home = home();
    let flood = "import os, socket\n\
         to = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
         to.connect(os.environ['NOTIFY_SOCKET'].replace('@', '\\0', 1))\n\
         for n in range(30001): to.send(b'STATUS=at %d' % n)\n";
    std::fs::write(home.path().join("flood.py"), flood).unwrap();
    home.gco(["run", "--notify", "--", "python3", "-I", "flood.py"]).run().code(0).stdout("").stderr("");
    assert_eq!(home.record(&home.only_id())["progress"]["message"], "at 30000");
}

#[test]
fn a_successor_knows_it_and_goes_on_listening() {
    let home = home();
    let gate = Gate::new(&home, "gate");
    let script = "gco progress 1/2 counted; python3 -I say.py 'STATUS=first 10%'; read x <gate; python3 -I say.py 'STATUS=second 20%'; read x <gate";
    let gco = home.gco(sh(script)).spawn();
    let before = until_message(&home, "first 10%");
    let supervisor = |record: &Value| pid(record, "supervisor_pid");
    kill(supervisor(&before), Signal::SIGKILL).unwrap();
    let id = home.only_id();
    let after = home.until_record(&id, "a successor", |record| supervisor(record) != supervisor(&before));
    assert_eq!(after["progress"], before["progress"]);
    gate.open();
    until_message(&home, "second 20%");
    // The other one that has it.
    kill(Pid::from_raw(home.the_gco("gco-keeper")), Signal::SIGKILL).unwrap();
    gate.open();
    gco.wait().code(0).stdout("").stderr("");
    assert_eq!(home.record(&id)["progress"]["percent"], 20.0);
    home.until_quiet();
    home.no_leftovers();
}

#[test]
fn a_service_managers_own_socket_stays_the_commands() {
    let home = home();
    let path = home.path().join("manager");
    let manager = UnixDatagram::bind(&path).unwrap();
    let gco = home.gco(sh("echo $NOTIFY_SOCKET; python3 -I say.py 'READY=1;STATUS=for the manager'"));
    gco.env("NOTIFY_SOCKET", &path).run().code(0).stdout(format!("{}\n", path.display())).stderr("");
    let mut message = [0; 100];
    let length = manager.recv(&mut message).unwrap();
    assert_eq!(&message[..length], b"READY=1\nSTATUS=for the manager");
    let record = home.record(&home.only_id());
    assert_eq!(record["progress"], Value::Null);
    let words = "--notify: NOTIFY_SOCKET was set already, and the command's status goes there";
    assert_eq!(record["warnings"], json!([words]));
}

#[test]
fn a_task_in_a_task_has_its_own() {
    let home = home();
    let script =
        "python3 -I say.py STATUS=outer; gco run --notify --name inner -- python3 -I say.py STATUS=inner";
    home.gco(["run", "--notify", "--name", "outer", "--", "sh", "-c", script])
        .run()
        .code(0)
        .stdout("")
        .stderr("");
    let ids = home.ids();
    let message = |at: usize| home.record(&ids[at])["progress"]["message"].clone();
    assert!(ids[0].starts_with("inner-") && ids.len() == 2, "{ids:?}");
    assert_eq!((message(0), message(1)), (json!("inner"), json!("outer")));
}

#[test]
fn where_nobody_has_asked_there_is_none() {
    let home = home();
    let script = "echo ${NOTIFY_SOCKET-none}";
    home.gco(sh(script)).env("GCO_DISABLE_TASK_STATUS", "1").run().code(0).stdout("none\n").stderr("");
    home.gco(["run", "--", "sh", "-c", script]).run().code(0).stdout("none\n").stderr("");
    // Once the task is over nobody is behind the name any more.
    home.gco(sh("echo $NOTIFY_SOCKET >name")).run().code(0).stdout("").stderr("");
    home.until_quiet();
    let late = home.command("sh", ["-c", "NOTIFY_SOCKET=$(cat name) python3 -I say.py STATUS=late"]).run();
    late.code(1).stdout("").stderr_has("ConnectionRefusedError");
}

#[test]
fn another_user_is_not_heard() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let home = home();
    let script = "python3 -I say.py STATUS=mine; SAY_AS=65534 python3 -I say.py STATUS=theirs";
    home.gco(sh(script)).run().code(0).stdout("").stderr("");
    assert_eq!(home.record(&home.only_id())["progress"]["message"], "mine");
}
