//! The senders: found by their hashes, and listed in the order in which they were last heard.
//!
//! Invariant: a sender is in one of two lists, that of the live ones or that of those whose gauges
//! were withdrawn, at the place that its links say. To move one to the end of a list takes constant
//! time.

use std::sync::Arc;

use hashbrown::HashTable;

use super::growth::{Counter, Observed};
use super::{Gauge, table::Table};
use crate::stable_hash::StableHash;

/// The most senders in one piece: views share the pieces, and a push after one copies those that it
/// writes to.
const PIECE_SENDERS: usize = 32;

/// The slot of no sender.
const NONE: u32 = u32::MAX;

/// Which list a sender is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It was heard within the timeout.
    Live,
    /// Its gauges were withdrawn since it was silent.
    Withdrawn,
}

/// What is remembered of one sender.
#[derive(Clone, Debug)]
pub struct Sender {
    /// Of the labels of its path.
    pub hash: StableHash,
    /// When it was last heard, in unix seconds.
    pub heard_second: u32,
    /// Of the sender that was heard before it.
    before: u32,
    /// Of the sender that was heard behind it; in a slot that is free, the next such one.
    behind: u32,
    /// The list that it is in.
    pub life: Life,
    /// What its counters are compared with.
    pub counters: Table<Counter>,
    /// What it contributes; nothing of one whose gauges were withdrawn.
    pub gauges: Table<Gauge>,
    /// What its histograms and summaries are compared with.
    pub histograms: Table<Observed>,
}

impl Sender {
    fn new(hash: StableHash) -> Sender {
        Sender {
            hash,
            heard_second: 0,
            before: NONE,
            behind: NONE,
            life: Life::Live,
            counters: Table::default(),
            gauges: Table::default(),
            histograms: Table::default(),
        }
    }

    /// True if no number of it is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counters.is_empty() && self.gauges.is_empty() && self.histograms.is_empty()
    }

    /// How many numbers are remembered of it; it counts as one itself.
    pub fn numbers(&self) -> usize {
        let histograms = self.histograms.iter().map(Observed::numbers);
        1 + self.counters.len() + self.gauges.len() + histograms.sum::<usize>()
    }
}

/// The ends of a list.
#[derive(Clone, Copy, Debug)]
struct Ends {
    first: u32,
    last: u32,
    length: usize,
}

const NOBODY: Ends = Ends {
    first: NONE,
    last: NONE,
    length: 0,
};

/// See the module.
#[derive(Debug)]
pub struct List {
    pieces: Vec<Arc<Vec<Sender>>>,
    /// Slots, by the hash of the sender.
    slots: HashTable<u32>,
    first_free: u32,
    live: Ends,
    withdrawn: Ends,
}

impl Default for List {
    fn default() -> List {
        List {
            pieces: Vec::new(),
            slots: HashTable::new(),
            first_free: NONE,
            live: NOBODY,
            withdrawn: NOBODY,
        }
    }
}

/// The list at one instant.
#[derive(Clone, Debug)]
pub struct ListView {
    pieces: Vec<Arc<Vec<Sender>>>,
    live: Ends,
    withdrawn: Ends,
}

fn at(pieces: &[Arc<Vec<Sender>>], slot: u32) -> Option<&Sender> {
    let slot = slot as usize;
    pieces.get(slot / PIECE_SENDERS)?.get(slot % PIECE_SENDERS)
}

fn listed(pieces: &[Arc<Vec<Sender>>], ends: Ends) -> impl Iterator<Item = &Sender> {
    let first = at(pieces, ends.first);
    std::iter::successors(first, |sender| at(pieces, sender.behind))
}

impl ListView {
    /// All senders, those of each list in its order.
    pub fn iter(&self) -> impl Iterator<Item = &Sender> {
        listed(&self.pieces, self.withdrawn).chain(listed(&self.pieces, self.live))
    }
}

impl List {
    /// The senders of a list, the longest silent first.
    pub fn iter(&self, life: Life) -> impl Iterator<Item = &Sender> {
        listed(&self.pieces, self.ends(life))
    }

    /// How many there are.
    pub fn len(&self, life: Life) -> usize {
        self.ends(life).length
    }

    /// The slot of a sender.
    pub fn find(&self, hash: StableHash) -> Option<u32> {
        let is_it = |slot: &u32| self.at(*slot).is_some_and(|sender| sender.hash == hash);
        self.slots.find(hash.0[0], is_it).copied()
    }

    /// The sender of a slot.
    pub fn at(&self, slot: u32) -> Option<&Sender> {
        at(&self.pieces, slot)
    }

    /// The same, to be changed.
    pub fn at_mut(&mut self, slot: u32) -> Option<&mut Sender> {
        let slot = slot as usize;
        let piece = self.pieces.get_mut(slot / PIECE_SENDERS)?;
        Arc::make_mut(piece).get_mut(slot % PIECE_SENDERS)
    }

    /// Adds a sender that is not there, at the end of the live ones, and gives its slot.
    pub fn insert(&mut self, hash: StableHash) -> u32 {
        let slot = self.free_slot();
        if let Some(sender) = self.at_mut(slot) {
            *sender = Sender::new(hash);
        }
        let pieces = &self.pieces;
        let hash_of = |slot: &u32| at(pieces, *slot).map_or(0, |sender| sender.hash.0[0]);
        self.slots.insert_unique(hash.0[0], slot, hash_of);
        self.link(slot, Life::Live);
        slot
    }

    fn free_slot(&mut self) -> u32 {
        if let Some(free) = self.at(self.first_free) {
            let slot = self.first_free;
            self.first_free = free.behind;
            return slot;
        }
        let full = self.pieces.len().saturating_sub(1) * PIECE_SENDERS;
        let slot = full + self.pieces.last().map_or(0, |last| last.len());
        let new = Sender::new(StableHash([0; 2]));
        match self.pieces.last_mut() {
            Some(last) if last.len() < PIECE_SENDERS => Arc::make_mut(last).push(new),
            _ => self.pieces.push(Arc::new(vec![new])),
        }
        // So many are more than any memory holds.
        u32::try_from(slot).unwrap_or(NONE)
    }

    /// Moves a sender to the end of a list.
    pub fn move_to_end(&mut self, slot: u32, life: Life) {
        if self.at(slot).is_some_and(|sender| sender.life == life) && self.ends(life).last == slot {
            return;
        }
        self.unlink(slot);
        self.link(slot, life);
    }

    /// Forgets a sender.
    pub fn remove(&mut self, slot: u32) {
        let Some(hash) = self.at(slot).map(|sender| sender.hash) else {
            return;
        };
        self.unlink(slot);
        if let Ok(entry) = self.slots.find_entry(hash.0[0], |found| *found == slot) {
            entry.remove();
        }
        let behind = self.first_free;
        if let Some(sender) = self.at_mut(slot) {
            *sender = Sender {
                behind,
                ..Sender::new(StableHash([0; 2]))
            };
            self.first_free = slot;
        }
        if self.slots.is_empty() {
            *self = List::default();
        }
    }

    fn unlink(&mut self, slot: u32) {
        let Some(sender) = self.at(slot) else { return };
        let (before, behind, life) = (sender.before, sender.behind, sender.life);
        match self.at_mut(before) {
            Some(sender) => sender.behind = behind,
            None => self.ends_mut(life).first = behind,
        }
        match self.at_mut(behind) {
            Some(sender) => sender.before = before,
            None => self.ends_mut(life).last = before,
        }
        self.ends_mut(life).length -= 1;
    }

    fn link(&mut self, slot: u32, life: Life) {
        let last = std::mem::replace(&mut self.ends_mut(life).last, slot);
        self.ends_mut(life).length += 1;
        match self.at_mut(last) {
            Some(sender) => sender.behind = slot,
            None => self.ends_mut(life).first = slot,
        }
        if let Some(sender) = self.at_mut(slot) {
            (sender.before, sender.behind, sender.life) = (last, NONE, life);
        }
    }

    fn ends(&self, life: Life) -> Ends {
        match life {
            Life::Live => self.live,
            Life::Withdrawn => self.withdrawn,
        }
    }

    fn ends_mut(&mut self, life: Life) -> &mut Ends {
        match life {
            Life::Live => &mut self.live,
            Life::Withdrawn => &mut self.withdrawn,
        }
    }

    /// Shares the senders as they are now; they go on changing here.
    pub fn view(&self) -> ListView {
        ListView {
            pieces: self.pieces.clone(),
            live: self.live,
            withdrawn: self.withdrawn,
        }
    }
}
