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
//!           / "native-buckets " number LF        ; native histograms are kept, and become coarser
//!           / "summaries" LF                     ; sums and counts of summaries are kept
//!           / "push-times" LF                    ; a gauge says when each path was last pushed
//!           / "ages" LF                          ; the last push of each series is remembered
//!           / "sender-label " name LF            ; a path with this label names a sender
//! mode      = "sum" / "last" / "max" / "min"
//! pattern   = a name, or a part of one with a star at one end
//! ```

mod fold;
mod help;
mod natives;
mod pattern;
mod summaries;

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

pub use fold::Folded;
pub use pattern::{NamePattern, PatternError};

use crate::excerpt::Excerpt;
use crate::metric::{GaugeMode, MetricType, Push, raw_name};

/// Raised whenever the meaning of an unchanged body changes.
const SEMANTICS: u32 = 1;

/// Without flags, a native histogram has as many buckets as client libraries are mostly told to
/// have.
const NATIVE_BUCKETS_MAX: usize = 160;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The most exact first; of equal ones, the first given.
    gauges: Vec<GaugeRule>,
    dropped_labels: Vec<NamePattern>,
    help_bytes_max: usize,
    /// Zero leaves native histograms out.
    native_buckets_max: usize,
    summaries: Summaries,
    push_times: PushTimes,
    ages: Ages,
    sender_label: Option<String>,
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
            native_buckets_max: NATIVE_BUCKETS_MAX,
            summaries: Summaries::Discarded,
            push_times: PushTimes::NotSet,
            ages,
            sender_label: None,
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

    /// The same rules, where a native histogram becomes coarser when it has more buckets than this.
    /// With 0 they are left out: their classic parts are kept.
    #[must_use]
    pub fn with_native_buckets_max(self, native_buckets_max: usize) -> Rules {
        Rules {
            native_buckets_max,
            ..self
        }
    }

    /// The same rules, where a path with this label names a cumulative sender.
    #[must_use]
    pub fn with_sender_label(self, name: String) -> Rules {
        Rules {
            sender_label: Some(name),
            ..self
        }
    }

    /// The label of a path that names a cumulative sender, if there is one.
    #[must_use]
    pub fn sender_label(&self) -> Option<&str> {
        self.sender_label.as_deref()
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

    /// Whether senders contribute to gauges.
    #[must_use]
    pub fn contributions(&self) -> Contributions {
        match self.sender_label {
            Some(_) => Contributions::Kept,
            None => Contributions::NotKept,
        }
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
        self.apply_to_families(push);
        self.drop_labels(push);
    }

    /// The first part of it: families get their modes, long HELP texts are cut, summaries are
    /// discarded unless they are kept, native histograms are held to their limit. All series are as
    /// sent.
    pub fn apply_to_families(&self, push: &mut Push<'_>) {
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
        natives::limit(push, self.native_buckets_max);
    }

    /// The second part: labels that are dropped go, and series that become one are folded into one.
    /// Gives where each of the numbers is then.
    pub fn drop_labels(&self, push: &mut Push<'_>) -> Folded {
        if self.dropped_labels.is_empty() {
            return Folded::default();
        }
        fold::drop_labels(push, &self.dropped_labels)
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
        if self.native_buckets_max != 0 {
            writeln!(to, "native-buckets {}", self.native_buckets_max)?;
        }
        if self.summaries == Summaries::Kept {
            writeln!(to, "summaries")?;
        }
        if self.push_times == PushTimes::Set {
            writeln!(to, "push-times")?;
        }
        if self.ages == Ages::Kept {
            writeln!(to, "ages")?;
        }
        match &self.sender_label {
            Some(name) => writeln!(to, "sender-label {name}"),
            None => Ok(()),
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
            native_buckets_max: 0,
            summaries: Summaries::Discarded,
            push_times: PushTimes::NotSet,
            ages: Ages::NotKept,
            sender_label: None,
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
        } else if let Some(buckets) = line.strip_prefix("native-buckets ") {
            self.native_buckets_max = buckets.parse().ok()?;
        } else if line == "summaries" {
            self.summaries = Summaries::Kept;
        } else if line == "push-times" {
            self.push_times = PushTimes::Set;
        } else if line == "ages" {
            self.ages = Ages::Kept;
        } else if let Some(name) = line.strip_prefix("sender-label ") {
            self.sender_label = Some(name.to_owned());
        } else {
            return None;
        }
        Some(())
    }
}
