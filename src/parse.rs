//! Untrusted bytes to a [`Push`], or the line and the cause of the refusal.
//!
//! Invariant: whatever the bytes, parsing ends, in time linear in their number, without a panic;
//! and what it returns is valid as `metric` says. Syntax first, by a reader for each format;
//! meaning second, by one `builder` for all of them. Neither knows what is stored or how the bytes
//! came.

mod builder;
mod distinct;
mod error;
mod histogram;
mod label_set;
mod line;
mod names;
mod plain;
mod text;

use crate::grouping_key::GroupingKey;
use crate::label_limits::LabelLimits;
use crate::metric::Push;
use builder::Builder;

pub use error::{MeaningError, ParseError, SyntaxError};

/// The labels of the path are put on every sample: so many times the length of the body, and so
/// many bytes beyond, may come of it. A short body with a long path costs what they carry.
const PATH_LABELS_RATIO_MAX: usize = 16;
const PATH_LABELS_BYTES_FREE: usize = 1 << 20;

/// Reads a body in the Prometheus text format and puts the labels of the path on every sample.
///
/// # Errors
/// The first line that is not in the format, that contradicts those before it, or whose series is
/// beyond the limits; when there is none, a bucket that contradicts the others of its histogram.
pub fn parse<'a>(
    body: &'a [u8],
    key: &'a GroupingKey,
    limits: LabelLimits,
) -> Result<Push<'a>, ParseError> {
    let path_label_bytes_max = PATH_LABELS_RATIO_MAX * body.len() + PATH_LABELS_BYTES_FREE;
    let mut builder = Builder::new(
        key,
        limits,
        path_label_bytes_max,
        text::expected_lines(body),
    );
    text::read(body, key, &mut builder)?;
    builder
        .finish()
        .map_err(|(line_number, error)| text::meaning_error(line_number, error))
}
