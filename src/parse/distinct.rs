//! A list of things that are unlike each other.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// What makes a thing unlike others.
pub trait Keyed {
    /// Its family (none for a family itself), what it is there, and its name or label set.
    fn key(&self) -> (usize, Part, &str);
}

/// What a sample is of its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// It has the family's own name.
    Own,
    /// A cumulative count.
    Bucket,
    /// The sum of all observations.
    Sum,
    /// The number of all observations.
    Count,
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
    pub fn find(&self, key: (usize, Part, &str)) -> Option<usize> {
        let has_key = |&place: &usize| self.list[place].key() == key;
        self.places
            .find(self.hasher.hash_one(key), has_key)
            .copied()
    }

    /// Adds a thing and returns its place.
    ///
    /// # Errors
    /// The place of the thing that has its key already.
    pub fn insert(&mut self, thing: T) -> Result<usize, usize> {
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
