//! Labels as sent to label sets: sorted, each once, none empty, those of the path put over them.

use std::borrow::Cow;

use super::error::MeaningError;
use super::line::Label;
use crate::excerpt::Excerpt;
use crate::grouping_key::GroupingKey;
use crate::metric::LabelSet;

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

/// The canonical form of sorted labels with those of the path put over them. It is borrowed from
/// the line where that is canonical as sent, which is what most senders' lines are.
pub fn label_set<'a>(labels: &[Label<'a>], source: &'a str, key: &GroupingKey) -> LabelSet<'a> {
    if key.labels().is_empty()
        && let Some(text) = as_sent(labels, source)
    {
        return LabelSet::from_canonical(text);
    }
    let of_key = || {
        key.labels()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    };
    let is_in_key = |name: &str| {
        let of_key = |(of_key, _): &(String, String)| of_key.as_str().cmp(name);
        key.labels().binary_search_by(of_key).is_ok()
    };
    let mut pairs: Vec<(&str, &str)> = labels
        .iter()
        .filter(|label| !is_in_key(label.name))
        .map(|label| (label.name, label.value))
        .chain(of_key())
        .filter(|(_, value)| !value.is_empty())
        .collect();
    pairs.sort_unstable();
    let mut text = String::new();
    for (name, value) in pairs {
        for piece in [
            if text.is_empty() { "" } else { "," },
            name,
            "=\"",
            value,
            "\"",
        ] {
            text.push_str(piece);
        }
    }
    LabelSet::from_canonical(Cow::Owned(text))
}

/// The text of sorted labels if they stand in their line as they would in a label set: in this
/// order, each with a value, nothing but commas between them, no blanks inside.
fn as_sent<'a>(labels: &[Label<'a>], source: &'a str) -> Option<&'a str> {
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
