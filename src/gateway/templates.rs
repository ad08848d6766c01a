//! The templates of what is pushed again and again, and where its series are.
//!
//! Pushes that begin with the same sample, have the same labels in their path and, if they are
//! short, as many lines, are likely to be alike. The second of them makes the template by which the
//! next ones are read. A wrong guess costs time and changes nothing: what a template does not read
//! is read in the general way.
//!
//! Invariants: the templates take at most [`BYTES_MAX`] in all. Only one that has not been used for
//! long makes room for another: of more kinds of pushes than there is room for, some are read by
//! templates and the others are not. Pushes that turn out not to be alike are tried less and less
//! often.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::PushRequest;
use crate::aggregate::Found;
use crate::grouping_key::GroupingKey;
use crate::keyed_hash::KeyedHash;
use crate::label_limits::LabelLimits;
use crate::metric::Push;
use crate::parse::{Format, Template, template};

/// What all templates take.
const BYTES_MAX: usize = 16 << 20;

/// A template that takes more would leave no room for others.
const TEMPLATE_BYTES_MAX: usize = BYTES_MAX / 2;

/// A shorter body is read as fast as its template would be found.
const BODY_BYTES_MIN: usize = 256;

/// So many kinds of pushes are told apart.
const KINDS_MAX: usize = 1024;

/// What was used among the last so many pushes stays.
const KEPT_FOR_USES: u64 = 4096;

/// After so many pushes in a row that were not like the template, it is tried now and then.
const MISSES_MAX: u32 = 8;

/// See the module.
#[derive(Debug, Default)]
pub struct Templates(Mutex<Store>);

#[derive(Debug, Default)]
struct Store {
    kinds: HashMap<Likeness, Kind>,
    /// Of all templates.
    bytes: usize,
    /// How often one was looked for.
    uses: u64,
}

/// Pushes of one likeness.
#[derive(Debug, Default)]
struct Kind {
    template: Option<Arc<Template>>,
    found: Option<Arc<Found>>,
    /// How many pushes in a row were not like the template.
    misses: u32,
    last_use: u64,
}

impl Kind {
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

/// A hash of what pushes that are alike have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Likeness(u64);

impl Likeness {
    /// `None` of a push that is not worth it.
    fn of(request: &PushRequest<'_>) -> Option<Likeness> {
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
        Some(Likeness(begin.wide() << 32 | path.wide() >> 32))
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
pub struct Known {
    likeness: Option<Likeness>,
    template: Option<Arc<Template>>,
    found: Option<Arc<Found>>,
}

impl Known {
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
    pub fn found(&self) -> Option<&Found> {
        self.found.as_deref()
    }
}

/// How a push was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadBy {
    Template,
    Format,
}

impl Templates {
    /// What is known of pushes that are likely to be like this one.
    pub fn known(&self, request: &PushRequest<'_>) -> Known {
        let Some(likeness) = Likeness::of(request) else {
            return Known::default();
        };
        let mut store = self.store();
        store.uses += 1;
        let last_use = store.uses;
        let mut known = Known {
            likeness: Some(likeness),
            ..Known::default()
        };
        if let Some(kind) = store.kinds.get_mut(&likeness) {
            kind.last_use = last_use;
            if kind.is_worth_a_try() {
                known.template.clone_from(&kind.template);
                known.found.clone_from(&kind.found);
            }
        }
        known
    }

    /// Takes note of an accepted push: how it was read, and where all of it was found, if that is
    /// to be noted.
    pub fn note(
        &self,
        known: &Known,
        read_by: ReadBy,
        found: Option<Found>,
        request: &PushRequest<'_>,
        key: &GroupingKey,
        limits: LabelLimits,
    ) {
        let Some(likeness) = known.likeness else {
            return;
        };
        let made = match read_by {
            ReadBy::Template => {
                self.store().hit(likeness);
                known.template.clone().filter(|_| found.is_some())
            }
            ReadBy::Format if self.store().miss(likeness, request.body.len()) => {
                template(request.format, request.body, key, limits).map(Arc::new)
            }
            ReadBy::Format => None,
        };
        if made.is_some() {
            // What had to make room is freed outside the lock.
            let _retired = self.store().keep(likeness, made, found.map(Arc::new));
        }
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    fn hit(&mut self, likeness: Likeness) {
        if let Some(kind) = self.kinds.get_mut(&likeness) {
            kind.misses = 0;
        }
    }

    /// Takes note of a push that was not read by a template. True if one is to be made of it: not
    /// of the first of its kind, which may be the last.
    fn miss(&mut self, likeness: Likeness, body_bytes: usize) -> bool {
        let is_known = self.kinds.contains_key(&likeness);
        if !is_known && self.kinds.len() >= KINDS_MAX && self.take_oldest().is_none() {
            return false;
        }
        let last_use = self.uses;
        let kind = self.kinds.entry(likeness).or_default();
        kind.last_use = last_use;
        kind.misses = kind.misses.saturating_add(1);
        let is_due = kind.misses > 1 && kind.misses.is_power_of_two();
        // A template takes about as much as its body.
        is_due && (self.bytes + body_bytes <= BYTES_MAX || self.oldest().is_some())
    }

    /// Keeps a template if there is room; gives what is not kept.
    fn keep(
        &mut self,
        likeness: Likeness,
        template: Option<Arc<Template>>,
        found: Option<Arc<Found>>,
    ) -> Vec<Kind> {
        let mut retired = Vec::new();
        let Some(kind) = self.kinds.get(&likeness) else {
            return retired;
        };
        let kept = Kind {
            template,
            found,
            ..*kind
        };
        let (before, bytes) = (kind.bytes(), kept.bytes());
        while bytes <= TEMPLATE_BYTES_MAX && self.bytes - before + bytes > BYTES_MAX {
            let Some(oldest) = self.take_oldest() else {
                break;
            };
            retired.push(oldest);
        }
        let has_room = bytes <= TEMPLATE_BYTES_MAX && self.bytes - before + bytes <= BYTES_MAX;
        if has_room {
            self.bytes = self.bytes - before + bytes;
            retired.extend(self.kinds.insert(likeness, kept));
        } else {
            retired.push(kept);
        }
        retired
    }

    /// The kind that was not used for the longest time, if that is long enough.
    fn oldest(&self) -> Option<Likeness> {
        let kinds = self.kinds.iter();
        let (&likeness, kind) = kinds.min_by_key(|(_, kind)| kind.last_use)?;
        (self.uses - kind.last_use > KEPT_FOR_USES).then_some(likeness)
    }

    fn take_oldest(&mut self) -> Option<Kind> {
        let oldest = self.kinds.remove(&self.oldest()?)?;
        self.bytes -= oldest.bytes();
        Some(oldest)
    }
}
