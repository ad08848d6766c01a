//! Values by text, in the byte order of the texts: what a view shares with the store.
//!
//! The texts and their values lie in leaves of at most [`LEAF_LENGTH_MAX`] neighbours, so that
//! reading all of them in order is reading memory in a row. The leaves are shared: a clone costs a
//! few words for each leaf, and who writes to one of them afterwards copies that leaf first
//! (`Arc::make_mut`), so that a clone stays as it was.
//!
//! Invariant: no text is in it twice, and no leaf is empty.

mod batch;
mod leaf;
mod rebuild;

use std::ops::ControlFlow;
use std::sync::Arc;

pub use batch::{Fresh, Placed};
pub use leaf::{LEAF_LENGTH_MAX, Run};
pub use rebuild::{Changed, Near, Put, Verdict};

use crate::text_order::order;
use leaf::Leaf;

/// See the module.
#[derive(Clone, Debug)]
pub struct Sorted<T> {
    /// By number; a number stays with its leaf.
    leaves: Vec<Arc<Leaf<T>>>,
    /// The numbers, in the order of the texts.
    order: Vec<u32>,
}

/// How far a reader has come in the order of the texts; the first is where all begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    leaf: usize,
    slot: usize,
}

/// A text's values move when others come in before them; then they are no longer at their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The number of the leaf.
    pub leaf: u32,
    /// Where it is in that.
    pub slot: u32,
}

/// Where a text is, or where it would have to be put.
struct Found {
    /// In `order`.
    position: usize,
    /// In the leaf.
    slot: Result<usize, usize>,
}

/// What came of an insertion.
#[derive(Debug)]
pub struct Inserted {
    /// Where it went.
    pub place: Place,
    /// The leaf that became two to make room for it.
    pub divided: Option<Divided>,
}

/// A leaf became two.
#[derive(Debug)]
pub struct Divided {
    /// The one that was there.
    pub from: u32,
    /// The new one, with what stood at the end of the other.
    pub to: u32,
}

impl<T> Default for Sorted<T> {
    fn default() -> Sorted<T> {
        Sorted {
            leaves: Vec::new(),
            order: Vec::new(),
        }
    }
}

impl<T> Sorted<T> {
    /// Texts and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        let in_order = self.order.iter();
        in_order.flat_map(|&number| {
            let leaf = &self.leaves[number as usize];
            leaf.keys.iter().zip(&leaf.values)
        })
    }

    /// The same with the second in which each was last pushed, where that is kept.
    pub fn iter_with_seconds(&self) -> impl Iterator<Item = (&str, &T, Option<u32>)> {
        let in_order = self.order.iter();
        in_order.flat_map(|&number| self.leaves[number as usize].entries())
    }

    /// How many texts there are.
    pub(super) fn length(&self) -> usize {
        self.leaves.iter().map(|leaf| leaf.values.len()).sum()
    }

    /// The second in which one of the values was last pushed, where that is kept.
    pub(super) fn last_second(&self) -> Option<u32> {
        let seconds = |leaf: &Arc<Leaf<T>>| leaf.seconds.iter().copied().max();
        self.leaves.iter().filter_map(seconds).max()
    }

    /// The last text, if there is any.
    pub(super) fn last_key(&self) -> Option<&str> {
        let last = self.order.last()?;
        self.leaves[*last as usize].keys.last()
    }

    /// How many leaves there are; 0 when it is empty.
    pub(super) fn leaf_count(&self) -> usize {
        self.leaves.len()
    }

    /// Gives texts and values in order from a position on, with the second in which each was last
    /// pushed, where that is kept; until one of them breaks. That one's position comes back: it is
    /// the first for the next call. `None` after the last.
    pub fn visit_from(
        &self,
        from: Position,
        mut visit: impl FnMut(&str, &T, Option<u32>) -> ControlFlow<()>,
    ) -> Option<Position> {
        self.visit_runs_from(from, |run| {
            for (slot, (key, value, second)) in run.entries().enumerate() {
                if visit(key, value, second).is_break() {
                    return ControlFlow::Break(slot);
                }
            }
            ControlFlow::Continue(())
        })
    }

    /// The same run by run: who breaks says how many of the run are done.
    pub fn visit_runs_from(
        &self,
        from: Position,
        mut visit: impl FnMut(Run<'_, T>) -> ControlFlow<usize>,
    ) -> Option<Position> {
        let mut slot = from.slot;
        for (leaf, &number) in self.order.iter().enumerate().skip(from.leaf) {
            if let ControlFlow::Break(done) = visit(self.leaves[number as usize].run_from(slot)) {
                let slot = slot + done;
                return Some(Position { leaf, slot });
            }
            slot = 0;
        }
        None
    }

    /// The texts of one leaf, by slot.
    pub(super) fn keys(&self, leaf: u32) -> impl Iterator<Item = &str> {
        self.leaves[leaf as usize].keys.iter()
    }

    /// The value at a place.
    pub(super) fn at(&self, place: Place) -> &T {
        &self.leaves[place.leaf as usize].values[place.slot as usize]
    }

    /// Where a text is, if it is in the leaf of this place, and most likely there.
    pub(super) fn find_near(&self, place: Place, key: &str) -> Option<Place> {
        let keys = &self.leaves.get(place.leaf as usize)?.keys;
        let slot = place.slot as usize;
        if slot < keys.length() && order(keys.get(slot), key).is_eq() {
            return Some(place);
        }
        #[allow(clippy::cast_possible_truncation)] // see LEAF_LENGTH_MAX
        let slot = keys.search(key).ok()? as u32;
        Some(Place { slot, ..place })
    }

    /// The place of a value, if it is in the leaf of this place, and most likely there.
    pub(super) fn find_near_where(
        &self,
        place: Place,
        is_it: impl Fn(&T) -> bool,
    ) -> Option<Place> {
        let values = &self.leaves.get(place.leaf as usize)?.values;
        if values.get(place.slot as usize).is_some_and(&is_it) {
            return Some(place);
        }
        #[allow(clippy::cast_possible_truncation)] // see LEAF_LENGTH_MAX
        let slot = values.iter().position(is_it)? as u32;
        Some(Place { slot, ..place })
    }

    /// The same in any leaf.
    pub(super) fn find_where(&self, is_it: impl Fn(&T) -> bool) -> Option<Place> {
        let leaves = (0..).take(self.leaves.len());
        let mut found = leaves.map(|leaf| Place { leaf, slot: 0 });
        found.find_map(|place| self.find_near_where(place, &is_it))
    }

    /// The value of a text, if it is there.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&T> {
        Some(self.at(self.find(key)?))
    }

    /// Where a text is.
    pub(super) fn find(&self, key: &str) -> Option<Place> {
        let found = self.search(key, 0);
        let slot = found.slot.ok()?;
        Some(self.place(found.position, slot))
    }

    #[allow(clippy::cast_possible_truncation)] // see LEAF_LENGTH_MAX
    fn place(&self, position: usize, slot: usize) -> Place {
        Place {
            leaf: self.order[position],
            slot: slot as u32,
        }
    }

    fn leaf_at(&self, position: usize) -> &Leaf<T> {
        &self.leaves[self.order[position] as usize]
    }

    /// Looks in the leaf at the position `near` first.
    fn search(&self, key: &str, near: usize) -> Found {
        let begins_behind =
            |position: usize| order(self.leaf_at(position).keys.get(0), key).is_gt();
        let is_near = (near < self.order.len() && (near == 0 || !begins_behind(near)))
            && (near + 1 == self.order.len() || begins_behind(near + 1));
        let position = if is_near {
            near
        } else {
            let leaf = |number: &u32| &self.leaves[*number as usize];
            let behind = self
                .order
                .partition_point(|number| order(leaf(number).keys.get(0), key).is_le());
            behind.saturating_sub(1)
        };
        let slot = match self.order.get(position) {
            None => Err(0),
            Some(_) => self.leaf_at(position).keys.search(key),
        };
        Found { position, slot }
    }
}

impl<T> Sorted<T> {
    /// The number of the leaf that is made next.
    fn next_number(&self) -> u32 {
        // So many leaves are more than any memory holds.
        u32::try_from(self.leaves.len()).unwrap_or(u32::MAX)
    }

    fn add_leaf(&mut self, position: usize, leaf: Arc<Leaf<T>>) -> u32 {
        let number = self.next_number();
        self.leaves.push(leaf);
        self.order.insert(position, number);
        number
    }
}

impl<T: Clone> Sorted<T> {
    /// The value at a place, to be changed.
    pub(super) fn at_mut(&mut self, place: Place) -> &mut T {
        &mut Arc::make_mut(&mut self.leaves[place.leaf as usize]).values[place.slot as usize]
    }

    /// The values of a leaf and their seconds, which are none where they are not kept; to be
    /// changed.
    pub(super) fn leaf_mut(&mut self, leaf: u32) -> (&mut [T], &mut [u32]) {
        let leaf = Arc::make_mut(&mut self.leaves[leaf as usize]);
        (&mut leaf.values, &mut leaf.seconds)
    }

    /// Puts a value where its text belongs, which is not there yet. `near` is where the one before
    /// went: those that come in order find their place at once. `second` is given for all values,
    /// or for none.
    pub(super) fn insert(
        &mut self,
        key: &str,
        near: &mut usize,
        value: T,
        second: Option<u32>,
    ) -> Inserted {
        let found = self.search(key, *near);
        self.insert_at(&found, near, key, value, second)
    }

    fn insert_at(
        &mut self,
        found: &Found,
        near: &mut usize,
        key: &str,
        value: T,
        second: Option<u32>,
    ) -> Inserted {
        *near = found.position;
        let (Ok(mut slot) | Err(mut slot)) = found.slot;
        if self.order.is_empty() {
            self.add_leaf(0, Arc::default());
        }
        let mut divided = None;
        if self.leaf_at(*near).is_full(key) {
            let length = self.leaf_at(*near).values.len();
            // What comes in order leaves full leaves behind.
            let middle = if slot == length { length } else { length / 2 };
            let from = self.order[*near];
            let to = self.divide(*near, middle);
            divided = Some(Divided { from, to });
            if slot > middle || slot == length {
                *near += 1;
                slot -= middle;
            }
        }
        let number = self.order[*near] as usize;
        Arc::make_mut(&mut self.leaves[number]).insert(slot, key, value, second);
        Inserted {
            place: self.place(*near, slot),
            divided,
        }
    }

    /// Moves what stands at `middle` and behind it to a new leaf.
    fn divide(&mut self, position: usize, middle: usize) -> u32 {
        let number = self.order[position] as usize;
        let upper = Arc::make_mut(&mut self.leaves[number]).split_off(middle);
        self.add_leaf(position + 1, Arc::new(upper))
    }
}
