//! Numbers for people: about three digits of them.
//!
//! Written by hand: std's ways of cutting a float are 8 kB more of the program.

use std::fmt;

use crate::number;

/// Whole numbers below a million as they are, others in three digits without zeros at their end;
/// commas between thousands; an exponent for very large and very small ones.
#[derive(Clone, Copy, Debug)]
pub struct Rounded(pub f64);

/// A whole number with commas between thousands.
#[derive(Clone, Copy, Debug)]
pub struct Grouped(pub u64);

/// A number that is not negative, with one digit behind the point.
#[derive(Clone, Copy, Debug)]
pub struct Tenths(pub f64);

impl fmt::Display for Grouped {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                to.write_str(",")?;
            }
            write!(to, "{digit}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Tenths {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // they saturate
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = (self.0 * 10.0).round() as u64;
        match (tenths / 10, tenths % 10) {
            (whole, 0) => write!(to, "{whole}"),
            (whole, tenth) => write!(to, "{whole}.{tenth}"),
        }
    }
}

impl fmt::Display for Rounded {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // each is below 2^53
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.abs();
        if !magnitude.is_finite() {
            return to.write_str(&number::written(self.0));
        }
        if self.0 < 0.0 {
            to.write_str("-")?;
        }
        if magnitude < 1e6 && magnitude.fract() == 0.0 {
            return write!(to, "{}", Grouped(magnitude as u64));
        }
        let (mut mantissa, mut exponent) = scientific(magnitude);
        if (mantissa * 100.0).round() >= 1000.0 {
            (mantissa, exponent) = (1.0, exponent + 1);
        }
        let digits = (mantissa * 100.0).round() as u64;
        match exponent {
            2..=8 => write!(to, "{}", Grouped(digits * 10_u64.pow(exponent as u32 - 2))),
            -4..=1 => {
                let places = (2 - exponent) as usize;
                write_point(digits, places, to)
            }
            _ => {
                write_point(digits, 2, to)?;
                write!(to, "e{exponent}")
            }
        }
    }
}

/// A number from 1 on and below 10, and the power of ten that it is to be multiplied by.
#[must_use]
pub fn scientific(mut magnitude: f64) -> (f64, i32) {
    let mut exponent = 0;
    while magnitude >= 10.0 {
        magnitude /= 10.0;
        exponent += 1;
    }
    while magnitude < 1.0 && magnitude > 0.0 {
        magnitude *= 10.0;
        exponent -= 1;
    }
    (magnitude, exponent)
}

/// Writes digits with a point before the last `places`, without zeros at the end.
fn write_point(digits: u64, places: usize, to: &mut fmt::Formatter<'_>) -> fmt::Result {
    let digits = format!("{digits:0width$}", width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    to.write_str(whole)?;
    match fraction.trim_end_matches('0') {
        "" => Ok(()),
        fraction => write!(to, ".{fraction}"),
    }
}
