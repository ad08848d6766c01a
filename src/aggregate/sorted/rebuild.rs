//! A [`Sorted`] without some of its values, made beside it, and kept up with it while it changes.
//!
//! A leaf that loses nothing is shared by both. The others are copied; neighbours that became
//! sparse are joined, so that their memory is really given back.

use std::sync::Arc;

use super::{Found, Inserted, Leaf, Sorted};
use crate::text_order::order;

/// What becomes of a value.
pub enum Verdict<T> {
    /// It stays as it is.
    Stays,
    /// It stays, changed to this.
    Becomes(T),
    /// It is left out.
    Goes,
}

/// What a text that was put into a [`Sorted`] met there.
pub enum Put<T> {
    /// This value, which was replaced.
    Replaced(T),
    /// Nothing.
    Inserted(Inserted),
}

/// A leaf that differs from that of an earlier state.
pub struct Changed<'a, T> {
    leaf: &'a Arc<Leaf<T>>,
    /// The leaf of the earlier state, unless it is a new one.
    before: Option<&'a Arc<Leaf<T>>>,
}

impl<T> Changed<'_, T> {
    /// Its texts, values and seconds.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &T, Option<u32>)> {
        self.leaf.entries()
    }

    /// Its values and seconds by slot. That reads less memory than with the texts.
    pub fn values(&self) -> impl Iterator<Item = (usize, &T, Option<u32>)> {
        let values = self.leaf.values.iter().enumerate();
        values.map(|(slot, value)| (slot, value, self.leaf.second(slot)))
    }

    /// The text of a slot that there is.
    pub fn key(&self, slot: usize) -> &str {
        self.leaf.keys.get(slot)
    }

    /// The leaf of the earlier state, if it has the same texts.
    fn same_texts(&self) -> Option<&Arc<Leaf<T>>> {
        self.before
            .filter(|before| Arc::ptr_eq(&before.keys, &self.leaf.keys))
    }

    /// Of each of [`Changed::entries`], the value in the earlier state, if that had the same texts
    /// in this leaf.
    pub fn values_before(&self) -> Option<&[T]> {
        self.same_texts().map(|before| before.values.as_slice())
    }
}

impl<T> Sorted<T> {
    /// The leaves that are not those of an earlier state of the same values. Pushes copy what they
    /// write to, as long as that state is held.
    pub(in super::super) fn changed_since<'a>(
        &'a self,
        before: &'a Sorted<T>,
    ) -> impl Iterator<Item = Changed<'a, T>> {
        let leaves = self.leaves.iter().enumerate();
        leaves.filter_map(|(number, leaf)| {
            let before = before.leaves.get(number);
            let is_same = before.is_some_and(|before| Arc::ptr_eq(before, leaf));
            (!is_same).then_some(Changed { leaf, before })
        })
    }

    /// Puts a whole leaf in the place of the one of its earlier state, if that is shared here and
    /// has the same texts; otherwise does nothing and gives `false`.
    pub(in super::super) fn share(&mut self, changed: &Changed<'_, T>) -> bool {
        let Some(before) = changed.same_texts() else {
            return false;
        };
        let position = self.search(before.keys.get(0), 0).position;
        let Some(&number) = self.order.get(position) else {
            return false;
        };
        let here = &mut self.leaves[number as usize];
        let is_shared = Arc::ptr_eq(here, before);
        if is_shared {
            *here = Arc::clone(changed.leaf);
        }
        is_shared
    }
}

impl<T: Clone> Sorted<T> {
    /// What is left when each value has had its verdict; `None` when all stay as they are.
    pub(in super::super) fn rebuild(
        &self,
        mut verdict: impl FnMut(&str, &T, Option<u32>) -> Verdict<T>,
    ) -> Option<Sorted<T>> {
        let mut rebuilt = Rebuilt {
            sorted: Sorted::default(),
            open: Leaf::default(),
        };
        let mut are_all_same = true;
        for leaf in self
            .order
            .iter()
            .map(|&number| &self.leaves[number as usize])
        {
            let entries = leaf.entries();
            let verdicts: Vec<Verdict<T>> = entries
                .map(|(key, value, second)| verdict(key, value, second))
                .collect();
            let are_same = verdicts
                .iter()
                .all(|verdict| matches!(verdict, Verdict::Stays));
            are_all_same &= are_same;
            if are_same && !leaf.is_sparse() {
                rebuilt.add_leaf(Arc::clone(leaf));
                continue;
            }
            for ((key, value, second), verdict) in leaf.entries().zip(verdicts) {
                match verdict {
                    Verdict::Stays => rebuilt.add(key, value.clone(), second),
                    Verdict::Becomes(value) => rebuilt.add(key, value, second),
                    Verdict::Goes => {}
                }
            }
        }
        (!are_all_same).then(|| rebuilt.finish())
    }

    /// Puts a value and its second where the text is, or where it belongs. `near` is where the one
    /// before went: those that come in order are found at once.
    pub(in super::super) fn put(
        &mut self,
        key: &str,
        value: T,
        second: Option<u32>,
        near: &mut Near,
    ) -> Put<T> {
        let mut found = Found {
            position: near.position,
            slot: Ok(near.slot),
        };
        if !self.is_at(key, &found) {
            found = self.search(key, near.position);
        }
        near.position = found.position;
        let Ok(slot) = found.slot else {
            let inserted = self.insert_at(&found, &mut near.position, key, value, second);
            near.slot = inserted.place.slot as usize + 1;
            return Put::Inserted(inserted);
        };
        near.slot = slot + 1;
        let (values, seconds) = self.leaf_mut(self.order[found.position]);
        if let (Some(to), Some(second)) = (seconds.get_mut(slot), second) {
            *to = second;
        }
        Put::Replaced(std::mem::replace(&mut values[slot], value))
    }

    fn is_at(&self, key: &str, found: &Found) -> bool {
        let (Some(&number), Ok(slot)) = (self.order.get(found.position), found.slot) else {
            return false;
        };
        let keys = &self.leaves[number as usize].keys;
        slot < keys.length() && order(keys.get(slot), key).is_eq()
    }
}

/// Where the next text most likely is.
#[derive(Default)]
pub struct Near {
    /// In the order of the leaves.
    position: usize,
    slot: usize,
}

/// Leaves in order; values are added one by one to the last of them as long as it is open.
struct Rebuilt<T> {
    sorted: Sorted<T>,
    open: Leaf<T>,
}

impl<T> Rebuilt<T> {
    fn add(&mut self, key: &str, value: T, second: Option<u32>) {
        if self.open.is_filled(key) {
            self.close();
        }
        self.open.insert(self.open.values.len(), key, value, second);
    }

    fn close(&mut self) {
        if !self.open.values.is_empty() {
            let mut leaf = std::mem::take(&mut self.open);
            leaf.shrink_to_fit();
            self.sorted
                .add_leaf(self.sorted.order.len(), Arc::new(leaf));
        }
    }

    fn add_leaf(&mut self, leaf: Arc<Leaf<T>>) {
        self.close();
        self.sorted.add_leaf(self.sorted.order.len(), leaf);
    }

    fn finish(mut self) -> Sorted<T> {
        self.close();
        self.sorted.leaves.shrink_to_fit();
        self.sorted.order.shrink_to_fit();
        self.sorted
    }
}
