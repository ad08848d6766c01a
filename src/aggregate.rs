//! The merge rules and the store.
//!
//! Invariant: whatever was merged, the aggregate can be exposed: one type for a name, no two
//! families that expose the same name, each label set once, every number finite, no counter,
//! bucket or count negative. [`Aggregate::check`] refuses what would break that;
//! [`Aggregate::merge`] of what was checked cannot fail, so that a push is all or nothing.
//!
//! | pushed | merged |
//! |---|---|
//! | counter, gauge, untyped | added to the series with the same name and label set |
//! | histogram | sum and count added; buckets: the union of upper bounds, each with its own count |
//! | summary | discarded |
//!
//! Knows nothing of text, locks or time.

use std::collections::BTreeMap;
use std::fmt;

use crate::excerpt::Excerpt;
use crate::metric::{
    Bucket, LabelSet, MetricType, Push, PushedFamily, PushedHistogram, PushedNumber, base_names,
};

/// All that was pushed since the last reset, added up.
#[derive(Debug, Default)]
pub struct Aggregate {
    families: BTreeMap<Box<str>, Family>,
    series: usize,
}

/// One stored metric family; it has at least one series.
#[derive(Debug)]
pub struct Family {
    /// An untyped family takes the first type that says more.
    pub metric_type: MetricType,
    /// The first text that was not empty, escaped; empty when there was none.
    pub help: Box<str>,
    /// The sums, by label set.
    pub series: Series,
    /// How many of the sums are below zero. As long as there are any, the family is no counter.
    negative_sums: usize,
}

/// The sums of one family, in the byte order of their label sets.
#[derive(Debug)]
pub enum Series {
    /// Of a counter, gauge or untyped family.
    Numbers(BTreeMap<Box<str>, f64>),
    /// Of a histogram.
    Histograms(BTreeMap<Box<str>, Histogram>),
}

/// The sums of one histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Sorted by upper bound, without duplicates, ending in `+Inf`.
    pub buckets: Vec<Bucket>,
    /// Of all observations.
    pub sum: f64,
    /// Of what the senders counted; it may differ from the buckets' total.
    pub count: f64,
}

/// How much an aggregate holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Metric families.
    pub families: usize,
    /// Time series as Prometheus counts them: a histogram is one for each bucket, and two more.
    pub series: usize,
}

/// Why a push, right in itself, cannot be added to what is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the messages below say it
pub enum Conflict {
    Type {
        name: Excerpt,
        pushed: MetricType,
        stored: MetricType,
    },
    Exposed {
        name: Excerpt,
        by: Excerpt,
    },
    Exposes {
        name: Excerpt,
        stored: Excerpt,
    },
    NegativeCounter(Excerpt),
    NegativeUntyped(Excerpt),
}

impl fmt::Display for Conflict {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Conflict::Type {
                name,
                pushed,
                stored,
            } => {
                write!(to, "{name} is pushed as {pushed}, but stored as {stored}")
            }
            Conflict::Exposed { name, by } => {
                write!(
                    to,
                    "the name {name} is taken: the stored histogram {by} exposes it"
                )
            }
            Conflict::Exposes { name, stored } => write!(
                to,
                "the histogram {name} would expose the name {stored}, which is stored already"
            ),
            Conflict::NegativeCounter(name) => {
                write!(
                    to,
                    "{name} is stored as counter, but a pushed value is negative"
                )
            }
            Conflict::NegativeUntyped(name) => write!(
                to,
                "{name} is pushed as counter, but was pushed without TYPE and is negative"
            ),
        }
    }
}

impl std::error::Error for Conflict {}

impl Aggregate {
    /// Tells whether a push can be merged into what is stored now.
    ///
    /// # Errors
    /// The first family that conflicts with what is stored.
    pub fn check(&self, push: &Push<'_>) -> Result<(), Conflict> {
        push.families
            .iter()
            .try_for_each(|pushed| match self.families.get(pushed.name) {
                Some(stored) => check_types(pushed, stored),
                None if !pushed.has_series => Ok(()),
                None => self.check_names(pushed),
            })
    }

    /// A new family must not share a name with what a stored one exposes, nor the other way round.
    fn check_names(&self, pushed: &PushedFamily<'_>) -> Result<(), Conflict> {
        let is_histogram = |name: &&str| {
            let family = self.families.get(*name);
            family.is_some_and(|family| family.metric_type == MetricType::Histogram)
        };
        if let Some(by) = base_names(pushed.name).find(is_histogram) {
            let (name, by) = (Excerpt::of(pushed.name), Excerpt::of(by));
            return Err(Conflict::Exposed { name, by });
        }
        for suffix in pushed.metric_type.suffixes() {
            let exposed = format!("{}{suffix}", pushed.name);
            if self.families.contains_key(exposed.as_str()) {
                let (name, stored) = (Excerpt::of(pushed.name), Excerpt::of(exposed));
                return Err(Conflict::Exposes { name, stored });
            }
        }
        Ok(())
    }

    /// Adds a push that [`Aggregate::check`] has found to fit what is stored now.
    pub fn merge(&mut self, push: &Push<'_>) {
        for pushed in &push.families {
            self.declare(pushed);
        }
        for numbers in push.numbers.chunk_by(|one, next| one.family == next.family) {
            let name = push.families[numbers[0].family].name;
            // What else could be there was refused, and what was not there was declared.
            if let Some(family) = self.families.get_mut(name)
                && let Series::Numbers(stored) = &mut family.series
            {
                let negative = &mut family.negative_sums;
                let new = numbers
                    .iter()
                    .map(|pushed| add_number(stored, negative, pushed));
                self.series += new.sum::<usize>();
            }
        }
        for histograms in push
            .histograms
            .chunk_by(|one, next| one.family == next.family)
        {
            let name = push.families[histograms[0].family].name;
            if let Some(family) = self.families.get_mut(name)
                && let Series::Histograms(stored) = &mut family.series
            {
                let new = histograms
                    .iter()
                    .map(|pushed| add_histogram(stored, pushed, push.buckets(pushed)));
                self.series += new.sum::<usize>();
            }
        }
    }

    /// Makes a family that has series to come, and takes type and HELP where they say more.
    fn declare(&mut self, pushed: &PushedFamily<'_>) {
        let stored = match self.families.get_mut(pushed.name) {
            Some(stored) => stored,
            None if !pushed.has_series => return,
            None => self
                .families
                .entry(pushed.name.into())
                .or_insert(Family::new(pushed.metric_type)),
        };
        if stored.metric_type == MetricType::Untyped {
            stored.metric_type = pushed.metric_type;
        }
        if stored.help.is_empty() {
            stored.help = pushed.help.into();
        }
    }

    /// The families in the byte order of their names.
    pub fn families(&self) -> impl Iterator<Item = (&str, &Family)> {
        self.families
            .iter()
            .map(|(name, family)| (name.as_ref(), family))
    }

    /// How much is stored; constant time.
    #[must_use]
    pub fn size(&self) -> Size {
        Size {
            families: self.families.len(),
            series: self.series,
        }
    }
}

/// A family that is both pushed and stored must be of one type; untyped gives way to counter and
/// gauge, in both directions, as long as no counter is or becomes negative by it.
fn check_types(pushed: &PushedFamily<'_>, stored: &Family) -> Result<(), Conflict> {
    use MetricType::{Counter, Gauge, Untyped};
    let name = || Excerpt::of(pushed.name);
    match (pushed.metric_type, stored.metric_type) {
        (Untyped, Counter) if pushed.has_negative => Err(Conflict::NegativeCounter(name())),
        (Counter, Untyped) if stored.negative_sums > 0 => Err(Conflict::NegativeUntyped(name())),
        // Without series it is no more than a HELP line.
        (Untyped, _) if !pushed.has_series => Ok(()),
        (Untyped, Counter | Gauge) | (Counter | Gauge, Untyped) => Ok(()),
        (pushed, stored) if pushed == stored => Ok(()),
        (pushed, stored) => Err(Conflict::Type {
            name: name(),
            pushed,
            stored,
        }),
    }
}

impl Family {
    fn new(metric_type: MetricType) -> Family {
        Family {
            metric_type,
            help: Box::default(),
            series: match metric_type {
                MetricType::Histogram => Series::Histograms(BTreeMap::new()),
                _ => Series::Numbers(BTreeMap::new()),
            },
            negative_sums: 0,
        }
    }
}

/// Adds to a series and returns how many that made; keeps count of the sums below zero.
fn add_number(
    stored: &mut BTreeMap<Box<str>, f64>,
    negative_sums: &mut usize,
    pushed: &PushedNumber<'_>,
) -> usize {
    let (before, after, new) = if let Some(sum) = stored.get_mut(pushed.labels.as_str()) {
        let before = *sum;
        *sum = add(before, pushed.value);
        (before, *sum, 0)
    } else {
        // Adding to zero leaves no negative zero.
        let sum = add(0.0, pushed.value);
        stored.insert(boxed(&pushed.labels), sum);
        (0.0, sum, 1)
    };
    *negative_sums += usize::from(after < 0.0);
    *negative_sums -= usize::from(before < 0.0);
    new
}

/// Adds to a histogram and returns how many series that made.
fn add_histogram(
    stored: &mut BTreeMap<Box<str>, Histogram>,
    pushed: &PushedHistogram<'_>,
    buckets: &[Bucket],
) -> usize {
    let Some(histogram) = stored.get_mut(pushed.labels.as_str()) else {
        let histogram = Histogram {
            buckets: buckets.to_vec(),
            sum: add(0.0, pushed.sum),
            count: pushed.count,
        };
        stored.insert(boxed(&pushed.labels), histogram);
        return buckets.len() + 2;
    };
    histogram.sum = add(histogram.sum, pushed.sum);
    histogram.count = add(histogram.count, pushed.count);
    let buckets_before = histogram.buckets.len();
    add_buckets(&mut histogram.buckets, buckets);
    histogram.buckets.len() - buckets_before
}

fn boxed(labels: &LabelSet<'_>) -> Box<str> {
    labels.as_str().into()
}

/// Adds each bucket's own count to the bucket of the same upper bound; bounds that are new are put
/// between the stored ones, whose own counts they leave as they are. That alone costs what is
/// stored: a pass over the bounds of this one histogram, once for each set of bounds.
fn add_buckets(stored: &mut Vec<Bucket>, pushed: &[Bucket]) {
    let mut new = Vec::new();
    for bucket in pushed {
        match stored.binary_search_by_key(&bucket.upper_bound, |stored| stored.upper_bound) {
            Ok(at) => stored[at].count = add(stored[at].count, bucket.count),
            Err(_) => new.push(*bucket),
        }
    }
    if !new.is_empty() {
        stored.append(&mut new);
        // Two sorted runs: the sort is one pass.
        stored.sort_by_key(|bucket| bucket.upper_bound);
    }
}

/// A sum stays finite: an infinity could never be added to again.
fn add(sum: f64, increment: f64) -> f64 {
    (sum + increment).clamp(f64::MIN, f64::MAX)
}
