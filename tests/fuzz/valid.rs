//! What makes a push and a message valid, as `src/metric.rs` and issue 3 say it in words. Label
//! sets, names and HELP texts are judged by the strict reader of the tests.

use std::collections::HashSet;

use prometheus_aggregation_gateway::grouping_key::GroupingKey;
use prometheus_aggregation_gateway::label_limits::LabelLimits;
use prometheus_aggregation_gateway::metric::{
    MetricType, NativeBucketLimit, NativeHistogram, Push, PushedFamily, UpperBound,
};
use prometheus_aggregation_gateway::parse::{Format, make_template, parse};

use crate::it::strict;

/// One printable line of at most 300 bytes.
pub fn assert_message(message: &str) {
    let splits_or_hides = |character: char| {
        character.is_control()
            || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    assert!(!message.contains(splits_or_hides), "{message:?}");
    assert!(message.len() <= 300, "{} bytes: {message:?}", message.len());
}

/// The template of a body reads that body, and others only as they are read without one: here those
/// whose bytes are one more in some places.
pub fn assert_template(format: Format, body: &[u8], key: &GroupingKey, limits: LabelLimits) {
    const STEPS: usize = 5;
    let Some(made) = make_template(format, body, key, limits) else {
        return;
    };
    assert_eq!(made.read(format, body, key, limits), parse(format, body, key, limits).ok());
    for first in 0..STEPS {
        let mut other = body.to_vec();
        let changed = other.iter_mut().skip(first).step_by(STEPS);
        match format {
            Format::Protobuf => changed.for_each(|byte| *byte = byte.wrapping_add(1)),
            _ => changed.filter(|byte| byte.is_ascii_digit()).for_each(|byte| *byte ^= 1),
        }
        if let Some(push) = made.read(format, &other, key, limits) {
            assert_eq!(Ok(push), parse(format, &other, key, limits));
        }
    }
}

/// A push of text has no more samples than its body has lines of them, and is valid.
pub fn assert_push_of_text(push: &Push<'_>, body: &[u8]) {
    let skipped = push.skipped;
    let skipped = skipped.not_a_number
        + skipped.infinite
        + skipped.summary
        + skipped.gauge_histogram
        + skipped.created;
    // A line that goes on with the text of a HELP line looks like one of a sample.
    assert!(push.samples + skipped <= sample_lines(body));
    assert_push(push);
}

/// A push holds what its types promise.
pub fn assert_push(push: &Push<'_>) {
    let mut names = HashSet::new();
    for (place, family) in push.families.iter().enumerate() {
        assert!(names.insert(family.name.clone()), "{} comes twice", family.name);
        assert_reads(&family_text(&family.name, &family.help, ""));
        let mut increments = push.numbers.iter().filter(|number| number.family == place);
        let mut histograms = push.histograms.iter().filter(|one| one.family == place);
        let has_negative = increments.clone().any(|number| number.value < 0.0);
        assert_eq!(family.has_negative, has_negative, "{family:?}");
        let has_series = increments.next().is_some() || histograms.next().is_some();
        assert_eq!(family.has_series, has_series, "{family:?}");
    }
    let is_histogram = |family: &&PushedFamily<'_>| family.metric_type == MetricType::Histogram;
    for family in push.families.iter().filter(is_histogram) {
        for suffix in family.metric_type.suffixes() {
            let exposed = format!("{}{suffix}", family.name);
            assert!(!names.contains(exposed.as_str()), "{exposed} is exposed");
        }
    }
    assert_numbers(push);
    assert_histograms(push);
}

fn assert_numbers(push: &Push<'_>) {
    let mut series = HashSet::new();
    for number in &push.numbers {
        assert!(
            series.insert((number.family, number.labels.as_str())),
            "{number:?}"
        );
        assert!(number.value.is_finite(), "{number:?}");
        let family = &push.families[number.family];
        assert_reads(&family_text(&family.name, "", number.labels.as_str()));
        match family.metric_type {
            MetricType::Counter => assert!(number.value >= 0.0, "{number:?}"),
            MetricType::Gauge | MetricType::Untyped => {}
            MetricType::Histogram | MetricType::Summary => panic!("{family:?} has {number:?}"),
        }
    }
}

fn assert_histograms(push: &Push<'_>) {
    let mut series = HashSet::new();
    for histogram in &push.histograms {
        assert!(
            series.insert((histogram.family, histogram.labels.as_str())),
            "{histogram:?}"
        );
        let family = &push.families[histogram.family];
        let is_summary = family.metric_type == MetricType::Summary;
        assert!(is_summary || family.metric_type == MetricType::Histogram);
        let labels = histogram.labels.as_str();
        let read = assert_reads(&family_text(&family.name, "", labels));
        let has_bound = read[0].samples[0]
            .labels
            .iter()
            .any(|(name, _)| name == "le");
        // Of a summary, it is a label as any other.
        assert!(is_summary || !has_bound, "{histogram:?}");
        assert!(histogram.sum.is_finite(), "{histogram:?}");
        assert!(
            histogram.count.is_finite() && histogram.count >= 0.0,
            "{histogram:?}"
        );
        assert!(!is_summary || histogram.native.is_none(), "{histogram:?}");
        if let Some(native) = &histogram.native {
            assert_eq!(native.count(), histogram.count);
            assert_native(native);
        }
        let buckets = push.buckets(histogram);
        let rises = buckets.is_sorted_by(|one, next| one.upper_bound < next.upper_bound);
        assert!(rises, "{buckets:?}");
        let last = buckets.last().map(|bucket| bucket.upper_bound);
        assert_eq!(last, (!is_summary).then_some(UpperBound::INFINITY));
        for bucket in buckets {
            assert!(
                bucket.count.is_finite() && bucket.count >= 0.0,
                "{bucket:?}"
            );
        }
    }
}

/// Its parts are what they can be, and its merge with itself counts everything twice.
fn assert_native(native: &NativeHistogram) {
    assert!((-4..=8).contains(&native.schema()));
    assert!(native.zero_threshold().is_finite() && native.zero_threshold() >= 0.0);
    assert!(native.sum().is_finite());
    let zero = native.zero_bound().unwrap_or(i32::MIN);
    for buckets in [native.positive(), native.negative()] {
        assert_eq!(buckets.indexes().len(), buckets.counts().len());
        assert!(buckets.indexes().is_sorted_by(|one, next| one < next), "{native:?}");
        assert!(buckets.indexes().iter().all(|index| *index > zero), "{native:?}");
        assert!(buckets.counts().iter().all(|count| count.is_finite() && *count > 0.0));
    }
    let mut doubled = native.clone();
    doubled.merge(native, NativeBucketLimit(8));
    assert!(doubled.buckets() <= 8 || doubled.schema() == -4);
    let total = 2.0 * native.total_of_buckets();
    let is_right = (doubled.total_of_buckets() - total).abs() <= 1e-9 * total;
    assert!(is_right || total > 1e300, "{native:?}");
    assert_eq!(native.grown_since(native, |now, before| now < before).map(|grown| grown.buckets()), Some(0));
}

/// Lines that are neither blank nor comments, HELP or TYPE.
fn sample_lines(body: &[u8]) -> u64 {
    let is_sample = |line: &[u8]| {
        let line = line.trim_ascii_start();
        !line.is_empty() && line[0] != b'#'
    };
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    body.split(|&byte| byte == b'\n')
        .map(|line| u64::from(is_sample(line)))
        .sum()
}

/// The exposition of a family with one sample.
fn family_text(name: &str, help: &str, labels: &str) -> String {
    let is_plain = prometheus_aggregation_gateway::metric::is_plain_metric_name(name);
    let quote = if is_plain { "" } else { "\"" };
    let help = match help {
        "" => String::new(),
        help => format!("# HELP {quote}{name}{quote} {help}\n"),
    };
    let sample = match (is_plain, labels) {
        (true, "") => name.to_owned(),
        (true, labels) => format!("{name}{{{labels}}}"),
        (false, "") => format!("{{\"{name}\"}}"),
        (false, labels) => format!("{{\"{name}\",{labels}}}"),
    };
    format!("{help}# TYPE {quote}{name}{quote} untyped\n{sample} 1\n")
}

/// The families of a text that the strict reader accepts.
pub fn assert_reads(text: &str) -> Vec<strict::Family> {
    strict::read(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}
