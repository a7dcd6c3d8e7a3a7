//! When what is in a log was written: an index beside it, one entry for each tenth of a second in which something was.
//!
//! The file begins with [`HEADER`]; then come [entries](entry) of the same length, each with an offset in the log and the time
//! at which the bytes from there on were written. Every entry of gco's begins with a log line, and all that stands before
//! the next entry was written in the same tenth of a second. So to find a time or a place is a binary search: what is read does
//! not grow with the log. After some hours without a pause entries are a second apart, after a day ten seconds, and so on: so the
//! file stays small however long a command runs.
//!
//! The index is bookkeeping and is believed only as far as that does no harm. A torn entry at its end does not count, one that
//! lies gives a wrong time and no more, and what is not such a file is none.

use std::io;

use super::ReadAt;

/// What the file begins with: as long as an entry.
pub const HEADER: [u8; ENTRY] = *b"gco times 1\n";

/// The length of an entry: six bytes of offset and six of milliseconds since 1970, the lowest first.
pub const ENTRY: usize = 12;

/// Half of an entry: enough for 256 TiB, and for ten thousand years.
const NUMBER: usize = ENTRY / 2;

/// How many milliseconds share an entry.
pub const STEP: u64 = 100;

/// The entry for a log that is `offset` long at `time`.
#[must_use]
pub fn entry(offset: u64, time: u64) -> [u8; ENTRY] {
    let mut bytes = [0; ENTRY];
    bytes[..NUMBER].copy_from_slice(&offset.to_le_bytes()[..NUMBER]);
    bytes[NUMBER..].copy_from_slice(&time.to_le_bytes()[..NUMBER]);
    bytes
}

fn numbers(bytes: [u8; ENTRY]) -> (u64, u64) {
    let number = |half: &[u8]| half.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
    (number(&bytes[..NUMBER]), number(&bytes[NUMBER..]))
}

/// The times of a log's bytes.
#[derive(Debug)]
pub struct Times<S> {
    source: S,
    /// Where the search for the last offset ended, as most offsets are asked for in their order.
    last: Option<Stretch>,
}

/// The bytes from one entry to the next.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    number: u64,
    start: u64,
    /// Unknown as long as there is no next entry.
    end: Option<u64>,
    time: u64,
}

impl<S: ReadAt> Times<S> {
    /// Takes `source` for an index; `None` if it is none. It may grow while it is used.
    ///
    /// # Errors
    /// What reading said.
    pub fn open(source: S) -> io::Result<Option<Self>> {
        let mut head = [0; ENTRY];
        let is_whole = source.read_full(&mut head, 0)? == ENTRY;
        Ok((is_whole && head == HEADER).then_some(Self { source, last: None }))
    }

    /// When the byte at `offset` of the log was written, in milliseconds since 1970; right to a tenth of a second. `None` if
    /// nobody knows.
    ///
    /// # Errors
    /// What reading said.
    pub fn at(&mut self, offset: u64) -> io::Result<Option<u64>> {
        if let Some(last) = self.last {
            if last.start <= offset && last.end.is_some_and(|end| offset < end) {
                return Ok(Some(last.time));
            }
            // Most likely the next one, or still the last there is.
            for number in [last.number, last.number + 1] {
                if let Some(found) = self.stretch(number)?
                    && found.start <= offset
                    && found.end.is_none_or(|end| offset < end)
                {
                    self.last = Some(found);
                    return Ok(Some(found.time));
                }
            }
        }
        let after = self.first(|(start, _)| start > offset)?;
        self.last = match after.checked_sub(1) {
            Some(number) => self.stretch(number)?,
            None => None,
        };
        Ok(self.last.map(|found| found.time))
    }

    /// From which offset of the log on everything was written at `time` or later, in milliseconds since 1970, to a tenth of a
    /// second. `None` if nothing was. Whether a line begins there is for the caller to see: an index may lie.
    ///
    /// # Errors
    /// What reading said.
    pub fn since(&self, time: u64) -> io::Result<Option<u64>> {
        let number = self.first(|(_, at)| at / STEP >= time / STEP)?;
        Ok(self.entry(number)?.map(|(start, _)| start))
    }

    /// The number of the first entry that `is` true of, where it is of all that follow; their number if there is none.
    fn first(&self, is: impl Fn((u64, u64)) -> bool) -> io::Result<u64> {
        let (mut low, mut high) = (0, (self.source.size()? / ENTRY as u64).saturating_sub(1));
        while low < high {
            let middle = low.midpoint(high);
            match self.entry(middle)? {
                Some(entry) if !is(entry) => low = middle + 1,
                // One that has gone meanwhile is behind the end.
                _ => high = middle,
            }
        }
        Ok(low)
    }

    fn stretch(&self, number: u64) -> io::Result<Option<Stretch>> {
        let Some((start, time)) = self.entry(number)? else { return Ok(None) };
        let end = self.entry(number + 1)?.map(|(end, _)| end);
        Ok(Some(Stretch { number, start, end, time }))
    }

    fn entry(&self, number: u64) -> io::Result<Option<(u64, u64)>> {
        let mut bytes = [0; ENTRY];
        let at = (number + 1).saturating_mul(ENTRY as u64);
        Ok((self.source.read_full(&mut bytes, at)? == ENTRY).then(|| numbers(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn index(entries: &[(u64, u64)]) -> Vec<u8> {
        let mut bytes = HEADER.to_vec();
        bytes.extend(entries.iter().flat_map(|&(offset, time)| entry(offset, time)));
        bytes
    }

    fn open(bytes: Vec<u8>) -> io::Result<Times<Vec<u8>>> {
        Times::open(bytes)?.ok_or_else(|| io::Error::other("no index"))
    }

    #[test]
    fn times_and_places_are_found() -> io::Result<()> {
        let far = (1 << 48) - 1;
        let mut times = open(index(&[(10, 1000), (20, 1100), (20, 5050), (far, 9000)]))?;
        for (offset, time) in [
            (10, Some(1000)),
            (19, Some(1000)),
            (20, Some(5050)),
            (21, Some(5050)),
            (far - 1, Some(5050)),
            (far, Some(9000)),
            (u64::MAX, Some(9000)),
            (0, None),
            (9, None),
            (15, Some(1000)),
        ] {
            assert_eq!(times.at(offset)?, time, "{offset}");
        }
        let places = [0, 1000, 1099, 1100, 1200, 5000, 5099, 5100, 9099, 9100, u64::MAX];
        let found: Vec<_> = places.into_iter().map(|time| times.since(time)).collect::<io::Result<_>>()?;
        let (a, b, c) = (Some(10), Some(20), Some(far));
        assert_eq!(found, [a, a, a, b, b, b, b, c, c, None, None]);
        Ok(())
    }

    #[test]
    fn it_grows_while_it_is_read() -> io::Result<()> {
        let file = tempfile::tempfile()?;
        let put = |bytes: &[u8], at| std::os::unix::fs::FileExt::write_all_at(&file, bytes, at);
        put(&index(&[(0, 1000)]), 0)?;
        let Some(mut times) = Times::open(file.try_clone()?)? else { return Err(io::Error::other("none")) };
        assert_eq!(times.at(7)?, Some(1000));
        put(&entry(5, 2000), 24)?;
        assert_eq!((times.at(4)?, times.at(7)?), (Some(1000), Some(2000)));
        put(&entry(9, 3000)[..5], 36)?;
        assert_eq!((times.at(9)?, times.since(2500)?), (Some(2000), None), "torn");
        put(&entry(9, 3000), 36)?;
        assert_eq!((times.at(9)?, times.since(2500)?), (Some(3000), Some(9)));
        file.set_len(24)?;
        assert_eq!((times.at(9)?, times.since(2500)?), (Some(1000), None), "cut");
        file.set_len(0)?;
        assert_eq!((times.at(9)?, times.since(0)?), (None, None));
        Ok(())
    }

    #[test]
    fn what_is_no_index_is_none() -> io::Result<()> {
        for bytes in [&b""[..], b"gco times", b"gco times 2\n", &[0; 24]] {
            assert!(Times::open(bytes.to_vec())?.is_none(), "{bytes:?}");
        }
        assert_eq!(open(HEADER.to_vec())?.at(0)?, None);
        assert_eq!(open(HEADER.to_vec())?.since(0)?, None);
        Ok(())
    }

    #[test]
    fn one_that_lies_is_searched_to_an_end() -> io::Result<()> {
        let mut seed = 1_u64;
        let mut random = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            seed >> 16
        };
        for length in 0..200 {
            let entries: Vec<_> = (0..length).map(|_| (random() % 50, random() % 5000)).collect();
            let mut times = open(index(&entries))?;
            for _ in 0..50 {
                let _ = times.at(random() % 60)?;
                let _ = times.since(random() % 6000)?;
            }
        }
        Ok(())
    }

    struct Counted(Vec<u8>, Cell<u64>);

    impl ReadAt for Counted {
        fn size(&self) -> io::Result<u64> {
            self.0.size()
        }

        fn read_some(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
            self.1.set(self.1.get() + 1);
            self.0.read_some(buffer, at)
        }
    }

    #[test]
    fn little_is_read_of_a_long_one() -> io::Result<()> {
        let entries: Vec<_> = (0..100_000).map(|n| (n * 1000, n * STEP)).collect();
        let Some(mut times) = Times::open(Counted(index(&entries), Cell::default()))? else {
            return Err(io::Error::other("none"));
        };
        assert_eq!(times.since(5_000_000)?, Some(50_000_000));
        assert_eq!(times.at(70_000_500)?, Some(7_000_000));
        assert!(times.source.1.get() < 50, "{}", times.source.1.get());
        times.source.1.set(0);
        for offset in 70_000_500..70_002_500 {
            assert_eq!(times.at(offset)?, Some(offset / 1000 * STEP));
        }
        assert!(times.source.1.get() < 20, "{}", times.source.1.get());
        Ok(())
    }
}
