//! The plain metric of protobuf, which is what client libraries write, read in one pass:
//!
//! ```text
//! plain  = label { label } value
//! label  = 0x0a length 0x0a length label-name 0x12 length text
//! value  = the message of the family's type
//! text   = one or more characters, none of them a quote, a backslash or a control character
//! ```
//!
//! with lengths of one byte, and with labels in the order of their names, none of them reserved,
//! `le`, or given by the path. Its label set is written into the arena, piece by piece.
//!
//! Invariant: of a metric that is read here, the general way (`metric_message`, `label_set`) makes
//! the same. Whatever it does not know at once it leaves to that.

use super::metric_message::{check_fields, start};
use super::plain::is_plain_end;
use super::sample::Labels;
use super::wire::{Value, field, short_field};
use crate::grouping_key::GroupingKey;
use crate::metric::label_name_length;

/// Memory for the label sets of a push that do not stand in its body as they are stored.
#[derive(Default)]
pub struct Arena(Vec<u8>);

impl Arena {
    /// Makes it new, of this length.
    pub(super) fn of_length(&mut self, bytes: usize) -> &mut [u8] {
        self.0 = vec![0; bytes];
        &mut self.0
    }
}

/// A plain metric.
pub struct PlainMetric<'a> {
    /// The labels with those of the path.
    pub canonical: &'a str,
    /// How many labels it has of its own.
    pub sent: usize,
    /// The message of its value.
    pub value: &'a [u8],
}

impl<'a> PlainMetric<'a> {
    /// Its labels, as the builder takes them.
    pub fn labels(&self) -> Labels<'a> {
        Labels {
            canonical: self.canonical.into(),
            sent: self.sent,
        }
    }

    /// The value of a number, and when it began, if its message has the value first and but an
    /// exemplar and the start behind it, in less than 128 bytes each.
    pub fn number(&self) -> Option<(f64, Option<i64>)> {
        let [0x09, behind @ ..] = self.value else {
            return None;
        };
        let (number, mut rest) = behind.split_first_chunk()?;
        let mut began = None;
        while !rest.is_empty() {
            match short_field(&mut rest)? {
                (2, exemplar) => check_fields(exemplar).ok()?,
                (3, message) => began = start(message).ok()?,
                _ => return None,
            }
        }
        Some((f64::from_le_bytes(*number), began))
    }
}

/// What the metrics of a family have in common: the names of their labels in the same order. A
/// label that begins like the one at its place before needs no second look there.
pub struct Shape<'a> {
    key: &'a GroupingKey,
    heads: Vec<LabelHead<'a>>,
    /// What stands behind the value of the last label, if that is the last of the heads.
    tail: Option<String>,
    /// What is left of the arena.
    free: &'a mut [u8],
}

/// A label up to its value.
struct LabelHead<'a> {
    /// In the message of the label: up to the length of the value.
    sent: &'a [u8],
    name: &'a str,
    /// In the label set: from behind the value before it.
    written: String,
}

/// A metric with more labels is not plain: what is kept of one is small.
const LABELS_MAX: usize = 64;

/// UTF-8 is checked in blocks of this length; the bytes after the text do not matter.
const BLOCK_BYTES: usize = 16;

/// What is known when the label set of a metric is written.
struct Written<'a> {
    length: usize,
    sent: usize,
    value: &'a [u8],
}

impl<'a> Shape<'a> {
    /// Nothing known yet. The labels of the key will be put on every metric.
    pub fn new(key: &'a GroupingKey, free: &'a mut [u8]) -> Shape<'a> {
        Shape {
            key,
            heads: Vec::new(),
            tail: None,
            free,
        }
    }

    /// Reads a metric whose value has this field number, if it is plain.
    #[inline]
    pub fn plain(&mut self, value_field: u64, message: &'a [u8]) -> Option<PlainMetric<'a>> {
        let free = std::mem::take(&mut self.free);
        let Some(written) = self.write(free, value_field, message) else {
            self.free = free;
            return None;
        };
        let (blocks, free) = free.split_at_mut(written.length.next_multiple_of(BLOCK_BYTES));
        self.free = free;
        Some(PlainMetric {
            canonical: std::str::from_utf8(blocks).ok()?.get(..written.length)?,
            sent: written.sent,
            value: written.value,
        })
    }

    fn write(
        &mut self,
        free: &mut [u8],
        value_field: u64,
        message: &'a [u8],
    ) -> Option<Written<'a>> {
        let (mut rest, mut length, mut place) = (message, 0, 0);
        while let [0x0a, label_length @ ..0x80, behind @ ..] = rest {
            let (label, behind) = behind.split_at_checked(usize::from(*label_length))?;
            let head = self.head(place, label)?;
            let value = value(label, head.sent.len())?;
            length = put(free, length, head.written.as_bytes())?;
            length = put(free, length, value)?;
            place += 1;
            rest = behind;
        }
        length = put(free, length, self.tail(place)?.as_bytes())?;
        free.get(..length.next_multiple_of(BLOCK_BYTES))?;
        let Ok(Some((number, Value::Bytes(value)))) = field(&mut rest) else {
            return None;
        };
        (number == value_field && rest.is_empty()).then_some(Written {
            length,
            sent: place,
            value,
        })
    }

    /// The head of this label, which is at this place.
    #[inline]
    fn head(&mut self, place: usize, label: &'a [u8]) -> Option<&LabelHead<'a>> {
        let is_known = matches!(self.heads.get(place), Some(head) if label.starts_with(head.sent));
        if !is_known {
            self.learn(place, label)?;
        }
        self.heads.get(place)
    }

    #[cold]
    fn learn(&mut self, place: usize, label: &'a [u8]) -> Option<()> {
        self.heads.truncate(place);
        self.tail = None;
        let [0x0a, name_length @ ..0x80, behind @ ..] = label else {
            return None;
        };
        let (name, behind) = behind.split_at_checked(usize::from(*name_length))?;
        let is_plain = !name.is_empty() && label_name_length(name) == name.len();
        if !is_plain || behind.first() != Some(&0x12) || place == LABELS_MAX {
            return None;
        }
        let name = std::str::from_utf8(name).ok()?;
        let before = self.heads.last().map_or("", |head| head.name);
        let is_own = self.key.labels().iter().all(|(of_key, _)| of_key != name);
        if name <= before || name.starts_with("__") || name == "le" || !is_own {
            return None;
        }
        let mut written = String::from(if place == 0 { "" } else { "\"," });
        for (name, value) in self.key_labels(|of_key| before < of_key && of_key < name) {
            written.extend([name, "=\"", value, "\","]);
        }
        written.extend([name, "=\""]);
        self.heads.push(LabelHead {
            sent: label.get(..name.len() + 3)?,
            name,
            written,
        });
        Some(())
    }

    /// The text behind the last label, where there are `labels` of them.
    fn tail(&mut self, labels: usize) -> Option<&str> {
        if labels != self.heads.len() || self.tail.is_none() {
            self.heads.truncate(labels);
            self.tail = None;
            let last = self.heads.last()?.name;
            let mut text = String::from("\"");
            for (name, value) in self.key_labels(|of_key| last < of_key) {
                text.extend([",", name, "=\"", value, "\""]);
            }
            self.tail = Some(text);
        }
        self.tail.as_deref()
    }

    /// These labels of the path; one of empty value is none.
    fn key_labels(
        &self,
        is_among: impl Fn(&str) -> bool,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let labels = self.key.labels().iter();
        let labels = labels.map(|(name, value)| (name.as_str(), value.as_str()));
        labels.filter(move |(name, value)| is_among(name) && !value.is_empty())
    }
}

/// Writes a piece behind the first `length` bytes of the text; gives the length with it.
#[inline]
fn put(text: &mut [u8], length: usize, piece: &[u8]) -> Option<usize> {
    let end = length + piece.len();
    text.get_mut(length..end)?.copy_from_slice(piece);
    Some(end)
}

/// The value behind the head of a label, if it is plain.
#[inline]
fn value(label: &[u8], head_length: usize) -> Option<&[u8]> {
    let (length @ ..0x80, value) = label.get(head_length..)?.split_first()? else {
        return None;
    };
    let is_whole = usize::from(*length) == value.len();
    (is_whole && !value.is_empty() && is_plain_end(label, value.len())).then_some(value)
}
