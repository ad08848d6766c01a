//! One file of the journal: written at its end, read from its beginning.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::{self, ErrorKind, IoSlice};
use std::sync::Arc;

use super::JournalError;
use super::format::{FILE_HEAD_BYTES, FileHead, HeadFault};
use super::reader::{Next, Reader};
use super::record::{Framed, Record, RecordFault};
use super::storage::{JournalFile, SECTOR_BYTES, read_whole, write_whole};

/// So many zeros are written to find out whether there is room again.
const PROBE_BYTES: usize = 4096;

/// A file that records are appended to.
#[derive(Debug)]
pub struct Log {
    file: Arc<dyn JournalFile>,
    nonce: u32,
    /// All before it is whole records.
    end: u64,
    /// All before it is on the disk.
    synced: u64,
    snapshot_end: u64,
    window_start: i64,
    /// Of the last record, in unix milliseconds.
    time_millis: u64,
}

/// A tail that is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torn {
    /// Where it begins.
    pub offset: u64,
    /// How long it is.
    pub bytes: u64,
}

/// Whether the disk has it that all was forgotten.
#[derive(Debug)]
pub enum Restarted {
    /// It has.
    OnDisk,
    /// It may have what was there before.
    NotSynced(io::Error),
}

impl Log {
    /// Begins an empty file; it is no journal before [`Log::end_snapshot`].
    pub fn begin(file: Arc<dyn JournalFile>, window_start: i64) -> Log {
        Log {
            file,
            nonce: new_nonce(),
            end: FILE_HEAD_BYTES as u64,
            synced: 0,
            snapshot_end: 0,
            window_start,
            time_millis: 0,
        }
    }

    /// Ends the snapshot that a file begins with: what comes then, comes after it.
    ///
    /// # Errors
    /// The system's own.
    pub fn end_snapshot(&mut self) -> io::Result<()> {
        self.snapshot_end = self.end;
        let head = self.head().bytes();
        write_whole(&*self.file, &mut [IoSlice::new(&head)], 0)
    }

    fn head(&self) -> FileHead {
        FileHead {
            nonce: self.nonce,
            snapshot_end: self.snapshot_end,
            window_start: self.window_start,
        }
    }

    /// Reads a file and gives `apply` every record in it with its time in unix milliseconds, up to
    /// a torn tail.
    ///
    /// # Errors
    /// When what had been on the disk is not whole, a record is of an unknown kind, or `apply`
    /// refuses one, with a line that says why.
    pub fn recover(
        file: &Arc<dyn JournalFile>,
        mut apply: impl FnMut(u64, Record<'_>) -> Result<(), String>,
    ) -> Result<(Log, Option<Torn>), JournalError> {
        let read = JournalError::system("read");
        let length = file.length().map_err(&read)?;
        let head = read_head(&**file)?;
        let mut log = Log {
            nonce: head.nonce,
            end: FILE_HEAD_BYTES as u64,
            synced: 0,
            snapshot_end: head.snapshot_end,
            window_start: head.window_start,
            time_millis: 0,
            file: Arc::clone(file),
        };
        let damaged = |offset| JournalError::Damaged {
            offset,
            snapshot_end: head.snapshot_end,
        };
        let mut reader = Reader::new(&**file, log.nonce, log.end, length);
        loop {
            let offset = reader.offset();
            match reader.next().map_err(&read)? {
                Next::End | Next::Broken => break,
                Next::Whole(head, content) => {
                    let record = Record::read(head.kind, content);
                    let record = record.map_err(|fault| match fault {
                        RecordFault::Unknown(kind) => JournalError::Unknown { offset, kind },
                        RecordFault::Malformed => damaged(offset),
                    })?;
                    if let Record::Reset { window_start } = record {
                        log.window_start = window_start;
                    }
                    log.time_millis = log.time_millis.max(head.time_millis);
                    let applied = apply(head.time_millis, record);
                    applied.map_err(|line| JournalError::Refused { offset, line })?;
                }
            }
        }
        log.end = reader.offset();
        if log.end < log.snapshot_end {
            return Err(damaged(log.end));
        }
        let bytes = length.saturating_sub(log.end);
        if bytes == 0 {
            return Ok((log, None));
        }
        if !reader.is_torn().map_err(&read)? {
            return Err(damaged(log.end));
        }
        let offset = log.end;
        Ok((log, Some(Torn { offset, bytes })))
    }

    /// Appends a record of this time, in unix milliseconds, or of the time of the record before it
    /// if that is later: one write, unless the system takes only a part of it.
    ///
    /// # Errors
    /// Some of it may be there then; [`Log::cut`] takes it away.
    pub fn append(&mut self, time_millis: u64, framed: &Framed<'_>) -> io::Result<()> {
        let time_millis = self.time_millis.max(time_millis);
        let head = framed.head(time_millis, self.synced, self.nonce);
        write_whole(&*self.file, &mut framed.parts(&head), self.end)?;
        self.end += framed.bytes();
        self.time_millis = time_millis;
        Ok(())
    }

    /// Appends a record that was not framed before.
    ///
    /// # Errors
    /// See [`Log::append`]; and when it is too long.
    pub fn append_record(&mut self, time_millis: u64, record: Record<'_>) -> io::Result<()> {
        let framed = Framed::of(record).ok_or(ErrorKind::FileTooLarge)?;
        self.append(time_millis, &framed)
    }

    /// Appends the records of another log from `from` up to `end`.
    ///
    /// # Errors
    /// The system's own.
    pub fn append_from(&mut self, other: &LogPart) -> io::Result<()> {
        let mut reader = Reader::new(&*other.file, other.nonce, other.from, other.end);
        loop {
            match reader.next()? {
                Next::End => return Ok(()),
                Next::Broken => {
                    return Err(io::Error::new(
                        ErrorKind::InvalidData,
                        "what was written there is no longer whole",
                    ));
                }
                Next::Whole(head, content) => {
                    let framed = Framed::content(head.kind, content);
                    self.append(head.time_millis, &framed.ok_or(ErrorKind::FileTooLarge)?)?;
                }
            }
        }
    }

    /// What was appended since the end was `from`.
    #[must_use]
    pub fn since(&self, from: u64) -> LogPart {
        LogPart {
            file: Arc::clone(&self.file),
            nonce: self.nonce,
            from,
            end: self.end,
        }
    }

    /// Forgets all that is in the file, without needing more room on the disk.
    ///
    /// Its first sector is overwritten, at once or not at all: with a new head, by whose nonce
    /// nothing behind it is a record any more, and zeros, as if that had never been written. It is
    /// on the disk then, so that it is safe to [`Log::cut`] the file: no shorter file is ever seen
    /// with the head from before.
    ///
    /// If it cannot be synced, what was there is written back. If that fails too, all is forgotten:
    /// that is what a start would find.
    ///
    /// # Errors
    /// The system's own; nothing is forgotten.
    pub fn restart(&mut self, window_start: i64) -> io::Result<Restarted> {
        let mut new = Log::begin(Arc::clone(&self.file), window_start);
        new.snapshot_end = new.end;
        new.time_millis = self.time_millis;
        let mut before = [0; SECTOR_BYTES];
        let length = read_whole(&*self.file, &mut before, 0)?;
        let mut sector = [0; SECTOR_BYTES];
        sector[..FILE_HEAD_BYTES].copy_from_slice(&new.head().bytes());
        let write = |bytes: &[u8]| write_whole(&*self.file, &mut [IoSlice::new(bytes)], 0);
        write(&sector[..length]).inspect_err(|_| drop(write(&before[..length])))?;
        let restarted = match self.file.sync() {
            Ok(()) => {
                new.synced = new.end;
                Restarted::OnDisk
            }
            Err(error) if write(&before[..length]).is_ok() => return Err(error),
            Err(error) => Restarted::NotSynced(error),
        };
        *self = new;
        Ok(restarted)
    }

    /// Cuts off what is behind the last whole record.
    ///
    /// # Errors
    /// The system's own.
    pub fn cut(&self) -> io::Result<()> {
        self.file.set_length(self.end)
    }

    /// Finds out whether there is room for more.
    ///
    /// # Errors
    /// The system's own.
    pub fn probe(&self) -> io::Result<()> {
        let zeros = [0; PROBE_BYTES];
        let probed = write_whole(&*self.file, &mut [IoSlice::new(&zeros)], self.end);
        let cut = self.cut();
        probed.and(cut)
    }

    /// Notes that all before `end` is on the disk.
    pub fn set_synced(&mut self, end: u64) {
        self.synced = self.synced.max(end);
    }

    /// True if the file is known to be shorter than what was written to it.
    #[must_use]
    pub fn is_cut_short(&self) -> bool {
        self.file.length().is_ok_and(|length| length < self.end)
    }

    /// What tells this file's records from those of others.
    #[must_use]
    pub fn nonce(&self) -> u32 {
        self.nonce
    }

    /// The file itself.
    #[must_use]
    pub fn file(&self) -> &Arc<dyn JournalFile> {
        &self.file
    }

    /// The length of the head and all whole records.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }

    /// How much of that is on the disk.
    #[must_use]
    pub fn synced(&self) -> u64 {
        self.synced
    }

    /// How much of that is the snapshot, with the head.
    #[must_use]
    pub fn snapshot_end(&self) -> u64 {
        self.snapshot_end
    }

    /// The time of the last record, in unix milliseconds; zero if there is none.
    #[must_use]
    pub fn time_millis(&self) -> u64 {
        self.time_millis
    }

    /// When the window of the snapshot began; after [`Log::recover`], that of all that follows.
    #[must_use]
    pub fn window_start(&self) -> i64 {
        self.window_start
    }
}

/// Some records of a log; they stay readable whatever becomes of it.
#[derive(Debug)]
pub struct LogPart {
    file: Arc<dyn JournalFile>,
    nonce: u32,
    from: u64,
    end: u64,
}

impl LogPart {
    /// How long they are.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.end - self.from
    }

    /// Where they end.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }
}

/// Reads the head of a file.
///
/// # Errors
/// The system's own.
pub fn read_head(file: &dyn JournalFile) -> Result<FileHead, JournalError> {
    let mut bytes = [0; FILE_HEAD_BYTES];
    let length = read_whole(file, &mut bytes, 0).map_err(JournalError::system("read"))?;
    FileHead::read(&bytes[..length]).map_err(|fault| match fault {
        HeadFault::Foreign => JournalError::Foreign,
        HeadFault::Version(version) => JournalError::Version(version),
        HeadFault::Checksum => JournalError::Damaged {
            offset: 0,
            snapshot_end: FILE_HEAD_BYTES as u64,
        },
    })
}

/// True if a file begins with a whole head that has this nonce.
///
/// # Errors
/// The system's own.
pub fn has_head_of(file: &dyn JournalFile, nonce: u32) -> io::Result<bool> {
    let mut bytes = [0; FILE_HEAD_BYTES];
    let length = read_whole(file, &mut bytes, 0)?;
    Ok(FileHead::read(&bytes[..length]).is_ok_and(|head| head.nonce == nonce))
}

/// The standard library seeds its hashers from the system's randomness.
fn new_nonce() -> u32 {
    let [nonce @ .., _, _, _, _] = RandomState::new().build_hasher().finish().to_le_bytes();
    u32::from_le_bytes(nonce)
}
