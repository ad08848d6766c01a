//! How a number is written in exposition text.
//!
//! Invariant: `parse` reads back the same number, and each number is written in one way only.

use std::io::Write;

/// Whole numbers are written as such, others in the shortest form that reads back as the same
/// number; infinities as `+Inf` and `-Inf`.
pub fn append(value: f64, text: &mut Vec<u8>) {
    /// Beyond it, not every whole number is a float, and digits would claim what is not known.
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    let magnitude = value.abs();
    let written = if value.is_infinite() {
        text.write_all(if value < 0.0 { b"-Inf" } else { b"+Inf" })
    } else if value.is_nan() {
        text.write_all(b"NaN")
    } else if magnitude < WHOLE_MAX && value.trunc() == value {
        #[allow(clippy::cast_possible_truncation)] // whole and below 2^53
        let whole = value as i64;
        write!(text, "{whole}")
    } else if (1e-5..1e17).contains(&magnitude) {
        write!(text, "{value}")
    } else {
        write!(text, "{value:e}")
    };
    // A vector takes whatever is written.
    drop(written);
}

/// The same as a string of its own.
#[must_use]
pub fn written(value: f64) -> String {
    let mut text = Vec::new();
    append(value, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}
