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
/// A label that comes twice, and `__name__`.
pub fn sort_and_check(labels: &mut [Label<'_>]) -> Result<(), MeaningError> {
    labels.sort_unstable_by_key(|label| label.name);
    if let Some(pair) = labels.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(MeaningError::SecondLabel(Excerpt::of(pair[0].name)));
    }
    if labels.iter().any(|label| label.name == "__name__") {
        return Err(MeaningError::NameLabel);
    }
    Ok(())
}

/// The canonical form of sorted labels with those of the path put over them. It is borrowed from
/// the line where that is canonical as sent, which is what most senders' lines are.
pub fn label_set<'a>(labels: &[Label<'a>], source: &'a str, key: &GroupingKey) -> LabelSet<'a> {
    if key.labels().is_empty() && is_canonical(labels) {
        return LabelSet::from_canonical(match labels {
            [] => "",
            [first, .., last] => &source[first.start..last.end],
            [only] => &source[only.start..only.end],
        });
    }
    let is_in_key = |name: &str| key.labels().iter().any(|(of_key, _)| of_key == name);
    let mut pairs: Vec<(&str, &str)> = labels
        .iter()
        .filter(|label| !is_in_key(label.name))
        .map(|label| (label.name, label.value))
        .chain(
            key.labels()
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        )
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

/// True when sorted labels stand in their line as they would in a label set: in this order, each
/// with a value, nothing but commas between them, no blanks inside.
fn is_canonical(labels: &[Label<'_>]) -> bool {
    let is_whole = |label: &Label<'_>| {
        let length = label.name.len() + "=\"\"".len() + label.value.len();
        !label.value.is_empty() && label.end - label.start == length
    };
    labels.iter().all(is_whole)
        && labels
            .windows(2)
            .all(|pair| pair[0].end + 1 == pair[1].start)
}
