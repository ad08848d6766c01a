//! When to look at all connections: often enough, without taking much of a processor for it.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// How often all connections are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// How soon after a new one came, or one has sent a lot: it may send much in a short time.
const QUICK_LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Looking takes no more than one in so many of a processor's seconds.
const LOOK_SHARE: u32 = 20;

/// How soon to look again.
pub enum Pace {
    Usual,
    Quick,
}

/// When to look at all connections.
pub struct Looks {
    last: Instant,
    /// What the last one took of a processor.
    cost: Duration,
    next: Instant,
}

impl Looks {
    /// The first is due.
    pub fn new() -> Looks {
        let now = Instant::now();
        Looks {
            last: now,
            cost: Duration::ZERO,
            next: now,
        }
    }

    /// How long it is until the next is due.
    pub fn time_left(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// Looks, and plans the next one.
    pub fn run(&mut self, look: impl FnOnce() -> Pace) {
        self.last = Instant::now();
        let (cost, pace) = processor_time_of(look);
        self.cost = cost;
        self.next = self.last + LOOK_INTERVAL.max(cost * LOOK_SHARE);
        if let Pace::Quick = pace {
            self.hasten();
        }
    }

    /// The next one comes soon, if that does not take too much of the time.
    pub fn hasten(&mut self) {
        let soon = self.last + QUICK_LOOK_INTERVAL.max(self.cost * LOOK_SHARE);
        self.next = self.next.min(soon);
    }
}

/// What some work of this thread takes of a processor: on a busy machine, less than the time that
/// passes.
pub fn processor_time_of<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default();
    let begun = now();
    let done = work();
    (now().saturating_sub(begun), done)
}
