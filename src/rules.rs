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
//!           / "summaries" LF                     ; sums and counts of summaries are kept
//!           / "push-times" LF                    ; a gauge says when each path was last pushed
//!           / "ages" LF                          ; the last push of each series is remembered
//! mode      = "sum" / "last" / "max" / "min"
//! pattern   = a name, or a part of one with a star at one end
//! ```

mod fold;
mod help;
mod pattern;
mod summaries;

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

pub use pattern::{NamePattern, PatternError};

use crate::excerpt::Excerpt;
use crate::metric::{GaugeMode, MetricType, Push, raw_name};

/// Raised whenever the meaning of an unchanged body changes.
const SEMANTICS: u32 = 1;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The most exact first; of equal ones, the first given.
    gauges: Vec<GaugeRule>,
    dropped_labels: Vec<NamePattern>,
    help_bytes_max: usize,
    summaries: Summaries,
    push_times: PushTimes,
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

/// Whether sums and counts of summaries are added up. Their quantiles never are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Summaries {
    /// They are.
    Kept,
    /// Summaries are discarded.
    #[default]
    Discarded,
}

/// The gauge that says when each path was last pushed.
pub const PUSH_TIME_NAME: &str = "push_time_seconds";

/// Whether the gateway sets the gauge [`PUSH_TIME_NAME`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PushTimes {
    /// Each push does, and no body may have a family of this name.
    Set,
    /// The name is one like others.
    #[default]
    NotSet,
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
            summaries: Summaries::Discarded,
            push_times: PushTimes::NotSet,
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

    /// The same rules, but for summaries.
    #[must_use]
    pub fn with_summaries(self, summaries: Summaries) -> Rules {
        Rules { summaries, ..self }
    }

    /// The same rules, but for push times.
    #[must_use]
    pub fn with_push_times(self, push_times: PushTimes) -> Rules {
        Rules { push_times, ..self }
    }

    /// Whether the gateway says when each path was last pushed.
    #[must_use]
    pub fn push_times(&self) -> PushTimes {
        self.push_times
    }

    /// Whether the last push of each series is remembered.
    #[must_use]
    pub fn ages(&self) -> Ages {
        self.ages
    }

    /// The labels that are dropped before series are merged.
    #[must_use]
    pub fn dropped_labels(&self) -> &[NamePattern] {
        &self.dropped_labels
    }

    /// Applies them to a push: families get their modes, long HELP texts are cut, summaries are
    /// discarded unless they are kept, labels that are dropped go, and series that become one are
    /// folded into one by the merge rules.
    pub fn apply(&self, push: &mut Push<'_>) {
        let mut has_summaries = false;
        for family in &mut push.families {
            if family.help.len() > self.help_bytes_max {
                help::cut(&mut family.help, self.help_bytes_max);
                push.cut_help_texts += 1;
            }
            has_summaries |= family.metric_type == MetricType::Summary;
            let is_number = matches!(family.metric_type, MetricType::Gauge | MetricType::Untyped);
            let rule = || {
                let name = raw_name(&family.name);
                self.gauges.iter().find(|rule| rule.names.matches(&name))
            };
            match is_number.then(rule).flatten() {
                Some(rule) if family.metric_type == MetricType::Gauge => family.mode = rule.mode,
                Some(rule) if !rule.names.is_all() => {
                    family.metric_type = MetricType::Gauge;
                    family.mode = rule.mode;
                }
                _ => {}
            }
            if self.push_times == PushTimes::Set && family.name == PUSH_TIME_NAME {
                // Time does not go back: of series that become one, the latest push is told.
                family.mode = GaugeMode::Max;
            }
        }
        if has_summaries {
            summaries::select(push, self.summaries);
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
        if self.summaries == Summaries::Kept {
            writeln!(to, "summaries")?;
        }
        if self.push_times == PushTimes::Set {
            writeln!(to, "push-times")?;
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
            summaries: Summaries::Discarded,
            push_times: PushTimes::NotSet,
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
        } else if line == "summaries" {
            self.summaries = Summaries::Kept;
        } else if line == "push-times" {
            self.push_times = PushTimes::Set;
        } else if line == "ages" {
            self.ages = Ages::Kept;
        } else {
            return None;
        }
        Some(())
    }
}
