//! Where the numbers of a body of protobuf stand.
//!
//! Marks are made only of bodies as client libraries write them: no unknown fields, no exemplars,
//! each value exactly once, counts as integers.

use super::marks::{MarkKind, Marked, Marks};
use super::names::{Kind, Part};
use super::wire::varint;
use crate::metric::{MetricType, UpperBound};

/// The marks of a body that was accepted, if it is such a one.
pub fn marks(body: &[u8]) -> Option<Marks> {
    let mut marker = Marker {
        body,
        at: 0,
        marks: Vec::new(),
        counts: 0,
        numbers: 0,
        histograms: 0,
    };
    while marker.at < body.len() {
        marker.message(Marker::family)?;
    }
    Some(marker.marks)
}

/// How far a body has been gone through.
struct Marker<'a> {
    body: &'a [u8],
    at: usize,
    marks: Marks,
    /// How many numbers were marked whose length may be another one next time.
    counts: usize,
    numbers: usize,
    histograms: usize,
}

/// The key of a field: its number and its wire type.
const fn key(number: u64, wire_type: u64) -> u64 {
    number << 3 | wire_type
}

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;

// See `protobuf`.
const FAMILY_NAME: u64 = key(1, BYTES);
const FAMILY_HELP: u64 = key(2, BYTES);
const FAMILY_TYPE: u64 = key(3, VARINT);
const METRIC: u64 = key(4, BYTES);
const LABEL: u64 = key(1, BYTES);
const GAUGE: u64 = key(2, BYTES);
const COUNTER: u64 = key(3, BYTES);
const SUMMARY: u64 = key(4, BYTES);
const UNTYPED: u64 = key(5, BYTES);
const HISTOGRAM: u64 = key(7, BYTES);
const VALUE: u64 = key(1, FIXED64);
const COUNTER_START: u64 = key(3, BYTES);
const SAMPLE_COUNT: u64 = key(1, VARINT);
const SAMPLE_SUM: u64 = key(2, FIXED64);
const BUCKET_OR_QUANTILE: u64 = key(3, BYTES);
const HISTOGRAM_START: u64 = key(15, BYTES);
const CUMULATIVE_COUNT: u64 = key(1, VARINT);
const UPPER_BOUND: u64 = key(2, FIXED64);
const QUANTILE_RANK: u64 = key(1, FIXED64);
const QUANTILE_VALUE: u64 = key(2, FIXED64);
const SUMMARY_START: u64 = key(4, BYTES);

impl Marker<'_> {
    /// Goes through a message that begins with its length, and marks that if it may be another one
    /// next time.
    fn message(&mut self, read: impl FnOnce(&mut Self, usize) -> Option<()>) -> Option<()> {
        let (marks, counts) = (self.marks.len(), self.counts);
        let start = self.at;
        let length = usize::try_from(self.varint()?).ok()?;
        let end = self.at.checked_add(length)?;
        self.mark(start, MarkKind::Length);
        read(self, end)?;
        if self.at != end {
            return None;
        }
        if self.counts == counts {
            self.marks.remove(marks);
        } else {
            self.mark(end, MarkKind::End);
        }
        Some(())
    }

    fn family(&mut self, end: usize) -> Option<()> {
        let metric_type = self.metric_type(end)?;
        while self.at < end {
            match self.varint()? {
                METRIC => self.message(|marker, end| marker.metric(end, metric_type))?,
                FAMILY_TYPE => drop(self.varint()?),
                FAMILY_NAME | FAMILY_HELP => self.skip_bytes()?,
                _ => return None,
            }
        }
        Some(())
    }

    /// The type of the family that ends here; it may stand behind its metrics.
    fn metric_type(&mut self, end: usize) -> Option<MetricType> {
        let start = self.at;
        let mut metric_type = 0;
        while self.at < end {
            match self.varint()? {
                FAMILY_TYPE => metric_type = self.varint()?,
                _ => self.skip_bytes()?,
            }
        }
        self.at = start;
        Some(match metric_type {
            0 => MetricType::Counter,
            1 => MetricType::Gauge,
            2 => MetricType::Summary,
            3 => MetricType::Untyped,
            4 => MetricType::Histogram,
            _ => return None,
        })
    }

    /// A metric, which has one value.
    fn metric(&mut self, end: usize, metric_type: MetricType) -> Option<()> {
        let mut values = 0;
        while self.at < end {
            let found = self.varint()?;
            match (found, metric_type) {
                (LABEL, _) => {
                    self.skip_bytes()?;
                    continue;
                }
                (COUNTER, MetricType::Counter) => {
                    self.message(|marker, end| marker.number(end, Kind::Counter))?;
                    self.numbers += 1;
                }
                (GAUGE, MetricType::Gauge) | (UNTYPED, MetricType::Untyped) => {
                    self.message(|marker, end| marker.number(end, Kind::Number))?;
                    self.numbers += 1;
                }
                (SUMMARY, MetricType::Summary) => {
                    self.message(Marker::summary)?;
                    self.histograms += 1;
                }
                (HISTOGRAM, MetricType::Histogram) => {
                    self.message(Marker::histogram)?;
                    self.histograms += 1;
                }
                _ => return None,
            }
            values += 1;
        }
        (values == 1).then_some(())
    }

    fn number(&mut self, end: usize, kind: Kind) -> Option<()> {
        let mut values = 0;
        while self.at < end {
            match self.varint()? {
                VALUE => self.double(kind, self.numbers)?,
                // When it began. An exemplar is another one each time.
                COUNTER_START => {
                    self.skip_bytes()?;
                    continue;
                }
                _ => return None,
            }
            values += 1;
        }
        // An absent value is zero.
        (values == 1).then_some(())
    }

    fn summary(&mut self, end: usize) -> Option<()> {
        self.aggregated(end, Kind::Summary, Marker::quantile, SUMMARY_START)
    }

    fn histogram(&mut self, end: usize) -> Option<()> {
        self.aggregated(end, Kind::Histogram, Marker::bucket, HISTOGRAM_START)
    }

    /// A value with one count, one sum, buckets or quantiles, and the time at which it began.
    fn aggregated(
        &mut self,
        end: usize,
        kind: fn(Part) -> Kind,
        bucket_or_quantile: fn(&mut Self, usize) -> Option<()>,
        start: u64,
    ) -> Option<()> {
        let (mut counts, mut sums) = (0, 0);
        while self.at < end {
            match self.varint()? {
                SAMPLE_COUNT => {
                    self.count(kind(Part::Count), UpperBound::INFINITY)?;
                    counts += 1;
                }
                SAMPLE_SUM => {
                    self.double(kind(Part::Sum), self.histograms)?;
                    sums += 1;
                }
                BUCKET_OR_QUANTILE => self.message(bucket_or_quantile)?,
                key if key == start => self.skip_bytes()?,
                _ => return None,
            }
        }
        // An absent count is zero, which in text it is not.
        ((counts, sums) == (1, 1)).then_some(())
    }

    fn quantile(&mut self, end: usize) -> Option<()> {
        while self.at < end {
            match self.varint()? {
                QUANTILE_RANK => self.skip(size_of::<f64>())?,
                QUANTILE_VALUE => self.double(Kind::Summary(Part::Own), self.histograms)?,
                _ => return None,
            }
        }
        Some(())
    }

    /// A bucket whose cumulative count stands before its bound, as it does in the order of fields.
    fn bucket(&mut self, end: usize) -> Option<()> {
        if self.varint()? != CUMULATIVE_COUNT {
            return None;
        }
        let mut behind = self.body.get(self.at..end)?;
        varint(&mut behind).ok()?;
        let [key, bound @ ..] = behind else {
            return None;
        };
        let upper_bound = UpperBound::new(f64::from_le_bytes(bound.try_into().ok()?))?;
        if u64::from(*key) != UPPER_BOUND {
            return None;
        }
        self.count(Kind::Histogram(Part::Bucket), upper_bound)?;
        self.at = end;
        Some(())
    }

    fn double(&mut self, kind: Kind, place: usize) -> Option<()> {
        let start = self.at;
        self.skip(size_of::<f64>())?;
        let upper_bound = UpperBound::INFINITY;
        let number = MarkKind::Number {
            kind,
            place,
            upper_bound,
        };
        self.mark(start, number);
        Some(())
    }

    fn count(&mut self, kind: Kind, upper_bound: UpperBound) -> Option<()> {
        let start = self.at;
        self.varint()?;
        let number = MarkKind::Number {
            kind,
            place: self.histograms,
            upper_bound,
        };
        self.mark(start, number);
        self.counts += 1;
        Some(())
    }

    fn mark(&mut self, start: usize, kind: MarkKind) {
        let range = start..self.at;
        self.marks.push(Marked { range, kind });
    }

    fn varint(&mut self) -> Option<u64> {
        let mut rest = self.body.get(self.at..)?;
        let number = varint(&mut rest).ok()?;
        self.at = self.body.len() - rest.len();
        Some(number)
    }

    fn skip_bytes(&mut self) -> Option<()> {
        let length = usize::try_from(self.varint()?).ok()?;
        self.skip(length)
    }

    fn skip(&mut self, length: usize) -> Option<()> {
        let end = self.at.checked_add(length)?;
        self.at = (end <= self.body.len()).then_some(end)?;
        Some(())
    }
}
