//! Where the numbers of a body stand, and what is done with each.

use std::ops::Range;

use super::names::Kind;
use crate::metric::UpperBound;

/// The numbers of a body, but for those that say when series began, and the lengths of messages
/// that depend on them, in its order.
pub type Marks = Vec<Marked>;

/// A part of a body whose bytes may differ in the next body.
pub struct Marked {
    /// Where it stands.
    pub range: Range<usize>,
    /// What it is.
    pub kind: MarkKind,
}

/// See [`Marked`].
pub enum MarkKind {
    /// A number.
    Number {
        /// What is done with it.
        kind: Kind,
        /// The place of what it adds to: among the numbers, or among the histograms and summaries.
        place: usize,
        /// That of a bucket.
        upper_bound: UpperBound,
    },
    /// The length of a message of protobuf.
    Length,
    /// The end of the message whose length was marked last, and not ended yet; of no length.
    End,
}

/// Leaves out the numbers at these places, which say when series began: they are the same in the
/// next body, unless the sender restarted. The others move up.
pub fn leave_out_starts(marks: &mut Marks, starts: &[usize]) {
    marks.retain_mut(|mark| {
        let MarkKind::Number {
            kind: Kind::Counter | Kind::Number,
            place,
            ..
        } = &mut mark.kind
        else {
            return true;
        };
        let before = starts.partition_point(|start| start < place);
        let is_start = starts.get(before) == Some(place);
        *place -= before;
        !is_start
    });
}
