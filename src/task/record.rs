//! The record of a task: one JSON object, the contract's section 3.
//!
//! A [`Record`] is the object as it stands, so that fields gco does not know are kept. Each known
//! field has a reader that gives `None` for a value of the wrong type: such a value spoils the
//! field, not the record. Keys are sorted because `serde_json`'s map is.

use std::fmt;

use serde_json::{Map, Value};

use super::{State, timestamp};

/// The largest record, in bytes, that is written or read.
pub const MAX_BYTES: usize = 1 << 20;

/// The version of the record's form.
pub const SCHEMA: i64 = 1;

/// How many lines `tail` holds.
pub const TAIL_LINES: usize = 20;

/// How many bytes of `argv` are kept: beyond, arguments are cut, so that a record stays within [`MAX_BYTES`].
const MAX_ARGV: usize = 128 * 1024;

/// The fields of a record by name.
pub mod field {
    #![expect(missing_docs, reason = "the contract's table says what each means")]
    pub const AFTER: &str = "after";
    pub const ARGV: &str = "argv";
    pub const ATTEMPT: &str = "attempt";
    pub const ATTEMPTS: &str = "attempts";
    pub const BOOT_ID: &str = "boot_id";
    pub const CANCELLED_BY: &str = "cancelled_by";
    pub const CWD: &str = "cwd";
    pub const DURATION_MS: &str = "duration_ms";
    pub const ELAPSED_SECONDS: &str = "elapsed_seconds";
    pub const ERROR: &str = "error";
    pub const ESTIMATE: &str = "estimate";
    pub const EXIT_CODE: &str = "exit_code";
    pub const FINISHED_AT: &str = "finished_at";
    pub const GROUP: &str = "group";
    pub const HOST: &str = "host";
    pub const IS_ALIVE: &str = "is_alive";
    pub const KEY: &str = "key";
    pub const LABELS: &str = "labels";
    pub const LAST_MESSAGE: &str = "last_message";
    pub const LAST_STACK: &str = "last_stack";
    pub const LOG_BYTES: &str = "log_bytes";
    pub const LOG_PATH: &str = "log_path";
    pub const LOG_TRUNCATED: &str = "log_truncated";
    pub const LONGEST_SILENCE_MS: &str = "longest_silence_ms";
    pub const LONGEST_SILENCE_SECONDS: &str = "longest_silence_seconds";
    /// How many bytes of output were in the log and had to make room for newer ones.
    pub const LOG_LEFT_OUT_BYTES: &str = "log_left_out_bytes";
    pub const MAX_RSS_KIB: &str = "max_rss_kib";
    pub const OOM_KILLS: &str = "oom_kills";
    pub const PID: &str = "pid";
    pub const PID_START: &str = "pid_start";
    pub const PLACE: &str = "place";
    pub const PROGRESS: &str = "progress";
    pub const QUEUED_AT: &str = "queued_at";
    pub const REASON: &str = "reason";
    pub const SCHEMA: &str = "schema";
    pub const SIGNAL: &str = "signal";
    pub const SIGNALLED_BY: &str = "signalled_by";
    pub const SILENT_SECONDS: &str = "silent_seconds";
    pub const SILENT_SINCE: &str = "silent_since";
    pub const STACKS_COMPLETED: &str = "stacks_completed";
    pub const STACKS_TOTAL: &str = "stacks_total";
    pub const STARTED_AT: &str = "started_at";
    pub const STATE: &str = "state";
    pub const STDERR_BYTES: &str = "stderr_bytes";
    pub const PTY: &str = "pty";
    pub const STDOUT_BYTES: &str = "stdout_bytes";
    pub const SUPERVISOR_PID: &str = "supervisor_pid";
    pub const SUPERVISOR_START: &str = "supervisor_start";
    pub const SYSTEM_MS: &str = "system_ms";
    pub const TAIL: &str = "tail";
    pub const TASK_ID: &str = "task_id";
    pub const TOOL: &str = "tool";
    pub const UPDATED_AT: &str = "updated_at";
    pub const USER: &str = "user";
    pub const USER_MS: &str = "user_ms";
    pub const WARNINGS: &str = "warnings";
}

/// A record, as read or about to be written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    fields: Map<String, Value>,
}

/// Why bytes are no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotARecord {
    /// Nothing in it.
    Empty,
    /// More than [`MAX_BYTES`].
    TooLarge,
    /// No JSON, or nested too deeply; what the parser says.
    NotJson(String),
    /// JSON, but not an object.
    NotAnObject,
}

impl fmt::Display for NotARecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotARecord::Empty => f.write_str("it is empty"),
            NotARecord::TooLarge => f.write_str("it is larger than 1 MiB"),
            NotARecord::NotJson(why) => write!(f, "it is not valid JSON ({why})"),
            NotARecord::NotAnObject => f.write_str("it is not a JSON object"),
        }
    }
}

impl std::error::Error for NotARecord {}

impl Record {
    /// An empty record.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a record from a file's bytes.
    ///
    /// # Errors
    /// [`NotARecord`] if they are not one JSON object of at most [`MAX_BYTES`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotARecord> {
        if bytes.len() > MAX_BYTES {
            return Err(NotARecord::TooLarge);
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(NotARecord::Empty);
        }
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(fields)) => Ok(Self { fields }),
            Ok(_) => Err(NotARecord::NotAnObject),
            Err(error) => Err(NotARecord::NotJson(error.to_string())),
        }
    }

    /// The bytes of its file: two-space indent, final newline.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(2048);
        // Writing a map with string keys to memory cannot fail.
        let _ = serde_json::to_writer_pretty(&mut bytes, &self.fields);
        bytes.push(b'\n');
        bytes
    }

    /// The object itself.
    #[must_use]
    pub fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// Sets a field.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.fields.insert(name.to_owned(), value.into());
    }

    /// Sets a field to a point in time, in seconds since 1970.
    pub fn set_time(&mut self, name: &str, at: i64) {
        self.set(name, timestamp::format(at));
    }

    /// Sets `argv`, cutting what would make the record too large.
    pub fn set_argv(&mut self, argv: &[Vec<u8>]) {
        let mut left = MAX_ARGV;
        let shown = argv.iter().map(|arg| {
            let text = String::from_utf8_lossy(arg);
            let cut = cut_to(&text, &mut left);
            if cut.len() < text.len() { Value::from(format!("{cut}…")) } else { Value::from(cut) }
        });
        let most = 8 * 1024;
        let mut list: Vec<Value> = shown.take(most).collect();
        if argv.len() > most {
            list.push(Value::from("…"));
        }
        self.set(field::ARGV, list);
    }

    /// A field that is text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name)?.as_str()
    }

    /// A field that is a whole number.
    #[must_use]
    pub fn integer(&self, name: &str) -> Option<i64> {
        self.fields.get(name)?.as_i64()
    }

    /// A field that counts something: a whole number that is not negative.
    #[must_use]
    pub fn count(&self, name: &str) -> Option<u64> {
        self.fields.get(name)?.as_u64()
    }

    /// A field that is true or false.
    #[must_use]
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.fields.get(name)?.as_bool()
    }

    /// A field that is a point in time, in seconds since 1970.
    #[must_use]
    pub fn time(&self, name: &str) -> Option<i64> {
        timestamp::parse(self.text(name)?)
    }

    /// The texts in a field that is a list; what is not text in it is passed over.
    pub fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.fields.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    /// The labels, in the order of their names.
    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        let labels = self.fields.get(field::LABELS).and_then(Value::as_object);
        labels.into_iter().flatten().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
    }

    /// The state as written.
    #[must_use]
    pub fn state(&self) -> Option<State> {
        State::parse(self.text(field::STATE)?)
    }

    /// Whether both are runs of the same command line in the same directory.
    #[must_use]
    pub fn is_run_of_same(&self, other: &Record) -> bool {
        let same =
            |name: &str| self.fields.get(name).is_some_and(|value| other.fields.get(name) == Some(value));
        same(field::ARGV) && same(field::CWD)
    }

    /// A field that is a process id.
    #[must_use]
    pub fn pid(&self, name: &str) -> Option<i32> {
        i32::try_from(self.integer(name)?).ok().filter(|pid| *pid > 0)
    }
}

/// The longest prefix of `text` that takes at most `left` bytes in JSON; what it takes is taken off `left`.
fn cut_to<'a>(text: &'a str, left: &mut usize) -> &'a str {
    for (at, c) in text.char_indices() {
        let size = match c {
            '"' | '\\' => 2,
            // Written as \u0001 at the longest.
            c if c.is_ascii_control() => 6,
            c => c.len_utf8(),
        };
        if size > *left {
            *left = 0;
            return &text[..at];
        }
        *left -= size;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_record_says_so() {
        let fault = |bytes: &[u8]| Record::from_bytes(bytes).err();
        assert_eq!(fault(b""), Some(NotARecord::Empty));
        assert_eq!(fault(b" \n"), Some(NotARecord::Empty));
        assert_eq!(fault(b"[]"), Some(NotARecord::NotAnObject));
        assert_eq!(fault(&vec![b' '; MAX_BYTES + 1]), Some(NotARecord::TooLarge));
        for bad in [&b"{"[..], b"\0\0\0", b"{} x", b"{\"a\":\"\\ud800\"}", "[".repeat(10_000).as_bytes()] {
            assert!(matches!(fault(bad), Some(NotARecord::NotJson(_))), "{bad:?}");
        }
    }

    #[test]
    fn a_wrong_type_spoils_one_field() -> Result<(), NotARecord> {
        let record = Record::from_bytes(
            br#"{"pid":"x","state":7,"tail":["a",1,"b"],"elapsed_seconds":1e300,"started_at":"2026-11-21T10:37:52Z","mine":1,"labels":{"a":"b","c":1}}"#,
        )?;
        assert_eq!(record.pid(field::PID), None);
        assert_eq!(record.state(), None);
        assert_eq!(record.texts(field::TAIL).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(record.count(field::ELAPSED_SECONDS), None);
        assert_eq!(record.time(field::STARTED_AT), Some(1_795_257_472));
        assert_eq!(record.labels().collect::<Vec<_>>(), [("a", "b")]);
        assert!(record.fields().contains_key("mine"));
        Ok(())
    }

    #[test]
    fn runs_of_the_same_command_are_known() -> Result<(), NotARecord> {
        let record = |text: &str| Record::from_bytes(text.as_bytes());
        let make = record(r#"{"argv":["make"],"cwd":"/a","tool":"x"}"#)?;
        assert!(make.is_run_of_same(&record(r#"{"argv":["make"],"cwd":"/a","tool":"y"}"#)?));
        for other in [r#"{"argv":["make"],"cwd":"/b"}"#, r#"{"argv":["make","-k"],"cwd":"/a"}"#, "{}"] {
            assert!(!make.is_run_of_same(&record(other)?), "{other}");
        }
        assert!(!Record::new().is_run_of_same(&Record::new()), "where nothing is said nothing is the same");
        Ok(())
    }

    #[test]
    fn keys_are_sorted_and_the_end_is_a_newline() {
        let mut record = Record::new();
        record.set("b", 1);
        record.set("a", "x");
        assert_eq!(record.to_bytes(), b"{\n  \"a\": \"x\",\n  \"b\": 1\n}\n");
    }

    #[test]
    fn huge_arguments_are_cut() {
        let mut record = Record::new();
        record.set_argv(&vec![vec![b'x'; 100_000]; 20]);
        assert!(record.to_bytes().len() < MAX_BYTES / 2);
        record.set_argv(&[vec![1; 1_000_000]]);
        assert!(record.to_bytes().len() < MAX_BYTES / 2);
        record.set_argv(&vec![Vec::new(); 1_000_000]);
        assert!(record.to_bytes().len() < MAX_BYTES / 2);
        record.set_argv(&[b"caf\xe9".to_vec()]);
        assert_eq!(record.texts(field::ARGV).collect::<Vec<_>>(), ["caf\u{fffd}"]);
    }
}
