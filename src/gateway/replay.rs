//! The records of a journal to the aggregate that they were written from.
//!
//! Invariant: a record means what it meant when it was written: it is merged by the rules that the
//! journal names, whatever the current flags say, and without limits.

use crate::aggregate::{Aggregate, Selection};
use crate::grouping_key::GroupingKey;
use crate::idempotency::{Keys, KnownKey};
use crate::journal::{KeyRecord, PushRecord, Record};
use crate::label_limits::LabelLimits;
use crate::metric::{Push, escaped_name};
use crate::parse::{Arena, Format, parse_in, parse_snapshot};
use crate::render::render_pieces;
use crate::rules::{PUSH_TIME_NAME, Rules, RulesError};
use crate::stable_hash::HashKey;

use super::keeping::SNAPSHOT_RECORD_BYTES;
use super::keys::read_keys;
use super::push_time::PushTime;
use super::seconds;

/// What was replayed so far.
#[derive(Debug)]
pub struct Replay {
    aggregate: Aggregate,
    keys: Keys,
    hash_key: HashKey,
    /// None before the first record.
    rules: Option<Rules>,
    /// Of the last record, in unix seconds.
    second: u32,
}

/// What a journal gives.
#[derive(Debug)]
pub struct Replayed {
    /// The sums, by the current rules.
    pub aggregate: Aggregate,
    /// The idempotency keys that are remembered, by their hashes.
    pub keys: Keys,
    /// What the hashes depend on.
    pub hash_key: HashKey,
    /// Which rules it was written by.
    pub written_by: WrittenBy,
}

/// Which rules a journal was written by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrittenBy {
    /// The current ones, or it holds nothing.
    CurrentRules,
    /// Others.
    OtherRules,
}

impl Replay {
    /// Nothing yet. The key is that of a journal without records.
    pub fn with_hash_key(hash_key: HashKey) -> Replay {
        Replay {
            aggregate: Aggregate::default(),
            keys: Keys::default(),
            hash_key,
            rules: None,
            second: 0,
        }
    }

    /// Applies a record of this time, in unix milliseconds.
    ///
    /// # Errors
    /// One line that says what is not understood.
    pub fn apply(&mut self, time_millis: u64, record: Record<'_>) -> Result<(), String> {
        if let Record::Rules { text } = record {
            return self.take_rules(text);
        }
        let Some(rules) = &self.rules else {
            return Err("a record comes before the merge rules".to_owned());
        };
        let second = seconds(time_millis);
        self.second = second;
        match record {
            Record::Rules { .. } => Ok(()),
            Record::Reset { .. } => {
                drop(self.aggregate.reset());
                Ok(())
            }
            Record::Snapshot { format, body } => match known_format(format)? {
                Format::Text => restore(&mut self.aggregate, rules, body, second),
                _ => Err("its snapshot is not text".to_owned()),
            },
            Record::Push(push) => {
                if let Some(KeyRecord { key, fingerprint }) = push.key {
                    let hash = self.hash_key.hash(&[key]);
                    self.keys.note(KnownKey { hash, fingerprint }, time_millis);
                }
                merge(&mut self.aggregate, rules, &push, time_millis)
            }
            Record::HashKey { key } => {
                self.hash_key = HashKey::from_bytes(key);
                Ok(())
            }
            Record::SnapshotKeys {
                generation,
                began_millis,
                keys,
            } => {
                let keys = read_keys(keys).ok_or("its idempotency keys are not whole")?;
                self.keys.restore(generation, began_millis, &keys);
                Ok(())
            }
            Record::SwapKeys => {
                drop(self.keys.swap());
                Ok(())
            }
            Record::Expiry { before_seconds } => {
                self.remove(Selection::PushedBefore(before_seconds));
                Ok(())
            }
            Record::RestartAges => {
                self.aggregate.restart_ages(second);
                Ok(())
            }
            Record::DeleteLabels { labels } => {
                let key = GroupingKey::from_path(labels).map_err(|error| error.to_string())?;
                self.remove(Selection::Labels(key.labels().to_vec()));
                Ok(())
            }
            Record::DeleteFamily { name } => {
                self.remove(Selection::Family(escaped_name(name).into_owned()));
                Ok(())
            }
            _ => Err("the record is of a feature that this version has not".to_owned()),
        }
    }

    fn remove(&mut self, selection: Selection) {
        self.aggregate.remove_now(selection);
    }

    fn take_rules(&mut self, text: &[u8]) -> Result<(), String> {
        let rules: Rules = std::str::from_utf8(text)
            .map_err(|error| error.to_string())?
            .parse()
            .map_err(|error: RulesError| error.to_string())?;
        match &self.rules {
            Some(known) if *known != rules => Err("its merge rules change midway".to_owned()),
            Some(_) => Ok(()),
            None => {
                self.aggregate = Aggregate::new(rules.ages());
                self.rules = Some(rules);
                Ok(())
            }
        }
    }

    /// All is applied: gives the aggregate by the current rules. What was merged by others
    /// goes through these like a push; its values are the first ones.
    ///
    /// # Errors
    /// One line that says what cannot be merged by them.
    pub fn finish(mut self, rules: &Rules) -> Result<Replayed, String> {
        if let Some(of_file) = &self.rules
            && of_file.push_times() != rules.push_times()
        {
            // Times that no push sets any more would look like silence, and a gauge that was pushed
            // by that name is none of these times.
            self.remove(Selection::Family(PUSH_TIME_NAME.to_owned()));
        }
        let replayed = Replayed {
            aggregate: self.aggregate,
            keys: self.keys,
            hash_key: self.hash_key,
            written_by: WrittenBy::CurrentRules,
        };
        match self.rules {
            Some(of_file) if of_file == *rules => return Ok(replayed),
            Some(_) => {}
            None => {
                let aggregate = Aggregate::new(rules.ages());
                return Ok(Replayed {
                    aggregate,
                    ..replayed
                });
            }
        }
        let mut aggregate = Aggregate::new(rules.ages());
        render_pieces(&replayed.aggregate.view(), SNAPSHOT_RECORD_BYTES, |text| {
            restore(&mut aggregate, rules, text, self.second)
        })?;
        Ok(Replayed {
            aggregate,
            written_by: WrittenBy::OtherRules,
            ..replayed
        })
    }
}

fn known_format(code: u8) -> Result<Format, String> {
    let unknown = || format!("the format of a body is {code}, which this program does not know");
    Format::from_code(code).ok_or_else(unknown)
}

/// Merges a push of this time, in unix milliseconds.
fn merge(
    aggregate: &mut Aggregate,
    rules: &Rules,
    record: &PushRecord<'_>,
    time_millis: u64,
) -> Result<(), String> {
    let key = GroupingKey::from_path(record.labels).map_err(|error| error.to_string())?;
    // What was acknowledged is kept, whatever the limits are now.
    let mut arena = Arena::default();
    let push = parse_in(
        &mut arena,
        known_format(record.format)?,
        record.body,
        &key,
        LabelLimits::NONE,
    )
    .map_err(|error| error.to_string())?;
    apply(aggregate, rules, push, seconds(time_millis))?;
    match PushTime::of(rules, &key) {
        Some(push_time) if !record.is_time_left_out => {
            push_time.set(aggregate, rules, time_millis);
        }
        _ => {}
    }
    Ok(())
}

/// Merges a part of a snapshot of this second, in unix seconds. It has been through the rules
/// already, unless they are others now.
fn restore(
    aggregate: &mut Aggregate,
    rules: &Rules,
    text: &[u8],
    second: u32,
) -> Result<(), String> {
    let key = GroupingKey::default();
    let mut push = parse_snapshot(text, &key).map_err(|error| error.to_string())?;
    // It does not say where ages were not kept.
    let seconds = push.number_seconds.iter_mut();
    for unknown in seconds.chain(&mut push.histogram_seconds) {
        if *unknown == 0 {
            *unknown = second;
        }
    }
    apply(aggregate, rules, push, second)
}

fn apply(
    aggregate: &mut Aggregate,
    rules: &Rules,
    mut push: Push<'_>,
    second: u32,
) -> Result<(), String> {
    rules.apply(&mut push);
    let checked = aggregate.check(&push).map_err(|error| error.to_string())?;
    aggregate.merge(&checked, second);
    Ok(())
}
