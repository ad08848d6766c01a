//! Native histograms: counts of observations in buckets whose bounds are the powers of one base.
//!
//! In schema `s` the base is b = 2^(2^-s). Bucket `i` counts what is above b^(i-1) and at most b^i;
//! a negative bucket what is so but for its sign; the zero bucket what is at most the zero
//! threshold, whatever its sign (Prometheus docs, native histograms).
//!
//! Two of them are merged at the coarser schema of both, with the wider zero threshold of both,
//! which is always rounded up to a bound of that schema. A coarser schema has every second bound of
//! the finer one, so that all this is commutative and associative, and each observation is counted
//! once. (Prometheus' own `Add` rounds up only where a bucket is populated, before it reduces the
//! schema: with both different it counts twice. Do not port it.)

mod buckets;
mod error;

use std::borrow::Cow;

use super::add;
pub use buckets::NativeBuckets;
pub use error::{FoundNumber, NativeError};

/// The coarsest schema: each bound is the last one times 65,536.
pub const NATIVE_SCHEMA_MIN: i32 = -4;

/// The finest schema that is stored.
pub const NATIVE_SCHEMA_MAX: i32 = 8;

/// The finest schema that is read; those above [`NATIVE_SCHEMA_MAX`] are reduced to it.
const SENT_SCHEMA_MAX: i32 = 52;

/// The exponents of the least and of the greatest float, rounded outwards.
const EXPONENT_MIN: i64 = -1074;
const EXPONENT_MAX: i64 = 1024;

/// By how much of a bucket of the finest schema a zero threshold may be above a bound and still be
/// that bound: libraries compute their bounds in floating point.
const BOUND_NOISE: f64 = 1e-6;

/// The largest whole number up to which floats have all of them.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// The most buckets that a native histogram has: where it would have more, its schema becomes
/// coarser, until it is the coarsest. That has a few hundred for all floats together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NativeBucketLimit(pub usize);

impl Default for NativeBucketLimit {
    /// None.
    fn default() -> NativeBucketLimit {
        NativeBucketLimit(usize::MAX)
    }
}

/// The sums of one native histogram, or an increment of them.
///
/// Invariant: all numbers are finite and all counts above zero, but for those of the zero bucket
/// and of the histogram, which may be zero. No bucket is inside the zero bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct NativeHistogram {
    /// From [`NATIVE_SCHEMA_MIN`] to [`NATIVE_SCHEMA_MAX`].
    schema: i8,
    /// The zero threshold is this bound of the schema; 0 if there is none.
    zero_bound: Option<i32>,
    zero_count: f64,
    positive: NativeBuckets,
    negative: NativeBuckets,
    count: f64,
    sum: f64,
}

/// What a native histogram is made of, as it was sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NativeParts {
    /// Any number.
    pub schema: i32,
    /// The width of the zero bucket.
    pub zero_threshold: f64,
    /// The observations in it.
    pub zero_count: f64,
    /// Indexes and own counts, in the order of the indexes.
    pub positive: Vec<(i64, f64)>,
    /// The same of negative observations.
    pub negative: Vec<(i64, f64)>,
    /// Of all observations. Those that are NaN are in no bucket.
    pub count: f64,
    /// Of all observations; NaN or infinite stands for zero.
    pub sum: f64,
}

impl NativeHistogram {
    /// Puts one together.
    ///
    /// # Errors
    /// When a part is beyond what it can be. Whether the buckets add up to the count is not
    /// checked: of floats they need not.
    pub fn new(parts: &NativeParts) -> Result<NativeHistogram, NativeError> {
        let sent_schema = parts.schema;
        if !(NATIVE_SCHEMA_MIN..=SENT_SCHEMA_MAX).contains(&sent_schema) {
            return Err(NativeError::Schema(sent_schema));
        }
        let schema = sent_schema.min(NATIVE_SCHEMA_MAX);
        let zero_threshold = parts.zero_threshold;
        if !zero_threshold.is_finite() || zero_threshold < 0.0 {
            return Err(NativeError::ZeroThreshold(FoundNumber(zero_threshold)));
        }
        let mut histogram = NativeHistogram {
            // It is from -4 to 8.
            schema: i8::try_from(schema).unwrap_or_default(),
            zero_bound: bound_of(zero_threshold, schema),
            zero_count: checked_count(parts.zero_count)?,
            positive: NativeBuckets::new(&parts.positive, sent_schema)?,
            negative: NativeBuckets::new(&parts.negative, sent_schema)?,
            count: checked_count(parts.count)?,
            sum: if parts.sum.is_finite() {
                parts.sum
            } else {
                0.0
            },
        };
        histogram.absorb();
        Ok(histogram)
    }

    /// Puts one together again: the parts as its methods gave them, with the bound that is its zero
    /// threshold.
    ///
    /// # Errors
    /// As [`NativeHistogram::new`].
    pub fn restored(
        parts: &NativeParts,
        zero_bound: Option<i32>,
    ) -> Result<NativeHistogram, NativeError> {
        let mut histogram = NativeHistogram::new(parts)?;
        let (first, last) = indexes_of(histogram.schema());
        let is_bound = |bound: &i32| (first..last).contains(&i64::from(*bound));
        if let Some(bound) = zero_bound.filter(|bound| !is_bound(bound)) {
            let (index, schema) = (bound.into(), histogram.schema());
            return Err(NativeError::Index { index, schema });
        }
        histogram.zero_bound = zero_bound;
        histogram.absorb();
        Ok(histogram)
    }

    /// Its schema.
    #[must_use]
    pub fn schema(&self) -> i32 {
        self.schema.into()
    }

    /// The width of its zero bucket, on either side.
    #[must_use]
    pub fn zero_threshold(&self) -> f64 {
        self.zero_bound
            .map_or(0.0, |bound| native_bound(self.schema(), bound))
    }

    /// The bound of its schema that is the zero threshold; `None` if that is zero.
    #[must_use]
    pub fn zero_bound(&self) -> Option<i32> {
        self.zero_bound
    }

    /// The observations in its zero bucket.
    #[must_use]
    pub fn zero_count(&self) -> f64 {
        self.zero_count
    }

    /// Its buckets of positive observations.
    #[must_use]
    pub fn positive(&self) -> &NativeBuckets {
        &self.positive
    }

    /// Its buckets of negative observations.
    #[must_use]
    pub fn negative(&self) -> &NativeBuckets {
        &self.negative
    }

    /// How many observations there are. It may differ from the total of the buckets: an observation
    /// that is NaN is in none of them.
    #[must_use]
    pub fn count(&self) -> f64 {
        self.count
    }

    /// The sum of the observations, but for those that are NaN or infinite.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// The observations in all buckets.
    #[must_use]
    pub fn total_of_buckets(&self) -> f64 {
        let totals = self.positive.counts().iter().chain(self.negative.counts());
        totals.fold(self.zero_count, |total, count| total + count)
    }

    /// True if all counts are whole numbers that floats have exactly, and the buckets add up to the
    /// count: Prometheus refuses other ones as a histogram of integers, with the whole scrape, and
    /// takes them as one of floats.
    #[must_use]
    pub fn is_of_integers(&self) -> bool {
        let counts = self.positive.counts().iter().chain(self.negative.counts());
        let is_whole = |count: &f64| count.fract() == 0.0 && *count <= WHOLE_MAX;
        counts.chain([&self.zero_count, &self.count]).all(is_whole)
            && self.total_of_buckets() == self.count
    }

    /// How many time series it takes of their limit: one for each bucket, and one for itself.
    #[must_use]
    pub fn series(&self) -> usize {
        1 + self.buckets()
    }

    /// How many buckets it has beside the zero bucket.
    #[must_use]
    pub fn buckets(&self) -> usize {
        self.positive.len() + self.negative.len()
    }

    /// Adds another one, and holds the sum to a limit.
    pub fn merge(&mut self, other: &NativeHistogram, limit: NativeBucketLimit) {
        self.align(other);
        let other = &*other.aligned(self);
        self.zero_count = add(self.zero_count, other.zero_count);
        self.positive.merge(&other.positive);
        self.negative.merge(&other.negative);
        self.count = add(self.count, other.count);
        self.sum = add(self.sum, other.sum);
        self.limit(limit);
    }

    /// Makes the schema coarser as a limit demands it.
    pub fn limit(&mut self, NativeBucketLimit(buckets_max): NativeBucketLimit) {
        while self.buckets() > buckets_max && self.schema() > NATIVE_SCHEMA_MIN {
            self.coarsen(self.schema() - 1);
        }
    }

    /// The same at the resolution of another one, where that is coarser: its schema and its zero
    /// threshold.
    #[must_use]
    pub fn aligned(&self, other: &NativeHistogram) -> Cow<'_, NativeHistogram> {
        if self.schema <= other.schema && self.zero_bound >= other.zero_bound {
            return Cow::Borrowed(self);
        }
        let mut aligned = self.clone();
        aligned.align(other);
        Cow::Owned(aligned)
    }

    /// What it has grown by since an earlier state of the same histogram: both are brought to the
    /// resolution of their merge. `None` if a bucket has become smaller, as `is_smaller` says of
    /// the counts now and before.
    #[must_use]
    pub fn grown_since(
        &self,
        before: &NativeHistogram,
        is_smaller: impl Fn(f64, f64) -> bool,
    ) -> Option<NativeHistogram> {
        let now = self.aligned(before);
        let before = before.aligned(&now);
        let grown =
            |now: f64, before: f64| (!is_smaller(now, before)).then_some((now - before).max(0.0));
        Some(NativeHistogram {
            schema: now.schema,
            zero_bound: now.zero_bound,
            zero_count: grown(now.zero_count, before.zero_count)?,
            positive: now.positive.grown_since(&before.positive, grown)?,
            negative: now.negative.grown_since(&before.negative, grown)?,
            count: grown(now.count, before.count)?,
            sum: add(now.sum, -before.sum),
        })
    }

    /// The same with this count and this sum, which are finite; the count is not negative.
    #[must_use]
    pub fn with_totals(self, count: f64, sum: f64) -> NativeHistogram {
        NativeHistogram { count, sum, ..self }
    }

    fn align(&mut self, other: &NativeHistogram) {
        let schema = self.schema().min(other.schema());
        self.coarsen(schema);
        let steps = other.schema() - schema;
        let zero_bound = other.zero_bound.map(|bound| coarser(bound, steps));
        if zero_bound > self.zero_bound {
            self.zero_bound = zero_bound;
            self.absorb();
        }
    }

    /// Makes the schema this one, if that is coarser.
    fn coarsen(&mut self, schema: i32) {
        let steps = self.schema() - schema;
        if steps <= 0 {
            return;
        }
        self.schema = i8::try_from(schema).unwrap_or(self.schema);
        self.zero_bound = self.zero_bound.map(|bound| coarser(bound, steps));
        self.positive.coarsen(steps);
        self.negative.coarsen(steps);
        self.absorb();
    }

    /// Moves what is inside the zero bucket there.
    fn absorb(&mut self) {
        if let Some(bound) = self.zero_bound {
            let absorbed =
                [&mut self.positive, &mut self.negative].map(|buckets| buckets.take_up_to(bound));
            self.zero_count = absorbed.into_iter().fold(self.zero_count, add);
        }
    }
}

/// The index of a bucket, or of a bound, in a schema that is coarser by `steps`: after one step,
/// buckets 3 and 4 are bucket 2.
fn coarser(index: i32, steps: i32) -> i32 {
    ((index - 1) >> steps) + 1
}

/// The upper bound of the bucket with this index. That of the last bucket is infinite, and that of
/// the bucket before it is the largest float.
#[must_use]
pub fn native_bound(schema: i32, index: i32) -> f64 {
    let exponent = f64::from(index) * f64::from(-schema).exp2();
    #[allow(clippy::cast_precision_loss)] // it is small
    if exponent == EXPONENT_MAX as f64 {
        return f64::MAX;
    }
    exponent.exp2()
}

/// The first bound in a schema that is not below a threshold, which is finite and not negative;
/// `None` for zero.
fn bound_of(threshold: f64, schema: i32) -> Option<i32> {
    if threshold == 0.0 {
        return None;
    }
    let index = threshold.log2() * f64::from(NATIVE_SCHEMA_MAX).exp2();
    // At most 1,074 * 2^8 in either direction.
    #[allow(clippy::cast_possible_truncation)]
    let index = (index - BOUND_NOISE).ceil() as i32;
    Some(coarser(index, NATIVE_SCHEMA_MAX - schema))
}

/// The indexes of the first and of the last bucket that a float can be in; the last one counts
/// infinities.
fn indexes_of(schema: i32) -> (i64, i64) {
    if schema >= 0 {
        (EXPONENT_MIN << schema, (EXPONENT_MAX << schema) + 1)
    } else {
        let steps = -schema;
        (-(-EXPONENT_MIN >> steps), (EXPONENT_MAX >> steps) + 1)
    }
}

fn checked_count(count: f64) -> Result<f64, NativeError> {
    // Adding zero turns -0 into 0.
    let is_count = count.is_finite() && count >= 0.0;
    is_count
        .then_some(count + 0.0)
        .ok_or(NativeError::Count(FoundNumber(count)))
}
