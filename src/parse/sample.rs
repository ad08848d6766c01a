//! A sample, as a reader gives it to the builder.

use std::borrow::Cow;

use super::error::MeaningError;
use super::names::{Kind, Named, Part};
use crate::excerpt::Excerpt;

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

/// Counts are never negative. Other numbers may well be: a histogram of temperatures can sum up to
/// less than nothing.
///
/// # Errors
/// When one is.
pub fn check_not_negative(named: &Named<'_>, value: f64) -> Result<(), MeaningError> {
    let what = match named.kind {
        Kind::Counter => "counter",
        Kind::Histogram(Part::Bucket) => "bucket",
        Kind::Histogram(Part::Count) => "count",
        _ => return Ok(()),
    };
    if value < 0.0 && value.is_finite() {
        let name = Excerpt::of(named.name);
        return Err(MeaningError::Negative { name, what });
    }
    Ok(())
}
