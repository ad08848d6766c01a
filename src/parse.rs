//! Untrusted bytes to a [`Push`], or the line and the cause of the refusal.
//!
//! Invariant: whatever the bytes, parsing ends, in time linear in their number, without a panic;
//! and what it returns is valid as `metric` says. Syntax first (`plain`, `line`), meaning second
//! (`families`); neither knows what is stored or how the bytes came.

mod distinct;
mod error;
mod families;
mod histogram;
mod label_set;
mod line;
mod names;
mod plain;
mod seconds;

use crate::grouping_key::GroupingKey;
use crate::label_limits::LabelLimits;
use crate::metric::Push;
use error::Cause;
use families::Families;
use line::{Label, Line};
use plain::{Shape, first_line};
use seconds::timestamp_split_off;

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
    let mut families = Families::new(key, limits, path_label_bytes_max, expected_lines(body));
    match std::str::from_utf8(body) {
        Ok(text) => read_text(text, &mut families)?,
        Err(_) => read_bytes(body, &mut families)?,
    }
    finish(families)
}

/// Reads the text of a snapshot, as `render_pieces` writes it. It was acknowledged, and is held to
/// no limits. Its timestamps say when each series was last pushed, in milliseconds: that of a
/// histogram stands on its `_count` line. Those of an ordinary body say nothing, and are ignored.
///
/// # Errors
/// Those of [`parse`].
pub fn parse_snapshot(text: &[u8]) -> Result<Push<'_>, ParseError> {
    static NO_KEY: GroupingKey = GroupingKey::NONE;
    let mut families = Families::new(&NO_KEY, LabelLimits::NONE, 0, expected_lines(text));
    families.take_timestamps();
    match std::str::from_utf8(text) {
        Ok(text) => read_snapshot(text, &mut families)?,
        Err(_) => read_bytes(text, &mut families)?,
    }
    finish(families)
}

fn finish(families: Families<'_>) -> Result<Push<'_>, ParseError> {
    families
        .finish()
        .map_err(|(line_number, error)| meaning_error(line_number, error))
}

/// About how many lines there will be, judged by the first few. What is reserved by that is at most
/// a few times the body, and memory only where it is used.
fn expected_lines(body: &[u8]) -> usize {
    const JUDGED_BYTES: usize = 2048;
    const LINE_BYTES_MIN: usize = 32;
    let judged = &body[..body.len().min(JUDGED_BYTES)];
    let lines = judged.split(|&byte| byte == b'\n').count();
    let line_bytes = (judged.len() / lines).max(LINE_BYTES_MIN);
    body.len() / line_bytes + 1
}

/// Reads plain lines at once, the others one by one.
fn read_text<'a>(text: &'a str, families: &mut Families<'a>) -> Result<(), ParseError> {
    let (mut labels, mut shape) = (Vec::new(), Shape::default());
    let mut rest = Some(text);
    for line_number in 1.. {
        let Some(text) = rest else { break };
        let plain = shape.plain(text, &mut labels);
        let plain = plain.filter(|(sample, _)| families.may_be_plain(sample));
        rest = if let Some((sample, behind)) = plain {
            families
                .plain_sample(&sample, &labels, line_number)
                .map_err(|error| meaning_error(line_number, error))?;
            behind
        } else if let Some(behind) = text.strip_prefix('\n') {
            Some(behind)
        } else {
            let (line, behind) = first_line(text);
            read_line(line.as_bytes(), &mut labels, families, line_number)?;
            behind
        };
    }
    Ok(())
}

/// The same for a snapshot, whose lines are plain but for a timestamp.
fn read_snapshot<'a>(text: &'a str, families: &mut Families<'a>) -> Result<(), ParseError> {
    let (mut labels, mut shape) = (Vec::new(), Shape::default());
    (1..)
        .zip(text.split('\n'))
        .try_for_each(|(line_number, line)| {
            let (sample, timestamp) = timestamp_split_off(line);
            let plain = shape.plain(sample, &mut labels);
            let plain = plain.filter(|(sample, _)| families.may_be_plain(sample));
            let Some((sample, _)) = plain else {
                return read_line(line.as_bytes(), &mut labels, families, line_number);
            };
            families.take_timestamp(timestamp);
            families
                .plain_sample(&sample, &labels, line_number)
                .map_err(|error| meaning_error(line_number, error))
        })
}

/// Only what is used of a body must be text: its comments may hold any bytes.
fn read_bytes<'a>(body: &'a [u8], families: &mut Families<'a>) -> Result<(), ParseError> {
    let mut labels = Vec::new();
    (1..)
        .zip(body.split(|&byte| byte == b'\n'))
        .try_for_each(|(line_number, line)| read_line(line, &mut labels, families, line_number))
}

fn read_line<'a>(
    line: &'a [u8],
    labels: &mut Vec<Label<'a>>,
    families: &mut Families<'a>,
    line_number: usize,
) -> Result<(), ParseError> {
    let line = line::line(line, labels).map_err(|error| ParseError {
        line_number,
        cause: Cause::Syntax(error),
    })?;
    match line {
        Line::Empty => Ok(()),
        Line::Help { name, text } => families.names.help(name, text),
        Line::Type { name, metric_type } => families.names.metric_type(name, metric_type),
        Line::Sample {
            name,
            value,
            timestamp,
            source,
        } => {
            families.take_timestamp(timestamp);
            families.sample(name, labels, source, value, line_number)
        }
    }
    .map_err(|error| meaning_error(line_number, error))
}

fn meaning_error(line_number: usize, error: MeaningError) -> ParseError {
    ParseError {
        line_number,
        cause: Cause::Meaning(error),
    }
}
