//! Bodies in the other formats and what they mean: `data/protobuf`, `data/openmetrics`.

use std::fs;
use std::path::Path;

use prometheus_aggregation_gateway::aggregate::Aggregate;
use prometheus_aggregation_gateway::grouping_key::GroupingKey;
use prometheus_aggregation_gateway::label_limits::LabelLimits;
use prometheus_aggregation_gateway::metric::{SkippedSamples, Start};
use prometheus_aggregation_gateway::parse::{Format, parse};
use prometheus_aggregation_gateway::render::whole_text;

use crate::cases;
use crate::strict;

/// The limits of labels without flags.
pub const LIMITS: LabelLimits = LabelLimits {
    labels_max: 64,
    bytes_max: 4096,
};

/// What was pushed in any format, added up.
#[derive(Default)]
pub struct Sums(Aggregate);

impl Sums {
    /// Adds a body, or says why it is refused.
    pub fn push(
        &mut self,
        format: Format,
        path: &str,
        body: &[u8],
    ) -> Result<SkippedSamples, String> {
        let key = GroupingKey::from_path(path).map_err(|error| error.to_string())?;
        let push = parse(format, body, &key, LIMITS).map_err(|error| error.to_string())?;
        let checked = self.0.check(&push).map_err(|error| error.to_string())?;
        self.0.merge(&checked);
        Ok(push.skipped)
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

/// `name.pb`, pushed to `job/nightly`, alone makes the scrape `name.scrape`, or is refused with the
/// message `name.refused`. Those with a version in their name were sent by client libraries.
#[test]
fn protobuf() {
    check("protobuf", "pb", Format::Protobuf);
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
            }
        }
    }
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
    let expected = SkippedSamples {
        native_histogram: 1,
        ..none
    };
    assert_eq!(push(&native), expected);
    assert_eq!(push(&summary), SkippedSamples { summary: 3, ..none });
    let expected = SkippedSamples {
        gauge_histogram: 2,
        ..none
    };
    assert_eq!(push(gauge_histogram), expected);
    let expected = "# TYPE n histogram\nn_bucket{le=\"+Inf\"} 4\nn_sum 7.5\nn_count 4\n";
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
