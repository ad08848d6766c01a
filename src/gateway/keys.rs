//! Idempotency keys: their part in a push, and their bytes in a snapshot.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use super::{Gateway, PushRequest, Refusal, Writers};
use crate::grouping_key::GroupingKey;
use crate::idempotency::{Keys, KeysView, KnownKey};
use crate::journal::{Framed, Record};
use crate::stable_hash::StableHash;

/// The most keys in one record of a snapshot.
const SNAPSHOT_KEYS_MAX: usize = 1 << 15;

/// Two halves of a hash, and a fingerprint.
const KEY_BYTES: usize = 24;

impl Gateway {
    /// A key, and what it came with. The order of the path's labels does not count: the clients for
    /// Go and Rust change it from one try to the next.
    pub(super) fn known_key(
        &self,
        key: &[u8],
        labels: &GroupingKey,
        request: &PushRequest<'_>,
    ) -> KnownKey {
        let labels = labels.labels().iter();
        let labels = labels.flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        let format = [request.format.code()];
        let parts: Vec<&[u8]> = labels.chain([format.as_slice(), request.body]).collect();
        KnownKey {
            hash: self.hash_key.hash(&[key]),
            fingerprint: self.hash_key.short_hash(&parts),
        }
    }

    /// True if the push of a key has been added before. Forgets what is old enough for it first.
    pub(super) fn is_repeated(
        &self,
        writers: &mut Writers,
        key: KnownKey,
    ) -> Result<bool, Refusal> {
        let swaps = writers.keys.swaps_due(writers.time_millis);
        self.swap_keys(writers, swaps)?;
        match writers.keys.fingerprint(key.hash) {
            None => Ok(false),
            Some(fingerprint) if fingerprint == key.fingerprint => Ok(true),
            Some(_) => Err(Refusal::KeyReused),
        }
    }

    pub(super) fn make_room_for_key(&self, writers: &mut Writers) -> Result<(), Refusal> {
        let keys_max = self.limits.keys_max;
        let swaps = writers.keys.swaps_for_room(writers.time_millis, keys_max);
        let swaps = swaps.map_err(Refusal::TooManyKeys)?;
        self.key_counts.early_swaps.fetch_add(swaps as u64, Relaxed);
        self.swap_keys(writers, swaps)
    }

    fn swap_keys(&self, writers: &mut Writers, swaps: usize) -> Result<(), Refusal> {
        for _ in 0..swaps {
            self.append(writers, Framed::of(Record::SwapKeys))
                .map_err(Refusal::NotKept)?;
            let retired = writers.keys.swap();
            writers.retired_keys.push(retired);
        }
        self.key_counts.note(&writers.keys);
        Ok(())
    }

    /// How many idempotency keys there are. Does not wait for the journal.
    #[must_use]
    pub fn key_counts(&self) -> KeyCounts {
        KeyCounts {
            remembered: self.key_counts.remembered.load(Relaxed),
            early_swaps: self.key_counts.early_swaps.load(Relaxed),
        }
    }
}

/// How many idempotency keys there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyCounts {
    /// In both generations.
    pub remembered: usize,
    /// How often a generation was forgotten early, for lack of room.
    pub early_swaps: u64,
}

/// The same, counted under the writers' lock and read without it.
#[derive(Debug, Default)]
pub struct KeyCounters {
    remembered: AtomicUsize,
    early_swaps: AtomicU64,
}

impl KeyCounters {
    /// Notes how many are remembered now.
    pub fn note(&self, keys: &Keys) {
        self.remembered.store(keys.len(), Relaxed);
    }
}

/// Gives the records of the keys, one after the other.
pub fn write_keys<E>(
    view: &KeysView,
    mut write: impl FnMut(Record<'_>) -> Result<(), E>,
) -> Result<(), E> {
    for (number, generation) in (0..).zip(&view.generations) {
        let mut keys = Vec::new();
        let mut all = generation
            .pieces
            .iter()
            .flat_map(|piece| piece.iter())
            .peekable();
        while let Some(key) = all.next() {
            for number in [key.hash.0[0], key.hash.0[1], key.fingerprint] {
                keys.extend_from_slice(&number.to_le_bytes());
            }
            if keys.len() == SNAPSHOT_KEYS_MAX * KEY_BYTES || all.peek().is_none() {
                write(Record::SnapshotKeys {
                    generation: number,
                    began_millis: generation.began_millis,
                    keys: &keys,
                })?;
                keys.clear();
            }
        }
    }
    Ok(())
}

/// The keys of such a record; `None` if it is none.
pub fn read_keys(bytes: &[u8]) -> Option<Vec<KnownKey>> {
    let (keys, rest) = bytes.as_chunks::<KEY_BYTES>();
    let read = |key: &[u8; KEY_BYTES]| {
        let [first, second, fingerprint] = [0, 8, 16].map(|at| {
            let mut number = [0; 8];
            number.copy_from_slice(&key[at..at + 8]);
            u64::from_le_bytes(number)
        });
        KnownKey {
            hash: StableHash([first, second]),
            fingerprint,
        }
    };
    rest.is_empty().then(|| keys.iter().map(read).collect())
}
