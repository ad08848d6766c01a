//! Native histograms are held to a number of buckets, or left out.

use crate::metric::{NativeBucketLimit, Push};

/// Makes the native histograms of a push coarser that have more buckets than this; zero leaves them
/// all out. Then they are counted as such, and their classic parts stay.
pub fn limit(push: &mut Push<'_>, buckets_max: usize) {
    if buckets_max == 0 {
        leave_out(push);
        return;
    }
    push.native_buckets = NativeBucketLimit(buckets_max);
    let natives = push.histograms.iter_mut();
    for native in natives.filter_map(|histogram| histogram.native.as_deref_mut()) {
        native.limit(push.native_buckets);
    }
}

fn leave_out(push: &mut Push<'_>) {
    let natives = push.histograms.iter_mut();
    let left_out = natives.filter_map(|histogram| histogram.native.take());
    let left_out = left_out.count() as u64;
    push.samples -= left_out;
    push.skipped.native_histogram += left_out;
}
