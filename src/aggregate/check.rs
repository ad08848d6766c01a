//! Whether a push fits what is stored, and where its series are.

use std::borrow::Cow;

use super::conflict::{Conflict, check_types};
use super::family::{AddTo, Increment, Sum};
use super::histogram::Histogram;
use super::sorted::{Place, Sorted};
use super::{Aggregate, Contributions, GaugeSum, Identity, is_same_family};
use crate::excerpt::Excerpt;
use crate::metric::{MetricType, Push, PushedFamily, base_names};
use crate::text_order::{order, sort_by_text};

/// A push that fits the aggregate that has checked it, as long as that stays as it is.
#[derive(Debug)]
pub struct Checked<'a> {
    pub(super) push: &'a Push<'a>,
    /// Where each family is, if there is one.
    pub(super) families: Cow<'a, [Option<Place>]>,
    /// Families whose series are left out, in the order of their places in the push.
    pub(super) discarded: Vec<usize>,
    pub(super) numbers: Located<'a>,
    pub(super) histograms: Located<'a>,
    structure: Structure,
}

/// Where the series of increments are.
#[derive(Debug)]
pub struct Located<'a> {
    /// Of each, if it is known.
    pub(super) places: Cow<'a, [Option<Place>]>,
    /// The others, in the order of their families, and there of their label sets.
    pub(super) new: Vec<usize>,
}

/// Tells whether families and series are where they were.
#[derive(Clone, Debug, PartialEq)]
struct Structure {
    identity: Identity,
    insertions: u64,
    contributions: Contributions,
}

/// Where all families and series of a push were found, for the next push that is about the same
/// ones in the same order.
#[derive(Debug)]
pub struct SeriesPlaces {
    structure: Structure,
    families: Vec<Option<Place>>,
    numbers: Vec<Option<Place>>,
    histograms: Vec<Option<Place>>,
}

impl SeriesPlaces {
    /// How much memory it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let places = self.families.len() + self.numbers.len() + self.histograms.len();
        size_of_val(self) + places * size_of::<Option<Place>>()
    }
}

impl<'a> Checked<'a> {
    /// What was checked.
    #[must_use]
    pub fn push(&self) -> &'a Push<'a> {
        self.push
    }

    /// Where all of it was found. `None` if it was checked by such places already, if a family or a
    /// series is new or left out, or where senders contribute: their families come and go in place.
    #[must_use]
    pub fn into_found(self) -> Option<SeriesPlaces> {
        let is_known = |located: &Located<'_>| {
            located.new.is_empty() && matches!(located.places, Cow::Owned(_))
        };
        let is_found = self.structure.contributions == Contributions::NotKept
            && is_known(&self.numbers)
            && is_known(&self.histograms)
            && self.discarded.is_empty();
        is_found.then(|| SeriesPlaces {
            structure: self.structure,
            families: self.families.into_owned(),
            numbers: self.numbers.places.into_owned(),
            histograms: self.histograms.places.into_owned(),
        })
    }

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

    fn is_at_places_of(&self, other: &Checked<'_>) -> bool {
        self.families == other.families
            && self.numbers.places == other.numbers.places
            && self.histograms.places == other.histograms.places
    }

    /// True if the family at this place of the push is left out.
    #[must_use]
    pub fn is_discarded(&self, family: usize) -> bool {
        self.discarded.binary_search(&family).is_ok()
    }
}

impl Located<'_> {
    /// `discarded` are places of families that are left out.
    fn of<'i, I: Increment<'i>>(
        places: Vec<Option<Place>>,
        increments: &[I],
        discarded: &[usize],
    ) -> Self {
        let is_discarded = |increment: &I| discarded.binary_search(&increment.family()).is_ok();
        let mut new: Vec<usize> = (0..places.len())
            .filter(|&number| places[number].is_none() && !is_discarded(&increments[number]))
            .collect();
        let family = |number: usize| increments[number].family();
        new.sort_by_key(|&number| family(number));
        for of_family in new.chunk_by_mut(|&one, &next| family(one) == family(next)) {
            sort_by_text(of_family, |number| increments[number].labels().as_str());
        }
        let places = Cow::Owned(places);
        Located { places, new }
    }
}

impl Aggregate {
    /// Looks up all that a push is about, and tells whether it fits what is stored now. No summary
    /// refuses a push: one that conflicts with what is stored is left out.
    ///
    /// # Errors
    /// The first family that conflicts with what is stored.
    pub fn check<'a>(&self, push: &'a Push<'a>) -> Result<Checked<'a>, Conflict> {
        let mut families = Vec::with_capacity(push.families.len());
        let mut discarded = Vec::new();
        for (family, pushed) in push.families.iter().enumerate() {
            let place = self.find_exposed(&pushed.name);
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
            numbers: self.locate_numbers(push, &families),
            histograms: Located::of(
                self.places::<Histogram, _>(&push.histograms, &families, &discarded),
                &push.histograms,
                &discarded,
            ),
            families: Cow::Owned(families),
            discarded,
            structure: self.structure(),
        })
    }

    /// The same as [`Aggregate::check`] of a push that has the families and the series, in their
    /// order, of the one that was found there; at once, if all is where it was. The caller knows
    /// that: both pushes were read by one template, under the same rules.
    ///
    /// # Errors
    /// The first family that conflicts with what is stored.
    pub fn check_found<'a>(
        &self,
        push: &'a Push<'a>,
        found: &'a SeriesPlaces,
    ) -> Result<Checked<'a>, Conflict> {
        let is_same = found.structure == self.structure()
            && found.families.len() == push.families.len()
            && found.numbers.len() == push.numbers.len()
            && found.histograms.len() == push.histograms.len();
        if !is_same {
            return self.check(push);
        }
        for (pushed, place) in push.families.iter().zip(&found.families) {
            let Some(place) = *place else { continue };
            match check_types(pushed, self.families.at(place)) {
                Ok(()) => {}
                // It is to be left out.
                Err(_) if pushed.metric_type == MetricType::Summary => return self.check(push),
                Err(conflict) => return Err(conflict),
            }
        }
        let located = |places: &'a [Option<Place>]| Located {
            places: Cow::Borrowed(places),
            new: Vec::new(),
        };
        let checked = Checked {
            push,
            families: Cow::Borrowed(&found.families),
            discarded: Vec::new(),
            numbers: located(&found.numbers),
            histograms: located(&found.histograms),
            structure: found.structure.clone(),
        };
        debug_assert!(
            self.check(push)
                .is_ok_and(|again| again.is_at_places_of(&checked))
        );
        Ok(checked)
    }

    fn structure(&self) -> Structure {
        Structure {
            identity: self.identity.clone(),
            insertions: self.insertions,
            contributions: self.contributions,
        }
    }

    /// A new family must not share a name with what a stored one exposes, nor the other way round.
    fn check_names(&self, pushed: &PushedFamily<'_>) -> Result<(), Conflict> {
        for base in base_names(&pushed.name) {
            let Some(place) = self.find_exposed(base) else {
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
            if self.find_exposed(&exposed).is_some() {
                let (name, stored) = (Excerpt::of(&*pushed.name), Excerpt::of(exposed));
                return Err(Conflict::Exposes { name, stored });
            }
        }
        Ok(())
    }

    fn locate_numbers(&self, push: &Push<'_>, families: &[Option<Place>]) -> Located<'static> {
        let mut places = self.places::<f64, _>(&push.numbers, families, &[]);
        if self.contributions == Contributions::Kept {
            let of_gauges = self.places::<GaugeSum, _>(&push.numbers, families, &[]);
            for (place, of_gauge) in places.iter_mut().zip(of_gauges) {
                *place = place.or(of_gauge);
            }
        }
        Located::of(places, &push.numbers, &[])
    }

    /// Where the series of increments are that are known, among sums of one kind.
    fn places<'a, S: Sum, I: AddTo<'a, S>>(
        &self,
        increments: &[I],
        families: &[Option<Place>],
        discarded: &[usize],
    ) -> Vec<Option<Place>> {
        let is_discarded = |increment: &I| discarded.binary_search(&increment.family()).is_ok();
        let mut places = Vec::with_capacity(increments.len());
        for of_family in increments.chunk_by(is_same_family) {
            let place = families[of_family[0].family()];
            let place = place.filter(|_| !is_discarded(&of_family[0]));
            let family = place.map(|place| self.families.at(place));
            let sums = family.and_then(|family| Some((family, S::sums(&family.series)?)));
            let Some((family, sums)) = sums else {
                places.extend(of_family.iter().map(|_| None));
                continue;
            };
            if are_behind(sums, of_family) {
                places.extend(of_family.iter().map(|_| None));
                continue;
            }
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
        places
    }
}

/// True if these come in order and behind all that is stored, as a snapshot does: then all of them
/// are new. Of a few, to look that up takes longer than to look for them.
fn are_behind<'a, T, I: Increment<'a>>(sums: &Sorted<T>, increments: &[I]) -> bool {
    const LENGTH_MIN: usize = 16;
    let is_before = |one: &str, next: &str| order(one, next).is_lt();
    increments.len() >= LENGTH_MIN
        && sums
            .last_key()
            .is_none_or(|last| is_before(last, increments[0].labels().as_str()))
        && increments
            .is_sorted_by(|one, next| is_before(one.labels().as_str(), next.labels().as_str()))
}
