//! Meaning: samples of any format to families and series, one by one, and at last to a [`Push`].
//!
//! A reader gives names, canonical label sets and numbers; of where they stand the builder knows
//! a position, which it gives back in an error: its reader knows what that counts.
//!
//! - A sample belongs to the family of its name, or to the histogram or summary that was declared
//!   before it and whose name it extends by `_bucket`, `_sum` or `_count`; otherwise it begins an
//!   untyped family of its own. (`names` says more.)
//! - The first HELP of a name stays. It has one TYPE, before the samples. A name that a histogram
//!   exposes cannot be declared beside it; summaries take no name from others.
//! - A series comes once. Its identity is its name and label set, whatever the order of labels;
//!   an empty value is no label.
//! - A histogram may come in any order of samples and without `_sum`, `_count` or `+Inf`: `+Inf` is
//!   then taken from `_count`, `_count` from `+Inf`. Cumulative counts never decrease.
//! - Counters, buckets and counts are not negative. NaN and infinite increments are left out.
//! - Quantiles in a histogram are those of a summary: several client libraries send both at once.
//! - The lines of a summary are counted as left out. Its sum and its count are handed on all the
//!   same: whether they are kept, the merge rules say.

use std::borrow::Cow;

use super::distinct::{Distinct, Distinguishable, series_hash};
use super::error::{MeaningError, beyond};
use super::histogram::{HistogramParts, Quantile, SentBucket, add_histograms, second_series};
use super::names::{Created, Dialect, Kind, Names, Part};
use super::sample::{Labels, Sample, check_not_negative};
use super::seconds::Seconds;
use super::starts::{milliseconds, only_finite};
use crate::grouping_key::GroupingKey;
use crate::keyed_hash::KeyedHash;
use crate::label_limits::LabelLimits;
use crate::metric::{
    LabelSet, NativeHistogram, Push, PushedNumber, SkippedSamples, Start, UpperBound,
    canonical_labels,
};

impl Distinguishable for PushedNumber<'_> {
    fn hash(&self) -> KeyedHash {
        series_hash(self.family, &self.labels)
    }

    fn is(&self, other: &Self) -> bool {
        self.family == other.family && self.labels == other.labels
    }
}

/// The families of a body as read so far. All is in lists, in the order of the body.
pub struct Builder<'a> {
    /// Declared and met.
    pub names: Names<'a>,
    limits: LabelLimits,
    /// A sample with at most these labels of its own has not too many with those of the path.
    sent_labels_max: usize,
    /// What the labels of the path add to each sample.
    path_label_bytes: usize,
    path_label_bytes_left: usize,
    numbers: Distinct<PushedNumber<'a>>,
    quantiles: Distinct<Quantile<'a>>,
    histograms: Distinct<HistogramParts<'a>>,
    last_histogram: Option<usize>,
    buckets: Vec<SentBucket>,
    expected_samples: usize,
    /// Of numbers, by their places in the list of all of them.
    number_starts: Vec<Start>,
    histogram_starts: Vec<Start>,
    /// Of a snapshot.
    seconds: Option<Box<Seconds>>,
    samples: u64,
    /// What was left out.
    pub skipped: SkippedSamples,
}

impl<'a> Builder<'a> {
    /// A builder for a body of about `expected_samples`. The labels of the key are put on every
    /// sample, up to `path_label_bytes_max` in all; each series is held to the limits.
    pub fn new(
        dialect: Dialect,
        grouping_key: &GroupingKey,
        limits: LabelLimits,
        path_label_bytes_max: usize,
        expected_samples: usize,
    ) -> Builder<'a> {
        Builder {
            names: Names::new(dialect, limits),
            limits,
            sent_labels_max: limits
                .labels_max
                .saturating_sub(grouping_key.labels().len()),
            path_label_bytes: grouping_key.length(),
            path_label_bytes_left: path_label_bytes_max,
            numbers: Distinct::expecting(expected_samples),
            quantiles: Distinct::expecting(1),
            histograms: Distinct::expecting(1),
            last_histogram: None,
            buckets: Vec::new(),
            expected_samples,
            number_starts: Vec::new(),
            histogram_starts: Vec::new(),
            seconds: None,
            samples: 0,
            skipped: SkippedSamples::default(),
        }
    }

    /// Takes timestamps for what they are in a snapshot, from here on.
    pub fn take_timestamps(&mut self) {
        self.seconds = Some(Box::default());
    }

    /// Takes the timestamp of the sample that comes next.
    pub fn take_timestamp(&mut self, timestamp: Option<i64>) {
        if let Some(seconds) = &mut self.seconds {
            seconds.next_line(timestamp);
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
        match sample.named.kind {
            Kind::Counter | Kind::Number => {
                self.number(sample, LabelSet::from_canonical(labels.canonical))
            }
            Kind::Histogram(part) => {
                let place = self.histogram(sample.named.family, labels.canonical);
                self.histogram_part(sample, part, place, upper_bound)
            }
            Kind::Summary(part) => self.summary_part(sample, part, labels.canonical),
            Kind::GaugeHistogram => {
                self.skipped.gauge_histogram += 1;
                Ok(())
            }
        }
    }

    /// The place of what the last sample, which is of this kind, was added to.
    pub fn last_place(&self, kind: Kind) -> usize {
        match kind {
            Kind::Counter | Kind::Number => self.numbers.len().saturating_sub(1),
            _ => self.last_histogram.unwrap_or_default(),
        }
    }

    /// Holds the name and the label set of a series to the limits.
    ///
    /// # Errors
    /// When it is beyond them, or those of the path have become too long for the number of samples.
    #[inline]
    pub fn check_labels(&mut self, name: &str, labels: &Labels<'a>) -> Result<(), MeaningError> {
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
        let labels = canonical_labels(canonical).map(|label| (label.name, label.value));
        let checked = checked.and_then(|()| self.limits.check_labels(labels));
        checked.map_err(|limit| beyond(name, limit))
    }

    #[inline]
    fn number(&mut self, sample: &Sample<'a>, labels: LabelSet<'a>) -> Result<(), MeaningError> {
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

    fn summary_part(
        &mut self,
        sample: &Sample<'a>,
        part: Part,
        labels: Cow<'a, str>,
    ) -> Result<(), MeaningError> {
        self.skipped.summary += 1;
        let family = sample.named.family;
        if let Part::Sum | Part::Count = part {
            let place = self.histogram(family, labels);
            return self.sum_or_count(sample, part, place);
        }
        let labels = LabelSet::from_canonical(labels);
        let second = |second: &Quantile<'_>| second_series(sample.named.name, &second.labels);
        self.quantiles
            .insert_new(Quantile { family, labels }, second)
    }

    /// Takes the sum and the count of a summary, and gives its place; the value of the sample is
    /// the count.
    ///
    /// # Errors
    /// When it is beyond the limits or there already.
    pub fn whole_summary(
        &mut self,
        sample: &Sample<'a>,
        labels: Labels<'a>,
        sum: f64,
    ) -> Result<usize, MeaningError> {
        self.check_labels(sample.named.name, &labels)?;
        let place = self.histogram(sample.named.family, labels.canonical);
        self.skipped.summary += 2;
        let sum = Sample {
            value: sum,
            ..*sample
        };
        self.sum_or_count(&sum, Part::Sum, place)?;
        self.sum_or_count(sample, Part::Count, place)?;
        Ok(place)
    }

    /// The place of the histogram or summary with this label set.
    #[inline]
    fn histogram(&mut self, family: usize, labels: Cow<'a, str>) -> usize {
        let place = match self.last_histogram {
            // The samples of one histogram mostly come in a row.
            Some(last) if self.histograms.at(last).has(family, &labels) => last,
            _ => self.histograms.place(HistogramParts {
                family,
                labels: LabelSet::from_canonical(labels),
                sum: None,
                count: None,
                native: None,
            }),
        };
        self.last_histogram = Some(place);
        place
    }

    #[inline]
    fn histogram_part(
        &mut self,
        sample: &Sample<'a>,
        part: Part,
        place: usize,
        upper_bound: UpperBound,
    ) -> Result<(), MeaningError> {
        self.count_sample(sample.value);
        if let Part::Own | Part::Bucket = part {
            // A second one is found when they are sorted.
            self.push_bucket(SentBucket {
                histogram: place,
                upper_bound,
                cumulative_count: sample.value,
                position: sample.position,
            });
            return Ok(());
        }
        self.sum_or_count(sample, part, place)
    }

    #[inline]
    fn sum_or_count(
        &mut self,
        sample: &Sample<'a>,
        part: Part,
        place: usize,
    ) -> Result<(), MeaningError> {
        let histogram = self.histograms.at(place);
        let is_second = if part == Part::Sum {
            histogram.sum.replace(sample.value).is_some()
        } else {
            if let Some(seconds) = &mut self.seconds {
                seconds.of_histogram(place);
            }
            let count = (sample.value, sample.position);
            histogram.count.replace(count).is_some()
        };
        if is_second {
            return Err(second_series(sample.named.name, &histogram.labels));
        }
        Ok(())
    }

    /// Takes the sum and the count of a histogram, and gives its place; the value of the sample is
    /// the count.
    ///
    /// # Errors
    /// When it is beyond the limits or there already, or its count is negative.
    pub fn whole_histogram(
        &mut self,
        sample: &Sample<'a>,
        labels: Labels<'a>,
        sum: f64,
    ) -> Result<usize, MeaningError> {
        let longest = sample.named.name.len() + "_bucket".len();
        if longest > self.limits.bytes_max {
            let checked = self
                .limits
                .check_metric_name(&format!("{}_bucket", sample.named.name));
            checked.map_err(|limit| beyond(sample.named.name, limit))?;
        }
        self.check_labels(sample.named.name, &labels)?;
        let place = self.histogram(sample.named.family, labels.canonical);
        self.count_sample(sum);
        self.count_sample(sample.value);
        let histogram = self.histograms.at(place);
        let is_second = histogram.sum.replace(sum).is_some();
        histogram.count = Some((sample.value, sample.position));
        if is_second {
            return Err(second_series(sample.named.name, &histogram.labels));
        }
        Ok(place)
    }

    /// Takes the native part of the histogram at a place that was given out here, and that has the
    /// same count.
    pub fn native(&mut self, place: usize, native: NativeHistogram) {
        self.samples += 1;
        self.histograms.at(place).native = Some(Box::new(native));
    }

    /// Takes a bucket of the histogram at a place that was given out here.
    pub fn bucket(&mut self, bucket: SentBucket) {
        self.count_sample(bucket.cumulative_count);
        self.push_bucket(bucket);
    }

    /// Takes the start of the number that came last.
    pub fn last_number_began(&mut self, milliseconds: i64) {
        let place = self.last_place(Kind::Number);
        self.number_starts.push(Start {
            place,
            milliseconds,
        });
    }

    /// Takes the start of the histogram or summary at a place that was given out here.
    pub fn histogram_began(&mut self, place: usize, milliseconds: i64) {
        self.histogram_starts.push(Start {
            place,
            milliseconds,
        });
    }

    #[inline]
    fn push_bucket(&mut self, bucket: SentBucket) {
        if self.buckets.is_empty() {
            self.buckets.reserve_exact(self.expected_samples);
        }
        self.buckets.push(bucket);
    }

    #[inline]
    fn count_sample(&mut self, value: f64) {
        if value.is_nan() {
            self.skipped.not_a_number += 1;
        } else if value.is_infinite() {
            self.skipped.infinite += 1;
        } else {
            self.samples += 1;
        }
    }

    /// The places of the numbers that only say when a series began.
    pub fn places_of_starts(&self) -> Vec<usize> {
        let created = self.names.created();
        let is_start = |place: &usize| {
            let family = self.numbers.get(*place).family;
            created
                .binary_search_by_key(&family, |pair| pair.family)
                .is_ok()
        };
        match created.as_slice() {
            [] => Vec::new(),
            _ => (0..self.numbers.len()).filter(is_start).collect(),
        }
    }

    /// Takes the samples that only say when a series began out of the numbers.
    fn take_starts(&mut self, created: &[Created]) {
        for place in 0..self.numbers.len() {
            let number = self.numbers.get(place);
            let Ok(found) = created.binary_search_by_key(&number.family, |pair| pair.family) else {
                continue;
            };
            let family = created[found].of;
            if number.value.is_finite() {
                self.samples -= 1;
                self.skipped.created += 1;
            }
            if let Some(milliseconds) = milliseconds(number.value) {
                let (hash, labels) = (series_hash(family, &number.labels), &number.labels);
                let is_begun =
                    |other: &PushedNumber<'_>| other.family == family && other.labels == *labels;
                let start = |place| Start {
                    place,
                    milliseconds,
                };
                let of_number = self.numbers.find(hash, is_begun).map(start);
                self.number_starts.extend(of_number);
                let is_begun =
                    |other: &HistogramParts<'_>| other.family == family && other.labels == *labels;
                let of_histogram = self.histograms.find(hash, is_begun).map(start);
                self.histogram_starts.extend(of_histogram);
            }
            // It is left out with those that were sent so.
            self.numbers.at(place).value = f64::NAN;
        }
        let place = |start: &Start| start.place;
        self.number_starts.sort_by_key(place);
        self.histogram_starts.sort_by_key(place);
    }

    /// All is read; an error gives the position that it is about.
    pub fn finish(mut self) -> Result<Push<'a>, (usize, MeaningError)> {
        let created = self.names.created();
        if !created.is_empty() {
            self.take_starts(&created);
        }
        let mut families = self.names.into_families();
        let numbers = self.numbers.into_list();
        let mut seconds = self.seconds.map(|seconds| *seconds);
        if let Some(seconds) = &mut seconds {
            seconds.retain_numbers(|place| numbers[place].value.is_finite());
        }
        let (numbers, number_starts) = only_finite(numbers, self.number_starts);
        for number in &numbers {
            families[number.family].has_series = true;
            families[number.family].has_negative |= number.value < 0.0;
        }
        let mut push = Push {
            numbers,
            number_starts,
            samples: self.samples,
            skipped: self.skipped,
            ..Push::default()
        };
        let order = |sent: &SentBucket| (sent.histogram, sent.upper_bound, sent.position);
        // Most senders write them in order.
        if !self.buckets.is_sorted_by_key(order) {
            self.buckets.sort_unstable_by_key(order);
        }
        let histograms = self.histograms.into_list();
        let starts = self.histogram_starts;
        add_histograms(
            &mut push,
            &mut families,
            histograms,
            &self.buckets,
            &starts,
            |place| {
                if let Some(seconds) = &mut seconds {
                    seconds.keep_histogram(place);
                }
            },
        )?;
        push.families = families;
        let seconds = seconds.map(Seconds::into_lists);
        (push.number_seconds, push.histogram_seconds) = seconds.unwrap_or_default();
        Ok(push)
    }
}
