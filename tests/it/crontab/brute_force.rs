//! The definition of an occurrence, without any cleverness: a second at which the clocks of the
//! zone show a minute that the fields allow. And expressions drawn at random, with their meaning.

use std::fmt::Write;

use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc};
use prometheus_aggregation_gateway::schedule::Zone;

/// The numbers that each field allows, one bit each, with Sunday as 0; and whether the day fields
/// are `*`.
#[derive(Debug)]
pub struct Meaning {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    any_day: bool,
    any_weekday: bool,
}

/// What the clocks of a zone show whenever they begin a minute.
pub struct LocalMinute {
    pub instant: DateTime<Utc>,
    minute: u32,
    hour: u32,
    day: u32,
    month: u32,
    weekday: u32,
}

/// Every minute that begins after `from` and up to `until`. `step_seconds` is 60 where all offsets
/// are whole minutes, and 1 otherwise.
pub fn local_minutes(
    zone: &impl Zone,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    step_seconds: i64,
) -> Vec<LocalMinute> {
    let mut minutes = Vec::new();
    let mut instant = from + TimeDelta::seconds(step_seconds);
    while instant <= until {
        let local = instant.naive_utc() + zone.offset_at(instant);
        if local.second() == 0 {
            minutes.push(LocalMinute {
                instant,
                minute: local.minute(),
                hour: local.hour(),
                day: local.day(),
                month: local.month(),
                weekday: local.weekday().num_days_from_sunday(),
            });
        } else {
            assert_ne!(
                step_seconds, 60,
                "an offset with seconds needs steps of one second"
            );
        }
        instant += TimeDelta::seconds(step_seconds);
    }
    minutes
}

impl Meaning {
    pub fn occurrences(&self, minutes: &[LocalMinute]) -> Vec<DateTime<Utc>> {
        minutes
            .iter()
            .filter(|minute| self.allows(minute))
            .map(|minute| minute.instant)
            .collect()
    }

    fn allows(&self, local: &LocalMinute) -> bool {
        let has = |numbers: u64, number: u32| numbers & (1 << number) != 0;
        if !has(self.minutes, local.minute) || !has(self.hours, local.hour) {
            return false;
        }
        let (day, weekday) = (has(self.days, local.day), has(self.weekdays, local.weekday));
        let either = !self.any_day && !self.any_weekday;
        let days_match = if either {
            day || weekday
        } else {
            day && weekday
        };
        days_match && has(self.months, local.month)
    }
}

/// The generator splitmix64: the same numbers in every run.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From `least` to `greatest`, both included.
    pub fn within(&mut self, least: u32, greatest: u32) -> u32 {
        let count = u64::from(greatest - least) + 1;
        least + u32::try_from(self.next() % count).unwrap()
    }

    pub fn seconds(&mut self, least: i64, greatest: i64) -> TimeDelta {
        let count = u64::try_from(greatest - least).unwrap() + 1;
        TimeDelta::seconds(least + i64::try_from(self.next() % count).unwrap())
    }
}

/// An expression and what it means, each written on its own from the same draws.
pub fn draw(random: &mut Random) -> (String, Meaning) {
    let (minute, minutes) = draw_field(random, 0, 59, 2);
    let (hour, hours) = draw_field(random, 0, 23, 3);
    let (day, days) = draw_field(random, 1, 31, 2);
    let (month, months) = draw_field(random, 1, 12, 2);
    let (weekday, weekdays) = draw_field(random, 0, 6, 2);
    let [any_day, any_weekday] = [&day, &weekday].map(|text| STARS.contains(&text.as_str()));
    let meaning = Meaning {
        minutes,
        hours,
        days,
        months,
        weekdays,
        any_day,
        any_weekday,
    };
    (format!("{minute} {hour} {day} {month} {weekday}"), meaning)
}

const STARS: [&str; 3] = ["*", "?", "*/1"];

/// `*` once in `star_odds`, else up to three items.
fn draw_field(random: &mut Random, low: u32, high: u32, star_odds: u32) -> (String, u64) {
    if random.within(1, star_odds) == 1 {
        let text = STARS[random.within(0, 2) as usize];
        return (text.to_owned(), bits(low..=high));
    }
    let mut text = String::new();
    let mut numbers = 0;
    for index in 0..random.within(1, 3) {
        let separator = if index == 0 { "" } else { "," };
        let first = random.within(low, high);
        let last = random.within(first, high);
        let step = random.within(2, high);
        let in_steps = |last: u32| (first..=last).step_by(step as usize);
        match random.within(0, 4) {
            0 => {
                write!(text, "{separator}{first}-{last}").unwrap();
                numbers |= bits(first..=last);
            }
            1 => {
                write!(text, "{separator}{first}-{last}/{step}").unwrap();
                numbers |= bits(in_steps(last));
            }
            2 => {
                write!(text, "{separator}{first}/{step}").unwrap();
                numbers |= bits(in_steps(high));
            }
            _ => {
                write!(text, "{separator}{first:02}").unwrap();
                numbers |= bits([first]);
            }
        }
    }
    (text, numbers)
}

fn bits(numbers: impl IntoIterator<Item = u32>) -> u64 {
    numbers
        .into_iter()
        .fold(0, |bits, number| bits | 1 << number)
}
