//! The coding `snappy`: the framed format (`framing_format.txt` of google/snappy).
//!
//! ```text
//! body  = ff 06 00 00 "sNaPpY" *chunk                section 4.1; an empty body is allowed too
//! chunk = 00 length(3) CRC(4) block                  4.2: compressed, at most 65,536 bytes of it
//!       / 01 length(3) CRC(4) bytes                  4.3: not compressed, at most 65,536 bytes
//!       / fe length(3) bytes                         4.4: padding
//!       / 80..fd length(3) bytes                     4.6: skipped
//!       / ff 06 00 00 "sNaPpY"                       4.1: another stream follows
//! ```
//!
//! Chunks `02` to `7f` are refused (section 4.5). The CRC is a masked CRC-32C of what was
//! compressed (section 3). The format marks no end: a body cut between two chunks is valid.
//!
//! A block is (`format_description.txt`, sections 1 and 2):
//!
//! ```text
//! block   = varint *element                          varint: the length of what was compressed
//! element = (length - 1) << 2 | 0, bytes             lengths up to 60
//!         / (59 + n) << 2 | 0, (length - 1)(n), bytes
//!         / offset >> 8 << 5 | (length - 4) << 2 | 1, offset & 255
//!         / (length - 1) << 2 | 2, offset(2)
//!         / (length - 1) << 2 | 3, offset(4)
//! ```

use super::output::Output;
use super::{DecompressError, crc32c};

const STREAM_IDENTIFIER: &[u8] = b"sNaPpY";
const COMPRESSED: u8 = 0x00;
const UNCOMPRESSED: u8 = 0x01;
const UNSKIPPABLE_MAX: u8 = 0x7f;
const IDENTIFIER: u8 = 0xff;

/// Section 4.2 and 4.3.
const CHUNK_CONTENTS_BYTES_MAX: usize = 1 << 16;

/// Short copies are done in one step of this length if there is room for it.
const STEP_BYTES: usize = 16;

/// Decompresses a whole body.
pub fn decompress(body: &[u8], output: &mut Output) -> Result<(), DecompressError> {
    let mut rest = body;
    while !rest.is_empty() {
        let start = body.len() - rest.len();
        let truncated = DecompressError::Truncated {
            what: "a snappy chunk",
        };
        let Some(([chunk_type, l0, l1, l2], after)) = rest.split_first_chunk() else {
            return Err(truncated);
        };
        let length = u32::from_le_bytes([*l0, *l1, *l2, 0]) as usize;
        if start == 0 && *chunk_type != IDENTIFIER {
            return Err(expected("the stream identifier of framed snappy", 0));
        }
        let Some((chunk, after)) = after.split_at_checked(length) else {
            return Err(truncated);
        };
        match *chunk_type {
            COMPRESSED | UNCOMPRESSED => contents(*chunk_type, chunk, start + 4, output)?,
            IDENTIFIER if chunk != STREAM_IDENTIFIER => {
                return Err(expected("the stream identifier of framed snappy", start));
            }
            ..=UNSKIPPABLE_MAX => {
                return Err(expected("a snappy chunk of a known type", start));
            }
            _ => {}
        }
        rest = after;
    }
    Ok(())
}

fn expected(what: &'static str, offset: usize) -> DecompressError {
    DecompressError::Expected { what, offset }
}

/// Decompresses a chunk of data, which stands at `offset` in the body.
fn contents(
    chunk_type: u8,
    chunk: &[u8],
    offset: usize,
    output: &mut Output,
) -> Result<(), DecompressError> {
    let Some((checksum, data)) = chunk.split_first_chunk() else {
        return Err(expected("a snappy chunk with a checksum", offset));
    };
    let (length, data) = match chunk_type {
        UNCOMPRESSED => (data.len(), data),
        _ => block_length(data).ok_or(expected("the length of a snappy block", offset + 4))?,
    };
    if length > CHUNK_CONTENTS_BYTES_MAX {
        return Err(expected("a snappy block of at most 65536 bytes", offset));
    }
    let contents = output.claim(length)?;
    if chunk_type == UNCOMPRESSED {
        contents.copy_from_slice(data);
    } else if block(data, contents).is_none() {
        return Err(expected("valid elements of a snappy block", offset + 4));
    }
    if mask(crc32c::checksum(contents)) != u32::from_le_bytes(*checksum) {
        return Err(DecompressError::Checksum { offset });
    }
    Ok(())
}

/// `framing_format.txt`, section 3.
fn mask(checksum: u32) -> u32 {
    checksum.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The length that a block states, and what follows it.
fn block_length(block: &[u8]) -> Option<(usize, &[u8])> {
    let mut length = 0_u64;
    for (index, byte) in block.iter().take(5).enumerate() {
        length |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let length = usize::try_from(u32::try_from(length).ok()?).ok()?;
            return Some((length, block.get(index + 1..)?));
        }
    }
    None
}

/// Fills `contents` from the elements; none if they are not valid or not for this length.
fn block(mut elements: &[u8], contents: &mut [u8]) -> Option<()> {
    let mut filled = 0;
    while let Some((tag, rest)) = elements.split_first() {
        let upper = usize::from(tag >> 2);
        let (length, offset);
        (length, offset, elements) = match tag & 3 {
            0 => {
                let (length, rest) = literal_length(upper, rest)?;
                elements = literal(rest, length, contents, filled)?;
                filled += length;
                continue;
            }
            1 => {
                let (low, rest) = rest.split_first()?;
                let offset = (upper >> 3) << 8 | usize::from(*low);
                (4 + (upper & 7), offset, rest)
            }
            2 => {
                let (offset, rest) = rest.split_first_chunk()?;
                (upper + 1, usize::from(u16::from_le_bytes(*offset)), rest)
            }
            _ => {
                let (offset, rest) = rest.split_first_chunk()?;
                (upper + 1, u32::from_le_bytes(*offset) as usize, rest)
            }
        };
        copy(contents, filled, offset, length)?;
        filled += length;
    }
    (filled == contents.len()).then_some(())
}

/// The length of a literal by the upper six bits of its tag, and what follows it.
fn literal_length(upper: usize, rest: &[u8]) -> Option<(usize, &[u8])> {
    let Some(bytes) = upper.checked_sub(59).filter(|bytes| *bytes > 0) else {
        return Some((upper + 1, rest));
    };
    let (length, rest) = rest.split_at_checked(bytes)?;
    let length = length
        .iter()
        .rev()
        .fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
    Some((length.checked_add(1)?, rest))
}

/// Copies a literal to where the contents are filled, and gives what follows it.
fn literal<'a>(
    from: &'a [u8],
    length: usize,
    contents: &mut [u8],
    filled: usize,
) -> Option<&'a [u8]> {
    let to = contents.get_mut(filled..)?;
    if length <= STEP_BYTES
        && let (Some(step), Some(room)) = (
            from.first_chunk::<STEP_BYTES>(),
            to.first_chunk_mut::<STEP_BYTES>(),
        )
    {
        *room = *step;
        return from.get(length..);
    }
    let (bytes, rest) = from.split_at_checked(length)?;
    to.get_mut(..length)?.copy_from_slice(bytes);
    Some(rest)
}

/// Repeats `length` bytes from `offset` bytes before where the contents are filled. An offset that
/// is shorter than the length repeats what it has just written.
fn copy(contents: &mut [u8], filled: usize, offset: usize, length: usize) -> Option<()> {
    let start = filled.checked_sub(offset).filter(|_| offset > 0)?;
    let end = filled
        .checked_add(length)
        .filter(|end| *end <= contents.len())?;
    let (mut from, mut to) = (start, filled);
    if offset >= STEP_BYTES && end + STEP_BYTES <= contents.len() {
        while to < end {
            contents.copy_within(from..from + STEP_BYTES, to);
            (from, to) = (from + STEP_BYTES, to + STEP_BYTES);
        }
        return Some(());
    }
    while to < end {
        let step = (to - start).min(end - to);
        contents.copy_within(start..start + step, to);
        to += step;
    }
    Some(())
}
