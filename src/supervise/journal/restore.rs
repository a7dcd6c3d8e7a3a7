//! Putting back a log that somebody has removed while its task runs: what is written without a name is lost with its writer.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::Journal;
use crate::log::gap;
use crate::store::StatusDir;
use crate::task::TaskId;

impl Journal {
    /// Whether the log, or what tells when it was written, has been removed from its directory.
    #[must_use]
    pub fn is_unlinked(&self) -> bool {
        self.file.as_ref().is_some_and(is_unlinked) || self.clock.is_unlinked()
    }

    /// Puts the log back if it has been removed from the directory. `true` if it had to be.
    ///
    /// # Errors
    /// What the system says; the log is then written where nobody sees it.
    pub fn restore(&mut self, dir: &StatusDir, id: &TaskId) -> io::Result<bool> {
        // The times first: whoever finds the log then finds them.
        let timed = self.clock.restore(dir, id);
        let Some(old) = &self.file else { return Ok(false) };
        if old.metadata()?.nlink() > 0 {
            return timed.map(|()| false);
        }
        let file = copy_back(old, dir, id, &dir.log(id))?;
        fcntl(&file, FcntlArg::F_SETFL(OFlag::O_APPEND))?;
        self.adopt(file)?;
        Ok(true)
    }
}

/// Whether `file` has no name any more.
pub(super) fn is_unlinked(file: &File) -> bool {
    file.metadata().is_ok_and(|meta| meta.nlink() == 0)
}

/// Puts a copy of `old`, a file of task `id` that has been removed, at `path`.
pub(super) fn copy_back(old: &File, dir: &StatusDir, id: &TaskId, path: &Path) -> io::Result<File> {
    let mut copy =
        tempfile::Builder::new().prefix(&format!(".{id}.")).suffix(".tmp").tempfile_in(dir.path())?;
    let mut from = File::open(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(old)))?;
    if let Some(gap) = gap::of(old)? {
        io::copy(&mut (&mut from).take(gap.begin), copy.as_file_mut())?;
        for file in [&mut from, copy.as_file_mut()] {
            file.seek(SeekFrom::Start(gap.end - 1))?;
        }
    }
    io::copy(&mut from, copy.as_file_mut())?;
    copy.persist(path).map_err(|refused| refused.error)
}
