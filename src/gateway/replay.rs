//! The records of a journal to the aggregate that they were written from.
//!
//! Invariant: a record means what it meant when it was written: it is merged by the rules that the
//! journal names, whatever the current flags say, and without limits.

use crate::aggregate::{Aggregate, HeldSeries, HeldSum, Selection};
use crate::grouping_key::GroupingKey;
use crate::idempotency::{Keys, KnownKey};
use crate::journal::{KeyRecord, PushRecord, Record};
use crate::label_limits::LabelLimits;
use crate::metric::{Push, PushedBy, escaped_name};
use crate::parse::{Arena, Format, parse_in, parse_snapshot};
use crate::render::{PlacedNative, render_pieces};
use crate::rules::{PUSH_TIME_NAME, Rules, RulesError};
use crate::senders::{Replaced, Senders, Sending};
use crate::stable_hash::{HashKey, StableHash};

use super::keeping::SNAPSHOT_RECORD_BYTES;
use super::keys::read_keys;
use super::native_records::read_with_natives;
use super::push_time::PushTime;
use super::seconds;
use super::sender_records::{HeldById, read_held, read_sender_hashes, read_senders};
use super::sending::{Prepared, leaving_sender, sender_of, stored_labels};

/// What was replayed so far.
#[derive(Debug)]
pub struct Replay {
    aggregate: Aggregate,
    keys: Keys,
    senders: Senders,
    /// Of the snapshot.
    held: HeldById,
    hash_key: HashKey,
    /// When the sums were zero, if the file is new.
    new_start_millis: Option<u64>,
    /// The file says when the sums were zero.
    has_start: bool,
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
    /// What is remembered of senders.
    pub senders: Senders,
    /// What the hashes depend on.
    pub hash_key: HashKey,
    /// Which rules it was written by.
    pub written_by: WrittenBy,
}

impl Replayed {
    /// Without a journal. All sums are zero at this time, if one is given, in unix milliseconds.
    pub fn nothing(rules: &Rules, hash_key: HashKey, start_millis: Option<u64>) -> Replayed {
        Replayed {
            aggregate: empty(rules, start_millis),
            keys: Keys::default(),
            senders: Senders::default(),
            hash_key,
            written_by: WrittenBy::CurrentRules,
        }
    }
}

fn empty(rules: &Rules, start_millis: Option<u64>) -> Aggregate {
    let mut empty = Aggregate::new(rules.ages()).with_contributions(rules.contributions());
    if let Some(start_millis) = start_millis {
        empty.note_start(start_millis);
    }
    empty
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
    /// Nothing yet. The key is that of a journal without records, as is the time at which all sums
    /// are zero, in unix milliseconds.
    pub fn new(hash_key: HashKey, new_start_millis: Option<u64>) -> Replay {
        Replay {
            aggregate: Aggregate::default(),
            keys: Keys::default(),
            senders: Senders::default(),
            held: HeldById::new(),
            hash_key,
            new_start_millis,
            has_start: false,
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
            Record::Snapshot { .. } | Record::SnapshotNative { .. } => self.aggregate.index_later(),
            _ => self.aggregate.index_now(),
        }
        match record {
            Record::Rules { .. } => {}
            Record::Reset { .. } | Record::Wipe => self.clear(record, time_millis),
            Record::SumsStart { unix_millis } => {
                self.has_start = true;
                self.aggregate.note_start(unix_millis);
            }
            Record::Snapshot { format, body } => match known_format(format)? {
                Format::Text => restore(&mut self.aggregate, rules, body, Vec::new(), second)?,
                _ => return Err("its snapshot is not text".to_owned()),
            },
            Record::SnapshotNative { series } => {
                let (text, natives) = read_with_natives(series).ok_or(NATIVE_NOT_WHOLE)?;
                restore(&mut self.aggregate, rules, text, natives, second)?;
            }
            Record::Push(push) => {
                if let Some(KeyRecord { key, fingerprint }) = push.key {
                    let hash = self.hash_key.hash(&[key]);
                    self.keys.note(KnownKey { hash, fingerprint }, time_millis);
                }
                self.merge(&push, time_millis)?;
            }
            Record::HashKey { .. } | Record::SnapshotKeys { .. } | Record::SwapKeys => {
                self.apply_to_keys(record)?;
            }
            Record::Expiry { before_seconds } => {
                self.remove(Selection::PushedBefore(before_seconds));
            }
            Record::RestartAges => {
                self.senders.restart_ages(second);
                self.aggregate.restart_ages(second);
            }
            Record::DeleteLabels { labels } => {
                let key = GroupingKey::from_path(labels).map_err(|error| error.to_string())?;
                self.remove(Selection::Labels(key.labels().to_vec()));
            }
            Record::DeleteFamily { name } => {
                self.remove(Selection::Family(escaped_name(name).into_owned()));
            }
            Record::SenderLeaves { .. }
            | Record::WithdrawSenders { .. }
            | Record::ForgetSenders { .. }
            | Record::SnapshotHeld { .. }
            | Record::SnapshotSenders { .. } => self.apply_to_senders(record)?,
        }
        Ok(())
    }

    /// Forgets the sums by a reset or a wipe at this time, in unix milliseconds.
    fn clear(&mut self, record: Record<'_>, time_millis: u64) {
        if record == Record::Wipe || self.aggregate.held_series() == 0 {
            drop(self.aggregate.reset());
        } else {
            self.remove(Selection::NotHeld);
        }
        self.aggregate.note_start(time_millis);
    }

    fn apply_to_keys(&mut self, record: Record<'_>) -> Result<(), String> {
        match record {
            Record::HashKey { key } => {
                self.hash_key = HashKey::from_bytes(key);
                // It is the last record of the preface.
                if !self.has_start {
                    self.aggregate.forget_start();
                }
            }
            Record::SnapshotKeys {
                generation,
                began_millis,
                keys,
            } => {
                let keys = read_keys(keys).ok_or("its idempotency keys are not whole")?;
                self.keys.restore(generation, began_millis, &keys);
            }
            Record::SwapKeys => drop(self.keys.swap()),
            _ => {}
        }
        Ok(())
    }

    fn apply_to_senders(&mut self, record: Record<'_>) -> Result<(), String> {
        let Some(rules) = &self.rules else {
            return Ok(());
        };
        match record {
            Record::SenderLeaves { labels } => {
                let sender = leaving_sender(rules, self.hash_key, labels);
                if let Some(sender) = sender {
                    self.senders.forget(sender, &mut self.aggregate);
                }
            }
            Record::WithdrawSenders { senders } => {
                for sender in read_sender_hashes(senders).ok_or(NOT_WHOLE)? {
                    self.senders.withdraw(sender, &mut self.aggregate);
                }
            }
            Record::ForgetSenders { senders } => {
                for sender in read_sender_hashes(senders).ok_or(NOT_WHOLE)? {
                    self.senders.forget(sender, &mut self.aggregate);
                }
            }
            Record::SnapshotHeld { series } => {
                let (text, sums) = read_held(series).ok_or(NOT_WHOLE)?;
                let held = restore_held(&mut self.aggregate, rules, text, &sums, self.second)?;
                self.held.extend(held);
            }
            Record::SnapshotSenders { senders } => {
                let parts = read_senders(senders, &self.held).ok_or(NOT_WHOLE)?;
                self.senders.restart_ages(parts.silence_start);
                for part in parts.senders {
                    for gauge in &part.gauges {
                        self.aggregate.link(&gauge.at);
                    }
                    self.senders.restore(part);
                }
            }
            _ => {}
        }
        Ok(())
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
                self.aggregate = empty(&rules, self.new_start_millis);
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
        self.aggregate.index_now();
        let Some(of_file) = self.rules.take() else {
            let start_millis = self.new_start_millis;
            return Ok(Replayed::nothing(rules, self.hash_key, start_millis));
        };
        if of_file == *rules {
            return Ok(Replayed {
                aggregate: self.aggregate,
                keys: self.keys,
                senders: self.senders,
                hash_key: self.hash_key,
                written_by: WrittenBy::CurrentRules,
            });
        }
        if of_file.push_times() != rules.push_times() {
            // Times that no push sets any more would look like silence, and a gauge that was pushed
            // by that name is none of these times.
            self.remove(Selection::Family(PUSH_TIME_NAME.to_owned()));
        }
        // Gauges of live senders come again with their next pushes.
        self.senders.withdraw_all(&mut self.aggregate);
        let senders = if of_file.sender_label() == rules.sender_label() {
            self.senders
        } else {
            Senders::default()
        };
        let view = self.aggregate.view();
        let mut aggregate = empty(rules, view.start_millis());
        render_pieces(&view, SNAPSHOT_RECORD_BYTES, |text, natives| {
            restore(&mut aggregate, rules, text, natives, self.second)
        })?;
        Ok(Replayed {
            aggregate,
            keys: self.keys,
            senders,
            hash_key: self.hash_key,
            written_by: WrittenBy::OtherRules,
        })
    }

    /// Merges a push of this time, in unix milliseconds.
    fn merge(&mut self, record: &PushRecord<'_>, time_millis: u64) -> Result<(), String> {
        let second = seconds(time_millis);
        let Some(rules) = &self.rules else {
            return Ok(());
        };
        let path = GroupingKey::from_path(record.labels).map_err(|error| error.to_string())?;
        let sender = sender_of(rules, self.hash_key, &path);
        let stored = stored_labels(rules, path);
        // What was acknowledged is kept, whatever the limits are now.
        let (format, limits) = (known_format(record.format)?, LabelLimits::NONE);
        let mut arena = Arena::default();
        let push = parse_in(&mut arena, format, record.body, &stored, limits);
        let push = push.map_err(|error| error.to_string())?;
        let push_time = PushTime::of(rules, &stored).filter(|_| !record.is_time_left_out);
        match sender {
            None => apply(&mut self.aggregate, rules, push, second)?,
            Some(sender) => self.merge_state(sender, push, record, second)?,
        }
        if let (Some(push_time), Some(rules)) = (push_time, &self.rules) {
            push_time.set(&mut self.aggregate, rules, time_millis);
        }
        Ok(())
    }

    /// Merges a push of a sender.
    fn merge_state(
        &mut self,
        sender: StableHash,
        mut push: Push<'_>,
        record: &PushRecord<'_>,
        second: u32,
    ) -> Result<(), String> {
        let Some(rules) = &self.rules else {
            return Ok(());
        };
        rules.apply_to_families(&mut push);
        let replaced = if record.is_whole {
            Replaced::Everything
        } else {
            Replaced::Families
        };
        let sending = Sending::of(self.hash_key, sender, &push, replaced);
        let prepared = Prepared::new(&self.senders, sending, &mut push, rules, &self.aggregate);
        let checked = self.aggregate.check(&push);
        let checked = checked.map_err(|error| error.to_string())?;
        let prepared = prepared.checked(&checked);
        self.aggregate.merge(&checked, second);
        prepared.note(&mut self.senders, &push, &mut self.aggregate, second);
        Ok(())
    }
}

const NATIVE_NOT_WHOLE: &str = "what it says of native histograms is not whole";
const NOT_WHOLE: &str = "what it says of senders is not whole";

fn known_format(code: u8) -> Result<Format, String> {
    let unknown = || format!("the format of a body is {code}, which this program does not know");
    Format::from_code(code).ok_or_else(unknown)
}

/// Merges a part of a snapshot of this second, in unix seconds. It has been through the rules
/// already, unless they are others now.
fn restore(
    aggregate: &mut Aggregate,
    rules: &Rules,
    text: &[u8],
    natives: Vec<PlacedNative>,
    second: u32,
) -> Result<(), String> {
    let key = GroupingKey::default();
    let mut push = snapshot_push(text, &key, second)?;
    for PlacedNative { place, native } in natives {
        let histogram = push.histograms.get_mut(place).ok_or(NATIVE_NOT_WHOLE)?;
        histogram.native = Some(Box::new(native));
        push.samples += 1;
    }
    apply(aggregate, rules, push, second)
}

/// Reads a part of a snapshot of this second.
fn snapshot_push<'a>(
    text: &'a [u8],
    key: &'a GroupingKey,
    second: u32,
) -> Result<Push<'a>, String> {
    let mut push = parse_snapshot(text, key).map_err(|error| error.to_string())?;
    // It does not say where ages were not kept.
    let seconds = push.number_seconds.iter_mut();
    for unknown in seconds.chain(&mut push.histogram_seconds) {
        if *unknown == 0 {
            *unknown = second;
        }
    }
    Ok(push)
}

/// Restores series that senders hold, and gives each by its id in the snapshot.
fn restore_held(
    aggregate: &mut Aggregate,
    rules: &Rules,
    text: &[u8],
    sums: &[HeldSum],
    second: u32,
) -> Result<Vec<(u32, HeldSeries)>, String> {
    let key = GroupingKey::default();
    let mut push = snapshot_push(text, &key, second)?;
    push.pushed_by = PushedBy::Sender;
    rules.apply(&mut push);
    let checked = aggregate.check(&push).map_err(|error| error.to_string())?;
    let held = aggregate.restore_held(&checked, second, sums);
    let ids = sums.iter().map(|sum| sum.id);
    Ok(ids
        .zip(held)
        .filter_map(|(id, held)| Some((id, held?)))
        .collect())
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
