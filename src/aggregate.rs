//! The merge rules and the store.
//!
//! Invariant: whatever was merged, the aggregate can be exposed: one type for a name, no two
//! families that expose the same name, each label set once, every number finite, no counter,
//! bucket or count negative. [`Aggregate::check`] refuses what would break that;
//! [`Aggregate::merge`] of what was checked cannot fail, so that a push is all or nothing.
//!
//! | pushed | merged |
//! |---|---|
//! | counter, untyped | added to the series with the same name and label set |
//! | gauge | the same, or the last, greatest or least value stays, by the mode of its family |
//! | gauge, untyped of a sender | its contribution, as long as it is live: see `held` |
//! | histogram | sum and count added; buckets: the union of upper bounds, each with its own count |
//! | native histogram | at the coarser schema and the wider zero bucket of both |
//! | summary | sum and count added, if the rules keep it and it conflicts with nothing |
//!
//! Families by name and series by label set lie in [`Sorted`] leaves, in the order in which they
//! are exposed; an index beside each that has more than one leaf says where a series is. As long as
//! no family and no series comes or goes, a push finds its series where they were before
//! ([`SeriesPlaces`]). A [`View`] shares the leaves and stays as it is while pushes go on: these
//! copy the leaves that they write to.
//!
//! Series and families are removed by a [`Removal`], which is made beside the aggregate and put in
//! its place within one instant.
//!
//! Knows nothing of text layout or locks, and no clock: times are arguments.

mod check;
mod conflict;
mod counts;
mod family;
mod gauge_sum;
mod held;
mod histogram;
mod index;
mod indexing;
mod listing;
mod removal;
mod room;
mod selection;
mod sorted;
mod view;

use std::sync::Arc;

use check::Located;
pub use check::{Checked, SeriesPlaces};
pub use conflict::Conflict;
pub use counts::Size;
pub use family::{Family, Series};
pub use gauge_sum::{FamilyName, GaugeSum, Gauges, HeldSum};
pub use held::HeldSeries;
pub use histogram::Histogram;
pub use listing::Shown;
pub use removal::{Outdated, Removal};
pub use room::TooManySeries;
pub use selection::Selection;
pub use sorted::{Position, Run, Sorted};
pub use view::View;

pub use crate::rules::{Ages, Contributions};

use crate::keyed_hash::KeyedHash;
use crate::metric::{MetricType, Push, PushedFamily};
use counts::Counts;
use family::{AddTo, Increment, Sum};
use index::{Index, Indices};
use indexing::Indexing;
use sorted::{Fresh, Place};

/// All that was pushed since the last reset, added up, but for what was removed since.
#[derive(Debug, Default)]
pub struct Aggregate {
    families: Arc<Sorted<Family>>,
    /// Of the families' names.
    names: Index,
    /// Of the label sets of each family, by its number.
    label_sets: Indices,
    indexing: Indexing,
    /// That of the next family.
    next_number: u64,
    counts: Counts,
    contributions: Contributions,
    /// That of the next series to which senders may contribute; it wraps around.
    next_id: u32,
    /// Where ages are kept, the second at which they were last restarted.
    ages_start: Option<u32>,
    /// When all sums but those of gauges were zero, in unix milliseconds, if that is known: they
    /// have only grown since then.
    start_millis: Option<u64>,
    identity: Identity,
    /// How often families and series have come in since it has this identity: as long as that stays
    /// as it is, all are where they were. Whatever puts one in raises it.
    insertions: u64,
}

/// Tells an aggregate from others, and from itself before a removal: between two states of one
/// identity, things were added and nothing was removed.
#[derive(Clone, Debug, Default)]
struct Identity(Arc<()>);

impl PartialEq for Identity {
    fn eq(&self, other: &Identity) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Aggregate {
    /// An empty one.
    #[must_use]
    pub fn new(ages: Ages) -> Aggregate {
        Aggregate {
            ages_start: match ages {
                Ages::NotKept => None,
                Ages::Kept => Some(0),
            },
            ..Aggregate::default()
        }
    }

    /// The same, where senders contribute or not.
    #[must_use]
    pub fn with_contributions(self, contributions: Contributions) -> Aggregate {
        Aggregate {
            contributions,
            ..self
        }
    }

    /// Forgets all that was pushed, in constant time, and gives it back, as to free it takes long.
    /// What senders hold is forgotten as well. Whether ages are kept, and since when, stays. When
    /// the sums were zero is for the caller to note.
    #[must_use]
    pub fn reset(&mut self) -> Aggregate {
        let empty = Aggregate {
            ages_start: self.ages_start,
            contributions: self.contributions,
            indexing: self.indexing,
            // What refers to a series that is gone must not find another.
            next_id: self.next_id,
            ..Aggregate::default()
        };
        std::mem::replace(self, empty)
    }

    /// From here on no series is silent since a second before this one, whenever it was pushed;
    /// constant time. Does nothing where ages are not kept, nor for a second before the last such
    /// one.
    pub fn restart_ages(&mut self, second: u32) {
        if let Some(start) = &mut self.ages_start {
            *start = second.max(*start);
        }
    }

    /// All sums but those of gauges are zero at this time, in unix milliseconds.
    pub fn note_start(&mut self, unix_millis: u64) {
        self.start_millis = Some(unix_millis);
    }

    /// It is not known when the sums were zero.
    pub fn forget_start(&mut self) {
        self.start_millis = None;
    }

    fn find(&self, name: &str) -> Option<Place> {
        self.names.find(&self.families, KeyedHash::of(name), name)
    }

    /// The same for a family that is not absent.
    fn find_exposed(&self, name: &str) -> Option<Place> {
        let place = self.find(name);
        place.filter(|&place| !self.families.at(place).is_absent())
    }

    /// Adds a push that [`Aggregate::check`] has found to fit what is stored now: first to what is
    /// there, at the places that were found, then what is new, which moves the places of others.
    ///
    /// `second` is when it was pushed, in unix seconds, but for series of which the push itself
    /// says that. The last push of a series is the latest, in whatever order they come.
    pub fn merge(&mut self, checked: &Checked<'_>, second: u32) {
        let push = checked.push;
        // How a family is merged depends on its type.
        self.declare_known(checked);
        let has_gauges = self.contributions == Contributions::Kept;
        self.add_known::<f64, _>(&push.numbers, checked, &checked.numbers, second);
        if has_gauges {
            self.add_known::<GaugeSum, _>(&push.numbers, checked, &checked.numbers, second);
        }
        self.add_known::<Histogram, _>(&push.histograms, checked, &checked.histograms, second);
        self.declare_new(checked);
        self.insert_new::<f64, _>(push, &push.numbers, &checked.numbers, second);
        if has_gauges {
            self.insert_new::<GaugeSum, _>(push, &push.numbers, &checked.numbers, second);
        }
        self.insert_new::<Histogram, _>(push, &push.histograms, &checked.histograms, second);
    }

    fn add_known<'a, S: Sum, I: AddTo<'a, S>>(
        &mut self,
        increments: &[I],
        checked: &Checked<'_>,
        located: &Located<'_>,
        second: u32,
    ) {
        let mut number = 0;
        for of_family in increments.chunk_by(is_same_family) {
            let first = number;
            number += of_family.len();
            let places = &located.places[first..number];
            let (Some(family), Some(place)) = (
                checked.families[of_family[0].family()],
                places.iter().flatten().next(),
            ) else {
                continue;
            };
            let family = Arc::make_mut(&mut self.families).at_mut(family);
            // Other sums have a pass of their own; what else could be there was refused.
            let Some(sums) = S::sums_mut(&mut family.series) else {
                continue;
            };
            self.counts.subtract(&family.totals);
            let mut leaf = place.leaf;
            let (mut values, mut seconds) = sums.leaf_mut(leaf);
            for (number, (increment, place)) in (first..).zip(of_family.iter().zip(places)) {
                let Some(place) = *place else { continue };
                if place.leaf != leaf {
                    leaf = place.leaf;
                    (values, seconds) = sums.leaf_mut(leaf);
                }
                let slot = place.slot as usize;
                increment.add_to(&mut values[slot], checked.push, &mut family.totals);
                // There are none where ages are not kept. Clocks may be set back: what is later
                // stays.
                if let Some(stored) = seconds.get_mut(slot) {
                    let own = I::seconds(checked.push).get(number).copied();
                    *stored = own.unwrap_or(second).max(*stored);
                }
            }
            self.counts.add(&family.totals);
        }
    }

    /// Takes type and HELP of known families where they say more.
    fn declare_known(&mut self, checked: &Checked<'_>) {
        for (pushed, place) in checked.push.families.iter().zip(&*checked.families) {
            let Some(place) = *place else { continue };
            let stored = self.families.at(place);
            let has_type = stored.metric_type != MetricType::Untyped
                || matches!(
                    pushed.metric_type,
                    MetricType::Untyped | MetricType::Summary
                );
            let has_help = !stored.help.is_empty() || pushed.help.is_empty();
            if has_type && has_help {
                continue;
            }
            let stored = Arc::make_mut(&mut self.families).at_mut(place);
            if !has_type {
                self.counts.subtract(&stored.totals);
                stored.take_type(pushed);
                self.counts.add(&stored.totals);
            }
            if !has_help {
                stored.help = pushed.help.as_ref().into();
            }
        }
    }

    /// Makes the families that have series to come, in the place of absent ones where there are.
    fn declare_new(&mut self, checked: &Checked<'_>) {
        let families = checked.push.families.iter().enumerate();
        let new = families.filter(|&(family, pushed)| {
            let is_stored = checked.families[family].is_some();
            !is_stored && pushed.has_series && !checked.is_discarded(family)
        });
        let mut new: Vec<&PushedFamily<'_>> = new.map(|(_, pushed)| pushed).collect();
        self.insertions += u64::from(!new.is_empty());
        new.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        let mut near = 0;
        for pushed in new {
            let family = Family::new(pushed, self.next_number, self.contributions);
            self.next_number += 1;
            let absent = match self.contributions {
                Contributions::Kept => self.find(&pushed.name),
                Contributions::NotKept => None,
            };
            let families = Arc::make_mut(&mut self.families);
            if let Some(place) = absent {
                let absent = std::mem::replace(families.at_mut(place), family);
                self.counts.subtract(&absent.totals);
                self.label_sets.take(absent.number);
                continue;
            }
            let inserted = families.insert(&pushed.name, &mut near, family, None);
            self.names
                .note(families, KeyedHash::of(&pushed.name), &inserted);
        }
    }

    fn insert_new<'a, S: Sum, I: AddTo<'a, S>>(
        &mut self,
        push: &Push<'_>,
        increments: &[I],
        located: &Located<'_>,
        second: u32,
    ) {
        let own_seconds = I::seconds(push);
        let second = |number: usize| {
            let own = own_seconds.get(number).copied();
            self.ages_start.map(|_| own.unwrap_or(second))
        };
        let is_same =
            |one: &usize, next: &usize| is_same_family(&increments[*one], &increments[*next]);
        self.insertions += u64::from(!located.new.is_empty());
        for new in located.new.chunk_by(is_same) {
            let name = &push.families[increments[new[0]].family()].name;
            // It was declared.
            let Some(place) = self.find(name) else {
                continue;
            };
            let family = Arc::make_mut(&mut self.families).at_mut(place);
            let Some(sums) = S::sums_mut(&mut family.series) else {
                continue;
            };
            let mut index = self.label_sets.take(family.number);
            self.counts.subtract(&family.totals);
            let fresh = new.iter().map(|&number| {
                let mut value = increments[number].first(push, &mut family.totals);
                value.identify(&mut self.next_id);
                Fresh {
                    key: increments[number].labels().as_str(),
                    value,
                    second: second(number),
                }
            });
            let fresh = fresh.collect();
            self.counts.add(&family.totals);
            let hashes = new.iter().map(|&number| increments[number].labels().hash());
            if self.indexing == Indexing::Later && index.is_empty() {
                sums.insert_all(fresh, |_, _| {});
            } else {
                index.insert_all(sums, fresh, hashes);
            }
            self.label_sets.replace(family.number, index);
        }
    }

    /// What a scrape shows: it costs no more than the handle, and stays as it is.
    #[must_use]
    pub fn view(&self) -> View {
        View {
            families: Arc::clone(&self.families),
            identity: self.identity.clone(),
            ages_start: self.ages_start,
            start_millis: self.start_millis,
            counts: self.counts,
        }
    }

    /// How many histograms have a native part that is not exposed, since it lacks observations.
    #[must_use]
    pub fn incomplete_natives(&self) -> usize {
        self.counts.incomplete_natives
    }

    /// How much is stored that is exposed; constant time.
    #[must_use]
    pub fn size(&self) -> Size {
        self.counts.size
    }
}

fn is_same_family<'a, I: Increment<'a>>(one: &I, other: &I) -> bool {
    one.family() == other.family()
}
