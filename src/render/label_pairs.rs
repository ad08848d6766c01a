//! Label sets as protobuf has them: one `LabelPair` (name 1, value 2) after the other, without
//! escapes.
//!
//! In the order of an exposition, neighbours share most of their labels. Those at the begin that
//! are the same are kept as they are encoded.

use super::buffer::{Scratch, copy_end};
use super::message::{LENGTH, append_bytes, append_head, field, message_bytes};
use crate::metric::{CanonicalLabel, canonical_labels, raw_label_name, raw_name};

/// The keys of fields 1 and 2: of a pair and of its name, and of its value.
const NAME: u8 = field(1, LENGTH);
const VALUE: u8 = field(2, LENGTH);

/// Before the name in a pair: its own key and length, and those of the name.
const NAME_AT: usize = 4;

/// Between name and value, in the text as well as in a pair.
const BETWEEN_BYTES: usize = 2;

/// Lengths below it take one byte.
const SHORT_MAX: usize = 0x80;

/// The label set that was encoded last.
#[derive(Default)]
pub struct LabelPairs {
    /// Its canonical text.
    text: Scratch,
    pairs: Scratch,
    labels: Vec<Label>,
}

/// Where a label is.
struct Label {
    /// Where it begins in the text, and where it ends.
    start: usize,
    end: usize,
    /// The same in the pairs.
    pair: usize,
    pair_end: usize,
    /// The length of its name, where name and value stand in the pair as they do in the text.
    plain_name_bytes: Option<usize>,
}

impl LabelPairs {
    /// The pairs of a label set, each with the key of field 1 and its length.
    #[inline]
    pub fn encode(&mut self, labels: &str) -> &[u8] {
        let text = labels.as_bytes();
        let same = same_bytes(self.text.bytes(), text);
        if self.encode_last_value(text, same).is_none() {
            self.encode_from(labels, same);
        }
        self.pairs.bytes()
    }

    /// Encodes a label set of which all is the same but for the end of its last value, as is mostly
    /// so of neighbours. `None` if it is another one.
    #[inline]
    fn encode_last_value(&mut self, text: &[u8], same: usize) -> Option<()> {
        let last = self.labels.last_mut()?;
        let name_bytes = last.plain_name_bytes?;
        let value_at = last.start + name_bytes + BETWEEN_BYTES;
        let end = text.len().checked_sub(1)?;
        if same < value_at || same > end || text[end] != b'"' || !is_plain(text, same, end) {
            return None;
        }
        let value_bytes = end - value_at;
        let pair_bytes = name_bytes + value_bytes + NAME_AT;
        if pair_bytes >= SHORT_MAX {
            return None;
        }
        let name_at = last.pair + NAME_AT;
        let pair_end = name_at + end - last.start;
        let changed_bytes = end - same;
        self.pairs.set_length(pair_end);
        let pairs = self.pairs.bytes_mut();
        copy_end(&text[last.start..end], &mut pairs[name_at..], changed_bytes);
        pairs[last.pair + 1] = short(pair_bytes);
        pairs[name_at + name_bytes] = VALUE;
        pairs[name_at + name_bytes + 1] = short(value_bytes);
        (last.end, last.pair_end) = (text.len(), pair_end);
        self.text.set_length(text.len());
        copy_end(text, self.text.bytes_mut(), text.len() - same);
        Some(())
    }

    /// Encodes a label set that is the same up to a place.
    fn encode_from(&mut self, labels: &str, same: usize) {
        let text = labels.as_bytes();
        // A label that is the same up to its quote at the end is the same.
        while self.labels.last().is_some_and(|label| label.end > same) {
            self.labels.pop();
        }
        let last = self.labels.last();
        let (end, pairs_end) = last.map_or((0, 0), |last| (last.end, last.pair_end));
        self.text.replace_end(end, &text[end..]);
        self.pairs.replace_end(pairs_end, &[]);
        // There is a comma between labels.
        let mut start = if end == 0 { 0 } else { end + 1 };
        while start < text.len() {
            let pair = self.pairs.bytes().len();
            let name_bytes = append_plain_label(&text[start..], &mut self.pairs);
            let label = name_bytes.or_else(|| {
                let bytes = append_any_label(labels.get(start..)?, &mut self.pairs)?;
                Some((bytes, None))
            });
            let Some((bytes, plain_name_bytes)) = label else {
                break;
            };
            self.labels.push(Label {
                start,
                end: start + bytes,
                pair,
                pair_end: self.pairs.bytes().len(),
                plain_name_bytes,
            });
            start += bytes + 1;
        }
    }
}

/// How many bytes at the begin of both are the same.
#[inline]
fn same_bytes(one: &[u8], other: &[u8]) -> usize {
    const CHUNK_BYTES: usize = 16;
    let bytes = one.len().min(other.len());
    let (one, other) = (&one[..bytes], &other[..bytes]);
    let first_differing = |one: &[u8; CHUNK_BYTES], other: &[u8; CHUNK_BYTES]| {
        let differing = u128::from_le_bytes(*one) ^ u128::from_le_bytes(*other);
        (differing != 0).then(|| differing.trailing_zeros() as usize / 8)
    };
    let chunks = one.as_chunks().0.iter().zip(other.as_chunks().0);
    for (at, (chunk, others)) in (0..).step_by(CHUNK_BYTES).zip(chunks) {
        if let Some(differing) = first_differing(chunk, others) {
            return at + differing;
        }
    }
    if let (Some(chunk), Some(others)) = (one.last_chunk(), other.last_chunk()) {
        let differing = first_differing(chunk, others);
        return differing.map_or(bytes, |differing| bytes - CHUNK_BYTES + differing);
    }
    let pairs = one.iter().zip(other);
    pairs.take_while(|(byte, others)| byte == others).count()
}

/// Appends the label that a text begins with, if it has neither quotes around its name nor escapes
/// and is short. Gives its length, and that of its name. Between name and value there are two bytes
/// in the text and in the pair, so that both are copied at once.
fn append_plain_label(text: &[u8], pairs: &mut Scratch) -> Option<(usize, Option<usize>)> {
    let name_bytes = text.iter().position(|&byte| byte == b'=')?;
    let value_at = name_bytes + BETWEEN_BYTES;
    if text[0] == b'"' || text.get(name_bytes + 1) != Some(&b'"') {
        return None;
    }
    let value_bytes = plain_length(text.get(value_at..)?);
    let end = value_at + value_bytes;
    let pair_bytes = end + 2;
    if pair_bytes >= SHORT_MAX || text.get(end) != Some(&b'"') {
        return None;
    }
    pairs.append(&[NAME, short(pair_bytes), NAME, short(name_bytes)]);
    let name_at = pairs.bytes().len();
    pairs.append(&text[..end]);
    let pair = &mut pairs.bytes_mut()[name_at..];
    pair[name_bytes] = VALUE;
    pair[name_bytes + 1] = short(value_bytes);
    Some((end + 1, Some(name_bytes)))
}

/// A length below 0x80.
fn short(bytes: usize) -> u8 {
    bytes.to_le_bytes()[0]
}

/// The same of any label; `None` at the end.
#[cold]
fn append_any_label(text: &str, pairs: &mut Scratch) -> Option<usize> {
    let CanonicalLabel { name, value, text } = canonical_labels(text).next()?;
    let (name, value) = (raw_label_name(name), raw_name(value));
    let mut pair = Vec::new();
    let pair_bytes = message_bytes(name.len()) + message_bytes(value.len());
    append_head(NAME, pair_bytes, &mut pair);
    append_bytes(NAME, name.as_bytes(), &mut pair);
    append_bytes(VALUE, value.as_bytes(), &mut pair);
    pairs.append(&pair);
    Some(text.len())
}

/// True if there is neither a quote nor a backslash between two places of a text.
#[inline]
fn is_plain(text: &[u8], start: usize, end: usize) -> bool {
    let mut at = start;
    while at + WORD_BYTES <= end {
        match word(text, at) {
            Some(word) if special_bytes(word) == 0 => at += WORD_BYTES,
            _ => return false,
        }
    }
    let rest = end - at;
    // A word that ends there: what stands before the rest in it is shifted out.
    match end.checked_sub(WORD_BYTES).and_then(|at| word(text, at)) {
        Some(word) if rest > 0 => special_bytes(word) >> ((WORD_BYTES - rest) * 8) == 0,
        Some(_) => true,
        None => text[at..end]
            .iter()
            .all(|byte| !matches!(byte, b'"' | b'\\')),
    }
}

/// The length of a text up to its first quote or backslash.
fn plain_length(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(word) = word(text, at) {
        let found = special_bytes(word);
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += WORD_BYTES;
    }
    let is_plain = |byte: &&u8| !matches!(byte, b'"' | b'\\');
    at + text[at..].iter().take_while(is_plain).count()
}

/// Has bits in bytes that are quotes or backslashes, in none before the first such one ("Determine
/// if a word has a zero byte", Bit Twiddling Hacks).
#[inline]
fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let zero_bytes = |word: u64| word.wrapping_sub(ONES) & !word & (ONES << 7);
    let of = |byte: u8| ONES * u64::from(byte);
    zero_bytes(word ^ of(b'"')) | zero_bytes(word ^ of(b'\\'))
}

const WORD_BYTES: usize = size_of::<u64>();

#[inline]
fn word(text: &[u8], at: usize) -> Option<u64> {
    let bytes = text.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*bytes))
}
