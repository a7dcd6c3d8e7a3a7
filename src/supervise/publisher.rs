//! The thread that writes records and prunes, so that a slow disk never holds up the command's output.
//!
//! It is started when there is first something for it to do: a command that ends at once costs no thread.
//! What is handed in while it is busy replaces what was handed in before.

use std::io;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::failure::io_words;
use crate::store::{StatusDir, prune, replace};
use crate::task::{Record, TaskId};

/// The thread, once there is one, and what it is to do.
#[derive(Debug)]
pub struct Publisher {
    desk: Arc<Desk>,
    started: bool,
}

#[derive(Debug)]
struct Desk {
    dir: StatusDir,
    id: TaskId,
    work: Mutex<Work>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Work {
    record: Option<Record>,
    keep: Option<usize>,
    writing: bool,
    pruning: bool,
    trouble: Option<String>,
}

impl Publisher {
    /// One for task `id`.
    #[must_use]
    pub fn new(dir: StatusDir, id: TaskId) -> Self {
        let desk = Desk { dir, id, work: Mutex::default(), changed: Condvar::new() };
        Self { desk: Arc::new(desk), started: false }
    }

    /// Has `record` written soon.
    pub fn write(&mut self, record: Record) {
        self.desk.work().record = Some(record);
        self.wake();
    }

    /// Has finished tasks beyond the newest `keep` removed.
    pub fn prune(&mut self, keep: usize) {
        self.desk.work().keep = Some(keep);
        self.wake();
    }

    /// What went wrong since this was last asked.
    pub fn take_trouble(&self) -> Option<String> {
        self.desk.work().trouble.take()
    }

    /// Withdraws the record that has not been written yet, and waits for one that is being written. After this the
    /// caller may write records itself. Pruning is not waited for: it may take long in a large directory.
    pub fn finish(&self) {
        let mut work = self.desk.work();
        work.record = None;
        drop(self.desk.wait_while(work, |work| work.writing));
    }

    /// Does something, such as forking, while the thread holds no lock and is in the middle of nothing.
    pub fn at_rest<T>(&self, act: impl FnOnce() -> T) -> T {
        let work = self.desk.wait_while(self.desk.work(), |work| work.writing || work.pruning);
        let result = act();
        drop(work);
        result
    }

    fn wake(&mut self) {
        if !self.started {
            let desk = Arc::clone(&self.desk);
            match thread::Builder::new()
                .name("gco-publisher".to_owned())
                .stack_size(256 << 10)
                .spawn(move || desk.serve())
            {
                Ok(_) => self.started = true,
                // No thread to be had: then it is done here, as far as there is something to do.
                Err(_) => self.desk.do_what_there_is(),
            }
        }
        self.desk.changed.notify_all();
    }
}

impl Desk {
    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, work: MutexGuard<'a, Work>) -> MutexGuard<'a, Work> {
        self.changed.wait(work).unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while<'a>(
        &self,
        work: MutexGuard<'a, Work>,
        busy: impl Fn(&Work) -> bool,
    ) -> MutexGuard<'a, Work> {
        self.changed.wait_while(work, |work| busy(work)).unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        loop {
            let mut work = self.work();
            while work.record.is_none() && work.keep.is_none() {
                work = self.wait(work);
            }
            drop(work);
            self.do_what_there_is();
        }
    }

    fn do_what_there_is(&self) {
        let mut work = self.work();
        let (record, keep) = (mem::take(&mut work.record), mem::take(&mut work.keep));
        work.writing = record.is_some();
        work.pruning = keep.is_some();
        drop(work);
        let written = record.map_or(Ok(()), |record| replace::replace(&self.dir, &self.id, &record));
        self.did(written, "the record could not be written", |work| work.writing = false);
        let pruned = keep.map_or(Ok(0), |keep| prune::retain(&self.dir, keep));
        self.did(pruned.map(drop), "old tasks could not be removed", |work| work.pruning = false);
    }

    fn did(&self, result: io::Result<()>, what: &str, settle: impl FnOnce(&mut Work)) {
        let mut work = self.work();
        settle(&mut work);
        if let Err(error) = result {
            work.trouble = Some(format!("{what}: {}", io_words(&error)));
        }
        drop(work);
        self.changed.notify_all();
    }
}
