//! The journal under a small limit, with what a disk, a kill or a person may leave in it.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tempfile::TempDir;

use super::*;

type Done = Result<(), Box<dyn Error + Send + Sync>>;

struct Place {
    temporary: TempDir,
    dir: StatusDir,
}

impl Place {
    fn new() -> io::Result<Self> {
        let temporary = tempfile::tempdir()?;
        let dir = StatusDir::at(temporary.path().to_owned()).ok().flatten();
        Ok(Self { dir: dir.ok_or(io::ErrorKind::NotFound)?, temporary })
    }

    fn events(&self, limit: u64) -> Events<'_> {
        Events { dir: &self.dir, limit }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        File::options().append(true).create(true).open(self.temporary.path().join(name))?.write_all(bytes)
    }

    fn holds(&self, name: &str) -> bool {
        self.temporary.path().join(name).exists()
    }
}

fn id(n: usize) -> Result<TaskId, crate::task::id::NotAnId> {
    TaskId::parse(&format!("t-{n}"))
}

fn append(events: &Events<'_>, n: usize) -> Done {
    let mut record = Record::new();
    record.set(field::TASK_ID, format!("t-{n}"));
    record.set("padding", "x".repeat(n % 50));
    Ok(events.append(Kind::Ended, &id(n)?, &record)?)
}

/// The numbers of the tasks whose events come.
fn rest(reader: &mut Reader<'_>) -> io::Result<Vec<usize>> {
    let mut all = Vec::new();
    while let Some(event) = reader.next_event()? {
        all.extend(number(&event));
    }
    Ok(all)
}

fn number(event: &Event) -> Option<usize> {
    event.value()["task_id"].as_str()?.strip_prefix("t-")?.parse().ok()
}

#[test]
fn a_full_journal_is_begun_anew_and_nothing_is_missed() -> Done {
    let place = Place::new()?;
    let events = place.events(1000);
    let mut reader = Reader::from_start(events);
    let mut seen = Vec::new();
    for n in 0..200 {
        append(&events, n)?;
        if n % 3 == 0 {
            seen.extend(rest(&mut reader)?);
            assert_eq!(seen.last(), Some(&n));
        }
    }
    seen.extend(rest(&mut reader)?);
    assert_eq!(seen, (0..200).collect::<Vec<_>>());
    assert!(!reader.take_gap());
    assert!(place.holds(OLD_NAME));
    let sizes = [NAME, OLD_NAME].map(|name| fs::metadata(place.temporary.path().join(name)).map(|m| m.len()));
    assert!(sizes.iter().flatten().all(|size| *size < 1300), "{sizes:?}");
    // One who comes now gets what two files hold, in order, to the end.
    let late = rest(&mut Reader::from_start(events))?;
    assert!(late.len() > 5 && late == (200 - late.len()..200).collect::<Vec<_>>(), "{late:?}");
    assert!(events.holds(Kind::Ended, &id(199)?)? && !events.holds(Kind::Started, &id(199)?)?);
    assert!(!events.append_once(Kind::Ended, &id(199)?, &Record::new())?);
    assert!(events.append_once(Kind::Started, &id(199)?, &Record::new())?);
    Ok(())
}

#[test]
fn many_writers_and_a_reader_across_the_change() -> Done {
    // A journal of which one and a half are written: a reader that is slow is not overtaken.
    const WRITERS: usize = 4;
    const EACH: usize = 50;
    for _ in 0..20 {
        let place = Place::new()?;
        let events = place.events(16_000);
        let done = AtomicBool::new(false);
        let seen = thread::scope(|scope| {
            let reading = scope.spawn(|| {
                let mut reader = Reader::from_start(events);
                let mut seen = Vec::new();
                loop {
                    let is_last = done.load(Ordering::Acquire);
                    seen.extend(rest(&mut reader)?);
                    if is_last {
                        return Ok::<_, io::Error>((seen, reader.take_gap()));
                    }
                }
            });
            let write = |writer| move || (0..EACH).try_for_each(|n| append(&events, writer * EACH + n));
            let writing: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(write(writer))).collect();
            let written: Vec<_> = writing.into_iter().map(thread::ScopedJoinHandle::join).collect();
            done.store(true, Ordering::Release);
            assert!(written.iter().all(|done| matches!(done, Ok(Ok(())))), "{written:?}");
            reading.join()
        });
        let (mut seen, has_gap) = seen.map_err(|_| "the reader failed")??;
        seen.sort_unstable();
        assert_eq!(seen, (0..WRITERS * EACH).collect::<Vec<_>>());
        assert!(!has_gap && place.holds(OLD_NAME));
    }
    Ok(())
}

#[test]
fn what_stands_behind_a_seal_counts_for_nobody() -> Done {
    let place = Place::new()?;
    let events = place.events(200);
    append(&events, 1)?;
    // A writer that was killed between the seal and the change of names.
    place.write(NAME, &b"\n{}\n".repeat(60))?;
    place.write(NAME, b"\n{\"end\":true}\n")?;
    let late = line(Kind::Ended, &id(2)?, &Record::new());
    place.write(NAME, &late)?;
    assert_eq!(rest(&mut Reader::from_start(events))?, [1]);
    assert!(!events.holds(Kind::Ended, &id(2)?)?);
    append(&events, 3)?;
    assert_eq!(rest(&mut Reader::from_start(events))?, [1, 3]);
    assert!(place.holds(OLD_NAME));
    Ok(())
}

#[test]
fn what_is_no_event_is_passed_over() -> Done {
    let place = Place::new()?;
    let events = place.events(LIMIT);
    let spoiled: [&[u8]; 9] = [
        b"\n{\"event\":\"ended\",\"task_id\":\"t-7\",\"rec",
        &[0; 100_000],
        &vec![b'{'; 3 * LONGEST_LINE],
        b"\n{\"event\":\"ended\",\"task_id\":\"t-7\",\"record\":{\"x\":\"\\ud800\"}}",
        b"\n{\"event\":\"ended\",\"task_id\":7}\n{\"event\":1,\"task_id\":\"t-7\"}\n[1]\n\"x\"\n7\n",
        b"\n\xff\xfe\n\n\n\r\n",
        b"\n{\"end\":true}\n",
        &[b'['; 200_000],
        b"\n{\"segment\":99999999999999999999999}\n",
    ];
    let mut reader = Reader::from_start(events);
    for (n, bytes) in spoiled.iter().enumerate() {
        place.write(NAME, bytes)?;
        assert_eq!(rest(&mut reader)?, [0; 0], "{n}");
        append(&events, n)?;
        assert_eq!(rest(&mut reader)?, [n]);
    }
    assert_eq!(rest(&mut Reader::from_start(events))?, (0..spoiled.len()).collect::<Vec<_>>());
    // One that was killed just before the last line end: the object is whole.
    let whole = line(Kind::Ended, &id(77)?, &Record::new());
    let (cut, last) = whole.split_at(whole.len() - 1);
    for piece in cut.chunks(7) {
        assert_eq!(rest(&mut reader)?, [0; 0]);
        place.write(NAME, piece)?;
    }
    assert_eq!(rest(&mut reader)?, [77]);
    place.write(NAME, last)?;
    append(&events, 78)?;
    assert_eq!(rest(&mut reader)?, [78]);
    Ok(())
}

#[test]
fn a_place_outlives_all_files_and_a_gap_is_told() -> Done {
    let place = Place::new()?;
    let events = place.events(1000);
    append(&events, 0)?;
    append(&events, 1)?;
    let mut reader = Reader::from_start(events);
    assert_eq!(reader.next_event()?.as_ref().and_then(number), Some(0));
    let cursor = reader.cursor().ok_or("no place")?;
    let again = |cursor| {
        let mut reader = Reader::from_start(events);
        reader.go_to(cursor)?;
        let all = rest(&mut reader)?;
        Ok::<_, io::Error>((all, reader.take_gap()))
    };
    assert_eq!(again(cursor)?, (vec![1], false));
    for n in 2..12 {
        append(&events, n)?;
    }
    assert!(place.holds(OLD_NAME));
    assert_eq!(again(cursor)?, ((1..12).collect(), false));
    for n in 12..100 {
        append(&events, n)?;
    }
    let (all, has_gap) = again(cursor)?;
    assert!(has_gap && all.last() == Some(&99) && all.len() < 30, "{all:?}");
    // All removed, as by rm -rf: what comes is new, and nothing of it is taken for what was there.
    let end = {
        let mut reader = Reader::from_now(events)?;
        rest(&mut reader)?;
        reader.cursor().ok_or("no place")?
    };
    fs::remove_file(place.temporary.path().join(NAME))?;
    assert_eq!(again(end)?, (vec![], false), "not what is in the old one");
    let mut reader = Reader::from_start(events);
    reader.go_to(end)?;
    append(&events, 100)?;
    assert_eq!(rest(&mut reader)?, [100]);
    // Cut in place: it has no number any more, and goes on all the same.
    File::options().write(true).open(place.temporary.path().join(NAME))?.set_len(0)?;
    append(&events, 101)?;
    assert_eq!(rest(&mut reader)?, [101]);
    append(&events, 102)?;
    assert_eq!(rest(&mut reader)?, [102]);
    Ok(())
}

#[test]
fn a_clock_that_is_set_back_makes_no_old_number() -> Done {
    let place = Place::new()?;
    let events = place.events(LIMIT);
    place.write(OLD_NAME, b"{\"segment\":18446744073709551000}\n")?;
    append(&events, 1)?;
    let mut reader = Reader::from_start(events);
    reader.go_to(Cursor { segment: u64::MAX - 615, offset: 33 })?;
    assert_eq!(rest(&mut reader)?, [1]);
    assert!(!reader.take_gap());
    assert_eq!(reader.cursor().map(|cursor| cursor.segment), Some(18_446_744_073_709_551_001));
    Ok(())
}

#[test]
fn a_giant_file_is_not_read_for_ever() -> Done {
    let place = Place::new()?;
    let events = place.events(1 << 20);
    place.write(NAME, b"x")?;
    File::options().write(true).open(place.temporary.path().join(NAME))?.set_len(1 << 40)?;
    assert_eq!(rest(&mut Reader::from_start(events))?, [0; 0]);
    append(&events, 1)?;
    assert_eq!(rest(&mut Reader::from_start(events))?, [1]);
    Ok(())
}
