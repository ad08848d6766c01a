//! Syntax: one line of text to a [`Line`], or what is wrong with it.
//!
//! ```text
//! line      = { blank } [ comment | help | type | sample ] { carriage-return }
//! comment   = "#" anything that is neither help nor type
//! help      = "#" { blank } "HELP" blanks name blanks text
//! type      = "#" { blank } "TYPE" blanks name blanks word { blank }
//! sample    = name ( { blank } labels { blank } | blanks ) number [ blanks timestamp ] { blank }
//! labels    = "{" [ label { "," label } [ "," ] ] "}"       blanks anywhere between tokens
//! label     = ( label-name | quoted ) "=" quote { character | escape } quote
//! quoted    = quote { character | escape, but the last } quote
//! character = any but quote, backslash and NUL
//! escape    = "\\\\" | "\\\"" | "\n" | "\\" any other character
//! number    = a decimal number, "Inf", "Infinity" with or without sign, or "NaN", in any case
//! timestamp = a number that is finite
//! blanks    = blank { blank }
//! blank     = " " | tab
//! ```
//!
//! The source is the Prometheus docs' page on exposition formats (text version 0.0.4), and where
//! that is silent its reference parser, prometheus/common expfmt. Where this code departs from it:
//!
//! - carriage returns at the end of a line are ignored, so CRLF is a line end;
//! - the last line may lack its line feed: HTTP already protects against a cut body;
//! - the types of `OpenMetrics` are read, and timestamps that are fractions, as several client
//!   libraries write them;
//! - a TYPE line without a type is a comment, and so is a HELP line without a text;
//! - a HELP text may go on over lines that are in no format, up to the TYPE line of the same name;
//! - a backslash that begins no escape stands for itself, as in `C:\dir` and in `OpenMetrics`;
//! - a NUL in a label value or in HELP is refused, and so is a label whose name begins with `__`,
//!   which Prometheus keeps for itself and other readers refuse;
//! - numbers are what Rust and Go both read: no hexadecimal, no `_`, no signed NaN, nothing that
//!   overflows to infinity.
//!
//! Since version 1.0.0, names may be any text. Beyond the alphabet they are quoted: a label name
//! where it stands, a metric name in HELP and TYPE, and in a sample among its labels, as the one
//! without a value. A name inside the alphabet is the same name with quotes and without.
//!
//! Every function is named after its rule and returns its value and what is left of the line. Time
//! is linear in the line, and nothing is allocated but the caller's list, a text with undefined
//! escapes, and for an error.

use std::borrow::Cow;

use super::error::SyntaxError;
use super::names::Declared;
use crate::excerpt::Excerpt;
use crate::metric::{label_name_length, metric_name_length};

/// What a line says; borrowed from it.
#[derive(Debug, PartialEq)]
pub enum Line<'a> {
    /// Nothing: empty or a comment.
    Empty,
    /// A HELP line; its text is left escaped.
    Help {
        /// Of the metric family.
        name: &'a str,
        /// Escaped as HELP of a [`crate::metric::PushedFamily`] is.
        text: Cow<'a, str>,
    },
    /// A TYPE line.
    Type {
        /// Of the metric family.
        name: &'a str,
        /// `unknown` is read as untyped.
        declared: Declared,
    },
    /// A sample; its labels were put into the list that the caller gave.
    Sample {
        /// Of the sample, suffix included.
        name: &'a str,
        /// As sent: it may be NaN or infinite.
        value: f64,
        /// The line, of which the labels' names and values are parts.
        source: &'a str,
        /// Whether a label value has a backslash that stands for itself.
        has_undefined_escapes: bool,
    },
    /// The line behind which nothing may follow.
    End,
}

/// One label as sent. Its value is left escaped, without its quotes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Label<'a> {
    /// Inside the alphabet of label names.
    pub name: &'a str,
    /// Escaped; may be empty.
    pub value: &'a str,
}

/// What a name has to be.
pub const METRIC_NAME: &str = "a metric name (letters, digits, `_`, `:`, no digit first)";
/// The same of a label.
pub const LABEL_NAME: &str = "a label name (letters, digits, `_`, no digit first)";

/// The refusal of what is not as it should be.
pub fn expected(what: &'static str, found: &str) -> SyntaxError {
    SyntaxError::Expected {
        what,
        found: Excerpt::of(found),
    }
}

fn expected_behind(
    what: &'static str,
    behind: &'static str,
    name: &str,
    found: &str,
) -> SyntaxError {
    SyntaxError::ExpectedBehind {
        what,
        behind,
        name: Excerpt::of(name),
        found: Excerpt::of(found),
    }
}

/// A value, and what is left of the line.
pub type Parsed<'a, T> = Result<(T, &'a str), SyntaxError>;

/// Reads one line, given without its line feed. The labels of a sample replace what `labels` held.
///
/// # Errors
/// The first thing in the line that is not in the grammar.
pub fn line<'a>(line: &'a [u8], labels: &mut Vec<Label<'a>>) -> Result<Line<'a>, SyntaxError> {
    let line = trimmed(line);
    match line.first() {
        None => Ok(Line::Empty),
        Some(b'#') => comment(&line[1..], help_text),
        Some(_) => sample(text(line)?, labels),
    }
}

/// A line without leading blanks and carriage returns at its end.
pub fn trimmed(line: &[u8]) -> &[u8] {
    let mut line = skip_blank_bytes(line);
    while let Some(shorter) = line.strip_suffix(b"\r") {
        line = shorter;
    }
    line
}

/// Only what is used of a line must be text: a comment may hold any bytes.
///
/// # Errors
/// When it is not.
pub fn text(line: &[u8]) -> Result<&str, SyntaxError> {
    std::str::from_utf8(line).map_err(|_| SyntaxError::NotUtf8)
}

/// How the text of a HELP line is escaped.
pub type HelpText = fn(&str) -> Cow<'_, str>;

/// Reads what stands behind the hash of a line.
///
/// # Errors
/// When it is a HELP or TYPE line that is not in the grammar.
pub fn comment(after_hash: &[u8], help_text: HelpText) -> Result<Line<'_>, SyntaxError> {
    let comment = skip_blank_bytes(after_hash);
    let is_help = match comment.first_chunk() {
        Some(b"HELP") => true,
        Some(b"TYPE") => false,
        _ => return Ok(Line::Empty),
    };
    let behind_keyword = &comment[4..];
    let rest = skip_blank_bytes(behind_keyword);
    if rest.len() == behind_keyword.len() || rest.is_empty() {
        // A longer word, or nothing behind the keyword: a comment.
        return Ok(Line::Empty);
    }
    let rest = text(rest)?;
    let (name, rest) = match rest.strip_prefix('"') {
        Some(rest) => quoted_metric_name(rest)?,
        None => metric_name(rest)?,
    };
    let rest = skip_blanks(expect_blank_or_end(name, rest)?);
    match rest {
        "" => Ok(Line::Empty),
        text if text.contains('\0') => Err(SyntaxError::Nul),
        text if is_help => Ok(Line::Help {
            name,
            text: help_text(text),
        }),
        _ => metric_type(name, rest),
    }
}

fn metric_type<'a>(name: &'a str, rest: &'a str) -> Result<Line<'a>, SyntaxError> {
    let (word, rest) = token(rest);
    let declared =
        Declared::from_word(word).ok_or_else(|| SyntaxError::UnknownType(Excerpt::of(word)))?;
    match skip_blanks(rest) {
        "" => Ok(Line::Type { name, declared }),
        found => Err(expected("the end of the line after the type", found)),
    }
}

fn sample<'a>(source: &'a str, labels: &mut Vec<Label<'a>>) -> Result<Line<'a>, SyntaxError> {
    let (sample, rest) = value_of_sample(source, labels)?;
    match rest {
        "" => Ok(sample),
        rest if rest.starts_with('#') => Err(SyntaxError::BehindValue),
        rest => match timestamp(rest)? {
            "" => Ok(sample),
            found if found.starts_with('#') => Err(SyntaxError::BehindValue),
            found => Err(expected("the end of the line after the timestamp", found)),
        },
    }
}

/// Reads a sample line up to its value, with the blanks behind that.
///
/// # Errors
/// The first thing in it that is not in the grammar.
pub fn value_of_sample<'a>(source: &'a str, labels: &mut Vec<Label<'a>>) -> Parsed<'a, Line<'a>> {
    labels.clear();
    let (name, behind) = if source.starts_with('{') {
        (None, source)
    } else {
        let (name, behind) = metric_name(source)?;
        (Some(name), behind)
    };
    let ((name, has_undefined_escapes), rest) = match (name, skip_blanks(behind).strip_prefix('{'))
    {
        (name, Some(rest)) => {
            let ((name, has_undefined_escapes), rest) = label_list(name, rest, labels)?;
            let name = name.ok_or_else(|| expected(METRIC_NAME, source))?;
            ((name, has_undefined_escapes), rest)
        }
        (name, None) => {
            let name = name.unwrap_or_default();
            ((name, false), expect_blank_or_end(name, behind)?)
        }
    };
    let (word, rest) = token(skip_blanks(rest));
    if word.is_empty() {
        return Err(SyntaxError::NoValue(Excerpt::of(name)));
    }
    let sample = Line::Sample {
        name,
        value: number(word)?,
        source,
        has_undefined_escapes,
    };
    Ok((sample, skip_blanks(rest)))
}

/// Reads the labels behind an opened brace, up to and with the closing one. Gives the metric name,
/// which is quoted among them if it has not come before, and true if a value has a backslash that
/// stands for itself.
///
/// # Errors
/// The first thing in them that is not in the grammar.
pub fn label_list<'a>(
    mut name: Option<&'a str>,
    input: &'a str,
    labels: &mut Vec<Label<'a>>,
) -> Parsed<'a, (Option<&'a str>, bool)> {
    let mut rest = skip_blanks(input);
    let mut has_undefined_escapes = false;
    loop {
        if let Some(rest) = rest.strip_prefix('}') {
            return Ok(((name, has_undefined_escapes), rest));
        }
        let (what, after) = if let Some((quoted, after)) = name_alone(rest)? {
            if name.replace(quoted).is_some() {
                return Err(SyntaxError::SecondName(Excerpt::of(quoted)));
            }
            (quoted, after)
        } else {
            let ((label, is_undefined), after) = label(rest)?;
            labels.push(label);
            has_undefined_escapes |= is_undefined;
            (label.name, after)
        };
        let after = skip_blanks(after);
        rest = match after.as_bytes().first() {
            Some(b',') => skip_blanks(&after[1..]),
            Some(b'}') => after,
            None => return Err(SyntaxError::LabelsNotClosed),
            Some(_) => {
                return Err(expected_behind("`,` or `}`", "label", what, after));
            }
        };
    }
}

/// The quoted metric name at the begin of `input`, if what stands there is no label.
fn name_alone(input: &str) -> Result<Option<(&str, &str)>, SyntaxError> {
    let Some(behind) = input.strip_prefix('"') else {
        return Ok(None);
    };
    let (_, after) = quoted(behind)?;
    if skip_blanks(after).starts_with('=') {
        return Ok(None);
    }
    quoted_metric_name(behind).map(Some)
}

/// Reads a metric name behind its opening quote.
fn quoted_metric_name(input: &str) -> Parsed<'_, &str> {
    let (name, rest) = quoted(input)?;
    if name.is_empty() {
        return Err(SyntaxError::EmptyMetricName);
    }
    Ok((name, rest))
}

/// Reads a name behind its opening quote, up to and with the closing one; it is left escaped.
fn quoted(input: &str) -> Parsed<'_, &str> {
    match label_value(input) {
        Ok(((name, false), rest)) => Ok((name, rest)),
        Ok(((name, true), _)) => Err(SyntaxError::EscapeInName(Excerpt::of(name))),
        Err(SyntaxError::LabelValueNotClosed) => Err(SyntaxError::NameNotClosed),
        Err(error) => Err(error),
    }
}

/// Reads a label, and tells whether its value has a backslash that stands for itself.
///
/// # Errors
/// The first thing in it that is not in the grammar.
fn label(input: &str) -> Parsed<'_, (Label<'_>, bool)> {
    let (name, rest) = label_name(input)?;
    let rest = skip_blanks(rest);
    let Some(rest) = rest.strip_prefix('=') else {
        return Err(expected_behind("`=`", "label name", name, rest));
    };
    let rest = skip_blanks(rest);
    let Some(rest) = rest.strip_prefix('"') else {
        return Err(expected_behind("`\"`", "label name", name, rest));
    };
    let ((value, is_undefined), rest) = label_value(rest)?;
    Ok(((Label { name, value }, is_undefined), rest))
}

/// Reads a label name; one that is beyond the alphabet is given with its quotes.
fn label_name(input: &str) -> Parsed<'_, &str> {
    match label_name_length(input.as_bytes()) {
        0 => match input.as_bytes().first() {
            None => Err(SyntaxError::LabelsNotClosed),
            Some(b',') => Err(expected("a label", ",")),
            Some(b'"') => {
                let (name, rest) = quoted(&input[1..])?;
                match label_name_length(name.as_bytes()) {
                    0 if name.is_empty() => Err(expected(LABEL_NAME, name)),
                    length if length == name.len() => Ok((name, rest)),
                    _ => Ok((&input[..name.len() + 2], rest)),
                }
            }
            Some(_) => Err(expected(LABEL_NAME, input)),
        },
        length => Ok(input.split_at(length)),
    }
}

/// Reads a label value behind its opening quote, up to and with the closing one; true if it has a
/// backslash that stands for itself.
fn label_value(input: &str) -> Parsed<'_, (&str, bool)> {
    let bytes = input.as_bytes();
    let (mut at, mut is_undefined) = (0, false);
    loop {
        match bytes.get(at) {
            None => return Err(SyntaxError::LabelValueNotClosed),
            Some(b'"') => return Ok(((&input[..at], is_undefined), &input[at + 1..])),
            Some(b'\\') => {
                let is_escape = matches!(bytes.get(at + 1), Some(b'\\' | b'"' | b'n'));
                is_undefined |= !is_escape;
                at += 1 + usize::from(is_escape);
            }
            Some(0) => return Err(SyntaxError::Nul),
            Some(_) => at += 1,
        }
    }
}

fn metric_name(input: &str) -> Parsed<'_, &str> {
    match metric_name_length(input.as_bytes()) {
        0 if input.starts_with('"') => Err(SyntaxError::QuotedName),
        0 => Err(expected(METRIC_NAME, input)),
        length => Ok(input.split_at(length)),
    }
}

/// Reads a number as both Rust and Go do; see the departures above.
///
/// # Errors
/// `NotANumber`, and `NumberTooLarge` for digits beyond the largest float.
pub fn number(word: &str) -> Result<f64, SyntaxError> {
    let not_a_number = || SyntaxError::NotANumber(Excerpt::of(word));
    let unsigned = word.strip_prefix(['+', '-']).unwrap_or(word);
    let value: f64 = word.parse().map_err(|_| not_a_number())?;
    let is_signed = unsigned.len() < word.len();
    if value.is_nan() && is_signed {
        return Err(not_a_number());
    }
    if value.is_infinite() && !unsigned.starts_with(['i', 'I']) {
        return Err(SyntaxError::NumberTooLarge(Excerpt::of(word)));
    }
    Ok(value)
}

/// Checks a timestamp and drops it: sums have no time of their own. Gives what is behind it and the
/// blanks there.
///
/// # Errors
/// When it is not a finite number.
pub fn timestamp(input: &str) -> Result<&str, SyntaxError> {
    let (word, rest) = token(input);
    match number(word) {
        Ok(time) if time.is_finite() => Ok(skip_blanks(rest)),
        _ => Err(SyntaxError::Timestamp(Excerpt::of(word))),
    }
}

/// What is left behind leading blanks.
pub fn skip_blanks(input: &str) -> &str {
    input.trim_start_matches([' ', '\t'])
}

fn skip_blank_bytes(input: &[u8]) -> &[u8] {
    let blanks = input
        .iter()
        .take_while(|&&byte| byte == b' ' || byte == b'\t')
        .count();
    &input[blanks..]
}

/// Splits off what stands before the next blank.
pub fn token(input: &str) -> (&str, &str) {
    input.split_at(input.find([' ', '\t']).unwrap_or(input.len()))
}

fn expect_blank_or_end<'a>(name: &str, rest: &'a str) -> Result<&'a str, SyntaxError> {
    match rest.as_bytes().first() {
        None | Some(b' ' | b'\t') => Ok(rest),
        Some(_) => Err(expected_behind("a blank or `{`", "metric name", name, rest)),
    }
}

/// A text in which each backslash begins an escape out of `defined`: the others are doubled.
pub fn with_defined_escapes<'a>(text: &'a str, defined: &str) -> Cow<'a, str> {
    let mut written = Cow::Borrowed(text);
    let mut from = 0;
    while let Some(at) = text[from..].find('\\').map(|at| from + at) {
        let is_defined = text[at + 1..].starts_with(|escaped| defined.contains(escaped));
        from = at + 1 + usize::from(is_defined);
        if !is_defined {
            if let Cow::Borrowed(_) = written {
                written = Cow::Owned(text[..at].to_owned());
            }
            written.to_mut().push('\\');
        }
        if let Cow::Owned(written) = &mut written {
            written.push_str(&text[at..from]);
            let next = text[from..]
                .find('\\')
                .map_or(text.len(), |next| from + next);
            written.push_str(&text[from..next]);
        }
    }
    written
}

/// The text of a HELP line.
fn help_text(text: &str) -> Cow<'_, str> {
    with_defined_escapes(text, "\\n")
}
