//! The templates of what is pushed again and again, and where its series are.
//!
//! Pushes that begin with the same sample, have the same labels in their path and, if they are
//! short, as many lines, are likely to be alike. The second of them makes the template by which the
//! next ones are read. A wrong guess costs time and changes nothing: what a template does not read
//! is read in the general way.
//!
//! Invariants: the templates take at most [`BYTES_MAX`] in all, those that were not used for the
//! longest time make room. Making them takes a small part of the time of what is read in the
//! general way, however the pushes alternate: see [`Store::credit_bytes`].

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

/// What credit there is at first, and at most.
const CREDIT_BYTES_MAX: usize = 16 << 20;

/// See the module.
#[derive(Debug, Default)]
pub struct Templates(Mutex<Store>);

#[derive(Debug)]
struct Store {
    kinds: HashMap<Likeness, Kind>,
    /// Of all templates.
    bytes: usize,
    /// How often one was looked for.
    uses: u64,
    /// Bodies of so many bytes may be made templates of. A body that is read by a template adds
    /// half of its length, another one a sixteenth: if no template is ever of use, making them
    /// costs no more than that part of the time.
    credit_bytes: usize,
}

impl Default for Store {
    fn default() -> Store {
        Store {
            kinds: HashMap::new(),
            bytes: 0,
            uses: 0,
            credit_bytes: CREDIT_BYTES_MAX,
        }
    }
}

/// Pushes of one likeness.
#[derive(Debug, Default)]
struct Kind {
    template: Option<Arc<Template>>,
    found: Option<Arc<Found>>,
    last_use: u64,
}

impl Kind {
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
        let kind = store.kinds.get_mut(&likeness).map(|kind| {
            kind.last_use = last_use;
            (kind.template.clone(), kind.found.clone())
        });
        let (template, found) = kind.unwrap_or_default();
        Known {
            likeness: Some(likeness),
            template,
            found,
        }
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
                self.store().add_credit(request.body.len() / 2);
                known.template.clone().filter(|_| found.is_some())
            }
            ReadBy::Format if self.store().may_make(likeness, request.body.len()) => {
                template(request.format, request.body, key, limits).map(Arc::new)
            }
            ReadBy::Format => None,
        };
        if made.is_some() {
            // What makes room is freed outside the lock.
            let _retired = self.store().keep(likeness, made, found.map(Arc::new));
        }
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    fn add_credit(&mut self, bytes: usize) {
        self.credit_bytes = (self.credit_bytes + bytes).min(CREDIT_BYTES_MAX);
    }

    /// Whether a template is to be made of a push that was read in the general way: not of the
    /// first of its kind, which may be the last.
    fn may_make(&mut self, likeness: Likeness, body_bytes: usize) -> bool {
        self.add_credit(body_bytes / 16);
        if !self.kinds.contains_key(&likeness) {
            if self.kinds.len() >= KINDS_MAX {
                self.retire_oldest();
            }
            let last_use = self.uses;
            let kind = Kind {
                last_use,
                ..Kind::default()
            };
            self.kinds.insert(likeness, kind);
            return false;
        }
        let left = self.credit_bytes.checked_sub(body_bytes);
        self.credit_bytes = left.unwrap_or(self.credit_bytes);
        left.is_some()
    }

    /// Gives what had to make room.
    fn keep(
        &mut self,
        likeness: Likeness,
        template: Option<Arc<Template>>,
        found: Option<Arc<Found>>,
    ) -> Vec<Kind> {
        let last_use = self.uses;
        let kind = Kind {
            template,
            found,
            last_use,
        };
        let bytes = kind.bytes();
        if bytes > TEMPLATE_BYTES_MAX {
            return vec![kind];
        }
        self.bytes += bytes;
        let mut retired: Vec<Kind> = self.kinds.insert(likeness, kind).into_iter().collect();
        self.bytes -= retired.iter().map(Kind::bytes).sum::<usize>();
        while self.bytes > BYTES_MAX {
            retired.extend(self.retire_oldest());
        }
        retired
    }

    fn retire_oldest(&mut self) -> Option<Kind> {
        let oldest = self.kinds.iter().min_by_key(|(_, kind)| kind.last_use);
        let (&likeness, _) = oldest?;
        let retired = self.kinds.remove(&likeness)?;
        self.bytes -= retired.bytes();
        Some(retired)
    }
}
