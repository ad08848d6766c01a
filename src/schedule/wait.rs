//! The loop that sleeps until the next occurrence, by a wall clock that may step.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Schedule, Zone};

/// How long the loop may go without looking at the wall clock, which can be set, and stands still
/// for a sleeping thread while the machine is suspended.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);

/// A clock that is set back by less repeats time that was already served, as cron(8) has it for
/// jobs of a fixed time; here that holds for all schedules, so that no window is cut in two. One
/// that is set back by more had been wrong, and what it now says counts.
const STEP_BACK_MAX: TimeDelta = TimeDelta::hours(3);

/// A wall clock to sleep by.
pub trait WallClock {
    /// The wall time. It may go backwards and leap forwards.
    fn now(&self) -> DateTime<Utc>;

    /// Sleeps for `at_most` of running time, and less if it is told to stop.
    fn wait(&self, at_most: Duration) -> Wait;
}

/// Why [`WallClock::wait`] came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The time is over.
    Elapsed,
    /// The loop must end.
    Stopped,
}

/// The system's clock; stopped by a message, or by dropping the sender.
#[derive(Debug)]
pub struct SystemClock {
    stop: Receiver<()>,
}

impl SystemClock {
    /// A clock whose [`WallClock::wait`] ends when `stop` has a message, or no sender any more.
    #[must_use]
    pub fn new(stop: Receiver<()>) -> SystemClock {
        SystemClock { stop }
    }
}

impl WallClock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn wait(&self, at_most: Duration) -> Wait {
        match self.stop.recv_timeout(at_most) {
            Err(RecvTimeoutError::Timeout) => Wait::Elapsed,
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Wait::Stopped,
        }
    }
}

/// A reset that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// The occurrence that it is for: the first one since the last look.
    pub occurrence: DateTime<Utc>,
    /// The wall time at which it was seen to be due. All occurrences up to now are served by it.
    pub now: DateTime<Utc>,
    /// The next occurrence, so that the reset and its announcement can be one event.
    pub next: Option<DateTime<Utc>>,
}

/// Calls `reset` whenever an occurrence after `since` is due, and `announce` with the next
/// occurrence before the first wait and whenever it has changed, until the clock says stop.
///
/// After each wait of at most 30 s, it decides by the wall time alone (cron(8), "daylight saving
/// time and other time changes"):
///
/// - occurrences that time leapt over, be it a step or a suspension, are served by one reset;
/// - a step back of up to three hours repeats no occurrence: the next one is after all time that
///   was ever seen;
/// - after a larger step back the next occurrence is the next by the new time;
/// - without a next occurrence it waits until stopped.
///
/// `zone` is asked for at each look, so that a process follows a change of its zone.
pub fn run<Z: Zone>(
    schedule: &Schedule,
    zone: impl Fn() -> Z,
    clock: &impl WallClock,
    since: DateTime<Utc>,
    mut announce: impl FnMut(Option<DateTime<Utc>>),
    mut reset: impl FnMut(Due),
) {
    // All occurrences up to here are served, or were never due.
    let mut served = since;
    let mut announced = None;
    loop {
        let now = clock.now();
        if served - now > STEP_BACK_MAX {
            served = now;
        }
        let zone = zone();
        let mut next = schedule.next_after(served, &zone);
        served = served.max(now);
        if let Some(occurrence) = next.filter(|occurrence| *occurrence <= now) {
            next = schedule.next_after(served, &zone);
            reset(Due {
                occurrence,
                now,
                next,
            });
        }
        if announced != Some(next) {
            announce(next);
            announced = Some(next);
        }
        if clock.wait(time_to_next_look(next, clock.now())) == Wait::Stopped {
            return;
        }
    }
}

fn time_to_next_look(next: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Duration {
    match next.map(|next| (next - now).to_std()) {
        None => LOOK_INTERVAL,
        Some(Ok(remaining)) => remaining.min(LOOK_INTERVAL),
        // Already due again, since the reset took longer than the schedule's interval.
        Some(Err(_)) => Duration::ZERO,
    }
}
