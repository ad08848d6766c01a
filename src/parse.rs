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

/// Reads a body in the Prometheus text format and puts the labels of the path on every sample.
///
/// # Errors
/// The first line that is not in the format, or the first one that contradicts those before it.
pub fn parse<'a>(body: &'a [u8], key: &'a GroupingKey) -> Result<Push<'a>, ParseError> {
    let mut labels = Vec::new();
    let mut families = Families::new(key);
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
