//! What flags decide about merging. It is a part of the state: it stands in the journal, whose
//! records mean what they meant by the rules of their time.
//!
//! Invariant: the same rules have the same text, and the text gives the same rules. A text that is
//! not understood whole is refused: what it says would be merged otherwise.
//!
//! ```text
//! rules     = "semantics " number LF *rule
//! rule      = "gauge " mode " " pattern LF       ; see GaugeRule, the most exact first
//!           / "drop-label " pattern LF
//!           / "help-bytes " number LF            ; longer HELP texts are cut
//!           / "ages" LF                          ; the last push of each series is remembered
//! mode      = "sum" / "last" / "max" / "min"
//! pattern   = a name, or a part of one with a star at one end
//! ```

mod fold;
mod help;
mod pattern;

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

pub use pattern::{NamePattern, PatternError};

use crate::excerpt::Excerpt;
use crate::metric::{GaugeMode, MetricType, Push};

/// Raised whenever the meaning of an unchanged body changes.
const SEMANTICS: u32 = 1;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The most exact first; of equal ones, the first given.
    gauges: Vec<GaugeRule>,
    dropped_labels: Vec<NamePattern>,
    help_bytes_max: usize,
    ages: Ages,
}

/// How the gauges of some names are merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GaugeRule {
    /// Which names.
    pub names: NamePattern,
    /// How.
    pub mode: GaugeMode,
}

/// Whether it is remembered in which second each series was last pushed, which takes four bytes a
/// series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ages {
    /// It is.
    Kept,
    /// Nobody asks for it.
    #[default]
    NotKept,
}

/// Whether senders contribute to gauges and untyped series, which takes 24 bytes more of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Contributions {
    /// They do.
    Kept,
    /// No push is a sender's.
    #[default]
    NotKept,
}

/// Why a text gives no rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RulesError {
    /// It is of a program with another semantics number, or begins with something else.
    Semantics(Excerpt),
    /// A line of it is not understood.
    Unknown(Excerpt),
}

impl Display for RulesError {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        match self {
            RulesError::Semantics(line) => write!(
                to,
                "its merge rules begin with {line}, this program knows semantics {SEMANTICS}"
            ),
            RulesError::Unknown(line) => {
                write!(to, "this program does not know the merge rule {line}")
            }
        }
    }
}

impl std::error::Error for RulesError {}

impl Default for Rules {
    /// Those without flags.
    fn default() -> Rules {
        Rules::new(Vec::new(), Vec::new(), Ages::NotKept)
    }
}

impl Rules {
    /// The rules that these flags give, in their order. Gauges named `*_info` are constants that
    /// describe something: unless a rule of equal exactness says otherwise, their mode is `max`.
    #[must_use]
    pub fn new(mut gauges: Vec<GaugeRule>, dropped_labels: Vec<NamePattern>, ages: Ages) -> Rules {
        gauges.push(GaugeRule {
            names: NamePattern::Suffix("_info".to_owned()),
            mode: GaugeMode::Max,
        });
        gauges.sort_by_key(|rule| std::cmp::Reverse(rule.names.exactness()));
        Rules {
            gauges,
            dropped_labels,
            help_bytes_max: usize::MAX,
            ages,
        }
    }

    /// The same rules, but for HELP texts that are longer than this: they are cut.
    #[must_use]
    pub fn with_help_bytes_max(self, help_bytes_max: usize) -> Rules {
        Rules {
            help_bytes_max,
            ..self
        }
    }

    /// Whether the last push of each series is remembered.
    #[must_use]
    pub fn ages(&self) -> Ages {
        self.ages
    }

    /// Whether senders contribute to gauges.
    #[must_use]
    pub fn contributions(&self) -> Contributions {
        Contributions::NotKept
    }

    /// The labels that are dropped before series are merged.
    #[must_use]
    pub fn dropped_labels(&self) -> &[NamePattern] {
        &self.dropped_labels
    }

    /// Applies them to a push: families get their modes, long HELP texts are cut, labels that are
    /// dropped go, and series that become one are folded into one by the merge rules.
    pub fn apply(&self, push: &mut Push<'_>) {
        for family in &mut push.families {
            if family.help.len() > self.help_bytes_max {
                help::cut(&mut family.help, self.help_bytes_max);
                push.cut_help_texts += 1;
            }
            let is_number = matches!(family.metric_type, MetricType::Gauge | MetricType::Untyped);
            let rule = || {
                self.gauges
                    .iter()
                    .find(|rule| rule.names.matches(family.name))
            };
            match is_number.then(rule).flatten() {
                Some(rule) if family.metric_type == MetricType::Gauge => family.mode = rule.mode,
                Some(rule) if !rule.names.is_all() => {
                    family.metric_type = MetricType::Gauge;
                    family.mode = rule.mode;
                }
                _ => {}
            }
        }
        if !self.dropped_labels.is_empty() {
            fold::drop_labels(push, &self.dropped_labels);
        }
    }
}

impl Display for Rules {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        writeln!(to, "semantics {SEMANTICS}")?;
        for GaugeRule { names, mode } in &self.gauges {
            writeln!(to, "gauge {mode} {names}")?;
        }
        for names in &self.dropped_labels {
            writeln!(to, "drop-label {names}")?;
        }
        if self.help_bytes_max != usize::MAX {
            writeln!(to, "help-bytes {}", self.help_bytes_max)?;
        }
        match self.ages {
            Ages::Kept => writeln!(to, "ages"),
            Ages::NotKept => Ok(()),
        }
    }
}

impl FromStr for Rules {
    type Err = RulesError;

    fn from_str(text: &str) -> Result<Rules, RulesError> {
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        if first != format!("semantics {SEMANTICS}") {
            return Err(RulesError::Semantics(Excerpt::of(first)));
        }
        let mut rules = Rules {
            gauges: Vec::new(),
            dropped_labels: Vec::new(),
            help_bytes_max: usize::MAX,
            ages: Ages::NotKept,
        };
        for line in lines {
            rules
                .take(line)
                .ok_or_else(|| RulesError::Unknown(Excerpt::of(line)))?;
        }
        Ok(rules)
    }
}

impl Rules {
    fn take(&mut self, line: &str) -> Option<()> {
        if let Some(rule) = line.strip_prefix("gauge ") {
            let (mode, names) = rule.split_once(' ')?;
            self.gauges.push(GaugeRule {
                names: names.parse().ok()?,
                mode: GaugeMode::from_word(mode)?,
            });
        } else if let Some(names) = line.strip_prefix("drop-label ") {
            self.dropped_labels.push(names.parse().ok()?);
        } else if let Some(bytes) = line.strip_prefix("help-bytes ") {
            self.help_bytes_max = bytes.parse().ok()?;
        } else if line == "ages" {
            self.ages = Ages::Kept;
        } else {
            return None;
        }
        Some(())
    }
}
