//! Moving bytes: from the command's pipes through the spool into the log and to where they are shown.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::PollFlags;

use super::control::Request;
use super::echo::Shown;
use super::message::Report;
use super::rerun::Rerun;
use super::supervisor::Supervisor;
use super::terminals::Moved;
use super::wait::SOON;
use crate::failure::io_words;
use crate::sys::descriptors::bytes_waiting;
use crate::sys::pty;
use crate::sys::ring::Taken;
use crate::task::Stream;
use crate::task::spec::Echo as When;

/// A read is hurried if it brought less than this, and
const GATHER_BYTES: usize = 16 << 10;
/// came this soon after the one before. After a number of them in a row each is followed by a pause of the same length: so
/// a command that writes line by line is read by the dozen, while a line after a pause is seen at once.
const GATHER_TIME: Duration = Duration::from_millis(1);
/// That number.
const STREAK: u32 = 8;
/// But not while the other stream has brought something for less than this: the longer the pause, the less is
/// known of what came first.
const ALONE: Duration = Duration::from_millis(20);

/// A terminal holds no more than this that has been shown and not been taken: the kernel's buffers.
const MOST_IN_TERMINAL: u64 = 64 << 10;

/// How often at most what is on the way from the terminals is taken in a row: they hold less, unless somebody writes on.
const MOST_ON_THE_WAY: usize = 16;

/// How a stream's bytes come.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    /// When the last came.
    last: Option<Instant>,
    /// How many hurried reads there were in a row.
    streak: u32,
}

impl Supervisor {
    /// Takes what the command has written to `stream`, logs it, shows it.
    pub(super) fn take(&mut self, stream: Stream) {
        let n = stream.index();
        if self.handover.sources[n].is_none() || self.handover.spools[n].is_full() {
            return;
        }
        let moved = self.move_on(stream);
        let Some(source) = &self.handover.sources[n] else { return };
        let taken = self.handover.spools[n].take(source.as_fd());
        let now = Instant::now();
        match taken {
            Ok(Taken::Bytes(bytes)) => {
                self.store(stream, now);
                self.heard();
                // A terminal that somebody else holds open is not heard of again once it has nothing more.
                if self.handover.spools[n].end() >= self.owed_until[n] || self.is_terminal_empty(stream) {
                    self.machine.owes(stream, false);
                }
                self.gather(stream, bytes, now);
            }
            Ok(Taken::Nothing) => {
                self.machine.owes(stream, false);
                if moved == Some(Moved::Closed) && self.is_terminal_over() {
                    self.source_ended(stream);
                }
            }
            Ok(Taken::End) => self.source_ended(stream),
            // Out of memory, most likely. What is in the pipe stays there; the command waits until there is some.
            Err(_) => std::thread::sleep(SOON),
        }
    }

    /// Whether `stream` comes by a terminal, and there is nothing more on the way from there now.
    fn is_terminal_empty(&self, stream: Stream) -> bool {
        let has_terminal =
            self.handover.is_terminal(stream) && self.handover.sources[stream.index()].is_some();
        has_terminal && self.machine.is_draining() && !self.is_on_the_way(stream)
    }

    /// Whether there is something on the way from the terminal of `stream` now.
    fn is_on_the_way(&self, stream: Stream) -> bool {
        let Some(source) = &self.handover.sources[stream.index()] else { return false };
        bytes_waiting(source.as_fd()) > 0 || self.terminal_of(stream).is_some_and(pty::has_more)
    }

    /// Takes what is on the way from the command's terminals. Somebody else may write on and on: not much more than they hold.
    pub(super) fn take_what_is_on_the_way(&mut self) {
        for _ in 0..MOST_ON_THE_WAY {
            let is_wanted =
                |stream: &Stream| self.handover.is_terminal(*stream) && self.is_on_the_way(*stream);
            let streams: Vec<Stream> = Stream::BOTH.into_iter().filter(is_wanted).collect();
            if streams.is_empty() {
                return;
            }
            streams.into_iter().for_each(|stream| self.take(stream));
        }
    }

    /// The terminal by which `stream` comes.
    fn terminal_of(&self, stream: Stream) -> Option<BorrowedFd<'_>> {
        self.handover.terminals.as_ref()?.of(stream)
    }

    /// Waits for more, if much is coming in little pieces.
    fn gather(&mut self, stream: Stream, bytes: usize, now: Instant) {
        let other = self.pace[1 - stream.index()].last;
        let pace = &mut self.pace[stream.index()];
        let hurried = bytes < GATHER_BYTES && pace.last.is_some_and(|last| now - last < GATHER_TIME);
        pace.streak = if hurried { pace.streak + 1 } else { 0 };
        pace.last = Some(now);
        let alone = other.is_none_or(|last| now - last >= ALONE);
        if pace.streak >= STREAK && alone && !self.machine.is_draining() {
            std::thread::sleep(GATHER_TIME);
            self.pace[stream.index()].last = Some(Instant::now());
        }
    }

    /// Logs and shows what is in the spool, and makes room in it.
    pub(super) fn store(&mut self, stream: Stream, now: Instant) {
        self.log(stream, false);
        self.show(stream);
        let open_line = self.handover.journal.taken(stream) < self.handover.spools[stream.index()].end();
        self.machine.output(stream, open_line, now);
    }

    /// Puts what is in the spool into the log: whole lines, or with `all` the begin of an open one.
    fn log(&mut self, stream: Stream, all: bool) {
        let bytes = self.handover.spools[stream.index()].from(self.handover.journal.taken(stream));
        if self.handover.is_terminal(stream) {
            let how = self.how_shown(stream, all);
            self.handover.journal.store_shown(stream, bytes, how);
        } else if all {
            self.handover.journal.store_part(stream, bytes);
        } else {
            self.handover.journal.store_lines(stream, bytes);
        }
    }

    /// Puts the begin of an open line into the log.
    pub(super) fn flush_part(&mut self, stream: Stream) {
        self.log(stream, true);
        self.machine.flushed(stream);
        self.make_room(stream);
    }

    /// Shows what can be shown.
    pub(super) fn show(&mut self, stream: Stream) {
        if self.handover.is_terminal(stream) {
            self.display(stream);
        }
        if self.handover.echo == When::Always {
            let n = stream.index();
            let journal = &self.handover.journal;
            let state = if self.handover.is_terminal(stream) {
                self.echoes[n].show_logged(journal.written(stream), journal.file(), journal.size())
            } else {
                let spool = &self.handover.spools[n];
                self.echoes[n].show(spool, journal.taken(stream), journal.file(), journal.size())
            };
            self.shown(stream, state);
        }
        self.make_room(stream);
    }

    fn shown(&mut self, stream: Stream, state: Shown) {
        match state {
            Shown::All | Shown::Blocked => {}
            Shown::ReaderGone => {
                if self.handover.echo == When::Always {
                    // The command is to see what it would have seen. Unless all of the terminal is going away: then
                    // this is the first sign of that, and the task goes on. Told first: a successor tells it
                    // again, but not if it finds the place closed.
                    self.tell(&Report::ReaderGone(stream));
                }
                self.stop_showing(stream);
            }
            Shown::Failed(errno) => {
                if !self.echoes[stream.index()].is_terminal() {
                    let words = io_words(&std::io::Error::from_raw_os_error(errno));
                    let words = format!("{} could not be shown: {words}; it is in the log", stream.as_str());
                    self.final_trouble = Some(words.clone());
                    self.handover.warn(words);
                    self.machine.changed();
                }
                self.stop_showing(stream);
            }
        }
    }

    fn make_room(&mut self, stream: Stream) {
        let n = stream.index();
        // What comes by a terminal is shown from here at once, or from the log.
        let from_spool = self.handover.echo == When::Always && !self.handover.is_terminal(stream);
        let shown = if from_spool { self.echoes[n].lets_go() } else { u64::MAX };
        let keep = self.handover.journal.taken(stream).min(shown);
        let was_full = self.handover.spools[n].is_full();
        // If the kernel will not set a file position there is no room to be had; what is there stays right.
        let _ = self.handover.spools[n].rewind(keep);
        if was_full && !self.handover.spools[n].is_full() {
            self.excuse();
        }
    }

    /// Whether there is something for where `stream` is shown.
    pub(super) fn wants_to_show(&self, stream: Stream) -> bool {
        let n = stream.index();
        match self.handover.echo {
            When::Always => !self.echoes[n].has_shown(self.to_show(stream)),
            When::OnFailure => self.rerun.as_ref().is_some_and(|rerun| rerun.waits_for() == stream),
            When::Never => false,
        }
    }

    /// Up to where `stream` is to be shown where that is no viewer's terminal.
    pub(super) fn to_show(&self, stream: Stream) -> u64 {
        if self.handover.is_terminal(stream) {
            self.handover.journal.written(stream)
        } else {
            self.handover.spools[stream.index()].end()
        }
    }

    /// Where `stream` is shown can take more, or has gone.
    pub(super) fn place_changed(&mut self, stream: Stream, events: PollFlags) {
        if !self.echoes[stream.index()].is_on() {
            // Closed since the poll.
        } else if events.intersects(PollFlags::POLLERR | PollFlags::POLLHUP) {
            self.shown(stream, self.echoes[stream.index()].gone());
        } else if self.rerun.is_none() {
            self.show(stream);
        }
    }

    /// Shows no more of `stream`, and lets go of where it was shown.
    pub(super) fn stop_showing(&mut self, stream: Stream) {
        if self.echoes[stream.index()].is_on() {
            self.echoes[stream.index()].close();
        }
        self.handover.close_place(stream);
        self.ask(Request::CloseShown(stream));
        self.make_room(stream);
    }

    /// The command has closed `stream`, and so has everybody it gave it to.
    fn source_ended(&mut self, stream: Stream) {
        self.handover.close_source(stream);
        self.ask(Request::CloseSource(stream));
        self.machine.closed(stream);
        self.flush_part(stream);
        if self.handover.echo == When::Always {
            self.close_when_shown(stream);
        }
    }

    /// Once the command has closed a stream and all of it has been shown, its reader sees the end of it.
    pub(super) fn close_when_shown(&mut self, stream: Stream) {
        let n = stream.index();
        if self.handover.sources[n].is_none()
            && self.handover.places[n].is_some()
            && self.echoes[n].has_shown(self.to_show(stream))
        {
            // What ends all by itself needs no telling, and there may be words to come on it.
            let control = self.handover.control;
            // The front-end has let go of stdout itself.
            let wanted = stream == Stream::Stderr;
            if wanted && control.exit().is_none() && control.start_error().is_none() {
                self.tell(&Report::Closed(stream));
            }
            self.stop_showing(stream);
        }
    }

    /// Closes the command's end of `stream`, because the reader of gco's has closed it.
    pub(super) fn close_source(&mut self, stream: Stream) {
        let n = stream.index();
        let Some(source) = &self.handover.sources[n] else { return };
        // What is in the pipe now, not what may come for ever.
        let until = self.handover.spools[n].end() + bytes_waiting(source.as_fd());
        while self.handover.spools[n].end() < until {
            let Some(source) = &self.handover.sources[n] else { return };
            match self.handover.spools[n].take(source.as_fd()) {
                Ok(Taken::Bytes(_)) => self.store(stream, Instant::now()),
                _ => break,
            }
        }
        self.source_ended(stream);
    }

    /// The command has ended: what is in its pipes now is still its own.
    pub(super) fn count_what_is_owed(&mut self) {
        for stream in Stream::BOTH {
            let n = stream.index();
            let source = self.handover.sources[n].as_ref();
            let waiting = match source.map(|source| bytes_waiting(source.as_fd())) {
                None => 0,
                // How much a terminal holds nobody tells, but whether it holds something.
                Some(waiting) if self.handover.is_terminal(stream) => {
                    let has_more = self.terminal_of(stream).is_some_and(pty::has_more);
                    waiting + if has_more { MOST_IN_TERMINAL } else { 0 }
                }
                Some(waiting) => waiting,
            };
            self.owed_until[n] = self.handover.spools[n].end() + waiting;
            self.machine.owes(stream, waiting > 0);
        }
    }

    /// Whether everything that is to be shown has been. Goes on showing what is left.
    pub(super) fn show_the_rest(&mut self) -> bool {
        for stream in Stream::BOTH {
            if self.handover.echo == When::Always {
                self.close_when_shown(stream);
            }
        }
        if let (Some(rerun), Some(log)) = (&mut self.rerun, self.handover.journal.file()) {
            match rerun.go(log, &self.echoes) {
                Ok(Shown::Blocked) => return false,
                Ok(_) => {}
                Err(error) => {
                    let words = io_words(&error);
                    self.final_trouble = Some(format!("the output cannot be shown: {words}"));
                }
            }
            self.rerun = None;
        }
        // What strangers write after the end is not waited for.
        let shown = |stream: Stream| self.echoes[stream.index()].has_shown(self.ends_at[stream.index()]);
        self.machine.is_finished()
            && (self.handover.echo != When::Always || Stream::BOTH.into_iter().all(shown))
            && self.display.is_up_to_date()
    }

    /// Begins to show everything, if that is wanted and the command has failed.
    pub(super) fn begin_rerun(&mut self) {
        let failed = self.outcome().is_some_and(|outcome| outcome.exit_code != Some(0));
        if self.handover.echo == When::OnFailure && failed && self.handover.journal.file().is_some() {
            self.rerun = Some(Rerun::new());
        }
    }
}
