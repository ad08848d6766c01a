//! The one way through a view: its families in order, their series in order, from a cursor on. What
//! becomes of them is the writer's.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::underscores::{self, Omissions};
use crate::aggregate::{Family, GaugeSum, Histogram, Position, Run, Series, View};
use crate::metric::has_quoted_label;

/// How far an exposition has been rendered: it can be gone on with at any time, as long as the view
/// is the same one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor {
    family: Position,
    /// Within that family.
    series: Position,
    part: Part,
    progress: Progress,
}

/// Which part of a family is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// Its first one, or all of it.
    #[default]
    First,
    /// One that goes on after a piece.
    Continued,
}

/// How much of a histogram is written already.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Its first buckets.
    pub buckets: usize,
    /// The observations in these.
    pub cumulative_count: f64,
}

impl Progress {
    /// Goes on to the next bucket, which has this count of its own, and gives the cumulative one.
    pub fn add(&mut self, count: f64) -> f64 {
        self.buckets += 1;
        // What is read from a snapshot has to render as the same again. Reading subtracts, and
        // adding up the difference gives the same: for a and b not
        // negative, a + ((a + b) - a) == a + b holds in floats too, though the parts are rounded.
        // At the upper end that asks for an even last digit, which the largest float has not.
        self.cumulative_count = (self.cumulative_count + count).min(f64::MAX.next_down());
        self.cumulative_count
    }
}

/// How an exposition writes names beyond the alphabet.
#[derive(Clone, Copy, Debug)]
pub enum NameStyle<'a> {
    /// As they are; in text, in quotes.
    Quoted,
    /// With underscores, without what is left out of this view.
    Underscores(&'a Omissions),
}

impl<'a> NameStyle<'a> {
    /// What is left out of the view, where names of this family have underscores.
    fn omissions(self, family: &Family) -> Option<&'a Omissions> {
        match self {
            NameStyle::Underscores(omissions) if family.has_quoted_names() => Some(omissions),
            _ => None,
        }
    }
}

/// The series that are written. Senders hold gauges alone; a family of another type is ordinary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picked {
    /// All that a scrape shows.
    Exposed,
    /// Those that no sender holds.
    Ordinary,
    /// Those that senders hold.
    Held,
}

impl Picked {
    fn are_in(self, family: &Family) -> bool {
        match self {
            Picked::Exposed => true,
            Picked::Ordinary => !family.is_held_whole(),
            Picked::Held => family.held_series() > 0,
        }
    }

    /// The value of a series, if it is picked.
    fn value(self, family: &Family, sum: &GaugeSum) -> Option<f64> {
        match self {
            Picked::Exposed => sum.value(),
            Picked::Ordinary => family.ordinary_value(sum),
            Picked::Held => sum.value().filter(|_| sum.held().is_some()),
        }
    }
}

/// A family as an exposition shows it.
pub struct ShownFamily<'a> {
    /// Escaped as it would be in quotes.
    pub name: Cow<'a, str>,
    /// Its type, its HELP text and its series.
    pub family: &'a Family,
}

impl ShownFamily<'_> {
    fn new<'a>(
        name: &'a str,
        family: &'a Family,
        omissions: Option<&Omissions>,
    ) -> ShownFamily<'a> {
        ShownFamily {
            name: match omissions {
                Some(_) => underscores::metric_name(name),
                None => name.into(),
            },
            family,
        }
    }
}

/// One series as an exposition shows it.
#[derive(Clone, Copy)]
pub struct ShownSeries<'a> {
    /// Its canonical label set.
    pub labels: &'a str,
    /// The second in which it was last pushed, where that is kept.
    pub second: Option<u32>,
}

/// What makes bytes of a view, which a walk gives it piece by piece.
pub trait Writer {
    /// True if no more is to be written: the walk ends before the next family or series.
    fn is_full(&self) -> bool;

    /// A family begins, or goes on after a piece.
    fn begin(&mut self, of: &ShownFamily<'_>, part: Part);

    /// A series that is one number.
    fn number(&mut self, of: &ShownFamily<'_>, series: ShownSeries<'_>, value: f64);

    /// Several of them, until it is full: then it breaks with how many it has taken.
    fn numbers(&mut self, of: &ShownFamily<'_>, run: Run<'_, f64>) -> ControlFlow<usize> {
        for (taken, (labels, &value, second)) in run.entries().enumerate() {
            if self.is_full() {
                return ControlFlow::Break(taken);
            }
            self.number(of, ShownSeries { labels, second }, value);
        }
        ControlFlow::Continue(())
    }

    /// The same of a family to which senders contribute.
    fn gauge(
        &mut self,
        of: &ShownFamily<'_>,
        series: ShownSeries<'_>,
        value: f64,
        _sum: &GaugeSum,
    ) {
        self.number(of, series, value);
    }

    /// A histogram, or a summary, which has no buckets. It may break off between two buckets: then
    /// the next walk goes on there.
    fn histogram(
        &mut self,
        of: &ShownFamily<'_>,
        series: ShownSeries<'_>,
        histogram: &Histogram,
        progress: &mut Progress,
    ) -> ControlFlow<()>;

    /// A family ends, or the piece does.
    fn end(&mut self) {}
}

/// Gives a writer what is picked of a view, from a cursor on, until it is full. Gives the cursor to
/// go on from, or `None` at the end of the view. What is picked and the style are the same for all
/// of it.
pub fn walk(
    view: &View,
    picked: Picked,
    style: NameStyle<'_>,
    mut from: Cursor,
    writer: &mut impl Writer,
) -> Option<Cursor> {
    let family = view.visit_families_from(from.family, |stored_name, family| {
        let omissions = style.omissions(family);
        let is_left_out = omissions.is_some_and(|omissions| omissions.has_family(stored_name));
        if is_left_out || !picked.are_in(family) {
            return ControlFlow::Continue(());
        }
        if writer.is_full() {
            return ControlFlow::Break(());
        }
        let labels = match omissions {
            None => Labels::AsStored,
            Some(omissions) => Labels::Underscores(omissions.label_sets(stored_name)),
        };
        let of = ShownFamily::new(stored_name, family, omissions);
        writer.begin(&of, from.part);
        from.part = Part::Continued;
        let rest = walk_series(&of, picked, &labels, &mut from, writer);
        writer.end();
        let Some(series) = rest else {
            from = Cursor::default();
            return ControlFlow::Continue(());
        };
        from.series = series;
        ControlFlow::Break(())
    })?;
    Some(Cursor { family, ..from })
}

/// Goes through the series of one family; gives the position of the first one that is not done.
fn walk_series(
    of: &ShownFamily<'_>,
    picked: Picked,
    shown: &Labels<'_>,
    from: &mut Cursor,
    writer: &mut impl Writer,
) -> Option<Position> {
    match &of.family.series {
        Series::Numbers(numbers) if shown.are_as_stored() => {
            numbers.visit_runs_from(from.series, |run| writer.numbers(of, run))
        }
        Series::Numbers(numbers) => numbers.visit_from(from.series, |labels, &value, second| {
            if writer.is_full() {
                return ControlFlow::Break(());
            }
            shown.show(labels, |labels| {
                writer.number(of, ShownSeries { labels, second }, value);
                ControlFlow::Continue(())
            })
        }),
        Series::Gauges(gauges) => {
            let sums = gauges.sums();
            sums.visit_from(from.series, |labels, sum, second| {
                let Some(value) = picked.value(of.family, sum) else {
                    return ControlFlow::Continue(());
                };
                if writer.is_full() {
                    return ControlFlow::Break(());
                }
                shown.show(labels, |labels| {
                    writer.gauge(of, ShownSeries { labels, second }, value, sum);
                    ControlFlow::Continue(())
                })
            })
        }
        Series::Histograms(histograms) => {
            histograms.visit_from(from.series, |labels, histogram, second| {
                if writer.is_full() {
                    return ControlFlow::Break(());
                }
                shown.show(labels, |labels| {
                    let series = ShownSeries { labels, second };
                    writer.histogram(of, series, histogram, &mut from.progress)?;
                    from.progress = Progress::default();
                    ControlFlow::Continue(())
                })
            })
        }
    }
}

/// How the label sets of a family are shown.
enum Labels<'a> {
    AsStored,
    /// With underscores, but for those that are left out.
    Underscores(Option<&'a BTreeSet<String>>),
}

impl Labels<'_> {
    fn are_as_stored(&self) -> bool {
        matches!(self, Labels::AsStored)
    }

    /// Gives the label set by which a series is shown, if it is.
    #[inline]
    fn show(&self, labels: &str, show: impl FnOnce(&str) -> ControlFlow<()>) -> ControlFlow<()> {
        match self {
            Labels::Underscores(left_out) if has_quoted_label(labels) => {
                show_with_underscores(labels, *left_out, show)
            }
            _ => show(labels),
        }
    }
}

#[cold]
fn show_with_underscores(
    labels: &str,
    left_out: Option<&BTreeSet<String>>,
    show: impl FnOnce(&str) -> ControlFlow<()>,
) -> ControlFlow<()> {
    if left_out.is_some_and(|left_out| left_out.contains(labels)) {
        return ControlFlow::Continue(());
    }
    match underscores::label_set(labels) {
        Some(labels) => show(&labels),
        None => ControlFlow::Continue(()),
    }
}
