//! What the log says: a [`LogEvent`] to one line, and how many lines of a kind there may be.
//!
//! Invariant: a line is printable text whatever the event holds, so that nobody can write a second
//! line, move the cursor of a terminal or turn the direction of its text.

mod limiter;
mod line;
mod printable;

use std::borrow::Cow;
use std::str::FromStr;

pub use self::limiter::{LINES_PER_SECOND_MAX, Limiter, Verdict};
pub use self::line::{LogFormat, Stamp, Style};
pub use self::printable::printable;
use crate::excerpt::Excerpt;

/// How serious an event is, the most serious first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something failed, and somebody should look at it.
    Error,
    /// A request was refused, or something is not as it should be.
    Warn,
    /// Starts, resets, deletions.
    Info,
    /// Work of every minute.
    Debug,
}

impl Level {
    const ALL: [(Level, &str); 4] = [
        (Level::Error, "error"),
        (Level::Warn, "warn"),
        (Level::Info, "info"),
        (Level::Debug, "debug"),
    ];

    /// In lower case.
    #[must_use]
    pub fn word(self) -> &'static str {
        Level::ALL[self as usize].1
    }

    /// The priority of sd-daemon(3), which is that of syslog(3).
    #[must_use]
    pub fn priority(self) -> u8 {
        match self {
            Level::Error => 3,
            Level::Warn => 4,
            Level::Info => 6,
            Level::Debug => 7,
        }
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(word: &str) -> Result<Level, String> {
        let known = Level::ALL.iter().find(|(_, known)| *known == word);
        known.map(|(level, _)| *level).ok_or_else(|| {
            let found = Excerpt::of(word);
            format!("expected error, warn, info or debug, found {found}")
        })
    }
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Value {
    Text(String),
    Number(u64),
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEvent {
    /// How serious it is.
    pub level: Level,
    /// What happened, for a person.
    pub message: Cow<'static, str>,
    /// Names and values, for a program.
    pub fields: Vec<(&'static str, Value)>,
}

impl LogEvent {
    /// An event that its message describes.
    pub fn new(level: Level, message: impl Into<Cow<'static, str>>) -> LogEvent {
        LogEvent {
            level,
            message: message.into(),
            fields: Vec::new(),
        }
    }

    /// Adds a field.
    #[must_use]
    pub fn with_text(mut self, name: &'static str, text: impl Into<String>) -> LogEvent {
        self.fields.push((name, Value::Text(text.into())));
        self
    }

    /// Adds a field.
    #[must_use]
    pub fn with_number(mut self, name: &'static str, number: u64) -> LogEvent {
        self.fields.push((name, Value::Number(number)));
        self
    }
}
