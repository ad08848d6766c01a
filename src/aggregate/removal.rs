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
//! any more, one that came meanwhile may carry the labels that are removed, and one that a sender
//! held may be let go.
//!
//! Vacant series go with what is selected in their families, and alone by a selection of their own.

mod choice;
mod kept;

use std::sync::Arc;

use super::selection::{Selected, Selection};
use super::{Aggregate, Identity, Size, View};
use kept::Kept;

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
                if kept::is_any_selected_since(&before, now, selected) {
                    *kept = Kept::prepare(now, selected);
                }
            }
        }
        self.retired = Some((before, retired));
        Ok(changed)
    }
}

impl Aggregate {
    /// Removes at once what a removal has selected, and gives how much that was. Takes over what
    /// was pushed since the removal last caught up; nothing else takes long that grows with what
    /// is stored. What is freed is freed with `removal`: that is to be dropped outside the locks.
    /// When the sums were zero is not known any more.
    ///
    /// # Errors
    /// Nothing is removed when the removal is of no use any more.
    pub fn remove(&mut self, removal: &mut Removal) -> Result<Size, Outdated> {
        removal.follow(self.view())?;
        let Some(kept) = &mut removal.kept else {
            return Ok(Size::default());
        };
        let removed = Size {
            families: self.counts.size.families - kept.counts.size.families,
            series: self.counts.size.series - kept.counts.size.series,
        };
        self.families = Arc::new(std::mem::take(&mut kept.families));
        std::mem::swap(&mut self.names, &mut kept.names);
        for (number, index) in &mut kept.label_sets {
            *index = self.label_sets.replace(*number, std::mem::take(index));
        }
        self.counts = kept.counts;
        if removal.selection != Selection::Vacant {
            self.start_millis = None;
        }
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
