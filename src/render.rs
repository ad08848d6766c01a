//! A view of an aggregate to exposition text (Prometheus docs, exposition formats, text version
//! 0.0.4).
//!
//! Invariant: the same aggregate always gives the same bytes, and `parse` reads them back into the
//! same sums. Families are in the byte order of their names, series in that of their label sets;
//! a histogram's buckets by upper bound, then `_sum`, then `_count`. Knows nothing of HTTP.

use std::convert::Infallible;

use crate::aggregate::{Family, Histogram, Series, View};
use crate::metric::UpperBound;
use crate::number;

/// Appends the exposition of a view to `text`. As often as there are so many bytes in it, `full` is
/// given it at the end of a line, and may take out what is there.
///
/// # Errors
/// The first that `full` gives; it ends there.
pub fn render<E>(
    view: &View,
    text: &mut Vec<u8>,
    piece_bytes: usize,
    mut full: impl FnMut(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let mut full = |text: &mut Vec<u8>| match text.len() {
        length if length >= piece_bytes => full(text),
        _ => Ok(()),
    };
    let mut bounds = Bounds::default();
    for (name, family) in view.families() {
        render_head(name, family, text);
        match &family.series {
            Series::Numbers(numbers) => {
                for (labels, value) in numbers.iter() {
                    render_sample(&[name], labels, *value, text);
                    full(text)?;
                }
            }
            Series::Histograms(histograms) => {
                for (labels, histogram) in histograms.iter() {
                    bounds.write(&histogram.upper_bounds);
                    render_histogram(name, labels, histogram, &bounds, text, &mut full)?;
                }
            }
        }
    }
    Ok(())
}

/// The whole exposition of a view.
#[must_use]
pub fn whole_text(view: &View) -> Vec<u8> {
    let mut text = Vec::new();
    let Ok(()) = render(view, &mut text, usize::MAX, |_| Ok::<(), Infallible>(()));
    text
}

/// Gives the exposition of a view in pieces of about `piece_bytes`, each an exposition by itself:
/// they add up to the view, whoever pushes them in this order.
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
            Series::Numbers(numbers) => numbers.iter().try_for_each(|(labels, value)| {
                render_sample(&[name], labels, *value, &mut text);
                full(&mut text)
            })?,
            Series::Histograms(histograms) => {
                for (labels, histogram) in histograms.iter() {
                    bounds.write(&histogram.upper_bounds);
                    let whole = &mut |_: &mut Vec<u8>| Ok(());
                    render_histogram(name, labels, histogram, &bounds, &mut text, whole)?;
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

fn render_head(name: &str, family: &Family, text: &mut Vec<u8>) {
    match family.help.as_ref() {
        "" => {}
        help => append(text, &["# HELP ", name, " ", help, "\n"]),
    }
    render_type(name, family, text);
}

fn render_type(name: &str, family: &Family, text: &mut Vec<u8>) {
    append(
        text,
        &["# TYPE ", name, " ", family.metric_type.as_str(), "\n"],
    );
}

fn render_sample(name: &[&str], labels: &str, value: f64, text: &mut Vec<u8>) {
    append(text, name);
    match labels {
        "" => append(text, &[" "]),
        labels => append(text, &["{", labels, "} "]),
    }
    number::append(value, text);
    text.push(b'\n');
}

/// The bounds of the histogram before, as they are written: mostly the next one has them too.
#[derive(Default)]
struct Bounds {
    values: Vec<UpperBound>,
    written: Vec<String>,
}

impl Bounds {
    fn write(&mut self, values: &[UpperBound]) {
        if self.values != values {
            self.values = values.to_vec();
            let written = values.iter().map(|bound| number::written(bound.value()));
            self.written = written.collect();
        }
    }
}

fn render_histogram<E>(
    name: &str,
    labels: &str,
    histogram: &Histogram,
    bounds: &Bounds,
    text: &mut Vec<u8>,
    full: &mut impl FnMut(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let comma = if labels.is_empty() { "" } else { "," };
    let mut cumulative_count = 0.0;
    for (le, count) in bounds.written.iter().zip(&histogram.counts) {
        // Reading subtracts again, and adding up the difference gives the same: for a and b not
        // negative, a + ((a + b) - a) == a + b holds in floats too, though the parts are rounded.
        // At the upper end that asks for an even last digit, which the largest float has not.
        cumulative_count = (cumulative_count + count).min(f64::MAX.next_down());
        append(
            text,
            &[name, "_bucket{", labels, comma, "le=\"", le, "\"} "],
        );
        number::append(cumulative_count, text);
        text.push(b'\n');
        full(text)?;
    }
    render_sample(&[name, "_sum"], labels, histogram.sum, text);
    render_sample(&[name, "_count"], labels, histogram.count, text);
    full(text)
}

fn append(text: &mut Vec<u8>, pieces: &[&str]) {
    text.reserve(pieces.iter().map(|piece| piece.len()).sum());
    for piece in pieces {
        text.extend_from_slice(piece.as_bytes());
    }
}
