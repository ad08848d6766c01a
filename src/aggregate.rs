//! The merge rules and the store.
//!
//! Invariant: whatever was merged, the aggregate can be exposed: one type for a name, no two
//! families that expose the same name, each label set once, every number finite, no counter,
//! bucket or count negative. [`Aggregate::check`] refuses what would break that;
//! [`Aggregate::merge`] of what was checked cannot fail, so that a push is all or nothing.
//!
//! | pushed | merged |
//! |---|---|
//! | counter, gauge, untyped | added to the series with the same name and label set |
//! | histogram | sum and count added; buckets: the union of upper bounds, each with its own count |
//! | summary | discarded |
//!
//! Families by name and series by label set lie in [`Sorted`] leaves, in the order in which they
//! are exposed; an index beside each says where a series is. A [`View`] shares the leaves and
//! stays as it is while pushes go on: these copy the leaves that they write to.
//!
//! Knows nothing of text layout, locks or time.

mod family;
mod index;
mod room;
mod sorted;

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

pub use family::{Family, Histogram, Series};
pub use room::TooManySeries;
pub use sorted::{Position, Sorted};

use crate::excerpt::Excerpt;
use crate::keyed_hash::KeyedHash;
use crate::metric::{MetricType, Push, PushedFamily, base_names};
use family::Increment;
use index::Index;
use sorted::{Place, order};

/// All that was pushed since the last reset, added up.
#[derive(Debug, Default)]
pub struct Aggregate {
    families: Arc<Sorted<Family>>,
    /// Of the families' names.
    names: Index,
    /// Of the label sets of each family, by its number.
    label_sets: Vec<Index>,
    series: usize,
}

/// An aggregate as it was at one instant between two pushes.
#[derive(Clone, Debug)]
pub struct View(Arc<Sorted<Family>>);

impl View {
    /// The families in the byte order of their names; each has at least one series.
    pub fn families(&self) -> impl Iterator<Item = (&str, &Family)> {
        self.0.iter()
    }

    /// The families from a position on; see [`Sorted::visit_from`].
    pub fn visit_families_from(
        &self,
        from: Position,
        visit: impl FnMut(&str, &Family) -> ControlFlow<()>,
    ) -> Option<Position> {
        self.0.visit_from(from, visit)
    }
}

/// A push that fits the aggregate that has checked it, as long as that stays as it is.
#[derive(Debug)]
pub struct Checked<'a> {
    push: &'a Push<'a>,
    /// Where each family is, if there is one.
    families: Vec<Option<Place>>,
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

/// Why a push, right in itself, cannot be added to what is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the messages below say it
pub enum Conflict {
    Type {
        name: Excerpt,
        pushed: MetricType,
        stored: MetricType,
    },
    Exposed {
        name: Excerpt,
        by: Excerpt,
    },
    Exposes {
        name: Excerpt,
        stored: Excerpt,
    },
    NegativeCounter(Excerpt),
    NegativeUntyped(Excerpt),
}

impl fmt::Display for Conflict {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Conflict::Type {
                name,
                pushed,
                stored,
            } => {
                write!(to, "{name} is pushed as {pushed}, but stored as {stored}")
            }
            Conflict::Exposed { name, by } => {
                write!(
                    to,
                    "the name {name} is taken: the stored histogram {by} exposes it"
                )
            }
            Conflict::Exposes { name, stored } => write!(
                to,
                "the histogram {name} would expose the name {stored}, which is stored already"
            ),
            Conflict::NegativeCounter(name) => {
                write!(
                    to,
                    "{name} is stored as counter, but a pushed value is negative"
                )
            }
            Conflict::NegativeUntyped(name) => write!(
                to,
                "{name} is pushed as counter, but was pushed without TYPE and is negative"
            ),
        }
    }
}

impl std::error::Error for Conflict {}

impl Aggregate {
    /// Looks up all that a push is about, and tells whether it fits what is stored now.
    ///
    /// # Errors
    /// The first family that conflicts with what is stored.
    pub fn check<'a>(&self, push: &'a Push<'a>) -> Result<Checked<'a>, Conflict> {
        let families = push.families.iter().map(|pushed| {
            let place = self.find(pushed.name);
            match place {
                Some(place) => check_types(pushed, self.families.at(place))?,
                None if !pushed.has_series => {}
                None => self.check_names(pushed)?,
            }
            Ok(place)
        });
        let families = families.collect::<Result<Vec<_>, _>>()?;
        Ok(Checked {
            push,
            numbers: self.locate(&push.numbers, &families),
            histograms: self.locate(&push.histograms, &families),
            families,
        })
    }

    fn find(&self, name: &str) -> Option<Place> {
        let known = self.names.find(&self.families, KeyedHash::of(name), name);
        known.or_else(|| self.families.find(name))
    }

    /// A new family must not share a name with what a stored one exposes, nor the other way round.
    fn check_names(&self, pushed: &PushedFamily<'_>) -> Result<(), Conflict> {
        let is_histogram = |name: &&str| {
            let family = self.find(name).map(|place| self.families.at(place));
            family.is_some_and(|family| family.metric_type == MetricType::Histogram)
        };
        if let Some(by) = base_names(pushed.name).find(is_histogram) {
            let (name, by) = (Excerpt::of(pushed.name), Excerpt::of(by));
            return Err(Conflict::Exposed { name, by });
        }
        for suffix in pushed.metric_type.suffixes() {
            let exposed = format!("{}{suffix}", pushed.name);
            if self.find(&exposed).is_some() {
                let (name, stored) = (Excerpt::of(pushed.name), Excerpt::of(exposed));
                return Err(Conflict::Exposes { name, stored });
            }
        }
        Ok(())
    }

    fn locate<'a, I: Increment<'a>>(
        &self,
        increments: &[I],
        families: &[Option<Place>],
    ) -> Located {
        let mut places = Vec::with_capacity(increments.len());
        for of_family in increments.chunk_by(is_same_family) {
            let family = families[of_family[0].family()].map(|place| self.families.at(place));
            places.extend(of_family.iter().map(|increment| {
                let family = family?;
                family::find(increment, family, &self.label_sets[family.number])
            }));
        }
        let mut new: Vec<usize> = (0..places.len())
            .filter(|&number| places[number].is_none())
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
    pub fn merge(&mut self, checked: &Checked<'_>) {
        let push = checked.push;
        self.add_known(push, &push.numbers, checked, &checked.numbers);
        self.add_known(push, &push.histograms, checked, &checked.histograms);
        self.declare(checked);
        self.insert_new(push, &push.numbers, &checked.numbers);
        self.insert_new(push, &push.histograms, &checked.histograms);
    }

    fn add_known<'a, I: Increment<'a>>(
        &mut self,
        push: &Push<'_>,
        increments: &[I],
        checked: &Checked<'_>,
        located: &Located,
    ) {
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
                let sums = sums.leaf_mut(leaf);
                for (increment, place) in neighbours.iter().zip(their_places.iter().flatten()) {
                    increment.add_to(&mut sums[place.slot as usize], push, &mut family.totals);
                }
            }
            self.series += family.totals.series - series_before;
        }
    }

    /// Makes the families that have series to come, and takes type and HELP where they say more.
    fn declare(&mut self, checked: &Checked<'_>) {
        let mut new = Vec::new();
        for (pushed, place) in checked.push.families.iter().zip(&checked.families) {
            let Some(place) = *place else {
                new.extend(pushed.has_series.then_some(pushed));
                continue;
            };
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
            }
            if !has_help {
                stored.help = pushed.help.as_ref().into();
            }
        }
        new.sort_unstable_by_key(|pushed| pushed.name);
        let mut near = 0;
        for pushed in new {
            let family = || Family::new(pushed.metric_type, &pushed.help, self.label_sets.len());
            let families = Arc::make_mut(&mut self.families);
            if let Ok(inserted) = families.insert(pushed.name, &mut near, family) {
                self.names
                    .note(families, KeyedHash::of(pushed.name), &inserted);
                self.label_sets.push(Index::default());
            }
        }
    }

    fn insert_new<'a, I: Increment<'a>>(
        &mut self,
        push: &Push<'_>,
        increments: &[I],
        located: &Located,
    ) {
        let is_same =
            |one: &usize, next: &usize| is_same_family(&increments[*one], &increments[*next]);
        for new in located.new.chunk_by(is_same) {
            let name = push.families[increments[new[0]].family()].name;
            // It was declared.
            let Some(place) = self.find(name) else {
                continue;
            };
            let family = Arc::make_mut(&mut self.families).at_mut(place);
            let index = &mut self.label_sets[family.number];
            let Some(sums) = I::sums_mut(&mut family.series) else {
                continue;
            };
            let totals = &mut family.totals;
            let series_before = totals.series;
            let mut near = 0;
            for increment in new.iter().map(|&number| &increments[number]) {
                let labels = increment.labels();
                let first = || increment.first(push, totals);
                match sums.insert(labels.as_str(), &mut near, first) {
                    Ok(inserted) => index.note(sums, labels.hash(), &inserted),
                    // The index did not know it.
                    Err(place) => increment.add_to(sums.at_mut(place), push, totals),
                }
            }
            self.series += totals.series - series_before;
        }
    }

    /// What a scrape shows: it costs no more than the handle, and stays as it is.
    #[must_use]
    pub fn view(&self) -> View {
        View(Arc::clone(&self.families))
    }

    /// How much is stored; constant time.
    #[must_use]
    pub fn size(&self) -> Size {
        Size {
            families: self.label_sets.len(),
            series: self.series,
        }
    }
}

fn is_same_family<'a, I: Increment<'a>>(one: &I, other: &I) -> bool {
    one.family() == other.family()
}

/// A family that is both pushed and stored must be of one type; untyped gives way to counter and
/// gauge, in both directions, as long as no counter is or becomes negative by it.
fn check_types(pushed: &PushedFamily<'_>, stored: &Family) -> Result<(), Conflict> {
    use MetricType::{Counter, Gauge, Summary, Untyped};
    let name = || Excerpt::of(pushed.name);
    match (pushed.metric_type, stored.metric_type) {
        (Untyped, Counter) if pushed.has_negative => Err(Conflict::NegativeCounter(name())),
        (Counter, Untyped) if stored.totals.negative_sums > 0 => {
            Err(Conflict::NegativeUntyped(name()))
        }
        // Without series it is no more than a HELP line, or left out whole.
        (Untyped | Summary, _) if !pushed.has_series => Ok(()),
        (Untyped, Counter | Gauge) | (Counter | Gauge, Untyped) => Ok(()),
        (pushed, stored) if pushed == stored => Ok(()),
        (pushed, stored) => Err(Conflict::Type {
            name: name(),
            pushed,
            stored,
        }),
    }
}
