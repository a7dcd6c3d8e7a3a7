//! Where a run went another way than a good one, and what it says that the good one does not.
//!
//! No full diff is made: steps that run side by side come in another order each time, and that is no news. A run goes
//! another way with its first line that the good one has nowhere, once what changes each time is [masked](mask); or where it
//! ends and the good one goes on. Of each log at most [`LOOK`] bytes of its begin and as many of its end are looked
//! at; of the good one a number and an offset a line are kept, of the other [`DISTINCT`] new lines at most.

use std::collections::hash_map::{DefaultHasher, Entry};
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::io;

use super::ReadAt;
use super::join::{Choice, Joiner, Shown};
use super::mask::mask;
use super::numbers::Numbers;
use super::replay::Replay;
use crate::task::text;

/// How much of a log's begin is looked at, and of its end.
pub const LOOK: u64 = 8 << 20;

/// How many different new lines are told apart.
pub const DISTINCT: usize = 1000;

/// How many lines before the one that is different are given.
const BEFORE: usize = 3;

/// How many lines of the good run are searched for the one that this run has.
const AHEAD: usize = 256;

/// Of a line so many bytes of its end are looked at.
const LONGEST: usize = 64 << 10;

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Which line of the log it ends with, the first being 1. `None` where that was not counted.
    pub number: Option<u64>,
    /// What it says, as plain text.
    pub text: String,
}

/// A line that the good run does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct New {
    /// Its first appearance.
    pub line: Line,
    /// How often it comes, with other times, ids and so on.
    pub count: u64,
}

/// Where the runs part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parting {
    /// The last lines before, of this run.
    pub before: Vec<Line>,
    /// What this run says then. `None` if it ends.
    pub here: Option<Line>,
    /// What the good run says then. `None` if it ends.
    pub there: Option<Line>,
}

/// What came of comparing two runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Where they part. `None` if they do not.
    pub parting: Option<Parting>,
    /// The lines that the good run does not have, each once, in their order.
    pub new: Vec<New>,
    /// How many lines come after [`DISTINCT`] different ones, and are not among them.
    pub left_out: u64,
    /// The middle of this run's log was not looked at.
    pub cut: bool,
    /// That of the good run's was not.
    pub good_cut: bool,
}

/// Compares the log `run` with the log `good`.
///
/// # Errors
/// What reading said.
pub fn compare<R: ReadAt + ?Sized, G: ReadAt + ?Sized>(run: &R, good: &G) -> io::Result<Comparison> {
    compare_within(run, good, LOOK)
}

fn compare_within<R: ReadAt + ?Sized, G: ReadAt + ?Sized>(
    run: &R,
    good: &G,
    look: u64,
) -> io::Result<Comparison> {
    let mut known = Vec::new();
    let good_cut = each_line(good, look, |line, said| {
        known.push((key(said), line.log_offset));
        Ok(())
    })?;
    let keys: HashSet<u64> = known.iter().map(|&(key, _)| key).collect();
    let mut found = Comparison { good_cut, ..Comparison::default() };
    let mut numbers = Numbers::new(run);
    let mut places: HashMap<u64, usize> = HashMap::new();
    let mut before: VecDeque<(u64, String)> = VecDeque::new();
    // What of the good run has been met.
    let mut met = 0;
    found.cut = each_line(run, look, |line, said| {
        let key = key(said);
        if keys.contains(&key) {
            if found.parting.is_none() {
                let ahead = &known[met..known.len().min(met + AHEAD)];
                met += ahead.iter().position(|&(other, _)| other == key).map_or(0, |at| at + 1);
                before.push_back((line.log_offset, said.to_owned()));
                if before.len() > BEFORE {
                    before.pop_front();
                }
            }
            return Ok(());
        }
        let room = places.len() < DISTINCT;
        match places.entry(key) {
            Entry::Occupied(place) => found.new[*place.get()].count += 1,
            Entry::Vacant(place) if room => {
                if found.parting.is_none() {
                    found.parting =
                        Some(Parting { before: numbered(&mut numbers, &before)?, here: None, there: None });
                }
                let line = Line { number: numbers.of(line.log_offset)?, text: said.to_owned() };
                if let Some(parting) = found.parting.as_mut().filter(|_| found.new.is_empty()) {
                    parting.here = Some(line.clone());
                }
                place.insert(found.new.len());
                found.new.push(New { line, count: 1 });
            }
            Entry::Vacant(_) => found.left_out += 1,
        }
        Ok(())
    })?;
    let there = match known.get(met) {
        Some(&(_, offset)) => Some(line_at(good, offset)?),
        None => None,
    };
    match &mut found.parting {
        Some(parting) => parting.there = there,
        // Not if what it would have said next is in a part that was not looked at.
        None if there.is_some() && !found.cut && !good_cut => {
            found.parting = Some(Parting { before: numbered(&mut numbers, &before)?, here: None, there });
        }
        None => {}
    }
    Ok(found)
}

fn numbered<S: ReadAt + ?Sized>(
    numbers: &mut Numbers<'_, S>,
    lines: &VecDeque<(u64, String)>,
) -> io::Result<Vec<Line>> {
    lines.iter().map(|(at, said)| Ok(Line { number: numbers.of(*at)?, text: said.clone() })).collect()
}

/// The log line at `offset`.
fn line_at<S: ReadAt + ?Sized>(source: &S, offset: u64) -> io::Result<Line> {
    let mut replay = Replay::from(offset);
    let text = replay.next(source)?.map(|entry| text::plain(entry.payload)).unwrap_or_default();
    Ok(Line { number: Numbers::new(source).of(offset)?, text })
}

/// What two lines that say the same have in common.
fn key(said: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    mask(said.trim()).hash(&mut hasher);
    hasher.finish()
}

/// Hands out the lines that a command wrote and that have anything in them, as plain text. Gives whether some were left out.
fn each_line<S: ReadAt + ?Sized>(
    source: &S,
    look: u64,
    mut take: impl FnMut(&Shown, &str) -> io::Result<()>,
) -> io::Result<bool> {
    let size = source.size()?;
    let mut is_cut = size > look.saturating_mul(2);
    let stretches = if is_cut { vec![(0, look), (size - look, size)] } else { vec![(0, size)] };
    for (start, stop) in stretches {
        let mut joiner = Joiner::new(Choice { only: None, gco: false }, LONGEST);
        let mut replay = Replay::between(start, stop);
        // The first line of a stretch may have begun before it.
        let mut is_whole = start == 0;
        let mut give = |line: &Shown| {
            let said = text::plain(&line.payload);
            if said.trim().is_empty() { Ok(()) } else { take(line, said.trim_end()) }
        };
        while let Some(entry) = replay.next(source)? {
            is_cut |= entry.left_out.is_some();
            // Behind what is left out a line begins.
            if !std::mem::replace(&mut is_whole, true) && entry.left_out.is_none() {
                continue;
            }
            if let Some(line) = joiner.push(&entry) {
                give(&line)?;
            }
        }
        for line in joiner.finish() {
            give(&line)?;
        }
    }
    Ok(is_cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(lines: &[&str]) -> Vec<u8> {
        lines.iter().flat_map(|line| format!("[stdout] {line}\n").into_bytes()).collect()
    }

    fn line(number: u64, text: &str) -> Line {
        Line { number: Some(number), text: text.to_owned() }
    }

    #[test]
    fn the_first_new_line_is_where_they_part() -> io::Result<()> {
        let good = log(&["a 10:00:01", "b", "c", "d took 3s", "", "done"]);
        let run = log(&["a 11:30:02", "c", "b", "d took 9s", "error: 1 in 3s", "error: 1 in 4s", "bye"]);
        let found = compare(&run, &good)?;
        let parting = found.parting.ok_or(io::ErrorKind::NotFound)?;
        assert_eq!(parting.before, [line(2, "c"), line(3, "b"), line(4, "d took 9s")]);
        assert_eq!((parting.here, parting.there), (Some(line(5, "error: 1 in 3s")), Some(line(6, "done"))));
        let new = [New { line: line(5, "error: 1 in 3s"), count: 2 }, New { line: line(7, "bye"), count: 1 }];
        assert_eq!((found.new, found.left_out, found.cut, found.good_cut), (new.into(), 0, false, false));
        Ok(())
    }

    #[test]
    fn a_run_that_ends_early_parts_there() -> io::Result<()> {
        let good = log(&["a", "b", "c"]);
        let found = compare(&log(&["a"]), &good)?;
        let parting = Parting { before: vec![line(1, "a")], here: None, there: Some(line(2, "b")) };
        assert_eq!((found.parting, found.new), (Some(parting), vec![]));
        assert_eq!(compare(&good, &good)?, Comparison::default());
        let found = compare(&log(&["x"]), &log(&[]))?;
        let parting = Parting { before: vec![], here: Some(line(1, "x")), there: None };
        assert_eq!(found.parting, Some(parting));
        Ok(())
    }

    #[test]
    fn of_long_logs_both_ends_are_looked_at() -> io::Result<()> {
        let many: Vec<String> = (0..2000).map(|n| format!("step {n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let good = log(&many);
        let run = log(&[&many[..1000], &["odd"], &many[1000..], &["error: x"]].concat());
        let found = compare_within(&run, &good, 1000)?;
        assert!(found.cut && found.good_cut);
        assert_eq!(found.new, [New { line: line(2002, "error: x"), count: 1 }]);
        let found = compare_within(&run, &good, 1 << 20)?;
        assert_eq!((found.new.len(), found.cut, found.good_cut), (2, false, false));
        let found = compare_within(&good, &log(&[]), 1 << 20)?;
        assert_eq!((found.new.len(), found.left_out), (DISTINCT, 1000));
        Ok(())
    }
}
