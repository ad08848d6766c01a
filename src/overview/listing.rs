//! One page of the families that match a search, in the order that is asked for.
//!
//! A pass over all families, without allocating for those that are not shown. In the order of the
//! names they lie already; for other orders, only the first [`RANKED_MAX`] are found, so that the
//! memory that takes does not grow with what is stored.

use std::collections::BinaryHeap;

use super::query::{Direction, Query, Sort, SortKey};
use crate::aggregate::{Family, View};

/// Families on a page.
pub const PAGE_FAMILIES: usize = 50;

/// Families that can be paged through in another order than by name.
pub const RANKED_MAX: usize = 5_000;

/// Only the beginning of a HELP text is searched.
const SEARCHED_HELP_BYTES: usize = 256;

/// A family with its name.
pub type Named<'v> = (&'v str, &'v Family);

/// See the module.
#[derive(Clone, Debug)]
pub struct Listing<'v> {
    /// How many families match.
    pub matches: usize,
    /// How many pages they, or those of them that can be paged through, are on; at least one.
    pub pages: usize,
    /// Those of the page; none behind the last page.
    pub families: Vec<Named<'v>>,
}

/// Lists the families of a page.
#[must_use]
pub fn list<'v>(view: &'v View, query: &Query) -> Listing<'v> {
    let words: Vec<&[u8]> = query.words().map(str::as_bytes).collect();
    let is_match = |(name, family): &Named<'v>| {
        family.series_count() > 0 && words.iter().all(|word| has_word(name, family, word))
    };
    let matching = || view.families().filter(is_match);
    // Behind the last page, however far.
    let first = (query.page - 1).saturating_mul(PAGE_FAMILIES);
    let is_by_name = query.sort.key == SortKey::Name;
    let (matches, families) = match query.sort.direction {
        Direction::Usual if is_by_name => slice(matching(), first),
        Direction::Reversed if is_by_name => {
            let matches = matching().count();
            let end = matches.saturating_sub(first);
            let start = end.saturating_sub(PAGE_FAMILIES);
            let mut families: Vec<_> = matching().skip(start).take(end - start).collect();
            families.reverse();
            (matches, families)
        }
        _ => rank(view, matching(), query.sort, first),
    };
    let reachable = if is_by_name {
        matches
    } else {
        matches.min(RANKED_MAX)
    };
    Listing {
        matches,
        pages: reachable.div_ceil(PAGE_FAMILIES).max(1),
        families,
    }
}

/// How many there are, and those of a page.
fn slice<'v>(all: impl Iterator<Item = Named<'v>>, first: usize) -> (usize, Vec<Named<'v>>) {
    let mut families = Vec::new();
    let mut matches = 0;
    for family in all {
        if matches >= first && families.len() < PAGE_FAMILIES {
            families.push(family);
        }
        matches += 1;
    }
    (matches, families)
}

/// The same in the order of a key: of the families so far, those that come first are kept, the last
/// one of them on top of a heap.
fn rank<'v>(
    view: &'v View,
    all: impl Iterator<Item = Named<'v>>,
    sort: Sort,
    first: usize,
) -> (usize, Vec<Named<'v>>) {
    let end = first.saturating_add(PAGE_FAMILIES).min(RANKED_MAX);
    let mut kept: BinaryHeap<(u64, &'v str)> = BinaryHeap::new();
    let mut matches = 0;
    for (name, family) in all {
        matches += 1;
        let ranked = (rank_of(family, sort), name);
        if kept.len() < end {
            kept.push(ranked);
        } else if let Some(mut last) = kept.peek_mut()
            && ranked < *last
        {
            *last = ranked;
        }
    }
    let names = kept.into_sorted_vec().into_iter().skip(first);
    let families = names.filter_map(|(_, name)| Some((name, view.family(name)?)));
    (matches, families.collect())
}

/// The least comes first.
fn rank_of(family: &Family, sort: Sort) -> u64 {
    let usual = match sort.key {
        SortKey::Name => 0,
        // Eight letters tell the words apart.
        SortKey::Type => family
            .metric_type
            .as_str()
            .bytes()
            .chain([0; 8])
            .take(8)
            .fold(0, |word, letter| word << 8 | u64::from(letter)),
        SortKey::Series => !(family.series_count() as u64),
        SortKey::Pushed => !u64::from(family.last_push().unwrap_or(0)),
    };
    match sort.direction {
        Direction::Usual => usual,
        Direction::Reversed => !usual,
    }
}

/// Whether a word is in the name or the HELP text, whatever the case of its ASCII letters.
fn has_word(name: &str, family: &Family, word: &[u8]) -> bool {
    let help = family.help.as_bytes();
    contains(name.as_bytes(), word) || contains(&help[..help.len().min(SEARCHED_HELP_BYTES)], word)
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    let Some((first, rest)) = word.split_first() else {
        return true;
    };
    let Some(starts) = text.len().checked_sub(rest.len()) else {
        return false;
    };
    let (lower, upper) = (first.to_ascii_lowercase(), first.to_ascii_uppercase());
    let is_start = |byte: &u8| *byte == lower || *byte == upper;
    let mut from = 0;
    while let Some(at) = text[from..starts].iter().position(is_start) {
        let behind = from + at + 1;
        if text[behind..behind + rest.len()].eq_ignore_ascii_case(rest) {
            return true;
        }
        from = behind;
    }
    false
}
