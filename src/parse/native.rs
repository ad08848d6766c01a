//! The native parts of a protobuf histogram: spans and numbers to buckets.
//!
//! A span is a run of buckets with rising indexes; the first begins at its offset, the others so
//! many buckets behind the one before. Counts of integers are sent as differences, each to the
//! bucket before; those of floats as they are. Whether a histogram is native, and whether it is one
//! of floats, is Prometheus' rule; but a float count of zeros makes it native here, too.
//!
//! Whatever Prometheus checks before it stores a native histogram is checked here: what it finds
//! later costs it the whole scrape. Nothing is allocated by the length of a span.

use std::fmt;

use super::error::MessageError;
use super::metric_message::float_count;
use super::wire::{Value, field, varint};
use crate::metric::{NativeError, NativeHistogram, NativeParts};

/// More buckets or spans of one sign than that are refused, though most may be empty. The finest
/// schema that is stored has about half as many for all numbers.
const BUCKETS_MAX: usize = 1 << 20;

/// The native fields of a histogram, as they stand there.
#[derive(Default)]
pub struct NativeFields {
    schema: i32,
    zero_threshold: f64,
    zero_count: u64,
    zero_count_as_float: f64,
    negative: Side,
    positive: Side,
}

/// The buckets of one sign.
#[derive(Default)]
struct Side {
    spans: Vec<Span>,
    deltas: Vec<i64>,
    counts: Vec<f64>,
}

#[derive(Default)]
struct Span {
    offset: i32,
    length: u32,
}

/// Why native fields make no histogram.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)] // the messages below say it
pub enum NativeFault {
    /// Spans are for another number of buckets than there are.
    Spans {
        expected: u64,
        found: usize,
    },
    SpanOffset(i32),
    /// A difference that makes a count negative, or too large.
    Delta {
        number: usize,
    },
    Total {
        buckets: u64,
        count: u64,
    },
    Part(NativeError),
}

impl fmt::Display for NativeFault {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NativeFault::Spans { expected, found } => {
                write!(to, "its spans are for {expected} buckets, found {found}")
            }
            NativeFault::SpanOffset(offset) => write!(
                to,
                "a span other than the first has the offset {offset}, expected none below 0"
            ),
            NativeFault::Delta { number } => write!(
                to,
                "the count of its bucket number {number} is below 0 or has more than 63 bits"
            ),
            NativeFault::Total { buckets, count } => {
                write!(
                    to,
                    "its buckets add up to {buckets}, but its count is {count}"
                )
            }
            NativeFault::Part(error) => error.fmt(to),
        }
    }
}

impl NativeFields {
    /// Forgets what was read.
    pub fn clear(&mut self) {
        let NativeFields {
            negative, positive, ..
        } = self;
        for side in [negative, positive] {
            side.spans.clear();
            side.deltas.clear();
            side.counts.clear();
        }
        self.schema = 0;
        (self.zero_threshold, self.zero_count) = (0.0, 0);
        self.zero_count_as_float = 0.0;
    }

    /// Takes a field of a histogram, if it is one of these.
    ///
    /// # Errors
    /// When it is not in the format.
    #[allow(clippy::cast_possible_truncation)] // numbers of 32 bits are sent with more
    pub fn take(&mut self, number: u64, value: Value<'_>) -> Result<(), MessageError> {
        match number {
            5 => self.schema = zigzag(value.integer("schema")? as u32),
            6 => self.zero_threshold = value.double("zero_threshold")?,
            7 => self.zero_count = value.integer("zero_count")?,
            8 => self.zero_count_as_float = value.double("zero_count_float")?,
            9 => self.negative.take_span(value)?,
            10 => take_integers(value, &mut self.negative.deltas)?,
            11 => take_doubles(value, &mut self.negative.counts)?,
            12 => self.positive.take_span(value)?,
            13 => take_integers(value, &mut self.positive.deltas)?,
            14 => take_doubles(value, &mut self.positive.counts)?,
            _ => {}
        }
        Ok(())
    }

    /// True if the histogram is native.
    fn is_native(&self) -> bool {
        !self.negative.spans.is_empty()
            || !self.positive.spans.is_empty()
            || self.zero_threshold > 0.0
            || self.zero_count > 0
            || self.zero_count_as_float > 0.0
    }

    /// The native histogram of these fields, and of the count and the sum that stand beside them;
    /// `None` if it is a classic one.
    ///
    /// # Errors
    /// When Prometheus would refuse it, or it cannot be stored.
    pub fn histogram(
        &self,
        count: u64,
        count_as_float: f64,
        sum: f64,
    ) -> Result<Option<NativeHistogram>, NativeFault> {
        if !self.is_native() {
            return Ok(None);
        }
        let mut parts = NativeParts {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: float_count(self.zero_count, self.zero_count_as_float),
            count: float_count(count, count_as_float),
            sum,
            ..NativeParts::default()
        };
        if count_as_float > 0.0 || self.zero_count_as_float > 0.0 {
            self.negative.floats(&mut parts.negative)?;
            self.positive.floats(&mut parts.positive)?;
        } else {
            let negative = self.negative.integers(&mut parts.negative)?;
            let positive = self.positive.integers(&mut parts.positive)?;
            let buckets = u128::from(self.zero_count) + negative + positive;
            let is_right = if sum.is_nan() {
                // An observation that is NaN is in no bucket.
                buckets <= count.into()
            } else {
                buckets == count.into()
            };
            if !is_right {
                let buckets = u64::try_from(buckets).unwrap_or(u64::MAX);
                return Err(NativeFault::Total { buckets, count });
            }
        }
        let native = NativeHistogram::new(&parts).map_err(NativeFault::Part)?;
        Ok(Some(native))
    }
}

impl Side {
    fn take_span(&mut self, value: Value<'_>) -> Result<(), MessageError> {
        self.spans.push(span(value.bytes("span")?)?);
        check_length(&self.spans)
    }

    /// Adds the buckets with these counts that are not zero.
    fn floats(&self, buckets: &mut Vec<(i64, f64)>) -> Result<(), NativeFault> {
        let mut counts = self.counts.iter();
        self.indexes(self.counts.len(), |index| {
            let count = counts.next().copied().unwrap_or_default();
            if count != 0.0 {
                buckets.push((index, count));
            }
            Ok(())
        })
    }

    /// The same of differences; gives the total.
    #[allow(clippy::cast_precision_loss)] // sums of counts are floats
    fn integers(&self, buckets: &mut Vec<(i64, f64)>) -> Result<u128, NativeFault> {
        let mut deltas = (1..).zip(&self.deltas);
        let (mut count, mut total) = (0_i64, 0);
        self.indexes(self.deltas.len(), |index| {
            let (number, delta) = deltas.next().unwrap_or((0, &0));
            let next = count.checked_add(*delta);
            count = next
                .filter(|count| *count >= 0)
                .ok_or(NativeFault::Delta { number })?;
            total += u128::from(count.unsigned_abs());
            if count > 0 {
                buckets.push((index, count as f64));
            }
            Ok(())
        })?;
        Ok(total)
    }

    /// Visits the index of each bucket that the spans are for. Their number has to be `found`.
    fn indexes(
        &self,
        found: usize,
        mut visit: impl FnMut(i64) -> Result<(), NativeFault>,
    ) -> Result<(), NativeFault> {
        let lengths = self.spans.iter().map(|span| u64::from(span.length));
        let expected = lengths.sum();
        if expected != found as u64 {
            return Err(NativeFault::Spans { expected, found });
        }
        let mut index = 0_i64;
        for (number, span) in self.spans.iter().enumerate() {
            if number > 0 && span.offset < 0 {
                return Err(NativeFault::SpanOffset(span.offset));
            }
            index += i64::from(span.offset);
            for _ in 0..span.length {
                visit(index)?;
                index += 1;
            }
        }
        Ok(())
    }
}

/// A number whose sign is its lowest bit.
fn zigzag(number: u32) -> i32 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

fn long_zigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

#[allow(clippy::cast_possible_truncation)] // numbers of 32 bits are sent with more
fn span(message: &[u8]) -> Result<Span, MessageError> {
    let mut span = Span::default();
    let mut rest = message;
    while let Some((number, value)) = field(&mut rest)? {
        match number {
            1 => span.offset = zigzag(value.integer("offset")? as u32),
            2 => span.length = value.integer("length")? as u32,
            _ => {}
        }
    }
    Ok(span)
}

/// A repeated number, one by itself or packed with others.
fn take_integers(value: Value<'_>, to: &mut Vec<i64>) -> Result<(), MessageError> {
    match value {
        Value::Varint(number) => to.push(long_zigzag(number)),
        Value::Bytes(mut packed) => {
            while !packed.is_empty() && to.len() <= BUCKETS_MAX {
                let number = varint(&mut packed).map_err(|_| MessageError::Packed("delta"))?;
                to.push(long_zigzag(number));
            }
        }
        _ => return Err(MessageError::WireType("delta")),
    }
    check_length(to)
}

/// The same of `double`.
fn take_doubles(value: Value<'_>, to: &mut Vec<f64>) -> Result<(), MessageError> {
    match value {
        Value::Fixed64(bytes) => to.push(f64::from_le_bytes(bytes)),
        Value::Bytes(packed) => {
            let (numbers, rest) = packed.as_chunks();
            if !rest.is_empty() {
                return Err(MessageError::Packed("count"));
            }
            to.extend(numbers.iter().map(|bytes| f64::from_le_bytes(*bytes)));
        }
        _ => return Err(MessageError::WireType("count")),
    }
    check_length(to)
}

fn check_length<T>(numbers: &[T]) -> Result<(), MessageError> {
    if numbers.len() > BUCKETS_MAX {
        return Err(MessageError::NativeBuckets(BUCKETS_MAX));
    }
    Ok(())
}
