//! Of a body that a template reads, the general way makes the same push; and a template reads all
//! that differs from its body in plain numbers alone.

use prometheus_aggregation_gateway::grouping_key::GroupingKey;
use prometheus_aggregation_gateway::label_limits::LabelLimits;
use prometheus_aggregation_gateway::parse::{Format, Template, make_template, parse};

use crate::cases;
use crate::random::broken::{broken, damaged, hostile};
use crate::random::model::{BOUNDS, Model};
use crate::random::{Random, push};

/// Numbers that may stand in the place of others: most are plain, some are refused somewhere.
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "2",
    "7",
    "12",
    "33",
    "0.5",
    "17.25",
    "1e3",
    "123456789012345",
    "1234567890123456",
    "99999999999999999999999",
    "-1",
    "-0",
    "-2.5",
    "+4",
    "NaN",
    "+Inf",
    "-Inf",
    "1e999",
    "x",
    "",
    "1 1395066363000",
    "1 ",
    " 1",
    "1\r",
    "1\t",
    "\u{e4}",
];

const TIGHT: LabelLimits = LabelLimits {
    labels_max: 2,
    bytes_max: 8,
};

const FORMATS: [Format; 2] = [Format::Text, Format::OpenMetrics];

/// The body with other numbers in some of its sample lines.
fn with_other_numbers(body: &[u8], percent: usize, random: &mut Random) -> Vec<u8> {
    let lines = body.split(|&byte| byte == b'\n').map(|line| {
        let space = line.iter().rposition(|&byte| byte == b' ');
        match space {
            Some(space) if !line.starts_with(b"#") && random.percent(percent) => {
                [&line[..=space], random.pick(NUMBERS).as_bytes()].concat()
            }
            _ => line.to_vec(),
        }
    });
    lines.collect::<Vec<_>>().join(&b'\n')
}

/// How many of the pairs of bodies were read by a template.
#[derive(Default)]
struct Read {
    alike: usize,
    other: usize,
}

impl Read {
    fn check(&mut self, body: &[u8], others: &[Vec<u8>]) {
        let path = "job/\u{e4}/le0/1/b/of%20the%20path/zz@base64/=";
        for key in [
            GroupingKey::default(),
            GroupingKey::from_path(path).unwrap(),
        ] {
            for (format, limits) in FORMATS
                .into_iter()
                .flat_map(|format| [LabelLimits::NONE, TIGHT].map(|limits| (format, limits)))
            {
                let general = parse(format, body, &key, limits);
                let Some(made) = make_template(format, body, &key, limits) else {
                    continue;
                };
                let read = made.read(format, body, &key, limits);
                assert_eq!(read, general.ok(), "{}", String::from_utf8_lossy(body));
                self.alike += 1;
                for other in others {
                    self.check_other(&made, format, other, &key, limits);
                }
            }
        }
    }

    fn check_other(
        &mut self,
        made: &Template,
        format: Format,
        other: &[u8],
        key: &GroupingKey,
        limits: LabelLimits,
    ) {
        if let Some(push) = made.read(format, other, key, limits) {
            let general = parse(format, other, key, limits);
            assert_eq!(Ok(push), general, "{}", String::from_utf8_lossy(other));
            self.other += 1;
        }
    }
}

/// What a random push adds, as most libraries write it.
fn plain(model: &Model) -> String {
    let mut text = String::new();
    for (family, kind) in &model.kinds {
        text += &format!("# TYPE {family} {kind}\n");
        let mut line = |name: &str, labels: &str, value: i64| {
            text += &match labels {
                "" => format!("{name} {value}\n"),
                labels => format!("{name}{{{labels}}} {value}\n"),
            };
        };
        for ((name, labels), value) in &model.numbers {
            if name == family {
                line(name, labels, *value);
            }
        }
        for ((name, labels), histogram) in &model.histograms {
            if name != family {
                continue;
            }
            let comma = if labels.is_empty() { "" } else { "," };
            let mut cumulative = 0;
            for (bound, own) in &histogram.own_counts {
                cumulative += own;
                let le = BOUNDS[*bound][0];
                line(
                    &format!("{name}_bucket"),
                    &format!("{labels}{comma}le=\"{le}\""),
                    cumulative,
                );
            }
            line(&format!("{name}_sum"), labels, histogram.sum);
            line(&format!("{name}_count"), labels, histogram.count);
        }
    }
    text
}

fn others(body: &[u8], random: &mut Random) -> Vec<Vec<u8>> {
    [5, 20, 100]
        .map(|percent| with_other_numbers(body, percent, random))
        .to_vec()
}

#[test]
fn what_a_template_reads_is_read_the_same_in_the_general_way() {
    let mut read = Read::default();
    let mut random = Random::new(1);
    for (folder, extension) in [
        ("accept", "prom"),
        ("reject", "prom"),
        ("openmetrics", "om"),
    ] {
        for case in cases::paths(folder, extension) {
            let body = std::fs::read(case).unwrap();
            (0..20).for_each(|_| read.check(&body, &others(&body, &mut random)));
        }
    }
    assert!(
        read.alike > 1000 && read.other > 1000,
        "{} {}",
        read.alike,
        read.other
    );
    let mut read = Read::default();
    for seed in 0..1500 {
        let mut random = Random::new(seed);
        let model = push(&mut random).model;
        let bodies = [
            plain(&model).into_bytes(),
            push(&mut random).text.into_bytes(),
            broken(&mut random).body,
            damaged(&mut random),
            hostile(&mut random),
        ];
        for body in bodies {
            read.check(&body, &others(&body, &mut random));
        }
    }
    assert!(
        read.alike > 300 && read.other > 300,
        "{} {}",
        read.alike,
        read.other
    );
}

/// What a client library writes: text, then the same with other numbers.
const LIBRARY: &str = "\
# HELP http_requests_total Requests.\n\
# TYPE http_requests_total counter\n\
http_requests_total{method=\"get\",code=\"200\"} 1027\n\
http_requests_total{method=\"post\",code=\"200\"} 3\n\
# TYPE temperature gauge\n\
temperature -1.5\n\
# TYPE seconds histogram\n\
seconds_bucket{path=\"/\",le=\"0.1\"} 2\n\
seconds_bucket{path=\"/\",le=\"1\"} 3\n\
seconds_bucket{path=\"/\",le=\"+Inf\"} 3\n\
seconds_sum{path=\"/\"} 1.5\n\
seconds_count{path=\"/\"} 3\n\
# TYPE gc summary\n\
gc{quantile=\"0.5\"} NaN\n\
gc_sum 17\n\
gc_count 2\n";

fn read(made: &Template, body: &str, path: &str) -> bool {
    let key = GroupingKey::from_path(path).unwrap();
    let push = made.read(Format::Text, body.as_bytes(), &key, LabelLimits::NONE);
    let general = || parse(Format::Text, body.as_bytes(), &key, LabelLimits::NONE);
    assert!(push.is_none() || push == general().ok(), "{body}");
    push.is_some()
}

/// A body, something in it, and what stands there instead.
#[test]
fn other_plain_numbers_are_read_and_nothing_else() {
    for path in ["", "job/shop/instance/1"] {
        let key = GroupingKey::from_path(path).unwrap();
        let made =
            make_template(Format::Text, LIBRARY.as_bytes(), &key, LabelLimits::NONE).unwrap();
        assert!(read(&made, LIBRARY, path));
        for (one, other) in [
            (" 1027\n", " 123456\n"),
            (" 1027\n", " 0.25\n"),
            (" -1.5\n", " 3\n"),
            (" -1.5\n", " -17e-3\n"),
            ("0.1\"} 2\n", "0.1\"} 0\n"),
            ("_sum{path=\"/\"} 1.5\n", "_sum{path=\"/\"} -1.5\n"),
            ("_count{path=\"/\"} 3\n", "_count{path=\"/\"} 4\n"),
            (" NaN\n", " 1\n"),
            (" 17\n", " 18\n"),
        ] {
            assert!(
                read(&made, &LIBRARY.replacen(one, other, 1), path),
                "{one} {other}"
            );
        }
        for (one, other) in [
            (" 1027\n", " -1\n"),
            (" 1027\n", " NaN\n"),
            (" 1027\n", " 1 1395066363000\n"),
            ("0.1\"} 2\n", "0.1\"} 4\n"),
            ("gc_count 2\n", "gc_count -2\n"),
            ("gc_count 2\n", "gc_count 2"),
            ("gc_count 2\n", "gc_count 2\n\n"),
            ("gc_count 2\n", ""),
            ("code=\"200\"} 3", "code=\"201\"} 3"),
            ("Requests.", "requests."),
            ("# TYPE gc summary", "# TYPE gc gauge"),
        ] {
            assert!(
                !read(&made, &LIBRARY.replacen(one, other, 1), path),
                "{one} {other}"
            );
        }
    }
}

/// The library for Python says when each series began, in gauges of their own: as long as it runs,
/// these stay as they are.
#[test]
fn gauges_that_say_when_series_began_belong_to_what_is_the_same() {
    let body = "# TYPE c_total counter\nc_total{a=\"1\"} 1\nc_total{a=\"2\"} 2\n\
        # TYPE c_created gauge\nc_created{a=\"1\"} 1.7e9\nc_created{a=\"2\"} 1.7e9\n\
        # TYPE g gauge\ng 5\n\
        # TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n\
        # TYPE h_created gauge\nh_created 1.7e9\n";
    let key = GroupingKey::default();
    let made = make_template(Format::Text, body.as_bytes(), &key, LabelLimits::NONE).unwrap();
    assert!(read(&made, body, ""));
    assert!(read(&made, &body.replace("g 5", "g 6"), ""));
    assert!(read(&made, &body.replace("\"1\"} 1\n", "\"1\"} 9\n"), ""));
    assert!(!read(
        &made,
        &body.replace("h_created 1.7e9", "h_created 1.8e9"),
        ""
    ));
}

/// One line of HELP is a body whose line feeds are gone, and refused.
#[test]
fn a_body_without_samples_has_no_template() {
    for body in ["", "\n", "# HELP x a", "# TYPE x counter\n"] {
        let key = GroupingKey::default();
        assert!(make_template(Format::Text, body.as_bytes(), &key, LabelLimits::NONE).is_none());
    }
}

/// The labels of the path, the limits and the format are a part of what a template is for.
#[test]
fn a_template_is_for_one_path_one_format_and_its_limits() {
    let key = |path| GroupingKey::from_path(path).unwrap();
    let (format, limits) = (Format::Text, LabelLimits::NONE);
    let body = LIBRARY.as_bytes();
    let made = make_template(format, body, &key("job/shop"), limits).unwrap();
    assert!(made.read(format, body, &key("job/shop"), limits).is_some());
    assert!(made.read(format, body, &key("job/shops"), limits).is_none());
    assert!(made.read(format, body, &key(""), limits).is_none());
    assert!(
        made.read(Format::OpenMetrics, body, &key("job/shop"), limits)
            .is_none()
    );
    assert!(made.read(format, body, &key("job/shop"), TIGHT).is_none());
}

/// The labels of the path may take so much in all samples, which depends on the length of the body.
#[track_caller]
fn check_limit_of_path_labels(body: impl Fn(&str) -> String) {
    let path = format!("job/{}", "x".repeat(3900));
    let key = GroupingKey::from_path(&path).unwrap();
    let (format, limits) = (Format::Text, LabelLimits::NONE);
    let (long, short) = (body("111111111111111"), body("1"));
    let made = make_template(format, long.as_bytes(), &key, limits).unwrap();
    assert!(parse(format, long.as_bytes(), &key, limits).is_ok());
    assert!(parse(format, short.as_bytes(), &key, limits).is_err());
    assert!(made.read(format, short.as_bytes(), &key, limits).is_none());
}

#[test]
fn the_limit_of_path_labels_holds() {
    check_limit_of_path_labels(|value| {
        let line = |number| format!("a{{b=\"{number:03}\"}} {value}\n");
        (0..300).map(line).collect()
    });
}

/// Samples that say when series began have the labels of the path, too.
#[test]
fn the_limit_of_path_labels_counts_starts() {
    check_limit_of_path_labels(|value| {
        let number = |number| format!("a{{b=\"{number:03}\"}} {value}\n");
        let start = |number| format!("a_created{{b=\"{number:03}\"}} 1700000000\n");
        let numbers: String = (0..150).map(number).collect();
        let starts: String = (0..150).map(start).collect();
        format!("# TYPE a counter\n{numbers}# TYPE a_created gauge\n{starts}")
    });
}

/// What is left out of a summary would be left out of the next body.
#[test]
fn a_summary_that_is_not_finite_has_no_template() {
    let key = GroupingKey::default();
    for values in [
        "s_sum NaN\ns_count 3",
        "s_sum 1\ns_count NaN",
        "s_sum +Inf\ns_count 3",
    ] {
        let body = format!("# TYPE s summary\n{values}\n");
        assert!(parse(Format::Text, body.as_bytes(), &key, LabelLimits::NONE).is_ok());
        let made = make_template(Format::Text, body.as_bytes(), &key, LabelLimits::NONE);
        assert!(made.is_none(), "{body}");
    }
}

/// The names, HELP texts and path labels that it keeps are in its size.
#[test]
fn the_size_of_a_template_counts_its_texts() {
    let size = |help: usize, name: usize, path: usize| {
        let path = format!("job/{}", "p".repeat(path));
        let (name, help) = ("n".repeat(name), "h".repeat(help));
        let body = format!("# HELP {name} {help}\n# TYPE {name} counter\n{name} 1\n");
        let key = GroupingKey::from_path(&path).unwrap();
        let made = make_template(Format::Text, body.as_bytes(), &key, LabelLimits::NONE);
        made.unwrap().bytes()
    };
    let least = size(1, 1, 1);
    // In what stands between the numbers, and by themselves.
    assert!(size(10_001, 1, 1) >= least + 20_000);
    assert!(size(1, 10_001, 1) >= least + 40_000);
    // In the key, and in the label set.
    assert!(size(1, 1, 3001) >= least + 6000);
}
