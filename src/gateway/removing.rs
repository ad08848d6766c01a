//! Forgetting some of the series: those that are silent, those of some labels, those of a family.
//!
//! What is to go is found beside the pushes, without a lock; writers wait for the moment in which
//! it goes. See `aggregate::Removal`.

use std::fmt;
use std::sync::{MutexGuard, PoisonError};

use super::{Gateway, NotKept, Writers, seconds};
use crate::aggregate::{Removal, Selection, Size};
use crate::grouping_key::{GroupingKey, GroupingKeyError};
use crate::journal::{Framed, Record};
use crate::metric::escaped_name;
use crate::rules::Ages;

/// Catch-up passes before pushes block for the last one.
const CATCH_UPS_MAX: usize = 3;

/// A catch-up with no more changed leaves takes less than half a millisecond.
const CHANGED_LEAVES_MAX: usize = 16;

/// Why series were not deleted.
#[derive(Clone, Debug, PartialEq)]
pub enum DeleteError {
    /// The path has no label.
    NoLabels,
    /// The path names no labels.
    Path(GroupingKeyError),
    /// It could not be kept.
    NotKept(NotKept),
}

impl fmt::Display for DeleteError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeleteError::NoLabels => to.write_str(
                "expected a label behind the push path, such as /job/some_job: every series that \
                 carries it is deleted",
            ),
            DeleteError::Path(error) => error.fmt(to),
            DeleteError::NotKept(error) => error.fmt(to),
        }
    }
}

impl std::error::Error for DeleteError {}

impl Gateway {
    /// Forgets every series that was not pushed within the last `silent_seconds`, at this time in
    /// unix milliseconds, and gives how much that was. Where ages are not kept, there is none.
    ///
    /// # Errors
    /// Nothing is forgotten when that cannot be kept.
    pub fn expire(&self, time_millis: u64, silent_seconds: u32) -> Result<Size, NotKept> {
        let time_millis = {
            let mut writers = self.open_writers()?;
            let time_millis = writers.advance(time_millis);
            self.restart_due_ages(&mut writers)?;
            time_millis
        };
        let before_seconds = seconds(time_millis).saturating_sub(silent_seconds);
        let record = Record::Expiry { before_seconds };
        self.remove(time_millis, Selection::PushedBefore(before_seconds), record)
    }

    /// Forgets every series that carries all these labels, which stand as behind the push path; at
    /// this time in unix milliseconds. Gives how much that was.
    ///
    /// # Errors
    /// Nothing is forgotten when there is no label, or when it cannot be kept.
    pub fn delete_labels(&self, time_millis: u64, labels: &str) -> Result<Size, DeleteError> {
        let key = GroupingKey::from_path(labels).map_err(DeleteError::Path)?;
        if key.labels().iter().all(|(_, value)| value.is_empty()) {
            return Err(DeleteError::NoLabels);
        }
        let selection = Selection::Labels(key.labels().to_vec());
        let removed = self.remove(time_millis, selection, Record::DeleteLabels { labels });
        removed.map_err(DeleteError::NotKept)
    }

    /// Forgets the family of this name, which is not escaped, at this time in unix milliseconds.
    /// Gives how much that was.
    ///
    /// # Errors
    /// Nothing is forgotten when that cannot be kept.
    pub fn delete_family(&self, time_millis: u64, name: &str) -> Result<Size, NotKept> {
        let selection = Selection::Family(escaped_name(name).into_owned());
        self.remove(time_millis, selection, Record::DeleteFamily { name })
    }

    /// Lets no series count as silent since before this time, in unix milliseconds, and no
    /// idempotency key as older. If the former cannot be kept now, it is done before anything
    /// expires; of the latter, the journal keeps when keys were forgotten, not when they are to be.
    pub fn restart_ages(&self, time_millis: u64) {
        let mut writers = self.writers();
        let time_millis = writers.advance(time_millis);
        writers.keys.restart_ages(time_millis);
        writers.are_ages_due =
            self.rules.ages() == Ages::Kept || self.rules.sender_label().is_some();
        // It stays due.
        let _ = self.restart_due_ages(&mut writers);
    }

    pub(super) fn restart_due_ages(&self, writers: &mut Writers) -> Result<(), NotKept> {
        if !writers.are_ages_due {
            return Ok(());
        }
        self.append(writers, Framed::of(Record::RestartAges))?;
        writers.are_ages_due = false;
        let second = seconds(writers.time_millis);
        writers.senders.restart_ages(second);
        self.write().restart_ages(second);
        Ok(())
    }

    fn remove(
        &self,
        time_millis: u64,
        selection: Selection,
        record: Record<'_>,
    ) -> Result<Size, NotKept> {
        let _one_by_one = self.one_removal();
        let mut removal = Removal::prepare(self.view(), selection);
        self.catch_up(&mut removal);
        if removal.is_empty() {
            return Ok(Size::default());
        }
        let mut writers = self.open_writers()?;
        // Nothing is pushed from here on; scrapes go on.
        if removal.catch_up(&self.view()).is_err() || removal.is_empty() {
            return Ok(Size::default());
        }
        writers.advance(time_millis);
        self.append(&mut writers, Framed::of(record))?;
        if let Some(journal) = &mut writers.journal {
            journal.note_removal();
        }
        let removed = self.write().remove(&mut removal);
        drop(writers);
        // What is in `removal` is freed here.
        Ok(removed.unwrap_or_default())
    }

    /// Brings a removal near to what is stored now, before pushes wait for the rest.
    pub(super) fn catch_up(&self, removal: &mut Removal) {
        for _ in 0..CATCH_UPS_MAX {
            match removal.catch_up(&self.view()) {
                Ok(changed_leaves) if changed_leaves > CHANGED_LEAVES_MAX => {}
                // If all was forgotten meanwhile, that will be found again.
                Ok(_) | Err(_) => return,
            }
        }
    }

    pub(super) fn one_removal(&self) -> MutexGuard<'_, ()> {
        self.removal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
