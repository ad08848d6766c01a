//! A time zone: the offset from UTC in force at an instant, and where it changes.

use chrono::{DateTime, FixedOffset, TimeDelta, Utc};

/// A time zone, as the one question that has one answer: the offset in force at an instant. (The
/// other way round, a local time has none in the spring gap and two in the autumn overlap.)
pub trait Zone {
    /// The offset from UTC in force at `instant`. It changes at whole seconds only, and not twice
    /// within an hour. (The shortest time between two changes since 1970 is a week.)
    fn offset_at(&self, instant: DateTime<Utc>) -> FixedOffset;

    /// What the clocks of the zone show at `instant`.
    fn local_time(&self, instant: DateTime<Utc>) -> DateTime<FixedOffset> {
        instant.with_timezone(&self.offset_at(instant))
    }
}

impl<Z: Zone> Zone for &Z {
    fn offset_at(&self, instant: DateTime<Utc>) -> FixedOffset {
        Z::offset_at(self, instant)
    }
}

/// The longest time in which a zone changes its offset at most once.
const PROBE_INTERVAL: TimeDelta = TimeDelta::hours(1);

/// The first instant after `from` and up to `until` at which another offset is in force than
/// just before, if any. Both are whole seconds.
pub(super) fn first_change(
    zone: &impl Zone,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let offset = zone.offset_at(from);
    let mut unchanged = from;
    while unchanged < until {
        let probe = until.min(unchanged + PROBE_INTERVAL);
        if zone.offset_at(probe) != offset {
            return Some(bisect_change(zone, unchanged, probe));
        }
        unchanged = probe;
    }
    None
}

fn bisect_change(
    zone: &impl Zone,
    mut unchanged: DateTime<Utc>,
    mut changed: DateTime<Utc>,
) -> DateTime<Utc> {
    let offset = zone.offset_at(unchanged);
    while changed - unchanged > TimeDelta::seconds(1) {
        let middle = unchanged + TimeDelta::seconds((changed - unchanged).num_seconds() / 2);
        if zone.offset_at(middle) == offset {
            unchanged = middle;
        } else {
            changed = middle;
        }
    }
    changed
}
