//! A directory of the bench's own, and the environment that every program runs in: a home there, and nothing of the
//! caller's but `PATH`.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::processes;

#[derive(Debug)]
pub struct Room {
    dir: TempDir,
}

impl Room {
    pub fn new(disk: bool) -> Result<Self> {
        let memory = Path::new("/dev/shm");
        let base = if disk || !memory.is_dir() { Path::new(env!("CARGO_TARGET_TMPDIR")) } else { memory };
        let dir = tempfile::Builder::new().prefix("gco-speed-").tempdir_in(base)?;
        Ok(Self { dir })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The status directory.
    pub fn tasks(&self) -> PathBuf {
        self.path(".gco/tasks")
    }

    /// `program` with `args`, without input and output.
    pub fn command<A: AsRef<OsStr>>(
        &self,
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = A>,
    ) -> Command {
        let mut command = Command::new(program);
        command.args(args).env_clear().env("HOME", self.dir.path()).env("LC_ALL", "C");
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).current_dir(self.dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    pub fn gco<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        self.command(env!("CARGO_BIN_EXE_gco"), args)
    }

    /// This program as a helper: see [`crate::helper`].
    pub fn helper(&self, args: &[&str]) -> Result<Command> {
        let me = std::env::current_exe()?;
        Ok(self.command(me, [crate::helper::WORD].iter().chain(args)))
    }

    /// `gco` with `args`, and `helper` with its own as the command.
    pub fn gco_with_helper(&self, args: &[&str], helper: &[&str]) -> Result<Command> {
        let me = std::env::current_exe()?;
        let mut command = self.gco(args.iter().chain(&["--"]));
        command.arg(me).arg(crate::helper::WORD).args(helper);
        Ok(command)
    }

    /// Whether `program` is to be found.
    pub fn has(&self, program: &str) -> bool {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|place| place.join(program).is_file())
    }

    /// The only task's record and the path of its log.
    pub fn only_task(&self) -> Result<(Value, PathBuf)> {
        let mut records = self.records()?;
        match (records.pop(), records.is_empty()) {
            (Some(path), true) => {
                let record = serde_json::from_slice(&fs::read(&path)?).context("the record")?;
                Ok((record, path.with_extension("log")))
            }
            _ => bail!("there should be one task"),
        }
    }

    pub fn records(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.tasks())? {
            let path = entry?.path();
            let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            if !hidden && path.extension() == Some(OsStr::new("json")) {
                found.push(path);
            }
        }
        Ok(found)
    }

    /// Forgets all tasks.
    pub fn clear(&self) -> Result<()> {
        match fs::remove_dir_all(self.path(".gco")) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        processes::kill_all();
    }
}
