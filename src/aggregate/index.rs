//! Where a text is in a [`Sorted`], by its hash.
//!
//! It only hints. Within its leaf a text moves when others come in before it; and of two texts of
//! one hash in one leaf, the hint of the one may go along with the other when that moves to another
//! leaf. So what is not found by a hint may be there all the same: whoever wants to put it there
//! asks the order of the texts, which is never wrong.

use hashbrown::HashTable;

use super::sorted::{Divided, Inserted, Place, Sorted};
use crate::keyed_hash::KeyedHash;

/// See the module. It is empty as long as there is one leaf, which is searched as fast.
#[derive(Debug, Default)]
pub struct Index {
    table: HashTable<Entry>,
}

/// Eight bytes for each text.
#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: KeyedHash,
    hint: Hint,
}

/// A place in 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hint(u32);

impl Hint {
    const SLOT_BITS: u32 = super::sorted::LEAF_LENGTH_MAX.ilog2();

    /// `None` for leaves beyond 2^25; those are not hinted at.
    fn at(place: Place) -> Option<Hint> {
        let fits = place.leaf >> (u32::BITS - Hint::SLOT_BITS) == 0;
        fits.then_some(Hint(place.leaf << Hint::SLOT_BITS | place.slot))
    }

    fn place(self) -> Place {
        Place {
            leaf: self.0 >> Hint::SLOT_BITS,
            slot: self.0 & ((1 << Hint::SLOT_BITS) - 1),
        }
    }
}

impl Index {
    /// Where a text is. `None`: it is not there, or, very seldom, it is not known here.
    pub fn find<T>(&self, sorted: &Sorted<T>, hash: KeyedHash, key: &str) -> Option<Place> {
        if self.table.is_empty() {
            return sorted.find(key);
        }
        let mut found = None;
        let is_it = |entry: &Entry| {
            if entry.hash == hash {
                found = sorted.find_near(entry.hint.place(), key);
            }
            found.is_some()
        };
        self.table.find(hash.wide(), is_it);
        found
    }

    /// Takes note of what was put into `sorted`, by its hash.
    pub fn note<T>(&mut self, sorted: &Sorted<T>, hash: KeyedHash, inserted: &Inserted) {
        match &inserted.divided {
            None if self.table.is_empty() => return,
            None => {}
            Some(divided) if self.table.is_empty() => {
                self.note_leaf(sorted, divided.from);
                self.note_leaf(sorted, divided.to);
                return;
            }
            Some(divided) => self.move_hints(sorted, divided),
        }
        self.insert(hash, inserted.place);
    }

    fn note_leaf<T>(&mut self, sorted: &Sorted<T>, leaf: u32) {
        for (slot, key) in (0..).zip(sorted.keys(leaf)) {
            self.insert(KeyedHash::of(key), Place { leaf, slot });
        }
    }

    fn insert(&mut self, hash: KeyedHash, place: Place) {
        if let Some(hint) = Hint::at(place) {
            let entry = Entry { hash, hint };
            let hash_of = |entry: &Entry| entry.hash.wide();
            self.table.insert_unique(hash.wide(), entry, hash_of);
        }
    }

    fn move_hints<T>(&mut self, sorted: &Sorted<T>, divided: &Divided) {
        let leaf = divided.to;
        for (slot, key) in (0..).zip(sorted.keys(leaf)) {
            let hash = KeyedHash::of(key);
            let was_there =
                |entry: &Entry| entry.hash == hash && entry.hint.place().leaf == divided.from;
            if let Some(entry) = self.table.find_mut(hash.wide(), was_there)
                && let Some(hint) = Hint::at(Place { leaf, slot })
            {
                entry.hint = hint;
            }
        }
    }
}
