//! The idempotency keys of the pushes that were accepted lately, so that none is added twice.
//!
//! There are two generations. A key comes into the current one; when the first key of that is
//! [`GENERATION_MILLIS`] old, it becomes the previous one, whose keys are forgotten. So a key is
//! remembered for one to two times as long, and nothing is ever searched for old keys.
//!
//! Invariant: a key that was noted is found until its generation is forgotten. The time is an
//! argument and never decreases; when it leaps, ages are restarted.

use std::fmt;
use std::sync::Arc;

use hashbrown::HashTable;

use crate::stable_hash::StableHash;

/// How old the current generation may become.
pub const GENERATION_MILLIS: u64 = 10 * 60_000;

/// How old it must be to be replaced early, when it is full.
const FULL_GENERATION_MILLIS_MIN: u64 = 60_000;

/// The keys in one piece. Views share the pieces, and a push copies at most the last one.
const PIECE_KEYS: usize = 4096;

/// See the module.
#[derive(Debug, Default)]
pub struct Keys {
    current: Generation,
    previous: Generation,
}

/// The keys that came within some time.
#[derive(Debug, Default)]
struct Generation {
    /// When its first key came, in unix milliseconds.
    began_millis: u64,
    pieces: Vec<Arc<Vec<KnownKey>>>,
    /// Where each is: its place in the pieces, by its hash.
    places: HashTable<u32>,
}

/// A key, and what it came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownKey {
    /// Of the key.
    pub hash: StableHash,
    /// Of the path's labels, the format and the body.
    pub fingerprint: u64,
}

/// The keys as they were at one instant.
#[derive(Clone, Debug)]
pub struct KeysView {
    /// The previous generation, then the current one.
    pub generations: [GenerationView; 2],
}

/// One generation.
#[derive(Clone, Debug)]
pub struct GenerationView {
    /// When its first key came, in unix milliseconds.
    pub began_millis: u64,
    /// Its keys.
    pub pieces: Vec<Arc<Vec<KnownKey>>>,
}

/// No key can be noted at present: there are as many as may be, and all are young.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyKeys {
    /// How many there may be in a generation.
    pub keys_max: usize,
}

impl fmt::Display for TooManyKeys {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            to,
            "{} idempotency keys came within a minute (-max-idempotency-keys); push it again later",
            self.keys_max
        )
    }
}

impl std::error::Error for TooManyKeys {}

impl Keys {
    /// The fingerprint that came with a key, if it is remembered.
    #[must_use]
    pub fn fingerprint(&self, hash: StableHash) -> Option<u64> {
        let known = self.current.find(hash).or_else(|| self.previous.find(hash));
        known.map(|known| known.fingerprint)
    }

    /// How often the generations must be swapped before anything is asked at this time.
    #[must_use]
    pub fn swaps_due(&self, now_millis: u64) -> usize {
        let generations = |generation: &Generation| {
            now_millis.saturating_sub(generation.began_millis) / GENERATION_MILLIS
        };
        match (self.current.len(), self.previous.len()) {
            (0, 0) => 0,
            (0, _) => usize::from(generations(&self.previous) >= 2),
            _ => generations(&self.current).min(2) as usize,
        }
    }

    /// How often they must be swapped to make room for one more key.
    ///
    /// # Errors
    /// When the current generation is full and too young to be replaced.
    pub fn swaps_for_room(&self, now_millis: u64, keys_max: usize) -> Result<usize, TooManyKeys> {
        let age_millis = now_millis.saturating_sub(self.current.began_millis);
        if self.current.len() < keys_max {
            Ok(0)
        } else if age_millis >= FULL_GENERATION_MILLIS_MIN {
            Ok(1)
        } else {
            Err(TooManyKeys { keys_max })
        }
    }

    /// Forgets the previous generation; the current one becomes it. Gives what is to be freed
    /// outside the locks.
    #[must_use]
    pub fn swap(&mut self) -> RetiredKeys {
        let previous = std::mem::take(&mut self.current);
        RetiredKeys {
            _generation: std::mem::replace(&mut self.previous, previous),
        }
    }

    /// From here on no key counts as older than since this time: while no gateway ran, or when the
    /// wall clock leapt, no sender could try again.
    pub fn restart_ages(&mut self, now_millis: u64) {
        for generation in [&mut self.current, &mut self.previous] {
            generation.began_millis = generation.began_millis.max(now_millis);
        }
    }

    /// Notes a key that came at this time.
    pub fn note(&mut self, key: KnownKey, now_millis: u64) {
        if self.current.len() == 0 {
            self.current.began_millis = now_millis;
        }
        self.current.note(key);
    }

    /// Takes over keys of a snapshot, whose generation (0 is the previous one) began at this
    /// time.
    pub fn restore(&mut self, generation: u8, began_millis: u64, keys: &[KnownKey]) {
        let generation = match generation {
            0 => &mut self.previous,
            _ => &mut self.current,
        };
        generation.began_millis = began_millis;
        for key in keys {
            generation.note(*key);
        }
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.current.len() + self.previous.len()
    }

    /// True if none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The keys as they are now.
    #[must_use]
    pub fn view(&self) -> KeysView {
        KeysView {
            generations: [self.previous.view(), self.current.view()],
        }
    }
}

/// Keys that are forgotten, to be freed.
#[derive(Debug)]
pub struct RetiredKeys {
    _generation: Generation,
}

impl Generation {
    fn len(&self) -> usize {
        self.places.len()
    }

    fn at(&self, place: u32) -> Option<&KnownKey> {
        let place = place as usize;
        self.pieces.get(place / PIECE_KEYS)?.get(place % PIECE_KEYS)
    }

    fn find(&self, hash: StableHash) -> Option<&KnownKey> {
        let is_it = |place: &u32| self.at(*place).is_some_and(|known| known.hash == hash);
        self.places
            .find(hash.0[0], is_it)
            .and_then(|place| self.at(*place))
    }

    fn note(&mut self, key: KnownKey) {
        // No memory holds 2^32 of them.
        let place = u32::try_from(self.len()).unwrap_or(u32::MAX);
        match self.pieces.last_mut() {
            Some(last) if last.len() < PIECE_KEYS => Arc::make_mut(last).push(key),
            _ => self.pieces.push(Arc::new(vec![key])),
        }
        let pieces = &self.pieces;
        let hash_of = |place: &u32| {
            let place = *place as usize;
            pieces[place / PIECE_KEYS][place % PIECE_KEYS].hash.0[0]
        };
        self.places.insert_unique(key.hash.0[0], place, hash_of);
    }

    fn view(&self) -> GenerationView {
        GenerationView {
            began_millis: self.began_millis,
            pieces: self.pieces.clone(),
        }
    }
}
