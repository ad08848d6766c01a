//! The buckets of one sign.

use super::{NATIVE_SCHEMA_MAX, NativeError, add, checked_count, coarser, indexes_of};

/// Buckets of a native histogram on one side of its zero bucket: those in which anything is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NativeBuckets {
    /// Each once, in order.
    indexes: Box<[i32]>,
    /// As many; all above zero.
    counts: Box<[f64]>,
}

impl NativeBuckets {
    /// Takes indexes of this schema with their own counts; those of a schema that is finer than any
    /// that is stored become what they are in the finest one.
    pub(super) fn new(sent: &[(i64, f64)], schema: i32) -> Result<NativeBuckets, NativeError> {
        let (first, last) = indexes_of(schema);
        let steps = (schema - NATIVE_SCHEMA_MAX).max(0);
        let mut lists = Lists::with_capacity(sent.len());
        let mut before = None;
        for &(index, count) in sent {
            if !(first..=last).contains(&index) {
                return Err(NativeError::Index { index, schema });
            }
            if before.is_some_and(|before| before >= index) {
                return Err(NativeError::Order(index));
            }
            before = Some(index);
            // Those of the finest schema have 20 bits.
            let stored = i32::try_from(((index - 1) >> steps) + 1).unwrap_or_default();
            lists.push(stored, checked_count(count)?);
        }
        Ok(lists.into_buckets())
    }

    /// The indexes of the buckets, in order.
    #[must_use]
    pub fn indexes(&self) -> &[i32] {
        &self.indexes
    }

    /// Their own counts, all above zero.
    #[must_use]
    pub fn counts(&self) -> &[f64] {
        &self.counts
    }

    /// Both.
    #[must_use]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (i32, f64)> + ExactSizeIterator {
        let counts = self.counts.iter();
        let indexes = self.indexes.iter();
        indexes.zip(counts).map(|(index, count)| (*index, *count))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.indexes.len()
    }

    /// True if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.indexes.is_empty()
    }

    /// Adds those of another histogram at the same resolution.
    pub(super) fn merge(&mut self, other: &NativeBuckets) {
        if self.indexes == other.indexes {
            for (count, increment) in self.counts.iter_mut().zip(&other.counts) {
                *count = add(*count, *increment);
            }
            return;
        }
        if self.add_known(other) {
            return;
        }
        let mut lists = Lists::with_capacity(self.len() + other.len());
        for (index, own, others) in self.beside(other) {
            lists.push(index, add(own, others));
        }
        *self = lists.into_buckets();
    }

    /// What the buckets have grown by, as `grown` says of the counts now and before.
    pub(super) fn grown_since(
        &self,
        before: &NativeBuckets,
        grown: impl Fn(f64, f64) -> Option<f64>,
    ) -> Option<NativeBuckets> {
        let mut lists = Lists::with_capacity(self.len());
        for (index, now, before) in self.beside(before) {
            lists.push(index, grown(now, before)?);
        }
        Some(lists.into_buckets())
    }

    /// The indexes of both, in order, with the counts here and there.
    fn beside(&self, other: &NativeBuckets) -> impl Iterator<Item = (i32, f64, f64)> {
        let (mut own, mut others) = (self.iter().peekable(), other.iter().peekable());
        std::iter::from_fn(move || {
            let indexes = [own.peek(), others.peek()].map(|next| next.map(|next| next.0));
            let index = indexes.into_iter().flatten().min()?;
            let own = own.next_if(|next| next.0 == index);
            let others = others.next_if(|next| next.0 == index);
            let count = |bucket: Option<(i32, f64)>| bucket.map_or(0.0, |bucket| bucket.1);
            Some((index, count(own), count(others)))
        })
    }

    /// Adds buckets that are all here; false, with nothing added, if one is not.
    fn add_known(&mut self, other: &NativeBuckets) -> bool {
        let mut indexes = self.indexes.iter();
        if !other
            .indexes
            .iter()
            .all(|wanted| indexes.any(|index| index == wanted))
        {
            return false;
        }
        let mut own = self.indexes.iter().zip(&mut self.counts);
        for (wanted, increment) in other.iter() {
            if let Some((_, count)) = own.find(|(index, _)| **index == wanted) {
                *count = add(*count, increment);
            }
        }
        true
    }

    /// Makes the schema coarser by `steps`.
    pub(super) fn coarsen(&mut self, steps: i32) {
        let mut lists = Lists::with_capacity(self.len());
        for (index, count) in self.iter() {
            lists.push(coarser(index, steps), count);
        }
        *self = lists.into_buckets();
    }

    /// Takes the buckets out up to this bound, and gives their count.
    pub(super) fn take_up_to(&mut self, bound: i32) -> f64 {
        let taken = self.indexes.partition_point(|index| *index <= bound);
        if taken == 0 {
            return 0.0;
        }
        let count = self.counts[..taken].iter().copied().fold(0.0, add);
        self.indexes = self.indexes[taken..].into();
        self.counts = self.counts[taken..].into();
        count
    }
}

/// Buckets in the making.
struct Lists {
    indexes: Vec<i32>,
    counts: Vec<f64>,
}

impl Lists {
    fn with_capacity(buckets: usize) -> Lists {
        Lists {
            indexes: Vec::with_capacity(buckets),
            counts: Vec::with_capacity(buckets),
        }
    }

    /// Takes a bucket that is not before the last one; if it is that one, their counts are added.
    fn push(&mut self, index: i32, count: f64) {
        match (self.indexes.last(), self.counts.last_mut()) {
            _ if count == 0.0 => {}
            (Some(last), Some(counted)) if *last == index => *counted = add(*counted, count),
            _ => {
                self.indexes.push(index);
                self.counts.push(count);
            }
        }
    }

    fn into_buckets(self) -> NativeBuckets {
        NativeBuckets {
            indexes: self.indexes.into(),
            counts: self.counts.into(),
        }
    }
}
