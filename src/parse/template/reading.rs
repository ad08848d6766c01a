//! Reading a body by a template.

use std::borrow::Cow;
use std::slice::Iter;

use super::{CountedBy, HistogramShape, Role, Series, Template};
use crate::grouping_key::GroupingKey;
use crate::label_limits::LabelLimits;
use crate::metric::{
    Bucket, LabelSet, Push, PushedFamily, PushedHistogram, PushedNumber, UpperBound,
};
use crate::parse::format::Format;
use crate::parse::path_label_bytes_max;
use crate::parse::plain::number_at_start;
use crate::parse::wire::varint;

impl Template {
    /// The push of a body, if it is like the template but for plain numbers.
    #[must_use]
    pub fn read<'a>(
        &'a self,
        format: Format,
        body: &[u8],
        key: &GroupingKey,
        limits: LabelLimits,
    ) -> Option<Push<'a>> {
        let path_label_bytes = key.length() * self.labelled_samples;
        if (format, key, limits) != (self.format, &self.key, self.limits)
            || path_label_bytes > path_label_bytes_max(body)
        {
            return None;
        }
        match format {
            Format::Text | Format::OpenMetrics => self.read_as::<Text>(body),
            Format::Protobuf => self.read_as::<Protobuf>(body),
        }
    }

    fn read_as<S: Spelling>(&self, body: &[u8]) -> Option<Push<'_>> {
        let mut push = self.empty_push();
        let mut reading = Reading {
            template: self,
            rest: body,
            numbers: self.numbers.iter(),
            histograms: self.histograms.iter(),
            upper_bounds: self.upper_bounds.iter(),
            below: 0.0,
            counted_by: CountedBy::Count,
            message_ends: [0; MESSAGES_MAX],
            messages: 0,
        };
        let mut start = 0;
        for mark in &self.marks {
            let end = mark.fixed_end as usize;
            reading.skip(self.fixed.get(start..end)?)?;
            reading.take::<S>(mark.role, &mut push)?;
            start = end;
        }
        reading.skip(self.fixed.get(start..)?)?;
        reading.rest.is_empty().then_some(push)
    }

    fn empty_push(&self) -> Push<'_> {
        let families = self.families.iter().map(|family| PushedFamily {
            name: Cow::Borrowed(&*family.name),
            help: Cow::Borrowed(&*family.help),
            ..*family
        });
        Push {
            families: families.collect(),
            numbers: Vec::with_capacity(self.numbers.len()),
            histograms: Vec::with_capacity(self.histograms.len()),
            buckets: Vec::with_capacity(self.upper_bounds.len()),
            number_starts: self.number_starts.to_vec(),
            histogram_starts: self.histogram_starts.to_vec(),
            samples: self.samples,
            skipped: self.skipped,
            ..Push::default()
        }
    }

    #[inline]
    fn labels(&self, series: &Series) -> Option<LabelSet<'_>> {
        let range = series.labels_start as usize..series.labels_end as usize;
        Some(LabelSet::hashed(series.hash, self.label_sets.get(range)?))
    }
}

/// How a format writes numbers.
trait Spelling {
    /// The number that is there for this, at the begin of `rest`, and its length.
    fn number(role: Role, rest: &[u8]) -> Option<(f64, usize)>;
}

struct Text;

struct Protobuf;

impl Spelling for Text {
    #[inline]
    fn number(_role: Role, rest: &[u8]) -> Option<(f64, usize)> {
        number_at_start(rest)
    }
}

impl Spelling for Protobuf {
    #[inline]
    fn number(role: Role, rest: &[u8]) -> Option<(f64, usize)> {
        if let Role::Bucket | Role::Count = role {
            let mut behind = rest;
            let count = varint(&mut behind).ok()?;
            // Sums of counts are floats by the text format's definition.
            #[allow(clippy::cast_precision_loss)]
            return Some((count as f64, rest.len() - behind.len()));
        }
        let bytes = rest.first_chunk()?;
        Some((f64::from_le_bytes(*bytes), bytes.len()))
    }
}

impl Role {
    fn may_be_negative(self) -> bool {
        matches!(self, Role::Number | Role::Sum)
    }
}

/// A family, a metric, its value, and a bucket or quantile.
const MESSAGES_MAX: usize = 4;

/// How far a body has been read.
struct Reading<'a, 'b> {
    template: &'a Template,
    rest: &'b [u8],
    numbers: Iter<'a, Series>,
    histograms: Iter<'a, HistogramShape>,
    upper_bounds: Iter<'a, UpperBound>,
    /// The cumulative count of the bucket before.
    below: f64,
    counted_by: CountedBy,
    /// How much is left behind each message that has begun.
    message_ends: [usize; MESSAGES_MAX],
    messages: usize,
}

impl<'a> Reading<'a, '_> {
    /// Goes on behind this piece, if it comes next.
    #[inline]
    fn skip(&mut self, fixed: &[u8]) -> Option<()> {
        let (found, behind) = self.rest.split_at_checked(fixed.len())?;
        self.rest = behind;
        is_same(found, fixed).then_some(())
    }

    #[inline]
    fn take<S: Spelling>(&mut self, role: Role, push: &mut Push<'a>) -> Option<()> {
        match role {
            Role::Histogram => return self.begin_histogram(push),
            Role::Infinity => return self.add_infinity(push),
            Role::Length => return self.begin_message(),
            Role::End => return self.end_message(),
            _ => {}
        }
        let (number, length) = S::number(role, self.rest)?;
        self.rest = self.rest.get(length..)?;
        let is_right = number.is_finite() && (number >= 0.0 || role.may_be_negative());
        if !is_right && role != Role::LeftOut {
            return None;
        }
        match role {
            Role::Counter | Role::Number => self.add_number(number, push)?,
            Role::Bucket => self.add_bucket(number, push)?,
            Role::Sum => push.histograms.last_mut()?.sum = number,
            Role::Count => push.histograms.last_mut()?.count = number,
            _ => {}
        }
        Some(())
    }

    #[inline]
    fn add_number(&mut self, value: f64, push: &mut Push<'a>) -> Option<()> {
        let series = self.numbers.next()?;
        let family = series.family as usize;
        if value < 0.0 {
            push.families.get_mut(family)?.has_negative = true;
        }
        push.numbers.push(PushedNumber {
            family,
            labels: self.template.labels(series)?,
            value,
        });
        Some(())
    }

    fn begin_histogram(&mut self, push: &mut Push<'a>) -> Option<()> {
        let shape = self.histograms.next()?;
        let start = push.buckets.len();
        push.histograms.push(PushedHistogram {
            family: shape.series.family as usize,
            labels: self.template.labels(&shape.series)?,
            buckets: start..start,
            sum: 0.0,
            count: 0.0,
            left_out: shape.left_out,
            samples: shape.samples,
            native: None,
        });
        self.below = 0.0;
        self.counted_by = shape.counted_by;
        Some(())
    }

    #[inline]
    fn add_bucket(&mut self, cumulative_count: f64, push: &mut Push<'a>) -> Option<()> {
        let upper_bound = *self.upper_bounds.next()?;
        let count = cumulative_count - self.below;
        if count < 0.0 {
            return None;
        }
        self.below = cumulative_count;
        push.buckets.push(Bucket { upper_bound, count });
        let histogram = push.histograms.last_mut()?;
        histogram.buckets.end += 1;
        if self.counted_by == CountedBy::LastBucket {
            histogram.count = cumulative_count;
        }
        Some(())
    }

    /// It counts what the histogram does, or, if that was not sent, no more than the last bucket.
    fn add_infinity(&mut self, push: &mut Push<'a>) -> Option<()> {
        let count = match self.counted_by {
            CountedBy::Count => push.histograms.last()?.count,
            CountedBy::LastBucket => self.below,
        };
        self.add_bucket(count, push)
    }

    fn begin_message(&mut self) -> Option<()> {
        let length = usize::try_from(varint(&mut self.rest).ok()?).ok()?;
        *self.message_ends.get_mut(self.messages)? = self.rest.len().checked_sub(length)?;
        self.messages += 1;
        Some(())
    }

    fn end_message(&mut self) -> Option<()> {
        self.messages = self.messages.checked_sub(1)?;
        (self.message_ends[self.messages] == self.rest.len()).then_some(())
    }
}

/// True of equal texts of equal length. They are compared in blocks: the comparison that a static
/// build has from its C library goes byte by byte.
#[inline]
fn is_same(one: &[u8], other: &[u8]) -> bool {
    const BLOCK: usize = 16;
    let (one_blocks, one_rest) = one.as_chunks::<BLOCK>();
    let (other_blocks, other_rest) = other.as_chunks::<BLOCK>();
    let mut blocks = one_blocks.iter().zip(other_blocks);
    blocks.all(|(one, other)| one == other)
        && match (one.last_chunk::<BLOCK>(), other.last_chunk::<BLOCK>()) {
            // The last blocks may overlap those before.
            (Some(one), Some(other)) => one == other,
            _ => one_rest == other_rest,
        }
}
