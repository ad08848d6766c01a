//! Syntax: one line of `OpenMetrics` text to a [`Line`], or what is wrong with it.
//!
//! ```text
//! line     = [ "# EOF" | comment | help | type | sample ]
//! sample   = name labels-and-value [ blanks timestamp ] [ blanks exemplar ]
//! exemplar = "#" blanks labels blanks number [ blanks timestamp ]
//! ```
//!
//! The tokens are those of text (`line`), for which the source is the `OpenMetrics` specification,
//! versions 1.0 and 0.0.1. Where this code departs from it, to read what is sent:
//!
//! - blanks, empty lines, carriage returns and comments are as free as in text; UNIT is a comment;
//! - families may be interleaved, and exemplars may be of any sample and any length;
//! - a body may end without `# EOF`, which one large client library does not write.

use std::borrow::Cow;

use super::error::SyntaxError;
use super::line::{
    Label, Line, comment, expected, label_list, number, skip_blanks, text, timestamp, token,
    trimmed, value_of_sample, with_defined_escapes,
};

/// Reads one line, given without its line feed. The labels of a sample replace what `labels` held.
///
/// # Errors
/// The first thing in the line that is not in the grammar.
pub fn line<'a>(line: &'a [u8], labels: &mut Vec<Label<'a>>) -> Result<Line<'a>, SyntaxError> {
    let line = trimmed(line);
    match line {
        [] => Ok(Line::Empty),
        [b'#', ..] if line.trim_ascii_end() == b"# EOF" => Ok(Line::End),
        [b'#', behind @ ..] => comment(behind, help_text),
        _ => sample(text(line)?, labels),
    }
}

/// A HELP text as the text format has it: there, a quote needs no escape.
fn help_text(text: &str) -> Cow<'_, str> {
    match with_defined_escapes(text, "\\\"n") {
        text if text.contains("\\\"") => unescaped_quotes(&text).into(),
        text => text,
    }
}

/// A text in which every backslash begins an escape, with quotes for escaped quotes.
fn unescaped_quotes(text: &str) -> String {
    let mut unescaped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let end = (at + 2).min(rest.len());
        let escape = match &rest[at..end] {
            "\\\"" => "\"",
            escape => escape,
        };
        unescaped.push_str(&rest[..at]);
        unescaped.push_str(escape);
        rest = &rest[end..];
    }
    unescaped + rest
}

fn sample<'a>(source: &'a str, labels: &mut Vec<Label<'a>>) -> Result<Line<'a>, SyntaxError> {
    let (sample, mut rest) = value_of_sample(source, labels)?;
    if !rest.is_empty() && !rest.starts_with('#') {
        rest = timestamp(rest)?;
    }
    match rest.strip_prefix('#') {
        None if rest.is_empty() => {}
        None => return Err(expected("the end of the line or an exemplar", rest)),
        Some(behind) => exemplar(skip_blanks(behind))?,
    }
    Ok(sample)
}

/// Checks an exemplar and drops it: it is of one observation, not of a sum.
fn exemplar(input: &str) -> Result<(), SyntaxError> {
    let Some(rest) = input.strip_prefix('{') else {
        return Err(expected("the labels of an exemplar", input));
    };
    // Its labels have no name among them.
    let (_, rest) = label_list(Some(""), rest, &mut Vec::new())?;
    let (word, rest) = token(skip_blanks(rest));
    number(word)?;
    match skip_blanks(rest) {
        "" => Ok(()),
        rest => match timestamp(rest)? {
            "" => Ok(()),
            found => Err(expected("the end of the line after the exemplar", found)),
        },
    }
}
