//! What a removal does with each series of a family.

use crate::aggregate::family::{Family, Sum};
use crate::aggregate::gauge_sum::GaugeSum;
use crate::aggregate::histogram::Histogram;
use crate::aggregate::index::Index;
use crate::aggregate::selection::{Selected, Selection};
use crate::aggregate::sorted::{Changed, Sorted, Verdict};
use crate::metric::GaugeMode;

/// A selection as it applies to one family.
#[derive(Clone, Copy)]
pub struct Choice<'a> {
    selected: Selected<'a>,
    name: &'a str,
    mode: GaugeMode,
    is_counter: bool,
}

impl<'a> Choice<'a> {
    /// In the family of this name.
    pub fn of(selected: Selected<'a>, name: &'a str, family: &Family) -> Choice<'a> {
        Choice {
            selected,
            name,
            mode: family.totals.mode,
            is_counter: family.totals.is_counter,
        }
    }

    /// What becomes of a series; a vacant one goes. Its labels are read only where they count.
    pub fn verdict<'k, T: Sum>(
        self,
        sum: &T,
        labels: impl FnOnce() -> &'k str,
        second: Option<u32>,
    ) -> Verdict<T> {
        if sum.is_vacant() {
            return Verdict::Goes;
        }
        if sum.is_held()
            && !self.is_counter
            && let Some(verdict) = self.verdict_of_held(sum)
        {
            return verdict;
        }
        let by_second = self.selected.contains_second(second);
        let is_selected =
            by_second.unwrap_or_else(|| self.selected.contains(self.name, labels(), second));
        if is_selected {
            Verdict::Goes
        } else {
            Verdict::Stays
        }
    }

    /// `None` if it makes no difference that senders hold it.
    fn verdict_of_held<T: Sum>(self, sum: &T) -> Option<Verdict<T>> {
        match self.selected {
            Selected::By(Selection::PushedBefore(_)) => Some(Verdict::Stays),
            Selected::By(Selection::NotHeld) => {
                let is_added_up = self.mode == GaugeMode::Sum;
                let rest = is_added_up.then(|| sum.without_ordinary()).flatten();
                Some(rest.map_or(Verdict::Stays, Verdict::Becomes))
            }
            _ => None,
        }
    }

    /// True if the removal is about this series: a vacant one mostly goes by the way.
    fn is_about<'k, T: Sum>(
        self,
        sum: &T,
        labels: impl FnOnce() -> &'k str,
        second: Option<u32>,
    ) -> bool {
        if sum.is_vacant() {
            let vacant = Selected::By(&Selection::Vacant);
            return self.selected == vacant;
        }
        !matches!(self.verdict(sum, labels, second), Verdict::Stays)
    }

    /// True if the removal is about any series of a leaf.
    pub fn is_about_leaf<T: Sum>(self, leaf: &Changed<'_, T>) -> bool {
        let mut values = leaf.values();
        values.any(|(slot, sum, second)| self.is_about(sum, || leaf.key(slot), second))
    }
}

/// A family without what is selected, and the index of its series; `None` if that is nothing.
pub fn without_selected(
    name: &str,
    family: &Family,
    selected: Selected<'_>,
) -> Option<(Family, Index)> {
    let is_gone = match selected {
        Selected::By(Selection::NotHeld) => family.held_series() == 0,
        Selected::By(Selection::Vacant) if family.is_absent() => true,
        Selected::By(Selection::Vacant) if family.totals.vacant == 0 => return None,
        _ => false,
    };
    if is_gone {
        return Some((family.emptied(name), Index::default()));
    }
    let choice = Choice::of(selected, name, family);
    rebuild::<f64>(family, choice)
        .or_else(|| rebuild::<Histogram>(family, choice))
        .or_else(|| rebuild::<GaugeSum>(family, choice))
}

/// The same, if its sums are of this kind.
fn rebuild<T: Sum>(family: &Family, choice: Choice<'_>) -> Option<(Family, Index)> {
    let sums = T::sums(&family.series)?;
    let mut entries = sums.iter_with_seconds();
    if !entries.any(|(labels, sum, second)| choice.is_about(sum, || labels, second)) {
        return None;
    }
    let mut kept = family.emptied(choice.name);
    kept.totals = family.totals.clone();
    let rest = sums.rebuild(|labels, sum, second| {
        let verdict = choice.verdict(sum, || labels, second);
        if !matches!(verdict, Verdict::Stays) {
            kept.totals.subtract(sum);
        }
        match &verdict {
            Verdict::Becomes(changed) => kept.totals.add(changed),
            Verdict::Goes => kept.totals.subtract_names(labels),
            Verdict::Stays => {}
        }
        verdict
    })?;
    let index = Index::of(&rest);
    *T::sums_mut(&mut kept.series)? = rest;
    Some((kept, index))
}

/// True if any series of a family is selected that was pushed since an earlier state of it, or
/// since it was not there.
pub fn is_any_selected(
    name: &str,
    before: Option<&Family>,
    now: &Family,
    selected: Selected<'_>,
) -> bool {
    fn is_any<T: Sum>(before: Option<&Family>, now: &Family, choice: Choice<'_>) -> bool {
        let Some(now) = T::sums(&now.series) else {
            return false;
        };
        let empty = Sorted::default();
        let before = before.and_then(|before| T::sums(&before.series));
        let mut leaves = now.changed_since(before.unwrap_or(&empty));
        leaves.any(|leaf| choice.is_about_leaf(&leaf))
    }
    let before = before.filter(|before| before.is_akin(now));
    let choice = Choice::of(selected, name, now);
    match before {
        Some(before) if before.series.is_same(&now.series) => false,
        before => {
            is_any::<f64>(before, now, choice)
                || is_any::<Histogram>(before, now, choice)
                || is_any::<GaugeSum>(before, now, choice)
        }
    }
}
