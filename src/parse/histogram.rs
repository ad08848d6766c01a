//! The lines of one histogram, in whatever order they came, to the histogram they mean.

use super::error::MeaningError;
use crate::excerpt::Excerpt;
use crate::metric::{Bucket, Histogram, LabelSet, UpperBound};

/// The lines of one histogram, in any order. What is NaN or infinite is kept until all are there,
/// so that a second line for the same part is still found.
pub struct HistogramLines<'a> {
    /// Without `le`.
    pub labels: LabelSet<'a>,
    /// The lines of buckets; whether one comes twice is found in the end.
    pub buckets: Vec<BucketLine>,
    /// The value of the `_sum` line.
    pub sum: Option<f64>,
    /// The value and the number of the `_count` line.
    pub count: Option<(f64, usize)>,
}

/// One line of a bucket.
#[derive(Clone, Copy)]
pub struct BucketLine {
    /// Its `le`.
    pub upper_bound: UpperBound,
    /// Its value, which counts all that is not above its bound.
    pub cumulative_count: f64,
    /// Where it stands, for messages.
    pub line_number: usize,
}

/// Puts the lines of one histogram together; `None` when every one of them is to be left out.
///
/// # Errors
/// A bucket that comes twice, or cumulative counts that decrease, with the number of its line.
pub fn histogram(
    name: &str,
    lines: &HistogramLines<'_>,
) -> Result<Option<Histogram>, (usize, MeaningError)> {
    let mut sorted = lines.buckets.clone();
    sorted.sort_unstable_by_key(|bucket| (bucket.upper_bound, bucket.line_number));
    if let Some(pair) = sorted
        .windows(2)
        .find(|pair| pair[0].upper_bound == pair[1].upper_bound)
    {
        let error = second_series(&format!("{name}_bucket"), &lines.labels);
        return Err((pair[1].line_number, error));
    }
    sorted.retain(|bucket| bucket.cumulative_count.is_finite());
    let sum = lines.sum.filter(|sum| sum.is_finite());
    let count = lines.count.filter(|(count, _)| count.is_finite());
    if sorted.is_empty() && sum.is_none() && count.is_none() {
        return Ok(None);
    }
    let last = sorted.last().copied();
    if last.is_none_or(|bucket| bucket.upper_bound != UpperBound::INFINITY) {
        let of_last = last.map_or((0.0, 0), |last| (last.cumulative_count, last.line_number));
        let (cumulative_count, line_number) = count.unwrap_or(of_last);
        let upper_bound = UpperBound::INFINITY;
        sorted.push(BucketLine {
            upper_bound,
            cumulative_count,
            line_number,
        });
    }
    let total = sorted.last().map_or(0.0, |last| last.cumulative_count);
    let buckets = own_counts(name, &lines.labels, &sorted)?;
    let count = count.map_or(total, |(count, _)| count);
    Ok(Some(Histogram {
        buckets,
        sum: sum.unwrap_or(0.0),
        count,
    }))
}

/// Cumulative counts to each bucket's own.
fn own_counts(
    name: &str,
    labels: &LabelSet<'_>,
    sorted: &[BucketLine],
) -> Result<Vec<Bucket>, (usize, MeaningError)> {
    let mut below = 0.0;
    let mut buckets = Vec::with_capacity(sorted.len());
    for line in sorted {
        let count = line.cumulative_count - below;
        if count < 0.0 {
            let series = Excerpt::of(format!("{name}{{{}}}", labels.as_str()));
            let found = line.cumulative_count;
            let error = MeaningError::Decreasing {
                series,
                below,
                found,
            };
            return Err((line.line_number, error));
        }
        buckets.push(Bucket {
            upper_bound: line.upper_bound,
            count,
        });
        below = line.cumulative_count;
    }
    Ok(buckets)
}

/// The refusal of a series that comes twice.
pub fn second_series(name: &str, labels: &LabelSet<'_>) -> MeaningError {
    MeaningError::SecondSeries(Excerpt::of(format!("{name}{{{}}}", labels.as_str())))
}
