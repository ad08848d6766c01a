//! What was decompressed so far.
//!
//! Invariant: `filled <= bytes.len() <= bytes.capacity()`, and none of them is beyond the bounds.

use super::DecompressError;

/// Up to this length a body may be any number of times longer than it was.
const ANY_RATIO_BYTES_MAX: usize = 1 << 20;

/// Expositions are compressed 9 to 25 times, DEFLATE ends at 1,032 times.
const RATIO_MAX: usize = 100;

/// What is zeroed at a time: with the 32 KiB that DEFLATE refers back to, it stays in the second
/// cache until it is overwritten and its checksum is taken.
const STEP_BYTES: usize = 64 << 10;

/// The smallest buffer that is worth an allocation.
const CAPACITY_BYTES_MIN: usize = 1 << 10;

/// A growing buffer with a bound.
pub struct Output {
    /// Zeroes behind what is filled.
    bytes: Vec<u8>,
    filled: usize,
    body_bytes: usize,
    bytes_max: usize,
}

impl Output {
    /// Allocates nothing yet.
    pub fn new(body_bytes: usize, bytes_max: usize) -> Output {
        Output {
            bytes: Vec::new(),
            filled: 0,
            body_bytes,
            bytes_max,
        }
    }

    fn limit(&self) -> usize {
        let by_ratio = self.body_bytes.saturating_mul(RATIO_MAX);
        self.bytes_max.min(by_ratio.max(ANY_RATIO_BYTES_MAX))
    }

    fn beyond_limit(&self) -> DecompressError {
        if self.limit() == self.bytes_max {
            let bytes_max = self.bytes_max;
            DecompressError::TooLong { bytes_max }
        } else {
            DecompressError::Ratio
        }
    }

    /// The number of bytes that were decompressed.
    pub fn len(&self) -> usize {
        self.filled
    }

    /// What was decompressed from this length on.
    pub fn since(&self, start: usize) -> &[u8] {
        self.bytes.get(start..self.filled).unwrap_or_default()
    }

    /// The buffer from `start` on, with what is filled and what is free. [`Output::advance`] says
    /// how much of the free part was filled.
    pub fn buffer_since(&mut self, start: usize) -> &mut [u8] {
        self.bytes.get_mut(start..).unwrap_or_default()
    }

    /// Counts these bytes more as filled, at most those that are free.
    pub fn advance(&mut self, bytes: usize) {
        self.filled = self.filled.saturating_add(bytes).min(self.bytes.len());
    }

    /// Makes room for what is said to come, in one allocation. What is beyond the bounds is not
    /// believed.
    pub fn expect_bytes(&mut self, bytes: usize) -> Result<(), DecompressError> {
        if bytes > self.bytes.capacity() && bytes <= self.limit() {
            return self.reserve(bytes);
        }
        Ok(())
    }

    /// Has at least one free byte more than before.
    pub fn grow(&mut self) -> Result<(), DecompressError> {
        let bytes = self.bytes.len();
        if bytes >= self.limit() {
            return Err(self.beyond_limit());
        }
        if bytes == self.bytes.capacity() {
            let first = self.body_bytes.saturating_mul(4).max(CAPACITY_BYTES_MIN);
            let capacity = bytes.saturating_mul(2).max(first);
            self.reserve(capacity.min(self.limit()))?;
        }
        let end = self.bytes.capacity().min(bytes.saturating_add(STEP_BYTES));
        self.bytes.resize(end.min(self.limit()), 0);
        Ok(())
    }

    fn reserve(&mut self, capacity: usize) -> Result<(), DecompressError> {
        let additional = capacity.saturating_sub(self.bytes.len());
        let reserved = self.bytes.try_reserve_exact(additional);
        reserved.map_err(|_| DecompressError::NoMemory { bytes: capacity })
    }

    /// The next `bytes` bytes, all of them to be filled by the caller.
    pub fn claim(&mut self, bytes: usize) -> Result<&mut [u8], DecompressError> {
        let start = self.filled;
        let end = start.saturating_add(bytes);
        if end > self.limit() {
            return Err(self.beyond_limit());
        }
        while self.bytes.len() < end {
            self.grow()?;
        }
        self.filled = end;
        Ok(self.bytes.get_mut(start..end).unwrap_or_default())
    }

    /// Copies what was not compressed.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), DecompressError> {
        self.expect_bytes(self.filled.saturating_add(bytes.len()))?;
        self.claim(bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    /// What was decompressed.
    pub fn into_bytes(mut self) -> Vec<u8> {
        self.bytes.truncate(self.filled);
        self.bytes
    }
}
