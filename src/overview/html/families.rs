//! The section of the families: search, the opened one, the table, the pages.

use super::super::Overview;
use super::super::labels::labels;
use super::super::opened::{Opened, SERIES_SHOWN_MAX, Value};
use super::super::query::{Query, SEARCH_BYTES_MAX, SortKey};
use super::families_table::{kind, table};
use super::{
    HELP_SHOWN, LABEL_NAME_SHOWN, LABEL_VALUE_SHOWN, NAME_SHOWN, Page, Shown, charts, plural,
};
use crate::metric::raw_name;

/// The most labels of a series that are shown.
const LABELS_SHOWN: usize = 12;
/// The most characters of their values that are shown.
const LABELS_CHARACTERS: usize = 300;

pub fn section(page: &mut Page, shown: Shown<'_>) {
    page.markup("<section class=\"card\" aria-labelledby=\"families\">\n")
        .markup("<h2 id=\"families\" tabindex=\"-1\">Families</h2>\n");
    search(page, shown.query);
    match (shown.opened, &shown.query.family) {
        (Some(opened), _) => family(page, shown.query, opened),
        (None, Some(name)) => {
            page.markup("<p class=\"note\" role=\"status\">No family is called ")
                .isolated(name, NAME_SHOWN)
                .markup(": it was never pushed, or it was cleared or deleted.</p>\n");
        }
        (None, None) => {}
    }
    found(page, shown);
    if !shown.listing.families.is_empty() {
        table(page, shown);
    }
    pages(page, shown);
    page.markup("</section>\n");
}

fn search(page: &mut Page, query: &Query) {
    page.markup("<form method=\"get\" action=\"/#families\" role=\"search\">\n")
        .markup("<label for=\"q\">Name or help text</label>\n")
        .markup("<input id=\"q\" name=\"q\" type=\"search\" maxlength=\"")
        .value(SEARCH_BYTES_MAX)
        .markup("\" autocomplete=\"off\" spellcheck=\"false\" ")
        .markup("placeholder=\"http request\" value=\"")
        .text(&query.search, usize::MAX)
        .markup("\">\n");
    let sort = Query {
        sort: query.sort,
        ..Query::default()
    };
    if let Some(sort) = sort.to_string().strip_prefix("sort=") {
        page.markup("<input type=\"hidden\" name=\"sort\" value=\"")
            .text(sort, usize::MAX)
            .markup("\">\n");
    }
    page.markup("<button>Search</button>\n</form>\n");
}

/// Says how many families match, where there is something to say.
fn found(page: &mut Page, shown: Shown<'_>) {
    let Shown {
        overview: Overview { families, .. },
        query,
        listing,
        ..
    } = shown;
    let matches = listing.matches;
    if *families == 0 && matches == 0 {
        page.markup("<p class=\"quiet empty\">Nothing is stored: nothing was pushed yet, or ")
            .markup("since the last reset.</p>\n<pre><code>echo 'some_metric 3.14' | curl ")
            .markup("--data-binary @- http://HOST:PORT/metrics/job/some_job</code></pre>\n");
        return;
    }
    let is_search = query.words().next().is_some();
    if is_search {
        page.markup("<p class=\"quiet\" role=\"status\">")
            .grouped(matches as u64)
            .markup(if matches == 1 {
                " family matches "
            } else {
                " families match "
            })
            .isolated(&query.search, SEARCH_BYTES_MAX)
            .markup(" · <a href=\"")
            .address(&Query::default())
            .markup("#families\">all families</a></p>\n");
    }
    if listing.families.is_empty() && matches > 0 {
        page.markup("<p class=\"note\" role=\"status\">There is no page ")
            .value(query.page)
            .markup("; the last one is ")
            .value(listing.pages)
            .markup(".</p>\n");
    }
}

/// The links to other pages.
fn pages(page: &mut Page, shown: Shown<'_>) {
    let Shown { query, listing, .. } = shown;
    if listing.pages < 2 {
        return;
    }
    page.markup("<nav class=\"pages\" aria-label=\"Pages of families\">\n");
    if query.page > 1 {
        page_link(page, query, 1, "First");
        page_link(page, query, (query.page - 1).min(listing.pages), "Previous");
    }
    page.markup("<span aria-current=\"page\">Page ")
        .value(query.page)
        .markup(" of ")
        .value(listing.pages)
        .markup("</span>\n");
    if query.page < listing.pages {
        page_link(page, query, query.page + 1, "Next");
        page_link(page, query, listing.pages, "Last");
    }
    page.markup("</nav>\n");
}

fn page_link(page: &mut Page, query: &Query, number: usize, word: &'static str) {
    page.markup("<a href=\"")
        .address(&query.with_page(number))
        .markup("#families\">")
        .markup(word)
        .markup("</a>\n");
}

fn family(page: &mut Page, query: &Query, opened: &Opened<'_>) {
    let (name, family) = opened.named;
    page.markup("<article class=\"opened\" aria-labelledby=\"family\">\n<div class=\"bar-top\">")
        .markup("<h3 id=\"family\" tabindex=\"-1\">")
        .isolated(&raw_name(name), NAME_SHOWN)
        .markup("</h3> <a class=\"close\" href=\"")
        .address(&query.with_family(None))
        .markup("#families\">Close</a></div>\n<p class=\"quiet\">");
    kind(page, family);
    let series = family.series_count();
    page.markup(" · ")
        .grouped(series as u64)
        .markup(" series</p>\n");
    if !family.help.is_empty() {
        page.markup("<p>")
            .isolated(&raw_name(beginning(&family.help)), 2 * HELP_SHOWN)
            .markup("</p>\n");
    }
    if !opened.distribution.bars.is_empty() {
        let shown = opened.series.len();
        page.markup("<h4>Distribution")
            .markup(if shown == 1 {
                ""
            } else {
                " of the label sets below, added up"
            })
            .markup("</h4>\n");
        charts::distribution(page, &opened.distribution);
    }
    series_table(page, opened);
    page.markup("</article>\n");
}

/// As much of a text as may be shown of it, so that a long one is not copied.
pub fn beginning(text: &str) -> &str {
    let end = text.char_indices().nth(4 * HELP_SHOWN);
    &text[..end.map_or(text.len(), |(end, _)| end)]
}

fn series_table(page: &mut Page, opened: &Opened<'_>) {
    let is_observed = |(_, value): &(_, Value)| matches!(value, Value::Observed { .. });
    let has_buckets = opened.series.iter().any(is_observed);
    page.markup("<div class=\"scroll\" role=\"region\" aria-labelledby=\"family\" tabindex=\"0\">")
        .markup("\n<table>\n<caption>");
    if opened.label_sets > opened.series.len() {
        page.markup("The first ")
            .value(SERIES_SHOWN_MAX)
            .markup(" of ")
            .grouped(opened.label_sets as u64)
            .markup(" label sets");
    } else {
        page.grouped(opened.label_sets as u64)
            .markup(" label set")
            .markup(plural(opened.label_sets));
    }
    page.markup("</caption>\n<thead><tr><th scope=\"col\">Labels</th>");
    if has_buckets {
        page.markup("<th scope=\"col\">Distribution</th>")
            .markup("<th scope=\"col\" class=\"number\">Count</th>")
            .markup("<th scope=\"col\" class=\"number\">Mean</th>")
            .markup("<th scope=\"col\" class=\"number\">Median ≤</th>")
            .markup("<th scope=\"col\" class=\"number\">99 % ≤</th>");
    } else {
        page.markup("<th scope=\"col\" class=\"number\">Value</th>");
    }
    page.markup("</tr></thead>\n<tbody>\n");
    for (labels, value) in &opened.series {
        page.markup("<tr><td class=\"labels\">");
        label_set(page, labels);
        page.markup("</td>");
        sum(page, value);
        page.markup("</tr>\n");
    }
    page.markup("</tbody>\n</table>\n</div>\n");
}

fn sum(page: &mut Page, value: &Value) {
    match value {
        Value::Number(number) => {
            page.markup("<td class=\"number\">").sample(*number);
        }
        Value::Observed {
            count,
            sum,
            distribution,
        } => {
            page.markup("<td>");
            if distribution.bars.is_empty() {
                page.markup("–");
            } else {
                charts::spark(page, distribution);
            }
            page.markup("</td><td class=\"number\">")
                .sample(*count)
                .markup("</td><td class=\"number\">");
            match sum / count {
                mean if *count > 0.0 => page.rounded(mean),
                _ => page.markup("–"),
            };
            for part in [0.5, 0.99] {
                page.markup("</td><td class=\"number\">");
                match distribution.quantile_bound(part) {
                    Some(bound) => page.rounded(bound),
                    None => page.markup("–"),
                };
            }
        }
    }
    page.markup("</td>");
}

fn label_set(page: &mut Page, text: &str) {
    if text.is_empty() {
        page.markup("<span class=\"quiet\">no labels</span>");
        return;
    }
    let (mut shown, mut characters) = (0, 0);
    let mut all = labels(text);
    for (name, value) in all.by_ref() {
        page.markup("<span class=\"label\">")
            .isolated(&name, LABEL_NAME_SHOWN)
            .markup("=<b>")
            .isolated(&value, LABEL_VALUE_SHOWN)
            .markup("</b></span> ");
        shown += 1;
        characters += name.chars().take(LABEL_NAME_SHOWN).count();
        characters += value.chars().take(LABEL_VALUE_SHOWN).count();
        if shown == LABELS_SHOWN || characters >= LABELS_CHARACTERS {
            break;
        }
    }
    let more = all.count();
    if more > 0 {
        page.markup("<span class=\"quiet\">and ")
            .grouped(more as u64)
            .markup(" more</span>");
    }
}

/// A link that sorts by a key.
pub fn sort_link(page: &mut Page, query: &Query, key: SortKey, word: &'static str) {
    page.markup("<a href=\"")
        .address(&query.sorted_by(key))
        .markup("#families\">")
        .markup(word)
        .markup("</a>");
}
