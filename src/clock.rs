//! The time by which changes are ordered and silence is measured: it goes on at an even pace and
//! never back, whatever the wall clock does.
//!
//! Invariant: of two readings, the later one is not the smaller. It begins at the wall time, or at
//! that of the last record if that is later, and advances with the time that the machine runs. A
//! wall clock that leaps forward takes it along; one that is set back does not.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The wall clock is followed when it is ahead by more than this.
const LEAP_MILLIS_MIN: u64 = 60_000;

/// See the module.
#[derive(Debug)]
pub struct Clock {
    started: Instant,
    /// What it showed at the start, and what the wall clock has leapt since.
    base_millis: AtomicU64,
}

impl Clock {
    /// A clock that shows the wall time, or this time in unix milliseconds if that is later.
    #[must_use]
    pub fn starting_from(last_millis: u64) -> Clock {
        Clock {
            started: Instant::now(),
            base_millis: AtomicU64::new(wall_millis().max(last_millis)),
        }
    }

    /// The time in unix milliseconds.
    #[must_use]
    pub fn now_millis(&self) -> u64 {
        self.base_millis
            .load(Relaxed)
            .saturating_add(self.running_millis())
    }

    /// How far the wall clock is ahead, in milliseconds, if it has leapt forward by more than a
    /// minute: the machine was suspended, or its clock was wrong.
    #[must_use]
    pub fn leap_millis(&self) -> Option<u64> {
        let ahead_millis = wall_millis().saturating_sub(self.now_millis());
        (ahead_millis > LEAP_MILLIS_MIN).then_some(ahead_millis)
    }

    /// Advances by these milliseconds, to follow the wall clock. Only one thread may do so.
    pub fn advance(&self, millis: u64) {
        self.base_millis.fetch_add(millis, Relaxed);
    }

    fn running_millis(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// The wall time in unix milliseconds.
#[must_use]
pub fn wall_millis() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = since_epoch.map_or(0, |elapsed| elapsed.as_millis());
    u64::try_from(millis).unwrap_or(u64::MAX)
}
