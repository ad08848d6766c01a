//! Requests to routes to gateway calls to answers: the only HTTP, the only status codes.
//!
//! Invariants: a body is read whole before anything is decided, so that no byte of a rightly framed
//! one can be taken for the next request; nothing that a client sent is echoed in a header; an
//! answer is written from what nobody else waits for, a whole text or a view. Knows no merge rules.
//!
//! | method, path | answer |
//! |---|---|
//! | `POST`, `PUT` push path, `/<label>/<value>...` behind it | 200, when the next reset is |
//! | `OPTIONS` the same | 204, CORS preflight |
//! | `GET`, `HEAD` `/metrics` | 200, the sums |
//! | `GET`, `HEAD` `/-/healthy`, `/-/ready` | 200; not ready: 503 |
//! | `GET`, `HEAD` `/-/metrics` | 200, the gateway's own metrics |
//! | another method, another path | 405 with `Allow`, 404 |

mod answer;
mod body;
mod connections;
mod distrusted;
mod exposition;
mod front;
mod in_hand;
mod pool;
mod socket;
mod tcp_info;
mod worker;
mod workers;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use tiny_http::{Method, Request};

use self::answer::{Answer, Body, Turn, let_go};
use self::body::{BodyError, READ_AHEAD_BODY_BYTES_MAX, Unread, read_body};
pub use self::connections::Deadlines;
pub use self::front::{Extent, Front};
use self::worker::{Busy, Worker};
use self::workers::Client;
use crate::excerpt::Excerpt;
use crate::gateway::{Gateway, JournalState, Refusal};
use crate::status::{Handler, PushResult, Resource, Status, Stored, StoredJournal};

/// Senders are told to wait this long after a reset, so that nobody pushes right into it.
const NEXT_RESET_GRACE_SECONDS: i64 = 30;

const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";
const JSON: &str = "application/json";

/// What the workers serve.
#[derive(Debug)]
pub struct Site {
    /// Where pushes go and scrapes come from.
    pub gateway: Gateway,
    /// The gateway's own counters.
    pub status: Status,
    /// The `Access-Control-Allow-Origin` of every answer to a push; empty for none.
    pub cors: String,
    /// Without a final slash.
    pub push_path: String,
    /// The longest body that is read.
    pub body_bytes_max: usize,
    /// How long clients are waited for.
    pub deadlines: Deadlines,
}

impl Site {
    /// The page of the gateway's own metrics.
    #[must_use]
    pub fn status_page(&self) -> String {
        let stored_journal = |state: JournalState| StoredJournal {
            bytes: state.bytes,
            snapshot_bytes: state.snapshot_bytes,
            trouble: state.trouble.map(|trouble| trouble.to_string()),
        };
        let held = self.gateway.size();
        self.status.front.set_used(Resource::Series, held.series);
        self.status.page(&Stored {
            families: held.families,
            series: held.series,
            journal: self.gateway.journal_state().map(stored_journal),
        })
    }
}

/// A page that is read, not pushed to.
#[derive(Clone, Copy)]
enum Page {
    Scrape,
    Healthy,
    Ready,
    Status,
}

/// What is at a path: perhaps a page, perhaps the push path with labels behind it, perhaps both.
struct Place<'a> {
    page: Option<Page>,
    labels: Option<&'a str>,
}

impl<'a> Place<'a> {
    fn at(path: &'a str, push_path: &str) -> Place<'a> {
        let page = match path {
            "/metrics" => Some(Page::Scrape),
            "/-/healthy" => Some(Page::Healthy),
            "/-/ready" => Some(Page::Ready),
            "/-/metrics" => Some(Page::Status),
            _ => None,
        };
        let labels = match path.strip_prefix(push_path) {
            Some("") => Some(""),
            Some(behind) => behind.strip_prefix('/'),
            None => None,
        };
        Place { page, labels }
    }

    fn methods(&self) -> &'static str {
        match (self.page, self.labels) {
            (Some(_), Some(_)) => "GET, HEAD, POST, PUT, OPTIONS",
            (Some(_), None) => "GET, HEAD",
            (None, Some(_)) => "POST, PUT, OPTIONS",
            (None, None) => "",
        }
    }
}

fn handle(worker: &Worker, mut request: Request) {
    let has_little = request.body_length().unwrap_or(0) <= READ_AHEAD_BODY_BYTES_MAX;
    if has_little && worker.distrusts_client() {
        // Its connection has been ended, and there may be thousands more of them. Not even
        // tiny_http answers it then, which would wait for its turn.
        drop(request.into_writer());
        return;
    }
    let body = read_body(&mut request, worker);
    let target = request.url().to_owned();
    let place = Place::at(path(&target), &worker.site().push_path);
    let pushed = place.labels.filter(|_| is_push(request.method()));
    let format = pushed.map_or(Ok(()), |_| check_format(&request));
    let body = match body {
        Ok(body) => body,
        Err(error) => return refuse(worker, request, &place, error, pushed),
    };
    let Some(turn) = Turn::take(request, worker) else {
        // Its connection has been ended.
        pushed.inspect(|_| worker.site().status.count_push(PushResult::Incomplete));
        return;
    };
    let (handler, answer) = match pushed {
        Some(labels) => (Handler::Push, push(worker, format, labels, &body)),
        None => surviving(|| read(worker.site(), &turn.method, &place))
            .unwrap_or_else(|Panicked| (Handler::None, bug())),
    };
    let answer = match answer.body {
        Body::Exposition(_) => worker
            .wait_for(Client::Reader)
            .map_or_else(|Busy| too_many_readers(), |()| answer),
        Body::Text(_) => answer,
    };
    let answer = last_touch(worker, &place, &turn.method, handler, answer);
    turn.respond(answer);
}

fn is_push(method: &Method) -> bool {
    matches!(method, Method::Post | Method::Put)
}

fn too_many_readers() -> Answer {
    Answer::refusal(503, "too many others are waited for; scrape again later")
}

/// Refuses a request whose body was not read to its end.
fn refuse(
    worker: &Worker,
    request: Request,
    place: &Place<'_>,
    error: BodyError,
    pushed: Option<&str>,
) {
    let handler = match pushed {
        Some(_) => {
            worker.site().status.count_push(error.result);
            Handler::Push
        }
        None => Handler::None,
    };
    let answer = Answer::refusal(error.code, &error.line);
    let answer = last_touch(worker, place, request.method(), handler, answer);
    match error.unread {
        Unread::Nothing => {
            if let Some(turn) = Turn::take(request, worker) {
                turn.respond(answer);
            }
        }
        unread => let_go(request, &answer, unread, worker),
    }
}

/// What all answers have in common; counts the request.
fn last_touch(
    worker: &Worker,
    place: &Place<'_>,
    method: &Method,
    handler: Handler,
    answer: Answer,
) -> Answer {
    let site = worker.site();
    let is_page = matches!(method, Method::Get | Method::Head) && place.page.is_some();
    let answer = match place.labels {
        Some(_) if !is_page && !site.cors.is_empty() => {
            answer.with_header("Access-Control-Allow-Origin", &site.cors)
        }
        _ => answer,
    };
    site.status.count_request(handler, answer.code);
    if worker.is_draining() {
        answer.ending_connection()
    } else {
        answer
    }
}

/// Answers what is not a push.
fn read(site: &Site, method: &Method, place: &Place<'_>) -> (Handler, Answer) {
    match (method, place.labels, place.page) {
        (Method::Options, Some(_), _) => (Handler::Preflight, preflight()),
        (Method::Get | Method::Head, _, Some(page)) => show(site, page),
        (_, None, None) => (Handler::None, not_found(site)),
        _ => (Handler::None, wrong_method(method, place)),
    }
}

/// The path of a request target, which may be in absolute form (RFC 9112 section 3.2).
fn path(target: &str) -> &str {
    let path = match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => {
            rest.find('/').map_or("/", |slash| &rest[slash..])
        }
        _ => target,
    };
    &path[..path.find(['?', '#']).unwrap_or(path.len())]
}

fn push(worker: &Worker, format: Result<(), Answer>, labels: &str, body: &[u8]) -> Answer {
    let site = worker.site();
    let (result, answer) = match format {
        Ok(()) => {
            let merge = || surviving(|| merge(site, labels, body));
            let merged = worker.merge_in_turn(body.len(), merge);
            merged.unwrap_or_else(|Panicked| (PushResult::Failed, bug()))
        }
        Err(answer) => (PushResult::Unsupported, answer),
    };
    site.status.count_push(result);
    answer
}

/// Runs what should not panic, and goes on if it does.
///
/// # Errors
/// It has panicked.
pub fn surviving<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panicked)
}

/// There is a bug; stderr says where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panicked;

fn bug() -> Answer {
    Answer::refusal(
        500,
        "a bug of the gateway, which its stderr says more of; please report it",
    )
}

fn merge(site: &Site, labels: &str, body: &[u8]) -> (PushResult, Answer) {
    let started = Instant::now();
    match site.gateway.push(labels, body) {
        Ok(merged) => {
            let (samples, skipped) = (merged.samples, merged.skipped);
            site.status
                .count_merged(samples, skipped, body.len(), started.elapsed());
            (PushResult::Accepted, accepted(site.status.next_reset()))
        }
        Err(refusal) => {
            let (result, code) = match refusal {
                _ if refusal.is_beyond_label_limits() => (PushResult::TooManyLabels, 400),
                Refusal::TooManySeries(_) => (PushResult::TooManySeries, 429),
                Refusal::Path(_) | Refusal::Invalid(_) => (PushResult::Invalid, 400),
                Refusal::Conflict(_) => (PushResult::Conflict, 400),
                Refusal::NotKept(_) => (PushResult::NotKept, 503),
            };
            (result, Answer::refusal(code, refusal))
        }
    }
}

fn accepted(next_reset: Option<i64>) -> Answer {
    Answer::new(
        200,
        JSON,
        match next_reset {
            Some(seconds) => {
                let from_then_on = seconds.saturating_add(NEXT_RESET_GRACE_SECONDS);
                format!("{{\"nextResetTimestampSec\":{from_then_on}}}")
            }
            None => "{}".to_owned(),
        },
    )
}

/// Refuses bodies that are certainly not text, with the line that makes the sender send text.
fn check_format(request: &Request) -> Result<(), Answer> {
    let content_type = header(request, "Content-Type").unwrap_or_default();
    if content_type.to_ascii_lowercase().contains("protobuf") {
        return Err(Answer::refusal(
            415,
            "protobuf is not read here, send the text format: Go .Format(expfmt.FmtText), \
             Java .format(Format.PROMETHEUS_TEXT), Rust POST of a TextEncoder's output",
        ));
    }
    match header(request, "Content-Encoding").unwrap_or_default() {
        encoding if encoding.is_empty() || encoding.eq_ignore_ascii_case("identity") => Ok(()),
        encoding => {
            let encoding = Excerpt::of(encoding);
            let line = format!("Content-Encoding {encoding} is not read here, send plain text");
            Err(Answer::refusal(415, line))
        }
    }
}

/// The values of a header, one for each line of it.
fn headers<'a>(request: &'a Request, name: &'static str) -> impl Iterator<Item = &'a str> {
    let headers = request.headers().iter();
    let named = headers.filter(move |header| header.field.equiv(name));
    named.map(|header| header.value.as_str())
}

fn header<'a>(request: &'a Request, name: &'static str) -> Option<&'a str> {
    headers(request, name).next()
}

/// Allows what a browser asks before it pushes across origins (Fetch standard, CORS-preflight).
fn preflight() -> Answer {
    let headers = vec![
        (
            "Access-Control-Allow-Methods",
            "POST, PUT, OPTIONS".to_owned(),
        ),
        (
            "Access-Control-Allow-Headers",
            "Authorization, Content-Type, Content-Encoding, X-Requested-With".to_owned(),
        ),
        ("Access-Control-Max-Age", "86400".to_owned()),
    ];
    Answer {
        code: 204,
        headers,
        body: Body::Text(Vec::new()),
    }
}

fn show(site: &Site, page: Page) -> (Handler, Answer) {
    const ALIVE: &str = "{\"alive\": true}";
    match page {
        Page::Scrape => (
            Handler::Scrape,
            Answer::exposition(EXPOSITION, site.gateway.view()),
        ),
        Page::Healthy => (Handler::Healthy, Answer::new(200, JSON, ALIVE)),
        Page::Ready => {
            let answer = match site.gateway.not_kept() {
                None => Answer::new(200, JSON, ALIVE),
                Some(why) => Answer::refusal(503, why),
            };
            (Handler::Ready, answer)
        }
        Page::Status => (
            Handler::Status,
            Answer::new(200, EXPOSITION, site.status_page()),
        ),
    }
}

fn not_found(site: &Site) -> Answer {
    let push_path = &site.push_path;
    Answer::refusal(
        404,
        format!("not found; push to {push_path}/, scrape /metrics"),
    )
}

fn wrong_method(method: &Method, place: &Place<'_>) -> Answer {
    let (found, methods) = (Excerpt::of(method.as_str()), place.methods());
    Answer::refusal(
        405,
        format!("method {found} is not known here; expected one of {methods}"),
    )
    .with_header("Allow", methods)
}
