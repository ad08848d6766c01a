//! Unix times and durations to text. Times are in UTC, in the Gregorian calendar.

use std::fmt;

const DAY: u64 = 86_400;

/// A unix time in seconds as `2026-11-26 19:05:56`.
#[derive(Clone, Copy, Debug)]
pub struct DateTime(pub u64);

/// The same as RFC 3339 has it, for programs.
#[derive(Clone, Copy, Debug)]
pub struct Rfc3339(pub u64);

/// The same of a unix time in milliseconds, to the millisecond.
#[derive(Clone, Copy, Debug)]
pub struct Rfc3339Millis(pub u64);

/// The time of a day of a unix time in seconds, to the minute.
#[derive(Clone, Copy, Debug)]
pub struct HourMinute(pub u64);

/// Seconds in at most two units: `3 d 4 h`, `12 min 5 s`, `45 s`.
#[derive(Clone, Copy, Debug)]
pub struct Lasting(pub u64);

impl fmt::Display for DateTime {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_instant(self.0, ' ', to)
    }
}

impl fmt::Display for Rfc3339 {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_instant(self.0, 'T', to)?;
        to.write_str("Z")
    }
}

impl fmt::Display for Rfc3339Millis {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_instant(self.0 / 1000, 'T', to)?;
        write!(to, ".{:03}Z", self.0 % 1000)
    }
}

impl fmt::Display for HourMinute {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minute = self.0 % DAY / 60;
        write!(to, "{:02}:{:02}", minute / 60, minute % 60)
    }
}

impl fmt::Display for Lasting {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0;
        let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / DAY);
        match (days, hours, minutes) {
            (1.., _, _) => write!(to, "{days} d {} h", hours % 24),
            (_, 1.., _) => write!(to, "{hours} h {} min", minutes % 60),
            (_, _, 1..) => write!(to, "{minutes} min {} s", seconds % 60),
            _ => write!(to, "{seconds} s"),
        }
    }
}

fn write_instant(seconds: u64, between: char, to: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (year, month, day) = date(seconds / DAY);
    let time = HourMinute(seconds);
    let second = seconds % 60;
    write!(
        to,
        "{year:04}-{month:02}-{day:02}{between}{time}:{second:02}"
    )
}

/// The year, month and day of a number of days since 1970-01-01, in the Gregorian calendar: Howard
/// Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`. A year begins in
/// March there, so that the leap day is its last.
fn date(days: u64) -> (u64, u64, u64) {
    let since_march_0000 = days + 719_468;
    let (era, day_of_era) = (since_march_0000 / 146_097, since_march_0000 % 146_097);
    let leap_days = day_of_era / 1460 + day_of_era / 146_096;
    let year_of_era = (day_of_era + day_of_era / 36_524 - leap_days) / 365;
    let before_year = 365 * year_of_era + year_of_era / 4 - year_of_era / 100;
    let day_of_year = day_of_era - before_year;
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let (month, next_year) = match month_from_march {
        0..=9 => (month_from_march + 3, 0),
        _ => (month_from_march - 9, 1),
    };
    (era * 400 + year_of_era + next_year, month, day)
}
