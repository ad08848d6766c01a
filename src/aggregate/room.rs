//! Whether there is room for the series that a push would make.

use std::fmt;

use super::family::Increment;
use super::{Aggregate, Checked, Located};

/// A push would make more series than there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManySeries {
    /// How many there would be.
    pub series: usize,
    /// How many there may be.
    pub series_max: usize,
}

impl fmt::Display for TooManySeries {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TooManySeries { series, series_max } = self;
        write!(
            to,
            "the push would make {series} series of {series_max} (-max-series); series that are \
             known go on counting"
        )
    }
}

impl std::error::Error for TooManySeries {}

impl Aggregate {
    /// Tells whether the merge of a push that was checked stays within so many series. One that
    /// adds to known series alone always does, however many are stored.
    ///
    /// # Errors
    /// When it does not.
    pub fn check_room(
        &self,
        checked: &Checked<'_>,
        series_max: usize,
    ) -> Result<(), TooManySeries> {
        // To count what is new takes a look at every series: that is left until it matters.
        if self.size.series + checked.push.series() <= series_max {
            return Ok(());
        }
        let new = self.new_series(checked);
        let series = self.size.series + new;
        if new == 0 || series <= series_max {
            return Ok(());
        }
        Err(TooManySeries { series, series_max })
    }

    /// How many series the merge of a push that was checked will add.
    #[must_use]
    pub fn new_series(&self, checked: &Checked<'_>) -> usize {
        self.new_among(&checked.push.numbers, checked, &checked.numbers)
            + self.new_among(&checked.push.histograms, checked, &checked.histograms)
    }

    fn new_among<'a, I: Increment<'a>>(
        &self,
        increments: &[I],
        checked: &Checked<'_>,
        located: &Located,
    ) -> usize {
        let new = |(increment, place): (&I, &Option<_>)| {
            if checked.is_discarded(increment.family()) {
                return 0;
            }
            let family = checked.families[increment.family()].map(|place| self.families.at(place));
            let sums = family.and_then(|family| I::sums(&family.series));
            let sum = sums.and_then(|sums| Some(sums.at((*place)?)));
            increment.new_series(sum, checked.push)
        };
        increments.iter().zip(&located.places).map(new).sum()
    }
}
