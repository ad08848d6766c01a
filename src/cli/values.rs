//! The values of flags, each from its text; an error says what was expected and what was found.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::duration::{DurationFault, whole_seconds};
use crate::excerpt::Excerpt;
use crate::metric::{GaugeMode, label_name_length};
use crate::rules::{GaugeRule, NamePattern, PatternError};

/// Senders that push every few seconds must not lose their series in between.
const SILENCE_MIN: Duration = Duration::from_secs(10);

/// More threads than that are of no use, and often not to be had.
const WORKERS_MAX: usize = 1024;

/// The same as nothing, where nothing counts as not given.
const NO_ORIGIN: &str = "none";

/// Nothing, a star, or origins (RFC 6454 section 6.2) with commas or blanks between them.
pub fn cors(origins: &str) -> Result<Vec<String>, String> {
    if origins == NO_ORIGIN {
        return Ok(Vec::new());
    }
    let is_separator = |character: char| character == ',' || character == ' ';
    let listed = origins
        .split(is_separator)
        .filter(|origin| !origin.is_empty());
    let listed: Vec<String> = listed.map(ToOwned::to_owned).collect();
    // An Origin field always has a scheme.
    let is_origin = |origin: &String| {
        origin.bytes().all(|byte| byte.is_ascii_graphic())
            && (origin == "*" || origin == "null" || origin.contains("://"))
    };
    let has_star = listed.iter().any(|origin| origin == "*");
    if !listed.iter().all(is_origin) || (has_star && listed.len() > 1) {
        let found = Excerpt::of(origins);
        return Err(format!(
            "expected *, none or origins such as https://example.org, found {found}"
        ));
    }
    Ok(listed)
}

pub fn push_path(path: &str) -> Result<String, String> {
    let is_path_byte = |byte: u8| byte.is_ascii_graphic() && !b"?#%".contains(&byte);
    if !path.starts_with('/') || path.contains("//") || !path.bytes().all(is_path_byte) {
        let found = Excerpt::of(path);
        return Err(format!("expected a path such as /metrics/, found {found}"));
    }
    Ok(path.trim_end_matches('/').to_owned())
}

pub fn file(path: &str) -> Result<PathBuf, String> {
    match path {
        "" => Err("expected the path of a file".to_owned()),
        path => Ok(PathBuf::from(path)),
    }
}

/// Digits, or digits, `e` and the number of zeros that follow.
pub fn number(text: &str) -> Result<NonZeroUsize, String> {
    let number = whole_number(text).and_then(NonZeroUsize::new);
    number.ok_or_else(|| {
        let found = Excerpt::of(text);
        format!("expected a whole number from 1, such as 5000 or 1e6, found {found}")
    })
}

/// The same, or zero.
pub fn number_or_zero(text: &str) -> Result<usize, String> {
    whole_number(text).ok_or_else(|| {
        let found = Excerpt::of(text);
        format!("expected a whole number such as 160, or 0, found {found}")
    })
}

fn whole_number(text: &str) -> Option<usize> {
    let digits = |text: &str| {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse().ok()).flatten()
    };
    match text.split_once(['e', 'E']) {
        None => digits(text),
        Some((number, zeros)) => {
            let zeros = digits(zeros).and_then(|zeros| u32::try_from(zeros).ok())?;
            digits(number)?.checked_mul(10_usize.checked_pow(zeros)?)
        }
    }
}

/// A number of bytes, or one with a unit. Units are powers of 1024, as those of systemd and nginx,
/// in upper or lower case: `64K`, `64Ki`, `64KB` and `64KiB` are the same.
pub fn size(text: &str) -> Result<NonZeroUsize, String> {
    let bytes = bytes(&text.to_ascii_lowercase()).and_then(NonZeroUsize::new);
    bytes.ok_or_else(|| {
        let found = Excerpt::of(text);
        format!("expected a size in bytes such as 65536, 64K or 16MiB, found {found}")
    })
}

fn bytes(text: &str) -> Option<usize> {
    let is_unit = |letter: char| "kmgtb".contains(letter);
    let (number, unit) = text.split_at(text.find(is_unit).unwrap_or(text.len()));
    let bits = match unit {
        "" | "b" => 0,
        "k" | "ki" | "kb" | "kib" => 10,
        "m" | "mi" | "mb" | "mib" => 20,
        "g" | "gi" | "gb" | "gib" => 30,
        "t" | "ti" | "tb" | "tib" => 40,
        _ => return None,
    };
    whole_number(number)?.checked_mul(1_usize.checked_shl(bits)?)
}

/// A duration: with units, or a number of seconds.
pub fn timeout(text: &str) -> Result<Duration, String> {
    let expected = |what| format!("expected {what}, found {}", Excerpt::of(text));
    let is_number = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let unit = if is_number { "s" } else { "" };
    let seconds = whole_seconds(&format!("{text}{unit}")).map_err(|fault| match fault {
        DurationFault::NotDuration => expected("a duration such as 90s, 2m, 1h30m, 1d or 90"),
        DurationFault::TooShort => expected("a duration of at least 1s"),
        DurationFault::TooLong => expected("a duration of at most 106751d"),
    })?;
    Ok(Duration::from_secs(seconds))
}

pub fn workers(text: &str) -> Result<NonZeroUsize, String> {
    let found = Excerpt::of(text);
    let workers = number(text)
        .ok()
        .filter(|workers| workers.get() <= WORKERS_MAX);
    workers.ok_or_else(|| format!("expected a whole number from 1 to {WORKERS_MAX}, found {found}"))
}

/// How gauges of some names are merged: `NAME=MODE`.
pub fn gauge_rule(text: &str) -> Result<GaugeRule, String> {
    let found = Excerpt::of(text);
    let Some((names, mode)) = text.rsplit_once('=') else {
        return Err(format!("expected NAME=MODE, found {found}"));
    };
    let names = name_pattern(names)?;
    let mode = GaugeMode::from_word(mode);
    let mode =
        mode.ok_or_else(|| format!("expected sum, last, max or min behind =, found {found}"))?;
    Ok(GaugeRule { names, mode })
}

/// A name, or a part of one with a star at an end.
fn name_pattern(text: &str) -> Result<NamePattern, String> {
    let pattern = text.parse();
    pattern.map_err(|error| match error {
        PatternError::Empty => error.to_string(),
        _ => format!("{error}, found {}", Excerpt::of(text)),
    })
}

/// A label that may be dropped: not one that tells the parts of a family apart.
pub fn dropped_label(text: &str) -> Result<NamePattern, String> {
    let pattern = name_pattern(text)?;
    match ["le", "quantile"].iter().find(|name| pattern.matches(name)) {
        Some(name) => Err(format!(
            "{} would drop {name}, which tells the buckets or quantiles of a series apart",
            Excerpt::of(text)
        )),
        None => Ok(pattern),
    }
}

/// The label of a path that names a sender.
pub fn sender_label(text: &str) -> Result<String, String> {
    let found = Excerpt::of(text);
    let is_name = !text.is_empty() && label_name_length(text.as_bytes()) == text.len();
    if !is_name || text.starts_with("__") {
        return Err(format!(
            "expected a label name (letters, digits, _, no digit first, no __ first), found {found}"
        ));
    }
    if ["le", "quantile"].contains(&text) {
        return Err(format!(
            "{found} tells the buckets or quantiles of a series apart, not senders"
        ));
    }
    Ok(text.to_owned())
}

/// How long a series may be silent.
pub fn silence(text: &str) -> Result<Duration, String> {
    let silence = timeout(text)?;
    if silence < SILENCE_MIN {
        let found = Excerpt::of(text);
        return Err(format!("expected at least 10s, found {found}"));
    }
    Ok(silence)
}
