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

use super::{Level, LogEvent, Value, printable};
use crate::calendar::Rfc3339Millis;
use crate::excerpt::Excerpt;

/// For whom lines are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people, and for logfmt.
    Text,
    /// One object of JSON (RFC 8259) a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(word: &str) -> Result<LogFormat, String> {
        match word {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
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
    pub format: LogFormat,
    /// Of all lines.
    pub stamp: Stamp,
}

impl Style {
    /// The line of an event at a time in unix milliseconds, without a line feed.
    #[must_use]
    pub fn line(self, event: &LogEvent, time_millis: u64) -> String {
        let mut line = String::new();
        // A String takes whatever is written.
        let _ = match self.format {
            LogFormat::Text => self.write_text(event, time_millis, &mut line),
            LogFormat::Json => self.write_json(event, time_millis, &mut line),
        };
        line
    }

    fn write_text(self, event: &LogEvent, time_millis: u64, to: &mut String) -> fmt::Result {
        match self.stamp {
            Stamp::Time => {
                let level = match event.level {
                    Level::Error => "ERROR",
                    Level::Warn => "WARN",
                    Level::Info => "INFO",
                    Level::Debug => "DEBUG",
                };
                write!(to, "{} {level} ", Rfc3339Millis(time_millis))?;
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

    fn write_json(self, event: &LogEvent, time_millis: u64, to: &mut String) -> fmt::Result {
        match self.stamp {
            Stamp::Time => write!(to, "{{\"time\":\"{}\",", Rfc3339Millis(time_millis))?,
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
