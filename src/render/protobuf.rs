//! Delimited protobuf (`io/prometheus/client/metrics.proto` of `prometheus/client_model`):
//!
//! ```text
//! exposition   = { length MetricFamily }
//! MetricFamily = name 1, help 2, type 3, { Metric 4 }
//! Metric       = { LabelPair 1 }, Gauge 2 | Counter 3 | Summary 4 | Untyped 5 | Histogram 7
//! LabelPair    = name 1, value 2
//! Gauge, Untyped, Counter = value 1; of a Counter: start 3
//! Summary      = count 1, sum 2, start 4
//! Histogram    = count 1 and perhaps as a float 4, sum 2, native part, start 15, { Bucket 3 }
//! Bucket       = cumulative count 1 and perhaps as a float 4, upper bound 2
//! ```
//!
//! A family that is longer than a piece is several messages of one name, as Prometheus reads them:
//! nothing is written whose length is not known, and nothing is kept longer than a piece. The
//! buckets of a histogram are the last of its message, and that is the last one of a piece if they
//! do not all fit: so the lengths say how much is still to come.
//!
//! Numbers that proto3 would leave out, as they are zero, are written: so do proto2's encoders.

use std::ops::ControlFlow;

use super::buffer::Buffer;
use super::label_pairs::LabelPairs;
use super::message::{
    FIXED64, LENGTH, VARINT, append_bytes, append_double, append_head, append_varint, field,
    message_bytes, varint_bytes,
};
use super::native::{self, Counts, append_native};
use super::walk::{Part, Progress, ShownFamily, ShownSeries, Writer};
use crate::aggregate::Histogram;
use crate::metric::{MetricType, raw_name};

/// Whole floats up to it are written as integers: beyond, not every whole number is a float.
const INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

/// Room for the length of a family's message; most are shorter than 2 MiB.
const FAMILY_LENGTH_BYTES: usize = 3;

/// Where the number is in the value of a series: behind its head and the key of the number.
const NUMBER_AT: usize = 3;

/// What a scrape shows, as protobuf.
pub struct Protobuf<'a> {
    bytes: Buffer<'a>,
    /// It is full with these.
    bytes_max: usize,
    /// A `Timestamp` with its length: when the sums began to count from zero. Empty if that is not
    /// known.
    start: Vec<u8>,
    /// Where the message of a family begins that has no end yet.
    family: Option<usize>,
    /// How much of that message comes in the next pieces.
    missing_bytes: usize,
    labels: LabelPairs,
    /// The value of a series that is a number, as all of the family have it but for the number.
    value: Vec<u8>,
    /// For what has to be counted before it is written.
    scratch: Vec<u8>,
}

impl Protobuf<'_> {
    /// Appends to `bytes` until there are `bytes_max`. `start_millis` is when the sums began to
    /// count from zero, in unix milliseconds.
    pub fn new(bytes: &mut Vec<u8>, bytes_max: usize, start_millis: Option<u64>) -> Protobuf<'_> {
        Protobuf {
            bytes: Buffer::new(bytes),
            bytes_max,
            start: start_millis.map_or_else(Vec::new, timestamp),
            family: None,
            missing_bytes: 0,
            labels: LabelPairs::default(),
            value: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Begins the message of a family.
    #[cold]
    fn begin_message(&mut self, of: &ShownFamily<'_>) {
        self.family = Some(self.bytes.length());
        let mut head = vec![0; FAMILY_LENGTH_BYTES];
        append_bytes(field(1, LENGTH), raw_name(&of.name).as_bytes(), &mut head);
        if !of.family.help.is_empty() {
            let help = raw_name(&of.family.help);
            append_bytes(field(2, LENGTH), help.as_bytes(), &mut head);
        }
        let number = match of.family.metric_type {
            MetricType::Counter => 0,
            MetricType::Gauge => 1,
            MetricType::Summary => 2,
            MetricType::Untyped => 3,
            MetricType::Histogram => 4,
        };
        head.extend([field(3, VARINT), number]);
        self.bytes.append(head.len(), |room| room.put(&head));
    }
}

impl Writer for Protobuf<'_> {
    fn is_full(&self) -> bool {
        self.bytes.length() >= self.bytes_max
    }

    fn begin(&mut self, of: &ShownFamily<'_>, _part: Part) {
        let (number, start) = match of.family.metric_type {
            MetricType::Counter => (3, self.start.as_slice()),
            MetricType::Gauge => (2, [].as_slice()),
            _ => (5, [].as_slice()),
        };
        let value_bytes = 1 + size_of::<f64>() + start_field_bytes(start);
        self.value.clear();
        append_head(field(number, LENGTH), value_bytes, &mut self.value);
        append_double(field(1, FIXED64), 0.0, &mut self.value);
        append_start(3, start, &mut self.value);
    }

    #[inline]
    fn number(&mut self, of: &ShownFamily<'_>, series: ShownSeries<'_>, value: f64) {
        if self.family.is_none() {
            self.begin_message(of);
        }
        if let Some(number) = self.value.get_mut(NUMBER_AT..NUMBER_AT + size_of::<f64>()) {
            number.copy_from_slice(&value.to_le_bytes());
        }
        let pairs = self.labels.encode(series.labels);
        let metric_bytes = pairs.len() + self.value.len();
        self.bytes.append(message_bytes(metric_bytes), |room| {
            room.put_head(field(4, LENGTH), metric_bytes);
            room.put(pairs);
            room.put(&self.value);
        });
    }

    fn histogram(
        &mut self,
        of: &ShownFamily<'_>,
        series: ShownSeries<'_>,
        histogram: &Histogram,
        progress: &mut Progress,
    ) -> ControlFlow<()> {
        let mut missing_bytes = 0;
        if progress.buckets == 0 {
            if self.family.is_none() {
                self.begin_message(of);
            }
            missing_bytes = buckets_bytes(histogram);
            self.append_histogram(of, series, histogram, missing_bytes);
        }
        let end = self.bytes.length() + missing_bytes;
        let bounds = &histogram.upper_bounds;
        for (bound, &count) in bounds.iter().zip(&histogram.counts).skip(progress.buckets) {
            if progress.buckets > 0 && self.is_full() {
                self.missing_bytes = end.saturating_sub(self.bytes.length());
                return ControlFlow::Break(());
            }
            let count = progress.add(count);
            self.append_bucket(bound.value(), count);
        }
        ControlFlow::Continue(())
    }

    /// Says how long the message is.
    fn end(&mut self) {
        let Some(begin) = self.family.take() else {
            return;
        };
        let content = begin + FAMILY_LENGTH_BYTES;
        let length = self.bytes.length() - content + std::mem::take(&mut self.missing_bytes);
        self.scratch.clear();
        append_varint(length as u64, &mut self.scratch);
        self.bytes.replace(begin, content, &self.scratch);
    }
}

impl Protobuf<'_> {
    /// A histogram or a summary but for its buckets, which are so long.
    fn append_histogram(
        &mut self,
        of: &ShownFamily<'_>,
        series: ShownSeries<'_>,
        histogram: &Histogram,
        buckets_bytes: usize,
    ) {
        let is_summary = of.family.metric_type == MetricType::Summary;
        let value = &mut self.scratch;
        value.clear();
        let native = native::shown(histogram);
        let (number, start) = if is_summary { (4, 4) } else { (7, 15) };
        match native {
            _ if is_summary => append_rounded(1, histogram.count, value),
            Some((_, Counts::Floats)) => append_double(field(4, FIXED64), histogram.count, value),
            _ => append_count(1, histogram.count, value),
        }
        append_double(field(2, FIXED64), histogram.sum, value);
        if let Some((native, counts)) = native {
            append_native(native, counts, value);
        }
        append_start(start, &self.start, value);
        let pairs = self.labels.encode(series.labels);
        let value_bytes = value.len() + buckets_bytes;
        let metric_bytes = pairs.len() + message_bytes(value_bytes);
        self.bytes.append(message_bytes(metric_bytes), |room| {
            room.put_head(field(4, LENGTH), metric_bytes);
            room.put(pairs);
            room.put_head(field(number, LENGTH), value_bytes);
            room.put(value);
        });
    }

    fn append_bucket(&mut self, bound: f64, cumulative_count: f64) {
        let bucket_bytes = bucket_bytes(cumulative_count);
        self.bytes.append(message_bytes(bucket_bytes), |room| {
            room.put_head(field(3, LENGTH), bucket_bytes);
            room.put(&[field(1, VARINT)]);
            if let Some(integer) = integer(cumulative_count) {
                room.put_varint(integer);
            } else {
                room.put_varint(rounded(cumulative_count));
                room.put_double(field(4, FIXED64), cumulative_count);
            }
            room.put_double(field(2, FIXED64), bound);
        });
    }
}

/// Appends a start time, if it is known.
fn append_start(number: u8, start: &[u8], bytes: &mut Vec<u8>) {
    if !start.is_empty() {
        bytes.push(field(number, LENGTH));
        bytes.extend_from_slice(start);
    }
}

/// How long that is.
fn start_field_bytes(start: &[u8]) -> usize {
    match start.len() {
        0 => 0,
        bytes => 1 + bytes,
    }
}

/// How long the buckets of a histogram are.
fn buckets_bytes(histogram: &Histogram) -> usize {
    let mut progress = Progress::default();
    let counts = histogram.counts.iter();
    let bytes = counts.map(|&count| message_bytes(bucket_bytes(progress.add(count))));
    bytes.sum()
}

/// How long the message of a bucket is.
fn bucket_bytes(cumulative_count: f64) -> usize {
    const DOUBLE_BYTES: usize = 1 + size_of::<f64>();
    let count_bytes = match integer(cumulative_count) {
        Some(integer) => varint_bytes(integer),
        None => varint_bytes(rounded(cumulative_count)) + DOUBLE_BYTES,
    };
    1 + count_bytes + DOUBLE_BYTES
}

/// A count: in this field, if it is whole. If not, it is in the field for floats, which readers
/// take where it is above zero; Prometheus before version 3 reads the nearest integer.
fn append_count(number: u8, count: f64, bytes: &mut Vec<u8>) {
    if let Some(integer) = integer(count) {
        bytes.push(field(number, VARINT));
        append_varint(integer, bytes);
    } else {
        append_rounded(number, count, bytes);
        append_double(field(4, FIXED64), count, bytes);
    }
}

/// The nearest integer to a count: that of a summary has no field for floats.
fn append_rounded(number: u8, count: f64, bytes: &mut Vec<u8>) {
    bytes.push(field(number, VARINT));
    append_varint(rounded(count), bytes);
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // it saturates
fn rounded(count: f64) -> u64 {
    count.round() as u64
}

/// A count that is an integer exactly.
fn integer(count: f64) -> Option<u64> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // compared right below
    let integer = count as u64;
    #[allow(clippy::cast_precision_loss)] // there is none up to the limit
    (count <= INTEGER_MAX && integer as f64 == count).then_some(integer)
}

/// A `Timestamp` with its length: seconds 1. Fractions would make a scrape of counters a tenth
/// longer.
fn timestamp(unix_millis: u64) -> Vec<u8> {
    let mut message = vec![field(1, VARINT)];
    append_varint(unix_millis / 1000, &mut message);
    let mut bytes = Vec::new();
    append_varint(message.len() as u64, &mut bytes);
    bytes.extend(message);
    bytes
}
