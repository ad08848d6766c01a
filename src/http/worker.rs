//! A thread that takes requests from `tiny_http` and answers them, one after the other.
//!
//! What it gets is whole and was checked by the gate; it waits for no client.

use std::collections::TryReserveError;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use tiny_http::{Method, Request, Server};

use super::answer::Answer;
use super::exchange::{
    CHUNK_HEAD_BYTES, EXCHANGE, Exchange, Exchanges, PIECE_BYTES, Scrape, ScrapedView,
};
use super::exposition::Exposition;
use super::overview::overview;
use super::push::push;
use super::route::Route;
use super::{Site, admin};
use crate::excerpt::Excerpt;
use crate::render::{NameStyle, render};

/// Answers requests until it is stopped.
pub fn work(server: &Server, site: &Site, exchanges: &Exchanges, is_stopped: &AtomicBool) {
    loop {
        match server.recv() {
            // Whatever panics, the next request is answered.
            Ok(request) => drop(surviving(|| handle(request, site, exchanges))),
            Err(_) if is_stopped.load(SeqCst) => return,
            // It accepts no more connections than those of the start.
            Err(_) => {}
        }
    }
}

/// The result of some work; none if it has panicked.
fn surviving<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

fn handle(request: Request, site: &Site, exchanges: &Exchanges) {
    let answer = surviving(|| answer(&request, site, exchanges)).unwrap_or_else(|| {
        Answer::refusal(
            500,
            "internal error; see the gateway's log, and please report it",
        )
    });
    // The gate has gone: there is nobody to tell.
    let _ = request.respond(answer.into_response());
}

fn answer(request: &Request, site: &Site, exchanges: &Exchanges) -> Answer {
    let method = request.method();
    let exchange = field(request, EXCHANGE).and_then(|slot| slot.parse().ok());
    match Route::of(method.as_str(), request.url(), &site.push_path) {
        Route::Push { labels } => {
            let body = match exchange.and_then(|slot| exchanges.take(slot)) {
                Some(Exchange::Body(body)) => body,
                _ => Vec::new(),
            };
            push(request, site, labels, &body)
        }
        Route::Delete { labels, allowed } => admin::delete(site, labels, allowed),
        Route::Wipe => admin::wipe(site, request.url()),
        Route::Preflight => preflight(),
        Route::Scrape if *method == Method::Head => {
            let accept = field(request, "Accept").map(str::as_bytes);
            scraped(Exposition::accepted(accept))
        }
        Route::Scrape => scrape(site, exchanges, exchange),
        Route::Healthy => {
            // The gate asks for it every now and then.
            exchanges.free_discarded();
            Answer::json(ALIVE)
        }
        Route::Ready => match site.gateway.not_kept() {
            None => Answer::json(ALIVE),
            Some(why) => Answer::refusal(503, why),
        },
        Route::OwnMetrics => Answer::new(200, Exposition::Text.content_type(), site.status_page()),
        Route::Overview(format) => overview(site, request.url(), format),
        Route::NotFound => {
            let push_path = &site.push_path;
            let line = format!("not found; push to {push_path}/, scrape /metrics, look at /");
            Answer::refusal(404, line)
        }
        Route::WrongMethod { allowed } => {
            let found = Excerpt::of(method.as_str());
            let line = format!("method {found} is not known here; expected one of {allowed}");
            Answer::refusal(405, line).with_field("Allow", allowed)
        }
    }
}

const ALIVE: &str = "{\"alive\": true}";

/// The first value of a field.
pub fn field<'a>(request: &'a Request, name: &'static str) -> Option<&'a str> {
    let mut headers = request.headers().iter();
    let header = headers.find(|header| header.field.equiv(name))?;
    Some(header.value.as_str())
}

/// Allows what a browser asks before it pushes across origins (Fetch standard, CORS-preflight). The
/// star stands for whatever tracers add, but not for `Authorization` (section 4.9).
fn preflight() -> Answer {
    Answer::empty(204)
        .with_field("Access-Control-Allow-Methods", "POST, PUT, OPTIONS")
        .with_field(
            "Access-Control-Allow-Headers",
            "*, Authorization, Idempotency-Key",
        )
        .with_field("Access-Control-Max-Age", "86400")
}

/// Renders the next piece of a scrape into its exchange. A scrape that does not come back from
/// there has failed.
fn scrape(site: &Site, exchanges: &Exchanges, slot: Option<usize>) -> Answer {
    let exchange = slot.and_then(|slot| Some((slot, exchanges.take(slot)?)));
    let mut exposition = Exposition::Text;
    if let Some((slot, Exchange::Scrape(mut scrape))) = exchange {
        exposition = scrape.exposition;
        if render_next(site, &mut scrape).is_ok() {
            exchanges.put(slot, Exchange::Scrape(scrape));
        }
    }
    scraped(exposition)
}

/// The answer to a scrape, without the body.
fn scraped(exposition: Exposition) -> Answer {
    Answer::new(200, exposition.content_type(), "").with_field("Vary", "Accept")
}

fn render_next(site: &Site, scrape: &mut Scrape) -> Result<(), TryReserveError> {
    let scraped = || ScrapedView::new(site.gateway.view());
    let scraped = scrape.view.get_or_init(scraped);
    let encoding = scrape.exposition.encoding();
    let style = scraped.name_style(scrape.exposition);
    let mut piece = Vec::new();
    piece.try_reserve_exact(scrape.piece_bytes + PIECE_BYTES / 8)?;
    piece.resize(CHUNK_HEAD_BYTES, b' ');
    let cursor = scrape.cursor.take();
    scrape.cursor = cursor.and_then(|cursor| {
        render(
            &scraped.view,
            encoding,
            style,
            cursor,
            &mut piece,
            scrape.piece_bytes,
        )
    });
    if let (NameStyle::Underscores(omissions), None) = (style, scrape.cursor) {
        let (families, series) = (omissions.families(), omissions.series());
        site.status.set_scrape_omissions(families, series);
    }
    scrape.piece = piece;
    Ok(())
}
