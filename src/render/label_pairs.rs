//! Label sets as protobuf has them: one `LabelPair` (name 1, value 2) after the other, without
//! escapes.
//!
//! In the order of an exposition, neighbours share most of their labels. Those at the begin that
//! are the same are kept as they are encoded.

use super::message::{LENGTH, append_bytes, append_head, field, message_bytes};
use crate::metric::{CanonicalLabel, canonical_labels, raw_label_name, raw_name};

/// The keys of fields 1 and 2: of a pair and of its name, and of its value.
const NAME: u8 = field(1, LENGTH);
const VALUE: u8 = field(2, LENGTH);

/// The label set that was encoded last.
#[derive(Default)]
pub struct LabelPairs {
    /// Its canonical text.
    text: Vec<u8>,
    pairs: Vec<u8>,
    /// Where each label ends, in the text and in the pairs.
    ends: Vec<(usize, usize)>,
}

impl LabelPairs {
    /// The pairs of a label set, each with the key of field 1 and its length.
    pub fn encode(&mut self, labels: &str) -> &[u8] {
        let text = labels.as_bytes();
        let same = same_bytes(&self.text, text);
        // A label that is the same up to its quote at the end is the same.
        while self.ends.last().is_some_and(|&(end, _)| end > same) {
            self.ends.pop();
        }
        let (end, pairs_end) = self.ends.last().copied().unwrap_or_default();
        self.text.truncate(end);
        self.pairs.truncate(pairs_end);
        self.text.extend_from_slice(&text[end..]);
        // There is a comma between labels.
        let mut start = if end == 0 { 0 } else { end + 1 };
        while start < text.len() {
            let length = append_plain_label(&text[start..], &mut self.pairs)
                .or_else(|| append_any_label(labels.get(start..)?, &mut self.pairs));
            let Some(length) = length else { break };
            self.ends.push((start + length, self.pairs.len()));
            start += length + 1;
        }
        &self.pairs
    }
}

/// How many bytes at the begin of both are the same.
fn same_bytes(one: &[u8], other: &[u8]) -> usize {
    let bytes = one.len().min(other.len());
    first_where(bytes, |at| Some(word(one, at)? ^ word(other, at)?)).unwrap_or_else(|| {
        let pairs = one.iter().zip(other);
        pairs.take_while(|(byte, others)| byte == others).count()
    })
}

/// Appends the label that a text begins with, if it has neither quotes around its name nor escapes
/// and is short, and gives its length. Between name and value there are two bytes in the text and
/// in the pair, so that both are copied at once.
fn append_plain_label(text: &[u8], pairs: &mut Vec<u8>) -> Option<usize> {
    let name_bytes = text.iter().position(|&byte| byte == b'=')?;
    let value_at = name_bytes + "=\"".len();
    if text[0] == b'"' || text.get(name_bytes + 1) != Some(&b'"') {
        return None;
    }
    let value_bytes = plain_length(text.get(value_at..)?);
    let end = value_at + value_bytes;
    let pair_bytes = end + 2;
    if pair_bytes >= 0x80 || text.get(end) != Some(&b'"') {
        return None;
    }
    // All are below 0x80.
    let length = |bytes: usize| bytes.to_le_bytes()[0];
    pairs.extend_from_slice(&[NAME, length(pair_bytes), NAME, length(name_bytes)]);
    let name_at = pairs.len();
    pairs.extend_from_slice(&text[..end]);
    pairs[name_at + name_bytes] = VALUE;
    pairs[name_at + name_bytes + 1] = length(value_bytes);
    Some(end + 1)
}

/// The same of any label; `None` at the end.
#[cold]
fn append_any_label(text: &str, pairs: &mut Vec<u8>) -> Option<usize> {
    let CanonicalLabel { name, value, text } = canonical_labels(text).next()?;
    let (name, value) = (raw_label_name(name), raw_name(value));
    let pair_bytes = message_bytes(name.len()) + message_bytes(value.len());
    append_head(NAME, pair_bytes, pairs);
    append_bytes(NAME, name.as_bytes(), pairs);
    append_bytes(VALUE, value.as_bytes(), pairs);
    Some(text.len())
}

/// The length of a text up to its first quote or backslash ("Determine if a word has a zero byte",
/// Bit Twiddling Hacks).
fn plain_length(text: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let zero_bytes = |word: u64| word.wrapping_sub(ONES) & !word & (ONES << 7);
    let of = |byte: u8| ONES * u64::from(byte);
    let found = first_where(text.len(), |at| {
        let word = word(text, at)?;
        Some(zero_bytes(word ^ of(b'"')) | zero_bytes(word ^ of(b'\\')))
    });
    found.unwrap_or_else(|| {
        let is_plain = |byte: &&u8| !matches!(byte, b'"' | b'\\');
        text.iter().take_while(is_plain).count()
    })
}

/// The place of the first byte where `differing`, asked of eight bytes at a time, has a bit;
/// `bytes` if there is none. `None` if there are less than eight.
fn first_where(bytes: usize, differing: impl Fn(usize) -> Option<u64>) -> Option<usize> {
    let last = bytes.checked_sub(WORD_BYTES)?;
    let mut at = 0;
    loop {
        let found = differing(at)?;
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        if at == last {
            return Some(bytes);
        }
        // The last word may begin within the one before.
        at = last.min(at + WORD_BYTES);
    }
}

const WORD_BYTES: usize = size_of::<u64>();

fn word(text: &[u8], at: usize) -> Option<u64> {
    text.get(at..)?
        .first_chunk()
        .copied()
        .map(u64::from_le_bytes)
}
