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
//! | histogram | sum and count added; buckets: the union of upper bounds, each with its own count |
//! | summary | sum and count added, if the rules keep it and it conflicts with nothing |
//!
//! Families by name and series by label set lie in [`Sorted`] leaves, in the order in which they
//! are exposed; an index beside each says where a series is. A [`View`] shares the leaves and
//! stays as it is while pushes go on: these copy the leaves that they write to.
//!
//! Series and families are removed by a [`Removal`], which is made beside the aggregate and put in
//! its place within one instant.
//!
//! Knows nothing of text layout or locks, and no clock: times are arguments.

mod conflict;
mod family;
mod index;
mod listing;
mod removal;
mod room;
mod selection;
mod sorted;
mod view;

use std::fmt;
use std::sync::Arc;

pub use conflict::Conflict;
pub use family::{Family, Histogram, Series};
pub use listing::Shown;
pub use removal::{Outdated, Removal};
pub use room::TooManySeries;
pub use selection::Selection;
pub use sorted::{Position, Sorted};
pub use view::View;

pub use crate::rules::Ages;

use crate::excerpt::Excerpt;
use crate::keyed_hash::KeyedHash;
use crate::metric::{MetricType, Push, PushedFamily, base_names};
use conflict::check_types;
use family::Increment;
use index::{Index, Indices};
use sorted::{Place, order};

/// All that was pushed since the last reset, added up, but for what was removed since.
#[derive(Debug, Default)]
pub struct Aggregate {
    families: Arc<Sorted<Family>>,
    /// Of the families' names.
    names: Index,
    /// Of the label sets of each family, by its number.
    label_sets: Indices,
    /// That of the next family.
    next_number: u64,
    size: Size,
    /// Where ages are kept, the second at which they were last restarted.
    ages_start: Option<u32>,
    identity: Identity,
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

/// A push that fits the aggregate that has checked it, as long as that stays as it is.
#[derive(Debug)]
pub struct Checked<'a> {
    push: &'a Push<'a>,
    /// Where each family is, if there is one.
    families: Vec<Option<Place>>,
    /// Families whose series are left out, in the order of their places in the push.
    discarded: Vec<usize>,
    numbers: Located,
    histograms: Located,
}

/// Where the series of increments are.
#[derive(Debug)]
struct Located {
    /// Of each, if it is known.
    places: Vec<Option<Place>>,
    /// The others, in the order of their families, and there of their label sets.
    new: Vec<usize>,
}

/// How much an aggregate holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Metric families.
    pub families: usize,
    /// Time series as Prometheus counts them: a histogram is one for each bucket, and two more.
    pub series: usize,
}

impl fmt::Display for Size {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Size { families, series } = self;
        let noun = if *families == 1 { "family" } else { "families" };
        // The plural of series is series.
        write!(to, "{families} {noun}, {series} series")
    }
}

impl Checked<'_> {
    /// Sample lines of summaries that are left out, since they conflict with what is stored.
    #[must_use]
    pub fn discarded_samples(&self) -> u64 {
        if self.discarded.is_empty() {
            return 0;
        }
        let histograms = self.push.histograms.iter();
        let discarded = histograms.filter(|histogram| self.is_discarded(histogram.family));
        discarded.map(|histogram| histogram.samples).sum()
    }

    fn is_discarded(&self, family: usize) -> bool {
        self.discarded.binary_search(&family).is_ok()
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

    /// Forgets all that was pushed, in constant time, and gives it back, as to free it takes long.
    /// Whether ages are kept, and since when, stays.
    #[must_use]
    pub fn reset(&mut self) -> Aggregate {
        let empty = Aggregate {
            ages_start: self.ages_start,
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

    /// Looks up all that a push is about, and tells whether it fits what is stored now. No summary
    /// refuses a push: one that conflicts with what is stored is left out.
    ///
    /// # Errors
    /// The first family that conflicts with what is stored.
    pub fn check<'a>(&self, push: &'a Push<'a>) -> Result<Checked<'a>, Conflict> {
        let mut families = Vec::with_capacity(push.families.len());
        let mut discarded = Vec::new();
        for (family, pushed) in push.families.iter().enumerate() {
            let place = self.find(&pushed.name);
            let checked = match place {
                Some(place) => check_types(pushed, self.families.at(place)),
                None if !pushed.has_series => Ok(()),
                None => self.check_names(pushed),
            };
            match checked {
                Ok(()) => {}
                Err(_) if pushed.metric_type == MetricType::Summary => discarded.push(family),
                Err(conflict) => return Err(conflict),
            }
            families.push(place);
        }
        Ok(Checked {
            push,
            numbers: self.locate(&push.numbers, &families, &discarded),
            histograms: self.locate(&push.histograms, &families, &discarded),
            families,
            discarded,
        })
    }

    fn find(&self, name: &str) -> Option<Place> {
        self.names.find(&self.families, KeyedHash::of(name), name)
    }

    /// A new family must not share a name with what a stored one exposes, nor the other way round.
    fn check_names(&self, pushed: &PushedFamily<'_>) -> Result<(), Conflict> {
        for base in base_names(&pushed.name) {
            let Some(place) = self.find(base) else {
                continue;
            };
            let by_type = self.families.at(place).metric_type;
            let suffix = &pushed.name[base.len()..];
            if by_type.suffixes().contains(&suffix) {
                let (name, by) = (Excerpt::of(&*pushed.name), Excerpt::of(base));
                return Err(Conflict::Exposed { name, by, by_type });
            }
        }
        for suffix in pushed.metric_type.suffixes() {
            let exposed = format!("{}{suffix}", pushed.name);
            if self.find(&exposed).is_some() {
                let (name, stored) = (Excerpt::of(&*pushed.name), Excerpt::of(exposed));
                return Err(Conflict::Exposes { name, stored });
            }
        }
        Ok(())
    }

    fn locate<'a, I: Increment<'a>>(
        &self,
        increments: &[I],
        families: &[Option<Place>],
        discarded: &[usize],
    ) -> Located {
        let is_discarded = |increment: &I| discarded.binary_search(&increment.family()).is_ok();
        let mut places = Vec::with_capacity(increments.len());
        for of_family in increments.chunk_by(is_same_family) {
            let place = families[of_family[0].family()];
            let place = place.filter(|_| !is_discarded(&of_family[0]));
            let family = place.map(|place| self.families.at(place));
            let sums = family.and_then(|family| Some((family, I::sums(&family.series)?)));
            let Some((family, sums)) = sums else {
                places.extend(of_family.iter().map(|_| None));
                continue;
            };
            let index = match sums.leaf_count() {
                0 | 1 => None,
                _ => self.label_sets.get(family.number),
            };
            places.extend(of_family.iter().map(|increment| {
                let labels = increment.labels();
                match index {
                    Some(index) => index.find(sums, labels.hash(), labels.as_str()),
                    None => sums.find(labels.as_str()),
                }
            }));
        }
        let mut new: Vec<usize> = (0..places.len())
            .filter(|&number| places[number].is_none() && !is_discarded(&increments[number]))
            .collect();
        new.sort_unstable_by(|&one, &other| {
            let (one, other) = (&increments[one], &increments[other]);
            let families = one.family().cmp(&other.family());
            families.then_with(|| order(one.labels().as_str(), other.labels().as_str()))
        });
        Located { places, new }
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
        self.add_known(&push.numbers, checked, &checked.numbers, second);
        self.add_known(&push.histograms, checked, &checked.histograms, second);
        self.declare_new(checked);
        self.insert_new(push, &push.numbers, &checked.numbers, second);
        self.insert_new(push, &push.histograms, &checked.histograms, second);
    }

    fn add_known<'a, I: Increment<'a>>(
        &mut self,
        increments: &[I],
        checked: &Checked<'_>,
        located: &Located,
        second: u32,
    ) {
        let push = checked.push;
        let keeps_ages = self.ages_start.is_some();
        let (mut increments, mut places) = (increments, located.places.as_slice());
        while let Some(first) = increments.first() {
            // Neighbours mostly are of one family and in one leaf.
            let of_leaf = |place: &Option<Place>| place.map(|place| place.leaf);
            let is_neighbour = |(increment, place): &(&I, &Option<Place>)| {
                is_same_family(first, *increment) && of_leaf(place) == of_leaf(&places[0])
            };
            let length = increments
                .iter()
                .zip(places)
                .take_while(is_neighbour)
                .count();
            let (neighbours, rest) = increments.split_at(length);
            let (their_places, rest_places) = places.split_at(length);
            (increments, places) = (rest, rest_places);
            let (Some(family), Some(leaf)) =
                (checked.families[first.family()], of_leaf(&their_places[0]))
            else {
                continue;
            };
            let family = Arc::make_mut(&mut self.families).at_mut(family);
            let series_before = family.totals.series;
            // What else could be there was refused.
            if let Some(sums) = I::sums_mut(&mut family.series) {
                let (sums, stored_seconds) = sums.leaf_mut(leaf);
                let their_places = their_places.iter().flatten();
                for (increment, place) in neighbours.iter().zip(their_places.clone()) {
                    increment.add_to(&mut sums[place.slot as usize], push, &mut family.totals);
                }
                if keeps_ages {
                    let first = located.places.len() - places.len() - length;
                    let seconds = I::seconds(push).get(first..).unwrap_or_default();
                    touch(stored_seconds, their_places, seconds, second);
                }
            }
            self.size.series += family.totals.series - series_before;
        }
    }

    /// Takes type and HELP of known families where they say more.
    fn declare_known(&mut self, checked: &Checked<'_>) {
        for (pushed, place) in checked.push.families.iter().zip(&checked.families) {
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
                stored.metric_type = pushed.metric_type;
                stored.totals.mode = pushed.mode;
            }
            if !has_help {
                stored.help = pushed.help.as_ref().into();
            }
        }
    }

    /// Makes the families that have series to come.
    fn declare_new(&mut self, checked: &Checked<'_>) {
        let families = checked.push.families.iter().enumerate();
        let new = families.filter(|&(family, pushed)| {
            let is_stored = checked.families[family].is_some();
            !is_stored && pushed.has_series && !checked.is_discarded(family)
        });
        let mut new: Vec<&PushedFamily<'_>> = new.map(|(_, pushed)| pushed).collect();
        new.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        let mut near = 0;
        for pushed in new {
            let family = Family::new(pushed, self.next_number);
            let families = Arc::make_mut(&mut self.families);
            let inserted = families.insert(&pushed.name, &mut near, family, None);
            self.names
                .note(families, KeyedHash::of(&pushed.name), &inserted);
            self.next_number += 1;
            self.size.families += 1;
        }
    }

    fn insert_new<'a, I: Increment<'a>>(
        &mut self,
        push: &Push<'_>,
        increments: &[I],
        located: &Located,
        second: u32,
    ) {
        let own_seconds = I::seconds(push);
        let second = |number: usize| {
            let own = own_seconds.get(number).copied();
            self.ages_start.map(|_| own.unwrap_or(second))
        };
        let is_same =
            |one: &usize, next: &usize| is_same_family(&increments[*one], &increments[*next]);
        for new in located.new.chunk_by(is_same) {
            let name = &push.families[increments[new[0]].family()].name;
            // It was declared.
            let Some(place) = self.find(name) else {
                continue;
            };
            let family = Arc::make_mut(&mut self.families).at_mut(place);
            let Some(sums) = I::sums_mut(&mut family.series) else {
                continue;
            };
            let mut index = self.label_sets.take(family.number);
            let totals = &mut family.totals;
            let series_before = totals.series;
            let mut near = 0;
            for &number in new {
                let increment = &increments[number];
                let labels = increment.labels();
                let first = increment.first(push, totals);
                let inserted = sums.insert(labels.as_str(), &mut near, first, second(number));
                index.note(sums, labels.hash(), &inserted);
            }
            self.size.series += totals.series - series_before;
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
            size: self.size,
        }
    }

    /// How much is stored; constant time.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }
}

fn is_same_family<'a, I: Increment<'a>>(one: &I, other: &I) -> bool {
    one.family() == other.family()
}

/// Notes that series of one leaf were pushed: in these seconds, one for each, or, where there are
/// none, in this one. Clocks may be set back: what is later stays.
fn touch<'a>(
    stored: &mut [u32],
    places: impl Iterator<Item = &'a Place>,
    seconds: &[u32],
    second: u32,
) {
    for (number, place) in places.enumerate() {
        if let Some(stored) = stored.get_mut(place.slot as usize) {
            let pushed = seconds.get(number).copied().unwrap_or(second);
            *stored = pushed.max(*stored);
        }
    }
}
