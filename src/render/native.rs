//! The native part of a histogram, as protobuf has it:
//!
//! ```text
//! Histogram = ... schema 5, zero threshold 6, zero count 7 or as a float 8, { span 12 },
//!             deltas 13 or floats 14; of negative buckets 9, 10, 11
//! BucketSpan = offset 1, length 2
//! ```
//!
//! Prometheus takes it for one of floats where the count or the zero count is written as a float
//! above zero. Of integers it demands that the buckets add up to the count, and loses the whole
//! scrape where they do not. It takes a histogram for a native one where there is a span.

use super::message::{
    FIXED64, LENGTH, VARINT, append_double, append_head, append_varint, field, varint_bytes,
};
use crate::aggregate::Histogram;
use crate::metric::{NativeBuckets, NativeHistogram};

/// How counts are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    Integers,
    Floats,
}

/// The native part of a histogram as a scrape shows it, if it does, and how its counts and that of
/// the histogram are written. A count of floats that is zero would be read as one of integers.
pub fn shown(histogram: &Histogram) -> Option<(&NativeHistogram, Counts)> {
    let native = histogram.native()?;
    if native.is_of_integers() {
        Some((native, Counts::Integers))
    } else {
        (native.count() > 0.0).then_some((native, Counts::Floats))
    }
}

/// Appends all of it but for its count and its sum, which it shares with the classic part.
pub fn append_native(native: &NativeHistogram, counts: Counts, bytes: &mut Vec<u8>) {
    bytes.push(field(5, VARINT));
    append_signed(native.schema().into(), bytes);
    append_double(field(6, FIXED64), native.zero_threshold(), bytes);
    match counts {
        Counts::Integers => {
            bytes.push(field(7, VARINT));
            append_varint(whole(native.zero_count()).unsigned_abs(), bytes);
        }
        Counts::Floats => append_double(field(8, FIXED64), native.zero_count(), bytes),
    }
    for (buckets, first) in [(native.negative(), 9), (native.positive(), 12)] {
        append_spans(field(first, LENGTH), buckets, bytes);
        match counts {
            _ if buckets.is_empty() => {}
            Counts::Integers => append_deltas(field(first + 1, LENGTH), buckets, bytes),
            Counts::Floats => append_counts(field(first + 2, LENGTH), buckets, bytes),
        }
    }
    if native.buckets() == 0 {
        append_span(field(12, LENGTH), 0, 0, bytes);
    }
}

/// Runs of buckets without gaps: the distance from the run before, or of the first one from the
/// index 0; and the length.
fn append_spans(key: u8, buckets: &NativeBuckets, bytes: &mut Vec<u8>) {
    let indexes = buckets.indexes();
    let mut behind = 0;
    for run in indexes.chunk_by(|index, next| i64::from(*index) + 1 == i64::from(*next)) {
        let (Some(&first), Some(&last)) = (run.first(), run.last()) else {
            continue;
        };
        append_span(key, i64::from(first) - behind, run.len() as u64, bytes);
        behind = i64::from(last) + 1;
    }
}

fn append_span(key: u8, offset: i64, length: u64, bytes: &mut Vec<u8>) {
    let span_bytes = 1 + varint_bytes(zigzag(offset)) + 1 + varint_bytes(length);
    append_head(key, span_bytes, bytes);
    bytes.push(field(1, VARINT));
    append_signed(offset, bytes);
    bytes.push(field(2, VARINT));
    append_varint(length, bytes);
}

/// What each count is more than the one before, packed.
fn append_deltas(key: u8, buckets: &NativeBuckets, bytes: &mut Vec<u8>) {
    let deltas = || {
        let counts = buckets.counts().iter();
        counts.scan(0, |before, &count| {
            let delta = whole(count) - *before;
            *before += delta;
            Some(delta)
        })
    };
    let length = deltas().map(|delta| varint_bytes(zigzag(delta))).sum();
    append_head(key, length, bytes);
    deltas().for_each(|delta| append_signed(delta, bytes));
}

/// The counts, packed.
fn append_counts(key: u8, buckets: &NativeBuckets, bytes: &mut Vec<u8>) {
    let counts = buckets.counts();
    append_head(key, size_of_val(counts), bytes);
    for count in counts {
        bytes.extend_from_slice(&count.to_le_bytes());
    }
}

/// A count that is whole, and at most 2^53.
fn whole(count: f64) -> i64 {
    #[allow(clippy::cast_possible_truncation)] // there is nothing to truncate
    {
        count as i64
    }
}

fn append_signed(number: i64, bytes: &mut Vec<u8>) {
    append_varint(zigzag(number), bytes);
}

/// Small numbers of either sign as small numbers.
fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}
