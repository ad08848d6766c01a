//! Bytes as a number of reads gives them.
//!
//! Fuzz targets share this file.

/// The bytes in pieces of these lengths, the last of which is repeated.
pub fn pieces<'a>(bytes: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut rest = bytes;
    let mut lengths = lengths.iter();
    let mut length = 1;
    while !rest.is_empty() {
        length = lengths.next().map_or(length, |next| (*next).max(1));
        let piece;
        (piece, rest) = rest.split_at(length.min(rest.len()));
        pieces.push(piece);
    }
    pieces
}
