//! Why there is no such native histogram.

use std::fmt;

use super::NATIVE_SCHEMA_MIN;

/// A part of a native histogram that cannot be.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)] // the messages below say it
pub enum NativeError {
    Schema(i32),
    ZeroThreshold(FoundNumber),
    Count(FoundNumber),
    /// A bucket that no float is in.
    Index {
        index: i64,
        schema: i32,
    },
    /// It does not come behind the bucket before it.
    Order(i64),
}

/// A number in a message. It is equal to itself, though it be NaN.
#[derive(Clone, Copy, Debug)]
pub struct FoundNumber(pub f64);

impl PartialEq for FoundNumber {
    fn eq(&self, other: &FoundNumber) -> bool {
        self.0.total_cmp(&other.0).is_eq()
    }
}

impl fmt::Display for FoundNumber {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The other form has a digit for each power of ten.
        write!(to, "{:?}", self.0)
    }
}

impl fmt::Display for NativeError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NativeError::Schema(found) => write!(
                to,
                "the schema is {found}, expected one from {NATIVE_SCHEMA_MIN} to 8 (custom bounds \
                 are sent as classic buckets)"
            ),
            NativeError::ZeroThreshold(found) => write!(
                to,
                "the zero threshold is {found}, expected a finite number that is not negative"
            ),
            NativeError::Count(found) => write!(
                to,
                "a count is {found}, expected a finite number that is not negative"
            ),
            NativeError::Index { index, schema } => write!(
                to,
                "there is no bucket {index} in schema {schema}: no number would be in it"
            ),
            NativeError::Order(index) => {
                write!(to, "the bucket {index} does not come behind the one before")
            }
        }
    }
}

impl std::error::Error for NativeError {}
