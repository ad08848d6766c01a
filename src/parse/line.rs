//! Syntax: one line of text to a [`Line`], or what is wrong with it.
//!
//! ```text
//! line      = { blank } [ comment | help | type | sample ] { carriage-return }
//! comment   = "#" anything whose first word is neither HELP nor TYPE, or is its last word
//! help      = "#" { blank } "HELP" blanks name [ blanks text ]
//! type      = "#" { blank } "TYPE" blanks name blanks word { blank }
//! sample    = name ( { blank } labels { blank } | blanks ) number [ blanks timestamp ] { blank }
//! labels    = "{" [ label { "," label } [ "," ] ] "}"       blanks anywhere between tokens
//! label     = label-name "=" quote { character | "\\" | "\"" | "\n" } quote
//! character = any but quote, backslash and NUL
//! number    = a decimal number, "Inf", "Infinity" with or without sign, or "NaN", in any case
//! timestamp = a signed 64-bit whole number
//! blanks    = blank { blank }
//! blank     = " " | tab
//! ```
//!
//! The source is the Prometheus docs' page on exposition formats (text version 0.0.4), and where
//! that is silent its reference parser, prometheus/common expfmt. Where this code departs from it:
//!
//! - carriage returns at the end of a line are ignored, so CRLF is a line end;
//! - the last line may lack its line feed: HTTP already protects against a cut body;
//! - `unknown` is a type (as in `OpenMetrics`), and a TYPE line without a type is refused, not
//!   ignored;
//! - `# TYPE` and `# HELP` without a name are comments there and here;
//! - a NUL in a label value or in HELP is refused, and so is a label whose name begins with `__`,
//!   which Prometheus keeps for itself and other readers refuse;
//! - numbers are what Rust and Go both read: no hexadecimal, no `_`, no signed NaN, nothing that
//!   overflows to infinity.
//!
//! Every function is named after its rule and returns its value and what is left of the line. Time
//! is linear in the line, and nothing is allocated but the caller's list and for an error.

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
        /// May be empty.
        text: &'a str,
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
    },
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

type Parsed<'a, T> = Result<(T, &'a str), SyntaxError>;

/// Reads one line, given without its line feed. The labels of a sample replace what `labels` held.
///
/// # Errors
/// The first thing in the line that is not in the grammar.
pub fn line<'a>(line: &'a [u8], labels: &mut Vec<Label<'a>>) -> Result<Line<'a>, SyntaxError> {
    let mut line = skip_blank_bytes(line);
    while let Some(shorter) = line.strip_suffix(b"\r") {
        line = shorter;
    }
    match line.first() {
        None => Ok(Line::Empty),
        Some(b'#') => comment(&line[1..]),
        Some(_) => sample(text(line)?, labels),
    }
}

/// Only what is used of a line must be text: a comment may hold any bytes.
fn text(line: &[u8]) -> Result<&str, SyntaxError> {
    std::str::from_utf8(line).map_err(|_| SyntaxError::NotUtf8)
}

fn comment(after_hash: &[u8]) -> Result<Line<'_>, SyntaxError> {
    let comment = skip_blank_bytes(after_hash);
    let keyword: fn(&str) -> Result<Line<'_>, SyntaxError> = match comment.first_chunk() {
        Some(b"HELP") => help,
        Some(b"TYPE") => metric_type,
        _ => return Ok(Line::Empty),
    };
    let behind_keyword = &comment[4..];
    let rest = skip_blank_bytes(behind_keyword);
    if rest.len() == behind_keyword.len() || rest.is_empty() {
        // A longer word, or nothing behind the keyword: a comment.
        return Ok(Line::Empty);
    }
    keyword(text(rest)?)
}

fn help(input: &str) -> Result<Line<'_>, SyntaxError> {
    let (name, rest) = metric_name(input)?;
    let text = skip_blanks(expect_blank_or_end(name, rest)?);
    if text.contains('\0') {
        return Err(SyntaxError::Nul);
    }
    check_escapes(text, "\\n").map_err(|found| SyntaxError::Escape {
        place: "HELP",
        allowed: "`\\\\` or `\\n`",
        found,
    })?;
    Ok(Line::Help { name, text })
}

fn metric_type(input: &str) -> Result<Line<'_>, SyntaxError> {
    let (name, rest) = metric_name(input)?;
    let rest = skip_blanks(expect_blank_or_end(name, rest)?);
    let (word, rest) = token(rest);
    if word.is_empty() {
        return Err(SyntaxError::NoType(Excerpt::of(name)));
    }
    let declared =
        Declared::from_word(word).ok_or_else(|| SyntaxError::UnknownType(Excerpt::of(word)))?;
    match skip_blanks(rest) {
        "" => Ok(Line::Type { name, declared }),
        found => Err(expected("the end of the line after the type", found)),
    }
}

fn sample<'a>(source: &'a str, labels: &mut Vec<Label<'a>>) -> Result<Line<'a>, SyntaxError> {
    labels.clear();
    let (name, rest) = metric_name(source)?;
    let rest = match skip_blanks(rest).strip_prefix('{') {
        Some(rest) => label_list(rest, labels)?,
        None => expect_blank_or_end(name, rest)?,
    };
    let (word, rest) = token(skip_blanks(rest));
    if word.is_empty() {
        return Err(SyntaxError::NoValue(Excerpt::of(name)));
    }
    let value = number(word)?;
    match skip_blanks(rest) {
        "" => {}
        rest => timestamp(rest)?,
    }
    Ok(Line::Sample {
        name,
        value,
        source,
    })
}

/// Reads the labels behind an opened brace, up to and with the closing one.
fn label_list<'a>(input: &'a str, labels: &mut Vec<Label<'a>>) -> Result<&'a str, SyntaxError> {
    let mut rest = skip_blanks(input);
    loop {
        if let Some(rest) = rest.strip_prefix('}') {
            return Ok(rest);
        }
        let ((name, value), after) = label(rest)?;
        labels.push(Label { name, value });
        let after = skip_blanks(after);
        rest = match after.as_bytes().first() {
            Some(b',') => skip_blanks(&after[1..]),
            Some(b'}') => after,
            None => return Err(SyntaxError::LabelsNotClosed),
            Some(_) => {
                return Err(expected_behind("`,` or `}`", "label", name, after));
            }
        };
    }
}

/// Reads a label, and gives its name and its value, which is left escaped.
///
/// # Errors
/// The first thing in it that is not in the grammar.
pub fn label(input: &str) -> Parsed<'_, (&str, &str)> {
    let (name, rest) = label_name(input)?;
    let rest = skip_blanks(rest);
    let Some(rest) = rest.strip_prefix('=') else {
        return Err(expected_behind("`=`", "label name", name, rest));
    };
    let rest = skip_blanks(rest);
    let Some(rest) = rest.strip_prefix('"') else {
        return Err(expected_behind("`\"`", "label name", name, rest));
    };
    let (value, rest) = label_value(rest)?;
    Ok(((name, value), rest))
}

fn label_name(input: &str) -> Parsed<'_, &str> {
    match label_name_length(input.as_bytes()) {
        0 => Err(match input.as_bytes().first() {
            None => SyntaxError::LabelsNotClosed,
            Some(b',') => expected("a label", ","),
            Some(b'"') => SyntaxError::QuotedName,
            Some(_) => expected(LABEL_NAME, input),
        }),
        length => Ok(input.split_at(length)),
    }
}

/// Reads a label value behind its opening quote, up to and with the closing one.
fn label_value(input: &str) -> Parsed<'_, &str> {
    let bytes = input.as_bytes();
    let mut at = 0;
    loop {
        match bytes.get(at) {
            None => return Err(SyntaxError::LabelValueNotClosed),
            Some(b'"') => return Ok((&input[..at], &input[at + 1..])),
            Some(b'\\') => match bytes.get(at + 1) {
                Some(b'\\' | b'"' | b'n') => at += 2,
                None => return Err(SyntaxError::LabelValueNotClosed),
                Some(_) => {
                    return Err(SyntaxError::Escape {
                        place: "a label value",
                        allowed: "`\\\\`, `\\\"` or `\\n`",
                        found: Excerpt::of(escape_at(input, at)),
                    });
                }
            },
            Some(0) => return Err(SyntaxError::Nul),
            Some(_) => at += 1,
        }
    }
}

fn metric_name(input: &str) -> Parsed<'_, &str> {
    match metric_name_length(input.as_bytes()) {
        0 if input.starts_with(['"', '{']) && input.contains('"') => Err(SyntaxError::QuotedName),
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

/// Checks a timestamp and drops it: sums have no time of their own.
fn timestamp(input: &str) -> Result<(), SyntaxError> {
    let (word, rest) = token(input);
    if word.starts_with('#') {
        return Err(SyntaxError::BehindValue);
    }
    if word.parse::<i64>().is_err() {
        return Err(SyntaxError::Timestamp(Excerpt::of(word)));
    }
    match skip_blanks(rest) {
        "" => Ok(()),
        found if found.starts_with('#') => Err(SyntaxError::BehindValue),
        found => Err(expected("the end of the line after the timestamp", found)),
    }
}

fn skip_blanks(input: &str) -> &str {
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
fn token(input: &str) -> (&str, &str) {
    input.split_at(input.find([' ', '\t']).unwrap_or(input.len()))
}

fn expect_blank_or_end<'a>(name: &str, rest: &'a str) -> Result<&'a str, SyntaxError> {
    match rest.as_bytes().first() {
        None | Some(b' ' | b'\t') => Ok(rest),
        Some(_) => Err(expected_behind("a blank or `{`", "metric name", name, rest)),
    }
}

/// Checks that every backslash is followed by one of `allowed`; gives back an escape that is not.
fn check_escapes(text: &str, allowed: &str) -> Result<(), Excerpt> {
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        match rest[at + 1..].chars().next() {
            Some(escaped) if allowed.contains(escaped) => rest = &rest[at + 2..],
            _ => return Err(Excerpt::of(escape_at(rest, at))),
        }
    }
    Ok(())
}

/// The backslash at `at` and the character behind it, if there is one.
fn escape_at(input: &str, at: usize) -> &str {
    let mut characters = input[at..].chars();
    characters.by_ref().take(2).for_each(drop);
    &input[at..input.len() - characters.as_str().len()]
}
