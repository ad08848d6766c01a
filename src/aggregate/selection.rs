//! Which series a removal is about.

use crate::metric::canonical_labels;

/// Which series to remove. A histogram is one series here, with all its buckets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Those that are silent since a second before this one, in unix seconds: neither pushed since
    /// nor have ages been restarted. None where ages are not kept.
    PushedBefore(u32),
    /// Those that carry all of these labels, each by its name and its value, which is escaped as in
    /// a label set. As everywhere, a label of empty value is one that is not there.
    Labels(Vec<(String, String)>),
    /// Those of the family of this name, which is escaped as that of a pushed family is.
    Family(String),
}

/// A selection, as it applies to an aggregate whose ages were restarted at a certain second.
#[derive(Clone, Copy)]
pub enum Selected<'a> {
    /// No series.
    None,
    /// As its selection says.
    By(&'a Selection),
}

impl Selection {
    /// Applies the selection. Ages are only restarted later and later: what is `None` once
    /// stays so.
    pub(super) fn with_ages(&self, ages_start: Option<u32>) -> Selected<'_> {
        match self {
            Selection::PushedBefore(second) if ages_start.is_none_or(|start| start >= *second) => {
                Selected::None
            }
            _ => Selected::By(self),
        }
    }
}

impl Selected<'_> {
    /// Tells by the second alone whether a series is selected, if that is enough.
    pub fn contains_second(self, second: Option<u32>) -> Option<bool> {
        match self {
            Selected::None => Some(false),
            Selected::By(Selection::PushedBefore(limit)) => {
                Some(second.is_some_and(|second| second < *limit))
            }
            Selected::By(Selection::Labels(_) | Selection::Family(_)) => None,
        }
    }

    /// True for a series that was last pushed in this second.
    pub fn contains(self, family: &str, labels: &str, second: Option<u32>) -> bool {
        match self {
            Selected::None | Selected::By(Selection::PushedBefore(_)) => {
                self.contains_second(second) == Some(true)
            }
            Selected::By(Selection::Labels(wanted)) => wanted
                .iter()
                .all(|(name, value)| value_of(labels, name) == value),
            Selected::By(Selection::Family(name)) => name == family,
        }
    }
}

/// The value of a label in the text of a label set; empty when it is not there.
fn value_of<'a>(labels: &'a str, name: &str) -> &'a str {
    let label = canonical_labels(labels).find(|label| label.name == name);
    label.map_or("", |label| label.value)
}
