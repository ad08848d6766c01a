//! The hash of a name or a label set: 32 bits that nobody outside this process can foretell.
//!
//! Invariant: within a process, equal texts have equal hashes. Senders choose the texts, so the
//! key comes from the system's randomness: without it, texts of one hash could be made on purpose.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;

use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;

/// A hash, and all that a table of hashes wants of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyedHash(u32);

/// A constant of this process, drawn when it is first used. A fuzzer sees how long a search takes:
/// it has one key, so that it goes the same way each time.
static KEY: LazyLock<(u64, SharedSeed)> = LazyLock::new(|| {
    let random = || {
        if cfg!(fuzzing) {
            0
        } else {
            RandomState::new().hash_one(0)
        }
    };
    (random(), SharedSeed::from_u64(random()))
});

impl KeyedHash {
    /// The least of all.
    pub const ZERO: KeyedHash = KeyedHash(0);

    /// The hash of a text.
    #[must_use]
    pub fn of(text: &str) -> KeyedHash {
        KeyedHash::of_bytes(text.as_bytes())
    }

    /// The hash of bytes.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> KeyedHash {
        let (key, shared) = &*KEY;
        let mut hasher = FoldHasher::with_seed(*key, shared);
        hasher.write(bytes);
        let hash = hasher.finish();
        #[allow(clippy::cast_possible_truncation)] // both halves count
        KeyedHash((hash ^ (hash >> 32)) as u32)
    }

    /// The hash of this text as the part of something numbered.
    #[must_use]
    pub fn within(self, number: u32) -> KeyedHash {
        /// Two to the 32nd by the golden ratio: numbers in a row come to lie far apart.
        const SPREAD: u32 = 0x9E37_79B9;
        KeyedHash(self.0 ^ number.wrapping_mul(SPREAD))
    }

    /// In which of this number of equal parts of the range of hashes it is; 0 if there are none.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)] // it is less than `parts`
    pub fn part_of(self, parts: usize) -> usize {
        ((u64::from(self.0) * parts as u64) >> u32::BITS) as usize
    }

    /// For tables that look at both ends of 64 bits.
    #[must_use]
    pub fn wide(self) -> u64 {
        u64::from(self.0) << 32 | u64::from(self.0)
    }
}
