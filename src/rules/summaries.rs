//! Which summaries of a push are added up.
//!
//! Invariant: no summary refuses a push, and what is left of a push is valid. A summary exposes
//! `x_sum` and `x_count`: it is left out where another family of the push exposes one of these.

use std::collections::BTreeSet;

use super::Summaries;
use super::fold::keep;
use crate::metric::{MetricType, Push, base_names, canonical_labels};

/// Leaves summaries out: all of them, or those that cannot be exposed. The lines of the others are
/// counted as added.
pub fn select(push: &mut Push<'_>, summaries: Summaries) {
    let is_summary: Vec<bool> = push
        .families
        .iter()
        .map(|family| family.metric_type == MetricType::Summary)
        .collect();
    let conflicts = match summaries {
        Summaries::Kept => conflicting(push),
        Summaries::Discarded => is_summary.clone(),
    };
    for (family, is_summary) in push.families.iter_mut().zip(&is_summary) {
        family.has_series &= !is_summary;
    }
    let mut is_kept = Vec::with_capacity(push.histograms.len());
    for histogram in &push.histograms {
        let family = histogram.family;
        if !is_summary[family] {
            is_kept.push(true);
            continue;
        }
        let is_added = !conflicts[family] && can_be_exposed(histogram.labels.as_str());
        if is_added {
            push.families[family].has_series = true;
            push.samples += histogram.samples;
            push.skipped.summary -= histogram.samples;
        }
        is_kept.push(is_added);
    }
    keep_histograms(push, &is_kept);
}

/// Keeps the histograms at these places, and what is said of them.
fn keep_histograms(push: &mut Push<'_>, is_kept: &[bool]) {
    if is_kept.iter().all(|&is_kept| is_kept) {
        return;
    }
    let mut place = 0;
    let mut kept_before = 0;
    push.histogram_starts.retain_mut(|start| {
        let skipped = &is_kept[place..start.place];
        kept_before += skipped.iter().filter(|&&is_kept| is_kept).count();
        place = start.place;
        start.place = kept_before;
        is_kept[place]
    });
    keep(&mut push.histograms, is_kept);
    keep(&mut push.histogram_seconds, is_kept);
}

/// Which families of the push are summaries that would expose the name of another one.
fn conflicting(push: &Push<'_>) -> Vec<bool> {
    let exposed = push.families.iter().filter(|family| family.has_series);
    let names = exposed.map(|family| family.name.as_ref());
    let names: BTreeSet<&str> = names
        .filter(|name| base_names(name).next().is_some())
        .collect();
    let is_conflicting = |name: &str| {
        let suffixes = MetricType::Summary.suffixes().iter();
        let mut exposed = suffixes.map(|suffix| format!("{name}{suffix}"));
        exposed.any(|name| names.contains(name.as_str()))
    };
    let families = push.families.iter();
    families
        .map(|family| {
            family.metric_type == MetricType::Summary
                && !names.is_empty()
                && is_conflicting(&family.name)
        })
        .collect()
}

/// False of labels that a scrape cannot show: readers take `quantile` for a part of the summary's
/// name.
fn can_be_exposed(labels: &str) -> bool {
    !canonical_labels(labels).any(|label| label.name == "quantile")
}
