//! Meaning: lines to families and series, one by one, and at last to a [`Push`].
//!
//! - A sample belongs to the family of its name, or to the histogram or summary that was declared
//!   before it and whose name it extends by `_bucket`, `_sum` or `_count`; otherwise it begins an
//!   untyped family of its own.
//! - HELP and TYPE come once for a name, TYPE before the samples. A name that a histogram or a
//!   summary exposes cannot be declared beside it.
//! - A series comes once. Its identity is its name and label set, whatever the order of labels;
//!   an empty value is no label.
//! - A histogram may come in any order of lines and without `_sum`, `_count` or `+Inf`: `+Inf` is
//!   then taken from `_count`, `_count` from `+Inf`. Cumulative counts never decrease.
//! - Counters, buckets and counts are not negative. NaN and infinite increments are left out.

use std::borrow::Cow;

use super::distinct::{Distinct, Distinguishable};
use super::error::{MeaningError, beyond};
use super::histogram::{BucketLine, HistogramLines, histogram, second_series};
use super::label_set::{as_sent, canonical_text, labels_of, sort_and_check};
use super::line::{Label, number};
use super::names::{Named, Names, Part};
use super::plain::PlainSample;
use super::seconds::Seconds;
use crate::excerpt::Excerpt;
use crate::grouping_key::GroupingKey;
use crate::keyed_hash::KeyedHash;
use crate::label_limits::LabelLimits;
use crate::metric::{LabelSet, MetricType, Push, PushedNumber, SkippedSamples, UpperBound};

/// The hash of a series of a push.
#[allow(clippy::cast_possible_truncation)] // families that far apart may well share hashes
fn series_hash(family: usize, labels: &LabelSet<'_>) -> KeyedHash {
    labels.hash().within(family as u32)
}

impl Distinguishable for PushedNumber<'_> {
    fn hash(&self) -> KeyedHash {
        series_hash(self.family, &self.labels)
    }

    fn is(&self, other: &Self) -> bool {
        self.family == other.family && self.labels == other.labels
    }
}

impl Distinguishable for HistogramLines<'_> {
    fn hash(&self) -> KeyedHash {
        series_hash(self.family, &self.labels)
    }

    fn is(&self, other: &Self) -> bool {
        self.family == other.family && self.labels == other.labels
    }
}

/// A sample of a summary, only kept to find a second one.
struct SummarySample<'a> {
    family: usize,
    part: Part,
    labels: LabelSet<'a>,
}

impl Distinguishable for SummarySample<'_> {
    fn hash(&self) -> KeyedHash {
        series_hash(self.family, &self.labels)
    }

    fn is(&self, other: &Self) -> bool {
        self.family == other.family && self.part == other.part && self.labels == other.labels
    }
}

/// A sample but for its labels.
#[derive(Clone, Copy)]
struct Sample<'a> {
    named: Named<'a>,
    value: f64,
    line_number: usize,
}

/// The families of a body as read so far. All is in lists, in the order of the body.
pub struct Families<'a> {
    /// Declared and met.
    pub names: Names<'a>,
    grouping_key: &'a GroupingKey,
    limits: LabelLimits,
    /// A sample with so many labels of its own and all of the path has not too many.
    sent_labels_max: usize,
    path_label_bytes_left: usize,
    numbers: Distinct<PushedNumber<'a>>,
    summary_samples: Distinct<SummarySample<'a>>,
    histograms: Distinct<HistogramLines<'a>>,
    last_histogram: Option<usize>,
    bucket_lines: Vec<BucketLine>,
    lines: usize,
    samples: u64,
    skipped: SkippedSamples,
    seconds: Option<Box<Seconds>>,
}

impl<'a> Families<'a> {
    /// Nothing read yet of a body of about so many lines. The labels of the key will be put on
    /// every sample, as long as they take no more than so many bytes in all; each series is held to
    /// the limits.
    pub fn new(
        grouping_key: &'a GroupingKey,
        limits: LabelLimits,
        path_label_bytes_max: usize,
        lines: usize,
    ) -> Families<'a> {
        Families {
            names: Names::new(limits),
            grouping_key,
            limits,
            sent_labels_max: limits
                .labels_max
                .saturating_sub(grouping_key.labels().len()),
            path_label_bytes_left: path_label_bytes_max,
            numbers: Distinct::expecting(lines),
            summary_samples: Distinct::expecting(1),
            histograms: Distinct::expecting(1),
            last_histogram: None,
            bucket_lines: Vec::new(),
            lines,
            samples: 0,
            skipped: SkippedSamples::default(),
            seconds: None,
        }
    }

    /// Takes timestamps for what they are in a snapshot, from here on.
    pub fn take_timestamps(&mut self) {
        self.seconds = Some(Box::default());
    }

    /// Takes the timestamp of the sample line that comes next.
    pub fn take_timestamp(&mut self, timestamp: Option<i64>) {
        if let Some(seconds) = &mut self.seconds {
            seconds.next_line(timestamp);
        }
    }

    /// Takes a sample line. Its labels are sorted in place; `source` is the line they refer to.
    pub fn sample(
        &mut self,
        name: &'a str,
        labels: &mut Vec<Label<'a>>,
        source: &'a str,
        value: f64,
        line_number: usize,
    ) -> Result<(), MeaningError> {
        sort_and_check(labels)?;
        let sample = self.begin_sample(name, value, line_number)?;
        let le = match sample.named.metric_type {
            MetricType::Histogram => take_upper_bound(labels),
            _ => None,
        };
        let text = canonical_text(labels, as_sent(labels, source), self.grouping_key);
        if !self.is_short(sample.named.name, labels.len(), &text) {
            self.check_limits(sample.named.name, &text)?;
        }
        self.add_sample(&sample, text, le)
    }

    /// True if the label `le` of a plain sample may be taken for a bound.
    pub fn may_be_plain(&mut self, sample: &PlainSample<'a>) -> bool {
        sample.upper_bound.is_none()
            || self.names.of_sample(sample.name).metric_type == MetricType::Histogram
    }

    /// Takes a plain sample line; `labels` are those of the sample without `le`.
    pub fn plain_sample(
        &mut self,
        sample: &PlainSample<'a>,
        labels: &[Label<'a>],
        line_number: usize,
    ) -> Result<(), MeaningError> {
        let text = canonical_text(labels, sample.canonical, self.grouping_key);
        let le = sample.upper_bound;
        let sample = self.begin_sample(sample.name, sample.value, line_number)?;
        if !self.is_short(sample.named.name, labels.len(), &text) {
            self.check_limits(sample.named.name, &text)?;
        }
        self.add_sample(&sample, text, le)
    }

    fn begin_sample(
        &mut self,
        name: &'a str,
        value: f64,
        line_number: usize,
    ) -> Result<Sample<'a>, MeaningError> {
        let left = self
            .path_label_bytes_left
            .checked_sub(self.grouping_key.length());
        self.path_label_bytes_left = left.ok_or(MeaningError::LongPathLabels)?;
        let named = self.names.of_sample(name);
        check_not_negative(&named, value)?;
        Ok(Sample {
            named,
            value,
            line_number,
        })
    }

    /// True if a sample is within the limits at first sight, as nearly all are: its own labels are
    /// so few that those of the path cannot make too many, and in a label set that is no longer
    /// than one text may be, no text is.
    fn is_short(&self, name: &str, sent: usize, canonical: &str) -> bool {
        sent <= self.sent_labels_max
            && canonical.len() <= self.limits.bytes_max
            && name.len() <= self.limits.bytes_max
    }

    /// Holds the name and the canonical labels of a sample to the limits.
    #[cold]
    fn check_limits(&self, name: &str, canonical: &str) -> Result<(), MeaningError> {
        let checked = self.limits.check_metric_name(name);
        let checked = checked.and_then(|()| self.limits.check_labels(labels_of(canonical)));
        checked.map_err(|limit| beyond(name, limit))
    }

    /// `labels` are canonical and without `le`, if that is the bound of a bucket.
    fn add_sample(
        &mut self,
        sample: &Sample<'a>,
        labels: Cow<'a, str>,
        le: Option<&str>,
    ) -> Result<(), MeaningError> {
        match sample.named.metric_type {
            MetricType::Histogram => {
                let bound = upper_bound(&sample.named, le)?;
                self.histogram_sample(sample, labels, bound)
            }
            MetricType::Summary => self.summary_sample(sample, LabelSet::from_canonical(labels)),
            MetricType::Counter | MetricType::Gauge | MetricType::Untyped => {
                self.number_sample(sample, LabelSet::from_canonical(labels))
            }
        }
    }

    fn number_sample(
        &mut self,
        sample: &Sample<'a>,
        labels: LabelSet<'a>,
    ) -> Result<(), MeaningError> {
        self.count_sample(sample.value);
        let number = PushedNumber {
            family: sample.named.family,
            labels,
            value: sample.value,
        };
        let second = |second: &PushedNumber<'_>| second_series(sample.named.name, &second.labels);
        self.numbers.insert_new(number, second)?;
        if let Some(seconds) = &mut self.seconds {
            seconds.of_number();
        }
        Ok(())
    }

    fn summary_sample(
        &mut self,
        sample: &Sample<'a>,
        labels: LabelSet<'a>,
    ) -> Result<(), MeaningError> {
        self.skipped.summary += 1;
        let Named { family, part, .. } = sample.named;
        let discarded = SummarySample {
            family,
            part,
            labels,
        };
        let second = |second: &SummarySample<'_>| second_series(sample.named.name, &second.labels);
        self.summary_samples.insert_new(discarded, second)
    }

    fn histogram_sample(
        &mut self,
        sample: &Sample<'a>,
        labels: Cow<'a, str>,
        upper_bound: UpperBound,
    ) -> Result<(), MeaningError> {
        self.count_sample(sample.value);
        let family = sample.named.family;
        let place = match self.last_histogram {
            // The lines of one histogram mostly come in a row.
            Some(last) if self.histograms.at(last).has(family, &labels) => last,
            _ => self.histograms.place(HistogramLines {
                family,
                labels: LabelSet::from_canonical(labels),
                sum: None,
                count: None,
            }),
        };
        self.last_histogram = Some(place);
        let histogram = self.histograms.at(place);
        let is_second = match sample.named.part {
            Part::Sum => histogram.sum.replace(sample.value).is_some(),
            Part::Count => {
                if let Some(seconds) = &mut self.seconds {
                    seconds.of_histogram(place);
                }
                let count = (sample.value, sample.line_number);
                histogram.count.replace(count).is_some()
            }
            Part::Own | Part::Bucket => {
                if self.bucket_lines.is_empty() {
                    self.bucket_lines.reserve_exact(self.lines);
                }
                self.bucket_lines.push(BucketLine {
                    histogram: place,
                    upper_bound,
                    cumulative_count: sample.value,
                    line_number: sample.line_number,
                });
                // That is found when they are sorted.
                false
            }
        };
        if is_second {
            return Err(second_series(sample.named.name, &histogram.labels));
        }
        Ok(())
    }

    fn count_sample(&mut self, value: f64) {
        if value.is_nan() {
            self.skipped.not_a_number += 1;
        } else if value.is_infinite() {
            self.skipped.infinite += 1;
        } else {
            self.samples += 1;
        }
    }

    /// All lines are read; an error names the line it is about.
    pub fn finish(mut self) -> Result<Push<'a>, (usize, MeaningError)> {
        let mut families = self.names.into_families();
        let mut numbers = self.numbers.into_list();
        let mut seconds = self.seconds;
        if let Some(seconds) = &mut seconds {
            seconds.retain_numbers(|place| numbers[place].value.is_finite());
        }
        numbers.retain(|number| number.value.is_finite());
        for number in &numbers {
            families[number.family].has_series = true;
            families[number.family].has_negative |= number.value < 0.0;
        }
        self.bucket_lines
            .sort_unstable_by_key(|line| (line.histogram, line.upper_bound, line.line_number));
        let (mut histograms, mut buckets) = (Vec::new(), Vec::new());
        let mut bucket_lines = self.bucket_lines.as_slice();
        for (place, read) in self.histograms.into_list().into_iter().enumerate() {
            let count = bucket_lines.partition_point(|line| line.histogram == place);
            let (lines, rest) = bucket_lines.split_at(count);
            bucket_lines = rest;
            let family = &mut families[read.family];
            if let Some(histogram) = histogram(family.name, read, lines, &mut buckets)? {
                family.has_series = true;
                histograms.push(histogram);
                if let Some(seconds) = &mut seconds {
                    seconds.keep_histogram(place);
                }
            }
        }
        let (samples, skipped) = (self.samples, self.skipped);
        let seconds = seconds.map(|seconds| seconds.into_lists());
        let (number_seconds, histogram_seconds) = seconds.unwrap_or_default();
        Ok(Push {
            families,
            numbers,
            histograms,
            buckets,
            number_seconds,
            histogram_seconds,
            samples,
            skipped,
            cut_help_texts: 0,
        })
    }
}

/// Takes the label `le` out of sorted labels; one of empty value is none.
fn take_upper_bound<'a>(labels: &mut Vec<Label<'a>>) -> Option<&'a str> {
    let le = |label: &Label<'_>| label.name == "le" && !label.value.is_empty();
    let at = labels.iter().position(le)?;
    Some(labels.remove(at).value)
}

/// The bound of a bucket. The other parts of a histogram have none and cannot carry the label:
/// their series is the buckets' series, and there it would stand twice.
fn upper_bound(named: &Named<'_>, le: Option<&str>) -> Result<UpperBound, MeaningError> {
    let name = || Excerpt::of(named.name);
    match (named.part, le) {
        (Part::Own, _) => Err(MeaningError::BareHistogram(name())),
        (Part::Bucket, None) => Err(MeaningError::NoUpperBound(name())),
        (Part::Bucket, Some(le)) => {
            let bound = number(le).ok().and_then(UpperBound::new);
            bound.ok_or_else(|| MeaningError::UpperBound(Excerpt::of(le)))
        }
        (Part::Sum | Part::Count, None) => Ok(UpperBound::INFINITY),
        (Part::Sum | Part::Count, Some(_)) => Err(MeaningError::StrayUpperBound(name())),
    }
}

/// Counts are never negative. Other numbers may well be: a histogram of temperatures can sum up to
/// less than nothing.
fn check_not_negative(named: &Named<'_>, value: f64) -> Result<(), MeaningError> {
    let what = match (named.metric_type, named.part) {
        (MetricType::Counter, _) => "counter",
        (MetricType::Histogram, Part::Bucket) => "bucket",
        (MetricType::Histogram, Part::Count) => "count",
        _ => return Ok(()),
    };
    if value < 0.0 {
        let name = Excerpt::of(named.name);
        return Err(MeaningError::Negative { name, what });
    }
    Ok(())
}
