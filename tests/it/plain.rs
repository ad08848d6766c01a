//! Plain lines are read in a way of their own; a blank before a line sends it the general way. Both
//! make the same of it, whatever stands before it.

use prometheus_aggregation_gateway::grouping_key::GroupingKey;
use prometheus_aggregation_gateway::label_limits::LabelLimits;
use prometheus_aggregation_gateway::parse::{Format, parse};

use crate::cases;
use crate::random::broken::{broken, damaged, hostile};
use crate::random::{Random, push};

/// Lines that are plain, and lines that are nearly so.
const LINES: &[&str] = &[
    "x 1",
    "x  1",
    "x\t1",
    "x{} 1",
    "x{}1",
    "xy 1",
    "x:y 1",
    "x{a=\"1\"} 1",
    "x{a=\"1\",b=\"2\"} 1",
    "x{a=\"1\",b=\"3\",c=\"4\"} 1",
    "x{b=\"2\"} 1",
    "x{b=\"2\",a=\"1\"} 2",
    "x{a=\"1\",a=\"2\"} 1",
    "x{a=\"1\",a0=\"2\"} 1",
    "x{a0=\"2\",a=\"1\"} 1",
    "x{a=\"1\",A=\"2\"} 1",
    "x{A=\"2\",a=\"5\"} 1",
    "x{a=\"\"} 1",
    "x{a=\"\",b=\"2\"} 1",
    "x{a=\"1\",} 1",
    "x{a=\"1\", b=\"2\"} 1",
    "x{a =\"1\"} 1",
    "x{a=\"1\"}  1",
    "x{a=\"1\"}1",
    "x{a=\"a\\\\b\\\"c\\nd\"} 1",
    "x{a=\"a\\tb\"} 1",
    "x{a=\"tab\there and more of it\"} 1",
    "x{a=\"\u{e4}\u{4e2d}\u{1f600} and so on\"} 1",
    "x{a=\"\u{7f}\u{80}\u{a2}\u{dc}\"} 1",
    "x{a=\"1234567\"} 1",
    "x{a=\"12345678\"} 1",
    "x{a=\"123456789 and {braces}, commas=\"} 1",
    "x{a=\"not closed} 1",
    "x{a=\"1\" 1",
    "x{a=\"1\"",
    "x{a=",
    "x{",
    "x",
    "x{__name__=\"y\"} 1",
    "x{__a=\"y\"} 1",
    "x{_a=\"y\"} 1",
    "x{1a=\"y\"} 1",
    "x{=\"y\"} 1",
    "x{le=\"1\"} 1",
    "x{a=\"1\",le=\"1\"} 1",
    "x{le=\"1\",z=\"1\"} 1",
    "x{z=\"1\",le=\"1\"} 1",
    "s{quantile=\"0.5\"} 1",
    "s_sum{a=\"1\"} 1",
    "s_sum{a=\"1\"} 1",
    "s_count{le=\"1\"} 1",
    "h 1",
    "h_bucket 1",
    "h_bucket{le=\"1\"} 1",
    "h_bucket{le=\"1\"} 1",
    "h_bucket{le=\"1.0\"} 1",
    "h_bucket{le=\"+Inf\"} 9",
    "h_bucket{le=\"NaN\"} 9",
    "h_bucket{le=\"\"} 9",
    "h_bucket{le=\"x\"} 9",
    "h_bucket{le=\"1\",le=\"2\"} 9",
    "h_bucket{a=\"1\",le=\"2\"} 1",
    "h_bucket{le=\"2\",a=\"1\"} 1",
    "h_bucket{le=\"2\",z=\"1\"} 1",
    "h_bucket{z=\"1\",le=\"2\"} 1",
    "h_bucket{a=\"1\",le=\"2\",z=\"3\"} 1",
    "h_bucket{a=\"1\",z=\"3\",le=\"2\"} 1",
    "h_bucket{a=\"1\",le=\"0.5\"} 2",
    "h_bucket{a=\"1\",le=\"0.5\"} -2",
    "h_sum{a=\"1\"} 2.5",
    "h_sum{a=\"1\",le=\"2\"} 2.5",
    "h_count{a=\"1\"} 3",
    "h_count{le=\"2\"} 3",
    "h_count -3",
    "c 0",
    "c{a=\"1\"} -1",
    "c{a=\"2\"} -0",
    "c{a=\"3\"} +1",
    "c{a=\"4\"} 01",
    "c{a=\"5\"} 999999999999999",
    "c{a=\"6\"} 9999999999999999",
    "c{a=\"7\"} 99999999999999999999999999",
    "c{a=\"8\"} 1e3",
    "c{a=\"9\"} 1.",
    "c{a=\"10\"} .5",
    "c{a=\"11\"} 0x1",
    "c{a=\"12\"} 1_0",
    "c{a=\"13\"} NaN",
    "c{a=\"14\"} +Inf",
    "c{a=\"15\"} 1e999",
    "c{a=\"16\"} 1 1234",
    "c{a=\"17\"} 1 ",
    "c{a=\"18\"} 1\r",
    "c{a=\"19\"} 1\u{a0}",
    "c{a=\"20\"} ",
    "c{a=\"21\"} 1 # {}",
    "",
    "# a comment",
    "\"x\" 1",
    "{x=\"1\"} 1",
];

/// Limits that some of the lines are beyond.
const TIGHT: LabelLimits = LabelLimits {
    labels_max: 2,
    bytes_max: 8,
};

/// As many labels as a plain line may have.
const BUT_64: LabelLimits = LabelLimits {
    labels_max: 64,
    ..LabelLimits::NONE
};

const TYPES: &str = "# TYPE c counter\n# TYPE h histogram\n# TYPE s summary\n";

/// Every sample line with a blank before it; the mark of byte order stays at the begin.
fn in_the_general_way(body: &[u8]) -> Vec<u8> {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    let (mark, body) = body.split_at(if body.starts_with(MARK) { 3 } else { 0 });
    let lines: Vec<Vec<u8>> = body
        .split(|&byte| byte == b'\n')
        .map(|line| [b" ", line].concat())
        .collect();
    [mark, &lines.join(&b'\n')].concat()
}

#[track_caller]
fn check(body: &[u8]) {
    let path = "job/\u{e4}/le0/1/b/of%20the%20path/zz@base64/=";
    for key in [
        GroupingKey::default(),
        GroupingKey::from_path(path).unwrap(),
    ] {
        let general = in_the_general_way(body);
        for limits in [LabelLimits::NONE, TIGHT, BUT_64] {
            let (plain, general) = (
                parse(Format::Text, body, &key, limits),
                parse(Format::Text, &general, &key, limits),
            );
            assert_eq!(plain, general, "{}", String::from_utf8_lossy(body));
        }
    }
}

/// Lines by themselves, and each behind each: what was read before is what the next is read by.
#[test]
fn any_two_lines() {
    for one in LINES {
        check(one.as_bytes());
        for next in LINES {
            check(format!("{TYPES}{one}\n{next}").as_bytes());
            check(format!("{TYPES}{one}\n# TYPE x counter\n{next}\nc 2\n").as_bytes());
        }
    }
}

/// Lines of about as many labels as a plain one may have, in order and not.
#[test]
fn many_labels() {
    for count in 60..70 {
        let mut labels: Vec<String> = (0..count)
            .map(|number| format!("a{number:02}=\"1\""))
            .collect();
        check(format!("x{{{}}} 1", labels.join(",")).as_bytes());
        labels.reverse();
        check(format!("x{{{}}} 1", labels.join(",")).as_bytes());
        labels.push("le=\"1\"".to_owned());
        check(format!("{TYPES}h_bucket{{{}}} 1", labels.join(",")).as_bytes());
    }
}

#[test]
fn any_body() {
    for folder in ["accept", "reject"] {
        for case in cases::paths(folder, "prom") {
            check(&std::fs::read(case).unwrap());
        }
    }
    for seed in 0..2000 {
        let mut random = Random::new(seed);
        check(push(&mut random).text.as_bytes());
        check(&broken(&mut random).body);
        check(&damaged(&mut random));
        check(&hostile(&mut random));
    }
}
