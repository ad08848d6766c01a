//! An event to a line.
//!
//! ```text
//! 2026-11-26T19:05:56.123Z WARN push refused sender=192.0.2.7 status=400 reason="line 1: ..."
//! <4>push refused sender=192.0.2.7 status=400 reason="line 1: ..."
//! {"time":"2026-11-26T19:05:56.123Z","level":"warn","message":"push refused","status":400}
//! ```
//!
//! The first line is logfmt behind the message; the second one is for systemd (sd-daemon(3)), which
//! has a time and a priority of its own for each line.

use std::fmt::{self, Write};
use std::str::FromStr;

use super::{Event, Level, Value, printable};
use crate::excerpt::Excerpt;

/// For whom lines are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people, and for logfmt.
    Text,
    /// One object of JSON (RFC 8259) a line.
    Json,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(word: &str) -> Result<Format, String> {
        match word {
            "text" => Ok(Format::Text),
            "json" => Ok(Format::Json),
            _ => Err(format!(
                "expected text or json, found {}",
                Excerpt::of(word)
            )),
        }
    }
}

/// How a line says when it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// By its time and level.
    Time,
    /// It does not: systemd knows. It begins with the priority.
    Priority,
}

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Of all lines.
    pub format: Format,
    /// Of all lines.
    pub stamp: Stamp,
}

impl Style {
    /// The line of an event at a time in unix milliseconds, without a line feed.
    #[must_use]
    pub fn line(self, event: &Event, time_millis: u64) -> String {
        let mut line = String::new();
        // A String takes whatever is written.
        let _ = match self.format {
            Format::Text => self.write_text(event, time_millis, &mut line),
            Format::Json => self.write_json(event, time_millis, &mut line),
        };
        line
    }

    fn write_text(self, event: &Event, time_millis: u64, to: &mut String) -> fmt::Result {
        match self.stamp {
            Stamp::Time => {
                let level = match event.level {
                    Level::Error => "ERROR",
                    Level::Warn => "WARN",
                    Level::Info => "INFO",
                    Level::Debug => "DEBUG",
                };
                write!(to, "{} {level} ", Time(time_millis))?;
            }
            Stamp::Priority => write!(to, "<{}>", event.level.priority())?,
        }
        to.push_str(&printable(event.message.as_bytes(), usize::MAX));
        for (name, value) in &event.fields {
            match value {
                Value::Number(number) => write!(to, " {name}={number}")?,
                Value::Text(text) => {
                    let text = printable(text.as_bytes(), usize::MAX);
                    let needs_quotes = |character| matches!(character, ' ' | '"' | '=');
                    if text.is_empty() || text.contains(needs_quotes) {
                        let text = text.replace('\\', r"\\").replace('"', r#"\""#);
                        write!(to, " {name}=\"{text}\"")?;
                    } else {
                        write!(to, " {name}={text}")?;
                    }
                }
            }
        }
        Ok(())
    }

    fn write_json(self, event: &Event, time_millis: u64, to: &mut String) -> fmt::Result {
        match self.stamp {
            Stamp::Time => write!(to, "{{\"time\":\"{}\",", Time(time_millis))?,
            Stamp::Priority => write!(to, "<{}>{{", event.level.priority())?,
        }
        write!(to, "\"level\":\"{}\",\"message\":", event.level.word())?;
        write_json_string(&event.message, to);
        for (name, value) in &event.fields {
            write!(to, ",\"{name}\":")?;
            match value {
                Value::Number(number) => write!(to, "{number}")?,
                Value::Text(text) => write_json_string(text, to),
            }
        }
        to.push('}');
        Ok(())
    }
}

fn write_json_string(text: &str, to: &mut String) {
    to.push('"');
    for character in printable(text.as_bytes(), usize::MAX).chars() {
        if matches!(character, '"' | '\\') {
            to.push('\\');
        }
        to.push(character);
    }
    to.push('"');
}

/// A time in unix milliseconds, shown in UTC (RFC 3339 section 5.6).
struct Time(u64);

impl fmt::Display for Time {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0 / 1000, self.0 % 1000);
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = date(days);
        let (hour, minute) = (second / 3600, second / 60 % 60);
        let second = second % 60;
        write!(
            to,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"
        )
    }
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
