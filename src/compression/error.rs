//! What a sender of a compressed body is told.
//!
//! Invariant: every message is one line of at most 200 bytes, whatever the input.

use std::fmt;

use super::ACCEPT_ENCODING;
use crate::excerpt::Excerpt;

/// The value of a `Content-Encoding` that is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsupportedCoding(pub Excerpt);

impl fmt::Display for UnsupportedCoding {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            to,
            "unsupported Content-Encoding {}, expected one of {ACCEPT_ENCODING}",
            self.0
        )
    }
}

impl std::error::Error for UnsupportedCoding {}

/// Why a body cannot be decompressed. Offsets are in the compressed body, counted from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecompressError {
    /// The decompressed body is longer than it may be.
    TooLong {
        /// The configured limit.
        bytes_max: usize,
    },
    /// The decompressed body is too many times longer than the compressed one.
    Ratio,
    /// The DEFLATE blocks are too short for what they hold.
    ShortBlocks,
    /// Something else should stand there.
    Expected {
        /// What should stand there.
        what: &'static str,
        /// The offset in bytes.
        offset: usize,
    },
    /// The body ends before this is complete.
    Truncated {
        /// What is not complete.
        what: &'static str,
    },
    /// Something follows the end.
    TrailingBytes {
        /// The offset of the first byte of it.
        offset: usize,
    },
    /// What was decompressed does not match its checksum.
    Checksum {
        /// The offset of the checksum in bytes.
        offset: usize,
    },
    /// What was decompressed is of another length than stated.
    Length {
        /// The offset of the length in bytes.
        offset: usize,
    },
    /// The allocator has no memory for the result.
    NoMemory {
        /// The capacity that was asked for.
        bytes: usize,
    },
}

impl fmt::Display for DecompressError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        use DecompressError as E;
        match self {
            E::TooLong { bytes_max } => {
                write!(to, "decompressed body is longer than {bytes_max} bytes")
            }
            E::Ratio => write!(
                to,
                "decompressed body is over 1 MiB and over 100 times the compressed length"
            ),
            E::ShortBlocks => write!(
                to,
                "compressed body has too many short blocks; do not flush the compressor so often"
            ),
            E::Expected { what, offset } => {
                write!(to, "compressed body: expected {what} at byte {offset}")
            }
            E::Truncated { what } => write!(to, "compressed body ends within {what}"),
            E::TrailingBytes { offset } => write!(
                to,
                "compressed body: unexpected bytes after its end, at byte {offset}"
            ),
            E::Checksum { offset } => write!(
                to,
                "compressed body: contents do not match the checksum at byte {offset}"
            ),
            E::Length { offset } => write!(
                to,
                "compressed body: contents are not of the length stated at byte {offset}"
            ),
            E::NoMemory { bytes } => {
                write!(to, "no memory for {bytes} bytes of decompressed body")
            }
        }
    }
}

impl std::error::Error for DecompressError {}
