//! An aggregate at one instant.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::Identity;
use super::counts::Counts;
use super::family::Family;
use super::sorted::{Position, Sorted};

/// An aggregate as it was at one instant between two pushes.
#[derive(Clone, Debug)]
pub struct View {
    pub(super) families: Arc<Sorted<Family>>,
    /// Of the aggregate.
    pub(super) identity: Identity,
    /// Where ages are kept, the second at which they were last restarted.
    pub(super) ages_start: Option<u32>,
    /// Of the aggregate.
    pub(super) start_millis: Option<u64>,
    pub(super) counts: Counts,
}

impl View {
    /// The families in the byte order of their names; each has at least one series that is
    /// exposed.
    pub fn families(&self) -> impl Iterator<Item = (&str, &Family)> {
        self.families
            .iter()
            .filter(|(_, family)| !family.is_absent())
    }

    /// The family of a name, if there is one.
    #[must_use]
    pub fn family(&self, name: &str) -> Option<&Family> {
        let family = self.families.get(name);
        family.filter(|family| !family.is_absent())
    }

    /// The families from a position on; see [`Sorted::visit_from`].
    pub fn visit_families_from(
        &self,
        from: Position,
        mut visit: impl FnMut(&str, &Family) -> ControlFlow<()>,
    ) -> Option<Position> {
        self.families.visit_from(from, |name, family, _| {
            if family.is_absent() {
                return ControlFlow::Continue(());
            }
            visit(name, family)
        })
    }

    /// When all sums but those of gauges were zero, in unix milliseconds: they have only grown
    /// since then. `None` where that is not known, or not so of all: a series that was removed and
    /// pushed again has counted from zero twice.
    #[must_use]
    pub fn start_millis(&self) -> Option<u64> {
        self.start_millis
    }

    /// The second since which a series is silent, as [`Sorted::iter_with_seconds`] gives the one of
    /// its last push: silence before a restart of ages does not count. `None` where ages are not
    /// kept.
    #[must_use]
    pub fn silent_since(&self, second: Option<u32>) -> Option<u32> {
        Some(second.unwrap_or(0).max(self.ages_start?))
    }
}
