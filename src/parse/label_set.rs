//! Labels as sent to label sets: sorted, each once, none empty, those of the path put over them.

use std::borrow::Cow;

use super::error::MeaningError;
use super::line::{Label, with_defined_escapes};
use crate::excerpt::Excerpt;
use crate::grouping_key::GroupingKey;

/// Sorts labels by name and refuses what no label set can hold.
///
/// # Errors
/// A label that comes twice, and one that is reserved, such as `__name__`.
pub fn sort_and_check(labels: &mut [Label<'_>]) -> Result<(), MeaningError> {
    if let Some(name) = sort(labels) {
        return Err(MeaningError::SecondLabel(Excerpt::of(name)));
    }
    match labels.iter().find(|label| is_reserved(label.name)) {
        Some(label) => Err(MeaningError::ReservedLabel(Excerpt::of(label.name))),
        None => Ok(()),
    }
}

/// Sorts labels by name; gives one that comes twice.
pub fn sort<'a>(labels: &mut [Label<'a>]) -> Option<&'a str> {
    labels.sort_unstable_by_key(|label| label.name);
    let pair = labels.windows(2).find(|pair| pair[0].name == pair[1].name);
    pair.map(|pair| pair[0].name)
}

/// True of a label name, with its quotes if it has them, that Prometheus keeps for itself.
fn is_reserved(name: &str) -> bool {
    name.starts_with("__") || name.starts_with("\"__")
}

/// The canonical form of sorted labels with those of the path put over them. `as_sent` is that of
/// the labels alone, where it stands in the body.
pub fn canonical_text<'a>(
    labels: &[Label<'a>],
    as_sent: Option<&'a str>,
    key: &GroupingKey,
) -> Cow<'a, str> {
    match as_sent {
        Some(text) if key.labels().is_empty() => text.into(),
        _ => put_over(labels.iter().map(|label| (label.name, label.value)), key).into(),
    }
}

/// The canonical form of sorted labels some of whose values have undefined escapes: a backslash
/// that begins none stands for itself.
pub fn defined_canonical_text(labels: &[Label<'_>], key: &GroupingKey) -> String {
    let define = |label: &Label<'_>| with_defined_escapes(label.value, "\\\"n").into_owned();
    let values: Vec<String> = labels.iter().map(define).collect();
    let names = labels.iter().map(|label| label.name);
    put_over(names.zip(values.iter().map(String::as_str)), key)
}

/// One label as protobuf has it.
pub struct RawLabel<'a> {
    /// As it stands in a label set.
    pub name: Cow<'a, str>,
    /// Not escaped; may be empty.
    pub value: &'a str,
    /// False if there may be something to escape.
    pub is_plain: bool,
}

/// The canonical form of labels of protobuf, in any order, with those of the path put over them.
///
/// # Errors
/// A label that comes twice, and one that is reserved.
pub fn raw_canonical_text<'a>(
    labels: &mut Vec<RawLabel<'a>>,
    key: &GroupingKey,
) -> Result<Cow<'a, str>, MeaningError> {
    if !labels.is_sorted_by(|one, next| one.name < next.name) {
        labels.sort_unstable_by(|one, next| one.name.cmp(&next.name));
        if let Some(pair) = labels.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(MeaningError::SecondLabel(Excerpt::of(&*pair[0].name)));
        }
    }
    if let Some(label) = labels.iter().find(|label| is_reserved(&label.name)) {
        return Err(MeaningError::ReservedLabel(Excerpt::of(&*label.name)));
    }
    labels.retain(|label| !label.value.is_empty());
    if labels.is_empty() && key.labels().is_empty() {
        return Ok(Cow::Borrowed(""));
    }
    let names = labels.iter().map(|label| &*label.name);
    if !labels.iter().all(|label| label.is_plain) {
        let escaped: Vec<_> = labels.iter().map(|label| escaped(label.value)).collect();
        return Ok(put_over(names.zip(escaped.iter().map(AsRef::as_ref)), key).into());
    }
    Ok(put_over(names.zip(labels.iter().map(|label| label.value)), key).into())
}

/// A label value as it stands in a label set.
fn escaped(value: &str) -> Cow<'_, str> {
    if !value.contains(['\\', '"', '\n']) {
        return value.into();
    }
    let value = value.replace('\\', r"\\").replace('"', r#"\""#);
    value.replace('\n', r"\n").into()
}

/// A HELP text as it stands in its line, where neither blanks before it nor carriage returns at the
/// end are a part of it.
pub fn escaped_help(help: &str) -> Cow<'_, str> {
    let help = help.trim_start_matches([' ', '\t']).trim_end_matches('\r');
    if !help.contains(['\\', '\n']) {
        return help.into();
    }
    help.replace('\\', r"\\").replace('\n', r"\n").into()
}

/// Merges labels with those of the path, both sorted; of two with one name the path's is taken.
fn put_over<'t>(
    labels: impl Iterator<Item = (&'t str, &'t str)> + Clone,
    key: &GroupingKey,
) -> String {
    let length = |(name, value): (&str, &str)| name.len() + "=\"\",".len() + value.len();
    let length = key.length() + labels.clone().map(length).sum::<usize>();
    let mut text = String::with_capacity(length);
    let mut of_key = key.labels().iter().peekable();
    for (label, value) in labels {
        while let Some((name, value)) = of_key.next_if(|(name, _)| name.as_str() < label) {
            append(&mut text, name, value);
        }
        if of_key.peek().is_none_or(|(name, _)| name != label) {
            append(&mut text, label, value);
        }
    }
    of_key.for_each(|(name, value)| append(&mut text, name, value));
    text
}

/// Appends a label; one of empty value is none.
fn append(text: &mut String, name: &str, value: &str) {
    if value.is_empty() {
        return;
    }
    let comma = if text.is_empty() { "" } else { "," };
    for piece in [comma, name, "=\"", value, "\""] {
        text.push_str(piece);
    }
}

/// The text of sorted labels if they stand in their line as they would in a label set: in this
/// order, each with a value, nothing but commas between them, no blanks inside.
pub fn as_sent<'a>(labels: &[Label<'a>], source: &'a str) -> Option<&'a str> {
    let place = |part: &str| part.as_ptr().addr() - source.as_ptr().addr();
    let [first, ..] = labels else {
        return Some("");
    };
    let start = place(first.name);
    let mut end = start;
    for label in labels {
        // Behind the one before stands its comma, behind the name `="`, behind the value a quote.
        let is_next = place(label.name) == if end == start { start } else { end + 1 };
        let is_whole = place(label.value) == place(label.name) + label.name.len() + 2;
        if !is_next || !is_whole || label.value.is_empty() {
            return None;
        }
        end = place(label.value) + label.value.len() + 1;
    }
    source.get(start..end)
}
