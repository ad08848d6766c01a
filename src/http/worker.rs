//! A thread that takes requests from `tiny_http` and answers them, one after the other.
//!
//! What it gets is whole and was checked by the gate; it waits for no client.

use std::collections::TryReserveError;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Instant;

use tiny_http::{Method, Request, Server};

use super::answer::Answer;
use super::exchange::{CHUNK_HEAD_BYTES, EXCHANGE, Exchange, Exchanges, PIECE_BYTES, Scrape};
use super::idempotency_key::{FIELD, idempotency_key};
use super::route::Route;
use super::{Site, admin};
use crate::excerpt::Excerpt;
use crate::gateway::{Accepted, PushRequest, Refusal};
use crate::render::render;
use crate::status::PushResult;

/// Senders are told to wait this long after a reset, so that nobody pushes right into it.
const NEXT_RESET_GRACE_SECONDS: i64 = 30;

const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

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
        Route::Scrape if *method == Method::Head => Answer::new(200, EXPOSITION, ""),
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
        Route::OwnMetrics => Answer::new(200, EXPOSITION, site.status_page()),
        Route::NotFound => {
            let push_path = &site.push_path;
            let line = format!("not found; push to {push_path}/, scrape /metrics");
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
fn field<'a>(request: &'a Request, name: &'static str) -> Option<&'a str> {
    let mut headers = request.headers().iter();
    let header = headers.find(|header| header.field.equiv(name))?;
    Some(header.value.as_str())
}

fn push(request: &Request, site: &Site, labels: &str, body: &[u8]) -> Answer {
    let key = idempotency_key(field(request, FIELD), request.url());
    let key = key.map_err(|error| (PushResult::Invalid, Answer::refusal(400, error)));
    let format = check_format(request).map_err(|answer| (PushResult::Unsupported, answer));
    let (result, answer) = match format.and(key) {
        Ok(key) => merge(site, labels, key.as_deref(), body),
        Err(refused) => refused,
    };
    site.status.count_push(result);
    answer
}

fn merge(site: &Site, labels: &str, key: Option<&[u8]>, body: &[u8]) -> (PushResult, Answer) {
    let started = Instant::now();
    let request = PushRequest {
        labels,
        key,
        body,
        time_millis: site.clock.now_millis(),
    };
    match site.gateway.push(&request) {
        Ok(Accepted::Repeated) => {
            let answer = accepted(site.status.next_reset());
            // A page of another origin may read it (Fetch standard, CORS protocol).
            let answer = answer
                .with_field("Idempotent-Replayed", "true")
                .with_field("Access-Control-Expose-Headers", "Idempotent-Replayed");
            (PushResult::Repeated, answer)
        }
        Ok(Accepted::Merged(merged)) => {
            let (samples, skipped) = (merged.samples, merged.skipped);
            site.status
                .count_merged(samples, skipped, body.len(), started.elapsed());
            site.status.count_cut_help_texts(merged.cut_help_texts);
            (PushResult::Accepted, accepted(site.status.next_reset()))
        }
        Err(refusal) => {
            let (result, code) = match refusal {
                _ if refusal.is_beyond_label_limits() => (PushResult::TooManyLabels, 400),
                Refusal::TooManySeries(_) => (PushResult::TooManySeries, 429),
                Refusal::Path(_) | Refusal::Invalid(_) | Refusal::Beyond(..) => {
                    (PushResult::Invalid, 400)
                }
                Refusal::Conflict(_) => (PushResult::Conflict, 400),
                Refusal::KeyReused => (PushResult::KeyReused, 422),
                Refusal::TooManyKeys(_) => (PushResult::TooManyKeys, 429),
                Refusal::NotKept(_) => (PushResult::NotKept, 503),
            };
            (result, Answer::refusal(code, refusal))
        }
    }
}

fn accepted(next_reset: Option<i64>) -> Answer {
    let body = match next_reset {
        Some(seconds) => {
            let from_then_on = seconds.saturating_add(NEXT_RESET_GRACE_SECONDS);
            format!("{{\"nextResetTimestampSec\":{from_then_on}}}")
        }
        None => "{}".to_owned(),
    };
    Answer::json(body)
}

/// Refuses bodies that are certainly not text, with the line that makes the sender send text.
fn check_format(request: &Request) -> Result<(), Answer> {
    let content_type = field(request, "Content-Type").unwrap_or_default();
    if content_type.to_ascii_lowercase().contains("protobuf") {
        return Err(Answer::refusal(
            415,
            "protobuf is not read here, send the text format: Go .Format(expfmt.FmtText), \
             Java .format(Format.PROMETHEUS_TEXT), Rust POST of a TextEncoder's output",
        ));
    }
    match field(request, "Content-Encoding").unwrap_or_default() {
        encoding if encoding.is_empty() || encoding.eq_ignore_ascii_case("identity") => Ok(()),
        encoding => {
            let encoding = Excerpt::of(encoding);
            let line = format!("Content-Encoding {encoding} is not read here, send plain text");
            Err(Answer::refusal(415, line))
        }
    }
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
    if let Some((slot, Exchange::Scrape(mut scrape))) = exchange
        && render_next(site, &mut scrape).is_ok()
    {
        exchanges.put(slot, Exchange::Scrape(scrape));
    }
    Answer::new(200, EXPOSITION, "")
}

fn render_next(site: &Site, scrape: &mut Scrape) -> Result<(), TryReserveError> {
    let view = scrape.view.get_or_init(|| site.gateway.view());
    let mut piece = Vec::new();
    piece.try_reserve_exact(PIECE_BYTES + PIECE_BYTES / 8)?;
    piece.resize(CHUNK_HEAD_BYTES, b' ');
    let cursor = scrape.cursor.take();
    scrape.cursor = cursor.and_then(|cursor| render(view, cursor, &mut piece, PIECE_BYTES));
    scrape.piece = piece;
    Ok(())
}
