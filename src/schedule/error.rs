//! Why an expression is refused, in one line; and what to warn of in one that is not.

use std::error::Error;
use std::fmt::{self, Display, Formatter, Write};

use crate::duration::DurationFault;

use super::field::Field;

/// Why an expression is not crontab(5). Displayed as one line of at most 300 bytes that names the
/// field and what is allowed there: `crontab: minute "60" is out of range 0-59`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CrontabError {
    /// Fewer than five fields; `field` is the first that is not there.
    MissingField {
        /// The first field that is not there.
        field: Field,
        /// How many fields there are.
        found: usize,
    },
    /// More than five fields, so seconds, a year, a user or a command.
    ExtraField {
        /// The sixth field.
        text: String,
        /// How many fields there are.
        found: usize,
    },
    /// `TZ=` or `CRON_TZ=` before the fields.
    ZonePrefix {
        /// The prefix.
        text: String,
    },
    /// An `@` word that is not one of those allowed, or that something follows.
    UnknownWord {
        /// The whole expression.
        text: String,
    },
    /// What follows `@every`.
    Duration {
        /// What follows `@every`.
        text: String,
        /// What is wrong with it.
        fault: DurationFault,
    },
    /// One of the five fields.
    Field {
        /// Which one.
        field: Field,
        /// The part of it that is at fault.
        text: String,
        /// What is wrong with that part.
        fault: FieldFault,
    },
}

/// What is wrong with a part of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldFault {
    /// Nothing between two commas, or before or after one.
    EmptyItem,
    /// None of `*`, `?`, a number, a name, a range.
    NotNumber,
    /// A number outside the field's range.
    OutOfRange,
    /// A range whose end is before its beginning.
    Backwards,
    /// What follows the slash is not a number, or is 0.
    BadStep,
}

/// An item of a field whose step is so large that only its first number is left: `*/90` minutes are
/// minute 0 of each hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LargeStep {
    /// Which field.
    pub(super) field: Field,
    /// The item as written.
    pub(super) item: String,
    /// The number that is left.
    pub(super) first: u32,
}

impl Display for LargeStep {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let (field, item) = (self.field.name(), Quoted(&self.item));
        let first = self.first;
        write!(
            formatter,
            "{field} {item} is {first} alone: its step is larger than its range; for other \
             intervals use @every"
        )
    }
}

impl Error for CrontabError {}

impl Display for CrontabError {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("crontab: ")?;
        match self {
            CrontabError::MissingField { field, found } => {
                let (name, found) = (field.name(), Found(*found));
                write!(
                    formatter,
                    "{name} is missing: {found}; or a word such as @daily"
                )
            }
            CrontabError::ExtraField { text, found } => {
                let (text, found) = (Quoted(text), Found(*found));
                write!(formatter, "{text} is one field too many: {found}")
            }
            CrontabError::ZonePrefix { text } => {
                let text = Quoted(text);
                write!(
                    formatter,
                    "{text} is not a field: set the TZ environment variable instead"
                )
            }
            CrontabError::UnknownWord { text } => {
                write!(formatter, "{} is not one of {WORDS}", Quoted(text))
            }
            CrontabError::Duration { text, fault } => {
                write!(formatter, "@every {} is {fault}", Quoted(text))
            }
            CrontabError::Field { field, text, fault } => {
                write_field_fault(formatter, *field, &Quoted(text), *fault)
            }
        }
    }
}

const WORDS: &str =
    "@yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly, @every DURATION";

fn write_field_fault(
    formatter: &mut Formatter<'_>,
    field: Field,
    text: &Quoted<'_>,
    fault: FieldFault,
) -> fmt::Result {
    let name = field.name();
    let (least, greatest) = field.range();
    match (fault, field.names()) {
        (FieldFault::EmptyItem, _) => {
            write!(formatter, "{name} {text} has an empty item in its list: ")?;
            write!(formatter, "expected {least}-{greatest} with commas between")
        }
        (FieldFault::NotNumber, [first_name, .., last_name]) => {
            write!(
                formatter,
                "{name} {text} is not *, a number {least}-{greatest}, "
            )?;
            write!(formatter, "a name {first_name}-{last_name} or a range")
        }
        (FieldFault::NotNumber, _) => {
            write!(
                formatter,
                "{name} {text} is not *, a number {least}-{greatest} or a range"
            )
        }
        (FieldFault::OutOfRange, _) => {
            write!(
                formatter,
                "{name} {text} is out of range {least}-{greatest}"
            )
        }
        (FieldFault::Backwards, _) => {
            write!(
                formatter,
                "{name} range {text} runs backwards: {least}-{greatest} does not "
            )?;
            formatter.write_str(match field {
                Field::DayOfWeek => "wrap, list two ranges, or write a Sunday at the end as 7",
                _ => "wrap, list two ranges",
            })
        }
        (FieldFault::BadStep, _) => {
            write!(
                formatter,
                "{name} step {text} is not a number of at least 1"
            )
        }
    }
}

/// What the five fields are, and how many there are instead.
struct Found(usize);

impl Display for Found {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let names = Field::ALL.map(Field::name).join(", ");
        write!(
            formatter,
            "expected 5 fields with blanks between ({names}), found {}",
            self.0
        )
    }
}

/// Text from outside: in quotes, escaped to printable ASCII, and cut if it is long.
pub(super) struct Quoted<'a>(pub(super) &'a str);

const QUOTED_BYTES_MAX: usize = 40;

impl Display for Quoted<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_char('"')?;
        let mut bytes = 0;
        for char in self.0.chars().map(char::escape_default) {
            bytes += char.len();
            if bytes > QUOTED_BYTES_MAX {
                formatter.write_str("...")?;
                break;
            }
            write!(formatter, "{char}")?;
        }
        formatter.write_char('"')
    }
}
