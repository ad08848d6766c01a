//! A view of an aggregate to exposition text (Prometheus docs, exposition formats): names beyond
//! the alphabet in quotes as text version 1.0.0 has them, or with underscores for version 0.0.4.
//!
//! Invariant: the same aggregate always gives the same bytes, and `parse` reads them back into the
//! same sums, but for names with underscores. Families are in the byte order of their names, as
//! these are stored, series in that of their label sets; a histogram's buckets by upper bound, then
//! `_sum`, then `_count`; a summary has no buckets. Knows nothing of HTTP.
//!
//! A snapshot ([`render_pieces`]) has names in quotes. Of an aggregate that keeps ages, it says as
//! well since when each series is silent: in the column of timestamps, in milliseconds as in all of
//! the format; of a histogram on the line of `_count` alone. A scrape never does: Prometheus would
//! take it for the time of the sample.

mod underscores;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

pub use underscores::Omissions;

use crate::aggregate::{Family, Histogram, Position, Series, View};
use crate::metric::{UpperBound, has_quoted_label, is_plain_metric_name};
use crate::number;

/// In a second.
const MILLISECONDS: f64 = 1000.0;

/// How far an exposition has been rendered: it can be gone on with at any time, as long as the view
/// is the same one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor {
    family: Position,
    /// Within that family.
    series: Position,
    /// Within that histogram: the buckets that are written, and the observations in them.
    buckets: usize,
    cumulative_count: f64,
    is_within_family: bool,
}

/// How an exposition writes names beyond the alphabet.
#[derive(Clone, Copy, Debug)]
pub enum NameStyle<'a> {
    /// In quotes.
    Quoted,
    /// With underscores, without what is left out of this view.
    Underscores(&'a Omissions),
}

/// Appends the exposition of a view to `text`, from a cursor on, until there are `text_bytes` in it
/// or a line more. Gives the cursor to go on from, or `None` at the end of the exposition. The
/// style is the same for all of it.
pub fn render(
    view: &View,
    style: NameStyle<'_>,
    mut from: Cursor,
    text: &mut Vec<u8>,
    text_bytes: usize,
) -> Option<Cursor> {
    let mut bounds = Bounds::default();
    let family = view.visit_families_from(from.family, |stored_name, family| {
        let omissions = match style {
            NameStyle::Underscores(omissions) if family.has_quoted_names() => Some(omissions),
            _ => None,
        };
        if omissions.is_some_and(|omissions| omissions.has_family(stored_name)) {
            return ControlFlow::Continue(());
        }
        let name = &match omissions {
            Some(_) => Name::with_underscores(stored_name),
            None => Name::of(stored_name),
        };
        if !from.is_within_family {
            render_head(name, family, text);
            from.is_within_family = true;
        }
        let (next, bounds) = (&mut from, &mut bounds);
        let rest = match omissions {
            None => render_series(name, family, as_stored, next, bounds, text, text_bytes),
            Some(omissions) => {
                let shown = with_underscores(omissions.label_sets(stored_name));
                render_series(name, family, shown, next, bounds, text, text_bytes)
            }
        };
        let Some(series) = rest else {
            from = Cursor::default();
            return ControlFlow::Continue(());
        };
        from.series = series;
        ControlFlow::Break(())
    })?;
    Some(Cursor { family, ..from })
}

/// Every label set, as it is stored.
#[allow(clippy::unnecessary_wraps)] // those that are left out are none
fn as_stored(labels: &str) -> Option<Cow<'_, str>> {
    Some(labels.into())
}

/// Label sets with underscores, but for those that are left out.
fn with_underscores(
    left_out: Option<&BTreeSet<String>>,
) -> impl for<'a> Fn(&'a str) -> Option<Cow<'a, str>> {
    move |labels| {
        if !has_quoted_label(labels) {
            return Some(labels.into());
        }
        if left_out.is_some_and(|left_out| left_out.contains(labels)) {
            return None;
        }
        underscores::label_set(labels).map(Cow::Owned)
    }
}

/// Renders series of one family; gives the position of the first one that is not done. `shown`
/// gives the label set by which a series is shown, if it is.
fn render_series(
    name: &Name<'_>,
    family: &Family,
    shown: impl Fn(&str) -> Option<Cow<'_, str>>,
    from: &mut Cursor,
    bounds: &mut Bounds,
    text: &mut Vec<u8>,
    text_bytes: usize,
) -> Option<Position> {
    match &family.series {
        Series::Numbers(numbers) => numbers.visit_from(from.series, |labels, value| {
            if text.len() >= text_bytes {
                return ControlFlow::Break(());
            }
            if let Some(labels) = shown(labels) {
                render_sample(name, &[&name.text], &labels, *value, text);
                text.push(b'\n');
            }
            ControlFlow::Continue(())
        }),
        Series::Histograms(histograms) => {
            histograms.visit_from(from.series, |labels, histogram| {
                if let Some(labels) = shown(labels) {
                    bounds.write(&histogram.upper_bounds);
                    render_histogram(name, &labels, histogram, bounds, from, text, text_bytes)?;
                    text.push(b'\n');
                }
                ControlFlow::Continue(())
            })
        }
    }
}

/// The whole exposition of a view, with names in quotes.
#[must_use]
pub fn whole_text(view: &View) -> Vec<u8> {
    let mut text = Vec::new();
    // Without a limit there is nothing to go on with.
    let _ = render(
        view,
        NameStyle::Quoted,
        Cursor::default(),
        &mut text,
        usize::MAX,
    );
    text
}

/// Gives a snapshot of a view in pieces of about `piece_bytes`, each an exposition by itself: they
/// add up to the view, whoever pushes them in this order, and `parse_snapshot` reads since when its
/// series are silent, where ages are kept.
///
/// # Errors
/// The first that `piece` gives; it ends there.
pub fn render_pieces<E>(
    view: &View,
    piece_bytes: usize,
    mut piece: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut text = Vec::new();
    let mut bounds = Bounds::default();
    for (name, family) in view.families() {
        let name = &Name::of(name);
        let mut full = |text: &mut Vec<u8>| {
            if text.len() < piece_bytes {
                return Ok(());
            }
            piece(text)?;
            text.clear();
            // HELP was in the piece before.
            render_type(name, family, text);
            Ok(())
        };
        render_head(name, family, &mut text);
        match &family.series {
            Series::Numbers(numbers) => {
                for (labels, value, second) in numbers.iter_with_seconds() {
                    render_sample(name, &[&name.text], labels, *value, &mut text);
                    end_line(view.silent_since(second), &mut text);
                    full(&mut text)?;
                }
            }
            Series::Histograms(histograms) => {
                for (labels, histogram, second) in histograms.iter_with_seconds() {
                    bounds.write(&histogram.upper_bounds);
                    let (from, whole) = (&mut Cursor::default(), usize::MAX);
                    // Without a limit it is always rendered whole.
                    let _ =
                        render_histogram(name, labels, histogram, &bounds, from, &mut text, whole);
                    end_line(view.silent_since(second), &mut text);
                    full(&mut text)?;
                }
            }
        }
    }
    match text.as_slice() {
        [] => Ok(()),
        text => piece(text),
    }
}

fn render_head(name: &Name<'_>, family: &Family, text: &mut Vec<u8>) {
    match family.help.as_ref() {
        "" => {}
        help => append(
            text,
            &[
                "# HELP ", name.quote, &name.text, name.quote, " ", help, "\n",
            ],
        ),
    }
    render_type(name, family, text);
}

fn render_type(name: &Name<'_>, family: &Family, text: &mut Vec<u8>) {
    let word = family.metric_type.as_str();
    append(
        text,
        &[
            "# TYPE ", name.quote, &name.text, name.quote, " ", word, "\n",
        ],
    );
}

/// Renders a sample line but for its end; `whole` is the start of the name and the suffix.
fn render_sample(name: &Name<'_>, whole: &[&str], labels: &str, value: f64, text: &mut Vec<u8>) {
    if name.is_plain() {
        append(text, whole);
        match labels {
            "" => append(text, &[" "]),
            labels => append(text, &["{", labels, "} "]),
        }
    } else {
        let comma = if labels.is_empty() { "" } else { "," };
        append(text, &["{\""]);
        append(text, whole);
        append(text, &["\"", comma, labels, "} "]);
    }
    number::append(value, text);
}

/// Ends a sample line, with the timestamp of a second if one is given.
fn end_line(second: Option<u32>, text: &mut Vec<u8>) {
    if let Some(second) = second {
        text.push(b' ');
        number::append(f64::from(second) * MILLISECONDS, text);
    }
    text.push(b'\n');
}

/// The name of a family as it is shown. In quotes, it stands among the labels of a sample (text
/// format 1.0.0).
struct Name<'a> {
    text: Cow<'a, str>,
    /// What stands around it: a quote or nothing.
    quote: &'static str,
}

impl Name<'_> {
    /// In quotes, if it needs them.
    fn of(name: &str) -> Name<'_> {
        let quote = if is_plain_metric_name(name) { "" } else { "\"" };
        let text = name.into();
        Name { text, quote }
    }

    fn with_underscores(name: &str) -> Name<'_> {
        Name {
            text: underscores::metric_name(name),
            quote: "",
        }
    }

    fn is_plain(&self) -> bool {
        self.quote.is_empty()
    }
}

/// The bounds of more buckets than that are written for each histogram: keeping them would take
/// memory that grows with what is stored.
const KEPT_BOUNDS_MAX: usize = 256;

/// The bounds of the histogram before, as they are written: mostly the next one has them too.
#[derive(Default)]
struct Bounds {
    values: Vec<UpperBound>,
    written: Vec<String>,
}

impl Bounds {
    fn write(&mut self, values: &[UpperBound]) {
        if values.len() > KEPT_BOUNDS_MAX {
            *self = Bounds::default();
        } else if self.values != values {
            self.values = values.to_vec();
            let written = values.iter().map(|bound| number::written(bound.value()));
            self.written = written.collect();
        }
    }

    fn append(&self, bucket: usize, bound: UpperBound, text: &mut Vec<u8>) {
        match self.written.get(bucket) {
            Some(written) => text.extend_from_slice(written.as_bytes()),
            None => number::append(bound.value(), text),
        }
    }
}

/// Renders a histogram but for the end of its last line, from the cursor's bucket on; breaks off
/// before the first line that begins beyond `text_bytes`.
fn render_histogram(
    name: &Name<'_>,
    labels: &str,
    histogram: &Histogram,
    bounds: &Bounds,
    from: &mut Cursor,
    text: &mut Vec<u8>,
    text_bytes: usize,
) -> ControlFlow<()> {
    let comma = if labels.is_empty() { "" } else { "," };
    let buckets = histogram.upper_bounds.iter().zip(&histogram.counts);
    for (&bound, count) in buckets.skip(from.buckets) {
        if text.len() >= text_bytes {
            return ControlFlow::Break(());
        }
        // Reading subtracts again, and adding up the difference gives the same: for a and b not
        // negative, a + ((a + b) - a) == a + b holds in floats too, though the parts are rounded.
        // At the upper end that asks for an even last digit, which the largest float has not.
        from.cumulative_count = (from.cumulative_count + count).min(f64::MAX.next_down());
        if name.is_plain() {
            append(text, &[&name.text, "_bucket{", labels, comma, "le=\""]);
        } else {
            let head = ["{\"", &name.text, "_bucket\",", labels, comma, "le=\""];
            append(text, &head);
        }
        bounds.append(from.buckets, bound, text);
        append(text, &["\"} "]);
        number::append(from.cumulative_count, text);
        text.push(b'\n');
        from.buckets += 1;
    }
    if text.len() >= text_bytes {
        return ControlFlow::Break(());
    }
    render_sample(name, &[&name.text, "_sum"], labels, histogram.sum, text);
    text.push(b'\n');
    render_sample(name, &[&name.text, "_count"], labels, histogram.count, text);
    (from.buckets, from.cumulative_count) = (0, 0.0);
    ControlFlow::Continue(())
}

fn append(text: &mut Vec<u8>, pieces: &[&str]) {
    text.reserve(pieces.iter().map(|piece| piece.len()).sum());
    for piece in pieces {
        text.extend_from_slice(piece.as_bytes());
    }
}
