//! Names beyond the alphabet as those who read no quotes get them: each character that the alphabet
//! lacks is an underscore, and so is a digit at the begin (Prometheus docs, escaping schemes).
//!
//! Several names may become one by that. [`Omissions`] says what an exposition then leaves out, so
//! that it is valid whatever was pushed. What is inside the alphabet always stays; of what is
//! beyond it, the first one in the order of the exposition stays.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::aggregate::{Family, Histogram, Series, Sorted, View};
use crate::metric::{
    MetricType, base_names, canonical_labels, has_quoted_label, is_plain_metric_name,
    raw_label_name, raw_name,
};

/// What an exposition of a view with underscores leaves out.
#[derive(Debug, Default)]
pub struct Omissions {
    /// The names of whole families.
    families: BTreeSet<String>,
    /// The label sets of series, by the names of their families.
    series: BTreeMap<String, BTreeSet<String>>,
    /// Time series as Prometheus counts them.
    series_count: usize,
}

impl Omissions {
    /// What is left out of a view. That takes a look at each family, and at each label set of those
    /// with labels beyond the alphabet.
    #[must_use]
    pub fn of(view: &View) -> Omissions {
        let mut omissions = Omissions::default();
        let mut exposed = BTreeSet::new();
        for (name, family) in view.families() {
            if !family.has_quoted_names() {
                continue;
            }
            let series = colliding_series(&family.series);
            let is_left_out = series.label_sets.len() == series.all
                || (!is_plain_metric_name(name) && !expose(name, family, view, &mut exposed));
            if is_left_out {
                omissions.families.insert(name.to_owned());
                omissions.series_count += family.series_count();
            } else if !series.label_sets.is_empty() {
                omissions.series_count += series.series_count;
                omissions.series.insert(name.to_owned(), series.label_sets);
            }
        }
        omissions
    }

    /// How many families are left out whole.
    #[must_use]
    pub fn families(&self) -> usize {
        self.families.len()
    }

    /// How many time series are left out, those of whole families included.
    #[must_use]
    pub fn series(&self) -> usize {
        self.series_count
    }

    /// True if the whole family is left out.
    pub(super) fn has_family(&self, name: &str) -> bool {
        self.families.contains(name)
    }

    /// The label sets that are left out of a family, if there are any.
    pub(super) fn label_sets(&self, name: &str) -> Option<&BTreeSet<String>> {
        self.series.get(name)
    }
}

/// Adds the names that a family of a name beyond the alphabet exposes to those that others of its
/// kind do. False, with nothing added, if one of them is taken already.
fn expose(name: &str, family: &Family, view: &View, exposed: &mut BTreeSet<String>) -> bool {
    let name = metric_name(name);
    let suffixes = family.metric_type.suffixes().iter();
    let names: Vec<String> = [""]
        .iter()
        .chain(suffixes)
        .map(|suffix| format!("{name}{suffix}"))
        .collect();
    let is_taken = |name: &String| exposed.contains(name) || is_stored(name, view);
    if names.iter().any(is_taken) {
        return false;
    }
    exposed.extend(names);
    true
}

/// True if a family of this view exposes a name inside the alphabet.
fn is_stored(name: &str, view: &View) -> bool {
    let type_of = |name: &str| view.family(name).map(|family| family.metric_type);
    let exposes = |base: &str| {
        let suffixes = type_of(base).map_or(&[][..], MetricType::suffixes);
        suffixes
            .iter()
            .any(|suffix| name.strip_suffix(suffix) == Some(base))
    };
    type_of(name).is_some() || base_names(name).any(exposes)
}

/// Label sets of a family that are left out.
#[derive(Default)]
struct Colliding {
    label_sets: BTreeSet<String>,
    /// How many time series these are.
    series_count: usize,
    /// How many label sets the family has.
    all: usize,
}

fn colliding_series(series: &Series) -> Colliding {
    match series {
        Series::Numbers(sums) => colliding(sums, |_| 1),
        Series::Gauges(gauges) => {
            colliding(gauges.sums(), |sum| usize::from(sum.value().is_some()))
        }
        Series::Histograms(sums) => colliding(sums, Histogram::series_count),
    }
}

/// What is no time series at present is not shown anyway.
fn colliding<T>(sums: &Sorted<T>, series_count: impl Fn(&T) -> usize) -> Colliding {
    let is_exposed = |sum: &T| series_count(sum) > 0;
    let mut colliding = Colliding {
        all: sums.iter().filter(|(_, sum)| is_exposed(sum)).count(),
        ..Colliding::default()
    };
    if are_unlike(sums.iter().map(|(labels, _)| labels)) {
        return colliding;
    }
    let mut shown = BTreeSet::new();
    let exposed = sums.iter().filter(|(_, sum)| is_exposed(sum));
    for (labels, sum) in exposed.filter(|(labels, _)| has_quoted_label(labels)) {
        let is_shown = match label_set(labels) {
            Some(escaped) => {
                let is_free = sums.get(&escaped).is_none_or(|sum| !is_exposed(sum));
                is_free && shown.insert(escaped)
            }
            None => false,
        };
        if !is_shown {
            colliding.label_sets.insert(labels.to_owned());
            colliding.series_count += series_count(sum);
        }
    }
    colliding
}

/// True if no two label names of a family become one, and none becomes a reserved one. Then no two
/// label sets become one, as is nearly always so.
fn are_unlike<'a>(label_sets: impl Iterator<Item = &'a str>) -> bool {
    let names: BTreeSet<&str> = label_sets
        .flat_map(|labels| canonical_labels(labels).map(|label| label.name))
        .collect();
    let escaped: BTreeSet<Cow<'_, str>> = names.iter().map(|name| label_name(name)).collect();
    escaped.len() == names.len() && !escaped.iter().any(|name| is_reserved(name))
}

/// A metric name with underscores.
pub fn metric_name(name: &str) -> Cow<'_, str> {
    if is_plain_metric_name(name) {
        return name.into();
    }
    with_underscores(&raw_name(name), |character| character == ':').into()
}

/// The canonical text of a label set with underscores in its names. `None` if two of its labels
/// have one name then, or one has a name that Prometheus keeps for itself.
pub fn label_set(labels: &str) -> Option<String> {
    let mut escaped: Vec<_> = canonical_labels(labels)
        .map(|label| (label_name(label.name), label.value))
        .collect();
    escaped.sort_unstable();
    let is_twice = escaped.windows(2).any(|pair| pair[0].0 == pair[1].0);
    if is_twice || escaped.iter().any(|(name, _)| is_reserved(name)) {
        return None;
    }
    let mut text = String::with_capacity(labels.len());
    for (name, value) in &escaped {
        let comma = if text.is_empty() { "" } else { "," };
        text.extend([comma, name, "=\"", value, "\""]);
    }
    Some(text)
}

fn is_reserved(label_name: &str) -> bool {
    label_name.starts_with("__")
}

/// A label name, as it stands in a label set, with underscores.
fn label_name(written: &str) -> Cow<'_, str> {
    if !has_quoted_label(written) {
        return written.into();
    }
    with_underscores(&raw_label_name(written), |_| false).into()
}

/// `is_inside` tells what is in the alphabet beside letters, digits and the underscore.
fn with_underscores(raw: &str, is_inside: impl Fn(char) -> bool) -> String {
    let characters = raw.chars().enumerate();
    let escaped = characters.map(|(at, character)| match character {
        'a'..='z' | 'A'..='Z' | '_' => character,
        '0'..='9' if at > 0 => character,
        other if is_inside(other) => other,
        _ => '_',
    });
    escaped.collect()
}
