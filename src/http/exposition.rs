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
//! `prometheus/common`), and of what Prometheus sends. Protobuf is answered only where nothing at
//! all ranks before it, as it costs Prometheus more than text does.
//!
//! Prometheus says of each text format whether names may be beyond the alphabet, but, in versions
//! above 3.0, not of protobuf. It takes them there if it does in text, so what it says of that
//! counts; else the names of its series would depend on the encoding.

use crate::render::Encoding;

/// A form of the sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposition {
    /// Text 0.0.4. Names beyond the alphabet have underscores.
    Text,
    /// Text 1.0.0. Names beyond the alphabet are in quotes.
    QuotedText,
    /// Delimited protobuf. Names beyond the alphabet have underscores.
    Protobuf,
    /// The same with all names as they are.
    Utf8Protobuf,
}

impl Exposition {
    /// What the value of an `Accept` field asks for.
    #[must_use]
    pub fn accepted(accept: Option<&[u8]>) -> Exposition {
        let accept = String::from_utf8_lossy(accept.unwrap_or_default());
        let mut takes_utf8 = false;
        // The first of all, and of those that are text.
        let (mut first, mut text): (Option<Range>, Option<Range>) = (None, None);
        for range in split(&accept, ',').filter_map(Range::read) {
            takes_utf8 |= range.escaping == ALLOW_UTF8;
            let is_before = |other: &Option<Range>| {
                let rank = |range: &Range| (range.weight, range.specificity);
                other
                    .as_ref()
                    .is_none_or(|other| rank(&range) > rank(other))
            };
            let is_text = matches!(range.offer, Offer::Text | Offer::QuotedText);
            let is_first_text = is_text && is_before(&text);
            if is_before(&first) {
                first = Some(range.clone());
            }
            if is_first_text {
                text = Some(range);
            }
        }
        match (first, text.map(|range| range.offer)) {
            (Some(range), _) if range.offer == Offer::Protobuf => match range.escaping.as_str() {
                ALLOW_UTF8 => Exposition::Utf8Protobuf,
                "" if takes_utf8 => Exposition::Utf8Protobuf,
                _ => Exposition::Protobuf,
            },
            (_, Some(Offer::QuotedText)) => Exposition::QuotedText,
            _ => Exposition::Text,
        }
    }

    /// How it is written.
    #[must_use]
    pub fn encoding(self) -> Encoding {
        match self {
            Exposition::Text | Exposition::QuotedText => Encoding::Text,
            Exposition::Protobuf | Exposition::Utf8Protobuf => Encoding::Protobuf,
        }
    }

    /// The content type. As an `Accept` field, it asks for this exposition.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Exposition::Text => "text/plain; version=0.0.4; charset=utf-8",
            Exposition::QuotedText => {
                "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
            }
            Exposition::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; \
                 encoding=delimited"
            }
            Exposition::Utf8Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; \
                 encoding=delimited; escaping=allow-utf-8"
            }
        }
    }
}

/// The value of a parameter `escaping`: names may be beyond the alphabet.
const ALLOW_UTF8: &str = "allow-utf-8";

/// A range.
#[derive(Clone)]
struct Range {
    offer: Offer,
    escaping: String,
    weight: Weight,
    specificity: Specificity,
}

/// What a range can be answered with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Offer {
    Nothing,
    Text,
    QuotedText,
    Protobuf,
}

/// Thousandths.
type Weight = u16;

/// How much of a type a range says, the least first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Specificity {
    Anything,
    AnyText,
    OneType,
}

impl Range {
    /// `None` for what has no weight, or is no range.
    fn read(range: &str) -> Option<Range> {
        let mut parts = split(range, ';');
        let media_type = parts.next()?.trim().to_ascii_lowercase();
        let specificity = match media_type.as_str() {
            "*/*" => Specificity::Anything,
            "text/*" => Specificity::AnyText,
            other if other.contains('/') => Specificity::OneType,
            _ => return None,
        };
        let (mut version, mut escaping, mut weight) = (String::new(), String::new(), 1000);
        let (mut encoding, mut message) = (String::new(), String::new());
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.trim().to_ascii_lowercase().as_str() {
                "version" => version = unquoted(value),
                "escaping" => escaping = unquoted(value),
                "encoding" => encoding = unquoted(value),
                "proto" => message = unquoted(value),
                "q" => weight = read_weight(&unquoted(value))?,
                _ => {}
            }
        }
        let offer = match media_type.as_str() {
            "*/*" | "text/*" => Offer::Text,
            "text/plain" => match (version.as_str(), escaping.as_str()) {
                ("1.0.0", ALLOW_UTF8) => Offer::QuotedText,
                ("" | "0.0.4" | "1.0.0", _) => Offer::Text,
                _ => Offer::Nothing,
            },
            "application/vnd.google.protobuf" => match (encoding.as_str(), message.as_str()) {
                ("delimited", "" | "io.prometheus.client.MetricFamily") => Offer::Protobuf,
                _ => Offer::Nothing,
            },
            _ => Offer::Nothing,
        };
        (weight > 0).then_some(Range {
            offer,
            escaping,
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
