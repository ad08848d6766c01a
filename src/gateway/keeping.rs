//! How the sums outlive a process: from and to a journal, from and to another image of it.
//!
//! What is kept is exposition text, which goes through `parse` and `render`: replay is the live
//! path. Native histograms, which text cannot say, stand beside it.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::keys::{KeyCounters, write_keys};
use super::native_records::with_natives;
use super::replay::{Replay, Replayed, WrittenBy};
use super::sender_records::write_senders;
use super::sending::SenderCounters;
use super::templates::Templates;
use super::{Gateway, Limits, NotKept, Writers};
use crate::aggregate::View;
use crate::idempotency::KeysView;
use crate::journal::{
    Beginning, Journal, JournalError, JournalFile, Log, LogPart, Preface, Record, Replacement,
    SnapshotPoint, Storage, Torn, Trouble,
};
use crate::parse::Format;
use crate::render::render_pieces;
use crate::rules::Rules;
use crate::senders::SendersView;
use crate::stable_hash::HashKey;

/// How long a record of a snapshot is, about. Reading one takes a few times as much memory.
pub(super) const SNAPSHOT_RECORD_BYTES: usize = 1 << 20;

/// Catch-up passes before pushes block for the last copy. Without a limit, senders that write as
/// fast as the disk does would keep a compaction from ending.
const CATCH_UPS_MAX: usize = 3;

/// The time at which a gateway starts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Start {
    /// When the window of the sums began, in unix seconds.
    pub window_start: i64,
    /// The time now, in unix milliseconds.
    pub time_millis: u64,
}

/// The sums, the keys and the senders at one instant, to be written to a file.
struct Snapshot {
    beginning: Beginning,
    view: View,
    keys: KeysView,
    senders: SendersView,
}

/// What was found when a journal was opened.
#[derive(Clone, Copy, Debug)]
pub struct Opened {
    /// The tail that was cut off, if it was torn.
    pub torn: Option<Torn>,
    /// Which rules it was written by.
    pub written_by: WrittenBy,
}

/// The size of a journal, and whether it can be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalState {
    /// Its length.
    pub bytes: u64,
    /// How much of it is its snapshot.
    pub snapshot_bytes: u64,
    /// Why nothing can be kept at present.
    pub trouble: Option<Trouble>,
}

impl Default for Gateway {
    /// A gateway without a journal and flags, begun in 1970.
    fn default() -> Gateway {
        Gateway::in_memory(Rules::default(), Start::default())
    }
}

impl Gateway {
    /// A gateway without a journal that merges by these rules, begun at this time.
    #[must_use]
    pub fn in_memory(rules: Rules, start: Start) -> Gateway {
        let start_millis = Some(start.time_millis);
        let replayed = Replayed::nothing(&rules, HashKey::random(), start_millis);
        Gateway::new(rules, replayed, start)
    }

    /// A gateway that goes on where its journal ends, and merges by these rules from here on. A new
    /// journal's window begins at this time. What was kept by other rules goes through these, and
    /// pushes are refused until [`Gateway::compact_journal`] has rewritten the journal.
    ///
    /// # Errors
    /// When the journal is not whole, or holds what this program does not understand.
    pub fn open(
        storage: Arc<dyn Storage>,
        file: &Arc<dyn JournalFile>,
        rules: Rules,
        start: Start,
    ) -> Result<(Gateway, Opened), JournalError> {
        let new_key = HashKey::random();
        let start_millis = Some(start.time_millis);
        let beginning = beginning(&rules, new_key, start, start_millis);
        let mut replay = Replay::new(new_key, start_millis);
        let (mut journal, torn) = Journal::open(storage, file, &beginning, |time, record| {
            replay.apply(time, record)
        })?;
        let replayed = replay.finish(&rules).map_err(JournalError::Rules)?;
        let written_by = replayed.written_by;
        journal.set_hash_key(replayed.hash_key.to_bytes());
        if written_by == WrittenBy::OtherRules {
            journal.refuse_until_replaced();
        }
        let start = Start {
            window_start: journal.window_start(),
            time_millis: start.time_millis.max(journal.time_millis()),
        };
        let gateway = Gateway {
            has_journal: true,
            ..Gateway::new(rules, replayed, start)
        };
        gateway.update_journal_state(&journal);
        gateway.writers().journal = Some(journal);
        Ok((gateway, Opened { torn, written_by }))
    }

    /// A gateway without a journal that goes on where another image of the process has ended, and
    /// merges by these rules from here on.
    ///
    /// # Errors
    /// When its file is not whole, or holds what this program does not understand.
    pub fn take_over(file: &Arc<dyn JournalFile>, rules: Rules) -> Result<Gateway, JournalError> {
        let mut replay = Replay::new(HashKey::random(), None);
        let (log, torn) = Log::recover(file, |time, record| replay.apply(time, record))?;
        if let Some(Torn { offset, .. }) = torn {
            return Err(JournalError::Damaged {
                offset,
                snapshot_end: log.snapshot_end(),
            });
        }
        let replayed = replay.finish(&rules).map_err(JournalError::Rules)?;
        let start = Start {
            window_start: log.window_start(),
            time_millis: log.time_millis(),
        };
        Ok(Gateway::new(rules, replayed, start))
    }

    fn new(rules: Rules, replayed: Replayed, start: Start) -> Gateway {
        let Replayed {
            aggregate,
            keys,
            senders,
            hash_key,
            ..
        } = replayed;
        let key_counts = KeyCounters::default();
        key_counts.note(&keys);
        let sender_counters = SenderCounters::default();
        sender_counters.set_sizes(&senders);
        let writers = Writers {
            journal: None,
            window_start: start.window_start,
            time_millis: start.time_millis,
            keys,
            senders,
            are_ages_due: false,
            retired_keys: Vec::new(),
            is_closed: false,
        };
        Gateway {
            limits: Limits::default(),
            rules,
            hash_key,
            writers: writers.into(),
            aggregate: aggregate.into(),
            journal_state: Mutex::default(),
            has_journal: false,
            key_counts,
            sender_counters,
            templates: Templates::default(),
            compaction: Mutex::default(),
            removal: Mutex::default(),
        }
    }

    /// When the window of the sums began, in unix seconds.
    #[must_use]
    pub fn window_start(&self) -> i64 {
        self.writers().window_start
    }

    /// The time of the last change, in unix milliseconds.
    #[must_use]
    pub fn time_millis(&self) -> u64 {
        self.writers().time_millis
    }

    /// How the journal is doing, if there is one. Does not wait for it.
    #[must_use]
    pub fn journal_state(&self) -> Option<JournalState> {
        let state = self.journal_state.lock();
        state.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn update_journal_state(&self, journal: &Journal) {
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
            journal.retry_after_failure();
            self.update_journal_state(journal);
            journal.begin_sync()
        };
        let Some(sync) = sync else { return Ok(false) };
        let outcome = sync.run();
        if let Some(journal) = &mut self.writers().journal {
            journal.end_sync(&sync, &outcome);
            self.update_journal_state(journal);
        }
        outcome.map(|()| true)
    }

    /// Looks whether a start would find the journal's file at its path. As long as it would not,
    /// pushes and resets are refused. If nothing is there, [`Gateway::compact_journal`] writes a
    /// new file there.
    pub fn check_journal(&self) {
        let check = self
            .writers()
            .journal
            .as_ref()
            .map(Journal::begin_path_check);
        let Some(check) = check else { return };
        let outcome = check.run();
        if let Some(journal) = &mut self.writers().journal {
            journal.end_path_check(&check, &outcome);
            self.update_journal_state(journal);
        }
    }

    /// Rewrites the journal if that is worth it, or needed after a failed sync; true when it did.
    /// Pushes go on meanwhile, but for the moment in which the new file takes its place.
    ///
    /// # Errors
    /// The journal goes on as it was.
    pub fn compact_journal(&self) -> io::Result<bool> {
        self.compact_journal_while(&|| true)
    }

    /// The same, but gives up, with `false`, as soon as `goes_on` says so.
    ///
    /// # Errors
    /// The journal goes on as it was.
    pub fn compact_journal_while(&self, goes_on: &dyn Fn() -> bool) -> io::Result<bool> {
        let compaction = self.compaction.lock();
        let _compaction = compaction.unwrap_or_else(PoisonError::into_inner);
        let (place, snapshot) = {
            let writers = self.writers();
            match &writers.journal {
                Some(journal) if journal.needs_replacement() && !writers.is_closed => {
                    (journal.snapshot_point(), self.snapshot(&writers))
                }
                _ => return Ok(false),
            }
        };
        let replaced = self.replace_journal(&place, snapshot, goes_on);
        if replaced.is_err() && !goes_on() {
            return Ok(false);
        }
        if let (Err(error), Some(journal)) = (&replaced, &mut self.writers().journal) {
            journal.replacement_has_failed(error);
            self.update_journal_state(journal);
        }
        if !replaced? {
            return Ok(false);
        }
        self.sync_journal()?;
        Ok(true)
    }

    fn snapshot(&self, writers: &Writers) -> Snapshot {
        let start = Start {
            window_start: writers.window_start,
            time_millis: writers.time_millis,
        };
        let view = self.view();
        Snapshot {
            beginning: beginning(&self.rules, self.hash_key, start, view.start_millis()),
            view,
            keys: writers.keys.view(),
            senders: writers.senders.view(),
        }
    }

    /// Writes a new file and puts it in the journal's place; false if it is of no use any more.
    fn replace_journal(
        &self,
        place: &SnapshotPoint,
        snapshot: Snapshot,
        goes_on: &dyn Fn() -> bool,
    ) -> io::Result<bool> {
        let mut new = Replacement::begin(place.clone(), &snapshot.beginning)?;
        let created = Arc::clone(new.file());
        let written = snapshot.write(|record| {
            if !goes_on() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            new.snapshot(record)
        });
        // As long as it is held, pushes copy the leaves that they change.
        drop(snapshot);
        let replaced = written
            .and_then(|()| new.end_snapshot())
            .and_then(|()| self.switch_journal(new, goes_on));
        if !matches!(replaced, Ok(true)) {
            // It would take the room that the journal may lack.
            let _ = place.storage().discard(&*created);
        }
        replaced
    }

    fn appended_since(&self, new: &Replacement) -> Option<LogPart> {
        self.writers().journal.as_ref()?.since(new)
    }

    fn switch_journal(&self, mut new: Replacement, goes_on: &dyn Fn() -> bool) -> io::Result<bool> {
        for _ in 0..CATCH_UPS_MAX {
            if !goes_on() {
                return Ok(false);
            }
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
                self.update_journal_state(journal);
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
        memory: impl FnOnce() -> io::Result<Arc<dyn JournalFile>>,
    ) -> io::Result<Arc<dyn JournalFile>> {
        let mut writers = self.writers();
        // No other image knows that they are due. If it cannot be kept, the journal is in trouble.
        let _ = self.restart_due_ages(&mut writers);
        writers.is_closed = true;
        if let Some(journal) = &writers.journal {
            match journal.trouble() {
                None => Ok(Arc::clone(journal.file())),
                Some(trouble) => Err(io::Error::other(trouble.to_string())),
            }
        } else {
            let snapshot = self.snapshot(&writers);
            let mut log = snapshot.beginning.log(memory()?)?;
            let time_millis = writers.time_millis;
            snapshot.write(|record| log.append_record(time_millis, record))?;
            log.end_snapshot()?;
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

fn beginning(
    rules: &Rules,
    hash_key: HashKey,
    start: Start,
    start_millis: Option<u64>,
) -> Beginning {
    Beginning {
        preface: Preface {
            rules: rules.to_string().into_bytes().into(),
            hash_key: hash_key.to_bytes(),
            start_millis,
        },
        window_start: start.window_start,
        time_millis: start.time_millis,
    }
}

impl Snapshot {
    fn write(&self, mut write: impl FnMut(Record<'_>) -> io::Result<()>) -> io::Result<()> {
        write_keys(&self.keys, &mut write)?;
        render_pieces(&self.view, SNAPSHOT_RECORD_BYTES, |text, natives| {
            if natives.is_empty() {
                return write(Record::Snapshot {
                    format: Format::Text.code(),
                    body: text,
                });
            }
            let series = &with_natives(text, &natives);
            write(Record::SnapshotNative { series })
        })?;
        write_senders(&self.view, &self.senders, write)
    }
}
