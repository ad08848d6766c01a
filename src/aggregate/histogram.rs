//! A stored histogram: its classic buckets, its native part, and what adding to them means.
//!
//! Both parts have a sum and a count of their own. A sender that pushes classic buckets alone adds
//! to these, and the native part lacks its observations from then on: it is exposed only as long as
//! its count is the count of the histogram.

use std::sync::Arc;

use super::family::{AddTo, Increment, Series, Sum, Totals};
use super::sorted::Sorted;
use crate::metric::{
    Bucket, LabelSet, NativeHistogram, Push, PushedHistogram, SERIES_BESIDE_BUCKETS, UpperBound,
    add,
};

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
    /// The native parts that were pushed, added up. What is exposed of them, [`Histogram::native`]
    /// says.
    pub native: Option<Box<NativeHistogram>>,
}

impl Histogram {
    /// The native histogram that is exposed: `None` if there is none, or if it lacks observations,
    /// as some were pushed without a native part. Then the classic buckets are all there is.
    #[must_use]
    pub fn native(&self) -> Option<&NativeHistogram> {
        let native = self.native.as_deref();
        native.filter(|native| native.count() == self.count)
    }

    /// Time series as Prometheus counts them. A native part counts as one more for each of its
    /// buckets, and one for itself.
    #[must_use]
    pub fn series_count(&self) -> usize {
        let native = self.native.as_deref().map_or(0, NativeHistogram::series);
        self.counts.len() + SERIES_BESIDE_BUCKETS + native
    }

    fn add_native(&mut self, pushed: Option<&NativeHistogram>, push: &Push<'_>) {
        match (&mut self.native, pushed) {
            (_, None) => {}
            (Some(native), Some(pushed)) => native.merge(pushed, push.native_buckets),
            (None, Some(pushed)) => self.native = Some(Box::new(pushed.clone())),
        }
    }

    fn new_native_series(&self, pushed: &NativeHistogram, push: &Push<'_>) -> usize {
        let Some(known) = &self.native else {
            return pushed.series();
        };
        let mut merged = known.clone();
        merged.merge(pushed, push.native_buckets);
        merged.series().saturating_sub(known.series())
    }
}

impl Sum for Histogram {
    fn sums(series: &Series) -> Option<&Sorted<Histogram>> {
        match series {
            Series::Histograms(sums) => Some(sums),
            _ => None,
        }
    }

    fn sums_mut(series: &mut Series) -> Option<&mut Sorted<Histogram>> {
        match series {
            Series::Histograms(sums) => Some(Arc::make_mut(sums)),
            _ => None,
        }
    }

    fn series(&self) -> usize {
        self.series_count()
    }

    fn is_negative(&self) -> bool {
        false
    }

    fn is_incomplete(&self) -> bool {
        self.native.is_some() && self.native().is_none()
    }
}

impl<'a> Increment<'a> for PushedHistogram<'a> {
    fn family(&self) -> usize {
        self.family
    }

    fn labels(&self) -> &LabelSet<'a> {
        &self.labels
    }

    fn seconds<'p>(push: &'p Push<'_>) -> &'p [u32] {
        &push.histogram_seconds
    }
}

impl<'a> AddTo<'a, Histogram> for PushedHistogram<'a> {
    fn new_series(&self, sum: Option<&Histogram>, push: &Push<'_>) -> usize {
        let buckets = push.buckets(self);
        let native = self.native.as_deref();
        let Some(known) = sum else {
            let native = native.map_or(0, NativeHistogram::series);
            return buckets.len() + SERIES_BESIDE_BUCKETS + native;
        };
        let native = native.map_or(0, |native| known.new_native_series(native, push));
        if has_bounds(&known.upper_bounds, buckets) {
            return native;
        }
        let is_new = |bucket: &&Bucket| place(&known.upper_bounds, bucket).is_err();
        buckets.iter().filter(is_new).count() + native
    }

    fn first(&self, push: &Push<'_>, totals: &mut Totals) -> Histogram {
        let buckets = push.buckets(self);
        totals.add_names(self.labels.as_str());
        let first = Histogram {
            upper_bounds: totals.shared(buckets),
            counts: buckets.iter().map(|bucket| bucket.count).collect(),
            sum: add(0.0, self.sum),
            count: self.count,
            native: self.native.clone(),
        };
        totals.add(&first);
        first
    }

    fn add_to(&self, to: &mut Histogram, push: &Push<'_>, totals: &mut Totals) {
        to.sum = add(to.sum, self.sum);
        if self.native.is_some() || to.native.is_some() {
            totals.subtract(to);
            to.count = add(to.count, self.count);
            to.add_native(self.native.as_deref(), push);
            totals.add(to);
        } else {
            to.count = add(to.count, self.count);
        }
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
