//! Resets, which leave what live senders hold, and the wipe, which leaves nothing.

use std::sync::MutexGuard;

use super::{Gateway, NotKept, Writers};
use crate::aggregate::{Removal, Selection, Size};
use crate::journal::{Framed, Outliving, Record};

impl Gateway {
    /// Forgets everything but the gauges of live senders, at a time in unix milliseconds, and
    /// returns how much that was. A new window has begun at a time in unix seconds.
    ///
    /// # Errors
    /// Nothing is forgotten when that cannot be kept.
    pub fn reset(&self, time_millis: u64, window_start: i64) -> Result<Size, NotKept> {
        let mut writers = self.open_writers()?;
        if self.read().held_series() > 0 {
            drop(writers);
            return self.clear_but_held(time_millis, window_start);
        }
        self.keep_reset(&mut writers, time_millis, window_start)?;
        Ok(self.clear(writers))
    }

    /// Forgets everything, the gauges of live senders as well, and returns how much that was; but
    /// the window goes on, since senders were told when it ends.
    ///
    /// # Errors
    /// Nothing is forgotten when that cannot be kept.
    pub fn wipe(&self, time_millis: u64) -> Result<Size, NotKept> {
        let mut writers = self.open_writers()?;
        if writers.senders.sizes().numbers == 0 {
            // Then a reset leaves nothing either, and makes room on a full disk.
            let window_start = writers.window_start;
            self.keep_reset(&mut writers, time_millis, window_start)?;
        } else {
            writers.advance(time_millis);
            self.append(&mut writers, Framed::of(Record::Wipe))?;
        }
        Ok(self.clear(writers))
    }

    /// What is freed is freed outside the locks.
    fn clear(&self, writers: MutexGuard<'_, Writers>) -> Size {
        let cleared = {
            let mut aggregate = self.write();
            let cleared = aggregate.reset();
            aggregate.note_start(writers.time_millis);
            cleared
        };
        drop(writers);
        cleared.size()
    }

    /// What stays is found beside the pushes, as for a removal.
    fn clear_but_held(&self, time_millis: u64, window_start: i64) -> Result<Size, NotKept> {
        let _one_by_one = self.one_removal();
        loop {
            let mut removal = Removal::prepare(self.view(), Selection::NotHeld);
            self.catch_up(&mut removal);
            let mut writers = self.open_writers()?;
            // A wipe may have come between.
            if removal.catch_up(&self.view()).is_err() {
                continue;
            }
            self.keep_reset(&mut writers, time_millis, window_start)?;
            let removed = {
                let mut aggregate = self.write();
                let removed = aggregate.remove(&mut removal);
                aggregate.note_start(writers.time_millis);
                removed
            };
            drop(writers);
            return Ok(removed.unwrap_or_default());
        }
    }

    /// Puts a reset into the journal, if there is one.
    fn keep_reset(
        &self,
        writers: &mut Writers,
        time_millis: u64,
        window_start: i64,
    ) -> Result<(), NotKept> {
        let time_millis = writers.advance(time_millis);
        let outliving = match writers.senders.sizes().numbers {
            0 => Outliving::Nothing,
            _ => Outliving::Senders,
        };
        if let Some(journal) = &mut writers.journal {
            let outcome = journal.reset(time_millis, window_start, outliving);
            self.update_journal_state(journal);
            outcome.map_err(NotKept::Journal)?;
        }
        writers.window_start = window_start;
        Ok(())
    }
}
