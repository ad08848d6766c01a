//! The entries of one kind that a sender has, sorted by the hash of their series.
//!
//! Invariant: an entry comes once; all lie in pieces of a bounded length, in order. Hashes are as
//! good as random, so that pieces fill evenly, and an index is not needed. Views share the pieces:
//! a push after one copies the pieces that it writes to, not the sender.

use std::sync::Arc;

use crate::stable_hash::StableHash;

/// What lies in a table.
pub trait Entry: Clone {
    /// The most entries in a piece.
    const PIECE_ENTRIES: usize;

    /// The series that it is about.
    fn series(&self) -> StableHash;
}

/// See the module.
#[derive(Clone, Debug)]
pub enum Table<E> {
    /// All entries, as long as they are few.
    One(Arc<[E]>),
    /// Pieces; none of them is empty.
    Many(Arc<Vec<Arc<[E]>>>),
}

/// Where an entry is, as long as none comes or goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    piece: usize,
    slot: usize,
}

impl<E> Default for Table<E> {
    fn default() -> Table<E> {
        Table::One(Arc::default())
    }
}

impl<E> Table<E> {
    /// Its pieces.
    #[must_use]
    pub fn pieces(&self) -> &[Arc<[E]>] {
        match self {
            Table::One(piece) => std::slice::from_ref(piece),
            Table::Many(pieces) => pieces,
        }
    }

    /// The entries, in order.
    pub fn iter(&self) -> impl Iterator<Item = &E> {
        self.pieces().iter().flat_map(|piece| piece.iter())
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pieces().iter().map(|piece| piece.len()).sum()
    }

    /// True if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces().iter().all(|piece| piece.is_empty())
    }
}

impl<E: Entry> Table<E> {
    /// Where the entry of a series is, if there is one.
    pub fn find(&self, series: StableHash) -> Option<Place> {
        let pieces = self.pieces();
        let piece = piece_of(pieces, series);
        let slot = pieces.get(piece)?.binary_search_by_key(&series, E::series);
        slot.ok().map(|slot| Place { piece, slot })
    }

    /// The entry at a place that was found.
    #[must_use]
    pub fn at(&self, place: Place) -> Option<&E> {
        self.pieces().get(place.piece)?.get(place.slot)
    }

    /// The same, to be changed; its series stays what it is.
    pub fn at_mut(&mut self, place: Place) -> Option<&mut E> {
        let piece = match self {
            Table::One(piece) => piece,
            Table::Many(pieces) => Arc::make_mut(pieces).get_mut(place.piece)?,
        };
        Arc::make_mut(piece).get_mut(place.slot)
    }

    /// Takes in entries of series that are not there, in any order.
    pub fn insert_all(&mut self, mut new: Vec<E>) {
        new.sort_unstable_by_key(E::series);
        while let Some(last) = new.last() {
            let piece = piece_of(self.pieces(), last.series());
            let first = self.first_of(piece);
            let here = new.split_off(new.partition_point(|entry| is_before(entry, first)));
            self.edit(piece, |known| known.extend(here));
        }
    }

    /// Takes out the entries of these series, in any order, and gives those that were there.
    pub fn remove_all(&mut self, mut gone: Vec<StableHash>) -> Vec<E> {
        let mut removed = Vec::new();
        if gone.is_empty() {
            return removed;
        }
        gone.sort_unstable();
        while let Some(last) = gone.last() {
            let piece = piece_of(self.pieces(), *last);
            let first = self.first_of(piece);
            let is_elsewhere = |series: &StableHash| first.is_some_and(|first| *series < first);
            let here = gone.split_off(gone.partition_point(is_elsewhere));
            self.edit(piece, |known| {
                let is_gone = |entry: &mut E| here.binary_search(&entry.series()).is_ok();
                removed.extend(known.extract_if(.., is_gone));
            });
        }
        self.close_up();
        removed
    }

    /// The least series of a piece; none of the first piece, which is open below.
    fn first_of(&self, piece: usize) -> Option<StableHash> {
        let first = self.pieces().get(piece)?.first()?;
        (piece > 0).then(|| first.series())
    }

    /// Changes the entries of a piece, in whatever order.
    fn edit(&mut self, piece: usize, change: impl FnOnce(&mut Vec<E>)) {
        let mut entries = Vec::new();
        if let Some(known) = self.pieces().get(piece) {
            entries.extend_from_slice(known);
        }
        change(&mut entries);
        entries.sort_unstable_by_key(E::series);
        match self {
            Table::One(known) if entries.len() <= E::PIECE_ENTRIES => *known = entries.into(),
            Table::One(_) => *self = Table::Many(Arc::new(pieces_of(&entries))),
            Table::Many(pieces) => {
                let pieces = Arc::make_mut(pieces);
                let end = pieces.len().min(piece + 1);
                pieces.splice(piece.min(end)..end, pieces_of(&entries));
            }
        }
    }

    /// Puts the entries into as few pieces as can be when they have become few.
    fn close_up(&mut self) {
        let Table::Many(pieces) = &*self else { return };
        let entries = self.len();
        if entries <= E::PIECE_ENTRIES / 2 {
            *self = Table::One(self.iter().cloned().collect());
        } else if entries < pieces.len() * E::PIECE_ENTRIES / 4 {
            let entries: Vec<E> = self.iter().cloned().collect();
            *self = Table::Many(Arc::new(pieces_of(&entries)));
        }
    }
}

/// The place of the piece that a series is in, if it is in one.
fn piece_of<E: Entry>(pieces: &[Arc<[E]>], series: StableHash) -> usize {
    let begins_before = |piece: &Arc<[E]>| {
        let first = piece.first();
        first.is_some_and(|first| first.series() <= series)
    };
    pieces.partition_point(begins_before).saturating_sub(1)
}

fn is_before<E: Entry>(entry: &E, first: Option<StableHash>) -> bool {
    first.is_some_and(|first| entry.series() < first)
}

/// Sorted entries in pieces of equal length.
fn pieces_of<E: Entry>(entries: &[E]) -> Vec<Arc<[E]>> {
    if entries.is_empty() {
        return Vec::new();
    }
    let pieces = entries.len().div_ceil(E::PIECE_ENTRIES);
    let length = entries.len().div_ceil(pieces);
    entries.chunks(length).map(Arc::from).collect()
}
