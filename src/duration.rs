//! A duration in Go's notation (`time.ParseDuration`), as `@every` takes it; and as flags take it.
//
// duration = [ "+" / "-" ] 1*( decimal unit )
// decimal  = 1*DIGIT [ "." *DIGIT ] / "." 1*DIGIT
// unit     = "h" / "m" / "s" / "ms" / "us" / "µs" / "ns"    ; µ may be U+00B5 or U+03BC
//
// Flags also take days and weeks ("d", "w", as Prometheus' flags do), and a decimal without a unit,
// which is in seconds.
//
// It is cut to whole seconds, as robfig/cron cuts it. Where this departs from robfig/cron: less
// than one second is refused, not raised to one.

use std::fmt::{self, Display, Formatter};

/// What is wrong with a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DurationFault {
    /// Not in the notation of Go's `time.ParseDuration`.
    NotDuration,
    /// Less than one second.
    TooShort,
    /// More than Go's `time.Duration` holds.
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
    ("h", 3_600_000_000_000),
    ("ms", 1_000_000),
    ("m", 60_000_000_000),
    ("s", NANOSECONDS_PER_SECOND),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ns", 1),
    ("d", 24 * 3_600_000_000_000),
    ("w", 7 * 24 * 3_600_000_000_000),
];
/// So many of them are Go's.
const GO_UNITS: usize = 8;
const NANOSECONDS_PER_SECOND: u128 = 1_000_000_000;

/// The longest duration that Go has, 2562047h47m16s.
const DURATION_NANOSECONDS_MAX: u128 = i64::MAX as u128;

/// More digits after the point than this change nothing: an hour has 3.6e12 nanoseconds.
const FRACTION_DIGITS_MAX: usize = 18;

/// A whole number of seconds, at least one.
///
/// # Errors
/// What keeps the text from being one.
pub fn whole_seconds(text: &str) -> Result<u64, DurationFault> {
    seconds(text, &UNITS[..GO_UNITS])
}

/// The same as a flag takes it.
///
/// # Errors
/// What keeps the text from being one.
pub fn flag_seconds(text: &str) -> Result<u64, DurationFault> {
    let (_, rest) = decimal(text)?;
    match rest {
        "" => seconds(&format!("{text}s"), &UNITS),
        _ => seconds(text, &UNITS),
    }
}

fn seconds(text: &str, units: &[(&str, u128)]) -> Result<u64, DurationFault> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut input = unsigned;
    let mut nanoseconds: u128 = 0;
    while !input.is_empty() || unsigned.is_empty() {
        let (part, rest) = part(input, units)?;
        nanoseconds = nanoseconds.saturating_add(part);
        input = rest;
    }
    if nanoseconds < NANOSECONDS_PER_SECOND || text.starts_with('-') {
        return Err(DurationFault::TooShort);
    }
    if nanoseconds > DURATION_NANOSECONDS_MAX {
        return Err(DurationFault::TooLong);
    }
    u64::try_from(nanoseconds / NANOSECONDS_PER_SECOND).map_err(|_| DurationFault::TooLong)
}

/// One decimal with its unit, in nanoseconds, and what is left.
fn part<'a>(input: &'a str, units: &[(&str, u128)]) -> Result<(u128, &'a str), DurationFault> {
    let ((whole, fraction), rest) = decimal(input)?;
    let unit = units
        .iter()
        .find_map(|(name, size)| Some((*size, rest.strip_prefix(name)?)));
    let (size, rest) = unit.ok_or(DurationFault::NotDuration)?;

    let fraction = &fraction[..fraction.len().min(FRACTION_DIGITS_MAX)];
    let scale: u128 = fraction.bytes().fold(1, |scale, _| scale * 10);
    let nanoseconds = number(whole).saturating_mul(size) + number(fraction) * size / scale;
    Ok((nanoseconds, rest))
}

/// The digits before and behind the point, and what is left.
fn decimal(input: &str) -> Result<((&str, &str), &str), DurationFault> {
    let (whole, rest) = digits(input);
    let (fraction, rest) = rest.strip_prefix('.').map_or(("", rest), digits);
    if whole.is_empty() && fraction.is_empty() {
        return Err(DurationFault::NotDuration);
    }
    Ok(((whole, fraction), rest))
}

fn digits(input: &str) -> (&str, &str) {
    let end = input
        .find(|char: char| !char.is_ascii_digit())
        .unwrap_or(input.len());
    input.split_at(end)
}

/// Digits to a number; one that does not fit counts as the longest duration and more.
fn number(digits: &str) -> u128 {
    match digits {
        "" => 0,
        _ => digits.parse().unwrap_or(DURATION_NANOSECONDS_MAX + 1),
    }
}
