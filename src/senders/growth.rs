//! What a cumulative series has grown by since its sender's last push.
//!
//! | start times | pushed | added | compared with next |
//! |---|---|---|---|
//! | | nothing to compare with | all of it | it |
//! | later than before | | all of it: restarted | it |
//! | the same or earlier | smaller | nothing: late | as before |
//! | not known of both | smaller | all of it: restarted | it |
//! | the same, earlier or not known | smaller by [`NOISE`] or less | nothing | as before |
//! | | else | the difference | it |
//!
//! A histogram is one series: it has restarted, or is late, as a whole. It is smaller when its
//! count is, or the own count of a bucket; one that is not there has an own count of 0. Native
//! buckets are compared at the coarser schema and with the wider zero bucket of both: libraries
//! lower the resolution of a histogram while it goes on.

use std::sync::Arc;

use super::table::Entry;
use crate::metric::{Bucket, NativeBucketLimit, NativeHistogram, UpperBound, add};
use crate::stable_hash::StableHash;

/// The part of a number by which it may be smaller than before without having restarted: what
/// clients compute in floating point.
const NOISE: f64 = 1e-9;

/// When a series began, in unix milliseconds, or 0 where its sender does not say.
pub type StartMillis = i64;

/// What became of a cumulative series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was not known.
    New,
    /// It is as before, or has grown.
    Grown,
    /// It began again at zero.
    Restarted,
    /// It came behind a later push.
    Late,
}

/// What a counter is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Counter {
    /// Of its series.
    pub series: StableHash,
    /// As last pushed.
    pub value: f64,
    /// When it began.
    pub start: StartMillis,
}

impl Entry for Counter {
    const PIECE_ENTRIES: usize = 128;

    fn series(&self) -> StableHash {
        self.series
    }
}

/// What a histogram is compared with, or a summary: that has no buckets.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// Of its series.
    pub series: StableHash,
    /// When it began.
    pub start: StartMillis,
    /// Of all observations.
    pub sum: f64,
    /// As the sender counts them.
    pub count: f64,
    /// Sorted.
    pub upper_bounds: Arc<[UpperBound]>,
    /// The own count of each bucket.
    pub counts: Box<[f64]>,
    /// Its native part, as last pushed.
    pub native: Option<Box<NativeHistogram>>,
}

impl Entry for Observed {
    const PIECE_ENTRIES: usize = 32;

    fn series(&self) -> StableHash {
        self.series
    }
}

/// How much of the limit of remembered numbers a histogram takes beside its buckets.
const NUMBERS_BESIDE_BUCKETS: usize = 2;

impl Observed {
    /// How many numbers are remembered of it.
    #[must_use]
    pub fn numbers(&self) -> usize {
        let native = self.native.as_deref().map_or(0, NativeHistogram::series);
        self.counts.len() + NUMBERS_BESIDE_BUCKETS + native
    }
}

/// How a number compares with an earlier one.
#[derive(Clone, Copy, PartialEq)]
enum Step {
    Down,
    Up,
}

fn is_smaller(now: f64, before: f64) -> bool {
    before - now > NOISE * before.abs()
}

fn step(is_down: impl FnOnce() -> bool) -> Step {
    if is_down() { Step::Down } else { Step::Up }
}

fn outcome(before: StartMillis, now: StartMillis, step: Step) -> Outcome {
    match step {
        _ if before != 0 && now > before => Outcome::Restarted,
        Step::Up => Outcome::Grown,
        Step::Down if before != 0 && now != 0 => Outcome::Late,
        Step::Down => Outcome::Restarted,
    }
}

/// What a counter has grown by, what it is compared with next, and what became of it.
pub fn grown_counter(before: Option<Counter>, now: Counter) -> (f64, Counter, Outcome) {
    let Some(before) = before else {
        return (now.value, now, Outcome::New);
    };
    let step = step(|| is_smaller(now.value, before.value));
    let outcome = outcome(before.start, now.start, step);
    match outcome {
        Outcome::New | Outcome::Restarted => (now.value, now, outcome),
        Outcome::Late => (0.0, before, outcome),
        Outcome::Grown => {
            let kept = Counter {
                value: now.value.max(before.value),
                start: now.start.max(before.start),
                ..now
            };
            (add(now.value, -before.value).max(0.0), kept, outcome)
        }
    }
}

/// A histogram as pushed.
pub struct Pushed<'a> {
    /// Of its series.
    pub series: StableHash,
    /// When it began.
    pub start: StartMillis,
    /// None where it was left out.
    pub sum: Option<f64>,
    /// Of the observations.
    pub count: f64,
    /// Sorted.
    pub buckets: &'a mut [Bucket],
    /// Of the same count.
    pub native: &'a mut Option<Box<NativeHistogram>>,
}

impl Pushed<'_> {
    /// What it is compared with next, where nothing is to be compared with it. `like` is another
    /// histogram, with which it shares its bounds if they are the same.
    fn baseline(&self, like: Option<&Observed>) -> Observed {
        let bounds = || self.buckets.iter().map(|bucket| bucket.upper_bound);
        let upper_bounds = match like {
            Some(like) if like.upper_bounds.iter().copied().eq(bounds()) => {
                Arc::clone(&like.upper_bounds)
            }
            _ => bounds().collect(),
        };
        Observed {
            series: self.series,
            start: self.start,
            sum: self.sum.unwrap_or(0.0),
            count: self.count,
            upper_bounds,
            counts: self.buckets.iter().map(|bucket| bucket.count).collect(),
            native: self.native.clone(),
        }
    }
}

/// Turns a histogram into what it has grown by. Its buckets and its native part are changed in
/// place. Gives its sum and its count, the baseline of its next push, and the outcome.
pub fn grown_histogram(
    before: Option<&Observed>,
    now: &mut Pushed<'_>,
    like: Option<&Observed>,
) -> ([f64; 2], Observed, Outcome) {
    let whole = [now.sum.unwrap_or(0.0), now.count];
    let Some(before) = before else {
        return (whole, now.baseline(like), Outcome::New);
    };
    let native = grown_native(before, now);
    let step = step(|| matches!(native, NativeGrowth::Smaller) || is_any_smaller(now, before));
    let outcome = outcome(before.start, now.start, step);
    match outcome {
        Outcome::New | Outcome::Restarted => (whole, now.baseline(Some(before)), outcome),
        Outcome::Late => {
            for bucket in &mut *now.buckets {
                bucket.count = 0.0;
            }
            *now.native = None;
            ([0.0; 2], before.clone(), outcome)
        }
        Outcome::Grown => {
            let mut kept = now.baseline(Some(before));
            kept.start = now.start.max(before.start);
            kept.sum = now.sum.unwrap_or(before.sum);
            kept.count = now.count.max(before.count);
            for (bucket, kept) in now.buckets.iter_mut().zip(&mut kept.counts) {
                let count_before = own_count(before, bucket.upper_bound);
                *kept = bucket.count.max(count_before);
                bucket.count = (bucket.count - count_before).max(0.0);
            }
            let count = (now.count - before.count).max(0.0);
            let sum = add(kept.sum, -before.sum);
            if let (NativeGrowth::Known(growth), Some(before)) = (&native, &before.native) {
                // As of the classic buckets: the highest that each has been.
                let mut highest = NativeHistogram::clone(before);
                highest.merge(growth, NativeBucketLimit::default());
                kept.native = Some(Box::new(highest.with_totals(kept.count, kept.sum)));
            }
            *now.native = match native {
                NativeGrowth::Known(native) => Some(Box::new(native.with_totals(count, sum))),
                NativeGrowth::Unknown | NativeGrowth::Smaller => None,
            };
            ([sum, count], kept, outcome)
        }
    }
}

/// What the native part of a histogram has grown by.
enum NativeGrowth {
    /// A bucket of it is smaller.
    Smaller,
    /// It has none, or that says nothing: it had none before, while observations were counted.
    Unknown,
    Known(NativeHistogram),
}

fn grown_native(before: &Observed, now: &Pushed<'_>) -> NativeGrowth {
    match (now.native.as_deref(), before.native.as_deref()) {
        (Some(now), Some(before)) => match now.grown_since(before, is_smaller) {
            Some(growth) => NativeGrowth::Known(growth),
            None => NativeGrowth::Smaller,
        },
        (Some(now), None) if before.count == 0.0 => NativeGrowth::Known(now.clone()),
        _ => NativeGrowth::Unknown,
    }
}

fn is_any_smaller(now: &Pushed<'_>, before: &Observed) -> bool {
    if is_smaller(now.count, before.count) {
        return true;
    }
    let counts = before.upper_bounds.iter().zip(&before.counts);
    counts.zip(0..).any(|((bound, count), slot)| {
        // Mostly they are the same.
        let same = now.buckets.get(slot);
        let same = same.filter(|bucket| bucket.upper_bound == *bound);
        let bucket = same.or_else(|| {
            let found = now
                .buckets
                .binary_search_by_key(bound, |bucket| bucket.upper_bound);
            now.buckets.get(found.ok()?)
        });
        is_smaller(bucket.map_or(0.0, |bucket| bucket.count), *count)
    })
}

fn own_count(of: &Observed, bound: UpperBound) -> f64 {
    let found = of.upper_bounds.binary_search(&bound).ok();
    found
        .and_then(|slot| of.counts.get(slot).copied())
        .unwrap_or(0.0)
}
