//! A file that is to take the journal's place: it begins with a snapshot, and takes over what was
//! appended to the journal meanwhile.

use std::io;
use std::sync::Arc;

use super::log::{Log, LogPart};
use super::record::Record;
use super::storage::{JournalFile, Storage};

/// The most bytes to be copied while pushes wait for a new file to take the journal's place.
const SWITCH_BYTES_MAX: u64 = 64 << 10;

/// The records that come before all others.
#[derive(Clone, Debug, Default)]
pub struct Preface {
    /// The rules by which all in the file is merged, as text.
    pub rules: Arc<[u8]>,
    /// What the hashes in the file depend on.
    pub hash_key: [u8; 16],
    /// When all sums but those of gauges were zero, in unix milliseconds, if that is known.
    pub start_millis: Option<u64>,
}

impl Preface {
    /// Appends it to a file that holds none of it, or not all.
    ///
    /// # Errors
    /// The system's own; some of it may be there then.
    pub(super) fn append_to(&self, log: &mut Log, time_millis: u64) -> io::Result<()> {
        let key = self.hash_key;
        log.append_record(time_millis, Record::Rules { text: &self.rules })?;
        if let Some(unix_millis) = self.start_millis {
            log.append_record(time_millis, Record::SumsStart { unix_millis })?;
        }
        log.append_record(time_millis, Record::HashKey { key })
    }
}

/// What a file begins with.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// What comes before all else.
    pub preface: Preface,
    /// When the window of its snapshot began, in unix seconds.
    pub window_start: i64,
    /// The time of its snapshot, in unix milliseconds.
    pub time_millis: u64,
}

impl Beginning {
    /// An empty file begun so.
    ///
    /// # Errors
    /// The system's own.
    pub fn log(&self, file: Arc<dyn JournalFile>) -> io::Result<Log> {
        let mut log = Log::begin(file, self.window_start);
        self.preface.append_to(&mut log, self.time_millis)?;
        Ok(log)
    }
}

/// The point in the journal up to which a snapshot has everything.
#[derive(Clone, Debug)]
pub struct SnapshotPoint {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) nonce: u32,
    pub(super) end: u64,
}

impl SnapshotPoint {
    pub(super) fn none(storage: &Arc<dyn Storage>) -> SnapshotPoint {
        SnapshotPoint {
            storage: Arc::clone(storage),
            nonce: 0,
            end: 0,
        }
    }

    /// The disk that it is on.
    #[must_use]
    pub fn storage(&self) -> &dyn Storage {
        &*self.storage
    }
}

/// A file that is to take the journal's place.
#[derive(Debug)]
pub struct Replacement {
    pub(super) log: Log,
    /// What the journal held before it is in the snapshot.
    pub(super) of: SnapshotPoint,
    /// What the journal held before this offset is in the file.
    pub(super) copied_end: u64,
}

impl Replacement {
    /// Begins a file with a snapshot, which has all that the journal holds before a point.
    ///
    /// # Errors
    /// The system's own.
    pub fn begin(of: SnapshotPoint, beginning: &Beginning) -> io::Result<Replacement> {
        let file = of.storage.create()?;
        let log = beginning.log(Arc::clone(&file));
        // It would take the room that the journal may lack.
        let log = log.inspect_err(|_| drop(of.storage.discard(&*file)))?;
        Ok(Replacement {
            log,
            copied_end: of.end,
            of,
        })
    }

    /// The file, not in the journal's place yet.
    #[must_use]
    pub fn file(&self) -> &Arc<dyn JournalFile> {
        self.log.file()
    }

    /// Appends a part of the snapshot.
    ///
    /// # Errors
    /// The system's own.
    pub fn snapshot(&mut self, record: Record<'_>) -> io::Result<()> {
        self.log.append_record(self.log.time_millis(), record)
    }

    /// Ends the snapshot, and waits until it is on the disk.
    ///
    /// # Errors
    /// The system's own.
    pub fn end_snapshot(&mut self) -> io::Result<()> {
        self.log.end_snapshot()?;
        self.sync()
    }

    /// Takes over what was appended to the journal since the last time, and waits until it is on
    /// the disk; true when what is appended meanwhile is likely to be little enough for the switch.
    ///
    /// # Errors
    /// The system's own.
    pub fn catch_up(&mut self, journal: &LogPart) -> io::Result<bool> {
        self.copy(journal)?;
        self.sync()?;
        Ok(journal.bytes() <= SWITCH_BYTES_MAX)
    }

    pub(super) fn copy(&mut self, journal: &LogPart) -> io::Result<()> {
        self.log.append_from(journal)?;
        self.copied_end = journal.end();
        Ok(())
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        let end = self.log.end();
        self.log.file().sync()?;
        self.log.set_synced(end);
        Ok(())
    }
}
