//! Bodies in the other formats and what they mean: `data/protobuf`, `data/openmetrics`.

use std::fs;
use std::path::Path;

use prometheus_aggregation_gateway::aggregate::Aggregate;
use prometheus_aggregation_gateway::grouping_key::GroupingKey;
use prometheus_aggregation_gateway::label_limits::LabelLimits;
use prometheus_aggregation_gateway::metric::{SkippedSamples, Start};
use prometheus_aggregation_gateway::parse::{Format, parse, parse_snapshot};
use prometheus_aggregation_gateway::render::whole_text;
use prometheus_aggregation_gateway::rules::{Rules, Summaries};

use crate::cases;
use crate::native_pushes::{histograms, line};
use crate::random::{Random, encoded, push};
use crate::strict;

/// The limits of labels without flags.
pub const LIMITS: LabelLimits = LabelLimits {
    labels_max: 64,
    bytes_max: 4096,
};

/// What was pushed in any format, added up.
#[derive(Default)]
pub struct Sums(Aggregate, Rules);

impl Sums {
    /// Adds a body, or says why it is refused.
    pub fn push(
        &mut self,
        format: Format,
        path: &str,
        body: &[u8],
    ) -> Result<SkippedSamples, String> {
        let key = GroupingKey::from_path(path).map_err(|error| error.to_string())?;
        let mut push = parse(format, body, &key, LIMITS).map_err(|error| error.to_string())?;
        self.1.apply(&mut push);
        let checked = self.0.check(&push).map_err(|error| error.to_string())?;
        self.0.merge(&checked, 0);
        Ok(push.skipped)
    }

    /// The native histograms, a line each.
    fn natives(&self) -> String {
        let histograms = histograms(&self.0.view());
        let natives = histograms.iter().filter_map(|(series, histogram)| {
            Some(format!("{series} {}\n", line(histogram.native()?)))
        });
        natives.collect()
    }

    /// The scrape, which a strict reader has found valid.
    #[track_caller]
    pub fn scrape(&self) -> String {
        let scrape = String::from_utf8(whole_text(&self.0.view())).expect("a scrape is UTF-8");
        if let Err(error) = strict::read(&scrape) {
            panic!("{error}\n{scrape}");
        }
        scrape
    }
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// `name.pb`, pushed to `job/nightly`, alone makes the scrape `name.scrape` and the native
/// histograms `name.native`, or is refused with the message `name.refused`. Those with a version in
/// their name were sent by client libraries.
#[test]
fn protobuf() {
    check("protobuf", "pb", Format::Protobuf);
}

/// `name.om`, the same.
#[test]
fn open_metrics() {
    check("openmetrics", "om", Format::OpenMetrics);
}

fn check(folder: &str, extension: &str, format: Format) {
    for case in cases::paths(folder, extension) {
        let mut sums = Sums::default();
        let outcome = sums.push(format, "job/nightly", &read(&case));
        match fs::read_to_string(case.with_extension("refused")) {
            Ok(expected) => {
                let expected = Err(expected.trim_end().to_owned());
                assert_eq!(outcome, expected, "{}", case.display());
            }
            Err(_) => {
                assert_eq!(outcome.err(), None, "{}", case.display());
                let expected = read(&case.with_extension("scrape"));
                let expected = String::from_utf8(expected).expect("a scrape is UTF-8");
                assert_eq!(sums.scrape(), expected, "{}", case.display());
                let natives = fs::read_to_string(case.with_extension("native"));
                let natives = natives.unwrap_or_default();
                assert_eq!(sums.natives(), natives, "{}", case.display());
            }
        }
    }
}

fn keep_summaries() -> Rules {
    Rules::default().with_summaries(Summaries::Kept)
}

/// Starts stay those of their series when others are left out.
#[test]
fn starts_of_summaries() {
    let body = b"# TYPE a summary\na_sum{x=\"1\"} 2\na_created{x=\"1\"} 5\n\
        a_sum{x=\"2\"} NaN\na_created{x=\"2\"} 6\n\
        # TYPE h histogram\nh_count 1\nh_created 7\n\
        # TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 2\ns_count 3\ns_created 8\n# EOF\n";
    let key = GroupingKey::default();
    let parsed = || parse(Format::OpenMetrics, body, &key, LIMITS).expect("it is valid");
    let start = |place, milliseconds| Start {
        place,
        milliseconds,
    };
    let mut push = parsed();
    keep_summaries().apply(&mut push);
    let starts = [start(0, 5000), start(1, 7000), start(2, 8000)];
    assert_eq!(push.histogram_starts, starts);
    assert_eq!((push.samples, push.skipped.summary), (4, 2));
    let mut push = parsed();
    Rules::default().apply(&mut push);
    assert_eq!(push.histogram_starts, [start(0, 7000)]);
    assert_eq!((push.samples, push.skipped.summary), (1, 5));
    let has_series: Vec<_> = push
        .families
        .iter()
        .map(|family| family.has_series)
        .collect();
    assert_eq!(has_series.iter().filter(|has| **has).count(), 1);
}

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let digit = |at| u8::from_str_radix(&hexadecimal[at..at + 2], 16).expect("two digits");
    (0..hexadecimal.len()).step_by(2).map(digit).collect()
}

/// What is left out is counted by its kind; starts are handed on.
#[test]
fn what_protobuf_says_beyond_sums() {
    let native = bytes(
        "2b0a016e180422243a220804110000000000001e40280031000000000000f03738016204\
         0800100268026802",
    );
    let summary =
        bytes("280a017318022221221f080311000000000000f83f1a1209000000000000e03f11000000000000d03f");
    let gauge_histogram = b"\x09\x0a\x01g\x18\x05\x22\x02\x3a\x00";
    let mut sums = Sums::default();
    let mut push = |body: &[u8]| sums.push(Format::Protobuf, "", body).expect("it is valid");
    let none = SkippedSamples::default();
    assert_eq!(push(&native), none);
    assert_eq!(push(&summary), SkippedSamples { summary: 3, ..none });
    let expected = SkippedSamples {
        gauge_histogram: 2,
        ..none
    };
    assert_eq!(push(gauge_histogram), expected);
    let expected = "# TYPE n histogram\nn_bucket{le=\"+Inf\"} 4\nn_sum 7.5\nn_count 4\n";
    assert_eq!(sums.scrape(), expected);

    let mut sums = Sums(Aggregate::default(), keep_summaries());
    for _ in 0..2 {
        let skipped = sums.push(Format::Protobuf, "", &summary);
        assert_eq!(skipped, Ok(SkippedSamples { summary: 1, ..none }));
    }
    let expected = "# TYPE s summary\ns_sum 3\ns_count 6\n";
    assert_eq!(sums.scrape(), expected);

    // A counter of NaN, then two with starts; a histogram with one.
    let body = b"\x3a\x0a\x01c\
        \x22\x0b\x1a\x09\x09\0\0\0\0\0\0\xf8\x7f\
        \x22\x12\x0a\x06\x0a\x01a\x12\x011\x1a\x08\x1a\x06\x08\x03\x10\xc0\x84\x3d\
        \x22\x14\x0a\x06\x0a\x01a\x12\x012\x1a\x0a\x1a\x08\x08\x05\x10\xff\x93\xeb\xdc\
        \x03\
        \x0f\x0a\x01h\x18\x04\x22\x08\x3a\x06\x08\x02\x7a\x02\x08\x07";
    let key = GroupingKey::default();
    let push = parse(Format::Protobuf, body, &key, LIMITS);
    let push = push.unwrap_or_else(|error| panic!("{error}"));
    let start = |place, milliseconds| Start {
        place,
        milliseconds,
    };
    assert_eq!(push.number_starts, [start(0, 3001), start(1, 5999)]);
    assert_eq!(push.histogram_starts, [start(0, 7000)]);
}

/// Bodies whose messages are short and many are read or refused in linear time and memory.
#[test]
fn many_short_messages() {
    let mut bodies = vec![vec![0; 1 << 20]];
    let mut family = |metrics: &[u8], kind: u8| {
        let mut message = vec![0x0a, 1, b'a', 0x18, kind];
        message.extend(metrics.repeat((1 << 20) / metrics.len()));
        let mut body = Vec::new();
        let mut length = message.len();
        while length >= 0x80 {
            body.push(length as u8 | 0x80);
            length >>= 7;
        }
        body.push(length as u8);
        body.extend(message);
        bodies.push(body);
    };
    family(b"\x22\x00", 0);
    family(b"\x22\x02\x3a\x00", 4);
    family(b"\x22\x02\x22\x00", 2);
    family(b"\x22\x02\x3a\x00", 5);
    for body in &bodies {
        for path in ["", "job/a/b/c"] {
            let _ = Sums::default().push(Format::Protobuf, path, body);
        }
    }
}

/// One thing has one identity, and another one beside it takes nothing from it.
#[test]
fn one_identity() {
    let mut sums = Sums::default();
    let mut push = |format, body: &[u8]| {
        let outcome = sums.push(format, "", body);
        assert_eq!(outcome.err(), None);
    };
    push(Format::Text, b"# TYPE x gauge\nx 5\n");
    push(Format::Text, b"# TYPE x_total counter\nx_total 1\n");
    push(
        Format::OpenMetrics,
        b"# TYPE x counter\n# HELP x Of x.\nx_total 2 1.5 # {t=\"1\"} 2\nx_created 1.5e9\n# EOF",
    );
    push(
        Format::Protobuf,
        b"\x16\x0a\x07x_total\x22\x0b\x1a\x09\x09\0\0\0\0\0\0\x10\x40",
    );
    // What declares without samples stands for nothing yet.
    push(
        Format::OpenMetrics,
        b"# TYPE x counter\n# HELP x Of another.\n",
    );
    push(Format::OpenMetrics, b"# TYPE x info\nx_info 1\n");
    let expected = "# TYPE x gauge\nx 5\n# TYPE x_info gauge\nx_info 1\n\
                    # HELP x_total Of x.\n# TYPE x_total counter\nx_total 7\n";
    assert_eq!(sums.scrape(), expected);
}

/// What a push adds is the same in whatever format it is written.
#[test]
fn formats_make_the_same_push() {
    let key = GroupingKey::default();
    for seed in 0..500 {
        let mut random = Random::new(seed);
        let model = push(&mut random).model;
        let text = model.scrape();
        let parse = |format, body: &[u8]| {
            // The push borrows from the body.
            let push = parse(format, body, &key, LIMITS).map_err(|error| error.to_string());
            push.map(|push| format!("{push:?}"))
        };
        let expected = parse(Format::Text, text.as_bytes());
        let protobuf = encoded::protobuf(&mut random, &model);
        assert_eq!(parse(Format::Protobuf, &protobuf), expected, "seed {seed}");
        for body in [
            text.clone(),
            encoded::open_metrics(&mut random, &model),
            encoded::open_metrics(&mut random, &model),
        ] {
            let mut sums = Sums::default();
            let outcome = sums.push(Format::OpenMetrics, "", body.as_bytes());
            assert_eq!(outcome.err(), None, "{body}");
            assert_eq!(sums.scrape(), text, "{body}");
        }
    }
}

/// Bytes that are damaged in any way are read or refused, in one short line, and without a panic.
#[test]
fn damaged_bodies_are_survived() {
    for seed in 0..4000 {
        let mut random = Random::new(seed);
        let model = push(&mut random).model;
        let (format, mut body) = if random.percent(50) {
            (Format::Protobuf, encoded::protobuf(&mut random, &model))
        } else {
            let body = encoded::open_metrics(&mut random, &model);
            (Format::OpenMetrics, body.into_bytes())
        };
        for _ in 0..random.below(4) {
            let from = random.below(body.len() + 1);
            let to = (from + random.below(3)).min(body.len());
            let piece = random.bits().to_le_bytes();
            body.splice(from..to, piece[..random.below(4)].iter().copied());
        }
        let mut sums = Sums::default();
        if let Err(message) = sums.push(format, "", &body) {
            let is_printable = message.chars().all(|character| !character.is_control());
            assert!(is_printable && message.len() <= 300, "{message:?}");
        }
        sums.scrape();
    }
}

/// What a sender does wrong with the body as a whole is told with what to do instead.
#[test]
fn hints() {
    #[track_caller]
    fn check(body: &[u8], expected: &str) {
        for format in [Format::Text, Format::OpenMetrics] {
            let refused = Sums::default().push(format, "", body);
            assert_eq!(refused, Err(expected.to_owned()));
        }
    }
    let no_line_feeds = "; the body has no line feeds, which curl -d removes: use --data-binary";
    check(
        b"# TYPE a counterb{q=\"x\"} 1",
        &format!(
            "line 1: unknown type `counterb{q}`, expected counter, gauge, histogram, summary, \
             untyped or one of OpenMetrics{no_line_feeds}",
            q = "{q=\"x\"}"
        ),
    );
    check(
        b"a 1b 2",
        &format!("line 1: value is not a number: `1b`{no_line_feeds}"),
    );
    check(
        b"a{b=\"c\"} 1a{b=\"d\"} 2",
        &format!(
            "line 1: value is not a number: `1a{q}`{no_line_feeds}",
            q = "{b=\"d\"}"
        ),
    );
    check(
        b"# HELP a texta 1",
        &format!("line 1: there is nothing but a HELP line{no_line_feeds}"),
    );
    check(
        b"--ab\r\nContent-Disposition: form-data\r\n\r\na 1\r\n--ab--\r\n",
        "body: it is a multipart form, as curl -F sends; send the text alone by curl \
         --data-binary @FILE",
    );
    let gzip = "body: it is compressed by gzip, but there is no header `Content-Encoding: gzip`";
    check(b"\x1f\x8b\x08\0\0", gzip);
    let refused = Sums::default().push(Format::Protobuf, "", b"\x1f\x8b\x08\0\0");
    assert_eq!(refused, Err(gzip.to_owned()));
}

/// A type that says enough is believed; otherwise the last line decides.
#[test]
fn format_of_a_body() {
    #[track_caller]
    fn check(content_type: &str, plain: Format, with_end: Format) {
        let content_type = Some(content_type).filter(|text| !text.is_empty());
        let named = Format::named(content_type).expect("a type that is read");
        let of = |body| named.unwrap_or_else(|| Format::by_content(body));
        assert_eq!(of(b"a 1\n"), plain);
        assert_eq!(of(b"a 1\n# EOF"), with_end);
        assert_eq!(of(b"a 1\r\n# EOF\r\n"), with_end);
    }
    use Format::{OpenMetrics, Protobuf, Text};
    for generic in [
        "",
        "text/plain",
        "Text/Plain; charset=utf-8",
        "text/plain; version=",
        "application/x-www-form-urlencoded",
        "application/octet-stream",
        "application/json",
        ";",
    ] {
        check(generic, Text, OpenMetrics);
    }
    for text in [
        "text/plain; version=0.0.4",
        "text/plain;charset=utf-8;Version = \"0.0.4\"",
        "text/plain; version=1.0.0; escaping=allow-utf-8",
    ] {
        check(text, Text, Text);
    }
    for open_metrics in [
        "application/openmetrics-text",
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
        "application/openmetrics-text; version=0.0.1;;",
    ] {
        check(open_metrics, OpenMetrics, OpenMetrics);
    }
    for protobuf in [
        "application/vnd.google.protobuf",
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; \
         encoding=delimited",
        "application/vnd.google.protobuf;  proto=io.prometheus.client.MetricFamily;;\
         ENCODING=\"Delimited\"; escaping=underscores;",
    ] {
        check(protobuf, Protobuf, Protobuf);
    }
}

#[test]
fn formats_that_are_not_read() {
    #[track_caller]
    fn check(content_type: &str, expected: &str) {
        let refused = Format::named(Some(content_type)).map_err(|error| error.to_string());
        assert_eq!(refused, Err(expected.to_owned()));
    }
    check(
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=text",
        "protobuf with encoding=`text` is not read here, expected encoding=delimited or the text \
         format",
    );
    check(
        "application/vnd.google.protobuf; proto=prometheus.WriteRequest",
        "protobuf with proto=`prometheus.WriteRequest` is not read here, expected \
         proto=io.prometheus.client.MetricFamily or the text format",
    );
    check(
        "application/openmetrics-protobuf; version=1.0.0",
        "the type `application/openmetrics-protobuf` is not read here, expected the text format, \
         OpenMetrics 1.0 or application/vnd.google.protobuf with delimited messages MetricFamily",
    );
    check(
        "application/openmetrics-text; version=2.0.0",
        "OpenMetrics with version=`2.0.0` is not read here, expected version=1.0.0 or the text \
         format",
    );
}

#[test]
fn codes_of_formats() {
    for (format, code) in [
        (Format::Text, b't'),
        (Format::OpenMetrics, b'o'),
        (Format::Protobuf, b'p'),
    ] {
        assert_eq!(format.code(), code);
        assert_eq!(Format::from_code(code), Some(format));
    }
    assert_eq!(Format::from_code(b'x'), None);
}

/// Starts are those of the series with the same labels; what begins nothing is no series either.
#[test]
fn starts_of_text() {
    let body = "# TYPE x_created gauge\nx_created{a=\"1\"} 1.5\nx_created{a=\"9\"} 1\n\
                x_created{a=\"2\"} NaN\n# TYPE x_total counter\nx_total{a=\"0\"} NaN\n\
                x_total{a=\"1\"} 1\nx_total{a=\"2\"} 1\n# TYPE h histogram\nh_sum{a=\"0\"} NaN\n\
                h_count{a=\"1\"} 1\n# TYPE h_created gauge\nh_created{a=\"1\"} 2.25\n";
    let key = GroupingKey::default();
    let push = parse(Format::Text, body.as_bytes(), &key, LIMITS).expect("it is valid");
    let start = |place, milliseconds| Start {
        place,
        milliseconds,
    };
    assert_eq!(push.numbers.len(), 2);
    assert_eq!(push.number_starts, [start(0, 1500)]);
    assert_eq!(push.histogram_starts, [start(0, 2250)]);
    assert_eq!((push.samples, push.skipped.created), (3, 3));
    // A snapshot is what was stored.
    let push = parse_snapshot(body.as_bytes(), &key).expect("it is valid");
    assert_eq!((push.numbers.len(), push.number_starts.len()), (5, 0));
}
