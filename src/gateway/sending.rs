//! Senders: what their pushes add, and who is silent. See `senders`.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use super::sender_records::sender_hashes;
use super::{Gateway, NotKept, Refusal, Writers, seconds};
use crate::aggregate::{Aggregate, Checked, Removal, Selection};
use crate::grouping_key::{GroupingKey, GroupingKeyError};
use crate::journal::{Framed, Record};
use crate::metric::{Push, PushedBy};
use crate::rules::{Folded, Rules};
use crate::senders::{Changes, Life, SenderSizes, Senders, Sending};
use crate::stable_hash::{HashKey, StableHash};

/// Numbers of silent senders that are withdrawn or forgotten while pushes wait; or one sender.
const STEP_NUMBERS_MAX: usize = 4096;

/// Removals of vacant series before they are given up until the next time.
const ATTEMPTS_MAX: usize = 3;

/// The sender that a path names, if it names one.
pub fn sender_of(rules: &Rules, hash_key: HashKey, path: &GroupingKey) -> Option<StableHash> {
    path.has(rules.sender_label()?).then(|| {
        let labels = path.labels().iter().filter(|(_, value)| !value.is_empty());
        let parts = labels.flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        let parts: Vec<&[u8]> = parts.collect();
        hash_key.hash(&parts)
    })
}

/// The labels that a path puts on the samples of a push: not the one that names its sender.
pub fn stored_labels(rules: &Rules, path: GroupingKey) -> GroupingKey {
    match rules.sender_label() {
        Some(name) if path.has(name) => path.without(name),
        _ => path,
    }
}

/// A sender's push whose numbers have become what they have grown by, and whose labels are dropped.
pub struct Prepared {
    sending: Sending,
    /// To be noted when it is merged.
    pub changes: Changes,
    folded: Folded,
}

impl Prepared {
    /// Prepares a push that has its modes, but still all its labels.
    pub fn new(
        senders: &Senders,
        sending: Sending,
        push: &mut Push<'_>,
        rules: &Rules,
        aggregate: &Aggregate,
    ) -> Prepared {
        push.pushed_by = PushedBy::Sender;
        let changes = senders.prepare(&sending, push, aggregate);
        let folded = rules.drop_labels(push);
        Prepared {
            sending,
            changes,
            folded,
        }
    }

    /// The same for a push that fits: summaries that it does not add are not compared with.
    pub fn checked(mut self, checked: &Checked<'_>) -> Prepared {
        self.changes
            .leave_out(|family| checked.is_discarded(family));
        self
    }

    /// Notes the push, which was merged at this second.
    pub fn note(
        self,
        senders: &mut Senders,
        push: &Push<'_>,
        aggregate: &mut Aggregate,
        second: u32,
    ) {
        let Prepared {
            sending,
            changes,
            folded,
        } = self;
        senders.note(&sending, changes, push, &folded, aggregate, second);
    }
}

impl Gateway {
    /// Prepares a sender's push. Withdraws the gauges of silent senders first where room may be
    /// made of them: they are due.
    pub(super) fn prepare(
        &self,
        writers: &mut Writers,
        sending: Sending,
        push: &mut Push<'_>,
    ) -> Result<Prepared, Refusal> {
        let numbers_max = self.limits.sender_series_max;
        if writers.senders.may_lack_room(push.series(), numbers_max) {
            while self
                .withdraw_some(writers, self.limits.sender_timeout_seconds)
                .map_err(Refusal::NotKept)?
            {}
        }
        let (senders, aggregate) = (&writers.senders, self.read());
        let prepared = Prepared::new(senders, sending, push, &self.rules, &aggregate);
        self.check_labels(push)?;
        Ok(prepared)
    }

    /// The silent senders that are to be forgotten, since a push needs their room.
    pub(super) fn senders_to_forget(
        &self,
        writers: &Writers,
        prepared: &Prepared,
    ) -> Result<Vec<StableHash>, Refusal> {
        let Prepared {
            sending, changes, ..
        } = prepared;
        let numbers_max = self.limits.sender_series_max;
        let senders = &writers.senders;
        let forgotten = senders.to_forget(sending.sender, changes.added, numbers_max);
        forgotten.map_err(Refusal::TooManyNumbers)
    }

    /// Notes a push that was merged.
    pub(super) fn note(
        &self,
        writers: &mut Writers,
        prepared: Prepared,
        push: &Push<'_>,
        aggregate: &mut Aggregate,
    ) {
        let (restarted, late) = (prepared.changes.restarted, prepared.changes.late);
        let second = seconds(writers.time_millis);
        prepared.note(&mut writers.senders, push, aggregate, second);
        let counters = &self.sender_counters;
        counters.restarted.fetch_add(restarted, Relaxed);
        counters.late.fetch_add(late, Relaxed);
        counters.set_sizes(&writers.senders);
    }

    /// Withdraws the gauges of senders that are silent for so long; true if there were any.
    fn withdraw_some(&self, writers: &mut Writers, silent_seconds: u32) -> Result<bool, NotKept> {
        let second = seconds(writers.time_millis);
        let senders = &writers.senders;
        let silent = senders.silent(Life::Live, second, silent_seconds, STEP_NUMBERS_MAX);
        if silent.is_empty() {
            return Ok(false);
        }
        let hashes = sender_hashes(&silent);
        let record = Record::WithdrawSenders { senders: &hashes };
        self.append(writers, Framed::of(record))?;
        let mut aggregate = self.write();
        for sender in silent {
            writers.senders.withdraw(sender, &mut aggregate);
        }
        self.sender_counters.set_sizes(&writers.senders);
        Ok(true)
    }

    pub(super) fn forget(
        &self,
        writers: &mut Writers,
        senders: &[StableHash],
    ) -> Result<(), NotKept> {
        if senders.is_empty() {
            return Ok(());
        }
        let hashes = sender_hashes(senders);
        let record = Record::ForgetSenders { senders: &hashes };
        self.append(writers, Framed::of(record))?;
        let mut aggregate = self.write();
        for sender in senders {
            writers.senders.forget(*sender, &mut aggregate);
        }
        let forgotten = &self.sender_counters.forgotten;
        forgotten.fetch_add(senders.len() as u64, Relaxed);
        self.sender_counters.set_sizes(&writers.senders);
        Ok(())
    }

    /// Withdraws the gauges of senders that are silent for the timeout at this time, in unix
    /// milliseconds, and forgets those that are silent for so long.
    ///
    /// # Errors
    /// Nothing more is done when it cannot be kept.
    pub fn forget_silent_senders(
        &self,
        time_millis: u64,
        memory_seconds: u32,
    ) -> Result<(), NotKept> {
        let timeout_seconds = self.limits.sender_timeout_seconds;
        loop {
            let mut writers = self.open_writers()?;
            writers.advance(time_millis);
            self.restart_due_ages(&mut writers)?;
            if self.withdraw_some(&mut writers, timeout_seconds)? {
                continue;
            }
            let second = seconds(writers.time_millis);
            let senders = &writers.senders;
            let silent = senders.silent(Life::Withdrawn, second, memory_seconds, STEP_NUMBERS_MAX);
            if silent.is_empty() {
                break;
            }
            self.forget(&mut writers, &silent)?;
        }
        self.remove_vacant();
        Ok(())
    }

    /// Frees series that nobody sees, when they are many.
    fn remove_vacant(&self) {
        if !self.read().has_many_vacant() {
            return;
        }
        let _one_by_one = self.one_removal();
        for _ in 0..ATTEMPTS_MAX {
            let mut removal = Removal::prepare(self.view(), Selection::Vacant);
            self.catch_up(&mut removal);
            let writers = self.writers();
            let removed = self.write().remove(&mut removal);
            drop(writers);
            if removed.is_ok() {
                return;
            }
        }
    }

    /// True if paths may name senders.
    #[must_use]
    pub fn has_senders(&self) -> bool {
        self.rules.sender_label().is_some()
    }

    /// True if the labels of a path name a sender.
    ///
    /// # Errors
    /// When they are not the labels of a path.
    pub fn names_sender(&self, labels: &str) -> Result<bool, GroupingKeyError> {
        let path = GroupingKey::from_path(labels)?;
        Ok(sender_of(&self.rules, self.hash_key, &path).is_some())
    }

    /// A sender leaves, at this time in unix milliseconds: its gauges are withdrawn, and it is
    /// forgotten, if it is known. The labels are those of its path.
    ///
    /// # Errors
    /// It stays when that cannot be kept.
    pub fn sender_leaves(&self, time_millis: u64, labels: &str) -> Result<(), NotKept> {
        let Some(sender) = leaving_sender(&self.rules, self.hash_key, labels) else {
            return Ok(());
        };
        let mut writers = self.open_writers()?;
        if !writers.senders.knows(sender) {
            return Ok(());
        }
        writers.advance(time_millis);
        self.append(&mut writers, Framed::of(Record::SenderLeaves { labels }))?;
        let writers = &mut *writers;
        writers.senders.forget(sender, &mut self.write());
        self.sender_counters.set_sizes(&writers.senders);
        Ok(())
    }

    /// What is remembered of senders. Does not wait for the journal.
    #[must_use]
    pub fn sender_counts(&self) -> SenderCounts {
        let counters = &self.sender_counters;
        SenderCounts {
            sizes: SenderSizes {
                live: counters.live.load(Relaxed),
                withdrawn: counters.withdrawn.load(Relaxed),
                numbers: counters.numbers.load(Relaxed),
            },
            forgotten: counters.forgotten.load(Relaxed),
            restarted: counters.restarted.load(Relaxed),
            late: counters.late.load(Relaxed),
        }
    }
}

/// The sender that leaves by the path of these labels.
pub fn leaving_sender(rules: &Rules, hash_key: HashKey, labels: &str) -> Option<StableHash> {
    sender_of(rules, hash_key, &GroupingKey::from_path(labels).ok()?)
}

/// Senders and numbers remembered, and series that restarted or came late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderCounts {
    /// How many there are.
    pub sizes: SenderSizes,
    /// Senders that were forgotten since they were silent.
    pub forgotten: u64,
    /// Series that began again at zero.
    pub restarted: u64,
    /// Series that came behind a later push, and were ignored.
    pub late: u64,
}

/// The same, counted under the writers' lock and read without it.
#[derive(Debug, Default)]
pub struct SenderCounters {
    live: AtomicUsize,
    withdrawn: AtomicUsize,
    numbers: AtomicUsize,
    forgotten: AtomicU64,
    restarted: AtomicU64,
    late: AtomicU64,
}

impl SenderCounters {
    /// Notes how many there are now.
    pub fn set_sizes(&self, senders: &Senders) {
        let sizes = senders.sizes();
        self.live.store(sizes.live, Relaxed);
        self.withdrawn.store(sizes.withdrawn, Relaxed);
        self.numbers.store(sizes.numbers, Relaxed);
    }
}
