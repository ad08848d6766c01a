//! Reads repeated bodies: the same text with other numbers. Senders push the same series in the
//! same order again and again.
//!
//! A template is an accepted body without its numbers: what stands between them, and what each of
//! them adds to. A body that has the same between its numbers needs no second look at names and
//! labels: whether they are right, which series they mean, and that each comes once was found out
//! when the template was made.
//!
//! Invariant: of a body that a template reads, `parse` makes the same push. Whatever may not be so
//! is left to that: other text, other limits, a number that is not plain or that is left out or
//! refused.

mod reading;

use std::borrow::Cow;

use super::format::Format;
use super::marks::{MarkKind, Marked};
use super::names::{Kind, Part};
use crate::grouping_key::GroupingKey;
use crate::keyed_hash::KeyedHash;
use crate::label_limits::LabelLimits;
use crate::metric::{LabelSet, LeftOut, Push, PushedFamily, SkippedSamples, Start, UpperBound};

/// See the module.
#[derive(Debug)]
pub struct Template {
    format: Format,
    key: GroupingKey,
    limits: LabelLimits,
    /// What stands between the numbers and behind the last of them, concatenated.
    fixed: Box<[u8]>,
    marks: Box<[Mark]>,
    /// How many samples the labels of the path are put on, at most.
    labelled_samples: usize,
    /// As before any number was read.
    families: Box<[PushedFamily<'static>]>,
    /// Concatenated.
    label_sets: Box<str>,
    numbers: Box<[Series]>,
    histograms: Box<[HistogramShape]>,
    /// Of the buckets of all histograms.
    upper_bounds: Box<[UpperBound]>,
    number_starts: Box<[Start]>,
    histogram_starts: Box<[Start]>,
    samples: u64,
    skipped: SkippedSamples,
}

/// A number, or something else that stands between two pieces.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// Where the piece before it ends.
    fixed_end: u32,
    role: Role,
}

/// What is done at the end of a piece. Most roles take a number there; some take no bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Nothing: the next histogram or summary begins.
    Histogram,
    /// Nothing: the bucket `+Inf` of the histogram, which was not sent.
    Infinity,
    /// The length of a message.
    Length,
    /// Nothing: the end of the message whose length came last and that has not ended yet.
    End,
    /// It adds to the next counter.
    Counter,
    /// It adds to the next gauge or untyped series.
    Number,
    /// It is the cumulative count of the histogram's next bucket.
    Bucket,
    /// It is the sum of the histogram.
    Sum,
    /// It is the number of its observations.
    Count,
    /// It is left out, whatever it is.
    LeftOut,
}

#[derive(Clone, Copy, Debug)]
struct Series {
    /// The place of its family.
    family: u32,
    /// Where its label set is among those.
    labels_start: u32,
    labels_end: u32,
    hash: KeyedHash,
}

#[derive(Clone, Copy, Debug)]
struct HistogramShape {
    series: Series,
    left_out: LeftOut,
    samples: u64,
    counted_by: CountedBy,
}

/// Where the count of a histogram is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CountedBy {
    Count,
    LastBucket,
}

impl Template {
    /// About how much memory it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let texts = |family: &PushedFamily<'_>| family.name.len() + family.help.len();
        size_of_val(self)
            + self.key.length()
            + self.families.iter().map(texts).sum::<usize>()
            + self.fixed.len()
            + self.label_sets.len()
            + size_of_val(&*self.marks)
            + size_of_val(&*self.families)
            + size_of_val(&*self.numbers)
            + size_of_val(&*self.histograms)
            + size_of_val(&*self.upper_bounds)
            + size_of_val(&*self.number_starts)
            + size_of_val(&*self.histogram_starts)
    }
}

/// What a template is made of, as far as its body has been gone through.
struct TemplateBuilder<'a, 'p> {
    push: &'a Push<'p>,
    fixed: Vec<u8>,
    label_sets: String,
    marks: Vec<Mark>,
    numbers: Vec<Series>,
    histograms: Vec<HistogramShape>,
    upper_bounds: Vec<UpperBound>,
}

impl Template {
    /// The template of an accepted body, if there can be one: it has samples, all are finite, the
    /// samples of each histogram stand together and its buckets in order.
    pub(super) fn new(
        (format, key, limits): (Format, &GroupingKey, LabelLimits),
        body: &[u8],
        marks: &[Marked],
        labelled_samples: usize,
        push: &Push<'_>,
    ) -> Option<Template> {
        if marks.is_empty() || !depends_on_no_value(push) {
            return None;
        }
        let mut builder = TemplateBuilder {
            push,
            fixed: Vec::with_capacity(body.len()),
            label_sets: String::new(),
            marks: Vec::with_capacity(marks.len()),
            numbers: Vec::with_capacity(push.numbers.len()),
            histograms: Vec::with_capacity(push.histograms.len()),
            upper_bounds: Vec::with_capacity(push.buckets.len()),
        };
        let mut end = 0;
        for mark in marks {
            let piece = body.get(end..mark.range.start)?;
            end = mark.range.end;
            builder.note(piece, &mark.kind)?;
        }
        builder.end_histogram()?;
        builder.fixed.extend(body.get(end..)?);
        let bounds = push.buckets.iter().map(|bucket| bucket.upper_bound);
        let is_whole = builder.numbers.len() == push.numbers.len()
            && builder.histograms.len() == push.histograms.len()
            && builder.upper_bounds.iter().copied().eq(bounds);
        let made = is_whole.then(|| Template {
            labelled_samples,
            ..builder.finish(format, key, limits)
        })?;
        // A number that is left out stands for nothing here.
        let is_read = made.read(format, body, key, limits).as_ref() == Some(push);
        is_read.then_some(made)
    }
}

/// True if whatever was made of the samples but their values depends on names, labels and starts.
fn depends_on_no_value(push: &Push<'_>) -> bool {
    let of_names = SkippedSamples {
        summary: push.skipped.summary,
        gauge_histogram: push.skipped.gauge_histogram,
        created: push.skipped.created,
        ..SkippedSamples::default()
    };
    let mut histograms = push.histograms.iter();
    push.skipped == of_names && histograms.all(|histogram| histogram.native.is_none())
}

impl TemplateBuilder<'_, '_> {
    /// Takes a piece of the body and what stands behind it.
    fn note(&mut self, piece: &[u8], mark: &MarkKind) -> Option<()> {
        let role = match *mark {
            MarkKind::Length => Role::Length,
            MarkKind::End => Role::End,
            MarkKind::Number {
                kind,
                place,
                upper_bound,
            } => self.number(kind, place, upper_bound)?,
        };
        self.fixed.extend(piece);
        self.mark(role)
    }

    fn mark(&mut self, role: Role) -> Option<()> {
        let fixed_end = u32::try_from(self.fixed.len()).ok()?;
        self.marks.push(Mark { fixed_end, role });
        Some(())
    }

    fn number(&mut self, kind: Kind, place: usize, upper_bound: UpperBound) -> Option<Role> {
        let role = Role::of(kind);
        match role {
            Role::Counter | Role::Number => {
                let number = self.push.numbers.get(place)?;
                if place != self.numbers.len() {
                    return None;
                }
                let series = self.series(number.family, &number.labels)?;
                self.numbers.push(series);
            }
            Role::LeftOut => {}
            _ => self.part(role, place, upper_bound)?,
        }
        Some(role)
    }

    fn part(&mut self, role: Role, place: usize, upper_bound: UpperBound) -> Option<()> {
        if place == self.histograms.len() {
            self.end_histogram()?;
            let histogram = self.push.histograms.get(place)?;
            let series = self.series(histogram.family, &histogram.labels)?;
            self.histograms.push(HistogramShape {
                series,
                left_out: histogram.left_out,
                samples: histogram.samples,
                counted_by: CountedBy::LastBucket,
            });
            self.mark(Role::Histogram)?;
        }
        if place + 1 != self.histograms.len() {
            return None;
        }
        match role {
            Role::Bucket => self.upper_bounds.push(upper_bound),
            Role::Count => self.histograms.last_mut()?.counted_by = CountedBy::Count,
            _ => {}
        }
        Some(())
    }

    /// The samples of the histogram before have all come.
    fn end_histogram(&mut self) -> Option<()> {
        let Some(last) = self.histograms.len().checked_sub(1) else {
            return Some(());
        };
        let end = self.push.histograms.get(last)?.buckets.end;
        if self.upper_bounds.len() + 1 == end {
            self.upper_bounds.push(UpperBound::INFINITY);
            self.mark(Role::Infinity)?;
        }
        (self.upper_bounds.len() == end).then_some(())
    }

    fn series(&mut self, family: usize, labels: &LabelSet<'_>) -> Option<Series> {
        let labels_start = u32::try_from(self.label_sets.len()).ok()?;
        self.label_sets.push_str(labels.as_str());
        Some(Series {
            family: u32::try_from(family).ok()?,
            labels_start,
            labels_end: u32::try_from(self.label_sets.len()).ok()?,
            hash: labels.hash(),
        })
    }

    fn finish(self, format: Format, key: &GroupingKey, limits: LabelLimits) -> Template {
        let push = self.push;
        let families = push.families.iter().map(|family| PushedFamily {
            name: Cow::Owned(family.name.to_string()),
            help: Cow::Owned(family.help.to_string()),
            has_negative: false,
            ..*family
        });
        Template {
            format,
            key: key.clone(),
            limits,
            fixed: self.fixed.into(),
            marks: self.marks.into(),
            labelled_samples: 0,
            families: families.collect(),
            label_sets: self.label_sets.into(),
            numbers: self.numbers.into(),
            histograms: self.histograms.into(),
            upper_bounds: self.upper_bounds.into(),
            number_starts: push.number_starts.as_slice().into(),
            histogram_starts: push.histogram_starts.as_slice().into(),
            samples: push.samples,
            skipped: push.skipped,
        }
    }
}

impl Role {
    fn of(kind: Kind) -> Role {
        match kind {
            Kind::Counter => Role::Counter,
            Kind::Number => Role::Number,
            Kind::Histogram(Part::Own | Part::Bucket) => Role::Bucket,
            Kind::Histogram(Part::Sum) | Kind::Summary(Part::Sum) => Role::Sum,
            Kind::Histogram(Part::Count) | Kind::Summary(Part::Count) => Role::Count,
            Kind::Summary(Part::Own | Part::Bucket) | Kind::GaugeHistogram => Role::LeftOut,
        }
    }
}
