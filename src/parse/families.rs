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

use super::distinct::{Distinct, Keyed};
use super::error::MeaningError;
use super::histogram::{BucketLine, HistogramLines, histogram, second_series};
use super::label_set::{label_set, sort_and_check};
use super::line::{Label, number};
use crate::excerpt::Excerpt;
use crate::grouping_key::GroupingKey;
use crate::metric::{
    LabelSet, MetricType, Push, PushedFamily, PushedNumber, SkippedSamples, UpperBound, base_names,
};

/// A family, and what has been said of it so far.
struct Family<'a> {
    pushed: PushedFamily<'a>,
    has_help: bool,
    has_type: bool,
    has_samples: bool,
}

impl Keyed for Family<'_> {
    type Key<'k>
        = &'k str
    where
        Self: 'k;

    fn key(&self) -> &str {
        self.pushed.name
    }
}

/// What a sample is of its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Part {
    /// It has the family's own name.
    Own,
    Bucket,
    Sum,
    Count,
}

impl Part {
    fn from_suffix(suffix: &str) -> Part {
        match suffix {
            "_bucket" => Part::Bucket,
            "_sum" => Part::Sum,
            _ => Part::Count,
        }
    }
}

impl Keyed for PushedNumber<'_> {
    type Key<'k>
        = (usize, &'k str)
    where
        Self: 'k;

    fn key(&self) -> (usize, &str) {
        (self.family, self.labels.as_str())
    }
}

impl Keyed for HistogramLines<'_> {
    type Key<'k>
        = (usize, &'k str)
    where
        Self: 'k;

    fn key(&self) -> (usize, &str) {
        (self.family, self.labels.as_str())
    }
}

/// A sample of a summary, only kept to find a second one.
struct SummarySample<'a> {
    family: usize,
    part: Part,
    labels: LabelSet<'a>,
}

impl Keyed for SummarySample<'_> {
    type Key<'k>
        = (usize, Part, &'k str)
    where
        Self: 'k;

    fn key(&self) -> (usize, Part, &str) {
        (self.family, self.part, self.labels.as_str())
    }
}

/// A sample but for its labels.
#[derive(Clone, Copy)]
struct Sample<'a> {
    name: &'a str,
    family: usize,
    part: Part,
    value: f64,
    line_number: usize,
}

/// The families of a body as read so far. All is in lists, in the order of the body.
pub struct Families<'a> {
    grouping_key: &'a GroupingKey,
    path_label_bytes_left: usize,
    named: Distinct<Family<'a>>,
    numbers: Distinct<PushedNumber<'a>>,
    summary_samples: Distinct<SummarySample<'a>>,
    histograms: Distinct<HistogramLines<'a>>,
    bucket_lines: Vec<BucketLine>,
    samples: u64,
    skipped: SkippedSamples,
}

impl<'a> Families<'a> {
    /// Nothing read yet; the labels of the key will be put on every sample, as long as they take
    /// no more than so many bytes in all.
    pub fn new(grouping_key: &'a GroupingKey, path_label_bytes_max: usize) -> Families<'a> {
        Families {
            grouping_key,
            path_label_bytes_left: path_label_bytes_max,
            named: Distinct::new(),
            numbers: Distinct::new(),
            summary_samples: Distinct::new(),
            histograms: Distinct::new(),
            bucket_lines: Vec::new(),
            samples: 0,
            skipped: SkippedSamples::default(),
        }
    }

    /// Takes a HELP line.
    pub fn help(&mut self, name: &'a str, text: &'a str) -> Result<(), MeaningError> {
        let family = self.declare(name)?;
        if family.has_help {
            return Err(MeaningError::SecondHelp(Excerpt::of(name)));
        }
        family.has_help = true;
        family.pushed.help = text;
        Ok(())
    }

    /// Takes a TYPE line.
    pub fn metric_type(
        &mut self,
        name: &'a str,
        metric_type: MetricType,
    ) -> Result<(), MeaningError> {
        let family = self.declare(name)?;
        if family.has_type {
            return Err(MeaningError::SecondType(Excerpt::of(name)));
        }
        if family.has_samples {
            return Err(MeaningError::TypeAfterSamples(Excerpt::of(name)));
        }
        family.has_type = true;
        family.pushed.metric_type = metric_type;
        for suffix in metric_type.suffixes() {
            let exposed = format!("{name}{suffix}");
            let Some(place) = self.named.find(&exposed) else {
                continue;
            };
            let other = self.named.at(place);
            return Err(if other.has_samples && !other.has_type {
                MeaningError::TypeAfterSamples(Excerpt::of(name))
            } else {
                exposed_by(&exposed, name, metric_type)
            });
        }
        Ok(())
    }

    /// The family of a HELP or TYPE line.
    fn declare(&mut self, name: &'a str) -> Result<&mut Family<'a>, MeaningError> {
        let (family, part) = self.resolve(name);
        let family = self.named.at(family);
        if part == Part::Own {
            return Ok(family);
        }
        Err(exposed_by(
            name,
            family.pushed.name,
            family.pushed.metric_type,
        ))
    }

    /// The family that a name belongs to, and as what; begins a new one where there is none.
    fn resolve(&mut self, name: &'a str) -> (usize, Part) {
        if let Some(family) = self.named.find(name) {
            return (family, Part::Own);
        }
        for base in base_names(name) {
            let Some(family) = self.named.find(base) else {
                continue;
            };
            let suffix = &name[base.len()..];
            let suffixes = self.named.at(family).pushed.metric_type.suffixes();
            if suffixes.contains(&suffix) {
                return (family, Part::from_suffix(suffix));
            }
        }
        let begun = Family {
            pushed: PushedFamily {
                name,
                help: "",
                metric_type: MetricType::Untyped,
                has_series: false,
                has_negative: false,
            },
            has_help: false,
            has_type: false,
            has_samples: false,
        };
        (self.named.place(begun), Part::Own)
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
        let left = self
            .path_label_bytes_left
            .checked_sub(self.grouping_key.length());
        self.path_label_bytes_left = left.ok_or(MeaningError::LongPathLabels)?;
        let (family, part) = self.resolve(name);
        self.named.at(family).has_samples = true;
        let metric_type = self.named.at(family).pushed.metric_type;
        check_not_negative(name, metric_type, part, value)?;
        let sample = Sample {
            name,
            family,
            part,
            value,
            line_number,
        };
        match metric_type {
            MetricType::Histogram => {
                let upper_bound = take_upper_bound(name, part, labels)?;
                let labels = label_set(labels, source, self.grouping_key);
                self.histogram_sample(sample, labels, upper_bound)
            }
            MetricType::Summary => {
                let labels = label_set(labels, source, self.grouping_key);
                self.summary_sample(sample, labels)
            }
            MetricType::Counter | MetricType::Gauge | MetricType::Untyped => {
                let labels = label_set(labels, source, self.grouping_key);
                self.number_sample(sample, labels)
            }
        }
    }

    fn number_sample(
        &mut self,
        sample: Sample<'a>,
        labels: LabelSet<'a>,
    ) -> Result<(), MeaningError> {
        self.count_sample(sample.value);
        let number = PushedNumber {
            family: sample.family,
            labels,
            value: sample.value,
        };
        let second = |second: &PushedNumber<'_>| second_series(sample.name, &second.labels);
        self.numbers.insert_new(number, second)
    }

    fn summary_sample(
        &mut self,
        sample: Sample<'a>,
        labels: LabelSet<'a>,
    ) -> Result<(), MeaningError> {
        self.skipped.summary += 1;
        let Sample { family, part, .. } = sample;
        let discarded = SummarySample {
            family,
            part,
            labels,
        };
        let second = |second: &SummarySample<'_>| second_series(sample.name, &second.labels);
        self.summary_samples.insert_new(discarded, second)
    }

    fn histogram_sample(
        &mut self,
        sample: Sample<'a>,
        labels: LabelSet<'a>,
        upper_bound: UpperBound,
    ) -> Result<(), MeaningError> {
        self.count_sample(sample.value);
        let begun = HistogramLines {
            family: sample.family,
            labels,
            sum: None,
            count: None,
        };
        let place = self.histograms.place(begun);
        let histogram = self.histograms.at(place);
        let is_second = match sample.part {
            Part::Sum => histogram.sum.replace(sample.value).is_some(),
            Part::Count => {
                let count = (sample.value, sample.line_number);
                histogram.count.replace(count).is_some()
            }
            Part::Own | Part::Bucket => {
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
            return Err(second_series(sample.name, &histogram.labels));
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
        let families = self.named.into_list();
        let mut families: Vec<_> = families.into_iter().map(|family| family.pushed).collect();
        let mut numbers = self.numbers.into_list();
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

fn exposed_by(name: &str, by: &str, metric_type: MetricType) -> MeaningError {
    let (name, by) = (Excerpt::of(name), Excerpt::of(by));
    MeaningError::Exposed {
        name,
        by,
        metric_type,
    }
}

/// Takes `le` off the labels of a bucket. The other parts of a histogram have no bound and cannot
/// carry the label: their series is the buckets' series, and there it would stand twice.
fn take_upper_bound(
    name: &str,
    part: Part,
    labels: &mut Vec<Label<'_>>,
) -> Result<UpperBound, MeaningError> {
    let le = |label: &Label<'_>| label.name == "le" && !label.value.is_empty();
    match (part, labels.iter().position(le)) {
        (Part::Own, _) => Err(MeaningError::BareHistogram(Excerpt::of(name))),
        (Part::Bucket, None) => Err(MeaningError::NoUpperBound(Excerpt::of(name))),
        (Part::Bucket, Some(at)) => {
            let le = labels.remove(at).value;
            let bound = number(le).ok().and_then(UpperBound::new);
            bound.ok_or_else(|| MeaningError::UpperBound(Excerpt::of(le)))
        }
        (Part::Sum | Part::Count, None) => Ok(UpperBound::INFINITY),
        (Part::Sum | Part::Count, Some(_)) => Err(MeaningError::StrayUpperBound(Excerpt::of(name))),
    }
}

/// Counts are never negative. Other numbers may well be: a histogram of temperatures can sum up to
/// less than nothing.
fn check_not_negative(
    name: &str,
    metric_type: MetricType,
    part: Part,
    value: f64,
) -> Result<(), MeaningError> {
    let what = match (metric_type, part) {
        (MetricType::Counter, _) => "counter",
        (MetricType::Histogram, Part::Bucket) => "bucket",
        (MetricType::Histogram, Part::Count) => "count",
        _ => return Ok(()),
    };
    if value < 0.0 {
        let name = Excerpt::of(name);
        return Err(MeaningError::Negative { name, what });
    }
    Ok(())
}
