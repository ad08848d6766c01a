//! A stored family, its series, and what adding to them means.

use std::sync::Arc;

use super::gauge_sum::{FamilyName, GaugeSum, Gauges};
use super::histogram::Histogram;
use super::sorted::Sorted;
use crate::metric::{
    GaugeMode, LabelSet, MetricType, Push, PushedFamily, PushedNumber, UpperBound,
    has_quoted_label, is_plain_metric_name,
};
use crate::rules::Contributions;

/// One stored metric family; it has at least one series, unless it is absent (see `held`).
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
    /// Where senders contribute: of a gauge or untyped family, or one that was untyped.
    Gauges(Arc<Gauges>),
}

/// What a family keeps count of beside its sums.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Time series as Prometheus counts them.
    pub series: usize,
    /// How many of the sums are below zero. As long as there are any, the family is no counter.
    pub negative_sums: u32,
    /// Series in which contributions stand.
    held: u32,
    /// Series that are not exposed.
    pub vacant: u32,
    /// How many names are beyond their alphabets: the family's own one, and label sets with such
    /// a label.
    pub quoted_names: usize,
    /// Histograms whose native part lacks observations.
    pub incomplete_natives: u32,
    /// How pushed numbers are merged into the sums.
    pub mode: GaugeMode,
    /// What is pushed are increments, whoever pushes; contributions are a part of the sums.
    pub is_counter: bool,
    /// Those of the histogram that was last given others.
    pub(super) upper_bounds: Arc<[UpperBound]>,
}

impl Family {
    /// A family without series.
    pub(super) fn new(
        pushed: &PushedFamily<'_>,
        number: u64,
        contributions: Contributions,
    ) -> Family {
        Family {
            metric_type: pushed.metric_type,
            help: pushed.help.as_ref().into(),
            series: match (pushed.metric_type, contributions) {
                (MetricType::Histogram | MetricType::Summary, _) => {
                    Series::Histograms(Arc::default())
                }
                (MetricType::Gauge | MetricType::Untyped, Contributions::Kept) => {
                    let name = Arc::new(FamilyName::new(&pushed.name));
                    Series::Gauges(Arc::new(Gauges::of(name)))
                }
                _ => Series::Numbers(Arc::default()),
            },
            number,
            totals: Totals {
                mode: pushed.mode,
                is_counter: pushed.metric_type == MetricType::Counter,
                quoted_names: usize::from(!is_plain_metric_name(&pushed.name)),
                ..Totals::default()
            },
        }
    }

    /// The same family without its series.
    pub(super) fn emptied(&self, name: &str) -> Family {
        Family {
            metric_type: self.metric_type,
            help: Arc::clone(&self.help),
            series: match &self.series {
                Series::Numbers(_) => Series::Numbers(Arc::default()),
                Series::Histograms(_) => Series::Histograms(Arc::default()),
                Series::Gauges(gauges) => {
                    Series::Gauges(Arc::new(Gauges::of(Arc::clone(&gauges.name))))
                }
            },
            number: self.number,
            totals: Totals {
                mode: self.totals.mode,
                is_counter: self.totals.is_counter,
                quoted_names: usize::from(!is_plain_metric_name(name)),
                ..Totals::default()
            },
        }
    }

    /// An untyped family takes the type of a push.
    pub(super) fn take_type(&mut self, pushed: &PushedFamily<'_>) {
        self.metric_type = pushed.metric_type;
        self.totals.mode = pushed.mode;
        self.totals.is_counter = pushed.metric_type == MetricType::Counter;
    }

    /// True if none of its series is exposed: then the family is not, either, and the next push
    /// that has series of its name makes another.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.totals.series == 0
    }

    /// How many of its series senders hold.
    #[must_use]
    pub fn held_series(&self) -> usize {
        self.totals.held_series()
    }

    /// True if senders hold all of its series that are exposed.
    #[must_use]
    pub fn is_held_whole(&self) -> bool {
        self.totals.series == self.totals.held_series()
    }

    /// The value of a series of this family in a snapshot without those that senders hold, if it is
    /// in that.
    #[must_use]
    pub fn ordinary_value(&self, sum: &GaugeSum) -> Option<f64> {
        let is_held = sum.is_held() && !self.totals.is_counter;
        sum.value().filter(|_| !is_held)
    }

    /// True if every series that both have is in both alike selected or not, by all that is of the
    /// family.
    pub(super) fn is_akin(&self, other: &Family) -> bool {
        let is_gauge = matches!(self.series, Series::Gauges(_));
        let (totals, others) = (&self.totals, &other.totals);
        let is_merged_alike = totals.mode == others.mode && totals.is_counter == others.is_counter;
        self.number == other.number && (is_merged_alike || !is_gauge)
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
            (Series::Gauges(one), Series::Gauges(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// How many leaves they lie in; 0 when there are none.
    pub(super) fn leaf_count(&self) -> usize {
        match self {
            Series::Numbers(sums) => sums.leaf_count(),
            Series::Histograms(sums) => sums.leaf_count(),
            Series::Gauges(gauges) => gauges.sums.leaf_count(),
        }
    }
}

/// What is pushed of one series.
pub trait Increment<'a> {
    /// The place of its family in the push.
    fn family(&self) -> usize;

    /// The series.
    fn labels(&self) -> &LabelSet<'a>;

    /// When each increment of a push was last pushed, if the push says that.
    fn seconds<'p>(push: &'p Push<'_>) -> &'p [u32];
}

/// An increment of sums of this kind.
pub trait AddTo<'a, S: Sum>: Increment<'a> {
    /// How many series are made of it, beside those of its sum, if it is known.
    fn new_series(&self, sum: Option<&S>, push: &Push<'_>) -> usize;

    /// The sum of this one alone.
    fn first(&self, push: &Push<'_>, totals: &mut Totals) -> S;

    /// Adds it to a sum.
    fn add_to(&self, sum: &mut S, push: &Push<'_>, totals: &mut Totals);
}

/// What is summed up for one label set.
pub trait Sum: Clone {
    /// True if others than pushes change it: what senders hold may be let go.
    const CHANGES_BY_SENDERS: bool = false;

    /// The sums of a family, where they are of this kind.
    fn sums(series: &Series) -> Option<&Sorted<Self>>;

    /// The same, to be changed.
    fn sums_mut(series: &mut Series) -> Option<&mut Sorted<Self>>;

    /// Time series as Prometheus counts them.
    fn series(&self) -> usize;

    /// True if it keeps its family from being a counter.
    fn is_negative(&self) -> bool;

    /// True if contributions stand in it.
    fn is_held(&self) -> bool {
        false
    }

    /// True if it is not exposed.
    fn is_vacant(&self) -> bool {
        false
    }

    /// True if it has a native part that lacks observations.
    fn is_incomplete(&self) -> bool {
        false
    }

    /// Takes the next id, where sums have one.
    fn identify(&mut self, _next_id: &mut u32) {}

    /// The same without what ordinary pushes added, if that changes it.
    fn without_ordinary(&self) -> Option<Self> {
        None
    }

    /// What is left of it when it is not exposed any more, if there is such a state of it.
    fn vacated(&self) -> Option<Self> {
        None
    }
}

impl Sum for f64 {
    fn sums(series: &Series) -> Option<&Sorted<f64>> {
        match series {
            Series::Numbers(sums) => Some(sums),
            _ => None,
        }
    }

    fn sums_mut(series: &mut Series) -> Option<&mut Sorted<f64>> {
        match series {
            Series::Numbers(sums) => Some(Arc::make_mut(sums)),
            _ => None,
        }
    }

    fn series(&self) -> usize {
        1
    }

    fn is_negative(&self) -> bool {
        *self < 0.0
    }
}

impl<'a> Increment<'a> for PushedNumber<'a> {
    fn family(&self) -> usize {
        self.family
    }

    fn labels(&self) -> &LabelSet<'a> {
        &self.labels
    }

    fn seconds<'p>(push: &'p Push<'_>) -> &'p [u32] {
        &push.number_seconds
    }
}

impl<'a> AddTo<'a, f64> for PushedNumber<'a> {
    fn new_series(&self, sum: Option<&f64>, _push: &Push<'_>) -> usize {
        usize::from(sum.is_none())
    }

    fn first(&self, _push: &Push<'_>, totals: &mut Totals) -> f64 {
        totals.series += 1;
        totals.add_names(self.labels.as_str());
        // Adding to zero leaves no negative zero.
        let first = 0.0 + self.value;
        totals.negative_sums += u32::from(first < 0.0);
        first
    }

    fn add_to(&self, sum: &mut f64, _push: &Push<'_>, totals: &mut Totals) {
        let before = *sum;
        *sum = totals.mode.merge(before, self.value);
        totals.negative_sums += u32::from(*sum < 0.0);
        totals.negative_sums -= u32::from(before < 0.0);
    }
}

impl Totals {
    /// Counts one sum more.
    pub(super) fn add(&mut self, sum: &impl Sum) {
        self.series += sum.series();
        self.negative_sums += u32::from(sum.is_negative());
        self.held += u32::from(sum.is_held());
        self.vacant += u32::from(sum.is_vacant());
        self.incomplete_natives += u32::from(sum.is_incomplete());
    }

    /// Counts a sum less that was counted.
    pub(super) fn subtract(&mut self, sum: &impl Sum) {
        self.series -= sum.series();
        self.negative_sums -= u32::from(sum.is_negative());
        self.held -= u32::from(sum.is_held());
        self.vacant -= u32::from(sum.is_vacant());
        self.incomplete_natives -= u32::from(sum.is_incomplete());
    }

    /// Series that senders hold. Those of a counter go on by increments: nobody holds them.
    pub(super) fn held_series(&self) -> usize {
        if self.is_counter {
            0
        } else {
            self.held as usize
        }
    }

    /// Counts the names of a label set that is new.
    pub(super) fn add_names(&mut self, labels: &str) {
        self.quoted_names += usize::from(has_quoted_label(labels));
    }

    /// Counts those of a label set that goes.
    pub(super) fn subtract_names(&mut self, labels: &str) {
        self.quoted_names -= usize::from(has_quoted_label(labels));
    }
}
