//! The page about the files: gco-tasks(5). What is a fact in the code is taken from there.

use std::collections::BTreeSet;

use clap_mangen::roff::{Roff, bold, roman};
use gco::log::format::{MAX_PAYLOAD, Tag};
use gco::store::events::{self, AT, EVENT};
use gco::store::liveness::PID_NAMESPACE;
use gco::store::retention::DEFAULT_KEEP;
use gco::task::line::DEFAULT_LIMIT;
use gco::task::record::{MAX_BYTES, TAIL_LINES, field};
use gco::task::{State, Stream, id};

use crate::man::{MANUAL, SOURCE, tidy};

/// A field, its type, and what it means.
const FIELDS: &[(&str, &str, &str)] = &[
    (field::TASK_ID, "string", "The id."),
    (field::TOOL, "string", "The name, as in the id."),
    (
        field::ARGV,
        "array of strings",
        "The command and its arguments; bytes that are not UTF-8 are replaced, and beyond 128 KiB they are cut.",
    ),
    (
        field::PID,
        "integer or null",
        "The command's process id; the supervisor's until the command has been started.",
    ),
    (field::STARTED_AT, "timestamp", "When the task began."),
    (field::UPDATED_AT, "timestamp", "When the record was written."),
    (field::ELAPSED_SECONDS, "integer", "For how long the task had been running then."),
    (field::STATE, "string", "See STATES."),
    (field::STACKS_COMPLETED, "integer", "Units of work done."),
    (
        field::PROGRESS,
        "object",
        "How far the command is: current and total (integers), percent (a number, 0 to 100), message and unit (strings), each null if it is not known, and source: the name of a recogniser, pattern, osc, notify for STATUS= over NOTIFY_SOCKET, command for gco progress, or units. There once anything is known.",
    ),
    (field::STACKS_TOTAL, "integer", "Units of work there are; there if known."),
    (field::LAST_STACK, "string or null", "The unit last seen."),
    (field::LAST_MESSAGE, "string or null", "The last line of output that is not empty, as plain text."),
    (field::TAIL, "array of strings", "The last lines of output, as plain text."),
    (field::LOG_PATH, "string", "Where the log is. Readers derive the path from the id instead."),
    (field::EXIT_CODE, "integer", "There once it is known. 128+N if signal N ended the command."),
    (field::ERROR, "string", "What went wrong, if anything did: exit_code=3, cannot run: ..."),
    (field::SCHEMA, "integer", "1"),
    (field::SIGNAL, "string", "The signal that ended the command, if one did: SIGKILL."),
    (field::FINISHED_AT, "timestamp", "When the task ended."),
    (field::DURATION_MS, "integer", "How long it took, in milliseconds; there once it has ended."),
    (field::CWD, "string", "The command's directory."),
    (field::HOST, "string", "Where it runs."),
    (field::USER, "string", "As whom it runs."),
    (field::SUPERVISOR_PID, "integer", "The supervisor's process id."),
    (
        field::PID_START,
        "integer",
        "When the command's process started: field 22 of /proc/PID/stat. A process id is used again, the two together are not.",
    ),
    (field::SUPERVISOR_START, "integer", "The same of the supervisor."),
    (field::BOOT_ID, "string", "/proc/sys/kernel/random/boot_id"),
    (PID_NAMESPACE, "integer", "The process id namespace in which the process ids are numbers."),
    (field::STDOUT_BYTES, "integer", "Bytes the command has written to stdout."),
    (field::STDERR_BYTES, "integer", "Bytes the command has written to stderr."),
    (field::LOG_BYTES, "integer", "The length of the log."),
    (
        field::MAX_RSS_KIB,
        "integer",
        "The most memory the command had resident, in KiB; there once it has ended.",
    ),
    (field::USER_MS, "integer", "Processor time in user mode, in milliseconds; there once it has ended."),
    (field::SYSTEM_MS, "integer", "Processor time in the kernel, in milliseconds; there once it has ended."),
    (field::LOG_TRUNCATED, "boolean", "Whether any output is not in the log."),
    (
        field::LOG_LEFT_OUT_BYTES,
        "integer",
        "Bytes of output that were in the log and had to make room for newer ones, if any had.",
    ),
    (field::WARNINGS, "array of strings", "What went wrong with the bookkeeping."),
    (field::LABELS, "object of strings", "The labels."),
    (
        field::SILENT_SINCE,
        "timestamp",
        "Since when the command has written nothing, or from its start; later by the time that it was stopped. There while it runs.",
    ),
    (
        field::LONGEST_SILENCE_MS,
        "integer",
        "The longest that it was silent for before, in milliseconds; once it has ended, also up to its end. There once it has been started.",
    ),
    (field::QUEUED_AT, "timestamp", "When the task was told to wait, if it had to."),
    (field::GROUP, "string", "The group, of which so many run at once."),
    (field::KEY, "string", "The key, with which one runs at once."),
    (field::AFTER, "array of strings", "The ids of the tasks that had to end first."),
    (field::ATTEMPT, "integer", "Which attempt this is or was, from 1; there if more than one is allowed."),
    (field::PTY, "boolean", "true if the command has a terminal."),
    (field::ATTEMPTS, "integer", "How many attempts are allowed; there if it is more than one."),
    (
        field::CANCELLED_BY,
        "object",
        "Who cancelled the task: user, pid and host, and the signal with which it was told to end.",
    ),
    (
        field::SIGNALLED_BY,
        "object",
        "Who sent the signal that gco run passed on and that ended the task, where that is known: signal, pid, uid, and command, which is what the process was called then, or null.",
    ),
    (
        field::OOM_KILLS,
        "integer",
        "How many processes the kernel's out-of-memory killer killed while the command ran, if any: of the control group of version 2 that gco runs in, or where there is none of the whole machine. Which ones is not known.",
    ),
];

fn meaning(state: State) -> &'static str {
    match state {
        State::Queued => {
            "It waits for its turn: for a place in its group, for the others with its key, or for other tasks to end."
        }
        State::Running => "The command runs, or is about to.",
        State::Succeeded => "The command ended with exit code 0.",
        State::Failed => "The command ended in any other way, or could not be started.",
        State::Cancelled => {
            "It ended because it was told to: by an interrupt or terminate signal that gco run passed on."
        }
        State::Orphaned => {
            "Never written, only shown: the record says that the task is under way, and nobody supervises it any more."
        }
    }
}

fn tag_meaning(tag: Tag) -> &'static str {
    match tag {
        Tag::Line(Stream::Stdout) => "A whole line that the command wrote to stdout.",
        Tag::Line(Stream::Stderr) => "A whole line that it wrote to stderr.",
        Tag::Part(Stream::Stdout) => "A part of a line: the end of this one is not the command's.",
        Tag::Part(Stream::Stderr) => "The same on stderr.",
        Tag::Gco => "A word from gco itself.",
    }
}

struct Page(Roff);

impl Page {
    fn section(&mut self, name: &str) {
        self.0.control("SH", [name]);
    }

    fn text(&mut self, text: &str) {
        self.0.control("PP", []);
        self.0.text([roman(text)]);
    }

    fn entry(&mut self, term: &str, text: &str) {
        self.0.control("TP", []);
        self.0.text([bold(term)]);
        self.0.text([roman(text)]);
    }

    fn field(&mut self, name: &str, kind: &str, text: &str) {
        self.0.control("TP", []);
        self.0.text([bold(name), roman(format!(" ({kind})"))]);
        self.0.text([roman(text)]);
    }

    fn verbatim(&mut self, text: &str) {
        self.0.control("PP", []);
        self.0.control("RS", ["4"]);
        self.0.control("nf", []);
        for line in text.lines() {
            self.0.text([bold(line)]);
        }
        self.0.control("fi", []);
        self.0.control("RE", []);
    }
}

/// The page.
pub fn page() -> String {
    let mut page = Page(Roff::new());
    page.0.control("TH", ["gco-tasks", "5", "", SOURCE, MANUAL]);
    page.section("NAME");
    page.0.text([roman("gco-tasks - the files in which gco keeps tasks")]);
    directory(&mut page);
    record(&mut page);
    states(&mut page);
    log(&mut page);
    lines(&mut page);
    events_of(&mut page);
    around(&mut page);
    let mut text = Vec::new();
    page.0.to_writer(&mut text).unwrap();
    tidy(&String::from_utf8(text).unwrap())
}

fn directory(page: &mut Page) {
    page.section("DESCRIPTION");
    page.text("A task is two files in the status directory: a record, which says what it is and how it is, and a log, which has all that it wrote. Other tools may read and write the directory as described here.");
    page.section("FILES");
    page.text("The directory is $GCO_TASK_STATUS_DIR if that is set and not empty, else ~/.gco/tasks. It is made with mode 0700 when it is first needed, the files in it with mode 0600.");
    page.entry("ID.json", "The record.");
    page.entry(
        "ID.log",
        "The log. It is made after the record; a log without a record belongs to nobody and may be removed.",
    );
    page.entry(
        ".ID.times",
        "When what is in the log was written. After twelve bytes, gco times 1 and a newline, come entries of twelve bytes: an offset in the log and the milliseconds since 1970 at which the bytes from there on were written, each a number of six bytes, the lowest first. There is one for each tenth of a second in which something was; once the file has 1 MiB, for each second, and ten times less often after each further MiB. It goes with the log; without it lines have no times.",
    );
    page.entry(".ID.lock", "On it the supervisor holds a lock as long as the task is under way. It is empty, until it has been told that nobody supervises the task any more.");
    page.entry(
        ".ID.cancel, .ID.cancelling",
        "A request to end the task, by gco tasks cancel, before and after the supervisor has taken it up.",
    );
    page.entry(
        ".ID.attach",
        "The socket of a task whose command has a terminal, at which gco tasks attach knocks.",
    );
    page.entry(
        ".ID.progress",
        "What the command's own script says of how far it is, with gco progress: a line of JSON each time. The supervisor clears it away when it is large, and when the task is over.",
    );
    page.entry(".ID.*.tmp", "A record that is being written.");
    page.entry(
        ".group-NAME.line, .key-KEY.line",
        "The line in which tasks of a group, or with a key, wait for their turn: see LINES.",
    );
    page.entry(events::NAME, "The journal of events: see EVENTS. When it has grown large it becomes .events.old, in place of the one before, and a new one is begun.");
    page.entry(".consumer-NAME.cursor", "What the consumer NAME of gco tasks events has received: the number of a journal, and a position in it. Removed, the name is a new one.");
    page.text("Nothing is opened but a regular file with one link and the right owner. Files of a running task that vanish are put back.");
    page.section("IDS");
    page.text("NAME-MILLISECONDS-COUNTER: the name of the task, when it began in milliseconds since 1970, and a number that tells apart what would be the same. The name is that of --name, else the base name of the command, in which what is not a letter, digit, '.', '_' or '-' is replaced with '_'.");
    page.text(&format!("Readers accept any id that begins with a letter or digit, goes on with these characters, and has at most {} of them.", id::MAX_LEN));
}

fn record(page: &mut Page) {
    page.section("RECORD");
    page.text(&format!(
        "One JSON object in UTF-8, with sorted keys, an indent of two blanks and a final newline, of at most {} MiB. It is always replaced whole, never written in place: a reader sees the old one or the new one. While the task runs it is replaced at most twice a second, and at least every 30 seconds. The final record is on disk after the log is complete and before the command's process is reaped.",
        MAX_BYTES >> 20
    ));
    page.text(&format!(
        "Timestamps are YYYY-MM-DDTHH:MM:SSZ. Plain text is without escape sequences and control characters, at most 8 KiB; tail has at most {TAIL_LINES} lines. Readers keep fields they do not know, and take a field of the wrong type as missing."
    ));
    for (name, kind, text) in FIELDS {
        page.field(name, kind, text);
    }
    page.text("With --json, gco shows a record as it is on disk, with the state as it really is, and with one field more:");
    page.field(
        field::IS_ALIVE,
        "boolean or null",
        "Whether the command itself still runs; null if that cannot be told from here.",
    );
    page.text("Of a task that waits in line, and whose line can be looked at, it shows one more:");
    page.field(field::PLACE, "integer", "Where it stands in line: 1 if it is next.");
    page.text("Of a task that is over and did not succeed, gco tasks status shows one more:");
    page.field(
        field::REASON,
        "object",
        "Why: in words (text), the signal and who sent it, where there is one and that is known (signal, sender), the last lines of stderr (stderr), and the lines of the log that look like the cause, each with its number in the log, or null in a log that is too large for that (causes). causes_left_out is how many of them are left out, if any are; log_cut is true if only the end of the log was looked at.",
    );
}

fn states(page: &mut Page) {
    page.section("STATES");
    for state in State::ALL {
        page.entry(state.as_str(), meaning(state));
    }
    page.text("Whether a task that is said to be under way really is, is decided in this order:");
    for (at, text) in [
        "By the lock. It is held by the supervisor and dropped by the kernel when that is gone; the command never has it.",
        "By the boot id, and by process ids with their start times. A zombie counts as dead.",
        "For records without those fields, by kill(pid, 0).",
        "The record of another host, for which none of these can tell, is shown as it is written, with is_alive null.",
    ]
    .into_iter()
    .enumerate()
    {
        page.0.control("IP", [format!("{}.", at + 1).as_str(), "4"]);
        page.0.text([roman(text)]);
    }
}

fn log(page: &mut Page) {
    page.section("LOG");
    page.text("Lines, each with a tag and a blank before it:");
    let tags = Stream::BOTH.map(Tag::Line).into_iter().chain(Stream::BOTH.map(Tag::Part)).chain([Tag::Gco]);
    for tag in tags {
        page.entry(std::str::from_utf8(tag.bytes()).unwrap().trim_end(), tag_meaning(tag));
    }
    page.text(&format!(
        "What follows the tag is what the command wrote, unchanged, whether it is UTF-8 or not. A part is written when a line is longer than {} KiB, when a partial line (a prompt, a progress bar) has been idle for 100 ms or waiting for 500 ms, and when a stream ends without a newline.",
        MAX_PAYLOAD >> 10
    ));
    page.text("What a command shows on a terminal is logged as it wrote it, without the carriage return that the terminal puts before each newline. What it draws on the alternate screen (full-screen programs) is left out, and a [gco] line says so where that begins, unless --log-screen is given. What is typed is in it as far as the terminal echoes it.");
    page.text("A log that has reached its limit (--log-limit) lacks its middle. A [gco] line of 165 bytes tells from which byte to which it does, of the log, of stdout and of stderr; numbers have 16 digits. Those bytes of the file read as NULs but for the last, a newline, and take no room on the disk; all others are where they always were. The line is put behind the first part before anything is left out, with nothing between its numbers, and is changed in place. Readers pass over the NULs and say how many bytes are left out.");
    page.text("So each stream can be rebuilt to the byte: what follows its tags in order, with a newline after each line and none after a part. gco tasks tail --raw does that.");
}

fn lines(page: &mut Page) {
    page.section("LINES");
    page.text(&format!(
        "The file of a line begins with 64 bytes that hold its limit, if one is set; at most that many of its tasks run at once, {DEFAULT_LIMIT} if none is set. Then follow the ids of those who came, in that order, each padded to 144 bytes. The number of an id, from 0, is the task's ticket. In the name of a key's file, '/', '%', blanks and control characters are written as %XX."
    ));
    page.text("That an id is there says only who came. A task is in line, or has a place, as long as its supervisor holds a lock on a byte that belongs to its ticket, far beyond the end of the file. The kernel drops it when the supervisor and its keeper are gone, so those who are killed hold up nobody.");
    page.text("The file is removed when nobody is in line any more, unless a limit is set. If it is removed earlier, those in line keep their order among themselves, and who comes later begins a new line.");
}

fn events_of(page: &mut Page) {
    page.section("EVENTS");
    page.text("The journal has a line for each event, of at most a little more than a record; whoever supervises a task appends to it. gco tasks events reads it. What is no event is passed over: empty lines, torn ones, and the journal's own, which have its number and that of the one before it, and its end. An event is a JSON object:");
    page.field(EVENT, "string", "queued, started, ended or orphaned; of each a task has one at most.");
    page.field(AT, "timestamp", "When it was noted.");
    page.field(field::TASK_ID, "string", "The task.");
    page.field(
        "record",
        "object",
        "The record as it was on disk then. In that of orphaned, which is told by whoever reads events and finds the task so, the state is orphaned, and is_alive is there.",
    );
}

fn around(page: &mut Page) {
    page.section("EXIT STATUS");
    page.text("gco run ends as the command ends: with its exit code, or by the signal that ended it. Of its own it has:");
    page.entry(
        "75",
        "The command runs on in the background, or was not run because others have the places or the key.",
    );
    page.entry("124", "The command took too long, or was silent for too long.");
    page.entry("125", "gco itself failed, or the command was not started because a task that it was to come after did not succeed.");
    page.entry("126", "The command was found and cannot be run.");
    page.entry("127", "The command was not found.");
    page.text("gco tasks:");
    page.entry("0", "Done; also if the reader of a pipe closed it.");
    page.entry("1", "There is no such task, or it failed.");
    page.entry("2", "The command line was wrong, or a name means several tasks.");
    page.section("ENVIRONMENT");
    page.entry("GCO_TASK_STATUS_DIR", "The status directory.");
    page.entry("GCO_DISABLE_TASK_STATUS", "1, true or yes, in any case: gco run keeps no files and is otherwise the same. --detach is then refused.");
    page.entry("GCO_TASK_RETENTION", &format!("How many finished tasks gco run keeps when it starts a new one; {DEFAULT_KEEP} if not said, 0 for all."));
    page.entry(
        "GCO_LOG_LIMIT",
        "How large a log may get if --log-limit is not given: 64MiB, 2GB; 1GiB if not said, 0 for any size.",
    );
    page.entry("GCO_ON_FINISH", "What gco run runs once a task is over, if --on-finish is not given.");
    page.entry("NO_COLOR", "If not empty: no colours.");
    page.entry("GCO_TASK_ID", "Set for the command: the id of its task.");
    page.section("EXAMPLES");
    page.text("A record, and the stdout of the task, to the byte:");
    page.verbatim("gco tasks status backup --json\ngco tasks tail backup --raw --stream stdout -n all");
    page.section("SEE ALSO");
    page.0.text([
        bold("gco"),
        roman("(1), "),
        bold("gco-run"),
        roman("(1), "),
        bold("gco-tasks"),
        roman("(1)"),
    ]);
}

#[test]
fn no_field_is_missing() {
    let source = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/task/record.rs")).unwrap();
    let (_, fields) = source.split_once("pub mod field {").unwrap();
    let (fields, _) = fields.split_once("\n}").unwrap();
    let declared: BTreeSet<&str> =
        fields.lines().filter_map(|line| line.split_once("&str = \"")?.1.strip_suffix("\";")).collect();
    let mut told: BTreeSet<&str> = FIELDS.iter().map(|(name, ..)| *name).collect();
    assert_eq!(told.len(), FIELDS.len(), "one of them twice");
    assert!(told.remove(PID_NAMESPACE) && told.insert(field::IS_ALIVE));
    // What readers add.
    let added =
        [field::ESTIMATE, field::LONGEST_SILENCE_SECONDS, field::PLACE, field::REASON, field::SILENT_SECONDS];
    assert!(added.into_iter().all(|name| told.insert(name)));
    assert_eq!(told, declared);
}
