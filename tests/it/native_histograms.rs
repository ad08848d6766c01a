//! Native histograms by themselves: what one can be, and what the merge of two is.

pub mod encoded;
pub mod model;

use prometheus_aggregation_gateway::metric::{
    FoundNumber, NativeBucketLimit, NativeError, NativeHistogram, NativeParts, native_bound,
};

use crate::random::Random;
use model::{Model, random_model};

/// The buckets of one sign, as `index:count` with blanks between.
fn buckets(text: &str) -> Vec<(i64, f64)> {
    let number = |text: &str| text.parse().expect("a number");
    text.split_whitespace()
        .map(|bucket| {
            let (index, count) = bucket.split_once(':').expect("index:count");
            (number(index) as i64, number(count))
        })
        .collect()
}

struct Text {
    schema: i32,
    zero_threshold: f64,
    zero_count: f64,
    positive: &'static str,
    negative: &'static str,
    count: f64,
}

const NOTHING: Text = Text {
    schema: 0,
    zero_threshold: 0.0,
    zero_count: 0.0,
    positive: "",
    negative: "",
    count: 0.0,
};

fn native(text: &Text) -> NativeHistogram {
    let parts = NativeParts {
        schema: text.schema,
        zero_threshold: text.zero_threshold,
        zero_count: text.zero_count,
        positive: buckets(text.positive),
        negative: buckets(text.negative),
        count: text.count,
        sum: text.count * 2.0,
    };
    NativeHistogram::new(&parts).expect("it is valid")
}

#[track_caller]
fn check_merge(one: &Text, other: &Text, expected: &Text) {
    for (first, second) in [(one, other), (other, one)] {
        let mut merged = native(first);
        merged.merge(&native(second), NativeBucketLimit::default());
        assert_eq!(merged, native(expected));
        assert_eq!(merged.zero_threshold(), expected.zero_threshold);
        assert_eq!(merged.sum(), expected.count * 2.0);
    }
}

#[test]
fn the_coarser_schema_is_taken() {
    let finer = Text {
        schema: 1,
        positive: "-1:1 0:2 1:0 2:3",
        count: 6.0,
        ..NOTHING
    };
    let coarser = Text {
        positive: "0:1 2:3",
        count: 4.0,
        ..NOTHING
    };
    let merged = Text {
        positive: "0:4 1:3 2:3",
        count: 10.0,
        ..NOTHING
    };
    check_merge(&finer, &coarser, &merged);
    let infinite = Text {
        positive: "1024:1 1025:1",
        count: 2.0,
        ..NOTHING
    };
    let coarser = Text {
        schema: -1,
        ..NOTHING
    };
    let merged = Text {
        schema: -1,
        positive: "512:1 513:1",
        count: 2.0,
        ..NOTHING
    };
    check_merge(&infinite, &coarser, &merged);
    let coarsest = Text {
        schema: -4,
        ..NOTHING
    };
    let merged = Text {
        schema: -4,
        positive: "64:1 65:1",
        count: 2.0,
        ..NOTHING
    };
    check_merge(&infinite, &coarsest, &merged);
}

#[test]
fn the_wider_zero_bucket_is_taken() {
    let wide = Text {
        zero_threshold: 0.25,
        zero_count: 5.0,
        positive: "0:1 1:2",
        count: 8.0,
        ..NOTHING
    };
    let narrow = Text {
        zero_threshold: 0.001,
        zero_count: 1.0,
        positive: "-4:1 -3:2 -2:3 -1:1 0:2",
        count: 10.0,
        ..NOTHING
    };
    let merged = Text {
        zero_threshold: 0.25,
        zero_count: 12.0,
        positive: "-1:1 0:3 1:2",
        count: 18.0,
        ..NOTHING
    };
    check_merge(&wide, &narrow, &merged);
    let wide = Text {
        zero_threshold: 0.5,
        zero_count: 1.0,
        negative: "1:2",
        count: 3.0,
        ..NOTHING
    };
    let none = Text {
        zero_count: 1.0,
        negative: "-2:1 -1:1 0:1 1:1",
        positive: "-1:1 3:1",
        count: 7.0,
        ..NOTHING
    };
    let merged = Text {
        zero_threshold: 0.5,
        zero_count: 5.0,
        negative: "0:1 1:3",
        positive: "3:1",
        count: 10.0,
        ..NOTHING
    };
    check_merge(&wide, &none, &merged);
}

/// Whether a bucket is populated does not matter: Prometheus' own merge, which asks, is not
/// associative.
#[test]
fn a_threshold_between_bounds_is_rounded_up() {
    let between = Text {
        zero_threshold: 0.3,
        zero_count: 5.0,
        positive: "0:1 1:2",
        count: 8.0,
        ..NOTHING
    };
    let populated = Text {
        zero_threshold: 0.001,
        zero_count: 1.0,
        positive: "-4:1 -3:2 -2:3 -1:1 0:2",
        count: 10.0,
        ..NOTHING
    };
    let merged = Text {
        zero_threshold: 0.5,
        zero_count: 13.0,
        positive: "0:3 1:2",
        count: 18.0,
        ..NOTHING
    };
    check_merge(&between, &populated, &merged);
    let not_populated = Text {
        positive: "-4:1 -3:2 -2:3 -1:0 0:2",
        count: 9.0,
        ..populated
    };
    let merged = Text {
        zero_count: 12.0,
        count: 17.0,
        ..merged
    };
    check_merge(&between, &not_populated, &merged);
}

/// Prometheus' own merge counts twice in one order of these.
#[test]
fn schema_and_threshold_may_both_differ() {
    let finer = Text {
        schema: 2,
        positive: "-7:1 -6:1 -5:1 -4:1",
        count: 4.0,
        ..NOTHING
    };
    let wider = Text {
        zero_threshold: 0.3,
        zero_count: 1.0,
        count: 1.0,
        ..NOTHING
    };
    let merged = Text {
        zero_threshold: 0.5,
        zero_count: 5.0,
        count: 5.0,
        ..NOTHING
    };
    check_merge(&finer, &wider, &merged);
}

#[test]
fn merging_is_what_the_model_says_in_every_order() {
    let mut random = Random::new(20);
    for _ in 0..20_000 {
        let models = [(); 3].map(|()| random_model(&mut random));
        let [a, b, c] = models.each_ref().map(Model::native);
        let merge = |one: &NativeHistogram, other: &NativeHistogram| {
            let mut merged = one.clone();
            merged.merge(other, NativeBucketLimit::default());
            merged
        };
        let merged = merge(&merge(&a, &b), &c);
        assert_eq!(merged, merge(&a, &merge(&b, &c)), "{models:?}");
        assert_eq!(merged, merge(&merge(&c, &b), &a), "{models:?}");
        let mut model = models[0].clone();
        model.merge(&models[1]);
        model.merge(&models[2]);
        assert_eq!(Model::of(&merged), model, "{models:?}");
        let totals = models.iter().map(|model| model.native().total_of_buckets());
        assert_eq!(merged.total_of_buckets(), totals.sum::<f64>());
    }
}

#[test]
fn a_limit_of_buckets_does_not_depend_on_the_order() {
    let mut random = Random::new(21);
    let mut coarsened = 0;
    for _ in 0..2000 {
        let buckets_max = random.below(30);
        let models = [(); 3].map(|()| {
            let mut model = random_model(&mut random);
            // With several thresholds, a wider one may come too late to make room.
            model.zero = None;
            model
        });
        let [a, b, c] = models.each_ref().map(Model::native);
        let merged = [[&a, &b, &c], [&c, &a, &b], [&b, &c, &a]].map(|order| {
            let mut merged = order[0].clone();
            merged.merge(order[1], NativeBucketLimit(buckets_max));
            merged.merge(order[2], NativeBucketLimit(buckets_max));
            merged
        });
        assert_eq!(merged[0], merged[1], "{models:?}");
        assert_eq!(merged[0], merged[2], "{models:?}");
        let mut model = models[0].clone();
        model.merge(&models[1]);
        model.merge(&models[2]);
        let before = model.schema;
        model.limit(buckets_max);
        coarsened += usize::from(model.schema < before);
        assert_eq!(Model::of(&merged[0]), model, "{models:?}");
        let buckets = merged[0].buckets();
        assert!(buckets <= buckets_max || model.schema == -4, "{buckets}");
    }
    assert!(coarsened > 500, "only {coarsened} were limited");
}

/// However observations are split among histograms of whatever resolutions, their merge is the
/// histogram of all at the coarsest of these.
#[test]
fn the_merge_of_a_split_stream_is_the_whole() {
    let mut random = Random::new(22);
    for _ in 0..2000 {
        let mut parts: Vec<Model> = (0..=random.below(4))
            .map(|_| {
                let mut part = Model::empty(random.between(-4, 8) as i32);
                if random.percent(50) {
                    part.widen(random.between(-600, 600));
                }
                part
            })
            .collect();
        let mut whole = parts[0].clone();
        parts[1..].iter().for_each(|part| whole.merge(part));
        for _ in 0..random.below(60) {
            let value = match random.below(20) {
                0 => 0.0,
                1 => f64::INFINITY,
                2 => f64::MAX,
                3 => f64::from_bits(1),
                4 => -f64::INFINITY,
                _ => random.between(-64, 64) as f64 / 16.0,
            };
            let part = random.below(parts.len());
            parts[part].observe(value);
            whole.observe(value);
        }
        // Sums of huge numbers depend on the order.
        (whole.sum, whole.count) = (0.0, whole.count);
        let mut merged = parts[0].native();
        for part in &parts[1..] {
            merged.merge(&part.native(), NativeBucketLimit::default());
        }
        let mut merged = Model::of(&merged);
        merged.sum = 0.0;
        assert_eq!(merged, whole, "{parts:?}");
    }
}

#[test]
fn bounds_are_the_powers_of_the_base() {
    assert_eq!(native_bound(0, -128), 2.938735877055719e-39);
    assert_eq!(native_bound(8, -128 << 8), 2.938735877055719e-39);
    assert_eq!(native_bound(-4, -8), 2.938735877055719e-39);
    assert_eq!(native_bound(2, 1), 1.189_207_115_002_721);
    assert_eq!(native_bound(-4, 1), 65536.0);
    for schema in -4..=8_i32 {
        let largest = (f64::from(schema).exp2() * 1024.0) as i32;
        assert_eq!(native_bound(schema, largest), f64::MAX);
        assert_eq!(native_bound(schema, largest + 1), f64::INFINITY);
    }
}

/// A threshold that a library has computed as a bound is that bound, though its last bits differ.
#[test]
fn a_threshold_on_a_bound_stays_there() {
    for schema in -4..=8_i32 {
        let scale = f64::from(schema).exp2();
        for exponent in [-1000.0, -128.0, -37.25, -1.0, 0.0, 0.5, 3.0, 500.5] {
            let bound = (exponent * scale).round() as i32;
            let exact = native_bound(schema, bound);
            for threshold in [exact.next_down(), exact, exact.next_up()] {
                let parts = NativeParts {
                    schema,
                    zero_threshold: threshold,
                    ..NativeParts::default()
                };
                let found = NativeHistogram::new(&parts).map(|native| native.zero_bound());
                assert_eq!(found, Ok(Some(bound)), "{threshold} in schema {schema}");
            }
        }
    }
    let least = NativeParts {
        zero_threshold: f64::from_bits(1),
        ..NativeParts::default()
    };
    let least = NativeHistogram::new(&least).map(|native| native.zero_bound());
    assert_eq!(least, Ok(Some(-1074)));
}

#[track_caller]
fn check_refused(parts: &NativeParts, expected: NativeError) {
    let error = NativeHistogram::new(parts).expect_err("it cannot be");
    assert_eq!(error, expected);
}

#[test]
fn what_cannot_be_is_refused() {
    let of_schema = |schema: i32, index: i64| NativeParts {
        schema,
        positive: vec![(index, 1.0)],
        count: 1.0,
        ..NativeParts::default()
    };
    for schema in [-54, -53, -9, -5, 53, i32::MIN, i32::MAX] {
        check_refused(&of_schema(schema, 1), NativeError::Schema(schema));
    }
    for threshold in [-1.0, f64::NAN, f64::INFINITY] {
        let parts = NativeParts {
            zero_threshold: threshold,
            ..NativeParts::default()
        };
        check_refused(&parts, NativeError::ZeroThreshold(FoundNumber(threshold)));
    }
    for count in [-1.0, f64::NAN, f64::INFINITY] {
        let mut parts = of_schema(0, 1);
        parts.positive[0].1 = count;
        check_refused(&parts, NativeError::Count(FoundNumber(count)));
        let parts = NativeParts {
            count,
            ..of_schema(0, 1)
        };
        check_refused(&parts, NativeError::Count(FoundNumber(count)));
        let parts = NativeParts {
            zero_count: count,
            ..of_schema(0, 1)
        };
        check_refused(&parts, NativeError::Count(FoundNumber(count)));
    }
    for order in [[1, 1], [2, 1]] {
        let parts = NativeParts {
            negative: order.map(|index| (index, 1.0)).to_vec(),
            ..of_schema(0, 1)
        };
        check_refused(&parts, NativeError::Order(1));
    }
    let last: [(i32, i64, i64); 6] = [
        (0, -1074, 1025),
        (8, -1074 << 8, (1024 << 8) + 1),
        (-1, -537, 513),
        (-4, -67, 65),
        (9, -1074 << 9, (1024 << 9) + 1),
        (52, -1074 << 52, (1024 << 52) + 1),
    ];
    for (schema, first, last) in last {
        for index in [first, last] {
            let native = NativeHistogram::new(&of_schema(schema, index));
            assert_eq!(native.map(|native| native.buckets()), Ok(1));
        }
        for index in [first - 1, last + 1, i64::MIN, i64::MAX] {
            let expected = NativeError::Index { index, schema };
            check_refused(&of_schema(schema, index), expected);
        }
    }
}

#[test]
fn finer_schemas_are_reduced() {
    let parts = NativeParts {
        schema: 10,
        zero_threshold: 1.0,
        positive: vec![(0, 1.0), (1, 2.0), (4, 4.0), (5, 8.0), (4097, 16.0)],
        count: 31.0,
        ..NativeParts::default()
    };
    let native = NativeHistogram::new(&parts).expect("it is read");
    let positive: Vec<(i32, f64)> = native.positive().iter().collect();
    assert_eq!(native.schema(), 8);
    assert_eq!(positive, [(1, 6.0), (2, 8.0), (1025, 16.0)]);
    assert_eq!((native.zero_bound(), native.zero_count()), (Some(0), 1.0));
}

#[test]
fn integers_are_told_from_floats() {
    let of = |positive: &'static str, count: f64| {
        native(&Text {
            positive,
            count,
            ..NOTHING
        })
    };
    assert!(native(&NOTHING).is_of_integers());
    assert!(of("0:1 1:2", 3.0).is_of_integers());
    assert!(!of("0:1 1:2", 4.0).is_of_integers());
    assert!(!of("0:0.5 1:0.5", 1.0).is_of_integers());
    assert!(of("0:9007199254740992", 9_007_199_254_740_992.0).is_of_integers());
    assert!(!of("0:9007199254740994", 9_007_199_254_740_994.0).is_of_integers());
}
