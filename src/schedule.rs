//! A crontab expression and the instants at which it fires, and the loop that waits for them.
//!
//! An expression is parsed here, not by the `cron` crate, whose syntax is another one (seconds
//! first, Sunday is 1, both day fields must match); the crate then finds the next occurrence in
//! sets of numbers that leave it nothing to interpret. It only ever sees a fixed offset from UTC:
//! [`Schedule::next_after`] starts it again wherever the zone changes its offset.
//!
//! Knows nothing of what is reset, and takes its clock, its zone and its effects as arguments.

mod crontab;
mod error;
mod field;
mod local_zone;
mod wait;
mod zone;

use std::iter;

use chrono::{DateTime, Datelike, TimeDelta, Utc};

use self::crontab::Crontab;
use self::zone::first_change;

pub use self::error::{CrontabError, FieldFault, LargeStep};
pub use self::field::Field;
pub use self::local_zone::{LocalZone, ZoneError};
pub use self::wait::{Due, SystemClock, Wait, WallClock, run};
pub use self::zone::Zone;

/// No two offsets are further apart than this, since each is less than a day from UTC.
const OFFSETS_APART_MAX: TimeDelta = TimeDelta::days(2);

/// The last year the `cron` crate knows. Schedules by fields end there.
const YEAR_MAX: i32 = 2100;

/// When to fire: five fields of crontab(5), one of its `@` words, or `@every DURATION`.
#[derive(Clone, Debug)]
pub struct Schedule {
    crontab: Crontab,
    large_steps: Vec<LargeStep>,
}

impl Schedule {
    /// Parses `expression`, whatever blanks and line ends are around it, as crontab(5) has it, and
    /// `?`, `a/n` and `@every` as the Go package `robfig/cron` has them. `@every` fires at whole
    /// multiples of its duration from `start`, both cut to whole seconds; nothing else looks at
    /// `start`.
    ///
    /// # Errors
    ///
    /// Refuses all else, naming the field at fault and what is allowed there. An expression for
    /// a day that no month has, such as `0 0 31 2 *`, is no error: see [`Schedule::next_after`].
    pub fn parse(expression: &str, start: DateTime<Utc>) -> Result<Schedule, CrontabError> {
        let crontab = crontab::parse(expression, start)?;
        let large_steps = crontab::large_steps(expression);
        Ok(Schedule {
            crontab,
            large_steps,
        })
    }

    /// What means something else than it seems to.
    #[must_use]
    pub fn large_steps(&self) -> &[LargeStep] {
        &self.large_steps
    }

    /// The first occurrence strictly after `instant` by the clocks of `zone`, or `None` if it
    /// never fires (again). Fields are known for the years 1970 to 2100.
    ///
    /// Where clocks go forward, a time that they skip does not happen; where they go back, a time
    /// that they show twice happens twice. (cron(8) differs for the jobs that it takes for daily
    /// ones: it runs them once, at the change.)
    pub fn next_after(&self, instant: DateTime<Utc>, zone: &impl Zone) -> Option<DateTime<Utc>> {
        match &self.crontab {
            Crontab::Fields { engines } => next_by_fields(engines, instant, zone),
            Crontab::Every { start, interval } => next_on_grid(*start, *interval, instant),
        }
    }

    /// What to say of a window that begins now, at a reset or a start: the same occurrences come
    /// after it, and `@every` that is parsed with it as its start keeps its grid.
    #[must_use]
    pub fn window_start(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        match &self.crontab {
            Crontab::Fields { .. } => now,
            Crontab::Every { start, interval } => {
                let next = next_on_grid(*start, *interval, now);
                next.and_then(|next| next.checked_sub_signed(*interval))
                    .unwrap_or(now)
            }
        }
    }

    /// All occurrences strictly after `instant`, in order; see [`Schedule::next_after`].
    pub fn occurrences(
        &self,
        instant: DateTime<Utc>,
        zone: &impl Zone,
    ) -> impl Iterator<Item = DateTime<Utc>> {
        let first = self.next_after(instant, zone);
        iter::successors(first, move |previous| self.next_after(*previous, zone))
    }
}

/// Walks forward in stretches of one offset, since the engine is right within such a stretch only.
///
/// `unruled` is the first whole second not yet ruled out. The engine's candidate holds if the
/// offset does not change up to it. When it is far away, looking for a change all the way would be
/// slow, and is not needed: an occurrence under another offset shows the clocks either a time from
/// before `unruled` or one from `candidate` on, so it is less than [`OFFSETS_APART_MAX`] from one
/// of the two, and all between can be skipped.
fn next_by_fields(
    engines: &[cron::Schedule],
    instant: DateTime<Utc>,
    zone: &impl Zone,
) -> Option<DateTime<Utc>> {
    let mut unruled = second_after(instant)?;
    loop {
        let candidate = engines_next(engines, unruled, zone)?;
        let looked_until = candidate.min(unruled + OFFSETS_APART_MAX);
        if let Some(change) = first_change(zone, unruled, looked_until) {
            unruled = change;
        } else if looked_until == candidate {
            return Some(candidate);
        } else {
            unruled = looked_until.max(candidate - OFFSETS_APART_MAX);
        }
    }
}

/// The earliest occurrence at `first` or later, as if the offset at `first` stayed in force.
///
/// Two engines are the two day fields of one expression, of which either may match: the earlier
/// occurrence wins.
fn engines_next(
    engines: &[cron::Schedule],
    first: DateTime<Utc>,
    zone: &impl Zone,
) -> Option<DateTime<Utc>> {
    // The engine looks strictly after the time it is given, in whole seconds.
    let before = (first - TimeDelta::seconds(1)).with_timezone(&zone.offset_at(first));
    let next = |engine: &cron::Schedule| engine.after(&before).next();
    engines
        .iter()
        .filter_map(next)
        .min()
        .map(|time| time.to_utc())
}

/// The first whole second after `instant` within the years that the engine knows.
fn second_after(instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if instant.year() > YEAR_MAX {
        return None;
    }
    let second = DateTime::from_timestamp(instant.timestamp() + 1, 0)?;
    Some(second.max(DateTime::UNIX_EPOCH))
}

/// The grid has no beginning, so that a clock set back before `start` does not stop it.
fn next_on_grid(
    start: DateTime<Utc>,
    interval: TimeDelta,
    instant: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let interval_seconds = interval.num_seconds();
    let elapsed_seconds = instant.timestamp() - start.timestamp();
    let intervals = elapsed_seconds.div_euclid(interval_seconds) + 1;
    let next_seconds = start.timestamp() + intervals.checked_mul(interval_seconds)?;
    DateTime::from_timestamp(next_seconds, 0)
}
