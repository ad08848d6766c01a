//! The text of snapshots: in pieces each of which is an exposition by itself, with ages.

use std::ops::ControlFlow;

use super::text::{LINE_END, Lines};
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
        let mut snapshot = Snapshot {
            view,
            lines: Lines::new(&mut text),
            series_bytes: 0,
            piece_bytes,
            beside: Beside::default(),
            line_end: Vec::new(),
        };
        from = walk(view, picked, NameStyle::Quoted, cursor, &mut snapshot);
        let mut beside = snapshot.finish();
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
    beside: Beside,
    /// How the line of the last series ends.
    line_end: Vec<u8>,
}

impl Snapshot<'_> {
    /// Ends its text, and gives what stands beside it.
    fn finish(self) -> Beside {
        self.beside
    }

    /// Sets how the line of a series ends: with a timestamp where ages are kept.
    fn set_line_end(&mut self, series: ShownSeries<'_>) {
        self.line_end.clear();
        if let Some(second) = self.view.silent_since(series.second) {
            self.line_end.push(b' ');
            number::append(f64::from(second) * MILLISECONDS, &mut self.line_end);
        }
        self.line_end.extend_from_slice(LINE_END);
    }
}

impl Writer for Snapshot<'_> {
    fn is_full(&self) -> bool {
        self.series_bytes + self.beside.native_bytes >= self.piece_bytes
    }

    fn begin(&mut self, of: &ShownFamily<'_>, part: Part) {
        self.lines.begin(of);
        // In the rest of a family, HELP was in a piece before.
        if part == Part::First {
            self.lines.help(of);
        }
        self.lines.metric_type(of);
    }

    fn number(&mut self, _of: &ShownFamily<'_>, series: ShownSeries<'_>, value: f64) {
        self.set_line_end(series);
        self.lines.number(series.labels, value, &self.line_end);
        self.series_bytes = self.lines.length();
    }

    fn gauge(&mut self, of: &ShownFamily<'_>, series: ShownSeries<'_>, value: f64, sum: &GaugeSum) {
        self.number(of, series, value);
        self.beside.held.extend(sum.held());
    }

    fn histogram(
        &mut self,
        _of: &ShownFamily<'_>,
        series: ShownSeries<'_>,
        histogram: &Histogram,
        progress: &mut Progress,
    ) -> ControlFlow<()> {
        self.lines
            .buckets(series.labels, histogram, progress, usize::MAX)?;
        self.set_line_end(series);
        self.lines
            .sum_and_count(series.labels, histogram, &self.line_end);
        self.series_bytes = self.lines.length();
        self.beside.take_native(histogram);
        ControlFlow::Continue(())
    }
}
