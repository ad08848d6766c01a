//! Labels as sent to label sets: sorted, each once, none empty, those of the path put over them.

use std::borrow::Cow;
use std::iter;

use super::error::MeaningError;
use super::line::{Label, label};
use crate::excerpt::Excerpt;
use crate::grouping_key::GroupingKey;

/// Sorts labels by name and refuses what no label set can hold.
///
/// # Errors
/// A label that comes twice, and one that is reserved, such as `__name__`.
pub fn sort_and_check(labels: &mut [Label<'_>]) -> Result<(), MeaningError> {
    labels.sort_unstable_by_key(|label| label.name);
    if let Some(pair) = labels.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(MeaningError::SecondLabel(Excerpt::of(pair[0].name)));
    }
    match labels.iter().find(|label| label.name.starts_with("__")) {
        Some(label) => Err(MeaningError::ReservedLabel(Excerpt::of(label.name))),
        None => Ok(()),
    }
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
        _ => put_over(labels, key).into(),
    }
}

/// Name and value of each label of a canonical text.
pub fn labels_of(canonical: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = canonical;
    iter::from_fn(move || {
        let (read, behind) = label(rest).ok()?;
        rest = behind.strip_prefix(',').unwrap_or_default();
        Some(read)
    })
}

/// Merges labels with those of the path, both sorted; of two with one name the path's is taken.
fn put_over(labels: &[Label<'_>], key: &GroupingKey) -> String {
    let length = |label: &Label<'_>| label.name.len() + "=\"\",".len() + label.value.len();
    let length = key.length() + labels.iter().map(length).sum::<usize>();
    let mut text = String::with_capacity(length);
    let mut of_key = key.labels().iter().peekable();
    for label in labels {
        while let Some((name, value)) = of_key.next_if(|(name, _)| name.as_str() < label.name) {
            append(&mut text, name, value);
        }
        if of_key.peek().is_none_or(|(name, _)| name != label.name) {
            append(&mut text, label.name, label.value);
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
