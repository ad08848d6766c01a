//! Meaning: samples of any format to families and series, one by one, and at last to a [`Push`].
//!
//! A reader gives names, canonical label sets and numbers; of where they stand the builder knows
//! a position, which it gives back in an error: its reader knows what that counts.
//!
//! - A sample belongs to the family of its name, or to the histogram or summary that was declared
//!   before it and whose name it extends by `_bucket`, `_sum` or `_count`; otherwise it begins an
//!   untyped family of its own.
//! - HELP and TYPE come once for a name, TYPE before the samples. A name that a histogram or a
//!   summary exposes cannot be declared beside it.
//! - A series comes once. Its identity is its name and label set, whatever the order of labels;
//!   an empty value is no label.
//! - A histogram may come in any order of samples and without `_sum`, `_count` or `+Inf`: `+Inf` is
//!   then taken from `_count`, `_count` from `+Inf`. Cumulative counts never decrease.
//! - Counters, buckets and counts are not negative. NaN and infinite increments are left out.

use std::borrow::Cow;

use super::distinct::{Distinct, Distinguishable};
use super::error::{MeaningError, beyond};
use super::histogram::{HistogramParts, SentBucket, histogram, second_series};
use super::label_set::labels_of;
use super::names::{Named, Names, Part};
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

impl Distinguishable for HistogramParts<'_> {
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
pub struct Sample<'a> {
    /// What its name stands for.
    pub named: Named<'a>,
    /// As sent: it may be NaN or infinite.
    pub value: f64,
    /// Where it stands, for messages.
    pub position: usize,
}

/// The label set of a sample.
pub struct Labels<'a> {
    /// Its canonical text, with the labels of the path and without the `le` of a bucket.
    pub canonical: Cow<'a, str>,
    /// How many labels the sample has of its own; those of the path may make it more.
    pub sent: usize,
}

/// The families of a body as read so far. All is in lists, in the order of the body.
pub struct Builder<'a> {
    /// Declared and met.
    pub names: Names<'a>,
    limits: LabelLimits,
    /// A sample with so many labels of its own and all of the path has not too many.
    sent_labels_max: usize,
    /// What the labels of the path add to each sample.
    path_label_bytes: usize,
    path_label_bytes_left: usize,
    numbers: Distinct<PushedNumber<'a>>,
    summary_samples: Distinct<SummarySample<'a>>,
    histograms: Distinct<HistogramParts<'a>>,
    last_histogram: Option<usize>,
    buckets: Vec<SentBucket>,
    expected_samples: usize,
    samples: u64,
    skipped: SkippedSamples,
}

impl<'a> Builder<'a> {
    /// Nothing read yet of a body of about so many samples. The labels of the key will be put on
    /// every sample, as long as they take no more than so many bytes in all; each series is held to
    /// the limits.
    pub fn new(
        grouping_key: &GroupingKey,
        limits: LabelLimits,
        path_label_bytes_max: usize,
        expected_samples: usize,
    ) -> Builder<'a> {
        Builder {
            names: Names::new(limits),
            limits,
            sent_labels_max: limits
                .labels_max
                .saturating_sub(grouping_key.labels().len()),
            path_label_bytes: grouping_key.length(),
            path_label_bytes_left: path_label_bytes_max,
            numbers: Distinct::expecting(expected_samples),
            summary_samples: Distinct::expecting(1),
            histograms: Distinct::expecting(1),
            last_histogram: None,
            buckets: Vec::new(),
            expected_samples,
            samples: 0,
            skipped: SkippedSamples::default(),
        }
    }

    /// Takes a sample. The bound is that of a bucket; other samples have none, whatever it is.
    ///
    /// # Errors
    /// When it is beyond the limits, cannot be negative, or its series was there before.
    pub fn sample(
        &mut self,
        sample: &Sample<'a>,
        labels: Labels<'a>,
        upper_bound: UpperBound,
    ) -> Result<(), MeaningError> {
        self.check_labels(sample.named.name, &labels)?;
        check_not_negative(&sample.named, sample.value)?;
        match sample.named.metric_type {
            MetricType::Histogram => {
                let place = self.histogram(sample.named.family, labels.canonical);
                self.histogram_sample(sample, place, upper_bound)
            }
            MetricType::Summary => {
                self.summary_sample(sample, LabelSet::from_canonical(labels.canonical))
            }
            MetricType::Counter | MetricType::Gauge | MetricType::Untyped => {
                self.number_sample(sample, LabelSet::from_canonical(labels.canonical))
            }
        }
    }

    /// Holds the name and the label set of a series to the limits.
    fn check_labels(&mut self, name: &str, labels: &Labels<'a>) -> Result<(), MeaningError> {
        let left = self
            .path_label_bytes_left
            .checked_sub(self.path_label_bytes);
        self.path_label_bytes_left = left.ok_or(MeaningError::LongPathLabels)?;
        if self.is_short(name, labels) {
            return Ok(());
        }
        self.check_limits(name, &labels.canonical)
    }

    /// True if a sample is within the limits at first sight, as nearly all are: its own labels are
    /// so few that those of the path cannot make too many, and in a label set that is no longer
    /// than one text may be, no text is.
    fn is_short(&self, name: &str, labels: &Labels<'_>) -> bool {
        labels.sent <= self.sent_labels_max
            && labels.canonical.len() <= self.limits.bytes_max
            && name.len() <= self.limits.bytes_max
    }

    /// Holds the name and the canonical labels of a sample to the limits.
    #[cold]
    fn check_limits(&self, name: &str, canonical: &str) -> Result<(), MeaningError> {
        let checked = self.limits.check_metric_name(name);
        let checked = checked.and_then(|()| self.limits.check_labels(labels_of(canonical)));
        checked.map_err(|limit| beyond(name, limit))
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
        self.numbers.insert_new(number, second)
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

    /// The place of the histogram with this label set.
    fn histogram(&mut self, family: usize, labels: Cow<'a, str>) -> usize {
        let place = match self.last_histogram {
            // The samples of one histogram mostly come in a row.
            Some(last) if self.histograms.at(last).has(family, &labels) => last,
            _ => self.histograms.place(HistogramParts {
                family,
                labels: LabelSet::from_canonical(labels),
                sum: None,
                count: None,
            }),
        };
        self.last_histogram = Some(place);
        place
    }

    fn histogram_sample(
        &mut self,
        sample: &Sample<'a>,
        place: usize,
        upper_bound: UpperBound,
    ) -> Result<(), MeaningError> {
        self.count_sample(sample.value);
        let histogram = self.histograms.at(place);
        let is_second = match sample.named.part {
            Part::Sum => histogram.sum.replace(sample.value).is_some(),
            Part::Count => {
                let count = (sample.value, sample.position);
                histogram.count.replace(count).is_some()
            }
            Part::Own | Part::Bucket => {
                if self.buckets.is_empty() {
                    self.buckets.reserve_exact(self.expected_samples);
                }
                self.buckets.push(SentBucket {
                    histogram: place,
                    upper_bound,
                    cumulative_count: sample.value,
                    position: sample.position,
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

    /// All is read; an error gives the position that it is about.
    pub fn finish(mut self) -> Result<Push<'a>, (usize, MeaningError)> {
        let mut families = self.names.into_families();
        let mut numbers = self.numbers.into_list();
        numbers.retain(|number| number.value.is_finite());
        for number in &numbers {
            families[number.family].has_series = true;
            families[number.family].has_negative |= number.value < 0.0;
        }
        self.buckets
            .sort_unstable_by_key(|sent| (sent.histogram, sent.upper_bound, sent.position));
        let (mut histograms, mut buckets) = (Vec::new(), Vec::new());
        let mut sent = self.buckets.as_slice();
        for (place, read) in self.histograms.into_list().into_iter().enumerate() {
            let count = sent.partition_point(|bucket| bucket.histogram == place);
            let (of_histogram, rest) = sent.split_at(count);
            sent = rest;
            let family = &mut families[read.family];
            if let Some(histogram) = histogram(family.name, read, of_histogram, &mut buckets)? {
                family.has_series = true;
                histograms.push(histogram);
            }
        }
        let (samples, skipped) = (self.samples, self.skipped);
        Ok(Push {
            families,
            numbers,
            histograms,
            buckets,
            samples,
            skipped,
        })
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
