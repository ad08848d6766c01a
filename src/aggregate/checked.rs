//! A push that was checked, and where its series are.

use super::family::Increment;
use super::sorted::{Place, order};
use crate::metric::Push;

/// A push that fits the aggregate that has checked it, as long as that stays as it is.
#[derive(Debug)]
pub struct Checked<'a> {
    pub(super) push: &'a Push<'a>,
    /// Where each family is, if there is one.
    pub(super) families: Vec<Option<Place>>,
    /// Families whose series are left out, in the order of their places in the push.
    pub(super) discarded: Vec<usize>,
    pub(super) numbers: Located,
    pub(super) histograms: Located,
}

/// Where the series of increments are.
#[derive(Debug)]
pub struct Located {
    /// Of each, if it is known.
    pub(super) places: Vec<Option<Place>>,
    /// The others, in the order of their families, and there of their label sets.
    pub(super) new: Vec<usize>,
}

impl<'a> Checked<'a> {
    /// What was checked.
    #[must_use]
    pub fn push(&self) -> &'a Push<'a> {
        self.push
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

    /// True if the family at this place of the push is left out.
    #[must_use]
    pub fn is_discarded(&self, family: usize) -> bool {
        self.discarded.binary_search(&family).is_ok()
    }
}

impl Located {
    /// `discarded` are places of families that are left out.
    pub(super) fn of<'a, I: Increment<'a>>(
        places: Vec<Option<Place>>,
        increments: &[I],
        discarded: &[usize],
    ) -> Located {
        let is_discarded = |increment: &I| discarded.binary_search(&increment.family()).is_ok();
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
}
