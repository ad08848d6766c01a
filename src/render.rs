//! An aggregate to exposition text (Prometheus docs, exposition formats, text version 0.0.4).
//!
//! Invariant: the same aggregate always gives the same bytes, and `parse` reads them back into the
//! same sums. Families are in the byte order of their names, series in that of their label sets;
//! a histogram's buckets by upper bound, then `_sum`, then `_count`. Knows nothing of HTTP.

use crate::aggregate::{Aggregate, Family, Histogram, Series};
use crate::number;

/// Appends the exposition of `aggregate` to `text`.
pub fn render(aggregate: &Aggregate, text: &mut Vec<u8>) {
    for (name, family) in aggregate.families() {
        render_family(name, family, text);
    }
}

fn render_family(name: &str, family: &Family, text: &mut Vec<u8>) {
    let metric_type = family.metric_type.as_str();
    match family.help.as_ref() {
        "" => {}
        help => append(text, &["# HELP ", name, " ", help, "\n"]),
    }
    append(text, &["# TYPE ", name, " ", metric_type, "\n"]);
    match &family.series {
        Series::Numbers(numbers) => {
            for (labels, value) in numbers {
                render_sample(&[name], labels, *value, text);
            }
        }
        Series::Histograms(histograms) => {
            for (labels, histogram) in histograms {
                render_histogram(name, labels, histogram, text);
            }
        }
    }
}

fn render_sample(name: &[&str], labels: &str, value: f64, text: &mut Vec<u8>) {
    append(text, name);
    match labels {
        "" => append(text, &[" "]),
        labels => append(text, &["{", labels, "} "]),
    }
    number::append(value, text);
    append(text, &["\n"]);
}

fn render_histogram(name: &str, labels: &str, histogram: &Histogram, text: &mut Vec<u8>) {
    let comma = if labels.is_empty() { "" } else { "," };
    let mut cumulative_count = 0.0;
    for bucket in &histogram.buckets {
        // Reading subtracts again, and adding up the difference gives the same: for a and b not
        // negative, a + ((a + b) - a) == a + b holds in floats too, though the parts are rounded.
        // At the upper end that asks for an even last digit, which the largest float has not.
        cumulative_count = (cumulative_count + bucket.count).min(f64::MAX.next_down());
        append(text, &[name, "_bucket{", labels, comma, "le=\""]);
        number::append(bucket.upper_bound.value(), text);
        append(text, &["\"} "]);
        number::append(cumulative_count, text);
        append(text, &["\n"]);
    }
    render_sample(&[name, "_sum"], labels, histogram.sum, text);
    render_sample(&[name, "_count"], labels, histogram.count, text);
}

fn append(text: &mut Vec<u8>, pieces: &[&str]) {
    for piece in pieces {
        text.extend_from_slice(piece.as_bytes());
    }
}
