//! A stored family, its series, and what adding to them means.

use std::sync::Arc;

use super::sorted::Sorted;
use crate::metric::{
    Bucket, GaugeMode, LabelSet, MetricType, Push, PushedFamily, PushedHistogram, PushedNumber,
    SERIES_BESIDE_BUCKETS, UpperBound, add, has_quoted_label, is_plain_metric_name,
};

/// One stored metric family; it has at least one series.
#[derive(Clone, Debug)]
pub struct Family {
    /// An untyped family takes the first type that says more.
    pub metric_type: MetricType,
    /// The first text that was not empty, escaped; empty when there was none.
    pub help: Arc<str>,
    /// The sums, by label set.
    pub series: Series,
    /// Whose no other family is or was.
    pub(super) number: u64,
    pub(super) totals: Totals,
}

/// The sums of one family, in the byte order of their label sets.
#[derive(Clone, Debug)]
pub enum Series {
    /// Of a counter, gauge or untyped family.
    Numbers(Arc<Sorted<f64>>),
    /// Of a histogram, or of a summary: its quantiles are not kept, and it has no buckets.
    Histograms(Arc<Sorted<Histogram>>),
}

/// The sums of one histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Sorted, without duplicates, ending in `+Inf`; of a summary, none. Histograms of a family
    /// share them as long as they are the same.
    pub upper_bounds: Arc<[UpperBound]>,
    /// The observations in the bucket of each bound.
    pub counts: Box<[f64]>,
    /// Of all observations.
    pub sum: f64,
    /// Of what the senders counted; it may differ from the buckets' total.
    pub count: f64,
}

/// What a family keeps count of beside its sums.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Time series as Prometheus counts them.
    pub series: usize,
    /// How many of the sums are below zero. As long as there are any, the family is no counter.
    pub negative_sums: usize,
    /// How many names are beyond their alphabets: the family's own one, and label sets with such
    /// a label.
    pub quoted_names: usize,
    /// How pushed numbers are merged into the sums.
    pub mode: GaugeMode,
    /// Those of the histogram that was last given others.
    upper_bounds: Arc<[UpperBound]>,
}

impl Family {
    /// A family without series.
    pub(super) fn new(pushed: &PushedFamily<'_>, number: u64) -> Family {
        let family = Family::empty(&pushed.name, pushed.metric_type, pushed.mode, number);
        Family {
            help: pushed.help.as_ref().into(),
            ..family
        }
    }

    /// The same, without a HELP text.
    pub(super) fn empty(
        name: &str,
        metric_type: MetricType,
        mode: GaugeMode,
        number: u64,
    ) -> Family {
        Family {
            metric_type,
            help: Arc::default(),
            series: match metric_type {
                MetricType::Histogram | MetricType::Summary => Series::Histograms(Arc::default()),
                _ => Series::Numbers(Arc::default()),
            },
            number,
            totals: Totals {
                mode,
                quoted_names: usize::from(!is_plain_metric_name(name)),
                ..Totals::default()
            },
        }
    }
}

impl Family {
    /// True if its name, or the name of a label of one of its series, is beyond the alphabet.
    #[must_use]
    pub fn has_quoted_names(&self) -> bool {
        self.totals.quoted_names > 0
    }

    /// Time series as Prometheus counts them.
    #[must_use]
    pub fn series_count(&self) -> usize {
        self.totals.series
    }

    /// True if nothing of the family was changed between these two states of it.
    pub(super) fn is_same(&self, other: &Family) -> bool {
        self.series.is_same(&other.series)
            && self.metric_type == other.metric_type
            && Arc::ptr_eq(&self.help, &other.help)
    }
}

impl Series {
    /// True if these are the same in memory. Pushes copy what they change as long as it is shared.
    pub(super) fn is_same(&self, other: &Series) -> bool {
        match (self, other) {
            (Series::Numbers(one), Series::Numbers(other)) => Arc::ptr_eq(one, other),
            (Series::Histograms(one), Series::Histograms(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// How many leaves they lie in; 0 when there are none.
    pub(super) fn leaf_count(&self) -> usize {
        match self {
            Series::Numbers(sums) => sums.leaf_count(),
            Series::Histograms(sums) => sums.leaf_count(),
        }
    }
}

/// What is pushed of one series.
pub trait Increment<'a> {
    /// What it is added to.
    type Sum: Sum;

    /// The place of its family in the push.
    fn family(&self) -> usize;

    /// The series.
    fn labels(&self) -> &LabelSet<'a>;

    /// When each increment of a push was last pushed, if the push says that.
    fn seconds<'p>(push: &'p Push<'_>) -> &'p [u32];

    /// The sums of such series, where they are of this kind.
    fn sums(series: &Series) -> Option<&Sorted<Self::Sum>>;

    /// The same, to be changed.
    fn sums_mut(series: &mut Series) -> Option<&mut Sorted<Self::Sum>>;

    /// How many series are made of it, beside those of its sum, if it is known.
    fn new_series(&self, sum: Option<&Self::Sum>, push: &Push<'_>) -> usize;

    /// The sum of this one alone.
    fn first(&self, push: &Push<'_>, totals: &mut Totals) -> Self::Sum;

    /// Adds it to a sum.
    fn add_to(&self, sum: &mut Self::Sum, push: &Push<'_>, totals: &mut Totals);
}

/// What is summed up for one label set.
pub trait Sum: Clone {
    /// Time series as Prometheus counts them.
    fn series(&self) -> usize;

    /// True if it keeps its family from being a counter.
    fn is_negative(&self) -> bool;
}

impl Sum for f64 {
    fn series(&self) -> usize {
        1
    }

    fn is_negative(&self) -> bool {
        *self < 0.0
    }
}

impl Sum for Histogram {
    fn series(&self) -> usize {
        self.counts.len() + SERIES_BESIDE_BUCKETS
    }

    fn is_negative(&self) -> bool {
        false
    }
}

impl<'a> Increment<'a> for PushedNumber<'a> {
    type Sum = f64;

    fn family(&self) -> usize {
        self.family
    }

    fn labels(&self) -> &LabelSet<'a> {
        &self.labels
    }

    fn seconds<'p>(push: &'p Push<'_>) -> &'p [u32] {
        &push.number_seconds
    }

    fn sums(series: &Series) -> Option<&Sorted<f64>> {
        match series {
            Series::Numbers(sums) => Some(sums),
            Series::Histograms(_) => None,
        }
    }

    fn sums_mut(series: &mut Series) -> Option<&mut Sorted<f64>> {
        match series {
            Series::Numbers(sums) => Some(Arc::make_mut(sums)),
            Series::Histograms(_) => None,
        }
    }

    fn new_series(&self, sum: Option<&f64>, _push: &Push<'_>) -> usize {
        usize::from(sum.is_none())
    }

    fn first(&self, _push: &Push<'_>, totals: &mut Totals) -> f64 {
        totals.series += 1;
        totals.add_names(self.labels.as_str());
        // Adding to zero leaves no negative zero.
        let first = 0.0 + self.value;
        totals.negative_sums += usize::from(first < 0.0);
        first
    }

    fn add_to(&self, sum: &mut f64, _push: &Push<'_>, totals: &mut Totals) {
        let before = *sum;
        *sum = totals.mode.merge(before, self.value);
        totals.negative_sums += usize::from(*sum < 0.0);
        totals.negative_sums -= usize::from(before < 0.0);
    }
}

impl<'a> Increment<'a> for PushedHistogram<'a> {
    type Sum = Histogram;

    fn family(&self) -> usize {
        self.family
    }

    fn labels(&self) -> &LabelSet<'a> {
        &self.labels
    }

    fn seconds<'p>(push: &'p Push<'_>) -> &'p [u32] {
        &push.histogram_seconds
    }

    fn sums(series: &Series) -> Option<&Sorted<Histogram>> {
        match series {
            Series::Histograms(sums) => Some(sums),
            Series::Numbers(_) => None,
        }
    }

    fn sums_mut(series: &mut Series) -> Option<&mut Sorted<Histogram>> {
        match series {
            Series::Histograms(sums) => Some(Arc::make_mut(sums)),
            Series::Numbers(_) => None,
        }
    }

    fn new_series(&self, sum: Option<&Histogram>, push: &Push<'_>) -> usize {
        let buckets = push.buckets(self);
        let Some(known) = sum else {
            return buckets.len() + SERIES_BESIDE_BUCKETS;
        };
        if has_bounds(&known.upper_bounds, buckets) {
            return 0;
        }
        let is_new = |bucket: &&Bucket| place(&known.upper_bounds, bucket).is_err();
        buckets.iter().filter(is_new).count()
    }

    fn first(&self, push: &Push<'_>, totals: &mut Totals) -> Histogram {
        let buckets = push.buckets(self);
        totals.series += buckets.len() + SERIES_BESIDE_BUCKETS;
        totals.add_names(self.labels.as_str());
        Histogram {
            upper_bounds: totals.shared(buckets),
            counts: buckets.iter().map(|bucket| bucket.count).collect(),
            sum: add(0.0, self.sum),
            count: self.count,
        }
    }

    fn add_to(&self, to: &mut Histogram, push: &Push<'_>, totals: &mut Totals) {
        to.sum = add(to.sum, self.sum);
        to.count = add(to.count, self.count);
        let buckets = push.buckets(self);
        if has_bounds(&to.upper_bounds, buckets) {
            for (count, bucket) in to.counts.iter_mut().zip(buckets) {
                *count = add(*count, bucket.count);
            }
        } else if buckets
            .iter()
            .all(|bucket| place(&to.upper_bounds, bucket).is_ok())
        {
            for bucket in buckets {
                if let Ok(at) = place(&to.upper_bounds, bucket) {
                    to.counts[at] = add(to.counts[at], bucket.count);
                }
            }
        } else {
            let united = unite(to, buckets);
            totals.series += united.len() - to.counts.len();
            to.upper_bounds = totals.shared(&united);
            to.counts = united.iter().map(|bucket| bucket.count).collect();
        }
    }
}

impl Totals {
    /// Counts one sum more.
    pub(super) fn add(&mut self, sum: &impl Sum) {
        self.series += sum.series();
        self.negative_sums += usize::from(sum.is_negative());
    }

    /// Counts a sum less that was counted.
    pub(super) fn subtract(&mut self, sum: &impl Sum) {
        self.series -= sum.series();
        self.negative_sums -= usize::from(sum.is_negative());
    }

    /// Counts the names of a label set that is new.
    pub(super) fn add_names(&mut self, labels: &str) {
        self.quoted_names += usize::from(has_quoted_label(labels));
    }

    /// Counts those of a label set that goes.
    pub(super) fn subtract_names(&mut self, labels: &str) {
        self.quoted_names -= usize::from(has_quoted_label(labels));
    }

    /// The bounds of these buckets, the last such ones once more if they are the same.
    fn shared(&mut self, buckets: &[Bucket]) -> Arc<[UpperBound]> {
        if !has_bounds(&self.upper_bounds, buckets) {
            self.upper_bounds = buckets.iter().map(|bucket| bucket.upper_bound).collect();
        }
        Arc::clone(&self.upper_bounds)
    }
}

fn has_bounds(bounds: &[UpperBound], buckets: &[Bucket]) -> bool {
    let pushed = buckets.iter().map(|bucket| bucket.upper_bound);
    bounds.len() == buckets.len() && bounds.iter().copied().eq(pushed)
}

/// Where the bound of a bucket is, or where it would have to go.
fn place(bounds: &[UpperBound], bucket: &Bucket) -> Result<usize, usize> {
    bounds.binary_search(&bucket.upper_bound)
}

/// Adds each bucket's own count to the bucket of the same upper bound; bounds that are new come
/// between the stored ones, whose own counts they leave as they are. That alone costs what is
/// stored: a pass over the bounds of this one histogram, once for each set of bounds.
fn unite(stored: &Histogram, pushed: &[Bucket]) -> Vec<Bucket> {
    let counts = stored.upper_bounds.iter().zip(&stored.counts);
    let counts = counts.map(|(&upper_bound, &count)| Bucket { upper_bound, count });
    let mut united: Vec<Bucket> = counts.collect();
    for bucket in pushed {
        match place(&stored.upper_bounds, bucket) {
            Ok(at) => united[at].count = add(united[at].count, bucket.count),
            Err(_) => united.push(*bucket),
        }
    }
    // Two sorted runs: the sort is one pass.
    united.sort_by_key(|bucket| bucket.upper_bound);
    united
}
