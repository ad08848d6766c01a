//! When series began, as their senders say.

use crate::metric::{PushedNumber, Start};

/// Leaves out what is NaN or infinite, and moves the starts with what stays.
pub fn only_finite(
    mut numbers: Vec<PushedNumber<'_>>,
    mut starts: Vec<Start>,
) -> (Vec<PushedNumber<'_>>, Vec<Start>) {
    if numbers.iter().all(|number| number.value.is_finite()) {
        starts.dedup_by_key(|start| start.place);
        return (numbers, starts);
    }
    if !starts.is_empty() {
        let mut places = Vec::with_capacity(numbers.len());
        let mut kept = 0;
        for number in &numbers {
            let is_kept = number.value.is_finite();
            places.push(is_kept.then_some(kept));
            kept += usize::from(is_kept);
        }
        starts.retain_mut(|start| {
            let place = places[start.place];
            start.place = place.unwrap_or_default();
            place.is_some()
        });
        starts.dedup_by_key(|start| start.place);
    }
    numbers.retain(|number| number.value.is_finite());
    (numbers, starts)
}

/// A time in seconds since the begin of 1970, in milliseconds.
pub fn milliseconds(seconds: f64) -> Option<i64> {
    #[allow(clippy::cast_possible_truncation)] // it saturates
    let milliseconds = (seconds * 1000.0).round() as i64;
    (seconds.is_finite() && milliseconds > 0).then_some(milliseconds)
}
