//! A metric of protobuf: its labels and its value. See `protobuf` for what is read of it.

use std::borrow::Cow;

use super::error::MessageError;
use super::label_set::RawLabel;
use super::names::Declared;
use super::native::{NativeFault, NativeFields};
use super::plain::is_plain_value;
use super::wire::{Value, field, varint};
use crate::metric::{
    MetricType, NativeHistogram, UpperBound, label_name_length, written_label_name,
};

/// A metric as far as its family's type says what to look for.
#[derive(Default)]
pub struct Metric<'a> {
    /// In the order of the message.
    pub labels: Vec<RawLabel<'a>>,
    /// Its messages of that type: what they say together is one message.
    pub values: Vec<&'a [u8]>,
    /// What these say.
    pub value: Aggregated,
    /// The classic buckets of a histogram.
    pub buckets: Vec<(UpperBound, f64)>,
    /// Its native fields.
    native: NativeFields,
}

/// What the messages of a value say but for its buckets.
#[derive(Clone, Copy, Default)]
pub struct Aggregated {
    /// Of a number.
    pub value: f64,
    count: u64,
    count_as_float: f64,
    /// Of a histogram.
    pub sum: f64,
    /// How many a summary has.
    pub quantiles: u64,
    /// When the series began, in milliseconds since the begin of 1970.
    pub start: Option<i64>,
}

/// The number of the field that has the value of a metric of this type.
pub fn value_field(declared: Declared) -> u64 {
    match declared {
        Declared::Type(MetricType::Gauge) | Declared::Info | Declared::StateSet => 2,
        Declared::Type(MetricType::Counter) => 3,
        Declared::Type(MetricType::Summary) => 4,
        Declared::Type(MetricType::Untyped) => 5,
        Declared::Type(MetricType::Histogram) | Declared::GaugeHistogram => 7,
    }
}

impl<'a> Metric<'a> {
    /// Reads the labels, and the value that a metric of this type has.
    ///
    /// # Errors
    /// The first field that is not in the format.
    pub fn read(&mut self, declared: Declared, message: &'a [u8]) -> Result<(), MessageError> {
        self.labels.clear();
        self.values.clear();
        let of_type = value_field(declared);
        let mut rest = message;
        while let Some((number, value)) = field(&mut rest)? {
            match number {
                1 => self.labels.push(label(value.bytes("label")?)?),
                _ if number == of_type => self.values.push(value.bytes("value")?),
                _ => {}
            }
        }
        self.read_values(of_type)
    }

    /// Reads the value of a metric of this type, which has this message alone.
    ///
    /// # Errors
    /// The first field that is not in the format.
    pub fn read_value(
        &mut self,
        declared: Declared,
        message: &'a [u8],
    ) -> Result<(), MessageError> {
        self.labels.clear();
        self.values.clear();
        self.values.push(message);
        self.read_values(value_field(declared))
    }

    fn read_values(&mut self, of_type: u64) -> Result<(), MessageError> {
        self.buckets.clear();
        self.native.clear();
        self.value = Aggregated::default();
        for at in 0..self.values.len() {
            let message = self.values[at];
            match of_type {
                4 => self.value.summary(message)?,
                7 => self.histogram(message)?,
                _ => self.value.number(message)?,
            }
        }
        Ok(())
    }

    fn histogram(&mut self, message: &'a [u8]) -> Result<(), MessageError> {
        let mut rest = message;
        while let Some((number, value)) = field(&mut rest)? {
            match number {
                3 => {
                    let (bound, count) = bucket(value.bytes("bucket")?)?;
                    // An empty message is a bucket of two bytes: millions of them are refused here.
                    if self.buckets.last().is_some_and(|&(last, _)| last == bound) {
                        return Err(MessageError::SecondBound(bound.value()));
                    }
                    self.buckets.push((bound, count));
                }
                5..=14 => self.native.take(number, value)?,
                _ => self.value.histogram_field(number, value)?,
            }
        }
        Ok(())
    }

    /// The native part of a histogram; `None` if it is a classic one.
    ///
    /// # Errors
    /// When it cannot be what its fields say.
    pub fn native(&self) -> Result<Option<NativeHistogram>, NativeFault> {
        let Aggregated {
            count,
            count_as_float,
            sum,
            ..
        } = self.value;
        self.native.histogram(count, count_as_float, sum)
    }
}

impl Aggregated {
    /// A gauge, a counter or an untyped value.
    fn number(&mut self, message: &[u8]) -> Result<(), MessageError> {
        let mut rest = message;
        while let Some((number, value)) = field(&mut rest)? {
            match number {
                1 => self.value = value.double("value")?,
                // No other than a counter has these.
                2 => check_fields(value.bytes("exemplar")?)?,
                3 => self.start = start(value.bytes("created_timestamp")?)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn summary(&mut self, message: &[u8]) -> Result<(), MessageError> {
        let mut rest = message;
        while let Some((number, value)) = field(&mut rest)? {
            match number {
                1 => self.count = value.integer("sample_count")?,
                2 => self.sum = value.double("sample_sum")?,
                3 => {
                    check_fields(value.bytes("quantile")?)?;
                    self.quantiles += 1;
                }
                4 => self.start = start(value.bytes("created_timestamp")?)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes a field of a histogram that is neither a classic bucket nor a native one.
    fn histogram_field(&mut self, number: u64, value: Value<'_>) -> Result<(), MessageError> {
        match number {
            1 => self.count = value.integer("sample_count")?,
            2 => self.sum = value.double("sample_sum")?,
            4 => self.count_as_float = value.double("sample_count_float")?,
            15 => self.start = start(value.bytes("created_timestamp")?)?,
            16 => check_fields(value.bytes("exemplar")?)?,
            _ => {}
        }
        Ok(())
    }

    /// The count of a histogram.
    pub fn float_count(&self) -> f64 {
        float_count(self.count, self.count_as_float)
    }
}

/// A count, which a float replaces where that is above zero.
#[allow(clippy::cast_precision_loss)] // sums of counts are floats by the text format's definition
pub fn float_count(count: u64, as_float: f64) -> f64 {
    if as_float > 0.0 {
        as_float
    } else {
        count as f64
    }
}

/// Checks that a message which is skipped has fields: what is not in the format is refused whole.
pub fn check_fields(mut message: &[u8]) -> Result<(), MessageError> {
    while field(&mut message)?.is_some() {}
    Ok(())
}

/// Reads a label, which nearly always is two short strings in their order.
fn label(message: &[u8]) -> Result<RawLabel<'_>, MessageError> {
    if let Some((name, value)) = short_label(message)
        && label_name_length(name.as_bytes()) == name.len()
        && !name.is_empty()
        && is_plain_value(value.as_bytes())
    {
        return Ok(RawLabel {
            name: Cow::Borrowed(name),
            value,
            is_plain: true,
        });
    }
    any_label(message)
}

/// Name and value of a label whose lengths are single bytes. The keys and lengths are ASCII then,
/// so that all of it is text if both strings are.
fn short_label(message: &[u8]) -> Option<(&str, &str)> {
    let [0x0a, name_length @ ..0x80, ..] = message else {
        return None;
    };
    let (name, behind) = std::str::from_utf8(message)
        .ok()?
        .get(2..)?
        .split_at_checked(usize::from(*name_length))?;
    let [0x12, value_length @ ..0x80, ..] = behind.as_bytes() else {
        return None;
    };
    let value = behind.get(2..)?;
    (value.len() == usize::from(*value_length)).then_some((name, value))
}

fn any_label(message: &[u8]) -> Result<RawLabel<'_>, MessageError> {
    let (mut name, mut value) = (&b""[..], &b""[..]);
    let mut rest = message;
    while let Some((number, found)) = field(&mut rest)? {
        match number {
            1 => name = found.bytes("name")?,
            2 => value = found.bytes("value")?,
            _ => {}
        }
    }
    if name.is_empty() {
        return Err(MessageError::LabelName);
    }
    let is_plain = is_plain_value(value);
    Ok(RawLabel {
        name: written_label_name(text(name)?),
        value: if is_plain { utf8(value) } else { text(value) }?,
        is_plain,
    })
}

/// The bound and the cumulative count of a bucket. A bound that is NaN is refused.
fn bucket(message: &[u8]) -> Result<(UpperBound, f64), MessageError> {
    let (mut count, mut count_as_float, mut bound) = (0, 0.0, 0.0);
    let mut rest = message;
    while let Some((number, value)) = field(&mut rest)? {
        match number {
            1 => count = value.integer("cumulative_count")?,
            2 => bound = value.double("upper_bound")?,
            3 => check_fields(value.bytes("exemplar")?)?,
            4 => count_as_float = value.double("cumulative_count_float")?,
            _ => {}
        }
    }
    let bound = UpperBound::new(bound).ok_or(MessageError::BoundNotANumber)?;
    Ok((bound, float_count(count, count_as_float)))
}

/// A time, in milliseconds since the begin of 1970; none if it says nothing.
///
/// # Errors
/// The first field that is not in the format.
pub fn start(message: &[u8]) -> Result<Option<i64>, MessageError> {
    let (seconds, nanoseconds) = match whole_time(message) {
        Some(time) => time,
        None => any_time(message)?,
    };
    let milliseconds = seconds
        .saturating_mul(1000)
        .saturating_add(nanoseconds / 1_000_000);
    Ok((milliseconds > 0).then_some(milliseconds))
}

/// The seconds and nanoseconds of a time that has both in their order, as nearly all have.
fn whole_time(message: &[u8]) -> Option<(i64, i64)> {
    let mut rest = message.strip_prefix(b"\x08")?;
    let seconds = varint(&mut rest).ok()?;
    let mut rest = rest.strip_prefix(b"\x10")?;
    let nanoseconds = varint(&mut rest).ok()?;
    let time = (seconds.cast_signed(), nanoseconds.cast_signed());
    rest.is_empty().then_some(time)
}

fn any_time(message: &[u8]) -> Result<(i64, i64), MessageError> {
    let (mut seconds, mut nanoseconds) = (0, 0);
    let mut rest = message;
    while let Some((number, value)) = field(&mut rest)? {
        match number {
            1 => seconds = value.integer("seconds")?.cast_signed(),
            2 => nanoseconds = value.integer("nanos")?.cast_signed(),
            _ => {}
        }
    }
    Ok((seconds, nanoseconds))
}

/// The text of a string.
///
/// # Errors
/// When it is not valid UTF-8 or contains a NUL byte.
pub fn text(bytes: &[u8]) -> Result<&str, MessageError> {
    let text = utf8(bytes)?;
    if bytes.contains(&0) {
        return Err(MessageError::Nul);
    }
    Ok(text)
}

fn utf8(bytes: &[u8]) -> Result<&str, MessageError> {
    std::str::from_utf8(bytes).map_err(|_| MessageError::NotUtf8)
}
