//! The same push in every format is the same push: labels in any order with anything in their
//! values, values that are left out, histograms, starts, and labels of the path over all of it.

use std::fmt::Write;

use prometheus_aggregation_gateway::grouping_key::GroupingKey;
use prometheus_aggregation_gateway::metric::{Push, Start};
use prometheus_aggregation_gateway::parse::{Arena, Format, parse_in};

use crate::formats::LIMITS;
use crate::random::Random;
use crate::random::encoded::{bytes, double, integer, varint};
use crate::random::model::escape;

/// A family as its sender has it in mind.
struct Family {
    name: &'static str,
    kind: &'static str,
    series: Vec<Series>,
}

struct Series {
    labels: Vec<(&'static str, String)>,
    /// Of a number; of a histogram, its sum.
    value: f64,
    /// Bounds and cumulative counts; the last is `+Inf` and the count.
    buckets: Vec<(f64, u32)>,
    /// In milliseconds.
    start: Option<i64>,
}

const FAMILIES: [(&str, &str); 5] = [
    ("requests_total", "counter"),
    ("oddly_named", "counter"),
    ("temperature", "gauge"),
    ("anything", "untyped"),
    ("latency_seconds", "histogram"),
];

const VALUES: [&str; 9] = [
    "",
    "1",
    "a value of some more bytes",
    "C:\\dir",
    "a \"quoted\" text",
    "two\nlines",
    "\\n",
    "\u{e4}\u{1f600}",
    "{},=#",
];

const PATHS: [&str; 5] = [
    "",
    "job/nightly",
    "job/nightly/a/of%20the%20path/zz/%22%5C",
    "b/",
    "job@base64/w6Q/b/1",
];

fn families(random: &mut Random) -> Vec<Family> {
    let mut families = FAMILIES.to_vec();
    random.shuffle(&mut families);
    families.truncate(random.below(FAMILIES.len()) + 1);
    let families = families.into_iter().map(|(name, kind)| Family {
        name,
        kind,
        series: (0..random.below(5) + 1)
            .map(|_| series(random, kind))
            .collect(),
    });
    families.collect()
}

fn series(random: &mut Random, kind: &str) -> Series {
    let names = ["a", "b", "code", "job", "quite_a_long_name_of_a_label"];
    let names = names
        .into_iter()
        .filter(|_| random.percent(60))
        .collect::<Vec<_>>();
    let labels = names
        .into_iter()
        .map(|name| (name, (*random.pick(&VALUES)).to_owned()))
        .collect();
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    let value = match random.below(10) {
        0 => *random.pick(&odd),
        1 if kind != "counter" => -2.5,
        _ => random.below(1000) as f64 / 4.0,
    };
    let mut buckets = Vec::new();
    if kind == "histogram" {
        let mut count = 0;
        for bound in [-1.0, 0.25, 1.0, 2.5, 1e6, f64::INFINITY] {
            if bound == f64::INFINITY || random.percent(60) {
                count += random.below(5) as u32;
                buckets.push((bound, count));
            }
        }
    }
    let start = 1_700_000_000_000 + random.below(1_000_000) as i64;
    let has_start = random.percent(40) && matches!(kind, "counter" | "histogram");
    Series {
        labels,
        value,
        buckets,
        start: has_start.then_some(start),
    }
}

/// The labels of a series and some more, in any order; without braces.
fn written(random: &mut Random, series: &Series, bound: Option<f64>) -> String {
    let labels = series.labels.iter();
    let mut labels: Vec<_> = labels
        .map(|(name, value)| format!("{name}=\"{}\"", escape(value)))
        .collect();
    labels.extend(bound.map(|bound| format!("le=\"{}\"", number(bound))));
    if random.percent(30) {
        random.shuffle(&mut labels);
    }
    labels.join(",")
}

fn number(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
    }
}

fn text(random: &mut Random, families: &[Family], format: Format) -> String {
    let mut text = String::new();
    for Family { name, kind, series } in families {
        let base = name.strip_suffix("_total").unwrap_or(name);
        let in_open_metrics = format == Format::OpenMetrics;
        let declared = if in_open_metrics { base } else { name };
        let word = if in_open_metrics && *kind == "untyped" {
            "unknown"
        } else {
            kind
        };
        let _ = writeln!(text, "# TYPE {declared} {word}");
        let mut starts = String::new();
        for one in series {
            let mut lines = Vec::new();
            let mut line = |suffix, bound, value: f64| {
                let labels = written(random, one, bound);
                let value = number(value);
                lines.push(format!("{name}{suffix}{{{labels}}} {value}\n"));
            };
            for &(bound, count) in &one.buckets {
                line("_bucket", Some(bound), f64::from(count));
            }
            match one.buckets.last() {
                Some(&(_, count)) => {
                    line("_sum", None, one.value);
                    line("_count", None, f64::from(count));
                }
                None => line("", None, one.value),
            }
            text.extend(lines);
            if let Some(start) = one.start {
                let (seconds, rest) = (start / 1000, start % 1000);
                let labels = written(random, one, None);
                let _ = writeln!(starts, "{base}_created{{{labels}}} {seconds}.{rest:03}");
            }
        }
        if !starts.is_empty() && !in_open_metrics {
            let _ = writeln!(text, "# TYPE {base}_created gauge");
        }
        text += &starts;
    }
    text + if format == Format::OpenMetrics {
        "# EOF\n"
    } else {
        ""
    }
}

fn protobuf(random: &mut Random, families: &[Family]) -> Vec<u8> {
    let mut body = Vec::new();
    for Family { name, kind, series } in families {
        let (number, field) = match *kind {
            "counter" => (0, 3),
            "gauge" => (1, 2),
            "untyped" => (3, 5),
            _ => (4, 7),
        };
        let mut message = [bytes(1, name.as_bytes()), integer(3, number)].concat();
        for one in series {
            let pairs = one.labels.iter();
            let mut fields: Vec<_> = pairs
                .map(|(name, value)| {
                    let pair = [bytes(1, name.as_bytes()), bytes(2, value.as_bytes())];
                    bytes(1, &pair.concat())
                })
                .collect();
            if random.percent(30) {
                random.shuffle(&mut fields);
            }
            fields.push(bytes(field, &value_message(one)));
            message.extend(bytes(4, &fields.concat()));
        }
        body.extend(varint(message.len() as u64));
        body.extend(message);
    }
    body
}

fn value_message(series: &Series) -> Vec<u8> {
    let start = series.start.map(|start| {
        let nanoseconds = (start % 1000) as u64 * 1_000_000;
        [integer(1, start as u64 / 1000), integer(2, nanoseconds)].concat()
    });
    let Some(&(_, count)) = series.buckets.last() else {
        let start = start.map(|start| bytes(3, &start));
        return [double(1, series.value), start.unwrap_or_default()].concat();
    };
    let mut message = [integer(1, count.into()), double(2, series.value)].concat();
    for &(bound, count) in &series.buckets {
        let bucket = [integer(1, count.into()), double(2, bound)];
        message.extend(bytes(3, &bucket.concat()));
    }
    message.extend(start.iter().flat_map(|start| bytes(15, start)));
    message
}

/// All that must not depend on the format, a line each.
fn described(push: &Push<'_>) -> Vec<String> {
    let started = |starts: &[Start], place| {
        let start = starts.iter().find(|start| start.place == place);
        start.map(|start| start.milliseconds)
    };
    let mut lines: Vec<String> = Vec::new();
    for (place, number) in push.numbers.iter().enumerate() {
        let family = &push.families[number.family];
        let start = started(&push.number_starts, place);
        let (name, labels) = (&family.name, number.labels.as_str());
        let (kind, value) = (family.metric_type, number.value);
        lines.push(format!("{kind:?} {name} {labels} {value} {start:?}"));
    }
    for (place, histogram) in push.histograms.iter().enumerate() {
        let (sum, count) = (histogram.sum, histogram.count);
        let (name, labels) = (
            &push.families[histogram.family].name,
            histogram.labels.as_str(),
        );
        let start = started(&push.histogram_starts, place);
        let buckets = push.buckets(histogram);
        lines.push(format!(
            "{name} {labels} {sum} {count} {start:?} {buckets:?}"
        ));
    }
    lines.sort();
    let (nan, infinite) = (push.skipped.not_a_number, push.skipped.infinite);
    lines.push(format!("left out: {nan} NaN, {infinite} infinite"));
    lines
}

#[test]
fn every_format_makes_the_same_push() {
    let (mut accepted, mut refused, mut starts) = (0, 0, 0);
    for seed in 0..1500 {
        let mut random = Random::new(seed);
        let families = families(&mut random);
        let key = GroupingKey::from_path(random.pick::<&str>(&PATHS)).expect("a valid path");
        let bodies = [
            (
                Format::Text,
                text(&mut random, &families, Format::Text).into_bytes(),
            ),
            (
                Format::OpenMetrics,
                text(&mut random, &families, Format::OpenMetrics).into_bytes(),
            ),
            (Format::Protobuf, protobuf(&mut random, &families)),
        ];
        let mut outcomes = bodies.iter().map(|(format, body)| {
            let mut arena = Arena::default();
            let push = parse_in(&mut arena, *format, body, &key, LIMITS);
            push.map(|push| {
                starts += push.number_starts.len() + push.histogram_starts.len();
                described(&push)
            })
            // What is wrong is the same, where it stands is told in terms of the format.
            .map_err(|error| match error.to_string().split_once(": ") {
                Some((_, cause)) => cause.to_owned(),
                None => error.to_string(),
            })
        });
        let first = outcomes.next().expect("there are three");
        match &first {
            Ok(_) => accepted += 1,
            Err(_) => refused += 1,
        }
        for other in outcomes {
            let text = String::from_utf8_lossy(&bodies[0].1);
            match (&first, &other) {
                (Err(_), Err(_)) => {}
                _ => assert_eq!(other, first, "seed {seed}\n{text}"),
            }
        }
    }
    assert!(
        accepted > 800 && refused > 50 && starts > 1000,
        "{accepted} accepted, {refused} refused, {starts} starts"
    );
}
