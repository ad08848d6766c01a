//! Numbers in records: little-endian, one behind the other.

use crate::stable_hash::StableHash;

/// Appends a hash.
pub fn put_hash(hash: StableHash, bytes: &mut Vec<u8>) {
    bytes.extend(hash.0[0].to_le_bytes());
    bytes.extend(hash.0[1].to_le_bytes());
}

/// Appends a number.
pub fn put_number(number: f64, bytes: &mut Vec<u8>) {
    bytes.extend(number.to_le_bytes());
}

/// What is left to read. Each method gives `None` when there is too little.
pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    /// All of these.
    pub fn of(bytes: &'a [u8]) -> Bytes<'a> {
        Bytes(bytes)
    }

    /// True if nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// So many bytes.
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// The same, of a constant length.
    pub fn array<const LENGTH: usize>(&mut self) -> Option<[u8; LENGTH]> {
        self.take(LENGTH)?.try_into().ok()
    }

    /// One byte.
    pub fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    /// A whole number of 32 bits.
    pub fn word(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// The same as a length.
    pub fn length(&mut self) -> Option<usize> {
        usize::try_from(self.word()?).ok()
    }

    /// A whole number with a sign.
    pub fn signed(&mut self) -> Option<i32> {
        self.word().map(u32::cast_signed)
    }

    /// Any number.
    pub fn number(&mut self) -> Option<f64> {
        self.array().map(f64::from_le_bytes)
    }

    /// A number that is finite.
    pub fn finite(&mut self) -> Option<f64> {
        self.number().filter(|number| number.is_finite())
    }

    /// A hash.
    pub fn hash(&mut self) -> Option<StableHash> {
        let first = u64::from_le_bytes(self.array()?);
        Some(StableHash([first, u64::from_le_bytes(self.array()?)]))
    }
}
