//! How a number is written in exposition text.
//!
//! Invariant: `parse` reads back the same number, and each number is written in one way only.

use std::io::Write;

/// Room for any number as [`write()`] writes it.
pub const WRITTEN_BYTES_MAX: usize = 32;

/// The whole numbers below it have eight digits, with zeros before them.
const EIGHT_DIGITS: u64 = 100_000_000;

/// Appends a number; see [`write()`].
pub fn append(value: f64, text: &mut Vec<u8>) {
    let mut written = [0; WRITTEN_BYTES_MAX];
    let length = write(value, &mut written);
    text.extend_from_slice(&written[..length]);
}

/// The same as a string of its own.
#[must_use]
pub fn written(value: f64) -> String {
    let mut text = Vec::new();
    append(value, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Whole numbers are written as such, others in the shortest form that reads back as the same
/// number; infinities as `+Inf` and `-Inf`. Gives the length; what is behind it counts for nothing.
#[inline]
pub fn write(value: f64, to: &mut [u8; WRITTEN_BYTES_MAX]) -> usize {
    let magnitude = value.abs();
    let Some(whole) = whole(magnitude) else {
        return write_fraction(value, to);
    };
    to[0] = b'-';
    let start = usize::from(value < 0.0);
    start + write_whole(whole, &mut to[start..])
}

/// A whole number that is a float exactly, as are all that are below its limit.
fn whole(magnitude: f64) -> Option<u64> {
    /// Beyond it, not every whole number is a float, and digits would claim what is not known.
    const WHOLE_MAX: i64 = 1 << 53;
    // A signed integer is converted by one instruction.
    #[allow(clippy::cast_possible_truncation)] // compared right below
    let whole = magnitude as i64;
    #[allow(clippy::cast_precision_loss)] // there is none below the limit
    (whole < WHOLE_MAX && whole as f64 == magnitude).then_some(whole.unsigned_abs())
}

/// Most numbers of a scrape are whole. Gives the length.
#[inline]
fn write_whole(whole: u64, to: &mut [u8]) -> usize {
    if whole < EIGHT_DIGITS {
        return write_short(whole, to);
    }
    let length = write_short(whole / EIGHT_DIGITS, to);
    to[length..][..8].copy_from_slice(&eight_digits(whole % EIGHT_DIGITS).to_le_bytes());
    length + 8
}

/// A number below 10^8, without zeros before it.
#[inline]
fn write_short(whole: u64, to: &mut [u8]) -> usize {
    let digits = eight_digits(whole);
    // A digit's low bits are its value. The last one is written in any case.
    let values = (digits & 0x0f0f_0f0f_0f0f_0f0f) | (1 << 56);
    let zeros = values.trailing_zeros() / 8;
    to[..8].copy_from_slice(&(digits >> (zeros * 8)).to_le_bytes());
    8 - zeros as usize
}

/// The digits of a number below 10^8, the first one in the lowest byte. Both halves of a number, of
/// these and of these again are divided at once (as in "Converting integers to fix-digit
/// representations quickly", Mula).
#[inline]
fn eight_digits(number: u64) -> u64 {
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    // For up to 9,999: n * 10,486 >> 20 is n / 100.
    let hundreds = ((fours * 10_486) >> 20) & 0x7f_0000_007f;
    let twos = hundreds | ((fours - hundreds * 100) << 16);
    // For up to 99: n * 103 >> 10 is n / 10.
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    let ones = tens | ((twos - tens * 10) << 8);
    ones | 0x3030_3030_3030_3030
}

/// What is not a whole number, or one that is too great for its digits to be known.
#[inline(never)]
fn write_fraction(value: f64, to: &mut [u8; WRITTEN_BYTES_MAX]) -> usize {
    let magnitude = value.abs();
    if let Some(length) = write_decimal(value, to) {
        return length;
    }
    let mut rest = to.as_mut_slice();
    let written = if value.is_infinite() {
        rest.write_all(if value < 0.0 { b"-Inf" } else { b"+Inf" })
    } else if value.is_nan() {
        rest.write_all(b"NaN")
    } else if (1e-5..1e17).contains(&magnitude) {
        write!(rest, "{value}")
    } else {
        write!(rest, "{value:e}")
    };
    // A float has at most 17 digits, so that there is room.
    drop(written);
    WRITTEN_BYTES_MAX - rest.len()
}

/// A number with at most six digits behind the point and 15 in all, if it is one: a fifth of what
/// std's search for the shortest form takes. Of decimals of up to 15 digits, no two are the same
/// float, so that the one that is found is the shortest.
fn write_decimal(value: f64, to: &mut [u8; WRITTEN_BYTES_MAX]) -> Option<usize> {
    let magnitude = value.abs();
    if !(1e-5..1e9).contains(&magnitude) {
        return None;
    }
    let scaled = |scale: f64| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // compared right below
        let whole = (magnitude * scale + 0.5) as u64;
        #[allow(clippy::cast_precision_loss)] // there is none below 10^15
        (whole as f64 / scale == magnitude).then_some(whole)
    };
    let millionths = match scaled(1e3) {
        Some(thousandths) => thousandths * 1000,
        None => scaled(1e6)?,
    };
    to[0] = b'-';
    let start = usize::from(value < 0.0);
    let point = start + write_whole(millionths / 1_000_000, &mut to[start..]);
    to[point] = b'.';
    let digits = eight_digits(millionths % 1_000_000 * 100);
    to[point + 1..][..8].copy_from_slice(&digits.to_le_bytes());
    // Without the zeros at the end, where the value of a digit is in its low bits.
    let zeros = (digits & 0x0f0f_0f0f_0f0f_0f0f).leading_zeros() / 8;
    Some(point + 1 + 8 - zeros as usize)
}
