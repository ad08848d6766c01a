//! The coding `gzip` (RFC 1952).
//!
//! ```text
//! body   = 1*member
//! member = 1f 8b 08 FLG MTIME(4) XFL OS       section 2.3, little endian
//!          [XLEN(2) bytes]                    if FLG has FEXTRA
//!          [bytes 00]                         if FLG has FNAME
//!          [bytes 00]                         if FLG has FCOMMENT
//!          [CRC16(2)]                         if FLG has FHCRC
//!          stream CRC32(4) ISIZE(4)
//! ```
//!
//! Bytes after the last member are refused, zeros too: padding is for tapes.

use super::DecompressError;
use super::inflate::{Frame, Inflate};
use super::output::Output;

const MAGIC: [u8; 2] = [0x1f, 0x8b];
const DEFLATE: u8 = 8;

const FHCRC: u8 = 1 << 1;
const FEXTRA: u8 = 1 << 2;
const FNAME: u8 = 1 << 3;
const FCOMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

/// `CRC32` and `ISIZE`.
const TRAILER_BYTES: usize = 8;

/// Decompresses a whole body.
pub fn decompress(body: &[u8], output: &mut Output) -> Result<(), DecompressError> {
    // Right for a body of one member; the length is checked for each.
    if let Some(length) = body.last_chunk() {
        let length = u32::from_le_bytes(*length);
        output.expect_bytes(usize::try_from(length).unwrap_or(usize::MAX))?;
    }
    let mut inflate = Inflate::default();
    let mut offset = 0;
    while offset == 0 || offset < body.len() {
        offset = member(body, offset, &mut inflate, output)?;
    }
    Ok(())
}

/// The offset behind the member.
fn member(
    body: &[u8],
    start: usize,
    inflate: &mut Inflate,
    output: &mut Output,
) -> Result<usize, DecompressError> {
    let mut header = Header {
        body,
        start,
        offset: start,
    };
    header.read()?;
    let contents = output.len();
    let mut frame = Frame::Checksum(crc32fast::Hasher::new());
    let end = inflate.stream(body, header.offset, &mut frame, output)?;
    let trailer = body.get(end..).and_then(|rest| rest.first_chunk());
    let Some([c0, c1, c2, c3, l0, l1, l2, l3]) = trailer else {
        let what = "the trailer of a gzip member";
        return Err(DecompressError::Truncated { what });
    };
    if let Frame::Checksum(hasher) = frame
        && hasher.finalize() != u32::from_le_bytes([*c0, *c1, *c2, *c3])
    {
        return Err(DecompressError::Checksum { offset: end });
    }
    // ISIZE is the length modulo 2^32.
    let stated = u64::from(u32::from_le_bytes([*l0, *l1, *l2, *l3]));
    if (output.len() - contents) as u64 & u64::from(u32::MAX) != stated {
        return Err(DecompressError::Length { offset: end + 4 });
    }
    Ok(end + TRAILER_BYTES)
}

/// The header of a member, as far as it was read.
struct Header<'a> {
    body: &'a [u8],
    start: usize,
    offset: usize,
}

impl<'a> Header<'a> {
    fn read(&mut self) -> Result<(), DecompressError> {
        if self.start > 0 && !self.rest().starts_with(&MAGIC) {
            let offset = self.start;
            return Err(DecompressError::TrailingBytes { offset });
        }
        self.expect(|byte| byte == MAGIC[0], "a gzip header (1f 8b)")?;
        self.expect(|byte| byte == MAGIC[1], "a gzip header (1f 8b)")?;
        self.expect(|byte| byte == DEFLATE, "compression method 8 of gzip")?;
        let what = "gzip flags without reserved bits";
        let flags = self.expect(|byte| byte & RESERVED == 0, what)?;
        self.take(6)?; // MTIME, XFL, OS
        if flags & FEXTRA != 0 {
            let length = self.take_u16()?;
            self.take(usize::from(length))?;
        }
        for text in [FNAME, FCOMMENT] {
            if flags & text != 0 {
                let end = self.rest().iter().position(|byte| *byte == 0);
                self.take(end.ok_or(TRUNCATED)? + 1)?;
            }
        }
        if flags & FHCRC != 0 {
            let header = self.body.get(self.start..self.offset).unwrap_or_default();
            let offset = self.offset;
            let [low, high, ..] = crc32fast::hash(header).to_le_bytes();
            if self.take_u16()? != u16::from_le_bytes([low, high]) {
                return Err(DecompressError::Checksum { offset });
            }
        }
        Ok(())
    }

    fn rest(&self) -> &'a [u8] {
        self.body.get(self.offset..).unwrap_or_default()
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], DecompressError> {
        let taken = self.rest().get(..bytes).ok_or(TRUNCATED)?;
        self.offset += bytes;
        Ok(taken)
    }

    fn take_u16(&mut self) -> Result<u16, DecompressError> {
        let bytes = self.take(2)?.first_chunk().ok_or(TRUNCATED)?;
        Ok(u16::from_le_bytes(*bytes))
    }

    fn expect(
        &mut self,
        is_right: impl Fn(u8) -> bool,
        what: &'static str,
    ) -> Result<u8, DecompressError> {
        let offset = self.offset;
        let byte = *self.take(1)?.first().ok_or(TRUNCATED)?;
        if is_right(byte) {
            return Ok(byte);
        }
        Err(DecompressError::Expected { what, offset })
    }
}

const TRUNCATED: DecompressError = DecompressError::Truncated {
    what: "the header of a gzip member",
};
