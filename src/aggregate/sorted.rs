//! Values by text, in the byte order of the texts: what a view shares with the store.
//!
//! The texts and their values lie in leaves of at most [`LEAF_LENGTH_MAX`] neighbours, so that
//! reading all of them in order is reading memory in a row. The leaves are shared: a clone costs a
//! few words for each leaf, and who writes to one of them afterwards copies that leaf first
//! (`Arc::make_mut`), so that a clone stays as it was.
//!
//! Invariant: no text is in it twice; whatever [`Index`](super::index::Index) says, what is not
//! found here is not there.

use std::cmp::Ordering;
use std::ops::ControlFlow;
use std::sync::Arc;

/// The most values in a leaf.
pub const LEAF_LENGTH_MAX: usize = 128;

/// A leaf whose texts take more than this is divided as well: what is copied of it stays small.
const LEAF_BYTES_MAX: usize = 32 << 10;

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

#[derive(Clone, Debug)]
struct Leaf<T> {
    keys: Arc<Keys>,
    values: Vec<T>,
}

/// The texts of a leaf, one behind the other. They are apart from the values since those change
/// with every push.
#[derive(Clone, Debug, Default)]
struct Keys {
    text: String,
    /// Where each ends.
    ends: Vec<usize>,
}

/// Where a text is, or where it would have to be put.
struct Found {
    /// In `order`.
    position: usize,
    /// In the leaf.
    slot: Result<usize, usize>,
}

/// What came of an insertion.
pub struct Inserted {
    /// Where it went.
    pub place: Place,
    /// The leaf that became two to make room for it.
    pub divided: Option<Divided>,
}

/// A leaf became two.
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

    /// Gives texts and values in order from a position on, until one of them breaks. That one's
    /// position comes back: it is the first for the next call. `None` after the last.
    pub fn visit_from(
        &self,
        from: Position,
        mut visit: impl FnMut(&str, &T) -> ControlFlow<()>,
    ) -> Option<Position> {
        let mut first_slot = from.slot;
        for (leaf, &number) in self.order.iter().enumerate().skip(from.leaf) {
            let entries = &*self.leaves[number as usize];
            let slots = entries
                .keys
                .iter_from(first_slot)
                .zip(&entries.values[first_slot..]);
            for (slot, (key, value)) in (first_slot..).zip(slots) {
                if visit(key, value).is_break() {
                    return Some(Position { leaf, slot });
                }
            }
            first_slot = 0;
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
        if slot < keys.ends.len() && order(keys.get(slot), key).is_eq() {
            return Some(place);
        }
        #[allow(clippy::cast_possible_truncation)] // see LEAF_LENGTH_MAX
        let slot = keys.search(key).ok()? as u32;
        Some(Place { slot, ..place })
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

impl<T: Clone> Sorted<T> {
    /// The value at a place, to be changed.
    pub(super) fn at_mut(&mut self, place: Place) -> &mut T {
        &mut Arc::make_mut(&mut self.leaves[place.leaf as usize]).values[place.slot as usize]
    }

    /// The values of a leaf, to be changed.
    pub(super) fn leaf_mut(&mut self, leaf: u32) -> &mut [T] {
        &mut Arc::make_mut(&mut self.leaves[leaf as usize]).values
    }

    /// Puts a value where its text belongs, or finds the one that is there. `near` is where the one
    /// before went: those that come in order find their place at once.
    ///
    /// # Errors
    /// Where the text is already.
    pub(super) fn insert(
        &mut self,
        key: &str,
        near: &mut usize,
        value: impl FnOnce() -> T,
    ) -> Result<Inserted, Place> {
        let found = self.search(key, *near);
        *near = found.position;
        let mut slot = match found.slot {
            Ok(slot) => return Err(self.place(found.position, slot)),
            Err(slot) => slot,
        };
        if self.order.is_empty() {
            self.add_leaf(0, Leaf::default());
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
        Arc::make_mut(&mut self.leaves[number]).insert(slot, key, value());
        Ok(Inserted {
            place: self.place(*near, slot),
            divided,
        })
    }

    /// Moves what stands at `middle` and behind it to a new leaf.
    fn divide(&mut self, position: usize, middle: usize) -> u32 {
        let number = self.order[position] as usize;
        let upper = Arc::make_mut(&mut self.leaves[number]).split_off(middle);
        self.add_leaf(position + 1, upper)
    }

    fn add_leaf(&mut self, position: usize, leaf: Leaf<T>) -> u32 {
        // So many leaves are more than any memory holds.
        let number = u32::try_from(self.leaves.len()).unwrap_or(u32::MAX);
        self.leaves.push(Arc::new(leaf));
        self.order.insert(position, number);
        number
    }
}

impl<T> Default for Leaf<T> {
    fn default() -> Leaf<T> {
        Leaf {
            keys: Arc::default(),
            values: Vec::new(),
        }
    }
}

impl<T> Leaf<T> {
    fn is_full(&self, key: &str) -> bool {
        let length = self.values.len();
        length >= LEAF_LENGTH_MAX
            || (length > 0 && self.keys.text.len() + key.len() > LEAF_BYTES_MAX)
    }

    fn insert(&mut self, slot: usize, key: &str, value: T) {
        Arc::make_mut(&mut self.keys).insert(slot, key);
        if self.values.len() == self.values.capacity() {
            self.values.reserve_exact(growth(self.values.len()));
        }
        self.values.insert(slot, value);
    }

    fn split_off(&mut self, middle: usize) -> Leaf<T> {
        let keys = Arc::make_mut(&mut self.keys).split_off(middle);
        let upper = Leaf {
            keys: Arc::new(keys),
            values: self.values.split_off(middle),
        };
        self.values.shrink_to_fit();
        upper
    }
}

/// The order of two texts by their bytes, which are compared eight at a time: the comparison that a
/// static build has from its C library goes byte by byte.
pub(super) fn order(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one.as_bytes(), other.as_bytes());
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

/// How many more to make room for: leaves are many, and what they do not use is lost.
fn growth(length: usize) -> usize {
    1 + length / 4
}

impl Keys {
    fn start(&self, slot: usize) -> usize {
        slot.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        self.iter_from(0)
    }

    fn iter_from(&self, slot: usize) -> impl Iterator<Item = &str> {
        self.ends[slot..]
            .iter()
            .scan(self.start(slot), |start, &end| {
                let text = &self.text[*start..end];
                *start = end;
                Some(text)
            })
    }

    /// The text at a slot that there is.
    fn get(&self, slot: usize) -> &str {
        &self.text[self.start(slot)..self.ends[slot]]
    }

    /// The slot of a text, or the one where it would have to go.
    fn search(&self, key: &str) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.ends.len());
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

    fn insert(&mut self, slot: usize, key: &str) {
        let start = self.start(slot);
        if self.text.capacity() - self.text.len() < key.len() {
            self.text.reserve_exact(key.len() + growth(self.text.len()));
        }
        self.text.insert_str(start, key);
        if self.ends.len() == self.ends.capacity() {
            self.ends.reserve_exact(growth(self.ends.len()));
        }
        self.ends.insert(slot, start);
        self.ends[slot..]
            .iter_mut()
            .for_each(|end| *end += key.len());
    }

    fn split_off(&mut self, middle: usize) -> Keys {
        let start = self.start(middle);
        let text = self.text.split_off(start);
        let mut ends = self.ends.split_off(middle);
        for end in &mut ends {
            *end -= start;
        }
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
        Keys { text, ends }
    }
}
