//! Renderers copy texts by their length: whatever the lengths, nothing is lost or left over. And
//! numbers are written as std writes them.

use std::fmt::Write;

use prometheus_aggregation_gateway::aggregate::{Aggregate, View};
use prometheus_aggregation_gateway::grouping_key::GroupingKey;
use prometheus_aggregation_gateway::label_limits::LabelLimits;
use prometheus_aggregation_gateway::number;
use prometheus_aggregation_gateway::parse::{Format, parse};
use prometheus_aggregation_gateway::render::{Encoding, NameStyle, whole};

use crate::protobuf_reader;
use crate::random::Random;

/// Beyond what is copied as short.
const LENGTH_MAX: usize = 300;

fn view(body: &str) -> View {
    let key = GroupingKey::default();
    let push = parse(Format::Text, body.as_bytes(), &key, LabelLimits::NONE).expect("it is valid");
    let mut aggregate = Aggregate::default();
    let checked = aggregate.check(&push).expect("it fits");
    aggregate.merge(&checked, 0);
    aggregate.view()
}

/// A body that is an exposition as it is rendered.
#[track_caller]
fn check(body: &str) {
    let view = view(body);
    let text = whole(&view, Encoding::Text, NameStyle::Quoted);
    assert_eq!(String::from_utf8(text).expect("it is UTF-8"), body);
    let protobuf = whole(&view, Encoding::Protobuf, NameStyle::Quoted);
    let families = protobuf_reader::read(&protobuf);
    assert_eq!(protobuf_reader::text(&families), body);
}

#[test]
fn texts_of_any_length() {
    for length in 1..LENGTH_MAX {
        let (name, digits) = ("n".repeat(length), length % 16);
        let value = "123456789012345"
            .get(..digits)
            .filter(|text| !text.is_empty());
        let value = value.unwrap_or("0");
        let label = "v".repeat(length);
        let mut body = format!("# TYPE {name} counter\n{name} {value}\n");
        let _ = writeln!(body, "{name}{{a=\"{label}\"}} {value}");
        let _ = writeln!(body, "{name}{{a=\"{label}\",b=\"x\"}} 0.5");
        check(&body);
        let histogram = format!(
            "# HELP {name} {label}\n# TYPE {name} histogram\n\
             {name}_bucket{{a=\"{label}\",le=\"0.25\"}} {value}\n\
             {name}_bucket{{a=\"{label}\",le=\"+Inf\"}} {value}\n\
             {name}_sum{{a=\"{label}\"}} 0.75\n{name}_count{{a=\"{label}\"}} {value}\n"
        );
        check(&histogram);
    }
}

/// Label sets that begin as the one before: with more at the end, less, or another; with escapes;
/// with more labels or fewer.
#[test]
fn neighbours_of_any_kind() {
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let letters = [
            "a", "b", "\\\"", "\\\\", "\\n", "#", "!", ",", "=", "abcdefgh", "ö",
        ];
        let mut value = || {
            let length = 1 + random.below(12);
            let common = "x".repeat(random.below(4) * 7);
            let rest = (0..length).map(|_| *random.pick(&letters));
            common + &rest.collect::<String>()
        };
        let mut sets: Vec<String> = (0..80)
            .map(|_| {
                let value = value();
                match value.len() % 3 {
                    0 => format!("a=\"{value}\""),
                    1 => format!("a=\"x\",bb=\"{value}\""),
                    _ => format!("a=\"xx\",bb=\"{value}\",c=\"1\""),
                }
            })
            .collect();
        sets.sort();
        sets.dedup();
        let lines = sets.iter().map(|labels| format!("n{{{labels}}} 1\n"));
        check(&format!("# TYPE n counter\n{}", lines.collect::<String>()));
    }
}

/// As std writes it, or as the format has it.
fn expected(value: f64) -> String {
    let magnitude = value.abs();
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        format!("{value:+}").replace("inf", "Inf")
    } else if value == 0.0 {
        "0".to_owned()
    } else if magnitude.fract() == 0.0 && magnitude < 9_007_199_254_740_992.0
        || (1e-5..1e17).contains(&magnitude)
    {
        format!("{value}")
    } else {
        format!("{value:e}")
    }
}

#[test]
fn numbers_are_written_as_std_writes_them() {
    let check = |value: f64| {
        for value in [value, -value] {
            assert_eq!(number::written(value), expected(value), "{value:e}");
        }
    };
    let special = [
        0.0,
        f64::NAN,
        f64::INFINITY,
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
    ];
    special.into_iter().for_each(check);
    for exponent in -330..310 {
        let value: f64 = format!("1e{exponent}").parse().expect("a number");
        [value.next_down(), value, value.next_up()]
            .into_iter()
            .for_each(check);
    }
    let mut random = Random::new(1);
    for number in 0..100_000_u32 {
        let whole = f64::from(number);
        [whole, whole / 1e3, whole / 1e6, whole / 1e7]
            .into_iter()
            .for_each(check);
        check(f64::from_bits(random.bits()));
        #[allow(clippy::cast_precision_loss)] // any number will do
        let whole = (random.bits() >> random.below(64)) as f64;
        let decimal = format!("{whole}e-{}", random.below(18));
        check(whole);
        check(decimal.parse().expect("a number"));
    }
}
