//! A duration in Go's notation (`time.ParseDuration`), cut to whole seconds as robfig/cron cuts it.
//
// duration = [ "+" / "-" ] 1*( decimal unit )
// decimal  = 1*DIGIT [ "." *DIGIT ] / "." 1*DIGIT
//
// Where this departs from robfig/cron: there are days and weeks, as in Prometheus' flags, and less
// than one second is refused, not raised to one.

use std::fmt::{self, Display, Formatter};

/// What is wrong with a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DurationFault {
    /// Not in the notation above.
    NotDuration,
    /// Less than one second.
    TooShort,
    /// More nanoseconds than the 63 bits of Go's `time.Duration` hold.
    TooLong,
}

impl Display for DurationFault {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            DurationFault::NotDuration => "not a duration such as 90s or 1h30m",
            DurationFault::TooShort => "shorter than 1s",
            DurationFault::TooLong => "longer than 2562047h",
        })
    }
}

/// Nanoseconds of each unit. A unit comes before any other unit that it begins with.
const UNITS: [(&str, u128); 10] = [
    ("ms", 1_000_000),
    ("us", 1_000),
    ("\u{b5}s", 1_000),  // the micro sign
    ("\u{3bc}s", 1_000), // the Greek letter
    ("ns", 1),
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("h", 3600 * SECOND),
    ("d", 24 * 3600 * SECOND),
    ("w", 7 * 24 * 3600 * SECOND),
];
const SECOND: u128 = 1_000_000_000;

/// More digits after the point than this change nothing: a week has 6.1e14 nanoseconds.
const FRACTION_DIGITS_MAX: usize = 18;

/// A whole number of seconds, at least one.
///
/// # Errors
/// What keeps the text from being one.
pub fn whole_seconds(text: &str) -> Result<u64, DurationFault> {
    let mut left = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut nanoseconds: u128 = 0;
    loop {
        let (part, rest) = part(left).ok_or(DurationFault::NotDuration)?;
        nanoseconds = nanoseconds.saturating_add(part);
        left = rest;
        if left.is_empty() {
            break;
        }
    }
    if nanoseconds < SECOND || text.starts_with('-') {
        return Err(DurationFault::TooShort);
    }
    let fitting = i64::try_from(nanoseconds).map_err(|_| DurationFault::TooLong)?;
    Ok(fitting.unsigned_abs() / 1_000_000_000)
}

/// One decimal with its unit, in nanoseconds, and what is left. What does not fit saturates.
fn part(input: &str) -> Option<(u128, &str)> {
    let (whole, rest) = digits(input);
    let (fraction, rest) = rest.strip_prefix('.').map_or(("", rest), digits);
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut units = UNITS.iter();
    let (unit, rest) = units.find_map(|(name, unit)| Some((unit, rest.strip_prefix(name)?)))?;
    let number = |digits: &str| format!("0{digits}").parse().unwrap_or(u128::MAX);
    let fraction = &fraction[..fraction.len().min(FRACTION_DIGITS_MAX)];
    let scale = fraction.bytes().fold(1, |scale, _| scale * 10);
    let nanoseconds = number(whole).saturating_mul(*unit);
    Some((
        nanoseconds.saturating_add(number(fraction) * unit / scale),
        rest,
    ))
}

fn digits(input: &str) -> (&str, &str) {
    let rest = input.trim_start_matches(|char: char| char.is_ascii_digit());
    input.split_at(input.len() - rest.len())
}
