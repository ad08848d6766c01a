//! A list of things that are unlike each other.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::keyed_hash::KeyedHash;
use crate::metric::LabelSet;

/// What makes a thing unlike others.
pub trait Distinguishable {
    /// Of all that makes it unlike others.
    fn hash(&self) -> KeyedHash;

    /// True if the other is the same thing.
    fn is(&self, other: &Self) -> bool;
}

/// The hash of a series of a push.
#[allow(clippy::cast_possible_truncation)] // families that far apart may well share hashes
pub fn series_hash(family: usize, labels: &LabelSet<'_>) -> KeyedHash {
    labels.hash().within(family as u32)
}

/// Things in order of arrival, and a table of their places. The table keeps nothing twice.
pub struct Distinct<T> {
    list: Vec<T>,
    places: HashTable<u32>,
    expected: usize,
}

impl<T: Distinguishable> Distinct<T> {
    /// An empty list with room for about `expected` things once the first one comes.
    pub fn expecting(expected: usize) -> Distinct<T> {
        Distinct {
            list: Vec::new(),
            places: HashTable::new(),
            expected,
        }
    }

    /// The place of the thing with this hash that is meant.
    pub fn find(&self, hash: KeyedHash, is_meant: impl Fn(&T) -> bool) -> Option<usize> {
        let place = self
            .places
            .find(hash.wide(), |&place| is_meant(&self.list[place as usize]));
        place.map(|&place| place as usize)
    }

    /// The place of the thing that is the same as this one, which is added if there is none.
    pub fn place(&mut self, thing: T) -> usize {
        let (Ok(place) | Err(place)) = self.insert(thing);
        place
    }

    /// Adds a thing that must be new.
    ///
    /// # Errors
    /// What `second` makes of the same thing that is there already.
    pub fn insert_new<E>(&mut self, thing: T, second: impl FnOnce(&T) -> E) -> Result<(), E> {
        match self.insert(thing) {
            Ok(_) => Ok(()),
            Err(place) => Err(second(&self.list[place])),
        }
    }

    fn insert(&mut self, thing: T) -> Result<usize, usize> {
        if self.list.is_empty() {
            // Growing would copy all of it again and again.
            self.list.reserve_exact(self.expected);
            self.places.reserve(self.expected, |_| 0);
        }
        let is_same = |&place: &u32| self.list[place as usize].is(&thing);
        let hash = |&place: &u32| self.list[place as usize].hash().wide();
        match self.places.entry(thing.hash().wide(), is_same, hash) {
            Entry::Occupied(entry) => Err(*entry.get() as usize),
            Entry::Vacant(entry) => {
                let place = self.list.len();
                // No body holds 2^32 of them.
                entry.insert(u32::try_from(place).unwrap_or(u32::MAX));
                self.list.push(thing);
                Ok(place)
            }
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// The thing at a place that was given out here.
    pub fn get(&self, place: usize) -> &T {
        &self.list[place]
    }

    /// The same, to be changed.
    pub fn at(&mut self, place: usize) -> &mut T {
        &mut self.list[place]
    }

    /// The things in order of arrival.
    pub fn into_list(self) -> Vec<T> {
        self.list
    }
}
