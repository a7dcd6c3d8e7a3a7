//! Many in line at once.

use std::sync::atomic::AtomicUsize;

use super::*;

#[test]
fn two_hundred_at_once_and_never_more_than_three() -> Tried {
    let room = Room::new()?;
    let (running, most, ended) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let one = |n: u64| -> io::Result<()> {
        let line = Line::enter(&room.dir, &room.name, &TaskId::new("t", n, 0), Some(3))?;
        // Some go before it is their turn. Each goes either as one that ends or as one that is killed.
        if n % 5 != 1 {
            assert!(line.wait_for_place()?);
            assert_eq!(line.before()?, None, "it has passed somebody");
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::yield_now();
            ended.fetch_add(1, Ordering::SeqCst);
            running.fetch_sub(1, Ordering::SeqCst);
        }
        if n.is_multiple_of(3) {
            line.leave();
        }
        Ok(())
    };
    thread::scope(|scope| -> Tried {
        let one = &one;
        let threads: Vec<_> = (0..200).map(|n| scope.spawn(move || one(n))).collect();
        for thread in threads {
            thread.join().map_err(|_| "a thread panicked")??;
        }
        Ok(())
    })?;
    assert_eq!(ended.into_inner(), 160, "nobody is stranded");
    let most = most.into_inner();
    assert!(most <= 3, "{most} at once");
    assert_eq!(room.numbers()?, (vec![], vec![]));
    Ok(())
}

#[test]
fn one_at_a_time_is_strictly_in_order() -> Tried {
    let room = Room::new()?;
    // One that stays in line, so that no ticket is given twice.
    let gate = room.enter(1000, None)?;
    assert!(gate.try_place()?);
    let (to, placed) = mpsc::channel();
    for n in 0..100 {
        waiting(room.enter(n, None)?, &to);
    }
    drop(gate);
    for ticket in 1..=100 {
        assert_eq!(placed.recv()?.ticket(), ticket);
    }
    Ok(())
}

#[test]
fn the_limit_changes_while_many_wait() -> Tried {
    let room = Room::new()?;
    let gate = room.enter(1000, None)?;
    assert!(gate.try_place()?);
    let (to, placed) = mpsc::channel();
    for n in 0..120 {
        waiting(room.enter(n, None)?, &to);
    }
    let mut running = vec![gate];
    let mut next = 1;
    for (at, limit) in [5, 2, 9, 1, 30, 3, 3, 12].into_iter().cycle().take(40).enumerate() {
        set_limit(&room.dir, &room.name, limit)?;
        // As many as there is room for, and not one more.
        while running.len() < limit as usize && next <= 120 {
            running.push(placed.recv()?);
            next += 1;
        }
        assert!(placed.try_recv().is_err());
        running.sort_by_key(Line::ticket);
        let (holders, waiting) = room.numbers()?;
        assert_eq!(holders.len(), running.len());
        assert_eq!(waiting.len(), 121 - next);
        running.remove(at % running.len()).leave();
        if running.len() < limit as usize && next <= 120 {
            running.push(placed.recv()?);
            next += 1;
        }
        if running.is_empty() {
            break;
        }
    }
    Ok(())
}
