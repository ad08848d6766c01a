//! What a sender is told: the line, what was expected there, what was found.
//!
//! Invariant: every message is one line of at most 300 bytes, whatever the input.

use std::fmt;

use super::native::NativeFault;
use crate::excerpt::Excerpt;
use crate::label_limits::BeyondLimit;
use crate::number::written;

/// Why a body is refused: `line 3: label value is not closed`.
#[derive(Clone, Debug, PartialEq)]
pub struct ParseError {
    /// Where.
    pub location: Location,
    /// What is wrong there.
    pub cause: Cause,
}

/// Where in a body something is wrong, in the terms of its format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// All of it.
    Body,
    /// A line of text, counted from one.
    Line(usize),
    /// A metric family, counted from one.
    Family(usize),
    /// A metric of a family, counted from one.
    Metric {
        /// Of the family.
        name: Excerpt,
        /// Of the metric, within the family.
        number: usize,
    },
}

/// Whether the place is wrong by itself, or by what stands before it.
#[derive(Clone, Debug, PartialEq)]
pub enum Cause {
    /// It is not in the format.
    Syntax(SyntaxError),
    /// The same of a body without line feeds: it would be, had it those of its file.
    NoLineFeeds(SyntaxError),
    /// It contradicts itself or another place.
    Meaning(MeaningError),
}

impl fmt::Display for ParseError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Syntax(cause) => write!(to, "{}: {cause}", self.location),
            Cause::NoLineFeeds(cause) => write!(
                to,
                "{}: {cause}; the body has no line feeds, which curl -d removes: use \
                 --data-binary",
                self.location
            ),
            Cause::Meaning(cause) => write!(to, "{}: {cause}", self.location),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Body => write!(to, "body"),
            Location::Line(number) => write!(to, "line {number}"),
            Location::Family(number) => write!(to, "metric family {number}"),
            Location::Metric { name, number } => write!(to, "metric {number} of {name}"),
        }
    }
}

impl std::error::Error for ParseError {}

impl ParseError {
    /// True if the line is right but for the limits of a series.
    #[must_use]
    pub fn is_beyond_limit(&self) -> bool {
        matches!(self.cause, Cause::Meaning(MeaningError::Beyond { .. }))
    }
}

/// Why a line is not in the format.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // the messages below say it
pub enum SyntaxError {
    NotUtf8,
    Nul,
    /// Something else should stand here.
    Expected {
        what: &'static str,
        found: Excerpt,
    },
    /// Something else should stand behind a metric name, a label name or a label.
    ExpectedBehind {
        what: &'static str,
        behind: &'static str,
        name: Excerpt,
        found: Excerpt,
    },
    LabelValueNotClosed,
    LabelsNotClosed,
    QuotedName,
    SecondName(Excerpt),
    EmptyMetricName,
    EscapeInName(Excerpt),
    NameNotClosed,
    NoValue(Excerpt),
    NotANumber(Excerpt),
    NumberTooLarge(Excerpt),
    Timestamp(Excerpt),
    BehindValue,
    UnknownType(Excerpt),
    HelpAlone,
    BehindEnd,
    Gzip,
    Multipart,
    Message(MessageError),
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        use SyntaxError as E;
        match self {
            E::NotUtf8 => write!(to, "text is not valid UTF-8"),
            E::Nul => write!(to, "text contains a NUL byte"),
            E::Expected { what, found } => write!(to, "expected {what}, found {found}"),
            E::ExpectedBehind {
                what,
                behind,
                name,
                found,
            } => {
                write!(
                    to,
                    "expected {what} after the {behind} {name}, found {found}"
                )
            }
            E::LabelValueNotClosed => write!(to, "label value is not closed"),
            E::LabelsNotClosed => write!(to, "labels are not closed, expected `}}`"),
            E::QuotedName => write!(to, "a quoted metric name stands between braces"),
            E::SecondName(name) => write!(to, "the sample has a second name, {name}"),
            E::EmptyMetricName => write!(to, "a metric name is empty"),
            E::EscapeInName(name) => write!(to, "unknown escape in the name {name}"),
            E::NameNotClosed => write!(to, "name is not closed"),
            E::NoValue(name) => write!(to, "sample {name} has no value"),
            E::NotANumber(found) => write!(to, "value is not a number: {found}"),
            E::NumberTooLarge(found) => write!(to, "number is too large: {found}"),
            E::Timestamp(found) => write!(to, "timestamp is not a number: {found}"),
            E::BehindValue => write!(
                to,
                "only a timestamp may follow the value; comments stand on lines of their own, \
                 exemplars are not part of this text format"
            ),
            E::UnknownType(found) => write!(
                to,
                "unknown type {found}, expected counter, gauge, histogram, summary, untyped or one \
                 of OpenMetrics"
            ),
            E::HelpAlone => write!(to, "there is nothing but a HELP line"),
            E::BehindEnd => write!(to, "nothing may follow the line `# EOF`"),
            E::Gzip => write!(
                to,
                "it is compressed by gzip, but there is no header `Content-Encoding: gzip`"
            ),
            E::Multipart => write!(
                to,
                "it is a multipart form, as curl -F sends; send the text alone by \
                 curl --data-binary @FILE"
            ),
            E::Message(cause) => cause.fmt(to),
        }
    }
}

/// Why a protobuf message is not in the format. It is small: each field that is read may give one.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)] // the messages below say it
pub enum MessageError {
    NotUtf8,
    Nul,
    LabelName,
    CutOff { missing: u64 },
    Varint,
    FieldNumber(u64),
    Group,
    WireType(&'static str),
    Packed(&'static str),
    UnknownType(i32),
    BoundNotANumber,
    SecondBound(f64),
    NativeBuckets(usize),
}

impl fmt::Display for MessageError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        use MessageError as E;
        match self {
            E::NotUtf8 => SyntaxError::NotUtf8.fmt(to),
            E::Nul => SyntaxError::Nul.fmt(to),
            E::LabelName => write!(to, "a label has no name"),
            E::UnknownType(number) => write!(to, "there is no metric type {number}"),
            E::CutOff { missing } => write!(
                to,
                "a protobuf message is cut off, {missing} bytes are missing"
            ),
            E::Varint => write!(to, "a protobuf number is cut off or has more than 64 bits"),
            E::FieldNumber(number) => write!(to, "there is no protobuf field {number}"),
            E::Group => write!(to, "protobuf groups and unknown wire types are not read"),
            E::WireType(field) => write!(to, "the field `{field}` has the wrong protobuf type"),
            E::BoundNotANumber => write!(to, "the upper bound of a bucket is not a number"),
            E::SecondBound(bound) => {
                write!(
                    to,
                    "the bucket with the bound {} comes twice",
                    written(*bound)
                )
            }
            E::NativeBuckets(max) => {
                write!(
                    to,
                    "a native histogram has more than {max} buckets or spans of one sign"
                )
            }
            E::Packed(field) => write!(to, "the packed list `{field}` is cut off"),
        }
    }
}

/// Why lines that are each in the format mean nothing together.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // the messages below say it
pub enum MeaningError {
    SecondType {
        name: Excerpt,
        first: &'static str,
        first_position: u32,
        second: &'static str,
    },
    OtherType {
        name: Excerpt,
        first: &'static str,
        second: &'static str,
    },
    TypeAfterSamples(Excerpt),
    Exposed {
        name: Excerpt,
        by: Excerpt,
        declared: &'static str,
    },
    NoValue {
        name: Excerpt,
        declared: &'static str,
    },
    ReservedLabel(Excerpt),
    SecondLabel(Excerpt),
    SecondSeries(Excerpt),
    NoUpperBound(Excerpt),
    UpperBound(Excerpt),
    StrayUpperBound(Excerpt),
    BareHistogram(Excerpt),
    Negative {
        name: Excerpt,
        what: &'static str,
    },
    Decreasing {
        series: Excerpt,
        below: String,
        found: String,
    },
    Native {
        name: Excerpt,
        fault: NativeFault,
    },
    LongPathLabels,
    Beyond {
        name: Excerpt,
        limit: BeyondLimit,
    },
}

impl fmt::Display for MeaningError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        use MeaningError as E;
        match self {
            E::SecondType {
                name,
                first,
                first_position,
                second,
            } => write!(
                to,
                "TYPE of {name} is {second}, but {first} in line {first_position}"
            ),
            E::OtherType {
                name,
                first,
                second,
            } => write!(to, "the type of {name} is {second}, but {first} before"),
            E::TypeAfterSamples(name) => {
                write!(
                    to,
                    "TYPE of {name} comes after its samples; put it before them"
                )
            }
            E::Exposed { name, by, declared } => {
                write!(
                    to,
                    "the name {name} is taken: the {declared} {by} exposes it"
                )
            }
            E::NoValue { name, declared } => {
                write!(to, "the {declared} {name} has no value of that type")
            }
            E::ReservedLabel(found) => {
                write!(
                    to,
                    "label names that begin with `__` are reserved, found {found}"
                )
            }
            E::SecondLabel(label) => write!(to, "the label {label} is given twice"),
            E::LongPathLabels => {
                write!(
                    to,
                    "the labels of the path are too long to be put on so many samples"
                )
            }
            E::Beyond { name, limit } => write!(to, "{name} has {limit}"),
            E::Native { name, fault } => write!(to, "the native histogram {name}: {fault}"),
            E::SecondSeries(series) => write!(to, "the series {series} is in this push twice"),
            E::NoUpperBound(name) => write!(to, "the bucket {name} has no label `le`"),
            E::UpperBound(found) => {
                write!(to, "the label `le` of a bucket is not a number: {found}")
            }
            E::StrayUpperBound(name) => {
                write!(to, "{name} of a histogram cannot have the label `le`")
            }
            E::BareHistogram(name) => write!(
                to,
                "{name} is a histogram: expected `_bucket`, `_sum` or `_count` behind its name"
            ),
            E::Negative { name, what } => write!(to, "the {what} {name} is negative"),
            E::Decreasing {
                series,
                below,
                found,
            } => write!(
                to,
                "cumulative counts of the histogram {series} decrease: {found} after {below}"
            ),
        }
    }
}

/// The refusal of what is of this name.
pub fn beyond(name: &str, limit: BeyondLimit) -> MeaningError {
    let name = Excerpt::of(name);
    MeaningError::Beyond { name, limit }
}
