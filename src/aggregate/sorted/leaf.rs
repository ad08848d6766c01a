//! A few neighbouring texts with their values, and with the seconds in which these were last
//! pushed where that is kept.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use crate::text_order::order;

/// The most values in a leaf.
pub const LEAF_LENGTH_MAX: usize = 128;

/// A leaf whose texts take more than this is divided as well: what is copied of it stays small.
pub const LEAF_BYTES_MAX: usize = 32 << 10;

/// A leaf that is less than a quarter full is joined with its neighbours when the leaves are
/// rebuilt.
const SPARSE_PARTS: usize = 4;

/// The most values in a leaf that is filled when the leaves are rebuilt: there is room for what
/// comes before it must be divided.
const FILLED_LENGTH_MAX: usize = LEAF_LENGTH_MAX / 4 * 3;

/// The lists run in parallel.
#[derive(Clone, Debug)]
pub struct Leaf<T> {
    pub keys: Arc<Keys>,
    pub values: Vec<T>,
    /// When each was last pushed, in unix seconds; empty where that is not kept.
    pub seconds: Vec<u32>,
}

/// Neighbours in a leaf: the lists of texts and of values run in parallel, and that of seconds
/// where it is kept.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a, T> {
    /// Of the whole leaf.
    text: &'a str,
    /// Where the first one begins.
    start: u32,
    /// Where each ends.
    ends: &'a [u32],
    values: &'a [T],
    seconds: &'a [u32],
}

impl<'a, T> Run<'a, T> {
    /// Texts, values and seconds in order.
    pub fn entries(self) -> impl Iterator<Item = (&'a str, &'a T, Option<u32>)> {
        let mut start = self.start;
        let slots = (0..).zip(self.ends.iter().zip(self.values));
        slots.map(move |(slot, (&end, value))| {
            let text = &self.text[start as usize..end as usize];
            start = end;
            (text, value, self.seconds.get(slot).copied())
        })
    }

    /// Texts and values in order; the texts as bytes, which takes fewer checks.
    #[inline]
    pub fn bytes_and_values(self) -> impl Iterator<Item = (&'a [u8], &'a T)> {
        let (text, mut start) = (self.text.as_bytes(), self.start);
        self.ends.iter().zip(self.values).map(move |(&end, value)| {
            let bytes = &text[start as usize..end as usize];
            start = end;
            (bytes, value)
        })
    }

    /// How many there are.
    #[must_use]
    pub fn length(&self) -> usize {
        self.values.len()
    }

    /// How long their texts are.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.ends
            .last()
            .map_or(0, |end| (end - self.start) as usize)
    }

    /// The first ones, and the rest.
    #[must_use]
    pub fn split_at(self, length: usize) -> (Run<'a, T>, Run<'a, T>) {
        let (ends, rest_ends) = self.ends.split_at(length);
        let (values, rest_values) = self.values.split_at(length);
        let (seconds, rest_seconds) = self.seconds.split_at(length.min(self.seconds.len()));
        let first = Run {
            ends,
            values,
            seconds,
            ..self
        };
        let rest = Run {
            start: ends.last().copied().unwrap_or(self.start),
            ends: rest_ends,
            values: rest_values,
            seconds: rest_seconds,
            ..self
        };
        (first, rest)
    }
}

/// The texts of a leaf, one behind the other. They are apart from the values since those change
/// with every push.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    text: String,
    /// Where each ends. No text comes from a body of 4 GiB.
    ends: Vec<u32>,
}

impl<T> Default for Leaf<T> {
    fn default() -> Leaf<T> {
        Leaf {
            keys: Arc::default(),
            values: Vec::new(),
            seconds: Vec::new(),
        }
    }
}

impl<T> Leaf<T> {
    /// True if there is no room for one more text.
    pub fn is_full(&self, key: &str) -> bool {
        let length = self.values.len();
        length >= LEAF_LENGTH_MAX
            || (length > 0 && self.keys.text.len() + key.len() > LEAF_BYTES_MAX)
    }

    /// True if no more is to be added when the leaves are rebuilt.
    pub fn is_filled(&self, key: &str) -> bool {
        self.values.len() >= FILLED_LENGTH_MAX || self.is_full(key)
    }

    /// True if the leaf wastes memory: it has the overhead of a full one.
    pub fn is_sparse(&self) -> bool {
        self.values.len() < LEAF_LENGTH_MAX / SPARSE_PARTS
            && self.keys.text.len() < LEAF_BYTES_MAX / SPARSE_PARTS
    }

    /// Texts, values and seconds in order, from a slot on.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &T, Option<u32>)> {
        let slots = (0..).zip(self.keys.iter().zip(&self.values));
        slots.map(|(slot, (key, value))| (key, value, self.second(slot)))
    }

    /// The entries from a slot on.
    pub fn run_from(&self, slot: usize) -> Run<'_, T> {
        Run {
            text: &self.keys.text,
            start: self.keys.ends[..slot].last().copied().unwrap_or(0),
            ends: &self.keys.ends[slot..],
            values: &self.values[slot..],
            seconds: &self.seconds[slot.min(self.seconds.len())..],
        }
    }

    /// When the value of a slot was last pushed, where that is kept.
    pub fn second(&self, slot: usize) -> Option<u32> {
        self.seconds.get(slot).copied()
    }

    /// Puts a value before that of a slot, or behind the last. `second` is given for all values of
    /// a leaf, or for none.
    pub fn insert(&mut self, slot: usize, key: &str, value: T, second: Option<u32>) {
        Arc::make_mut(&mut self.keys).insert(slot, key);
        if self.values.len() == self.values.capacity() {
            self.values.reserve_exact(growth(self.values.len()));
        }
        self.values.insert(slot, value);
        if let Some(second) = second {
            if self.seconds.len() == self.seconds.capacity() {
                self.seconds.reserve_exact(growth(self.seconds.len()));
            }
            self.seconds.insert(slot, second);
        }
    }

    /// Moves what stands at `middle` and behind it to a new leaf.
    pub fn split_off(&mut self, middle: usize) -> Leaf<T> {
        let keys = Arc::make_mut(&mut self.keys).split_off(middle);
        let upper = Leaf {
            keys: Arc::new(keys),
            values: self.values.split_off(middle),
            seconds: self.seconds.split_off(middle.min(self.seconds.len())),
        };
        self.values.shrink_to_fit();
        self.seconds.shrink_to_fit();
        upper
    }

    /// Gives back the memory that was reserved for more values.
    pub fn shrink_to_fit(&mut self) {
        Arc::make_mut(&mut self.keys).shrink_to_fit();
        self.values.shrink_to_fit();
        self.seconds.shrink_to_fit();
    }
}

/// How many more to make room for: leaves are many, and what they do not use is lost.
fn growth(length: usize) -> usize {
    1 + length / 4
}

impl Keys {
    /// None, with room for this number of texts, and of bytes in all.
    pub fn for_length(length: usize, bytes: usize) -> Keys {
        Keys {
            text: String::with_capacity(bytes),
            ends: Vec::with_capacity(length),
        }
    }

    fn start(&self, slot: usize) -> usize {
        slot.checked_sub(1).map_or(0, |before| self.end(before))
    }

    fn end(&self, slot: usize) -> usize {
        self.ends[slot] as usize
    }

    /// How many there are.
    pub fn length(&self) -> usize {
        self.ends.len()
    }

    /// How many bytes they have.
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// The texts in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.iter_from(0)
    }

    /// The same from a slot on.
    pub fn iter_from(&self, slot: usize) -> impl Iterator<Item = &str> {
        self.ends[slot..]
            .iter()
            .scan(self.start(slot), |start, &end| {
                let text = &self.text[*start..end as usize];
                *start = end as usize;
                Some(text)
            })
    }

    /// The text at a slot that there is.
    pub fn get(&self, slot: usize) -> &str {
        &self.text[self.start(slot)..self.end(slot)]
    }

    /// The last of all, if there are any.
    pub fn last(&self) -> Option<&str> {
        self.length().checked_sub(1).map(|last| self.get(last))
    }

    /// The slot of a text, or the one where it would have to go.
    pub fn search(&self, key: &str) -> Result<usize, usize> {
        self.search_between(0, self.ends.len(), key)
    }

    fn search_between(&self, low: usize, high: usize, key: &str) -> Result<usize, usize> {
        let (mut low, mut high) = (low, high);
        while low < high {
            let middle = low.midpoint(high);
            match order(self.get(middle), key) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Ok(middle),
                Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    /// The slot where a text would have to go that is not before this one, and mostly near.
    pub fn search_from(&self, slot: usize, key: &str) -> usize {
        let (mut low, mut step) = (slot, 1);
        let is_before = |slot| slot < self.length() && order(self.get(slot), key).is_lt();
        while is_before(low + step - 1) {
            low += step;
            step *= 2;
        }
        let high = self.length().min(low + step - 1);
        let (Ok(slot) | Err(slot)) = self.search_between(low, high, key);
        slot
    }

    /// How many of the texts in some slots have no more than this number of bytes in all.
    pub fn count_within(&self, slots: Range<usize>, bytes: usize) -> usize {
        let end_max = self.start(slots.start) + bytes;
        let ends = &self.ends[slots];
        match ends.last() {
            Some(&last) if last as usize > end_max => {
                ends.partition_point(|&end| end as usize <= end_max)
            }
            _ => ends.len(),
        }
    }

    /// Adds a text behind the last.
    pub fn push(&mut self, key: &str) {
        self.text.push_str(key);
        self.ends.push(length(&self.text));
    }

    /// The same with those in some slots of another.
    pub fn extend_from(&mut self, other: &Keys, slots: Range<usize>) {
        let (start, end) = (other.start(slots.start), other.start(slots.end));
        let before = length(&self.text);
        self.text.push_str(&other.text[start..end]);
        let start = other.ends[..slots.start].last().copied().unwrap_or(0);
        let ends = other.ends[slots].iter();
        self.ends.extend(ends.map(|end| end - start + before));
    }

    /// Gives back the memory that was reserved for more.
    pub fn shrink_to_fit(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    fn insert(&mut self, slot: usize, key: &str) {
        let start = self.start(slot);
        if self.text.capacity() - self.text.len() < key.len() {
            self.text.reserve_exact(key.len() + growth(self.text.len()));
        }
        let before = length(&self.text);
        self.text.insert_str(start, key);
        let added = length(&self.text) - before;
        if self.ends.len() == self.ends.capacity() {
            self.ends.reserve_exact(growth(self.ends.len()));
        }
        let start = self.ends[..slot].last().copied().unwrap_or(0);
        self.ends.insert(slot, start);
        self.ends[slot..].iter_mut().for_each(|end| *end += added);
    }

    fn split_off(&mut self, middle: usize) -> Keys {
        let text = self.text.split_off(self.start(middle));
        let start = length(&self.text);
        let mut ends = self.ends.split_off(middle);
        for end in &mut ends {
            *end -= start;
        }
        self.shrink_to_fit();
        Keys { text, ends }
    }
}

fn length(text: &str) -> u32 {
    u32::try_from(text.len()).unwrap_or(u32::MAX)
}
