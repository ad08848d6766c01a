//! Hashes that are kept: 128 bits by a key that stands in the journal, so that they mean the same
//! in the next process, and nobody outside can make two texts of one hash.
//!
//! Invariant: the same key and parts give the same hash, on every machine and in every version.

#[allow(deprecated)] // std has no other hasher that is specified and takes a key
use std::hash::SipHasher;
use std::hash::{BuildHasher, Hasher, RandomState};

/// What a hash depends on beside the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashKey([u8; 16]);

/// A hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StableHash(pub [u64; 2]);

impl HashKey {
    /// A key that nobody knows: std's hashers are keyed by the system's randomness.
    #[must_use]
    pub fn random() -> HashKey {
        let random = || RandomState::new().build_hasher().finish().to_le_bytes();
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&random());
        bytes[8..].copy_from_slice(&random());
        HashKey(bytes)
    }

    /// The key of these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> HashKey {
        HashKey(bytes)
    }

    /// The bytes of it.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// The hash of some parts; where one ends and the next begins counts.
    #[must_use]
    pub fn hash(self, parts: &[&[u8]]) -> StableHash {
        StableHash([self.half(0, parts), self.half(1, parts)])
    }

    /// Half of that hash.
    #[must_use]
    pub fn short_hash(self, parts: &[&[u8]]) -> u64 {
        self.half(0, parts)
    }

    /// SipHash-2-4 (Aumasson and Bernstein, 2012); each half has a key of its own.
    #[allow(deprecated)]
    fn half(self, half: u64, parts: &[&[u8]]) -> u64 {
        let [first, second] = [0, 8].map(|at| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&self.0[at..at + 8]);
            u64::from_le_bytes(bytes)
        });
        let mut hasher = SipHasher::new_with_keys(first, second ^ half);
        for part in parts {
            hasher.write(&(part.len() as u64).to_le_bytes());
            hasher.write(part);
        }
        hasher.finish()
    }
}
