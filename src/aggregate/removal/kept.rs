//! What stays of an aggregate after a removal, made beside it and kept up with its pushes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::choice::{Choice, is_any_selected, without_selected};
use crate::aggregate::View;
use crate::aggregate::counts::Counts;
use crate::aggregate::family::{Family, Series, Sum, Totals};
use crate::aggregate::gauge_sum::GaugeSum;
use crate::aggregate::histogram::Histogram;
use crate::aggregate::index::Index;
use crate::aggregate::selection::Selected;
use crate::aggregate::sorted::{Near, Place, Put, Sorted, Verdict};
use crate::keyed_hash::KeyedHash;

/// What stays. A family that loses nothing is shared with the aggregate, which keeps its index.
#[derive(Debug)]
pub struct Kept {
    pub families: Sorted<Family>,
    pub names: Index,
    /// By number, the indices of those families that are not shared and have more than one leaf,
    /// here or in the aggregate; empty for one leaf or none.
    pub label_sets: BTreeMap<u64, Index>,
    pub counts: Counts,
}

impl Kept {
    /// `None` when nothing is selected.
    pub fn prepare(view: &View, selected: Selected<'_>) -> Option<Kept> {
        let Selected::By(_) = selected else {
            return None;
        };
        let mut counts = view.counts;
        let mut label_sets = BTreeMap::new();
        let families = view.families.rebuild(|name, family, _| {
            let Some((kept, index)) = without_selected(name, family, selected) else {
                return Verdict::Stays;
            };
            counts.subtract(&family.totals);
            counts.add(&kept.totals);
            if family.series.leaf_count() > 1 {
                label_sets.insert(family.number, index);
            }
            if kept.series.leaf_count() == 0 {
                return Verdict::Goes;
            }
            Verdict::Becomes(kept)
        })?;
        Some(Kept {
            names: Index::of(&families),
            families,
            label_sets,
            counts,
        })
    }

    /// Takes over what was pushed between two views, and gives the number of changed leaves.
    pub fn follow(&mut self, before: &View, now: &View, selected: Selected<'_>) -> usize {
        let mut changed_count = 0;
        let before_families = &before.families;
        for changed in now.families.changed_since(before_families) {
            changed_count += 1;
            if let Some(values_before) = changed.values_before() {
                let pairs = || values_before.iter().zip(changed.values());
                let is_clean = pairs().all(|(before, (slot, family, _))| {
                    !is_any_selected(changed.key(slot), Some(before), family, selected)
                });
                if is_clean && self.families.share(&changed) {
                    for (before, (_, family, _)) in pairs() {
                        self.counts.subtract(&before.totals);
                        self.counts.add(&family.totals);
                    }
                    continue;
                }
            }
            let values_before = changed.values_before();
            for (slot, family, _) in changed.values() {
                let before = values_before.and_then(|values| values.get(slot));
                if before.is_some_and(|before| before.is_same(family)) {
                    continue;
                }
                let name = changed.key(slot);
                let before = before.or_else(|| before_families.get(name));
                changed_count += self.follow_family(name, before, family, selected);
            }
        }
        changed_count
    }

    /// The same for one family, which was not there before or was this one, unless that was absent.
    fn follow_family(
        &mut self,
        name: &str,
        before: Option<&Family>,
        now: &Family,
        selected: Selected<'_>,
    ) -> usize {
        if before.is_some_and(|before| before.is_same(now)) {
            return 0;
        }
        let before = before.filter(|before| before.is_akin(now));
        let place = self.names.find(&self.families, KeyedHash::of(name), name);
        let here = place.map(|place| self.families.at(place));
        if let Some(before) = before
            && !here.is_some_and(|here| here.series.is_same(&before.series))
        {
            return self.follow_series(name, place, before, now, selected);
        }
        // Of a family that is not akin, what was made of it counts for nothing.
        self.label_sets.remove(&now.number);
        if let Some(here) = here {
            self.label_sets.remove(&here.number);
        }
        if !is_any_selected(name, before, now, selected) {
            self.set(name, place, now.clone());
            return 0;
        }
        let Some((kept, index)) = without_selected(name, now, selected) else {
            return 0;
        };
        if now.series.leaf_count() > 1 {
            self.label_sets.insert(now.number, index);
        }
        self.set(name, place, kept);
        now.series.leaf_count()
    }

    /// The same for the series of a family that has lost some; all of them, if it has no place.
    fn follow_series(
        &mut self,
        name: &str,
        place: Option<Place>,
        before: &Family,
        now: &Family,
        selected: Selected<'_>,
    ) -> usize {
        let mut removed = now.emptied(name);
        let family = match place {
            Some(place) => self.families.at_mut(place),
            None => &mut removed,
        };
        self.counts.subtract(&family.totals);
        let mut index = self.label_sets.remove(&now.number).unwrap_or_default();
        let mut follower = Follower {
            index: &mut index,
            totals: &mut family.totals,
            choice: Choice::of(selected, name, now),
        };
        let (kept, before) = (&mut family.series, &before.series);
        let changed_count = follower.follow::<f64>(kept, before, &now.series)
            + follower.follow::<Histogram>(kept, before, &now.series)
            + follower.follow::<GaugeSum>(kept, before, &now.series);
        family.metric_type = now.metric_type;
        family.totals.mode = now.totals.mode;
        family.totals.is_counter = now.totals.is_counter;
        family.help = Arc::clone(&now.help);
        self.counts.add(&family.totals);
        if now.series.leaf_count() > 1 {
            self.label_sets.insert(now.number, index);
        }
        if removed.series.leaf_count() > 0 {
            self.counts.subtract(&removed.totals);
            self.set(name, None, removed);
        }
        changed_count
    }

    /// Puts a family at its place; if it has none, where its name belongs, unless it is empty.
    fn set(&mut self, name: &str, place: Option<Place>, family: Family) {
        match place {
            Some(place) => {
                let here = self.families.at_mut(place);
                self.counts.subtract(&here.totals);
                self.counts.add(&family.totals);
                *here = family;
            }
            None if family.series.leaf_count() == 0 => {}
            None => {
                self.counts.add(&family.totals);
                let inserted = self.families.insert(name, &mut 0, family, None);
                self.names
                    .note(&self.families, KeyedHash::of(name), &inserted);
            }
        }
    }
}

/// What follows the changed leaves of a family, beside its series.
struct Follower<'a> {
    index: &'a mut Index,
    totals: &'a mut Totals,
    choice: Choice<'a>,
}

impl Follower<'_> {
    /// Gives the number of changed leaves, if the sums are of this kind.
    fn follow<T: Sum>(&mut self, kept: &mut Series, before: &Series, now: &Series) -> usize {
        let (Some(before), Some(now)) = (T::sums(before), T::sums(now)) else {
            return 0;
        };
        let Some(kept) = T::sums_mut(kept) else {
            return 0;
        };
        let mut near = Near::default();
        let mut changed_count = 0;
        for changed in now.changed_since(before) {
            changed_count += 1;
            // Nothing of a shared leaf was selected, and with the same labels and later seconds
            // nothing is now, unless a sender has let it go.
            let is_clean = !T::CHANGES_BY_SENDERS || !self.choice.is_about_leaf(&changed);
            if is_clean && kept.share(&changed) {
                let before = changed.values_before().unwrap_or_default();
                for ((_, sum, _), before) in changed.values().zip(before) {
                    self.totals.add(sum);
                    self.totals.subtract(before);
                }
                continue;
            }
            for (slot, sum, second) in changed.values() {
                let labels = changed.key(slot);
                let sum = match self.choice.verdict(sum, || labels, second) {
                    Verdict::Stays => sum.clone(),
                    Verdict::Becomes(sum) => sum,
                    // What stayed before is let go now, and can only be made vacant.
                    Verdict::Goes => match sum.vacated() {
                        Some(vacant) if kept.get(labels).is_some() => vacant,
                        _ => continue,
                    },
                };
                self.totals.add(&sum);
                match kept.put(labels, sum, second, &mut near) {
                    Put::Replaced(sum) => self.totals.subtract(&sum),
                    Put::Inserted(inserted) => {
                        self.totals.add_names(labels);
                        self.index.note(kept, KeyedHash::of(labels), &inserted);
                    }
                }
            }
        }
        changed_count
    }
}

/// True if any series is selected that was pushed between two views.
pub fn is_any_selected_since(before: &View, now: &View, selected: Selected<'_>) -> bool {
    let mut leaves = now.families.changed_since(&before.families);
    leaves.any(|leaf| {
        let mut entries = leaf.entries();
        entries.any(|(name, family, _)| {
            is_any_selected(name, before.families.get(name), family, selected)
        })
    })
}
