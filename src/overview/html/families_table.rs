//! The table of the families on a page.

use super::super::listing::{Named, RANKED_MAX};
use super::super::query::{Direction, FAMILY_BYTES_MAX, Query, SortKey};
use super::families::{beginning, sort_link};
use super::summary::time;
use super::{HELP_SHOWN, NAME_SHOWN, Page, Shown};
use crate::aggregate::Family;
use crate::metric::{MetricType, raw_name};

pub fn table(page: &mut Page, shown: Shown<'_>) {
    let Shown { query, listing, .. } = shown;
    let has_ages = listing
        .families
        .iter()
        .any(|named| named.1.last_push().is_some());
    page.markup("<div class=\"scroll\" role=\"region\" aria-labelledby=\"families\" ")
        .markup("tabindex=\"0\">\n<table class=\"families\">\n<caption class=\"hidden\">")
        .markup("Metric families; the heads of the columns sort them</caption>\n<thead><tr>");
    head(page, query, SortKey::Name, "Family");
    head(page, query, SortKey::Type, "Type");
    head(page, query, SortKey::Series, "Series");
    if has_ages {
        head(page, query, SortKey::Pushed, "Last push");
    }
    page.markup("</tr></thead>\n<tbody>\n");
    for named in &listing.families {
        family(page, query, *named);
        if has_ages {
            page.markup("<td class=\"when\">");
            match named.1.last_push() {
                Some(second @ 1..) => time(page, second.into()),
                _ => drop(page.markup("–")),
            }
            page.markup("</td>");
        }
        page.markup("</tr>\n");
    }
    page.markup("</tbody>\n</table>\n</div>\n");
    if listing.matches > RANKED_MAX && query.sort.key != SortKey::Name {
        page.markup("<p class=\"quiet\">Sorted so, the first ")
            .grouped(RANKED_MAX as u64)
            .markup(" families can be paged through; search for others.</p>\n");
    }
}

fn head(page: &mut Page, query: &Query, key: SortKey, word: &'static str) {
    let is_number = key == SortKey::Series;
    page.markup("<th scope=\"col\"");
    if query.sort.key == key {
        // The most, and the latest, come first usually.
        let is_usual = query.sort.direction == Direction::Usual;
        let is_ascending = is_usual != matches!(key, SortKey::Series | SortKey::Pushed);
        page.markup(if is_ascending {
            " aria-sort=\"ascending\""
        } else {
            " aria-sort=\"descending\""
        });
    }
    page.markup(if is_number { " class=\"number\">" } else { ">" });
    sort_link(page, query, key, word);
    page.markup("</th>");
}

fn family(page: &mut Page, query: &Query, (name, family): Named<'_>) {
    let shown_name = raw_name(name);
    let is_opened = query.family.as_deref() == Some(&*shown_name);
    page.markup(if is_opened {
        "<tr class=\"current\"><th scope=\"row\">"
    } else {
        "<tr><th scope=\"row\">"
    });
    if shown_name.len() > FAMILY_BYTES_MAX {
        page.isolated(&shown_name, NAME_SHOWN);
    } else {
        page.markup("<a href=\"")
            .address(&query.with_family(Some(&shown_name)))
            .markup("#family\">")
            .isolated(&shown_name, NAME_SHOWN)
            .markup("</a>");
    }
    if !family.help.is_empty() {
        page.markup("<small>")
            .isolated(&raw_name(beginning(&family.help)), HELP_SHOWN)
            .markup("</small>");
    }
    page.markup("</th><td>");
    kind(page, family);
    page.markup("</td><td class=\"number\">")
        .grouped(family.series_count() as u64)
        .markup("</td>");
}

/// The type of a family, and how its numbers are merged where that may differ.
pub fn kind(page: &mut Page, family: &Family) {
    let word = family.metric_type.as_str();
    page.markup("<span class=\"type ")
        .markup(word)
        .markup("\">")
        .markup(word)
        .markup("</span>");
    if matches!(family.metric_type, MetricType::Gauge | MetricType::Untyped) {
        page.markup(" <span class=\"quiet\">")
            .markup(family.mode().as_str())
            .markup("</span>");
    }
}
