//! All but the families and the charts: header, tiles, limits, journal, senders, refusals.

use super::super::{Limit, Outcome, Overview, PushResultCount};
use super::{PATH_SHOWN, Page, REASON_SHOWN};
use crate::calendar::{DateTime, Lasting, Rfc3339};

pub fn header(page: &mut Page, overview: &Overview) {
    page.markup("<header>\n<div class=\"brand\">")
        .markup("<svg class=\"logo\" viewBox=\"0 0 32 32\" aria-hidden=\"true\">")
        .markup("<rect width=\"32\" height=\"32\" rx=\"8\"/>")
        .markup("<path d=\"M22 9H10l6 7-6 7h12\"/></svg>")
        .markup("<div><h1>Aggregation gateway</h1>\n<p class=\"meta\">Version ")
        .markup(overview.version)
        .markup(" · up <span data-up=\"")
        .value(overview.uptime_seconds)
        .markup("\">")
        .value(Lasting(overview.uptime_seconds))
        .markup("</span></p></div></div>\n<nav aria-label=\"Pages\">")
        .markup("<a href=\"#families\">Families</a> <a href=\"#limits\">Limits</a> ")
        .markup("<a href=\"#refusals\">Refusals</a> <a href=\"/metrics\">Sums</a> ")
        .markup("<a href=\"/-/metrics\">Own metrics</a> ")
        .markup("<a href=\"/api/v1/status\">JSON</a></nav>\n</header>\n");
}

pub fn tiles(page: &mut Page, overview: &Overview) {
    page.markup("<section aria-label=\"Summary\">\n<dl class=\"tiles\">\n");
    page.markup("<div><dt>Series</dt><dd>")
        .grouped(overview.series as u64);
    let series = overview.limits.iter().find(|one| one.resource == "series");
    if let Some(limit) = series.and_then(|series| series.limit) {
        page.markup("<small>of at most ").grouped(limit);
        page.markup("</small>");
    }
    page.markup("</dd></div>\n<div><dt>Families</dt><dd>")
        .grouped(overview.families as u64);
    let pushes = &overview.pushes;
    page.markup("</dd></div>\n<div><dt>Pushes per second</dt><dd>")
        .rounded(pushes.per_second)
        .markup("<small>");
    let of = |outcome| {
        let results = pushes.results.iter();
        results.filter(move |result| result.outcome == outcome)
    };
    let accepted = of(Outcome::Accepted).map(|result| result.total).sum();
    page.grouped(accepted).markup(" accepted since the start");
    let refused: u64 = of(Outcome::Refused).map(PushResultCount::last_hour).sum();
    let mood = if refused > 0 { " class=\"bad\"" } else { "" };
    page.markup("</small></dd></div>\n<div><dt>Refused, last hour</dt><dd")
        .markup(mood)
        .markup(">")
        .grouped(refused);
    page.markup("</dd></div>\n<div><dt>Next reset</dt><dd>");
    next_reset(page, overview);
    page.markup("</dd></div>\n</dl>\n</section>\n");
}

fn next_reset(page: &mut Page, overview: &Overview) {
    let now = overview.now_seconds();
    match overview
        .next_reset
        .map(|next| u64::try_from(next).unwrap_or(0))
    {
        None => {
            page.markup("never<small>the sums are never cleared</small>");
        }
        Some(next) => {
            let left = next.saturating_sub(now);
            page.markup("<span data-left=\"")
                .value(left)
                .markup("\">")
                .value(Lasting(left))
                .markup("</span><small>");
            time(page, next);
            page.markup("</small>");
        }
    }
}

/// A unix time in seconds.
pub fn time(page: &mut Page, seconds: u64) {
    page.markup("<time datetime=\"")
        .value(Rfc3339(seconds))
        .markup("\">")
        .value(DateTime(seconds))
        .markup("</time>");
}

pub fn limits(page: &mut Page, overview: &Overview) {
    page.markup("<section class=\"card\" aria-labelledby=\"limits\">\n")
        .markup("<h2 id=\"limits\">Limits</h2>\n<table class=\"limits\">\n")
        .markup("<caption class=\"hidden\">Limited resources and how much of them is used")
        .markup("</caption>\n<thead class=\"hidden\"><tr><th scope=\"col\">Resource</th>")
        .markup("<th scope=\"col\">Use</th></tr></thead>\n<tbody>\n");
    let known = overview.limits.iter().filter(|one| one.limit.is_some());
    known.for_each(|one| limit(page, one));
    page.markup("</tbody>\n</table>\n</section>\n");
}

fn limit(page: &mut Page, one: &Limit) {
    let is_bytes = one.resource.ends_with("_bytes");
    let amount = |page: &mut Page, amount| {
        if is_bytes {
            page.bytes(amount);
        } else {
            page.grouped(amount);
        }
    };
    page.markup("<tr><th scope=\"row\">")
        .markup(title(one.resource))
        .markup("</th><td>");
    let limit = one.limit.unwrap_or(u64::MAX);
    if let Some(used) = one.used {
        amount(page, used);
        page.markup(" of ");
    } else {
        page.markup("at most ");
    }
    // What the system does not limit, nor this program.
    if limit >= i64::MAX as u64 {
        page.markup("any");
    } else {
        amount(page, limit);
    }
    if let Some(used) = one.used {
        bar(page, used, limit);
    }
    page.markup("</td></tr>\n");
}

fn bar(page: &mut Page, used: u64, limit: u64) {
    let percent = u128::from(used) * 100 / u128::from(limit.max(1));
    let percent = u64::try_from(percent).unwrap_or(100).min(100);
    let mood = match percent {
        90.. => "bad",
        75.. => "warn",
        _ => "fine",
    };
    page.markup("<svg class=\"bar ")
        .markup(mood)
        .markup("\" viewBox=\"0 0 100 1\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"")
        .value(percent)
        .markup(" %\"><rect class=\"track\" width=\"100\" height=\"1\"/><rect class=\"fill\" ")
        .markup("height=\"1\" width=\"")
        // What is used is seen.
        .value(percent.max(u64::from(used > 0)))
        .markup("\"/></svg>");
}

fn title(resource: &'static str) -> &'static str {
    match resource {
        "series" => "Series",
        "body_bytes" => "Length of a push",
        "labels" => "Labels of a series",
        "label_bytes" => "Length of a label",
        "sender_series" => "Numbers of senders",
        "idempotency_keys" => "Idempotency keys",
        "connections" => "Connections",
        "descriptors" => "File descriptors",
        "threads" => "Threads",
        "workers" => "Workers",
        "buffered_bytes" => "Buffers of clients",
        "memory_bytes" => "Memory",
        other => other,
    }
}

pub fn journal(page: &mut Page, overview: &Overview) {
    page.markup("<section class=\"card\" aria-labelledby=\"journal\">\n")
        .markup("<h2 id=\"journal\">Journal</h2>\n");
    let Some(journal) = &overview.journal else {
        page.markup("<p class=\"quiet\">None: the sums are in memory alone. ")
            .markup("<code>-journal FILE</code> keeps them.</p>\n</section>\n");
        return;
    };
    match &journal.trouble {
        None => {
            page.markup("<p><span class=\"state fine\">Every push is kept</span></p>\n");
        }
        Some(trouble) => {
            page.markup("<p><span class=\"state bad\">Pushes are refused</span> ")
                .isolated(trouble, REASON_SHOWN)
                .markup("</p>\n");
        }
    }
    page.markup("<dl class=\"facts\">\n<div><dt>Length</dt><dd>")
        .bytes(journal.bytes)
        .markup("</dd></div>\n<div><dt>Snapshot in it</dt><dd>")
        .bytes(journal.snapshot_bytes)
        .markup("</dd></div>\n</dl>\n</section>\n");
}

pub fn senders(page: &mut Page, overview: &Overview) {
    let Some(senders) = overview.senders else {
        return;
    };
    page.markup("<section class=\"card\" aria-labelledby=\"senders\">\n")
        .markup("<h2 id=\"senders\">Senders</h2>\n<dl class=\"facts\">\n<div><dt>Live</dt><dd>")
        .grouped(senders.live)
        .markup("</dd></div>\n<div><dt>Remembered</dt><dd>")
        .grouped(senders.remembered)
        .markup("</dd></div>\n</dl>\n</section>\n");
}

pub fn refusals(page: &mut Page, overview: &Overview) {
    page.markup("<section class=\"card\" aria-labelledby=\"refusals\">\n")
        .markup("<h2 id=\"refusals\">Last refusals</h2>\n");
    if overview.refusals.is_empty() {
        page.markup("<p class=\"quiet\">No request was refused.</p>\n</section>\n");
        return;
    }
    page.markup("<div class=\"scroll\" role=\"region\" aria-labelledby=\"refusals\" ")
        .markup("tabindex=\"0\">\n<table>\n<caption class=\"hidden\">")
        .markup("The last requests that were refused, the newest first</caption>\n")
        .markup("<thead><tr><th scope=\"col\">Time</th><th scope=\"col\">Sender</th>")
        .markup("<th scope=\"col\">Request</th><th scope=\"col\">Status</th>")
        .markup("<th scope=\"col\">Reason</th></tr></thead>\n<tbody>\n");
    for refused in &overview.refusals {
        page.markup("<tr><td class=\"when\">");
        time(page, refused.time_millis / 1000);
        page.markup("</td><td>")
            .isolated(&refused.sender, PATH_SHOWN)
            .markup("</td><td>")
            .isolated(&refused.method, PATH_SHOWN)
            .markup(" ")
            .isolated(&refused.path, PATH_SHOWN)
            .markup("</td><td>")
            .value(refused.code)
            .markup("</td><td class=\"reason\">")
            .isolated(&refused.reason, REASON_SHOWN)
            .markup("</td></tr>\n");
    }
    page.markup("</tbody>\n</table>\n</div>\n</section>\n");
}
