//! The rules of the line. Threads whose files are opened apart are to the kernel what processes are.

mod crowd;

use super::*;
use std::error::Error;
use std::sync::{Arc, mpsc};
use std::thread;
use tempfile::TempDir;

type Tried = Result<(), Box<dyn Error>>;

/// A directory, and a line in it.
struct Room {
    home: TempDir,
    dir: StatusDir,
    name: LineName,
}

impl Room {
    fn new() -> Result<Room, Box<dyn Error>> {
        let home = tempfile::tempdir()?;
        let dir = StatusDir::at(home.path().join("tasks"))?;
        assert!(dir.is_none());
        std::fs::create_dir(home.path().join("tasks"))?;
        let dir = StatusDir::at(home.path().join("tasks"))?.ok_or("it has gone")?;
        Ok(Room { home, dir, name: LineName::group("deploy")? })
    }

    fn enter(&self, number: u64, limit: Option<u32>) -> Result<Line, Box<dyn Error>> {
        Ok(Line::enter(&self.dir, &self.name, &TaskId::new("t", number, 0), limit)?)
    }

    fn state(&self) -> Result<LineState, Box<dyn Error>> {
        Ok(look(&self.dir, &self.name)?.ok_or("there is no line")?)
    }

    /// Who runs and who waits, as numbers.
    fn numbers(&self) -> Result<(Vec<u64>, Vec<u64>), Box<dyn Error>> {
        let state = self.state()?;
        let numbers =
            |ids: Vec<TaskId>| ids.iter().filter_map(|id| id.parts().map(|parts| parts.1)).collect();
        Ok((numbers(state.holders), numbers(state.waiting)))
    }

    fn has_file(&self) -> bool {
        self.dir.path().join(self.name.file_name()).exists()
    }
}

/// A thread that waits for a place, and then sends the line.
fn waiting(line: Line, to: &mpsc::Sender<Line>) {
    let to = to.clone();
    thread::spawn(move || {
        if line.wait_for_place().is_ok_and(|has| has) {
            // Nobody listens any more once a test has failed.
            let _ = to.send(line);
        }
    });
}

#[test]
fn first_in_first_out_and_never_more_than_the_limit() -> Tried {
    let room = Room::new()?;
    let lines = (0..5).map(|n| room.enter(n, None)).collect::<Result<Vec<_>, _>>()?;
    assert_eq!(lines.iter().map(Line::ticket).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert!(!lines[1].try_place()?, "another is before it");
    assert!(lines[0].try_place()? && lines[0].try_place()?);
    assert!(!lines[1].try_place()?, "the place is taken");
    assert_eq!(lines[3].position()?, 3);
    assert_eq!(room.numbers()?, (vec![0], vec![1, 2, 3, 4]));
    set_limit(&room.dir, &room.name, 3)?;
    assert!(!lines[2].try_place()?, "one that is before it can take a place now, and has not done so yet");
    assert!(lines[1].try_place()? && lines[2].try_place()? && !lines[3].try_place()?);
    assert_eq!((room.state()?.limit, room.state()?.limit_is_set), (3, true));
    set_limit(&room.dir, &room.name, 2)?;
    lines[1].leave();
    assert!(!lines[3].try_place()?, "two still have places");
    lines[0].leave();
    assert!(lines[3].try_place()? && !lines[4].try_place()?);
    assert_eq!(room.numbers()?, (vec![2, 3], vec![4]));
    Ok(())
}

#[test]
fn those_who_would_not_wait_are_told_whether_there_is_room() -> Tried {
    let room = Room::new()?;
    let first = room.enter(0, Some(2))?;
    let second = room.enter(1, None)?;
    assert!(!second.try_place()? && second.has_room()?, "the first will take one of two places in a moment");
    let third = room.enter(2, None)?;
    assert!(!third.has_room()?);
    assert!(first.try_place()? && second.has_room()? && !third.has_room()?);
    second.leave();
    assert!(third.has_room()? && third.try_place()?);
    Ok(())
}

#[test]
fn a_successor_goes_on_with_what_was_held() -> Tried {
    let room = Room::new()?;
    let (first, second) = (room.enter(0, None)?, room.enter(1, None)?);
    let again = |line: &Line| -> Result<Line, Box<dyn Error>> {
        // Two handles of one open file, as after a fork.
        Ok(Line::resume(&room.dir, &room.name, line.file().try_clone()?, line.ticket())?)
    };
    let (next_first, next_second) = (again(&first)?, again(&second)?);
    drop(second);
    assert!(first.try_place()?);
    drop(first);
    set_limit(&room.dir, &room.name, 1)?;
    assert!(next_first.try_place()? && next_first.wait_for_place()?, "it has it already");
    assert!(!next_second.try_place()?);
    assert_eq!(room.numbers()?, (vec![0], vec![1]));
    let third = again(&next_second)?;
    next_second.leave();
    assert!(!third.try_place()? && !third.wait_for_place()?, "it is out of line for both");
    assert_eq!(room.numbers()?, (vec![0], vec![]));
    Ok(())
}

#[test]
fn each_who_waits_is_woken_by_the_end_of_the_one_before() -> Tried {
    let room = Room::new()?;
    let holder = room.enter(0, None)?;
    assert!(holder.try_place()?);
    let (to, placed) = mpsc::channel();
    for n in 1..6 {
        waiting(room.enter(n, None)?, &to);
    }
    assert_eq!(room.numbers()?, (vec![0], vec![1, 2, 3, 4, 5]));
    // One leaves, the next is killed, and so on.
    let mut last = holder;
    for n in 1..6 {
        if n % 2 == 0 {
            last.leave()
        } else {
            drop(last)
        }
        last = placed.recv()?;
        assert_eq!(last.ticket(), n);
    }
    drop(last);
    assert_eq!(room.numbers()?, (vec![], vec![]));
    Ok(())
}

#[test]
fn who_dies_in_line_holds_nobody_up() -> Tried {
    let room = Room::new()?;
    let holder = room.enter(0, None)?;
    assert!(holder.try_place()?);
    let mut dying = (1..5).map(|n| room.enter(n, None)).collect::<Result<Vec<_>, _>>()?;
    let (to, placed) = mpsc::channel();
    waiting(room.enter(5, None)?, &to);
    // The nearest before it, one in the middle, the head.
    for at in [3, 1, 0, 0] {
        drop(dying.remove(at));
    }
    drop(holder);
    assert_eq!(placed.recv()?.ticket(), 5);
    Ok(())
}

#[test]
fn a_limit_that_is_raised_wakes_as_many() -> Tried {
    let room = Room::new()?;
    let holder = room.enter(0, None)?;
    assert!(holder.try_place()?);
    let (to, placed) = mpsc::channel();
    for n in 1..8 {
        waiting(room.enter(n, None)?, &to);
    }
    set_limit(&room.dir, &room.name, 4)?;
    let mut running = vec![holder];
    for _ in 0..3 {
        running.push(placed.recv()?);
    }
    running.sort_by_key(Line::ticket);
    assert_eq!(running.iter().map(Line::ticket).collect::<Vec<_>>(), [0, 1, 2, 3]);
    // It is lowered; the next one starts when all but one of these are over.
    set_limit(&room.dir, &room.name, 2)?;
    running.truncate(2);
    assert!(placed.try_recv().is_err());
    assert_eq!(room.numbers()?, (vec![0, 1], vec![4, 5, 6, 7]));
    running.truncate(1);
    let fifth = placed.recv()?;
    assert_eq!((fifth.ticket(), room.numbers()?), (4, (vec![0, 4], vec![5, 6, 7])));
    Ok(())
}

#[test]
fn who_leaves_while_waiting_is_told_so() -> Tried {
    let room = Room::new()?;
    let holder = room.enter(0, None)?;
    assert!(holder.try_place()?);
    let (head, last) = (Arc::new(room.enter(1, None)?), Arc::new(room.enter(2, None)?));
    let wait = |line: &Arc<Line>| {
        let line = Arc::clone(line);
        thread::spawn(move || line.wait_for_place())
    };
    let (head_waits, last_waits) = (wait(&head), wait(&last));
    last.leave();
    assert_eq!(room.numbers()?, (vec![0], vec![1]));
    head.leave();
    assert!(!head_waits.join().map_err(|_| "it panicked")??);
    assert!(!last_waits.join().map_err(|_| "it panicked")??);
    assert!(!head.try_place()? && !last.try_place()?);
    Ok(())
}

#[test]
fn a_file_that_nobody_needs_is_removed() -> Tried {
    let room = Room::new()?;
    assert!(!is_unused(&room.dir, &room.name) && !remove_unused(&room.dir, &room.name)?);
    let (first, second) = (room.enter(0, None)?, room.enter(1, None)?);
    assert!(!is_unused(&room.dir, &room.name) && !remove_unused(&room.dir, &room.name)?);
    assert!(first.try_place()?);
    first.leave();
    assert!(room.has_file(), "somebody is in line");
    drop(second);
    assert!(room.has_file() && is_unused(&room.dir, &room.name), "it was killed");
    let third = room.enter(2, None)?;
    assert_eq!(third.ticket(), 0, "a line that is empty begins anew");
    third.leave();
    assert!(!room.has_file() && look(&room.dir, &room.name)?.is_none());
    set_limit(&room.dir, &room.name, 7)?;
    room.enter(3, None)?.leave();
    assert!(room.has_file() && !is_unused(&room.dir, &room.name), "a limit is kept");
    assert_eq!(room.enter(4, None)?.file.limit(), Some(7));
    Ok(())
}

#[test]
fn an_empty_line_is_short_and_a_torn_entry_is_nobodys() -> Tried {
    let room = Room::new()?;
    set_limit(&room.dir, &room.name, 9)?;
    let path = room.dir.path().join(room.name.file_name());
    for n in 0..20 {
        drop(room.enter(n, None)?);
    }
    assert_eq!(std::fs::metadata(&path)?.len(), 64 + 144);
    let first = room.enter(20, None)?;
    // Another was killed while it arrived.
    std::fs::OpenOptions::new().append(true).open(&path).and_then(|mut file| {
        use std::io::Write;
        file.write_all(b"torn-1-0")
    })?;
    let second = room.enter(21, None)?;
    assert_eq!((first.ticket(), second.ticket()), (0, 2));
    assert_eq!(room.numbers()?, (vec![], vec![20, 21]));
    assert_eq!(room.state()?.limit, 9);
    assert!(std::fs::read_to_string(&path)?.starts_with("gco line\nlimit: 00000009"));
    // Somebody emptied the file.
    std::fs::write(&path, "")?;
    assert!(first.try_place()?);
    let third = room.enter(22, None)?;
    assert_eq!(
        (third.ticket(), room.numbers()?),
        (3, (vec![], vec![22])),
        "who came before has no name any more"
    );
    assert!(!third.try_place()? && !second.try_place()? && room.state()?.holders.is_empty());
    drop(first);
    assert!(second.try_place()? && !third.try_place()?);
    Ok(())
}

#[test]
fn a_directory_that_goes_and_comes_back_holds_nobody_up() -> Tried {
    let room = Room::new()?;
    let (first, second) = (room.enter(0, None)?, room.enter(1, None)?);
    assert!(first.try_place()?);
    let (to, placed) = mpsc::channel();
    waiting(second, &to);
    std::fs::remove_dir_all(room.dir.path())?;
    assert!(look(&room.dir, &room.name)?.is_none());
    let new = room.enter(2, None)?;
    assert!(new.try_place()?, "it begins a new line, and makes the directory for it");
    assert_eq!(room.numbers()?, (vec![2], vec![]));
    first.leave();
    assert_eq!(placed.recv()?.ticket(), 1);
    assert_eq!(room.numbers()?, (vec![2], vec![]), "the file of others is not touched");
    std::fs::remove_dir_all(room.home.path())?;
    new.leave();
    Ok(())
}

#[test]
fn what_is_no_file_for_it_is_refused() -> Tried {
    let room = Room::new()?;
    let path = room.dir.path().join(room.name.file_name());
    let outside = room.home.path().join("outside");
    std::fs::write(&outside, "precious")?;
    let refused = |what: &str| -> Tried {
        let kinds = [
            room.enter(0, Some(2))
                .err()
                .and_then(|error| error.downcast::<io::Error>().ok())
                .map(|e| e.kind()),
            set_limit(&room.dir, &room.name, 3).err().map(|error| error.kind()),
            look(&room.dir, &room.name).err().map(|error| error.kind()),
            remove_unused(&room.dir, &room.name).err().map(|error| error.kind()),
        ];
        assert_eq!(kinds, [Some(io::ErrorKind::InvalidInput); 4], "{what}");
        assert!(!is_unused(&room.dir, &room.name), "{what}");
        Ok(())
    };
    std::os::unix::fs::symlink(&outside, &path)?;
    refused("a link")?;
    std::fs::remove_file(&path)?;
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU)?;
    refused("a FIFO")?;
    std::fs::remove_file(&path)?;
    std::fs::hard_link(&outside, &path)?;
    refused("a second name of another file")?;
    std::fs::remove_file(&path)?;
    std::fs::create_dir(&path)?;
    refused("a directory")?;
    std::fs::remove_dir(&path)?;
    assert_eq!(std::fs::read_to_string(outside)?, "precious");
    for limit in [0, 100_001] {
        let kind = set_limit(&room.dir, &room.name, limit).err().map(|error| error.kind());
        assert_eq!(kind, Some(io::ErrorKind::InvalidInput));
    }
    // What is in a file is not believed.
    for planted in
        ["", "limit", "gco line\nlimit: 00000000", "gco line\nlimit: 99999999", "gco line\nlimit: +0000003"]
    {
        std::fs::write(&path, planted)?;
        assert_eq!((room.state()?.limit, room.numbers()?), (1, (vec![], vec![])), "{planted:?}");
    }
    std::fs::write(&path, "x".repeat(1000))?;
    let line = room.enter(5, None)?;
    assert!(line.try_place()?);
    assert_eq!(room.numbers()?, (vec![5], vec![]));
    Ok(())
}
