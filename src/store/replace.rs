//! Writing records: whole, synced, under a name that was not there or in place of the old one.
//!
//! A record is written to a temporary file beside it, synced, and renamed. Without the sync a
//! power cut leaves the new name full of NULs (ext4, delayed allocation). The directory is synced only
//! where a name must survive: when a task is claimed and when it has ended.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;

use tempfile::{Builder, NamedTempFile};

use super::StatusDir;
use crate::task::{Record, TaskId};

/// How a temporary file's name ends. With the leading dot it is out of the way of other tools.
pub const TEMPORARY: &str = ".tmp";

/// Claims `id` by creating its record. `false` if the id is taken. The caller [syncs](sync_directory) the directory.
///
/// # Errors
/// What the system says.
pub fn claim(dir: &StatusDir, id: &TaskId, record: &Record) -> io::Result<bool> {
    match written(dir, id, record)?.persist_noclobber(dir.record(id)) {
        Ok(_) => Ok(true),
        Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(refused) => Err(refused.error),
    }
}

/// Replaces the record of task `id`, or puts it back.
///
/// # Errors
/// What the system says; the record is then the one it was.
pub fn replace(dir: &StatusDir, id: &TaskId, record: &Record) -> io::Result<()> {
    let file = match written(dir, id, record) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // Somebody removed the whole directory under the running task.
            dir.restore()?;
            written(dir, id, record)?
        }
        other => other?,
    };
    file.persist(dir.record(id)).map_err(|refused| refused.error)?;
    Ok(())
}

/// Removes what a supervisor of task `id` that was killed had begun to write. To be called by its successor.
///
/// # Errors
/// What the system says.
pub fn remove_unfinished(dir: &StatusDir, id: &TaskId) -> io::Result<()> {
    let begin = format!(".{id}.");
    for entry in fs::read_dir(dir.path())? {
        let name = entry?.file_name();
        let random = name.to_str().and_then(|name| name.strip_prefix(&begin)?.strip_suffix(TEMPORARY));
        // Another task's id may begin with this one's; what comes after it is then longer.
        if random.is_some_and(|random| random.bytes().all(|b| b.is_ascii_alphanumeric())) {
            match fs::remove_file(dir.path().join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Makes sure that names made or changed in the directory survive a power cut.
///
/// # Errors
/// What the disk says. A file system that does not sync directories does no harm.
pub fn sync_directory(dir: &StatusDir) -> io::Result<()> {
    match File::open(dir.path())?.sync_all() {
        Err(error)
            if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP | libc::ENOTTY)) =>
        {
            Ok(())
        }
        other => other,
    }
}

/// A temporary file for something of task `id`. It vanishes with the value unless it is given a name.
///
/// # Errors
/// What the system says.
pub fn temporary(dir: &StatusDir, id: &TaskId) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    let prefix = format!(".{id}.");
    builder.prefix(&prefix).suffix(TEMPORARY).permissions(Permissions::from_mode(0o600));
    builder.tempfile_in(dir.path())
}

/// The record in a temporary file, on disk. It vanishes with the value unless it is given its name.
fn written(dir: &StatusDir, id: &TaskId, record: &Record) -> io::Result<NamedTempFile> {
    let mut file = temporary(dir, id)?;
    file.write_all(&record.to_bytes())?;
    file.as_file().sync_data()?;
    Ok(file)
}
