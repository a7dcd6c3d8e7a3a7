//! Noting when what is in the log was written: an index beside it, whose form is that of [`crate::log::times`].
//!
//! It costs a look at the clock for each write to the log, and one small write for each tenth of a second in which there is
//! one. It is made with the first of them. An index that cannot be made or written lacks entries: nobody is told, and
//! nothing else changes.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use crate::log::times::{ENTRY, HEADER, STEP, entry};
use crate::store::{StatusDir, open};
use crate::sys::time;
use crate::task::TaskId;

/// The index of a log as its supervisor keeps it.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// Where it is to be made, as long as it has not been.
    to_make: Option<PathBuf>,
    file: Option<File>,
    /// Where the next entry goes. A torn one, for which there was no room, is written over.
    end: u64,
    /// The time of the last entry, in milliseconds since 1970.
    noted: Option<u64>,
}

/// How many bytes the index may have before its entries get ten times as far apart; and again after as many more. So that of a
/// command that never pauses takes 1 MiB for each of 2.4 hours, then a day, then ten, then a hundred.
const COARSER_AFTER: u64 = 1 << 20;

/// How many milliseconds share an entry of an index that is so long.
fn step(length: u64) -> u64 {
    let times = u32::try_from(length / COARSER_AFTER).unwrap_or(u32::MAX);
    STEP.saturating_mul(10_u64.saturating_pow(times))
}

impl Clock {
    /// The index of task `id`, which is to be made.
    pub fn of(dir: &StatusDir, id: &TaskId) -> Self {
        Self { to_make: Some(dir.times(id)), ..Self::default() }
    }

    /// Takes up what a predecessor has left.
    pub fn take_up(dir: &StatusDir, id: &TaskId) -> Self {
        match open::regular(dir, &dir.times(id), OFlag::O_RDWR) {
            Ok(file) => {
                let whole = |meta: fs::Metadata| meta.len() / ENTRY as u64 * ENTRY as u64;
                let end = file.metadata().map_or(0, whole);
                Self { file: Some(file), end, ..Self::default() }
            }
            // What bears its name and is no file of gco's is made room of.
            Err(_) => Self::of(dir, id),
        }
    }

    /// Notes that what is in the log from `offset` on is written now. To be told before it is: a reader that sees it then
    /// finds its time.
    pub fn note(&mut self, offset: u64) {
        if self.file.is_none() && self.to_make.is_none() {
            return;
        }
        let now = time::since_epoch().as_millis() as u64;
        let step = step(self.end);
        if self.noted.is_some_and(|noted| noted / step == now / step) {
            return;
        }
        // What cannot be made now could not be later.
        if let Some(path) = self.to_make.take() {
            self.file = make(&path).ok();
        }
        let Some(file) = &self.file else { return };
        let begun = self.end.max(ENTRY as u64);
        let written = match self.end {
            0 => file.write_all_at(&[HEADER, entry(offset, now)].concat(), 0),
            end => file.write_all_at(&entry(offset, now), end),
        };
        if written.is_ok() {
            self.end = begun + ENTRY as u64;
            self.noted = Some(now);
        }
    }

    /// Whether the index has been removed from its directory.
    pub fn is_unlinked(&self) -> bool {
        self.file.as_ref().is_some_and(super::restore::is_unlinked)
    }

    /// Puts the index back if it has been removed from the directory.
    ///
    /// # Errors
    /// What the system says; what comes is then noted where nobody sees it.
    pub fn restore(&mut self, dir: &StatusDir, id: &TaskId) -> io::Result<()> {
        if let Some(file) = self.file.as_ref().filter(|file| super::restore::is_unlinked(file)) {
            self.file = Some(super::restore::copy_back(file, dir, id, &dir.times(id))?);
        }
        Ok(())
    }
}

fn make(path: &Path) -> io::Result<File> {
    let make = || {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(path)
    };
    match make() {
        // The id is this task's alone, so whatever bears its name is not an index of its log.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            make()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::times::Times;

    #[test]
    fn what_there_was_no_room_for_is_written_over() -> io::Result<()> {
        let file = tempfile::tempfile()?;
        let mut clock = Clock { file: Some(file.try_clone()?), ..Clock::default() };
        clock.note(0);
        let end = clock.end;
        assert_eq!(file.metadata()?.len(), end);
        // A write that was torn: the next begins where it did.
        file.write_all_at(b"torn", end)?;
        clock.noted = None;
        clock.note(500);
        assert_eq!(file.metadata()?.len(), end + ENTRY as u64);
        let Some(times) = Times::open(file)? else { return Err(io::Error::other("none")) };
        assert_eq!(times.since(0)?, Some(0));
        Ok(())
    }

    #[test]
    fn a_full_disk_costs_entries_only() -> io::Result<()> {
        let full = OpenOptions::new().read(true).write(true).open("/dev/full")?;
        let mut clock = Clock { file: Some(full), ..Clock::default() };
        clock.note(0);
        assert_eq!((clock.end, clock.noted), (0, None));
        clock.file = Some(tempfile::tempfile()?);
        clock.note(7);
        assert_eq!(clock.end, 2 * ENTRY as u64);
        Ok(())
    }

    #[test]
    fn a_long_one_grows_more_and_more_slowly() {
        let mib = COARSER_AFTER;
        assert_eq!([0, mib - 1, mib, 2 * mib, 30 * mib].map(step), [STEP, STEP, 1000, 10_000, u64::MAX]);
    }

    #[test]
    fn there_is_one_entry_for_a_tenth_of_a_second() -> io::Result<()> {
        let mut clock = Clock { file: Some(tempfile::tempfile()?), ..Clock::default() };
        let begun = time::since_epoch();
        for offset in 0..10_000 {
            clock.note(offset);
        }
        let tenths = (time::since_epoch() - begun).as_millis() as u64 / STEP + 2;
        assert!(clock.end <= (1 + tenths) * ENTRY as u64, "{} bytes in {tenths} tenths", clock.end);
        Ok(())
    }
}
