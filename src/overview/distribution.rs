//! The buckets of a histogram as bars that can be drawn: each has the observations of its own
//! bucket, not those below it.
//!
//! Whatever has buckets becomes a [`Distribution`] by [`Distribution::of`]: classic histograms, and
//! native ones, whose buckets have upper bounds too.

use crate::aggregate::Histogram;
use crate::metric::{NativeHistogram, native_bound};

/// No more bars are drawn: of more buckets, neighbours are joined.
pub const BARS_MAX: usize = 40;

/// The observations up to a bound and above that of the bar before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// It may be infinite.
    pub upper_bound: f64,
    /// Not negative.
    pub count: f64,
}

/// Bars in the order of their bounds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Distribution {
    /// At most [`BARS_MAX`].
    pub bars: Vec<Bar>,
}

impl Distribution {
    /// That of buckets in any order, each with its own count. Those of one bound are added up.
    pub fn of(buckets: impl Iterator<Item = Bar>) -> Distribution {
        let mut bars: Vec<Bar> = Vec::new();
        // Mostly they come in order.
        for bucket in buckets {
            let order = |bar: &Bar| bar.upper_bound.total_cmp(&bucket.upper_bound);
            match bars.binary_search_by(order) {
                Ok(at) => bars[at].count += bucket.count,
                Err(at) => bars.insert(at, bucket),
            }
        }
        if bars.len() > BARS_MAX {
            cut_empty_ends(&mut bars);
        }
        let per_bar = bars.len().div_ceil(BARS_MAX).max(1);
        let join = |neighbours: &[Bar]| Bar {
            upper_bound: neighbours.last().map_or(0.0, |last| last.upper_bound),
            count: neighbours.iter().map(|bar| bar.count).sum(),
        };
        Distribution {
            bars: bars.chunks(per_bar).map(join).collect(),
        }
    }

    /// That of a histogram: of its native buckets where they are exposed, which tell more than the
    /// classic ones.
    #[must_use]
    pub fn of_histogram(histogram: &Histogram) -> Distribution {
        if let Some(native) = histogram
            .native()
            .filter(|native| native.total_of_buckets() > 0.0)
        {
            return Distribution::of(native_bars(native));
        }
        let buckets = histogram.upper_bounds.iter().zip(&histogram.counts);
        Distribution::of(buckets.map(|(bound, &count)| Bar {
            upper_bound: bound.value(),
            count,
        }))
    }

    /// All observations.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.bars.iter().map(|bar| bar.count).sum()
    }

    /// The most observations of a bar.
    #[must_use]
    pub fn highest(&self) -> f64 {
        self.bars.iter().map(|bar| bar.count).fold(0.0, f64::max)
    }

    /// The bound of the bar that this part of all observations reaches into: the quantile is not
    /// above it. `None` if there is no observation.
    #[must_use]
    pub fn quantile_bound(&self, part: f64) -> Option<f64> {
        let wanted = self.total() * part;
        let mut below = 0.0;
        let mut bars = self.bars.iter().filter(|bar| bar.count > 0.0);
        let reached = bars.find(|bar| {
            below += bar.count;
            below >= wanted
        });
        reached.map(|bar| bar.upper_bound)
    }
}

/// The buckets of a native histogram in the order of their bounds. That of zero ends at its
/// threshold, and a negative bucket at the bound that is nearer to zero.
fn native_bars(native: &NativeHistogram) -> impl Iterator<Item = Bar> {
    let schema = native.schema();
    let negative = native.negative().iter().rev();
    let negative = negative.map(move |(index, count)| Bar {
        upper_bound: 0.0 - native_bound(schema, index - 1),
        count,
    });
    let zero = Bar {
        upper_bound: native.zero_threshold(),
        count: native.zero_count(),
    };
    let positive = native.positive().iter().map(move |(index, count)| Bar {
        upper_bound: native_bound(schema, index),
        count,
    });
    let zero = (zero.count > 0.0).then_some(zero);
    negative.chain(zero).chain(positive)
}

/// Removes bars without observations from both ends, down to the last one.
fn cut_empty_ends(bars: &mut Vec<Bar>) {
    let is_filled = |bar: &Bar| bar.count > 0.0;
    if let Some(last) = bars.iter().rposition(is_filled) {
        bars.truncate(last + 1);
    }
    if let Some(first) = bars.iter().position(is_filled) {
        bars.drain(..first);
    }
}
