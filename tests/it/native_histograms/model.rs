//! Native histograms as plain maps, merged by another arithmetic than the gateway's: each bucket
//! is kept by the exponent of its upper bound, in parts of 256, whatever the schema.

use std::collections::BTreeMap;

use prometheus_aggregation_gateway::metric::{NativeBuckets, NativeHistogram, NativeParts};

use crate::random::Random;

/// Parts of an exponent: a bucket of schema 8 is one wide.
const FINEST: u32 = 8;

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    pub schema: i32,
    /// The exponent of the zero threshold; `None` if that is zero.
    pub zero: Option<i64>,
    pub zero_count: f64,
    /// By sign, then by the exponent of the upper bound.
    pub buckets: [BTreeMap<i64, f64>; 2],
    pub count: f64,
    pub sum: f64,
}

/// How wide a bucket of a schema is.
fn width(schema: i32) -> i64 {
    1 << (FINEST as i32 - schema)
}

impl Model {
    pub fn empty(schema: i32) -> Model {
        Model {
            schema,
            zero: None,
            zero_count: 0.0,
            buckets: Default::default(),
            count: 0.0,
            sum: 0.0,
        }
    }

    /// The least multiple of the width that is not below an exponent.
    fn round_up(&self, exponent: i64) -> i64 {
        let width = width(self.schema);
        exponent + (-exponent).rem_euclid(width)
    }

    /// Widens the zero bucket up to this exponent.
    pub fn widen(&mut self, exponent: i64) {
        let exponent = self.round_up(exponent);
        self.zero = Some(self.zero.map_or(exponent, |zero| zero.max(exponent)));
        self.settle();
    }

    /// Puts each bucket where it is in this schema, with this zero threshold.
    fn settle(&mut self) {
        self.zero = self.zero.map(|zero| self.round_up(zero));
        for sign in 0..2 {
            for (exponent, count) in std::mem::take(&mut self.buckets[sign]) {
                let exponent = self.round_up(exponent);
                if self.zero.is_some_and(|zero| exponent <= zero) {
                    self.zero_count += count;
                } else {
                    *self.buckets[sign].entry(exponent).or_default() += count;
                }
            }
        }
    }

    pub fn merge(&mut self, other: &Model) {
        self.schema = self.schema.min(other.schema);
        self.zero = self.zero.max(other.zero);
        self.zero_count += other.zero_count;
        self.count += other.count;
        self.sum += other.sum;
        for sign in 0..2 {
            for (exponent, count) in &other.buckets[sign] {
                *self.buckets[sign].entry(*exponent).or_default() += count;
            }
        }
        self.settle();
    }

    pub fn limit(&mut self, buckets_max: usize) {
        let buckets = |model: &Model| model.buckets.iter().map(BTreeMap::len).sum::<usize>();
        while buckets(self) > buckets_max && self.schema > -4 {
            self.schema -= 1;
            self.settle();
        }
    }

    /// Counts an observation that is not NaN.
    pub fn observe(&mut self, value: f64) {
        self.count += 1.0;
        if value.is_finite() {
            self.sum += value;
        }
        if value == 0.0 {
            self.zero_count += 1.0;
            return;
        }
        let exponent = if value.is_infinite() {
            // One bucket above the greatest float.
            self.round_up((1024 << FINEST) + 1)
        } else {
            self.round_up((value.abs().log2() * 256.0).ceil() as i64)
        };
        if self.zero.is_some_and(|zero| exponent <= zero) {
            self.zero_count += 1.0;
        } else {
            let sign = usize::from(value < 0.0);
            *self.buckets[sign].entry(exponent).or_default() += 1.0;
        }
    }

    /// As a sender would say it.
    pub fn parts(&self) -> NativeParts {
        let width = width(self.schema);
        let buckets = |sign: usize| {
            let buckets = self.buckets[sign].iter();
            let indexed = buckets.map(|(exponent, count)| (exponent / width, *count));
            indexed.collect()
        };
        NativeParts {
            schema: self.schema,
            zero_threshold: self
                .zero
                .map_or(0.0, |zero| (zero as f64 / 256.0).exp2().min(f64::MAX)),
            zero_count: self.zero_count,
            positive: buckets(0),
            negative: buckets(1),
            count: self.count,
            sum: self.sum,
        }
    }

    pub fn native(&self) -> NativeHistogram {
        NativeHistogram::new(&self.parts()).expect("the model holds what can be")
    }

    /// What a native histogram of the gateway says.
    pub fn of(native: &NativeHistogram) -> Model {
        let width = width(native.schema());
        let buckets = |buckets: &NativeBuckets| {
            let buckets = buckets.iter();
            buckets
                .map(|(index, count)| (i64::from(index) * width, count))
                .collect()
        };
        Model {
            schema: native.schema(),
            zero: native.zero_bound().map(|bound| i64::from(bound) * width),
            zero_count: native.zero_count(),
            buckets: [buckets(native.positive()), buckets(native.negative())],
            count: native.count(),
            sum: native.sum(),
        }
    }
}

/// One with few buckets, near each other, so that random ones meet.
pub fn random_model(random: &mut Random) -> Model {
    let mut model = Model::empty(random.between(-4, 8) as i32);
    let width = width(model.schema);
    let span = random.between(1, 40);
    for sign in 0..2 {
        for _ in 0..random.below(12) {
            let index = random.between(-span, span);
            let count = random.between(1, 1000) as f64;
            *model.buckets[sign].entry(index * width).or_default() += count;
        }
    }
    model.zero_count = random.between(0, 5) as f64;
    if random.percent(60) {
        let exponent = random.between(-span, span) * width;
        model.widen(exponent);
    }
    let in_buckets = model.buckets.iter().flat_map(BTreeMap::values);
    let not_a_number = random.between(0, 2) as f64;
    model.count = model.zero_count + in_buckets.sum::<f64>() + not_a_number;
    model.sum = random.between(-1000, 1000) as f64;
    model
}
