//! What is shown of families and their series, one by one.

use super::family::{Family, Series};
use super::histogram::Histogram;
use super::view::View;
use crate::metric::GaugeMode;

/// The sum of a series.
#[derive(Clone, Copy, Debug)]
pub enum Shown<'a> {
    /// Of a counter, gauge or untyped family.
    Number(f64),
    /// Of a histogram.
    Histogram(&'a Histogram),
}

impl View {
    /// The family of a name, if there is one, with the name as it is stored.
    #[must_use]
    pub fn named_family(&self, name: &str) -> Option<(&str, &Family)> {
        let place = self.families.find(name)?;
        let stored = self.families.keys(place.leaf).nth(place.slot as usize)?;
        let family = self.families.at(place);
        (!family.is_absent()).then_some((stored, family))
    }
}

impl Family {
    /// How pushed numbers are merged into its sums.
    #[must_use]
    pub fn mode(&self) -> GaugeMode {
        self.totals.mode
    }

    /// How many label sets it has.
    #[must_use]
    pub fn label_set_count(&self) -> usize {
        match &self.series {
            Series::Numbers(sums) => sums.length(),
            Series::Histograms(sums) => sums.length(),
            // Those that are vacant are not there for anyone.
            Series::Gauges(_) => self.totals.series,
        }
    }

    /// The second in which one of its series was last pushed, where ages are kept; a pass over a
    /// number for each series.
    #[must_use]
    pub fn last_push(&self) -> Option<u32> {
        match &self.series {
            Series::Numbers(sums) => sums.last_second(),
            Series::Histograms(sums) => sums.last_second(),
            Series::Gauges(gauges) => gauges.sums().last_second(),
        }
    }

    /// Gives the first label sets, at most `labels_max` of them, with their sums.
    pub fn visit_first<'a>(&'a self, labels_max: usize, mut visit: impl FnMut(&'a str, Shown<'a>)) {
        match &self.series {
            Series::Numbers(sums) => {
                let first = sums.iter().take(labels_max);
                first.for_each(|(labels, sum)| visit(labels, Shown::Number(*sum)));
            }
            Series::Histograms(sums) => {
                let first = sums.iter().take(labels_max);
                first.for_each(|(labels, sum)| visit(labels, Shown::Histogram(sum)));
            }
            Series::Gauges(gauges) => {
                let exposed = gauges.sums().iter();
                let exposed = exposed.filter_map(|(labels, sum)| Some((labels, sum.value()?)));
                let first = exposed.take(labels_max);
                first.for_each(|(labels, value)| visit(labels, Shown::Number(value)));
            }
        }
    }
}
