//! Texts in byte order: comparing two, and sorting many that begin alike.
//!
//! To sort, what all of them begin with is skipped, the eight bytes behind it are compared as one
//! number, and those that are alike in these as well are sorted in the same way. To compare whole
//! texts would read all that they begin with again and again.

use std::cmp::Ordering;

const CHUNK_BYTES: usize = size_of::<u64>();

/// Fewer are compared as they are.
const LENGTH_MIN: usize = 8;

/// So often texts are taken for alike in a part before they are compared as they are.
const DEPTH_MAX: usize = 16;

/// The order of two texts by their bytes, which are compared eight at a time: the comparison that a
/// static build has from its C library goes byte by byte.
#[must_use]
pub fn order(one: &str, other: &str) -> Ordering {
    order_of_bytes(one.as_bytes(), other.as_bytes())
}

fn order_of_bytes(one: &[u8], other: &[u8]) -> Ordering {
    let (mut one, mut other) = (one, other);
    while let (Some((first, one_rest)), Some((second, other_rest))) =
        (one.split_first_chunk(), other.split_first_chunk())
    {
        if first != second {
            return u64::from_be_bytes(*first).cmp(&u64::from_be_bytes(*second));
        }
        (one, other) = (one_rest, other_rest);
    }
    one.cmp(other)
}

/// One of the texts, by its number.
#[derive(Clone, Copy)]
struct Item {
    chunk: u64,
    number: usize,
}

/// Sorts numbers by the texts that they stand for, in byte order.
pub fn sort_by_text<'t>(numbers: &mut [usize], text: impl Fn(usize) -> &'t str) {
    if numbers.is_sorted_by(|&one, &next| order(text(one), text(next)).is_le()) {
        return;
    }
    let items = numbers.iter().map(|&number| Item { chunk: 0, number });
    let mut items: Vec<Item> = items.collect();
    sort(&mut items, &text, 0, DEPTH_MAX);
    for (number, item) in numbers.iter_mut().zip(items) {
        *number = item.number;
    }
}

/// Sorts texts that are alike in the first `begin` bytes, none of which is shorter.
fn sort<'t>(items: &mut [Item], text: &impl Fn(usize) -> &'t str, begin: usize, depth: usize) {
    if items.len() < LENGTH_MIN || depth == 0 {
        let rest = |item: &Item| &text(item.number).as_bytes()[begin..];
        return items.sort_unstable_by(|one, other| order_of_bytes(rest(one), rest(other)));
    }
    let begin = begin + common_length(items, text, begin);
    for item in &mut *items {
        item.chunk = chunk(&text(item.number).as_bytes()[begin..]);
    }
    items.sort_unstable_by_key(|item| item.chunk);
    let end = begin + CHUNK_BYTES;
    for alike in items.chunk_by_mut(|one, next| one.chunk == next.chunk) {
        if alike.len() == 1 {
            continue;
        }
        // Of a text that has ended, the chunk says nothing about zeros at its end.
        if alike.iter().all(|item| text(item.number).len() >= end) {
            sort(alike, text, end, depth - 1);
        } else {
            sort(alike, text, begin, 0);
        }
    }
}

/// How many bytes these texts have in common from one on.
fn common_length<'t>(items: &[Item], text: &impl Fn(usize) -> &'t str, begin: usize) -> usize {
    let rest = |item: &Item| &text(item.number).as_bytes()[begin..];
    let Some((first, others)) = items.split_first() else {
        return 0;
    };
    let first = rest(first);
    others.iter().fold(first.len(), |length, other| {
        let other = rest(other);
        let is_longer = other
            .get(..length)
            .is_some_and(|other| order_of_bytes(&first[..length], other).is_eq());
        if is_longer {
            return length;
        }
        let pairs = first.iter().zip(other);
        pairs.take_while(|(one, other)| one == other).count()
    })
}

/// The first bytes as a number of the same order; zeros behind a text that is shorter.
fn chunk(text: &[u8]) -> u64 {
    if let Some(bytes) = text.first_chunk() {
        return u64::from_be_bytes(*bytes);
    }
    let mut bytes = [0; CHUNK_BYTES];
    bytes[..text.len()].copy_from_slice(text);
    u64::from_be_bytes(bytes)
}
