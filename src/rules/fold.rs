//! Labels are dropped, and the series that become one by it are folded into one.
//!
//! Invariant: a push stays valid: each series once, every number finite. Whole histograms are
//! folded, never lines of them: cumulative counts of different bounds do not add up.

use super::NamePattern;
use crate::metric::{
    Bucket, LabelSet, NativeBucketLimit, NativeHistogram, Push, add, raw_label_name,
};

/// Where the numbers of a push are since those that became one were folded into one.
#[derive(Debug, Default)]
pub struct Folded {
    /// The place of each; none if all are where they were.
    numbers: Option<Vec<usize>>,
}

impl Folded {
    /// The place now of the number that was at this one.
    #[must_use]
    pub fn number(&self, place: usize) -> usize {
        match &self.numbers {
            Some(places) => places.get(place).copied().unwrap_or_default(),
            None => place,
        }
    }
}

/// Drops labels of these names from all series of a push, and folds those that become one: by the
/// mode of their family, in the order of the body.
pub fn drop_labels(push: &mut Push<'_>, dropped: &[NamePattern]) -> Folded {
    let mut has_dropped = false;
    let mut relabel = |labels: &mut LabelSet<'_>| {
        if let Some(rest) = without(labels, dropped) {
            *labels = rest;
            has_dropped = true;
        }
    };
    push.numbers
        .iter_mut()
        .for_each(|number| relabel(&mut number.labels));
    push.histograms
        .iter_mut()
        .for_each(|histogram| relabel(&mut histogram.labels));
    if !has_dropped {
        return Folded::default();
    }
    // A series that was folded has no start of its own; the starts have been read before.
    push.number_starts.clear();
    push.histogram_starts.clear();
    fold_histograms(push);
    fold_numbers(push)
}

/// The labels without those of these names; `None` if there are none of them.
fn without(labels: &LabelSet<'_>, dropped: &[NamePattern]) -> Option<LabelSet<'static>> {
    let is_dropped = |name: &str| {
        let name = raw_label_name(name);
        dropped.iter().any(|pattern| pattern.matches(&name))
    };
    if !labels.labels().any(|label| is_dropped(label.name)) {
        return None;
    }
    let mut text = String::with_capacity(labels.as_str().len());
    for label in labels.labels().filter(|label| !is_dropped(label.name)) {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(label.text);
    }
    Some(LabelSet::from_canonical(text))
}

/// The places of each series that comes more than once, in the order of the body.
///
/// Not generic: each closure would make a sort of its own in the binary.
fn repeated<'a>(length: usize, key: &dyn Fn(usize) -> (usize, &'a str)) -> Vec<Vec<usize>> {
    let mut places: Vec<usize> = (0..length).collect();
    // Stable: places of one series stay in their order.
    places.sort_by_key(|&place| key(place));
    let groups = places.chunk_by(|&one, &next| key(one) == key(next));
    groups
        .filter(|group| group.len() > 1)
        .map(<[usize]>::to_vec)
        .collect()
}

/// The first of these places gets the latest of their seconds, if there are any.
fn keep_latest(seconds: &mut [u32], places: &[usize]) {
    let latest = places.iter().filter_map(|&place| seconds.get(place)).max();
    if let (Some(&latest), Some(&first)) = (latest, places.first()) {
        seconds[first] = latest;
    }
}

/// Keeps the series at these places, in their order.
pub fn keep<T>(series: &mut Vec<T>, is_kept: &[bool]) {
    let mut kept = is_kept.iter();
    series.retain(|_| kept.next().copied().unwrap_or(true));
}

fn fold_numbers(push: &mut Push<'_>) -> Folded {
    let numbers = &push.numbers;
    let series = |place: usize| (numbers[place].family, numbers[place].labels.as_str());
    let mut is_kept = vec![true; numbers.len()];
    let mut first_of: Vec<usize> = (0..numbers.len()).collect();
    for places in repeated(numbers.len(), &series) {
        let (first, others) = (places[0], &places[1..]);
        let mode = push.families[push.numbers[first].family].mode;
        keep_latest(&mut push.number_seconds, &places);
        for &other in others {
            is_kept[other] = false;
            first_of[other] = first;
            push.numbers[first].value =
                mode.merge(push.numbers[first].value, push.numbers[other].value);
        }
    }
    keep(&mut push.numbers, &is_kept);
    keep(&mut push.number_seconds, &is_kept);
    for family in &mut push.families {
        family.has_negative = false;
    }
    for number in &push.numbers {
        push.families[number.family].has_negative |= number.value < 0.0;
    }
    places_in_kept(first_of, &is_kept)
}

/// Where each number is once those that are not kept are gone: where the first of its series is.
fn places_in_kept(mut first_of: Vec<usize>, is_kept: &[bool]) -> Folded {
    if is_kept.iter().all(|&is_kept| is_kept) {
        return Folded::default();
    }
    let mut kept = 0;
    for (place, is_kept) in is_kept.iter().enumerate() {
        // The first of a series comes before the others, and so is its new place.
        first_of[place] = match is_kept {
            true => kept,
            false => first_of[first_of[place]],
        };
        kept += usize::from(*is_kept);
    }
    Folded {
        numbers: Some(first_of),
    }
}

fn fold_histograms(push: &mut Push<'_>) {
    let histograms = &push.histograms;
    let series = |place: usize| (histograms[place].family, histograms[place].labels.as_str());
    let mut is_kept = vec![true; histograms.len()];
    for places in repeated(histograms.len(), &series) {
        let (first, others) = (places[0], &places[1..]);
        keep_latest(&mut push.histogram_seconds, &places);
        let buckets = united_buckets(push, &places);
        for &other in others {
            is_kept[other] = false;
            push.histograms[first].sum =
                add(push.histograms[first].sum, push.histograms[other].sum);
            push.histograms[first].count =
                add(push.histograms[first].count, push.histograms[other].count);
            push.histograms[first].samples += push.histograms[other].samples;
            let native = push.histograms[other].native.take();
            fold_native(
                &mut push.histograms[first].native,
                native,
                push.native_buckets,
            );
        }
        let start = push.buckets.len();
        push.buckets.extend(buckets);
        push.histograms[first].buckets = start..push.buckets.len();
    }
    keep(&mut push.histograms, &is_kept);
    keep(&mut push.histogram_seconds, &is_kept);
}

/// Where only some have a native part, the fold lacks the observations of the others, and is not
/// exposed.
fn fold_native(
    first: &mut Option<Box<NativeHistogram>>,
    other: Option<Box<NativeHistogram>>,
    limit: NativeBucketLimit,
) {
    match (first, other) {
        (_, None) => {}
        (Some(first), Some(other)) => first.merge(&other, limit),
        (first, other) => *first = other,
    }
}

/// The union of the bounds of these histograms, each bucket's own counts added.
fn united_buckets(push: &Push<'_>, places: &[usize]) -> Vec<Bucket> {
    let histograms = places.iter().map(|&place| &push.histograms[place]);
    let buckets = histograms.flat_map(|histogram| push.buckets(histogram));
    let mut buckets: Vec<Bucket> = buckets.copied().collect();
    buckets.sort_by_key(|bucket| bucket.upper_bound);
    buckets.dedup_by(|next, kept| {
        let is_same = next.upper_bound == kept.upper_bound;
        if is_same {
            kept.count = add(kept.count, next.count);
        }
        is_same
    });
    buckets
}
