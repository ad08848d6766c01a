//! The status page: `/` for people, `/api/v1/status` for programs.

use super::Site;
use super::answer::Answer;
use super::query;
use super::route::OverviewFormat;
use crate::overview::html::{CONTENT_SECURITY_POLICY, Shown, html};
use crate::overview::json::json;
use crate::overview::listing::list;
use crate::overview::opened::open;
use crate::overview::query::Query;

/// The page that a request target asks for.
pub fn overview(site: &Site, target: &str, format: OverviewFormat) -> Answer {
    let query = match Query::parse(query::query(target)) {
        Ok(query) => query,
        Err(error) => return Answer::refusal(400, error),
    };
    let view = site.gateway.view();
    let opened = open(&view, &query);
    let shown = Shown {
        overview: &site
            .status
            .overview(&site.stored(), site.clock.now_millis()),
        query: &query,
        listing: &list(&view, &query),
        opened: opened.as_ref(),
    };
    let answer = match format {
        OverviewFormat::Json => Answer::json(json(shown)),
        OverviewFormat::Html => Answer::new(200, "text/html; charset=utf-8", html(shown))
            .with_field("Content-Security-Policy", CONTENT_SECURITY_POLICY)
            // For browsers that do not know frame-ancestors.
            .with_field("X-Frame-Options", "DENY"),
    };
    answer
        .with_field("Cache-Control", "no-store")
        .with_field("Cross-Origin-Resource-Policy", "same-origin")
        .with_field("Referrer-Policy", "no-referrer")
        .with_field("X-Content-Type-Options", "nosniff")
}
