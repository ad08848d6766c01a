//! How a number is written in exposition text.
//!
//! Invariant: `parse` reads back the same number, and each number is written in one way only.

use std::io::Write;

/// Whole numbers are written as such, others in the shortest form that reads back as the same
/// number; infinities as `+Inf` and `-Inf`.
pub fn append(value: f64, text: &mut Vec<u8>) {
    let magnitude = value.abs();
    let written = if value.is_infinite() {
        text.write_all(if value < 0.0 { b"-Inf" } else { b"+Inf" })
    } else if value.is_nan() {
        text.write_all(b"NaN")
    } else if let Some(whole) = whole(magnitude) {
        if value < 0.0 {
            text.push(b'-');
        }
        append_whole(whole, text);
        Ok(())
    } else if (1e-5..1e17).contains(&magnitude) {
        write!(text, "{value}")
    } else {
        write!(text, "{value:e}")
    };
    // A vector takes whatever is written.
    drop(written);
}

/// A whole number that is a float exactly, as are all that are below its limit.
fn whole(magnitude: f64) -> Option<u64> {
    /// Beyond it, not every whole number is a float, and digits would claim what is not known.
    const WHOLE_MAX: u64 = 1 << 53;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // compared right below
    let whole = magnitude as u64;
    #[allow(clippy::cast_precision_loss)] // there is none below the limit
    (whole < WHOLE_MAX && whole as f64 == magnitude).then_some(whole)
}

/// Most numbers of a scrape are whole; with std's formatting, rendering takes 1.4 times as long.
fn append_whole(mut whole: u64, text: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit += (whole % 10) as u8;
        whole /= 10;
        start -= 1;
        if whole == 0 {
            break;
        }
    }
    text.extend_from_slice(&digits[start..]);
}

/// The same as a string of its own.
#[must_use]
pub fn written(value: f64) -> String {
    let mut text = Vec::new();
    append(value, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}
