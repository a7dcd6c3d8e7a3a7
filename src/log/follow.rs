//! A place in a growing log: hands out what has been written since, and notices when the log is not what
//! it was.

use std::io;

use super::ReadAt;
use super::replay::{Entry, Replay};

/// How much of two logs is compared to tell whether one continues the other.
const COMPARED: u64 = 4096;

/// A place in a log that may grow.
#[derive(Debug)]
pub struct Follow {
    replay: Replay,
}

/// What is next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// One more entry.
    Entry(Entry<'a>),
    /// Nothing yet.
    UpToDate,
    /// The log is shorter than what has been read of it. What is in it now comes next, from its beginning.
    Cut,
}

/// What a file under the log's name is to the one that was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Successor {
    /// The same bytes up to the place: go on there.
    Continues,
    /// The same bytes as far as they go, which is not far enough yet: it is being put back.
    Growing,
    /// Another log.
    Other,
}

impl Follow {
    /// Begins at `offset`, the start of a log line.
    #[must_use]
    pub fn from(offset: u64) -> Self {
        Self { replay: Replay::from(offset) }
    }

    /// Where in the log the next entry begins.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.replay.position()
    }

    /// The next step.
    ///
    /// # Errors
    /// What reading said.
    pub fn next<S: ReadAt + ?Sized>(&mut self, source: &S) -> io::Result<Step<'_>> {
        if let Some(found) = self.replay.look_for(source)? {
            return Ok(Step::Entry(self.replay.take(found)));
        }
        if source.size()? < self.position() {
            self.replay = Replay::from(0);
            return Ok(Step::Cut);
        }
        Ok(Step::UpToDate)
    }

    /// What `new` is to `old`, the log that was read up to this place.
    ///
    /// # Errors
    /// What reading said.
    pub fn compare<S: ReadAt + ?Sized>(&self, old: &S, new: &S) -> io::Result<Successor> {
        let place = self.position();
        let shared = new.size()?.min(place);
        let head = shared.min(COMPARED);
        let tail = shared - head.max(shared.saturating_sub(COMPARED));
        if !same(old, new, 0, head)? || !same(old, new, shared - tail, tail)? {
            return Ok(Successor::Other);
        }
        Ok(if shared == place { Successor::Continues } else { Successor::Growing })
    }
}

/// Whether `length` bytes from `at` on are the same in both.
fn same<S: ReadAt + ?Sized>(one: &S, other: &S, at: u64, length: u64) -> io::Result<bool> {
    let mut buffers = [vec![0; length as usize], vec![0; length as usize]];
    let counts = [one.read_full(&mut buffers[0], at)?, other.read_full(&mut buffers[1], at)?];
    Ok(counts[0] == counts[1] && buffers[0] == buffers[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(follow: &mut Follow, log: &[u8]) -> io::Result<Vec<String>> {
        let mut seen = Vec::new();
        loop {
            match follow.next(log)? {
                Step::Entry(entry) => seen.push(String::from_utf8_lossy(entry.payload).into_owned()),
                Step::Cut => seen.push("<cut>".to_owned()),
                Step::UpToDate => return Ok(seen),
            }
        }
    }

    #[test]
    fn it_goes_on_where_it_was() -> io::Result<()> {
        let mut follow = Follow::from(11);
        assert_eq!(drain(&mut follow, b"[stdout] a\n[stdout] b\n[st")?, ["b"]);
        assert_eq!(drain(&mut follow, b"[stdout] a\n[stdout] b\n[stderr] c\n")?, ["c"]);
        assert_eq!(drain(&mut follow, b"[stdout] a\n[stdout] b\n[stderr] c\n")?, [""; 0]);
        Ok(())
    }

    #[test]
    fn a_cut_is_told_and_what_is_new_comes() -> io::Result<()> {
        let mut follow = Follow::from(0);
        assert_eq!(drain(&mut follow, b"[stdout] a\n[stdout] b\n")?, ["a", "b"]);
        assert_eq!(drain(&mut follow, b"[stdout] c\n")?, ["<cut>", "c"]);
        assert_eq!(drain(&mut follow, b"")?, ["<cut>"]);
        assert_eq!(drain(&mut follow, b"[stdout] d\n")?, ["d"]);
        Ok(())
    }

    #[test]
    fn a_log_put_back_is_told_from_another() -> io::Result<()> {
        let log = b"[stdout] a\n[stdout] b\n[stdout] c\n";
        let place = Follow::from(22);
        assert_eq!(place.compare(&log[..], &log[..])?, Successor::Continues);
        assert_eq!(place.compare(&log[..], &log[..22])?, Successor::Continues);
        assert_eq!(place.compare(&log[..], &log[..15])?, Successor::Growing);
        assert_eq!(place.compare(&log[..], b"")?, Successor::Growing);
        assert_eq!(place.compare(&log[..], b"[gco] new\n")?, Successor::Other);
        let mut long = b"[stdout] xxxxxxxxxxxxxxxxxxxxxx\n".repeat(1000);
        let place = Follow::from(long.len() as u64);
        let same = long.clone();
        assert_eq!(place.compare(&same, &long)?, Successor::Continues);
        let end = long.len() - 2;
        long[end] = b'y';
        assert_eq!(place.compare(&same, &long)?, Successor::Other);
        Ok(())
    }
}
