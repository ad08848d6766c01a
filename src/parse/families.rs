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

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::error::MeaningError;
use super::histogram::{BucketLine, HistogramLines, histogram, second_series};
use super::label_set::{label_set, sort_and_check};
use super::line::{Label, number};
use crate::excerpt::Excerpt;
use crate::grouping_key::GroupingKey;
use crate::metric::{
    LabelSet, MetricType, Push, PushedFamily, PushedSeries, SkippedSamples, UpperBound, base_names,
};

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
            "_count" => Part::Count,
            _ => Part::Own,
        }
    }
}

/// One family as read so far.
struct Family<'a> {
    name: &'a str,
    help: Option<&'a str>,
    metric_type: Option<MetricType>,
    has_samples: bool,
    numbers: Vec<(LabelSet<'a>, f64)>,
    histograms: Vec<HistogramLines<'a>>,
}

/// The families of a body as read so far.
pub struct Families<'a> {
    key: &'a GroupingKey,
    in_order: Vec<Family<'a>>,
    by_name: HashMap<&'a str, usize>,
    /// Every series so far; for histograms, where in their family it stands.
    series: HashMap<(usize, Part, LabelSet<'a>), usize>,
    samples: u64,
    skipped: SkippedSamples,
}

impl<'a> Families<'a> {
    /// Nothing read yet; the labels of `key` will be put on every sample.
    pub fn new(key: &'a GroupingKey) -> Families<'a> {
        Families {
            key,
            in_order: Vec::new(),
            by_name: HashMap::new(),
            series: HashMap::new(),
            samples: 0,
            skipped: SkippedSamples::default(),
        }
    }

    /// Takes a HELP line.
    pub fn help(&mut self, name: &'a str, text: &'a str) -> Result<(), MeaningError> {
        let family = self.declare(name)?;
        match family.help.replace(text) {
            None => Ok(()),
            Some(_) => Err(MeaningError::SecondHelp(Excerpt::of(name))),
        }
    }

    /// Takes a TYPE line.
    pub fn metric_type(
        &mut self,
        name: &'a str,
        metric_type: MetricType,
    ) -> Result<(), MeaningError> {
        let family = self.declare(name)?;
        if family.metric_type.replace(metric_type).is_some() {
            return Err(MeaningError::SecondType(Excerpt::of(name)));
        }
        if family.has_samples {
            return Err(MeaningError::TypeAfterSamples(Excerpt::of(name)));
        }
        for suffix in metric_type.suffixes() {
            let exposed = format!("{name}{suffix}");
            let Some(&other) = self.by_name.get(exposed.as_str()) else {
                continue;
            };
            return Err(if self.in_order[other].has_samples {
                MeaningError::TypeAfterSamples(Excerpt::of(name))
            } else {
                let (name, by) = (Excerpt::of(exposed), Excerpt::of(name));
                MeaningError::Exposed {
                    name,
                    by,
                    metric_type,
                }
            });
        }
        Ok(())
    }

    /// The family of a HELP or TYPE line.
    fn declare(&mut self, name: &'a str) -> Result<&mut Family<'a>, MeaningError> {
        let (family, part) = self.resolve(name);
        let family = &mut self.in_order[family];
        if part == Part::Own {
            return Ok(family);
        }
        let (name, by) = (Excerpt::of(name), Excerpt::of(family.name));
        let metric_type = family.metric_type.unwrap_or(MetricType::Untyped);
        Err(MeaningError::Exposed {
            name,
            by,
            metric_type,
        })
    }

    /// The family that a name belongs to, and as what; begins a new one where there is none.
    fn resolve(&mut self, name: &'a str) -> (usize, Part) {
        if let Some(&family) = self.by_name.get(name) {
            return (family, Part::Own);
        }
        for base in base_names(name) {
            let suffix = &name[base.len()..];
            if let Some(&family) = self.by_name.get(base)
                && let Some(metric_type) = self.in_order[family].metric_type
                && metric_type.suffixes().contains(&suffix)
            {
                return (family, Part::from_suffix(suffix));
            }
        }
        self.by_name.insert(name, self.in_order.len());
        self.in_order.push(Family {
            name,
            help: None,
            metric_type: None,
            has_samples: false,
            numbers: Vec::new(),
            histograms: Vec::new(),
        });
        (self.in_order.len() - 1, Part::Own)
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
        let (family, part) = self.resolve(name);
        self.in_order[family].has_samples = true;
        match self.in_order[family].metric_type {
            Some(MetricType::Histogram) => {
                let upper_bound = take_upper_bound(name, part, labels)?;
                check_not_negative(name, part, value)?;
                let labels = label_set(labels, source, self.key);
                let line = BucketLine {
                    upper_bound,
                    cumulative_count: value,
                    line_number,
                };
                self.histogram_line(family, part, labels, line)?;
                self.count_sample(value);
            }
            Some(MetricType::Summary) => {
                self.new_series(family, part, &label_set(labels, source, self.key), 0)?;
                self.skipped.summary += 1;
            }
            metric_type => {
                if metric_type == Some(MetricType::Counter) && value < 0.0 {
                    let name = Excerpt::of(name);
                    return Err(MeaningError::Negative {
                        name,
                        what: "counter",
                    });
                }
                let labels = label_set(labels, source, self.key);
                self.new_series(family, part, &labels, 0)?;
                if value.is_finite() {
                    self.in_order[family].numbers.push((labels, value));
                }
                self.count_sample(value);
            }
        }
        Ok(())
    }

    /// Takes one line of a histogram. Which series it belongs to is remembered under its bare name.
    fn histogram_line(
        &mut self,
        family: usize,
        part: Part,
        labels: LabelSet<'a>,
        line: BucketLine,
    ) -> Result<(), MeaningError> {
        let Family {
            name, histograms, ..
        } = &mut self.in_order[family];
        let at = match self.series.entry((family, Part::Own, labels)) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                let labels = entry.key().2.clone();
                histograms.push(HistogramLines {
                    labels,
                    buckets: Vec::new(),
                    sum: None,
                    count: None,
                });
                *entry.insert(histograms.len() - 1)
            }
        };
        let histogram = &mut histograms[at];
        let value = line.cumulative_count;
        let is_second = match part {
            Part::Sum => histogram.sum.replace(value).is_some(),
            Part::Count => histogram.count.replace((value, line.line_number)).is_some(),
            // A second line for a bucket is found when they are sorted.
            Part::Own | Part::Bucket => {
                histogram.buckets.push(line);
                false
            }
        };
        if is_second {
            let suffix = if part == Part::Sum { "_sum" } else { "_count" };
            return Err(second_series(&format!("{name}{suffix}"), &histogram.labels));
        }
        Ok(())
    }

    fn new_series(
        &mut self,
        family: usize,
        part: Part,
        labels: &LabelSet<'a>,
        at: usize,
    ) -> Result<(), MeaningError> {
        match self.series.insert((family, part, labels.clone()), at) {
            None => Ok(()),
            Some(_) => Err(second_series(self.in_order[family].name, labels)),
        }
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
    pub fn finish(self) -> Result<Push<'a>, (usize, MeaningError)> {
        let mut families = Vec::with_capacity(self.in_order.len());
        for family in self.in_order {
            let metric_type = family.metric_type.unwrap_or(MetricType::Untyped);
            let series = if metric_type == MetricType::Histogram {
                let mut histograms = Vec::with_capacity(family.histograms.len());
                for lines in family.histograms {
                    if let Some(histogram) = histogram(family.name, &lines)? {
                        histograms.push((lines.labels, histogram));
                    }
                }
                PushedSeries::Histograms(histograms)
            } else {
                PushedSeries::Numbers(family.numbers)
            };
            families.push(PushedFamily {
                name: family.name,
                help: family.help.unwrap_or_default(),
                metric_type,
                series,
            });
        }
        Ok(Push {
            families,
            samples: self.samples,
            skipped: self.skipped,
        })
    }
}

/// Takes `le` off the labels of a bucket. The other parts of a histogram have no bound and cannot
/// carry the label: their series is the buckets' series, and there it would stand twice.
fn take_upper_bound(
    name: &str,
    part: Part,
    labels: &mut Vec<Label<'_>>,
) -> Result<UpperBound, MeaningError> {
    let name = || Excerpt::of(name);
    let le = labels
        .iter()
        .position(|label| label.name == "le" && !label.value.is_empty());
    match (part, le) {
        (Part::Own, _) => Err(MeaningError::BareHistogram(name())),
        (Part::Bucket, None) => Err(MeaningError::NoUpperBound(name())),
        (Part::Bucket, Some(at)) => {
            let le = labels.remove(at).value;
            let bound = number(le).ok().and_then(UpperBound::new);
            bound.ok_or_else(|| MeaningError::UpperBound(Excerpt::of(le)))
        }
        (Part::Sum | Part::Count, None) => Ok(UpperBound::INFINITY),
        (Part::Sum | Part::Count, Some(_)) => Err(MeaningError::StrayUpperBound(name())),
    }
}

fn check_not_negative(name: &str, part: Part, value: f64) -> Result<(), MeaningError> {
    let what = match part {
        Part::Bucket => "bucket",
        Part::Count => "count",
        // A histogram of temperatures may well sum up to less than nothing.
        Part::Own | Part::Sum => return Ok(()),
    };
    if value < 0.0 {
        let name = Excerpt::of(name);
        return Err(MeaningError::Negative { name, what });
    }
    Ok(())
}
