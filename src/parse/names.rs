//! The names of a body: which families there are, what is said of each, and which of them the name
//! of a sample belongs to.

use super::distinct::{Distinct, Distinguishable};
use super::error::{MeaningError, beyond};
use crate::excerpt::Excerpt;
use crate::keyed_hash::KeyedHash;
use crate::label_limits::LabelLimits;
use crate::metric::{MetricType, PushedFamily, base_names};

/// A family, and what has been said of it so far.
struct Family<'a> {
    pushed: PushedFamily<'a>,
    has_help: bool,
    has_type: bool,
    has_samples: bool,
}

impl Distinguishable for Family<'_> {
    fn hash(&self) -> KeyedHash {
        KeyedHash::of(self.pushed.name)
    }

    fn is(&self, other: &Self) -> bool {
        self.pushed.name == other.pushed.name
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

impl Part {
    fn from_suffix(suffix: &str) -> Part {
        match suffix {
            "_bucket" => Part::Bucket,
            "_sum" => Part::Sum,
            _ => Part::Count,
        }
    }
}

/// What the name of a sample stands for.
#[derive(Clone, Copy)]
pub struct Named<'a> {
    /// The name.
    pub name: &'a str,
    /// The place of its family.
    pub family: usize,
    /// That family's type.
    pub metric_type: MetricType,
    /// What the sample is of it.
    pub part: Part,
}

/// The families of a body in order of arrival.
pub struct Names<'a> {
    limits: LabelLimits,
    families: Distinct<Family<'a>>,
    /// The name of the sample before, as the next one mostly has it too; TYPE may change what it
    /// stands for.
    last: Option<Named<'a>>,
    /// See [`crate::metric::Push::help_ends`].
    help_ends: Vec<&'a str>,
}

impl<'a> Names<'a> {
    /// None yet.
    pub fn new(limits: LabelLimits) -> Names<'a> {
        Names {
            limits,
            families: Distinct::expecting(1),
            last: None,
            help_ends: Vec::new(),
        }
    }

    /// Takes a HELP line, whose text is cut if it is too long.
    pub fn help(&mut self, name: &'a str, text: &'a str) -> Result<(), MeaningError> {
        let (text, end) = self.limits.split_help(text);
        let family = self.declare(name)?;
        if family.has_help {
            return Err(MeaningError::SecondHelp(Excerpt::of(name)));
        }
        family.has_help = true;
        family.pushed.help = text;
        if !end.is_empty() {
            self.help_ends.push(end);
        }
        Ok(())
    }

    /// Takes a TYPE line.
    pub fn metric_type(
        &mut self,
        name: &'a str,
        metric_type: MetricType,
    ) -> Result<(), MeaningError> {
        let family = self.declare(name)?;
        if family.has_type {
            return Err(MeaningError::SecondType(Excerpt::of(name)));
        }
        if family.has_samples {
            return Err(MeaningError::TypeAfterSamples(Excerpt::of(name)));
        }
        family.has_type = true;
        family.pushed.metric_type = metric_type;
        for suffix in metric_type.suffixes() {
            let exposed = format!("{name}{suffix}");
            let Some(place) = self.find(&exposed) else {
                continue;
            };
            let other = self.families.at(place);
            return Err(if other.has_samples && !other.has_type {
                MeaningError::TypeAfterSamples(Excerpt::of(name))
            } else {
                exposed_by(&exposed, name, metric_type)
            });
        }
        Ok(())
    }

    /// The family of a HELP or TYPE line.
    fn declare(&mut self, name: &'a str) -> Result<&mut Family<'a>, MeaningError> {
        let checked = self.limits.check_metric_name(name);
        checked.map_err(|limit| beyond(name, limit))?;
        self.last = None;
        let named = self.resolve(name);
        let family = self.families.at(named.family);
        if named.part == Part::Own {
            return Ok(family);
        }
        Err(exposed_by(
            name,
            family.pushed.name,
            family.pushed.metric_type,
        ))
    }

    fn find(&self, name: &str) -> Option<usize> {
        let has_name = |family: &Family<'_>| family.pushed.name == name;
        self.families.find(KeyedHash::of(name), has_name)
    }

    /// What the name of a sample stands for; begins a new family where there is none.
    pub fn of_sample(&mut self, name: &'a str) -> Named<'a> {
        match self.last {
            Some(last) if last.name == name => last,
            _ => {
                let named = self.resolve(name);
                self.families.at(named.family).has_samples = true;
                self.last = Some(named);
                named
            }
        }
    }

    fn resolve(&mut self, name: &'a str) -> Named<'a> {
        let (family, part) = self.place(name);
        Named {
            name,
            family,
            metric_type: self.families.at(family).pushed.metric_type,
            part,
        }
    }

    fn place(&mut self, name: &'a str) -> (usize, Part) {
        if let Some(family) = self.find(name) {
            return (family, Part::Own);
        }
        for base in base_names(name) {
            let Some(family) = self.find(base) else {
                continue;
            };
            let suffix = &name[base.len()..];
            let suffixes = self.families.at(family).pushed.metric_type.suffixes();
            if suffixes.contains(&suffix) {
                return (family, Part::from_suffix(suffix));
            }
        }
        let begun = Family {
            pushed: PushedFamily {
                name,
                help: "",
                metric_type: MetricType::Untyped,
                has_series: false,
                has_negative: false,
            },
            has_help: false,
            has_type: false,
            has_samples: false,
        };
        (self.families.place(begun), Part::Own)
    }

    /// The families as a push names them; none has series yet. With them, the ends of HELP texts
    /// that were cut off.
    pub fn into_families(self) -> (Vec<PushedFamily<'a>>, Vec<&'a str>) {
        let families = self.families.into_list().into_iter();
        let families = families.map(|family| family.pushed);
        (families.collect(), self.help_ends)
    }
}

fn exposed_by(name: &str, by: &str, metric_type: MetricType) -> MeaningError {
    let (name, by) = (Excerpt::of(name), Excerpt::of(by));
    MeaningError::Exposed {
        name,
        by,
        metric_type,
    }
}
