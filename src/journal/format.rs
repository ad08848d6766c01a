//! The bytes of the head of a file and of an entry; see the format in the parent's documentation.

use std::io::IoSlice;

/// The first bytes of every journal.
/// What a file begins with.
pub const MAGIC: &[u8; 8] = b"AGGJOURN";

/// What this program reads and writes.
pub const VERSION: u32 = 1;

/// The length of the head of a file.
pub const FILE_HEAD_BYTES: usize = 36;

/// The length of the head of an entry.
pub const ENTRY_HEAD_BYTES: usize = 24;

/// The head of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHead {
    /// Drawn for this file.
    pub nonce: u32,
    /// The offset behind the last entry of the snapshot.
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

/// What an entry is. The words stand in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A push that was merged.
    Push,
    /// Everything before it was forgotten.
    Reset,
    /// A part of the sums as they were when the file was begun.
    Snapshot,
}

impl Kind {
    fn word(self) -> [u8; 4] {
        match self {
            Kind::Push => *b"push",
            Kind::Reset => *b"rset",
            Kind::Snapshot => *b"snap",
        }
    }

    fn from_word(word: &[u8]) -> Option<Kind> {
        let kinds = [Kind::Push, Kind::Reset, Kind::Snapshot];
        kinds.into_iter().find(|kind| kind.word() == word)
    }
}

/// The head of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryHead {
    /// Of the content behind it, in bytes.
    pub length: u32,
    /// Of the content.
    pub checksum: u32,
    /// Everything before this offset was on the disk when the entry was written.
    pub synced: u64,
    /// What it is.
    pub kind: Kind,
}

impl EntryHead {
    /// The bytes of it in a file with this nonce.
    pub fn bytes(&self, nonce: u32) -> [u8; ENTRY_HEAD_BYTES] {
        let mut bytes = [0; ENTRY_HEAD_BYTES];
        bytes[..4].copy_from_slice(&self.length.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.checksum.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.synced.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.kind.word());
        let checksum = head_checksum(&bytes[..20], nonce);
        bytes[20..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads it from these bytes of a file with this nonce; `None` if no whole head begins there.
    pub fn read(bytes: &[u8], nonce: u32) -> Option<EntryHead> {
        let kind = Kind::from_word(bytes.get(16..20)?)?;
        if u32_at(bytes, 20)? != head_checksum(&bytes[..20], nonce) {
            return None;
        }
        Some(EntryHead {
            length: u32_at(bytes, 0)?,
            checksum: u32_at(bytes, 4)?,
            synced: u64_at(bytes, 8)?,
            kind,
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

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u64::from_le_bytes)
}

/// What the journal holds: bytes, of which only their owner knows what they say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A push: the labels of its path as they stood there, and its body.
    Push {
        /// What stood behind the push path.
        labels: &'a str,
        /// The text that was pushed.
        body: &'a [u8],
    },
    /// Everything before it is forgotten.
    Reset {
        /// When the new window began, in unix seconds.
        window_start: i64,
    },
    /// A part of the sums.
    Snapshot {
        /// Exposition text.
        text: &'a [u8],
    },
}

impl<'a> Entry<'a> {
    /// Reads the content of an entry of this kind; `None` if it has another form.
    #[must_use]
    pub fn read(kind: Kind, content: &'a [u8]) -> Option<Entry<'a>> {
        match kind {
            Kind::Push => {
                let length = usize::try_from(u32_at(content, 0)?).ok()?;
                let (labels, body) = content[4..].split_at_checked(length)?;
                let labels = std::str::from_utf8(labels).ok()?;
                Some(Entry::Push { labels, body })
            }
            Kind::Reset => {
                let seconds = u64_at(content, 0).filter(|_| content.len() == 8)?;
                let window_start = seconds.cast_signed();
                Some(Entry::Reset { window_start })
            }
            Kind::Snapshot => Some(Entry::Snapshot { text: content }),
        }
    }
}

/// An entry with its checksum: all that can be known of it before it has its place.
#[derive(Debug)]
pub struct Framed<'a> {
    kind: Kind,
    length: u32,
    checksum: u32,
    number: [u8; 8],
    number_length: usize,
    parts: [&'a [u8]; 2],
}

impl<'a> Framed<'a> {
    /// Frames an entry; `None` if it is 4 GiB long.
    #[must_use]
    pub fn of(entry: Entry<'a>) -> Option<Framed<'a>> {
        match entry {
            Entry::Push { labels, body } => {
                let length = u32::try_from(labels.len()).ok()?.to_le_bytes();
                Framed::new(Kind::Push, &length, [labels.as_bytes(), body])
            }
            Entry::Reset { window_start } => {
                Framed::new(Kind::Reset, &window_start.to_le_bytes(), [b"", b""])
            }
            Entry::Snapshot { text } => Framed::new(Kind::Snapshot, b"", [text, b""]),
        }
    }

    /// Frames the content of an entry.
    #[must_use]
    pub fn content(kind: Kind, content: &'a [u8]) -> Option<Framed<'a>> {
        Framed::new(kind, b"", [content, b""])
    }

    fn new(kind: Kind, number: &[u8], parts: [&'a [u8]; 2]) -> Option<Framed<'a>> {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(number);
        for part in parts {
            hasher.update(part);
        }
        let mut padded = [0; 8];
        padded[..number.len()].copy_from_slice(number);
        Some(Framed {
            kind,
            length: u32::try_from(number.len() + parts[0].len() + parts[1].len()).ok()?,
            checksum: hasher.finalize(),
            number: padded,
            number_length: number.len(),
            parts,
        })
    }

    /// The length of it with its head, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        ENTRY_HEAD_BYTES as u64 + u64::from(self.length)
    }

    /// Its head, where everything before `synced` is on the disk.
    #[must_use]
    pub fn head(&self, synced: u64, nonce: u32) -> [u8; ENTRY_HEAD_BYTES] {
        let head = EntryHead {
            length: self.length,
            checksum: self.checksum,
            synced,
            kind: self.kind,
        };
        head.bytes(nonce)
    }

    /// What is written: the head, and the content behind it.
    pub fn parts<'b>(&'b self, head: &'b [u8; ENTRY_HEAD_BYTES]) -> [IoSlice<'b>; 4] {
        let [first, second] = self.parts;
        [head, &self.number[..self.number_length], first, second].map(IoSlice::new)
    }
}
