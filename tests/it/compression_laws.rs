//! What holds for every body in every coding, whatever its bytes.
//!
//! Fuzz targets share this file. Each law panics if it is broken.

use prometheus_aggregation_gateway::compression::{ContentCoding, DecompressError, decompress};

use super::second_decompressor;

pub const CODINGS: [ContentCoding; 4] = [
    ContentCoding::Identity,
    ContentCoding::Gzip,
    ContentCoding::Deflate,
    ContentCoding::Snappy,
];

/// A body of at most 4,096 bytes is decompressed as the second decompressor does it, within any
/// limit; two of them are decompressed to both their contents; what is refused is refused in one
/// line. Gives the contents.
pub fn assert_decompressed(
    coding: ContentCoding,
    body: &[u8],
    bytes_max: usize,
) -> Option<Vec<u8>> {
    assert!(body.len() <= 4096, "not for limits of ratio and of blocks");
    let shown = body.escape_ascii();
    let first = decompress(coding, body, bytes_max);
    let second = second_decompressor::decompress(coding, body, bytes_max);
    assert_eq!(
        first.as_ref().ok(),
        second.as_ref(),
        "{first:?}, {coding:?} of {shown}"
    );
    match first {
        Ok(contents) => {
            assert!(contents.capacity() <= bytes_max, "{coding:?} of {shown}");
            let length = contents.len();
            let exact = decompress(coding, body, length);
            assert_eq!(exact.as_ref(), Ok(&contents), "{coding:?} of {shown}");
            if let Some(bytes_max) = length.checked_sub(1) {
                let error = DecompressError::TooLong { bytes_max };
                assert_eq!(
                    decompress(coding, body, bytes_max),
                    Err(error),
                    "of {shown}"
                );
            }
            if !matches!(coding, ContentCoding::Deflate) && body.len() <= 2048 {
                let twice = decompress(coding, &body.repeat(2), 2 * length);
                assert_eq!(twice, Ok(contents.repeat(2)), "{coding:?} twice of {shown}");
            }
            Some(contents)
        }
        Err(error) => {
            let message = error.to_string();
            let is_line = !message.contains(|character: char| character.is_control());
            assert!(is_line && message.len() <= 200, "{message:?}, of {shown}");
            None
        }
    }
}
