//! What a scrape is answered with, by its `Accept` field: pure.
//!
//! ```text
//! accept    = [ range { "," range } ]                              RFC 9110 section 12.5.1
//! range     = type "/" subtype { ";" [ parameter ] }
//! parameter = name "=" ( token | quote { character | "\" any } quote )
//! ```
//!
//! Blanks are free, and letter case counts in values alone. A range that is not understood asks for
//! nothing, and nothing is ever refused: whoever says nothing that is known here gets text 0.0.4,
//! as all scrapers can read it. `OpenMetrics` is never answered: it has no name for counters
//! without `_total`, nor for counts that are fractions.
//!
//! Of the ranges that can be answered, the one with the greatest weight (`q`) counts; of equal ones
//! the more specific, then the first. That is the order of client libraries (`expfmt` of
//! `prometheus/common`), and of what Prometheus sends.

use std::cmp::Reverse;

/// A form of the sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposition {
    /// Text 0.0.4. Names beyond the alphabet have underscores.
    Text,
    /// Text 1.0.0. Names beyond the alphabet are in quotes.
    QuotedText,
}

impl Exposition {
    /// What the value of an `Accept` field asks for.
    #[must_use]
    pub fn accepted(accept: Option<&[u8]>) -> Exposition {
        let accept = String::from_utf8_lossy(accept.unwrap_or_default());
        let ranges = split(&accept, ',').filter_map(Range::read);
        // Of equal ones, `min_by_key` takes the first.
        let first = ranges.min_by_key(|range| Reverse((range.weight, range.specificity)));
        first.map_or(Exposition::Text, |range| range.exposition)
    }

    /// The content type. As an `Accept` field, it asks for this exposition.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Exposition::Text => "text/plain; version=0.0.4; charset=utf-8",
            Exposition::QuotedText => {
                "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
            }
        }
    }
}

/// A range that can be answered.
struct Range {
    exposition: Exposition,
    weight: Weight,
    specificity: Specificity,
}

/// Thousandths.
type Weight = u16;

/// How much of a type a range says, the least first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Specificity {
    Anything,
    AnyText,
    PlainText,
}

impl Range {
    /// `None` for what cannot be answered, or has the weight 0.
    fn read(range: &str) -> Option<Range> {
        let mut parts = split(range, ';');
        let media_type = parts.next()?.trim().to_ascii_lowercase();
        let specificity = match media_type.as_str() {
            "text/plain" => Specificity::PlainText,
            "text/*" => Specificity::AnyText,
            "*/*" => Specificity::Anything,
            _ => return None,
        };
        let (mut version, mut escaping, mut weight) = (String::new(), String::new(), 1000);
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.trim().to_ascii_lowercase().as_str() {
                "version" => version = unquoted(value),
                "escaping" => escaping = unquoted(value),
                "q" => weight = read_weight(&unquoted(value))?,
                _ => {}
            }
        }
        let exposition = match (specificity, version.as_str(), escaping.as_str()) {
            (Specificity::PlainText, "1.0.0", "allow-utf-8") => Exposition::QuotedText,
            (Specificity::PlainText, "" | "0.0.4" | "1.0.0", _) => Exposition::Text,
            (Specificity::PlainText, ..) => return None,
            _ => Exposition::Text,
        };
        (weight > 0).then_some(Range {
            exposition,
            weight,
            specificity,
        })
    }
}

/// The parts between separators that do not stand in quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |character| {
        let is_end = character == separator && !is_quoted;
        is_quoted ^= character == '"' && !is_escaped;
        is_escaped = is_quoted && character == '\\' && !is_escaped;
        is_end
    })
}

/// The value of a parameter, without its quotes.
fn unquoted(value: &str) -> String {
    let value = value.trim();
    let quoted = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    let Some(quoted) = quoted else {
        return value.to_owned();
    };
    let mut is_escaped = false;
    let is_kept = |character: &char| {
        is_escaped = *character == '\\' && !is_escaped;
        !is_escaped
    };
    quoted.chars().filter(is_kept).collect()
}

/// A number from 0 to 1. Digits behind the third do not count.
fn read_weight(text: &str) -> Option<Weight> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.bytes().chain(*b"000").take(3);
    let thousandths = digits.fold(0, |sum, digit| sum * 10 + Weight::from(digit - b'0'));
    match whole {
        "0" | "" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}
