//! The text of an expression to a [`Crontab`]: five fields, or a word with `@`.
//
// expression = spaces ( fields / word / every ) spaces
// fields     = field 4( 1*blank field )       ; minute hour day-of-month month day-of-week
// word       = "@yearly" / "@annually" / "@monthly" / "@weekly" / "@daily" / "@midnight"
//            / "@hourly"
// every      = "@every" 1*blank duration      ; see duration.rs
// blank      = " " / HTAB
// spaces     = *( blank / CR / LF )      ; what a file or a shell may leave around it
//
// A field is parsed in field.rs. Where this departs from crontab(5), and why:
//
// - `?` is `*`, `a/n` is `a` to the end in steps of `n`, and `@every` exists: the Go original,
//   through robfig/cron, reads them so.
// - `*/n` with `n` over 1 restricts a day field, as in robfig/cron; for cronie any field that
//   begins with `*` is unrestricted.
// - `@reboot` and a command or a user after the fields are refused: there is nothing to run.
// - `TZ=` and `CRON_TZ=` before the fields are refused: the zone is that of the process.

use chrono::{DateTime, TimeDelta, Utc};

use super::error::{CrontabError, LargeStep};
use super::field::{Field, Numbers, Restriction};
use crate::duration::{DurationFault, whole_seconds};

/// A parsed expression: what is left to do is arithmetic.
#[derive(Clone, Debug)]
pub(super) enum Crontab {
    /// One engine, or two if both day fields are restricted: then either may match.
    Fields { engines: Vec<cron::Schedule> },
    /// `start` plus any whole number of intervals; both are whole seconds, at least one.
    Every {
        start: DateTime<Utc>,
        interval: TimeDelta,
    },
}

/// The words and what each stands for, from crontab(5).
const WORDS: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

pub(super) fn parse(expression: &str, start: DateTime<Utc>) -> Result<Crontab, CrontabError> {
    let expression = trimmed(expression);
    if expression.starts_with("TZ=") || expression.starts_with("CRON_TZ=") {
        let (prefix, _) = split_blank(expression);
        return Err(CrontabError::ZonePrefix {
            text: prefix.to_owned(),
        });
    }
    if !expression.starts_with('@') {
        return fields(expression);
    }
    if let Some((_, meaning)) = WORDS.iter().find(|(word, _)| *word == expression) {
        return fields(meaning);
    }
    match split_blank(expression) {
        ("@every", text) => Ok(Crontab::Every {
            start,
            interval: interval(text)?,
        }),
        _ => Err(CrontabError::UnknownWord {
            text: expression.to_owned(),
        }),
    }
}

/// A whole number of seconds, at least one; without days and weeks, as in robfig/cron.
fn interval(text: &str) -> Result<TimeDelta, CrontabError> {
    let seconds = if text.contains(['d', 'w']) {
        Err(DurationFault::NotDuration)
    } else {
        whole_seconds(text)
    };
    let interval = seconds.and_then(|seconds| {
        let seconds = i64::try_from(seconds).ok();
        let interval = seconds.and_then(TimeDelta::try_seconds);
        interval.ok_or(DurationFault::TooLong)
    });
    interval.map_err(|fault| CrontabError::Duration {
        text: text.to_owned(),
        fault,
    })
}

const BLANKS: [char; 2] = [' ', '\t'];

/// An expression without what stands around it.
pub(super) fn trimmed(expression: &str) -> &str {
    expression.trim_matches([' ', '\t', '\r', '\n'])
}

/// What to warn of in an expression that is right.
pub(super) fn large_steps(expression: &str) -> Vec<LargeStep> {
    let texts = trimmed(expression)
        .split(BLANKS)
        .filter(|text| !text.is_empty());
    let items = texts
        .zip(Field::ALL)
        .flat_map(|(text, field)| text.split(',').map(move |item| (item, field)));
    items
        .filter_map(|(item, field)| field.large_step(item))
        .collect()
}

/// The text up to the first blank, and what follows the blanks.
fn split_blank(text: &str) -> (&str, &str) {
    let (first, rest) = text.split_once(BLANKS).unwrap_or((text, ""));
    (first, rest.trim_start_matches(BLANKS))
}

fn fields(expression: &str) -> Result<Crontab, CrontabError> {
    let texts: Vec<&str> = expression
        .split(BLANKS)
        .filter(|text| !text.is_empty())
        .collect();
    let [minute, hour, day, month, weekday] = texts[..] else {
        return Err(wrong_count(&texts));
    };
    let minutes = Field::Minute.parse(minute)?;
    let hours = Field::Hour.parse(hour)?;
    let days = Field::DayOfMonth.parse(day)?;
    let months = Field::Month.parse(month)?;
    let weekdays = Field::DayOfWeek.parse(weekday)?;

    let engine = |days, weekdays| engine([minutes, hours, days, months, weekdays]);
    let engines = match (days.restriction, weekdays.restriction) {
        (Restriction::Restricted, Restriction::Restricted) => {
            vec![
                engine(days, Numbers::all(Field::DayOfWeek)),
                engine(Numbers::all(Field::DayOfMonth), weekdays),
            ]
        }
        _ => vec![engine(days, weekdays)],
    };
    Ok(Crontab::Fields { engines })
}

fn wrong_count(texts: &[&str]) -> CrontabError {
    let found = texts.len();
    match (Field::ALL.get(found), texts.get(Field::ALL.len())) {
        (Some(missing), _) => CrontabError::MissingField {
            field: *missing,
            found,
        },
        (None, extra) => {
            let text = extra.copied().unwrap_or_default().to_owned();
            CrontabError::ExtraField { text, found }
        }
    }
}

/// Hands the sets to the `cron` crate in its own notation, seconds first, each number spelt out:
/// so none of its readings of `*`, `/`, `-` and names matters. Its Sunday is 1.
fn engine([minutes, hours, days, months, weekdays]: [Numbers; 5]) -> cron::Schedule {
    let [minutes, hours] = [minutes, hours].map(|numbers| numbers.listed(0));
    let [days, months] = [days, months].map(|numbers| numbers.listed(0));
    let weekdays = weekdays.listed(1);
    let expression = format!("0 {minutes} {hours} {days} {months} {weekdays}");
    expression
        .parse()
        .expect("lists of numbers within the engine's ranges are its own notation")
}
