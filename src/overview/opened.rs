//! A family that is opened: its first series, and how their observations are distributed.

use super::distribution::Distribution;
use super::listing::Named;
use super::query::Query;
use crate::aggregate::{Shown, View};
use crate::metric::escaped_name;

/// Label sets shown of an opened family.
pub const SERIES_SHOWN_MAX: usize = 100;

/// See the module.
#[derive(Clone, Debug)]
pub struct Opened<'v> {
    /// The family.
    pub named: Named<'v>,
    /// Its first label sets, at most [`SERIES_SHOWN_MAX`], with their values.
    pub series: Vec<(&'v str, Value)>,
    /// All that it has.
    pub label_sets: usize,
    /// That of the series that are shown, added up; without bars if they have no buckets.
    pub distribution: Distribution,
}

/// The value of a series.
#[derive(Clone, Debug)]
pub enum Value {
    /// Of a counter, gauge or untyped series.
    Number(f64),
    /// Of a histogram of any kind.
    Observed {
        /// How many observations there were.
        count: f64,
        /// Their sum.
        sum: f64,
        /// Where they lie.
        distribution: Distribution,
    },
}

/// Opens the family of a query: `None` if it names none, or one that is not stored.
#[must_use]
pub fn open<'v>(view: &'v View, query: &Query) -> Option<Opened<'v>> {
    let (name, family) = view.named_family(&escaped_name(query.family.as_deref()?))?;
    if family.series_count() == 0 {
        return None;
    }
    let mut series = Vec::new();
    family.visit_first(SERIES_SHOWN_MAX, |labels, shown| {
        series.push((labels, value(shown)));
    });
    let bars = series.iter().flat_map(|(_, value)| match value {
        Value::Number(_) => &[][..],
        Value::Observed { distribution, .. } => &distribution.bars,
    });
    let distribution = Distribution::of(bars.copied());
    Some(Opened {
        named: (name, family),
        label_sets: family.label_set_count(),
        distribution,
        series,
    })
}

fn value(shown: Shown<'_>) -> Value {
    match shown {
        Shown::Number(number) => Value::Number(number),
        Shown::Histogram(histogram) => Value::Observed {
            count: histogram.count,
            sum: histogram.sum,
            distribution: Distribution::of_histogram(histogram),
        },
    }
}
