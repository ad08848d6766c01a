//! The plain sample line, which is what almost all senders write, read in one pass:
//!
//! ```text
//! plain  = name [ "{" label { "," label } "}" ] " " number ( line-feed | end )
//! label  = label-name "=" quote value quote
//! value  = one or more characters, none of them a quote, a backslash or a control character
//! ```
//!
//! with labels that each come once and are not reserved. In the order of their names, and with
//! `le`, if it is there, before or behind the others, they are canonical as they stand.
//!
//! Invariant: of a line that is read here, the general way (`line`, `label_set`) makes the same.
//! Whatever it does not know at once it leaves to that.

use std::ops::Range;

use super::label_set;
use super::line::{Label, number};
use crate::metric::{label_name_length, metric_name_length};

/// A plain line.
pub struct PlainSample<'a> {
    /// Of the sample, suffix included.
    pub name: &'a str,
    /// The labels but `le`, where they are canonical as they stand.
    pub canonical: Option<&'a str>,
    /// The value of the label `le`, which is an ordinary one where it is not a bucket's.
    pub upper_bound: Option<&'a str>,
    /// As sent: it may be NaN or infinite.
    pub value: f64,
    /// Where its value begins.
    pub value_start: usize,
}

/// What the lines of a family have in common: their name, and the names of their labels in the
/// same order. A line that begins like the one before needs no second look there.
#[derive(Default)]
pub struct Shape<'a> {
    name: &'a str,
    /// The names, each with what stands between it and its value: `code="`.
    label_heads: Vec<LabelHead<'a>>,
}

/// A label up to its value.
#[derive(Clone, Copy)]
struct LabelHead<'a> {
    text: &'a str,
    /// Its name is behind all those before it; that of `le` does not count.
    is_in_order: bool,
}

const UPPER_BOUND: &str = "le=\"";

/// A line with more labels is not plain: what is kept of one is small.
const LABELS_MAX: usize = 64;

/// The part of a plain line between the braces.
struct PlainLabels<'a> {
    canonical: Option<&'a str>,
    upper_bound: Option<&'a str>,
    /// Where the closing brace stands.
    end: usize,
}

impl<'a> Shape<'a> {
    /// Reads the first line of `text` if it is plain, and gives it with what is left behind its
    /// line feed; `None` behind the last line. The labels but `le`, sorted, replace what `labels`
    /// held.
    pub fn plain(
        &mut self,
        text: &'a str,
        labels: &mut Vec<Label<'a>>,
    ) -> Option<(PlainSample<'a>, Option<&'a str>)> {
        labels.clear();
        let mut at = self.name_length(text)?;
        let name = self.name;
        let (mut canonical, mut upper_bound) = (Some(""), None);
        if text.as_bytes().get(at) == Some(&b'{') {
            let read = self.labels(text, at + 1, labels)?;
            (canonical, upper_bound) = (read.canonical, read.upper_bound);
            at = read.end + 1;
        }
        let value_start = at + 1;
        if text.as_bytes().get(at) != Some(&b' ') {
            return None;
        }
        let (value, length) = number_at_start(text.as_bytes().get(value_start..)?)?;
        // Behind the number is a line feed, or nothing.
        let behind = text.get(value_start + length + 1..);
        let sample = PlainSample {
            name,
            canonical,
            upper_bound,
            value,
            value_start,
        };
        Some((sample, behind))
    }

    /// The length of the name at the beginning of `text`.
    fn name_length(&mut self, text: &'a str) -> Option<usize> {
        let length = self.name.len();
        let is_behind = matches!(text.as_bytes().get(length), Some(b'{' | b' '));
        if is_behind && length > 0 && text.starts_with(self.name) {
            return Some(length);
        }
        self.name = &text[..metric_name_length(text.as_bytes())];
        (!self.name.is_empty()).then_some(self.name.len())
    }

    /// Reads the labels that begin at `start`, up to the closing brace.
    fn labels(
        &mut self,
        text: &'a str,
        start: usize,
        labels: &mut Vec<Label<'a>>,
    ) -> Option<PlainLabels<'a>> {
        let bytes = text.as_bytes();
        let mut bound: Option<(Range<usize>, &str)> = None;
        let (mut at, mut are_in_order) = (start, true);
        for place in 0.. {
            if place == LABELS_MAX {
                return None;
            }
            let head = self.label_head(place, text.get(at..)?)?;
            let value_start = at + head.text.len();
            let value_end = value_start + value_length(&bytes[value_start..])?;
            let value = text.get(value_start..value_end)?;
            are_in_order &= head.is_in_order;
            if head.text != UPPER_BOUND {
                let name = name(head.text);
                labels.push(Label { name, value });
            } else if bound.replace((at..value_end + 1, value)).is_some() {
                return None;
            }
            at = value_end + 1;
            match bytes.get(at)? {
                b',' => at += 1,
                b'}' => break,
                _ => return None,
            }
        }
        if !are_in_order && label_set::sort(labels).is_some() {
            return None;
        }
        let canonical = match &bound {
            None => Some(start..at),
            Some((bound, _)) if bound.start == start => Some((bound.end + 1).min(at)..at),
            Some((bound, _)) if bound.end == at => Some(start..bound.start - 1),
            // It would have to be cut out.
            Some(_) => None,
        };
        Some(PlainLabels {
            canonical: canonical
                .filter(|_| are_in_order)
                .and_then(|range| text.get(range)),
            upper_bound: bound.map(|(_, value)| value),
            end: at,
        })
    }

    /// What stands before the value of the label at the beginning of `text`.
    fn label_head(&mut self, place: usize, text: &'a str) -> Option<LabelHead<'a>> {
        if let Some(head) = self.label_heads.get(place)
            && text.starts_with(head.text)
        {
            return Some(*head);
        }
        self.label_heads.truncate(place);
        let text = text.get(..label_name_length(text.as_bytes()) + "=\"".len())?;
        if name(text).is_empty() || !text.ends_with("=\"") || text.starts_with("__") {
            return None;
        }
        let is_bound = |head: &&LabelHead<'_>| head.text == UPPER_BOUND;
        let before = self.label_heads.iter().rfind(|head| !is_bound(head));
        let is_in_order =
            text == UPPER_BOUND || before.is_none_or(|before| name(before.text) < name(text));
        self.label_heads.push(LabelHead { text, is_in_order });
        self.label_heads.last().copied()
    }
}

/// The name in a label's head.
fn name(head: &str) -> &str {
    head.strip_suffix("=\"").unwrap_or_default()
}

/// The length of a plain label value, which a quote ends.
fn value_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(word) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            at += special.trailing_zeros() as usize / 8;
            return (bytes[at] == b'"' && at > 0).then_some(at);
        }
        at += word.len();
    }
    let is_special = |&byte: &u8| matches!(byte, b'"' | b'\\' | ..b' ');
    at += bytes[at..].iter().position(is_special)?;
    (bytes[at] == b'"' && at > 0).then_some(at)
}

/// True of text that stands for itself in a label value, and has no control characters.
pub fn is_plain_value(value: &[u8]) -> bool {
    let (words, rest) = value.as_chunks();
    words
        .iter()
        .all(|word| special_bytes(u64::from_le_bytes(*word)) == 0)
        && !rest
            .iter()
            .any(|&byte| matches!(byte, b'"' | b'\\' | ..b' '))
}

/// The same of the last `length` bytes; the bytes before them may be read in the same block.
#[inline]
pub fn is_plain_end(bytes: &[u8], length: usize) -> bool {
    const BLANKS: u64 = u64::from_le_bytes([b' '; 8]);
    let end = &bytes[bytes.len() - length..];
    let special = match (length, bytes.last_chunk(), end.first_chunk()) {
        (1..8, Some(last), _) => {
            let word = u64::from_le_bytes(*last) >> (8 * (8 - length));
            special_bytes(word | BLANKS << (8 * length))
        }
        (8..=16, Some(last), Some(first)) => {
            special_bytes(u64::from_le_bytes(*first)) | special_bytes(u64::from_le_bytes(*last))
        }
        _ => return is_plain_value(end),
    };
    special == 0
}

/// Sets the highest bit of each byte that is a quote, a backslash or a control character, up to and
/// with the first that is; those above it are not to be trusted. (A subtraction borrows from the
/// byte above only where it has found something.)
fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGHS: u64 = ONES << 7;
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word;
    let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, b' ') | equal(b'"') | equal(b'\\')) & HIGHS
}

/// The number that `text` begins with, and its length, if a line feed or the end is behind it.
#[inline]
pub fn number_at_start(text: &[u8]) -> Option<(f64, usize)> {
    /// A number of up to 15 digits is a float exactly.
    const DIGITS_MAX: usize = 15;
    let mut whole = 0_u64;
    let mut digits = 0;
    for &byte in text.iter().take(DIGITS_MAX + 1) {
        match byte {
            b'0'..=b'9' => whole = whole * 10 + u64::from(byte - b'0'),
            _ => break,
        }
        digits += 1;
    }
    let is_whole = matches!(text.get(digits), None | Some(b'\n'));
    if is_whole && (1..=DIGITS_MAX).contains(&digits) {
        #[allow(clippy::cast_precision_loss)] // there is none below 2^53
        return Some((whole as f64, digits));
    }
    any_number(text)
}

/// Any other number that is the whole rest of its line.
fn any_number(text: &[u8]) -> Option<(f64, usize)> {
    let is_inside = |byte: &&u8| byte.is_ascii_graphic();
    let length = text.iter().take_while(is_inside).count();
    if !matches!(text.get(length), None | Some(b'\n')) {
        return None;
    }
    let word = std::str::from_utf8(&text[..length]).ok()?;
    Some((number(word).ok()?, length))
}

/// The first line, and what is behind its line feed.
pub fn first_line(text: &str) -> (&str, Option<&str>) {
    match text.split_once('\n') {
        Some((line, behind)) => (line, Some(behind)),
        None => (text, None),
    }
}
