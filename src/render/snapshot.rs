//! The text of snapshots: in pieces each of which is an exposition by itself, with ages.

use std::ops::ControlFlow;

use super::text::Lines;
use super::walk::{
    Cursor, NameStyle, Part, Picked, Progress, ShownFamily, ShownSeries, Writer, walk,
};
use crate::aggregate::{GaugeSum, HeldSum, Histogram, View};
use crate::metric::NativeHistogram;
use crate::number;

/// In a second.
const MILLISECONDS: f64 = 1000.0;

/// An index and a count in a record of a snapshot.
const NATIVE_BUCKET_BYTES: usize = 12;

/// The numbers of a native histogram beside its buckets take the room of this number of buckets.
const NATIVE_NUMBERS: usize = 4;

/// Gives a snapshot of a view, but for the series that senders hold, in pieces of about
/// `piece_bytes`, each an exposition by itself: they add up to the view, whoever pushes them in
/// this order, and `parse_snapshot` reads since when its series are silent, where ages are kept.
/// Text cannot say native histograms: those of its histograms come with each piece.
///
/// # Errors
/// The first that `piece` gives; it ends there.
pub fn render_pieces<E>(
    view: &View,
    piece_bytes: usize,
    mut piece: impl FnMut(&[u8], Vec<PlacedNative>) -> Result<(), E>,
) -> Result<(), E> {
    pieces(view, Picked::Ordinary, piece_bytes, |text, beside| {
        piece(text, std::mem::take(&mut beside.natives))
    })
}

/// The native part of a histogram in a piece of a snapshot, exposed or not.
#[derive(Clone, Debug, PartialEq)]
pub struct PlacedNative {
    /// Of the histogram among the histograms and summaries of the piece.
    pub place: usize,
    /// What is stored of it.
    pub native: NativeHistogram,
}

/// Gives the series that senders hold, which are left out of [`render_pieces`], in pieces of about
/// `piece_bytes`: an exposition by itself, and the sums of its series in their order. See
/// [`Aggregate::restore_held`](crate::aggregate::Aggregate::restore_held).
///
/// # Errors
/// The first that `piece` gives; it ends there.
pub fn render_held_pieces<E>(
    view: &View,
    piece_bytes: usize,
    mut piece: impl FnMut(&[u8], &[HeldSum]) -> Result<(), E>,
) -> Result<(), E> {
    pieces(view, Picked::Held, piece_bytes, |text, beside| {
        piece(text, &beside.held)
    })
}

/// What there is to say of the series of a piece that its text cannot.
#[derive(Default)]
struct Beside {
    /// The sums of its series that senders hold.
    held: Vec<HeldSum>,
    natives: Vec<PlacedNative>,
    /// About as many as the native parts take in a record.
    native_bytes: usize,
    /// Histograms and summaries.
    histograms: usize,
}

impl Beside {
    /// Takes the native part of the next histogram, if it has one.
    fn take_native(&mut self, histogram: &Histogram) {
        if let Some(native) = histogram.native.as_deref() {
            self.native_bytes += NATIVE_BUCKET_BYTES * (native.buckets() + NATIVE_NUMBERS);
            self.natives.push(PlacedNative {
                place: self.histograms,
                native: native.clone(),
            });
        }
        self.histograms += 1;
    }
}

fn pieces<E>(
    view: &View,
    picked: Picked,
    piece_bytes: usize,
    mut piece: impl FnMut(&[u8], &mut Beside) -> Result<(), E>,
) -> Result<(), E> {
    let mut from = Some(Cursor::default());
    let mut text = Vec::new();
    while let Some(cursor) = from {
        text.clear();
        let mut beside = Beside::default();
        let mut snapshot = Snapshot {
            view,
            lines: Lines::new(&mut text),
            series_bytes: 0,
            piece_bytes,
            beside: &mut beside,
        };
        from = walk(view, picked, NameStyle::Quoted, cursor, &mut snapshot);
        if !text.is_empty() {
            piece(&text, &mut beside)?;
        }
    }
    Ok(())
}

/// One piece of a snapshot.
struct Snapshot<'a> {
    view: &'a View,
    lines: Lines<'a>,
    /// The length up to the end of its last series: no piece ends with the head of a family, whose
    /// HELP text would be lost where there is no series.
    series_bytes: usize,
    /// It is full with these.
    piece_bytes: usize,
    beside: &'a mut Beside,
}

impl Snapshot<'_> {
    /// Ends a sample line, with a timestamp where ages are kept.
    fn end_line(&mut self, series: ShownSeries<'_>) {
        if let Some(second) = self.view.silent_since(series.second) {
            self.lines.text.push(b' ');
            number::append(f64::from(second) * MILLISECONDS, self.lines.text);
        }
        self.lines.end();
        self.series_bytes = self.lines.text.len();
    }
}

impl Writer for Snapshot<'_> {
    fn is_full(&self) -> bool {
        self.series_bytes + self.beside.native_bytes >= self.piece_bytes
    }

    fn begin(&mut self, of: &ShownFamily<'_>, part: Part) {
        self.lines.name(of);
        // In the rest of a family, HELP was in a piece before.
        if part == Part::First {
            self.lines.help(of);
        }
        self.lines.metric_type(of);
    }

    fn number(&mut self, of: &ShownFamily<'_>, series: ShownSeries<'_>, value: f64) {
        self.lines.sample(of, "", series.labels, value);
        self.end_line(series);
    }

    fn gauge(&mut self, of: &ShownFamily<'_>, series: ShownSeries<'_>, value: f64, sum: &GaugeSum) {
        self.number(of, series, value);
        self.beside.held.extend(sum.held());
    }

    fn histogram(
        &mut self,
        of: &ShownFamily<'_>,
        series: ShownSeries<'_>,
        histogram: &Histogram,
        _progress: &mut Progress,
    ) -> ControlFlow<()> {
        self.lines.buckets(of, series.labels, histogram);
        self.lines.sum_and_count(of, series.labels, histogram);
        self.end_line(series);
        self.beside.take_native(histogram);
        ControlFlow::Continue(())
    }
}
