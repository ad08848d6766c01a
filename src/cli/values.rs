//! The values of flags, each from its text; an error says what was expected and what was found.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::duration::whole_seconds;
use crate::excerpt::Excerpt;
use crate::metric::GaugeMode;
use crate::rules::{GaugeRule, NamePattern, PatternError};

/// Senders that push every few seconds must not lose their series in between.
const SILENCE_MIN: Duration = Duration::from_secs(10);

/// More threads than that are of no use, and often not to be had.
const WORKERS_MAX: usize = 1024;

/// Nothing, a star, or origins (RFC 6454 section 6.2) with commas or blanks between them.
pub fn cors(origins: &str) -> Result<Vec<String>, String> {
    let is_separator = |character: char| character == ',' || character == ' ';
    let listed = origins
        .split(is_separator)
        .filter(|origin| !origin.is_empty());
    let listed: Vec<String> = listed.map(ToOwned::to_owned).collect();
    let is_visible = |origin: &String| origin.bytes().all(|byte| byte.is_ascii_graphic());
    let has_star = listed.iter().any(|origin| origin == "*");
    if !listed.iter().all(is_visible) || (has_star && listed.len() > 1) {
        let found = Excerpt::of(origins);
        return Err(format!("expected * or an origin, found {found}"));
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

pub fn number(text: &str) -> Result<NonZeroUsize, String> {
    let found = Excerpt::of(text);
    text.parse()
        .map_err(|_| format!("expected a whole number from 1, found {found}"))
}

pub fn timeout(text: &str) -> Result<Duration, String> {
    let timeout = whole_seconds(text).map(Duration::from_secs);
    timeout.map_err(|fault| format!("{}: {fault}", Excerpt::of(text)))
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

/// How long a series may be silent.
pub fn silence(text: &str) -> Result<Duration, String> {
    let silence = timeout(text)?;
    if silence < SILENCE_MIN {
        let found = Excerpt::of(text);
        return Err(format!("expected at least 10s, found {found}"));
    }
    Ok(silence)
}
