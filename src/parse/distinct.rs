//! A list of things that are unlike each other.

use std::hash::{BuildHasher, Hash, RandomState};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// What makes a thing unlike others.
pub trait Keyed {
    /// Things of the same key are the same.
    type Key<'k>: Hash + Eq + Copy
    where
        Self: 'k;

    /// Its key.
    fn key(&self) -> Self::Key<'_>;
}

/// Things in order of arrival, and a table of their places by key. The table keeps no key twice
/// and is seeded at random, since senders choose what is in it.
pub struct Distinct<T> {
    list: Vec<T>,
    places: HashTable<usize>,
    hasher: RandomState,
}

impl<T: Keyed> Distinct<T> {
    /// Nothing yet.
    pub fn new() -> Distinct<T> {
        Distinct {
            list: Vec::new(),
            places: HashTable::new(),
            hasher: RandomState::new(),
        }
    }

    /// The place of the thing with this key.
    pub fn find<'k>(&'k self, key: T::Key<'k>) -> Option<usize> {
        let has_key = |&place: &usize| self.list[place].key() == key;
        self.places
            .find(self.hasher.hash_one(key), has_key)
            .copied()
    }

    /// The place of the thing with the key of this one, which is added if there is none.
    pub fn place(&mut self, thing: T) -> usize {
        let (Ok(place) | Err(place)) = self.insert(thing);
        place
    }

    /// Adds a thing that must be new.
    ///
    /// # Errors
    /// What `second` makes of the thing that has its key already.
    pub fn insert_new<E>(&mut self, thing: T, second: impl FnOnce(&T) -> E) -> Result<(), E> {
        match self.insert(thing) {
            Ok(_) => Ok(()),
            Err(place) => Err(second(&self.list[place])),
        }
    }

    fn insert(&mut self, thing: T) -> Result<usize, usize> {
        let key = thing.key();
        let has_key = |&place: &usize| self.list[place].key() == key;
        let hash = |&place: &usize| self.hasher.hash_one(self.list[place].key());
        match self.places.entry(self.hasher.hash_one(key), has_key, hash) {
            Entry::Occupied(entry) => Err(*entry.get()),
            Entry::Vacant(entry) => {
                let place = self.list.len();
                entry.insert(place);
                self.list.push(thing);
                Ok(place)
            }
        }
    }

    /// The thing at a place that was given out here.
    pub fn at(&mut self, place: usize) -> &mut T {
        &mut self.list[place]
    }

    /// The things in order of arrival.
    pub fn into_list(self) -> Vec<T> {
        self.list
    }
}
