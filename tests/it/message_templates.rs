//! Templates of protobuf: what one reads is what the general way makes of it.

use prometheus_aggregation_gateway::grouping_key::GroupingKey;
use prometheus_aggregation_gateway::label_limits::LabelLimits;
use prometheus_aggregation_gateway::parse::{Format, Template, make_template, parse};

use crate::cases;
use crate::random::encoded::{bytes, double, integer, protobuf, varint};
use crate::random::{Random, push};

/// Whether a template reads a body; if so, it reads what the general way does.
fn reads(made: &Template, body: &[u8], key: &GroupingKey) -> bool {
    let push = made.read(Format::Protobuf, body, key, LabelLimits::NONE);
    let general = || parse(Format::Protobuf, body, key, LabelLimits::NONE);
    assert!(push.is_none() || push == general().ok(), "{body:?}");
    push.is_some()
}

fn template_of(body: &[u8], key: &GroupingKey) -> Option<Template> {
    make_template(Format::Protobuf, body, key, LabelLimits::NONE)
}

/// What a library writes: counters with their starts, gauges, histograms without `+Inf`, a summary.
/// All numbers are random; those of an honest one never decrease from bucket to bucket.
fn library(random: &mut Random, is_honest: bool) -> Vec<u8> {
    let label = |value: &str| bytes(1, &[bytes(1, b"path"), bytes(2, value.as_bytes())].concat());
    let start = bytes(3, &[integer(1, 1_700_000_000), integer(2, 5)].concat());
    let count = |random: &mut Random| random.bits() >> random.between(20, 63);
    let counters = ["/", "/a", "/b"].map(|path| {
        let value = [double(1, count(random) as f64), start.clone()].concat();
        bytes(4, &[label(path), bytes(3, &value)].concat())
    });
    let gauge = bytes(4, &bytes(2, &double(1, random.between(-9, 9) as f64)));
    let histograms = ["/", "/a"].map(|path| {
        let mut counts = [0; 4].map(|_| count(random));
        if is_honest {
            counts.sort_unstable();
        }
        let buckets = [0.1, 1.0, 10.0]
            .iter()
            .zip(counts)
            .map(|(bound, count)| bytes(3, &[integer(1, count), double(2, *bound)].concat()));
        let head = [integer(1, counts[3]), double(2, 1.5)].concat();
        let value = [head, buckets.collect::<Vec<_>>().concat()].concat();
        bytes(4, &[label(path), bytes(7, &value)].concat())
    });
    let quantile = bytes(3, &[double(1, 0.5), double(2, f64::NAN)].concat());
    let summary = [integer(1, count(random)), double(2, 2.5), quantile].concat();
    let summary = bytes(4, &bytes(4, &summary));
    [
        ("c", 0, counters.concat()),
        ("g", 1, gauge),
        ("h", 4, histograms.concat()),
        ("s", 2, summary),
    ]
    .map(|(name, kind, metrics)| {
        let head = [
            bytes(1, name.as_bytes()),
            bytes(2, b"Help."),
            integer(3, kind),
        ]
        .concat();
        let family = [head, metrics].concat();
        [varint(family.len() as u64), family].concat()
    })
    .concat()
}

#[test]
fn bodies_of_a_library_are_read_whatever_their_numbers() {
    for path in ["", "job/shop/path/0"] {
        let key = GroupingKey::from_path(path).unwrap();
        let made = template_of(&library(&mut Random::new(0), true), &key);
        // The label of the path is put over that of the series, which become one.
        let Some(made) = made else {
            assert!(!path.is_empty());
            continue;
        };
        let mut refused = 0;
        for seed in 0..2000 {
            let mut random = Random::new(seed);
            assert!(reads(&made, &library(&mut random, true), &key));
            refused += usize::from(!reads(&made, &library(&mut random, false), &key));
        }
        assert!(refused > 1000, "{refused}");
    }
    let key = GroupingKey::from_path("job/shop").unwrap();
    assert!(template_of(&library(&mut Random::new(0), true), &key).is_some());
}

/// Any byte of a body changed, left out or doubled: lengths do not fit, numbers are other ones.
#[test]
fn a_changed_byte_is_read_as_in_the_general_way() {
    let key = GroupingKey::default();
    let body = library(&mut Random::new(3), true);
    let made = template_of(&body, &key).unwrap();
    let mut read = 0;
    for at in 0..body.len() {
        for byte in [0, 1, body[at].wrapping_add(1), body[at] ^ 0x80, 0xff] {
            let mut other = body.clone();
            other[at] = byte;
            read += usize::from(reads(&made, &other, &key));
            other.insert(at, byte);
            reads(&made, &other, &key);
            other.drain(at..at + 2);
            reads(&made, &other, &key);
            reads(&made, &body[..at], &key);
        }
    }
    assert!(read > 100, "{read}");
}

fn family(name: &str, kind: u64, metrics: &[Vec<u8>]) -> Vec<u8> {
    let head = [bytes(1, name.as_bytes()), integer(3, kind)].concat();
    let family = [head, metrics.concat()].concat();
    [varint(family.len() as u64), family].concat()
}

/// What is absent is zero and what comes twice counts once, or the last time: no template is made
/// of that, since its numbers would stand for others.
#[test]
fn numbers_that_are_absent_or_come_twice_have_no_template() {
    let key = GroupingKey::default();
    let label = |value: &str| bytes(1, &[bytes(1, b"l"), bytes(2, value.as_bytes())].concat());
    let counter = |value: f64| bytes(3, &double(1, value));
    let starts = [
        family("c_created", 1, &[bytes(4, &bytes(2, &double(1, 1.7e9)))]),
        family("c", 0, &[bytes(4, &counter(5.0))]),
        family("d", 0, &[bytes(4, &bytes(3, &[]))]),
    ];
    let twice = [family(
        "c",
        0,
        &[
            bytes(4, &[label("a"), counter(0.0), counter(0.0)].concat()),
            bytes(4, &[label("b"), bytes(3, &[])].concat()),
        ],
    )];
    let twice_within = [family(
        "c",
        0,
        &[bytes(
            4,
            &bytes(3, &[double(1, 0.0), double(1, 0.0)].concat()),
        )],
    )];
    let bucket = bytes(3, &[integer(1, 0), double(2, f64::INFINITY)].concat());
    let sums = [double(2, 0.0), double(2, 0.0), bucket].concat();
    let two_sums = [family("h", 4, &[bytes(4, &bytes(7, &sums))])];
    for families in [starts.as_slice(), &twice, &twice_within, &two_sums] {
        let body = families.concat();
        assert!(parse(Format::Protobuf, &body, &key, LabelLimits::NONE).is_ok());
        assert!(template_of(&body, &key).is_none(), "{body:?}");
    }
}

#[test]
fn cases_and_random_bodies() {
    let mut templates = 0;
    let mut check = |body: &[u8]| {
        let key = GroupingKey::from_path("b/of_the_path/job/x").unwrap();
        for key in [GroupingKey::default(), key] {
            if let Some(made) = template_of(body, &key) {
                templates += 1;
                assert!(reads(&made, body, &key));
                for at in 0..body.len().min(200) {
                    let mut other = body.to_vec();
                    other[at] = other[at].wrapping_add(1);
                    reads(&made, &other, &key);
                }
            }
        }
    };
    for case in cases::paths("protobuf", "pb") {
        check(&std::fs::read(case).unwrap());
    }
    for seed in 0..3000 {
        let mut random = Random::new(seed);
        let model = push(&mut random).model;
        check(&protobuf(&mut random, &model));
    }
    assert!(templates > 100, "{templates}");
}
