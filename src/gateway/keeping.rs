//! How the sums outlive a process: from and to a journal, from and to another image of it.
//!
//! What is kept is exposition text, which goes through `parse` and `render`: replay is the live
//! path.

use std::io;
use std::sync::{Arc, PoisonError};

use super::{Gateway, NotKept, Writers};
use crate::aggregate::{Aggregate, View};
use crate::grouping_key::GroupingKey;
use crate::journal::{
    Entry, File, Journal, JournalError, Log, LogPart, Place, Replacement, Storage, Torn, Trouble,
};
use crate::label_limits::LabelLimits;
use crate::parse::{Format, parse, parse_snapshot};
use crate::render::render_pieces;

/// How long an entry of a snapshot is, about. Reading one takes a few times as much memory.
const SNAPSHOT_ENTRY_BYTES: usize = 1 << 20;

/// Senders that are as quick as the disk could not be caught up with: pushes wait after so many
/// tries, for as long as it takes to copy what came during the last one.
const CATCH_UPS_MAX: usize = 3;

/// How a journal is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalState {
    /// Its length.
    pub bytes: u64,
    /// How much of it is its snapshot.
    pub snapshot_bytes: u64,
    /// Why nothing can be kept at present.
    pub trouble: Option<Trouble>,
}

impl Gateway {
    /// A gateway without a journal, whose window began at this time, in unix seconds.
    #[must_use]
    pub fn in_memory(window_start: i64) -> Gateway {
        Gateway::new(Aggregate::default(), None, window_start)
    }

    /// A gateway that goes on where its journal ends. A new journal's window begins at this time,
    /// in unix seconds.
    ///
    /// # Errors
    /// When the journal is not whole, or holds what would be refused as a push.
    pub fn open(
        storage: Arc<dyn Storage>,
        file: &Arc<dyn File>,
        window_start: i64,
    ) -> Result<(Gateway, Option<Torn>), JournalError> {
        let mut aggregate = Aggregate::default();
        let (journal, torn) = Journal::open(storage, file, window_start, |entry| {
            replay(&mut aggregate, entry)
        })?;
        let window_start = journal.window_start();
        let gateway = Gateway::new(aggregate, Some(journal), window_start);
        Ok((gateway, torn))
    }

    /// A gateway without a journal that goes on where another image of the process has ended.
    ///
    /// # Errors
    /// When its file is not whole, or holds what would be refused as a push.
    pub fn take_over(file: &Arc<dyn File>) -> Result<Gateway, JournalError> {
        let mut aggregate = Aggregate::default();
        let (log, torn) = Log::recover(file, |entry| replay(&mut aggregate, entry))?;
        match torn {
            None => Ok(Gateway::new(aggregate, None, log.window_start())),
            Some(Torn { offset, .. }) => Err(JournalError::Damaged {
                offset,
                snapshot_end: log.snapshot_end(),
            }),
        }
    }

    fn new(aggregate: Aggregate, journal: Option<Journal>, window_start: i64) -> Gateway {
        let gateway = Gateway {
            has_journal: journal.is_some(),
            aggregate: aggregate.into(),
            ..Gateway::default()
        };
        if let Some(journal) = &journal {
            gateway.note(journal);
        }
        *gateway.writers() = Writers {
            journal,
            window_start,
            is_closed: false,
        };
        gateway
    }

    /// When the window of the sums began, in unix seconds.
    #[must_use]
    pub fn window_start(&self) -> i64 {
        self.writers().window_start
    }

    /// How the journal is doing, if there is one. Does not wait for it.
    #[must_use]
    pub fn journal_state(&self) -> Option<JournalState> {
        let state = self.journal_state.lock();
        state.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn note(&self, journal: &Journal) {
        let state = self.journal_state.lock();
        *state.unwrap_or_else(PoisonError::into_inner) = Some(JournalState {
            bytes: journal.end(),
            snapshot_bytes: journal.snapshot_end(),
            trouble: journal.trouble().cloned(),
        });
    }

    /// Has all that was appended to the journal on the disk when it returns; true if anything was
    /// not there yet. If the journal could not be written, tries whether it can be now.
    ///
    /// # Errors
    /// The sync's own; nothing more is kept until [`Gateway::compact_journal`] has succeeded.
    pub fn sync_journal(&self) -> io::Result<bool> {
        let sync = {
            let mut writers = self.writers();
            let Some(journal) = &mut writers.journal else {
                return Ok(false);
            };
            journal.mend();
            self.note(journal);
            journal.begin_sync()
        };
        let Some(sync) = sync else { return Ok(false) };
        let outcome = sync.run();
        if let Some(journal) = &mut self.writers().journal {
            journal.end_sync(&sync, &outcome);
            self.note(journal);
        }
        outcome.map(|()| true)
    }

    /// Writes the journal anew if that is worth it, or needed after a failed sync; true when it
    /// was. Pushes go on meanwhile, but for the moment in which the new file takes its place.
    ///
    /// # Errors
    /// The journal goes on as it was.
    pub fn compact_journal(&self) -> io::Result<bool> {
        let compaction = self.compaction.lock();
        let _compaction = compaction.unwrap_or_else(PoisonError::into_inner);
        let (place, view, window_start) = {
            let writers = self.writers();
            match &writers.journal {
                Some(journal) if journal.needs_replacement() && !writers.is_closed => {
                    (journal.place(), self.view(), writers.window_start)
                }
                _ => return Ok(false),
            }
        };
        let replaced = self.replace_journal(&place, view, window_start);
        if let (Err(_), Some(journal)) = (&replaced, &mut self.writers().journal) {
            journal.replacement_has_failed();
        }
        if !replaced? {
            return Ok(false);
        }
        self.sync_journal()?;
        Ok(true)
    }

    /// Writes a new file and puts it in the journal's place; false if it is of no use any more.
    fn replace_journal(&self, place: &Place, view: View, window_start: i64) -> io::Result<bool> {
        let mut new = Replacement::begin(place.clone(), window_start)?;
        let written = render_pieces(&view, SNAPSHOT_ENTRY_BYTES, |text| new.snapshot(text));
        // Pushes copy what it holds.
        drop(view);
        let replaced = written
            .and_then(|()| new.end_snapshot())
            .and_then(|()| self.switch_journal(new));
        if !matches!(replaced, Ok(true)) {
            // It would take the room that the journal may lack.
            let _ = place.storage().discard();
        }
        replaced
    }

    fn appended_since(&self, new: &Replacement) -> Option<LogPart> {
        self.writers().journal.as_ref()?.since(new)
    }

    fn switch_journal(&self, mut new: Replacement) -> io::Result<bool> {
        for _ in 0..CATCH_UPS_MAX {
            let Some(appended) = self.appended_since(&new) else {
                return Ok(false);
            };
            if new.catch_up(&appended)? {
                break;
            }
        }
        let mut writers = self.writers();
        match &mut *writers {
            Writers {
                journal: Some(journal),
                is_closed: false,
                ..
            } => {
                let switched = journal.switch(new);
                self.note(journal);
                switched
            }
            _ => Ok(false),
        }
    }

    /// Refuses pushes and resets from here on, and gives the file that holds the sums: the journal,
    /// or what is written to `memory`.
    ///
    /// # Errors
    /// When the sums cannot be written, or the file of the journal may lack some of them.
    pub fn close(
        &self,
        memory: impl FnOnce() -> io::Result<Arc<dyn File>>,
    ) -> io::Result<Arc<dyn File>> {
        let mut writers = self.writers();
        writers.is_closed = true;
        if let Some(journal) = &writers.journal {
            match journal.trouble() {
                None => Ok(Arc::clone(journal.file())),
                Some(trouble) => Err(io::Error::other(trouble.to_string())),
            }
        } else {
            let mut log = Log::begin(memory()?, writers.window_start);
            write_snapshot(&self.view(), &mut log)?;
            Ok(Arc::clone(log.file()))
        }
    }

    /// Accepts pushes and resets again.
    pub fn reopen(&self) {
        self.writers().is_closed = false;
    }

    /// Why a push would not be kept now, if so.
    #[must_use]
    pub fn not_kept(&self) -> Option<NotKept> {
        self.journal_state()?.trouble.map(NotKept::Journal)
    }
}

fn write_snapshot(view: &View, log: &mut Log) -> io::Result<()> {
    render_pieces(view, SNAPSHOT_ENTRY_BYTES, |text| log.append_snapshot(text))?;
    log.end_snapshot()
}

fn replay(aggregate: &mut Aggregate, entry: Entry<'_>) -> Result<(), String> {
    let key;
    let push = match entry {
        Entry::Reset { .. } => {
            *aggregate = Aggregate::default();
            return Ok(());
        }
        Entry::Push { labels, body } => {
            key = GroupingKey::from_path(labels).map_err(|error| error.to_string())?;
            // What was acknowledged is kept, whatever the limits are now.
            parse(Format::Text, body, &key, LabelLimits::NONE)
        }
        Entry::Snapshot { text } => {
            key = GroupingKey::default();
            parse_snapshot(text, &key)
        }
    };
    let push = push.map_err(|error| error.to_string())?;
    let checked = aggregate.check(&push).map_err(|error| error.to_string())?;
    aggregate.merge(&checked);
    Ok(())
}
