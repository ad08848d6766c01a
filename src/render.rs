//! An aggregate to exposition text (Prometheus docs, exposition formats, text version 0.0.4).
//!
//! Invariant: the same aggregate always gives the same bytes, and `parse` reads them back into the
//! same sums. Families are in the byte order of their names, series in that of their label sets;
//! a histogram's buckets by upper bound, then `_sum`, then `_count`. Knows nothing of HTTP.

use std::io::Write;

use crate::aggregate::{Aggregate, Family, Histogram, Series};

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
    append_number(value, text);
    append(text, &["\n"]);
}

fn render_histogram(name: &str, labels: &str, histogram: &Histogram, text: &mut Vec<u8>) {
    let comma = if labels.is_empty() { "" } else { "," };
    let mut cumulative_count = 0.0;
    for bucket in &histogram.buckets {
        // Reading subtracts again, and adding up the difference gives the same: for a and b not
        // negative, a + ((a + b) - a) == a + b holds in floats too, though the parts are rounded.
        cumulative_count = (cumulative_count + bucket.count).min(f64::MAX);
        append(text, &[name, "_bucket{", labels, comma, "le=\""]);
        append_number(bucket.upper_bound.value(), text);
        append(text, &["\"} "]);
        append_number(cumulative_count, text);
        append(text, &["\n"]);
    }
    render_sample(&[name, "_sum"], labels, histogram.sum, text);
    render_sample(&[name, "_count"], labels, histogram.count, text);
}

/// Whole numbers are written as such, others in the shortest form that reads back as the same
/// number; infinities as `+Inf` and `-Inf`.
fn append_number(value: f64, text: &mut Vec<u8>) {
    /// Beyond it, not every whole number is a float, and digits would claim what is not known.
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    let magnitude = value.abs();
    let written = if value.is_infinite() {
        text.write_all(if value < 0.0 { b"-Inf" } else { b"+Inf" })
    } else if value.is_nan() {
        text.write_all(b"NaN")
    } else if magnitude < WHOLE_MAX && value.trunc() == value {
        #[allow(clippy::cast_possible_truncation)] // whole and below 2^53
        let whole = value as i64;
        write!(text, "{whole}")
    } else if (1e-5..1e17).contains(&magnitude) {
        write!(text, "{value}")
    } else {
        write!(text, "{value:e}")
    };
    written.expect("writing to a vector does not fail");
}

fn append(text: &mut Vec<u8>, pieces: &[&str]) {
    for piece in pieces {
        text.extend_from_slice(piece.as_bytes());
    }
}
