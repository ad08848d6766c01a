//! Where a text is in a [`Sorted`], by its hash.
//!
//! An entry is a hash and a hint: the leaf, and the slot at which the text most likely is. Within
//! its leaf a text moves when others come in before it, which no entry follows.
//!
//! Invariant: an index is empty, or has for each text an entry of its hash with its leaf. Two texts
//! of one hash may swap their entries, and no harm is done: all entries of a hash are tried. So a
//! text without an entry is not there.
//!
//! The entries lie in the order of their hashes, in cells some of which are free: each at its home,
//! which is as far down the table as its hash is down the range of all hashes, or behind it, with
//! no free cell between. No entry is ever removed. So a search ends at the first greater hash, and
//! a table that grows is read and written in a row, not all over the memory. It grows by a quarter:
//! it is memory of every series.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry as TableEntry;

use super::sorted::{Divided, Fresh, Inserted, Place, Placed, Sorted};
use crate::keyed_hash::KeyedHash;

/// See the module. It is empty as long as there is one leaf, which is searched as fast.
#[derive(Debug, Default)]
pub struct Index {
    /// One for each home, and a few behind the last.
    cells: Vec<Entry>,
    homes: usize,
    /// How many cells are not free.
    length: usize,
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

impl Entry {
    const FREE: Entry = Entry {
        hash: KeyedHash::ZERO,
        hint: Hint(u32::MAX),
    };

    fn is_free(self) -> bool {
        self.hint == Entry::FREE.hint
    }
}

/// A place in 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hint(u32);

impl Hint {
    const SLOT_BITS: u32 = super::sorted::LEAF_LENGTH_MAX.ilog2();

    /// The most leaves that can be hinted at; the last number of these bits is that of no place.
    const LEAVES_MAX: usize = (1 << (u32::BITS - Hint::SLOT_BITS)) - 1;

    /// `None` for other leaves.
    fn at(place: Place) -> Option<Hint> {
        let fits = (place.leaf as usize) < Hint::LEAVES_MAX;
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
    /// For 4 entries there are 5 homes: then one is about 2 cells behind its own.
    const USED_PARTS: usize = 4;
    const PARTS: usize = 5;

    const HOMES_MIN: usize = 256;

    /// Cells behind the last home; if there is no free one, there will be more.
    const CELLS_BEHIND: usize = 32;

    /// The index of all that is there.
    pub fn of<T>(sorted: &Sorted<T>) -> Index {
        let mut index = Index::default();
        if sorted.leaf_count() > 1 {
            index.note_all(sorted);
        }
        index
    }

    /// True if it has no entries.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Where a text is, if it is there.
    pub fn find<T>(&self, sorted: &Sorted<T>, hash: KeyedHash, key: &str) -> Option<Place> {
        if self.is_empty() {
            return sorted.find(key);
        }
        let mut hints = self.hints(hash);
        let found = hints.find_map(|hint| sorted.find_near(hint.place(), key));
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
        let mut hints = self.hints(hash);
        let found = hints.find_map(|hint| sorted.find_near_where(hint.place(), &is_it));
        if found.is_none() && sorted.leaf_count() > Hint::LEAVES_MAX {
            return sorted.find_where(&is_it);
        }
        found
    }

    /// The hints of the entries of a hash.
    fn hints(&self, hash: KeyedHash) -> impl Iterator<Item = Hint> {
        let from = self.cells[hash.part_of(self.homes)..].iter();
        let until = from.take_while(move |cell| !cell.is_free() && cell.hash <= hash);
        let same = until.filter(move |entry| entry.hash == hash);
        same.map(|entry| entry.hint)
    }

    /// Puts values into `sorted` of which the index is, and takes note of them by their hashes.
    pub fn insert_all<T: Clone>(
        &mut self,
        sorted: &mut Sorted<T>,
        fresh: Vec<Fresh<'_, T>>,
        mut hashes: impl Iterator<Item = KeyedHash>,
    ) {
        if self.is_empty() && !sorted.may_divide(&fresh) {
            return sorted.insert_all(fresh, |_, _| {});
        }
        if self.is_empty() {
            self.note_all(sorted);
        }
        self.reserve(fresh.len());
        sorted.insert_all(fresh, |placed, place| match *placed {
            Placed::Fresh => {
                if let Some(hash) = hashes.next() {
                    self.insert(hash, place);
                }
            }
            Placed::Moved(key, from) => self.move_hint(KeyedHash::of(key), from, place),
        });
        if sorted.leaf_count() < 2 {
            *self = Index::default();
        }
    }

    /// Takes note of what was put into `sorted`, by its hash.
    pub fn note<T>(&mut self, sorted: &Sorted<T>, hash: KeyedHash, inserted: &Inserted) {
        match &inserted.divided {
            None if self.is_empty() => return,
            None => {}
            Some(_) if self.is_empty() => return self.note_all(sorted),
            Some(divided) => self.move_hints(sorted, divided, inserted.place),
        }
        self.reserve(1);
        self.insert(hash, inserted.place);
    }

    /// Takes note of all that is there, where nothing was noted before.
    fn note_all<T>(&mut self, sorted: &Sorted<T>) {
        /// As many at once: their entries are half a megabyte.
        const LEAVES: usize = 512;
        self.reserve(sorted.length());
        let count = sorted.leaf_count();
        for first in (0..count).step_by(LEAVES) {
            let leaves = (0..).take(count).skip(first).take(LEAVES);
            let places = leaves.flat_map(|leaf| {
                let slots = (0..).zip(sorted.keys(leaf));
                slots.map(move |(slot, key)| (Place { leaf, slot }, key))
            });
            let entries = places.filter_map(|(place, key)| {
                let (hash, hint) = (KeyedHash::of(key), Hint::at(place)?);
                Some(Entry { hash, hint })
            });
            for entry in in_parts(&entries.collect::<Vec<_>>()) {
                self.put(entry);
            }
        }
    }

    /// Reserves room for this number of entries more.
    fn reserve(&mut self, more: usize) {
        let homes_min = (self.length + more) * Index::PARTS / Index::USED_PARTS;
        if homes_min <= self.homes {
            return;
        }
        let grown = self.homes / Index::USED_PARTS * Index::PARTS;
        self.homes = homes_min.max(grown).max(Index::HOMES_MIN);
        let cells = Vec::with_capacity(self.homes + Index::CELLS_BEHIND);
        for entry in std::mem::replace(&mut self.cells, cells) {
            if !entry.is_free() {
                let home = entry.hash.part_of(self.homes);
                self.cells.resize(self.cells.len().max(home), Entry::FREE);
                self.cells.push(entry);
            }
        }
        let length = self.homes + Index::CELLS_BEHIND;
        self.cells.resize(self.cells.len().max(length), Entry::FREE);
    }

    /// Takes note of a text that was not there before. There is room.
    fn insert(&mut self, hash: KeyedHash, place: Place) {
        if let Some(hint) = Hint::at(place) {
            self.put(Entry { hash, hint });
        }
    }

    /// Puts an entry where its hash belongs, and what is there a cell further.
    fn put(&mut self, entry: Entry) {
        self.length += 1;
        let from = &mut self.cells[entry.hash.part_of(self.homes)..];
        let is_before = |cell: &Entry| !cell.is_free() && cell.hash <= entry.hash;
        let at = from.iter().take_while(|cell| is_before(cell)).count();
        let mut moved = entry;
        for cell in &mut from[at..] {
            moved = std::mem::replace(cell, moved);
            if moved.is_free() {
                return;
            }
        }
        self.cells.push(moved);
    }

    /// Takes note that a text has moved from this leaf.
    fn move_hint(&mut self, hash: KeyedHash, from: u32, to: Place) {
        let cells = self.cells[hash.part_of(self.homes)..].iter_mut();
        let mut until = cells.take_while(|cell| !cell.is_free() && cell.hash <= hash);
        let moved = until.find(|entry| entry.hash == hash && entry.hint.place().leaf == from);
        if let (Some(entry), Some(hint)) = (moved, Hint::at(to)) {
            entry.hint = hint;
        }
    }

    /// `inserted` was not there before and has no entry yet: one of its hash is another text's,
    /// which may have stayed.
    fn move_hints<T>(&mut self, sorted: &Sorted<T>, divided: &Divided, inserted: Place) {
        let leaf = divided.to;
        for (slot, key) in (0..).zip(sorted.keys(leaf)) {
            let to = Place { leaf, slot };
            if to != inserted {
                self.move_hint(KeyedHash::of(key), divided.from, to);
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

/// Entries in the order of the parts of a table that they go to: one part after the other is near
/// at hand while it is written.
fn in_parts(entries: &[Entry]) -> Vec<Entry> {
    /// One of as many parts of the table of a million texts fits into the nearest cache.
    const PARTS: usize = 256;
    let mut nexts = [0; PARTS];
    for entry in entries {
        nexts[entry.hash.part_of(PARTS)] += 1;
    }
    let mut begin = 0;
    for next in &mut nexts {
        begin += std::mem::replace(next, begin);
    }
    let mut in_parts = vec![Entry::FREE; entries.len()];
    for &entry in entries {
        let next = &mut nexts[entry.hash.part_of(PARTS)];
        in_parts[*next] = entry;
        *next += 1;
    }
    in_parts
}

/// Numbers are given out by the gateway, in a row: they need no keyed hash, but tables look at both
/// ends of 64 bits.
fn spread(number: u64) -> u64 {
    /// Two to the 64th by the golden ratio.
    const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
    number.wrapping_mul(SPREAD)
}
