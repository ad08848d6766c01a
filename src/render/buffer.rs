//! Bytes that are appended to a vector, in pieces of a few bytes each.
//!
//! An exposition is copied from texts of some ten bytes. A call of the C library for each takes
//! longer than the copy itself, a static build's more than twice as long; and a vector looks after
//! its length and its capacity each time. So room for a whole line is asked for at once, and
//! short texts are copied by a few instructions that are made for their length.

// A copy is short where its caller's lengths are known. Static builds inline less by themselves.
#![allow(clippy::inline_always)]

use crate::number::{self, WRITTEN_BYTES_MAX};

/// Room is made for so much beyond what is asked for: a vector has to be filled before it is
/// written to at any place, and what is overwritten soon is still in the processor's cache.
const AHEAD_BYTES: usize = 1 << 10;

/// At the end of a vector, as long as it lives.
pub struct Buffer<'a> {
    /// Longer than what is written.
    bytes: &'a mut Vec<u8>,
    /// The length of what is written.
    end: usize,
}

impl Buffer<'_> {
    pub fn new(bytes: &mut Vec<u8>) -> Buffer<'_> {
        let end = bytes.len();
        Buffer { bytes, end }
    }

    /// With what was there before.
    pub fn length(&self) -> usize {
        self.end
    }

    /// Appends what `write` puts into room for this number of bytes; more would be a panic.
    #[inline(always)]
    pub fn append(&mut self, bytes_max: usize, write: impl FnOnce(&mut Room<'_>)) {
        if self.bytes.len() - self.end < bytes_max {
            self.make_room(bytes_max);
        }
        let mut room = Room {
            bytes: &mut self.bytes[self.end..],
            end: 0,
        };
        write(&mut room);
        self.end += room.end;
    }

    /// Puts other bytes in the place of those from `start` to `end`.
    pub fn replace(&mut self, start: usize, end: usize, bytes: &[u8]) {
        self.bytes.truncate(self.end);
        self.bytes.splice(start..end, bytes.iter().copied());
        self.end = self.bytes.len();
    }

    /// Appends texts.
    pub fn append_all(&mut self, texts: &[&str]) {
        let bytes = texts.iter().map(|text| text.len()).sum();
        self.append(bytes, |room| {
            for text in texts {
                room.put(text.as_bytes());
            }
        });
    }

    /// Within the capacity as long as there is some: who appends a piece has reserved it.
    #[cold]
    #[inline(never)]
    fn make_room(&mut self, bytes: usize) {
        let needed = self.end + bytes;
        self.bytes.reserve(needed - self.bytes.len());
        let length = self.bytes.capacity().min(needed + AHEAD_BYTES);
        self.bytes.resize(length, 0);
    }
}

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        self.bytes.truncate(self.end);
    }
}

/// Where the next bytes go.
pub struct Room<'a> {
    bytes: &'a mut [u8],
    end: usize,
}

impl Room<'_> {
    /// How much was put.
    #[inline]
    pub fn length(&self) -> usize {
        self.end
    }

    /// Puts a few bytes.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) {
        copy(bytes, &mut self.bytes[self.end..][..bytes.len()]);
        self.end += bytes.len();
    }

    /// Puts an integer as protobuf has it.
    #[inline]
    pub fn put_varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.put(&[number.to_le_bytes()[0] | 0x80]);
            number >>= 7;
        }
        self.put(&[number.to_le_bytes()[0]]);
    }

    /// Puts the key and the length of a string or a message that follows.
    #[inline(always)]
    pub fn put_head(&mut self, key: u8, length: usize) {
        if length < 0x80 {
            // As nearly all are.
            return self.put(&[key, length.to_le_bytes()[0]]);
        }
        self.put(&[key]);
        self.put_varint(length as u64);
    }

    /// Puts a field that is a `double`.
    #[inline]
    pub fn put_double(&mut self, key: u8, value: f64) {
        self.put(&[key]);
        self.put(&value.to_le_bytes());
    }

    /// Puts a number as text; it takes [`WRITTEN_BYTES_MAX`] of the room, or less.
    #[inline]
    pub fn put_number(&mut self, value: f64) {
        let rest = &mut self.bytes[self.end..][..WRITTEN_BYTES_MAX];
        if let Some(to) = rest.first_chunk_mut::<WRITTEN_BYTES_MAX>() {
            self.end += number::write(value, to);
        }
    }
}

/// Bytes of which the last ones change again and again.
#[derive(Default)]
pub struct Scratch {
    /// Longer than what counts of them.
    bytes: Vec<u8>,
    length: usize,
}

impl Scratch {
    /// What counts.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// The same, to be changed.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.length]
    }

    /// Sets the length.
    #[inline]
    pub fn set_length(&mut self, length: usize) {
        if self.bytes.len() < length {
            self.bytes.resize(length, 0);
        }
        self.length = length;
    }

    /// Keeps the first bytes, and has others behind them.
    pub fn replace_end(&mut self, kept: usize, bytes: &[u8]) {
        self.set_length(kept + bytes.len());
        copy(bytes, &mut self.bytes_mut()[kept..]);
    }

    /// Has others behind all.
    #[inline]
    pub fn append(&mut self, bytes: &[u8]) {
        self.replace_end(self.length, bytes);
    }
}

/// Copies bytes to a place of the same length.
#[inline(always)]
fn copy(from: &[u8], to: &mut [u8]) {
    match from.len() {
        129.. => to.copy_from_slice(from),
        65.. => copy_ends::<64>(from, to),
        32.. => copy_ends::<32>(from, to),
        16.. => copy_ends::<16>(from, to),
        8.. => copy_ends::<8>(from, to),
        4.. => copy_ends::<4>(from, to),
        1.. => {
            // The first, the last, and the one between.
            let (last, middle) = (from.len() - 1, from.len() / 2);
            (to[0], to[middle], to[last]) = (from[0], from[middle], from[last]);
        }
        0 => {}
    }
}

/// Copies at least the last `bytes` to a place of the same length; perhaps more of those before.
#[inline]
pub fn copy_end(from: &[u8], to: &mut [u8], bytes: usize) {
    const FEW: usize = 8;
    match (from.last_chunk::<FEW>(), to.last_chunk_mut::<FEW>()) {
        (Some(from), Some(to)) if bytes <= FEW => *to = *from,
        _ => {
            let start = from.len() - bytes;
            copy(&from[start..], &mut to[start..]);
        }
    }
}

/// Copies this number of bytes from each end, which is all of up to twice as many.
#[inline(always)]
fn copy_ends<const N: usize>(from: &[u8], to: &mut [u8]) {
    if let (Some(first), Some(last)) = (from.first_chunk::<N>(), from.last_chunk::<N>()) {
        let length = to.len();
        to[..N].copy_from_slice(first);
        to[length - N..].copy_from_slice(last);
    }
}
