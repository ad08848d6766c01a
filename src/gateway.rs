//! The one place with locks: pushes, scrapes, resets and removals of one aggregate by many
//! threads.
//!
//! Invariants: no lock is held while anything is read from or written to a network, nor while a
//! body is parsed. Writers (push, reset, removal) take the `writers` mutex first: what a push was
//! checked against is what it is merged into, and the order of the journal is that of the merges.
//! Nobody holds the `RwLock` while the disk is written, so that scrapes, which take that alone,
//! never wait for it. A scrape shows the aggregate between two writers. The templates have a lock
//! of their own, which is never held with another, nor while a body is read. Knows nothing of HTTP
//! or the clock.

mod bytes;
mod clearing;
mod keeping;
mod keys;
mod native_records;
mod push_time;
mod refusal;
mod removing;
mod replay;
mod sender_records;
mod sending;
mod templates;

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::aggregate::{Aggregate, Checked, SeriesPlaces, Size, View};
use crate::excerpt::Excerpt;
use crate::grouping_key::GroupingKey;
use crate::idempotency::{Keys, KnownKey, RetiredKeys};
use crate::journal::{Framed, Journal, KeyRecord, PushRecord, Record, Trouble};
use crate::label_limits::LabelLimits;
use crate::metric::{LabelSet, Push, SkippedSamples};
use crate::parse::{Arena, Format, parse_in};
use crate::render::whole_text;
use crate::rules::{PUSH_TIME_NAME, PushTimes, Rules};
use crate::senders::{Senders, Sending};
use crate::stable_hash::{HashKey, StableHash};

pub use crate::journal::KEY_BYTES_MAX;
pub use crate::senders::Replaced;
pub use keeping::{JournalState, Opened, Start};
use keys::KeyCounters;
pub use keys::KeyCounts;
use push_time::PushTime;
pub use refusal::{NotKept, Refusal};
pub use removing::DeleteError;
pub use replay::WrittenBy;
pub use sending::SenderCounts;
use sending::{Prepared, SenderCounters, sender_of, stored_labels};
use templates::{Candidate, ReadBy, Templates};

/// Limits of what pushes may store. What is stored already may be beyond them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most idempotency keys in a generation.
    pub keys_max: usize,
    /// The most series in total, as [`Size::series`] counts them.
    pub series_max: usize,
    /// The most numbers that are remembered of senders.
    pub sender_series_max: usize,
    /// How long a sender may be silent before its gauges are withdrawn.
    pub sender_timeout_seconds: u32,
    /// Those of one series.
    pub labels: LabelLimits,
}

impl Default for Limits {
    /// None.
    fn default() -> Limits {
        Limits {
            keys_max: usize::MAX,
            series_max: usize::MAX,
            sender_series_max: usize::MAX,
            sender_timeout_seconds: u32::MAX,
            labels: LabelLimits::NONE,
        }
    }
}

/// The shared aggregate.
#[derive(Debug)]
pub struct Gateway {
    limits: Limits,
    rules: Rules,
    /// For idempotency keys, which are kept as hashes.
    hash_key: HashKey,
    writers: Mutex<Writers>,
    aggregate: RwLock<Aggregate>,
    /// What is known of the journal without waiting for it; none without a journal.
    journal_state: Mutex<Option<JournalState>>,
    has_journal: bool,
    key_counts: KeyCounters,
    sender_counters: SenderCounters,
    templates: Templates,
    /// Held by the one thread that rewrites the journal.
    compaction: Mutex<()>,
    /// Held while series are removed.
    removal: Mutex<()>,
}

/// What only one writer at a time may use.
#[derive(Debug, Default)]
struct Writers {
    journal: Option<Journal>,
    /// When the window of the sums began, in unix seconds.
    window_start: i64,
    /// Of the last change, in unix milliseconds; it never decreases.
    time_millis: u64,
    keys: Keys,
    senders: Senders,
    /// Ages are to be restarted as soon as that can be kept.
    are_ages_due: bool,
    /// To be freed outside the lock, by the next push: that takes milliseconds.
    retired_keys: Vec<RetiredKeys>,
    is_closed: bool,
}

impl Writers {
    /// The time of a change that comes at this time, in unix milliseconds, by the sender's thread.
    fn advance(&mut self, time_millis: u64) -> u64 {
        self.time_millis = self.time_millis.max(time_millis);
        self.time_millis
    }
}

/// A push as it comes.
#[derive(Clone, Copy, Debug)]
pub struct PushRequest<'a> {
    /// What stands behind the push path.
    pub labels: &'a str,
    /// Its idempotency key, if it has one; at most [`KEY_BYTES_MAX`] bytes.
    pub key: Option<&'a [u8]>,
    /// That of the body.
    pub format: Format,
    /// What it replaces of its sender's state, if it is a sender's.
    pub replaced: Replaced,
    /// Not compressed.
    pub body: &'a [u8],
    /// When it came, in unix milliseconds.
    pub time_millis: u64,
}

impl<'a> PushRequest<'a> {
    /// What the journal keeps of it.
    fn record(
        &self,
        key: Option<(&'a [u8], KnownKey)>,
        sender: Option<StableHash>,
    ) -> PushRecord<'a> {
        PushRecord {
            is_whole: sender.is_some() && self.replaced == Replaced::Everything,
            format: self.format.code(),
            labels: self.labels,
            key: key.map(|(key, known)| KeyRecord {
                key,
                fingerprint: known.fingerprint,
            }),
            is_time_left_out: false,
            body: self.body,
        }
    }
}

/// A body that was read.
struct Parsed<'a> {
    push: Push<'a>,
    sending: Option<Sending>,
    read_by: ReadBy,
}

/// What became of an accepted push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It was added.
    Merged(Merged),
    /// It had been added when it came before; its idempotency key is remembered.
    Repeated,
}

/// What was added of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Merged {
    /// Sample lines that were added.
    pub samples: u64,
    /// Sample lines that were left out.
    pub skipped: SkippedSamples,
    /// HELP texts that were cut.
    pub cut_help_texts: u64,
    /// Push times for whose series there was no room.
    pub left_out_push_times: u64,
}

impl Merged {
    fn of(push: &Push<'_>, discarded_samples: u64, left_out_push_times: u64) -> Merged {
        Merged {
            samples: push.samples - discarded_samples,
            skipped: SkippedSamples {
                summary: push.skipped.summary + discarded_samples,
                ..push.skipped
            },
            cut_help_texts: push.cut_help_texts,
            left_out_push_times,
        }
    }
}

impl Gateway {
    /// The same gateway, whose pushes are held to these limits from here on. What it has read of a
    /// journal or a hand-over was acknowledged, and is not.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Gateway {
        Gateway { limits, ..self }
    }

    /// Adds a body, its samples labelled with what stands behind the push path. It is in the
    /// journal, if there is one, before it is merged.
    ///
    /// # Errors
    /// A refused push has changed nothing.
    pub fn push(&self, request: &PushRequest<'_>) -> Result<Accepted, Refusal> {
        let path = GroupingKey::from_path(request.labels).map_err(Refusal::Path)?;
        let key = request
            .key
            .map(|key| (key, self.known_key(key, &path, request)));
        let sender = sender_of(&self.rules, self.hash_key, &path);
        let stored = stored_labels(&self.rules, path);
        stored.check(self.limits.labels).map_err(Refusal::Path)?;
        let candidate = self.templates.candidate(request);
        let mut arena = Arena::default();
        let parsed = self.parse(&mut arena, &candidate, request, &stored, sender)?;
        let (mut push, read_by) = (parsed.push, parsed.read_by);
        let push_time = PushTime::of(&self.rules, &stored);
        let changes_something =
            key.is_some() || push_time.is_some() || sender.is_some() || !push.families.is_empty();
        let mut record = request.record(key, sender);
        let is_kept = self.has_journal && changes_something;
        let mut framed = is_kept.then(|| Framed::of(Record::Push(record)));
        let mut writers = self.open_writers().map_err(Refusal::NotKept)?;
        let time_millis = writers.advance(request.time_millis);
        if let Some((_, known)) = key
            && self.is_repeated(&mut writers, known)?
        {
            return Ok(Accepted::Repeated);
        }
        let prepare = |sending| self.prepare(&mut writers, sending, &mut push);
        let prepared = parsed.sending.map(prepare).transpose()?;
        let found = candidate.found().filter(|_| read_by == ReadBy::Template);
        let checked = self.check(&push, found)?;
        let prepared = prepared.map(|prepared| prepared.checked(&checked));
        self.make_room(&mut writers, key.map(|(_, known)| known), prepared.as_ref())?;
        let time_to_set = push_time
            .as_ref()
            .filter(|time| self.has_room_for_time(time, &checked));
        record.is_time_left_out = push_time.is_some() && time_to_set.is_none();
        if record.is_time_left_out {
            framed = is_kept.then(|| Framed::of(Record::Push(record)));
        }
        if let Some(framed) = framed {
            self.append(&mut writers, framed)
                .map_err(Refusal::NotKept)?;
        }
        if let Some((_, known)) = key {
            writers.keys.note(known, time_millis);
            self.key_counts.note(&writers.keys);
        }
        let discarded_samples = checked.discarded_samples();
        self.merge(&mut writers, &checked, prepared, time_to_set);
        let found = checked.into_found();
        let retired_keys = std::mem::take(&mut writers.retired_keys);
        drop(writers);
        drop(retired_keys);
        let left_out_push_times = u64::from(record.is_time_left_out);
        let merged = Merged::of(&push, discarded_samples, left_out_push_times);
        // A template that is made now takes as much memory again.
        drop(push);
        drop(arena);
        let limits = self.limits_of_sent();
        self.templates
            .note(&candidate, read_by, found, request, &stored, limits);
        Ok(Accepted::Merged(merged))
    }

    /// Forgets keys and silent senders as far as a push needs their room: none if it lacks room
    /// all the same.
    fn make_room(
        &self,
        writers: &mut Writers,
        key: Option<KnownKey>,
        prepared: Option<&Prepared>,
    ) -> Result<(), Refusal> {
        let forgotten = prepared.map(|prepared| self.senders_to_forget(writers, prepared));
        let forgotten = forgotten.transpose()?.unwrap_or_default();
        if key.is_some() {
            self.make_room_for_key(writers)?;
        }
        self.forget(writers, &forgotten).map_err(Refusal::NotKept)
    }

    /// Merges what was checked and what a sender contributes, and sets the time of the push, within
    /// one instant.
    fn merge(
        &self,
        writers: &mut Writers,
        checked: &Checked<'_>,
        prepared: Option<Prepared>,
        time_to_set: Option<&PushTime>,
    ) {
        let time_millis = writers.time_millis;
        let mut aggregate = self.write();
        aggregate.merge(checked, seconds(time_millis));
        if let Some(prepared) = prepared {
            self.note(writers, prepared, checked.push(), &mut aggregate);
        }
        if let Some(push_time) = time_to_set {
            push_time.set(&mut aggregate, &self.rules, time_millis);
        }
    }

    /// Reads a body, by its template if it has one, and applies the rules; of a sender's, labels
    /// are not dropped yet.
    fn parse<'a>(
        &self,
        arena: &'a mut Arena,
        candidate: &'a Candidate,
        request: &PushRequest<'a>,
        stored: &'a GroupingKey,
        sender: Option<StableHash>,
    ) -> Result<Parsed<'a>, Refusal> {
        let limits = self.limits_of_sent();
        let (mut push, read_by) = if let Some(push) = candidate.read(request, stored, limits) {
            (push, ReadBy::Template)
        } else {
            let push = parse_in(arena, request.format, request.body, stored, limits);
            (push.map_err(Refusal::Invalid)?, ReadBy::Parser)
        };
        if self.rules.push_times() == PushTimes::Set {
            check_push_time(&push)?;
        }
        self.rules.apply_to_families(&mut push);
        let sending =
            sender.map(|sender| Sending::of(self.hash_key, sender, &push, request.replaced));
        if sending.is_none() {
            self.rules.drop_labels(&mut push);
            self.check_labels(&push)?;
        }
        Ok(Parsed {
            push,
            sending,
            read_by,
        })
    }

    /// The limits hold for the labels that are not dropped.
    fn limits_of_sent(&self) -> LabelLimits {
        match self.rules.dropped_labels() {
            [] => self.limits.labels,
            _ => LabelLimits::NONE,
        }
    }

    /// Holds the labels that are left to the limits, where some may have been dropped.
    fn check_labels(&self, push: &Push<'_>) -> Result<(), Refusal> {
        match self.rules.dropped_labels() {
            [] => Ok(()),
            _ => check_labels(push, self.limits.labels),
        }
    }

    /// `found` is where the families and series of this push were found before.
    fn check<'a>(
        &self,
        push: &'a Push<'a>,
        found: Option<&'a SeriesPlaces>,
    ) -> Result<Checked<'a>, Refusal> {
        let aggregate = self.read();
        let checked = match found {
            Some(found) => aggregate.check_found(push, found),
            None => aggregate.check(push),
        };
        let checked = checked.map_err(Refusal::Conflict)?;
        let room = aggregate.check_room(&checked, self.limits.series_max);
        room.map_err(Refusal::TooManySeries)?;
        Ok(checked)
    }

    /// What a scrape shows: the sums as they are now, whatever is pushed while they are rendered.
    #[must_use]
    pub fn view(&self) -> View {
        self.read().view()
    }

    /// The sums as exposition text, with names beyond the alphabet in quotes.
    #[must_use]
    pub fn scrape(&self) -> Vec<u8> {
        whole_text(&self.view())
    }

    /// How much is stored now.
    #[must_use]
    pub fn size(&self) -> Size {
        self.read().size()
    }

    /// How many histograms have a native part that lacks observations.
    #[must_use]
    pub fn incomplete_natives(&self) -> usize {
        self.read().incomplete_natives()
    }

    fn open_writers(&self) -> Result<MutexGuard<'_, Writers>, NotKept> {
        let writers = self.writers();
        if writers.is_closed {
            Err(NotKept::Closed)
        } else {
            Ok(writers)
        }
    }

    /// Appends a record to the journal, if there is one, at the time of the writers. It is `None`
    /// if it was too long to be framed.
    fn append(&self, writers: &mut Writers, framed: Option<Framed<'_>>) -> Result<(), NotKept> {
        let time_millis = writers.time_millis;
        let Some(journal) = &mut writers.journal else {
            return Ok(());
        };
        let framed = framed.ok_or(Trouble::TooLong);
        let appended = framed.and_then(|framed| journal.append(time_millis, &framed));
        self.update_journal_state(journal);
        appended.map_err(NotKept::Journal)
    }

    // A lock is poisoned by a panic under it. Neither check, render nor merge panics on a checked
    // push; should one do so all the same, going on serves the senders better than going deaf.
    fn writers(&self) -> MutexGuard<'_, Writers> {
        self.writers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> RwLockReadGuard<'_, Aggregate> {
        self.aggregate
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Aggregate> {
        self.aggregate
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Only the gateway sets the gauge of this name.
fn check_push_time(push: &Push<'_>) -> Result<(), Refusal> {
    if push
        .families
        .iter()
        .any(|family| family.name == PUSH_TIME_NAME)
    {
        return Err(Refusal::PushTimeName);
    }
    Ok(())
}

/// Holds series that may have lost labels to the limits.
fn check_labels(push: &Push<'_>, limits: LabelLimits) -> Result<(), Refusal> {
    let check = |family: usize, labels: &LabelSet<'_>| {
        let name = &push.families[family].name;
        let labels = labels.labels().map(|label| (label.name, label.value));
        let checked = limits.check_metric_name(name);
        let checked = checked.and_then(|()| limits.check_labels(labels));
        checked.map_err(|limit| Refusal::Beyond(Excerpt::of(&**name), limit))
    };
    for number in &push.numbers {
        check(number.family, &number.labels)?;
    }
    for histogram in &push.histograms {
        check(histogram.family, &histogram.labels)?;
    }
    Ok(())
}

/// Unix milliseconds to unix seconds, for what is remembered of each series; they last until 2106.
fn seconds(millis: u64) -> u32 {
    u32::try_from(millis / 1000).unwrap_or(u32::MAX)
}
