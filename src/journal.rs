//! Accepted pushes, resets and removals in a file, so that they outlive the process.
//!
//! Invariants: what [`Journal::append`] has accepted is found again by [`Journal::open`], in its
//! order and once, whatever ended the process; what it refused is not found. What is not as it was
//! written is never read, and only what cannot have been on the disk is cut off. Knows no metrics:
//! bytes only; takes no lock, runs no thread.
//!
//! # The format, version 2
//!
//! ```text
//! file    = head rules [start] hash-key *snapshot *record  ; numbers are little-endian
//! head    = magic version nonce snapshot-end window-start checksum
//!   magic         8 bytes   "AGGJOURN"
//!   version       u32       2
//!   nonce         u32       drawn at random for each file
//!   snapshot-end  u64       the offset behind the last snapshot record
//!   window-start  i64       when the window of the snapshot began, unix seconds
//!   checksum      u32       CRC-32 (IEEE 802.3) of the 32 bytes before it
//! record  = length checksum synced time kind head-checksum content
//!   length        u32       of the content
//!   checksum      u32       CRC-32 of the content
//!   synced        u64       all before this offset was on the disk when this record was written
//!   time          u64       when it was written, unix milliseconds; it never decreases
//!   kind          4 bytes   see below
//!   head-checksum u32       CRC-32 of the nonce and the 28 bytes before it
//!
//! kind  content
//! rule  the rules by which what follows is merged, as text
//! strt  u64 when all sums but those of gauges were zero, unix milliseconds
//! snap  u8 format, a part of the sums in that format
//! snat  a part of the sums with native histograms
//! push  u8 format, whose highest bit says that the push time was not set, u32 length of the
//!       path's labels, u8 length of the idempotency key, u64 fingerprint if there is a key, the
//!       path's labels, the key, the body
//! pput  the same, all of its sender's state: it was sent with PUT
//! rset  i64 when the new window began, unix seconds
//! wipe  nothing: every series is forgotten, those that senders hold as well
//! expi  u32 unix seconds: series that were last pushed before it are forgotten
//! ages  nothing: no series was pushed, and no sender heard, before the time of this record
//! dell  labels as in a path: series that carry all of them are forgotten
//! delf  a metric name: the family is forgotten
//! slea  the labels of a sender's path: the sender leaves
//! swit  hashes of senders that withdraw their gauges
//! sfor  hashes of senders that are forgotten
//! shel  a part of the series that senders hold
//! ssen  a part of what is remembered of senders
//! hkey  16 bytes: what the hashes in the file depend on
//! skey  u8 generation, u64 when it began, unix milliseconds, hashes of idempotency keys
//! swap  nothing: the older generation of idempotency keys is forgotten
//! ```
//!
//! A file that a reset has restarted in place, for lack of room, has no snapshot; rules, start and
//! hash key come before the next record. A process that ends between them leaves no hash key: the
//! next one writes all again. A file may hold the same rules, start and hash key twice.
//!
//! A file comes into being whole: it is written beside the journal up to the end of its snapshot
//! and renamed, so that only the records behind the snapshot can be torn. Of those, the last one
//! may be cut short when the process is killed, and a power cut may leave any sectors of what was
//! written since the last sync as zeros; see `Reader::is_torn`. Anything else that is not as it was
//! written is damage. The nonce is in the checksum of each head, so that no pushed body can contain
//! a record; the lengths are covered by that checksum, so that a damaged one does not look like a
//! tail that is missing.

mod disk;
mod error;
mod format;
mod log;
mod path_check;
mod reader;
mod record;
mod replacement;
mod storage;
mod trouble;

use std::io;
use std::sync::Arc;

use log::Restarted;

pub use disk::Disk;
pub use error::JournalError;
pub use format::VERSION;
pub use log::{Log, LogPart, Torn, read_head};
pub use path_check::{PathCheck, Seen};
pub use record::{Framed, KEY_BYTES_MAX, KeyRecord, PushRecord, Record};
pub use replacement::{Beginning, Preface, Replacement, SnapshotPoint};
pub use storage::{AtPath, FileIdentity, JournalFile, Storage};
pub use trouble::Trouble;

/// A journal is rewritten when it is longer than this and more than twice its snapshot.
const COMPACTED_BYTES_MIN: u64 = 1 << 20;

/// It is also rewritten at this number of removals: the replay of each looks at all series.
const REMOVALS_MAX: usize = 16;

/// What a reset does not forget and no one can do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outliving {
    /// There is nothing.
    Nothing,
    /// What is remembered of senders: without it, their next pushes would count whole.
    Senders,
}

/// How much of the preface is in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PrefaceState {
    /// All of it.
    Whole,
    /// Nothing, or not its hash key: the file was restarted in place.
    NotWhole,
}

/// The journal of a running gateway.
#[derive(Debug)]
pub struct Journal {
    storage: Arc<dyn Storage>,
    log: Log,
    /// For a file that is restarted in place.
    preface: Preface,
    preface_state: PrefaceState,
    trouble: Option<Trouble>,
    /// Set as long as a start would not find the file; independent of `trouble`.
    path_trouble: Option<Trouble>,
    /// Something is behind the last whole record.
    has_torn_tail: bool,
    /// There was no room for a new file, or it could not be put in the journal's place.
    has_failed_replacement: bool,
    /// Where the last reset ends in this file; zero if there is none.
    reset_end: u64,
    /// Where the last sync of this file ends, under way or done; zero if there was none.
    sync_end: u64,
    /// Records of this file whose replay looks at all series.
    removals: usize,
    /// The disk may still have the file that this one has replaced.
    is_folder_due: bool,
}

/// A sync that is under way.
#[derive(Debug)]
pub struct PendingSync {
    file: Arc<dyn JournalFile>,
    /// Set if the folder is to be synced, too.
    storage: Option<Arc<dyn Storage>>,
    nonce: u32,
    end: u64,
}

impl PendingSync {
    /// Waits for the disk.
    ///
    /// # Errors
    /// The system's own.
    pub fn run(&self) -> io::Result<()> {
        self.file.sync()?;
        match &self.storage {
            Some(storage) => storage.sync_folder(),
            None => Ok(()),
        }
    }
}

impl Journal {
    /// Opens a journal, or begins one if its file is empty; gives `apply` all that is in it. What
    /// is written from here on is merged by these rules.
    ///
    /// # Errors
    /// See [`Log::recover`].
    pub fn open(
        storage: Arc<dyn Storage>,
        file: &Arc<dyn JournalFile>,
        beginning: &Beginning,
        mut apply: impl FnMut(u64, Record<'_>) -> Result<(), String>,
    ) -> Result<(Journal, Option<Torn>), JournalError> {
        let (mut removals, mut preface_state) = (0, PrefaceState::NotWhole);
        let is_new = file.length().map_err(JournalError::system("read"))? == 0;
        let (log, torn) = if is_new {
            let write = JournalError::system("write");
            let mut new =
                Replacement::begin(SnapshotPoint::none(&storage), beginning).map_err(&write)?;
            new.end_snapshot().map_err(&write)?;
            let replaced = storage.replace(&**file, &**new.file());
            if replaced.map_err(&write)? == AtPath::OtherFile {
                return Err(JournalError::Exchanged);
            }
            storage.sync_folder().map_err(&write)?;
            preface_state = PrefaceState::Whole;
            (new.log, None)
        } else {
            // The image before may have ended between putting it there and waiting for the disk.
            match storage.sync_folder() {
                // What was handed over is gone on with, even when its folder has gone.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                synced => synced.map_err(JournalError::system("sync the folder of"))?,
            }
            let (log, torn) = Log::recover(file, |time_millis, record| {
                removals += usize::from(record.is_removal());
                // It is the last record of the preface.
                if let Record::HashKey { .. } = record {
                    preface_state = PrefaceState::Whole;
                }
                apply(time_millis, record)
            })?;
            if torn.is_some() {
                log.cut()
                    .map_err(JournalError::system("cut the torn tail off"))?;
            }
            (log, torn)
        };
        let journal = Journal {
            storage,
            log,
            preface: beginning.preface.clone(),
            preface_state,
            trouble: None,
            path_trouble: None,
            // It was cut off, but is not known to be so on the disk.
            has_torn_tail: torn.is_some(),
            has_failed_replacement: false,
            reset_end: 0,
            sync_end: 0,
            removals,
            is_folder_due: false,
        };
        Ok((journal, torn))
    }

    /// Appends a record of this time, in unix milliseconds. What is appended is kept; what is
    /// refused is not there.
    ///
    /// # Errors
    /// As long as there is no room, a sync has failed, the file was kept by other rules or was
    /// overwritten, or a start would not find it.
    pub fn append(&mut self, time_millis: u64, framed: &Framed<'_>) -> Result<(), Trouble> {
        self.check_path()?;
        if let Some(trouble) = self
            .trouble
            .as_ref()
            .filter(|trouble| trouble.needs_new_file())
        {
            return Err(trouble.clone());
        }
        if self.preface_state == PrefaceState::NotWhole {
            let preface = self.preface.clone();
            self.write(|log| preface.append_to(log, time_millis))?;
            self.preface_state = PrefaceState::Whole;
        }
        self.write(|log| log.append(time_millis, framed))
    }

    /// Counts a record that was appended and whose replay looks at all series.
    pub fn note_removal(&mut self) {
        self.removals += 1;
    }

    /// Notes what the hashes in the file depend on.
    pub fn set_hash_key(&mut self, hash_key: [u8; 16]) {
        self.preface.hash_key = hash_key;
    }

    /// Notes that the file was kept by other rules: nothing is appended before it is replaced.
    pub fn refuse_until_replaced(&mut self) {
        self.trouble = Some(Trouble::Rules("it is being written".to_owned()));
    }

    /// Appends a reset; when there is no room for it, restarts the file, unless there is what must
    /// outlive the reset.
    ///
    /// # Errors
    /// When neither can be written, the file was overwritten, or a start would not find it.
    pub fn reset(
        &mut self,
        time_millis: u64,
        window_start: i64,
        outliving: Outliving,
    ) -> Result<(), Trouble> {
        self.check_path()?;
        self.check_length()?;
        if self.trouble == Some(Trouble::Overwritten) {
            return Err(Trouble::Overwritten);
        }
        let framed = Framed::of(Record::Reset { window_start }).ok_or(Trouble::TooLong)?;
        // A record may still find room in the last sector; to make room, the file is restarted.
        let is_full = self.has_failed_replacement && outliving == Outliving::Nothing;
        if self.trouble.is_none() && !is_full && self.append(time_millis, &framed).is_ok() {
            self.reset_end = self.log.end();
            return Ok(());
        }
        if let (Outliving::Senders, Some(trouble)) = (outliving, &self.trouble) {
            return Err(trouble.clone());
        }
        let restarted = match self.log.restart(window_start) {
            Ok(restarted) => restarted,
            Err(error) => return self.refuse(Trouble::Sync(error.to_string())),
        };
        // The rules, and what a reset does not forget, come with a new file.
        (self.reset_end, self.sync_end) = (self.log.end(), 0);
        self.preface_state = PrefaceState::NotWhole;
        self.preface.start_millis = Some(time_millis);
        self.has_torn_tail = true;
        self.has_failed_replacement = false;
        self.trouble = match restarted {
            Restarted::OnDisk => {
                // It makes the room; if it fails, it is done before the next record. That may be
                // written by the next process, which does not know what the disk has behind it.
                let synced = self.log.cut().map(|()| self.log.file().sync());
                self.has_torn_tail = !matches!(synced, Ok(Ok(())));
                match synced {
                    Ok(Err(error)) => Some(Trouble::Sync(error.to_string())),
                    _ => None,
                }
            }
            // The disk may have the file from before, which must not be cut.
            Restarted::NotSynced(error) => Some(Trouble::Sync(error.to_string())),
        };
        Ok(())
    }

    /// Cuts off what is behind the last whole record, if anything is, and finds out whether what
    /// was refused could be appended now.
    pub fn retry_after_failure(&mut self) {
        let is_refusing = matches!(self.trouble, Some(Trouble::Append(_)));
        let is_broken = self.trouble.as_ref().is_some_and(Trouble::needs_new_file);
        if is_refusing || self.has_torn_tail && !is_broken {
            // The error is in `trouble`.
            let _ = self.write(|log| log.probe());
        }
    }

    fn write(&mut self, write: impl FnOnce(&mut Log) -> io::Result<()>) -> Result<(), Trouble> {
        // To cut the tail off would fill it up with zeros.
        self.check_length()?;
        if self.has_torn_tail {
            if let Err(error) = self.log.cut() {
                return self.refuse(Trouble::Append(error.to_string()));
            }
            // Else a power cut could leave some of it between the records to come.
            if let Err(error) = self.log.file().sync() {
                return self.refuse(Trouble::Sync(error.to_string()));
            }
            self.has_torn_tail = false;
        }
        if let Err(error) = write(&mut self.log) {
            let _ = self.log.cut();
            self.has_torn_tail = true;
            return self.refuse(Trouble::Append(error.to_string()));
        }
        self.trouble = None;
        Ok(())
    }

    fn refuse(&mut self, trouble: Trouble) -> Result<(), Trouble> {
        self.trouble = Some(trouble.clone());
        Err(trouble)
    }

    /// What is to be synced, if anything is.
    #[must_use]
    pub fn begin_sync(&mut self) -> Option<PendingSync> {
        let is_due = self.log.synced() < self.log.end() || self.is_folder_due;
        let may_sync = !matches!(self.trouble, Some(Trouble::Sync(_)));
        if !is_due || !may_sync {
            return None;
        }
        self.sync_end = self.log.end();
        Some(PendingSync {
            file: Arc::clone(self.log.file()),
            storage: self.is_folder_due.then(|| Arc::clone(&self.storage)),
            nonce: self.log.nonce(),
            end: self.sync_end,
        })
    }

    /// Notes how a sync has ended. After a failed one, the system may have forgotten what could not
    /// be written, and the next sync would succeed without it: nothing more is appended until all
    /// is in a new file.
    pub fn end_sync(&mut self, sync: &PendingSync, outcome: &io::Result<()>) {
        if sync.nonce != self.log.nonce() {
            return;
        }
        match outcome {
            Ok(()) => {
                self.log.set_synced(sync.end);
                self.is_folder_due = false;
            }
            Err(error) => self.trouble = Some(Trouble::Sync(error.to_string())),
        }
    }

    /// Notes that the file could not be rewritten: the next reset is to make room.
    pub fn replacement_has_failed(&mut self, error: &io::Error) {
        self.has_failed_replacement = true;
        if let Some(Trouble::Rules(why)) = &mut self.trouble {
            *why = error.to_string();
        }
    }

    /// True when the file should be rewritten.
    #[must_use]
    pub fn needs_replacement(&self) -> bool {
        match &self.path_trouble {
            None => {}
            Some(trouble) => return *trouble == Trouble::Gone,
        }
        let is_long = self.log.end() > COMPACTED_BYTES_MIN.max(2 * self.log.snapshot_end());
        let is_broken = self.trouble.as_ref().is_some_and(Trouble::needs_new_file);
        is_long || self.reset_end > 0 || self.removals >= REMOVALS_MAX || is_broken
    }

    /// Where a snapshot that is taken now comes in: it has all that is before this point.
    #[must_use]
    pub fn snapshot_point(&self) -> SnapshotPoint {
        SnapshotPoint {
            storage: Arc::clone(&self.storage),
            nonce: self.log.nonce(),
            end: self.log.end(),
        }
    }

    /// The length of the file, as far as it is whole.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.log.end()
    }

    /// How much of the file is its snapshot.
    #[must_use]
    pub fn snapshot_end(&self) -> u64 {
        self.log.snapshot_end()
    }

    /// When the window began that it was opened with, in unix seconds.
    #[must_use]
    pub fn window_start(&self) -> i64 {
        self.log.window_start()
    }

    /// The time of its last record, in unix milliseconds; zero if there is none.
    #[must_use]
    pub fn time_millis(&self) -> u64 {
        self.log.time_millis()
    }

    /// Why nothing can be kept at present.
    #[must_use]
    pub fn trouble(&self) -> Option<&Trouble> {
        self.path_trouble.as_ref().or(self.trouble.as_ref())
    }

    /// What was appended since it was copied to a new file for the last time; `None` if a reset has
    /// restarted the file meanwhile.
    #[must_use]
    pub fn since(&self, new: &Replacement) -> Option<LogPart> {
        (new.of.nonce == self.log.nonce()).then(|| self.log.since(new.copied_end))
    }

    /// The file, for another image of this process.
    #[must_use]
    pub fn file(&self) -> &Arc<dyn JournalFile> {
        self.log.file()
    }

    /// Puts a new file in the journal's place: it takes over what was appended since it was copied
    /// last, which is little, and is renamed. A sync is to follow. False if the
    /// new file is of no use, since a reset has restarted the journal meanwhile.
    ///
    /// # Errors
    /// The journal goes on as it was.
    pub fn switch(&mut self, mut new: Replacement) -> io::Result<bool> {
        let Some(appended) = self.since(&new) else {
            return Ok(false);
        };
        let has_synced = self.sync_end > new.copied_end;
        new.copy(&appended)?;
        // The disk may have these records in the old file: a power cut must not lose them.
        if has_synced {
            new.sync()?;
        }
        let created = Arc::clone(new.file());
        if self.storage.replace(&**self.log.file(), &*created)? == AtPath::OtherFile {
            self.path_trouble = Some(Trouble::OtherFile);
            return Err(io::Error::other(Trouble::OtherFile.to_string()));
        }
        self.path_trouble = None;
        let has_copied_reset = self.reset_end > new.of.end;
        self.log = new.log;
        self.preface_state = PrefaceState::Whole;
        self.reset_end = if has_copied_reset { self.log.end() } else { 0 };
        (self.sync_end, self.removals) = (0, 0);
        self.is_folder_due = true;
        self.has_torn_tail = false;
        self.has_failed_replacement = false;
        self.trouble = None;
        Ok(true)
    }
}
