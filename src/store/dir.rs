//! Where the status directory is, what its files are called, and whether it can be trusted.

use std::env;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use crate::failure::{Failure, io_words};
use crate::task::TaskId;

/// Names the directory, if set and not empty.
pub const DIR_VARIABLE: &str = "GCO_TASK_STATUS_DIR";

/// The status directory of this user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusDir {
    path: PathBuf,
    owner: u32,
}

/// Why the directory cannot be used: the path and what is wrong with it, for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// The directory that was meant.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

impl std::fmt::Display for Unusable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot use the status directory '{}': {}", self.path.display(), self.why)
    }
}

impl std::error::Error for Unusable {}

impl StatusDir {
    /// The failure of a directory that cannot be read.
    #[must_use]
    pub fn unreadable(&self, error: &io::Error) -> Failure {
        Failure::failed(format!(
            "cannot read the status directory '{}': {}",
            self.path.display(),
            io_words(error)
        ))
    }

    /// Where the directory is: `$GCO_TASK_STATUS_DIR`, else `~/.gco/tasks`. Absolute.
    ///
    /// # Errors
    /// [`Unusable`] if there is neither the variable nor a home.
    pub fn location() -> Result<PathBuf, Unusable> {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let path = set(DIR_VARIABLE)
            .or_else(|| set("HOME").map(|home| home.join(".gco/tasks")))
            .or_else(|| {
                let user = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten()?;
                Some(user.dir.join(".gco/tasks"))
            })
            .ok_or_else(|| Unusable {
                path: PathBuf::from("~/.gco/tasks"),
                why: format!("neither {DIR_VARIABLE} nor HOME is set"),
            })?;
        std::path::absolute(&path).map_err(|error| Unusable { why: io_words(&error), path })
    }

    /// The directory for reading. `None` if it does not exist: then there are no tasks.
    ///
    /// # Errors
    /// [`Unusable`] if it is there and is no directory, or cannot be looked at.
    pub fn for_reading() -> Result<Option<Self>, Unusable> {
        Self::at(Self::location()?)
    }

    /// The directory at `path`, for reading. `None` if it does not exist.
    ///
    /// # Errors
    /// [`Unusable`] as for [`StatusDir::for_reading`].
    pub fn at(path: PathBuf) -> Result<Option<Self>, Unusable> {
        match fs::metadata(&path) {
            Ok(meta) if meta.is_dir() => Ok(Some(Self { path, owner: meta.uid() })),
            Ok(_) => Err(Unusable { path, why: "it is not a directory".to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Unusable { why: io_words(&error), path }),
        }
    }

    /// The directory for keeping tasks in; makes it, mode 0700, if it is not there.
    ///
    /// # Errors
    /// [`Unusable`] if it cannot be made, is no directory, belongs to somebody else, or everybody may write to it.
    pub fn for_writing() -> Result<Self, Unusable> {
        let path = Self::location()?;
        let unusable = |why: String| Unusable { path: path.clone(), why };
        make(&path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => unusable("it is not a directory".to_owned()),
            _ => unusable(io_words(&error)),
        })?;
        let meta = fs::metadata(&path).map_err(|error| unusable(io_words(&error)))?;
        if !meta.is_dir() {
            return Err(unusable("it is not a directory".to_owned()));
        }
        if meta.uid() != geteuid().as_raw() {
            return Err(unusable(format!("it belongs to another user (uid {})", meta.uid())));
        }
        if meta.mode() & 0o002 != 0 {
            return Err(unusable(format!("everybody may write to it (mode {:04o})", meta.mode() & 0o7777)));
        }
        Ok(Self { owner: meta.uid(), path })
    }

    /// Makes the directory again if it has gone.
    ///
    /// # Errors
    /// What the system says.
    pub fn restore(&self) -> io::Result<()> {
        make(&self.path)
    }

    /// The directory's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a file of user `uid` belongs here: the directory's owner's and one's own do.
    #[must_use]
    pub fn trusts(&self, uid: u32) -> bool {
        uid == self.owner || uid == geteuid().as_raw()
    }

    /// Whose the directory is.
    #[must_use]
    pub fn owner(&self) -> u32 {
        self.owner
    }

    /// The record of task `id`.
    #[must_use]
    pub fn record(&self, id: &TaskId) -> PathBuf {
        self.path.join(format!("{id}.json"))
    }

    /// The log of task `id`.
    #[must_use]
    pub fn log(&self, id: &TaskId) -> PathBuf {
        self.path.join(format!("{id}.log"))
    }

    /// The file on which the supervisor of task `id` holds its lock.
    #[must_use]
    pub fn lock(&self, id: &TaskId) -> PathBuf {
        self.path.join(format!(".{id}.lock"))
    }

    /// When what is in the log of task `id` was written.
    #[must_use]
    pub fn times(&self, id: &TaskId) -> PathBuf {
        self.path.join(format!(".{id}.times"))
    }

    /// Where those who want to attach to task `id` knock.
    #[must_use]
    pub fn door(&self, id: &TaskId) -> PathBuf {
        self.path.join(format!(".{id}.attach"))
    }

    /// Where task `id`'s own script says how far it is.
    #[must_use]
    pub fn told(&self, id: &TaskId) -> PathBuf {
        self.path.join(format!(".{id}.progress"))
    }

    /// Gives a newly made file to the directory's owner, if root made it in somebody else's directory: it is theirs to use.
    pub fn hand_over(&self, file: impl AsFd) {
        if self.owner != geteuid().as_raw() {
            // Where it cannot be done the owner is told, as of any file that is somebody else's.
            let _ = nix::unistd::fchown(file, Some(self.owner.into()), None);
        }
    }

    /// Where it is asked that task `id` be ended.
    #[must_use]
    pub fn cancel(&self, id: &TaskId) -> PathBuf {
        self.path.join(format!(".{id}.cancel"))
    }

    /// That request, once the supervisor has taken it up.
    #[must_use]
    pub fn cancelling(&self, id: &TaskId) -> PathBuf {
        self.path.join(format!(".{id}.cancelling"))
    }
}

/// Only gco's own part is made private; a home that is missing is made as usual.
fn make(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => return Ok(()),
        Ok(_) => return Err(io::Error::new(io::ErrorKind::NotADirectory, "it is not a directory")),
        Err(_) => {}
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}
