//! The reader of text: lines to what the builder takes.
//!
//! Plain lines are read at once (`plain`), the others one by one (`line`, `openmetrics`).

use super::builder::Builder;
use super::error::{Cause, Location, MeaningError, ParseError, SyntaxError};
use super::label_set::{as_sent, canonical_text, defined_canonical_text, sort_and_check};
use super::line::{self, Label, Line, METRIC_NAME, number, skip_blanks};
use super::marks::{MarkKind, Marked, Marks};
use super::names::{Kind, Named, Part};
use super::plain::{PlainSample, Shape, first_line};
use super::sample::{Labels, Sample};
use super::seconds::timestamp_split_off;
use crate::excerpt::Excerpt;
use crate::grouping_key::GroupingKey;
use crate::metric::UpperBound;

/// About how many lines there will be, judged by the first few. What is reserved by that is at most
/// a few times the body, and memory only where it is used.
pub fn expected_lines(body: &[u8]) -> usize {
    const JUDGED_BYTES: usize = 2048;
    const LINE_BYTES_MIN: usize = 32;
    let judged = &body[..body.len().min(JUDGED_BYTES)];
    // The compiler does this for many bytes at once.
    let line_feeds = judged.iter().map(|&byte| u16::from(byte == b'\n'));
    let lines = usize::from(line_feeds.sum::<u16>()) + 1;
    let line_bytes = (judged.len() / lines).max(LINE_BYTES_MIN);
    body.len() / line_bytes + 1
}

/// The grammar of a line.
pub type Grammar = for<'a> fn(&'a [u8], &mut Vec<Label<'a>>) -> Result<Line<'a>, SyntaxError>;

/// Reads a body line by line; the labels of the key are put on every sample.
///
/// # Errors
/// The first line that is not in the format, or that the builder refuses.
pub fn read<'a>(
    grammar: Grammar,
    body: &'a [u8],
    key: &'a GroupingKey,
    builder: &mut Builder<'a>,
) -> Result<(), ParseError> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    if body.trim_ascii_start().starts_with(b"--") {
        return Err(ParseError {
            location: Location::Body,
            cause: Cause::Syntax(SyntaxError::Multipart),
        });
    }
    let mut reader = Reader::new(grammar, key, builder);
    let read = match std::str::from_utf8(body) {
        Ok(text) => reader.text(text),
        Err(_) => reader.bytes(body),
    };
    let is_help = body.trim_ascii_start().starts_with(b"# HELP ");
    match read {
        Ok(()) if !is_help => Ok(()),
        read if body.contains(&b'\n') => read,
        read => of_one_line(read),
    }
}

/// Reads an accepted body once more and marks its numbers; none if samples of it are not plain.
///
/// # Errors
/// As [`read`].
pub fn read_marked<'a>(
    grammar: Grammar,
    body: &'a str,
    key: &'a GroupingKey,
    builder: &mut Builder<'a>,
) -> Result<Option<Marks>, ParseError> {
    let mut reader = Reader::new(grammar, key, builder);
    reader.marks = Some(Marks::new());
    reader.text(body)?;
    Ok(reader.marks)
}

/// Reads a snapshot line by line.
///
/// # Errors
/// The first line that is not in the format, or that the builder refuses.
pub fn read_snapshot<'a>(
    text: &'a [u8],
    key: &'a GroupingKey,
    builder: &mut Builder<'a>,
) -> Result<(), ParseError> {
    let mut reader = Reader::new(line::line, key, builder);
    match std::str::from_utf8(text) {
        Ok(text) => reader.snapshot(text),
        Err(_) => reader.bytes(text),
    }
}

/// A file whose line feeds are gone is one line. What is wrong there is then not the sender's
/// fault; and a HELP line, which is the only one to be right, takes all of it for its text.
fn of_one_line(read: Result<(), ParseError>) -> Result<(), ParseError> {
    match read {
        Err(ParseError {
            location,
            cause: Cause::Syntax(error),
        }) if may_lack_line_feeds(&error) => Err(ParseError {
            location,
            cause: Cause::NoLineFeeds(error),
        }),
        Ok(()) => Err(ParseError {
            location: Location::Line(1),
            cause: Cause::NoLineFeeds(SyntaxError::HelpAlone),
        }),
        read => read,
    }
}

/// True of what is found where the next line should have begun.
fn may_lack_line_feeds(error: &SyntaxError) -> bool {
    use SyntaxError as E;
    match error {
        E::NotANumber(_) | E::Timestamp(_) | E::UnknownType(_) | E::BehindValue => true,
        E::Expected { what, .. } => what.starts_with("the end of the line"),
        _ => false,
    }
}

/// What some editors write before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

struct Reader<'a, 'b> {
    grammar: Grammar,
    key: &'a GroupingKey,
    builder: &'b mut Builder<'a>,
    /// Those of the line that is being read.
    labels: Vec<Label<'a>>,
    /// Whether the line has come behind which nothing may follow.
    has_ended: bool,
    /// The name in the last HELP line, and the number of the last line of its text.
    help: Option<(&'a str, usize)>,
    /// Its numbers, where they are to be marked and all samples were plain so far.
    marks: Option<Marks>,
}

impl<'a, 'b> Reader<'a, 'b> {
    fn new(grammar: Grammar, key: &'a GroupingKey, builder: &'b mut Builder<'a>) -> Self {
        Reader {
            grammar,
            key,
            builder,
            labels: Vec::new(),
            has_ended: false,
            help: None,
            marks: None,
        }
    }

    /// Reads plain lines at once, the others one by one.
    fn text(&mut self, whole: &'a str) -> Result<(), ParseError> {
        let mut shape = Shape::default();
        let mut rest = Some(whole);
        for line_number in 1.. {
            let Some(text) = rest else { break };
            let plain = shape.plain(text, &mut self.labels);
            let plain = plain.filter(|(sample, _)| self.may_be_plain(sample));
            rest = if let Some((sample, behind)) = plain {
                let (kind, upper_bound) = self
                    .plain_sample(&sample, line_number)
                    .map_err(|error| meaning_error(line_number, error))?;
                if let Some(marks) = &mut self.marks {
                    let line_start = whole.len() - text.len();
                    let end = behind.map_or(whole.len(), |behind| whole.len() - behind.len() - 1);
                    let place = self.builder.last_place(kind);
                    marks.push(Marked {
                        range: line_start + sample.value_start..end,
                        kind: MarkKind::Number {
                            kind,
                            place,
                            upper_bound,
                        },
                    });
                }
                behind
            } else if let Some(behind) = text.strip_prefix('\n') {
                Some(behind)
            } else {
                self.any_line(text, line_number)?
            };
        }
        Ok(())
    }

    /// The same for a snapshot, whose lines are plain but for a timestamp.
    fn snapshot(&mut self, text: &'a str) -> Result<(), ParseError> {
        let mut shape = Shape::default();
        let mut lines = (1..).zip(text.split('\n'));
        lines.try_for_each(|(line_number, line)| {
            let (sample, timestamp) = timestamp_split_off(line);
            self.builder.take_timestamp(timestamp);
            let plain = shape.plain(sample, &mut self.labels);
            match plain.filter(|(sample, _)| self.may_be_plain(sample)) {
                Some((sample, _)) => self
                    .plain_sample(&sample, line_number)
                    .map(|_| ())
                    .map_err(|error| meaning_error(line_number, error)),
                None => self.line(line.as_bytes(), line_number),
            }
        })
    }

    /// Reads the first line of `text`, which is not a plain one, and gives what is left behind it.
    /// Apart from the plain ones, whose loop is the shorter for it.
    #[inline(never)]
    fn any_line(
        &mut self,
        text: &'a str,
        line_number: usize,
    ) -> Result<Option<&'a str>, ParseError> {
        let (line, behind) = first_line(text);
        let read = self.line(line.as_bytes(), line_number);
        let is_help = |error| self.is_help(error, line, line_number, behind);
        if read.as_ref().is_err_and(is_help) {
            self.help = self.help.map(|(name, _)| (name, line_number));
        } else {
            read?;
        }
        if !self.has_ended {
            return Ok(behind);
        }
        self.end(behind.unwrap_or_default(), line_number + 1)?;
        Ok(None)
    }

    /// True of a line without hash, name and number that goes on with the text of a HELP line: two
    /// client libraries write line feeds there as they are, and the TYPE of the same name behind.
    fn is_help(
        &self,
        error: &ParseError,
        line: &str,
        line_number: usize,
        behind: Option<&str>,
    ) -> bool {
        /// In that many lines at most.
        const LINES_MAX: usize = 8;
        let Some((name, last)) = self.help else {
            return false;
        };
        let is_nameless = matches!(
            error.cause,
            Cause::Syntax(SyntaxError::Expected {
                what: METRIC_NAME,
                ..
            })
        );
        let word = line
            .split_ascii_whitespace()
            .next_back()
            .unwrap_or_default();
        let is_text = !skip_blanks(line).starts_with('#') && number(word).is_err();
        if last + 1 != line_number || !is_nameless || !is_text {
            return false;
        }
        let lines = behind.unwrap_or_default().split('\n').take(LINES_MAX);
        let comment = lines.map(skip_blanks).find(|line| line.starts_with('#'));
        let typed = comment.and_then(|line| line.strip_prefix("# TYPE ")?.strip_prefix(name));
        typed.is_some_and(|rest| rest.starts_with(' '))
    }

    /// Reads what stands behind the end, where there should be nothing.
    fn end(&mut self, behind: &'a str, line_number: usize) -> Result<(), ParseError> {
        let lines = (line_number..).zip(behind.split('\n'));
        lines
            .into_iter()
            .try_for_each(|(line_number, line)| self.line(line.as_bytes(), line_number))
    }

    /// Only what is used of a body must be text: its comments may hold any bytes.
    fn bytes(&mut self, body: &'a [u8]) -> Result<(), ParseError> {
        (1..)
            .zip(body.split(|&byte| byte == b'\n'))
            .try_for_each(|(line_number, line)| self.line(line, line_number))
    }

    fn line(&mut self, line: &'a [u8], line_number: usize) -> Result<(), ParseError> {
        let syntax_error = |error| ParseError {
            location: Location::Line(line_number),
            cause: Cause::Syntax(error),
        };
        if self.has_ended && !line.trim_ascii().is_empty() {
            return Err(syntax_error(SyntaxError::BehindEnd));
        }
        let line = (self.grammar)(line, &mut self.labels).map_err(syntax_error)?;
        match line {
            Line::Empty => Ok(()),
            Line::End => {
                self.has_ended = true;
                Ok(())
            }
            Line::Help { name, text } => {
                self.help = Some((name, line_number));
                self.builder.names.help(name, text)
            }
            Line::Type { name, declared } => {
                let names = &mut self.builder.names;
                names.metric_type(name, declared, line_number)
            }
            Line::Sample {
                name,
                value,
                source,
                has_undefined_escapes,
            } => {
                let source = (!has_undefined_escapes).then_some(source);
                self.sample(name, source, value, line_number)
            }
        }
        .map_err(|error| meaning_error(line_number, error))
    }

    /// Takes a sample line, of which `source` is the text that its labels are parts of; none where
    /// their values have undefined escapes.
    fn sample(
        &mut self,
        name: &'a str,
        source: Option<&'a str>,
        value: f64,
        position: usize,
    ) -> Result<(), MeaningError> {
        self.marks = None;
        let labels = &mut self.labels;
        sort_and_check(labels)?;
        let mut named = self.builder.names.of_sample(name);
        let le = match named.kind {
            Kind::Histogram(_) => take_upper_bound(labels),
            _ => None,
        };
        let canonical = match source {
            Some(source) => canonical_text(labels, as_sent(labels, source), self.key),
            None => defined_canonical_text(labels, self.key).into(),
        };
        let bound = match named.kind {
            Kind::Histogram(part) => upper_bound(&mut named, part, labels, le)?,
            _ => UpperBound::INFINITY,
        };
        let labels = Labels {
            canonical,
            sent: labels.len(),
        };
        let sample = Sample {
            named,
            value,
            position,
        };
        self.builder.sample(&sample, labels, bound)
    }

    /// True if the label `le` of a plain sample may be taken for a bound.
    fn may_be_plain(&mut self, sample: &PlainSample<'a>) -> bool {
        sample.upper_bound.is_none()
            || matches!(
                self.builder.names.of_sample(sample.name).kind,
                Kind::Histogram(_)
            )
    }

    /// Takes a plain sample line; the labels are those of the sample without `le`. Gives what is
    /// done with its value, and the bound of a bucket.
    fn plain_sample(
        &mut self,
        sample: &PlainSample<'a>,
        position: usize,
    ) -> Result<(Kind, UpperBound), MeaningError> {
        let labels = Labels {
            canonical: canonical_text(&self.labels, sample.canonical, self.key),
            sent: self.labels.len(),
        };
        let mut named = self.builder.names.of_sample(sample.name);
        let bound = match named.kind {
            Kind::Histogram(part) => {
                upper_bound(&mut named, part, &self.labels, sample.upper_bound)?
            }
            _ => UpperBound::INFINITY,
        };
        let sample = Sample {
            named,
            value: sample.value,
            position,
        };
        self.builder.sample(&sample, labels, bound)?;
        Ok((named.kind, bound))
    }
}

/// The refusal of a line that contradicts itself or another one.
pub fn meaning_error(line_number: usize, error: MeaningError) -> ParseError {
    ParseError {
        location: Location::Line(line_number),
        cause: Cause::Meaning(error),
    }
}

/// Takes the label `le` out of sorted labels; one of empty value is none.
fn take_upper_bound<'a>(labels: &mut Vec<Label<'a>>) -> Option<&'a str> {
    let le = |label: &Label<'_>| label.name == "le" && !label.value.is_empty();
    let at = labels.iter().position(le)?;
    Some(labels.remove(at).value)
}

/// The bound of a bucket. The other parts of a histogram have none and cannot carry the label:
/// their series is the buckets' series, and there it would stand twice. What has a quantile and the
/// bare name of a histogram is taken for the summary that its sender means.
#[inline]
fn upper_bound(
    named: &mut Named<'_>,
    part: Part,
    labels: &[Label<'_>],
    le: Option<&str>,
) -> Result<UpperBound, MeaningError> {
    let name = || Excerpt::of(named.name);
    match (part, le) {
        (Part::Own, _) if labels.iter().any(|label| label.name == "quantile") => {
            named.kind = Kind::Summary(Part::Own);
            Ok(UpperBound::INFINITY)
        }
        (Part::Own, _) => Err(MeaningError::BareHistogram(name())),
        (Part::Bucket, None) => Err(MeaningError::NoUpperBound(name())),
        (Part::Bucket, Some(le)) => {
            let bound = number(le).ok().and_then(UpperBound::new);
            bound.ok_or_else(|| MeaningError::UpperBound(Excerpt::of(le)))
        }
        (Part::Sum | Part::Count, None) => Ok(UpperBound::INFINITY),
        (Part::Sum | Part::Count, Some(_)) => Err(MeaningError::StrayUpperBound(name())),
    }
}
