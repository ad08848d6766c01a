//! Whether a `TZ` value is a rule that `chrono` follows. It would ignore one that it cannot read,
//! and take another zone without a word.
//
// rule   = name offset [ name [ offset ] "," day "," day ]
// name   = 3*7ALPHA / "<" 3*7( ALPHA / DIGIT / "+" / "-" ) ">"
// offset = [ "+" / "-" ] time               ; up to 23 hours
// day    = ( "M" month "." week "." weekday / "J" 1-365 / 0-365 ) [ "/" time ]
// time   = hours [ ":" minutes [ ":" seconds ] ]
//
// This is POSIX, Base Definitions 8.3, except that summer time needs its two days (in POSIX they
// are optional, and what their absence means is not said) and a name at most 7 characters.

use std::ops::RangeInclusive;

/// Each rule of the grammar is a function that returns what is left, or nothing if it is not met.
pub(super) fn is_posix_rule(text: &str) -> bool {
    rule(text).is_some_and(str::is_empty)
}

fn rule(input: &str) -> Option<&str> {
    let input = offset(name(input)?)?;
    if input.is_empty() {
        return Some(input);
    }
    let input = name(input)?;
    let input = if input.starts_with(',') {
        input
    } else {
        offset(input)?
    };
    let input = day(input.strip_prefix(',')?)?;
    day(input.strip_prefix(',')?)
}

fn name(input: &str) -> Option<&str> {
    let (name, rest) = if let Some(quoted) = input.strip_prefix('<') {
        quoted.split_once('>')?
    } else {
        let end = input.find(|char: char| !char.is_ascii_alphabetic());
        input.split_at(end.unwrap_or(input.len()))
    };
    let allowed = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"+-".contains(&byte));
    (allowed && (3..=7).contains(&name.len())).then_some(rest)
}

fn offset(input: &str) -> Option<&str> {
    time(input.strip_prefix(['+', '-']).unwrap_or(input), 23)
}

fn day(input: &str) -> Option<&str> {
    let rest = if let Some(month) = input.strip_prefix('M') {
        let week = number(month, 1..=12)?.strip_prefix('.')?;
        let weekday = number(week, 1..=5)?.strip_prefix('.')?;
        number(weekday, 0..=6)?
    } else if let Some(julian_day) = input.strip_prefix('J') {
        number(julian_day, 1..=365)?
    } else {
        number(input, 0..=365)?
    };
    match rest.strip_prefix('/') {
        Some(time_of_day) => time(time_of_day, 24),
        None => Some(rest),
    }
}

fn time(input: &str, hours_max: u16) -> Option<&str> {
    let rest = number(input, 0..=hours_max)?;
    let Some(minutes) = rest.strip_prefix(':') else {
        return Some(rest);
    };
    let rest = number(minutes, 0..=59)?;
    let Some(seconds) = rest.strip_prefix(':') else {
        return Some(rest);
    };
    number(seconds, 0..=59)
}

fn number(input: &str, allowed: RangeInclusive<u16>) -> Option<&str> {
    let end = input
        .find(|char: char| !char.is_ascii_digit())
        .unwrap_or(input.len());
    let (digits, rest) = input.split_at(end);
    allowed
        .contains(&digits.parse::<u16>().ok()?)
        .then_some(rest)
}
