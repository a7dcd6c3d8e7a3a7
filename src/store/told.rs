//! What a command's own script says of how far it is: `.ID.progress`, a line for each `gco progress`.
//!
//! Whoever says something appends a line, whole; the supervisor reads on from where it was. What it has read it clears away once
//! that is much, under a lock that writers take too, so that no line is lost and a script that says something
//! for ever fills no disk. A successor reads from the beginning and so knows what its predecessor knew, but
//! for units that were cleared away: how many those were is in the record.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::time::Duration;

use nix::fcntl::OFlag;
use serde_json::{Map, Value};

use super::{StatusDir, open};
use crate::sys::lock;
use crate::task::{Progress, TaskId, text};

/// A file that is longer is cleared away once it has been read.
const MUCH: u64 = 1 << 20;
/// How long the other side's lock is waited for; each holds it for the moment that a line takes.
const PATIENCE: Duration = Duration::from_secs(1);
/// The longest line.
const LONGEST: usize = 8 << 10;
/// The longest message or name of a unit, in bytes.
const LONGEST_WORDS: usize = 1 << 10;

/// What is said with one `gco progress`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Word {
    /// How far it is, if that is said.
    pub progress: Option<Progress>,
    /// A unit of work that is done.
    pub unit: Option<String>,
}

impl Word {
    fn to_line(&self) -> String {
        let mut members = Map::new();
        let mut set = |name: &str, value: Value| {
            if !value.is_null() {
                members.insert(name.to_owned(), value);
            }
        };
        if let Some(progress) = &self.progress {
            set("current", progress.current.into());
            set("total", progress.total.into());
            set("percent", progress.percent.into());
            set("message", progress.message.as_deref().map(short).into());
        }
        set("unit", self.unit.as_deref().map(short).into());
        format!("{}\n", Value::Object(members))
    }

    fn from_line(line: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(line).ok()?;
        let members = value.as_object()?;
        let count = |name: &str| members.get(name).and_then(Value::as_u64);
        let text =
            |name: &str| members.get(name).and_then(Value::as_str).map(|words| short(words).to_owned());
        let progress = Progress {
            current: count("current"),
            total: count("total").filter(|&total| total > 0),
            percent: members.get("percent").and_then(Value::as_f64).filter(|p| (0.0..=100.0).contains(p)),
            message: text("message"),
            unit: None,
            source: Some(SOURCE.to_owned()),
        };
        let says = progress.current.is_some() || progress.percent.is_some() || progress.message.is_some();
        Some(Self { progress: says.then_some(progress), unit: text("unit") })
    }
}

/// The source of what is said in this way.
pub const SOURCE: &str = "command";

fn short(words: &str) -> &str {
    text::begin(words, LONGEST_WORDS)
}

/// Says `word` of task `id`. Its supervisor is still to be told to look.
///
/// # Errors
/// What the system says.
pub fn say(dir: &StatusDir, id: &TaskId, word: &Word) -> io::Result<()> {
    let path = dir.told(id);
    let make = || OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path);
    let mut file = match make() {
        Ok(file) => {
            dir.hand_over(&file);
            file
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            open::regular(dir, &path, OFlag::O_WRONLY | OFlag::O_APPEND)?
        }
        Err(error) => return Err(error),
    };
    lock::take_soon(&file, 0..1, PATIENCE)?;
    file.write_all(word.to_line().as_bytes())
}

/// A reader of what is said.
#[derive(Debug, Default)]
pub struct Told {
    /// Up to where it has been read.
    seen: u64,
    /// How far the command is, as was said last.
    last: Option<Progress>,
}

impl Told {
    /// What has been said since this was last asked. Nothing if nothing ever was, or it cannot be read.
    pub fn hear(&mut self, dir: &StatusDir, id: &TaskId) -> Vec<Word> {
        let path = dir.told(id);
        if fs::symlink_metadata(&path).map_or(0, |meta| meta.len()) == self.seen {
            return Vec::new();
        }
        // What has been put there by somebody else says nothing.
        let Ok(file) = open::regular(dir, &path, OFlag::O_RDWR) else { return Vec::new() };
        self.read(&file).unwrap_or_default()
    }

    fn read(&mut self, file: &File) -> io::Result<Vec<Word>> {
        let mut size = file.metadata()?.len();
        if size < self.seen {
            self.seen = 0;
        }
        let is_much = size > MUCH && lock::take_soon(file, 0..1, PATIENCE).is_ok();
        if is_much {
            size = file.metadata()?.len();
        }
        let mut bytes = vec![0; usize::try_from(size - self.seen).unwrap_or(0)];
        file.read_exact_at(&mut bytes, self.seen)?;
        let whole = memchr::memrchr(b'\n', &bytes).map_or(0, |at| at + 1);
        let lines = bytes[..whole].split(|&b| b == b'\n').filter(|line| line.len() <= LONGEST);
        let words: Vec<Word> = lines.filter_map(Word::from_line).collect();
        if let Some(progress) = words.iter().rev().find_map(|word| word.progress.clone()) {
            self.last = Some(progress);
        }
        self.seen += whole as u64;
        if is_much {
            // What was said last stays, for a successor.
            let line = Word { progress: self.last.clone(), unit: None }.to_line();
            file.set_len(0)?;
            file.write_all_at(line.as_bytes(), 0)?;
            self.seen = line.len() as u64;
        }
        Ok(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard_once() -> Result<(), Box<dyn std::error::Error>> {
        let room = tempfile::tempdir()?;
        let dir = StatusDir::at(room.path().to_owned())?.ok_or("no directory")?;
        let id = TaskId::parse("a-1")?;
        let mut told = Told::default();
        assert_eq!(told.hear(&dir, &id), []);
        let progress = Progress { current: Some(1), total: Some(4), ..Progress::default() };
        let word = Word { progress: Some(progress.clone()), unit: Some("a".to_owned()) };
        say(&dir, &id, &word)?;
        say(&dir, &id, &Word { unit: Some("b".to_owned()), ..Word::default() })?;
        let progress = Progress { source: Some(SOURCE.to_owned()), ..progress };
        let first = Word { progress: Some(progress), ..word };
        let second = Word { unit: Some("b".to_owned()), ..Word::default() };
        assert_eq!(told.hear(&dir, &id), [first.clone(), second.clone()]);
        assert_eq!(told.hear(&dir, &id), []);
        assert_eq!(Told::default().hear(&dir, &id), [first, second]);
        Ok(())
    }

    #[test]
    fn much_that_was_said_is_cleared_away() -> Result<(), Box<dyn std::error::Error>> {
        let room = tempfile::tempdir()?;
        let dir = StatusDir::at(room.path().to_owned())?.ok_or("no directory")?;
        let id = TaskId::parse("a-1")?;
        let mut told = Told::default();
        let word = Word {
            progress: Some(Progress { message: Some("x".repeat(1000)), ..Progress::default() }),
            unit: Some("y".repeat(1000)),
        };
        let mut heard = 0;
        for _ in 0..600 {
            say(&dir, &id, &word)?;
            heard += told.hear(&dir, &id).len();
        }
        assert_eq!(heard, 600);
        assert!(fs::metadata(dir.told(&id))?.len() <= MUCH + LONGEST as u64);
        let later = Told::default().hear(&dir, &id);
        assert!(later.iter().any(|word| word.progress.is_some()));
        Ok(())
    }

    #[test]
    fn what_is_planted_says_nothing() -> Result<(), Box<dyn std::error::Error>> {
        let room = tempfile::tempdir()?;
        let dir = StatusDir::at(room.path().to_owned())?.ok_or("no directory")?;
        let id = TaskId::parse("a-1")?;
        fs::write(dir.told(&id), "[]\nnull\n{\"percent\":400}\n{\"current\":-1}\n\0\n{\"current\":1")?;
        let words = Told::default().hear(&dir, &id);
        assert_eq!(words, [Word::default(), Word::default()]);
        fs::remove_file(dir.told(&id))?;
        nix::unistd::mkfifo(&dir.told(&id), nix::sys::stat::Mode::S_IRWXU)?;
        let mut told = Told { seen: 7, last: None };
        assert_eq!(told.hear(&dir, &id), [], "and a FIFO is not waited at");
        assert!(say(&dir, &id, &Word::default()).is_err());
        Ok(())
    }
}
