//! The records of a file, one after the other, and what to think of one that is not whole.

use std::io::{self, ErrorKind};

use super::format::{RECORD_HEAD_BYTES, RecordHead};
use super::storage::{JournalFile, SECTOR_BYTES, read_whole};

/// So much is read at once; a record that is longer is read whole.
const READ_BYTES: usize = 1 << 20;

/// A place between two records of a file.
#[derive(Debug)]
pub struct Reader<'a> {
    file: &'a dyn JournalFile,
    nonce: u32,
    offset: u64,
    end: u64,
    loaded: Vec<u8>,
    loaded_at: u64,
}

/// What begins at a place.
#[derive(Debug, PartialEq)]
pub enum Next<'a> {
    /// A record as it was written.
    Whole(RecordHead, &'a [u8]),
    /// Not a whole record.
    Broken,
    /// Nothing more.
    End,
}

impl<'a> Reader<'a> {
    /// Reads the records of a file from one offset up to another.
    pub fn new(file: &'a dyn JournalFile, nonce: u32, from: u64, end: u64) -> Reader<'a> {
        Reader {
            file,
            nonce,
            offset: from,
            end,
            loaded: Vec::new(),
            loaded_at: from,
        }
    }

    /// The offset behind the last whole record.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next record; the place moves behind it if it is whole.
    pub fn next(&mut self) -> io::Result<Next<'_>> {
        if self.offset >= self.end {
            return Ok(Next::End);
        }
        let Some(head) = self.head_at(self.offset)? else {
            return Ok(Next::Broken);
        };
        let begin = self.offset + RECORD_HEAD_BYTES as u64;
        let length = u64::from(head.length);
        if self.end - begin < length {
            return Ok(Next::Broken);
        }
        if crc32fast::hash(self.load(begin, length)?) != head.checksum {
            return Ok(Next::Broken);
        }
        self.offset = begin + length;
        Ok(Next::Whole(head, self.load(begin, length)?))
    }

    /// Tells whether the broken record at this place is the torn tail of a writing that was cut
    /// short, or damage to what was there before.
    ///
    /// Who is killed has written a beginning of it, with which the file ends. A power cut may leave
    /// some sectors of what was written since the last sync and zeros for the others: it is torn as
    /// well if a sector of it was never written, unless a record behind it says that it had been.
    pub fn is_torn(&mut self) -> io::Result<bool> {
        let content = self.head_at(self.offset)?;
        let content_bytes = content.map_or(0, |head| u64::from(head.length));
        let bytes = RECORD_HEAD_BYTES as u64 + content_bytes;
        if self.end - self.offset < bytes {
            return Ok(true);
        }
        Ok(self.lacks_a_sector(bytes)? && !self.was_on_disk()?)
    }

    /// File systems give zeros for sectors that were never written.
    fn lacks_a_sector(&mut self, bytes: u64) -> io::Result<bool> {
        let (mut begin, end) = (self.offset, self.offset + bytes);
        while begin < end {
            let sector_end = end.min((begin + 1).next_multiple_of(SECTOR_BYTES as u64));
            let in_sector = self.load(begin, sector_end - begin)?;
            if in_sector.iter().all(|&byte| byte == 0) {
                return Ok(true);
            }
            begin = sector_end;
        }
        Ok(false)
    }

    /// True if a record behind this place says that the place was on the disk.
    fn was_on_disk(&mut self) -> io::Result<bool> {
        for at in self.offset + 1..self.end {
            let head = self.head_at(at)?;
            if head.is_some_and(|head| head.synced > self.offset) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn head_at(&mut self, offset: u64) -> io::Result<Option<RecordHead>> {
        let nonce = self.nonce;
        let bytes = self.load(offset, RECORD_HEAD_BYTES as u64)?;
        Ok(RecordHead::read(bytes, nonce))
    }

    /// These bytes of the file; fewer where it ends.
    fn load(&mut self, offset: u64, length: u64) -> io::Result<&[u8]> {
        let end = self.end.min(offset + length);
        let is_loaded =
            self.loaded_at <= offset && end <= self.loaded_at + self.loaded.len() as u64;
        if !is_loaded {
            let wanted = (end - offset).max(READ_BYTES as u64).min(self.end - offset);
            self.fill(offset, wanted)?;
        }
        let place = |offset| {
            let place = usize::try_from(offset - self.loaded_at);
            place.map_err(|_| io::Error::from(ErrorKind::OutOfMemory))
        };
        Ok(&self.loaded[place(offset)?..place(end)?])
    }

    fn fill(&mut self, offset: u64, wanted: u64) -> io::Result<()> {
        let wanted = usize::try_from(wanted).map_err(|_| ErrorKind::OutOfMemory)?;
        self.loaded_at = offset;
        self.loaded.clear();
        // A record may be longer than there is memory.
        self.loaded.try_reserve_exact(wanted)?;
        self.loaded.resize(wanted, 0);
        match read_whole(self.file, &mut self.loaded, offset)? {
            read if read < wanted => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}
