//! The clocks.

use std::time::{Duration, Instant};

use nix::poll::PollTimeout;
use nix::time::{ClockId, clock_gettime};

/// Time since boot, the time the machine was suspended included. It means the same in every process of
/// this boot and is never set.
#[must_use]
pub fn since_boot() -> Duration {
    // The clock is there since Linux 2.6.39; asking it cannot fail.
    clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default()
}

/// Time on a clock that stands still while the machine is suspended, means the same in every process of this boot and is
/// never set.
#[must_use]
pub fn awake() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default()
}

/// The [`Instant`] at which [`awake`] will be `at`; now if that has passed.
#[must_use]
pub fn instant_at(at: Duration) -> Instant {
    let now = Instant::now();
    // A span of years is not to be waited for in one go anyway.
    now.checked_add(at.saturating_sub(awake())).unwrap_or(now + Duration::from_secs(86_400))
}

/// Time since 1970, as the wall clock has it.
#[must_use]
pub fn since_epoch() -> Duration {
    clock_gettime(ClockId::CLOCK_REALTIME).map(Duration::from).unwrap_or_default()
}

/// The time in whole seconds since 1970, as records have it.
#[must_use]
pub fn now() -> i64 {
    since_epoch().as_secs().cast_signed()
}

/// How long a poll may take that is to return at `deadline`. Rounded up: one that returns too early only turns in vain.
#[must_use]
pub fn poll_timeout(deadline: Option<Instant>) -> PollTimeout {
    deadline.map_or(PollTimeout::NONE, |deadline| {
        let millis = deadline.saturating_duration_since(Instant::now()).as_micros().div_ceil(1000);
        PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
    })
}
