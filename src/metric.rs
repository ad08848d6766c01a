//! The vocabulary: metric types, names, label sets, upper bounds, buckets, and a push.
//!
//! Invariant: a value of these types is valid. Whoever holds a [`Push`] need not check it again:
//! its names are inside their alphabets or escaped, no series is in it twice, every increment is
//! finite, no counter, bucket or count is negative. Knows nothing of text layout, HTTP or time.

mod name;
mod native;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::iter;
use std::ops::Range;

pub use name::{
    escaped_name, has_quoted_label, is_plain_metric_name, raw_label_name, raw_name,
    written_label_name,
};

pub use native::{
    FoundNumber, NATIVE_SCHEMA_MAX, NATIVE_SCHEMA_MIN, NativeBucketLimit, NativeBuckets,
    NativeError, NativeHistogram, NativeParts, native_bound,
};

use crate::keyed_hash::KeyedHash;

/// What a metric family is, as its `# TYPE` line says; `untyped` when there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricType {
    /// A sum that only grows.
    Counter,
    /// A number that goes up and down.
    Gauge,
    /// Counts of observations in cumulative buckets.
    Histogram,
    /// Quantiles, which cannot be added up.
    Summary,
    /// Not said.
    Untyped,
}

impl MetricType {
    /// The word of a `# TYPE` line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            MetricType::Counter => "counter",
            MetricType::Gauge => "gauge",
            MetricType::Histogram => "histogram",
            MetricType::Summary => "summary",
            MetricType::Untyped => "untyped",
        }
    }

    /// The word of a `# TYPE` line in any letter case; `unknown` means untyped.
    #[must_use]
    pub fn from_word(word: &str) -> Option<MetricType> {
        use MetricType::{Counter, Gauge, Histogram, Summary, Untyped};
        [Counter, Gauge, Histogram, Summary, Untyped]
            .into_iter()
            .find(|metric_type| word.eq_ignore_ascii_case(metric_type.as_str()))
            .or_else(|| word.eq_ignore_ascii_case("unknown").then_some(Untyped))
    }

    /// What a family's samples are called beyond its own name.
    #[must_use]
    pub fn suffixes(self) -> &'static [&'static str] {
        match self {
            MetricType::Histogram => &["_bucket", "_sum", "_count"],
            MetricType::Summary => &["_sum", "_count"],
            MetricType::Counter | MetricType::Gauge | MetricType::Untyped => &[],
        }
    }
}

impl fmt::Display for MetricType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// How the gauges of a family are merged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GaugeMode {
    /// They are added up.
    #[default]
    Sum,
    /// The last value stays.
    Last,
    /// The greatest value stays.
    Max,
    /// The least value stays.
    Min,
}

impl GaugeMode {
    const ALL: [GaugeMode; 4] = [
        GaugeMode::Sum,
        GaugeMode::Last,
        GaugeMode::Max,
        GaugeMode::Min,
    ];

    /// The word of it in flags.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            GaugeMode::Sum => "sum",
            GaugeMode::Last => "last",
            GaugeMode::Max => "max",
            GaugeMode::Min => "min",
        }
    }

    /// The mode of a word in flags.
    #[must_use]
    pub fn from_word(word: &str) -> Option<GaugeMode> {
        GaugeMode::ALL
            .into_iter()
            .find(|mode| mode.as_str() == word)
    }

    /// What is stored after a finite value was pushed to a finite one.
    #[must_use]
    pub fn merge(self, stored: f64, pushed: f64) -> f64 {
        match self {
            GaugeMode::Sum => add(stored, pushed),
            // Adding zero turns -0 into 0.
            GaugeMode::Last => pushed + 0.0,
            GaugeMode::Max => stored.max(pushed) + 0.0,
            GaugeMode::Min => stored.min(pushed) + 0.0,
        }
    }
}

impl fmt::Display for GaugeMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The sum of two finite numbers. It stays finite: an infinity could never be added to again.
#[must_use]
pub fn add(sum: f64, increment: f64) -> f64 {
    (sum + increment).clamp(f64::MIN, f64::MAX)
}

/// The number of leading bytes that are inside the alphabet of metric names,
/// `[a-zA-Z_:][a-zA-Z0-9_:]*` (Prometheus docs, data model).
#[must_use]
pub fn metric_name_length(input: &[u8]) -> usize {
    name_length(input, |byte| {
        byte.is_ascii_alphabetic() || byte == b'_' || byte == b':'
    })
}

/// The number of leading bytes that are inside the alphabet of label names,
/// `[a-zA-Z_][a-zA-Z0-9_]*` (Prometheus docs, data model).
#[must_use]
pub fn label_name_length(input: &[u8]) -> usize {
    name_length(input, |byte| byte.is_ascii_alphabetic() || byte == b'_')
}

fn name_length(input: &[u8], may_begin: impl Fn(u8) -> bool) -> usize {
    if !input.first().is_some_and(|&first| may_begin(first)) {
        return 0;
    }
    let is_inside = |&byte: &u8| may_begin(byte) || byte.is_ascii_digit();
    input
        .iter()
        .position(|byte| !is_inside(byte))
        .unwrap_or(input.len())
}

/// The names that a family of this name may be a part of: `h` for `h_bucket`, `h_sum`, `h_count`.
pub fn base_names(name: &str) -> impl Iterator<Item = &str> {
    MetricType::Histogram
        .suffixes()
        .iter()
        .filter_map(|suffix| name.strip_suffix(suffix))
}

/// The labels of a series in their one canonical form, which is its identity: `a="1",b="x\"y"`,
/// sorted by name, without labels of empty value, values escaped as the exposition format says. A
/// name beyond the alphabet stands in quotes and is escaped in the same way; it is sorted as it is
/// written.
///
/// The escapes of that format are a bijection (`\\`, `\"`, `\n` and nothing else is accepted), so
/// two values are equal exactly when their escaped forms are, and nobody needs to unescape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelSet<'a> {
    hash: KeyedHash,
    text: Cow<'a, str>,
}

impl<'a> LabelSet<'a> {
    /// Takes text that is canonical already; the caller has made or checked it so.
    #[must_use]
    pub fn from_canonical(text: impl Into<Cow<'a, str>>) -> LabelSet<'a> {
        let text = text.into();
        let hash = KeyedHash::of(&text);
        LabelSet { hash, text }
    }

    /// The same of text whose hash is known.
    #[must_use]
    pub fn hashed(hash: KeyedHash, text: &'a str) -> LabelSet<'a> {
        let text = Cow::Borrowed(text);
        LabelSet { hash, text }
    }

    /// The canonical text, without braces.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The hash of the text.
    #[must_use]
    pub fn hash(&self) -> KeyedHash {
        self.hash
    }

    /// The labels one by one.
    pub fn labels(&self) -> impl Iterator<Item = CanonicalLabel<'_>> {
        canonical_labels(self.as_str())
    }
}

/// The labels of the text of a label set, one by one.
pub fn canonical_labels(text: &str) -> impl Iterator<Item = CanonicalLabel<'_>> {
    let mut rest = text;
    iter::from_fn(move || {
        let name_length = match rest.strip_prefix('"') {
            Some(quoted) => escaped_length(quoted) + "\"\"".len(),
            None => rest.find('=')?,
        };
        let name = rest.get(..name_length)?;
        let value_start = name.len() + "=\"".len();
        let value_end = value_start + escaped_length(rest.get(value_start..)?);
        let label = CanonicalLabel {
            name,
            value: rest.get(value_start..value_end)?,
            text: rest.get(..=value_end)?,
        };
        rest = rest.get(value_end + "\",".len()..).unwrap_or_default();
        Some(label)
    })
}

/// One label of a canonical text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CanonicalLabel<'a> {
    /// Its name; one beyond the alphabet is in quotes.
    pub name: &'a str,
    /// Its value, escaped.
    pub value: &'a str,
    /// Both, as they stand in the label set.
    pub text: &'a str,
}

/// The length of an escaped text up to the quote that ends it.
fn escaped_length(text: &str) -> usize {
    let mut is_escaped = false;
    let ends = |&byte: &u8| {
        let is_end = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        is_end
    };
    text.as_bytes().iter().position(ends).unwrap_or(text.len())
}

/// The inclusive upper bound of a histogram's bucket: a number or an infinity, never NaN.
/// `-0` and `0` are one bound.
#[derive(Clone, Copy, Debug)]
pub struct UpperBound(f64);

impl UpperBound {
    /// The bound of the bucket that every histogram has.
    pub const INFINITY: UpperBound = UpperBound(f64::INFINITY);

    /// `None` for NaN, which bounds nothing.
    #[must_use]
    pub fn new(value: f64) -> Option<UpperBound> {
        // Adding zero turns -0 into 0 and leaves every other number as it is.
        (!value.is_nan()).then_some(UpperBound(value + 0.0))
    }

    /// The bound as a number.
    #[must_use]
    pub fn value(self) -> f64 {
        self.0
    }
}

impl PartialEq for UpperBound {
    fn eq(&self, other: &UpperBound) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for UpperBound {}

impl PartialOrd for UpperBound {
    fn partial_cmp(&self, other: &UpperBound) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for UpperBound {
    fn cmp(&self, other: &UpperBound) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// One bucket of a histogram with the observations that are its own: those above the bound before
/// it and not above its own. (The exposition format writes cumulative counts instead.)
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Observations in it are at most this.
    pub upper_bound: UpperBound,
    /// How many there are; finite, not negative.
    pub count: f64,
}

/// The series of a histogram that are no buckets: its sum and its count.
pub const SERIES_BESIDE_BUCKETS: usize = 2;

/// A push, read and found right; it borrows from the body. Its parts are lists, not trees: a line
/// costs a few words, and nothing of its own is allocated but for labels that are not canonical.
#[derive(Debug, Default, PartialEq)]
pub struct Push<'a> {
    /// Each name once; in the order of the body. Increments name their family by its place here.
    pub families: Vec<PushedFamily<'a>>,
    /// The increments of counters, gauges and untyped families, each series once.
    pub numbers: Vec<PushedNumber<'a>>,
    /// The increments of histograms, each series once.
    pub histograms: Vec<PushedHistogram<'a>>,
    /// Their buckets, one histogram's behind the other's.
    pub buckets: Vec<Bucket>,
    /// When each of the numbers was last pushed, in unix seconds, in a snapshot; 0 where it does
    /// not say. Empty in what was sent.
    pub number_seconds: Vec<u32>,
    /// The same of the histograms.
    pub histogram_seconds: Vec<u32>,
    /// When some of the numbers began, as their senders say; in the order of their places.
    pub number_starts: Vec<Start>,
    /// The same of histograms.
    pub histogram_starts: Vec<Start>,
    /// How many sample lines all these are made of.
    pub samples: u64,
    /// How many sample lines were left out, by reason.
    pub skipped: SkippedSamples,
    /// How many HELP texts were cut.
    pub cut_help_texts: u64,
    /// Whose its gauges are.
    pub pushed_by: PushedBy,
    /// When native histograms become coarser; the rules say it.
    pub native_buckets: NativeBucketLimit,
}

/// Who pushes, as far as that decides about gauges and untyped series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PushedBy {
    /// No sender in particular: the numbers are merged, and stay.
    #[default]
    Anyone,
    /// A sender whose numbers are its contribution, as long as it is live: where they are added up,
    /// the merge of the push only makes the series.
    Sender,
}

impl Push<'_> {
    /// How many time series it is about, as Prometheus counts them.
    #[must_use]
    pub fn series(&self) -> usize {
        let natives = self
            .histograms
            .iter()
            .filter_map(|pushed| pushed.native.as_deref());
        let natives: usize = natives.map(NativeHistogram::series).sum();
        let classic = self.buckets.len() + self.histograms.len() * SERIES_BESIDE_BUCKETS;
        self.numbers.len() + classic + natives
    }

    /// The buckets of one of its histograms: sorted by upper bound, each once, the last `+Inf`.
    /// A summary has none.
    #[must_use]
    pub fn buckets(&self, histogram: &PushedHistogram<'_>) -> &[Bucket] {
        &self.buckets[histogram.buckets.clone()]
    }
}

/// When a series began to count from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The place of its increment in the push's list of numbers, or of histograms.
    pub place: usize,
    /// Since the begin of 1970, UTC.
    pub milliseconds: i64,
}

/// What a push says of one family. It may have no series: then it only declares.
#[derive(Debug, PartialEq)]
pub struct PushedFamily<'a> {
    /// The metric name; one beyond the alphabet is escaped as it would be in quotes.
    pub name: Cow<'a, str>,
    /// The escaped text of its HELP line; empty when there is none.
    pub help: Cow<'a, str>,
    /// Its increments are among the push's histograms exactly when this says `Histogram` or
    /// `Summary`.
    pub metric_type: MetricType,
    /// How its values are merged if it is a gauge; `parse` leaves it at the default.
    pub mode: GaugeMode,
    /// True when it has an increment.
    pub has_series: bool,
    /// True when one of its increments is below zero.
    pub has_negative: bool,
}

/// The increment of one series.
#[derive(Debug, PartialEq)]
pub struct PushedNumber<'a> {
    /// Its place in [`Push::families`].
    pub family: usize,
    /// Its identity within the family.
    pub labels: LabelSet<'a>,
    /// Finite.
    pub value: f64,
}

/// The increment of one histogram, or of one summary: that has no buckets.
#[derive(Debug, PartialEq)]
pub struct PushedHistogram<'a> {
    /// Its place in [`Push::families`].
    pub family: usize,
    /// Its identity within the family; without `le`.
    pub labels: LabelSet<'a>,
    /// Its place in [`Push::buckets`].
    pub buckets: Range<usize>,
    /// The sum of all observations; finite.
    pub sum: f64,
    /// The number of observations as the sender counted it; real senders let it differ from the
    /// buckets' total, so it is a number of its own.
    pub count: f64,
    /// What of it is not a finite number, or not there.
    pub left_out: LeftOut,
    /// How many sample lines the sum and the count are made of: what is not sent, NaN or infinite
    /// is taken for zero.
    pub samples: u64,
    /// Its native part, which has the same count; none of a summary.
    pub native: Option<Box<NativeHistogram>>,
}

/// What of a histogram was left out: it stands as zero there, or is missing among the buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LeftOut {
    /// All that counts is there.
    #[default]
    Nothing,
    /// The sum is not there, NaN or infinite.
    Sum,
    /// The count or a bucket is NaN or infinite, whatever the sum is.
    Counts,
}

/// Sample lines of an accepted push that are not added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SkippedSamples {
    /// NaN, which would poison its sum until the next reset.
    pub not_a_number: u64,
    /// An infinity, which would do the same.
    pub infinite: u64,
    /// Lines of a summary: quantiles cannot be added up, nor are sums and counts unless they are
    /// kept.
    pub summary: u64,
    /// Native parts of histograms that the rules leave out: the sum, the count and the classic
    /// buckets are added.
    pub native_histogram: u64,
    /// Lines of a gauge histogram.
    pub gauge_histogram: u64,
    /// Lines that say when a series began.
    pub created: u64,
}
