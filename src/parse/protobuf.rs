//! The reader of protobuf: messages `io.prometheus.client.MetricFamily`, each with its length
//! before it.
//!
//! ```text
//! MetricFamily = name 1, help 2, type 3, Metric 4 ...
//! Metric       = Label 1 ..., Gauge 2, Counter 3, Summary 4, Untyped 5, time 6, Histogram 7
//! Label        = name 1, value 2
//! Gauge        = value 1                                                also Untyped
//! Counter      = value 1, exemplar 2, start 3
//! Summary      = count 1, sum 2, Quantile 3 ..., start 4
//! Histogram    = count 1, sum 2, Bucket 3 ..., count as float 4, start 15, exemplar 16 ...
//!                native: schema 5, zero 6 7 8, negative 9 10 11, positive 12 13 14
//! Bucket       = cumulative count 1, upper bound 2, exemplar 3, count as float 4
//! start        = seconds 1, nanoseconds 2
//! ```
//!
//! The source is `io/prometheus/client/metrics.proto` of the repository `prometheus/client_model`,
//! and for what that leaves open, Prometheus' own reader. What is absent is zero, so a family
//! without a type is a counter; of a number that comes twice the last counts, and the fields of a
//! message that comes twice are those of one. A `..._float` replaces its integer where it is above
//! zero.
//!
//! The format itself checks nothing. Here names, labels and texts are held to the rules of text; a
//! known field of another wire type, an unknown type, and a metric without the message of its
//! family's type are refused. Exemplars, units and times are skipped. What native histograms are
//! held to, `native` says.

use std::iter;

use super::builder::Builder;
use super::error::{Cause, Location, MeaningError, MessageError, ParseError, SyntaxError};
use super::histogram::SentBucket;
use super::label_set::{escaped_help, raw_canonical_text};
use super::metric_message::{Aggregated, Metric, text, value_field};
use super::names::{Declared, Kind, Named};
use super::plain_metric::{PlainMetric, Shape};
use super::sample::{Labels, Sample};
use super::wire::{Value, delimited, field};
use crate::excerpt::Excerpt;
use crate::grouping_key::GroupingKey;
use crate::metric::{MetricType, UpperBound};

/// About how many samples there will be, judged by the first few metrics. What is reserved by that
/// is at most a few times the body.
pub fn expected_samples(body: &[u8]) -> usize {
    const METRICS_JUDGED: usize = 16;
    const METRIC_BYTES_MIN: usize = 40;
    /// Longer ones are of histograms, which are more than one sample.
    const METRIC_BYTES_MAX: usize = 80;
    let mut rest = body;
    let mut fields = delimited(&mut rest).unwrap_or_default();
    let fields = iter::from_fn(|| field(&mut fields).ok()?);
    let lengths = fields.filter_map(|(number, value)| match value {
        Value::Bytes(metric) if number == 4 => Some(metric.len() + "\x22\x00".len()),
        _ => None,
    });
    let longest = lengths.take(METRICS_JUDGED).max().unwrap_or(0);
    body.len() / longest.clamp(METRIC_BYTES_MIN, METRIC_BYTES_MAX) + 1
}

/// So many bytes take the label sets of most bodies. A metric that is plain takes more in its
/// message, but for the labels of the path; these are reckoned with as far as they take no more
/// than the body. What is beyond is read in the general way.
pub fn arena_bytes(body: &[u8], key: &GroupingKey) -> usize {
    body.len() + (expected_samples(body) * key.length()).min(body.len())
}

/// Reads a body; the labels of the key are put on every sample. The label sets of plain metrics
/// are written where there is space for them.
///
/// # Errors
/// The first message that is not in the format, or that the builder refuses.
pub fn read<'a>(
    body: &'a [u8],
    key: &'a GroupingKey,
    free: &'a mut [u8],
    builder: &mut Builder<'a>,
) -> Result<(), ParseError> {
    let mut reader = Reader {
        body,
        key,
        builder,
        shape: Shape::new(key, free),
        metric: Metric::default(),
    };
    let mut rest = body;
    for number in 1.. {
        if rest.is_empty() {
            break;
        }
        let at = |cause| ParseError {
            location: Location::Family(number),
            cause,
        };
        let message = delimited(&mut rest).map_err(|error| at(message_error(error)))?;
        let family = Family::of(message).map_err(|error| at(message_error(error)))?;
        if family.name.is_empty() {
            return Err(at(Cause::Syntax(SyntaxError::EmptyMetricName)));
        }
        reader.declare(&family, message).map_err(at)?;
        reader.metrics(&family, message)?;
    }
    Ok(())
}

/// The refusal of a metric at a position that the reader gave to the builder: its offset.
pub fn meaning_error(body: &[u8], position: usize, error: MeaningError) -> ParseError {
    ParseError {
        location: location(body, position),
        cause: Cause::Meaning(error),
    }
}

fn message_error(error: MessageError) -> Cause {
    Cause::Syntax(SyntaxError::Message(error))
}

/// The family and the number of the metric at an offset.
fn location(body: &[u8], position: usize) -> Location {
    let mut rest = body;
    let mut families = 0;
    while let Ok(message) = delimited(&mut rest) {
        families += 1;
        if position >= offset(body, rest) {
            continue;
        }
        let name = Family::of(message).map_or("", |family| family.name);
        let (mut fields, mut number) = (message, 0);
        while let Ok(Some((field, value))) = field(&mut fields) {
            let Value::Bytes(metric) = value else {
                continue;
            };
            number += usize::from(field == 4);
            if field == 4 && offset(body, metric) >= position {
                break;
            }
        }
        let name = Excerpt::of(name);
        return Location::Metric { name, number };
    }
    Location::Family(families)
}

/// Where a part of the body begins.
fn offset(body: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr().saturating_sub(body.as_ptr().addr())
}

/// A family but for its metrics: its fields may come behind them.
struct Family<'a> {
    name: &'a str,
    help: &'a str,
    declared: Declared,
}

impl<'a> Family<'a> {
    fn of(message: &'a [u8]) -> Result<Family<'a>, MessageError> {
        let mut family = Family {
            name: "",
            help: "",
            declared: Declared::Type(MetricType::Counter),
        };
        let mut rest = message;
        while let Some((number, value)) = field(&mut rest)? {
            match number {
                1 => family.name = text(value.bytes("name")?)?,
                2 => family.help = text(value.bytes("help")?)?,
                3 => family.declared = declared(value.integer("type")?)?,
                4 => drop(value.bytes("metric")?),
                _ => {}
            }
        }
        Ok(family)
    }
}

fn declared(number: u64) -> Result<Declared, MessageError> {
    // An enum has 32 bits.
    #[allow(clippy::cast_possible_truncation)]
    Ok(match number as u32 {
        0 => Declared::Type(MetricType::Counter),
        1 => Declared::Type(MetricType::Gauge),
        2 => Declared::Type(MetricType::Summary),
        3 => Declared::Type(MetricType::Untyped),
        4 => Declared::Type(MetricType::Histogram),
        5 => Declared::GaugeHistogram,
        other => return Err(MessageError::UnknownType(other.cast_signed())),
    })
}

struct Reader<'a, 'b> {
    body: &'a [u8],
    key: &'a GroupingKey,
    builder: &'b mut Builder<'a>,
    /// Of the plain metric before.
    shape: Shape<'a>,
    /// What is read of a metric, for the next one to use the room again.
    metric: Metric<'a>,
}

impl<'a> Reader<'a, '_> {
    fn declare(&mut self, family: &Family<'a>, message: &'a [u8]) -> Result<(), Cause> {
        let names = &mut self.builder.names;
        let declared = names
            .metric_type(family.name, family.declared, offset(self.body, message))
            .and_then(|()| names.help(family.name, escaped_help(family.help)));
        declared.map_err(|error| {
            Cause::Meaning(match error {
                MeaningError::SecondType {
                    name,
                    first,
                    second,
                    ..
                } => MeaningError::OtherType {
                    name,
                    first,
                    second,
                },
                error => error,
            })
        })
    }

    fn metrics(&mut self, family: &Family<'a>, message: &'a [u8]) -> Result<(), ParseError> {
        let mut named = None;
        let mut rest = message;
        // The fields were found right before.
        while let Ok(Some((number, value))) = field(&mut rest) {
            let (4, Value::Bytes(metric)) = (number, value) else {
                continue;
            };
            let builder = &mut *self.builder;
            let found = *named.get_or_insert_with(|| builder.names.of_sample(family.name));
            let position = offset(self.body, metric);
            self.metric(family, found, metric)
                .map_err(|cause| ParseError {
                    location: location(self.body, position),
                    cause,
                })?;
        }
        Ok(())
    }

    fn metric(
        &mut self,
        family: &Family<'a>,
        named: Named<'a>,
        message: &'a [u8],
    ) -> Result<(), Cause> {
        let position = offset(self.body, message);
        let plain = self.shape.plain(value_field(family.declared), message);
        if let Kind::Counter | Kind::Number = named.kind
            && let Some(plain) = &plain
            && let Some((value, start)) = plain.number()
        {
            let sample = Sample {
                named,
                value,
                position,
            };
            let labels = plain.labels();
            return self.number(&sample, labels, start).map_err(Cause::Meaning);
        }
        let read = match &plain {
            Some(plain) => self.metric.read_value(family.declared, plain.value),
            None => self.metric.read(family.declared, message),
        };
        read.map_err(message_error)?;
        if self.metric.values.is_empty() {
            return Err(Cause::Meaning(MeaningError::NoValue {
                name: Excerpt::of(family.name),
                declared: family.declared.as_str(),
            }));
        }
        let value = self.metric.value;
        let sample = Sample {
            named,
            value: match named.kind {
                Kind::Histogram(_) | Kind::Summary(_) => value.float_count(),
                _ => value.value,
            },
            position,
        };
        let labels = self.labels(plain).map_err(Cause::Meaning)?;
        self.sample(&sample, labels, &value).map_err(Cause::Meaning)
    }

    fn labels(&mut self, plain: Option<PlainMetric<'a>>) -> Result<Labels<'a>, MeaningError> {
        if let Some(plain) = plain {
            return Ok(plain.labels());
        }
        let labels = &mut self.metric.labels;
        Ok(Labels {
            canonical: raw_canonical_text(labels, self.key)?,
            sent: labels.len(),
        })
    }

    /// Takes a number, and when its series began.
    fn number(
        &mut self,
        sample: &Sample<'a>,
        labels: Labels<'a>,
        start: Option<i64>,
    ) -> Result<(), MeaningError> {
        self.builder.sample(sample, labels, UpperBound::INFINITY)?;
        if let Some(start) = start {
            self.builder.last_number_began(start);
        }
        Ok(())
    }

    fn sample(
        &mut self,
        sample: &Sample<'a>,
        labels: Labels<'a>,
        value: &Aggregated,
    ) -> Result<(), MeaningError> {
        let builder = &mut *self.builder;
        match sample.named.kind {
            Kind::Counter | Kind::Number => {
                self.number(sample, labels, value.start)?;
            }
            Kind::Histogram(_) => {
                let has_bound = self.metric.labels.iter().any(|label| label.name == "le");
                if has_bound {
                    let name = Excerpt::of(sample.named.name);
                    return Err(MeaningError::StrayUpperBound(name));
                }
                let native = self.metric.native();
                let native = native.map_err(|fault| MeaningError::Native {
                    name: Excerpt::of(sample.named.name),
                    fault,
                })?;
                let place = builder.whole_histogram(sample, labels, value.sum)?;
                for &(upper_bound, cumulative_count) in &self.metric.buckets {
                    builder.bucket(SentBucket {
                        histogram: place,
                        upper_bound,
                        cumulative_count,
                        position: sample.position,
                    });
                }
                if let Some(native) = native {
                    builder.native(place, native);
                }
                if let Some(start) = value.start {
                    builder.histogram_began(place, start);
                }
            }
            Kind::Summary(_) => {
                let place = builder.whole_summary(sample, labels, value.sum)?;
                builder.skipped.summary += value.quantiles;
                if let Some(start) = value.start {
                    builder.histogram_began(place, start);
                }
            }
            Kind::GaugeHistogram => {
                builder.check_labels(sample.named.name, &labels)?;
                builder.skipped.gauge_histogram += self.metric.buckets.len() as u64 + 2;
            }
        }
        Ok(())
    }
}
