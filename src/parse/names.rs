//! The names of a body: which families there are, what is said of each, and which of them the name
//! of a sample belongs to.
//!
//! A family may be declared by one name and stored by another: a series has the name by which
//! Prometheus stores it, whatever the format. A declared family lends type and HELP to those that
//! its samples begin:
//!
//! | declared | sample | stored |
//! |---|---|---|
//! | counter `x` of `OpenMetrics` | `x_total` | counter `x_total` |
//! | info `x` | `x_info` | gauge `x_info` |
//! | stateset `x` | `x` | gauge `x` |
//! | gaugehistogram `x` | `x_bucket`, `x_gsum`, `x_gcount` | nothing |
//! | counter `x` or `x_total`, histogram, summary `x` | `x_created` | the start of that series |
//!
//! In text, the last row is about gauges, which several client libraries write behind each counter,
//! histogram and summary.

use std::borrow::Cow;

use super::distinct::{Distinct, Distinguishable};
use super::error::{MeaningError, beyond};
use crate::excerpt::Excerpt;
use crate::keyed_hash::KeyedHash;
use crate::label_limits::LabelLimits;
use crate::metric::{GaugeMode, MetricType, PushedFamily, escaped_name};

/// Whose rules of names a body follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The text format.
    Text,
    /// Protobuf: the same, but names are not escaped.
    Protobuf,
    /// The text of a scrape of this gateway: each sample in it is stored, whatever its name.
    Snapshot,
    /// `OpenMetrics`.
    OpenMetrics,
}

/// A type as declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declared {
    /// One that is also stored.
    Type(MetricType),
    /// Labels with the value 1.
    Info,
    /// Flags, one of which is usually set.
    StateSet,
    /// A histogram of what is there now; it cannot be added to others.
    GaugeHistogram,
}

impl Declared {
    /// The word of a TYPE line in any letter case.
    pub fn from_word(word: &str) -> Option<Declared> {
        use Declared::{GaugeHistogram, Info, StateSet};
        MetricType::from_word(word).map(Declared::Type).or_else(|| {
            [Info, StateSet, GaugeHistogram]
                .into_iter()
                .find(|declared| word.eq_ignore_ascii_case(declared.as_str()))
        })
    }

    /// The word of a TYPE line.
    pub fn as_str(self) -> &'static str {
        match self {
            Declared::Type(metric_type) => metric_type.as_str(),
            Declared::Info => "info",
            Declared::StateSet => "stateset",
            Declared::GaugeHistogram => "gaugehistogram",
        }
    }

    /// The type by which it is stored; a gauge histogram is not.
    fn stored(self) -> MetricType {
        match self {
            Declared::Type(metric_type) => metric_type,
            Declared::Info | Declared::StateSet => MetricType::Gauge,
            Declared::GaugeHistogram => MetricType::Untyped,
        }
    }
}

/// A family, and what has been said of it so far. A body of short names is mostly these: they are
/// kept small, and the few texts of HELP apart from them.
struct Family<'a> {
    name: &'a str,
    metric_type: MetricType,
    /// Its type, and where that stands.
    declared: Option<(Declared, u32)>,
    /// The place of the family that was declared for this one by another name.
    base: Option<u32>,
    has_help: bool,
    has_samples: bool,
}

impl Distinguishable for Family<'_> {
    fn hash(&self) -> KeyedHash {
        KeyedHash::of(self.name)
    }

    fn is(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// What a sample is of its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It has the family's own name.
    Own,
    /// The cumulative count of a bucket.
    Bucket,
    /// The sum of all observations.
    Sum,
    /// Their number.
    Count,
}

/// What is done with a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It adds to a counter.
    Counter,
    /// It adds to a gauge, or to what has no type.
    Number,
    /// It is a part of a histogram.
    Histogram(Part),
    /// It is a part of a summary.
    Summary(Part),
    /// It is a part of a gauge histogram.
    GaugeHistogram,
}

/// What the name of a sample stands for.
#[derive(Clone, Copy)]
pub struct Named<'a> {
    /// The name.
    pub name: &'a str,
    /// The place of its family.
    pub family: usize,
    /// What is done with the sample.
    pub kind: Kind,
}

/// A family of gauges that say when the series of another one began.
pub struct Created {
    /// Its place.
    pub family: usize,
    /// The place of the other.
    pub of: usize,
}

/// The families of a body in order of arrival.
pub struct Names<'a> {
    dialect: Dialect,
    limits: LabelLimits,
    families: Distinct<Family<'a>>,
    /// The texts of HELP, by the places of their families.
    helps: Vec<(usize, Cow<'a, str>)>,
    /// The name of the sample before, as the next one mostly has it too; TYPE may change what it
    /// stands for.
    last: Option<Named<'a>>,
}

/// What a suffix makes of the name of a declared family.
enum Suffixed {
    /// The name of a part of it.
    Part(Part),
    /// The name of a family of this type, which it was declared for.
    Family(MetricType),
}

impl<'a> Names<'a> {
    /// None yet.
    pub fn new(dialect: Dialect, limits: LabelLimits) -> Names<'a> {
        Names {
            dialect,
            limits,
            families: Distinct::expecting(1),
            helps: Vec::new(),
            last: None,
        }
    }

    /// Takes the escaped HELP of a family; the first that is not empty stays.
    ///
    /// # Errors
    /// When the name is too long, or one that a histogram exposes.
    pub fn help(&mut self, name: &'a str, text: Cow<'a, str>) -> Result<(), MeaningError> {
        let place = self.declare(name)?;
        let family = self.families.at(place);
        if !family.has_help && !text.is_empty() {
            family.has_help = true;
            self.helps.push((place, text));
        }
        Ok(())
    }

    /// Takes the type of a family; it may come again.
    ///
    /// # Errors
    /// When the family has another type or has samples already, when the name is too long or one
    /// that another family exposes, or the other way round.
    pub fn metric_type(
        &mut self,
        name: &'a str,
        declared: Declared,
        position: usize,
    ) -> Result<(), MeaningError> {
        let place = self.declare(name)?;
        let family = self.families.at(place);
        let (has_samples, base) = (family.has_samples, family.base);
        if let Some((first, first_position)) = family.declared {
            return match base {
                _ if first == declared => Ok(()),
                Some(base) => Err(self.exposed_by(name, base as usize)),
                None => Err(MeaningError::SecondType {
                    name: Excerpt::of(name),
                    first: first.as_str(),
                    first_position,
                    second: declared.as_str(),
                }),
            };
        }
        if has_samples {
            return Err(MeaningError::TypeAfterSamples(Excerpt::of(name)));
        }
        let family = self.families.at(place);
        family.declared = Some((declared, u32::try_from(position).unwrap_or(u32::MAX)));
        family.metric_type = declared.stored();
        self.check_exposed(name, place, declared)
    }

    /// No other family may have a name that this one exposes.
    fn check_exposed(
        &self,
        name: &str,
        place: usize,
        declared: Declared,
    ) -> Result<(), MeaningError> {
        let (suffixes, other_type): (&[&str], _) = match declared {
            Declared::Type(MetricType::Histogram) => (MetricType::Histogram.suffixes(), None),
            Declared::Type(MetricType::Counter) if self.dialect == Dialect::OpenMetrics => {
                (&["_total"], Some(MetricType::Counter))
            }
            Declared::Info => (&["_info"], Some(MetricType::Gauge)),
            _ => (&[], None),
        };
        for suffix in suffixes {
            let exposed = format!("{name}{suffix}");
            let Some(other) = self.find(&exposed) else {
                continue;
            };
            let other = self.families.get(other);
            if other.has_samples && other.declared.is_none() {
                return Err(MeaningError::TypeAfterSamples(Excerpt::of(name)));
            }
            let is_same = other.declared.is_none() || Some(other.metric_type) == other_type;
            if other_type.is_none() || !is_same {
                return Err(self.exposed_by(&exposed, place));
            }
        }
        Ok(())
    }

    fn exposed_by(&self, name: &str, place: usize) -> MeaningError {
        let by = self.families.get(place);
        let declared = by
            .declared
            .map_or("family", |(declared, _)| declared.as_str());
        MeaningError::Exposed {
            name: Excerpt::of(name),
            by: Excerpt::of(by.name),
            declared,
        }
    }

    /// The family of a HELP or TYPE line. What is left out takes no name from others.
    fn declare(&mut self, name: &'a str) -> Result<usize, MeaningError> {
        let checked = self.limits.check_metric_name(name);
        checked.map_err(|limit| beyond(name, limit))?;
        self.last = None;
        let (place, part) = self.place(name);
        if part == Part::Own {
            return Ok(place);
        }
        if self.families.at(place).metric_type == MetricType::Histogram {
            return Err(self.exposed_by(name, place));
        }
        Ok(self.begin(name))
    }

    fn find(&self, name: &str) -> Option<usize> {
        let has_name = |family: &Family<'_>| family.name == name;
        self.families.find(KeyedHash::of(name), has_name)
    }

    /// What the name of a sample stands for; begins a new family where there is none.
    pub fn of_sample(&mut self, name: &'a str) -> Named<'a> {
        match self.last {
            Some(last) if last.name == name => last,
            _ => {
                let (place, part) = self.place(name);
                let family = self.families.at(place);
                family.has_samples = true;
                let named = Named {
                    name,
                    family: place,
                    kind: family.kind(part),
                };
                self.last = Some(named);
                named
            }
        }
    }

    fn place(&mut self, name: &'a str) -> (usize, Part) {
        if let Some(family) = self.find(name) {
            return (family, Part::Own);
        }
        let suffixed = self.suffixed(name);
        if let Some((base, Suffixed::Part(part))) = suffixed {
            return (base, part);
        }
        let place = self.begin(name);
        if let Some((base, Suffixed::Family(metric_type))) = suffixed {
            let declared = self.families.at(base).declared;
            let family = self.families.at(place);
            family.metric_type = metric_type;
            family.declared = declared.map(|(_, position)| (Declared::Type(metric_type), position));
            // The places of a body are fewer, as `Distinct` has them.
            family.base = u32::try_from(base).ok();
        }
        (place, Part::Own)
    }

    /// The declared family that a name extends.
    fn suffixed(&self, name: &str) -> Option<(usize, Suffixed)> {
        use MetricType::{Counter, Gauge, Histogram, Summary};
        const SUFFIXES: [&str; 7] = [
            "_bucket", "_sum", "_count", "_gsum", "_gcount", "_info", "_total",
        ];
        // A push of one line mostly looks here for its only name.
        match name.as_bytes().last() {
            Some(b't' | b'm' | b'o') => {}
            Some(b'l') if self.dialect == Dialect::OpenMetrics => {}
            _ => return None,
        }
        let split = |suffix: &&'static str| Some((name.strip_suffix(*suffix)?, *suffix));
        let (base, suffix) = SUFFIXES.iter().find_map(split)?;
        let place = self.find(base)?;
        let (declared, _) = self.families.get(place).declared?;
        let suffixed = match (declared, suffix) {
            (Declared::Type(Histogram) | Declared::GaugeHistogram, "_bucket") => {
                Suffixed::Part(Part::Bucket)
            }
            (Declared::Type(Histogram | Summary), "_sum") | (Declared::GaugeHistogram, "_gsum") => {
                Suffixed::Part(Part::Sum)
            }
            (Declared::Type(Histogram | Summary), "_count")
            | (Declared::GaugeHistogram, "_gcount") => Suffixed::Part(Part::Count),
            (Declared::Info, "_info") => Suffixed::Family(Gauge),
            (Declared::Type(Counter), "_total") => Suffixed::Family(Counter),
            _ => return None,
        };
        Some((place, suffixed))
    }

    /// Begins a family without a type.
    fn begin(&mut self, name: &'a str) -> usize {
        self.families.place(Family {
            name,
            metric_type: MetricType::Untyped,
            declared: None,
            base: None,
            has_help: false,
            has_samples: false,
        })
    }

    /// The families that only say when the series of others began, in the order of their places.
    pub fn created(&self) -> Vec<Created> {
        if self.dialect == Dialect::Snapshot {
            return Vec::new();
        }
        let mut created = Vec::new();
        for place in 0..self.families.len() {
            let family = self.families.get(place);
            let Some(base) = family.name.strip_suffix("_created") else {
                continue;
            };
            let may_be = match family.declared {
                Some((Declared::Type(MetricType::Gauge), _)) => true,
                Some(_) => false,
                None => self.dialect == Dialect::OpenMetrics,
            };
            if may_be {
                created.extend(self.begun_by(base).map(|of| Created { family: place, of }));
            }
        }
        created
    }

    /// The family whose series the samples of `base_created` begin.
    fn begun_by(&self, base: &str) -> Option<usize> {
        for name in [&format!("{base}_total"), base] {
            let Some(place) = self.find(name) else {
                continue;
            };
            match self.families.get(place).declared {
                Some((Declared::Type(MetricType::Gauge | MetricType::Untyped), _)) | None => {}
                Some((Declared::Type(_), _)) => return Some(place),
                Some(_) => {}
            }
        }
        None
    }

    /// The families as a push names them; none has series yet. Those that only stand for others
    /// say nothing.
    pub fn into_families(self) -> Vec<PushedFamily<'a>> {
        let in_open_metrics = self.dialect == Dialect::OpenMetrics;
        let families = self.families.into_list();
        let pushed = families.iter().map(|family| {
            let stands_for_another = match family.declared {
                Some((Declared::Info, _)) => true,
                Some((Declared::Type(MetricType::Counter), _)) => in_open_metrics,
                _ => false,
            };
            let is_alone = stands_for_another && !family.has_samples;
            PushedFamily {
                name: match self.dialect {
                    Dialect::Protobuf => escaped_name(family.name),
                    _ => Cow::Borrowed(family.name),
                },
                help: Cow::Borrowed(""),
                metric_type: if is_alone {
                    MetricType::Untyped
                } else {
                    family.metric_type
                },
                has_series: false,
                mode: GaugeMode::default(),
                has_negative: false,
            }
        });
        let mut pushed: Vec<PushedFamily<'a>> = pushed.collect();
        for (place, text) in self.helps {
            pushed[place].help = text;
        }
        let based = (0..)
            .zip(&families)
            .filter_map(|(place, family)| Some((place, family.base?)));
        for (place, base) in based {
            if pushed[place].help.is_empty() {
                let help = pushed[base as usize].help.clone();
                pushed[place].help = help;
            }
        }
        for (pushed, family) in pushed.iter_mut().zip(&families) {
            if pushed.metric_type != family.metric_type {
                pushed.help = Cow::Borrowed("");
            }
        }
        pushed
    }
}

impl Family<'_> {
    fn kind(&self, part: Part) -> Kind {
        match (self.declared, self.metric_type) {
            (Some((Declared::GaugeHistogram, _)), _) => Kind::GaugeHistogram,
            (_, MetricType::Counter) => Kind::Counter,
            (_, MetricType::Gauge | MetricType::Untyped) => Kind::Number,
            (_, MetricType::Histogram) => Kind::Histogram(part),
            (_, MetricType::Summary) => Kind::Summary(part),
        }
    }
}
