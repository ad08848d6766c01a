//! Zones to test in: those of the tz database, and tables of offsets.

use chrono::{DateTime, FixedOffset, Offset, TimeZone, Utc};
use chrono_tz::Tz;
use prometheus_aggregation_gateway::schedule::Zone;

pub struct Named(Tz);

#[track_caller]
pub fn named(name: &str) -> Named {
    Named(name.parse().unwrap())
}

impl Zone for Named {
    fn offset_at(&self, instant: DateTime<Utc>) -> FixedOffset {
        self.0.offset_from_utc_datetime(&instant.naive_utc()).fix()
    }
}

/// The first offset holds from the beginning of time, each other one from its instant on.
pub struct Table {
    pub first_seconds: i32,
    pub changes: Vec<(DateTime<Utc>, i32)>,
}

impl Zone for Table {
    fn offset_at(&self, instant: DateTime<Utc>) -> FixedOffset {
        let past = self
            .changes
            .iter()
            .rev()
            .find(|(change, _)| *change <= instant);
        FixedOffset::east_opt(past.map_or(self.first_seconds, |(_, seconds)| *seconds)).unwrap()
    }
}

#[track_caller]
pub fn instant(text: &str) -> DateTime<Utc> {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}
