//! Tasks without commands, for rows that need very many: a helper that keeps their records, and holds their locks as so
//! many supervisors would.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use gco::sys::{limits, lock, process};
use serde_json::{Map, Value};

use crate::helper;

/// What their ids begin with.
pub const NAME: &str = "fake";

/// A task under way.
struct Fake {
    record: PathBuf,
    lock_path: PathBuf,
    lock: File,
    content: Map<String, Value>,
}

impl Fake {
    /// Number `n`, in the directory of `template`, a finished task's record, and like that.
    fn start(template: &Path, content: &Map<String, Value>, n: usize) -> Result<Self> {
        let id = format!("{NAME}-{}-0", 1_760_000_000_000 + n);
        let record = template.with_file_name(format!("{id}.json"));
        let lock_path = template.with_file_name(format!(".{id}.lock"));
        let lock = private().create_new(true).open(&lock_path)?;
        // One byte for as long as the task is supervised, one until its end is on disk.
        lock::take(&lock, 0..2)?;
        let mut content = content.clone();
        content.insert("task_id".to_owned(), id.into());
        content.insert("log_path".to_owned(), record.with_extension("log").to_string_lossy().into());
        // As its command counts whoever has started this helper: one that stays.
        let command = nix::unistd::getppid().as_raw();
        for (pid, start, number) in [
            ("pid", "pid_start", command),
            ("supervisor_pid", "supervisor_start", std::process::id().cast_signed()),
        ] {
            content.insert(pid.to_owned(), number.into());
            content
                .insert(start.to_owned(), process::look(number).context("a process is gone")?.start.into());
        }
        let fake = Self { record, lock_path, lock, content };
        private().create_new(true).open(fake.record.with_extension("log"))?;
        fake.write("running", &["exit_code", "finished_at", "duration_ms"])?;
        Ok(fake)
    }

    /// Replaces its record.
    fn write(&self, state: &str, without: &[&str]) -> Result<()> {
        let mut content = self.content.clone();
        content.retain(|name, _| !without.contains(&name.as_str()));
        content.insert("state".to_owned(), state.into());
        let temporary = self.lock_path.with_extension("new");
        let mut file = private().create(true).truncate(true).open(&temporary)?;
        file.write_all(format!("{:#}\n", Value::Object(content)).as_bytes())?;
        Ok(fs::rename(temporary, &self.record)?)
    }

    /// Its end is on disk, then whoever waits is woken. Gives the time between the two.
    fn end(self) -> Result<u128> {
        self.write("succeeded", &[])?;
        let at = helper::now()?.as_nanos();
        lock::release(&self.lock, 1..2)?;
        fs::remove_file(&self.lock_path)?;
        Ok(at)
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

/// Starts `count` of them beside `template`, writes a line, and for each line of its input, which is a number, ends as many
/// and writes when the last of them ended.
pub fn supervise(count: usize, template: &str) -> Result<()> {
    // Each needs an open file.
    let _ = limits::raise_open_files();
    let content = serde_json::from_slice(&fs::read(template)?)?;
    let mut fakes = (0..count)
        .map(|n| Fake::start(Path::new(template), &content, n))
        .collect::<Result<Vec<_>>>()?
        .into_iter();
    let mut out = io::stdout();
    writeln!(out, "up")?;
    for line in io::stdin().lock().lines() {
        let mut last = 0;
        for fake in fakes.by_ref().take(line?.parse()?) {
            last = fake.end()?;
        }
        writeln!(out, "{last}")?;
    }
    Ok(())
}
