//! The templates of what is pushed again and again, and where its series are.
//!
//! Pushes that have the same labels in their path, begin with the same sample and, if they are
//! short, have as many lines, are likely to be alike; in protobuf, those that begin with the same
//! family and are about as long. The second of them makes the template by which the next ones are
//! read. A wrong guess costs time and changes nothing: what a template does not read
//! is read in the general way.
//!
//! Invariants: the templates take at most [`BYTES_MAX`] in all. Only one that has not been used for
//! long makes room for another: of more kinds of pushes than there is room for, some are read by
//! templates and the others are not. Bodies that turn out not to be alike are tried less and less
//! often.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::PushRequest;
use crate::aggregate::SeriesPlaces;
use crate::grouping_key::GroupingKey;
use crate::keyed_hash::KeyedHash;
use crate::label_limits::LabelLimits;
use crate::metric::Push;
use crate::parse::{Format, Template, make_template};

/// What all templates take at most.
const BYTES_MAX: usize = 16 << 20;

/// A template that takes more would leave no room for others.
const TEMPLATE_BYTES_MAX: usize = BYTES_MAX / 2;

/// A shorter body is read as fast as its template would be found.
const BODY_BYTES_MIN: usize = 256;

/// Most entries.
const ENTRIES_MAX: usize = 1024;

/// An entry that was used within this number of lookups is not evicted.
const KEPT_FOR_USES: u64 = 4096;

/// After this number of misses in a row, a template is tried at powers of two only.
const MISSES_MAX: u32 = 8;

/// See the module.
#[derive(Debug, Default)]
pub struct Templates(Mutex<Store>);

#[derive(Debug, Default)]
struct Store {
    entries: HashMap<BodyKey, Entry>,
    /// Of all templates.
    bytes: usize,
    /// How often one was looked for.
    uses: u64,
    /// Up to this use, no entry can be evicted.
    all_kept_until: u64,
}

/// What is known of the bodies of one key.
#[derive(Debug, Default)]
struct Entry {
    template: Option<Arc<Template>>,
    found: Option<Arc<SeriesPlaces>>,
    /// How many pushes in a row were not like the template.
    misses: u32,
    last_use: u64,
}

impl Entry {
    fn is_worth_a_try(&self) -> bool {
        self.misses < MISSES_MAX || self.misses.is_power_of_two()
    }

    fn bytes(&self) -> usize {
        let template = self
            .template
            .as_ref()
            .map_or(0, |template| template.bytes());
        template + self.found.as_ref().map_or(0, |found| found.bytes())
    }
}

/// A hash of what bodies that are alike have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct BodyKey(u64);

impl BodyKey {
    /// `None` of a push that is not worth it.
    fn of(request: &PushRequest<'_>) -> Option<BodyKey> {
        let body = request.body;
        if !(BODY_BYTES_MIN..=TEMPLATE_BYTES_MAX).contains(&body.len()) {
            return None;
        }
        let (begin, extent) = match request.format {
            Format::Text | Format::OpenMetrics => (first_sample(body)?, lines(body)),
            Format::Protobuf => (first_name(body)?, magnitude(body.len())),
        };
        let begin = KeyedHash::of_bytes(begin).within(extent);
        let path = KeyedHash::of(request.labels).within(u32::from(request.format.code()));
        Some(BodyKey(begin.wide() << 32 | path.wide() >> 32))
    }
}

/// The first line that is no comment, without its number, if it comes soon.
fn first_sample(body: &[u8]) -> Option<&[u8]> {
    const SEARCHED_BYTES: usize = 4096;
    let begin = &body[..body.len().min(SEARCHED_BYTES)];
    let mut lines = begin.split(|&byte| byte == b'\n');
    let line = lines.find(|line| !line.is_empty() && !line.starts_with(b"#"))?;
    let space = line.iter().rposition(|&byte| byte == b' ')?;
    Some(&line[..space])
}

/// How many lines a body has; it is not worth counting those of a long one.
fn lines(body: &[u8]) -> u32 {
    const COUNTED_BYTES_MAX: usize = 16 << 10;
    if body.len() > COUNTED_BYTES_MAX {
        return 0;
    }
    body.iter().map(|&byte| u32::from(byte == b'\n')).sum()
}

/// The name of the first family, which stands behind the length of its message.
fn first_name(body: &[u8]) -> Option<&[u8]> {
    let length = body.iter().take_while(|&&byte| byte >= 0x80).count() + 1;
    let [0x0a, name_length, behind @ ..] = body.get(length..)? else {
        return None;
    };
    behind.get(..usize::from(*name_length))
}

/// The same for lengths that are alike: counts that grow make a body longer now and then.
fn magnitude(length: usize) -> u32 {
    let bits = length.checked_ilog2().unwrap_or_default();
    #[allow(clippy::cast_possible_truncation)] // the first three bits
    let leading = (length >> bits.saturating_sub(2)) as u32;
    bits << 3 | leading
}

/// What is known of pushes that are likely to be like one.
#[derive(Debug, Default)]
pub struct Candidate {
    body_key: Option<BodyKey>,
    template: Option<Arc<Template>>,
    found: Option<Arc<SeriesPlaces>>,
}

impl Candidate {
    /// The push, if it is like the template.
    pub fn read<'a>(
        &'a self,
        request: &PushRequest<'_>,
        key: &GroupingKey,
        limits: LabelLimits,
    ) -> Option<Push<'a>> {
        let template = self.template.as_ref()?;
        template.read(request.format, request.body, key, limits)
    }

    /// Where all that the template is about was found last.
    pub fn found(&self) -> Option<&SeriesPlaces> {
        self.found.as_deref()
    }
}

/// How a push was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadBy {
    Template,
    Parser,
}

impl Templates {
    /// What may be known of pushes like this one.
    pub fn candidate(&self, request: &PushRequest<'_>) -> Candidate {
        let Some(body_key) = BodyKey::of(request) else {
            return Candidate::default();
        };
        let mut store = self.store();
        store.uses += 1;
        let last_use = store.uses;
        let mut candidate = Candidate {
            body_key: Some(body_key),
            ..Candidate::default()
        };
        if let Some(entry) = store.entries.get_mut(&body_key) {
            entry.last_use = last_use;
            if entry.is_worth_a_try() {
                candidate.template.clone_from(&entry.template);
                candidate.found.clone_from(&entry.found);
            }
        }
        candidate
    }

    /// Takes note of an accepted push: how it was read, and where all of it was found, if that is
    /// to be noted.
    pub fn note(
        &self,
        candidate: &Candidate,
        read_by: ReadBy,
        found: Option<SeriesPlaces>,
        request: &PushRequest<'_>,
        key: &GroupingKey,
        limits: LabelLimits,
    ) {
        let Some(body_key) = candidate.body_key else {
            return;
        };
        // What has to make room is freed outside the lock.
        let mut evicted = Vec::new();
        let made = match read_by {
            ReadBy::Template => {
                self.store().hit(body_key);
                candidate.template.clone().filter(|_| found.is_some())
            }
            ReadBy::Parser => {
                let is_due = self
                    .store()
                    .miss(body_key, request.body.len(), &mut evicted);
                let make = || make_template(request.format, request.body, key, limits);
                is_due.then(make).flatten().map(Arc::new)
            }
        };
        if made.is_some() {
            let found = found.map(Arc::new);
            self.store().keep(body_key, made, found, &mut evicted);
        }
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    fn hit(&mut self, body_key: BodyKey) {
        if let Some(entry) = self.entries.get_mut(&body_key) {
            entry.misses = 0;
        }
    }

    /// Takes note of a push that was not read by a template. True if one is to be made of it: not
    /// of the first of its key, which may be the last.
    fn miss(&mut self, body_key: BodyKey, body_bytes: usize, evicted: &mut Vec<Entry>) -> bool {
        let is_full = self.entries.len() >= ENTRIES_MAX;
        if is_full && !self.entries.contains_key(&body_key) {
            let Some(oldest) = self.take_oldest() else {
                return false;
            };
            evicted.push(oldest);
        }
        let last_use = self.uses;
        let entry = self.entries.entry(body_key).or_default();
        entry.last_use = last_use;
        entry.misses = entry.misses.saturating_add(1);
        let is_due = entry.misses > 1 && entry.misses.is_power_of_two();
        // A template takes at least as much as its body.
        is_due && (self.bytes + body_bytes <= BYTES_MAX || self.oldest().is_some())
    }

    /// Keeps a template in the place of what was there, if there is room.
    fn keep(
        &mut self,
        body_key: BodyKey,
        template: Option<Arc<Template>>,
        found: Option<Arc<SeriesPlaces>>,
        evicted: &mut Vec<Entry>,
    ) {
        let Some(before) = self.take(body_key) else {
            return;
        };
        let mut entry = Entry {
            template,
            found,
            misses: before.misses,
            last_use: self.uses,
        };
        evicted.push(before);
        if entry.bytes() > TEMPLATE_BYTES_MAX {
            // The next ones would be too long as well.
            entry.misses = u32::MAX;
        } else {
            while self.bytes + entry.bytes() > BYTES_MAX {
                let Some(oldest) = self.take_oldest() else {
                    break;
                };
                evicted.push(oldest);
            }
        }
        let has_room = self.bytes + entry.bytes() <= BYTES_MAX && entry.misses < u32::MAX;
        if !has_room {
            evicted.push(Entry {
                template: entry.template.take(),
                found: entry.found.take(),
                ..Entry::default()
            });
        }
        self.bytes += entry.bytes();
        self.entries.insert(body_key, entry);
    }

    fn take(&mut self, body_key: BodyKey) -> Option<Entry> {
        let entry = self.entries.remove(&body_key)?;
        self.bytes -= entry.bytes();
        Some(entry)
    }

    fn take_oldest(&mut self) -> Option<Entry> {
        let oldest = self.oldest()?;
        self.take(oldest)
    }

    /// The entry that was not used for the longest time, if that is long enough.
    fn oldest(&mut self) -> Option<BodyKey> {
        if self.uses <= self.all_kept_until {
            return None;
        }
        let entries = self.entries.iter();
        let (&body_key, entry) = entries.min_by_key(|(_, entry)| entry.last_use)?;
        self.all_kept_until = entry.last_use + KEPT_FOR_USES;
        (self.uses > self.all_kept_until).then_some(body_key)
    }
}
