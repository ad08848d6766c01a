//! Metrics of protobuf that are read in one pass mean what the general way makes of them.

use prometheus_aggregation_gateway::grouping_key::GroupingKey;
use prometheus_aggregation_gateway::parse::{Arena, Format, parse, parse_in};

use crate::formats::LIMITS;
use crate::random::Random;
use crate::random::encoded::{bytes, double, integer, varint};

/// Both ways make the same push or the same refusal of a body.
#[track_caller]
fn check(body: &[u8], path: &str) -> String {
    let key = GroupingKey::from_path(path).expect("a valid path");
    let mut arena = Arena::default();
    let general = parse(Format::Protobuf, body, &key, LIMITS);
    let plain = parse_in(&mut arena, Format::Protobuf, body, &key, LIMITS);
    assert_eq!(plain, general, "{path} {body:x?}");
    format!("{plain:?}")
}

fn label(name: &[u8], value: &[u8]) -> Vec<u8> {
    bytes(1, &[bytes(1, name), bytes(2, value)].concat())
}

fn family(kind: u64, metrics: &[Vec<u8>]) -> Vec<u8> {
    let metrics = metrics.iter().flat_map(|metric| bytes(4, metric));
    let message: Vec<u8> = [bytes(1, b"m"), integer(3, kind)]
        .concat()
        .into_iter()
        .chain(metrics)
        .collect();
    [varint(message.len() as u64), message].concat()
}

const NAMES: [&[u8]; 12] = [
    b"a",
    b"b",
    b"code",
    b"host",
    b"job",
    b"path",
    b"zone_of_a_rather_long_name",
    b"le",
    b"__a",
    b"9",
    "é".as_bytes(),
    b"",
];

/// One of these is in each byte of a value, the others are plain.
const SPECIAL: [&[u8]; 10] = [
    b"\"",
    b"\\",
    b"\n",
    b"\0",
    b"\x1f",
    b"\x7f",
    b"\x80",
    b"\xff",
    "é".as_bytes(),
    "\u{1f600}".as_bytes(),
];

fn value(random: &mut Random) -> Vec<u8> {
    let length = match random.below(20) {
        0 => 0,
        1 => random.between(120, 140),
        _ => random.between(1, 20),
    };
    let mut value: Vec<u8> = (0..length)
        .map(|_| b' ' + random.below(90) as u8)
        .filter(|byte| !matches!(byte, b'"' | b'\\'))
        .collect();
    if random.percent(10) {
        let at = random.below(value.len() + 1);
        let special = *random.pick(&SPECIAL);
        value.splice(at..at, special.iter().copied());
    }
    value
}

fn metric(random: &mut Random, names: &[&[u8]], value_field: u64) -> Vec<u8> {
    let labels = names.iter().map(|name| label(name, &value(random)));
    let mut fields: Vec<_> = labels.collect();
    let buckets = if value_field == 7 { 9 } else { 0 };
    let bucket = |at| bytes(3, &[integer(1, at), double(2, at as f64)].concat());
    let value = match random.below(10) {
        0 => Vec::new(),
        1..4 if value_field != 7 => number_with_more(random),
        _ if value_field == 7 => [integer(1, 20), double(2, 1.0)].concat(),
        _ => double(1, random.between(-2, 9) as f64),
    };
    let value = [value, (0..buckets).flat_map(bucket).collect()].concat();
    fields.push(bytes(value_field, &value));
    match random.below(30) {
        0 => fields.push(integer(6, 1000)),
        1 => fields.push(bytes(value_field, b"")),
        2 => random.shuffle(&mut fields),
        3 => drop(fields.pop()),
        _ => {}
    }
    fields.concat()
}

/// A value, and mostly behind it an exemplar and a start, each of them whole or not.
fn number_with_more(random: &mut Random) -> Vec<u8> {
    let seconds = *random.pick(&[0, 5, 1_700_000_000, u64::MAX, 1 << 62]);
    let nanoseconds = *random.pick(&[0, 999_999, 123_456_789, u64::MAX]);
    let start = match random.below(8) {
        0 => integer(1, seconds),
        1 => integer(2, nanoseconds),
        2 => double(1, 5.0),
        3 => b"\x08\xff".to_vec(),
        _ => [integer(1, seconds), integer(2, nanoseconds)].concat(),
    };
    let exemplar = bytes(1, &vec![b'x'; *random.pick(&[0, 5, 200])]);
    let mut fields = vec![
        double(1, *random.pick(&[1.5, 0.0, f64::NAN, f64::INFINITY])),
        bytes(2, &exemplar),
        bytes(3, &start),
    ];
    match random.below(12) {
        0 => random.shuffle(&mut fields),
        1 => fields.push(double(1, 7.0)),
        2 => fields.push(bytes(3, &integer(1, 8))),
        3 => fields.push(integer(*random.pick(&[2, 3, 9]), 8)),
        4 => fields.push(b"\x1a\x05".to_vec()),
        5..8 => drop(fields.remove(1)),
        _ => {}
    }
    fields.concat()
}

#[test]
fn plain_metrics_are_read_as_any_others() {
    let (mut accepted, mut have_starts) = (0, 0);
    for seed in 0..4000 {
        let mut random = Random::new(seed);
        let (kind, value_field) = *random.pick(&[(0, 3), (1, 2), (2, 4), (3, 5), (4, 7), (5, 7)]);
        // The odd names come seldom.
        let names_end = *random.pick(&[7, 7, 7, 7, NAMES.len()]);
        let names: Vec<&[u8]> = NAMES[..names_end]
            .iter()
            .copied()
            .filter(|_| random.percent(40))
            .collect();
        let metrics: Vec<_> = (0..random.below(8))
            .map(|_| {
                let mut names = names.clone();
                match random.below(10) {
                    0 => random.shuffle(&mut names),
                    1 => drop(names.pop()),
                    2 => names.push(*random.pick(&NAMES)),
                    _ => {}
                }
                metric(&mut random, &names, value_field)
            })
            .collect();
        let body = family(kind, &metrics);
        for path in [
            "",
            "job/nightly",
            "a/1/job/x/zz/%22",
            "job/x/b/",
            "h/\u{e9}/job/%5C",
        ] {
            let read = check(&body, path);
            accepted += u32::from(read.starts_with("Ok"));
            have_starts += u32::from(read.contains("milliseconds"));
        }
    }
    assert!(accepted > 4000, "only {accepted} are accepted");
    assert!(have_starts > 300, "only {have_starts} have starts");
}

#[test]
fn many_labels_and_little_space() {
    let names: Vec<String> = (10..80).map(|number| format!("l{number}")).collect();
    for labels in [0, 1, 63, 64, 65] {
        let labels: Vec<u8> = names[..labels]
            .iter()
            .flat_map(|name| label(name.as_bytes(), b"v"))
            .collect();
        for value in [b"".as_slice(), &double(1, 5.0)] {
            let metric = [labels.clone(), bytes(3, value)].concat();
            check(&family(0, &[metric]), "");
        }
    }
    // What the path adds is longer than the body.
    let path = format!("job/{}", "x".repeat(4000));
    let metrics =
        ["1", "2", "3"].map(|text| [label(b"a", text.as_bytes()), vec![0x12, 0]].concat());
    check(&family(1, &metrics), &path);
}
