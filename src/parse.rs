//! Untrusted bytes to a [`Push`], or the place and the cause of the refusal.
//!
//! Invariant: whatever the bytes, parsing ends, in time linear in their number, without a panic;
//! and what it returns is valid as `metric` says. Syntax first, by a reader for each format;
//! meaning second, by one `builder` for all of them. Neither knows what is stored or how the bytes
//! came. A [`Template`] reads a body that differs from an accepted one in its numbers only: it
//! gives what [`parse`] gives, or nothing.

mod builder;
mod distinct;
mod error;
mod format;
mod histogram;
mod label_set;
mod line;
mod marks;
mod message_marks;
mod metric_message;
mod names;
mod native;
mod openmetrics;
mod plain;
mod plain_metric;
mod protobuf;
mod sample;
mod seconds;
mod starts;
mod template;
mod text;
mod wire;

use crate::grouping_key::GroupingKey;
use crate::label_limits::LabelLimits;
use crate::metric::Push;
use builder::Builder;
use error::Cause;
use names::Dialect;

pub use error::{Location, MeaningError, ParseError, SyntaxError};
pub use format::{Format, UnsupportedFormat};
pub use native::NativeFault;
pub use plain_metric::Arena;
pub use template::Template;

/// The labels of the path are put on every sample. All copies together may have this number of
/// times the bytes of the body, and [`PATH_LABELS_BYTES_FREE`] more.
const PATH_LABELS_RATIO_MAX: usize = 16;
const PATH_LABELS_BYTES_FREE: usize = 1 << 20;

/// What a body that gzip has made begins with (RFC 1952 section 2.3.1).
const GZIP: &[u8] = b"\x1f\x8b\x08";

/// Reads a body in this format and puts the labels of the path on every sample.
///
/// # Errors
/// The first place that is not in the format, that contradicts those before it, or whose series is
/// beyond the limits; when there is none, a bucket that contradicts the others of its histogram.
pub fn parse<'a>(
    format: Format,
    body: &'a [u8],
    key: &'a GroupingKey,
    limits: LabelLimits,
) -> Result<Push<'a>, ParseError> {
    read(format, body, key, limits, &mut [])
}

/// The same, faster: label sets that cannot be borrowed from a body of protobuf are mostly borrowed
/// from the arena instead of being allocated one by one.
///
/// # Errors
/// As [`parse`].
pub fn parse_in<'a>(
    arena: &'a mut Arena,
    format: Format,
    body: &'a [u8],
    key: &'a GroupingKey,
    limits: LabelLimits,
) -> Result<Push<'a>, ParseError> {
    let length = match format {
        Format::Text | Format::OpenMetrics => 0,
        Format::Protobuf => protobuf::arena_bytes(body, key),
    };
    read(format, body, key, limits, arena.of_length(length))
}

fn read<'a>(
    format: Format,
    body: &'a [u8],
    key: &'a GroupingKey,
    limits: LabelLimits,
    free: &'a mut [u8],
) -> Result<Push<'a>, ParseError> {
    match format {
        _ if body.starts_with(GZIP) => Err(ParseError {
            location: Location::Body,
            cause: Cause::Syntax(SyntaxError::Gzip),
        }),
        Format::Text => parse_text(Dialect::Text, body, key, limits),
        Format::OpenMetrics => parse_text(Dialect::OpenMetrics, body, key, limits),
        Format::Protobuf => {
            let samples = protobuf::expected_samples(body);
            let mut builder = builder(Dialect::Protobuf, body, key, limits, samples);
            protobuf::read(body, key, free, &mut builder)?;
            let push = builder.finish();
            push.map_err(|(position, error)| protobuf::meaning_error(body, position, error))
        }
    }
}

/// Reads the text of a snapshot, as `render_pieces` writes it: each sample is stored as it stands.
/// (Of a push, gauges that say when other series began are left out.) Its timestamps say when each
/// series was last pushed, in milliseconds: that of a histogram stands on its `_count` line.
///
/// # Errors
/// As [`parse`]; none for what this gateway has written.
pub fn parse_snapshot<'a>(text: &'a [u8], key: &'a GroupingKey) -> Result<Push<'a>, ParseError> {
    let (dialect, limits) = (Dialect::Snapshot, LabelLimits::NONE);
    let mut builder = builder(dialect, text, key, limits, text::expected_lines(text));
    builder.take_timestamps();
    text::read_snapshot(text, key, &mut builder)?;
    let push = builder.finish();
    push.map_err(|(line_number, error)| text::meaning_error(line_number, error))
}

fn parse_text<'a>(
    dialect: Dialect,
    body: &'a [u8],
    key: &'a GroupingKey,
    limits: LabelLimits,
) -> Result<Push<'a>, ParseError> {
    let mut builder = builder(dialect, body, key, limits, text::expected_lines(body));
    text::read(grammar(dialect), body, key, &mut builder)?;
    let push = builder.finish();
    push.map_err(|(line_number, error)| text::meaning_error(line_number, error))
}

fn grammar(dialect: Dialect) -> text::Grammar {
    match dialect {
        Dialect::OpenMetrics => openmetrics::line,
        Dialect::Text | Dialect::Snapshot | Dialect::Protobuf => line::line,
    }
}

/// The template of a body that [`parse`] accepts, if there can be one: then
/// [`Template::read`] reads bodies that are like it but for their numbers, several times as fast.
#[must_use]
pub fn make_template(
    format: Format,
    body: &[u8],
    key: &GroupingKey,
    limits: LabelLimits,
) -> Option<Template> {
    let made_for = (format, key, limits);
    match format {
        Format::Text => template_of_text(Dialect::Text, body, made_for),
        Format::OpenMetrics => template_of_text(Dialect::OpenMetrics, body, made_for),
        Format::Protobuf => {
            let push = parse(format, body, key, limits).ok()?;
            let marks = message_marks::marks(body)?;
            // A gauge that says when another series began is no number of the push.
            let has_starts = push.skipped.created > 0;
            let template = Template::new(made_for, body, &marks, marks.len(), &push);
            template.filter(|_| !has_starts)
        }
    }
}

fn template_of_text(
    dialect: Dialect,
    body: &[u8],
    (format, key, limits): (Format, &GroupingKey, LabelLimits),
) -> Option<Template> {
    let text = std::str::from_utf8(body).ok()?;
    let mut builder = builder(dialect, body, key, limits, text::expected_lines(body));
    let mut marks = text::read_marked(grammar(dialect), text, key, &mut builder).ok()??;
    let samples = marks.len();
    marks::leave_out_starts(&mut marks, &builder.places_of_starts());
    let push = builder.finish().ok()?;
    Template::new((format, key, limits), body, &marks, samples, &push)
}

fn builder<'a>(
    dialect: Dialect,
    body: &[u8],
    key: &GroupingKey,
    limits: LabelLimits,
    expected_samples: usize,
) -> Builder<'a> {
    let path_label_bytes_max = path_label_bytes_max(body);
    Builder::new(dialect, key, limits, path_label_bytes_max, expected_samples)
}

/// How much the labels of the path may take in all samples of a body.
fn path_label_bytes_max(body: &[u8]) -> usize {
    PATH_LABELS_RATIO_MAX * body.len() + PATH_LABELS_BYTES_FREE
}
