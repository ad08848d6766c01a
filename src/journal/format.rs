//! The bytes of a file's head and of its records; the parent's documentation has the format.

use super::record::Kind;

/// The first bytes of every journal.
pub const MAGIC: &[u8; 8] = b"AGGJOURN";

/// What this program reads and writes.
pub const VERSION: u32 = 2;

/// The length of the head of a file.
pub const FILE_HEAD_BYTES: usize = 36;

/// The length of the head of a record.
pub const RECORD_HEAD_BYTES: usize = 32;

/// The head of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHead {
    /// Drawn for this file.
    pub nonce: u32,
    /// The offset behind the last record of the snapshot.
    pub snapshot_end: u64,
    /// When the window of the snapshot began, in unix seconds.
    pub window_start: i64,
}

/// Why the head of a file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadFault {
    /// Something else begins so.
    Foreign,
    /// It is of another version.
    Version(u32),
    /// It is not what was written.
    Checksum,
}

impl FileHead {
    /// The bytes of it.
    pub fn bytes(&self) -> [u8; FILE_HEAD_BYTES] {
        let mut bytes = [0; FILE_HEAD_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.nonce.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.snapshot_end.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.window_start.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..32]);
        bytes[32..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads it from the first bytes of a file.
    pub fn read(bytes: &[u8]) -> Result<FileHead, HeadFault> {
        let (Some(magic), Some(version)) = (bytes.first_chunk(), u32_at(bytes, 8)) else {
            return Err(HeadFault::Foreign);
        };
        if magic != MAGIC {
            return Err(HeadFault::Foreign);
        }
        if version != VERSION {
            return Err(HeadFault::Version(version));
        }
        let whole = bytes.first_chunk::<FILE_HEAD_BYTES>();
        let whole = whole.filter(|bytes| u32_at(*bytes, 32) == Some(crc32fast::hash(&bytes[..32])));
        let read = |bytes: &[u8; FILE_HEAD_BYTES]| {
            Some(FileHead {
                nonce: u32_at(bytes, 12)?,
                snapshot_end: u64_at(bytes, 16)?,
                window_start: u64_at(bytes, 24)?.cast_signed(),
            })
        };
        whole.and_then(read).ok_or(HeadFault::Checksum)
    }
}

/// The head of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHead {
    /// Of the content behind it, in bytes.
    pub length: u32,
    /// Of the content.
    pub checksum: u32,
    /// Everything before this offset was on the disk when the record was written.
    pub synced: u64,
    /// When it was written, in unix milliseconds; never less than in the record before.
    pub time_millis: u64,
    /// What it is.
    pub kind: Kind,
}

impl RecordHead {
    /// The bytes of it in a file with this nonce.
    pub fn bytes(&self, nonce: u32) -> [u8; RECORD_HEAD_BYTES] {
        let mut bytes = [0; RECORD_HEAD_BYTES];
        bytes[..4].copy_from_slice(&self.length.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.checksum.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.synced.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.time_millis.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.kind.word());
        let checksum = head_checksum(&bytes[..28], nonce);
        bytes[28..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads it from these bytes of a file with this nonce; `None` if no whole head begins there.
    pub fn read(bytes: &[u8], nonce: u32) -> Option<RecordHead> {
        let checksummed = bytes.get(..28)?;
        if u32_at(bytes, 28)? != head_checksum(checksummed, nonce) {
            return None;
        }
        Some(RecordHead {
            length: u32_at(bytes, 0)?,
            checksum: u32_at(bytes, 4)?,
            synced: u64_at(bytes, 8)?,
            time_millis: u64_at(bytes, 16)?,
            kind: Kind::from_word(*bytes[24..].first_chunk()?),
        })
    }
}

/// With the nonce before it, so that no sender can push bytes that look like a head.
fn head_checksum(bytes: &[u8], nonce: u32) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&nonce.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

/// The number at this offset, if it is there whole.
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u32::from_le_bytes)
}

/// The number at this offset, if it is there whole.
pub fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u64::from_le_bytes)
}
