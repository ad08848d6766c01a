//! Where a text is in a [`Sorted`], by its hash.
//!
//! An entry is a hash and a hint: the leaf, and the slot at which the text most likely is. Within
//! its leaf a text moves when others come in before it, which no entry follows.
//!
//! Invariant: an index is empty, or has for each text an entry of its hash with its leaf. Two texts
//! of one hash may swap their entries, and no harm is done: all entries of a hash are tried. So a
//! text without an entry is not there.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry as TableEntry;

use super::sorted::{Divided, Inserted, Place, Sorted};
use crate::keyed_hash::KeyedHash;

/// See the module. It is empty as long as there is one leaf, which is searched as fast.
#[derive(Debug, Default)]
pub struct Index {
    table: HashTable<Entry>,
}

/// The indices of the label sets of families, by the families' numbers. Those that are empty are
/// left out.
#[derive(Debug, Default)]
pub struct Indices {
    table: HashTable<(u64, Index)>,
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

    /// So many leaves can be hinted at.
    const LEAVES_MAX: usize = 1 << (u32::BITS - Hint::SLOT_BITS);

    /// `None` for other leaves.
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
    /// The index of all that is there.
    pub fn of<T>(sorted: &Sorted<T>) -> Index {
        let mut index = Index::default();
        if sorted.leaf_count() > 1 {
            index.reserve(sorted.iter().count());
            index.note_all(sorted);
        }
        index
    }

    /// True if it has no entries.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Where a text is, if it is there.
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
        if found.is_none() && sorted.leaf_count() > Hint::LEAVES_MAX {
            // Not all of them can be hinted at.
            return sorted.find(key);
        }
        found
    }

    /// The place of a value of which the hash of its text is known, and something that no other
    /// value has.
    pub fn find_where<T>(
        &self,
        sorted: &Sorted<T>,
        hash: KeyedHash,
        is_it: impl Fn(&T) -> bool,
    ) -> Option<Place> {
        let mut found = None;
        self.table.find(hash.wide(), |entry| {
            if entry.hash == hash {
                found = sorted.find_near_where(entry.hint.place(), &is_it);
            }
            found.is_some()
        });
        if found.is_none() && sorted.leaf_count() > Hint::LEAVES_MAX {
            return sorted.find_where(&is_it);
        }
        found
    }

    /// Takes note of what was put into `sorted`, by its hash.
    pub fn note<T>(&mut self, sorted: &Sorted<T>, hash: KeyedHash, inserted: &Inserted) {
        match &inserted.divided {
            None if self.table.is_empty() => return,
            None => {}
            Some(_) if self.table.is_empty() => return self.note_all(sorted),
            Some(divided) => self.move_hints(sorted, divided, inserted.place),
        }
        self.insert(hash, inserted.place);
    }

    fn note_all<T>(&mut self, sorted: &Sorted<T>) {
        for leaf in (0..).take(sorted.leaf_count()) {
            for (slot, key) in (0..).zip(sorted.keys(leaf)) {
                self.insert(KeyedHash::of(key), Place { leaf, slot });
            }
        }
    }

    fn reserve(&mut self, texts: usize) {
        self.table.reserve(texts, |entry| entry.hash.wide());
    }

    fn insert(&mut self, hash: KeyedHash, place: Place) {
        if let Some(hint) = Hint::at(place) {
            let entry = Entry { hash, hint };
            let hash_of = |entry: &Entry| entry.hash.wide();
            self.table.insert_unique(hash.wide(), entry, hash_of);
        }
    }

    /// `inserted` was not there before and has no entry yet: one of its hash is another text's,
    /// which may have stayed.
    fn move_hints<T>(&mut self, sorted: &Sorted<T>, divided: &Divided, inserted: Place) {
        let leaf = divided.to;
        for (slot, key) in (0..).zip(sorted.keys(leaf)) {
            if (Place { leaf, slot }) == inserted {
                continue;
            }
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

impl Indices {
    /// The index of a family, if it is not empty.
    pub fn get(&self, number: u64) -> Option<&Index> {
        let found = self.table.find(spread(number), |(of, _)| *of == number);
        found.map(|(_, index)| index)
    }

    /// Takes the index of a family out.
    pub fn take(&mut self, number: u64) -> Index {
        let is_it = |(of, _): &(u64, Index)| *of == number;
        match self.table.find_entry(spread(number), is_it) {
            Ok(entry) => entry.remove().0.1,
            Err(_) => Index::default(),
        }
    }

    /// Puts the index of a family in the place of what there was, which is given back.
    pub fn replace(&mut self, number: u64, index: Index) -> Index {
        if index.is_empty() {
            return self.take(number);
        }
        let is_it = |(of, _): &(u64, Index)| *of == number;
        match self
            .table
            .entry(spread(number), is_it, |(of, _)| spread(*of))
        {
            TableEntry::Occupied(mut entry) => std::mem::replace(&mut entry.get_mut().1, index),
            TableEntry::Vacant(entry) => {
                entry.insert((number, index));
                Index::default()
            }
        }
    }
}

/// Numbers are given out by the gateway, in a row: they need no keyed hash, but tables look at both
/// ends of 64 bits.
fn spread(number: u64) -> u64 {
    /// Two to the 64th by the golden ratio.
    const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
    number.wrapping_mul(SPREAD)
}
