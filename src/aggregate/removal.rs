//! Removing series and families: prepared beside the aggregate, put in its place at one instant.
//!
//! ```text
//! view --prepare--> Removal --catch up with a later view, again and again--> remove
//! ```
//!
//! To prepare takes as long as what is stored is large, and no lock: pushes go on meanwhile, and
//! copy the leaves that they write to, as they do while a view is rendered. So what they did is
//! found by comparing leaves, and taken over in time that grows with the changed leaves alone.
//! [`Aggregate::remove`] does that a last time and swaps; what is freed is left in the removal.
//!
//! It is the instant of `remove` that counts: a series that was pushed meanwhile may not be silent
//! any more, and one that came meanwhile may carry the labels that are removed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::family::{Family, Series, Sum, Totals};
use super::index::Index;
use super::selection::{Selected, Selection};
use super::sorted::{Changed, Near, Place, Put, Sorted, Verdict};
use super::{Aggregate, Identity, Size, View};
use crate::keyed_hash::KeyedHash;

/// What an aggregate will be without the series of a selection. Removals of one aggregate exclude
/// each other: of two that were prepared at the same time, the second is outdated by the first.
#[derive(Debug)]
pub struct Removal {
    selection: Selection,
    /// The aggregate as it was when `kept` was last made to follow it.
    followed: View,
    /// `None` as long as nothing is selected.
    kept: Option<Kept>,
    /// Freed outside the locks.
    retired: Option<(View, Option<Kept>)>,
}

/// The aggregate was reset, or something was removed from it, after a removal was prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outdated;

impl std::fmt::Display for Outdated {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "the aggregate was reset after the removal was prepared")
    }
}

impl std::error::Error for Outdated {}

/// What stays. A family that loses nothing is shared with the aggregate, which keeps its index.
#[derive(Debug)]
struct Kept {
    families: Sorted<Family>,
    names: Index,
    /// By number, the indices of those families that are not shared and have more than one leaf,
    /// here or in the aggregate; empty for one leaf or none.
    label_sets: BTreeMap<u64, Index>,
    size: Size,
}

impl Removal {
    /// Finds what is selected and makes what will be left, in time that grows with what is stored.
    #[must_use]
    pub fn prepare(view: View, selection: Selection) -> Removal {
        let kept = Kept::prepare(&view, selection.with_ages(view.ages_start));
        Removal {
            selection,
            followed: view,
            kept,
            retired: None,
        }
    }

    /// True if nothing was selected when it was last prepared or made to catch up: there was
    /// nothing to remove at that instant.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_none()
    }

    /// Takes over what was pushed since it was prepared or last caught up, and gives the number of
    /// leaves, of at most 128 series or families, that this has changed. Its time grows with that
    /// number; but a family of which nothing was selected is prepared as a whole when a series of
    /// it is selected now.
    ///
    /// # Errors
    /// When it is of no use any more.
    pub fn catch_up(&mut self, view: &View) -> Result<usize, Outdated> {
        let changed = self.follow(view.clone());
        self.retired = None;
        changed
    }

    /// Leaves what is to be freed in `retired`.
    fn follow(&mut self, view: View) -> Result<usize, Outdated> {
        if view.identity != self.followed.identity {
            return Err(Outdated);
        }
        let before = std::mem::replace(&mut self.followed, view);
        let now = &self.followed;
        let mut retired = None;
        let mut changed = 0;
        match (self.selection.with_ages(now.ages_start), &mut self.kept) {
            (Selected::None, kept) => retired = kept.take(),
            (selected, Some(kept)) => changed = kept.follow(&before, now, selected),
            (selected, kept) => {
                if is_any_selected_since(&before, now, selected) {
                    *kept = Kept::prepare(now, selected);
                }
            }
        }
        self.retired = Some((before, retired));
        Ok(changed)
    }
}

impl Kept {
    /// `None` when nothing is selected.
    fn prepare(view: &View, selected: Selected<'_>) -> Option<Kept> {
        let Selected::By(_) = selected else {
            return None;
        };
        let mut size = view.size;
        let mut label_sets = BTreeMap::new();
        let families = view.families.rebuild(|name, family, _| {
            let Some((kept, index)) = without_selected(name, family, selected) else {
                return Verdict::Stays;
            };
            size.series -= family.totals.series - kept.totals.series;
            if family.series.leaf_count() > 1 {
                label_sets.insert(family.number, index);
            }
            if kept.series.leaf_count() == 0 {
                size.families -= 1;
                return Verdict::Goes;
            }
            Verdict::Becomes(kept)
        })?;
        Some(Kept {
            names: Index::of(&families),
            families,
            label_sets,
            size,
        })
    }

    /// Takes over what was pushed between two views, and gives the number of changed leaves.
    fn follow(&mut self, before: &View, now: &View, selected: Selected<'_>) -> usize {
        let mut changed_count = 0;
        let before_families = &before.families;
        for changed in now.families.changed_since(before_families) {
            changed_count += 1;
            if let Some(values_before) = changed.values_before() {
                let pairs = || values_before.iter().zip(changed.values());
                let is_clean = pairs().all(|(before, (slot, family, _))| {
                    before.series.is_same(&family.series)
                        || !is_any_selected(changed.key(slot), Some(before), family, selected)
                });
                if is_clean && self.families.share(&changed) {
                    for (before, (_, family, _)) in pairs() {
                        self.size.series += family.totals.series;
                        self.size.series -= before.totals.series;
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

    /// The same for one family, which was not there before or was this one.
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
        let place = self.names.find(&self.families, KeyedHash::of(name), name);
        let here = place.map(|place| self.families.at(place));
        let is_shared = match (here, before) {
            (Some(here), Some(before)) => here.series.is_same(&before.series),
            (None, None) => true,
            _ => false,
        };
        if !is_shared {
            return self.follow_series(name, place, before, now, selected);
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
        before: Option<&Family>,
        now: &Family,
        selected: Selected<'_>,
    ) -> usize {
        let mut absent = Family::empty(name, now.metric_type, now.totals.mode, now.number);
        let family = match place {
            Some(place) => self.families.at_mut(place),
            None => &mut absent,
        };
        let series_before = family.totals.series;
        let mut index = self.label_sets.remove(&now.number).unwrap_or_default();
        let mut follower = Follower {
            index: &mut index,
            totals: &mut family.totals,
            selected,
            name,
        };
        let before = before.map(|before| &before.series);
        let changed_count = match (&mut family.series, before, &now.series) {
            (Series::Numbers(kept), Some(Series::Numbers(before)), Series::Numbers(now)) => {
                follower.follow(Arc::make_mut(kept), before, now)
            }
            (
                Series::Histograms(kept),
                Some(Series::Histograms(before)),
                Series::Histograms(now),
            ) => follower.follow(Arc::make_mut(kept), before, now),
            // A family that was removed whole was there before, and is of one kind.
            _ => 0,
        };
        family.metric_type = now.metric_type;
        family.totals.mode = now.totals.mode;
        family.help = Arc::clone(&now.help);
        self.size.series += family.totals.series;
        self.size.series -= series_before;
        if now.series.leaf_count() > 1 {
            self.label_sets.insert(now.number, index);
        }
        if absent.series.leaf_count() > 0 {
            self.size.series -= absent.totals.series;
            self.set(name, None, absent);
        }
        changed_count
    }

    /// Puts a family at its place; if it has none, where its name belongs, unless it is empty.
    fn set(&mut self, name: &str, place: Option<Place>, family: Family) {
        self.size.series += family.totals.series;
        match place {
            Some(place) => {
                let here = self.families.at_mut(place);
                self.size.series -= here.totals.series;
                *here = family;
            }
            None if family.series.leaf_count() == 0 => {}
            None => {
                self.size.families += 1;
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
    selected: Selected<'a>,
    name: &'a str,
}

impl Follower<'_> {
    /// Gives the number of changed leaves.
    fn follow<T: Sum>(
        &mut self,
        kept: &mut Sorted<T>,
        before: &Sorted<T>,
        now: &Sorted<T>,
    ) -> usize {
        let mut near = Near::default();
        let mut changed_count = 0;
        for changed in now.changed_since(before) {
            changed_count += 1;
            // Nothing of a shared leaf is selected, and with the same labels and later seconds
            // nothing is now.
            if kept.share(&changed) {
                let before = changed.values_before().unwrap_or_default();
                for ((_, sum, _), before) in changed.values().zip(before) {
                    self.totals.add(sum);
                    self.totals.subtract(before);
                }
                continue;
            }
            for (slot, sum, second) in changed.values() {
                if is_selected(self.name, &changed, slot, second, self.selected) {
                    continue;
                }
                let labels = changed.key(slot);
                self.totals.add(sum);
                match kept.put(labels, sum.clone(), second, &mut near) {
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

/// True if the series at a slot of a leaf is selected. Its labels are read only where they count.
fn is_selected<T>(
    name: &str,
    changed: &Changed<'_, T>,
    slot: usize,
    second: Option<u32>,
    selected: Selected<'_>,
) -> bool {
    let by_second = selected.contains_second(second);
    by_second.unwrap_or_else(|| selected.contains(name, changed.key(slot), second))
}

/// True if any series of a leaf is selected.
fn is_any_of_leaf<T>(name: &str, changed: &Changed<'_, T>, selected: Selected<'_>) -> bool {
    let mut values = changed.values();
    values.any(|(slot, _, second)| is_selected(name, changed, slot, second, selected))
}

/// A family without what is selected, and the index of its series; `None` if that is nothing.
fn without_selected(
    name: &str,
    family: &Family,
    selected: Selected<'_>,
) -> Option<(Family, Index)> {
    fn rebuild<T: Sum>(
        sums: &Sorted<T>,
        totals: &mut Totals,
        is_selected: impl Fn(&str, Option<u32>) -> bool,
    ) -> Option<(Arc<Sorted<T>>, Index)> {
        let mut entries = sums.iter_with_seconds();
        if !entries.any(|(labels, _, second)| is_selected(labels, second)) {
            return None;
        }
        let kept = sums.rebuild(|labels, sum, second| {
            if is_selected(labels, second) {
                totals.subtract(sum);
                totals.subtract_names(labels);
                return Verdict::Goes;
            }
            Verdict::Stays
        })?;
        let index = Index::of(&kept);
        Some((Arc::new(kept), index))
    }
    let is_selected = |labels: &str, second| selected.contains(name, labels, second);
    let mut totals = family.totals.clone();
    let (series, index) = match &family.series {
        Series::Numbers(sums) => {
            let (sums, index) = rebuild(sums, &mut totals, is_selected)?;
            (Series::Numbers(sums), index)
        }
        Series::Histograms(sums) => {
            let (sums, index) = rebuild(sums, &mut totals, is_selected)?;
            (Series::Histograms(sums), index)
        }
    };
    let kept = Family {
        metric_type: family.metric_type,
        help: Arc::clone(&family.help),
        series,
        number: family.number,
        totals,
    };
    Some((kept, index))
}

/// True if any series is selected that was pushed between two views.
fn is_any_selected_since(before: &View, now: &View, selected: Selected<'_>) -> bool {
    let mut leaves = now.families.changed_since(&before.families);
    leaves.any(|leaf| {
        let mut entries = leaf.entries();
        entries.any(|(name, family, _)| {
            is_any_selected(name, before.families.get(name), family, selected)
        })
    })
}

/// The same for one family, which was not there before or was this one.
fn is_any_selected(
    name: &str,
    before: Option<&Family>,
    now: &Family,
    selected: Selected<'_>,
) -> bool {
    fn is_any<T>(name: &str, before: &Sorted<T>, now: &Sorted<T>, selected: Selected<'_>) -> bool {
        let mut leaves = now.changed_since(before);
        leaves.any(|leaf| is_any_of_leaf(name, &leaf, selected))
    }
    match (before.map(|before| &before.series), &now.series) {
        (Some(before), now) if before.is_same(now) => false,
        (Some(Series::Numbers(before)), Series::Numbers(now)) => {
            is_any(name, before, now, selected)
        }
        (Some(Series::Histograms(before)), Series::Histograms(now)) => {
            is_any(name, before, now, selected)
        }
        (_, Series::Numbers(now)) => is_any(name, &Sorted::default(), now, selected),
        (_, Series::Histograms(now)) => is_any(name, &Sorted::default(), now, selected),
    }
}

impl Aggregate {
    /// Removes at once what a removal has selected, and gives how much that was. Takes over what
    /// was pushed since the removal last caught up; nothing else takes long that grows with what
    /// is stored. What is freed is freed with `removal`: that is to be dropped outside the locks.
    ///
    /// # Errors
    /// Nothing is removed when the removal is of no use any more.
    pub fn remove(&mut self, removal: &mut Removal) -> Result<Size, Outdated> {
        removal.follow(self.view())?;
        let Some(kept) = &mut removal.kept else {
            return Ok(Size::default());
        };
        let removed = Size {
            families: self.size.families - kept.size.families,
            series: self.size.series - kept.size.series,
        };
        self.families = Arc::new(std::mem::take(&mut kept.families));
        std::mem::swap(&mut self.names, &mut kept.names);
        for (number, index) in &mut kept.label_sets {
            *index = self.label_sets.replace(*number, std::mem::take(index));
        }
        self.size = kept.size;
        self.identity = Identity::default();
        Ok(removed)
    }

    /// The same for a caller who has the aggregate for himself: prepares and removes.
    pub fn remove_now(&mut self, selection: Selection) -> Size {
        let mut removal = Removal::prepare(self.view(), selection);
        // Nothing came between.
        self.remove(&mut removal).unwrap_or_default()
    }
}
