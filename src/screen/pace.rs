//! When to look at the tasks: soon after something has changed, and not more often than a screen is worth.

use std::time::{Duration, Instant};

/// The shortest time between two looks. What changes in between is seen at the next.
pub const GAP: Duration = Duration::from_millis(100);

/// The times of the looks.
#[derive(Debug)]
pub struct Pace {
    looked: Option<Instant>,
    due: Option<Instant>,
    /// The next look is not the last: a lock file is told to be closed a moment before its lock is dropped.
    again: bool,
}

impl Pace {
    /// The first look is due at once.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { looked: None, due: Some(now), again: false }
    }

    /// Something has changed.
    pub fn changed(&mut self, now: Instant) {
        let soonest = self.looked.map_or(now, |looked| (looked + GAP).max(now));
        self.due = Some(self.due.map_or(soonest, |due| due.min(soonest)));
        self.again = true;
    }

    /// The next look is to be at once.
    pub fn hurry(&mut self, now: Instant) {
        self.due = Some(now);
    }

    /// Whether to look now. If so, that counts as done.
    pub fn looks(&mut self, now: Instant) -> bool {
        if self.due.is_none_or(|due| due > now) {
            return false;
        }
        self.looked = Some(now);
        self.due = self.again.then(|| now + GAP);
        self.again = false;
        true
    }

    /// How long to wait for the next look, `most` at most.
    #[must_use]
    pub fn left(&self, now: Instant, most: Duration) -> Duration {
        self.due.map_or(most, |due| due.saturating_duration_since(now).min(most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_looked_at_twice() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut pace = Pace::new(start);
        assert!(pace.looks(start) && !pace.looks(at(1)));
        for millis in 10..20 {
            pace.changed(at(millis));
        }
        assert_eq!(pace.left(at(20), Duration::from_secs(1)), Duration::from_millis(80));
        assert!(!pace.looks(at(99)) && pace.looks(at(100)));
        assert!(!pace.looks(at(199)) && pace.looks(at(200)));
        assert_eq!(pace.left(at(201), Duration::from_secs(1)), Duration::from_secs(1));
        pace.changed(at(900));
        assert!(pace.looks(at(900)), "after a pause at once");
        pace.hurry(at(901));
        assert!(pace.looks(at(901)));
    }
}
