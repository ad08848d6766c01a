//! The coding `deflate`: the zlib format (RFC 1950), by `miniz_oxide`.

use super::DecompressError;
use super::inflate::{Frame, Inflate};
use super::output::Output;

/// `CM` of RFC 1950 section 2.2: DEFLATE.
const DEFLATE: u8 = 8;

/// Decompresses a whole body.
pub fn decompress(body: &[u8], output: &mut Output) -> Result<(), DecompressError> {
    if let Some([first, second]) = body.first_chunk() {
        check_header(*first, *second)?;
    }
    let end = Inflate::default().stream(body, 0, &mut Frame::Zlib, output)?;
    if end < body.len() {
        return Err(DecompressError::TrailingBytes { offset: end });
    }
    Ok(())
}

/// RFC 1950 section 2.2. `miniz_oxide` refuses the same, but cannot say that it was the header:
/// raw DEFLATE and plain text that claim to be `deflate` fail here.
fn check_header(first: u8, second: u8) -> Result<(), DecompressError> {
    let is_checked = (u16::from(first) << 8 | u16::from(second)).is_multiple_of(31);
    let (method, window, is_preset) = (first & 15, first >> 4, second & 32 != 0);
    if method == DEFLATE && window <= 7 && !is_preset && is_checked {
        return Ok(());
    }
    let what = "a zlib header (RFC 1950) without preset dictionary";
    Err(DecompressError::Expected { what, offset: 0 })
}
