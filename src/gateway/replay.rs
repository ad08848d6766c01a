//! The records of a journal to the aggregate that they were written from.
//!
//! Invariant: a record means what it meant when it was written: it is merged by the rules that the
//! journal names, whatever those of now are, and without limits.

use crate::aggregate::Aggregate;
use crate::grouping_key::GroupingKey;
use crate::journal::{PushRecord, Record};
use crate::label_limits::LabelLimits;
use crate::parse::parse;
use crate::render::render_pieces;
use crate::rules::{Rules, RulesError};

use super::TEXT;
use super::keeping::SNAPSHOT_RECORD_BYTES;

/// What was replayed so far.
#[derive(Debug, Default)]
pub struct Replay {
    aggregate: Aggregate,
    /// None before the first record.
    rules: Option<Rules>,
}

/// Which rules a journal was kept by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayedBy {
    /// By those of now, or it holds nothing.
    SameRules,
    /// By others.
    OtherRules,
}

impl Replay {
    /// Applies a record of this time, in unix milliseconds.
    ///
    /// # Errors
    /// One line that says what is not understood.
    pub fn apply(&mut self, _time_millis: u64, record: Record<'_>) -> Result<(), String> {
        if let Record::Rules { text } = record {
            return self.take_rules(text);
        }
        let Some(rules) = &self.rules else {
            return Err("a record comes before the merge rules".to_owned());
        };
        match record {
            Record::Rules { .. } => Ok(()),
            Record::Reset { .. } => {
                self.aggregate = Aggregate::default();
                Ok(())
            }
            Record::Snapshot { format, body } => {
                check_format(format)?;
                merge(&mut self.aggregate, rules, "", body)
            }
            Record::Push(PushRecord {
                format,
                labels,
                key: None,
                body,
            }) => {
                check_format(format)?;
                merge(&mut self.aggregate, rules, labels, body)
            }
            _ => Err("the record is of a feature that this version has not".to_owned()),
        }
    }

    fn take_rules(&mut self, text: &[u8]) -> Result<(), String> {
        let rules: Rules = std::str::from_utf8(text)
            .map_err(|error| error.to_string())?
            .parse()
            .map_err(|error: RulesError| error.to_string())?;
        match &self.rules {
            Some(known) if *known != rules => Err("its merge rules change midway".to_owned()),
            _ => {
                self.rules = Some(rules);
                Ok(())
            }
        }
    }

    /// All is applied: gives the aggregate as it is by the rules of now. What was merged by others
    /// goes through these like a push; its values are the first ones.
    ///
    /// # Errors
    /// One line that says what cannot be merged by them.
    pub fn finish(self, rules: &Rules) -> Result<(Aggregate, ReplayedBy), String> {
        if self.rules.as_ref().is_none_or(|of_file| of_file == rules) {
            return Ok((self.aggregate, ReplayedBy::SameRules));
        }
        let mut aggregate = Aggregate::default();
        render_pieces(&self.aggregate.view(), SNAPSHOT_RECORD_BYTES, |text| {
            merge(&mut aggregate, rules, "", text)
        })?;
        Ok((aggregate, ReplayedBy::OtherRules))
    }
}

fn check_format(format: u8) -> Result<(), String> {
    if format == TEXT {
        return Ok(());
    }
    Err(format!(
        "the format of a body is {format}, which this program does not know"
    ))
}

fn merge(
    aggregate: &mut Aggregate,
    rules: &Rules,
    labels: &str,
    body: &[u8],
) -> Result<(), String> {
    let key = GroupingKey::from_path(labels).map_err(|error| error.to_string())?;
    // What was acknowledged is kept, whatever the limits are now.
    let mut push = parse(body, &key, LabelLimits::NONE).map_err(|error| error.to_string())?;
    rules.apply(&mut push);
    let checked = aggregate.check(&push).map_err(|error| error.to_string())?;
    aggregate.merge(&checked);
    Ok(())
}
