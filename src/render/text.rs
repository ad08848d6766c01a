//! Exposition text, line by line.

use std::ops::ControlFlow;

use super::walk::{Part, Progress, ShownFamily, ShownSeries, Writer};
use crate::aggregate::Histogram;
use crate::metric::{UpperBound, is_plain_metric_name};
use crate::number;

/// What a scrape shows, in pieces that end between any two lines.
pub struct Text<'a> {
    lines: Lines<'a>,
    /// It is full with these.
    bytes_max: usize,
}

impl Text<'_> {
    /// Appends to a text until it has this length.
    pub fn new(text: &mut Vec<u8>, bytes_max: usize) -> Text<'_> {
        let lines = Lines::new(text);
        Text { lines, bytes_max }
    }
}

impl Writer for Text<'_> {
    fn is_full(&self) -> bool {
        self.lines.text.len() >= self.bytes_max
    }

    fn begin(&mut self, of: &ShownFamily<'_>, part: Part) {
        self.lines.name(of);
        if part == Part::First {
            self.lines.help(of);
            self.lines.metric_type(of);
        }
    }

    fn number(&mut self, of: &ShownFamily<'_>, series: ShownSeries<'_>, value: f64) {
        self.lines.sample(of, "", series.labels, value);
        self.lines.end();
    }

    fn histogram(
        &mut self,
        of: &ShownFamily<'_>,
        series: ShownSeries<'_>,
        histogram: &Histogram,
        progress: &mut Progress,
    ) -> ControlFlow<()> {
        self.lines.bounds.write(&histogram.upper_bounds);
        let buckets = histogram.upper_bounds.iter().zip(&histogram.counts);
        for (&bound, &count) in buckets.skip(progress.buckets) {
            if self.is_full() {
                return ControlFlow::Break(());
            }
            self.lines.bucket(of, series.labels, bound, count, progress);
        }
        if self.is_full() {
            return ControlFlow::Break(());
        }
        self.lines.sum_and_count(of, series.labels, histogram);
        self.lines.end();
        ControlFlow::Continue(())
    }
}

/// Lines at the end of a text, for one family after the other.
pub struct Lines<'a> {
    pub text: &'a mut Vec<u8>,
    bounds: Bounds,
    /// What stands around the name of the family: a quote or nothing. In quotes, it stands among
    /// the labels of a sample (text format 1.0.0).
    quote: &'static str,
}

impl Lines<'_> {
    pub fn new(text: &mut Vec<u8>) -> Lines<'_> {
        Lines {
            text,
            bounds: Bounds::default(),
            quote: "",
        }
    }

    /// What follows is of this family.
    pub fn name(&mut self, of: &ShownFamily<'_>) {
        self.quote = if is_plain_metric_name(&of.name) {
            ""
        } else {
            "\""
        };
    }

    /// The HELP line, if the family has one.
    pub fn help(&mut self, of: &ShownFamily<'_>) {
        if !of.family.help.is_empty() {
            let (name, quote) = (&*of.name, self.quote);
            let help = ["# HELP ", quote, name, quote, " ", &of.family.help, "\n"];
            append(self.text, &help);
        }
    }

    /// The TYPE line.
    pub fn metric_type(&mut self, of: &ShownFamily<'_>) {
        let (name, quote) = (&*of.name, self.quote);
        let word = of.family.metric_type.as_str();
        append(self.text, &["# TYPE ", quote, name, quote, " ", word, "\n"]);
    }

    /// A sample line but for its end.
    pub fn sample(&mut self, of: &ShownFamily<'_>, suffix: &str, labels: &str, value: f64) {
        if self.quote.is_empty() {
            append(self.text, &[&of.name, suffix]);
            match labels {
                "" => append(self.text, &[" "]),
                labels => append(self.text, &["{", labels, "} "]),
            }
        } else {
            let comma = if labels.is_empty() { "" } else { "," };
            append(
                self.text,
                &["{\"", &of.name, suffix, "\"", comma, labels, "} "],
            );
        }
        number::append(value, self.text);
    }

    /// The whole line of the next bucket of a histogram.
    fn bucket(
        &mut self,
        of: &ShownFamily<'_>,
        labels: &str,
        bound: UpperBound,
        count: f64,
        progress: &mut Progress,
    ) {
        let (text, name) = (&mut *self.text, &*of.name);
        let comma = if labels.is_empty() { "" } else { "," };
        if self.quote.is_empty() {
            append(text, &[name, "_bucket{", labels, comma, "le=\""]);
        } else {
            append(text, &["{\"", name, "_bucket\",", labels, comma, "le=\""]);
        }
        self.bounds.append(progress.buckets, bound, text);
        append(text, &["\"} "]);
        number::append(progress.add(count), text);
        text.push(b'\n');
    }

    /// The buckets of a histogram.
    pub fn buckets(&mut self, of: &ShownFamily<'_>, labels: &str, histogram: &Histogram) {
        self.bounds.write(&histogram.upper_bounds);
        let buckets = histogram.upper_bounds.iter().zip(&histogram.counts);
        let mut progress = Progress::default();
        for (&bound, &count) in buckets {
            self.bucket(of, labels, bound, count, &mut progress);
        }
    }

    /// The sum, and the count but for the end of its line.
    pub fn sum_and_count(&mut self, of: &ShownFamily<'_>, labels: &str, histogram: &Histogram) {
        self.sample(of, "_sum", labels, histogram.sum);
        self.end();
        self.sample(of, "_count", labels, histogram.count);
    }

    /// Ends a sample line.
    pub fn end(&mut self) {
        self.text.push(b'\n');
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

fn append(text: &mut Vec<u8>, pieces: &[&str]) {
    text.reserve(pieces.iter().map(|piece| piece.len()).sum());
    for piece in pieces {
        text.extend_from_slice(piece.as_bytes());
    }
}
