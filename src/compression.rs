//! Compressed bodies to what was compressed (RFC 9110 section 8.4).
//!
//! - gzip: RFC 1952, any number of members, every header field.
//! - deflate: RFC 1950, the zlib format. RFC 1951 without its frame, which some senders call
//!   deflate too, has no checksum and is refused.
//! - snappy: the framed format of google/snappy's `framing_format.txt`. The block format without
//!   frames, which remote write uses, is refused.
//!
//! Invariants: every checksum and every length is checked before anything is returned. The output
//! never exceeds its bounds, not while it is made either: a length that the body states reserves
//! address space within the bounds and nothing beyond them. Time is linear in input and output.
//! Memory that is not there is an error, no abort.

mod crc32c;
mod error;
mod gzip;
mod inflate;
mod output;
mod snappy;
mod zlib;

pub use error::{DecompressError, UnsupportedCoding};
use output::Output;

use crate::excerpt::Excerpt;

/// The codings that are read, as the value of `Accept-Encoding` in a 415 (RFC 9110 section 12.5.3).
pub const ACCEPT_ENCODING: &str = "gzip, deflate, snappy";

/// How a body is encoded (RFC 9110 section 8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentCoding {
    /// Not at all.
    Identity,
    /// As RFC 1952 says.
    Gzip,
    /// As RFC 1950 says.
    Deflate,
    /// In the framed format of snappy.
    Snappy,
}

impl ContentCoding {
    /// Reads the value of `Content-Encoding`. Names are case-insensitive (RFC 9110 section 8.4.1),
    /// `x-gzip` is gzip (section 8.4.1.3), empty elements of a list are skipped (section 5.6.1.2).
    /// A request with several such fields has one value: theirs, joined by commas (section 5.2).
    ///
    /// # Errors
    ///
    /// If the body has two codings, or one that is not known.
    pub fn from_header(value: Option<&[u8]>) -> Result<ContentCoding, UnsupportedCoding> {
        let value = value.unwrap_or_default();
        let mut codings = value
            .split(|byte| *byte == b',')
            .map(<[u8]>::trim_ascii)
            .filter(|element| !element.is_empty());
        let coding = match (codings.next(), codings.next()) {
            (None, _) => Some(ContentCoding::Identity),
            (Some(name), None) => ContentCoding::from_name(name),
            (Some(_), Some(_)) => None,
        };
        coding.ok_or_else(|| UnsupportedCoding(Excerpt::of(value)))
    }

    fn from_name(name: &[u8]) -> Option<ContentCoding> {
        const NAMES: [(&[u8], ContentCoding); 5] = [
            (b"identity", ContentCoding::Identity),
            (b"gzip", ContentCoding::Gzip),
            (b"x-gzip", ContentCoding::Gzip),
            (b"deflate", ContentCoding::Deflate),
            (b"snappy", ContentCoding::Snappy),
        ];
        let mut names = NAMES.iter();
        let (_, coding) = names.find(|(known, _)| name.eq_ignore_ascii_case(known))?;
        Some(*coding)
    }
}

/// What the body was before it was encoded: at most `bytes_max` bytes, and at most 1 MiB or 100
/// times the length of the body, whichever is more. The capacity of the result is within these
/// bounds as well.
///
/// # Errors
///
/// If the body is not in the format of the coding, is not complete, has other bytes after its end
/// or does not match its checksums; if the result would be longer; if there is no memory for it.
pub fn decompress(
    coding: ContentCoding,
    body: &[u8],
    bytes_max: usize,
) -> Result<Vec<u8>, DecompressError> {
    let mut output = Output::new(body.len(), bytes_max);
    match coding {
        ContentCoding::Identity => output.append(body)?,
        ContentCoding::Gzip => gzip::decompress(body, &mut output)?,
        ContentCoding::Deflate => zlib::decompress(body, &mut output)?,
        ContentCoding::Snappy => snappy::decompress(body, &mut output)?,
    }
    Ok(output.into_bytes())
}
