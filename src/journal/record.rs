//! The records: what each says, and its bytes behind its head.

use std::fmt::{self, Display, Formatter};
use std::io::IoSlice;

use super::format::{RECORD_HEAD_BYTES, RecordHead, u32_at, u64_at};

/// What a record is, as four bytes of its head say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind([u8; 4]);

impl Display for Kind {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(to)
    }
}

impl Kind {
    const RULES: Kind = Kind(*b"rule");
    const SUMS_START: Kind = Kind(*b"strt");
    const SNAPSHOT: Kind = Kind(*b"snap");
    const SNAPSHOT_NATIVE: Kind = Kind(*b"snat");
    const SNAPSHOT_HELD: Kind = Kind(*b"shel");
    const SNAPSHOT_SENDERS: Kind = Kind(*b"ssen");
    const PUSH: Kind = Kind(*b"push");
    const WHOLE_PUSH: Kind = Kind(*b"pput");
    const RESET: Kind = Kind(*b"rset");
    const WIPE: Kind = Kind(*b"wipe");
    const EXPIRY: Kind = Kind(*b"expi");
    const AGES: Kind = Kind(*b"ages");
    const DELETE_LABELS: Kind = Kind(*b"dell");
    const DELETE_FAMILY: Kind = Kind(*b"delf");
    const SENDER_LEAVES: Kind = Kind(*b"slea");
    const WITHDRAW_SENDERS: Kind = Kind(*b"swit");
    const FORGET_SENDERS: Kind = Kind(*b"sfor");
    const HASH_KEY: Kind = Kind(*b"hkey");
    const SNAPSHOT_KEYS: Kind = Kind(*b"skey");
    const SWAP_KEYS: Kind = Kind(*b"swap");

    /// The kind of this word; whether it is known shows when the content is read.
    pub fn from_word(word: [u8; 4]) -> Kind {
        Kind(word)
    }

    /// As it stands in the head.
    pub fn word(self) -> [u8; 4] {
        self.0
    }
}

/// The content of a record. The journal copies its bytes; only the gateway knows their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// How the records behind it are merged. It comes before all others.
    Rules {
        /// The text form of `rules::Rules`.
        text: &'a [u8],
    },
    /// When all sums but those of gauges were zero: those of the snapshot have grown since then. It
    /// comes between rules and hash key; where it is missing, that is not known.
    SumsStart {
        /// In unix milliseconds.
        unix_millis: u64,
    },
    /// A part of the sums.
    Snapshot {
        /// The code of the body's format.
        format: u8,
        /// The sums, in that format.
        body: &'a [u8],
    },
    /// A part of the sums of which some are native histograms.
    SnapshotNative {
        /// As the gateway writes them.
        series: &'a [u8],
    },
    /// What the hashes in the file depend on. It comes behind the rules.
    HashKey {
        /// The bytes of `stable_hash::HashKey`.
        key: [u8; 16],
    },
    /// A part of the idempotency keys that are remembered.
    SnapshotKeys {
        /// 0 for the previous generation, 1 for the current one.
        generation: u8,
        /// When that began, in unix milliseconds.
        began_millis: u64,
        /// Hashes of keys and fingerprints, as the gateway writes them.
        keys: &'a [u8],
    },
    /// A part of the series that senders hold.
    SnapshotHeld {
        /// As the gateway writes them.
        series: &'a [u8],
    },
    /// A part of what is remembered of senders.
    SnapshotSenders {
        /// As the gateway writes them.
        senders: &'a [u8],
    },
    /// A push that was merged.
    Push(PushRecord<'a>),
    /// Everything before it is forgotten, but for the rules, the idempotency keys, what is
    /// remembered of senders and the gauges of those that are live.
    Reset {
        /// When the new window began, in unix seconds.
        window_start: i64,
    },
    /// Every series is forgotten, those that live senders hold as well.
    Wipe,
    /// Every series is forgotten that was last pushed before this time, in unix seconds.
    Expiry {
        /// Exclusive.
        before_seconds: u32,
    },
    /// No series was pushed, and no sender heard, longer ago than the time of this record.
    RestartAges,
    /// Every series is forgotten that carries all these labels.
    DeleteLabels {
        /// As they stand in a path.
        labels: &'a str,
    },
    /// The family of this name is forgotten.
    DeleteFamily {
        /// The metric name.
        name: &'a str,
    },
    /// A sender withdraws its gauges and is forgotten.
    SenderLeaves {
        /// The labels of its path.
        labels: &'a str,
    },
    /// Senders withdraw their gauges since they were silent.
    WithdrawSenders {
        /// Their hashes, as the gateway writes them.
        senders: &'a [u8],
    },
    /// Senders are forgotten.
    ForgetSenders {
        /// Their hashes, as the gateway writes them.
        senders: &'a [u8],
    },
    /// The older generation of idempotency keys is forgotten, and the current one becomes it.
    SwapKeys,
}

/// A push as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushRecord<'a> {
    /// True if it is all of its sender's state.
    pub is_whole: bool,
    /// The code of the body's format.
    pub format: u8,
    /// The labels of its path, as they stood there.
    pub labels: &'a str,
    /// The idempotency key, if it had one.
    pub key: Option<KeyRecord<'a>>,
    /// True if its time was not set, for lack of room; the highest bit of the format says so.
    pub is_time_left_out: bool,
    /// The body.
    pub body: &'a [u8],
}

/// An idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRecord<'a> {
    /// At most [`KEY_BYTES_MAX`] bytes, at least one.
    pub key: &'a [u8],
    /// Of the push that came with it.
    pub fingerprint: u64,
}

/// The longest idempotency key.
pub const KEY_BYTES_MAX: usize = u8::MAX as usize;

/// The longest beginning of a record's content that is numbers: format, length of the labels,
/// length of the key, fingerprint.
const NUMBERS_BYTES_MAX: usize = 16;

/// A bit beside the code of a push's format.
const TIME_LEFT_OUT: u8 = 0x80;

/// Why the content of a record cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFault {
    /// This program writes no records of this kind.
    Unknown(Kind),
    /// It has not the form that its kind says.
    Malformed,
}

impl<'a> Record<'a> {
    /// Reads the content of a record of this kind.
    ///
    /// # Errors
    /// When the kind is unknown, or the content has another form.
    pub fn read(kind: Kind, content: &'a [u8]) -> Result<Record<'a>, RecordFault> {
        let text = || std::str::from_utf8(content).ok();
        let seconds = || u32_at(content, 0).filter(|_| content.len() == 4);
        let record = match kind {
            Kind::RULES => Some(Record::Rules { text: content }),
            Kind::SUMS_START => u64_at(content, 0)
                .filter(|_| content.len() == 8)
                .map(|unix_millis| Record::SumsStart { unix_millis }),
            Kind::SNAPSHOT => content
                .split_first()
                .map(|(&format, body)| Record::Snapshot { format, body }),
            Kind::PUSH => PushRecord::read(content).map(Record::Push),
            Kind::WHOLE_PUSH => PushRecord::read(content).map(|push| {
                Record::Push(PushRecord {
                    is_whole: true,
                    ..push
                })
            }),
            Kind::RESET => u64_at(content, 0)
                .filter(|_| content.len() == 8)
                .map(|seconds| Record::Reset {
                    window_start: seconds.cast_signed(),
                }),
            Kind::EXPIRY => seconds().map(|before_seconds| Record::Expiry { before_seconds }),
            Kind::WIPE => content.is_empty().then_some(Record::Wipe),
            Kind::AGES => content.is_empty().then_some(Record::RestartAges),
            Kind::DELETE_LABELS => text().map(|labels| Record::DeleteLabels { labels }),
            Kind::DELETE_FAMILY => text().map(|name| Record::DeleteFamily { name }),
            Kind::SENDER_LEAVES => text().map(|labels| Record::SenderLeaves { labels }),
            Kind::WITHDRAW_SENDERS => Some(Record::WithdrawSenders { senders: content }),
            Kind::FORGET_SENDERS => Some(Record::ForgetSenders { senders: content }),
            Kind::SNAPSHOT_NATIVE => Some(Record::SnapshotNative { series: content }),
            Kind::SNAPSHOT_HELD => Some(Record::SnapshotHeld { series: content }),
            Kind::SNAPSHOT_SENDERS => Some(Record::SnapshotSenders { senders: content }),
            Kind::HASH_KEY => content.try_into().ok().map(|key| Record::HashKey { key }),
            Kind::SNAPSHOT_KEYS => Record::read_keys(content),
            Kind::SWAP_KEYS => content.is_empty().then_some(Record::SwapKeys),
            kind => return Err(RecordFault::Unknown(kind)),
        };
        record.ok_or(RecordFault::Malformed)
    }

    /// True if its replay takes a look at all series.
    #[must_use]
    pub fn is_removal(&self) -> bool {
        matches!(
            self,
            Record::Expiry { .. } | Record::DeleteLabels { .. } | Record::DeleteFamily { .. }
        )
    }

    fn read_keys(content: &'a [u8]) -> Option<Record<'a>> {
        let (&generation, rest) = content.split_first()?;
        Some(Record::SnapshotKeys {
            generation,
            began_millis: u64_at(rest, 0)?,
            keys: &rest[8..],
        })
    }
}

impl<'a> PushRecord<'a> {
    fn read(content: &'a [u8]) -> Option<PushRecord<'a>> {
        let (&first, rest) = content.split_first()?;
        let labels_length = usize::try_from(u32_at(rest, 0)?).ok()?;
        let (&key_length, rest) = rest[4..].split_first()?;
        let (fingerprint, rest) = match key_length {
            0 => (0, rest),
            _ => (u64_at(rest, 0)?, &rest[8..]),
        };
        let (labels, rest) = rest.split_at_checked(labels_length)?;
        let labels = std::str::from_utf8(labels).ok()?;
        let (key, body) = rest.split_at_checked(usize::from(key_length))?;
        let key = (key_length > 0).then_some(KeyRecord { key, fingerprint });
        Some(PushRecord {
            is_whole: false,
            format: first & !TIME_LEFT_OUT,
            labels,
            key,
            is_time_left_out: first & TIME_LEFT_OUT != 0,
            body,
        })
    }
}

/// A record with its checksum: all that is known of it before it has its place.
#[derive(Debug)]
pub struct Framed<'a> {
    kind: Kind,
    length: u32,
    checksum: u32,
    numbers: Numbers,
    parts: [&'a [u8]; 3],
}

/// The numbers that a content begins with.
#[derive(Debug, Default)]
struct Numbers {
    bytes: [u8; NUMBERS_BYTES_MAX],
    length: usize,
}

impl Numbers {
    fn with(mut self, bytes: &[u8]) -> Numbers {
        let end = self.length + bytes.len();
        self.bytes[self.length..end].copy_from_slice(bytes);
        self.length = end;
        self
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl<'a> Framed<'a> {
    /// Frames a record; `None` if it is 4 GiB long, or has a key that is too long or empty.
    #[must_use]
    pub fn of(record: Record<'a>) -> Option<Framed<'a>> {
        let none = Numbers::default;
        let seconds = |seconds: u32| none().with(&seconds.to_le_bytes());
        let of_text = |kind, text: &'a str| Framed::new(kind, none(), [text.as_bytes(), b"", b""]);
        let of_seconds = |kind, number| Framed::new(kind, seconds(number), [b"", b"", b""]);
        match record {
            Record::Rules { text } => Framed::content(Kind::RULES, text),
            Record::SumsStart { unix_millis } => {
                let numbers = none().with(&unix_millis.to_le_bytes());
                Framed::new(Kind::SUMS_START, numbers, [b"", b"", b""])
            }
            Record::Snapshot { format, body } => {
                Framed::new(Kind::SNAPSHOT, none().with(&[format]), [body, b"", b""])
            }
            Record::Push(push) => Framed::of_push(&push),
            Record::Reset { window_start } => {
                let numbers = none().with(&window_start.to_le_bytes());
                Framed::new(Kind::RESET, numbers, [b"", b"", b""])
            }
            Record::Expiry { before_seconds } => of_seconds(Kind::EXPIRY, before_seconds),
            Record::Wipe => of_text(Kind::WIPE, ""),
            Record::RestartAges => of_text(Kind::AGES, ""),
            Record::DeleteLabels { labels } => of_text(Kind::DELETE_LABELS, labels),
            Record::DeleteFamily { name } => of_text(Kind::DELETE_FAMILY, name),
            Record::SenderLeaves { labels } => of_text(Kind::SENDER_LEAVES, labels),
            Record::WithdrawSenders { senders } => Framed::content(Kind::WITHDRAW_SENDERS, senders),
            Record::ForgetSenders { senders } => Framed::content(Kind::FORGET_SENDERS, senders),
            Record::SnapshotNative { series } => Framed::content(Kind::SNAPSHOT_NATIVE, series),
            Record::SnapshotHeld { series } => Framed::content(Kind::SNAPSHOT_HELD, series),
            Record::SnapshotSenders { senders } => Framed::content(Kind::SNAPSHOT_SENDERS, senders),
            Record::HashKey { key } => {
                Framed::new(Kind::HASH_KEY, none().with(&key), [b"", b"", b""])
            }
            Record::SnapshotKeys {
                generation,
                began_millis,
                keys,
            } => {
                let numbers = none().with(&[generation]).with(&began_millis.to_le_bytes());
                Framed::new(Kind::SNAPSHOT_KEYS, numbers, [keys, b"", b""])
            }
            Record::SwapKeys => of_text(Kind::SWAP_KEYS, ""),
        }
    }

    fn of_push(push: &PushRecord<'a>) -> Option<Framed<'a>> {
        let labels_length = u32::try_from(push.labels.len()).ok()?;
        let time_left_out = if push.is_time_left_out {
            TIME_LEFT_OUT
        } else {
            0
        };
        let numbers = Numbers::default()
            .with(&[push.format | time_left_out])
            .with(&labels_length.to_le_bytes());
        let (numbers, key) = match push.key {
            None => (numbers.with(&[0]), b"".as_slice()),
            Some(KeyRecord { key: b"", .. }) => return None,
            Some(KeyRecord { key, fingerprint }) => {
                let numbers = numbers.with(&[u8::try_from(key.len()).ok()?]);
                (numbers.with(&fingerprint.to_le_bytes()), key)
            }
        };
        let kind = if push.is_whole {
            Kind::WHOLE_PUSH
        } else {
            Kind::PUSH
        };
        Framed::new(kind, numbers, [push.labels.as_bytes(), key, push.body])
    }

    /// Frames the content of a record.
    #[must_use]
    pub fn content(kind: Kind, content: &'a [u8]) -> Option<Framed<'a>> {
        Framed::new(kind, Numbers::default(), [content, b"", b""])
    }

    fn new(kind: Kind, numbers: Numbers, parts: [&'a [u8]; 3]) -> Option<Framed<'a>> {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(numbers.as_bytes());
        for part in parts {
            hasher.update(part);
        }
        let length = numbers.length + parts.iter().map(|part| part.len()).sum::<usize>();
        Some(Framed {
            kind,
            length: u32::try_from(length).ok()?,
            checksum: hasher.finalize(),
            numbers,
            parts,
        })
    }

    /// The length of it with its head, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        RECORD_HEAD_BYTES as u64 + u64::from(self.length)
    }

    /// Its head, at this time, where everything before `synced` is on the disk.
    #[must_use]
    pub fn head(&self, time_millis: u64, synced: u64, nonce: u32) -> [u8; RECORD_HEAD_BYTES] {
        let head = RecordHead {
            length: self.length,
            checksum: self.checksum,
            synced,
            time_millis,
            kind: self.kind,
        };
        head.bytes(nonce)
    }

    /// What is written: the head, and the content behind it.
    pub fn parts<'b>(&'b self, head: &'b [u8; RECORD_HEAD_BYTES]) -> [IoSlice<'b>; 5] {
        let [first, second, third] = self.parts;
        [head, self.numbers.as_bytes(), first, second, third].map(IoSlice::new)
    }
}
