//! A strict reader of a scrape: text exposition 0.0.4 as the gateway is allowed to write it, and
//! nothing else that the format would allow. Written from the format page and DESIGN section 3,
//! never from `src/`, so that the two can disagree.
//!
//! A scrape is a list of families, each an optional HELP line, a TYPE line and its samples:
//!
//! - Every line ends with one line feed; no blank line, comment, NUL, timestamp or second space.
//! - Families are sorted by name in byte order, never split, and have samples. None has the name of
//!   a sample of a histogram or summary beside it.
//! - Labels are sorted by name, but for the `le` of a bucket, which is last. None is empty.
//! - The label sets of a family are sorted by their text as written between the braces, without
//!   `le`, in byte order; each appears once.
//! - A histogram writes, for each label set, its buckets by rising bound up to `+Inf` with counts
//!   that never fall, then `_sum`, then `_count` (which may differ from `+Inf`: DESIGN section 6).
//!   A summary has no quantiles: it writes `_sum`, then `_count`.
//! - A number is a whole number without point or exponent where it is below 2^53, else one of the
//!   two shortest spellings Rust knows, plain or with an exponent. Samples are finite.
//! - A bound is spelled in one way throughout the scrape. There is no negative zero.
//!
//! In a scrape whose names have underscores for what is beyond their alphabets, families and label
//! sets may come in any order, and no name is quoted; the rest is the same.

mod line;

use std::collections::{BTreeMap, BTreeSet};

use line::{Label, Line, ensure, label_name, metric_name, number};

/// A metric family of a scrape, in the order of the scrape. `help` is unescaped.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    pub name: String,
    pub help: Option<String>,
    pub kind: String,
    pub samples: Vec<Sample>,
}

/// One sample line. The label values are unescaped; `text` is the value as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: Vec<(String, String)>,
    pub value: f64,
    pub text: String,
}

/// Reads a whole scrape, or says in which line which rule is broken. What is wrong with a family as
/// a whole is told of the line that ends it.
pub fn read(scrape: &str) -> Result<Vec<Family>, String> {
    read_in(Order::Sorted, scrape)
}

/// The same for a scrape whose names have underscores.
pub fn read_escaped(scrape: &str) -> Result<Vec<Family>, String> {
    let families = read_in(Order::Any, scrape)?;
    let mut exposed = BTreeSet::new();
    for family in &families {
        metric_name(&family.name)?;
        let labels = family.samples.iter().flat_map(|sample| &sample.labels);
        for (name, _) in labels {
            label_name(name)?;
        }
        let parts = match family.kind.as_str() {
            "histogram" => &["", "_bucket", "_sum", "_count"][..],
            _ => &[""],
        };
        for part in parts {
            let name = format!("{}{part}", family.name);
            ensure(exposed.insert(name.clone()), || {
                format!("`{name}` is exposed twice")
            })?;
        }
    }
    Ok(families)
}

fn read_in(order: Order, scrape: &str) -> Result<Vec<Family>, String> {
    let mut reader = Reader {
        order,
        ..Reader::default()
    };
    let mut number = 0;
    let mut left = scrape;
    while !left.is_empty() {
        number += 1;
        let at = |cause: String| format!("line {number}: {cause}");
        let (line, rest) = left
            .split_once('\n')
            .ok_or_else(|| at("no line feed".to_owned()))?;
        reader.take(Line::parse(line).map_err(at)?).map_err(at)?;
        left = rest;
    }
    reader
        .end_family()
        .map_err(|cause| format!("line {number}: {cause}"))?;
    Ok(reader.families)
}

/// Of families, and of the label sets of each.
#[derive(Clone, Copy, Default, PartialEq)]
enum Order {
    #[default]
    Sorted,
    Any,
}

#[derive(Default)]
struct Reader {
    order: Order,
    /// The label sets of the latest family.
    label_sets: BTreeSet<String>,
    families: Vec<Family>,
    /// A HELP line whose TYPE has not come yet: name and text.
    help: Option<(String, String)>,
    /// The latest series of the latest family.
    series: Option<Series>,
    /// How each bound was spelled, by its bits.
    spellings: BTreeMap<u64, String>,
}

struct Series {
    label_set: String,
    /// The sample that has to come next; none once a series is complete.
    next: Next,
    /// Of the latest bucket.
    bound: Option<f64>,
    cumulative: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Next {
    Bucket,
    Sum,
    Count,
    Nothing,
}

impl Reader {
    fn take(&mut self, line: Line) -> Result<(), String> {
        if let Some((name, _)) = &self.help {
            ensure(
                matches!(line, Line::Type(typed, _) if typed == name),
                || format!("HELP of `{name}` is not followed by its TYPE"),
            )?;
        }
        match line {
            Line::Help(name, text) => {
                self.begin_family("HELP", name)?;
                self.help = Some((name.to_owned(), text));
            }
            Line::Type(name, kind) => {
                self.begin_family("TYPE", name)?;
                self.families.push(Family {
                    name: name.to_owned(),
                    help: self.help.take().map(|(_, text)| text),
                    kind: kind.to_owned(),
                    samples: Vec::new(),
                });
                self.series = None;
                self.label_sets.clear();
            }
            Line::Sample(name, labels, text) => self.sample(name, labels, text)?,
        }
        Ok(())
    }

    /// Checks that a family `name` may begin with this line, a HELP or a TYPE.
    fn begin_family(&mut self, keyword: &str, name: &str) -> Result<(), String> {
        let Some(last) = self.families.last() else {
            return Ok(());
        };
        ensure(last.name != name, || {
            format!("{keyword} of `{name}` comes after its TYPE")
        })?;
        ensure(self.family(name).is_none(), || {
            format!("family `{name}` is split in two")
        })?;
        ensure(self.order == Order::Any || *last.name < *name, || {
            format!("`{name}` is not sorted after `{}`", last.name)
        })?;
        for part in ["_bucket", "_sum", "_count"] {
            let beside = name.strip_suffix(part).and_then(|base| self.family(base));
            let exposes = |family: &Family| match &*family.kind {
                "histogram" => true,
                "summary" => part != "_bucket",
                _ => false,
            };
            if let Some(Family { kind, .. }) = beside.filter(|family| exposes(family)) {
                return Err(format!("`{name}` is a sample of a {kind} beside it"));
            }
        }
        if self.help.is_some() {
            Ok(())
        } else {
            self.end_family()
        }
    }

    /// Finds an earlier family by its name, quickly if they were found sorted.
    fn family(&self, name: &str) -> Option<&Family> {
        if self.order == Order::Any {
            return self.families.iter().find(|family| *family.name == *name);
        }
        let found = self
            .families
            .binary_search_by(|family| (*family.name).cmp(name));
        found.ok().map(|index| &self.families[index])
    }

    fn end_family(&self) -> Result<(), String> {
        if let Some((name, _)) = &self.help {
            return Err(format!("HELP of `{name}` is the last line"));
        }
        let Some(family) = self.families.last() else {
            return Ok(());
        };
        ensure(!family.samples.is_empty(), || {
            format!("`{}` has no samples", family.name)
        })?;
        let next = self
            .series
            .as_ref()
            .map_or(Next::Nothing, |series| series.next);
        ensure(next == Next::Nothing, || {
            format!("`{}` ends before its {next:?}", family.name)
        })
    }

    fn sample(&mut self, name: &str, labels: Vec<Label>, text: &str) -> Result<(), String> {
        let family = self.families.last().ok_or("sample before any TYPE")?;
        let part = part(family, name)?;
        let value = number(text)?;
        ensure(value.is_finite(), || format!("the value is {text}"))?;
        let negative_allowed = part == Next::Sum || ["gauge", "untyped"].contains(&&*family.kind);
        ensure(value >= 0.0 || negative_allowed, || {
            format!("`{name}` is negative")
        })?;

        if part == Next::Bucket {
            let last = labels.split_last().filter(|(last, _)| last.name == "le");
            let (le, others) = last.ok_or("`le` is not the last label")?;
            let bound = self.bound(&le.value)?;
            self.advance(part, others)?.rise(bound, value)?;
        } else {
            self.advance(part, &labels)?;
        }

        let own = |label: Label| (label.name.to_owned(), label.value);
        let sample = Sample {
            name: name.to_owned(),
            labels: labels.into_iter().map(own).collect(),
            value,
            text: text.to_owned(),
        };
        let family = self.families.last_mut().ok_or("no family")?;
        family.samples.push(sample);
        Ok(())
    }

    fn bound(&mut self, text: &str) -> Result<f64, String> {
        let bound = number(text)?;
        ensure(!bound.is_nan(), || "`le` is NaN".to_owned())?;
        let first = self
            .spellings
            .entry(bound.to_bits())
            .or_insert_with(|| text.to_owned());
        ensure(first == text, || {
            format!("`le` is spelled `{first}` and `{text}`")
        })?;
        Ok(bound)
    }

    /// Moves on by one sample: within the latest series, or to a new one when that is complete.
    fn advance(&mut self, part: Next, labels: &[Label]) -> Result<&mut Series, String> {
        let is_part = part != Next::Nothing;
        let (is_summary, reserved) = match self.families.last() {
            Some(family) if family.kind == "summary" => (true, "quantile"),
            _ => (false, "le"),
        };
        let label_set = label_set(labels)?;
        ensure(
            !is_part || labels.iter().all(|label| label.name != reserved),
            || format!("a label `{reserved}` too many"),
        )?;
        if let Some(last) = self.series.take() {
            let last_set = &last.label_set;
            if last.next == Next::Nothing {
                ensure(*last_set != label_set, || {
                    format!("series {{{label_set}}} twice")
                })?;
                ensure(self.order == Order::Any || *last_set < label_set, || {
                    format!("series {{{label_set}}} is not sorted after {{{last_set}}}")
                })?;
            } else {
                ensure(*last_set == label_set, || {
                    format!("series {{{last_set}}} ends before its {:?}", last.next)
                })?;
                self.series = Some(last);
            }
        }
        if self.series.is_none() {
            ensure(self.label_sets.insert(label_set.clone()), || {
                format!("series {{{label_set}}} once more")
            })?;
        }
        let series = self.series.get_or_insert(Series {
            label_set,
            next: match is_part {
                true if is_summary => Next::Sum,
                true => Next::Bucket,
                false => Next::Nothing,
            },
            bound: None,
            cumulative: 0.0,
        });
        ensure(part == series.next, || {
            format!("{part:?} in the place of {:?}", series.next)
        })?;
        series.next = match part {
            Next::Bucket => Next::Bucket,
            Next::Sum => Next::Count,
            Next::Count | Next::Nothing => Next::Nothing,
        };
        Ok(series)
    }
}

impl Series {
    fn rise(&mut self, bound: f64, cumulative: f64) -> Result<(), String> {
        ensure(self.bound.is_none_or(|last| last < bound), || {
            format!("`le` {bound} does not rise")
        })?;
        ensure(self.cumulative <= cumulative, || {
            format!("the count falls to {cumulative}")
        })?;
        (self.bound, self.cumulative) = (Some(bound), cumulative);
        if bound == f64::INFINITY {
            self.next = Next::Sum;
        }
        Ok(())
    }
}

/// Which part of its family a sample is: nothing by name where there are no parts.
fn part(family: &Family, name: &str) -> Result<Next, String> {
    let histogram = family.kind == "histogram";
    let has_parts = histogram || family.kind == "summary";
    match name.strip_prefix(&*family.name) {
        Some("") if !has_parts => Ok(Next::Nothing),
        Some("_bucket") if histogram => Ok(Next::Bucket),
        Some("_sum") if has_parts => Ok(Next::Sum),
        Some("_count") if has_parts => Ok(Next::Count),
        _ => {
            let (kind, family) = (&family.kind, &family.name);
            Err(format!("`{name}` is no sample of {kind} `{family}`"))
        }
    }
}

/// The text of a label set as written, once its names are found sorted and different.
fn label_set(labels: &[Label]) -> Result<String, String> {
    for pair in labels.windows(2) {
        let (one, next) = (pair[0].name, pair[1].name);
        ensure(one != next, || format!("label `{one}` twice"))?;
        ensure(one < next, || {
            format!("label `{next}` is not sorted after `{one}`")
        })?;
    }
    let texts = labels.iter().map(|label| label.text);
    Ok(texts.collect::<Vec<_>>().join(","))
}
