//! Many values put into a [`Sorted`] at once.
//!
//! Each leaf that takes some of them is rewritten once, sequentially, whatever their number.
//! To put them in one by one would move half of the leaf each time.

use std::ops::Range;
use std::sync::Arc;
use std::vec;

use super::leaf::{Keys, LEAF_BYTES_MAX, LEAF_LENGTH_MAX, Leaf};
use super::{Place, Sorted};
use crate::text_order::order;

/// A text that is not there yet, and its value.
#[derive(Debug)]
pub struct Fresh<'a, T> {
    /// The text.
    pub key: &'a str,
    /// Its value.
    pub value: T,
    /// When it was last pushed, in unix seconds; given for all of a [`Sorted`], or for none.
    pub second: Option<u32>,
}

/// What has got a place.
#[derive(Debug)]
pub enum Placed<'a> {
    /// The next of the fresh ones.
    Fresh,
    /// A text that was there, and has moved from this leaf.
    Moved(&'a str, u32),
}

impl<T: Clone> Sorted<T> {
    /// True if there may be more than one leaf with these.
    pub(in super::super) fn may_divide(&self, fresh: &[Fresh<'_, T>]) -> bool {
        let first = self.leaves.first().map(|leaf| &*leaf.keys);
        let [length, bytes] = first.map_or([0; 2], |keys| [keys.length(), keys.bytes()]);
        let fresh_bytes: usize = fresh.iter().map(|fresh| fresh.key.len()).sum();
        self.leaves.len() > 1
            || length + fresh.len() > LEAF_LENGTH_MAX
            || bytes + fresh_bytes > LEAF_BYTES_MAX
    }

    /// Puts values where their texts belong, which are not there yet and come in order, each once.
    /// `placed` learns of each of them, in their order, and of what must move.
    pub(in super::super) fn insert_all(
        &mut self,
        fresh: Vec<Fresh<'_, T>>,
        mut placed: impl FnMut(&Placed<'_>, Place),
    ) {
        if self.order.is_empty() && !fresh.is_empty() {
            self.add_leaf(0, Arc::default());
        }
        let mut fresh = fresh.into_iter();
        let mut divided = Vec::new();
        let mut position = 0;
        while let Some(first) = fresh.as_slice().first() {
            position = self.position_from(position, first.key);
            let length = self.run_length(position, fresh.as_slice());
            let before = self.next_number();
            self.insert_run(position, &mut fresh, length, &mut placed);
            if self.next_number() > before {
                divided.push((position, before..self.next_number()));
            }
        }
        self.put_in_order(&divided);
    }

    /// The position of the leaf where a text belongs: this one or one behind it.
    fn position_from(&self, near: usize, key: &str) -> usize {
        let begins_behind = |position: usize| {
            self.order
                .get(position)
                .is_none_or(|&number| order(self.leaves[number as usize].keys.get(0), key).is_gt())
        };
        let (mut low, mut step) = (near, 1);
        while !begins_behind(low + step) {
            low += step;
            step *= 2;
        }
        // It begins behind the text.
        let mut high = low + step;
        while low + 1 < high {
            let middle = low.midpoint(high);
            if begins_behind(middle) {
                high = middle;
            } else {
                low = middle;
            }
        }
        low
    }

    /// How many of these texts belong into the leaf at a position where the first does.
    fn run_length(&self, position: usize, fresh: &[Fresh<'_, T>]) -> usize {
        if position + 1 >= self.order.len() {
            return fresh.len();
        }
        let end = self.leaf_at(position + 1).keys.get(0);
        let is_before = |fresh: &&Fresh<'_, T>| order(fresh.key, end).is_lt();
        fresh.iter().take_while(is_before).count()
    }

    /// Puts the next of the fresh ones into a leaf. New leaves are not put in order yet.
    fn insert_run(
        &mut self,
        position: usize,
        fresh: &mut vec::IntoIter<Fresh<'_, T>>,
        length: usize,
        placed: &mut impl FnMut(&Placed<'_>, Place),
    ) {
        let number = self.order[position];
        let new_number = self.next_number();
        let leaf = Arc::make_mut(&mut self.leaves[number as usize]);
        let old = Leaf {
            keys: Arc::clone(&leaf.keys),
            values: std::mem::take(&mut leaf.values),
            seconds: std::mem::take(&mut leaf.seconds),
        };
        let run = &fresh.as_slice()[..length];
        let mut parts = Parts::new(old, run, [number, new_number], placed);
        for fresh in fresh.take(length) {
            let slot = parts.keys.search_from(parts.slot, fresh.key);
            parts.copy_to(slot);
            parts.add(fresh);
        }
        let (first, others) = parts.finish();
        *leaf = first;
        self.leaves.extend(others.into_iter().map(Arc::new));
    }

    /// Puts leaves in order behind those that were divided into them.
    fn put_in_order(&mut self, divided: &[(usize, Range<u32>)]) {
        let Some(&(first, _)) = divided.first() else {
            return;
        };
        let behind = self.order.split_off(first);
        let mut copied = 0;
        for (position, numbers) in divided {
            let end = position + 1 - first;
            self.order.extend_from_slice(&behind[copied..end]);
            copied = end;
            self.order.extend(numbers.clone());
        }
        self.order.extend_from_slice(&behind[copied..]);
    }
}

/// What a leaf becomes that takes fresh values: one leaf or several, written one behind the other.
struct Parts<'p, T, P> {
    /// Of what was there.
    keys: Arc<Keys>,
    values: vec::IntoIter<T>,
    seconds: Vec<u32>,
    /// The next of that.
    slot: usize,
    /// Of the leaf that was there, and of the first new one.
    numbers: [u32; 2],
    /// A part has no more texts.
    length_max: usize,
    /// About as many bytes as these have.
    bytes: usize,
    /// The part that is being written.
    open: Open<T>,
    written: Vec<Leaf<T>>,
    placed: &'p mut P,
}

/// A leaf that is being written.
struct Open<T> {
    keys: Keys,
    values: Vec<T>,
    seconds: Vec<u32>,
}

impl<'p, T, P: FnMut(&Placed<'_>, Place)> Parts<'p, T, P> {
    fn new(
        old: Leaf<T>,
        fresh: &[Fresh<'_, T>],
        numbers: [u32; 2],
        placed: &'p mut P,
    ) -> Parts<'p, T, P> {
        let length = old.keys.length() + fresh.len();
        let fresh_bytes: usize = fresh.iter().map(|fresh| fresh.key.len()).sum();
        let bytes = old.keys.bytes() + fresh_bytes;
        let parts = length
            .div_ceil(LEAF_LENGTH_MAX)
            .max(bytes.div_ceil(LEAF_BYTES_MAX));
        let is_behind = |key| old.keys.last().is_none_or(|last| order(last, key).is_lt());
        // What comes in order leaves full leaves behind it.
        let length_max = if fresh.first().is_some_and(|first| is_behind(first.key)) {
            length.min(LEAF_LENGTH_MAX)
        } else {
            length.div_ceil(parts)
        };
        let bytes = if parts == 1 {
            bytes
        } else {
            (bytes * length_max / length).min(LEAF_BYTES_MAX)
        };
        Parts {
            keys: old.keys,
            values: old.values.into_iter(),
            seconds: old.seconds,
            slot: 0,
            numbers,
            length_max,
            bytes,
            open: Open::for_length(length_max, bytes),
            written: Vec::new(),
            placed,
        }
    }

    /// Copies what was there up to a slot.
    fn copy_to(&mut self, end: usize) {
        while self.slot < end {
            let length_left = self.length_max - self.open.values.len();
            let bytes_left = LEAF_BYTES_MAX.saturating_sub(self.open.keys.bytes());
            let range = self.slot..end.min(self.slot + length_left);
            let count = match self.keys.count_within(range, bytes_left) {
                0 if self.open.values.is_empty() => 1,
                0 => {
                    self.close();
                    continue;
                }
                count => count,
            };
            self.note_moves(count);
            let copied = self.slot..self.slot + count;
            self.open.keys.extend_from(&self.keys, copied.clone());
            self.open.values.extend(self.values.by_ref().take(count));
            let seconds = self.seconds.get(copied).unwrap_or_default();
            self.open.seconds.extend_from_slice(seconds);
            self.slot += count;
        }
    }

    /// The next of what was there come into the open part.
    fn note_moves(&mut self, count: usize) {
        if self.written.is_empty() {
            return;
        }
        let (from, to) = (self.numbers[0], self.next_place());
        let keys = self.keys.iter_from(self.slot).take(count);
        for (slot, key) in (to.slot..).zip(keys) {
            (self.placed)(&Placed::Moved(key, from), Place { slot, ..to });
        }
    }

    #[allow(clippy::cast_possible_truncation)] // see LEAF_LENGTH_MAX; leaves: `add_leaf`
    fn next_place(&self) -> Place {
        let leaf = match self.written.len() {
            0 => self.numbers[0],
            written => self.numbers[1] + written as u32 - 1,
        };
        let slot = self.open.values.len() as u32;
        Place { leaf, slot }
    }

    fn add(&mut self, fresh: Fresh<'_, T>) {
        let length = self.open.values.len();
        let bytes = self.open.keys.bytes() + fresh.key.len();
        if length >= self.length_max || (length > 0 && bytes > LEAF_BYTES_MAX) {
            self.close();
        }
        let place = self.next_place();
        (self.placed)(&Placed::Fresh, place);
        self.open.keys.push(fresh.key);
        self.open.values.push(fresh.value);
        self.open.seconds.extend(fresh.second);
    }

    fn close(&mut self) {
        let next = Open::for_length(self.length_max, self.bytes);
        let closed = std::mem::replace(&mut self.open, next);
        self.written.push(closed.into_leaf());
    }

    /// The first part and the others, once the rest of what was there is copied.
    fn finish(mut self) -> (Leaf<T>, Vec<Leaf<T>>) {
        self.copy_to(self.keys.length());
        let last = self.open.into_leaf();
        if self.written.is_empty() {
            return (last, Vec::new());
        }
        self.written.push(last);
        let others = self.written.split_off(1);
        (self.written.remove(0), others)
    }
}

impl<T> Open<T> {
    /// An empty one, with room for this number of texts and of bytes.
    fn for_length(length: usize, bytes: usize) -> Open<T> {
        Open {
            keys: Keys::for_length(length, bytes),
            values: Vec::with_capacity(length),
            seconds: Vec::new(),
        }
    }

    fn into_leaf(mut self) -> Leaf<T> {
        self.keys.shrink_to_fit();
        self.values.shrink_to_fit();
        self.seconds.shrink_to_fit();
        Leaf {
            keys: Arc::new(self.keys),
            values: self.values,
            seconds: self.seconds,
        }
    }
}
