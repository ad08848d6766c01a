//! When series get into the indices of their families.
//!
//! A snapshot comes in order, so that none of its series is looked for: all of them are indexed in
//! one pass behind it, which takes a fraction of the time. Until then, what is looked for is found
//! by a search.

use super::Aggregate;
use super::family::Series;
use super::index::Index;

/// When the next series that are new are indexed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Indexing {
    /// When they are merged.
    #[default]
    AtOnce,
    /// Later, all at once, those of families that have no index yet.
    Later,
}

impl Aggregate {
    /// What is merged from here on is indexed by [`Aggregate::index_now`].
    pub fn index_later(&mut self) {
        self.indexing = Indexing::Later;
    }

    /// Indexes what is not indexed yet. What is merged from here on is indexed at once.
    pub fn index_now(&mut self) {
        if std::mem::take(&mut self.indexing) == Indexing::AtOnce {
            return;
        }
        for (_, family) in self.families.iter() {
            if family.series.leaf_count() < 2 || self.label_sets.get(family.number).is_some() {
                continue;
            }
            let index = match &family.series {
                Series::Numbers(sums) => Index::of(sums),
                Series::Histograms(sums) => Index::of(sums),
                Series::Gauges(gauges) => Index::of(gauges.sums()),
            };
            self.label_sets.replace(family.number, index);
        }
    }
}
