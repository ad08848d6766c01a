//! The one place with locks: pushes, scrapes and resets of one aggregate by many threads.
//!
//! Invariants: no lock is held while anything is read from or written to a network, nor while a
//! body is parsed. Writers (push, reset) take the `writers` mutex first: what a push was checked
//! against is what it is merged into, and the order of the journal is that of the merges. Nobody
//! holds the `RwLock` while the disk is written, so that scrapes, which take that alone, never wait
//! for it. A scrape shows the aggregate between two writers. Knows nothing of HTTP or the clock.

mod keeping;

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::aggregate::{Aggregate, Checked, Conflict, Size, TooManySeries, View};
use crate::grouping_key::{GroupingKey, GroupingKeyError};
use crate::journal::{Entry, Framed, Journal, Trouble};
use crate::label_limits::LabelLimits;
use crate::metric::{Push, SkippedSamples};
use crate::parse::{Format, ParseError, parse};
use crate::render::whole_text;

pub use keeping::JournalState;

/// What a push is held to, so that what is stored stays small. What is stored already is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most series in total, as [`Size::series`] counts them.
    pub series_max: usize,
    /// Those of one series.
    pub labels: LabelLimits,
}

impl Default for Limits {
    /// None.
    fn default() -> Limits {
        Limits {
            series_max: usize::MAX,
            labels: LabelLimits::NONE,
        }
    }
}

/// The shared aggregate.
#[derive(Debug, Default)]
pub struct Gateway {
    limits: Limits,
    writers: Mutex<Writers>,
    aggregate: RwLock<Aggregate>,
    /// What is known of the journal without waiting for it; none without a journal.
    journal_state: Mutex<Option<JournalState>>,
    has_journal: bool,
    /// Held by the one thread that writes the journal anew.
    compaction: Mutex<()>,
}

/// What writers take turns at.
#[derive(Debug, Default)]
struct Writers {
    journal: Option<Journal>,
    /// When the window of the sums began, in unix seconds.
    window_start: i64,
    is_closed: bool,
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
    /// Its path names no grouping key.
    Path(GroupingKeyError),
    /// Its body is not in the text format, or contradicts itself.
    Invalid(ParseError),
    /// It contradicts what is stored.
    Conflict(Conflict),
    /// There is no room for its new series.
    TooManySeries(TooManySeries),
    /// It could not be kept.
    NotKept(NotKept),
}

/// Why something right could not be kept; it was not done then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotKept {
    /// The journal does not take it.
    Journal(Trouble),
    /// The sums have been handed over to another image of the process.
    Closed,
}

impl fmt::Display for Refusal {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Path(error) => error.fmt(to),
            Refusal::Invalid(error) => error.fmt(to),
            Refusal::Conflict(conflict) => conflict.fmt(to),
            Refusal::TooManySeries(error) => error.fmt(to),
            Refusal::NotKept(error) => error.fmt(to),
        }
    }
}

impl fmt::Display for NotKept {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotKept::Journal(trouble) => trouble.fmt(to),
            NotKept::Closed => write!(to, "the gateway is being restarted; push it again"),
        }
    }
}

impl Refusal {
    /// True if it would be accepted with other limits of labels.
    #[must_use]
    pub fn is_beyond_label_limits(&self) -> bool {
        match self {
            Refusal::Path(error) => matches!(error, GroupingKeyError::Beyond(_)),
            Refusal::Invalid(error) => error.is_beyond_limit(),
            Refusal::Conflict(_) | Refusal::TooManySeries(_) | Refusal::NotKept(_) => false,
        }
    }
}

impl std::error::Error for Refusal {}
impl std::error::Error for NotKept {}

impl Gateway {
    /// The same gateway, whose pushes are held to these limits from here on. What it has read of a
    /// journal or a hand-over was acknowledged, and is not.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Gateway {
        Gateway { limits, ..self }
    }

    /// Adds a body in the Prometheus text format, its samples labelled with what stands behind the
    /// push path. It is in the journal, if there is one, before it is merged.
    ///
    /// # Errors
    /// A refused push has changed nothing.
    pub fn push(&self, labels: &str, body: &[u8]) -> Result<Merged, Refusal> {
        let key = GroupingKey::from_path(labels).map_err(Refusal::Path)?;
        key.check(self.limits.labels).map_err(Refusal::Path)?;
        let push = parse(Format::Text, body, &key, self.limits.labels).map_err(Refusal::Invalid)?;
        let is_kept = self.has_journal && !push.families.is_empty();
        let framed = is_kept.then(|| Framed::of(Entry::Push { labels, body }));
        let mut writers = self.open_writers().map_err(Refusal::NotKept)?;
        let checked = self.check(&push)?;
        if let (Some(framed), Some(journal)) = (framed, &mut writers.journal) {
            let framed = framed.ok_or(Trouble::TooLong);
            let appended = framed.and_then(|framed| journal.append(&framed));
            self.note(journal);
            appended.map_err(|trouble| Refusal::NotKept(NotKept::Journal(trouble)))?;
        }
        self.write().merge(&checked);
        Ok(Merged {
            samples: push.samples,
            skipped: push.skipped,
        })
    }

    fn check<'a>(&self, push: &'a Push<'a>) -> Result<Checked<'a>, Refusal> {
        let aggregate = self.read();
        let checked = aggregate.check(push).map_err(Refusal::Conflict)?;
        let room = aggregate.check_room(&checked, self.limits.series_max);
        room.map_err(Refusal::TooManySeries)?;
        Ok(checked)
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

    /// Forgets everything and returns how much that was; the window that begins then began at this
    /// time, in unix seconds. What is freed is freed outside the locks.
    ///
    /// # Errors
    /// Nothing is forgotten when that cannot be kept.
    pub fn reset(&self, window_start: i64) -> Result<Size, NotKept> {
        let mut writers = self.open_writers()?;
        if let Some(journal) = &mut writers.journal {
            let outcome = journal.reset(window_start);
            self.note(journal);
            outcome.map_err(NotKept::Journal)?;
        }
        writers.window_start = window_start;
        let cleared = std::mem::take(&mut *self.write());
        drop(writers);
        Ok(cleared.size())
    }

    /// How much is stored now.
    #[must_use]
    pub fn size(&self) -> Size {
        self.read().size()
    }

    fn open_writers(&self) -> Result<MutexGuard<'_, Writers>, NotKept> {
        let writers = self.writers();
        if writers.is_closed {
            Err(NotKept::Closed)
        } else {
            Ok(writers)
        }
    }

    // A lock is poisoned by a panic under it. Neither check, render nor merge panics on a checked
    // push; should one do so all the same, going on serves the senders better than going deaf.
    fn writers(&self) -> MutexGuard<'_, Writers> {
        self.writers.lock().unwrap_or_else(PoisonError::into_inner)
    }

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
