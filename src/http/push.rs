//! A push: what its fields say of its body, and the response to it.

use std::borrow::Cow;
use std::time::Instant;

use tiny_http::{Method, Request};

use super::Site;
use super::answer::Answer;
use super::idempotency_key::{FIELD, idempotency_key};
use super::worker::field;
use crate::compression::{ACCEPT_ENCODING, ContentCoding, DecompressError, decompress};
use crate::gateway::{Accepted, PushRequest, Refusal, Replaced};
use crate::parse::Format;
use crate::status::PushResult;

/// Senders are told to wait this long after a reset, so that nobody pushes right into it.
const NEXT_RESET_GRACE_SECONDS: i64 = 30;

/// What became of a push, and the response that says so.
type Outcome = (PushResult, Answer);

/// Merges a push whose body has arrived.
pub fn push(request: &Request, site: &Site, labels: &str, body: &[u8]) -> Answer {
    let outcome = merge(request, site, labels, body);
    let (result, answer) = outcome.unwrap_or_else(|refused| refused);
    site.status.count_push(result);
    answer
}

fn merge(request: &Request, site: &Site, labels: &str, body: &[u8]) -> Result<Outcome, Outcome> {
    let started = Instant::now();
    let named = Format::named(field(request, "Content-Type"));
    let named = named.map_err(|error| (PushResult::Unsupported, Answer::refusal(415, error)))?;
    let body = &*contents(field(request, "Content-Encoding"), body, site)?;
    let format = named.unwrap_or_else(|| Format::by_content(body));
    let key = idempotency_key(field(request, FIELD), request.url());
    let key = key.map_err(|error| (PushResult::Invalid, Answer::refusal(400, error)))?;
    let pushed = PushRequest {
        labels,
        format,
        key: key.as_deref(),
        replaced: match request.method() {
            Method::Put => Replaced::Everything,
            _ => Replaced::Families,
        },
        body,
        time_millis: site.clock.now_millis(),
    };
    let outcome = site.gateway.push(&pushed).map_err(refused)?;
    // By then a reset may have come.
    let answer = accepted(site.status.next_reset());
    match outcome {
        Accepted::Repeated => {
            // A page of another origin may read it (Fetch standard, CORS protocol).
            let answer = answer
                .with_field("Idempotent-Replayed", "true")
                .with_field("Access-Control-Expose-Headers", "Idempotent-Replayed");
            Ok((PushResult::Repeated, answer))
        }
        Accepted::Merged(merged) => {
            let (samples, skipped) = (merged.samples, merged.skipped);
            site.status
                .count_merged(samples, skipped, body.len(), started.elapsed());
            site.status.count_cut_help_texts(merged.cut_help_texts);
            let push_times = merged.left_out_push_times;
            site.status.count_left_out_push_times(push_times);
            Ok((PushResult::Accepted, answer))
        }
    }
}

fn refused(refusal: Refusal) -> Outcome {
    let (result, code) = match refusal {
        _ if refusal.is_beyond_label_limits() => (PushResult::TooManyLabels, 400),
        Refusal::TooManySeries(_) => (PushResult::TooManySeries, 429),
        Refusal::Path(_) | Refusal::Invalid(_) | Refusal::PushTimeName | Refusal::Beyond(..) => {
            (PushResult::Invalid, 400)
        }
        Refusal::Conflict(_) => (PushResult::Conflict, 400),
        Refusal::TooManyNumbers(_) => (PushResult::TooManyNumbers, 429),
        Refusal::KeyReused => (PushResult::KeyReused, 422),
        Refusal::TooManyKeys(_) => (PushResult::TooManyKeys, 429),
        Refusal::NotKept(_) => (PushResult::NotKept, 503),
    };
    (result, Answer::refusal(code, refusal))
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

/// The contents of a body that may be compressed.
fn contents<'a>(
    coding: Option<&str>,
    body: &'a [u8],
    site: &Site,
) -> Result<Cow<'a, [u8]>, Outcome> {
    let coding = ContentCoding::from_header(coding.map(str::as_bytes)).map_err(|error| {
        let answer = Answer::refusal(415, error);
        // RFC 9110 section 12.5.3.
        let answer = answer.with_field("Accept-Encoding", ACCEPT_ENCODING);
        (PushResult::Unsupported, answer)
    })?;
    if coding == ContentCoding::Identity {
        return Ok(Cow::Borrowed(body));
    }
    let contents = decompress(coding, body, site.body_bytes_max);
    contents.map(Cow::Owned).map_err(|error| {
        let (result, code) = match error {
            DecompressError::TooLong { .. } | DecompressError::Ratio => (PushResult::TooLarge, 413),
            DecompressError::NoMemory { .. } => (PushResult::NoMemory, 503),
            _ => (PushResult::Invalid, 400),
        };
        (result, Answer::refusal(code, error))
    })
}
