//! The samples of histograms, in whatever order they came, to the histograms they mean; and the
//! sums and counts of summaries, which are histograms without buckets here.

use super::distinct::{Distinguishable, series_hash};
use super::error::MeaningError;
use crate::excerpt::Excerpt;
use crate::keyed_hash::KeyedHash;
use crate::metric::{
    Bucket, LabelSet, LeftOut, MetricType, NativeHistogram, Push, PushedFamily, PushedHistogram,
    Start, UpperBound,
};
use crate::number::written;

/// What was read of one histogram but for its buckets. What is NaN or infinite is kept until all
/// is read, so that a second sample of the same part is still found.
pub struct HistogramParts<'a> {
    /// Its place among the families.
    pub family: usize,
    /// Without `le`.
    pub labels: LabelSet<'a>,
    /// The value of `_sum`.
    pub sum: Option<f64>,
    /// The value and the position of `_count`.
    pub count: Option<(f64, usize)>,
    /// Of this very count.
    pub native: Option<Box<NativeHistogram>>,
}

impl HistogramParts<'_> {
    /// True if this is the family and these are the labels.
    pub fn has(&self, family: usize, labels: &str) -> bool {
        self.family == family && self.labels.as_str() == labels
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

/// A quantile of a summary, only kept to find a second one.
pub struct Quantile<'a> {
    /// Its place among the families.
    pub family: usize,
    /// With `quantile`.
    pub labels: LabelSet<'a>,
}

impl Distinguishable for Quantile<'_> {
    fn hash(&self) -> KeyedHash {
        series_hash(self.family, &self.labels)
    }

    fn is(&self, other: &Self) -> bool {
        self.family == other.family && self.labels == other.labels
    }
}

/// One bucket as sent.
#[derive(Clone, Copy)]
pub struct SentBucket {
    /// The place of its histogram in the list of those.
    pub histogram: usize,
    /// Its `le`.
    pub upper_bound: UpperBound,
    /// Its value, which counts all that is not above its bound.
    pub cumulative_count: f64,
    /// Where it stands, for messages.
    pub position: usize,
}

/// Puts histograms together and adds them to a push. `sent` are all their buckets, sorted by
/// histogram and upper bound. `kept` gets the place of each that is added.
///
/// # Errors
/// A bucket that comes twice, or cumulative counts that decrease, with its position.
pub fn add_histograms<'a>(
    push: &mut Push<'a>,
    families: &mut [PushedFamily<'a>],
    histograms: Vec<HistogramParts<'a>>,
    mut sent: &[SentBucket],
    mut starts: &[Start],
    mut kept: impl FnMut(usize),
) -> Result<(), (usize, MeaningError)> {
    for (place, read) in histograms.into_iter().enumerate() {
        let count = sent.partition_point(|bucket| bucket.histogram == place);
        let (of_histogram, rest) = sent.split_at(count);
        sent = rest;
        let count = starts.partition_point(|start| start.place == place);
        let (of_start, rest) = starts.split_at(count);
        starts = rest;
        let family = &mut families[read.family];
        let put_together = match family.metric_type {
            MetricType::Summary => summary(read, push.buckets.len()),
            _ => histogram(&family.name, read, of_histogram, &mut push.buckets)?,
        };
        if let Some(histogram) = put_together {
            family.has_series = true;
            push.histogram_starts
                .extend(of_start.first().map(|start| Start {
                    place: push.histograms.len(),
                    ..*start
                }));
            push.histograms.push(histogram);
            kept(place);
        }
    }
    Ok(())
}

/// Puts the samples of one histogram together; `None` when every one of them is to be left out.
/// `sent` are its buckets, sorted by upper bound; what they count goes to `buckets`.
fn histogram<'a>(
    name: &str,
    read: HistogramParts<'a>,
    sent: &[SentBucket],
    buckets: &mut Vec<Bucket>,
) -> Result<Option<PushedHistogram<'a>>, (usize, MeaningError)> {
    let is_second = |pair: &&[SentBucket]| pair[0].upper_bound == pair[1].upper_bound;
    if let Some(pair) = sent.windows(2).find(is_second) {
        let comma = if read.labels.as_str().is_empty() {
            ""
        } else {
            ","
        };
        let le = written(pair[1].upper_bound.value());
        let series = format!(
            "{name}_bucket{{{}{comma}le=\"{le}\"}}",
            read.labels.as_str()
        );
        let error = MeaningError::SecondSeries(Excerpt::of(series));
        return Err((pair[1].position, error));
    }
    let finite = |bucket: &&SentBucket| bucket.cumulative_count.is_finite();
    let last = sent.iter().rfind(finite);
    let sum = read.sum.filter(|sum| sum.is_finite());
    let count = read.count.filter(|(count, _)| count.is_finite());
    if last.is_none() && sum.is_none() && count.is_none() {
        return Ok(None);
    }
    let left_out = match sum {
        _ if !sent.iter().all(|bucket| finite(&bucket)) => LeftOut::Counts,
        _ if read.count.is_some() && count.is_none() => LeftOut::Counts,
        Some(_) => LeftOut::Nothing,
        None => LeftOut::Sum,
    };
    let infinity = implied_infinity(last, count);
    let start = buckets.len();
    let mut below = 0.0;
    for bucket in sent.iter().filter(finite).chain(&infinity) {
        let found = bucket.cumulative_count;
        if found < below {
            let series = Excerpt::of(series(name, &read.labels));
            let (below, found) = (written(below), written(found));
            let error = MeaningError::Decreasing {
                series,
                below,
                found,
            };
            return Err((bucket.position, error));
        }
        let (upper_bound, count) = (bucket.upper_bound, found - below);
        buckets.push(Bucket { upper_bound, count });
        below = found;
    }
    Ok(Some(PushedHistogram {
        family: read.family,
        labels: read.labels,
        buckets: start..buckets.len(),
        sum: sum.unwrap_or(0.0),
        count: count.map_or(below, |(count, _)| count),
        left_out,
        samples: u64::from(sum.is_some()) + u64::from(count.is_some()),
        native: read.native,
    }))
}

/// Puts sum and count of one summary together. No summary is refused: `None` when both are to be
/// left out, or when the count is negative. It has no buckets behind those that there are.
fn summary(read: HistogramParts<'_>, buckets: usize) -> Option<PushedHistogram<'_>> {
    let sum = read.sum.filter(|sum| sum.is_finite());
    let count = read.count.map(|(count, _)| count);
    let count = count.filter(|count| count.is_finite());
    let samples = u64::from(sum.is_some()) + u64::from(count.is_some());
    let is_kept = samples > 0 && count.is_none_or(|count| count >= 0.0);
    is_kept.then(|| PushedHistogram {
        family: read.family,
        labels: read.labels,
        buckets: buckets..buckets,
        sum: sum.unwrap_or(0.0),
        count: count.unwrap_or(0.0),
        left_out: match (read.count, count, sum) {
            (Some(_), None, _) => LeftOut::Counts,
            (_, _, None) => LeftOut::Sum,
            _ => LeftOut::Nothing,
        },
        samples,
        native: None,
    })
}

/// The `+Inf` bucket, where no sample says it: it counts what `_count` does, or, without that, no
/// more than the last bucket.
fn implied_infinity(last: Option<&SentBucket>, count: Option<(f64, usize)>) -> Option<SentBucket> {
    if last.is_some_and(|last| last.upper_bound == UpperBound::INFINITY) {
        return None;
    }
    let of_last = last.map_or((0.0, 0), |last| (last.cumulative_count, last.position));
    let (cumulative_count, position) = count.unwrap_or(of_last);
    let histogram = last.map_or(0, |last| last.histogram);
    let upper_bound = UpperBound::INFINITY;
    Some(SentBucket {
        histogram,
        upper_bound,
        cumulative_count,
        position,
    })
}

/// The refusal of a series that comes twice.
pub fn second_series(name: &str, labels: &LabelSet<'_>) -> MeaningError {
    MeaningError::SecondSeries(Excerpt::of(series(name, labels)))
}

fn series(name: &str, labels: &LabelSet<'_>) -> String {
    format!("{name}{{{}}}", labels.as_str())
}
