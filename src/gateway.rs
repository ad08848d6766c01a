//! The one place with locks: pushes, scrapes and resets of one aggregate by many threads.
//!
//! Invariants: no lock is held while anything is read from or written to a network or a disk, nor
//! while a body is parsed. Writers (push, reset) take the `writers` mutex first, so that what a
//! push was checked against is what it is merged into, while scrapes go on. A scrape shows the
//! aggregate between two writers. Knows nothing of HTTP or the clock.

use std::fmt;
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::aggregate::{Aggregate, Conflict, Size, View};
use crate::grouping_key::GroupingKey;
use crate::metric::SkippedSamples;
use crate::parse::{ParseError, parse};
use crate::render::whole_text;

/// The shared aggregate.
#[derive(Debug, Default)]
pub struct Gateway {
    writers: Mutex<()>,
    aggregate: RwLock<Aggregate>,
}

/// What became of an accepted push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Merged {
    /// Sample lines that were added.
    pub samples: u64,
    /// Sample lines that were left out.
    pub skipped: SkippedSamples,
}

/// Why a push was refused; nothing of it was merged.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// Its body is not in the text format, or contradicts itself.
    Invalid(ParseError),
    /// It contradicts what is stored.
    Conflict(Conflict),
}

impl fmt::Display for Refusal {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Invalid(error) => error.fmt(to),
            Refusal::Conflict(conflict) => conflict.fmt(to),
        }
    }
}

impl std::error::Error for Refusal {}

impl Gateway {
    /// Adds a body in the Prometheus text format, its samples labelled with `key`.
    ///
    /// # Errors
    /// A refused push has changed nothing.
    pub fn push(&self, body: &[u8], key: &GroupingKey) -> Result<Merged, Refusal> {
        let push = parse(body, key).map_err(Refusal::Invalid)?;
        let _writer = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        let checked = self.read().check(&push).map_err(Refusal::Conflict)?;
        self.write().merge(&checked);
        Ok(Merged {
            samples: push.samples,
            skipped: push.skipped,
        })
    }

    /// What a scrape shows: the sums as they are now, whatever is pushed while they are rendered.
    #[must_use]
    pub fn view(&self) -> View {
        self.read().view()
    }

    /// The sums as exposition text.
    #[must_use]
    pub fn scrape(&self) -> Vec<u8> {
        whole_text(&self.view())
    }

    /// Forgets everything and returns how much that was. What is freed is freed outside the locks.
    pub fn reset(&self) -> Size {
        let writer = self.writers.lock().unwrap_or_else(PoisonError::into_inner);
        let cleared = std::mem::take(&mut *self.write());
        drop(writer);
        cleared.size()
    }

    /// How much is stored now.
    #[must_use]
    pub fn size(&self) -> Size {
        self.read().size()
    }

    // A lock is poisoned by a panic under it. Neither check, render nor merge panics on a checked
    // push; should one do so all the same, going on serves the senders better than going deaf.
    fn read(&self) -> RwLockReadGuard<'_, Aggregate> {
        self.aggregate
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Aggregate> {
        self.aggregate
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
