//! What senders contribute to gauges and untyped series.
//!
//! A sender's push is merged first, which makes its series or finds them; then each of its numbers
//! is contributed. In a family of mode sum the exposed value is what ordinary pushes added and what
//! the senders contribute; in other modes a push of a sender is merged like any other, and its
//! contribution only holds the series: it goes with the last one.
//!
//! A series that neither ordinary pushes nor senders have a part in is *vacant*: it is not exposed,
//! counts for nothing, and the next push revives it. A family of which all series are vacant is
//! absent: it conflicts with nothing, and the next push that has series of its name makes another.

use std::sync::Arc;

use super::family::{Family, Series, Totals};
use super::gauge_sum::{FamilyName, GaugeSum, HeldSum};
use super::sorted::Place;
use super::{Aggregate, Checked};
use crate::keyed_hash::KeyedHash;
use crate::metric::{GaugeMode, LabelSet, MetricType, PushedFamily};

/// Vacant series are not worth a removal as long as there are no more.
const VACANT_MIN: usize = 1024;

/// Where a contribution stands. The series may be gone meanwhile.
#[derive(Clone, Debug)]
pub struct HeldSeries {
    family: Arc<FamilyName>,
    labels: KeyedHash,
    id: u32,
}

impl HeldSeries {
    /// The name of the family.
    #[must_use]
    pub fn family(&self) -> &str {
        self.family.as_str()
    }

    /// True if a series of these labels in this family may be the one; false if it is not.
    #[must_use]
    pub fn may_be(&self, family: &str, labels: &LabelSet<'_>) -> bool {
        self.labels == labels.hash() && self.family.as_str() == family
    }

    /// Tells the series from others of the aggregate, in a snapshot: see [`HeldSum::id`].
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }
}

impl Aggregate {
    /// The type and the mode by which numbers are merged that are pushed in this family: those of
    /// the stored family, unless it is absent or untyped.
    #[must_use]
    pub fn merged_as(&self, pushed: &PushedFamily<'_>) -> (MetricType, GaugeMode) {
        let stored = self.find_exposed(&pushed.name);
        let stored = stored.map(|place| self.families.at(place));
        match stored.filter(|stored| stored.metric_type != MetricType::Untyped) {
            Some(stored) => (stored.metric_type, stored.totals.mode),
            None => (pushed.metric_type, pushed.mode),
        }
    }

    /// Adds a contribution to a series that the merge of a sender's push has just made or found.
    /// `None` if the series is not there or is that of a counter: then nothing is contributed.
    pub fn contribute(
        &mut self,
        family: &str,
        labels: &LabelSet<'_>,
        value: f64,
    ) -> Option<HeldSeries> {
        let family_place = self.find(family)?;
        let stored = self.families.at(family_place);
        let Series::Gauges(gauges) = &stored.series else {
            return None;
        };
        let index = self.label_sets.get(stored.number);
        let place = match index {
            Some(index) => index.find(&gauges.sums, labels.hash(), labels.as_str()),
            None => gauges.sums.find(labels.as_str()),
        };
        let place = place.filter(|_| !stored.totals.is_counter)?;
        let held = HeldSeries {
            family: Arc::clone(&gauges.name),
            labels: labels.hash(),
            id: gauges.sums.at(place).id,
        };
        let contribute = |sum: &mut GaugeSum, totals: &Totals| sum.contribute(totals.mode, value);
        self.change(family_place, place, contribute);
        Some(held)
    }

    /// Puts the new value of a contribution in the place of its old one, at once. False if the
    /// series is not there any more.
    #[must_use]
    pub fn change_contribution(&mut self, at: &HeldSeries, old: f64, new: f64) -> bool {
        self.change_held(at, |sum, mode| sum.change_contribution(mode, old, new))
    }

    /// Takes a contribution of this value back, if the series is still there. In a counter it
    /// stays.
    pub fn withdraw(&mut self, at: &HeldSeries, value: f64) {
        self.change_held(at, |sum, mode| sum.withdraw(mode, value));
    }

    /// A contribution that a snapshot told of stands in a series that was restored. False if the
    /// series is not there.
    pub fn link(&mut self, at: &HeldSeries) -> bool {
        self.change_held(at, |sum, _| sum.link())
    }

    /// The type of the family in which a contribution stands; `None` if its series is gone.
    #[must_use]
    pub fn type_of(&self, at: &HeldSeries) -> Option<MetricType> {
        let (family, _) = self.find_held(at)?;
        Some(self.families.at(family).metric_type)
    }

    /// Merges a part of what `render_held_pieces` gave, a push of a sender that was checked, and
    /// gives its series their sums. Then each contribution is to be linked to its series, before
    /// anything is pushed or withdrawn: a series is held until all that are linked are withdrawn.
    /// Gives where each is.
    pub fn restore_held(
        &mut self,
        checked: &Checked<'_>,
        second: u32,
        sums: &[HeldSum],
    ) -> Vec<Option<HeldSeries>> {
        self.merge(checked, second);
        let push = checked.push;
        let restored = push.numbers.iter().zip(sums).map(|(number, sum)| {
            let name = &push.families[number.family].name;
            let held = self.contribute(name, &number.labels, 0.0)?;
            self.change_held(&held, |stored, _| stored.restore(sum));
            Some(held)
        });
        restored.collect()
    }

    /// How many series senders hold. While there are none, a reset is [`Aggregate::reset`]; else it
    /// is a removal of [`Selection::NotHeld`](super::Selection::NotHeld).
    #[must_use]
    pub fn held_series(&self) -> usize {
        self.counts.held
    }

    /// True if enough series are vacant for a removal of
    /// [`Selection::Vacant`](super::Selection::Vacant) to be worth its time.
    #[must_use]
    pub fn has_many_vacant(&self) -> bool {
        let vacant = self.counts.vacant;
        vacant > VACANT_MIN && vacant > self.counts.size.series
    }

    /// False if it is not there. What stands in a counter is not changed.
    fn change_held(
        &mut self,
        at: &HeldSeries,
        change: impl FnOnce(&mut GaugeSum, GaugeMode),
    ) -> bool {
        let Some((family, place)) = self.find_held(at) else {
            return false;
        };
        self.change(family, place, |sum, totals| {
            if !totals.is_counter {
                change(sum, totals.mode);
            }
        });
        true
    }

    fn find_held(&self, at: &HeldSeries) -> Option<(Place, Place)> {
        let family_place = self.find(at.family())?;
        let family = self.families.at(family_place);
        let Series::Gauges(gauges) = &family.series else {
            return None;
        };
        let is_it = |sum: &GaugeSum| sum.id == at.id;
        let place = match self.label_sets.get(family.number) {
            Some(index) => index.find_where(&gauges.sums, at.labels, is_it),
            None => gauges.sums.find_where(is_it),
        };
        Some((family_place, place?))
    }

    /// Changes a sum, and what is counted of it.
    fn change(&mut self, family: Place, place: Place, change: impl FnOnce(&mut GaugeSum, &Totals)) {
        let family = Arc::make_mut(&mut self.families).at_mut(family);
        let Family { series, totals, .. } = family;
        if let Series::Gauges(gauges) = series {
            self.counts.subtract(totals);
            let sum = Arc::make_mut(gauges).sums.at_mut(place);
            totals.subtract(sum);
            change(sum, totals);
            totals.add(sum);
            self.counts.add(totals);
        }
    }
}
