//! Whether there is room for the series that a push would make.

use std::fmt;

use super::check::Located;
use super::family::{AddTo, Sum};
use super::histogram::Histogram;
use super::{Aggregate, Checked, Contributions, GaugeSum};

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
            "the push would make {series} series, more than {series_max} (-max-series); series \
             that are known go on counting"
        )
    }
}

impl std::error::Error for TooManySeries {}

impl Aggregate {
    /// Tells whether the merge of a push that was checked stays within `series_max`. One that
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
        if self.counts.size.series + checked.push.series() <= series_max {
            return Ok(());
        }
        let new = self.new_series(checked);
        let series = self.counts.size.series + new;
        if new == 0 || series <= series_max {
            return Ok(());
        }
        Err(TooManySeries { series, series_max })
    }

    /// How many series the merge of a push that was checked will add.
    #[must_use]
    pub fn new_series(&self, checked: &Checked<'_>) -> usize {
        let Checked { push, .. } = checked;
        let gauges = match self.contributions {
            Contributions::Kept => {
                self.new_in_known::<GaugeSum, _>(&push.numbers, checked, &checked.numbers)
            }
            Contributions::NotKept => 0,
        };
        gauges
            + self.new_in_known::<f64, _>(&push.numbers, checked, &checked.numbers)
            + self.new_in_known::<Histogram, _>(&push.histograms, checked, &checked.histograms)
            + new_in_new::<f64, _>(&push.numbers, checked)
            + new_in_new::<Histogram, _>(&push.histograms, checked)
    }

    /// In families that are stored and have sums of this kind.
    fn new_in_known<'a, S: Sum, I: AddTo<'a, S>>(
        &self,
        increments: &[I],
        checked: &Checked<'_>,
        located: &Located<'_>,
    ) -> usize {
        let new = |(increment, place): (&I, &Option<_>)| {
            if checked.is_discarded(increment.family()) {
                return None;
            }
            let family = self.families.at(checked.families[increment.family()]?);
            let sums = S::sums(&family.series)?;
            let sum = (*place).map(|place| sums.at(place));
            Some(increment.new_series(sum, checked.push))
        };
        let places = located.places.iter();
        increments.iter().zip(places).filter_map(new).sum()
    }
}

/// In families that are not stored.
fn new_in_new<'a, S: Sum, I: AddTo<'a, S>>(increments: &[I], checked: &Checked<'_>) -> usize {
    let is_new = |increment: &&I| {
        let family = increment.family();
        checked.families[family].is_none() && !checked.is_discarded(family)
    };
    let new = increments.iter().filter(is_new);
    new.map(|increment| increment.new_series(None, checked.push))
        .sum()
}
