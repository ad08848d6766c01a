//! Exposition text, line by line.

use std::ops::ControlFlow;

use super::buffer::Buffer;
use super::walk::{Part, Progress, ShownFamily, ShownSeries, Writer};
use crate::aggregate::{Histogram, Run, Series};
use crate::metric::{UpperBound, is_plain_metric_name};
use crate::number::{self, WRITTEN_BYTES_MAX};

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
        self.lines.length() >= self.bytes_max
    }

    fn begin(&mut self, of: &ShownFamily<'_>, part: Part) {
        self.lines.begin(of);
        if part == Part::First {
            self.lines.help(of);
            self.lines.metric_type(of);
        }
    }

    fn number(&mut self, _of: &ShownFamily<'_>, series: ShownSeries<'_>, value: f64) {
        self.lines.number(series.labels, value, LINE_END);
    }

    fn numbers(&mut self, _of: &ShownFamily<'_>, run: Run<'_, f64>) -> ControlFlow<usize> {
        self.lines.numbers(run, self.bytes_max)
    }

    fn histogram(
        &mut self,
        _of: &ShownFamily<'_>,
        series: ShownSeries<'_>,
        histogram: &Histogram,
        progress: &mut Progress,
    ) -> ControlFlow<()> {
        let bytes_max = self.bytes_max;
        self.lines
            .buckets(series.labels, histogram, progress, bytes_max)?;
        if self.is_full() {
            return ControlFlow::Break(());
        }
        self.lines.sum_and_count(series.labels, histogram, LINE_END);
        ControlFlow::Continue(())
    }
}

/// What ends a line without a timestamp.
pub const LINE_END: &[u8] = b"\n";

/// Lines at the end of a text, for one family after the other.
pub struct Lines<'a> {
    text: Buffer<'a>,
    bounds: Bounds,
    /// What stands around the name of the family: a quote or nothing. In quotes, it stands among
    /// the labels of a sample (text format 1.0.0).
    quote: &'static str,
    number: Head,
    sum: Head,
    count: Head,
    bucket: Head,
    /// A line of a bucket up to its bound, as all buckets of a histogram begin.
    bucket_begin: Vec<u8>,
}

/// How a sample line of a family begins: up to its labels, with the brace or the comma before them;
/// and what stands in front of the number.
#[derive(Default)]
struct Head {
    begin: Vec<u8>,
    /// How much of `begin` there is without labels.
    bare_bytes: usize,
    /// What follows on that.
    bare_end: &'static [u8],
}

impl Head {
    fn set(&mut self, of: &ShownFamily<'_>, quote: &str, suffix: &str) {
        let (brace, separator) = if quote.is_empty() {
            self.bare_end = b" ";
            ("", "{")
        } else {
            self.bare_end = b"} ";
            ("{", ",")
        };
        self.begin.clear();
        for text in [brace, quote, &of.name, suffix, quote, separator] {
            self.begin.extend_from_slice(text.as_bytes());
        }
        self.bare_bytes = self.begin.len() - separator.len();
    }

    /// Appends a sample line; `end` stands behind its number.
    #[inline]
    fn append_line(&self, text: &mut Buffer<'_>, labels: &str, value: f64, end: &[u8]) {
        let bytes = self.begin.len() + labels.len() + LABELS_END.len();
        text.append(bytes + WRITTEN_BYTES_MAX + end.len(), |room| {
            if labels.is_empty() {
                room.put(&self.begin[..self.bare_bytes]);
                room.put(self.bare_end);
            } else {
                room.put(&self.begin);
                room.put(labels.as_bytes());
                room.put(LABELS_END);
            }
            room.put_number(value);
            room.put(end);
        });
    }

    /// Appends the lines of series, until the text has this length. Gives how many they are.
    fn append_lines(&self, text: &mut Buffer<'_>, run: Run<'_, f64>, bytes_max: usize) -> usize {
        let line_bytes = self.begin.len() + LABELS_END.len() + WRITTEN_BYTES_MAX + LINE_END.len();
        let bytes = run.length() * line_bytes + run.text_bytes();
        let left = bytes_max.saturating_sub(text.length());
        let mut lines = 0;
        text.append(bytes, |room| {
            for (labels, &value) in run.bytes_and_values() {
                if room.length() >= left {
                    break;
                }
                if labels.is_empty() {
                    room.put(&self.begin[..self.bare_bytes]);
                    room.put(self.bare_end);
                } else {
                    room.put(&self.begin);
                    room.put(labels);
                    room.put(LABELS_END);
                }
                room.put_number(value);
                room.put(LINE_END);
                lines += 1;
            }
        });
        lines
    }
}

/// How many of the next lines are to be appended at once.
fn batch(run: Run<'_, f64>) -> usize {
    let lines = run.length().min(BATCH_LINES);
    let (first, _) = run.split_at(lines);
    match first.text_bytes() {
        ..=BATCH_TEXT_BYTES_MAX => lines,
        _ => 1,
    }
}

/// Lines for which there is room at once.
const BATCH_LINES: usize = 16;

/// How long their label sets may be: what makes room for them stays within what a piece has of it.
const BATCH_TEXT_BYTES_MAX: usize = 2 << 10;

const LABELS_END: &[u8] = b"} ";

/// Behind the bound of a bucket.
const BOUND_END: &[u8] = b"\"} ";

impl Lines<'_> {
    pub fn new(text: &mut Vec<u8>) -> Lines<'_> {
        Lines {
            text: Buffer::new(text),
            bounds: Bounds::default(),
            quote: "",
            number: Head::default(),
            sum: Head::default(),
            count: Head::default(),
            bucket: Head::default(),
            bucket_begin: Vec::new(),
        }
    }

    /// The length of the whole text.
    #[inline]
    pub fn length(&self) -> usize {
        self.text.length()
    }

    /// What follows is of this family.
    pub fn begin(&mut self, of: &ShownFamily<'_>) {
        self.quote = if is_plain_metric_name(&of.name) {
            ""
        } else {
            "\""
        };
        match of.family.series {
            Series::Numbers(_) | Series::Gauges(_) => self.number.set(of, self.quote, ""),
            Series::Histograms(_) => {
                self.bucket.set(of, self.quote, "_bucket");
                self.sum.set(of, self.quote, "_sum");
                self.count.set(of, self.quote, "_count");
            }
        }
    }

    /// The HELP line, if the family has one.
    pub fn help(&mut self, of: &ShownFamily<'_>) {
        if !of.family.help.is_empty() {
            let (name, quote) = (&*of.name, self.quote);
            let help = ["# HELP ", quote, name, quote, " ", &of.family.help, "\n"];
            self.text.append_all(&help);
        }
    }

    /// The TYPE line.
    pub fn metric_type(&mut self, of: &ShownFamily<'_>) {
        let (name, quote) = (&*of.name, self.quote);
        let word = of.family.metric_type.as_str();
        self.text
            .append_all(&["# TYPE ", quote, name, quote, " ", word, "\n"]);
    }

    /// The line of a series that is one number; `end` stands behind it.
    #[inline]
    pub fn number(&mut self, labels: &str, value: f64, end: &[u8]) {
        self.number.append_line(&mut self.text, labels, value, end);
    }

    /// The lines of several of them, until the text has this length: then it breaks with how many
    /// it has appended.
    pub fn numbers(&mut self, mut run: Run<'_, f64>, bytes_max: usize) -> ControlFlow<usize> {
        let mut appended = 0;
        while run.length() > 0 {
            let (first, rest) = run.split_at(batch(run));
            let length = first.length();
            let lines = self.number.append_lines(&mut self.text, first, bytes_max);
            appended += lines;
            if lines < length {
                return ControlFlow::Break(appended);
            }
            run = rest;
        }
        ControlFlow::Continue(())
    }

    /// The buckets of a histogram that are not written yet, until the text has this length.
    pub fn buckets(
        &mut self,
        labels: &str,
        histogram: &Histogram,
        progress: &mut Progress,
        bytes_max: usize,
    ) -> ControlFlow<()> {
        self.bounds.write(&histogram.upper_bounds);
        self.bucket_begin.clear();
        self.bucket_begin.extend_from_slice(&self.bucket.begin);
        if !labels.is_empty() {
            self.bucket_begin.extend_from_slice(labels.as_bytes());
            self.bucket_begin.push(b',');
        }
        self.bucket_begin.extend_from_slice(b"le=\"");
        let buckets = histogram.upper_bounds.iter().zip(&histogram.counts);
        for (&bound, &count) in buckets.skip(progress.buckets) {
            if self.length() >= bytes_max {
                return ControlFlow::Break(());
            }
            let written = self.bounds.written.get(progress.buckets);
            let count = progress.add(count);
            let begin = self.bucket_begin.as_slice();
            let bytes = begin.len() + BOUND_END.len() + LINE_END.len() + 2 * WRITTEN_BYTES_MAX;
            self.text.append(bytes, |room| {
                room.put(begin);
                if let Some(written) = written {
                    room.put(written);
                } else {
                    room.put_number(bound.value());
                    room.put(BOUND_END);
                }
                room.put_number(count);
                room.put(LINE_END);
            });
        }
        ControlFlow::Continue(())
    }

    /// The sum, and the count with what stands behind it.
    pub fn sum_and_count(&mut self, labels: &str, histogram: &Histogram, end: &[u8]) {
        let Lines { text, sum, .. } = self;
        sum.append_line(text, labels, histogram.sum, LINE_END);
        self.count
            .append_line(&mut self.text, labels, histogram.count, end);
    }
}

/// The bounds of more buckets than that are written for each histogram: keeping them would take
/// memory that grows with what is stored.
const KEPT_BOUNDS_MAX: usize = 256;

/// The bounds of the histogram before, as they are written: mostly the next one has them too.
#[derive(Default)]
struct Bounds {
    values: Vec<UpperBound>,
    /// Each with [`BOUND_END`].
    written: Vec<Box<[u8]>>,
}

impl Bounds {
    fn write(&mut self, values: &[UpperBound]) {
        if values.len() > KEPT_BOUNDS_MAX {
            *self = Bounds::default();
        } else if self.values != values {
            self.values = values.to_vec();
            let written = values.iter().map(|bound| {
                let mut written = Vec::new();
                number::append(bound.value(), &mut written);
                written.extend_from_slice(BOUND_END);
                written.into()
            });
            self.written = written.collect();
        }
    }
}
