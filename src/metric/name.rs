//! Names beyond the alphabets, which may be any text without NUL (Prometheus docs, data model).
//!
//! They are kept as they are written in quotes (text format 1.0.0): a backslash, a quote and a line
//! feed are escaped, nothing else is. That is a bijection: two names are equal exactly when their
//! escaped forms are. A name inside its alphabet has nothing to escape.

use std::borrow::Cow;

use super::{label_name_length, metric_name_length};

/// True of a metric name inside the alphabet: it needs no quotes.
#[must_use]
pub fn is_plain_metric_name(name: &str) -> bool {
    metric_name_length(name.as_bytes()) == name.len()
}

/// A name as it is kept and as it stands between quotes.
#[must_use]
pub fn escaped_name(name: &str) -> Cow<'_, str> {
    if !name.contains(['\\', '"', '\n']) {
        return name.into();
    }
    let escaped = name.replace('\\', r"\\").replace('"', r#"\""#);
    escaped.replace('\n', r"\n").into()
}

/// The name that an escaped one stands for.
#[must_use]
pub fn raw_name(escaped: &str) -> Cow<'_, str> {
    if !escaped.contains('\\') {
        return escaped.into();
    }
    let mut raw = String::with_capacity(escaped.len());
    let mut characters = escaped.chars();
    while let Some(character) = characters.next() {
        let unescaped = match character {
            '\\' => characters.next().map_or('\\', |escaped| match escaped {
                'n' => '\n',
                escaped => escaped,
            }),
            character => character,
        };
        raw.push(unescaped);
    }
    raw.into()
}

/// A label name as it stands in a label set: beyond the alphabet in quotes, escaped.
#[must_use]
pub fn written_label_name(name: &str) -> Cow<'_, str> {
    if label_name_length(name.as_bytes()) == name.len() {
        return name.into();
    }
    format!("\"{}\"", escaped_name(name)).into()
}

/// The name that a label name of a label set stands for.
#[must_use]
pub fn raw_label_name(written: &str) -> Cow<'_, str> {
    let quoted = written.strip_prefix('"');
    let quoted = quoted.and_then(|quoted| quoted.strip_suffix('"'));
    quoted.map_or(written.into(), raw_name)
}

/// True of the text of a label set with a name beyond the alphabet: names in quotes sort before all
/// others.
#[must_use]
pub fn has_quoted_label(labels: &str) -> bool {
    labels.starts_with('"')
}
