//! Untrusted bytes to a [`Push`], or the line and the cause of the refusal.
//!
//! Invariant: whatever the bytes, parsing ends, in time linear in their number, without a panic;
//! and what it returns is valid as `metric` says. Syntax first (`line`), meaning second
//! (`families`); neither knows what is stored or how the bytes came.

mod distinct;
mod error;
mod families;
mod histogram;
mod label_set;
mod line;

use crate::grouping_key::GroupingKey;
use crate::metric::Push;
use error::Cause;
use families::Families;
use line::Line;

pub use error::{MeaningError, ParseError, SyntaxError};

/// The labels of the path are put on every sample: so many times the length of the body, and so
/// many bytes beyond, may come of it. A short body with a long path costs what they carry.
const PATH_LABELS_RATIO_MAX: usize = 16;
const PATH_LABELS_BYTES_FREE: usize = 1 << 20;

/// Reads a body in the Prometheus text format and puts the labels of the path on every sample.
///
/// # Errors
/// The first line that is not in the format or that contradicts those before it; when there is
/// none, a bucket that contradicts the others of its histogram.
pub fn parse<'a>(body: &'a [u8], key: &'a GroupingKey) -> Result<Push<'a>, ParseError> {
    let mut labels = Vec::new();
    let path_label_bytes_max = PATH_LABELS_RATIO_MAX * body.len() + PATH_LABELS_BYTES_FREE;
    let mut families = Families::new(key, path_label_bytes_max);
    for (line_number, bytes) in (1..).zip(body.split(|&byte| byte == b'\n')) {
        let refused = |cause| ParseError { line_number, cause };
        let line = line::line(bytes, &mut labels).map_err(|error| refused(Cause::Syntax(error)))?;
        match line {
            Line::Empty => Ok(()),
            Line::Help { name, text } => families.help(name, text),
            Line::Type { name, metric_type } => families.metric_type(name, metric_type),
            Line::Sample {
                name,
                value,
                source,
            } => families.sample(name, &mut labels, source, value, line_number),
        }
        .map_err(|error| refused(Cause::Meaning(error)))?;
    }
    families
        .finish()
        .map_err(|(line_number, error)| ParseError {
            line_number,
            cause: Cause::Meaning(error),
        })
}
