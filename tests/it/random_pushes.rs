//! The random pushes against the strict reader and their own model, so that a fault of theirs is
//! not taken for one of the gateway.

use std::collections::BTreeSet;

use crate::random::broken::{broken, damaged, hostile};
use crate::random::model::Model;
use crate::random::{Random, push};
use crate::strict::read;

#[test]
fn the_same_seed_gives_the_same_pushes() {
    let bodies = |seed| {
        let mut random = Random::new(seed);
        (0..20).map(|_| push(&mut random).text).collect::<Vec<_>>()
    };
    assert_eq!(bodies(1), bodies(1));
    assert_ne!(bodies(1), bodies(2));
}

/// The first numbers of splitmix64 from the seed 1234567, as its author's test gives them.
#[test]
fn the_generator_is_splitmix64() {
    let mut random = Random::new(1_234_567);
    let known = [
        6_457_827_717_110_365_317,
        3_203_168_211_198_807_973,
        9_817_491_932_198_370_423,
    ];
    assert_eq!(known.map(|_| random.bits()), known);
}

#[test]
fn models_make_strict_scrapes_in_any_order() {
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let mut pushes: Vec<_> = (0..10).map(|_| push(&mut random).model).collect();
        let total = |pushes: &[Model]| {
            let mut total = Model::default();
            pushes.iter().for_each(|push| total.add(push));
            total.scrape()
        };
        let scrape = total(&pushes);
        read(&scrape).unwrap_or_else(|cause| panic!("seed {seed}: {cause}, in\n{scrape}"));
        random.shuffle(&mut pushes);
        assert_eq!(scrape, total(&pushes), "seed {seed}");
    }
}

/// Issue 2, item 3.
#[test]
fn buckets_are_united() {
    let histogram = |own_counts: &[(usize, i64)]| {
        let mut model = Model::default();
        model.kind("h", "histogram");
        let mut histogram = crate::random::model::Histogram::default();
        histogram.own_counts.extend(own_counts.iter().copied());
        histogram.count = own_counts.iter().map(|(_, own)| own).sum();
        model.histogram("h", "", &histogram);
        model
    };
    // le=1:1, le=9:3, +Inf:4 and le=2.5:2, le=9:2, +Inf:2.
    let mut total = histogram(&[(3, 1), (5, 2), (8, 1)]);
    total.add(&histogram(&[(4, 2), (5, 0), (8, 0)]));
    let expected = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"2.5\"} 3\n\
                    h_bucket{le=\"9\"} 5\nh_bucket{le=\"+Inf\"} 6\nh_sum 0\nh_count 6\n";
    assert_eq!(total.scrape(), expected);
}

#[test]
fn the_generators_are_varied() {
    let mut random = Random::new(7);
    let bodies: String = (0..300).map(|_| push(&mut random).text).collect();
    for piece in [
        "\r\n",
        "{}",
        "\",}",
        "=\"\"",
        "# EOF",
        "\\n",
        "\\\\",
        "\\\"",
        "le=\"1e0\"",
        " 0\n",
        "NaN",
        "\t",
        "COUNTER",
        "unknown",
        "1395066363000",
        "_sum",
        "-0",
        "_bucket{",
        "quantile=\"",
    ] {
        assert!(bodies.contains(piece), "{piece:?} never comes");
    }
    let mut causes = BTreeSet::new();
    for _ in 0..5000 {
        let broken = broken(&mut random);
        assert!(!broken.body.is_empty(), "{}", broken.cause);
        causes.insert(broken.cause);
    }
    assert!(causes.len() > 40, "{causes:?}");
    let lengths: BTreeSet<_> = (0..1000).map(|_| hostile(&mut random).len()).collect();
    assert!(lengths.len() > 100, "{lengths:?}");
    let damaged: BTreeSet<_> = (0..100).map(|_| damaged(&mut random)).collect();
    assert!(damaged.len() > 90, "damage makes no difference");
}
